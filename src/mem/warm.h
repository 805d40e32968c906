/* SPDX-License-Identifier: MIT */
/*
 * warm.h - memory that is free but stays, so that it is warm when it is wanted
 * again
 */
#ifndef NDI_WARM_H
#define NDI_WARM_H

#include <mem/segment.h>

/* Bytes: `asked`, or, where that is 0, what nds_memory_keep set, or what
 * NDSHARE_KEEP says, or 4 MiB. */
uint64_t ndi_keep_nbytes(uint64_t asked);

/* What the kernel gave for one block that nobody has any more. */
struct ndi_warm {
    void *map;
    size_t nbytes; /* of the mapping; 0: there is none */
    enum nds_huge huge;
    struct ndi_control *ctl; /* a segment's; NULL: heap */
    int fd;
    dev_t dev;
    ino_t ino;
    bool away; /* the file moved on: no memory to use, but may come back */
};

/* Takes it over and true, or false: the caller gives it back. */
bool ndi_warm_put(const struct ndi_warm *w);
/* One of exactly these bytes: its memory holds anything. */
bool ndi_warm_get(struct ndi_warm *w, size_t nbytes, enum nds_huge huge,
                  bool segment);
/* The mapping of this file, which has come back. */
bool ndi_warm_find(struct ndi_warm *w, dev_t dev, ino_t ino);
/* Lets the files go that moved on: a sweep asks whether anybody has them. */
void ndi_warm_forget_away(void);
/* How often this process has forked; memory from before a fork may be shared
 * with the child. */
uint64_t ndi_warm_forks(void);

#endif
