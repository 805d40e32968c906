/* SPDX-License-Identifier: MIT */
/*
 * killpoint.h - what the harness sets up before fork (test builds only)
 *
 * A page shared with the harness numbers the visits of one process to
 * NDI_KILL_POINT, and its kernel calls. Recording keeps the names; armed kills
 * at one visit, or lets one call fail. The process is the one that installed
 * the page, or, where `claim` is set, the first of the tree that visits the
 * point of that name: a child, a server. Programs started by exec find the
 * page through NDI_KILL_ENV.
 */
#ifndef NDI_KILLPOINT_H
#define NDI_KILLPOINT_H

#include <os/os.h>

#include <stdatomic.h>

#ifdef NDI_TESTING

#define NDI_KILL_NAMES 4096
#define NDI_KILL_NAME_ROOM 56
#define NDI_FAULT_NAME_ROOM 24
#define NDI_KILL_ENV "NDSHARE_TEST_PAGE"

struct ndi_kill_page {
    _Atomic uint32_t visits; /* so far; visit numbers start at 1 */
    uint32_t kill_at;        /* 0: record only */
    _Atomic uint32_t fired;  /* the visit that was reached */
    _Atomic int32_t pid;     /* only this process counts; 0: not claimed */
    char claim[NDI_KILL_NAME_ROOM];
    _Atomic uint32_t calls;  /* kernel calls so far, numbered from 1 */
    uint32_t fail_at;        /* 0: record only */
    int32_t fail_err;
    _Atomic uint32_t failed; /* the call that was made to fail */
    char failed_name[NDI_FAULT_NAME_ROOM];
    int32_t fd;              /* of the harness: what NDI_KILL_ENV names */
    char names[NDI_KILL_NAMES][NDI_KILL_NAME_ROOM];
    char call_names[NDI_KILL_NAMES][NDI_FAULT_NAME_ROOM];
};

/* Shared memory, empty; NULL if there is none. */
struct ndi_kill_page *ndi_kill_page_new(void);
void ndi_kill_page_free(struct ndi_kill_page *page);
/* This process counts its visits in page from now on; NULL stops it. */
void ndi_kill_install(struct ndi_kill_page *page);
/* The process that visits the point called claim counts, once one does. It is
 * a descendant of this one; images it executes are told by the environment. */
void ndi_kill_install_claim(struct ndi_kill_page *page, const char *claim);
/* fn is called at every kill point of this process, from any thread; NULL
 * stops it. So a test can do there what a neighbour might do just then. */
void ndi_kill_visit_with(void (*fn)(const char *name));

/* The nth use (from 1) of the named call fails with err, once; nth 0: every
 * use. Counting starts now. call NULL forgets all. */
void ndi_fault_arm(const char *call, unsigned nth, int err);

#endif
#endif
