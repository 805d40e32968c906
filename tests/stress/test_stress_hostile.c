/* SPDX-License-Identifier: MIT */
/*
 * test_stress_hostile.c - a neighbour that writes nonsense while we work
 *
 * One process scribbles into everything of a named queue and a named array but
 * their sizes; another works with them under short deadlines. Whatever comes
 * back is right: only a signal, or a call that outlives its deadline by far,
 * is a failure. The scribbler restores the bytes now and then, so that the
 * worker also gets to where things look well at first.
 */
#include <array/array_impl.h>
#include <harness/chan_of.h>
#include <ndshare/ops.h>
#include <os/os.h>

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_NS NDS_SEC(4)
#define SHORT_NS INT64_C(2000000)
#define MOST_NS NDS_SEC(12) /* a lock is waited for 10 s (chan.h) */

static char name[64];
static pid_t scribbler = -1;

static void
name_it(const char *what)
{
    snprintf(name, sizeof name, "hostile-%s-%ld", what, (long)getpid());
}

static uint64_t
draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Something that hurts: small numbers, all ones, near 2^32, or noise. */
static uint64_t
bad_value(uint64_t *seed)
{
    uint64_t r = draw(seed);

    switch (r % 6) {
    case 0:
        return r >> 8 & 15;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_C(0xfffffffe) + (r >> 8 & 3);
    case 3:
        return (r >> 8 & 7) << 61 | (r >> 16 & 15) << 44 | (r >> 24 & 63);
    case 4:
        return UINT64_C(1) << (r >> 8 & 63);
    default:
        return r;
    }
}

/* Where it hurts, in bytes of the file. */
struct range {
    size_t off;
    size_t nbytes;
};
#define RANGES 4

/* Writes until killed. The control area's first 128 bytes stay: that is where
 * the file's size is said, and who attaches anew would only be refused. */
static void
scribble(int fd, size_t nbytes, const struct range *ranges)
{
    size_t keep = nbytes - NDI_CTL_NBYTES;
    unsigned char *at = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                             fd, 0);
    unsigned char *good = malloc(nbytes);
    uint64_t seed = (uint64_t)getpid() << 20 | 1;

    if (at == MAP_FAILED || good == NULL) {
        _exit(3);
    }
    memcpy(good, at, nbytes);
    for (unsigned n = 0;; n++) {
        const struct range *r = &ranges[draw(&seed) % RANGES];
        size_t off = r->off + draw(&seed) % r->nbytes;
        uint64_t value = bad_value(&seed);

        off &= ~(size_t)(draw(&seed) % 2 == 0 ? 7 : 3);
        if (off + 8 <= nbytes && (off + 8 <= keep || off >= keep + 128)) {
            memcpy(at + off, &value, draw(&seed) % 2 == 0 ? 8 : 4);
        }
        if (n % 64 == 0) {
            struct timespec little = {0, 20000};

            nanosleep(&little, NULL);
        }
        if (n % 4096 == 0) {
            memcpy(at, good, nbytes);
        }
    }
}

static void
start_scribbler(const struct range *ranges)
{
    struct stat st;
    int fd = -1;

    ck_assert_int_eq(ndi_shm_open(&fd, name, O_RDWR), 0);
    ck_assert_int_eq(ndi_os_fstat(fd, &st), 0);
    scribbler = fork();
    ck_assert_int_ge(scribbler, 0);
    if (scribbler == 0) {
        scribble(fd, (size_t)st.st_size, ranges);
    }
    ndi_os_close(fd);
}

static void
stop_scribbler(void)
{
    int status;

    if (scribbler > 0) {
        kill(scribbler, SIGKILL);
        ck_assert_int_eq(waitpid(scribbler, &status, 0), scribbler);
        scribbler = -1;
    }
}

static void
end(void)
{
    stop_scribbler();
    (void)nds_name_unlink(name);
}

struct tally {
    long calls;
    long good;
};

static void
count(struct tally *t, int64_t start, int rc, const char *what)
{
    int64_t took = ndi_now_ns() - start;

    ck_assert_msg(took < MOST_NS, "%s took %lld ms", what,
                  (long long)(took / 1000000));
    t->calls++;
    t->good += rc == 0;
}

#define COUNT(t, call)                                                        \
    do {                                                                      \
        int64_t start = ndi_now_ns();                                         \
        int result = (call);                                                  \
        count((t), start, result, #call);                                     \
    } while (0)

static void
put_some(nds_queue *q, struct tally *t, int64_t n)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 1, &n, NULL), 0);
    COUNT(t, nds_queue_put(q, a, NULL, SHORT_NS));
    nds_array_close(a);
    a = NULL;
    COUNT(t, nds_queue_loan(q, &a, NDS_FLOAT32, 1, &n, SHORT_NS));
    if (a != NULL) {
        memset(nds_array_data(a), 1, (size_t)n * 4);
        COUNT(t, nds_queue_publish(q, &a, NULL));
        nds_queue_discard(q, &a); // what could not be published
    }
}

static void
get_some(nds_queue *q, struct tally *t)
{
    nds_array *a = NULL;
    nds_tag tag;

    COUNT(t, nds_queue_get(q, &a, &tag, SHORT_NS));
    if (a != NULL && nds_view_nbytes(nds_array_view(a)) > 0) {
        memset(nds_array_data(a), 2,
               (size_t)nds_view_nbytes(nds_array_view(a)));
    }
    nds_array_close(a);
    COUNT(t, nds_queue_take(q, &a, &tag, SHORT_NS));
    if (a != NULL) {
        COUNT(t, nds_queue_release(q, &a));
    }
    nds_array_close(a);
}

/* Header and lanes; the first slots; all before the arena; the rest. */
static const struct range *
queue_ranges(const struct ndi_chan *c, struct range *r)
{
    const struct ndi_segment *s = c->hub->segment;
    size_t chan = (size_t)((unsigned char *)c->h - s->body);
    size_t arena = (size_t)(c->data - s->body);

    r[0] = (struct range){chan, 2048};
    r[1] = (struct range){(size_t)((unsigned char *)c->slots - s->body),
                          (size_t)8 * NDI_SLOT_NBYTES};
    r[2] = (struct range){0, arena};
    r[3] = (struct range){s->nbytes - NDI_CTL_NBYTES, NDI_CTL_NBYTES};
    return r;
}

START_TEST(a_queue_under_fire)
{
    static const int64_t sizes[] = {1, 40, 200, 3000, 20000};
    nds_queue_options opts = {.size = sizeof opts, .max_items = 32,
                              .max_bytes = 1 << 20};
    nds_queue_info info = {.size = sizeof info};
    struct tally t = {0};
    nds_queue *q = NULL, *again = NULL;
    struct range ranges[RANGES];
    struct ndi_chan *c;
    int64_t until = ndi_now_ns() + RUN_NS;

    name_it("queue");
    ck_assert_int_eq(nds_queue_create(&q, name, &opts), 0);
    c = chan_of(q);
    start_scribbler(queue_ranges(c, ranges));
    for (int n = 0; ndi_now_ns() < until; n++) {
        put_some(q, &t, sizes[n % 5]);
        get_some(q, &t);
        COUNT(&t, nds_queue_info_get(q, &info));
        COUNT(&t, nds_queue_join(q, SHORT_NS));
        if (n % 16 == 0) {
            COUNT(&t, nds_queue_attach(&again, name, 0));
            if (again != NULL) {
                get_some(again, &t);
            }
            nds_queue_close(again);
            again = NULL;
        }
    }
    stop_scribbler();
    nds_queue_close(q);
    ck_assert_int_gt(t.calls, 20);
    ck_assert_int_gt(t.good, 0);
}
END_TEST

static void
work_on(nds_array *a, struct tally *t, int n)
{
    nds_scalar sum;
    uint64_t gen = 0;
    int rc;

    COUNT(t, rc = nds_array_lock(a, SHORT_NS));
    if (rc == 0 || rc == NDS_EOWNERDEAD) {
        (void)nds_sum(&sum, nds_array_view(a));
        COUNT(t, nds_array_unlock(a));
    }
    COUNT(t, nds_array_refresh(a));
    COUNT(t, nds_array_generation(a, &gen));
    COUNT(t, nds_array_wait_changed(a, gen, SHORT_NS));
    COUNT(t, nds_array_resize(a, n % 100));
    COUNT(t, nds_array_changed(a));
}

START_TEST(an_array_under_fire)
{
    nds_array_options opts = {.size = sizeof opts, .capacity = 100};
    nds_name_info info = {.size = sizeof info};
    struct tally t = {0};
    nds_array *a = NULL, *again = NULL;
    size_t ctl;
    int64_t until = ndi_now_ns() + RUN_NS;

    name_it("array");
    ck_assert_int_eq(nds_array_create(&a, name, NDS_FLOAT64, 2,
                                      (int64_t[]){50, 4}, &opts), 0);
    ctl = a->segment->nbytes - NDI_CTL_NBYTES;
    start_scribbler((const struct range[RANGES]){
        {0, 256},                  // the .npy header
        {NDI_DATA_OFF, 100 * 32},  // the data
        {ctl + 128, 512},          // generations and locks
        {ctl + 4096, 512 * 64}});  // participants
    for (int n = 0; ndi_now_ns() < until; n++) {
        work_on(a, &t, n);
        COUNT(&t, nds_name_info_get(name, &info));
        COUNT(&t, nds_array_attach(&again, name,
                                   n % 2 == 0 ? NDS_READWRITE : NDS_COPY, 0));
        if (again != NULL) {
            work_on(again, &t, n);
        }
        nds_array_close(again);
        again = NULL;
    }
    stop_scribbler();
    nds_array_close(a);
    ck_assert_int_gt(t.calls, 20);
    ck_assert_int_gt(t.good, 0);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("stress_hostile");
    TCase *tc = tcase_create("stress_hostile");
    SRunner *sr;
    int failed;

    // Locks that only seem to be held are waited for a second at the most.
    ndi_patience_ns = NDS_SEC(1);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, NULL, end);
    tcase_add_test(tc, a_queue_under_fire);
    tcase_add_test(tc, an_array_under_fire);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
