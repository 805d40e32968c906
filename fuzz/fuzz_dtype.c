/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dtype.c - what people and peers spell: dtypes, slices, literals
 *
 * The first byte chooses the language. What is taken must print so that
 * reading the print gives the same.
 */
#include "fuzz.h"

#include <ndshare/ndshare.h>
#include <wire/wire.h>

#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static void
dtype(const char *text)
{
    const nds_dtype *dt = NULL, *again = NULL, *other = NULL;
    char *printed = NULL, *name = NULL;

    if (nds_dtype_parse(&dt, text) < 0) {
        return;
    }
    fuzz_check(nds_dtype_itemsize(dt) >= 0 && nds_dtype_alignment(dt) > 0,
               "a dtype of no size");
    if (nds_dtype_str(dt, &printed) == 0) {
        fuzz_check(nds_dtype_parse(&again, printed) == 0,
                   "our own dtype text is not read");
        fuzz_check(nds_dtype_equal(dt, again), "a dtype changes in print");
        nds_dtype_put(again);
        free(printed);
    }
    if (nds_dtype_name(dt, &name) == 0) {
        free(name);
    }
    if (nds_dtype_with_order(&other, dt, '>') == 0) {
        fuzz_check(nds_dtype_itemsize(dt) == nds_dtype_itemsize(other),
                   "another order, another size");
        nds_dtype_put(other);
    }
    nds_dtype_put(dt);
}

static void
slice(const char *text)
{
    static unsigned char memory[3 * 4 * 5 * 2];
    nds_index index[16];
    nds_view v, part;
    int count = 0;

    fuzz_check(nds_view_init(&v, NDS_INT16, memory, sizeof memory, 3,
                             (int64_t[]){3, 4, 5}) == 0, "no view");
    (void)nds_index_parse(text, index, 16, &count);
    if (nds_view_slice(&part, &v, text) == 0) {
        int64_t low = 0, high = 0;

        for (int i = 0; i < part.ndim; i++) {
            int64_t reach = part.shape[i] > 0
                                ? (part.shape[i] - 1) * part.strides[i] : 0;

            low += reach < 0 ? reach : 0;
            high += reach > 0 ? reach : 0;
        }
        if (nds_view_count(&part) > 0) {
            int64_t at = (unsigned char *)part.data - memory;

            fuzz_check(at + low >= 0 &&
                           at + high + 2 <= (int64_t)sizeof memory,
                       "a slice outside its array");
        }
        nds_view_fini(&part);
    }
    nds_view_fini(&v);
}

static void
repr_again(const nds_value *v)
{
    char *first = NULL, *second = NULL;
    nds_value *again = NULL;

    if (nds_value_repr(v, &first) == 0) {
        // inf and nan are no literals, so not every print can be read.
        if (nds_value_parse(&again, first) == 0 &&
            nds_value_repr(again, &second) == 0) {
            // Python's own (-0-1j) is read as -1j: signs of zero are lost.
            fuzz_check(strcmp(first, second) == 0 ||
                           strchr(first, 'j') != NULL,
                       "a literal changes in print");
            free(second);
        }
        nds_value_free(again);
        free(first);
    }
}

static void
literal(const char *text)
{
    nds_value *v = NULL;

    if (nds_value_parse(&v, text) == 0) {
        repr_again(v);
        nds_value_free(v);
    }
}

static void
arguments(const char *text)
{
    nds_value *args = NULL, *kwds = NULL;

    if (nds_value_parse_args(&args, &kwds, text) == 0) {
        repr_again(args);
        nds_value_free(args);
        nds_value_free(kwds);
    }
}

static void
address(const char *text)
{
    struct ndi_addr a;

    if (ndi_addr_parse(&a, text) == 0) {
        fuzz_check(a.nbytes < sizeof a.name, "a name beyond its room");
        nds_value_free(ndi_addr_value(&a));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    static void (*const read[])(const char *text) = {
        dtype, slice, literal, arguments, address};
    struct fuzz_in in = {data, nbytes};
    unsigned language = fuzz_u8(&in) % NDI_ARRAY_LEN(read);
    char *text = fuzz_text(&in);

    read[language](text);
    free(text);
    return 0;
}
