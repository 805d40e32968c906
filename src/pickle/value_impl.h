/* SPDX-License-Identifier: MIT */
/*
 * value_impl.h - inside a value, and the fixed list of names
 *
 * A value is counted, so that what a pickle's memo names twice is one object;
 * a container holds one count on each item. Counts are plain: a value belongs
 * to one thread at a time.
 */
#ifndef NDI_VALUE_IMPL_H
#define NDI_VALUE_IMPL_H

#include <base/buf.h>
#include <ndshare/value.h>

/* Kinds that exist only while a pickle is read. */
enum ndi_value_kind {
    NDI_VALUE_GLOBAL = 100, /* a permitted name, not yet used */
    NDI_VALUE_RAW_ARRAY,    /* _reconstruct() before its BUILD */
    NDI_VALUE_RAW_TOKEN,    /* Token before its BUILD */
    NDI_VALUE_RAW_OBJECT,   /* an object of attributes before its BUILD */
    /* And one that is only written: a call of items[0], a NAME, with the tuple
     * items[1]; or, if there is an items[2], a new object of that class with
     * these attributes. */
    NDI_VALUE_CALL
};

/* What a name of the list does when it is called with REDUCE. */
enum ndi_action {
    NDI_ACT_NONE, /* a class that is only named */
    NDI_ACT_ELLIPSIS,
    NDI_ACT_NOTIMPLEMENTED,
    NDI_ACT_DTYPE,
    NDI_ACT_NDARRAY,
    NDI_ACT_RECONSTRUCT,
    NDI_ACT_FROMBUFFER,
    NDI_ACT_SCALAR,
    NDI_ACT_NUMBER, /* numpy.float64(x) */
    NDI_ACT_ENCODE,
    NDI_ACT_BYTES,
    NDI_ACT_BYTEARRAY,
    NDI_ACT_COMPLEX,
    NDI_ACT_SLICE,
    NDI_ACT_RANGE,
    NDI_ACT_SET,
    NDI_ACT_FROZENSET,
    NDI_ACT_LIST,
    NDI_ACT_TYPE,
    NDI_ACT_EXCEPTION,
    NDI_ACT_TOKEN,
    NDI_ACT_PROXY,
    NDI_ACT_OBJECT, /* attributes: a dict of them */
    NDI_ACT_TYPED
};

struct ndi_symbol {
    const char *module; /* as written, e.g. "numpy" */
    const char *name;
    enum ndi_action action;
    bool is_class;     /* may be a value of its own */
    const char *dtype; /* of a class that names one: "<f8", "U", else NULL */
};

/* Whose memory a text is. */
enum ndi_text_memory {
    NDI_TEXT_OWN,   /* heap, or `backing` if that is not NULL */
    NDI_TEXT_LENT,  /* backing's, which an array has taken over */
    NDI_TEXT_ALIEN  /* the caller's, while a pickle is read */
};

struct nds_value {
    uint32_t refs;
    uint8_t kind; /* enum nds_value_kind or ndi_value_kind */
    uint8_t mark; /* reader: 0 unseen, 1 open, 2 done */
    uint8_t height;
    uint8_t memory; /* enum ndi_text_memory */
    union {
        bool truth;
        int64_t integer;
        double re;
        char *text; /* heap, NUL one past nbytes */
        nds_array *array;
        const nds_dtype *dtype;
        const struct ndi_symbol *symbol; /* TYPE, EXCEPTION, GLOBAL */
    } u;
    union {
        double im;
        size_t nbytes; /* of text */
    } v;
    nds_value **items;
    size_t count;
    size_t room;
    uint64_t weight; /* reader: values it would be without sharing */
    nds_array *backing; /* of a large text that was fetched */
};

/* ---- value.c ---- */
nds_value *ndi_value_new(int kind);
nds_value *ndi_value_get(nds_value *v);
nds_value *ndi_value_text(int kind, const void *data, size_t nbytes);
/* Adds with a count of the container's own; the caller keeps its. */
int ndi_value_push(nds_value *container, nds_value *item);
/* The item at `at` of a list, taken out [caller frees]. */
nds_value *ndi_value_cut(nds_value *list, size_t at);
/* Before the item at `at`; the item is taken over, also on failure. */
int ndi_value_insert(nds_value *list, size_t at, nds_value *item);
void ndi_value_clear(nds_value *v); /* drops the items */
bool ndi_value_has_text(const nds_value *v);
/* A symbol by the name it is known under: "numpy", "float64". NULL */
nds_value *ndi_value_type(const char *module, const char *name);
/* An array value that takes the handle over; NULL a closes nothing. */
nds_value *ndi_value_of_array(nds_array *a, bool scalar);
/* The dtype a value names: DTYPE, a class, or a text; NDS_EDTYPE. None and
 * NULL leave *out NULL. [caller puts] */
int ndi_value_to_dtype(const nds_value *v, const nds_dtype **out);
/* NDI_VALUE_CALL of "module:name"; takes args (a tuple) and, of an object,
 * its attributes over. */
nds_value *ndi_value_call(const char *module, const char *name,
                          nds_value *args, nds_value *state, bool object);
/* UTF-8, lone surrogates included. */
bool ndi_text_is_utf8(const void *data, size_t nbytes);

/* ---- value_compare.c ---- */
/* A tree of its own: nothing is shared with v but arrays' memory. */
nds_value *ndi_value_copy(const nds_value *v);
bool ndi_value_equal(const nds_value *a, const nds_value *b);
int ndi_value_less(const nds_value *a, const nds_value *b, bool *less);

/* ---- allow.c ---- */
/* NULL for everything that is not on the list. */
const struct ndi_symbol *ndi_symbol_find(const char *module,
                                         const char *name);
const struct ndi_symbol *ndi_symbol_exception(const char *name);

/* ---- descr.c ---- */
/* numpy.dtype(...)'s argument as a value: a text, a list, or a dict. */
nds_value *ndi_descr_of_dtype(const nds_dtype *dt);
/* The dtype of such an argument. */
int ndi_descr_to_dtype(const nds_value *descr, const nds_dtype **out);

/* ---- value_repr.c ---- */
int ndi_value_repr_to(struct ndi_buf *b, const nds_value *v);

#endif
