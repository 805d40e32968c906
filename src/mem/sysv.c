/* SPDX-License-Identifier: MIT */
/* sysv.c - System V segments of old programs: attached by id, never made */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <os/os.h>

static void
sysv_fini(nds_block *b)
{
    ndi_sysv_detach(b->data);
}

int
nds_block_attach_sysv(nds_block **out, int shmid, enum nds_mode mode)
{
    nds_block *b = NULL;
    int rc;

    *out = NULL;
    if (mode != NDS_READ && mode != NDS_READWRITE) {
        return ndi_fail(NDS_EINVAL, "attach System V segment %d: mode '%c'; "
                        "use 'r' or '+'", shmid, mode);
    }
    rc = ndi_block_make(&b, NDS_SYSV, mode);
    if (rc < 0) {
        return rc;
    }
    rc = ndi_sysv_attach(&b->data, &b->nbytes, shmid, mode == NDS_READ);
    if (rc < 0) {
        nds_block_close(b);
        return ndi_fail_errno(-rc, "attach System V segment %d", shmid);
    }
    b->fini = sysv_fini;
    *out = b;
    return 0;
}
