/* SPDX-License-Identifier: MIT */
/* event.c - a flag to wait for; set is one store */
#include <sync/lock.h>

#include <os/os.h>
#include <sync/word.h>

void
ndi_flag_init(struct ndi_flag *f)
{
    *f = (struct ndi_flag){0};
}

void
ndi_flag_set(struct ndi_flag *f)
{
    ndi_store_seq(&f->word, 1);
    NDI_KILL_POINT("event.set");
    ndi_add_seq(&f->seq, 1);
    NDI_KILL_POINT("event.raised");
    if (ndi_load_seq(&f->sleepers) != 0) {
        ndi_futex_wake(&f->seq, INT32_MAX);
    }
}

void
ndi_flag_clear(struct ndi_flag *f)
{
    ndi_store_seq(&f->word, 0);
    NDI_KILL_POINT("event.cleared");
}

int
ndi_flag_wait(struct ndi_flag *f, int64_t deadline)
{
    uint32_t first = ndi_load_seq(&f->seq);
    int rc = 0;

    if (ndi_load_seq(&f->word) != 0) {
        return 0;
    }
    ndi_add_seq(&f->sleepers, 1);
    NDI_KILL_POINT("event.counted");
    for (;;) {
        uint32_t seen = ndi_load_seq(&f->seq);
        int64_t left = ndi_deadline_left(deadline);

        if (ndi_load_seq(&f->word) != 0 || seen != first) {
            break;
        }
        if (left == 0) {
            rc = deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
            break;
        }
        ndi_futex_wait(&f->seq, seen,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&f->sleepers, 1);
    return rc;
}
