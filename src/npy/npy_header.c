/* SPDX-License-Identifier: MIT */
/*
 * npy_header.c - the head of a .npy file: read anything NumPy wrote, write
 * what the newest NumPy writes, byte for byte
 */
#include <npy/npy_header.h>

#include <base/checked.h>
#include <base/fail.h>
#include <nd/dtype_impl.h>
#include <nd/pylit.h>
#include <nd/shape.h>

#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* Bytes before the text: 10 for version 1, 12 for 2 and 3, 0 for others. */
static size_t
prefix_nbytes(const unsigned char *head)
{
    if (head[7] != 0) {
        return 0;
    }
    return head[6] == 1 ? 10 : head[6] == 2 || head[6] == 3 ? 12 : 0;
}

size_t
ndi_npy_head_need(const void *head, size_t nbytes)
{
    const unsigned char *h = head;
    size_t pre;

    if (nbytes < NDI_NPY_HEAD_MIN || memcmp(h, magic, sizeof magic) != 0) {
        return 0;
    }
    pre = prefix_nbytes(h);
    if (pre == 0) {
        return 0;
    }
    if (pre == 10) {
        return pre + (h[8] | (size_t)h[9] << 8);
    }
    return pre + (h[8] | (size_t)h[9] << 8 | (size_t)h[10] << 16 |
                  (size_t)h[11] << 24);
}

static int
check_prefix(const unsigned char *h, size_t nbytes, size_t *need)
{
    if (nbytes < NDI_NPY_HEAD_MIN) {
        return ndi_fail(NDS_EFORMAT, "npy header: %zu bytes are too few",
                        nbytes);
    }
    if (memcmp(h, magic, sizeof magic) != 0) {
        return ndi_fail(NDS_EFORMAT, "npy header: the magic string is not "
                        "correct; expected \\x93NUMPY");
    }
    if (prefix_nbytes(h) == 0) {
        return ndi_fail(NDS_EFORMAT, "npy header: we only support format "
                        "version (1,0), (2,0), and (3,0), not (%d, %d)", h[6],
                        h[7]);
    }
    *need = ndi_npy_head_need(h, nbytes);
    if (*need > NDI_NPY_HEAD_MAX) {
        return ndi_fail(NDS_EFORMAT, "npy header: it claims %zu bytes, more "
                        "than %u", *need, NDI_NPY_HEAD_MAX);
    }
    if (*need > nbytes) {
        return ndi_fail(NDS_EFORMAT, "npy header: it claims %zu bytes, %zu "
                        "are there", *need, nbytes);
    }
    return 0;
}

/* The three entries, each exactly once and nothing else. */
static int
find_entries(const struct ndi_lit *lit, const struct ndi_lit *entries[3])
{
    static const char *const keys[3] = {"descr", "fortran_order", "shape"};

    if (lit->kind != NDI_LIT_DICT) {
        return ndi_fail(NDS_EFORMAT, "npy header: %s, not a dict",
                        ndi_lit_kind_name(lit->kind));
    }
    for (size_t i = 0; i < lit->count; i += 2) {
        const struct ndi_lit *key = &lit->items[i];
        int k = 0;

        if (key->kind != NDI_LIT_STR) {
            return ndi_fail(NDS_EFORMAT, "npy header: a key is %s, not a text",
                            ndi_lit_kind_name(key->kind));
        }
        while (k < 3 && strcmp(key->text, keys[k]) != 0) {
            k++;
        }
        if (k == 3 || entries[k] != NULL) {
            return ndi_fail(NDS_EFORMAT, "npy header: %s key '%.40s'",
                            k == 3 ? "unknown" : "doubled", key->text);
        }
        entries[k] = &lit->items[i + 1];
    }
    for (int k = 0; k < 3; k++) {
        if (entries[k] == NULL) {
            return ndi_fail(NDS_EFORMAT, "npy header: no key '%s'", keys[k]);
        }
    }
    return 0;
}

static int
read_shape(struct ndi_npy_info *out, const struct ndi_lit *shape)
{
    if (shape->kind != NDI_LIT_TUPLE) {
        return ndi_fail(NDS_EFORMAT, "npy header: shape is %s, not a tuple",
                        ndi_lit_kind_name(shape->kind));
    }
    if (shape->count > NDS_MAX_NDIM) {
        return ndi_fail(NDS_EFORMAT, "npy header: %zu dimensions; 0 to %d are "
                        "possible", shape->count, NDS_MAX_NDIM);
    }
    out->ndim = (int)shape->count;
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->items[i].kind != NDI_LIT_INT) {
            return ndi_fail(NDS_EFORMAT, "npy header: an extent is %s, not a "
                            "number", ndi_lit_kind_name(shape->items[i].kind));
        }
        if (shape->items[i].num < 0) {
            return ndi_fail(NDS_EFORMAT, "npy header: negative extent %lld",
                            (long long)shape->items[i].num);
        }
        out->shape[i] = shape->items[i].num;
    }
    return 0;
}

/* A descr such as ('<f8', (2, 3)): the array has more axes instead. */
static int
absorb_subarray(struct ndi_npy_info *out)
{
    const nds_dtype *sub = out->dtype;

    if (sub->base == NULL) {
        return 0;
    }
    if (out->order == 'F' || out->ndim + sub->ndim > NDS_MAX_NDIM) {
        return ndi_fail(NDS_EFORMAT, "npy header: a sub-array descr in "
                        "Fortran order or beyond %d dimensions",
                        NDS_MAX_NDIM);
    }
    for (int i = 0; i < sub->ndim; i++) {
        out->shape[out->ndim++] = sub->shape[i];
    }
    out->dtype = nds_dtype_get(sub->base);
    nds_dtype_put(sub);
    return 0;
}

static int
read_dict(struct ndi_npy_info *out, const struct ndi_lit *lit)
{
    const struct ndi_lit *entries[3] = {NULL, NULL, NULL};
    int64_t nbytes;
    int rc;

    rc = find_entries(lit, entries);
    if (rc < 0) {
        return rc;
    }
    if (entries[1]->kind != NDI_LIT_BOOL) {
        return ndi_fail(NDS_EFORMAT, "npy header: fortran_order is %s, not a "
                        "bool", ndi_lit_kind_name(entries[1]->kind));
    }
    out->order = entries[1]->num != 0 ? 'F' : 'C';
    if ((rc = read_shape(out, entries[2])) < 0) {
        return rc;
    }
    rc = ndi_dtype_from_lit(&out->dtype, entries[0], NDS_EFORMAT);
    if (rc < 0) {
        return ndi_fail_more(rc, "in the descr of an npy header");
    }
    if ((rc = absorb_subarray(out)) < 0) {
        return rc;
    }
    rc = ndi_shape_check(out->dtype->itemsize, out->ndim, out->shape, NULL,
                         &nbytes);
    if (rc < 0) {
        return ndi_fail(NDS_EFORMAT, "npy header: %s",
                        nds_last_error()->message);
    }
    out->nbytes = (uint64_t)nbytes;
    return 0;
}

int
ndi_npy_parse(struct ndi_npy_info *out, const void *head, size_t nbytes)
{
    const unsigned char *h = head;
    struct ndi_lit_options opts = {.code = NDS_EFORMAT, .what = "npy header"};
    struct ndi_lit lit;
    size_t need = 0, pre;
    int rc;

    *out = (struct ndi_npy_info){0};
    rc = check_prefix(h, nbytes, &need);
    if (rc < 0) {
        return rc;
    }
    pre = prefix_nbytes(h);
    opts.latin1 = h[6] != 3;
    opts.long_suffix = h[6] != 3;
    rc = ndi_lit_parse(&lit, (const char *)h + pre, need - pre, &opts);
    if (rc < 0) {
        return rc;
    }
    rc = read_dict(out, &lit);
    ndi_lit_fini(&lit);
    if (rc < 0) {
        ndi_npy_info_fini(out);
        return rc;
    }
    out->data_off = need;
    return 0;
}

void
ndi_npy_info_fini(struct ndi_npy_info *info)
{
    nds_dtype_put(info->dtype);
    *info = (struct ndi_npy_info){0};
}

/* ---- writing ------------------------------------------------------------ */

static void
add_dict(struct ndi_buf *b, const nds_dtype *dtype, int ndim,
         const int64_t *shape, char order)
{
    bool plain = dtype->base == NULL && !ndi_dtype_is_record(dtype);

    ndi_buf_add_str(b, plain ? "{'descr': '" : "{'descr': ");
    ndi_dtype_add_str(b, dtype);
    ndi_buf_add_str(b, plain ? "'" : "");
    ndi_buf_add_fmt(b, ", 'fortran_order': %s, 'shape': (",
                    order == 'F' ? "True" : "False");
    for (int i = 0; i < ndim; i++) {
        ndi_buf_add_fmt(b, "%s%lld", i == 0 ? "" : ", ", (long long)shape[i]);
    }
    ndi_buf_add_str(b, ndim == 1 ? ",), }" : "), }");
}

/* Room in which the growing extent may become longer, as NumPy leaves it. */
static void
add_growth(struct ndi_buf *b, int ndim, const int64_t *shape, char order)
{
    int64_t n;
    size_t digits = 1;

    if (ndim == 0) {
        return;
    }
    for (n = shape[order == 'F' ? ndim - 1 : 0]; n > 9; n /= 10) {
        digits++;
    }
    ndi_buf_add_fill(b, ' ', 21 - digits);
}

/* UTF-8 to latin-1 in place; false, and nothing changed, if it cannot. */
static bool
to_latin1(struct ndi_buf *b)
{
    size_t to = 0;

    for (size_t i = 0; i < b->nbytes; i++) {
        if (b->data[i] > 0xc3) {
            return false;
        }
    }
    for (size_t i = 0; i < b->nbytes; i++) {
        unsigned char c = b->data[i];

        if (c >= 0xc2 && i + 1 < b->nbytes) {
            c = (unsigned char)((c << 6) | (b->data[++i] & 0x3f));
        }
        b->data[to++] = c;
    }
    b->nbytes = to;
    return true;
}

/* Settles version and text length (the newline included). */
static int
measure(size_t text, bool latin1, uint64_t data_off, int *version,
        uint64_t *hlen)
{
    for (*version = latin1 ? 1 : 3; *version <= 3; ++*version) {
        uint64_t pre = *version == 1 ? 10 : 12;

        *hlen = text + 1;
        *hlen += 64 - (pre + *hlen) % 64;
        if (data_off != 0) {
            if (pre + text + 1 > data_off) {
                return ndi_fail(NDS_ELIMIT, "an npy header of %zu bytes does "
                                "not fit before %llu", text,
                                (unsigned long long)data_off);
            }
            *hlen = data_off - pre;
        }
        if (*version > 1 || *hlen <= UINT16_MAX) {
            break;
        }
    }
    return *hlen + 12 <= NDI_NPY_HEAD_MAX
               ? 0
               : ndi_fail(NDS_ELIMIT, "an npy header of %zu bytes", text);
}

int
ndi_npy_format(struct ndi_buf *out, const nds_dtype *dtype, int ndim,
               const int64_t *shape, char order, uint64_t data_off)
{
    struct ndi_buf text = {0};
    bool latin1;
    int version, rc;
    uint64_t hlen;

    if (!ndi_dtype_has_descr(dtype)) {
        return ndi_fail(NDS_ENOTSUP, "a record with overlapping or "
                        "out-of-order fields has no .npy form");
    }
    add_dict(&text, dtype, ndim, shape, order);
    if (data_off == 0) {
        add_growth(&text, ndim, shape, order);
    }
    rc = ndi_buf_ok(&text);
    if (rc < 0) {
        goto out;
    }
    latin1 = to_latin1(&text);
    rc = measure(text.nbytes, latin1, data_off, &version, &hlen);
    if (rc < 0) {
        goto out;
    }
    ndi_buf_add(out, magic, sizeof magic);
    ndi_buf_add_char(out, (char)version);
    ndi_buf_add_char(out, 0);
    for (int i = 0; i < (version == 1 ? 2 : 4); i++) {
        ndi_buf_add_char(out, (char)(hlen >> (8 * i)));
    }
    ndi_buf_add(out, text.data, text.nbytes);
    ndi_buf_add_fill(out, ' ', (size_t)hlen - text.nbytes - 1);
    ndi_buf_add_char(out, '\n');
    rc = ndi_buf_ok(out);
out:
    ndi_buf_fini(&text);
    return rc;
}
