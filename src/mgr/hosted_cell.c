/* SPDX-License-Identifier: MIT */
/*
 * hosted_cell.c - Value(typecode, value) and Array(typecode, sequence)
 *
 * state.value of a Value is (typecode, value), of an Array the list of numbers.
 * As in stock Python the typecode of a Value says nothing about what may be
 * set; that of an Array does, and state.limit is its letter.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <string.h>

static int
make_value(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
           const nds_value *kwds)
{
    (void)kwds; // lock=True says nothing here, as in Python's managers
    if (nds_value_count(args) < 2) {
        return ndi_fail(NDS_ECAST, "Value() takes a typecode and a value");
    }
    s->value = nds_value_list();
    return s->value == NULL ? NDS_ENOMEM
                            : ndi_act_keep_items(t, s->value, args);
}

static int
act_get(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(ndi_value_get(c->self->state.value->items[1]), out);
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
    nds_value_free(c->self->state.value->items[1]);
    c->self->state.value->items[1] = v;
    return ndi_act_none(out);
}

static int
act_value_text(struct ndi_call *c, nds_value **out)
{
    const nds_value *v = c->self->state.value;
    struct ndi_buf b = {0};

    ndi_buf_add_str(&b, "Value(");
    int rc = ndi_value_repr_to(&b, v->items[0]);

    ndi_buf_add_str(&b, ", ");
    rc = rc < 0 ? rc : ndi_value_repr_to(&b, v->items[1]);
    ndi_buf_add_char(&b, ')');
    rc = rc < 0 ? rc : ndi_act_text(&b, out);
    ndi_buf_fini(&b);
    return rc;
}

/* multiprocessing.managers.Value, as a stock server would pickle it */
static int
act_value_whole(struct ndi_call *c, nds_value **out)
{
    const nds_value *v = c->self->state.value;
    nds_value *state = nds_value_dict();

    if (nds_value_set(state, "_typecode", ndi_value_copy(v->items[0])) < 0 ||
        nds_value_set(state, "_value", ndi_value_copy(v->items[1])) < 0) {
        nds_value_free(state);
        return NDS_ENOMEM;
    }
    return ndi_act_made(ndi_value_call("multiprocessing.managers", "Value",
                                       nds_value_tuple(), state, true), out);
}

static const struct {
    char code;
    int bits;
    bool is_signed;
} widths[] = {{'b', 8, true},   {'B', 8, false},  {'h', 16, true},
              {'H', 16, false}, {'i', 32, true},  {'I', 32, false},
              {'l', 64, true},  {'L', 64, false}, {'q', 64, true},
              {'Q', 64, false}};

/* What the typecode makes of the number: an integer within its range, a float
 * of its precision. [caller frees] */
static int
number_of(int64_t code, const nds_value *v, nds_value **out)
{
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

/* One element as the machine has it. */
static void
put_element(struct ndi_buf *b, int64_t code, const nds_value *v)
{
    int64_t i = 0;
    uint64_t u;
    double d = 0;
    float f;

    if (code == 'd') {
        nds_value_as_float(v, &d);
        ndi_buf_add(b, &d, sizeof d);
        return;
    }
    if (code == 'f') {
        nds_value_as_float(v, &d);
        f = (float)d;
        ndi_buf_add(b, &f, sizeof f);
        return;
    }
    if (nds_value_kind(v) == NDS_VALUE_BIGINT) {
        memcpy(&u, v->u.text, sizeof u); // 9 bytes, the last one 0
    } else {
        nds_value_as_int(v, &i);
        u = (uint64_t)i;
    }
    for (size_t k = 0; k < NDI_ARRAY_LEN(widths); k++) {
        if (widths[k].code == code) {
            ndi_buf_add(b, &u, (size_t)widths[k].bits / 8);
        }
    }
}

/* The items of a slice as array.array(code, bytes). */
static int
part(struct ndi_call *c, int64_t start, int64_t step, int64_t count,
     nds_value **out)
{
    const char code[2] = {(char)c->self->state.limit, '\0'};
    nds_value *args = nds_value_tuple();
    struct ndi_buf b = {0};
    int rc;

    for (int64_t k = 0; k < count; k++) {
        put_element(&b, code[0],
                    c->self->state.value->items[start + k * step]);
    }
    rc = ndi_buf_ok(&b);
    if (rc == 0) {
        rc = nds_value_append(args, nds_value_str(code));
        rc |= nds_value_append(args, nds_value_bytes(b.data, b.nbytes));
    }
    ndi_buf_fini(&b);
    if (rc != 0) {
        nds_value_free(args);
        return NDS_ENOMEM;
    }
    return ndi_act_made(ndi_value_call("array", "array", args, NULL, false),
                        out);
}

static int
act_getitem(struct ndi_call *c, nds_value **out)
{
    static const char words[] = "slice indices must be integers or None or "
                                "have an __index__ method";
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
    rc = ndi_act_slice(c, at, words, &start, &step, &count);
    return rc < 0 ? rc : part(c, start, step, count, out);
}

static int
act_array_whole(struct ndi_call *c, nds_value **out)
{
    return part(c, 0, 1, (int64_t)c->self->state.value->count, out);
}

static int
act_array_text(struct ndi_call *c, nds_value **out)
{
    struct ndi_buf b = {0};
    int rc = 0;

    ndi_buf_add_fmt(&b, "array('%c'", (char)c->self->state.limit);
    if (c->self->state.value->count != 0) {
        ndi_buf_add_str(&b, ", ");
        rc = ndi_value_repr_to(&b, c->self->state.value);
    }
    ndi_buf_add_char(&b, ')');
    rc = rc < 0 ? rc : ndi_act_text(&b, out);
    ndi_buf_fini(&b);
    return rc;
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
                             NDI_ACT("set", false, act_set),
                             NDI_ACT("__str__", true, act_value_text),
                             NDI_ACT("__repr__", true, act_value_text),
                             NDI_ACT("#GETVALUE", true, act_value_whole),
                             NDI_ACT_END},
    make_value, false, false};
const struct ndi_hosted_kind ndi_kind_array = {
    "Array",
    (const struct ndi_act[]){NDI_ACT("__len__", false, ndi_act_count),
                             NDI_ACT("__getitem__", false, act_getitem),
                             NDI_ACT("__setitem__", false, act_setitem),
                             NDI_ACT("__str__", true, act_array_text),
                             NDI_ACT("__repr__", true, act_array_text),
                             NDI_ACT("#GETVALUE", true, act_array_whole),
                             NDI_ACT_END},
    make_array, false, false};
