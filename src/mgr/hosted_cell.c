/* SPDX-License-Identifier: MIT */
/*
 * hosted_cell.c - Value(typecode, value) and Array(typecode, sequence)
 *
 * state.value is the value, or the list of numbers. As in stock Python the
 * typecode of a Value says nothing about what may be set, and is not kept; that
 * of an Array does, and state.limit is its letter.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

static int
make_value(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
           const nds_value *kwds)
{
    (void)kwds; // lock=True says nothing here, as in Python's managers
    if (nds_value_count(args) < 2) {
        return ndi_fail(NDS_ECAST, "Value() takes a typecode and a value");
    }
    return ndi_act_keep(t, nds_value_item(args, 1), &s->value);
}

static int
act_get(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(ndi_value_get(c->self->state.value), out);
}

static int
act_set(struct ndi_call *c, nds_value **out)
{
    nds_value *v = NULL;
    int rc = ndi_act_check(c, "set", 1, 1, NULL);

    rc = rc < 0 ? rc : ndi_act_keep(c->idents, nds_value_item(c->args, 0), &v);
    if (rc < 0) {
        return rc;
    }
    nds_value_free(c->self->state.value);
    c->self->state.value = v;
    return ndi_act_none(out);
}

/* What the typecode makes of the number: an integer within its range, a float
 * of its precision. [caller frees] */
static int
number_of(int64_t code, const nds_value *v, nds_value **out)
{
    static const struct {
        char code;
        int bits;
        bool is_signed;
    } widths[] = {{'b', 8, true},   {'B', 8, false},  {'h', 16, true},
                  {'H', 16, false}, {'i', 32, true},  {'I', 32, false},
                  {'l', 64, true},  {'L', 64, false}, {'q', 64, true},
                  {'Q', 64, false}};
    int64_t i = 0;
    double d = 0;

    if (code == 'f' || code == 'd') {
        if (!nds_value_as_float(v, &d)) {
            return ndi_fail(NDS_ECAST, "must be real number");
        }
        return ndi_act_made(nds_value_float(code == 'f' ? (double)(float)d
                                                        : d), out);
    }
    if (nds_value_kind(v) == NDS_VALUE_FLOAT ||
        (nds_value_kind(v) != NDS_VALUE_BIGINT && !nds_value_as_int(v, &i))) {
        return ndi_fail(NDS_ECAST, "an integer is required");
    }
    for (size_t k = 0; k < NDI_ARRAY_LEN(widths); k++) {
        int bits = widths[k].bits - widths[k].is_signed;
        bool big = nds_value_kind(v) == NDS_VALUE_BIGINT;

        if (widths[k].code != code) {
            continue;
        }
        if (big && (bits < 64 || v->v.nbytes != 9 || v->u.text[8] != 0)) {
            return ndi_fail(NDS_EOVERFLOW, "number out of the type's range");
        }
        if (!big && ((!widths[k].is_signed && i < 0) ||
                     (bits < 63 && (i >= INT64_C(1) << bits ||
                                    i < -(INT64_C(1) << bits))))) {
            return ndi_fail(NDS_EOVERFLOW, "number out of the type's range");
        }
        return ndi_act_made(big ? ndi_value_copy(v) : nds_value_int(i), out);
    }
    return ndi_fail(NDS_EINVAL, "bad typecode (must be b, B, h, H, i, I, l, "
                    "L, q, Q, f or d)");
}

static int
make_array(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
           const nds_value *kwds)
{
    const nds_value *code = nds_value_item(args, 0);
    const nds_value *from = nds_value_item(args, 1);
    int rc = 0;

    (void)t;
    (void)kwds;
    if (code == NULL || nds_value_kind(code) != NDS_VALUE_STR ||
        nds_value_count(code) != 1 || from == NULL ||
        (nds_value_kind(from) != NDS_VALUE_LIST &&
         nds_value_kind(from) != NDS_VALUE_TUPLE)) {
        return ndi_fail(NDS_ECAST, "Array() takes a typecode and a list");
    }
    s->limit = *nds_value_text(code, NULL);
    s->value = nds_value_list();
    rc = s->value == NULL ? NDS_ENOMEM : 0;
    for (size_t i = 0; rc == 0 && i < nds_value_count(from); i++) {
        nds_value *v = NULL;

        rc = number_of(s->limit, nds_value_item(from, i), &v);
        rc = rc < 0 ? rc : nds_value_append(s->value, v);
    }
    if (rc < 0) {
        nds_value_free(ndi_steal(&s->value));
    }
    return rc;
}

static int
place(struct ndi_call *c, const char *range_words, size_t *out)
{
    return ndi_act_index(c, nds_value_item(c->args, 0),
                         "array indices must be integers", range_words, out);
}

static int
act_getitem(struct ndi_call *c, nds_value **out)
{
    static const char words[] = "slices of a hosted Array are [start:stop]";
    const nds_value *at = nds_value_item(c->args, 0);
    int64_t start = 0, step = 1, count = 0;
    size_t i = 0;
    int rc = ndi_act_check(c, "__getitem__", 1, 1, NULL);

    if (rc < 0) {
        return rc;
    }
    if (nds_value_kind(at) != NDS_VALUE_SLICE) {
        rc = place(c, "array index out of range", &i);
        return rc < 0 ? rc
                      : ndi_act_made(
                            ndi_value_get(c->self->state.value->items[i]),
                            out);
    }
    if (nds_value_kind(nds_value_item(at, 2)) != NDS_VALUE_NONE) {
        return ndi_raise(c, "TypeError", "%s", words);
    }
    rc = ndi_act_slice(c, at, words, &start, &step, &count);
    return rc < 0 ? rc : ndi_act_items(c, start, step, count, out);
}

static int
act_setitem(struct ndi_call *c, nds_value **out)
{
    nds_value *v = NULL;
    size_t i = 0;
    int rc = ndi_act_check(c, "__setitem__", 2, 2, NULL);

    rc = rc < 0 ? rc : place(c, "array assignment index out of range", &i);
    if (rc == 0) {
        rc = number_of(c->self->state.limit, nds_value_item(c->args, 1), &v);
    }
    if (rc < 0) {
        return rc;
    }
    nds_value_free(c->self->state.value->items[i]);
    c->self->state.value->items[i] = v;
    return ndi_act_none(out);
}

const struct ndi_hosted_kind ndi_kind_value = {
    "Value",
    (const struct ndi_act[]){NDI_ACT("get", false, act_get),
                                NDI_ACT("set", false, act_set), NDI_ACT_END},
    make_value, false, false};
const struct ndi_hosted_kind ndi_kind_array = {
    "Array",
    (const struct ndi_act[]){NDI_ACT("__len__", false, ndi_act_count),
                                NDI_ACT("__getitem__", false, act_getitem),
                                NDI_ACT("__setitem__", false, act_setitem),
                                NDI_ACT_END},
    make_array, false, false};
