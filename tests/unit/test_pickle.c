/* SPDX-License-Identifier: MIT */
/*
 * test_pickle.c - what Python and NumPy sent, read; what we send, to the byte;
 * and pickles broken in thousands of ways: an error, never a signal
 *
 * Vectors: pickles of Python 3.8 to 3.14 with NumPy 1.19, 1.24, 2.2 and 2.4.
 */
#include "tsv.h"

#include <base/fail.h>
#include <pickle/pickle.h>

#include <float.h>
#include <sys/uio.h>

#define DATA(name) NDS_TEST_DATA "/pickle/" name

static unsigned char *last_data; /* of the line above, for "=" */
static size_t last_nbytes;
static int accepted, refused;

/* A message that comes in crumbs. */
struct crumbs {
    const unsigned char *at;
    size_t left;
};

static int
fill(void *ctx, void *to, size_t nbytes)
{
    struct crumbs *c = ctx;

    ck_assert_uint_le(nbytes, c->left);
    memcpy(to, c->at, nbytes);
    c->at += nbytes;
    c->left -= nbytes;
    return 0;
}

static void
pickled(const nds_value *v, struct ndi_buf *b)
{
    struct ndi_pickle p = {0};
    struct iovec *iov;
    int count;

    ck_assert_int_eq(ndi_pickle_write(&p, v, 5), 0);
    ck_assert_int_eq(ndi_pickle_pieces(&p, &iov, &count), 0);
    for (int i = 1; i < count; i++) {
        ndi_buf_add(b, iov[i].iov_base, iov[i].iov_len);
    }
    free(iov);
    ndi_pickle_fini(&p);
}

/* From memory, and again from a source that gives a byte at a time, data of
 * eight bytes directly: the same must come out. */
static int
read_both_ways(nds_value **out, const void *data, size_t nbytes)
{
    struct crumbs c = {data, nbytes};
    struct ndi_source s = {.fill = fill, .ctx = &c, .nbytes = nbytes,
                           .chunk = 1, .direct = 8};
    struct ndi_buf b[2] = {{0}, {0}};
    nds_value *v;
    int rc = ndi_pickle_read_from(&v, &s);

    ck_assert_int_eq(ndi_pickle_read(out, data, nbytes), rc);
    if (rc == 0) {
        pickled(*out, &b[0]);
        pickled(v, &b[1]);
        ck_assert_uint_eq(b[0].nbytes, b[1].nbytes);
        ck_assert_mem_eq(b[0].data, b[1].data, b[0].nbytes);
        ndi_buf_fini(&b[0]);
        ndi_buf_fini(&b[1]);
        nds_value_free(v);
    }
    return rc;
}

static void
read_extents(const char *text, int *ndim, int64_t *shape)
{
    *ndim = 0;
    while (*text >= '0' && *text <= '9') {
        char *end;

        shape[(*ndim)++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
}

/* Field by field: what lies between them says nothing. Nor do six of an
 * extended float's sixteen bytes. */
static void
check_data(const char *id, const nds_view *got, const nds_view *want,
           bool extended)
{
    nds_array *a, *b;
    nds_view g, w;
    const char *name;

    for (int64_t i = 0; i < nds_dtype_field_count(got->dtype); i++) {
        nds_dtype_field(got->dtype, i, &name, NULL, NULL);
        ck_assert_int_eq(nds_view_field(&g, got, name), 0);
        ck_assert_int_eq(nds_view_field(&w, want, name), 0);
        check_data(id, &g, &w, extended);
        nds_view_fini(&g);
        nds_view_fini(&w);
    }
    if (nds_dtype_field_count(got->dtype) > 0) {
        return;
    }
    ck_assert_int_eq(nds_array_copy(&a, got, NULL), 0);
    ck_assert_int_eq(nds_array_copy(&b, want, NULL), 0);
    for (int64_t i = 0; i < nds_view_nbytes(got); i++) {
        const unsigned char *x = nds_array_data(a), *y = nds_array_data(b);

        ck_assert_msg((extended && i % 16 >= 10) || x[i] == y[i],
                      "%s: data", id);
    }
    nds_array_close(a);
    nds_array_close(b);
}

static void
check_array(const char *id, const nds_value *v, char **field)
{
    nds_array *a = nds_value_as_array(v);
    nds_value *descr;
    const nds_dtype *dt;
    const nds_view *view;
    nds_view expect;
    int64_t shape[NDS_MAX_NDIM];
    int ndim;

    ck_assert_msg(a != NULL, "%s: no array", id);
    view = nds_array_view(a);
    ck_assert_msg(nds_value_parse(&descr, field[2]) == 0, "%s: %s", id,
                  nds_last_error()->message);
    ck_assert_msg(ndi_descr_to_dtype(descr, &dt) == 0, "%s: %s", id,
                  nds_last_error()->message);
    if (!nds_dtype_equal(dt, view->dtype)) {
        char *got;

        nds_dtype_str(view->dtype, &got);
        ck_abort_msg("%s: dtype %s, not %s", id, got, field[2]);
    }
    nds_dtype_put(dt);
    nds_value_free(descr);
    read_extents(field[3], &ndim, shape);
    ck_assert_msg(view->ndim == ndim, "%s: %d dimensions", id, view->ndim);
    for (int i = 0; i < ndim; i++) {
        ck_assert_msg(view->shape[i] == shape[i], "%s: extent %d", id, i);
    }
    if (strcmp(field[4], "=") != 0) {
        free(last_data);
        last_data = tsv_hex(field[4][0] == '-' ? "" : field[4], &last_nbytes);
    }
    ck_assert_msg((size_t)nds_view_nbytes(view) == last_nbytes, "%s: bytes",
                  id);
    ck_assert_int_eq(nds_view_init(&expect, view->dtype, last_data,
                                   last_nbytes, ndim, shape), 0);
    check_data(id, view, &expect, strstr(field[2], "f16") != NULL);
    nds_view_fini(&expect);
}

/* What was read is written and read again: the same array. */
static void
check_again(const char *id, const nds_value *v, char **field)
{
    struct ndi_pickle p = {0};
    struct iovec *iov;
    unsigned char *all;
    size_t n, at = 0;
    nds_value *back;
    int count;

    ck_assert_msg(ndi_pickle_write(&p, v, 5) == 0, "%s: %s", id,
                  nds_last_error()->message);
    n = ndi_pickle_nbytes(&p);
    all = malloc(n);
    ck_assert_int_eq(ndi_pickle_pieces(&p, &iov, &count), 0);
    for (int i = 1; i < count; i++) {
        memcpy(all + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    ck_assert_uint_eq(at, n);
    ck_assert_msg(read_both_ways(&back, all, n) == 0, "%s again: %s", id,
                  nds_last_error()->message);
    check_array(id, back, field);
    nds_value_free(back);
    free(iov);
    free(all);
    ndi_pickle_fini(&p);
}

/* The value itself, where NumPy 1 shows it bare; and written and read. */
static void
check_scalar(const char *id, const nds_value *v, const char *shown)
{
    struct ndi_pickle p = {0};
    nds_value *back;
    char *text, *again;
    // The vectors' long double is x87's; arm64 has another one.
    bool foreign = LDBL_MANT_DIG != 64 && strstr(id, "float128") != NULL;

    ck_assert_msg(nds_value_kind(v) == NDS_VALUE_SCALAR, "%s: kind", id);
    ck_assert_int_eq(nds_value_repr(v, &text), 0);
    if (!foreign &&
        (strchr("-0123456789TF", shown[0]) != NULL ||
         (shown[0] == '(' && strchr(shown, 'j') != NULL))) {
        ck_assert_msg(strcmp(text, shown) == 0, "%s: %s, not %s", id, text,
                      shown);
    }
    ck_assert_int_eq(ndi_pickle_write(&p, v, 5), 0);
    ck_assert_msg(read_both_ways(&back, p.bytes.data, p.bytes.nbytes) == 0,
                  "%s again: %s", id, nds_last_error()->message);
    ck_assert(nds_dtype_equal(
        nds_array_view(nds_value_as_array(back))->dtype,
        nds_array_view(nds_value_as_array(v))->dtype));
    ck_assert_int_eq(nds_value_repr(back, &again), 0);
    ck_assert_str_eq(text, again);
    free(text);
    free(again);
    nds_value_free(back);
    ndi_pickle_fini(&p);
}

/* What ndshare has not: clongdouble, and titles of fields. */
static bool
is_unknown(const char *id, const char *descr)
{
    return strstr(descr, "c32") != NULL || strstr(id, "titles") != NULL ||
           strstr(id, "scalar_complex256") != NULL ||
           strstr(id, "scalar_clongdouble") != NULL;
}

static void
one_array(char **field, int n)
{
    size_t nbytes;
    unsigned char *data;
    nds_value *v;
    int rc;

    ck_assert_int_eq(n, 6);
    data = tsv_hex(field[5], &nbytes);
    rc = read_both_ways(&v, data, nbytes);
    if (strcmp(field[1], "refuse") == 0 || is_unknown(field[0], field[2])) {
        ck_assert_msg(rc == NDS_EREFUSED || rc == NDS_EDTYPE, "%s: %d",
                      field[0], rc);
        ck_assert_ptr_null(v);
        refused++;
    } else {
        ck_assert_msg(rc == 0, "%s: %s", field[0],
                      nds_last_error()->message);
        accepted++;
        if (strncmp(field[0], "np_scalar", 9) == 0) {
            check_scalar(field[0], v, field[2]);
        } else if (field[3][0] == '-') {
            ck_assert_msg(nds_value_kind(v) == NDS_VALUE_DTYPE ||
                              nds_value_kind(v) == NDS_VALUE_TYPE,
                          "%s: kind", field[0]);
        } else {
            check_array(field[0], v, field);
            field[4] = "=";
            check_again(field[0], v, field);
        }
    }
    nds_value_free(v);
    free(data);
}

START_TEST(arrays_and_scalars_of_every_numpy)
{
    ck_assert_int_ge(tsv_each(DATA("arrays.tsv"), one_array), 900);
    ck_assert_int_ge(accepted, 800);
    ck_assert_int_ge(refused, 80);
    free(last_data);
}
END_TEST

/* What our repr shows otherwise: names we bring to one spelling, cycles. */
static bool
shown_otherwise(const char *id)
{
    static const char *const ids[] = {
        "rec_list", "rec_dict", "rec_tuple", "exc_OSError",
        "exc_FileNotFound", "array_array", "dict_keys", "exc_Auth",
        "exc_RemoteError", "token_abstract"};

    for (size_t i = 0; i < NDI_ARRAY_LEN(ids); i++) {
        if (strstr(id, ids[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void
one_plain(char **field, int n)
{
    size_t nbytes;
    unsigned char *data = tsv_hex(field[2], &nbytes);
    char *text;
    nds_value *v;
    int rc;

    ck_assert_int_eq(n, 3);
    rc = read_both_ways(&v, data, nbytes);
    if (strstr(field[0], "rec_") != NULL) {
        ck_assert_msg(rc == NDS_ELIMIT, "%s: %d", field[0], rc);
    } else {
        ck_assert_msg(rc == 0, "%s: %s", field[0],
                      nds_last_error()->message);
        ck_assert_int_eq(nds_value_repr(v, &text), 0);
        if (!shown_otherwise(field[0])) {
            ck_assert_msg(strcmp(text, field[1]) == 0, "%s: %s, not %s",
                          field[0], text, field[1]);
        }
        free(text);
    }
    nds_value_free(v);
    free(data);
}

START_TEST(plain_values_show_as_in_python)
{
    ck_assert_int_ge(tsv_each(DATA("plain.tsv"), one_plain), 300);
}
END_TEST

static void
one_golden(char **field, int n)
{
    size_t nbytes;
    unsigned char *data = tsv_hex(field[2], &nbytes);
    struct ndi_pickle p = {0};
    nds_value *v;

    ck_assert_int_eq(n, 3);
    ck_assert_msg(read_both_ways(&v, data, nbytes) == 0, "%s: %s", field[0],
                  nds_last_error()->message);
    if (strncmp(field[1], "ndarray", 7) == 0) {
        int protocol = strcmp(field[1], "ndarray_p4") == 0 ? 4 : 5;

        ck_assert_int_eq(ndi_pickle_write(&p, v, protocol), 0);
        ck_assert_uint_eq(p.ngaps, 0);
        ck_assert_msg(p.bytes.nbytes == nbytes &&
                          memcmp(p.bytes.data, data, nbytes) == 0,
                      "%s: other bytes", field[0]);
        ndi_pickle_fini(&p);
    }
    nds_value_free(v);
    free(data);
}

START_TEST(the_canonical_form_to_the_byte)
{
    ck_assert_int_ge(tsv_each(DATA("golden.tsv"), one_golden), 30);
}
END_TEST

static uint64_t dice = 88172645463325252u;

static uint32_t
roll(uint32_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 11) % n;
}

static int broken_count;

/* Each pickle with bytes changed, cut and doubled. */
static void
one_broken(char **field, int n)
{
    size_t nbytes;
    unsigned char *data = tsv_hex(field[n - 1], &nbytes);
    unsigned char *copy = malloc(2 * nbytes + 16);

    for (int i = 0; nbytes < 3000 && i < 12; i++) {
        size_t m = nbytes;
        nds_value *v;
        int rc;

        memcpy(copy, data, nbytes);
        for (uint32_t k = 0; k <= roll(3); k++) {
            copy[roll((uint32_t)m)] = (unsigned char)roll(256);
        }
        if (roll(4) == 0) {
            m = roll((uint32_t)m) + 1;
        } else if (roll(6) == 0) {
            size_t from = roll((uint32_t)m);

            memmove(copy + m, copy + from, m - from);
            m += m - from;
        }
        rc = read_both_ways(&v, copy, m);
        ck_assert_msg((rc == 0) == (v != NULL), "%s: %d", field[0], rc);
        if (rc == 0) {
            char *text = NULL;

            (void)nds_value_repr(v, &text);
            free(text);
        }
        nds_value_free(v);
        broken_count++;
    }
    free(copy);
    free(data);
}

START_TEST(broken_pickles_are_errors)
{
    dice += (uint64_t)_i * 7919;
    tsv_each(DATA("arrays.tsv"), one_broken);
    tsv_each(DATA("plain.tsv"), one_broken);
    ck_assert_int_ge(broken_count, 10000);
}
END_TEST

/* Opcodes at random: nothing leaks (sanitizers look), nothing crashes. */
START_TEST(random_opcodes_are_errors)
{
    static const unsigned char ops[] = {
        0x28, 0x30, 0x31, 0x4e, 0x88, 0x4b, 0x29, 0x85, 0x86, 0x87, 0x74,
        0x5d, 0x61, 0x65, 0x7d, 0x73, 0x75, 0x8f, 0x90, 0x91, 0x94, 0x68,
        0x71, 0x52, 0x81, 0x62, 0x93, 0x2e};

    for (int i = 0; i < 20000; i++) {
        unsigned char b[64] = {0x80, 5};
        nds_value *v;

        for (size_t k = 2; k < sizeof b; k++) {
            b[k] = ops[roll(sizeof ops)];
        }
        b[sizeof b - 1] = 0x2e;
        if (read_both_ways(&v, b, sizeof b) == 0) {
            nds_value_free(v);
        }
    }
}
END_TEST

static int
read_text(const char *hex)
{
    size_t nbytes;
    unsigned char *data = tsv_hex(hex, &nbytes);
    nds_value *v;
    int rc = read_both_ways(&v, data, nbytes);

    nds_value_free(v);
    free(data);
    return rc;
}

START_TEST(names_off_the_list_are_named)
{
    // posix.system('x')
    ck_assert_int_eq(read_text("80048c05706f7369788c0673797374656d938c017885"
                               "522e"), NDS_EREFUSED);
    ck_assert_str_eq(nds_last_error()->message,
                     "pickle: 'posix.system' is not on the list of what may "
                     "be read");
    // a list that holds itself
    ck_assert_int_eq(read_text("80045d94680061" "2e"), NDS_ELIMIT);
    // protocol 6, and none
    ck_assert_int_eq(read_text("80064e2e"), NDS_EFORMAT);
    ck_assert_int_eq(read_text("4e2e"), NDS_EFORMAT);
    // a function as a value
    ck_assert_int_eq(read_text("80048c086275696c74696e738c0373657493" "2e"),
                     NDS_EREFUSED);
}
END_TEST

/* Pairs of the same pair, 60 deep: 2^60 items once written out. */
START_TEST(what_explodes_is_refused)
{
    unsigned char b[400] = {0x80, 4, 0x5d, 0x94};
    size_t n = 4;
    nds_value *v;

    for (unsigned char i = 0; i < 60; i++) {
        b[n++] = 0x68; // beside what the memo has under i
        b[n++] = i;
        b[n++] = 0x86; /* (previous, previous) */
        b[n++] = 0x94;
    }
    b[n++] = 0x2e;
    ck_assert_int_eq(read_both_ways(&v, b, n), NDS_ELIMIT);
    ck_assert_ptr_null(v);
}
END_TEST

/* As the Python package writes arrays inside of objects. */
START_TEST(a_dtype_may_be_its_name)
{
    static const char pickle[] =
        "\x80\5(K\1\x8c\5numpy\x8c\7ndarray\x93("
        "K\2\x85\x8c\3<i2\x96\4\0\0\0\0\0\0\0\7\0\xff\xff"
        "K\0N\x8c\1CtRt.";
    char bad[sizeof pickle];
    const nds_array *a;
    nds_value *v;

    ck_assert_int_eq(read_both_ways(&v, pickle, sizeof pickle - 1), 0);
    a = nds_value_as_array(nds_value_item(v, 1));
    ck_assert_ptr_nonnull(a);
    ck_assert(nds_dtype_equal(nds_array_view(a)->dtype, NDS_INT16));
    ck_assert_int_eq(((const int16_t *)nds_array_data(a))[0], 7);
    ck_assert_int_eq(((const int16_t *)nds_array_data(a))[1], -1);
    nds_value_free(v);
    for (size_t i = 0; i < 3; i++) { // the name's bytes
        memcpy(bad, pickle, sizeof bad);
        memcpy(strstr(bad, "<i2"), &"xxx\0\0\0|O8"[3 * i], 3);
        ck_assert_int_lt(read_both_ways(&v, bad, sizeof bad - 1), 0);
    }
}
END_TEST

START_TEST(large_arrays_are_not_copied)
{
    struct ndi_pickle p = {0};
    nds_array *a;
    nds_value *v;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, (int64_t[]){1 << 16},
                                   NULL), 0);
    v = nds_value_array(a);
    ck_assert_int_eq(ndi_pickle_write(&p, v, 5), 0);
    ck_assert_uint_eq(p.ngaps, 1);
    ck_assert_ptr_eq(p.gaps[0].data, nds_array_data(a));
    ck_assert_uint_eq(p.gaps[0].nbytes, 8u << 16);
    ndi_pickle_fini(&p);
    nds_value_free(v);
    nds_array_close(a);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("pickle");
    TCase *tc = tcase_create("pickle");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, arrays_and_scalars_of_every_numpy);
    tcase_add_test(tc, plain_values_show_as_in_python);
    tcase_add_test(tc, the_canonical_form_to_the_byte);
    tcase_add_loop_test(tc, broken_pickles_are_errors, 0, 2);
    tcase_add_test(tc, random_opcodes_are_errors);
    tcase_add_test(tc, names_off_the_list_are_named);
    tcase_add_test(tc, what_explodes_is_refused);
    tcase_add_test(tc, a_dtype_may_be_its_name);
    tcase_add_test(tc, large_arrays_are_not_copied);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
