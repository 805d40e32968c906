/* SPDX-License-Identifier: MIT */
/* test_warm.c - closed blocks come back, but only where nobody else has them */
#include "nd_check.h"

#include <array/array_impl.h>
#include <mem/warm.h>
#include <ndshare/ndshare.h>
#include <os/killpoint.h>
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((int64_t)1 << 20)
#define SIZE (8 * MIB)

static nds_array *
array(enum nds_reach reach, bool any)
{
    nds_array_options o = {.size = sizeof o, .reach = reach,
                           .uninitialised = any};
    int64_t n = SIZE;
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
    return a;
}

static void
fill(nds_array *a, int value)
{
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(value)), 0);
}

static void
check(nds_array *a, int value)
{
    nds_scalar low, high;

    ck_assert_int_eq(nds_min(&low, nds_array_view(a)), 0);
    ck_assert_int_eq(nds_max(&high, nds_array_view(a)), 0);
    ck_assert_int_eq(nds_scalar_int64(&low), value);
    ck_assert_int_eq(nds_scalar_int64(&high), value);
}

static void
close_dirty(nds_array *a)
{
    fill(a, 77);
    nds_array_close(a);
}

static void
start(void)
{
    unsetenv("NDSHARE_KEEP");
    nds_memory_keep(64 * (uint64_t)MIB);
}

START_TEST(the_same_memory_comes_back)
{
    static const enum nds_reach reaches[] = {NDS_HEAP, NDS_SHAREABLE};

    start();
    for (int i = 0; i < 2; i++) {
        nds_array *a = array(reaches[i], false);
        void *at = nds_array_data(a);

        close_dirty(a);
        a = array(reaches[i], true);
        ck_assert_ptr_eq(nds_array_data(a), at);
        check(a, 77); // what was not to be cleared was not
        close_dirty(a);
        a = array(reaches[i], false);
        ck_assert_ptr_eq(nds_array_data(a), at);
        check(a, 0);
        nds_array_close(a);
        ck_assert_uint_ge(nds_memory_trim(), SIZE);
        ck_assert_uint_eq(nds_memory_trim(), 0);
    }
}
END_TEST

/* It is an array like any other: a name, a lock, a generation of its own. */
START_TEST(a_recycled_segment_is_as_good_as_new)
{
    nds_array *a, *b = NULL;
    void *at;
    char name[64];
    uint64_t gen = 1;

    start();
    snprintf(name, sizeof name, "t-warm-%d", (int)getpid());
    a = array(NDS_SHAREABLE, false);
    at = nds_array_data(a);
    ck_assert_int_eq(nds_array_lock(a, 0), 0);
    ck_assert_int_eq(nds_array_unlock(a), 0);
    ck_assert_int_eq(nds_array_lock(a, 0), 0); // and closed so
    close_dirty(a);
    a = array(NDS_SHAREABLE, false);
    ck_assert_ptr_eq(nds_array_data(a), at);
    ck_assert_int_eq(nds_array_generation(a, &gen), 0);
    ck_assert_uint_eq(gen, 0);
    ck_assert_int_eq(nds_array_lock(a, 0), 0);
    ck_assert_int_eq(nds_array_unlock(a), 0);
    fill(a, 5);
    ck_assert_int_eq(nds_array_publish(a, name, NULL), 0);
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READ, 0), 0);
    check(b, 5);
    nds_array_close(b);
    nds_array_close(a);
    // It has had a name: gone for good.
    ck_assert_uint_eq(nds_memory_trim(), 0);
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READ, 0), 0);
    check(b, 5);
    nds_array_close(b);
    ck_assert_uint_eq(nds_memory_trim(), 0);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

START_TEST(a_named_array_may_get_it)
{
    nds_array_options o = {.size = sizeof o, .mode_bits = 0640};
    int64_t n = SIZE;
    nds_array *a;
    char name[64], path[128];
    struct stat st;

    start();
    snprintf(name, sizeof name, "t-warm-%d", (int)getpid());
    close_dirty(array(NDS_SHAREABLE, false));
    ck_assert_int_eq(nds_array_create(&a, name, NDS_UINT8, 1, &n, &o), 0);
    ck_assert_uint_eq(nds_memory_trim(), 0); // it was that
    check(a, 0);
    snprintf(path, sizeof path, "%s/%s", ndi_shm_dir(), name);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    ck_assert_int_eq(nds_array_unlink(name), 0);
    nds_array_close(a);
}
END_TEST

/* What a filled array does not fill is zero, though it can be grown into. */
START_TEST(beyond_the_filled_part_are_zeros)
{
    nds_array_options o = {.size = sizeof o, .reach = NDS_SHAREABLE,
                           .capacity = SIZE};
    nds_scalar three = nds_int(3);
    int64_t n = SIZE / 2;
    nds_array *a, *half = NULL;

    start();
    close_dirty(array(NDS_SHAREABLE, false));
    o.fill = &three;
    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
    ck_assert_uint_eq(nds_memory_trim(), 0);
    check(a, 3);
    for (int64_t i = n; i < SIZE; i++) {
        ck_assert_uint_eq(((unsigned char *)nds_array_data(a))[i], 0);
    }
    nds_array_close(half);
    nds_array_close(a);
}
END_TEST

/* A fill is what it says, also where the memory may hold anything. */
START_TEST(filled_with_zeros_or_not)
{
    nds_array_options o = {.size = sizeof o, .uninitialised = true};
    int64_t sizes[] = {100, SIZE};
    nds_array *a;

    start();
    for (int i = 0; i < 8; i++) {
        nds_scalar value = nds_int(i % 2 == 0 ? 0 : 6);

        o.reach = i < 4 ? NDS_HEAP : NDS_SHAREABLE;
        o.fill = NULL;
        ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &sizes[i / 2 % 2],
                                       &o), 0);
        close_dirty(a);
        o.fill = &value;
        ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &sizes[i / 2 % 2],
                                       &o), 0);
        check(a, i % 2 == 0 ? 0 : 6);
        nds_array_close(a);
    }
}
END_TEST

START_TEST(large_and_zero_by_the_kernel)
{
    int64_t n = 40 * MIB;
    nds_array *a;
    void *at;

    start();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, NULL), 0);
        at = nds_array_data(a);
        close_dirty(a);
        ndi_fault_arm(i == 0 ? NULL : "forget", 1, EINVAL);
        ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, NULL), 0);
        ndi_fault_arm(NULL, 0, 0);
        ck_assert_ptr_eq(nds_array_data(a), at);
        check(a, 0);
        nds_array_close(a);
        nds_memory_trim();
    }
}
END_TEST

static void
freeze(nds_array *a)
{
    ck_assert_int_eq(nds_array_freeze(a), 0);
}

static void
send_it(nds_array *a)
{
    nds_queue *q = NULL;
    nds_array *copy = NULL;

    ck_assert_int_eq(nds_queue_new(&q, NULL), 0);
    ck_assert_int_eq(nds_array_get(&copy, a), 0);
    ck_assert_int_eq(nds_queue_put_move(q, &copy, NULL, 0), 0);
    nds_queue_close(q);
}

static void
pass_it(nds_array *a)
{
    struct ndi_parcel p = {0};

    ck_assert_int_eq(ndi_ticket_pack(a, NDS_SHARED, &p), 0);
    ndi_parcel_fini(&p);
}

static void
tell_of_it(nds_array *a)
{
    void *token = NULL;
    size_t nbytes;

    ck_assert_int_eq(nds_array_token_export(a, 0, &token, &nbytes), 0);
    free(token);
}

static void
fork_it(nds_array *a)
{
    pid_t pid = fork();

    (void)a;
    if (pid == 0) {
        _exit(nds_memory_trim() != 0);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(what_others_may_have_does_not_stay)
{
    static void (*const acts[])(nds_array *a) = {freeze, send_it, pass_it,
                                                 tell_of_it, fork_it};

    start();
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        nds_array *a = array(NDS_SHAREABLE, false);

        acts[i](a);
        nds_array_close(a);
        ck_assert_msg(nds_memory_trim() == 0, "act %zu", i);
    }
}
END_TEST

START_TEST(a_fork_finds_nothing_kept)
{
    nds_array *heap = array(NDS_HEAP, false);
    pid_t pid;
    int status;

    start();
    nds_array_close(array(NDS_HEAP, false));
    nds_array_close(array(NDS_SHAREABLE, false));
    pid = fork();
    if (pid == 0) {
        bool none = nds_memory_trim() == 0;

        // Made before the fork: its pages may be the parent's too.
        nds_array_close(heap);
        _exit(none && nds_memory_trim() == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(nds_memory_trim(), 0);
    nds_array_close(heap);
    ck_assert_uint_eq(nds_memory_trim(), 0);
}
END_TEST

START_TEST(no_more_than_the_bound)
{
    nds_array *a[4];

    start();
    nds_memory_keep(20 * (uint64_t)MIB);
    for (int i = 0; i < 4; i++) {
        a[i] = array(NDS_HEAP, false);
    }
    for (int i = 0; i < 4; i++) {
        nds_array_close(a[i]);
    }
    ck_assert_uint_eq(nds_memory_trim(), 2 * SIZE);
    nds_array_close(array(NDS_HEAP, false));
    nds_memory_keep(1); // none, from now on
    ck_assert_uint_eq(nds_memory_trim(), 0);
    nds_array_close(array(NDS_HEAP, false));
    ck_assert_uint_eq(nds_memory_trim(), 0);
}
END_TEST

/* Sixteen, however small; the newest stay. */
START_TEST(no_more_than_there_are_entries)
{
    nds_array *a[20];
    enum nds_reach reach = NDS_SHAREABLE;
    uint64_t total, left;
    void *last;

    start();
    nds_memory_keep(UINT64_MAX);
    ck_assert_int_eq(ndi_shm_room(&total, &left), 0);
    if (left < 21 * SIZE) {
        reach = NDS_HEAP; // a container's /dev/shm, often of 64 MB
    }
    for (int i = 0; i < 20; i++) {
        a[i] = array(reach, false);
    }
    last = nds_array_data(a[19]);
    for (int i = 0; i < 20; i++) {
        nds_array_close(a[i]);
    }
    a[0] = array(reach, false);
    ck_assert_ptr_eq(nds_array_data(a[0]), last);
    nds_array_close(a[0]);
    ck_assert_uint_ge(nds_memory_trim(), 16 * SIZE);
    ck_assert_uint_eq(nds_memory_trim(), 0);
}
END_TEST

START_TEST(it_goes_when_memory_is_wanted)
{
    nds_array_options o = {.size = sizeof o, .reach = NDS_HEAP};
    int64_t n = SIZE + MIB;
    nds_array *a = NULL;

    start();
    nds_array_close(array(NDS_HEAP, false));
    ndi_fault_arm("map_claim", 1, ENOMEM);
    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
    ndi_fault_arm(NULL, 0, 0);
    ck_assert_uint_eq(nds_memory_trim(), 0);
    nds_array_close(a);
    nds_memory_trim();
    // Nothing to give: the error is the error.
    ndi_fault_arm("map_claim", 1, ENOMEM);
    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), NDS_ENOMEM);
    ndi_fault_arm(NULL, 0, 0);
}
END_TEST

/* ---- what moves on and comes back --------------------------------------- */

static nds_queue *
queue(void)
{
    nds_queue *q = NULL;

    ck_assert_int_eq(nds_queue_new(&q, NULL), 0);
    return q;
}

static void
move(nds_queue *q, nds_array **a)
{
    ck_assert_int_eq(nds_queue_put_move(q, a, NULL, NDS_SEC(10)), 0);
    ck_assert_ptr_null(*a);
}

static nds_array *
got(nds_queue *q)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_queue_get(q, &a, NULL, NDS_SEC(10)), 0);
    return a;
}

/* An array of this queue that has been through it once. */
static nds_array *
received(nds_queue *q)
{
    nds_array *a = array(NDS_SHAREABLE, false);

    fill(a, 5);
    move(q, &a);
    return got(q);
}

START_TEST(what_moved_on_comes_back_to_its_mapping)
{
    nds_queue *q = queue();
    nds_array *a;
    void *at;

    start();
    a = received(q);
    at = nds_array_data(a);
    for (int i = 0; i < 5; i++) {
        check(a, 5 + i);
        fill(a, 6 + i);
        move(q, &a);
        a = got(q);
        ck_assert_ptr_eq(nds_array_data(a), at);
        ck_assert_int_eq(nds_array_lock(a, 0), 0);
        ck_assert_int_eq(nds_array_unlock(a), 0);
    }
    move(q, &a);
    ck_assert_uint_ge(nds_memory_trim(), SIZE);
    a = got(q);
    check(a, 10);
    nds_array_close(a); // for good
    ck_assert_uint_eq(nds_memory_trim(), 0);
    nds_queue_close(q);
}
END_TEST

/* Neither a sweep nor a child nor the next of the kind finds it kept. */
START_TEST(what_moved_on_is_let_go)
{
    nds_queue *q = queue(), *away = queue();
    nds_array *a;
    pid_t pid;
    int status;

    start();
    pid = fork();
    if (pid == 0) {
        nds_array *first = got(away);

        check(first, 5);
        nds_array_close(first);
        a = got(away);
        nds_array_close(a);
        _exit(0);
    }
    a = received(q);
    move(away, &a);
    ck_assert_int_ge(nds_sweep(false, NULL, NULL), 0);
    ck_assert_uint_eq(nds_memory_trim(), 0);
    a = received(q);
    move(away, &a);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    a = received(q); // the child has closed the other: its file is gone
    move(q, &a);
    ck_assert_uint_lt(nds_memory_trim(), 2 * SIZE);
    nds_array_close(got(q));
    a = received(q);
    move(q, &a);
    pid = fork();
    if (pid == 0) {
        _exit(nds_memory_trim() != 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(nds_memory_trim(), 0);
    nds_array_close(got(q));
    nds_queue_close(away);
    nds_queue_close(q);
}
END_TEST

/* Between two processes, each of which finds its own mapping again. */
START_TEST(there_and_back)
{
    nds_queue *to = queue(), *from = queue();
    nds_array *a;
    void *at = NULL;
    int status;
    pid_t pid;

    start();
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 40; i += 2) {
            a = got(to);
            check(a, i);
            ck_assert(i < 2 || nds_array_data(a) == at);
            at = nds_array_data(a);
            fill(a, i + 1);
            move(from, &a);
        }
        _exit(0);
    }
    a = array(NDS_SHAREABLE, false);
    for (int i = 0; i < 40; i += 2) {
        fill(a, i);
        move(to, &a);
        a = got(from);
        check(a, i + 1);
        ck_assert(i < 2 || nds_array_data(a) == at);
        at = nds_array_data(a);
    }
    nds_array_close(a);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    nds_memory_trim();
    nds_queue_close(to);
    nds_queue_close(from);
}
END_TEST

#define PRESSURE "/proc/pressure/memory"

/* From now on the kernel's figures are what `path` holds, for this process
 * only: a mount of its own over them. */
static bool
figures_from(const char *path)
{
    int root = geteuid() == 0 ? 0 : CLONE_NEWUSER;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
    return unshare(CLONE_NEWNS | root) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(path, PRESSURE, NULL, MS_BIND, NULL) == 0;
}

static void
figures_say(const char *path, const char *share)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fprintf(f, "some avg10=%s avg60=0.00 avg300=0.00 total=1\n"
               "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", share);
    ck_assert_int_eq(fclose(f), 0);
}

/* Blocks of 16 MiB and more ask before they stay; smaller ones stay, and go
 * with the next large one. */
START_TEST(it_goes_when_processes_wait_for_memory)
{
    static const enum nds_reach reaches[] = {NDS_HEAP, NDS_SHAREABLE};
    int64_t n = 16 * MIB;
    char path[64];
    bool can;

    start();
    snprintf(path, sizeof path, "/tmp/t-warm-%d", (int)getpid());
    can = access(PRESSURE, R_OK) == 0 && figures_from(path);
    for (int i = 0; can && i < 2; i++) {
        nds_array_options o = {.size = sizeof o, .reach = reaches[i]};
        nds_array *a = NULL;

        figures_say(path, "0.99");
        nds_array_close(array(reaches[i], false));
        ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
        nds_array_close(a);
        ck_assert_uint_ge(nds_memory_trim(), SIZE + n);
        ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
        figures_say(path, "1.00");
        nds_array_close(array(reaches[i], false));
        nds_array_close(a);
        ck_assert_uint_eq(nds_memory_trim(), 0);
    }
    if (!can) {
        perror("not done, no mount over " PRESSURE);
    }
    unlink(path);
}
END_TEST

/* A program that closes all descriptors, and opens its own. */
START_TEST(a_closed_descriptor_is_noticed)
{
    nds_array *a;
    int low, high, fd;

    start();
    low = dup(0);
    nds_array_close(array(NDS_SHAREABLE, false));
    high = dup(0);
    for (fd = low + 1; fd < high; fd++) {
        close(fd);
        ck_assert_int_ge(dup(0), 0);
    }
    a = array(NDS_SHAREABLE, false);
    check(a, 0);
    nds_array_close(a);
    for (fd = low; fd <= high; fd++) {
        close(fd);
    }
}
END_TEST

RUN("warm", the_same_memory_comes_back, a_recycled_segment_is_as_good_as_new,
    a_named_array_may_get_it, beyond_the_filled_part_are_zeros,
    filled_with_zeros_or_not, large_and_zero_by_the_kernel,
    what_others_may_have_does_not_stay, a_fork_finds_nothing_kept,
    no_more_than_the_bound, no_more_than_there_are_entries,
    what_moved_on_comes_back_to_its_mapping, what_moved_on_is_let_go,
    there_and_back, it_goes_when_memory_is_wanted,
    it_goes_when_processes_wait_for_memory,
    a_closed_descriptor_is_noticed)
