/* SPDX-License-Identifier: MIT */
/*
 * walk.h - kill an operation at each of its kill points in turn
 *
 * The act runs in a forked child. Once it runs to its end and its visits are
 * counted; then it is run again for every visit, killed there, and `check`
 * looks at what is left. Nothing may hang: a child that is not done after
 * NDS_WALK_SECONDS is a failure.
 */
#ifndef NDS_WALK_H
#define NDS_WALK_H

#include <stdbool.h>

#define NDS_WALK_SECONDS 20

struct nds_walk {
    void (*setup)(void *ctx); /* before each run, in the parent; may be NULL */
    int (*act)(void *ctx);    /* in the child; 0 is success */
    /* In the parent, after the child is gone; point is where it was killed,
     * "end" for the run that was not. */
    void (*check)(void *ctx, const char *point);
    void *ctx;
};

/* Visits walked; fails the running Check test on a hang or a failed act. */
int nds_walk(const struct nds_walk *w);
/* Runs act in a child and waits: its exit code, or minus the signal. */
int nds_in_child(int (*act)(void *ctx), void *ctx);
/* Descriptors this process has open, for leak tests. */
int nds_open_descriptors(void);
/* Names in the shm dir that begin with prefix. */
int nds_count_names(const char *prefix);
void nds_remove_names(const char *prefix);

#endif
