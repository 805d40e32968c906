/* SPDX-License-Identifier: MIT */
/*
 * reduce_array.c - arrays, scalars and dtypes out of a pickle
 *
 * Two forms of NumPy's (a buffer beside dtype and shape, or _reconstruct with
 * a state), and the public constructors that our own writer uses. The bytes
 * must be exactly as many as dtype and shape say.
 */
#include <pickle/pickle.h>

#include <base/checked.h>
#include <base/fail.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
refuse(const char *what)
{
    return ndi_fail(NDS_EREFUSED, "pickle: %s", what);
}

/* A tuple of extents, or of axes. */
static int
read_shape(const nds_value *v, int *ndim, int64_t *shape)
{
    if (v->kind != NDS_VALUE_TUPLE || v->count > NDS_MAX_NDIM) {
        return refuse("a shape that is no tuple of at most 64 extents");
    }
    for (size_t i = 0; i < v->count; i++) {
        if (v->items[i]->kind != NDS_VALUE_INT ||
            v->items[i]->u.integer < 0) {
            return refuse("a shape with an extent that is no count");
        }
        shape[i] = v->items[i]->u.integer;
    }
    *ndim = (int)v->count;
    return 0;
}

struct raw {
    const nds_value *dtype;
    const nds_value *shape;
    const nds_value *axes; /* or NULL */
    char order;            /* 'C' or 'F' */
    const nds_value *data; /* BYTES or BYTEARRAY */
    bool readonly;
};

static int
transpose(nds_array **a, const nds_value *axes)
{
    nds_array *turned;
    int64_t wide[NDS_MAX_NDIM];
    int order[NDS_MAX_NDIM];
    bool seen[NDS_MAX_NDIM] = {false};
    int n, rc;

    rc = read_shape(axes, &n, wide);
    if (rc < 0) {
        return rc;
    }
    if (n != nds_array_view(*a)->ndim) {
        return refuse("axes for another number of dimensions");
    }
    for (int i = 0; i < n; i++) {
        if (wide[i] >= n || seen[wide[i]]) {
            return refuse("axes that are no permutation");
        }
        seen[wide[i]] = true;
        order[i] = (int)wide[i];
    }
    rc = nds_array_transpose(&turned, *a, order);
    if (rc == 0) {
        nds_array_close(*a);
        *a = turned;
    }
    return rc;
}

/* Over the memory the data was fetched into: nothing is copied. */
static int
take_over(const struct raw *raw, int ndim, const int64_t *shape,
          nds_array **out)
{
    nds_value *data = (nds_value *)raw->data;
    nds_view v;
    int rc = nds_view_init_strided(&v, raw->dtype->u.dtype, data->u.text,
                                   data->v.nbytes, 0, ndim, shape, NULL,
                                   raw->order);

    if (rc < 0) {
        return rc;
    }
    if (data->memory == NDI_TEXT_ALIEN) {
        rc = nds_array_from_memory(out, &v, NULL, NULL);
    } else {
        rc = nds_array_wrap(out, data->backing, &v);
        if (rc == 0) {
            data->memory = NDI_TEXT_LENT;
        }
    }
    nds_view_fini(&v);
    return rc;
}

static int
copy_data(const struct raw *raw, int ndim, const int64_t *shape,
          nds_array **out)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_HEAP,
                              .order = raw->order, .uninitialised = true};
    int rc = nds_array_new(out, raw->dtype->u.dtype, ndim, shape, &opts);

    if (rc == 0 && raw->data->v.nbytes != 0) {
        memcpy(nds_array_data(*out), raw->data->u.text, raw->data->v.nbytes);
    }
    return rc;
}

static int
make_array(const struct raw *raw, nds_array **out)
{
    int64_t shape[NDS_MAX_NDIM];
    nds_array *a = NULL, *fixed;
    int64_t nbytes;
    int ndim, rc;

    if (raw->dtype->kind != NDS_VALUE_DTYPE) {
        return refuse("an array without a dtype");
    }
    rc = read_shape(raw->shape, &ndim, shape);
    if (rc < 0) {
        return rc;
    }
    nbytes = nds_dtype_itemsize(raw->dtype->u.dtype);
    for (int i = 0; i < ndim; i++) {
        if (!ndi_mul_i64(nbytes, shape[i], &nbytes)) {
            return refuse("a shape whose product overflows");
        }
    }
    if ((uint64_t)nbytes != raw->data->v.nbytes) {
        return ndi_fail(NDS_EREFUSED, "pickle: an array of %lld bytes with "
                        "%zu bytes of data", (long long)nbytes,
                        raw->data->v.nbytes);
    }
    rc = nbytes != 0 && (raw->data->memory == NDI_TEXT_ALIEN ||
                         (raw->data->memory == NDI_TEXT_OWN &&
                          raw->data->backing != NULL))
             ? take_over(raw, ndim, shape, &a)
             : copy_data(raw, ndim, shape, &a);
    if (rc == 0 && raw->axes != NULL) {
        rc = transpose(&a, raw->axes);
    }
    if (rc == 0 && raw->readonly) {
        rc = nds_array_readonly(&fixed, a);
        if (rc == 0) {
            nds_array_close(a);
            a = fixed;
        }
    }
    if (rc < 0) {
        nds_array_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

static int
array_value(const struct raw *raw, bool scalar, nds_value **out)
{
    nds_array *a = NULL;
    int rc = make_array(raw, &a);

    if (rc < 0) {
        return rc;
    }
    *out = ndi_value_of_array(a, scalar);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

static bool
has_data(const nds_value *v)
{
    return v->kind == NDS_VALUE_BYTES || v->kind == NDS_VALUE_BYTEARRAY;
}

/* 'C', 'F', 'K' or 0 */
static char
read_order(const nds_value *v)
{
    if (v->kind != NDS_VALUE_STR || v->v.nbytes != 1 ||
        strchr("CFK", v->u.text[0]) == NULL) {
        return 0;
    }
    return v->u.text[0];
}

/* _frombuffer(data, dtype, shape, order[, axes]) */
static int
frombuffer(const nds_value *args, nds_value **out)
{
    struct raw raw = {0};

    if (args->count < 4 || args->count > 5 || !has_data(args->items[0])) {
        return refuse("_frombuffer with other arguments");
    }
    raw.data = args->items[0];
    raw.readonly = raw.data->kind == NDS_VALUE_BYTES;
    raw.dtype = args->items[1];
    raw.shape = args->items[2];
    raw.order = read_order(args->items[3]);
    if (args->count == 5) {
        raw.axes = args->items[4];
    }
    if (raw.order == 0 || (raw.order == 'K') != (raw.axes != NULL)) {
        return refuse("_frombuffer with another order");
    }
    if (raw.order == 'K') {
        raw.order = 'C';
    }
    return array_value(&raw, false, out);
}

static int
named_array(struct raw *raw, const nds_value *name, nds_value **out)
{
    nds_value dtype = {.kind = NDS_VALUE_DTYPE};
    char text[8] = "";
    int rc;

    if (name->v.nbytes >= sizeof text) {
        return refuse("an array of a dtype with a long name");
    }
    memcpy(text, name->u.text, name->v.nbytes); // a NUL in it ends it
    rc = nds_dtype_parse(&dtype.u.dtype, text);
    if (rc < 0) {
        return rc;
    }
    raw->dtype = &dtype;
    rc = array_value(raw, false, out);
    nds_dtype_put(dtype.u.dtype);
    return rc;
}

/* ndarray(shape, dtype, data, 0, None, order): our own form; the dtype may be
 * its name, "<f8" */
static int
ndarray(const nds_value *args, nds_value **out)
{
    struct raw raw = {0};

    if (args->count != 6 || !has_data(args->items[2]) ||
        args->items[3]->kind != NDS_VALUE_INT ||
        args->items[3]->u.integer != 0 ||
        args->items[4]->kind != NDS_VALUE_NONE) {
        return refuse("ndarray with other arguments");
    }
    raw.shape = args->items[0];
    raw.dtype = args->items[1];
    raw.data = args->items[2];
    raw.readonly = raw.data->kind == NDS_VALUE_BYTES;
    raw.order = read_order(args->items[5]);
    if (raw.order == 0 || raw.order == 'K') {
        return refuse("ndarray with another order");
    }
    if (raw.dtype->kind == NDS_VALUE_STR) {
        return named_array(&raw, raw.dtype, out);
    }
    return array_value(&raw, false, out);
}

/* _reconstruct(ndarray, (0,), b'b'): nothing yet, BUILD follows */
static int
reconstruct(const nds_value *args, nds_value **out)
{
    const nds_value *cls, *shape, *code;

    if (args->count != 3) {
        return refuse("_reconstruct with other arguments");
    }
    cls = args->items[0];
    shape = args->items[1];
    code = args->items[2];
    if (cls->kind != NDI_VALUE_GLOBAL ||
        (cls->u.symbol->action != NDI_ACT_NDARRAY &&
         strcmp(cls->u.symbol->name, "memmap") != 0)) {
        return refuse("a subclass of ndarray");
    }
    if (shape->kind != NDS_VALUE_TUPLE || shape->count != 1 ||
        shape->items[0]->kind != NDS_VALUE_INT ||
        shape->items[0]->u.integer != 0 || code->kind != NDS_VALUE_BYTES ||
        code->v.nbytes != 1 || code->u.text[0] != 'b') {
        return refuse("_reconstruct with other arguments");
    }
    *out = ndi_value_new(NDI_VALUE_RAW_ARRAY);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

/* (1, shape, dtype, is_fortran, data) */
int
ndi_build_array(nds_value *target, const nds_value *state)
{
    struct raw raw = {0};
    nds_array *a = NULL;
    int rc;

    if (state->kind != NDS_VALUE_TUPLE || state->count != 5 ||
        state->items[0]->kind != NDS_VALUE_INT ||
        state->items[0]->u.integer != 1 ||
        state->items[3]->kind != NDS_VALUE_BOOL ||
        !has_data(state->items[4])) {
        return refuse("an array with another state");
    }
    raw.shape = state->items[1];
    raw.dtype = state->items[2];
    raw.order = state->items[3]->u.truth ? 'F' : 'C';
    raw.data = state->items[4];
    rc = make_array(&raw, &a);
    if (rc == 0) {
        target->kind = NDS_VALUE_ARRAY;
        target->u.array = a;
    }
    return rc;
}

/* scalar(dtype, bytes) */
static int
scalar(const nds_value *args, nds_value **out)
{
    struct raw raw = {.order = 'C'};
    nds_value none = {.kind = NDS_VALUE_TUPLE};

    if (args->count != 2 || args->items[1]->kind != NDS_VALUE_BYTES) {
        return refuse("scalar with other arguments");
    }
    raw.dtype = args->items[0];
    raw.data = args->items[1];
    raw.shape = &none;
    return array_value(&raw, true, out);
}

/* array.array(code, bytes), or _array_reconstructor(array.array, code, format,
 * bytes), where the format says how the bytes are to be read */
static int
typed(const nds_value *args, nds_value **out)
{
    static const char codes[] = "bBhHiIlLqQfd";
    static const char *const types[] = {"|i1", "|u1", "<i2", "<u2",
                                        "<i4", "<u4", "<i8", "<u8",
                                        "<i8", "<u8", "<f4", "<f8"};
    static const char *const formats[] = {
        "|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4",
        ">i4", "<u8", ">u8", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8"};
    const nds_dtype *dt = NULL;
    nds_value extent = {.kind = NDS_VALUE_INT};
    nds_value *items[1] = {&extent};
    nds_value shape = {.kind = NDS_VALUE_TUPLE, .items = items, .count = 1};
    nds_value dtype = {.kind = NDS_VALUE_DTYPE};
    struct raw raw = {.order = 'C', .shape = &shape, .dtype = &dtype};
    const char *code, *type;
    size_t at = args->count == 4 ? 1 : 0;
    int rc;

    if ((args->count != 2 && args->count != 4) ||
        args->items[at]->kind != NDS_VALUE_STR ||
        args->items[at]->v.nbytes != 1 ||
        !has_data(args->items[args->count - 1])) {
        return refuse("array.array with other arguments");
    }
    code = strchr(codes, args->items[at]->u.text[0]);
    if (code == NULL || *code == '\0') {
        return refuse("array.array of another type code");
    }
    type = types[code - codes];
    if (args->count == 4) {
        const nds_value *format = args->items[2];

        if (format->kind != NDS_VALUE_INT || format->u.integer < 0 ||
            format->u.integer >= (int64_t)NDI_ARRAY_LEN(formats)) {
            return refuse("array.array of another format");
        }
        type = formats[format->u.integer];
    }
    rc = nds_dtype_parse(&dt, type);
    if (rc < 0) {
        return rc;
    }
    dtype.u.dtype = dt;
    raw.data = args->items[args->count - 1];
    extent.u.integer = (int64_t)(raw.data->v.nbytes /
                                 (size_t)nds_dtype_itemsize(dt));
    rc = array_value(&raw, false, out);
    nds_dtype_put(dt);
    return rc;
}

/* UTF-8, already checked, as UCS-4 in this machine's order. */
static void
widen(const nds_value *text, struct ndi_buf *b)
{
    const unsigned char *p = (const unsigned char *)text->u.text;

    for (size_t i = 0; i < text->v.nbytes;) {
        uint32_t c = p[i];
        int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

        c &= more == 0 ? 0x7fu : 0x3fu >> more;
        for (i++; more > 0; more--, i++) {
            c = c << 6 | (p[i] & 0x3fu);
        }
        ndi_buf_add(b, &c, sizeof c);
    }
}

/* A 0-d array of these bytes under that dtype. */
static int
scalar_of(const char *dtype_text, const void *data, size_t nbytes,
          nds_value **out)
{
    nds_value dtype = {.kind = NDS_VALUE_DTYPE};
    nds_value bytes = {.kind = NDS_VALUE_BYTES};
    nds_value shape = {.kind = NDS_VALUE_TUPLE};
    struct raw raw = {.order = 'C', .shape = &shape, .dtype = &dtype,
                      .data = &bytes};
    const nds_dtype *dt;
    int rc = nds_dtype_parse(&dt, dtype_text);

    if (rc < 0) {
        return rc;
    }
    dtype.u.dtype = dt;
    bytes.u.text = (char *)data;
    bytes.v.nbytes = nbytes;
    rc = array_value(&raw, true, out);
    nds_dtype_put(dt);
    return rc;
}

/* numpy.datetime64(count, unit) */
static int
time_scalar(const struct ndi_symbol *s, const nds_value *args,
            nds_value **out)
{
    char text[40];

    if (args->count < 1 || args->count > 2 ||
        args->items[0]->kind != NDS_VALUE_INT ||
        (args->count == 2 && (args->items[1]->kind != NDS_VALUE_STR ||
                              args->items[1]->v.nbytes > 20))) {
        return refuse("a time with other arguments");
    }
    if (args->count == 2) {
        snprintf(text, sizeof text, "%s[%s]", s->dtype,
                 args->items[1]->u.text);
    } else {
        snprintf(text, sizeof text, "%s", s->dtype);
    }
    return scalar_of(text, &args->items[0]->u.integer, sizeof(int64_t), out);
}

static int
number_of(const nds_value *v, nds_scalar *out)
{
    int64_t i;
    double d;

    if (v->kind == NDS_VALUE_COMPLEX) {
        *out = nds_complex(v->u.re, v->v.im);
    } else if (v->kind == NDS_VALUE_BOOL) {
        *out = nds_bool(v->u.truth);
    } else if (v->kind == NDS_VALUE_BIGINT && v->v.nbytes == 9 &&
               v->u.text[8] == 0) {
        uint64_t u;

        memcpy(&u, v->u.text, sizeof u);
        *out = nds_uint(u);
    } else if (nds_value_as_int(v, &i)) {
        *out = nds_int(i);
    } else if (nds_value_as_float(v, &d)) {
        *out = nds_float(d);
    } else {
        return refuse("a number with other arguments");
    }
    return 0;
}

/* numpy.float64(x) and its kin: our own form */
static int
number(const struct ndi_symbol *s, const nds_value *args, nds_value **out)
{
    const nds_value *v = args->count > 0 ? args->items[0] : NULL;
    struct ndi_buf b = {0};
    nds_scalar from;
    nds_view src;
    const nds_dtype *dt;
    nds_array *a = NULL;
    char text[40];
    int rc;

    if (s->dtype == NULL || s->dtype[1] == 'V') {
        return refuse("a scalar of this type");
    }
    if (s->dtype[1] == 'M' || s->dtype[1] == 'm') {
        return time_scalar(s, args, out);
    }
    if (args->count != 1) {
        return refuse("a number with other arguments");
    }
    if (s->dtype[1] == 'S' && v->kind == NDS_VALUE_BYTES) {
        snprintf(text, sizeof text, "|S%zu", v->v.nbytes);
        return scalar_of(text, v->u.text, v->v.nbytes, out);
    }
    if (s->dtype[1] == 'U' && v->kind == NDS_VALUE_STR) {
        widen(v, &b);
        snprintf(text, sizeof text, "<U%zu", b.nbytes / 4);
        rc = ndi_buf_ok(&b);
        rc = rc < 0 ? rc : scalar_of(text, b.data, b.nbytes, out);
        ndi_buf_fini(&b);
        return rc;
    }
    if (strcmp(s->dtype, "<f16") == 0 && v->kind == NDS_VALUE_STR) {
        union {
            long double value;
            unsigned char bytes[16];
        } x;
        char *end;

        memset(&x, 0, sizeof x);
        x.value = strtold(v->u.text, &end);
        return *end != '\0' ? refuse("a longdouble that is no number")
                            : scalar_of("<f16", x.bytes, sizeof x.bytes, out);
    }
    rc = number_of(v, &from);
    rc = rc < 0 ? rc : nds_dtype_parse(&dt, s->dtype);
    if (rc < 0) {
        return rc;
    }
    rc = nds_array_new(&a, dt, 0, NULL, NULL);
    nds_dtype_put(dt);
    if (rc == 0) {
        nds_scalar_view(&src, &from);
        rc = nds_assign(nds_array_view(a), &src);
        nds_view_fini(&src);
    }
    if (rc < 0) {
        nds_array_close(a);
        return rc;
    }
    *out = ndi_value_of_array(a, true);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

/* numpy.dtype(code, False, True), whose BUILD says the rest, or our own
 * numpy.dtype(descr) */
static int
dtype(const nds_value *args, nds_value **out)
{
    const nds_value *code = args->count > 0 ? args->items[0] : NULL;
    const nds_dtype *dt = NULL;
    int rc;

    if (code == NULL || args->count > 3) {
        return refuse("dtype with other arguments");
    }
    if (code->kind == NDS_VALUE_STR &&
        strchr(code->u.text, 'O') != NULL) {
        return refuse("a dtype that holds Python objects");
    }
    if (code->kind == NDI_VALUE_GLOBAL) {
        if (code->u.symbol->dtype == NULL) {
            return refuse("a dtype of this class");
        }
        rc = nds_dtype_parse(&dt, code->u.symbol->dtype);
    } else {
        rc = ndi_descr_to_dtype(code, &dt);
    }
    if (rc < 0) {
        return rc;
    }
    *out = nds_value_dtype(dt);
    nds_dtype_put(dt);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

int
ndi_reduce_array(const struct ndi_symbol *s, const nds_value *args,
                 nds_value **out)
{
    switch (s->action) {
    case NDI_ACT_DTYPE:
        return dtype(args, out);
    case NDI_ACT_NDARRAY:
        return ndarray(args, out);
    case NDI_ACT_RECONSTRUCT:
        return reconstruct(args, out);
    case NDI_ACT_FROMBUFFER:
        return frombuffer(args, out);
    case NDI_ACT_SCALAR:
        return scalar(args, out);
    case NDI_ACT_TYPED:
        return typed(args, out);
    default:
        return number(s, args, out);
    }
}
