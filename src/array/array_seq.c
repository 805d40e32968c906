/* SPDX-License-Identifier: MIT */
/* array_seq.c - an array's own sequence lock: snapshots that block nobody */
#include <array/array_impl.h>

#include <base/fail.h>
#include <sync/lock.h>

static int
need_segment(const nds_array *a, bool to_write)
{
    if (a->segment == NULL) {
        return ndi_fail(NDS_EINVAL, "only shareable and named arrays have a "
                        "sequence lock");
    }
    if (to_write && a->segment->mode == NDS_READ) {
        return ndi_fail(NDS_EPERM, "write under the sequence lock: array '%s' "
                        "is attached read-only", a->segment->name);
    }
    return 0;
}

int
nds_array_write_begin(nds_array *a, int64_t timeout_ns)
{
    int rc = need_segment(a, true);

    return rc < 0 ? rc
                  : ndi_seqlock_write_begin(&a->segment->party,
                                            &a->segment->ctl->seqlock,
                                            ndi_deadline(timeout_ns));
}

int
nds_array_write_end(nds_array *a)
{
    int rc = need_segment(a, true);

    if (rc == 0) {
        rc = ndi_seqlock_write_end(&a->segment->party,
                                   &a->segment->ctl->seqlock);
    }
    return rc < 0 ? rc : nds_array_changed(a);
}

int
nds_array_read_begin(const nds_array *a, uint64_t *seen, int64_t timeout_ns)
{
    int rc = need_segment(a, false);

    *seen = 0;
    return rc < 0 ? rc
                  : ndi_seqlock_read_begin(&a->segment->party,
                                           &a->segment->ctl->seqlock, seen,
                                           ndi_deadline(timeout_ns));
}

bool
nds_array_read_retry(const nds_array *a, uint64_t seen)
{
    return a->segment != NULL &&
           ndi_seqlock_read_retry(&a->segment->ctl->seqlock, seen);
}
