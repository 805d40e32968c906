/* SPDX-License-Identifier: MIT */
/* test_args.c - arguments: what builders refuse, and parcels that lie */
#include <ndshare/ndshare.h>
#include <os/os.h>
#include <proc/proc_impl.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static nds_array *
ones(enum nds_reach reach, char order)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach,
                              .order = order};
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 2, (int64_t[]){30, 40},
                                   &opts), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_float(1)), 0);
    return a;
}

/* Sets every array to 5; 0 if each held ones before and still is what its
 * mode says. */
static int
set_fives(nds_args *args)
{
    for (int i = 0; i < nds_args_count(args); i++) {
        nds_array *a = nds_args_array(args, i);
        nds_scalar sum;

        if (a == NULL || nds_sum(&sum, nds_array_view(a)) < 0 ||
            nds_scalar_double(&sum) != 1200) {
            return 1 + i;
        }
        if (!(nds_array_view(a)->flags & NDS_VIEW_READONLY) &&
            nds_fill(nds_array_view(a), nds_float(5)) < 0) {
            return 100 + i;
        }
    }
    return 0;
}
NDS_TASK(set_fives);

static int
is_f_order(nds_args *args)
{
    return nds_view_is_contiguous(nds_array_view(nds_args_array(args, 0)),
                                  'F');
}
NDS_TASK(is_f_order);

static int
typed_adds(nds_args *args)
{
    nds_typed *t = nds_args_typed(args, 0);

    return t == NULL || nds_typed_set(t, 3, nds_float(7)) < 0;
}
NDS_TASK(typed_adds);

static const enum nds_start starts[] = {NDS_FORK, NDS_SPAWN, NDS_FORKSERVER};

static int
run(const char *task, nds_args *args, enum nds_start how)
{
    nds_proc_options opts = {.size = sizeof opts, .start = how};
    nds_proc *p;
    int code = -1000;
    int rc = nds_proc_start(&p, task, args, &opts);

    ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
    ck_assert_int_eq(nds_proc_join(p, NDS_SEC(20), &code), 0);
    nds_proc_close(p);
    return code;
}

static double
sum_of(nds_array *a)
{
    nds_scalar sum;

    ck_assert_int_eq(nds_sum(&sum, nds_array_view(a)), 0);
    return nds_scalar_double(&sum);
}

START_TEST(builders_refuse_nonsense)
{
    nds_args *args;
    nds_array *a = ones(NDS_HEAP, 'C');
    size_t n;

    ck_assert_int_eq(nds_args_new(&args), 0);
    ck_assert_int_eq(nds_args_add_array(args, NULL, NDS_BY_VALUE), NDS_EINVAL);
    ck_assert_int_eq(nds_args_add_array(args, a, (enum nds_pass)5),
                     NDS_EINVAL);
    ck_assert_int_eq(nds_args_add_array(args, a, NDS_SHARED), NDS_EINVAL);
    ck_assert_int_eq(nds_args_add_str(args, NULL), NDS_EINVAL);
    ck_assert_int_eq(nds_args_add_bytes(args, NULL, 3), NDS_EINVAL);
    ck_assert_int_eq(nds_args_add_handle(args, "spoon", a), NDS_EKEY);
    ck_assert_int_eq(nds_args_add_handle(args, "mutex", NULL), NDS_EINVAL);
    ck_assert_int_eq(nds_args_count(args), 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(nds_args_add_int(args, i), 0);
    }
    ck_assert_int_eq(nds_args_int(args, 19), 19);
    ck_assert_int_eq(nds_args_int(args, 20), 0);
    ck_assert_int_eq(nds_args_int(args, -1), 0);
    ck_assert_ptr_null(nds_args_str(args, 3));
    ck_assert_ptr_null(nds_args_bytes(args, 3, &n));
    ck_assert_ptr_null(nds_args_array(args, 3));
    ck_assert_ptr_null(nds_args_handle(args, 3, "mutex"));
    ck_assert(nds_args_float(args, 3) == 0);
    nds_args_free(args);
    nds_array_close(a);
}
END_TEST

/* Neither side sees the other's writes, whatever the memory is. */
START_TEST(by_value_of_every_reach)
{
    nds_array *heap = ones(NDS_HEAP, 'C');
    nds_array *shareable = ones(NDS_SHAREABLE, 'C');
    nds_array *frozen = ones(NDS_SHAREABLE, 'C');
    nds_args *args;

    ck_assert_int_eq(nds_array_freeze(frozen), 0);
    nds_args_new(&args);
    nds_args_add_array(args, heap, NDS_BY_VALUE);
    nds_args_add_array(args, shareable, NDS_BY_VALUE);
    nds_args_add_array(args, frozen, NDS_BY_VALUE);
    ck_assert_int_eq(run("set_fives", args, starts[_i]), 0);
    ck_assert(sum_of(heap) == 1200);
    ck_assert(sum_of(shareable) == 1200);
    ck_assert(sum_of(frozen) == 1200);
    // The builder is still good for another child.
    ck_assert_int_eq(run("set_fives", args, starts[_i]), 0);
    nds_args_free(args);
    nds_array_close(heap);
    nds_array_close(shareable);
    nds_array_close(frozen);
}
END_TEST

START_TEST(order_survives)
{
    nds_array *a = ones(NDS_SHAREABLE, 'F');
    nds_args *args;

    nds_args_new(&args);
    nds_args_add_array(args, a, NDS_BY_VALUE);
    ck_assert_int_eq(run("is_f_order", args, starts[_i]), 1);
    nds_args_free(args);
    nds_array_close(a);
}
END_TEST

START_TEST(moved_only_once)
{
    nds_array *a = ones(NDS_SHAREABLE, 'C');
    nds_args *args;
    nds_proc *p;

    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_move(args, &a), 0);
    ck_assert_ptr_null(a);
    ck_assert_int_eq(run("set_fives", args, starts[_i]), 0);
    ck_assert_ptr_null(nds_args_array(args, 0));
    ck_assert_int_eq(nds_proc_start(&p, "set_fives", args, NULL), NDS_EINVAL);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "argument 0"));
    nds_args_free(args);
}
END_TEST

START_TEST(typed_arrays_cross)
{
    nds_typed *t;
    nds_args *args;
    nds_scalar got;

    ck_assert_int_eq(nds_typed_new(&t, 'd', 10, true), 0);
    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_typed(args, t), 0);
    ck_assert_int_eq(run("typed_adds", args, starts[_i]), 0);
    ck_assert_int_eq(nds_typed_get(t, 3, &got), 0);
    ck_assert(nds_scalar_double(&got) == 7);
    nds_args_free(args);
    nds_typed_close(t);
}
END_TEST

/* A parcel as ndi_args_pack makes it, with everything that may be in one. */
static void
pack_sample(struct ndi_parcel *p)
{
    nds_array *a = ones(NDS_SHAREABLE, 'C');
    nds_mutex *m;
    nds_args *args;

    ck_assert_int_eq(nds_mutex_new(&m, NDS_MUTEX_PLAIN), 0);
    nds_args_new(&args);
    nds_args_add_int(args, 7);
    nds_args_add_array(args, a, NDS_SHARED);
    nds_args_add_str(args, "text");
    nds_args_add_handle(args, "mutex", m);
    nds_args_add_float(args, 2.5);
    ck_assert_int_eq(ndi_args_pack(args, p, false), 0);
    nds_args_free(args);
    nds_array_close(a);
    nds_mutex_close(m);
}

/* The same bytes and duplicates of the descriptors. */
static void
duplicate(struct ndi_parcel *out, const struct ndi_parcel *p)
{
    memset(out, 0, sizeof *out);
    ndi_buf_add(&out->bytes, p->bytes.data, p->bytes.nbytes);
    for (int i = 0; i < p->nfds; i++) {
        ndi_parcel_add_fd(out, dup(p->fds[i]));
    }
}

START_TEST(hostile_parcels_are_refused)
{
    struct ndi_parcel good = {0};
    struct ndi_parcel bad;
    nds_args *args;
    int spare = dup(0);

    pack_sample(&good);
    close(spare);
    duplicate(&bad, &good);
    ck_assert_int_eq(ndi_args_unpack(&bad, &args), 0);
    ck_assert_str_eq(nds_args_str(args, 2), "text");
    ck_assert_ptr_nonnull(nds_args_handle(args, 3, "mutex"));
    nds_args_free(args);
    ndi_parcel_fini(&bad);
    for (size_t cut = 0; cut < good.bytes.nbytes; cut += 3) {
        duplicate(&bad, &good);
        bad.bytes.nbytes = cut;
        ck_assert_int_lt(ndi_args_unpack(&bad, &args), 0);
        ck_assert_ptr_null(args);
        ndi_parcel_fini(&bad);
    }
    // Any byte may lie: an error, or arguments that can be freed.
    for (size_t at = 0; at < good.bytes.nbytes; at++) {
        duplicate(&bad, &good);
        bad.bytes.data[at] ^= 0xff;
        if (ndi_args_unpack(&bad, &args) == 0) {
            nds_args_free(args);
        }
        ndi_parcel_fini(&bad);
    }
    ndi_parcel_fini(&good);
    // Nothing was left open on the way.
    ck_assert_int_eq(dup(0), spare);
}
END_TEST

START_TEST(hostile_start_messages_are_refused)
{
    struct ndi_start_head heads[] = {
        {.magic = 1, .role = NDI_ROLE_TASK, .nbytes = 0},
        {.magic = NDI_START_MAGIC, .role = NDI_ROLE_TASK, .nbytes = 1},
        {.magic = NDI_START_MAGIC, .role = NDI_ROLE_TASK,
         .nbytes = NDI_START_MAX},
        {.magic = NDI_START_MAGIC, .role = NDI_ROLE_TASK,
         .nbytes = UINT64_MAX},
        {.magic = NDI_START_MAGIC, .role = NDI_ROLE_TASK, .nfds = 7},
    };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct ndi_parcel p = {0};
        struct ndi_start_head got;
        int pair[2];
        int fd = dup(0);

        ck_assert_int_eq(ndi_sock_pair(pair), 0);
        ck_assert_int_eq(ndi_sock_send_fds(pair[0], &heads[i],
                                           sizeof heads[i], &fd, 1,
                                           ndi_deadline(NDS_SEC(1))), 0);
        close(fd);
        close(pair[0]);
        ck_assert_int_lt(ndi_child_receive(pair[1], &got, &p,
                                           ndi_deadline(NDS_SEC(1))), 0);
        ndi_parcel_fini(&p);
        close(pair[1]);
        ck_assert_int_eq(dup(0), fd);
        close(fd);
    }
}
END_TEST

int
main(int argc, char **argv)
{
    Suite *s = suite_create("args");
    TCase *tc = tcase_create("args");
    SRunner *sr;
    int failed;

    nds_init(argc, argv);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, builders_refuse_nonsense);
    tcase_add_loop_test(tc, by_value_of_every_reach, 0, 3);
    tcase_add_loop_test(tc, order_survives, 0, 3);
    tcase_add_loop_test(tc, moved_only_once, 0, 3);
    tcase_add_loop_test(tc, typed_arrays_cross, 0, 3);
    tcase_add_test(tc, hostile_parcels_are_refused);
    tcase_add_test(tc, hostile_start_messages_are_refused);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
