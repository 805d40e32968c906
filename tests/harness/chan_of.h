/* SPDX-License-Identifier: MIT */
/* chan_of.h - the channel in a queue, for tests that look into it */
#ifndef NDS_TEST_CHAN_OF_H
#define NDS_TEST_CHAN_OF_H

#include <chan/chan_impl.h>

static inline struct ndi_chan *
chan_of(nds_queue *q)
{
    return &(*(struct ndi_hub **)q)->chan[0]; // what the handle begins with
}

#endif
