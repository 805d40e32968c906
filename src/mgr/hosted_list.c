/* SPDX-License-Identifier: MIT */
/* hosted_list.c - list: Python's words for what goes wrong */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

static nds_value *
items_of(const struct ndi_call *c)
{
    return c->self->state.value;
}

static int
make_list(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
          const nds_value *kwds)
{
    const nds_value *from = nds_value_item(args, 0);
    int rc;

    if (nds_value_count(args) > 1 || nds_value_count(kwds) != 0) {
        return ndi_fail(NDS_ECAST, "list expected at most 1 argument");
    }
    s->value = nds_value_list();
    rc = s->value != NULL ? 0 : NDS_ENOMEM;
    if (rc == 0 && from != NULL) {
        switch (nds_value_kind(from)) {
        case NDS_VALUE_LIST:
        case NDS_VALUE_TUPLE:
        case NDS_VALUE_SET:
        case NDS_VALUE_FROZENSET:
            rc = ndi_act_keep_items(t, s->value, from);
            break;
        default:
            rc = ndi_fail(NDS_ECAST, "a list is made of a list, a tuple or a "
                          "set here");
        }
    }
    if (rc < 0) {
        nds_value_free(ndi_steal(&s->value));
    }
    return rc;
}

static int
index_of(struct ndi_call *c, const nds_value *at, const char *what,
         size_t *out)
{
    return ndi_act_index(c, at, "list indices must be integers or slices",
                         what, out);
}

static int
slice_of(struct ndi_call *c, const nds_value *at, int64_t *start,
         int64_t *step, int64_t *count)
{
    return ndi_act_slice(c, at, "slice indices must be integers or None or "
                         "have an __index__ method", start, step, count);
}

static int
act_getitem(struct ndi_call *c, nds_value **out)
{
    const nds_value *at = nds_value_item(c->args, 0);
    int64_t start = 0, step = 1, count = 0;
    size_t i = 0;
    int rc = ndi_act_check(c, "__getitem__", 1, 1, NULL);

    if (rc < 0) {
        return rc;
    }
    if (nds_value_kind(at) != NDS_VALUE_SLICE) {
        rc = index_of(c, at, "list index out of range", &i);
        return rc < 0 ? rc
                      : ndi_act_made(ndi_value_get(items_of(c)->items[i]),
                                     out);
    }
    rc = slice_of(c, at, &start, &step, &count);
    return rc < 0 ? rc : ndi_act_items(c, start, step, count, out);
}

static int
replace_slice(struct ndi_call *c, const nds_value *at, const nds_value *with)
{
    int64_t start = 0, step = 1, count = 0, n;
    nds_value *all = items_of(c), *fresh = nds_value_list();
    int rc = slice_of(c, at, &start, &step, &count);

    if (rc == 0 && fresh == NULL) {
        rc = NDS_ENOMEM;
    }
    if (rc == 0 && with != NULL) {
        rc = nds_value_kind(with) == NDS_VALUE_LIST ||
                     nds_value_kind(with) == NDS_VALUE_TUPLE
                 ? ndi_act_keep_items(c->idents, fresh, with)
                 : ndi_raise(c, "TypeError", "can only assign an iterable");
    }
    n = rc == 0 ? (int64_t)fresh->count : 0;
    if (rc == 0 && with != NULL && step != 1 && n != count) {
        rc = ndi_raise(c, "ValueError", "attempt to assign sequence of size "
                       "%lld to extended slice of size %lld", (long long)n,
                       (long long)count);
    }
    if (rc == 0 && with != NULL && step != 1) {
        for (int64_t k = 0; k < n; k++) {
            nds_value *old = all->items[start + k * step];

            all->items[start + k * step] = ndi_value_get(fresh->items[k]);
            nds_value_free(old);
        }
    } else if (rc == 0) {
        // From the far end, so that what is left keeps its place.
        for (int64_t k = step > 0 ? count - 1 : 0; k >= 0 && k < count;
             k += step > 0 ? -1 : 1) {
            nds_value_free(ndi_value_cut(all, (size_t)(start + k * step)));
        }
        for (int64_t k = 0; rc == 0 && k < n; k++) {
            rc = ndi_value_insert(all, (size_t)(start + k),
                        ndi_value_get(fresh->items[k]));
        }
    }
    nds_value_free(fresh);
    return rc;
}

static int
act_setitem(struct ndi_call *c, nds_value **out)
{
    const nds_value *at = nds_value_item(c->args, 0);
    nds_value *v = NULL;
    size_t i = 0;
    int rc = ndi_act_check(c, "__setitem__", 2, 2, NULL);

    if (rc == 0 && nds_value_kind(at) == NDS_VALUE_SLICE) {
        rc = replace_slice(c, at, nds_value_item(c->args, 1));
        return rc < 0 ? rc : ndi_act_none(out);
    }
    if (rc == 0) {
        rc = index_of(c, at, "list assignment index out of range", &i);
    }
    if (rc == 0) {
        rc = ndi_act_keep(c->idents, nds_value_item(c->args, 1), &v);
    }
    if (rc < 0) {
        return rc;
    }
    nds_value_free(items_of(c)->items[i]);
    items_of(c)->items[i] = v;
    return ndi_act_none(out);
}

static int
act_delitem(struct ndi_call *c, nds_value **out)
{
    const nds_value *at = nds_value_item(c->args, 0);
    size_t i = 0;
    int rc = ndi_act_check(c, "__delitem__", 1, 1, NULL);

    if (rc == 0 && nds_value_kind(at) == NDS_VALUE_SLICE) {
        rc = replace_slice(c, at, NULL);
    } else if (rc == 0) {
        rc = index_of(c, at, "list assignment index out of range", &i);
        if (rc == 0) {
            nds_value_free(ndi_value_cut(items_of(c), i));
        }
    }
    return rc < 0 ? rc : ndi_act_none(out);
}

static int
act_append(struct ndi_call *c, nds_value **out)
{
    nds_value *v = NULL;
    int rc = ndi_act_check(c, "append", 1, 1, NULL);

    if (rc == 0) {
        rc = ndi_act_keep(c->idents, nds_value_item(c->args, 0), &v);
    }
    rc = rc < 0 ? rc : nds_value_append(items_of(c), v);
    return rc < 0 ? rc : ndi_act_none(out);
}

/* The items of an argument: of a list or tuple, or of a hosted list. */
static int
add_items(struct ndi_call *c, nds_value *to, const nds_value *from)
{
    if (from->kind == NDS_VALUE_STR || from->kind == NDS_VALUE_DICT ||
        (from->kind != NDS_VALUE_LIST && from->kind != NDS_VALUE_TUPLE &&
         from->kind != NDS_VALUE_SET && from->kind != NDS_VALUE_FROZENSET)) {
        return ndi_raise(c, "TypeError",
                         "a list, tuple or set was expected");
    }
    return ndi_act_keep_items(c->idents, to, from);
}

static int
act_extend(struct ndi_call *c, nds_value **out)
{
    nds_value *more = nds_value_list();
    int rc = ndi_act_check(c, "extend", 1, 1, NULL);

    // First aside: all of it or nothing.
    if (rc == 0) {
        rc = more == NULL ? NDS_ENOMEM
                          : add_items(c, more, nds_value_item(c->args, 0));
    }
    for (size_t i = 0; rc == 0 && i < more->count; i++) {
        rc = ndi_value_push(items_of(c), more->items[i]);
    }
    nds_value_free(more);
    return rc < 0 ? rc : ndi_act_none(out);
}

static int
act_insert(struct ndi_call *c, nds_value **out)
{
    int64_t at = 0, n = (int64_t)items_of(c)->count;
    nds_value *v = NULL;
    int rc = ndi_act_check(c, "insert", 2, 2, NULL);

    if (rc == 0 && !nds_value_as_int(nds_value_item(c->args, 0), &at)) {
        rc = ndi_raise(c, "TypeError", "an integer is required");
    }
    if (rc == 0) {
        rc = ndi_act_keep(c->idents, nds_value_item(c->args, 1), &v);
    }
    at += at < 0 ? n : 0;
    at = at < 0 ? 0 : at > n ? n : at;
    rc = rc < 0 ? rc : ndi_value_insert(items_of(c), (size_t)at, v);
    return rc < 0 ? rc : ndi_act_none(out);
}

static int
act_pop(struct ndi_call *c, nds_value **out)
{
    size_t i = items_of(c)->count - 1;
    int rc = ndi_act_check(c, "pop", 0, 1, NULL);

    if (rc == 0 && items_of(c)->count == 0) {
        rc = ndi_raise(c, "IndexError", "pop from empty list");
    }
    if (rc == 0 && nds_value_count(c->args) == 1) {
        rc = index_of(c, nds_value_item(c->args, 0), "pop index out of range",
                      &i);
    }
    return rc < 0 ? rc : ndi_act_made(ndi_value_cut(items_of(c), i), out);
}

/* The first item equal to the argument, or the number of items. */
static size_t
find(const struct ndi_call *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (ndi_value_equal(items_of(c)->items[i],
                            nds_value_item(c->args, 0))) {
            return i;
        }
    }
    return items_of(c)->count;
}

static int
act_remove(struct ndi_call *c, nds_value **out)
{
    size_t i;
    int rc = ndi_act_check(c, "remove", 1, 1, NULL);

    if (rc < 0) {
        return rc;
    }
    i = find(c, 0, items_of(c)->count);
    if (i == items_of(c)->count) {
        return ndi_raise(c, "ValueError", "list.remove(x): x not in list");
    }
    nds_value_free(ndi_value_cut(items_of(c), i));
    return ndi_act_none(out);
}

static int
act_index(struct ndi_call *c, nds_value **out)
{
    int64_t part[2] = {0, INT64_MAX}, n = (int64_t)items_of(c)->count;
    size_t i;
    int rc = ndi_act_check(c, "index", 1, 3, NULL);

    for (size_t k = 1; rc == 0 && k < nds_value_count(c->args); k++) {
        if (!nds_value_as_int(nds_value_item(c->args, k), &part[k - 1])) {
            rc = ndi_raise(c, "TypeError", "slice indices must be integers");
        }
    }
    for (int k = 0; k < 2; k++) {
        part[k] += part[k] < 0 ? n : 0;
        part[k] = part[k] < 0 ? 0 : part[k] > n ? n : part[k];
    }
    if (rc < 0) {
        return rc;
    }
    i = find(c, (size_t)part[0], (size_t)part[1]);
    if (i == items_of(c)->count) {
        char *text = NULL;

        if (nds_value_repr(nds_value_item(c->args, 0), &text) < 0) {
            return NDS_ENOMEM;
        }
        rc = ndi_raise(c, "ValueError", "%.200s is not in list", text);
        free(text);
        return rc;
    }
    return ndi_act_made(nds_value_int((int64_t)i), out);
}

static int
act_count(struct ndi_call *c, nds_value **out)
{
    int64_t n = 0;
    int rc = ndi_act_check(c, "count", 1, 1, NULL);

    for (size_t i = 0; rc == 0 && i < items_of(c)->count; i++) {
        n += ndi_value_equal(items_of(c)->items[i],
                             nds_value_item(c->args, 0));
    }
    return rc < 0 ? rc : ndi_act_made(nds_value_int(n), out);
}

static int
act_contains(struct ndi_call *c, nds_value **out)
{
    int rc = ndi_act_check(c, "__contains__", 1, 1, NULL);

    return rc < 0 ? rc
                  : ndi_act_made(nds_value_bool(
                                     find(c, 0, items_of(c)->count) !=
                                     items_of(c)->count), out);
}

static int
act_reverse(struct ndi_call *c, nds_value **out)
{
    nds_value *v = items_of(c);

    for (size_t i = 0; i < v->count / 2; i++) {
        nds_value *other = v->items[v->count - 1 - i];

        v->items[v->count - 1 - i] = v->items[i];
        v->items[i] = other;
    }
    return ndi_act_none(out);
}

/* Merges two sorted runs of `from` into `to`; stable. */
static int
merge(nds_value **to, nds_value **from, size_t left, size_t all, bool down)
{
    size_t a = 0, b = left;
    bool less = false;

    for (size_t i = 0; i < all; i++) {
        bool second = a == left;

        if (a < left && b < all) {
            int rc = down ? ndi_value_less(from[a], from[b], &less)
                          : ndi_value_less(from[b], from[a], &less);

            if (rc < 0) {
                return rc;
            }
            second = less;
        }
        to[i] = second ? from[b++] : from[a++];
    }
    return 0;
}

static int
act_sort(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"key", "reverse", NULL};
    const nds_value *key = nds_value_get(c->kwds, "key");
    const nds_value *reverse = nds_value_get(c->kwds, "reverse");
    nds_value *v = items_of(c), **from, **to;
    bool down = false;
    int rc = ndi_act_check(c, "sort", 0, 0, names);

    if (rc == 0 && key != NULL && nds_value_kind(key) != NDS_VALUE_NONE) {
        rc = ndi_raise(c, "TypeError", "key must be None: functions do not "
                       "run here");
    }
    if (rc == 0 && reverse != NULL && !nds_value_as_bool(reverse, &down)) {
        rc = ndi_raise(c, "TypeError", "reverse must be a bool");
    }
    if (rc < 0 || v->count < 2) {
        return rc < 0 ? rc : ndi_act_none(out);
    }
    from = calloc(2 * v->count, sizeof *from);
    if (from == NULL) {
        return ndi_fail_nomem(v->count * sizeof *from, "a sort");
    }
    to = from + v->count;
    memcpy(from, v->items, v->count * sizeof *from);
    for (size_t run = 1; rc == 0 && run < v->count; run *= 2) {
        for (size_t at = 0; rc == 0 && at < v->count; at += 2 * run) {
            size_t all = v->count - at < 2 * run ? v->count - at : 2 * run;

            rc = merge(to + at, from + at, run < all ? run : all, all, down);
        }
        if (rc == 0) {
            memcpy(from, to, v->count * sizeof *from);
        }
    }
    if (rc == 0) {
        memcpy(v->items, from, v->count * sizeof *from);
    }
    free(from);
    return rc < 0 ? rc : ndi_act_none(out);
}

static int
act_add(struct ndi_call *c, nds_value **out)
{
    nds_value *sum = nds_value_list();
    int rc = ndi_act_check(c, "__add__", 1, 1, NULL);

    for (size_t i = 0; rc == 0 && sum != NULL && i < items_of(c)->count;
         i++) {
        rc = ndi_value_push(sum, items_of(c)->items[i]);
    }
    if (rc == 0 && sum != NULL) {
        rc = add_items(c, sum, nds_value_item(c->args, 0));
    }
    if (rc < 0) {
        nds_value_free(sum);
        return rc;
    }
    return ndi_act_made(sum, out);
}

static int
repeat(struct ndi_call *c, nds_value **out)
{
    int64_t times = 0;
    nds_value *all = nds_value_list();
    int rc = ndi_act_check(c, "__mul__", 1, 1, NULL);

    if (rc == 0 && !nds_value_as_int(nds_value_item(c->args, 0), &times)) {
        rc = ndi_raise(c, "TypeError",
                       "can't multiply sequence by non-int");
    }
    if (rc == 0 && times > 0 &&
        (uint64_t)times * items_of(c)->count > (1u << 24)) {
        rc = ndi_raise(c, "MemoryError", "a list of more than 2**24 items");
    }
    for (int64_t k = 0; rc == 0 && all != NULL && k < times; k++) {
        for (size_t i = 0; rc == 0 && i < items_of(c)->count; i++) {
            nds_value *item = ndi_value_copy(items_of(c)->items[i]);

            rc = nds_value_append(all, item);
        }
    }
    if (rc < 0) {
        nds_value_free(all);
        return rc;
    }
    return ndi_act_made(all, out);
}

static int
act_imul(struct ndi_call *c, nds_value **out)
{
    nds_value *all = NULL;
    int rc = repeat(c, &all);

    if (rc < 0) {
        return rc;
    }
    nds_value_free(c->self->state.value);
    c->self->state.value = all;
    return ndi_act_none(out);
}

static int
act_clear(struct ndi_call *c, nds_value **out)
{
    ndi_value_clear(items_of(c));
    return ndi_act_none(out);
}

static int
act_copy(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(ndi_value_get(items_of(c)), out);
}

static int
act_reversed(struct ndi_call *c, nds_value **out)
{
    return ndi_act_iter(items_of(c), true, out);
}

const struct ndi_hosted_kind ndi_kind_list = {
    "list",
    (const struct ndi_act[]){
        NDI_ACT("__add__", false, act_add),
        NDI_ACT("__contains__", false, act_contains),
        NDI_ACT("__delitem__", false, act_delitem),
        NDI_ACT("__getitem__", false, act_getitem),
        NDI_ACT("__len__", false, ndi_act_count),
        NDI_ACT("__mul__", false, repeat),
        NDI_ACT("__reversed__", true, act_reversed),
        NDI_ACT("__rmul__", false, repeat),
        NDI_ACT("__setitem__", false, act_setitem),
        NDI_ACT("append", false, act_append),
        NDI_ACT("clear", true, act_clear),
        NDI_ACT("copy", true, act_copy),
        NDI_ACT("count", false, act_count),
        NDI_ACT("extend", false, act_extend),
        NDI_ACT("index", false, act_index),
        NDI_ACT("insert", false, act_insert),
        NDI_ACT("pop", false, act_pop),
        NDI_ACT("remove", false, act_remove),
        NDI_ACT("reverse", false, act_reverse),
        NDI_ACT("sort", false, act_sort),
        NDI_ACT("__imul__", false, act_imul), NDI_ACT_END},
    make_list, false, false};
