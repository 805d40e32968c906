/* SPDX-License-Identifier: MIT */
/*
 * hosted_dict.c - dict, Namespace, and the iterator that dict.__iter__ makes
 *
 * state.value is the dict; of an iterator the list of its keys and, last, its
 * ident, state.count being the next one and state.limit how many items the dict
 * had. An iterator's mutex may be held when a dict's is taken, never the other
 * way.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

static nds_value *
dict_of(const struct ndi_call *c)
{
    return c->self->state.value;
}

static size_t
find(const struct ndi_call *c, const nds_value *key)
{
    return ndi_keys_find(&c->self->state.keys, dict_of(c), key);
}

/* A copy; for a state (t not NULL), with proxies in it pinned. */
static int
keep(struct ndi_idents *t, const nds_value *v, nds_value **out)
{
    return t != NULL ? ndi_act_keep(t, v, out)
                     : ndi_act_made(ndi_value_copy(v), out);
}

/* dict[key] = value: copies of both. */
static int
store(struct ndi_idents *t, struct ndi_state *s, const nds_value *key,
      const nds_value *value)
{
    nds_value *dict = s->value, *k = NULL, *v = NULL;
    size_t at;
    int rc = ndi_keys_check(key);

    rc = rc < 0 ? rc : keep(t, value, &v);
    if (rc < 0) {
        return rc;
    }
    at = ndi_keys_find(&s->keys, dict, key);
    if (at < dict->count) {
        nds_value_free(dict->items[at + 1]);
        dict->items[at + 1] = v;
        return 0;
    }
    rc = ndi_keys_reserve(&s->keys, dict);
    rc = rc < 0 ? rc : keep(t, key, &k);
    rc = rc < 0 ? rc : nds_value_append(dict, k);
    if (rc == 0) {
        rc = nds_value_append(dict, v);
        v = NULL;
        if (rc < 0) {
            nds_value_free(dict->items[--dict->count]);
        } else {
            ndi_keys_add(&s->keys, dict, at);
        }
    }
    nds_value_free(v);
    return rc;
}

/* The entries of a dict, or of a sequence of pairs; keywords after them. */
static int
store_all(struct ndi_idents *t, struct ndi_state *s, const nds_value *from,
          const nds_value *kwds)
{
    int rc = 0;

    if (from != NULL && nds_value_kind(from) != NDS_VALUE_DICT &&
        nds_value_kind(from) != NDS_VALUE_LIST &&
        nds_value_kind(from) != NDS_VALUE_TUPLE) {
        return ndi_fail(NDS_ECAST, "a dict or a list of pairs was expected");
    }
    for (size_t i = 0; rc == 0 && from != NULL && i < from->count; i++) {
        const nds_value *pair = from->items[i];

        if (nds_value_kind(from) == NDS_VALUE_DICT) {
            rc = store(t, s, pair, from->items[i + 1]);
            i++;
        } else if ((nds_value_kind(pair) != NDS_VALUE_TUPLE &&
                    nds_value_kind(pair) != NDS_VALUE_LIST) ||
                   pair->count != 2) {
            rc = ndi_fail(NDS_EINVAL, "dictionary update sequence element "
                          "#%zu is no pair", i);
        } else {
            rc = store(t, s, pair->items[0], pair->items[1]);
        }
    }
    for (size_t i = 0; rc == 0 && kwds != NULL && i + 1 < kwds->count;
         i += 2) {
        rc = store(t, s, kwds->items[i], kwds->items[i + 1]);
    }
    return rc;
}

static int
make_dict(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
          const nds_value *kwds)
{
    int rc;

    if (nds_value_count(args) > 1) {
        return ndi_fail(NDS_ECAST, "dict expected at most 1 argument, got "
                        "%zu", nds_value_count(args));
    }
    s->value = nds_value_dict();
    rc = s->value == NULL ? NDS_ENOMEM
                          : store_all(t, s, nds_value_item(args, 0),
                                      kwds);
    if (rc < 0) {
        ndi_state_fini(s);
    }
    return rc;
}

static int
act_getitem(struct ndi_call *c, nds_value **out)
{
    size_t at;

    if (ndi_act_check(c, "__getitem__", 1, 1, NULL) < 0) {
        return NDS_ECAST;
    }
    at = find(c, nds_value_item(c->args, 0));
    if (at == dict_of(c)->count) {
        return ndi_raise_key(c, nds_value_item(c->args, 0));
    }
    return ndi_act_made(ndi_value_get(dict_of(c)->items[at + 1]), out);
}

static int
act_setitem(struct ndi_call *c, nds_value **out)
{
    int rc = ndi_act_check(c, "__setitem__", 2, 2, NULL);

    if (rc == 0) {
        rc = store(c->idents, &c->self->state, nds_value_item(c->args, 0),
                   nds_value_item(c->args, 1));
    }
    return rc < 0 ? rc : ndi_act_none(out);
}

/* Takes the entry out; its value is the caller's. */
static nds_value *
cut(const struct ndi_call *c, size_t at)
{
    nds_value *dict = dict_of(c);
    nds_value *value = dict->items[at + 1];

    ndi_keys_cut(&c->self->state.keys, dict, at);
    nds_value_free(dict->items[at]);
    memmove(&dict->items[at], &dict->items[at + 2],
            (dict->count - at - 2) * sizeof *dict->items);
    dict->count -= 2;
    return value;
}

static int
act_delitem(struct ndi_call *c, nds_value **out)
{
    size_t at;

    if (ndi_act_check(c, "__delitem__", 1, 1, NULL) < 0) {
        return NDS_ECAST;
    }
    at = find(c, nds_value_item(c->args, 0));
    if (at == dict_of(c)->count) {
        return ndi_raise_key(c, nds_value_item(c->args, 0));
    }
    nds_value_free(cut(c, at));
    return ndi_act_none(out);
}

static int
act_contains(struct ndi_call *c, nds_value **out)
{
    if (ndi_act_check(c, "__contains__", 1, 1, NULL) < 0) {
        return NDS_ECAST;
    }
    return ndi_act_made(
        nds_value_bool(find(c, nds_value_item(c->args, 0)) !=
                       dict_of(c)->count), out);
}

static int
act_len(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(nds_value_int((int64_t)dict_of(c)->count / 2), out);
}

static int
act_clear(struct ndi_call *c, nds_value **out)
{
    ndi_value_clear(dict_of(c));
    ndi_keys_clear(&c->self->state.keys);
    return ndi_act_none(out);
}

static int
act_copy(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(ndi_value_get(dict_of(c)), out);
}

static int
act_get(struct ndi_call *c, nds_value **out)
{
    const nds_value *other = nds_value_item(c->args, 1);
    size_t at;

    if (ndi_act_check(c, "get", 1, 2, NULL) < 0) {
        return NDS_ECAST;
    }
    at = find(c, nds_value_item(c->args, 0));
    if (at < dict_of(c)->count) {
        return ndi_act_made(ndi_value_get(dict_of(c)->items[at + 1]), out);
    }
    return other == NULL ? ndi_act_none(out)
                         : ndi_act_made(ndi_value_copy(other), out);
}

static int
act_pop(struct ndi_call *c, nds_value **out)
{
    const nds_value *other = nds_value_item(c->args, 1);
    size_t at;

    if (ndi_act_check(c, "pop", 1, 2, NULL) < 0) {
        return NDS_ECAST;
    }
    at = find(c, nds_value_item(c->args, 0));
    if (at < dict_of(c)->count) {
        return ndi_act_made(cut(c, at), out);
    }
    return other == NULL ? ndi_raise_key(c, nds_value_item(c->args, 0))
                         : ndi_act_made(ndi_value_copy(other), out);
}

static int
pair_of(nds_value *key, nds_value *value, nds_value **out)
{
    nds_value *pair = nds_value_tuple();
    int rc = pair == NULL ? NDS_ENOMEM : ndi_value_push(pair, key);

    rc = rc < 0 ? rc : ndi_value_push(pair, value);
    if (rc < 0) {
        nds_value_free(ndi_steal(&pair));
    }
    *out = pair;
    return rc;
}

static int
act_popitem(struct ndi_call *c, nds_value **out)
{
    nds_value *d = dict_of(c);
    int rc;

    if (d->count == 0) {
        return ndi_raise(c, "KeyError", "popitem(): dictionary is empty");
    }
    rc = pair_of(d->items[d->count - 2], d->items[d->count - 1], out);
    if (rc == 0) {
        nds_value_free(cut(c, d->count - 2));
    }
    return rc;
}

static int
act_setdefault(struct ndi_call *c, nds_value **out)
{
    const nds_value *other = nds_value_item(c->args, 1);
    nds_value *none = nds_value_none();
    size_t at;
    int rc = none == NULL ? NDS_ENOMEM
                          : ndi_act_check(c, "setdefault", 1, 2, NULL);

    if (rc == 0) {
        at = find(c, nds_value_item(c->args, 0));
        if (at == dict_of(c)->count) {
            rc = store(c->idents, &c->self->state, nds_value_item(c->args, 0),
                       other != NULL ? other : none);
        }
        rc = rc < 0 ? rc
                    : ndi_act_made(ndi_value_get(dict_of(c)->items[at + 1]),
                                   out);
    }
    nds_value_free(none);
    return rc;
}

static int
act_update(struct ndi_call *c, nds_value **out)
{
    int rc = nds_value_count(c->args) > 1
                 ? ndi_raise(c, "TypeError",
                             "update expected at most 1 argument")
                 : store_all(c->idents, &c->self->state, nds_value_item(c->args, 0),
                             c->kwds);

    return rc < 0 ? rc : ndi_act_none(out);
}

/* left | right */
static int
merge(const nds_value *left, const nds_value *right, nds_value **out)
{
    struct ndi_state s = {.value = nds_value_dict()};
    int rc = s.value != NULL ? store_all(NULL, &s, left, NULL) : NDS_ENOMEM;

    rc = rc < 0 ? rc : store_all(NULL, &s, right, NULL);
    rc = rc < 0 ? rc : ndi_act_made(ndi_steal(&s.value), out);
    ndi_state_fini(&s);
    return rc;
}

static int
act_or(struct ndi_call *c, nds_value **out)
{
    const nds_value *x = nds_value_item(c->args, 0);
    int rc = ndi_act_check(c, c->method, 1, 1, NULL);

    if (rc < 0) {
        return rc;
    }
    if (nds_value_kind(x) != NDS_VALUE_DICT) {
        return ndi_act_made(ndi_value_new(NDS_VALUE_NOTIMPLEMENTED), out);
    }
    return c->method[2] == 'r' ? merge(x, dict_of(c), out)
                               : merge(dict_of(c), x, out);
}

/* |= takes pairs, too, and answers with the dict. */
static int
act_ior(struct ndi_call *c, nds_value **out)
{
    int rc = ndi_act_check(c, "__ior__", 1, 1, NULL);

    rc = rc < 0 ? rc : store_all(c->idents, &c->self->state,
                                 nds_value_item(c->args, 0), NULL);
    return rc < 0 ? rc : ndi_act_made(ndi_value_get(dict_of(c)), out);
}

static int
act_fromkeys(struct ndi_call *c, nds_value **out)
{
    const nds_value *from = nds_value_item(c->args, 0);
    const nds_value *value = nds_value_item(c->args, 1);
    struct ndi_state s = {.value = nds_value_dict()};
    nds_value *none = nds_value_none();
    int rc = s.value == NULL || none == NULL
                 ? NDS_ENOMEM
                 : ndi_act_check(c, "fromkeys", 1, 2, NULL);

    if (rc == 0 && nds_value_kind(from) != NDS_VALUE_LIST &&
        nds_value_kind(from) != NDS_VALUE_TUPLE &&
        nds_value_kind(from) != NDS_VALUE_SET &&
        nds_value_kind(from) != NDS_VALUE_FROZENSET) {
        rc = ndi_raise(c, "TypeError", "a list, tuple or set was expected");
    }
    for (size_t i = 0; rc == 0 && i < from->count; i++) {
        rc = store(NULL, &s, from->items[i], value != NULL ? value : none);
    }
    rc = rc < 0 ? rc : ndi_act_made(ndi_steal(&s.value), out);
    nds_value_free(none);
    ndi_state_fini(&s);
    return rc;
}

static int
act_reversed(struct ndi_call *c, nds_value **out)
{
    return ndi_act_iter(dict_of(c), true, out);
}

enum { KEYS = 1, VALUES = 2 };

static int
list_of(const nds_value *d, int what, nds_value **out)
{
    nds_value *list = nds_value_list();
    int rc = list == NULL ? NDS_ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i + 1 < d->count; i += 2) {
        nds_value *pair;

        if (what == (KEYS | VALUES)) {
            rc = pair_of(d->items[i], d->items[i + 1], &pair);
            rc = rc < 0 ? rc : nds_value_append(list, pair);
        } else {
            rc = ndi_value_push(list, d->items[what == KEYS ? i : i + 1]);
        }
    }
    if (rc < 0) {
        nds_value_free(ndi_steal(&list));
    }
    *out = list;
    return rc;
}

static int
act_keys(struct ndi_call *c, nds_value **out)
{
    return list_of(dict_of(c), KEYS, out);
}

static int
act_values(struct ndi_call *c, nds_value **out)
{
    return list_of(dict_of(c), VALUES, out);
}

static int
act_items(struct ndi_call *c, nds_value **out)
{
    return list_of(dict_of(c), KEYS | VALUES, out);
}

/* (exposed, token) of a fresh iterator: the client's manager makes a proxy. */
static int
act_iter(struct ndi_call *c, nds_value **out)
{
    struct ndi_state state = {0};
    struct ndi_hosted *h = NULL;
    nds_value *keys = NULL, *token = NULL, *reply = nds_value_tuple();
    int rc = list_of(dict_of(c), KEYS, &keys);

    if (rc == 0) {
        state.limit = (int64_t)dict_of(c)->count;
        state.value = ndi_value_copy(keys);
        rc = nds_value_append(state.value, nds_value_str(c->self->id));
    }
    nds_value_free(keys);
    if (rc < 0) {
        ndi_state_fini(&state);
    } else {
        rc = ndi_idents_add(c->idents, ndi_kind_iterator.name, NULL,
                            &ndi_kind_iterator, &state, c->pid, &h);
    }
    if (rc == 0) {
        token = ndi_value_new(NDS_VALUE_TOKEN);
        rc = token != NULL ? 0 : NDS_ENOMEM;
    }
    if (rc == 0) {
        rc = nds_value_append(token, nds_value_str(h->typeid_));
        // The client puts the address in that it reached us by.
        rc |= nds_value_append(token, nds_value_str(""));
        rc |= nds_value_append(token, nds_value_str(h->id));
        rc |= nds_value_append(reply, ndi_kind_names(&ndi_kind_iterator));
        rc |= nds_value_append(reply, ndi_steal(&token));
        rc = rc != 0 ? NDS_ENOMEM : 0;
    }
    nds_value_free(token);
    if (rc < 0) {
        nds_value_free(reply);
        if (h != NULL) {
            (void)ndi_idents_decref(c->idents, h->id, c->pid);
        }
    } else {
        *out = reply;
        c->proxy = true;
    }
    ndi_idents_put(c->idents, h);
    return rc;
}

/* Whether the dict is there and has another size than at the start. */
static bool
has_resized(const struct ndi_call *c)
{
    const struct ndi_state *s = &c->self->state;
    const nds_value *id = s->value->items[s->value->count - 1];
    struct ndi_hosted *dict =
        ndi_idents_get(c->idents, nds_value_text(id, NULL));
    bool resized;

    if (dict == NULL) {
        return false;
    }
    pthread_mutex_lock(&dict->mutex);
    resized = (int64_t)dict->state.value->count != s->limit;
    pthread_mutex_unlock(&dict->mutex);
    ndi_idents_put(c->idents, dict);
    return resized;
}

static int
act_next(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;

    if (!s->flag && has_resized(c)) {
        return ndi_raise(c, "RuntimeError",
                         "dictionary changed size during iteration");
    }
    if ((size_t)s->count >= s->value->count - 1) {
        s->flag = true; // over, whatever becomes of the dict
        return ndi_raise(c, "StopIteration", "%s", "");
    }
    return ndi_act_made(ndi_value_get(s->value->items[s->count++]), out);
}

/* ---- Namespace: attributes are text keys -------------------------------- */

static int
make_namespace(struct ndi_idents *t, struct ndi_state *s,
               const nds_value *args, const nds_value *kwds)
{
    if (nds_value_count(args) != 0) {
        return ndi_fail(NDS_ECAST, "Namespace() takes keywords only");
    }
    return make_dict(t, s, args, kwds);
}

static int
no_attribute(struct ndi_call *c)
{
    const nds_value *name = nds_value_item(c->args, 0);

    return ndi_raise(c, "AttributeError",
                     "'Namespace' object has no attribute '%.100s'",
                     nds_value_text(name, NULL));
}

static int
attribute(struct ndi_call *c, size_t nargs)
{
    int rc = ndi_act_check(c, "an attribute", nargs, nargs, NULL);

    if (rc == 0 &&
        nds_value_kind(nds_value_item(c->args, 0)) != NDS_VALUE_STR) {
        rc = ndi_raise(c, "TypeError", "attribute name must be string");
    }
    return rc;
}

static int
act_getattr(struct ndi_call *c, nds_value **out)
{
    size_t at;
    int rc = attribute(c, 1);

    if (rc < 0) {
        return rc;
    }
    at = find(c, nds_value_item(c->args, 0));
    return at == dict_of(c)->count
               ? no_attribute(c)
               : ndi_act_made(ndi_value_get(dict_of(c)->items[at + 1]), out);
}

static int
act_setattr(struct ndi_call *c, nds_value **out)
{
    int rc = attribute(c, 2);

    if (rc == 0) {
        rc = store(c->idents, &c->self->state, nds_value_item(c->args, 0),
                   nds_value_item(c->args, 1));
    }
    return rc < 0 ? rc : ndi_act_none(out);
}

static int
act_delattr(struct ndi_call *c, nds_value **out)
{
    size_t at;
    int rc = attribute(c, 1);

    if (rc < 0) {
        return rc;
    }
    at = find(c, nds_value_item(c->args, 0));
    if (at == dict_of(c)->count) {
        return no_attribute(c);
    }
    nds_value_free(cut(c, at));
    return ndi_act_none(out);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "x=1" of each attribute that is not private, in order. */
static int
act_namespace_text(struct ndi_call *c, nds_value **out)
{
    const nds_value *d = dict_of(c);
    char **parts = calloc(d->count / 2 + 1, sizeof *parts);
    struct ndi_buf b = {0};
    size_t n = 0;
    int rc = parts != NULL ? 0 : NDS_ENOMEM;

    for (size_t i = 0; rc == 0 && i + 1 < d->count; i += 2) {
        struct ndi_buf one = {0};

        if (nds_value_text(d->items[i], NULL)[0] != '_') {
            ndi_buf_add_fmt(&one, "%s=", nds_value_text(d->items[i], NULL));
            rc = ndi_value_repr_to(&one, d->items[i + 1]);
            rc = rc < 0 ? rc : ndi_buf_steal_text(&one, &parts[n]);
            n += rc == 0;
            ndi_buf_fini(&one);
        }
    }
    if (n > 0) {
        qsort(parts, n, sizeof *parts, by_text);
    }
    ndi_buf_add_str(&b, "Namespace(");
    for (size_t i = 0; i < n; i++) {
        ndi_buf_add_fmt(&b, "%s%s", i > 0 ? ", " : "", parts[i]);
        free(parts[i]);
    }
    ndi_buf_add_char(&b, ')');
    rc = rc < 0 ? rc : ndi_act_text(&b, out);
    ndi_buf_fini(&b);
    free(parts);
    return rc;
}

/* multiprocessing.managers.Namespace, as a stock server would pickle it */
static int
act_namespace_whole(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(ndi_value_call("multiprocessing.managers",
                                       "Namespace", nds_value_tuple(),
                                       ndi_value_get(dict_of(c)), true),
                        out);
}

const struct ndi_hosted_kind ndi_kind_dict = {
    "dict",
    (const struct ndi_act[]){
        NDI_ACT("__contains__", false, act_contains),
        NDI_ACT("__delitem__", false, act_delitem),
        NDI_ACT("__getitem__", false, act_getitem),
        NDI_ACT("__ior__", true, act_ior),
        NDI_ACT("__iter__", false, act_iter),
        NDI_ACT("__len__", false, act_len),
        NDI_ACT("__or__", true, act_or),
        NDI_ACT("__reversed__", true, act_reversed),
        NDI_ACT("__ror__", true, act_or),
        NDI_ACT("__setitem__", false, act_setitem),
        NDI_ACT("clear", false, act_clear),
        NDI_ACT("copy", false, act_copy),
        NDI_ACT("fromkeys", true, act_fromkeys),
        NDI_ACT("get", false, act_get),
        NDI_ACT("items", false, act_items),
        NDI_ACT("keys", false, act_keys), NDI_ACT("pop", false, act_pop),
        NDI_ACT("popitem", false, act_popitem),
        NDI_ACT("setdefault", false, act_setdefault),
        NDI_ACT("update", false, act_update),
        NDI_ACT("values", false, act_values), NDI_ACT_END},
    make_dict, false, false};
const struct ndi_hosted_kind ndi_kind_iterator = {
    "Iterator",
    (const struct ndi_act[]){NDI_ACT("__next__", false, act_next),
                                NDI_ACT_END},
    NULL, true, false};
const struct ndi_hosted_kind ndi_kind_namespace = {
    "Namespace",
    (const struct ndi_act[]){
        NDI_ACT("__getattribute__", false, act_getattr),
        NDI_ACT("__setattr__", false, act_setattr),
        NDI_ACT("__delattr__", false, act_delattr),
        NDI_ACT("__str__", true, act_namespace_text),
        NDI_ACT("__repr__", true, act_namespace_text),
        NDI_ACT("#GETVALUE", true, act_namespace_whole), NDI_ACT_END},
    make_namespace, false, false};
