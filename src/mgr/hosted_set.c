/* SPDX-License-Identifier: MIT */
/*
 * hosted_set.c - set, as SyncManager has it from CPython 3.14 on
 *
 * state.value is the set, state.keys where each item stands in it. What a call
 * brings is gathered into a set aside first, so that an operand that is not
 * fit for it changes nothing.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <string.h>

#define MOST_OF_RANGE (1 << 24)

enum op { AND, OR, SUB, XOR };
enum side { LEFT, RIGHT, HERE }; /* set op x, x op set, set op= x */

static const struct rule {
    const char *name;
    enum op op;
    enum side side;
} rules[] = {
    {"__and__", AND, LEFT},   {"__or__", OR, LEFT},
    {"__sub__", SUB, LEFT},   {"__xor__", XOR, LEFT},
    {"__rand__", AND, RIGHT}, {"__ror__", OR, RIGHT},
    {"__rsub__", SUB, RIGHT}, {"__rxor__", XOR, RIGHT},
    {"__iand__", AND, HERE},  {"__ior__", OR, HERE},
    {"__isub__", SUB, HERE},  {"__ixor__", XOR, HERE},
    {"intersection", AND, LEFT},
    {"union", OR, LEFT},
    {"difference", SUB, LEFT},
    {"symmetric_difference", XOR, LEFT},
    {"intersection_update", AND, HERE},
    {"difference_update", SUB, HERE},
    {"symmetric_difference_update", XOR, HERE},
};

static const struct rule *
rule_of(const struct ndi_call *c)
{
    const struct rule *r = rules;

    while (strcmp(r->name, c->method) != 0) {
        r++;
    }
    return r;
}

static bool
is_set(const nds_value *v)
{
    return nds_value_kind(v) == NDS_VALUE_SET ||
           nds_value_kind(v) == NDS_VALUE_FROZENSET;
}

static bool
has(const struct ndi_state *s, const nds_value *item)
{
    return ndi_keys_find(&s->keys, s->value, item) < s->value->count;
}

static int
start(struct ndi_state *s)
{
    *s = (struct ndi_state){.value = nds_value_new_set(false)};
    return s->value != NULL ? 0 : NDS_ENOMEM;
}

/* Adds the item, taken over, also on failure, unless it is there. */
static int
add(struct ndi_state *s, nds_value *item)
{
    size_t at = s->value->count;
    int rc = item != NULL ? 0 : NDS_ENOMEM;

    if (rc == 0 && has(s, item)) {
        nds_value_free(item);
        return 0;
    }
    rc = rc < 0 ? rc : ndi_keys_reserve(&s->keys, s->value);
    if (rc < 0) {
        nds_value_free(item);
        return rc;
    }
    rc = nds_value_append(s->value, item);
    if (rc == 0) {
        ndi_keys_add(&s->keys, s->value, at);
    }
    return rc;
}

/* The characters of a text. */
static int
gather_text(struct ndi_state *s, const nds_value *from)
{
    size_t nbytes, n;
    const char *text = nds_value_text(from, &nbytes);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < nbytes; i += n) {
        for (n = 1; i + n < nbytes && ((unsigned char)text[i + n] >> 6) == 2;
             n++) {
        }
        rc = add(s, ndi_value_text(NDS_VALUE_STR, text + i, n));
    }
    return rc;
}

static int
gather_range(struct ndi_state *s, const nds_value *from)
{
    int64_t first, stop, step;
    uint64_t span = 0, by, n;
    int rc = 0;

    if (!nds_value_as_int(from->items[0], &first) ||
        !nds_value_as_int(from->items[1], &stop) ||
        !nds_value_as_int(from->items[2], &step) || step == 0) {
        return ndi_fail(NDS_ECAST, "a range of small integers was expected");
    }
    if (step > 0 ? first < stop : first > stop) {
        span = step > 0 ? (uint64_t)stop - (uint64_t)first
                        : (uint64_t)first - (uint64_t)stop;
    }
    by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    n = span / by + (span % by != 0);
    if (n > MOST_OF_RANGE) {
        return ndi_fail(NDS_ECAST, "a range of more than 2**24 items");
    }
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        rc = add(s, nds_value_int(first + (int64_t)i * step));
    }
    return rc;
}

/* A set of what an argument gives when gone over; its items are the
 * argument's. */
static int
gather(struct ndi_state *s, const nds_value *from)
{
    size_t width = nds_value_kind(from) == NDS_VALUE_DICT ? 2 : 1;
    int rc = start(s);

    if (rc < 0) {
        return rc;
    }
    switch (nds_value_kind(from)) {
    case NDS_VALUE_STR:
        rc = gather_text(s, from);
        break;
    case NDS_VALUE_RANGE:
        rc = gather_range(s, from);
        break;
    case NDS_VALUE_LIST:
    case NDS_VALUE_TUPLE:
    case NDS_VALUE_SET:
    case NDS_VALUE_FROZENSET:
    case NDS_VALUE_DICT:
        for (size_t i = 0; rc == 0 && i < from->count; i += width) {
            rc = ndi_keys_check(from->items[i]);
            rc = rc < 0 ? rc : add(s, ndi_value_get(from->items[i]));
        }
        break;
    default:
        rc = ndi_fail(NDS_ECAST, "the items of a set come from a list, a "
                      "tuple, a set, a dict, a range or a text here");
    }
    if (rc < 0) {
        ndi_state_fini(s);
    }
    return rc;
}

/* Copies of what was gathered, proxies among it pinned, into the state. */
static int
keep_all(struct ndi_idents *t, struct ndi_state *s,
         const struct ndi_state *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->value->count; i++) {
        nds_value *item = NULL;

        if (!has(s, from->value->items[i])) {
            rc = ndi_act_keep(t, from->value->items[i], &item);
            rc = rc < 0 ? rc : add(s, item);
        }
    }
    return rc;
}

/* Those of a that are in b, or are not. */
static int
pick(struct ndi_state *to, const struct ndi_state *a,
     const struct ndi_state *b, bool in)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < a->value->count; i++) {
        if (has(b, a->value->items[i]) == in) {
            rc = add(to, ndi_value_get(a->value->items[i]));
        }
    }
    return rc;
}

static int
combine(struct ndi_state *to, const struct ndi_state *a,
        const struct ndi_state *b, enum op op)
{
    struct ndi_state none = {0};
    int rc = start(to);

    rc = rc < 0 ? rc : start(&none);
    if (rc == 0) {
        rc = op == OR ? pick(to, a, &none, false)
                      : pick(to, a, b, op == AND);
    }
    if (rc == 0 && (op == OR || op == XOR)) {
        rc = pick(to, b, a, false);
    }
    ndi_state_fini(&none);
    if (rc < 0) {
        ndi_state_fini(to);
    }
    return rc;
}

/* self op= other. What stays is not copied, what comes is. */
static int
change(struct ndi_call *c, const struct ndi_state *other, enum op op)
{
    struct ndi_state *s = &c->self->state, fresh = {0}, more = {0};
    int rc = 0;

    if (op == OR) {
        return keep_all(c->idents, s, other);
    }
    rc = start(&more);
    rc = rc < 0 ? rc : combine(&fresh, s, other, op == AND ? AND : SUB);
    if (rc == 0 && op == XOR) {
        rc = pick(&more, other, s, false);
        rc = rc < 0 ? rc : keep_all(c->idents, &fresh, &more);
    }
    if (rc == 0) {
        struct ndi_state old = {.value = s->value, .keys = s->keys};

        s->value = ndi_steal(&fresh.value);
        s->keys = fresh.keys;
        fresh.keys = (struct ndi_keys){0};
        ndi_state_fini(&old);
    }
    ndi_state_fini(&more);
    ndi_state_fini(&fresh);
    return rc;
}

static int
make_set(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
         const nds_value *kwds)
{
    struct ndi_state from = {0};
    int rc;

    if (nds_value_count(args) > 1 || nds_value_count(kwds) > 0) {
        return ndi_fail(NDS_ECAST, "set expected at most 1 argument, got %zu",
                        nds_value_count(args));
    }
    rc = start(s);
    if (rc == 0 && nds_value_count(args) == 1) {
        rc = gather(&from, nds_value_item(args, 0));
        rc = rc < 0 ? rc : keep_all(t, s, &from);
        ndi_state_fini(&from);
    }
    if (rc < 0) {
        ndi_state_fini(s);
    }
    return rc;
}

/* The result of set op x in the state `to`, x an operand already gathered. */
static int
answer(struct ndi_call *c, const struct ndi_state *other,
       const struct rule *r, struct ndi_state *to)
{
    const struct ndi_state *self = &c->self->state;

    return r->side == RIGHT ? combine(to, other, self, r->op)
                            : combine(to, self, other, r->op);
}

/* __and__ and its like: between sets only, as in Python. */
static int
act_operator(struct ndi_call *c, nds_value **out)
{
    const struct rule *r = rule_of(c);
    const nds_value *x = nds_value_item(c->args, 0);
    struct ndi_state other = {0}, result = {0};
    int rc = ndi_act_check(c, r->name, 1, 1, NULL);

    if (rc < 0) {
        return rc;
    }
    if (!is_set(x)) {
        return ndi_act_made(ndi_value_new(NDS_VALUE_NOTIMPLEMENTED), out);
    }
    rc = gather(&other, x);
    if (rc == 0 && r->side == HERE) {
        rc = change(c, &other, r->op);
        rc = rc < 0 ? rc
                    : ndi_act_made(ndi_value_get(c->self->state.value), out);
    } else if (rc == 0) {
        rc = answer(c, &other, r, &result);
        if (rc == 0 && r->side == RIGHT) {
            result.value->kind = x->kind; // the left one's
        }
        rc = rc < 0 ? rc : ndi_act_made(ndi_steal(&result.value), out);
    }
    ndi_state_fini(&result);
    ndi_state_fini(&other);
    return rc;
}

/* union and its like: with any number of things to go over. */
static int
act_named(struct ndi_call *c, nds_value **out)
{
    const struct rule *r = rule_of(c);
    size_t n = nds_value_count(c->args);
    struct ndi_state all = {0}, first = {0};
    int rc = r->op == XOR ? ndi_act_check(c, r->name, 1, 1, NULL)
                          : ndi_act_check(c, r->name, 0, n, NULL);

    // The set as it is, combined with one after the other.
    rc = rc < 0 ? rc : start(&first);
    rc = rc < 0 ? rc : combine(&all, &c->self->state, &first, OR);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct ndi_state one = {0}, next = {0};

        rc = gather(&one, nds_value_item(c->args, i));
        rc = rc < 0 ? rc : combine(&next, &all, &one, r->op);
        ndi_state_fini(&one);
        if (rc == 0) {
            ndi_state_fini(&all);
            all = next;
        }
    }
    if (rc == 0 && r->side == LEFT) {
        rc = ndi_act_made(ndi_steal(&all.value), out);
    } else if (rc == 0) {
        // To be just that: what is missing goes, what is new comes.
        rc = change(c, &all, AND);
        rc = rc < 0 ? rc : change(c, &all, OR);
        rc = rc < 0 ? rc : ndi_act_none(out);
    }
    ndi_state_fini(&first);
    ndi_state_fini(&all);
    return rc;
}

static int
act_update(struct ndi_call *c, nds_value **out)
{
    size_t n = nds_value_count(c->args);
    int rc = ndi_act_check(c, "update", 0, n, NULL);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct ndi_state one = {0};

        rc = gather(&one, nds_value_item(c->args, i));
        rc = rc < 0 ? rc : change(c, &one, OR);
        ndi_state_fini(&one);
    }
    return rc < 0 ? rc : ndi_act_none(out);
}

/* ---- comparisons -------------------------------------------------------- */

static bool
within(const struct ndi_state *a, const struct ndi_state *b)
{
    for (size_t i = 0; i < a->value->count; i++) {
        if (!has(b, a->value->items[i])) {
            return false;
        }
    }
    return true;
}

static int
act_compare(struct ndi_call *c, nds_value **out)
{
    const struct ndi_state *self = &c->self->state;
    const nds_value *x = nds_value_item(c->args, 0);
    struct ndi_state other = {0};
    const char *name = c->method;
    bool under, truth;
    int rc = ndi_act_check(c, name, 1, 1, NULL);

    if (rc == 0 && name[0] == '_' && !is_set(x)) {
        return ndi_act_made(ndi_value_new(NDS_VALUE_NOTIMPLEMENTED), out);
    }
    rc = rc < 0 ? rc : gather(&other, x);
    if (rc < 0) {
        return rc;
    }
    under = name[2] == 'l' || strcmp(name, "issubset") == 0;
    truth = under ? within(self, &other) : within(&other, self);
    if (name[0] == '_' && name[3] == 't') {
        truth = truth && self->value->count != other.value->count;
    }
    ndi_state_fini(&other);
    return ndi_act_made(nds_value_bool(truth), out);
}

static int
act_isdisjoint(struct ndi_call *c, nds_value **out)
{
    struct ndi_state other = {0}, both = {0};
    int rc = ndi_act_check(c, "isdisjoint", 1, 1, NULL);

    rc = rc < 0 ? rc : gather(&other, nds_value_item(c->args, 0));
    rc = rc < 0 ? rc : combine(&both, &c->self->state, &other, AND);
    rc = rc < 0 ? rc
                : ndi_act_made(nds_value_bool(both.value->count == 0), out);
    ndi_state_fini(&both);
    ndi_state_fini(&other);
    return rc;
}

/* ---- one item ----------------------------------------------------------- */

/* Where the argument stands; count if nowhere. A set means the frozen one. */
static int
find(struct ndi_call *c, size_t *at)
{
    const struct ndi_state *s = &c->self->state;
    const nds_value *x = nds_value_item(c->args, 0);
    int rc = ndi_act_check(c, c->method, 1, 1, NULL);

    *at = s->value->count;
    if (rc == 0 && nds_value_kind(x) != NDS_VALUE_SET) {
        rc = ndi_keys_check(x);
    }
    if (rc == 0) {
        *at = ndi_keys_find(&s->keys, s->value, x);
    }
    return rc;
}

/* Takes the item out of the set [caller frees]. */
static nds_value *
cut(struct ndi_state *s, size_t at)
{
    ndi_keys_cut(&s->keys, s->value, at);
    return ndi_value_cut(s->value, at);
}

static int
act_add(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;
    nds_value *item = NULL;
    int rc = ndi_act_check(c, "add", 1, 1, NULL);

    rc = rc < 0 ? rc : ndi_keys_check(nds_value_item(c->args, 0));
    rc = rc < 0 ? rc
                : ndi_act_keep(c->idents, nds_value_item(c->args, 0), &item);
    rc = rc < 0 ? rc : add(s, item);
    return rc < 0 ? rc : ndi_act_none(out);
}

/* discard, and remove, which minds. */
static int
act_discard(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;
    size_t at;
    int rc = find(c, &at);

    if (rc < 0) {
        return rc;
    }
    if (at < s->value->count) {
        nds_value_free(cut(s, at));
    } else if (c->method[0] == 'r') {
        return ndi_raise_key(c, nds_value_item(c->args, 0));
    }
    return ndi_act_none(out);
}

static int
act_pop(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;
    int rc = ndi_act_check(c, "pop", 0, 0, NULL);

    if (rc == 0 && s->value->count == 0) {
        rc = ndi_raise(c, "KeyError", "pop from an empty set");
    }
    return rc < 0 ? rc : ndi_act_made(cut(s, s->value->count - 1), out);
}

static int
act_contains(struct ndi_call *c, nds_value **out)
{
    size_t at;
    int rc = find(c, &at);

    return rc < 0 ? rc
                  : ndi_act_made(nds_value_bool(
                                     at < c->self->state.value->count),
                                 out);
}

static int
act_clear(struct ndi_call *c, nds_value **out)
{
    ndi_value_clear(c->self->state.value);
    ndi_keys_clear(&c->self->state.keys);
    return ndi_act_none(out);
}

static int
act_copy(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(ndi_value_get(c->self->state.value), out);
}

static int
act_iter(struct ndi_call *c, nds_value **out)
{
    return ndi_act_iter(c->self->state.value, false, out);
}

const struct ndi_hosted_kind ndi_kind_set = {
    "set",
    (const struct ndi_act[]){
        NDI_ACT("__and__", false, act_operator),
        NDI_ACT("__contains__", false, act_contains),
        NDI_ACT("__iand__", false, act_operator),
        NDI_ACT("__ior__", false, act_operator),
        NDI_ACT("__isub__", false, act_operator),
        NDI_ACT("__iter__", false, act_iter),
        NDI_ACT("__ixor__", false, act_operator),
        NDI_ACT("__len__", false, ndi_act_count),
        NDI_ACT("__or__", false, act_operator),
        NDI_ACT("__rand__", false, act_operator),
        NDI_ACT("__ror__", false, act_operator),
        NDI_ACT("__rsub__", false, act_operator),
        NDI_ACT("__rxor__", false, act_operator),
        NDI_ACT("__sub__", false, act_operator),
        NDI_ACT("__xor__", false, act_operator),
        NDI_ACT("__ge__", false, act_compare),
        NDI_ACT("__gt__", false, act_compare),
        NDI_ACT("__le__", false, act_compare),
        NDI_ACT("__lt__", false, act_compare),
        NDI_ACT("add", false, act_add),
        NDI_ACT("clear", false, act_clear),
        NDI_ACT("copy", false, act_copy),
        NDI_ACT("difference", false, act_named),
        NDI_ACT("difference_update", false, act_named),
        NDI_ACT("discard", false, act_discard),
        NDI_ACT("intersection", false, act_named),
        NDI_ACT("intersection_update", false, act_named),
        NDI_ACT("isdisjoint", false, act_isdisjoint),
        NDI_ACT("issubset", false, act_compare),
        NDI_ACT("issuperset", false, act_compare),
        NDI_ACT("pop", false, act_pop),
        NDI_ACT("remove", false, act_discard),
        NDI_ACT("symmetric_difference", false, act_named),
        NDI_ACT("symmetric_difference_update", false, act_named),
        NDI_ACT("union", false, act_named),
        NDI_ACT("update", false, act_update), NDI_ACT_END},
    make_set, false, false};
