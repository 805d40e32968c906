/* SPDX-License-Identifier: MIT */
/*
 * descr.c - dtypes as the argument of numpy.dtype(), and from NumPy's states
 *
 * A record is a list of (name, descr[, shape]) when its fields lie side by
 * side, else a dict with offsets. (The padding fields '' of .npy headers are
 * no use here: numpy.dtype() would give them names.)
 */
#include <pickle/pickle.h>

#include <base/fail.h>
#include <nd/dtype_impl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCR_DEPTH 20
#define DESCR_NBYTES (1u << 20)

static nds_value *
owned_text(char *text)
{
    nds_value *v = text != NULL ? nds_value_str(text) : NULL;

    free(text);
    return v;
}

static nds_value *
shape_value(const nds_dtype *dt)
{
    nds_value *v = nds_value_tuple();

    for (int i = 0; v != NULL && i < dt->ndim; i++) {
        if (nds_value_append(v, nds_value_int(dt->shape[i])) < 0) {
            nds_value_free(v);
            return NULL;
        }
    }
    return v;
}

/* (name, descr[, shape]) */
static nds_value *
field_tuple(const struct ndi_field *f)
{
    const nds_dtype *dt = f->dtype->base != NULL ? f->dtype->base : f->dtype;
    nds_value *v = nds_value_tuple();

    if (v != NULL && (nds_value_append(v, nds_value_str(f->name)) < 0 ||
                      nds_value_append(v, ndi_descr_of_dtype(dt)) < 0 ||
                      (f->dtype->base != NULL &&
                       nds_value_append(v, shape_value(f->dtype)) < 0))) {
        nds_value_free(v);
        return NULL;
    }
    return v;
}

static nds_value *
record_dict(const nds_dtype *dt)
{
    nds_value *v = nds_value_dict();
    nds_value *names = nds_value_list();
    nds_value *formats = nds_value_list();
    nds_value *offsets = nds_value_list();
    int rc = v && names && formats && offsets ? 0 : NDS_ENOMEM;

    for (int64_t i = 0; rc == 0 && i < dt->nfields; i++) {
        const struct ndi_field *f = &dt->fields[i];

        rc = nds_value_append(names, nds_value_str(f->name));
        if (rc == 0) {
            rc = nds_value_append(formats, ndi_descr_of_dtype(f->dtype));
        }
        if (rc == 0) {
            rc = nds_value_append(offsets, nds_value_int(f->off));
        }
    }
    if (rc < 0) {
        nds_value_free(names);
        nds_value_free(formats);
        nds_value_free(offsets);
        nds_value_free(v);
        return NULL;
    }
    rc |= nds_value_set(v, "names", names);
    rc |= nds_value_set(v, "formats", formats);
    rc |= nds_value_set(v, "offsets", offsets);
    rc |= nds_value_set(v, "itemsize", nds_value_int(dt->itemsize));
    if (dt->aligned) {
        rc |= nds_value_set(v, "aligned", nds_value_bool(true));
    }
    if (rc != 0) {
        nds_value_free(v);
        return NULL;
    }
    return v;
}

nds_value *
ndi_descr_of_dtype(const nds_dtype *dt)
{
    int64_t end = 0;
    nds_value *v;
    char *text;

    if (dt->base != NULL) {
        v = nds_value_tuple();
        if (v != NULL &&
            (nds_value_append(v, ndi_descr_of_dtype(dt->base)) < 0 ||
             nds_value_append(v, shape_value(dt)) < 0)) {
            nds_value_free(v);
            return NULL;
        }
        return v;
    }
    if (!ndi_dtype_is_record(dt)) {
        return nds_dtype_str(dt, &text) < 0 ? NULL : owned_text(text);
    }
    for (int64_t i = 0; i < dt->nfields; i++) {
        if (dt->fields[i].off != end) {
            return record_dict(dt);
        }
        end += dt->fields[i].dtype->itemsize;
    }
    if (end != dt->itemsize || dt->aligned) {
        return record_dict(dt);
    }
    v = nds_value_list();
    for (int64_t i = 0; v != NULL && i < dt->nfields; i++) {
        if (nds_value_append(v, field_tuple(&dt->fields[i])) < 0) {
            nds_value_free(v);
            return NULL;
        }
    }
    return v;
}

static int render(struct ndi_buf *b, const nds_value *v, int depth);

static int
render_items(struct ndi_buf *b, const nds_value *v, int depth)
{
    const char *ends = v->kind == NDS_VALUE_LIST    ? "[]"
                       : v->kind == NDS_VALUE_TUPLE ? "()"
                                                    : "{}";
    int rc = 0;

    ndi_buf_add_char(b, ends[0]);
    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        rc = render(b, v->items[i], depth + 1);
        ndi_buf_add_str(b, v->kind == NDS_VALUE_DICT && i % 2 == 0 ? ": "
                           : i + 1 < v->count ||
                                     (v->kind == NDS_VALUE_TUPLE && i == 0)
                               ? ", "
                               : "");
    }
    ndi_buf_add_char(b, ends[1]);
    return rc;
}

/* The text nds_dtype_parse reads; bounded, since the value may hold itself. */
static int
render(struct ndi_buf *b, const nds_value *v, int depth)
{
    if (depth > DESCR_DEPTH || b->nbytes > DESCR_NBYTES) {
        return ndi_fail(NDS_ELIMIT, "a dtype nested too deep or too long");
    }
    switch (v->kind) {
    case NDS_VALUE_STR:
    case NDS_VALUE_NONE:
    case NDS_VALUE_BOOL:
    case NDS_VALUE_INT:
        return ndi_value_repr_to(b, v);
    case NDS_VALUE_LIST:
    case NDS_VALUE_TUPLE:
    case NDS_VALUE_DICT:
        return render_items(b, v, depth);
    case NDS_VALUE_DTYPE: {
        nds_value *descr = ndi_descr_of_dtype(v->u.dtype);
        int rc = descr != NULL ? render(b, descr, depth + 1) : NDS_ENOMEM;

        nds_value_free(descr);
        return rc;
    }
    case NDI_VALUE_GLOBAL:
    case NDS_VALUE_TYPE:
        if (v->u.symbol->dtype != NULL) {
            ndi_buf_add_fmt(b, "'%s'", v->u.symbol->dtype);
            return 0;
        }
        /* fall through */
    default:
        return ndi_fail(NDS_EDTYPE, "data type not understood");
    }
}

int
ndi_descr_to_dtype(const nds_value *descr, const nds_dtype **out)
{
    struct ndi_buf b = {0};
    int rc;

    *out = NULL;
    if (descr->kind == NDS_VALUE_STR) {
        if (strlen(descr->u.text) != descr->v.nbytes) {
            return ndi_fail(NDS_EDTYPE, "data type not understood");
        }
        return nds_dtype_parse(out, descr->u.text);
    }
    rc = render(&b, descr, 0);
    if (rc == 0) {
        rc = ndi_buf_ok(&b);
    }
    if (rc == 0) {
        rc = nds_dtype_parse(out, (const char *)b.data);
    }
    ndi_buf_fini(&b);
    return rc;
}

static int
bad_state(void)
{
    return ndi_fail(NDS_EREFUSED, "pickle: a dtype with another state");
}

/* names and fields as {'names': ..., 'formats': ..., ...} */
static int
state_record(const nds_value *state, nds_value **out)
{
    const nds_value *names = state->items[3];
    const nds_value *fields = state->items[4];
    nds_value *v = nds_value_dict();
    nds_value *list[3] = {nds_value_list(), nds_value_list(),
                          nds_value_list()};
    int rc = v && list[0] && list[1] && list[2] ? 0 : NDS_ENOMEM;

    if (names->kind != NDS_VALUE_TUPLE || fields->kind != NDS_VALUE_DICT ||
        fields->count != 2 * names->count) {
        // One key a name; a title would be another key.
        rc = fields->kind == NDS_VALUE_DICT
                 ? ndi_fail(NDS_EREFUSED, "pickle: a dtype with titles")
                 : bad_state();
    }
    for (size_t i = 0; rc == 0 && i < names->count; i++) {
        nds_value *name = names->items[i];
        const nds_value *f = name->kind == NDS_VALUE_STR
                                 ? nds_value_get(fields, name->u.text)
                                 : NULL;

        if (f == NULL || f->kind != NDS_VALUE_TUPLE || f->count != 2 ||
            f->items[0]->kind != NDS_VALUE_DTYPE ||
            f->items[1]->kind != NDS_VALUE_INT) {
            rc = bad_state();
            break;
        }
        rc = ndi_value_push(list[0], name);
        rc = rc == 0 ? ndi_value_push(list[1], f->items[0]) : rc;
        rc = rc == 0 ? ndi_value_push(list[2], f->items[1]) : rc;
    }
    if (rc == 0) {
        static const char *const keys[3] = {"names", "formats", "offsets"};

        for (int i = 0; i < 3; i++) {
            rc |= nds_value_set(v, keys[i], ndi_steal(&list[i]));
        }
        rc |= nds_value_set(v, "itemsize", ndi_value_get(state->items[5]));
        if (state->items[7]->kind == NDS_VALUE_INT &&
            (state->items[7]->u.integer & 0x80)) {
            rc |= nds_value_set(v, "aligned", nds_value_bool(true));
        }
        rc = rc != 0 ? NDS_ENOMEM : 0;
    }
    for (int i = 0; i < 3; i++) {
        nds_value_free(list[i]);
    }
    if (rc < 0) {
        nds_value_free(v);
        v = NULL;
    }
    *out = v;
    return rc;
}

/* The text of what is no record: order and what the code said, and the unit
 * of a time. */
static int
state_simple(const nds_dtype *was, const nds_value *state, nds_value **out)
{
    const nds_value *order = state->items[1];
    char text[80];
    char *code;
    int rc = nds_dtype_str(was, &code);

    if (rc < 0) {
        return rc;
    }
    if (order->kind != NDS_VALUE_STR || order->v.nbytes != 1 ||
        strchr("<>|=", order->u.text[0]) == NULL || strlen(code) > 20) {
        free(code);
        return bad_state();
    }
    snprintf(text, sizeof text, "%c%s",
             order->u.text[0] == '=' ? '<' : order->u.text[0], code + 1);
    free(code);
    if (was->kind == 'M' || was->kind == 'm') {
        const nds_value *meta = state->count == 9 ? state->items[8] : NULL;
        const nds_value *unit;

        if (meta == NULL || meta->kind != NDS_VALUE_TUPLE ||
            meta->count != 2 || meta->items[1]->kind != NDS_VALUE_TUPLE ||
            meta->items[1]->count < 2) {
            return bad_state();
        }
        unit = meta->items[1];
        if (unit->items[0]->kind != NDS_VALUE_BYTES ||
            unit->items[0]->v.nbytes > 8 ||
            unit->items[1]->kind != NDS_VALUE_INT) {
            return bad_state();
        }
        snprintf(text, sizeof text, "%c%c8",
                 order->u.text[0] == '=' ? '<' : order->u.text[0],
                 was->kind);
        if (strcmp(unit->items[0]->u.text, "generic") != 0) {
            size_t n = strlen(text);

            snprintf(text + n, sizeof text - n, "[%lld%s]",
                     (long long)unit->items[1]->u.integer,
                     unit->items[0]->u.text);
        }
    }
    *out = nds_value_str(text);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

/* (3 or 4, order, subdtype, names, fields, itemsize, alignment, flags[, 8]) */
int
ndi_build_dtype(nds_value *target, const nds_value *state)
{
    const nds_dtype *dt = NULL;
    nds_value *descr = NULL;
    int64_t version;
    int rc;

    if (state->kind != NDS_VALUE_TUPLE || state->count < 8 ||
        state->count > 9 || !nds_value_as_int(state->items[0], &version) ||
        version < 3 || version > 4 ||
        state->items[7]->kind != NDS_VALUE_INT) {
        return bad_state();
    }
    if (state->items[7]->u.integer & 1) {
        return ndi_fail(NDS_EREFUSED,
                        "pickle: a dtype that holds Python objects");
    }
    if (state->items[2]->kind == NDS_VALUE_TUPLE) {
        // (base, shape), exactly the form that numpy.dtype() takes
        rc = state->items[2]->count == 2
                 ? ndi_descr_to_dtype(state->items[2], &dt)
                 : bad_state();
    } else {
        rc = state->items[3]->kind != NDS_VALUE_NONE
                 ? state_record(state, &descr)
                 : state_simple(target->u.dtype, state, &descr);
        if (rc == 0) {
            rc = ndi_descr_to_dtype(descr, &dt);
        }
    }
    nds_value_free(descr);
    if (rc < 0) {
        return rc;
    }
    nds_dtype_put(target->u.dtype);
    target->u.dtype = dt;
    return 0;
}
