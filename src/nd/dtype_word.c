/* SPDX-License-Identifier: MIT */
/*
 * dtype_word.c - NumPy's names and codes: "float64" "<f8" "M8[us]" "S5"
 *
 * Also several with commas and shapes, "f4, (2,3)i8", whose fields are called
 * f0, f1, ... What NumPy has and this library has not is refused by name.
 */
#include <nd/dtype_impl.h>

#include <base/fail.h>
#include <ndshare/view.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE ((enum nds_type)0)

static const struct alias {
    const char *name;
    enum nds_type type;
} aliases[] = {
    {"bool", NDS_TYPE_BOOL},
    {"bool_", NDS_TYPE_BOOL},
    {"bool8", NDS_TYPE_BOOL},
    {"int8", NDS_TYPE_INT8},
    {"byte", NDS_TYPE_INT8},
    {"uint8", NDS_TYPE_UINT8},
    {"ubyte", NDS_TYPE_UINT8},
    {"int16", NDS_TYPE_INT16},
    {"short", NDS_TYPE_INT16},
    {"uint16", NDS_TYPE_UINT16},
    {"ushort", NDS_TYPE_UINT16},
    {"int32", NDS_TYPE_INT32},
    {"intc", NDS_TYPE_INT32},
    {"uint32", NDS_TYPE_UINT32},
    {"uintc", NDS_TYPE_UINT32},
    {"int64", NDS_TYPE_INT64},
    {"int", NDS_TYPE_INT64},
    {"int_", NDS_TYPE_INT64},
    {"intp", NDS_TYPE_INT64},
    {"int0", NDS_TYPE_INT64},
    {"long", NDS_TYPE_INT64},
    {"longlong", NDS_TYPE_INT64},
    {"uint64", NDS_TYPE_UINT64},
    {"uint", NDS_TYPE_UINT64},
    {"uintp", NDS_TYPE_UINT64},
    {"uint0", NDS_TYPE_UINT64},
    {"ulong", NDS_TYPE_UINT64},
    {"ulonglong", NDS_TYPE_UINT64},
    {"float16", NDS_TYPE_FLOAT16},
    {"half", NDS_TYPE_FLOAT16},
    {"float32", NDS_TYPE_FLOAT32},
    {"single", NDS_TYPE_FLOAT32},
    {"float64", NDS_TYPE_FLOAT64},
    {"float", NDS_TYPE_FLOAT64},
    {"float_", NDS_TYPE_FLOAT64},
    {"double", NDS_TYPE_FLOAT64},
    {"float128", NDS_TYPE_LONGDOUBLE},
    {"longdouble", NDS_TYPE_LONGDOUBLE},
    {"longfloat", NDS_TYPE_LONGDOUBLE},
    {"complex64", NDS_TYPE_COMPLEX64},
    {"csingle", NDS_TYPE_COMPLEX64},
    {"singlecomplex", NDS_TYPE_COMPLEX64},
    {"complex128", NDS_TYPE_COMPLEX128},
    {"complex", NDS_TYPE_COMPLEX128},
    {"complex_", NDS_TYPE_COMPLEX128},
    {"cdouble", NDS_TYPE_COMPLEX128},
    {"cfloat", NDS_TYPE_COMPLEX128},
    {"bytes", NDS_TYPE_BYTES},
    {"bytes_", NDS_TYPE_BYTES},
    {"string_", NDS_TYPE_BYTES},
    {"str", NDS_TYPE_STR},
    {"str_", NDS_TYPE_STR},
    {"unicode", NDS_TYPE_STR},
    {"unicode_", NDS_TYPE_STR},
    {"void", NDS_TYPE_VOID},
    {"datetime64", NDS_TYPE_DATETIME},
    {"timedelta64", NDS_TYPE_TIMEDELTA},
};

/* What a dtype may be and we do not have, with the reason. */
static const struct {
    const char *name;
    const char *why;
} refused[] = {
    {"O", "Python objects cannot be shared"},
    {"O8", "Python objects cannot be shared"},
    {"object", "Python objects cannot be shared"},
    {"object_", "Python objects cannot be shared"},
    {"G", "long double complex is not among the dtypes"},
    {"c32", "long double complex is not among the dtypes"},
    {"complex256", "long double complex is not among the dtypes"},
    {"clongdouble", "long double complex is not among the dtypes"},
    {"clongfloat", "long double complex is not among the dtypes"},
    {"longcomplex", "long double complex is not among the dtypes"},
    {"T", "strings of variable width cannot be shared"},
    {"StringDType", "strings of variable width cannot be shared"},
};

static enum nds_type
type_of_char(char c)
{
    static const char chars[] = "?bBhHiIlLqQpPefdgFDSaUVMm";
    static const unsigned char types[] = {
        NDS_TYPE_BOOL,      NDS_TYPE_INT8,       NDS_TYPE_UINT8,
        NDS_TYPE_INT16,     NDS_TYPE_UINT16,     NDS_TYPE_INT32,
        NDS_TYPE_UINT32,    NDS_TYPE_INT64,      NDS_TYPE_UINT64,
        NDS_TYPE_INT64,     NDS_TYPE_UINT64,     NDS_TYPE_INT64,
        NDS_TYPE_UINT64,    NDS_TYPE_FLOAT16,    NDS_TYPE_FLOAT32,
        NDS_TYPE_FLOAT64,   NDS_TYPE_LONGDOUBLE, NDS_TYPE_COMPLEX64,
        NDS_TYPE_COMPLEX128, NDS_TYPE_BYTES,     NDS_TYPE_BYTES,
        NDS_TYPE_STR,       NDS_TYPE_VOID,       NDS_TYPE_DATETIME,
        NDS_TYPE_TIMEDELTA};
    const char *hit = c != '\0' ? strchr(chars, c) : NULL;

    return hit != NULL ? (enum nds_type)types[hit - chars] : NONE;
}

/* b1 i1..i8 u1..u8 f2..f16 c8 c16 */
static enum nds_type
type_of_kind(char kind, int64_t nbytes)
{
    for (int t = NDS_TYPE_BOOL; t <= NDS_TYPE_COMPLEX128; t++) {
        const nds_dtype *dt = nds_dtype_builtin((enum nds_type)t);

        if (dt->kind == kind && dt->itemsize == nbytes) {
            return dt->type;
        }
    }
    return NONE;
}

static int
fail_unknown(const char *s, size_t n, int code)
{
    return ndi_fail(code, "data type '%.*s' not understood",
                    (int)(n > 80 ? 80 : n), s);
}

static bool
read_size(const char *s, size_t n, int64_t *size)
{
    *size = 0;
    if (n == 0 || n > 10) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
        *size = *size * 10 + (s[i] - '0');
    }
    return true;
}

/* M8, M8[us], m8[25us]; `s` begins after the kind and its 8, if any. */
static int
parse_time(const nds_dtype **out, enum nds_type type, bool swapped,
           const char *s, size_t n, const char *all, size_t all_n, int code)
{
    enum ndi_time_unit unit = NDI_UNIT_GENERIC;
    int32_t count = 1;

    if (n != 0 && (n < 2 || s[0] != '[' || s[n - 1] != ']' ||
                   !ndi_time_unit_parse(s + 1, n - 2, &unit, &count))) {
        return fail_unknown(all, all_n, code);
    }
    return ndi_dtype_new_time(out, type, unit, count, swapped);
}

static int
check_refused(const char *s, size_t n, int code)
{
    for (size_t i = 0; i < NDI_ARRAY_LEN(refused); i++) {
        if (strlen(refused[i].name) == n &&
            memcmp(refused[i].name, s, n) == 0) {
            return ndi_fail(code, "data type '%s' refused: %s",
                            refused[i].name, refused[i].why);
        }
    }
    return 0;
}

/* A name: float64, datetime64[us]. NDS_EAGAIN: none. */
static int
parse_name(const nds_dtype **out, const char *s, size_t n, int code)
{
    const char *bracket = memchr(s, '[', n);
    size_t head = bracket != NULL ? (size_t)(bracket - s) : n;

    for (size_t i = 0; i < NDI_ARRAY_LEN(aliases); i++) {
        enum nds_type type = aliases[i].type;

        if (strlen(aliases[i].name) != head ||
            memcmp(aliases[i].name, s, head) != 0) {
            continue;
        }
        if (type == NDS_TYPE_DATETIME || type == NDS_TYPE_TIMEDELTA) {
            return parse_time(out, type, false, s + head, n - head, s, n,
                              code);
        }
        return bracket != NULL ? fail_unknown(s, n, code)
                               : ndi_dtype_new_plain(out, type, 0, false);
    }
    return NDS_EAGAIN;
}

/* After the order mark: d, f8, S5, M8[us]. */
static int
parse_code(const nds_dtype **out, bool swapped, const char *s, size_t n,
           const char *all, size_t all_n, int code)
{
    enum nds_type type = n == 0 ? NONE : type_of_char(s[0]);
    int64_t size = 0;

    if (n == 1 && s[0] == 'c') {
        return ndi_dtype_new_plain(out, NDS_TYPE_BYTES, 1, false);
    }
    if (type == NDS_TYPE_DATETIME || type == NDS_TYPE_TIMEDELTA) {
        size_t skip = n > 1 && s[1] == '8' ? 2 : 1;

        return parse_time(out, type, swapped, s + skip, n - skip, all, all_n,
                          code);
    }
    if (n == 1 && type != NONE) {
        return ndi_dtype_new_plain(out, type, 0, swapped);
    }
    if (n < 2 || !read_size(s + 1, n - 1, &size)) {
        return fail_unknown(all, all_n, code);
    }
    if (type != NDS_TYPE_BYTES && type != NDS_TYPE_STR &&
        type != NDS_TYPE_VOID) {
        type = type_of_kind(s[0], size);
    } else if (type == NDS_TYPE_STR) {
        size *= 4;
    }
    if (type == NONE) {
        return fail_unknown(all, all_n, code);
    }
    return ndi_dtype_new_plain(out, type, size, swapped);
}

/* One name or code, nothing else. */
static int
parse_word(const nds_dtype **out, const char *s, size_t n, int code)
{
    const union {
        uint16_t word;
        uint8_t first;
    } probe = {.word = 1};
    bool marked = n > 1 && strchr("<>=|", s[0]) != NULL && s[0] != '\0';
    char other = probe.first == 1 ? '>' : '<';
    int rc = check_refused(s + marked, n - marked, code);

    if (rc == 0) {
        rc = marked ? NDS_EAGAIN : parse_name(out, s, n, code);
    }
    if (rc != NDS_EAGAIN) {
        return rc;
    }
    return parse_code(out, marked && s[0] == other, s + marked, n - marked, s,
                      n, code);
}

/* ---- comma texts: "i4, (2,3)f8, 5S3" ------------------------------------ */

/* (2,3) or 5 at the front; *used bytes of it, 0 if there is none. */
static int
take_shape(const char *s, size_t n, int *ndim, int64_t *shape, size_t *used,
           int code)
{
    size_t i = 0, begin;
    bool box = n != 0 && s[0] == '(';

    *ndim = 0;
    *used = 0;
    i = box ? 1 : 0;
    for (;;) {
        while (box && i < n && s[i] == ' ') {
            i++;
        }
        begin = i;
        while (i < n && s[i] >= '0' && s[i] <= '9') {
            i++;
        }
        if (i == begin) {
            break;
        }
        if (*ndim == NDS_MAX_NDIM || !read_size(s + begin, i - begin,
                                                &shape[*ndim])) {
            return fail_unknown(s, n, code);
        }
        ++*ndim;
        while (box && i < n && s[i] == ' ') {
            i++;
        }
        if (!box || i == n || s[i] != ',') {
            break;
        }
        i++;
    }
    if (box && (i == n || s[i++] != ')')) {
        return fail_unknown(s, n, code);
    }
    if (!box && *ndim == 1 && shape[0] == 1) {
        *ndim = 0; // "1f4" is "f4"
    }
    *used = i;
    return 0;
}

static int
parse_part(const nds_dtype **out, const char *s, size_t n, int code)
{
    const nds_dtype *base;
    int64_t shape[NDS_MAX_NDIM];
    size_t used;
    int ndim, rc;

    rc = take_shape(s, n, &ndim, shape, &used, code);
    if (rc < 0) {
        return rc;
    }
    if (used == 0) {
        return parse_word(out, s, n, code);
    }
    rc = parse_word(&base, s + used, n - used, code);
    if (rc == 0) {
        rc = ndi_dtype_new_subarray(out, base, ndim, shape);
        nds_dtype_put(base);
    }
    return rc;
}

/* Up to the next comma outside brackets. */
static size_t
part_nbytes(const char *s, size_t n)
{
    int depth = 0;

    for (size_t i = 0; i < n; i++) {
        depth += s[i] == '(' || s[i] == '[';
        depth -= s[i] == ')' || s[i] == ']';
        if (s[i] == ',' && depth <= 0) {
            return i;
        }
    }
    return n;
}

static void
put_fields(struct ndi_field *fields, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        free(fields[i].name);
        nds_dtype_put(fields[i].dtype);
    }
    free(fields);
}

/* Names field i "f<i>". */
static int
name_by_number(struct ndi_field *f, int64_t i)
{
    f->name = malloc(24);
    if (f->name == NULL) {
        return ndi_fail_nomem(24, "a field name");
    }
    snprintf(f->name, 24, "f%lld", (long long)i);
    return 0;
}

static int
parse_commas(const nds_dtype **out, const char *s, size_t n, int code)
{
    int64_t room = 1, count = 0, off = 0;
    struct ndi_field *fields;
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        room += s[i] == ',';
    }
    fields = calloc((size_t)room, sizeof *fields);
    if (fields == NULL) {
        return ndi_fail_nomem((size_t)room * sizeof *fields, "fields");
    }
    while (n != 0 && rc == 0) {
        size_t part = part_nbytes(s, n), trim = part;
        struct ndi_field *f = &fields[count];

        while (trim > 0 && s[trim - 1] == ' ') {
            trim--;
        }
        rc = parse_part(&f->dtype, s, trim, code);
        if (rc == 0) {
            rc = name_by_number(f, count++);
            f->off = off;
            off += f->dtype->itemsize;
        }
        part += part < n;
        while (part < n && s[part] == ' ') {
            part++;
        }
        s += part;
        n -= part;
    }
    if (rc == 0) {
        rc = ndi_dtype_new_record(out, count, fields, -1, false);
    }
    put_fields(fields, room);
    return rc;
}

int
ndi_dtype_from_word(const nds_dtype **out, const char *s, size_t n, int code)
{
    size_t part = part_nbytes(s, n);

    *out = NULL;
    if (part == n) {
        return parse_part(out, s, n, code);
    }
    if (part + 1 == n) {
        return parse_part(out, s, part, code); // "i4," is "i4"
    }
    return parse_commas(out, s, n, code);
}
