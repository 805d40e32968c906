/* SPDX-License-Identifier: MIT */
/* value_edit.c - containers changed, and values as bytes of a pickle */
#include <pickle/pickle.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

nds_value *
nds_value_bytearray(const void *data, size_t nbytes)
{
    return ndi_value_text(NDS_VALUE_BYTEARRAY, data, nbytes);
}

nds_value *
nds_value_new_set(bool frozen)
{
    return ndi_value_new(frozen ? NDS_VALUE_FROZENSET : NDS_VALUE_SET);
}

nds_value *
nds_value_range(int64_t start, int64_t stop, int64_t step)
{
    int64_t part[3] = {start, stop, step};
    nds_value *v = ndi_value_new(NDS_VALUE_RANGE);

    for (int i = 0; v != NULL && i < 3; i++) {
        if (nds_value_append(v, nds_value_int(part[i])) < 0) {
            nds_value_free(ndi_steal(&v));
        }
    }
    return v;
}

nds_value *
nds_value_copy(const nds_value *v)
{
    return ndi_value_copy(v);
}

bool
nds_value_equal(const nds_value *a, const nds_value *b)
{
    return ndi_value_equal(a, b);
}

bool
nds_value_is_none(const nds_value *v)
{
    return v->kind == NDS_VALUE_NONE;
}

/* How many items make an entry of it; 0: it has none to change. */
static size_t
entry_width(const nds_value *v)
{
    return v->kind == NDS_VALUE_DICT ? 2
           : v->kind == NDS_VALUE_LIST || v->kind == NDS_VALUE_TUPLE ||
                   v->kind == NDS_VALUE_SET ||
                   v->kind == NDS_VALUE_FROZENSET
               ? 1
               : 0;
}

/* The place of the item, or of the key's entry; SIZE_MAX. */
static size_t
place_of(const nds_value *v, const nds_value *item)
{
    size_t width = entry_width(v);

    for (size_t i = 0; width != 0 && i + width <= v->count; i += width) {
        if (ndi_value_equal(v->items[i], item)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool
nds_value_contains(const nds_value *v, const nds_value *item)
{
    return place_of(v, item) != SIZE_MAX;
}

const nds_value *
nds_value_get_key(const nds_value *dict, const nds_value *key)
{
    size_t at = dict->kind == NDS_VALUE_DICT ? place_of(dict, key) : SIZE_MAX;

    return at == SIZE_MAX ? NULL : dict->items[at + 1];
}

int
nds_value_set_key(nds_value *dict, nds_value *key, nds_value *item)
{
    size_t at = SIZE_MAX;
    int rc = 0;

    if (dict == NULL || key == NULL || item == NULL) {
        rc = ndi_fail_nomem(sizeof *item, "a value");
    } else if (dict->kind != NDS_VALUE_DICT) {
        rc = ndi_fail(NDS_EINVAL, "the value is no dict");
    } else {
        at = place_of(dict, key);
    }
    if (rc == 0 && at == SIZE_MAX) {
        rc = ndi_value_push(dict, key);
        rc = rc < 0 ? rc : ndi_value_push(dict, item);
        if (rc < 0 && dict->count % 2 != 0) {
            nds_value_free(dict->items[--dict->count]);
        }
    } else if (rc == 0) {
        nds_value_free(dict->items[at + 1]);
        dict->items[at + 1] = ndi_value_get(item);
    }
    nds_value_free(key);
    nds_value_free(item);
    return rc;
}

static int
no_such_item(const nds_value *v, size_t i)
{
    return ndi_fail(NDS_EINDEX, "index %zu is out of bounds: the value has "
                    "%zu items", i, v->count);
}

int
nds_value_insert(nds_value *list, size_t i, nds_value *item)
{
    int rc = list == NULL || item == NULL
                 ? ndi_fail_nomem(sizeof *item, "a value")
             : entry_width(list) != 1
                 ? ndi_fail(NDS_EINVAL, "the value is no list")
             : i > list->count ? no_such_item(list, i)
                               : 0;

    if (rc < 0) {
        nds_value_free(item);
        return rc;
    }
    return ndi_value_insert(list, i, item);
}

int
nds_value_replace(nds_value *v, size_t i, nds_value *item)
{
    int rc = v == NULL || item == NULL
                 ? ndi_fail_nomem(sizeof *item, "a value")
             : i >= v->count ? no_such_item(v, i)
                             : 0;

    if (rc < 0) {
        nds_value_free(item);
        return rc;
    }
    nds_value_free(v->items[i]);
    v->items[i] = item;
    return 0;
}

int
nds_value_remove(nds_value *v, size_t i)
{
    size_t width = entry_width(v);

    if (width == 0) {
        return ndi_fail(NDS_EINVAL, "the value holds no items to remove");
    }
    if (i >= v->count) {
        return no_such_item(v, i);
    }
    i -= i % width;
    for (size_t k = 0; k < width; k++) {
        nds_value_free(ndi_value_cut(v, i));
    }
    return 0;
}

bool
nds_value_as_complex(const nds_value *v, double *re, double *im)
{
    nds_scalar s = nds_complex(0, 0);
    const nds_array *a = nds_value_as_array(v);
    nds_view to;
    double part[2];
    int rc;

    if (v->kind == NDS_VALUE_COMPLEX) {
        *re = v->u.re;
        *im = v->v.im;
        return true;
    }
    *im = 0;
    if (nds_value_as_float(v, re)) {
        return true;
    }
    if (a == NULL || nds_array_view(a)->ndim != 0 ||
        nds_dtype_kind(nds_array_view(a)->dtype) != 'c') {
        return false;
    }
    nds_scalar_view(&to, &s);
    rc = nds_assign(&to, nds_array_view(a));
    nds_view_fini(&to);
    memcpy(part, s.data, sizeof part);
    *re = part[0];
    *im = part[1];
    return rc == 0;
}

int
nds_value_dumps(const nds_value *v, int protocol, void **data, size_t *nbytes)
{
    struct ndi_pickle p = {0};
    struct iovec *iov = NULL;
    unsigned char *out = NULL;
    size_t at = 0;
    int count = 0, rc;

    *data = NULL;
    *nbytes = 0;
    if (v == NULL || (protocol != 0 && protocol != 4 && protocol != 5)) {
        return ndi_fail(NDS_EINVAL, "protocol %d is not written: 4 and 5 are",
                        protocol);
    }
    rc = ndi_pickle_write(&p, v, protocol == 4 ? 4 : 5);
    if (rc == 0) {
        rc = ndi_pickle_pieces(&p, &iov, &count);
    }
    if (rc == 0) {
        out = malloc(ndi_pickle_nbytes(&p));
        rc = out != NULL ? 0 : ndi_fail_nomem(ndi_pickle_nbytes(&p),
                                              "a pickle");
    }
    for (int i = 1; rc == 0 && i < count; i++) {
        if (iov[i].iov_len != 0) {
            memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
        }
        at += iov[i].iov_len;
    }
    free(iov);
    ndi_pickle_fini(&p);
    *data = out;
    *nbytes = at;
    return rc;
}

int
nds_value_loads(nds_value **out, const void *data, size_t nbytes)
{
    return ndi_pickle_read(out, data, nbytes);
}
