/* SPDX-License-Identifier: MIT */
/*
 * kill_tree.h - what the walks over trees of processes share
 *
 * An act starts processes, in each of the three ways, and ends with as many
 * descriptors and mappings as it began with; all names lie in a directory of
 * the test's own, in which nothing may be left.
 */
#ifndef NDS_KILL_TREE_H
#define NDS_KILL_TREE_H

#include <harness/suite.h>
#include <harness/walk.h>
#include <ndshare/ndshare.h>
#include <proc/proc_impl.h>

#include <stdlib.h>

static enum nds_start starts[] = {NDS_FORK, NDS_SPAWN, NDS_FORKSERVER};

/* What a process has open before an act. */
struct tree_mark {
    int fds;
    int maps;
};

static inline struct tree_mark
tree_mark(void)
{
    return (struct tree_mark){nds_open_descriptors(), nds_shared_mappings()};
}

/* Stops the forkserver. rc unless that is 0; else 0, or code, or code + 1:
 * descriptors or mappings are left. */
static inline int
tree_end(const struct tree_mark *before, int rc, int code)
{
    ndi_server_stop();
    if (rc == 0 && nds_open_descriptors() != before->fds) {
        rc = code;
    }
    return rc == 0 && nds_shared_mappings() != before->maps ? code + 1 : rc;
}

static inline void
tree_check_names(void *ctx, const char *point)
{
    (void)ctx;
    ck_assert_msg(nds_names_left() == 0, "names left at '%s'", point);
}

static inline int
run_tree_tests(int argc, char **argv, const char *title,
               void (*add)(TCase *tc))
{
    TCase *tc = tcase_create(title);
    int rc;

    setenv("NDSHARE_KEEP", "0", 1); // warm memory would look like a leak
    nds_init(argc, argv);
    nds_own_shm_dir();
    tcase_set_timeout(tc, 200);
    add(tc);
    rc = nds_run_case(title, tc);
    nds_drop_shm_dir();
    return rc;
}

#endif
