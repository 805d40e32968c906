/* SPDX-License-Identifier: MIT */
/*
 * futex.c - sleeping on a word in shared memory, never for long
 *
 * A wake-up may be lost with the process that got it, so no sleep lasts
 * longer than a slice: the caller looks at its condition again.
 */
#include <os/os.h>

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
ndi_futex_wait(const _Atomic uint32_t *word, uint32_t seen, int64_t max_ns)
{
    struct timespec ts = {0, NDI_SLICE_NS};

    if (max_ns < NDI_SLICE_NS) {
        ts.tv_nsec = max_ns > 0 ? (long)max_ns : 0;
    }
    if (NDI_SYS("futex_wait", syscall(SYS_futex, word, FUTEX_WAIT, seen, &ts,
                                      NULL, 0)) == 0 ||
        errno == EAGAIN || errno == EINTR) {
        return 0;
    }
    return -errno;
}

int
ndi_futex_wake(_Atomic uint32_t *word, int count)
{
    long rc = NDI_SYS("futex_wake", syscall(SYS_futex, word, FUTEX_WAKE,
                                            count, NULL, NULL, 0));

    return rc < 0 ? -errno : (int)rc;
}

int
ndi_cpu(void)
{
    return sched_getcpu();
}
