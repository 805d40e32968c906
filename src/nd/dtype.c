/* SPDX-License-Identifier: MIT */
/*
 * dtype.c - element types: immutable, counted, the plain numbers static
 *
 * The makers check every number they are given, because dtypes are built from
 * texts, files and pickles of strangers: sizes fit a C int as in NumPy, fields
 * lie inside their record, nesting ends at NDI_DTYPE_MAX_DEPTH. Everything
 * above may rely on it.
 */
#include <nd/dtype_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <ndshare/view.h>

#include <stdlib.h>
#include <string.h>

#define LONGDOUBLE ((int64_t)sizeof(long double))

#define NUMBER(t, k, size, align)                                             \
    [NDS_TYPE_##t] = {.refs = -1, .type = NDS_TYPE_##t, .kind = (k),          \
                      .itemsize = (size), .alignment = (align),               \
                      .unit = NDI_UNIT_GENERIC, .unit_count = 1}

static nds_dtype builtins[NDS_TYPE_COMPLEX128 + 1] = {
    NUMBER(BOOL, 'b', 1, 1),
    NUMBER(INT8, 'i', 1, 1),
    NUMBER(UINT8, 'u', 1, 1),
    NUMBER(INT16, 'i', 2, 2),
    NUMBER(UINT16, 'u', 2, 2),
    NUMBER(INT32, 'i', 4, 4),
    NUMBER(UINT32, 'u', 4, 4),
    NUMBER(INT64, 'i', 8, 8),
    NUMBER(UINT64, 'u', 8, 8),
    NUMBER(FLOAT16, 'f', 2, 2),
    NUMBER(FLOAT32, 'f', 4, 4),
    NUMBER(FLOAT64, 'f', 8, 8),
    NUMBER(LONGDOUBLE, 'f', LONGDOUBLE, _Alignof(long double)),
    NUMBER(COMPLEX64, 'c', 8, 4),
    NUMBER(COMPLEX128, 'c', 16, 8),
};

const nds_dtype *
nds_dtype_builtin(enum nds_type type)
{
    if (type < NDS_TYPE_BOOL || type > NDS_TYPE_COMPLEX128) {
        return NULL;
    }
    return &builtins[type];
}

const nds_dtype *
nds_dtype_get(const nds_dtype *dt)
{
    nds_dtype *d = (nds_dtype *)dt;

    if (d != NULL && d->refs >= 0) {
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    }
    return dt;
}

static void
dtype_free(nds_dtype *d)
{
    for (int64_t i = 0; i < d->nfields; i++) {
        free(d->fields[i].name);
        nds_dtype_put(d->fields[i].dtype);
    }
    free(d->fields);
    nds_dtype_put(d->base);
    free(d->shape);
    free(d);
}

void
nds_dtype_put(const nds_dtype *dt)
{
    nds_dtype *d = (nds_dtype *)dt;

    if (d == NULL || d->refs < 0) {
        return;
    }
    if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1) {
        dtype_free(d);
    }
}

enum nds_type
nds_dtype_type(const nds_dtype *dt)
{
    return dt->type;
}

char
nds_dtype_kind(const nds_dtype *dt)
{
    return dt->kind;
}

int64_t
nds_dtype_itemsize(const nds_dtype *dt)
{
    return dt->itemsize;
}

int64_t
nds_dtype_alignment(const nds_dtype *dt)
{
    return dt->alignment;
}

bool
nds_dtype_is_native(const nds_dtype *dt)
{
    if (dt->base != NULL) {
        return nds_dtype_is_native(dt->base);
    }
    for (int64_t i = 0; i < dt->nfields; i++) {
        if (!nds_dtype_is_native(dt->fields[i].dtype)) {
            return false;
        }
    }
    return !dt->swapped;
}

static bool
same_fields(const nds_dtype *a, const nds_dtype *b)
{
    if (ndi_dtype_is_record(a) != ndi_dtype_is_record(b) ||
        a->nfields != b->nfields) {
        return false;
    }
    for (int64_t i = 0; i < a->nfields; i++) {
        const struct ndi_field *x = &a->fields[i], *y = &b->fields[i];

        if (x->off != y->off || strcmp(x->name, y->name) != 0 ||
            !nds_dtype_equal(x->dtype, y->dtype)) {
            return false;
        }
    }
    return true;
}

bool
nds_dtype_equal(const nds_dtype *a, const nds_dtype *b)
{
    if (a == b) {
        return true;
    }
    if (a->type != b->type || a->itemsize != b->itemsize ||
        a->swapped != b->swapped || a->unit != b->unit ||
        a->unit_count != b->unit_count) {
        return false;
    }
    if (a->base != NULL || b->base != NULL) {
        return a->base != NULL && b->base != NULL && a->ndim == b->ndim &&
               memcmp(a->shape, b->shape,
                      sizeof(int64_t) * (size_t)a->ndim) == 0 &&
               nds_dtype_equal(a->base, b->base);
    }
    return same_fields(a, b);
}

int64_t
nds_dtype_field_count(const nds_dtype *dt)
{
    return dt->nfields;
}

int
nds_dtype_field(const nds_dtype *dt, int64_t i, const char **name,
                const nds_dtype **type, int64_t *off)
{
    if (i < 0 || i >= dt->nfields) {
        return ndi_fail(NDS_EINDEX,
                        "field %lld of a dtype with %lld fields",
                        (long long)i, (long long)dt->nfields);
    }
    if (name != NULL) {
        *name = dt->fields[i].name;
    }
    if (type != NULL) {
        *type = dt->fields[i].dtype;
    }
    if (off != NULL) {
        *off = dt->fields[i].off;
    }
    return 0;
}

const nds_dtype *
nds_dtype_base(const nds_dtype *dt, int *ndim, const int64_t **shape)
{
    if (ndim != NULL) {
        *ndim = dt->ndim;
    }
    if (shape != NULL) {
        *shape = dt->shape;
    }
    return dt->base;
}

int64_t
ndi_dtype_swap_unit(const nds_dtype *dt)
{
    switch (dt->type) {
    case NDS_TYPE_BYTES:
    case NDS_TYPE_VOID:
        return 1;
    case NDS_TYPE_STR:
        return 4;
    case NDS_TYPE_COMPLEX64:
    case NDS_TYPE_COMPLEX128:
        return dt->itemsize / 2;
    default:
        return dt->itemsize;
    }
}

/* ---- makers ------------------------------------------------------------- */

static int
dtype_new(nds_dtype **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return ndi_fail_nomem(sizeof **out, "a dtype");
    }
    (*out)->refs = 1;
    (*out)->alignment = 1;
    (*out)->unit = NDI_UNIT_GENERIC;
    (*out)->unit_count = 1;
    return 0;
}

static int
fail_too_big(void)
{
    return ndi_fail(NDS_EDTYPE,
                    "dtype size is negative or more than %d bytes",
                    NDI_DTYPE_MAX_NBYTES);
}

int
ndi_dtype_new_plain(const nds_dtype **out, enum nds_type type,
                    int64_t itemsize, bool swapped)
{
    const nds_dtype *number = nds_dtype_builtin(type);
    nds_dtype *d;
    int rc;

    *out = NULL;
    if (number != NULL && (!swapped || number->itemsize == 1)) {
        *out = number;
        return 0;
    }
    if (number == NULL && (itemsize < 0 || itemsize > NDI_DTYPE_MAX_NBYTES)) {
        return fail_too_big();
    }
    if (type == NDS_TYPE_STR && itemsize % 4 != 0) {
        return ndi_fail(NDS_EDTYPE, "a U dtype of %lld bytes, not whole "
                        "characters", (long long)itemsize);
    }
    rc = dtype_new(&d);
    if (rc < 0) {
        return rc;
    }
    d->type = type;
    d->itemsize = number != NULL ? number->itemsize : itemsize;
    d->alignment = number != NULL       ? number->alignment
                   : type == NDS_TYPE_STR ? 4
                                          : 1;
    d->kind = number != NULL           ? number->kind
              : type == NDS_TYPE_BYTES ? 'S'
              : type == NDS_TYPE_STR   ? 'U'
                                       : 'V';
    d->swapped = swapped && ndi_dtype_swap_unit(d) > 1;
    *out = d;
    return 0;
}

int
ndi_dtype_new_time(const nds_dtype **out, enum nds_type type,
                   enum ndi_time_unit unit, int32_t unit_count, bool swapped)
{
    nds_dtype *d;
    int rc;

    *out = NULL;
    if (unit < NDI_UNIT_Y || unit > NDI_UNIT_GENERIC || unit_count < 1) {
        return ndi_fail(NDS_EDTYPE, "bad time unit %d times %d", (int)unit,
                        (int)unit_count);
    }
    rc = dtype_new(&d);
    if (rc < 0) {
        return rc;
    }
    d->type = type;
    d->kind = type == NDS_TYPE_DATETIME ? 'M' : 'm';
    d->itemsize = 8;
    d->alignment = 8;
    d->unit = unit;
    d->unit_count = unit == NDI_UNIT_GENERIC ? 1 : unit_count;
    d->swapped = swapped;
    *out = d;
    return 0;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that a record of 50,000 fields costs no 50,000 squared. */
static int
check_names(int64_t nfields, const struct ndi_field *fields)
{
    const char **names;
    int rc = 0;

    if (nfields < 2) {
        return 0;
    }
    names = malloc((size_t)nfields * sizeof *names);
    if (names == NULL) {
        return ndi_fail_nomem((size_t)nfields * sizeof *names, "field names");
    }
    for (int64_t i = 0; i < nfields; i++) {
        names[i] = fields[i].name;
    }
    qsort(names, (size_t)nfields, sizeof *names, compare_names);
    for (int64_t i = 1; i < nfields && rc == 0; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            rc = ndi_fail(NDS_EDTYPE, "field '%s' occurs more than once",
                          names[i]);
        }
    }
    free(names);
    return rc;
}

/* Extent, alignment and depth of the fields, each checked. */
static int
measure_fields(nds_dtype *d, int64_t nfields, const struct ndi_field *fields)
{
    for (int64_t i = 0; i < nfields; i++) {
        const struct ndi_field *f = &fields[i];
        int64_t end;

        if (f->off < 0 || !ndi_add_i64(f->off, f->dtype->itemsize, &end) ||
            end > NDI_DTYPE_MAX_NBYTES) {
            return ndi_fail(NDS_EDTYPE, "field '%s' at offset %lld ends "
                            "beyond %d bytes", f->name, (long long)f->off,
                            NDI_DTYPE_MAX_NBYTES);
        }
        if (d->aligned && f->off % f->dtype->alignment != 0) {
            return ndi_fail(NDS_EDTYPE, "field '%s' at offset %lld is not "
                            "aligned to %lld", f->name, (long long)f->off,
                            (long long)f->dtype->alignment);
        }
        if (end > d->itemsize) {
            d->itemsize = end;
        }
        if (d->aligned && f->dtype->alignment > d->alignment) {
            d->alignment = f->dtype->alignment;
        }
        if (f->dtype->depth >= d->depth) {
            d->depth = f->dtype->depth + 1;
        }
    }
    if (d->depth > NDI_DTYPE_MAX_DEPTH) {
        return ndi_fail(NDS_EDTYPE, "records nested more than %d deep",
                        NDI_DTYPE_MAX_DEPTH);
    }
    return 0;
}

/* The size asked for, against what the fields need. */
static int
settle_itemsize(nds_dtype *d, int64_t itemsize)
{
    int64_t over = d->itemsize % d->alignment;

    if (itemsize < 0) {
        d->itemsize += over == 0 ? 0 : d->alignment - over;
        return d->itemsize > NDI_DTYPE_MAX_NBYTES ? fail_too_big() : 0;
    }
    if (itemsize > NDI_DTYPE_MAX_NBYTES) {
        return fail_too_big();
    }
    if (itemsize < d->itemsize) {
        return ndi_fail(NDS_EDTYPE, "the record needs %lld bytes, itemsize "
                        "%lld is too small", (long long)d->itemsize,
                        (long long)itemsize);
    }
    if (itemsize % d->alignment != 0) {
        return ndi_fail(NDS_EDTYPE, "itemsize %lld is not a multiple of the "
                        "alignment %lld", (long long)itemsize,
                        (long long)d->alignment);
    }
    d->itemsize = itemsize;
    return 0;
}

int
ndi_dtype_new_record(const nds_dtype **out, int64_t nfields,
                     const struct ndi_field *fields, int64_t itemsize,
                     bool aligned)
{
    nds_dtype *d;
    int rc;

    *out = NULL;
    rc = dtype_new(&d);
    if (rc < 0) {
        return rc;
    }
    d->type = NDS_TYPE_VOID;
    d->kind = 'V';
    d->aligned = aligned;
    d->depth = 1;
    if ((rc = measure_fields(d, nfields, fields)) < 0 ||
        (rc = settle_itemsize(d, itemsize)) < 0 ||
        (rc = check_names(nfields, fields)) < 0) {
        dtype_free(d);
        return rc;
    }
    // One more than needed: a record without fields is still a record.
    d->fields = calloc((size_t)nfields + 1, sizeof *d->fields);
    if (d->fields == NULL) {
        dtype_free(d);
        return ndi_fail_nomem((size_t)nfields * sizeof *d->fields, "fields");
    }
    for (int64_t i = 0; i < nfields; i++) {
        d->fields[i].name = strdup(fields[i].name);
        if (d->fields[i].name == NULL) {
            dtype_free(d);
            return ndi_fail_nomem(strlen(fields[i].name), "a field name");
        }
        d->fields[i].dtype = nds_dtype_get(fields[i].dtype);
        d->fields[i].off = fields[i].off;
        d->nfields = i + 1;
    }
    *out = d;
    return 0;
}

/* The shape of a sub-array whose base may be one itself. */
static int
join_shapes(nds_dtype *d, const nds_dtype *base, int ndim,
            const int64_t *shape)
{
    int all = ndim + base->ndim;

    if (ndim < 0 || all > NDS_MAX_NDIM) {
        return ndi_fail(NDS_EDTYPE, "a sub-array of %d dimensions", all);
    }
    d->shape = malloc(sizeof(int64_t) * (size_t)all);
    if (d->shape == NULL) {
        return ndi_fail_nomem(sizeof(int64_t) * (size_t)all, "a shape");
    }
    d->itemsize = base->itemsize;
    for (int i = 0; i < ndim; i++) {
        d->shape[i] = shape[i];
        if (shape[i] < 0 ||
            !ndi_mul_i64(d->itemsize, shape[i], &d->itemsize) ||
            d->itemsize > NDI_DTYPE_MAX_NBYTES) {
            return fail_too_big();
        }
    }
    for (int i = 0; i < base->ndim; i++) {
        d->shape[ndim + i] = base->shape[i];
    }
    d->ndim = all;
    return 0;
}

int
ndi_dtype_new_subarray(const nds_dtype **out, const nds_dtype *base, int ndim,
                       const int64_t *shape)
{
    const nds_dtype *element = base->base != NULL ? base->base : base;
    nds_dtype *d;
    int rc;

    *out = NULL;
    if (ndim == 0) {
        *out = nds_dtype_get(base);
        return 0;
    }
    rc = dtype_new(&d);
    if (rc < 0) {
        return rc;
    }
    d->type = NDS_TYPE_VOID;
    d->kind = 'V';
    rc = join_shapes(d, base, ndim, shape);
    if (rc < 0) {
        dtype_free(d);
        return rc;
    }
    d->alignment = base->alignment;
    d->depth = element->depth + 1;
    d->base = nds_dtype_get(element);
    if (d->depth > NDI_DTYPE_MAX_DEPTH) {
        dtype_free(d);
        return ndi_fail(NDS_EDTYPE, "dtypes nested more than %d deep",
                        NDI_DTYPE_MAX_DEPTH);
    }
    *out = d;
    return 0;
}

/* ---- another byte order ------------------------------------------------- */

static int
record_with_order(const nds_dtype **out, const nds_dtype *dt, char order)
{
    struct ndi_field *fields = calloc((size_t)dt->nfields + 1, sizeof *fields);
    int rc = 0;

    if (fields == NULL) {
        return ndi_fail_nomem((size_t)dt->nfields * sizeof *fields, "fields");
    }
    for (int64_t i = 0; i < dt->nfields && rc == 0; i++) {
        fields[i] = dt->fields[i];
        rc = nds_dtype_with_order(&fields[i].dtype, dt->fields[i].dtype,
                                  order);
    }
    if (rc == 0) {
        rc = ndi_dtype_new_record(out, dt->nfields, fields, dt->itemsize,
                                  dt->aligned);
    }
    for (int64_t i = 0; i < dt->nfields && fields[i].name != NULL; i++) {
        nds_dtype_put(fields[i].dtype);
    }
    free(fields);
    return rc;
}

int
nds_dtype_with_order(const nds_dtype **out, const nds_dtype *dt, char order)
{
    const union {
        uint16_t word;
        uint8_t first;
    } probe = {.word = 1};
    bool swapped = order == (probe.first == 1 ? '>' : '<');
    const nds_dtype *base;
    int rc;

    *out = NULL;
    if (order != '<' && order != '>' && order != '=') {
        return ndi_fail(NDS_EINVAL, "byte order '%c' is none of < > =", order);
    }
    if (ndi_dtype_is_record(dt)) {
        return record_with_order(out, dt, order);
    }
    if (dt->base != NULL) {
        rc = nds_dtype_with_order(&base, dt->base, order);
        if (rc == 0) {
            rc = ndi_dtype_new_subarray(out, base, dt->ndim, dt->shape);
            nds_dtype_put(base);
        }
        return rc;
    }
    if (dt->swapped == swapped || ndi_dtype_swap_unit(dt) == 1) {
        *out = nds_dtype_get(dt);
        return 0;
    }
    if (dt->kind == 'M' || dt->kind == 'm') {
        return ndi_dtype_new_time(out, dt->type, dt->unit, dt->unit_count,
                                  swapped);
    }
    return ndi_dtype_new_plain(out, dt->type, dt->itemsize, swapped);
}
