/* SPDX-License-Identifier: MIT */
/*
 * typed.c - multiprocessing.Array and Value: a type code, a lock, a list
 *
 * A typed array is a shareable array whose own lock guards get and set. Codes
 * and their C types are those of Python's array module and sharedctypes
 * (c: one byte, u: one UCS-4 character). A Value is one of count 1.
 */
#include <array/array_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

struct nds_typed {
    nds_array *array;
    char code;
    bool locked;
};

static const struct type_code {
    char code;
    const char *dtype;
} type_codes[] = {
    {'c', "S1"}, {'b', "i1"}, {'B', "u1"}, {'u', "U1"}, {'h', "i2"},
    {'H', "u2"}, {'i', "i4"}, {'I', "u4"}, {'l', "i8"}, {'L', "u8"},
    {'q', "i8"}, {'Q', "u8"}, {'f', "f4"}, {'d', "f8"},
};

static int
dtype_of_code(const nds_dtype **out, char code)
{
    for (size_t i = 0; i < NDI_ARRAY_LEN(type_codes); i++) {
        if (type_codes[i].code == code) {
            return nds_dtype_parse(out, type_codes[i].dtype);
        }
    }
    *out = NULL;
    return ndi_fail(NDS_EDTYPE, "type code '%c': one of c b B u h H i I l L q "
                    "Q f d", code);
}

/* Takes over the array's handle, also on failure. */
static int
typed_over(nds_typed **out, nds_array *a, char code, bool locked)
{
    nds_typed *t = calloc(1, sizeof *t);

    *out = NULL;
    if (t == NULL) {
        nds_array_close(a);
        return ndi_fail_nomem(sizeof *t, "a typed array");
    }
    *t = (nds_typed){a, code, locked};
    *out = t;
    return 0;
}

static int
typed_make(nds_typed **out, char code, int ndim, const int64_t *shape,
           bool locked)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    const nds_dtype *dtype = NULL;
    nds_array *a = NULL;
    int rc;

    *out = NULL;
    rc = dtype_of_code(&dtype, code);
    if (rc == 0) {
        rc = nds_array_new(&a, dtype, ndim, shape, &opts);
    }
    nds_dtype_put(dtype);
    return rc < 0 ? rc : typed_over(out, a, code, locked);
}

int
nds_typed_new(nds_typed **out, char code, int64_t count, bool locked)
{
    return typed_make(out, code, 1, &count, locked);
}

int
nds_typed_from(nds_typed **out, char code, const nds_view *init, bool locked)
{
    nds_typed *t = NULL;
    int rc;

    *out = NULL;
    rc = typed_make(&t, code, init->ndim, init->shape, locked);
    if (rc == 0) {
        rc = nds_assign(&t->array->view, init);
    }
    if (rc == 0) {
        *out = ndi_steal(&t);
    }
    nds_typed_close(t);
    return rc;
}

void
nds_typed_close(nds_typed *t)
{
    if (t != NULL) {
        nds_array_close(t->array);
        free(t);
    }
}

int64_t
nds_typed_count(const nds_typed *t)
{
    const nds_view *v = &t->array->view;

    return v->ndim == 0 ? 1 : v->shape[0];
}

char
nds_typed_code(const nds_typed *t)
{
    return t->code;
}

nds_array *
nds_typed_array(nds_typed *t)
{
    return t->array;
}

int
nds_typed_lock(nds_typed *t, int64_t timeout_ns)
{
    return nds_array_lock(t->array, timeout_ns);
}

int
nds_typed_unlock(nds_typed *t)
{
    return nds_array_unlock(t->array);
}

/* The element in C order; negative counts from the end. */
static int
element(nds_typed *t, int64_t i, nds_view *out)
{
    const nds_view *v = &t->array->view;
    int64_t count = nds_view_count(v);
    int64_t at = i < 0 ? i + count : i;
    int rc;

    if (at < 0 || at >= count) {
        return ndi_fail(NDS_EINDEX, "index %lld of a typed array of %lld "
                        "elements", (long long)i, (long long)count);
    }
    rc = nds_view_init(out, v->dtype,
                       (char *)v->data + at * nds_dtype_itemsize(v->dtype),
                       (size_t)nds_dtype_itemsize(v->dtype), 0, NULL);
    return rc;
}

/* The lock around one access. Whoever held it died between accesses of whole
 * elements, so there is nothing to repair. */
static int
guard(nds_typed *t)
{
    int rc = t->locked && !ndi_lock_is_mine(&t->array->segment->party,
                                            &t->array->segment->ctl->lock)
                 ? nds_array_lock(t->array, NDS_FOREVER)
                 : 1;

    return rc == NDS_EOWNERDEAD ? 0 : rc;
}

static int
assign_element(nds_typed *t, int64_t i, nds_scalar *s, bool set)
{
    nds_view one, scalar;
    int held, rc;

    rc = element(t, i, &one);
    if (rc < 0) {
        return rc;
    }
    nds_scalar_view(&scalar, s);
    held = guard(t);
    if (held < 0) {
        rc = held;
    } else {
        rc = set ? nds_assign(&one, &scalar) : nds_assign(&scalar, &one);
    }
    if (held == 0) {
        nds_array_unlock(t->array);
    }
    nds_view_fini(&scalar);
    nds_view_fini(&one);
    return rc;
}

int
nds_typed_get(nds_typed *t, int64_t i, nds_scalar *out)
{
    const nds_dtype *dtype = t->array->view.dtype;

    *out = (nds_scalar){0};
    if (t->code == 'c') {
        out->dtype = NDS_UINT8;
    } else if (t->code == 'u') {
        out->dtype = NDS_UINT32;
    } else {
        out->dtype = nds_dtype_builtin(nds_dtype_type(dtype));
    }
    if (t->code == 'c' || t->code == 'u') {
        nds_view one;
        int rc = element(t, i, &one);

        if (rc == 0) {
            memcpy(out->data, one.data, (size_t)nds_dtype_itemsize(dtype));
            nds_view_fini(&one);
        }
        return rc;
    }
    return assign_element(t, i, out, false);
}

int
nds_typed_set(nds_typed *t, int64_t i, nds_scalar value)
{
    char kind = nds_dtype_kind(value.dtype);
    bool text = t->code == 'c' || t->code == 'u';
    bool real = t->code == 'f' || t->code == 'd';
    nds_view one;
    int rc;

    if (kind == 'c' || (kind == 'f' && !real)) {
        return ndi_fail(NDS_ECAST, "a typed array of code '%c' takes "
                        "integers, not %s", t->code,
                        kind == 'c' ? "complex numbers" : "floats");
    }
    if (!text) {
        return assign_element(t, i, &value, true);
    }
    rc = element(t, i, &one);
    if (rc == 0) {
        uint32_t c = (uint32_t)nds_scalar_int64(&value);

        memcpy(one.data, &c, t->code == 'c' ? 1 : 4);
        nds_view_fini(&one);
    }
    return rc;
}

int
nds_typed_str(nds_typed *t, int64_t start, int64_t stop, char **text)
{
    nds_index index = {NDS_INDEX_SLICE, start, stop, NDS_INDEX_MISSING};
    nds_view part;
    int held, rc;

    *text = NULL;
    if (t->array->view.ndim == 0) {
        return nds_view_tolist_str(&t->array->view, text);
    }
    rc = nds_view_index(&part, &t->array->view, 1, &index);
    if (rc < 0) {
        return rc;
    }
    held = guard(t);
    rc = held < 0 ? held : nds_view_tolist_str(&part, text);
    if (held == 0) {
        nds_array_unlock(t->array);
    }
    nds_view_fini(&part);
    return rc;
}

/* ---- the carrier -------------------------------------------------------- */

static int
carry_pack(void *handle, struct ndi_parcel *p)
{
    nds_typed *t = handle;

    ndi_parcel_add_u64(p, (uint64_t)(unsigned char)t->code);
    ndi_parcel_add_u64(p, t->locked);
    return ndi_ticket_pack(t->array, NDS_SHARED, p);
}

static int
carry_unpack(struct ndi_parcel *p, void **handle)
{
    char code = (char)ndi_parcel_u64(p);
    bool locked = ndi_parcel_u64(p) != 0;
    const nds_dtype *dtype = NULL;
    nds_array *a = NULL;
    nds_typed *t = NULL;
    int rc = dtype_of_code(&dtype, code);

    if (rc == 0) {
        rc = ndi_ticket_unpack(p, &a);
    }
    if (rc == 0 && (a->segment == NULL ||
                    !nds_dtype_equal(a->view.dtype, dtype))) {
        rc = ndi_fail(NDS_EPROTO, "a typed array of code '%c' over other "
                      "memory", code);
        nds_array_close(a);
        a = NULL;
    }
    nds_dtype_put(dtype);
    if (rc == 0) {
        rc = typed_over(&t, a, code, locked);
    }
    *handle = t;
    return rc;
}

static void
carry_close(void *handle)
{
    nds_typed_close(handle);
}

static struct ndi_carrier typed_carrier = {"typed", carry_pack, carry_unpack,
                                           carry_close, NULL};

__attribute__((constructor)) static void
register_typed_carrier(void)
{
    ndi_carrier_register(&typed_carrier);
}
