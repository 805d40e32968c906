/* SPDX-License-Identifier: MIT */
/*
 * fuzz_token.c - tokens of arrays, with bytes changed on their way
 *
 * The input picks a true token of this process (a view, a named array, a
 * file) and says how it is spoilt: "at, by" adds to a byte, 128 + n cuts, and
 * 192 + n puts the rest of the input in place of what follows byte n. What is
 * imported all the same must be a view within its memory: it is printed.
 */
#include "fuzz.h"

#include <ndshare/ndshare.h>
#include <os/os.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASES 3
#define ROOM 512
#define PRINT_MOST 4096
#define FILE_FLAG 8

static struct base {
    nds_array *array; /* stays open, so that the token does not wear out */
    unsigned char *token;
    size_t nbytes;
} bases[BASES];

static void
keep(struct base *b, nds_array *a)
{
    void *token;

    b->array = a;
    fuzz_check(nds_array_token_export(a, 0, &token, &b->nbytes) == 0 &&
                   b->nbytes < ROOM,
               "no token");
    b->token = token;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a, *part = NULL;
    char path[64];

    (void)argc;
    (void)argv;
    fuzz_surroundings();
    snprintf(path, sizeof path, "%s/file", ndi_shm_dir());
    fuzz_check(nds_array_new(&a, NDS_INT32, 2, (int64_t[]){8, 12}, &opts) ==
                       0 &&
                   nds_array_slice(&part, a, "[::-2, 1:9:3]") == 0,
               "no array");
    nds_array_close(a);
    keep(&bases[0], part);
    fuzz_check(nds_array_create(&a, "subject", NDS_FLOAT64, 1,
                                (int64_t[]){100}, NULL) == 0,
               "no named array");
    keep(&bases[1], a);
    fuzz_check(nds_array_map_file(&a, path, NDS_CREATE, NDS_INT16, 1,
                                  (int64_t[]){50}, 'C', 6) == 0,
               "no file");
    keep(&bases[2], a);
    return 0;
}

/* The true token, spoilt: its length. */
static size_t
spoil(unsigned char *token, const struct base *b, struct fuzz_in *in)
{
    size_t nbytes = b->nbytes;

    memcpy(token, b->token, nbytes);
    while (in->left > 0) {
        uint8_t op = fuzz_u8(in);

        if (op < 128) {
            token[op % nbytes] = (unsigned char)(token[op % nbytes] +
                                                 fuzz_u8(in));
        } else if (op < 192) {
            nbytes = (size_t)(op - 128) < nbytes ? (size_t)op - 128 : nbytes;
            break;
        } else {
            size_t from = (size_t)(op - 192) < nbytes ? (size_t)op - 192
                                                      : nbytes;
            size_t more = in->left < ROOM - from ? in->left : ROOM - from;

            memcpy(token + from, in->at, more);
            return from + more;
        }
    }
    return nbytes;
}

/* Another path is not ours to open. */
static bool
may_open(const unsigned char *token, size_t nbytes)
{
    const struct base *b = &bases[2];
    size_t path = 4 + (size_t)b->token[3];

    return nbytes < 3 || (token[2] & FILE_FLAG) == 0 ||
           nbytes < 4 + (size_t)token[3] ||
           (nbytes >= path && memcmp(token + 3, b->token + 3, path - 3) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct fuzz_in in = {data, nbytes};
    const struct base *b = &bases[fuzz_u8(&in) % BASES];
    unsigned char room[ROOM], *token;
    nds_array *a = NULL;
    size_t length = spoil(room, b, &in);
    int rc;

    if (!may_open(room, length)) {
        return 0;
    }
    token = malloc(length + 1); // of its very size, for AddressSanitizer
    fuzz_check(token != NULL, "no memory");
    memcpy(token, room, length);
    fuzz_begin("nds_array_token_import", 0);
    rc = nds_array_token_import(&a, token, length);
    fuzz_done();
    fuzz_check((rc == 0) == (a != NULL), "an array and an error");
    if (rc == 0 && nds_view_nbytes(nds_array_view(a)) < PRINT_MOST) {
        char *text = NULL;

        (void)nds_view_str(nds_array_view(a), NULL, &text);
        free(text);
    }
    nds_array_close(a);
    free(token);
    return 0;
}
