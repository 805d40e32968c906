/* SPDX-License-Identifier: MIT */
/*
 * dtype_parse.c - records and sub-arrays from Python literals
 *
 * A text that begins with a bracket, a brace or a quote is a literal (pylit.c)
 * and is walked here; any other is a name or a code (dtype_word.c). In a list
 * ('', '|V4') is a gap, as in .npy files; other nameless fields are called
 * f0, f1, ... as NumPy does. Titles are refused by name.
 */
#include <nd/dtype_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <nd/pylit.h>
#include <ndshare/view.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `align` comes down from a dict with 'aligned': its parts follow it. */
static int from_lit(const nds_dtype **out, const struct ndi_lit *lit,
                    bool align, int code);

static int
fail_at(int code, const struct ndi_lit *lit, const char *why)
{
    return ndi_fail(code, "dtype: %s, not %s, at character %zu", why,
                    ndi_lit_kind_name(lit->kind), lit->at);
}

static int64_t
aligned_off(int64_t off, const nds_dtype *dt)
{
    int64_t over = off % dt->alignment;

    return over == 0 ? off : off + dt->alignment - over;
}

static bool
is_sequence(const struct ndi_lit *lit)
{
    return lit->kind == NDI_LIT_LIST || lit->kind == NDI_LIT_TUPLE;
}

static void
put_fields(struct ndi_field *fields, size_t count)
{
    for (size_t i = 0; fields != NULL && i < count; i++) {
        free(fields[i].name);
        nds_dtype_put(fields[i].dtype);
    }
    free(fields);
}

static struct ndi_field *
new_fields(size_t count)
{
    struct ndi_field *fields = calloc(count + 1, sizeof *fields);

    if (fields == NULL) {
        ndi_fail_nomem((count + 1) * sizeof *fields, "fields");
    }
    return fields;
}

/* The name of field i; an empty one becomes "f<i>". */
static int
read_name(char **out, const struct ndi_lit *lit, size_t i, int code)
{
    char number[24];
    const char *name = lit->text;

    if (lit->kind == NDI_LIT_TUPLE) {
        return ndi_fail(code, "dtype: a field with a title at character %zu; "
                        "titles are not supported", lit->at);
    }
    if (lit->kind != NDI_LIT_STR) {
        return fail_at(code, lit, "a field name is a text");
    }
    if (strlen(name) != lit->count) {
        return ndi_fail(code, "dtype: a NUL in the field name at character "
                        "%zu", lit->at);
    }
    if (lit->count == 0) {
        snprintf(number, sizeof number, "f%zu", i);
        name = number;
    }
    *out = strdup(name);
    return *out != NULL ? 0 : ndi_fail_nomem(strlen(name), "a field name");
}

/* 3 or (2, 3) or [2, 3] */
static int
read_shape(const struct ndi_lit *lit, int *ndim, int64_t *shape, int code)
{
    *ndim = 1;
    shape[0] = lit->num;
    if (lit->kind == NDI_LIT_INT) {
        return lit->num < 0 ? fail_at(code, lit, "an extent is >= 0") : 0;
    }
    if (!is_sequence(lit)) {
        return fail_at(code, lit, "a shape is a tuple");
    }
    if (lit->count > NDS_MAX_NDIM) {
        return ndi_fail(code, "dtype: %zu dimensions at character %zu",
                        lit->count, lit->at);
    }
    *ndim = (int)lit->count;
    for (size_t i = 0; i < lit->count; i++) {
        if (lit->items[i].kind != NDI_LIT_INT || lit->items[i].num < 0) {
            return fail_at(code, &lit->items[i], "an extent is a number >= 0");
        }
        shape[i] = lit->items[i].num;
    }
    return 0;
}

static int
from_type_and_shape(const nds_dtype **out, const struct ndi_lit *type,
                    const struct ndi_lit *shape_lit, bool align, int code)
{
    int64_t shape[NDS_MAX_NDIM];
    const nds_dtype *base;
    int ndim, rc;

    rc = read_shape(shape_lit, &ndim, shape, code);
    if (rc < 0) {
        return rc;
    }
    rc = from_lit(&base, type, align, code);
    if (rc == 0) {
        rc = ndi_dtype_new_subarray(out, base, ndim, shape);
        nds_dtype_put(base);
    }
    return rc;
}

/* ---- [('a', '<i4'), ('', '|V4'), ('b', '<f8', (2, 3))] ------------------ */

static bool
is_gap(const struct ndi_lit *item, const nds_dtype *dt)
{
    return item->kind == NDI_LIT_TUPLE &&
           item->items[0].kind == NDI_LIT_STR && item->items[0].count == 0 &&
           dt->type == NDS_TYPE_VOID && dt->base == NULL &&
           !ndi_dtype_is_record(dt);
}

/* One item of the list: its dtype, and its name unless it is a gap. */
static int
read_field(struct ndi_field *f, const struct ndi_lit *item, size_t i,
           bool align, int code)
{
    static const struct ndi_lit nameless = {.kind = NDI_LIT_STR, .text = ""};
    int rc;

    if (item->kind == NDI_LIT_STR) {
        rc = from_lit(&f->dtype, item, align, code);
        return rc < 0 ? rc : read_name(&f->name, &nameless, i, code);
    }
    if (item->kind != NDI_LIT_TUPLE || item->count < 2 || item->count > 3) {
        return fail_at(code, item, "a field is a tuple of two or three");
    }
    if (item->count == 3) {
        rc = from_type_and_shape(&f->dtype, &item->items[1], &item->items[2],
                                 align, code);
    } else {
        rc = from_lit(&f->dtype, &item->items[1], align, code);
    }
    if (rc < 0) {
        const struct ndi_lit *name = &item->items[0];

        return ndi_fail_more(rc, "in field '%.60s' at character %zu",
                             name->kind == NDI_LIT_STR ? name->text : "?",
                             item->at);
    }
    return is_gap(item, f->dtype) ? 0
                                  : read_name(&f->name, &item->items[0], i,
                                              code);
}

static int
from_list(const nds_dtype **out, const struct ndi_lit *lit, bool align,
          int code)
{
    struct ndi_field *fields = new_fields(lit->count);
    int64_t off = 0, count = 0;
    int rc = fields == NULL ? NDS_ENOMEM : 0;

    for (size_t i = 0; i < lit->count && rc == 0; i++) {
        struct ndi_field *f = &fields[count];

        rc = read_field(f, &lit->items[i], i, align, code);
        if (rc < 0) {
            break;
        }
        f->off = align ? aligned_off(off, f->dtype) : off;
        off = f->off + f->dtype->itemsize; // a million times 2**31 fits
        if (f->name != NULL) {
            count++;
        } else {
            nds_dtype_put(f->dtype);
            f->dtype = NULL;
        }
    }
    if (rc == 0) {
        rc = ndi_dtype_new_record(out, count, fields, align ? -1 : off, align);
    }
    put_fields(fields, lit->count);
    return rc;
}

/* ---- {'names': ..., 'formats': ..., 'offsets': ..., 'itemsize': ...} ---- */

struct dict_form {
    const struct ndi_lit *names, *formats, *offsets, *itemsize, *aligned;
    const struct ndi_lit *titles;
};

static int
read_dict(struct dict_form *d, const struct ndi_lit *lit, int code)
{
    const struct {
        const char *key;
        const struct ndi_lit **to;
    } keys[] = {{"names", &d->names},       {"formats", &d->formats},
                {"offsets", &d->offsets},   {"itemsize", &d->itemsize},
                {"aligned", &d->aligned},   {"titles", &d->titles}};

    for (size_t i = 0; i < lit->count; i += 2) {
        const struct ndi_lit *key = &lit->items[i];
        size_t k = 0;

        if (key->kind != NDI_LIT_STR) {
            return fail_at(code, key, "a key is a text");
        }
        while (k < NDI_ARRAY_LEN(keys) &&
               strcmp(keys[k].key, key->text) != 0) {
            k++;
        }
        if (k == NDI_ARRAY_LEN(keys)) {
            return ndi_fail(code, "dtype: unknown key '%.60s' at character "
                            "%zu", key->text, key->at);
        }
        *keys[k].to = &lit->items[i + 1];
    }
    return 0;
}

/* Everything present has its kind, and the lists one length. */
static int
check_dict(const struct dict_form *d, const struct ndi_lit *lit, int code)
{
    const struct ndi_lit *lists[] = {d->names, d->formats, d->offsets};

    if (d->titles != NULL && d->titles->kind != NDI_LIT_NONE) {
        return ndi_fail(code, "dtype: titles at character %zu are not "
                        "supported", d->titles->at);
    }
    if (d->names == NULL || d->formats == NULL) {
        return ndi_fail(code, "dtype: the dict at character %zu lacks 'names' "
                        "or 'formats'", lit->at);
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(lists); i++) {
        if (lists[i] == NULL) {
            continue;
        }
        if (!is_sequence(lists[i])) {
            return fail_at(code, lists[i], "a list was expected");
        }
        if (lists[i]->count != d->names->count) {
            return ndi_fail(code, "dtype: 'names', 'formats' and 'offsets' "
                            "differ in length at character %zu",
                            lists[i]->at);
        }
    }
    if (d->itemsize != NULL &&
        (d->itemsize->kind != NDI_LIT_INT || d->itemsize->num < 0)) {
        return fail_at(code, d->itemsize, "itemsize is a number >= 0");
    }
    if (d->aligned != NULL && d->aligned->kind != NDI_LIT_BOOL) {
        return fail_at(code, d->aligned, "aligned is True or False");
    }
    return 0;
}

static int
dict_field(struct ndi_field *f, const struct dict_form *d, size_t i,
           bool aligned, int64_t *off, int code)
{
    const struct ndi_lit *name = &d->names->items[i];
    int rc = read_name(&f->name, name, i, code);

    if (rc == 0 && name->count == 0) {
        rc = ndi_fail(code, "dtype: an empty field name at character %zu",
                      name->at);
    }
    if (rc == 0) {
        rc = from_lit(&f->dtype, &d->formats->items[i], aligned, code);
    }
    if (rc < 0) {
        return rc;
    }
    if (d->offsets != NULL) {
        if (d->offsets->items[i].kind != NDI_LIT_INT) {
            return fail_at(code, &d->offsets->items[i],
                           "an offset is a number");
        }
        f->off = d->offsets->items[i].num;
        return 0;
    }
    f->off = aligned ? aligned_off(*off, f->dtype) : *off;
    *off = f->off + f->dtype->itemsize;
    return 0;
}

static int
from_names(const nds_dtype **out, const struct ndi_lit *lit, bool align,
           int code)
{
    struct dict_form d = {0};
    struct ndi_field *fields;
    int64_t off = 0;
    bool aligned;
    int rc;

    if ((rc = read_dict(&d, lit, code)) < 0 ||
        (rc = check_dict(&d, lit, code)) < 0) {
        return rc;
    }
    aligned = align || (d.aligned != NULL && d.aligned->num != 0);
    fields = new_fields(d.names->count);
    rc = fields == NULL ? NDS_ENOMEM : 0;
    for (size_t i = 0; i < d.names->count && rc == 0; i++) {
        rc = dict_field(&fields[i], &d, i, aligned, &off, code);
    }
    if (rc == 0) {
        rc = ndi_dtype_new_record(out, (int64_t)d.names->count, fields,
                                  d.itemsize != NULL ? d.itemsize->num : -1,
                                  aligned);
    }
    put_fields(fields, d.names->count);
    return rc;
}

/* ---- {'a': ('<i4', 0), 'b': ('<f8', 8)} --------------------------------- */

static int
compare_offsets(const void *a, const void *b)
{
    const struct ndi_field *x = a, *y = b;

    return (x->off > y->off) - (x->off < y->off);
}

static int
from_fields(const nds_dtype **out, const struct ndi_lit *lit, bool align,
            int code)
{
    size_t count = lit->count / 2;
    struct ndi_field *fields = new_fields(count);
    int rc = fields == NULL ? NDS_ENOMEM : 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct ndi_lit *v = &lit->items[2 * i + 1];

        rc = read_name(&fields[i].name, &lit->items[2 * i], i, code);
        if (rc < 0) {
            break;
        }
        if (v->kind == NDI_LIT_TUPLE && v->count == 3) {
            rc = ndi_fail(code, "dtype: a field with a title at character "
                          "%zu; titles are not supported", v->at);
        } else if (v->kind != NDI_LIT_TUPLE || v->count != 2 ||
                   v->items[1].kind != NDI_LIT_INT) {
            rc = fail_at(code, v, "a field is a tuple of dtype and offset");
        } else {
            fields[i].off = v->items[1].num;
            rc = from_lit(&fields[i].dtype, &v->items[0], align, code);
        }
    }
    if (rc == 0) {
        qsort(fields, count, sizeof *fields, compare_offsets);
        rc = ndi_dtype_new_record(out, (int64_t)count, fields, -1, align);
    }
    put_fields(fields, count);
    return rc;
}

static int
from_dict(const nds_dtype **out, const struct ndi_lit *lit, bool align,
          int code)
{
    for (size_t i = 0; i < lit->count; i += 2) {
        const struct ndi_lit *key = &lit->items[i];

        if (key->kind == NDI_LIT_STR && (strcmp(key->text, "names") == 0 ||
                                         strcmp(key->text, "formats") == 0)) {
            return from_names(out, lit, align, code);
        }
    }
    return from_fields(out, lit, align, code);
}

static int
from_lit(const nds_dtype **out, const struct ndi_lit *lit, bool align,
         int code)
{
    int rc;

    *out = NULL;
    switch (lit->kind) {
    case NDI_LIT_STR:
        rc = ndi_dtype_from_word(out, lit->text, lit->count, code);
        break;
    case NDI_LIT_LIST:
        rc = from_list(out, lit, align, code);
        break;
    case NDI_LIT_DICT:
        rc = from_dict(out, lit, align, code);
        break;
    case NDI_LIT_TUPLE:
        if (lit->count != 2) {
            return fail_at(code, lit, "a tuple of dtype and shape");
        }
        rc = from_type_and_shape(out, &lit->items[0], &lit->items[1], align,
                                 code);
        break;
    default:
        return fail_at(code, lit, "a dtype is a text, a list or a dict");
    }
    // The makers say EDTYPE; a file is malformed.
    return rc == NDS_EDTYPE && code != rc
               ? ndi_fail(code, "%s", nds_last_error()->message)
               : rc;
}

int
ndi_dtype_from_lit(const nds_dtype **out, const struct ndi_lit *lit, int code)
{
    return from_lit(out, lit, false, code);
}

int
nds_dtype_parse(const nds_dtype **out, const char *text)
{
    const struct ndi_lit_options opts = {.code = NDS_EDTYPE, .what = "dtype"};
    size_t nbytes = strlen(text);
    struct ndi_lit lit;
    int rc;

    *out = NULL;
    if (nbytes == 0) {
        return ndi_fail(NDS_EDTYPE, "data type '' not understood");
    }
    if (nbytes > NDI_LIT_MAX_NBYTES) {
        return ndi_fail(NDS_EDTYPE, "dtype: %zu bytes of text, more than %u",
                        nbytes, NDI_LIT_MAX_NBYTES);
    }
    // "(2,3)f4" is a word, "('f4', (2, 3))" a literal.
    if (strchr("[{'\"", text[0]) == NULL &&
        (text[0] != '(' || strpbrk(text, "'\"[{") == NULL)) {
        return ndi_dtype_from_word(out, text, nbytes, NDS_EDTYPE);
    }
    rc = ndi_lit_parse(&lit, text, nbytes, &opts);
    if (rc < 0) {
        return rc;
    }
    rc = ndi_dtype_from_lit(out, &lit, NDS_EDTYPE);
    ndi_lit_fini(&lit);
    return rc;
}
