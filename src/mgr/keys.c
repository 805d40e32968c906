/* SPDX-License-Identifier: MIT */
/*
 * keys.c - where in a hosted dict or set a key stands
 *
 * A table of places, open to its neighbours; what the keys are stays in the
 * dict. Numbers that are equal are one key, whatever their kind, as in Python.
 * A set that is looked for is taken as the frozen one.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

#define EMPTY UINT32_MAX
#define GONE (UINT32_MAX - 1)
#define FIRST_ROOM 16

/* Items of an entry. */
static size_t
width(const nds_value *of)
{
    return of->kind == NDS_VALUE_DICT ? 2 : 1;
}

int
ndi_keys_check(const nds_value *key)
{
    int rc = 0;

    switch (nds_value_kind(key)) {
    case NDS_VALUE_LIST:
    case NDS_VALUE_DICT:
    case NDS_VALUE_SET:
    case NDS_VALUE_BYTEARRAY:
    case NDS_VALUE_ARRAY:
        return ndi_fail(NDS_ECAST, "unhashable type");
    case NDS_VALUE_TUPLE:
    case NDS_VALUE_FROZENSET:
        for (size_t i = 0; rc == 0 && i < nds_value_count(key); i++) {
            rc = ndi_keys_check(nds_value_item(key, i));
        }
        return rc;
    default:
        return 0;
    }
}

static uint64_t
mix(uint64_t h, uint64_t with)
{
    h = (h ^ with) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

/* Equal keys have equal hashes. */
static uint64_t
hash_of(const nds_value *v)
{
    uint64_t h = 0;
    double d;

    if (nds_value_as_float(v, &d)) {
        d = d == 0 ? 0 : d; // -0.0 is 0
        memcpy(&h, &d, sizeof h);
        return mix(h, 1);
    }
    if (ndi_value_has_text(v)) {
        h = v->kind;
        for (size_t i = 0; i < v->v.nbytes; i++) {
            h = mix(h, (unsigned char)v->u.text[i]);
        }
        return h;
    }
    switch (nds_value_kind(v)) {
    case NDS_VALUE_TUPLE:
        h = v->count;
        for (size_t i = 0; i < v->count; i++) {
            h = mix(h, hash_of(v->items[i]));
        }
        return h;
    case NDS_VALUE_SET:
    case NDS_VALUE_FROZENSET:
        // In any order.
        for (size_t i = 0; i < v->count; i++) {
            h += hash_of(v->items[i]);
        }
        return mix(h, v->count);
    default:
        return v->kind; // few of them are keys
    }
}

/* The slot of the key, or the one where it would go. */
static size_t
slot_of(const struct ndi_keys *k, const nds_value *dict,
        const nds_value *key)
{
    size_t i = (size_t)hash_of(key) & (k->room - 1), free_one = SIZE_MAX;

    for (;; i = (i + 1) & (k->room - 1)) {
        uint32_t at = k->slots[i];

        if (at == EMPTY) {
            return free_one != SIZE_MAX ? free_one : i;
        }
        if (at == GONE) {
            free_one = free_one != SIZE_MAX ? free_one : i;
        } else if (ndi_value_equal(dict->items[at], key)) {
            return i;
        }
    }
}

size_t
ndi_keys_find(const struct ndi_keys *k, const nds_value *dict,
              const nds_value *key)
{
    uint32_t at = k->room == 0 ? EMPTY : k->slots[slot_of(k, dict, key)];

    return at < GONE ? at : dict->count;
}

int
ndi_keys_reserve(struct ndi_keys *k, const nds_value *dict)
{
    size_t room = FIRST_ROOM;
    uint32_t *slots;

    // Never more than half full, the gone ones counted.
    if (k->room != 0 && k->used + 1 <= k->room / 2) {
        return 0;
    }
    while (room < 4 * (dict->count / width(dict) + 1)) {
        room *= 2;
    }
    slots = dict->count < GONE - 2 ? malloc(room * sizeof *slots) : NULL;
    if (slots == NULL) {
        return ndi_fail_nomem(room * sizeof *slots, "the keys of a dict or set");
    }
    memset(slots, 0xff, room * sizeof *slots);
    free(k->slots);
    *k = (struct ndi_keys){.slots = slots, .room = room};
    for (size_t at = 0; at < dict->count; at += width(dict)) {
        k->slots[slot_of(k, dict, dict->items[at])] = (uint32_t)at;
        k->used++;
    }
    return 0;
}

void
ndi_keys_add(struct ndi_keys *k, const nds_value *dict, size_t at)
{
    size_t i = slot_of(k, dict, dict->items[at]);

    k->used += k->slots[i] == EMPTY;
    k->slots[i] = (uint32_t)at;
}

void
ndi_keys_cut(struct ndi_keys *k, const nds_value *dict, size_t at)
{
    uint32_t gap = (uint32_t)width(dict);

    k->slots[slot_of(k, dict, dict->items[at])] = GONE;
    for (size_t i = 0; i < k->room && at + gap < dict->count; i++) {
        if (k->slots[i] < GONE && k->slots[i] > at) {
            k->slots[i] -= gap;
        }
    }
}

void
ndi_keys_clear(struct ndi_keys *k)
{
    free(k->slots);
    *k = (struct ndi_keys){0};
}
