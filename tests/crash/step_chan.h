/* SPDX-License-Identifier: MIT */
/*
 * step_chan.h - a channel before and after a kill
 *
 * Every item carries its number in its tag and in its payload. What the words
 * say right after the kill is the truth: exactly the items that were READY,
 * BACK or TAKEN then are delivered, each once, those that were TAKEN with one
 * more delivery.
 */
#ifndef NDI_STEP_CHAN_H
#define NDI_STEP_CHAN_H

#include "step.h"

#include <chan/chan_impl.h>

#define STEP_OLD 3    /* items 1..3 wait from the beginning */
#define STEP_NEW 101  /* what the victim puts is 101, 102, .. */
#define STEP_NEXT 200 /* what the finisher puts */

struct step_case {
    int64_t count;       /* doubles in an item */
    enum nds_reach reach;
    int old;             /* items that wait from the beginning */
    int adds;            /* that the victim puts */
    int takes;           /* that the victim takes out for good */
    bool acknowledge;
    uint32_t max_items;
    bool closes;         /* the victim shuts the queue down */
    int extra;           /* one more item that waits, 0 none */
    enum nds_redelivery policy;
    bool laneless;       /* everything through the sorted list */
};

extern nds_queue *step_queue;

const struct step_case *step_case(void);
struct ndi_chan *step_chan(void);
void step_watch_chan(const struct ndi_chan *c);
void step_queue_make(void); /* setup, from the case */
void step_queue_over(void); /* teardown */
nds_array *step_item(int64_t count, int number, enum nds_reach reach);
void step_put(int number);
/* finish: see above, and then words and caches agree and all is free */
void step_queue_finish(const struct step_now *now);
/* Of two victims the first is dead: what it left is remembered. The second may
 * add and take as the case says, and change nothing else. */
void step_queue_between(void);
/* The same with the two ways of receiving and sending given. */
struct step_ends {
    int (*send)(const nds_array *a, const nds_tag *tag);
    int (*receive)(nds_array **out, nds_tag *tag);
};
void step_chan_finish(struct ndi_chan *c, const struct step_ends *ends,
                      const struct step_now *now);
/* The same where nobody can send any more: all is drained, then NDS_EEOF. */
void step_chan_drain(struct ndi_chan *c, const struct step_ends *ends,
                     const struct step_now *now);

#endif
