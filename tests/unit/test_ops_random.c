/* SPDX-License-Identifier: MIT */
/* test_ops_random.c - Philox and counting, as NumPy's vectors have them */
#include "ops_check.h"
#include "tsv.h"

/* The same numbers in C order, whatever the layout: 3 ways to place them. */
static nds_view
placed(const nds_dtype *dt, char *m, int64_t count, int way)
{
    int64_t item = nds_dtype_itemsize(dt);
    int64_t stride = way == 0 ? item : way == 1 ? 3 * item : -2 * item;
    int64_t off = way == 2 && count > 0 ? (count - 1) * 2 * item : 0;
    nds_view v;

    memset(m, 0x55, (size_t)(3 * count * item + 1));
    ck_assert_int_eq(nds_view_init_strided(&v, dt, m,
                                           (size_t)(3 * count * item), off, 1,
                                           &count, &stride, 'C'), 0);
    return v;
}

static void
check_elements(const nds_view *v, const unsigned char *want, const char *what)
{
    int64_t item = nds_dtype_itemsize(v->dtype);

    for (int64_t i = 0; i < v->shape[0]; i++) {
        ck_assert_msg(memcmp((char *)v->data + i * v->strides[0],
                             want + i * item, (size_t)item) == 0,
                      "%s: element %lld, stride %lld", what, (long long)i,
                      (long long)v->strides[0]);
    }
}

static void
each_way(char **f, int64_t count, const char *hex, bool random)
{
    size_t nbytes;
    unsigned char *want = tsv_hex(hex, &nbytes);
    const nds_dtype *dt;
    char *m;

    ck_assert_int_eq(nds_dtype_parse(&dt, f[random ? 1 : 0]), 0);
    ck_assert_uint_eq(nbytes, (uint64_t)(count * nds_dtype_itemsize(dt)));
    m = malloc(3 * nbytes + 1);
    for (int way = 0; way < 3; way++) {
        nds_view v = placed(dt, m, count, way);

        ck_assert_int_eq(random
                             ? nds_random(&v, strtoull(f[0], NULL, 10))
                             : nds_arange(&v), 0);
        check_elements(&v, want, f[random ? 0 : 1]);
        // What lies between the elements stays.
        ck_assert(m[3 * nbytes] == 0x55);
        if (way > 0 && count > 1) {
            ck_assert(m[nds_dtype_itemsize(dt)] == 0x55);
        }
        nds_view_fini(&v);
    }
    free(m);
    free(want);
    nds_dtype_put(dt);
}

static void
one_random(char **f, int n)
{
    ck_assert_int_eq(n, 4);
    each_way(f, strtoll(f[2], NULL, 10), f[3], true);
}

static void
one_arange(char **f, int n)
{
    ck_assert_int_eq(n, 3);
    each_way(f, strtoll(f[1], NULL, 10), f[2], false);
}

START_TEST(philox_is_numpys)
{
    ck_assert_int_eq(tsv_each(NDS_TEST_DATA "/ops/random.tsv", one_random),
                     56);
}
END_TEST

START_TEST(arange_is_numpys)
{
    ck_assert_int_eq(tsv_each(NDS_TEST_DATA "/ops/arange.tsv", one_arange),
                     54);
}
END_TEST

/* Two axes, the outer one first: rows and columns of any order of memory. */
START_TEST(counting_goes_in_c_order)
{
    int16_t m[6];
    double d[6], again[6];
    nds_view v;

    ck_assert_int_eq(nds_view_init_strided(&v, NDS_INT16, m, sizeof m, 0, 2,
                                           SHAPE(2, 3), NULL, 'F'), 0);
    ck_assert_int_eq(nds_arange(&v), 0);
    ck_assert_mem_eq(m, ((int16_t[]){0, 3, 1, 4, 2, 5}), sizeof m);
    ck_assert_int_eq(nds_view_init_strided(&v, NDS_FLOAT64, d, sizeof d, 0, 2,
                                           SHAPE(2, 3), NULL, 'F'), 0);
    ck_assert_int_eq(nds_random(&v, 5), 0);
    VIEW(&v, NDS_FLOAT64, again, 2, 2, 3);
    ck_assert_int_eq(nds_random(&v, 5), 0);
    ck_assert(d[0] == again[0] && d[1] == again[3] && d[2] == again[1] &&
              d[5] == again[5]);
    for (int i = 0; i < 6; i++) {
        ck_assert(d[i] >= 0 && d[i] < 1);
    }
}
END_TEST

START_TEST(integers_wrap_while_counting)
{
    uint8_t m[300];
    nds_view v;

    VIEW(&v, NDS_UINT8, m, 1, 300);
    ck_assert_int_eq(nds_arange(&v), 0);
    ck_assert_uint_eq(m[255], 255);
    ck_assert_uint_eq(m[256], 0);
    ck_assert_uint_eq(m[299], 43);
}
END_TEST

START_TEST(what_is_refused)
{
    static const char *const odd[] = {">f8", "S8", "M8[s]",
                                      "[('x', '<f8')]"};
    char m[64] = {0};
    nds_view v;

    VIEW(&v, NDS_FLOAT16, m, 1, 4);
    ck_fails(nds_random(&v, 1), NDS_ECAST);
    ck_text("random");
    ck_text("<f2");
    VIEW(&v, NDS_INT64, m, 1, 4);
    ck_fails(nds_random(&v, 1), NDS_ECAST);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const nds_dtype *dt;

        ck_assert_int_eq(nds_dtype_parse(&dt, odd[i]), 0);
        ck_assert_int_eq(nds_view_init(&v, dt, m, sizeof m, 1, SHAPE(2)), 0);
        ck_fails(nds_random(&v, 1), NDS_ECAST);
        ck_fails(nds_arange(&v), NDS_ECAST);
        ck_text("arange");
        nds_view_fini(&v);
        nds_dtype_put(dt);
    }
    VIEW(&v, NDS_FLOAT64, m, 1, 4);
    v.flags |= NDS_VIEW_READONLY;
    ck_fails(nds_random(&v, 1), NDS_EREADONLY);
    ck_fails(nds_arange(&v), NDS_EREADONLY);
    for (size_t i = 0; i < sizeof m; i++) {
        ck_assert_int_eq(m[i], 0);
    }
}
END_TEST

RUN("ops_random", philox_is_numpys, arange_is_numpys, counting_goes_in_c_order,
    integers_wrap_while_counting, what_is_refused)
