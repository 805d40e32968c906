/* SPDX-License-Identifier: MIT */
/*
 * method_index.c - elements and slices of a hosted array, and what it is
 *
 * A result that shows the array's own memory is written to the client while
 * the object's lock is still held, so it is never a mixture of two writes.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <ndshare/ops.h>

#include <stdlib.h>
#include <string.h>

static int
made(nds_value *v, nds_value **out)
{
    *out = v;
    if (v != NULL) {
        return 0;
    }
    return nds_last_error()->code < 0 ? nds_last_error()->code : NDS_ENOMEM;
}

static int
need(const struct ndi_call *c, const char *method, size_t n)
{
    if (nds_value_count(c->args) != n) {
        return ndi_fail(NDS_ECAST, "%s() takes exactly %zu argument%s (%zu "
                        "given)", method, n, n == 1 ? "" : "s",
                        nds_value_count(c->args));
    }
    return 0;
}

/* The part of the array that an index names: basic indices, or a field. */
static int
select_part(const struct ndi_call *c, nds_view *part, bool *element)
{
    const nds_value *at = nds_value_item(c->args, 0);
    const nds_view *v = ndi_call_view(c);
    nds_index index[2 * NDS_MAX_NDIM];
    bool ellipsis;
    int count, rc;

    *element = false;
    if (nds_value_kind(at) == NDS_VALUE_STR) {
        return nds_view_field(part, v, nds_value_text(at, NULL));
    }
    rc = ndi_index_of_value(at, index, &count, &ellipsis);
    if (rc == 0) {
        rc = nds_view_index(part, v, count, index);
    }
    // a[...] of no dimensions stays an array, a[()] and a[i] are elements.
    *element = rc == 0 && part->ndim == 0 && !ellipsis;
    return rc;
}

static int
run_getitem(const struct ndi_call *c, nds_value **out)
{
    nds_array *a = NULL;
    nds_view part;
    bool element;
    int rc = need(c, "__getitem__", 1);

    if (rc == 0) {
        rc = select_part(c, &part, &element);
    }
    if (rc < 0) {
        return rc;
    }
    if (element) {
        rc = made(ndi_value_of_element(&part), out);
    } else {
        rc = nds_array_wrap(&a, c->self->array, &part);
        rc = rc < 0 ? rc : made(ndi_value_of_array(a, false), out);
    }
    nds_view_fini(&part);
    return rc;
}

static int
run_setitem(const struct ndi_call *c, nds_value **out)
{
    nds_array *value = NULL;
    nds_view part;
    bool element, weak;
    int rc = need(c, "__setitem__", 2);

    if (rc == 0) {
        rc = select_part(c, &part, &element);
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_array_of_value(c->idents, nds_value_item(c->args, 1), &value,
                            &weak);
    if (rc == 0) {
        rc = ndi_assign_value(&part, nds_value_item(c->args, 1), value, weak);
    }
    nds_array_close(value);
    nds_view_fini(&part);
    return rc < 0 ? rc : made(nds_value_none(), out);
}

static int
run_len(const struct ndi_call *c, nds_value **out)
{
    const nds_view *v = ndi_call_view(c);

    if (v->ndim == 0) {
        return ndi_fail(NDS_ECAST, "len() of unsized object");
    }
    return made(nds_value_int(v->shape[0]), out);
}

/* The whole array, or a copy in another type. */
static int
as_dtype(const struct ndi_call *c, const nds_value *dtype, bool copy,
         nds_value **out)
{
    const nds_view *v = ndi_call_view(c);
    const nds_dtype *dt = NULL;
    nds_array *a = NULL;
    int rc = ndi_value_to_dtype(dtype, &dt);

    if (rc < 0) {
        return rc;
    }
    if (dt == NULL || nds_dtype_equal(dt, v->dtype)) {
        rc = copy ? nds_array_copy(&a, v, NULL)
                  : nds_array_get(&a, c->self->array);
    } else {
        rc = nds_array_new(&a, dt, v->ndim, v->shape, NULL);
        if (rc == 0) {
            rc = nds_assign(nds_array_view(a), v);
        }
        if (rc < 0) {
            nds_array_close(ndi_steal(&a));
        }
    }
    nds_dtype_put(dt);
    return rc < 0 ? rc : made(ndi_value_of_array(a, false), out);
}

static int
run_array(const struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"dtype", "copy", NULL};
    int rc = ndi_call_check(c, "__array__", 2, names);

    // What arrives is a copy whatever `copy` asks for.
    return rc < 0 ? rc
                  : as_dtype(c, ndi_call_arg(c, 0, "dtype"), false, out);
}

static int
run_astype(const struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"dtype", "copy", NULL};
    int rc = ndi_call_check(c, "astype", 1, names);

    if (rc == 0 && ndi_call_arg(c, 0, "dtype") == NULL) {
        rc = ndi_fail(NDS_ECAST, "astype() missing required argument "
                      "'dtype' (pos 1)");
    }
    return rc < 0 ? rc
                  : as_dtype(c, ndi_call_arg(c, 0, "dtype"), false, out);
}

static int
run_copy(const struct ndi_call *c, nds_value **out)
{
    return as_dtype(c, NULL, true, out);
}

static int
run_whole(const struct ndi_call *c, nds_value **out)
{
    return as_dtype(c, NULL, false, out);
}

static int
run_tolist(const struct ndi_call *c, nds_value **out)
{
    return made(ndi_value_of_list(ndi_call_view(c)), out);
}

static int
run_item(const struct ndi_call *c, nds_value **out)
{
    const nds_view *v = ndi_call_view(c);
    nds_index index[2 * NDS_MAX_NDIM];
    size_t n = nds_value_count(c->args);
    bool ellipsis = false;
    int64_t flat, count = nds_view_count(v);
    nds_view part;
    int given, rc;

    if (n == 0 && count != 1) {
        return ndi_fail(NDS_EINVAL, "can only convert an array of size 1 to "
                        "a Python scalar");
    }
    if (n <= 1 &&
        (n == 0 || nds_value_kind(nds_value_item(c->args, 0)) !=
                       NDS_VALUE_TUPLE)) {
        flat = 0;
        if (n == 1 && !nds_value_as_int(nds_value_item(c->args, 0), &flat)) {
            return ndi_fail(NDS_ECAST, "an integer is required");
        }
        if (flat < -count || flat >= count) {
            return ndi_fail(NDS_EINDEX, "index %lld is out of bounds for "
                            "size %lld", (long long)flat, (long long)count);
        }
        flat += flat < 0 ? count : 0;
        for (int i = v->ndim - 1; i >= 0; i--) {
            index[i] = (nds_index){.kind = NDS_INDEX_INT,
                                   .start = flat % v->shape[i]};
            flat /= v->shape[i];
        }
        given = v->ndim;
    } else {
        rc = ndi_index_of_value(n == 1 ? nds_value_item(c->args, 0) : c->args,
                                index, &given, &ellipsis);
        if (rc < 0) {
            return rc;
        }
        if (given != v->ndim) {
            return ndi_fail(NDS_EINVAL,
                            "incorrect number of indices for array");
        }
    }
    rc = nds_view_index(&part, v, given, index);
    if (rc < 0) {
        return rc;
    }
    rc = part.ndim == 0 ? made(ndi_value_of_element(&part), out)
                        : ndi_fail(NDS_ECAST, "an integer is required");
    nds_view_fini(&part);
    return rc;
}

static int
run_shape(const struct ndi_call *c, nds_value **out)
{
    const nds_view *v = ndi_call_view(c);
    nds_value *t = nds_value_tuple();

    for (int i = 0; t != NULL && i < v->ndim; i++) {
        if (nds_value_append(t, nds_value_int(v->shape[i])) < 0) {
            nds_value_free(t);
            t = NULL;
        }
    }
    return made(t, out);
}

static int
run_dtype(const struct ndi_call *c, nds_value **out)
{
    return made(nds_value_dtype(ndi_call_view(c)->dtype), out);
}

static int
run_ndim(const struct ndi_call *c, nds_value **out)
{
    return made(nds_value_int(ndi_call_view(c)->ndim), out);
}

static int
run_size(const struct ndi_call *c, nds_value **out)
{
    return made(nds_value_int(nds_view_count(ndi_call_view(c))), out);
}

static int
run_nbytes(const struct ndi_call *c, nds_value **out)
{
    return made(nds_value_int(nds_view_nbytes(ndi_call_view(c))), out);
}

static int
text_value(int rc, char *text, nds_value **out)
{
    if (rc < 0) {
        return rc;
    }
    rc = made(nds_value_str(text), out);
    free(text);
    return rc;
}

static int
run_str(const struct ndi_call *c, nds_value **out)
{
    char *text = NULL;
    int rc = nds_view_str(ndi_call_view(c), NULL, &text);

    return text_value(rc, text, out);
}

static int
run_repr(const struct ndi_call *c, nds_value **out)
{
    char *text = NULL;
    int rc = nds_view_repr(ndi_call_view(c), NULL, &text);

    return text_value(rc, text, out);
}

const struct ndi_method ndi_index_methods[] = {
    {"__getitem__", false, false, run_getitem},
    {"__setitem__", true, false, run_setitem},
    {"__len__", false, false, run_len},
    {"__array__", false, false, run_array},
    {"astype", false, false, run_astype},
    {"copy", false, false, run_copy},
    {"tolist", false, false, run_tolist},
    {"item", false, false, run_item},
    {"shape", false, false, run_shape},
    {"dtype", false, false, run_dtype},
    {"ndim", false, false, run_ndim},
    {"size", false, false, run_size},
    {"nbytes", false, false, run_nbytes},
    {"__str__", false, true, run_str},
    {"__repr__", false, true, run_repr},
    {"#GETVALUE", false, true, run_whole},
    {NULL, false, false, NULL}};
