/* SPDX-License-Identifier: MIT */
/*
 * shareable_list.c - Python's ShareableList over a raw block
 *
 * Little-endian 8-byte words throughout. N; then N+1 offsets of the slots from
 * the data area (Python 3.8: N sizes instead); the data area; N formats of 8
 * bytes, NUL-padded, as struct writes them; N bytes that say how an item is
 * brought back: 0 as it is, 1 a text, 2 bytes, 3 None.
 *
 * Others write here too: each number is copied once and checked against the
 * block before it is used.
 */
#include <pickle/value_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <base/options.h>
#include <ndshare/shareable_list.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD ((uint64_t)8)

enum back { BACK_AS_IS, BACK_STR, BACK_BYTES, BACK_NONE };

struct layout {
    uint64_t count;
    bool python38;
    uint64_t data;    /* where the data area begins */
    uint64_t formats; /* where the formats begin */
    uint64_t total;
};

struct nds_shareable_list {
    nds_block *block;
    unsigned char *p;
    struct layout at;
    uint64_t *sums; /* 3.8: where each slot begins, from its sizes; N+1 */
};

static uint64_t
word_at(const unsigned char *p, uint64_t at)
{
    uint64_t w;

    memcpy(&w, p + at, sizeof w);
    return w;
}

static void
put_word(unsigned char *p, uint64_t at, uint64_t w)
{
    memcpy(p + at, &w, sizeof w);
}

static int
not_a_list(const char *name, const char *why)
{
    return ndi_fail(NDS_EFORMAT, "'%s' is no ShareableList: %s", name, why);
}

/* ---- one item ---- */

/* The struct format of a value, and how it comes back. `room` for texts. */
static int
format_of(const nds_value *v, uint64_t room, char *format, enum back *back)
{
    const char *f = NULL;

    *back = BACK_AS_IS;
    switch (v->kind) {
    case NDS_VALUE_INT:
        f = "q";
        break;
    case NDS_VALUE_FLOAT:
        f = "d";
        break;
    case NDS_VALUE_BOOL:
        f = "xxxxxxx?";
        break;
    case NDS_VALUE_NONE:
        f = "xxxxxx?x";
        *back = BACK_NONE;
        break;
    case NDS_VALUE_STR:
    case NDS_VALUE_BYTES:
        *back = v->kind == NDS_VALUE_STR ? BACK_STR : BACK_BYTES;
        if (room > 9999999) {
            return ndi_fail(NDS_ELIMIT, "an item of %llu bytes: a slot has "
                            "9999992 at most", (unsigned long long)room);
        }
        memset(format, 0, 9);
        snprintf(format, 9, "%us", (unsigned)room);
        return 0;
    case NDS_VALUE_BIGINT:
        return ndi_fail(NDS_EOVERFLOW, "an int of more than 64 bits in a "
                        "ShareableList");
    default:
        return ndi_fail(NDS_EDTYPE, "a ShareableList holds int, float, bool, "
                        "None, str and bytes only");
    }
    memset(format, 0, 9);
    memcpy(format, f, strlen(f));
    return 0;
}

static bool
is_text(const nds_value *v)
{
    return v->kind == NDS_VALUE_STR || v->kind == NDS_VALUE_BYTES;
}

static uint64_t
slot_nbytes(const nds_value *v)
{
    // Python counts the characters of a text; it cuts what is longer in bytes.
    return is_text(v) ? WORD * (v->v.nbytes / WORD + 1) : WORD;
}

/* Eight bytes, or a text and NULs up to its format's length. */
static void
store(unsigned char *slot, uint64_t nbytes, const nds_value *v)
{
    if (is_text(v)) {
        memcpy(slot, v->u.text, v->v.nbytes);
        memset(slot + v->v.nbytes, 0, (size_t)nbytes - v->v.nbytes);
    } else {
        unsigned char w[8] = {0};

        if (v->kind == NDS_VALUE_INT) {
            memcpy(w, &v->u.integer, 8);
        } else if (v->kind == NDS_VALUE_FLOAT) {
            memcpy(w, &v->u.re, 8);
        } else {
            w[7] = v->kind == NDS_VALUE_BOOL && v->u.truth;
        }
        memcpy(slot, w, 8);
    }
}

static int
load_text(const unsigned char *slot, uint64_t nbytes, enum back back,
          nds_value **out)
{
    char *copy = malloc(nbytes + 1);
    size_t n = (size_t)nbytes;

    if (copy == NULL) {
        return ndi_fail_nomem(n, "an item");
    }
    memcpy(copy, slot, n);
    while (back != BACK_AS_IS && n > 0 && copy[n - 1] == '\0') {
        n--;
    }
    *out = back != BACK_STR ? nds_value_bytes(copy, n)
           : ndi_text_is_utf8(copy, n) ? nds_value_strn(copy, n)
                                       : NULL;
    if (*out == NULL && back == BACK_STR) {
        ndi_fail(NDS_EFORMAT, "an item of a ShareableList is not UTF-8: it "
                 "was cut, or changed meanwhile");
    }
    free(copy);
    return *out != NULL ? 0 : nds_last_error()->code;
}

static int
bad_item(const char *format, uint64_t nbytes)
{
    return ndi_fail(NDS_EFORMAT, "an item of a ShareableList with the format "
                    "'%s' in a slot of %llu bytes", format,
                    (unsigned long long)nbytes);
}

static int
load(const unsigned char *slot, uint64_t nbytes, const char *format,
     enum back back, nds_value **out)
{
    uint64_t w = nbytes >= WORD ? word_at(slot, 0) : 0;
    double d;

    if (format[0] >= '0' && format[0] <= '9') {
        char *end;
        unsigned long n = strtoul(format, &end, 10);

        return strcmp(end, "s") == 0 && n <= nbytes
                   ? load_text(slot, n, back, out)
                   : bad_item(format, nbytes);
    }
    if (nbytes < WORD) {
        return bad_item(format, nbytes);
    }
    if (back == BACK_NONE) {
        *out = nds_value_none();
    } else if (strcmp(format, "q") == 0) {
        *out = nds_value_int((int64_t)w);
    } else if (strcmp(format, "d") == 0) {
        memcpy(&d, &w, sizeof d);
        *out = nds_value_float(d);
    } else if (strcmp(format, "xxxxxxx?") == 0) {
        *out = nds_value_bool(w >> 56 != 0);
    } else {
        return bad_item(format, nbytes);
    }
    return *out != NULL ? 0 : NDS_ENOMEM;
}

/* ---- making one ---- */

struct plan {
    const nds_value *items;
    struct layout at;
};

static void
place(struct layout *at, uint64_t count, uint64_t data_nbytes, bool python38)
{
    at->count = count;
    at->python38 = python38;
    at->data = WORD * (count + (python38 ? 1 : 2));
    at->formats = at->data + data_nbytes;
    at->total = at->formats + 9 * count;
}

static int
plan_list(struct plan *plan, const nds_value *items, bool python38)
{
    uint64_t sum = 0;

    if (items == NULL || (items->kind != NDS_VALUE_LIST &&
                          items->kind != NDS_VALUE_TUPLE)) {
        return ndi_fail(NDS_EINVAL, "a ShareableList is made from a list or a "
                        "tuple");
    }
    for (size_t i = 0; i < items->count; i++) {
        uint64_t room = slot_nbytes(items->items[i]);
        char format[9];
        enum back back;
        int rc = format_of(items->items[i], room, format, &back);

        if (rc < 0) {
            return ndi_fail_more(rc, "in item %zu", i);
        }
        sum += room;
    }
    plan->items = items;
    place(&plan->at, items->count, sum, python38);
    return 0;
}

static int
fill(void *data, size_t nbytes, void *ctx)
{
    const struct plan *plan = ctx;
    const struct layout *at = &plan->at;
    unsigned char *p = data;
    uint64_t off = 0;

    (void)nbytes;
    put_word(p, 0, at->count);
    if (!at->python38) {
        put_word(p, WORD, 0);
    }
    for (uint64_t i = 0; i < at->count; i++) {
        const nds_value *v = plan->items->items[i];
        uint64_t room = slot_nbytes(v);
        char format[9];
        enum back back;
        int rc = format_of(v, room, format, &back);

        if (rc < 0) {
            return rc;
        }
        store(p + at->data + off, room, v);
        off += room;
        put_word(p, WORD * (i + (at->python38 ? 1 : 2)),
                 at->python38 ? room : off);
        memcpy(p + at->formats + WORD * i, format, WORD);
        p[at->formats + WORD * at->count + i] = (unsigned char)back;
    }
    return 0;
}

/* ---- finding one ---- */

/* The sum of the sizes that stand there, and where each slot begins. */
static int
add_up(nds_shareable_list *l, uint64_t count, uint64_t room, uint64_t *sum)
{
    l->sums = calloc(count + 1, sizeof *l->sums);
    if (l->sums == NULL) {
        return ndi_fail_nomem(count * sizeof *l->sums, "a list's slots");
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t size = word_at(l->p, WORD * (i + 1));

        if (size > room - l->sums[i]) {
            return not_a_list(nds_shareable_list_name(l), "its slots are "
                              "larger than it");
        }
        l->sums[i + 1] = l->sums[i] + size;
    }
    *sum = l->sums[count];
    return 0;
}

/* Which of the two layouts it has, by the first word behind the count: an
 * offset, 0, or a size, which never is 0. */
static int
find_layout(nds_shareable_list *l)
{
    const char *name = nds_shareable_list_name(l);
    uint64_t nbytes = nds_block_nbytes(l->block);
    uint64_t count = nbytes >= WORD ? word_at(l->p, 0) : UINT64_MAX;
    bool python38;
    uint64_t data = 0;
    int rc;

    if (nbytes < WORD || count > nbytes / WORD ||
        WORD * (count + 1) + 9 * count > nbytes) {
        return not_a_list(name, "it is too short");
    }
    python38 = count == 0 ? nbytes < 2 * WORD : word_at(l->p, WORD) != 0;
    if (python38) {
        rc = add_up(l, count, nbytes, &data);
        if (rc < 0) {
            return rc;
        }
    } else if (WORD * (count + 2) > nbytes) {
        return not_a_list(name, "it is too short");
    } else {
        data = word_at(l->p, WORD * (count + 1));
    }
    if (data > nbytes) {
        return not_a_list(name, "its data is larger than it");
    }
    place(&l->at, count, data, python38);
    return l->at.total <= nbytes ? 0 : not_a_list(name, "it is too short");
}

static int
over_block(nds_shareable_list **out, nds_block *b)
{
    nds_shareable_list *l = calloc(1, sizeof *l);
    int rc;

    if (l == NULL) {
        nds_block_close(b);
        return ndi_fail_nomem(sizeof *l, "a list");
    }
    l->block = b;
    l->p = nds_block_data(b);
    rc = find_layout(l);
    if (rc < 0) {
        nds_shareable_list_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

int
nds_shareable_list_create(nds_shareable_list **out, const char *name,
                          const nds_value *items,
                          const nds_shareable_list_options *opts)
{
    nds_shareable_list_options o;
    nds_raw_options raw = {.size = sizeof raw, .fill = fill};
    struct plan plan;
    nds_block *b = NULL;
    int rc;

    *out = NULL;
    ndi_options_copy(&o, sizeof o, opts);
    rc = plan_list(&plan, items, o.python38);
    if (rc < 0) {
        return rc;
    }
    raw.mode_bits = o.mode_bits;
    raw.scope = o.scope;
    raw.ctx = &plan;
    rc = nds_block_new_raw(&b, name, plan.at.total, &raw);
    return rc < 0 ? rc : over_block(out, b);
}

int
nds_shareable_list_attach(nds_shareable_list **out, const char *name,
                          enum nds_mode mode)
{
    nds_block *b = NULL;
    int rc;

    *out = NULL;
    rc = nds_block_attach_raw(&b, name, mode);
    return rc < 0 ? rc : over_block(out, b);
}

void
nds_shareable_list_close(nds_shareable_list *l)
{
    if (l != NULL) {
        nds_block_close(l->block);
        free(l->sums);
        free(l);
    }
}

int64_t
nds_shareable_list_count(const nds_shareable_list *l)
{
    return (int64_t)l->at.count;
}

const char *
nds_shareable_list_name(const nds_shareable_list *l)
{
    return nds_block_name(l->block);
}

nds_block *
nds_shareable_list_block(const nds_shareable_list *l)
{
    return l->block;
}

/* ---- items ---- */

/* Slot i, as it is now: where, and how many bytes. */
static int
slot_of(const nds_shareable_list *l, int64_t i, uint64_t *at,
        unsigned char **slot, uint64_t *nbytes)
{
    uint64_t from, to, count = l->at.count;

    if (i < 0) {
        i += (int64_t)count;
    }
    if (i < 0 || (uint64_t)i >= count) {
        return ndi_fail(NDS_EINDEX, "index out of range: the list has %llu "
                        "items", (unsigned long long)count);
    }
    *at = (uint64_t)i;
    if (l->at.python38) {
        from = l->sums[i];
        to = l->sums[i + 1];
    } else {
        from = word_at(l->p, WORD * (*at + 1));
        to = word_at(l->p, WORD * (*at + 2));
    }
    if (from > to || to > l->at.formats - l->at.data) {
        return not_a_list(nds_shareable_list_name(l), "a slot lies outside");
    }
    *slot = l->p + l->at.data + from;
    *nbytes = to - from;
    return 0;
}

int
nds_shareable_list_get(const nds_shareable_list *l, int64_t i,
                       nds_value **out)
{
    unsigned char *slot = NULL;
    uint64_t at = 0, nbytes = 0;
    char format[9] = {0};
    int rc = slot_of(l, i, &at, &slot, &nbytes);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    memcpy(format, l->p + l->at.formats + WORD * at, WORD);
    return load(slot, nbytes, format,
                (enum back)l->p[l->at.formats + WORD * l->at.count + at],
                out);
}

/* A text keeps the format of a slot that held one, so that it can be as long
 * again. */
static int
set_format(const nds_value *v, uint64_t nbytes, const char *now, char *format,
           enum back *back)
{
    size_t n = strlen(now);
    char *end;
    unsigned long room;
    int rc;

    if (!is_text(v)) {
        return nbytes < WORD
                   ? ndi_fail(NDS_EFORMAT, "a slot of %llu bytes",
                              (unsigned long long)nbytes)
                   : format_of(v, WORD, format, back);
    }
    if (v->v.nbytes > nbytes) {
        return ndi_fail(NDS_EBUFFER, "bytes/str item exceeds available "
                        "storage: %zu bytes, and %llu are there",
                        v->v.nbytes, (unsigned long long)nbytes);
    }
    rc = format_of(v, nbytes, format, back);
    room = strtoul(now, &end, 10);
    if (rc == 0 && n > 0 && now[n - 1] == 's' && strcmp(end, "s") == 0 &&
        room <= nbytes && room >= v->v.nbytes) {
        memset(format, 0, 9);
        memcpy(format, now, n);
    }
    return rc;
}

int
nds_shareable_list_set(nds_shareable_list *l, int64_t i, nds_value *item)
{
    unsigned char *slot = NULL;
    uint64_t at = 0, nbytes = 0;
    char now[9] = {0}, format[9];
    enum back back = BACK_AS_IS;
    int rc = item == NULL ? ndi_fail_nomem(sizeof *item, "a value")
                          : slot_of(l, i, &at, &slot, &nbytes);

    if (rc == 0 && nds_block_is_readonly(l->block)) {
        rc = ndi_fail(NDS_EREADONLY, "assignment destination is read-only");
    }
    if (rc == 0) {
        memcpy(now, l->p + l->at.formats + WORD * at, WORD);
        rc = set_format(item, nbytes, now, format, &back);
    }
    if (rc == 0) {
        memcpy(l->p + l->at.formats + WORD * at, format, WORD);
        l->p[l->at.formats + WORD * l->at.count + at] = (unsigned char)back;
        store(slot, is_text(item) ? strtoul(format, NULL, 10) : WORD, item);
    }
    nds_value_free(item);
    return rc;
}

int
nds_shareable_list_values(const nds_shareable_list *l, nds_value **out)
{
    nds_value *list = nds_value_list();
    int rc = list != NULL ? 0 : NDS_ENOMEM;

    for (int64_t i = 0; rc == 0 && i < (int64_t)l->at.count; i++) {
        nds_value *item;

        rc = nds_shareable_list_get(l, i, &item);
        rc = rc < 0 ? rc : nds_value_append(list, item);
    }
    if (rc < 0) {
        nds_value_free(ndi_steal(&list));
    }
    *out = list;
    return rc;
}

int
nds_shareable_list_index(const nds_shareable_list *l, const nds_value *item,
                         int64_t *i)
{
    nds_value *all;
    int rc = nds_shareable_list_values(l, &all);

    if (rc < 0) {
        return rc;
    }
    for (*i = 0; *i < (int64_t)all->count; ++*i) {
        if (ndi_value_equal(all->items[*i], item)) {
            nds_value_free(all);
            return 0;
        }
    }
    nds_value_free(all);
    return ndi_fail(NDS_EKEY, "the item is not in the list");
}

int
nds_shareable_list_repr(const nds_shareable_list *l, char **text)
{
    struct ndi_buf b = {0};
    nds_value *all;
    int rc = nds_shareable_list_values(l, &all);

    *text = NULL;
    if (rc < 0) {
        return rc;
    }
    ndi_buf_add_str(&b, "ShareableList(");
    rc = ndi_value_repr_to(&b, all);
    ndi_buf_add_fmt(&b, ", name='%s')", nds_shareable_list_name(l));
    nds_value_free(all);
    if (rc < 0) {
        ndi_buf_fini(&b);
        return rc;
    }
    return ndi_buf_steal_text(&b, text);
}
