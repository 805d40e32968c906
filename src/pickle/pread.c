/* SPDX-License-Identifier: MIT */
/*
 * pread.c - the stack machine that reads pickles of protocols 2 to 5
 *
 * Every value made is owned by the list `all` until the end, and stack and
 * memo only point: so a hostile stream can drop, repeat or tie values into
 * knots without a leak. At STOP the result is walked once: what holds itself,
 * is too deep, or would be too large without sharing is refused, which is what
 * makes every later walk over a value finite.
 */
#include <pickle/pickle.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

struct list {
    nds_value **items;
    size_t count;
    size_t room;
};

#define DIRECT ((size_t)64 << 10)

struct reader {
    struct ndi_window w;
    bool into_used; /* what the caller offered for array data */
    struct list stack; /* NULL is a mark */
    struct list memo;  /* NULL where nothing was put */
    size_t memo_used;
    struct list all;
};

static int
list_add(struct list *l, nds_value *v)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : l->room * 2;
        nds_value **items = realloc(l->items, room * sizeof(nds_value *));

        if (items == NULL) {
            return ndi_fail_nomem(room * sizeof(nds_value *), "a pickle");
        }
        l->items = items;
        l->room = room;
    }
    l->items[l->count++] = v;
    return 0;
}

static int
malformed(const struct reader *r, const char *what)
{
    uint64_t at = ndi_window_at(&r->w);

    return ndi_fail(NDS_EFORMAT, "pickle: %s at byte %llu of %llu", what,
                    (unsigned long long)at,
                    (unsigned long long)(at + ndi_window_left(&r->w)));
}

/* The next nbytes, lent from the message until the next take. */
static int
take(struct reader *r, uint64_t nbytes, const unsigned char **out)
{
    struct ndi_window *w = &r->w;

    if (w->nbytes - w->at < nbytes) {
        int rc = nbytes <= ndi_window_left(w) ? ndi_window_want(w, nbytes)
                                              : malformed(r, "cut short");

        if (rc < 0) {
            return rc;
        }
    }
    *out = w->data + w->at;
    w->at += nbytes;
    return 0;
}

/* A little-endian number of 1, 2, 4 or 8 bytes. */
static int
take_number(struct reader *r, int width, uint64_t *out)
{
    const unsigned char *p = NULL;
    int rc = take(r, (uint64_t)width, &p);

    if (rc < 0) {
        return rc;
    }
    *out = 0;
    for (int i = 0; i < width; i++) {
        *out |= (uint64_t)p[i] << (8 * i);
    }
    return 0;
}

/* Owns v (NULL: memory is out) and pushes it. */
static int
push_new(struct reader *r, nds_value *v)
{
    int rc;

    if (v == NULL) {
        return nds_last_error()->code < 0 ? nds_last_error()->code
                                          : NDS_ENOMEM;
    }
    if (r->all.count >= NDI_PICKLE_VALUES) {
        nds_value_free(v);
        return ndi_fail(NDS_ELIMIT, "pickle: more than %u values",
                        NDI_PICKLE_VALUES);
    }
    rc = list_add(&r->all, v);
    if (rc < 0) {
        nds_value_free(v);
        return rc;
    }
    return list_add(&r->stack, v);
}

static int
pop(struct reader *r, nds_value **out)
{
    if (r->stack.count == 0 ||
        r->stack.items[r->stack.count - 1] == NULL) {
        return malformed(r, "the stack is empty");
    }
    *out = r->stack.items[--r->stack.count];
    return 0;
}

static int
peek(struct reader *r, nds_value **out)
{
    int rc = pop(r, out);

    r->stack.count += rc == 0;
    return rc;
}

/* Finds the topmost mark: items [first, stack.count) lie above it. */
static int
find_mark(struct reader *r, size_t *first)
{
    size_t i = r->stack.count;

    while (i > 0 && r->stack.items[i - 1] != NULL) {
        i--;
    }
    if (i == 0) {
        return malformed(r, "no mark");
    }
    *first = i;
    return 0;
}

static void
drop_mark(struct reader *r, size_t first)
{
    r->stack.count = first - 1;
}

/* A container of the items from `first` on, which are taken off. */
static int
gather(struct reader *r, int kind, size_t first, bool marked)
{
    nds_value *v = ndi_value_new(kind);
    int rc = v == NULL ? NDS_ENOMEM : 0;

    for (size_t i = first; rc == 0 && i < r->stack.count; i++) {
        if (r->stack.items[i] == NULL) {
            rc = malformed(r, "a mark in the way");
        } else {
            rc = ndi_value_push(v, r->stack.items[i]);
        }
    }
    if (rc < 0) {
        nds_value_free(v);
        return rc;
    }
    r->stack.count = marked ? first - 1 : first;
    return push_new(r, v);
}

static int
gather_marked(struct reader *r, int kind)
{
    size_t first = 0;
    int rc = find_mark(r, &first);

    return rc < 0 ? rc : gather(r, kind, first, true);
}

static int
gather_some(struct reader *r, int kind, size_t n)
{
    if (r->stack.count < n) {
        return malformed(r, "the stack is empty");
    }
    return gather(r, kind, r->stack.count - n, false);
}

/* Moves the items above the mark into the container below it. */
static int
extend(struct reader *r, int kind)
{
    nds_value *to;
    size_t first = 0;
    int rc = find_mark(r, &first);

    if (rc < 0) {
        return rc;
    }
    if (first < 2 || (to = r->stack.items[first - 2]) == NULL ||
        to->kind != kind) {
        return malformed(r, "items for something else");
    }
    if (kind == NDS_VALUE_DICT && (r->stack.count - first) % 2 != 0) {
        return malformed(r, "a key without a value");
    }
    for (size_t i = first; rc == 0 && i < r->stack.count; i++) {
        rc = ndi_value_push(to, r->stack.items[i]);
    }
    drop_mark(r, first);
    return rc;
}

/* APPEND and SETITEM: one item (or two) onto the container below. */
static int
extend_one(struct reader *r, int kind, size_t n)
{
    nds_value *to;
    int rc = 0;

    if (r->stack.count < n + 1 ||
        (to = r->stack.items[r->stack.count - n - 1]) == NULL ||
        to->kind != kind) {
        return malformed(r, "an item for something else");
    }
    for (size_t i = r->stack.count - n; rc == 0 && i < r->stack.count; i++) {
        rc = r->stack.items[i] == NULL ? malformed(r, "a mark in the way")
                                       : ndi_value_push(to,
                                                        r->stack.items[i]);
    }
    r->stack.count -= n;
    return rc;
}

static int
memo_put(struct reader *r, uint64_t at)
{
    nds_value *v = NULL;
    int rc = peek(r, &v);

    if (at >= NDI_PICKLE_MEMO) {
        return ndi_fail(NDS_ELIMIT, "pickle: more than %u memo entries",
                        NDI_PICKLE_MEMO);
    }
    while (rc == 0 && r->memo.count <= at) {
        rc = list_add(&r->memo, NULL);
    }
    if (rc == 0) {
        r->memo_used += r->memo.items[at] == NULL;
        r->memo.items[at] = v;
    }
    return rc;
}

static int
memo_get(struct reader *r, int width)
{
    uint64_t at = 0;
    int rc = take_number(r, width, &at);

    if (rc < 0) {
        return rc;
    }
    if (at >= r->memo.count || r->memo.items[at] == NULL) {
        return malformed(r, "a memo entry that is not there");
    }
    // Each get costs the sender two bytes and us one pointer: bounded by the
    // message.
    return list_add(&r->stack, r->memo.items[at]);
}

static int
push_long(struct reader *r, int width)
{
    const unsigned char *p = NULL;
    uint64_t n = 0;
    int64_t value = 0;
    int rc = take_number(r, width, &n);

    if (rc < 0) {
        return rc;
    }
    if (n > NDI_PICKLE_DIGITS) {
        return ndi_fail(NDS_ELIMIT, "pickle: an integer of %llu bytes",
                        (unsigned long long)n);
    }
    rc = take(r, n, &p);
    if (rc < 0) {
        return rc;
    }
    // Bytes that only repeat the sign say nothing.
    while (n > 1 && ((p[n - 1] == 0 && !(p[n - 2] & 0x80)) ||
                     (p[n - 1] == 0xff && (p[n - 2] & 0x80)))) {
        n--;
    }
    if (n > 8) {
        return push_new(r, ndi_value_text(NDS_VALUE_BIGINT, p, n));
    }
    if (n > 0 && (p[n - 1] & 0x80)) {
        value = -1;
    }
    for (size_t i = (size_t)n; i-- > 0;) {
        value = (int64_t)(((uint64_t)value << 8) | p[i]);
    }
    return push_new(r, nds_value_int(value));
}

/* Data that is fetched to where it stays: into what the caller has for it, or
 * memory that an array can take over. */
static int
fetch_data(struct reader *r, int kind, size_t n)
{
    const struct ndi_source *s = r->w.source;
    nds_value *v = ndi_value_new(kind);
    int rc = v != NULL ? 0 : NDS_ENOMEM;

    if (rc == 0 && s->into != NULL && n == s->into_nbytes && !r->into_used) {
        r->into_used = true;
        v->u.text = s->into;
        v->memory = NDI_TEXT_ALIEN;
    } else if (rc == 0) {
        nds_array_options opts = {.size = sizeof opts, .uninitialised = true};

        // One more for the NUL behind every text.
        rc = nds_array_new(&v->backing, NDS_UINT8, 1,
                           (int64_t[]){(int64_t)n + 1}, &opts);
        v->u.text = rc == 0 ? nds_array_data(v->backing) : NULL;
    }
    if (rc == 0) {
        v->v.nbytes = n;
        rc = ndi_window_copy(&r->w, v->u.text, n);
    }
    if (rc < 0) {
        nds_value_free(v);
        return rc;
    }
    if (v->backing != NULL) {
        v->u.text[n] = '\0';
    }
    return push_new(r, v);
}

static int
push_text(struct reader *r, int kind, int width)
{
    const unsigned char *p = NULL;
    uint64_t n = 0;
    int rc = take_number(r, width, &n);

    if (rc == 0 && n > ndi_window_left(&r->w)) {
        rc = malformed(r, "cut short");
    }
    if (rc == 0 && kind != NDS_VALUE_STR && r->w.source != NULL &&
        n >= (r->w.source->direct != 0 ? r->w.source->direct : DIRECT)) {
        return fetch_data(r, kind, (size_t)n);
    }
    rc = rc < 0 ? rc : take(r, n, &p);
    if (rc < 0) {
        return rc;
    }
    if (kind == NDS_VALUE_STR && !ndi_text_is_utf8(p, n)) {
        return malformed(r, "text that is not UTF-8");
    }
    return push_new(r, ndi_value_text(kind, p, n));
}

static int
push_float(struct reader *r)
{
    const unsigned char *p = NULL;
    uint64_t bits = 0;
    double d;
    int rc = take(r, 8, &p);

    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | p[i];
    }
    memcpy(&d, &bits, sizeof d);
    return push_new(r, nds_value_float(d));
}

static int
push_global(struct reader *r, const char *module, const char *name)
{
    const struct ndi_symbol *s = ndi_symbol_find(module, name);
    nds_value *v = NULL;

    if (s == NULL) {
        return ndi_fail(NDS_EREFUSED,
                        "pickle: '%.100s.%.100s' is not on the list of what "
                        "may be read", module, name);
    }
    if (s->action == NDI_ACT_ELLIPSIS) {
        return push_new(r, nds_value_ellipsis());
    }
    if (s->action == NDI_ACT_NOTIMPLEMENTED) {
        return push_new(r, ndi_value_new(NDS_VALUE_NOTIMPLEMENTED));
    }
    v = ndi_value_new(NDI_VALUE_GLOBAL);
    if (v != NULL) {
        v->u.symbol = s;
    }
    return push_new(r, v);
}

/* One newline-terminated line of at most 200 bytes. */
static int
take_line(struct reader *r, char *out, size_t room)
{
    const unsigned char *from, *nl;
    size_t left;
    int rc = ndi_window_want(&r->w, room);

    if (rc < 0) {
        return rc;
    }
    from = r->w.data + r->w.at;
    left = r->w.nbytes - r->w.at;
    nl = memchr(from, '\n', left < room ? left : room);
    if (nl == NULL || memchr(from, '\0', (size_t)(nl - from)) != NULL) {
        return malformed(r, "a name without an end");
    }
    memcpy(out, from, (size_t)(nl - from));
    out[nl - from] = '\0';
    r->w.at += (size_t)(nl - from) + 1;
    return 0;
}

static int
global_lines(struct reader *r)
{
    char module[200], name[200];
    int rc = take_line(r, module, sizeof module);

    if (rc == 0) {
        rc = take_line(r, name, sizeof name);
    }
    return rc < 0 ? rc : push_global(r, module, name);
}

static int
global_stack(struct reader *r)
{
    nds_value *module = NULL, *name = NULL;
    int rc = pop(r, &name);

    if (rc == 0) {
        rc = pop(r, &module);
    }
    if (rc < 0) {
        return rc;
    }
    if (module->kind != NDS_VALUE_STR || name->kind != NDS_VALUE_STR ||
        strlen(module->u.text) != module->v.nbytes ||
        strlen(name->u.text) != name->v.nbytes) {
        return malformed(r, "a name that is no text");
    }
    return push_global(r, module->u.text, name->u.text);
}

static int
call(struct reader *r, bool newobj)
{
    nds_value *args = NULL, *fn = NULL, *made = NULL;
    int rc = pop(r, &args);

    if (rc == 0) {
        rc = pop(r, &fn);
    }
    if (rc < 0) {
        return rc;
    }
    if (fn->kind != NDI_VALUE_GLOBAL || args->kind != NDS_VALUE_TUPLE) {
        return malformed(r, "a call of what cannot be called");
    }
    // Objects come by either road, with their attributes behind them.
    if (fn->u.symbol->action != NDI_ACT_OBJECT &&
        newobj != (fn->u.symbol->action == NDI_ACT_TOKEN)) {
        return ndi_fail(NDS_EREFUSED, "pickle: '%s.%s' called in this way",
                        fn->u.symbol->module, fn->u.symbol->name);
    }
    rc = ndi_reduce(fn->u.symbol, args, &made);
    return rc < 0 ? rc : push_new(r, made);
}

static int
build(struct reader *r)
{
    nds_value *state = NULL, *target = NULL;
    int rc = pop(r, &state);

    if (rc == 0) {
        rc = peek(r, &target);
    }
    return rc < 0 ? rc : ndi_build(target, state);
}

static int
skip_frame(struct reader *r)
{
    uint64_t n = 0;
    int rc = take_number(r, 8, &n);

    if (rc == 0 && n > ndi_window_left(&r->w)) {
        rc = malformed(r, "a frame longer than the message");
    }
    return rc;
}

static int
pop_any(struct reader *r)
{
    if (r->stack.count == 0) {
        return malformed(r, "the stack is empty");
    }
    r->stack.count--;
    return 0;
}

static int
pop_mark(struct reader *r)
{
    size_t first = 0;
    int rc = find_mark(r, &first);

    if (rc == 0) {
        drop_mark(r, first);
    }
    return rc;
}

static int
push_int(struct reader *r, int width)
{
    uint64_t n = 0;
    int rc = take_number(r, width, &n);

    if (rc < 0) {
        return rc;
    }
    return push_new(r, nds_value_int(width == 4 ? (int32_t)n : (int64_t)n));
}

/* BINPUT and LONG_BINPUT */
static int
memo_put_at(struct reader *r, int width)
{
    uint64_t at = 0;
    int rc = take_number(r, width, &at);

    return rc < 0 ? rc : memo_put(r, at);
}

/* One opcode but STOP. */
static int
step(struct reader *r, unsigned char op)
{
    switch (op) {
    case 0x95: return skip_frame(r);
    case 0x28: return list_add(&r->stack, NULL);
    case 0x30: return pop_any(r);
    case 0x31: return pop_mark(r);
    case 0x4e: return push_new(r, nds_value_none());
    case 0x88: return push_new(r, nds_value_bool(true));
    case 0x89: return push_new(r, nds_value_bool(false));
    case 0x4b: return push_int(r, 1);
    case 0x4d: return push_int(r, 2);
    case 0x4a: return push_int(r, 4);
    case 0x8a: return push_long(r, 1);
    case 0x8b: return push_long(r, 4);
    case 0x47: return push_float(r);
    case 0x8c: return push_text(r, NDS_VALUE_STR, 1);
    case 0x58: return push_text(r, NDS_VALUE_STR, 4);
    case 0x8d: return push_text(r, NDS_VALUE_STR, 8);
    case 0x43: return push_text(r, NDS_VALUE_BYTES, 1);
    case 0x42: return push_text(r, NDS_VALUE_BYTES, 4);
    case 0x8e: return push_text(r, NDS_VALUE_BYTES, 8);
    case 0x96: return push_text(r, NDS_VALUE_BYTEARRAY, 8);
    case 0x29: return push_new(r, nds_value_tuple());
    case 0x85: return gather_some(r, NDS_VALUE_TUPLE, 1);
    case 0x86: return gather_some(r, NDS_VALUE_TUPLE, 2);
    case 0x87: return gather_some(r, NDS_VALUE_TUPLE, 3);
    case 0x74: return gather_marked(r, NDS_VALUE_TUPLE);
    case 0x5d: return push_new(r, nds_value_list());
    case 0x61: return extend_one(r, NDS_VALUE_LIST, 1);
    case 0x65: return extend(r, NDS_VALUE_LIST);
    case 0x7d: return push_new(r, nds_value_dict());
    case 0x73: return extend_one(r, NDS_VALUE_DICT, 2);
    case 0x75: return extend(r, NDS_VALUE_DICT);
    case 0x8f: return push_new(r, ndi_value_new(NDS_VALUE_SET));
    case 0x90: return extend(r, NDS_VALUE_SET);
    case 0x91: return gather_marked(r, NDS_VALUE_FROZENSET);
    case 0x71: return memo_put_at(r, 1);
    case 0x72: return memo_put_at(r, 4);
    case 0x94: return memo_put(r, r->memo_used);
    case 0x68: return memo_get(r, 1);
    case 0x6a: return memo_get(r, 4);
    case 0x63: return global_lines(r);
    case 0x93: return global_stack(r);
    case 0x52: return call(r, false);
    case 0x81: return call(r, true);
    case 0x62: return build(r);
    default:
        return ndi_fail(NDS_EREFUSED, "pickle: opcode 0x%02x at byte %llu is "
                        "not let in", op,
                        (unsigned long long)ndi_window_at(&r->w) - 1);
    }
}

/* Walks the result once; see the head of the file. */
static int
settle(nds_value *v, int depth)
{
    uint64_t weight = 1 + (ndi_value_has_text(v) ? v->v.nbytes / 64 : 0);
    int height = 0;
    int rc;

    if (v->mark == 1) {
        return ndi_fail(NDS_ELIMIT, "pickle: a value that holds itself");
    }
    if (depth + (v->mark == 2 ? v->height : 0) > NDI_PICKLE_DEPTH) {
        return ndi_fail(NDS_ELIMIT, "pickle: nested deeper than %d",
                        NDI_PICKLE_DEPTH);
    }
    if (v->mark == 2) {
        return 0;
    }
    if (v->kind == NDI_VALUE_GLOBAL && v->u.symbol->is_class) {
        v->kind = NDS_VALUE_TYPE;
    }
    if (v->kind >= NDI_VALUE_GLOBAL) {
        return ndi_fail(NDS_EREFUSED, "pickle: an object that is not "
                        "complete, or a function as a value");
    }
    v->mark = 1;
    for (size_t i = 0; i < v->count; i++) {
        rc = settle(v->items[i], depth + 1);
        if (rc < 0) {
            return rc;
        }
        if (v->items[i]->height >= height) {
            height = v->items[i]->height + 1;
        }
        weight += v->items[i]->weight;
        if (weight > NDI_PICKLE_WEIGHT) {
            return ndi_fail(NDS_ELIMIT, "pickle: too large once written out");
        }
    }
    v->mark = 2;
    v->height = (uint8_t)height;
    v->weight = weight;
    return 0;
}

static int
run(struct reader *r, nds_value **out)
{
    const unsigned char *p = NULL;
    nds_value *v = NULL;
    int rc = take(r, 2, &p);

    if (rc < 0) {
        return rc;
    }
    if (p[0] != 0x80) {
        return malformed(r, "no protocol number");
    }
    if (p[1] < 2 || p[1] > 5) {
        return ndi_fail(NDS_EFORMAT, "unsupported pickle protocol: %d", p[1]);
    }
    for (;;) {
        rc = take(r, 1, &p);
        if (rc < 0) {
            return rc;
        }
        if (*p == 0x2e) {
            break;
        }
        // A second PROTO says nothing new.
        rc = *p == 0x80 ? take(r, 1, &p) : step(r, *p);
        if (rc < 0) {
            return rc;
        }
    }
    rc = pop(r, &v);
    if (rc == 0 && r->stack.count != 0) {
        rc = malformed(r, "something left on the stack");
    }
    if (rc == 0) {
        rc = settle(v, 0);
    }
    if (rc == 0) {
        *out = ndi_value_get(v);
    }
    return rc;
}

/* A text of the result that is an array's memory too gets its own. */
static int
part(nds_value *v)
{
    char *own;

    if (!ndi_value_has_text(v) || v->memory == NDI_TEXT_OWN) {
        return 0;
    }
    own = malloc(v->v.nbytes + 1);
    if (own == NULL) {
        return ndi_fail_nomem(v->v.nbytes, "a text");
    }
    memcpy(own, v->u.text, v->v.nbytes);
    own[v->v.nbytes] = '\0';
    nds_array_close(ndi_steal(&v->backing));
    v->u.text = own;
    v->memory = NDI_TEXT_OWN;
    return 0;
}

static int
read_all(struct reader *r, nds_value **out)
{
    int rc = run(r, out);

    for (size_t i = 0; rc == 0 && i < r->all.count; i++) {
        if (r->all.items[i]->mark == 2) {
            rc = part(r->all.items[i]);
        }
    }
    if (rc < 0 && *out != NULL) {
        nds_value_free(ndi_steal(out));
    }
    // Knots cannot free themselves: every container that is not in the result
    // (which settle() has marked) is emptied first.
    for (size_t i = 0; i < r->all.count; i++) {
        if (rc < 0 || r->all.items[i]->mark != 2) {
            ndi_value_clear(r->all.items[i]);
        }
    }
    for (size_t i = 0; i < r->all.count; i++) {
        nds_value *v = r->all.items[i];

        v->mark = 0;
        nds_value_free(v);
    }
    free(r->stack.items);
    free(r->memo.items);
    free(r->all.items);
    ndi_window_fini(&r->w);
    return rc;
}

int
ndi_pickle_read(nds_value **out, const void *data, size_t nbytes)
{
    struct reader r = {.w = {.data = data, .nbytes = nbytes}};

    *out = NULL;
    return read_all(&r, out);
}

int
ndi_pickle_read_from(nds_value **out, const struct ndi_source *source)
{
    struct reader r = {.w = {.outside = source->nbytes, .source = source}};

    *out = NULL;
    return read_all(&r, out);
}
