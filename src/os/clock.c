/* SPDX-License-Identifier: MIT */
/* clock.c - monotonic time and absolute deadlines */
#include <os/os.h>

#include <base/checked.h>
#include <ndshare/err.h>

#include <time.h>

int64_t
ndi_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
ndi_deadline(int64_t timeout_ns)
{
    int64_t at;

    if (timeout_ns == 0) {
        return 0;
    }
    if (timeout_ns < 0 || !ndi_add_i64(ndi_now_ns(), timeout_ns, &at)) {
        return NDS_FOREVER;
    }
    return at;
}

// One that does not run yet: -1 - its nanoseconds, which is below NDS_FOREVER.
int64_t
ndi_deadline_later(int64_t timeout_ns)
{
    return timeout_ns == 0 ? 0
           : timeout_ns < 0 ? NDS_FOREVER : -1 - timeout_ns;
}

int64_t
ndi_deadline_begin(int64_t deadline)
{
    return deadline < NDS_FOREVER ? ndi_deadline(-1 - deadline) : deadline;
}

int64_t
ndi_deadline_left(int64_t deadline)
{
    int64_t left;

    if (deadline < 0) {
        return deadline < NDS_FOREVER ? -1 - deadline : INT64_MAX;
    }
    if (deadline == 0) {
        return 0;
    }
    left = deadline - ndi_now_ns();
    return left > 0 ? left : 0;
}

bool
ndi_deadline_over(int64_t deadline)
{
    return ndi_deadline_left(deadline) == 0;
}
