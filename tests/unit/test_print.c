/* SPDX-License-Identifier: MIT */
/*
 * test_print.c - arrays as text: NumPy's own output, and the edges
 *
 * data/print/vectors.tsv holds what NumPy 1.24, 2.2 and 2.4 print: a line
 * "array", name, dtype, shape, bytes in hex; then lines "str" or "repr", the
 * classes that print so, the text with \n, \t and \\ escaped.
 */
#include <nd/print_impl.h>

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nds_view
view_of(const nds_dtype *dt, const void *data, int ndim, const int64_t *shape)
{
    nds_view v = {.dtype = dt, .data = (void *)(uintptr_t)data, .ndim = ndim};
    int64_t step = dt->itemsize;

    for (int i = ndim - 1; i >= 0; i--) {
        v.shape[i] = shape[i];
        v.strides[i] = step;
        step *= shape[i];
    }
    return v;
}

static void
expect(const nds_view *v, bool repr, int numpy, const char *want)
{
    nds_print_options opts = {.size = sizeof opts, .numpy = numpy};
    char *text;
    int rc = repr ? nds_view_repr(v, &opts, &text)
                  : nds_view_str(v, &opts, &text);

    ck_assert_int_eq(rc, 0);
    ck_assert_str_eq(text, want);
    free(text);
}

static void
unescape(char *s)
{
    char *to = s;

    for (; *s != '\0'; s++) {
        if (*s == '\\') {
            s++;
            *to++ = (char)(*s == 'n' ? '\n' : *s == 't' ? '\t' : *s);
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static int
hex_digit(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* The line's fields, cut at tabs. */
static int
cut_fields(char *line, char **field, int room)
{
    int n = 0;

    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at != NULL && n < room; n++) {
        field[n] = at;
        at = strchr(at, '\t');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    return n;
}

static void
load_array(nds_view *v, unsigned char **data, char **field)
{
    int64_t shape[NDS_MAX_NDIM];
    const nds_dtype *dt;
    int ndim = 0;
    size_t n = field[4][0] == '-' ? 0 : strlen(field[4]) / 2;

    ck_assert_int_eq(nds_dtype_parse(&dt, field[2]), 0);
    for (char *p = field[3]; *p != '-' && *p != '\0'; p += *p == ',') {
        shape[ndim++] = strtoll(p, &p, 10);
    }
    *data = calloc(1, n + 1);
    for (size_t i = 0; i < n; i++) {
        (*data)[i] = (unsigned char)(hex_digit(field[4][2 * i]) << 4 |
                                     hex_digit(field[4][2 * i + 1]));
    }
    *v = view_of(dt, *data, ndim, shape);
}

START_TEST(every_vector)
{
    FILE *f = fopen(NDS_TEST_DATA "/print/vectors.tsv", "r");
    char *line = NULL, *field[5];
    unsigned char *data = NULL;
    size_t room = 0;
    nds_view v = {0};
    bool foreign = false;
    int texts = 0;

    ck_assert_ptr_nonnull(f);
    while (getline(&line, &room, f) > 0) {
        ck_assert_int_ge(cut_fields(line, field, 5), 3);
        if (strcmp(field[0], "array") == 0) {
            nds_dtype_put(v.dtype);
            free(data);
            load_array(&v, &data, field);
            // The vectors' long double is x87's; arm64 has another one.
            foreign = LDBL_MANT_DIG != 64 && strstr(field[2], "f16") != NULL;
            continue;
        }
        if (foreign) {
            continue;
        }
        unescape(field[2]);
        for (char *p = field[1]; *p != '\0'; p += *p == ',') {
            expect(&v, strcmp(field[0], "repr") == 0, (int)strtol(p, &p, 10),
                   field[2]);
            texts++;
        }
    }
    ck_assert_int_ge(texts, 1000);
    nds_dtype_put(v.dtype);
    free(data);
    free(line);
    fclose(f);
}
END_TEST

START_TEST(digits_are_shortest_and_right)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {{5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {2.2250738585072014e-308, "2.2250738585072014e-308"},
                 {9007199254740993.0, "9007199254740992.0"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e22, "1e+22"},
                 {1e23, "1e+23"},
                 {123456789012345680.0, "1.2345678901234568e+17"},
                 {-0.0, "-0.0"}};
    char text[NDI_FLOAT_TEXT_MAX];

    for (size_t i = 0; i < NDI_ARRAY_LEN(cases); i++) {
        ndi_float_scalar(text, cases[i].x, NDS_TYPE_FLOAT64, 203, true);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

/* Every half, and many doubles, read back as what they were. */
START_TEST(digits_read_back)
{
    char text[NDI_FLOAT_TEXT_MAX];
    uint64_t seed = 88172645463325252u;

    for (unsigned bits = 0; bits < 0x7c00; bits += 7) {
        float x = ndi_half_value((uint16_t)bits);

        ndi_float_scalar(text, x, NDS_TYPE_FLOAT16, 203, true);
        // Within half a gap: half is not a type to read back into.
        ck_assert(fabsf(strtof(text, NULL) - x) <= x / 2048 + 0x1p-25f);
    }
    for (int i = 0; i < 20000; i++) {
        double x;

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(&x, &seed, sizeof x);
        if (x - x != 0) {
            continue;
        }
        ndi_float_scalar(text, x, NDS_TYPE_FLOAT64, 203, true);
        ck_assert(strtod(text, NULL) == x);
    }
}
END_TEST

#if LDBL_MANT_DIG == 64
START_TEST(long_double_ends)
{
    char text[NDI_FLOAT_TEXT_MAX];

    ndi_float_scalar(text, LDBL_MAX, NDS_TYPE_LONGDOUBLE, 203, true);
    ck_assert_str_eq(text, "1.189731495357231765e+4932");
    ndi_float_scalar(text, LDBL_MIN, NDS_TYPE_LONGDOUBLE, 203, true);
    ck_assert_str_eq(text, "3.3621031431120935063e-4932");
    ndi_float_scalar(text, 0x1p-16445L, NDS_TYPE_LONGDOUBLE, 203, true);
    ck_assert_str_eq(text, "4e-4951");
    ndi_float_scalar(text, 1.0L / 3, NDS_TYPE_LONGDOUBLE, 203, true);
    ck_assert_str_eq(text, "0.33333333333333333334");
}
END_TEST
#endif

/* Only the corners are read: the rest of this array is not there. */
START_TEST(summary_reads_corners_only)
{
    int64_t ends[6] = {1, 2, 3, -4, 5, 6};
    nds_view v = view_of(NDS_INT64, ends, 1, (int64_t[]){6});
    char *text;

    // Two rows, far apart in shape but the same memory: strides of 0.
    v.ndim = 2;
    v.shape[0] = (int64_t)1 << 40;
    v.strides[0] = 0;
    v.shape[1] = 6;
    v.strides[1] = 8;
    ck_assert_int_eq(nds_view_str(&v, NULL, &text), 0);
    ck_assert_str_eq(text, "[[ 1  2  3 -4  5  6]\n [ 1  2  3 -4  5  6]\n"
                           " [ 1  2  3 -4  5  6]\n ...\n"
                           " [ 1  2  3 -4  5  6]\n [ 1  2  3 -4  5  6]\n"
                           " [ 1  2  3 -4  5  6]]");
    free(text);
}
END_TEST

START_TEST(environment_selects_the_class)
{
    double x[1001] = {0};
    nds_view v = view_of(NDS_FLOAT64, x, 1, (int64_t[]){1001});

    setenv("NDSHARE_NUMPY_PRINT", "1.24", 1);
    expect(&v, true, 0, "array([0., 0., 0., ..., 0., 0., 0.])");
    expect(&v, true, 203,
           "array([0., 0., 0., ..., 0., 0., 0.], shape=(1001,))");
    setenv("NDSHARE_NUMPY_PRINT", "", 1);
    expect(&v, true, 0, "array([0., 0., 0., ..., 0., 0., 0.], shape=(1001,))");

    char *text = (char *)1;

    setenv("NDSHARE_NUMPY_PRINT", "9.9", 1);
    ck_assert_int_eq(nds_view_str(&v, NULL, &text), NDS_EINVAL);
    ck_assert_ptr_null(text);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "9.9"));
}
END_TEST

static void
expect_list(const char *dtype, const void *data, int64_t count,
            const char *want)
{
    const nds_dtype *dt;
    nds_view v;
    char *text;

    ck_assert_int_eq(nds_dtype_parse(&dt, dtype), 0);
    v = view_of(dt, data, 1, &count);
    ck_assert_int_eq(nds_view_tolist_str(&v, &text), 0);
    ck_assert_str_eq(text, want);
    free(text);
    nds_dtype_put(dt);
}

START_TEST(lists)
{
    float f[2] = {0.1f, 2};
    int64_t t[3] = {90061, INT64_MIN, -1};

    expect_list("f4", f, 2, "[0.10000000149011612, 2.0]");
    expect_list("M8[s]", t, 3,
                "[datetime.datetime(1970, 1, 2, 1, 1, 1), None, "
                "datetime.datetime(1969, 12, 31, 23, 59, 59)]");
    expect_list("m8[s]", t, 3,
                "[datetime.timedelta(days=1, seconds=3661), None, "
                "datetime.timedelta(days=-1, seconds=86399)]");
    expect_list("[('a', '<f4')]", f, 2, "[(0.10000000149011612,), (2.0,)]");
    expect_list("S4", "ab\0\0it's", 2, "[b'ab', b\"it's\"]");
    expect_list("V2", "\0a", 1, "[b'\\x00a']");
}
END_TEST

START_TEST(date_without_unit_is_refused)
{
    int64_t t[2] = {INT64_MIN, 4};
    const nds_dtype *dt;
    nds_view v;
    char *text = (char *)1;

    ck_assert_int_eq(nds_dtype_parse(&dt, "M8"), 0);
    v = view_of(dt, t, 1, (int64_t[]){1});
    expect(&v, false, 203, "['NaT']");
    v.shape[0] = 2;
    ck_assert_int_eq(nds_view_str(&v, NULL, &text), NDS_ECAST);
    ck_assert_ptr_null(text);
    nds_dtype_put(dt);
}
END_TEST

START_TEST(characters_count_not_bytes)
{
    static const uint32_t u[4] = {0xe9, 0x200b, 0x1f600, '\''};
    const nds_dtype *dt;
    nds_view v;

    ck_assert_int_eq(nds_dtype_parse(&dt, "U4"), 0);
    v = view_of(dt, u, 1, (int64_t[]){1});
    expect(&v, false, 203, "[\"\u00e9\\u200b\U0001F600'\"]");
    ck_assert(ndi_unicode_printable(' '));
    ck_assert(!ndi_unicode_printable(0x7f));
    ck_assert(!ndi_unicode_printable(0));
    ck_assert(!ndi_unicode_printable(0x110000));
    nds_dtype_put(dt);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("print");
    TCase *tc = tcase_create("print");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, every_vector);
    tcase_add_test(tc, digits_are_shortest_and_right);
    tcase_add_test(tc, digits_read_back);
#if LDBL_MANT_DIG == 64
    tcase_add_test(tc, long_double_ends);
#endif
    tcase_add_test(tc, summary_reads_corners_only);
    tcase_add_test(tc, environment_selects_the_class);
    tcase_add_test(tc, lists);
    tcase_add_test(tc, date_without_unit_is_refused);
    tcase_add_test(tc, characters_count_not_bytes);
    suite_add_tcase(s, tc);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
