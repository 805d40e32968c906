/* SPDX-License-Identifier: MIT */
/*
 * reducers.c - what the permitted names do when a pickle calls them
 *
 * Every reducer checks the number, kinds and sizes of its arguments; anything
 * that Python's own senders do not write is refused.
 */
#include <pickle/pickle.h>

#include <base/fail.h>

#include <string.h>

static int
bad_args(const struct ndi_symbol *s)
{
    return ndi_fail(NDS_EREFUSED, "pickle: arguments of '%s.%s' that no "
                    "sender writes", s->module, s->name);
}

/* The made value, or the failure that left it NULL. */
static int
made(nds_value *v, nds_value **out)
{
    *out = v;
    return v != NULL ? 0 : NDS_ENOMEM;
}

static bool
is_bytes(const nds_value *v)
{
    return v->kind == NDS_VALUE_BYTES || v->kind == NDS_VALUE_BYTEARRAY;
}

static int
copy_items(int kind, const nds_value *from, nds_value **out)
{
    nds_value *v = ndi_value_new(kind);
    int rc = v == NULL ? NDS_ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++) {
        rc = ndi_value_push(v, from->items[i]);
    }
    if (rc < 0) {
        nds_value_free(v);
        v = NULL;
    }
    *out = v;
    return rc;
}

/* _codecs.encode(text, 'latin1'): bytes of protocol 2 */
static int
encode_latin1(const struct ndi_symbol *s, const nds_value *args,
              nds_value **out)
{
    struct ndi_buf b = {0};
    const nds_value *text;
    int rc;

    if (args->count != 2 || args->items[0]->kind != NDS_VALUE_STR ||
        args->items[1]->kind != NDS_VALUE_STR ||
        strcmp(args->items[1]->u.text, "latin1") != 0) {
        return bad_args(s);
    }
    text = args->items[0];
    for (size_t i = 0; i < text->v.nbytes; i++) {
        unsigned c = (unsigned char)text->u.text[i];

        if (c >= 0xc4) {
            ndi_buf_fini(&b);
            return bad_args(s);
        }
        if (c >= 0x80) {
            c = ((c & 3u) << 6) | ((unsigned char)text->u.text[++i] & 0x3fu);
        }
        ndi_buf_add_char(&b, (char)c);
    }
    rc = ndi_buf_ok(&b);
    if (rc == 0) {
        rc = made(nds_value_bytes(b.data, b.nbytes), out);
    }
    ndi_buf_fini(&b);
    return rc;
}

static int
make_bytes(const struct ndi_symbol *s, int kind, const nds_value *args,
           nds_value **out)
{
    if (args->count == 0) {
        return made(ndi_value_text(kind, "", 0), out);
    }
    if (args->count != 1 || !is_bytes(args->items[0])) {
        return bad_args(s);
    }
    return made(ndi_value_text(kind, args->items[0]->u.text,
                               args->items[0]->v.nbytes), out);
}

static int
make_complex(const struct ndi_symbol *s, const nds_value *args,
             nds_value **out)
{
    double re, im;

    if (args->count != 2 || !nds_value_as_float(args->items[0], &re) ||
        !nds_value_as_float(args->items[1], &im)) {
        return bad_args(s);
    }
    return made(nds_value_complex(re, im), out);
}

static int
make_three(const struct ndi_symbol *s, int kind, const nds_value *args,
           nds_value **out)
{
    if (args->count != 3) {
        return bad_args(s);
    }
    for (int i = 0; kind == NDS_VALUE_RANGE && i < 3; i++) {
        if (args->items[i]->kind != NDS_VALUE_INT &&
            args->items[i]->kind != NDS_VALUE_BIGINT) {
            return bad_args(s);
        }
    }
    return copy_items(kind, args, out);
}

static int
make_collection(const struct ndi_symbol *s, int kind, const nds_value *args,
                nds_value **out)
{
    if (args->count == 0) {
        return made(ndi_value_new(kind), out);
    }
    if (args->count != 1 || (args->items[0]->kind != NDS_VALUE_LIST &&
                             args->items[0]->kind != NDS_VALUE_TUPLE)) {
        return bad_args(s);
    }
    return copy_items(kind, args->items[0], out);
}

static int
make_exception(const struct ndi_symbol *s, const nds_value *args,
               nds_value **out)
{
    int rc = copy_items(NDS_VALUE_EXCEPTION, args, out);

    if (rc == 0) {
        (*out)->u.symbol = s;
    }
    return rc;
}

/* RebuildProxy(class, token, 'pickle', keywords) */
static int
make_proxy(const struct ndi_symbol *s, const nds_value *args,
           nds_value **out)
{
    if (args->count != 4 || args->items[0]->kind != NDI_VALUE_GLOBAL ||
        args->items[1]->kind != NDS_VALUE_TOKEN ||
        args->items[2]->kind != NDS_VALUE_STR ||
        args->items[3]->kind != NDS_VALUE_DICT) {
        return bad_args(s);
    }
    return copy_items(NDS_VALUE_PROXY, args, out);
}

int
ndi_reduce(const struct ndi_symbol *s, const nds_value *args,
           nds_value **out)
{
    switch (s->action) {
    case NDI_ACT_ENCODE:
        return encode_latin1(s, args, out);
    case NDI_ACT_BYTES:
        return make_bytes(s, NDS_VALUE_BYTES, args, out);
    case NDI_ACT_BYTEARRAY:
        return make_bytes(s, NDS_VALUE_BYTEARRAY, args, out);
    case NDI_ACT_COMPLEX:
        return make_complex(s, args, out);
    case NDI_ACT_SLICE:
        return make_three(s, NDS_VALUE_SLICE, args, out);
    case NDI_ACT_RANGE:
        return make_three(s, NDS_VALUE_RANGE, args, out);
    case NDI_ACT_SET:
        return make_collection(s, NDS_VALUE_SET, args, out);
    case NDI_ACT_FROZENSET:
        return make_collection(s, NDS_VALUE_FROZENSET, args, out);
    case NDI_ACT_LIST:
        return make_collection(s, NDS_VALUE_LIST, args, out);
    case NDI_ACT_TYPE:
        if (args->count != 1 || args->items[0]->kind != NDS_VALUE_NONE) {
            return bad_args(s);
        }
        return made(ndi_value_type("builtins", "NoneType"), out);
    case NDI_ACT_EXCEPTION:
        return make_exception(s, args, out);
    case NDI_ACT_TOKEN:
        if (args->count != 0) {
            return bad_args(s);
        }
        return made(ndi_value_new(NDI_VALUE_RAW_TOKEN), out);
    case NDI_ACT_OBJECT:
        return args->count != 0
                   ? bad_args(s)
                   : made(ndi_value_new(NDI_VALUE_RAW_OBJECT), out);
    case NDI_ACT_PROXY:
        return make_proxy(s, args, out);
    case NDI_ACT_DTYPE:
    case NDI_ACT_NDARRAY:
    case NDI_ACT_RECONSTRUCT:
    case NDI_ACT_FROMBUFFER:
    case NDI_ACT_SCALAR:
    case NDI_ACT_NUMBER:
    case NDI_ACT_TYPED:
        return ndi_reduce_array(s, args, out);
    default:
        return ndi_fail(NDS_EREFUSED, "pickle: '%s.%s' may be named, not "
                        "called", s->module, s->name);
    }
}

/* (typeid, address, ident) of a Token */
static int
build_token(nds_value *target, const nds_value *state)
{
    if (state->kind != NDS_VALUE_TUPLE || state->count != 3 ||
        state->items[0]->kind != NDS_VALUE_STR ||
        state->items[2]->kind != NDS_VALUE_STR) {
        return ndi_fail(NDS_EREFUSED, "pickle: a Token with another state");
    }
    for (int i = 0; i < 3; i++) {
        int rc = ndi_value_push(target, state->items[i]);

        if (rc < 0) {
            return rc;
        }
    }
    target->kind = NDS_VALUE_TOKEN;
    return 0;
}

/* The attributes of an object: it is the dict of them to us. */
static int
build_object(nds_value *target, const nds_value *state)
{
    int rc = state->kind == NDS_VALUE_DICT
                 ? 0
                 : ndi_fail(NDS_EREFUSED, "pickle: an object with another "
                            "state than a dict");

    target->kind = NDS_VALUE_DICT;
    for (size_t i = 0; rc == 0 && i < state->count; i++) {
        rc = ndi_value_push(target, state->items[i]);
    }
    return rc;
}

int
ndi_build(nds_value *target, const nds_value *state)
{
    if (target->kind == NDI_VALUE_RAW_OBJECT) {
        return build_object(target, state);
    }
    if (target->kind == NDI_VALUE_RAW_TOKEN) {
        return build_token(target, state);
    }
    if (target->kind == NDI_VALUE_RAW_ARRAY) {
        return ndi_build_array(target, state);
    }
    if (target->kind == NDS_VALUE_DTYPE) {
        return ndi_build_dtype(target, state);
    }
    if (target->kind == NDS_VALUE_EXCEPTION &&
        state->kind == NDS_VALUE_DICT) {
        return 0; // attributes beside the arguments say nothing to us
    }
    return ndi_fail(NDS_EREFUSED, "pickle: a state for what has none");
}
