/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pickle.c - a pickle of any bytes: read, print, write, read again
 *
 * What is read must be writable, and what we write must be read as the same.
 */
#include "fuzz.h"

#include <ndshare/ndshare.h>
#include <pickle/pickle.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define PRINT_MOST 100000 /* bytes of pickle that are printed for comparison */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_surroundings();
    return 0;
}

/* The pickle in one piece [caller frees]; NULL if it cannot be. */
static unsigned char *
flat(const nds_value *v, int protocol, size_t *nbytes)
{
    struct ndi_pickle p = {0};
    struct iovec *iov = NULL;
    unsigned char *out = NULL;
    int count = 0;

    *nbytes = 0;
    if (ndi_pickle_write(&p, v, protocol) == 0 &&
        ndi_pickle_pieces(&p, &iov, &count) == 0 &&
        (out = malloc(ndi_pickle_nbytes(&p) + 1)) != NULL) {
        for (int i = 1; i < count; i++) {
            if (iov[i].iov_len > 0) {
                memcpy(out + *nbytes, iov[i].iov_base, iov[i].iov_len);
            }
            *nbytes += iov[i].iov_len;
        }
        fuzz_check(*nbytes == ndi_pickle_nbytes(&p),
                   "a pickle's pieces are not its size");
    }
    free(iov);
    ndi_pickle_fini(&p);
    return out;
}

static void
round_trip(const nds_value *v, int protocol)
{
    size_t nbytes;
    unsigned char *bytes = flat(v, protocol, &nbytes);
    char *first = NULL, *second = NULL;
    nds_value *again = NULL;
    int rc;

    if (bytes == NULL) {
        return;
    }
    rc = ndi_pickle_read(&again, bytes, nbytes);
    // Sharing may unfold on the way: then it may have become too much.
    fuzz_check(rc == 0 || rc == NDS_ELIMIT || rc == NDS_ENOMEM,
               "our own pickle is not read");
    if (rc == 0 && nbytes < PRINT_MOST && nds_value_repr(v, &first) == 0 &&
        nds_value_repr(again, &second) == 0) {
        if (strcmp(first, second) != 0) {
            fprintf(stderr, "%s\n%s\n", first, second);
            fuzz_check(false, "a value changes in a pickle");
        }
    }
    free(first);
    free(second);
    nds_value_free(again);
    free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    nds_value *v = NULL;

    if (ndi_pickle_read(&v, data, nbytes) == 0) {
        round_trip(v, 4);
        round_trip(v, 5);
        nds_value_free(v);
    }
    return 0;
}
