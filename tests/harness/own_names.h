/* SPDX-License-Identifier: MIT */
/*
 * own_names.h - names and a path that are this test program's own
 *
 * Chosen and cleaned up by the process that runs the tests, so also after one
 * that failed; each test removes what it, or a failed one before it, left.
 */
#ifndef NDS_OWN_NAMES_H
#define NDS_OWN_NAMES_H

#include <harness/suite.h>
#include <harness/walk.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static char prefix[64];
static char name[96]; /* begins with it, as all names of the test should */
static char file[128];

static inline void
choose_names(void)
{
    snprintf(prefix, sizeof prefix, "t-%.40s-%d-", program_invocation_short_name,
             (int)getpid());
    snprintf(name, sizeof name, "%sa", prefix);
    snprintf(file, sizeof file, "/tmp/%sfile", prefix);
}

static inline void
remove_names(void)
{
    nds_remove_names(prefix);
    unlink(file);
}

static inline TCase *
case_with_names(const char *title)
{
    TCase *tc = tcase_create(title);

    tcase_add_unchecked_fixture(tc, choose_names, remove_names);
    tcase_add_checked_fixture(tc, remove_names, remove_names);
    return tc;
}

#endif
