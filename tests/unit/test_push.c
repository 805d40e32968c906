/* SPDX-License-Identifier: MIT */
/*
 * test_push.c - heap arrays written straight into a spawned child
 *
 * Both ways there: the kernel's (process_vm_writev), and the socket where the
 * kernel refuses. The child checks every element and says so by its exit code.
 */
#include <base/buf.h>
#include <ndshare/ndshare.h>
#include <os/os.h>
#include <proc/proc_impl.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ndi_fault_arm(const char *call, unsigned nth, int err);

#define ROWS 700
#define COLS 500 /* 2.8 MB of float64 */

static double
element(int64_t i, int64_t j)
{
    return (double)(i * 1000 + j);
}

/* Exit code: 0, or which argument is wrong. */
static int
check(nds_args *args)
{
    for (int k = 0; k < nds_args_count(args) - 1; k++) {
        nds_array *a = nds_args_array(args, k);
        const nds_view *v = nds_array_view(a);

        if (v->ndim != 2 || v->shape[0] != ROWS || v->shape[1] != COLS ||
            nds_block_reach(nds_array_block(a)) != NDS_HEAP ||
            !nds_view_is_contiguous(v, k == 1 ? 'F' : 'C')) {
            return k + 1;
        }
        for (int64_t i = 0; i < ROWS; i++) {
            for (int64_t j = 0; j < COLS; j++) {
                void *at;

                if (nds_view_at(v, (int64_t[]){i, j}, &at) < 0 ||
                    *(double *)at != element(i, j)) {
                    return k + 1;
                }
            }
        }
        if (nds_fill(v, nds_float(-1)) < 0) { // its own
            return k + 1;
        }
    }
    return nds_args_int(args, nds_args_count(args) - 1) == 42 ? 0 : 99;
}
NDS_TASK(check);

static nds_array *
numbered(char order)
{
    nds_array_options opts = {.size = sizeof opts, .order = order};
    nds_array *a;
    void *at;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 2,
                                   (int64_t[]){ROWS, COLS}, &opts), 0);
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < COLS; j++) {
            ck_assert_int_eq(nds_view_at(nds_array_view(a),
                                         (int64_t[]){i, j}, &at), 0);
            *(double *)at = element(i, j);
        }
    }
    return a;
}

static nds_args *
three(nds_array *c, nds_array *f)
{
    nds_array *moved = numbered('C');
    nds_args *args;

    ck_assert_int_eq(nds_args_new(&args), 0);
    ck_assert_int_eq(nds_args_add_array(args, c, NDS_BY_VALUE), 0);
    ck_assert_int_eq(nds_args_add_array(args, f, NDS_BY_VALUE), 0);
    ck_assert_int_eq(nds_args_add_move(args, &moved), 0);
    ck_assert_int_eq(nds_args_add_int(args, 42), 0);
    return args;
}

/* 0: as it is; 1: the kernel refuses; 2: it refuses the second one only. */
START_TEST(every_element_arrives)
{
    nds_proc_options opts = {.size = sizeof opts, .start = NDS_SPAWN};
    nds_array *c = numbered('C'), *f = numbered('F');
    nds_args *args = three(c, f);
    nds_proc *p;
    int code;

    if (_i > 0) {
        ndi_fault_arm("push_memory", _i == 1 ? 0 : 2, EPERM);
    }
    ck_assert_msg(nds_proc_start(&p, "check", args, &opts) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_int_eq(nds_proc_join(p, NDS_SEC(30), &code), 0);
    ck_assert_int_eq(code, 0);
    ck_assert(*(double *)nds_array_data(c) == element(0, 0));
    nds_proc_close(p);
    nds_args_free(args);
    nds_array_close(c);
    nds_array_close(f);
}
END_TEST

START_TEST(what_suits)
{
    nds_array_options shareable = {.size = sizeof shareable,
                                   .reach = NDS_SHAREABLE};
    nds_array *c = numbered('C'), *small, *part, *shared;
    struct ndi_arg arg = {.kind = NDI_ARG_ARRAY, .array = c};

    ck_assert(ndi_push_suits(&arg));
    arg.pass = NDS_SHARED;
    ck_assert(!ndi_push_suits(&arg));
    arg.pass = NDS_BY_VALUE;
    ck_assert_int_eq(nds_array_slice(&part, c, "[:, ::2]"), 0);
    arg.array = part;
    ck_assert(!ndi_push_suits(&arg));
    ck_assert_int_eq(nds_array_new(&small, NDS_FLOAT64, 1, (int64_t[]){10},
                                   NULL), 0);
    arg.array = small;
    ck_assert(!ndi_push_suits(&arg));
    ck_assert_int_eq(nds_array_copy(&shared, nds_array_view(c), &shareable),
                     0);
    arg.array = shared;
    ck_assert(!ndi_push_suits(&arg));
    nds_array_close(c);
    nds_array_close(part);
    nds_array_close(small);
    nds_array_close(shared);
}
END_TEST

/* Any bytes where the description of a pushed array stands. */
START_TEST(hostile_descriptions_are_refused)
{
    nds_array *c = numbered('C'), *out;
    struct ndi_arg arg = {.kind = NDI_ARG_ARRAY, .array = c};
    struct ndi_parcel good = {0};
    unsigned seed = 1;

    ck_assert_int_eq(ndi_push_pack(&arg, &good), 0);
    for (int i = 0; i < 4000; i++) {
        struct ndi_parcel bad = {0};
        size_t at = (size_t)rand_r(&seed) % good.bytes.nbytes;

        ndi_buf_add(&bad.bytes, good.bytes.data, good.bytes.nbytes);
        bad.bytes.data[at] ^= (unsigned char)(1 + rand_r(&seed) % 255);
        if (i % 4 == 0) {
            bad.bytes.nbytes = at;
        }
        if (ndi_push_unpack(&bad, &out) < 0) {
            ck_assert_ptr_null(out);
        }
        nds_array_close(out);
        ndi_parcel_fini(&bad);
    }
    ndi_parcel_fini(&good);
    nds_array_close(c);
}
END_TEST

/* A child may name an argument that is none, or one that is not pushed. */
START_TEST(only_what_was_announced_is_pushed)
{
    struct ndi_start s = {.task = "check", .name = "check"};
    struct ndi_reply r = {.kind = NDI_REPLY_ROOM};
    int pair[2];

    ck_assert_int_eq(nds_args_new(&s.args), 0);
    ck_assert_int_eq(nds_args_add_int(s.args, 1), 0);
    ck_assert_int_eq(ndi_sock_pair(pair), 0);
    for (int i = -1; i < 2; i++) {
        r.value = i;
        ck_assert_int_eq(ndi_push(pair[0], getpid(), &s, &r), -EPROTO);
    }
    ndi_os_close(pair[0]);
    ndi_os_close(pair[1]);
    nds_args_free(s.args);
}
END_TEST

int
main(int argc, char **argv)
{
    Suite *s = suite_create("push");
    TCase *tc = tcase_create("push");
    SRunner *r = srunner_create(s);
    int failed;

    nds_init(argc, argv);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_element_arrives, 0, 3);
    tcase_add_test(tc, what_suits);
    tcase_add_test(tc, hostile_descriptions_are_refused);
    tcase_add_test(tc, only_what_was_announced_is_pushed);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
