/* SPDX-License-Identifier: MIT */
/*
 * walk.h - kill an operation at each of its kill points in turn
 *
 * The act runs in a forked child. Once it runs to its end and its visits are
 * counted; then it is run again for every visit, killed there, and `check`
 * looks at what is left. Nothing may hang: a child that is not done after
 * NDS_WALK_SECONDS is a failure.
 *
 * The other two walks are for trees of processes. `claim` names a kill point:
 * who visits it first (a child, a server) is the one that is killed or whose
 * kernel calls fail; NULL means the process of the act itself. After every run
 * the whole tree must come to its end by itself.
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
/* Kills the claimant at each of its points. The act must return 0 every time,
 * also when what it started was killed, unless it is killed itself. */
int nds_walk_tree(const struct nds_walk *w, const char *claim);
/* Lets each kernel call of the claimant fail with each error it can give. The
 * act returns 0 if it succeeded or failed as it should, and left nothing open.
 * step > 1 takes every step-th call, the first two of each kind, and one error
 * for each. */
int nds_walk_faults(const struct nds_walk *w, const char *claim,
                    unsigned step);
/* A child of this process that belongs to the test, not to the acts: the two
 * walks above leave it alone. */
void nds_walk_keep(int pid);
/* Runs act in a child and waits: its exit code, or minus the signal. */
int nds_in_child(int (*act)(void *ctx), void *ctx);
/* Descriptors this process has open, for leak tests; -1 if it cannot tell.
 * Neither of the two asserts anything: acts may call them. */
int nds_open_descriptors(void);
/* Mappings of shared memory and of files that have no name. */
int nds_shared_mappings(void);
int nds_shared_mappings_of(int pid);
/* Names in the shm dir that begin with prefix. */
int nds_count_names(const char *prefix);
void nds_remove_names(const char *prefix);
/* A shm dir of the test's own below /dev/shm, for this process and all it
 * starts; before the library is used. */
void nds_own_shm_dir(void);
/* Names in there after a sweep, but for the file of name locks. */
int nds_names_left(void);
void nds_drop_shm_dir(void); /* and all in it */

#endif
