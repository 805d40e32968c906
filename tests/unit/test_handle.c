/* SPDX-License-Identifier: MIT */
/* test_handle.c - handles as bytes and descriptors, honest and made up */
#include <harness/walk.h>
#include <ndshare/ndshare.h>
#include <os/os.h>

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct parcel {
    void *bytes;
    size_t nbytes;
    int fds[NDS_HANDLE_FDS];
    int nfds;
};

static void
pack(struct parcel *p, const char *kind, void *handle)
{
    int rc = nds_handle_pack(kind, handle, &p->bytes, &p->nbytes, p->fds,
                             &p->nfds);

    ck_assert_msg(rc == 0, "%s: %s", kind, nds_last_error()->message);
    for (int i = 0; i < p->nfds; i++) {
        ck_assert_int_ne(fcntl(p->fds[i], F_GETFD) & FD_CLOEXEC, 0);
    }
}

static void
drop(struct parcel *p)
{
    for (int i = 0; i < p->nfds; i++) {
        close(p->fds[i]);
    }
    free(p->bytes);
}

static int
unpack(const char *kind, const struct parcel *p, void **handle)
{
    int fds[NDS_HANDLE_FDS];

    for (int i = 0; i < p->nfds; i++) {
        fds[i] = fcntl(p->fds[i], F_DUPFD_CLOEXEC, 0);
    }
    return nds_handle_unpack(kind, p->bytes, p->nbytes, fds, p->nfds, handle);
}

/* ---- one of each kind --------------------------------------------------- */

#define CLOSER(noun)                                                          \
    static void noun##_close(void *h)                                         \
    {                                                                         \
        nds_##noun##_close(h);                                                \
    }                                                                         \
    struct noun##_needs_semicolon
CLOSER(array);
CLOSER(typed);
CLOSER(queue);
CLOSER(pipe);
CLOSER(mutex);
CLOSER(cond);
CLOSER(sem);
CLOSER(event);
CLOSER(barrier);
CLOSER(rwlock);
CLOSER(seqlock);
CLOSER(block);

static nds_pipe *other_end;
static char block_name[64];

#define MAKER(noun, ...)                                                      \
    static void *noun##_make(void)                                            \
    {                                                                         \
        nds_##noun *x = NULL;                                                 \
        ck_assert_int_eq(nds_##noun##_new(&x __VA_ARGS__), 0);                \
        return x;                                                             \
    }                                                                         \
    struct noun##_made_needs_semicolon
MAKER(typed, , 'd', 5, true);
MAKER(queue, , NULL);
MAKER(mutex, , NDS_MUTEX_PLAIN);
MAKER(cond, );
MAKER(sem, , 3, 5);
MAKER(event, );
MAKER(barrier, , 2);
MAKER(rwlock, );
MAKER(seqlock, );

static void *
array_make(void)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, (int64_t[]){100},
                                   &opts), 0);
    return a;
}

static void *
pipe_make(void)
{
    nds_pipe *p = NULL;

    ck_assert_int_eq(nds_pipe_new(&p, &other_end, NULL), 0);
    return p;
}

static void *
block_make(void)
{
    nds_block *b = NULL;

    snprintf(block_name, sizeof block_name, "test_handle_%d", (int)getpid());
    ck_assert_int_eq(nds_block_create_raw(&b, block_name, 5000, 0600), 0);
    return b;
}

static const struct {
    const char *kind;
    void *(*make)(void);
    void (*close)(void *);
} kinds[] = {
    {"array", array_make, array_close},
    {"typed", typed_make, typed_close},
    {"queue", queue_make, queue_close},
    {"pipe", pipe_make, pipe_close},
    {"mutex", mutex_make, mutex_close},
    {"cond", cond_make, cond_close},
    {"sem", sem_make, sem_close},
    {"event", event_make, event_close},
    {"barrier", barrier_make, barrier_close},
    {"rwlock", rwlock_make, rwlock_close},
    {"seqlock", seqlock_make, seqlock_close},
    {"block", block_make, block_close},
};
#define KINDS ((int)(sizeof kinds / sizeof kinds[0]))

static void
finish(int i, void *handle)
{
    kinds[i].close(handle);
    nds_pipe_close(other_end);
    if (block_name[0] != '\0') {
        ck_assert_int_eq(nds_name_unlink(block_name), 0);
    }
}

START_TEST(each_kind_arrives)
{
    void *handle = kinds[_i].make();
    void *again = NULL;
    struct parcel p;

    pack(&p, kinds[_i].kind, handle);
    ck_assert_int_eq(unpack(kinds[_i].kind, &p, &again), 0);
    ck_assert_ptr_nonnull(again);
    kinds[_i].close(again);
    ck_assert_int_eq(unpack(kinds[(_i + 1) % KINDS].kind, &p, &again),
                     NDS_EPROTO);
    ck_assert_ptr_null(again);
    drop(&p);
    finish(_i, handle);
}
END_TEST

/* Any one byte changed, any length, any descriptor missing or too many: an
 * error or a handle, and no descriptor more or less. */
START_TEST(made_up_bytes_are_refused)
{
    const char *kind = kinds[_i].kind;
    void *handle = kinds[_i].make();
    void *again = NULL;
    struct parcel p, lie;
    int before, refused = 0;

    pack(&p, kind, handle);
    before = nds_open_descriptors();
    lie = p;
    for (lie.nbytes = 0; lie.nbytes < p.nbytes; lie.nbytes++) {
        ck_assert_int_lt(unpack(kind, &lie, &again), 0);
        ck_assert_ptr_null(again);
    }
    lie.bytes = malloc(p.nbytes + 1);
    for (size_t i = 0; i <= p.nbytes; i++) {
        memcpy(lie.bytes, p.bytes, p.nbytes);
        ((unsigned char *)lie.bytes)[i] ^= 0x5b;
        lie.nbytes = p.nbytes + (i == p.nbytes); // the last: one too many
        if (unpack(kind, &lie, &again) == 0) {
            kinds[_i].close(again);
        } else {
            ck_assert_ptr_null(again);
            refused++;
        }
    }
    ck_assert_int_ge(refused, 17); // the word, the kind
    free(lie.bytes);
    lie = p;
    lie.nfds--;
    ck_assert_int_eq(unpack(kind, &lie, &again), NDS_EPROTO);
    lie.fds[lie.nfds] = -1;
    lie.nfds++;
    ck_assert_int_lt(unpack(kind, &lie, &again), 0);
    lie = p;
    lie.fds[lie.nfds++] = p.fds[0];
    ck_assert_int_eq(unpack(kind, &lie, &again), NDS_EPROTO);
    ck_assert_int_eq(nds_open_descriptors(), before);
    drop(&p);
    finish(_i, handle);
}
END_TEST

static int
garbage(int which)
{
    int fds[2] = {-1, -1};
    char bytes[4096];

    if (which == 0) {
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    if (which == 1) {
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        close(fds[1]);
        return fds[0];
    }
    fds[0] = memfd_create("garbage", MFD_CLOEXEC);
    memset(bytes, 0x5a, sizeof bytes);
    for (int i = 0; which == 3 && i < 64; i++) {
        ck_assert_int_eq(write(fds[0], bytes, sizeof bytes), sizeof bytes);
    }
    return fds[0];
}

START_TEST(other_descriptors_are_refused)
{
    const char *kind = kinds[_i].kind;
    void *handle = kinds[_i].make();
    void *again = NULL;
    struct parcel p, lie;
    int before;

    pack(&p, kind, handle);
    before = nds_open_descriptors();
    for (int which = 0; which < 4; which++) {
        int rc;

        lie = p;
        lie.fds[0] = garbage(which);
        rc = unpack(kind, &lie, &again);
        ck_assert_msg(rc < 0 && again == NULL, "%s took garbage %d", kind,
                      which);
        close(lie.fds[0]);
    }
    ck_assert_int_eq(nds_open_descriptors(), before);
    drop(&p);
    finish(_i, handle);
}
END_TEST

START_TEST(what_cannot_be_packed)
{
    struct parcel p;
    nds_array *a = NULL;
    void *handle = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, (int64_t[]){3}, NULL),
                     0);
    ck_assert_int_eq(nds_handle_pack("array", a, &p.bytes, &p.nbytes, p.fds,
                                     &p.nfds), NDS_EINVAL);
    ck_assert_ptr_null(p.bytes);
    ck_assert_int_eq(p.nfds, 0);
    ck_assert_int_eq(nds_handle_pack("queue", NULL, &p.bytes, &p.nbytes,
                                     p.fds, &p.nfds), NDS_EINVAL);
    ck_assert_int_eq(nds_handle_pack("chair", a, &p.bytes, &p.nbytes, p.fds,
                                     &p.nfds), NDS_EKEY);
    p.fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(nds_handle_unpack("chair", "", 0, p.fds, 1, &handle),
                     NDS_EKEY);
    ck_assert_int_eq(fcntl(p.fds[0], F_GETFD), -1); // taken over, so closed
    nds_array_close(a);
}
END_TEST

/* A process that was there before the queue gets it over a socket, and both
 * meet in it. */
START_TEST(a_stranger_joins_by_a_socket)
{
    nds_queue *q = queue_make();
    nds_array *a = NULL;
    struct parcel p;
    int pair[2], status = -1;
    pid_t pid;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                     0);
    pid = fork();
    if (pid == 0) {
        unsigned char bytes[256];
        uint64_t nbytes;
        int fds[NDS_HANDLE_FDS], n = 0;
        void *mine = NULL;
        bool ok;

        nds_queue_close(q);
        ok = ndi_sock_recv_fds(pair[1], &nbytes, sizeof nbytes, fds,
                               NDS_HANDLE_FDS, &n, ndi_deadline(NDS_SEC(10)))
                 == 0 && nbytes <= sizeof bytes &&
             read(pair[1], bytes, nbytes) == (ssize_t)nbytes &&
             nds_handle_unpack("queue", bytes, nbytes, fds, n, &mine) == 0 &&
             nds_queue_get(mine, &a, NULL, NDS_SEC(10)) == 0 &&
             nds_queue_put(mine, a, NULL, 0) == 0;
        nds_array_close(a);
        nds_queue_close(mine);
        _exit(ok ? 0 : 1);
    }
    ck_assert_int_gt(pid, 0);
    pack(&p, "queue", q);
    ck_assert_int_eq(ndi_sock_send_fds(pair[0], &(uint64_t){p.nbytes}, 8,
                                       p.fds, p.nfds,
                                       ndi_deadline(NDS_SEC(10))), 0);
    ck_assert_int_eq(write(pair[0], p.bytes, p.nbytes), (ssize_t)p.nbytes);
    drop(&p);
    a = array_make();
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_queue_get(q, &a, NULL, NDS_SEC(10)), 0);
    ck_assert_int_eq(nds_array_view(a)->shape[0], 100);
    nds_array_close(a);
    nds_queue_close(q);
}
END_TEST

/* Until its parcel is gone, an end is held. */
START_TEST(an_end_lives_in_its_parcel)
{
    nds_pipe *p = pipe_make();
    nds_array *a = NULL;
    void *again = NULL;
    struct parcel parcel;

    pack(&parcel, "pipe", other_end);
    nds_pipe_close(other_end);
    ck_assert_int_eq(nds_pipe_recv(p, &a, NULL, NDS_MSEC(60)), NDS_ETIMEDOUT);
    ck_assert_int_eq(unpack("pipe", &parcel, &again), 0);
    drop(&parcel);
    ck_assert_int_eq(nds_pipe_recv(p, &a, NULL, NDS_MSEC(60)), NDS_ETIMEDOUT);
    nds_pipe_close(again);
    ck_assert_int_eq(nds_pipe_recv(p, &a, NULL, NDS_SEC(10)), NDS_EEOF);
    nds_pipe_close(p);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("handle");
    TCase *tc = tcase_create("handle");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, each_kind_arrives, 0, KINDS);
    tcase_add_loop_test(tc, made_up_bytes_are_refused, 0, KINDS);
    tcase_add_loop_test(tc, other_descriptors_are_refused, 0, KINDS);
    tcase_add_test(tc, what_cannot_be_packed);
    tcase_add_test(tc, a_stranger_joins_by_a_socket);
    tcase_add_test(tc, an_end_lives_in_its_parcel);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
