/* SPDX-License-Identifier: MIT */
/* rand.c - random bytes from the kernel */
#include <os/os.h>

#include <errno.h>
#include <sys/random.h>

int
ndi_random_bytes(void *out, size_t nbytes)
{
    unsigned char *p = out;

    while (nbytes > 0) {
        ssize_t got = NDI_SYS("random", getrandom(p, nbytes, 0));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        p += got;
        nbytes -= (size_t)got;
    }
    return 0;
}
