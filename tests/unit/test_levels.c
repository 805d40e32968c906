/* SPDX-License-Identifier: MIT */
/*
 * test_levels.c - every build of the loops gives the same bits
 *
 * Each loop of the baseline and of every level that this machine has runs on
 * the same elements: random bits and what is special in a type, side by side
 * and apart, of lengths around every block and vector. Results are compared
 * byte for byte; only which NaN it is stays open, as in reductions.md.
 */
#include <nd/cast.h>
#include <ops/ops_impl.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define MOST 4200
#define ROOM ((size_t)MOST * 3 * 16)

static const char *const levels[] = {"v3", "v4"};
static const int64_t lengths[] = {0,   1,   2,   3,   7,    8,    9,    15,
                                  16,  17,  31,  33,  63,   65,   127,  128,
                                  129, 200, 257, 511, 1000, 1024, 1025, 2049,
                                  4099};
#define LENGTHS ((int)NDI_ARRAY_LEN(lengths))

static uint64_t state = 88172645463325252ULL;

static uint64_t
next_bits(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool
is_floating(enum nds_type t)
{
    return t >= NDS_TYPE_FLOAT16;
}

/* The real type of a float or complex. */
static enum nds_type
part_of(enum nds_type t)
{
    return t == NDS_TYPE_COMPLEX64    ? NDS_TYPE_FLOAT32
           : t == NDS_TYPE_COMPLEX128 ? NDS_TYPE_FLOAT64
                                      : t;
}

/* count numbers; kind 0: small, 1: any bits (floats: finite ones), 2: with
 * zeros of both signs, infinities and NaNs. */
static void
fill_numbers(enum nds_type t, int kind, void *to, int64_t count)
{
    static const double special[] = {0, -0.0, 1, -1, 1e-45, 65504, 65520,
                                     -65519.99, 6e-8, 2.9e-8, 1e30, 3e9};
    enum nds_type part = part_of(t);
    int64_t item = ndi_ops_itemsize(part);
    int64_t n = count * (ndi_ops_itemsize(t) / item);

    for (int64_t i = 0; i < n; i++) {
        char *at = (char *)to + i * item;
        double d = (double)(int64_t)(next_bits() % 2001) / 64 - 15;

        if (!is_floating(t) && kind > 0) {
            uint64_t bits = next_bits() >> (next_bits() % 60);

            memcpy(at, &bits, (size_t)item);
            continue;
        }
        if (kind == 1) {
            d *= 1 + (double)(next_bits() % 100) * 1e-7;
        } else if (kind == 2) {
            uint64_t k = next_bits() % 64;

            d = k < 12    ? special[k]
                : k == 13 ? (double)INFINITY
                : k == 14 ? -(double)INFINITY
                : k == 15 && next_bits() % 8 == 0 ? (double)NAN
                                                  : d;
        }
        if (t == NDS_TYPE_LONGDOUBLE) {
            memset(at, 0, (size_t)item);
        }
        ndi_cast_one(nds_dtype_builtin(part), at, NDS_FLOAT64, &d);
    }
}

static bool
is_nan(enum nds_type part, const char *at)
{
    double d;

    ndi_cast_one(NDS_FLOAT64, &d, nds_dtype_builtin(part), at);
    return d != d;
}

/* Equal bytes, NaN for NaN; of a long double its 80 bits. */
static void
same(enum nds_type t, const void *a, const void *b, int64_t count,
     const char *what, int i)
{
    enum nds_type part = part_of(t);
    int64_t item = ndi_ops_itemsize(part);
    int64_t n = count * (ndi_ops_itemsize(t) / item);
    size_t used = t == NDS_TYPE_LONGDOUBLE && item == 16 ? 10 : (size_t)item;

    for (int64_t k = 0; k < n; k++) {
        const char *x = (const char *)a + k * item;
        const char *y = (const char *)b + k * item;

        if (memcmp(x, y, used) != 0 &&
            !(is_floating(t) && is_nan(part, x) && is_nan(part, y))) {
            ck_abort_msg("%s, type %d, length %lld: element %lld differs",
                         what, (int)t, (long long)lengths[i], (long long)k);
        }
    }
}

static _Alignas(64) unsigned char a[ROOM], b[ROOM], out[2][ROOM];
static const struct ndi_kernels *both[2];

static void
choose(int level)
{
    both[0] = both[1] = NULL;
    ck_assert(ndi_kernels_use("baseline"));
    both[0] = ndi_kernels();
    // Where a level is missing, the baseline stands beside itself.
    (void)ndi_kernels_use(levels[level]);
    both[1] = ndi_kernels();
}

static void
numbers(enum nds_type t, int kind)
{
    fill_numbers(t, kind, a, MOST * 3);
    fill_numbers(t, kind, b, MOST * 3);
}

START_TEST(arithmetic)
{
    choose(_i);
    for (int t = NDS_TYPE_BOOL; t < NDI_NUMBERS; t++) {
        int64_t w = ndi_ops_itemsize((enum nds_type)t);

        for (int k = 0; k < 3 * 4 * 4; k++) {
            int op = k % 4, shape = k / 4 % 4;

            numbers((enum nds_type)t, k / 16);
            for (int i = 0; i < LENGTHS && both[0]->binary[t][op]; i++) {
                for (int l = 0; l < 2; l++) {
                    memset(out[l], 7, ROOM);
                    both[l]->binary[t][op](
                        (char *)out[l], (char *)a, (char *)b,
                        shape == 3 ? 2 * w : w, shape == 1 ? 0 : w,
                        shape == 2   ? 0
                        : shape == 3 ? 3 * w
                                     : w, lengths[i]);
                }
                same((enum nds_type)t, out[0], out[1], 2 * MOST, "arithmetic",
                     i);
            }
        }
    }
}
END_TEST

START_TEST(conversions)
{
    static const int apart[][2] = {{1, 1}, {2, 2}, {1, 2}, {1, -1}};

    choose(_i);
    for (int k = 0; k < NDI_NUMBERS * NDI_NUMBERS * 3 * 4; k++) {
        int from = k % NDI_NUMBERS, to = k / NDI_NUMBERS % NDI_NUMBERS;
        int kind = k / NDI_NUMBERS / NDI_NUMBERS % 3;
        const int *pace = apart[k / NDI_NUMBERS / NDI_NUMBERS / 3];
        int64_t w = ndi_ops_itemsize((enum nds_type)to);
        int64_t r = ndi_ops_itemsize((enum nds_type)from);

        if (from == 0 || to == 0) {
            continue;
        }
        fill_numbers((enum nds_type)from, kind, a, MOST * 3);
        for (int i = 0; i < LENGTHS; i++) {
            for (int l = 0; l < 2; l++) {
                memset(out[l], 7, ROOM);
                both[l]->convert((enum nds_type)to, out[l], pace[0] * w,
                                 (enum nds_type)from, a + MOST * r,
                                 pace[1] * r, lengths[i]);
            }
            same((enum nds_type)to, out[0], out[1], 2 * MOST, "conversion", i);
        }
    }
}
END_TEST

/* And as assignment does it, through wide types, one by one. */
START_TEST(conversions_are_casts)
{
    choose(_i);
    for (int from = NDS_TYPE_BOOL; from < NDI_NUMBERS; from++) {
        for (int to = NDS_TYPE_BOOL; to < NDI_NUMBERS; to++) {
            const nds_dtype *td = nds_dtype_builtin((enum nds_type)to);
            const nds_dtype *fd = nds_dtype_builtin((enum nds_type)from);
            struct ndi_cast cast;

            fill_numbers((enum nds_type)from, 2, a, MOST);
            memset(out[0], 0, ROOM);
            memset(out[1], 0, ROOM);
            both[1]->convert(td->type, out[1], td->itemsize, fd->type, a,
                             fd->itemsize, MOST);
            ck_assert_int_eq(ndi_cast_init(&cast, td, fd), 0);
            ck_assert_int_eq(ndi_cast_run(&cast, out[0], td->itemsize, a,
                                          fd->itemsize, MOST), 0);
            same(td->type, out[0], out[1], MOST, "cast", LENGTHS - 1);
        }
    }
}
END_TEST

static void
seed_folds(unsigned char *acc, enum nds_reduction op, int64_t count,
           enum nds_type type)
{
    int64_t one = op == NDS_PROD || op == NDS_ALL;

    for (int64_t i = 0; i < count; i++) {
        if (op == NDS_MIN || op == NDS_MAX) {
            memcpy(acc + i * ndi_ops_itemsize(type),
                   b + i * ndi_ops_itemsize(type),
                   (size_t)ndi_ops_itemsize(type));
        } else {
            ndi_ops_convert(type, acc + i * ndi_ops_itemsize(type), 0,
                            NDS_TYPE_INT64, &one, 0, 1);
        }
    }
}

static enum nds_type
accumulator(enum nds_reduction op, enum nds_type t)
{
    return op == NDS_ANY || op == NDS_ALL ? NDS_TYPE_BOOL
           : (op == NDS_SUM || op == NDS_PROD) && t <= NDS_TYPE_UINT64
               ? NDS_TYPE_UINT64
               : t;
}

START_TEST(folds)
{
    static const enum nds_reduction ops[] = {NDS_SUM, NDS_PROD, NDS_MIN,
                                             NDS_MAX, NDS_ANY, NDS_ALL};

    choose(_i);
    for (int k = 0; k < NDI_NUMBERS * 6 * 3 * 2; k++) {
        enum nds_type t = (enum nds_type)(k % NDI_NUMBERS);
        enum nds_reduction op = ops[k / NDI_NUMBERS % 6];
        int64_t apart = 1 + k / NDI_NUMBERS / 6 % 2;
        int64_t w = ndi_ops_itemsize(t);
        enum nds_type acc = accumulator(op, t);

        if (!both[0]->fold[op][t].fold) {
            continue;
        }
        numbers(t, k / NDI_NUMBERS / 12);
        for (int i = 0; i < LENGTHS; i++) {
            for (int l = 0; l < 2; l++) {
                seed_folds(out[l], op, MOST, acc);
                both[l]->fold[op][t].fold(out[l], a, apart * w, lengths[i]);
            }
            same(acc, out[0], out[1], 1, "fold", i);
            for (int l = 0; l < 2; l++) {
                both[l]->fold[op][t].each(out[l], a, apart * w, lengths[i]);
            }
            same(acc, out[0], out[1], MOST, "each", i);
        }
    }
}
END_TEST

/* Three rows at once are three rows. */
static void
rows_are_trees(const struct ndi_terms *terms, enum nds_type acc, int i)
{
    int64_t item = ndi_ops_itemsize(terms->type);
    int64_t width = ndi_ops_itemsize(acc);
    struct ndi_terms t = *terms;
    const struct ndi_fold *add = &both[1]->fold[NDS_SUM][acc];
    const char *src = (const char *)a + MOST * ndi_ops_itemsize(t.from);

    memset(out, 0, sizeof out);
    both[1]->pairwise_rows(&t, src, lengths[i], t.stride, 3, out[1], 2);
    for (int r = 0; r < 3; r++) {
        unsigned char *to = out[0] + 2 * r * width;
        _Alignas(16) unsigned char sum[32];

        t.mean = terms->mean ? (const char *)terms->mean + 2 * r * item : NULL;
        both[0]->pairwise(&t, src + r * t.stride, lengths[i], sum);
        add->fold(to, sum, 16, 1);
        if (t.half) {
            both[0]->halve((float *)(void *)to, 1);
        }
    }
    same(acc, out[0], out[1], 5, "rows", i);
}

START_TEST(trees_and_squares)
{
    static const int apart[] = {1, 2, -1, 3};

    choose(_i);
    for (int k = 0; k < NDI_NUMBERS * 3 * 2 * 4; k++) {
        enum nds_type from = (enum nds_type)(k % NDI_NUMBERS);
        enum nds_type t = from <= NDS_TYPE_UINT64 ? NDS_TYPE_FLOAT64
                          : from == NDS_TYPE_FLOAT16 ? NDS_TYPE_FLOAT32
                                                     : from;
        bool square = k / NDI_NUMBERS % 2 == 1;
        enum nds_type acc = square ? part_of(t) : t;
        int64_t item = ndi_ops_itemsize(from);
        int64_t step = apart[k / NDI_NUMBERS / 2 % 4] * item;
        struct ndi_terms terms = {from, t, step, square ? b : NULL,
                                  from == NDS_TYPE_FLOAT16};

        if (from == 0) {
            continue;
        }
        numbers(from, k / NDI_NUMBERS / 8);
        fill_numbers(t, 0, b, MOST);
        for (int i = 1; i < LENGTHS; i++) {
            if (step < 2 * item || lengths[i] < MOST / 2) {
                for (int l = 0; l < 2; l++) {
                    both[l]->pairwise(&terms, (const char *)a + MOST * item,
                                      lengths[i], out[l]);
                }
                same(acc, out[0], out[1], 1, "tree", i);
                rows_are_trees(&terms, acc, i);
            }
            for (int l = 0; l < 2; l++) {
                ndi_ops_convert(t, out[l], ndi_ops_itemsize(t), from, a, item,
                                MOST);
                both[l]->square(t, terms.half, out[l], b, 1, lengths[i]);
            }
            same(part_of(t), out[0], out[1], lengths[i], "square", i);
        }
    }
}
END_TEST

/* Lanes that meet the elements of a, then those behind them. */
static void
places_of_each(enum nds_type t, int most, int i)
{
    static unsigned char where[2][ROOM];
    size_t item = (size_t)ndi_ops_itemsize(t);

    for (int l = 0; l < 2; l++) {
        memcpy(out[l], b, (size_t)lengths[i] * item);
        memset(where[l], 0, ROOM);
        for (uint64_t k = 1; k < 4; k++) {
            both[l]->arg[t][most].each(a + k * item, lengths[i], k, out[l],
                                       where[l]);
        }
    }
    same(t, out[0], out[1], lengths[i], "best of each", i);
    ck_assert_mem_eq(where[0], where[1], ROOM);
}

START_TEST(places)
{
    choose(_i);
    for (int k = 0; k < NDI_NUMBERS * 3 * 2; k++) {
        enum nds_type t = (enum nds_type)(k % NDI_NUMBERS);
        int most = k / NDI_NUMBERS / 3;

        if (!both[0]->arg[t][most].run) {
            continue;
        }
        numbers(t, k / NDI_NUMBERS % 3);
        for (int i = 1; i < LENGTHS; i++) {
            int64_t found[2];

            for (int l = 0; l < 2; l++) {
                memcpy(out[l], b, 16);
                found[l] = both[l]->arg[t][most].run(a, lengths[i], out[l]);
            }
            ck_assert_int_eq(found[0], found[1]);
            same(t, out[0], out[1], 1, "place", i);
            places_of_each(t, most, i);
        }
    }
}
END_TEST

START_TEST(random_numbers)
{
    const uint64_t key[2] = {next_bits(), next_bits()};

    choose(_i);
    for (int i = 0; i < LENGTHS * 2; i++) {
        bool floats = i % 2 == 1;

        for (int l = 0; l < 2; l++) {
            memset(out[l], 7, ROOM);
            both[l]->random(key, floats, 13, lengths[i / 2], out[l]);
        }
        ck_assert_mem_eq(out[0], out[1], ROOM);
    }
}
END_TEST

static void
make_bytes(const void *ctx, char *to, int64_t first, int64_t count)
{
    int64_t item = *(const int64_t *)ctx;

    memcpy(to, a + first * item, (size_t)(count * item));
}

/* Rows past the caches: any beginning, any length, nothing beside them. */
START_TEST(streams_write_what_is_made)
{
    static const int64_t items[] = {1, 2, 4, 8, 16};

    choose(_i);
    numbers(NDS_TYPE_UINT8, 1);
    for (int k = 0; k < 5 * 5 * LENGTHS; k++) {
        int64_t item = items[k % 5], n = lengths[k / 25];
        int64_t off = k / 5 % 5 * 13 / item * item;
        size_t nbytes = (size_t)(n * item);

        memset(out[0], 7, ROOM);
        memset(out[1], 7, ROOM);
        memcpy(out[1] + 64 + off, a, nbytes);
        ndi_stream_row((char *)out[0] + 64 + off, item, n, make_bytes, &item);
        ck_assert_mem_eq(out[0], out[1], 64 + 64 + nbytes + 64);
    }
}
END_TEST

/* All 2^16 halves, and floats of all exponents around them. */
START_TEST(halves_are_those_of_nd)
{
    for (uint32_t h = 0; h <= UINT16_MAX; h++) {
        float f = ndi_half_load((uint16_t)h);
        double d = ndi_half_to_double((uint16_t)h);

        ck_assert((double)f == d || (f != f && d != d));
        ck_assert_uint_eq(signbit(f) != 0, h >> 15);
        if (f == f) {
            ck_assert_uint_eq(ndi_half_store(f), h);
        }
    }
    for (int i = 0; i < 4000000; i++) {
        uint32_t bits = (uint32_t)next_bits();
        float f;

        if (i % 2 == 0) { // near a half's range
            bits = (bits & 0x80ffffffU) + ((0x2fU + bits / 7 % 0x1cU) << 24);
        }
        memcpy(&f, &bits, sizeof(f));
        ck_assert_msg(ndi_half_store(f) == ndi_half_from_double((double)f),
                      "%a: %x and %x", (double)f, ndi_half_store(f),
                      ndi_half_from_double((double)f));
    }
}
END_TEST

START_TEST(a_level_can_be_asked_for)
{
    ck_assert(!ndi_kernels_use("v9"));
    ck_assert(ndi_kernels_use("baseline"));
    ck_assert_str_eq(ndi_kernels()->name, "baseline");
}
END_TEST

/* Nothing ran in this process before. */
START_TEST(the_environment_asks_for_one)
{
    ck_assert_int_eq(setenv("NDSHARE_CPU", "baseline", 1), 0);
    ck_assert_str_eq(ndi_kernels()->name, "baseline");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("levels");
    TCase *tc = tcase_create("levels");
    SRunner *r = srunner_create(s);
    int n = (int)NDI_ARRAY_LEN(levels);
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, arithmetic, 0, n);
    tcase_add_loop_test(tc, conversions, 0, n);
    tcase_add_loop_test(tc, conversions_are_casts, 0, n);
    tcase_add_loop_test(tc, folds, 0, n);
    tcase_add_loop_test(tc, trees_and_squares, 0, n);
    tcase_add_loop_test(tc, places, 0, n);
    tcase_add_loop_test(tc, random_numbers, 0, n);
    tcase_add_loop_test(tc, streams_write_what_is_made, 0, n);
    tcase_add_test(tc, halves_are_those_of_nd);
    tcase_add_test(tc, a_level_can_be_asked_for);
    tcase_add_test(tc, the_environment_asks_for_one);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
