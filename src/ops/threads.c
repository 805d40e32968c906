/* SPDX-License-Identifier: MIT */
/*
 * threads.c - how many threads an operation may use
 */
#include <base/fail.h>
#include <ndshare/ops.h>
#include <os/os.h>

int
nds_set_threads(int count)
{
    if (count < 0) {
        return ndi_fail(NDS_EINVAL, "%d threads: 0 or more", count);
    }
    ndi_set_crew(count);
    return 0;
}

int
nds_threads(void)
{
    return ndi_crew();
}
