/* SPDX-License-Identifier: MIT */
/*
 * killpoint.h - what the harness sets up before fork (test builds only)
 *
 * A page shared with the harness numbers the visits to NDI_KILL_POINT of one
 * process. Recording keeps the names; armed kills at one visit.
 */
#ifndef NDI_KILLPOINT_H
#define NDI_KILLPOINT_H

#include <os/os.h>

#include <stdatomic.h>

#ifdef NDI_TESTING

#define NDI_KILL_NAMES 4096
#define NDI_KILL_NAME_ROOM 56

struct ndi_kill_page {
    _Atomic uint32_t visits; /* so far; visit numbers start at 1 */
    uint32_t kill_at;        /* 0: record only */
    _Atomic uint32_t fired;  /* the visit that was reached */
    pid_t pid;               /* only this process counts */
    char names[NDI_KILL_NAMES][NDI_KILL_NAME_ROOM];
};

/* Shared memory, empty; NULL if there is none. */
struct ndi_kill_page *ndi_kill_page_new(void);
void ndi_kill_page_free(struct ndi_kill_page *page);
/* This process counts its visits in page from now on; NULL stops it. */
void ndi_kill_install(struct ndi_kill_page *page);
/* fn is called at every kill point of this process, from any thread; NULL
 * stops it. So a test can do there what a neighbour might do just then. */
void ndi_kill_visit_with(void (*fn)(const char *name));

/* The nth use (from 1) of the named call fails with err, once; nth 0: every
 * use. Counting starts now. call NULL forgets all. */
void ndi_fault_arm(const char *call, unsigned nth, int err);

#endif
#endif
