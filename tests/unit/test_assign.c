/* SPDX-License-Identifier: MIT */
/* test_assign.c - broadcasting, overlap, records, refusals; overlaps asked */
#include "nd_check.h"

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

static void
count_up(int32_t *m, int n)
{
    for (int i = 0; i < n; i++) {
        m[i] = i;
    }
}

START_TEST(shapes_broadcast_or_say_so)
{
    int32_t m[6], one[3] = {7, 8, 9};
    nds_view v, s;

    nds_view_init(&v, NDS_INT32, m, sizeof m, 2, SHAPE(2, 3));
    nds_view_init(&s, NDS_INT32, one, sizeof one, 3, SHAPE(1, 1, 3));
    ck_assert_int_eq(nds_assign(&v, &s), 0);
    ck_assert_int_eq(m[5], 9);
    nds_view_fini(&s);
    nds_view_init(&s, NDS_INT32, one, sizeof one, 1, SHAPE(2));
    ck_fails(nds_assign(&v, &s), NDS_ESHAPE);
    ck_text("could not broadcast input array from shape (2,) into shape (2,3)");
    nds_view_fini(&s);
    v.flags |= NDS_VIEW_READONLY;
    ck_fails(nds_assign(&v, &v), NDS_EREADONLY);
    nds_view_fini(&v);
}
END_TEST

static void
check_moved(const char *to, const char *from, const int32_t *want)
{
    int32_t m[6];
    nds_view v, d, s;

    count_up(m, 6);
    nds_view_init(&v, NDS_INT32, m, sizeof m, 1, SHAPE(6));
    nds_view_slice(&d, &v, to);
    nds_view_slice(&s, &v, from);
    ck_assert_int_eq(nds_assign(&d, &s), 0);
    ck_assert_mem_eq(m, want, sizeof m);
    nds_view_fini(&d);
    nds_view_fini(&s);
    nds_view_fini(&v);
}

START_TEST(overlap_reads_first)
{
    check_moved("[1:]", "[:-1]", (int32_t[]){0, 0, 1, 2, 3, 4});
    check_moved("[:-1]", "[1:]", (int32_t[]){1, 2, 3, 4, 5, 5});
    check_moved("[:]", "[::-1]", (int32_t[]){5, 4, 3, 2, 1, 0});
    check_moved("[:]", "[:]", (int32_t[]){0, 1, 2, 3, 4, 5});
    check_moved("[:]", "[3]", (int32_t[]){3, 3, 3, 3, 3, 3});
    check_moved("[::2]", "[1::2]", (int32_t[]){1, 1, 3, 3, 5, 5});
}
END_TEST

START_TEST(overlap_with_a_cast)
{
    float m[4] = {1, 2, 3, 4};
    nds_view f, i;

    nds_view_init(&f, NDS_FLOAT32, m, sizeof m, 1, SHAPE(4));
    nds_view_init(&i, NDS_INT32, m, sizeof m, 1, SHAPE(4));
    ck_assert_int_eq(nds_assign(&i, &f), 0);
    ck_assert_mem_eq(m, ((int32_t[]){1, 2, 3, 4}), sizeof m);
    nds_view_fini(&f);
    nds_view_fini(&i);
}
END_TEST

START_TEST(records_go_by_position)
{
    const nds_dtype *a, *b;
    struct {
        int16_t x;
        double y;
    } __attribute__((packed)) from = {7, 2.5};
    struct {
        double p;
        int32_t q;
    } __attribute__((packed)) to;
    nds_view d, s;
    nds_scalar one = nds_int(3);

    nds_dtype_parse(&a, "[('x', 'i2'), ('y', 'f8')]");
    nds_dtype_parse(&b, "[('p', 'f8'), ('q', 'i4')]");
    nds_view_init(&s, a, &from, sizeof from, 0, NULL);
    nds_view_init(&d, b, &to, sizeof to, 0, NULL);
    ck_assert_int_eq(nds_assign(&d, &s), 0);
    ck_assert(to.p == 7 && to.q == 2);
    nds_view_fini(&s);
    nds_scalar_view(&s, &one);
    ck_assert_int_eq(nds_assign(&d, &s), 0);
    ck_assert(to.p == 3 && to.q == 3);
    nds_view_fini(&s);
    nds_view_fini(&d);
    nds_dtype_put(a);
    nds_dtype_put(b);
}
END_TEST

RUN("assign", shapes_broadcast_or_say_so, overlap_reads_first,
    overlap_with_a_cast, records_go_by_position)
