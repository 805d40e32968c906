/* SPDX-License-Identifier: MIT */
/*
 * sem.c - permits without owners
 *
 * The count is one word, each operation one CAS of it, as Python's semaphore:
 * anybody may give what another took, and a permit taken by a process that
 * dies stays taken. Permits that come back are sem_owned.c.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

void
ndi_sem_init(struct ndi_semaphore *s, uint32_t value, uint32_t bound)
{
    *s = (struct ndi_semaphore){.bound = bound};
    ndi_store_rel(&s->count, value);
}

static bool
try_take(struct ndi_semaphore *s)
{
    uint32_t count = ndi_load_seq(&s->count);

    for (int tries = 0; count != 0 && tries < NDI_CAS_TRIES; tries++) {
        NDI_KILL_POINT("sem.will_take");
        if (ndi_cas_seq(&s->count, &count, count - 1)) {
            return true;
        }
    }
    return false;
}

int
ndi_sem_take(struct ndi_semaphore *s, int64_t deadline)
{
    int rc = 0;

    NDI_KILL_POINT("sem.before_take");
    if (try_take(s)) {
        NDI_KILL_POINT("sem.taken");
        return 0;
    }
    ndi_add_seq(&s->sleepers, 1);
    NDI_KILL_POINT("sem.counted");
    while (!try_take(s)) {
        int64_t left = ndi_deadline_left(deadline);

        if (left == 0) {
            rc = deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
            break;
        }
        ndi_futex_wait(&s->count, 0,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&s->sleepers, 1);
    return rc;
}

int
ndi_sem_give(struct ndi_semaphore *s, uint32_t more)
{
    uint32_t count = ndi_load_seq(&s->count);
    uint32_t most = s->bound != 0 ? s->bound : INT32_MAX;
    int tries = 0;

    do {
        if (++tries > NDI_CAS_TRIES) {
            return ndi_restless("a semaphore's count");
        }
        if (count > most || more > most - count) {
            return ndi_fail(NDS_ELIMIT, "semaphore released too many times: "
                            "%u permits are free, %u more would exceed %u",
                            count, more, most);
        }
        NDI_KILL_POINT("sem.will_give");
    } while (!ndi_cas_seq(&s->count, &count, count + more));
    NDI_KILL_POINT("sem.given");
    if (ndi_load_seq(&s->sleepers) != 0) {
        ndi_futex_wake(&s->count, more > INT32_MAX ? INT32_MAX : (int)more);
    }
    return 0;
}
