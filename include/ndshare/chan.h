/* SPDX-License-Identifier: MIT */
/*
 * chan.h - queues and pipes that carry arrays
 *
 *     nds_queue *q;
 *     nds_queue_new(&q, NULL);
 *     nds_queue_put(q, a, NULL, NDS_FOREVER);        // by value
 *     nds_queue_get(q, &b, NULL, NDS_FOREVER);       // b NULL: a None item
 *     nds_array_close(b);
 *
 * Any dtype and shape an item, and an optional small tag. By value is a
 * promise about meaning: frozen, moved and loaned arrays cross by reference,
 * a heap array by exactly one copy into memory both sides have mapped.
 *
 * What goes wrong: an item taken by a process that dies before release comes
 * back to the front with its delivery count raised (delivery is at least
 * once); a producer that dies half way leaves nothing visible. First in, first
 * out holds for each producer. Handles are MT-safe. A child of fork uses the
 * same handle and is a participant of its own.
 *
 * NDS_EBUSY: the channel's lock, which others hold for moments, did not come,
 * for its holder is stopped or is only said to hold it. Calls with a time-out
 * wait for it so long, but a second at least and 10 s at the most, also when
 * the time-out is 0 or NDS_FOREVER; those without one (publish, discard,
 * release, task_done, shutdown, close, what concerns parked items) for 10 s.
 * Once it was waited for in vain, a second each, until it is to be had again.
 * An item whose get ends so comes back when the handle closes.
 */
#ifndef NDSHARE_CHAN_H
#define NDSHARE_CHAN_H

#include <ndshare/array.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_queue nds_queue;
typedef struct nds_pipe nds_pipe; /* one end */

/* A few bytes beside an item. */
typedef struct nds_tag {
    uint32_t nbytes; /* 0..NDS_TAG_MAX */
    unsigned char bytes[60];
} nds_tag;
#define NDS_TAG_MAX 60

enum nds_redelivery {
    NDS_REDELIVER = 0, /* to the front, count raised: the default */
    NDS_DROP = 1,      /* drop and count */
    NDS_PARK = 2       /* keep aside for an operator */
};

typedef struct nds_queue_options {
    size_t size;
    uint32_t max_items;  /* 0: as many as there are slots */
    uint64_t max_bytes;  /* payload bytes in flight; 0: a default, see
                            nds_queue_new; reserved at create for named ones */
    enum nds_redelivery redelivery;
    uint32_t max_deliveries; /* then parked; 0: no limit */
    bool acknowledge;        /* get keeps the item until task_done */
    unsigned mode_bits;      /* named: 0 = 0600 */
    enum nds_lifetime lifetime;
    enum nds_huge huge;      /* 2 MiB pages, of this process's doing; block.h */
    uint64_t keep_bytes;     /* see nds_queue_trim; 0: the default */
} nds_queue_options;

/* max_bytes 0: 1 GiB, of which memory is what is used; named, 64 MiB, but no more
 * than a quarter of what is free in /dev/shm. */
NDS_API int nds_queue_new(nds_queue **out, const nds_queue_options *opts);
NDS_API int nds_queue_create(nds_queue **out, const char *name,
                             const nds_queue_options *opts);
NDS_API int nds_queue_attach(nds_queue **out, const char *name,
                             int64_t timeout_ns);
NDS_API void nds_queue_close(nds_queue *q); /* drops the handle; NULL fine */
NDS_API int nds_queue_unlink(const char *name);

/*
 * NDS_ECLOSED after nds_queue_shutdown; NDS_EAGAIN / NDS_ETIMEDOUT while full;
 * NDS_ELIMIT an item larger than the queue can ever hold.
 *
 * NDS_EBROKEN instead of the time-out (or of NDS_EAGAIN) when the queue is
 * full, consumers died, and no process lives that ever asked for an item; with
 * NDS_FOREVER when that has been so for a second. Never because no consumer
 * has come yet, nor because they closed the queue: then it waits. Whoever
 * comes new to take ends it. The same for loans.
 */
NDS_API int nds_queue_put(nds_queue *q, const nds_array *a, const nds_tag *tag,
                          int64_t timeout_ns);
/* *a is closed and set NULL on success; shareable memory is not copied. */
NDS_API int nds_queue_put_move(nds_queue *q, nds_array **a, const nds_tag *tag,
                               int64_t timeout_ns);
NDS_API int nds_queue_put_none(nds_queue *q, int64_t timeout_ns);
/* In order, in runs. *done of them are in the queue, also when the call fails:
 * with the time-out, or with what is wrong with the next one. */
NDS_API int nds_queue_put_many(nds_queue *q, int count,
                               nds_array *const *arrays, const nds_tag *tags,
                               int64_t timeout_ns, int *done);
/* *out NULL with 0 returned: a None item. NDS_EEOF: closed and drained. */
NDS_API int nds_queue_get(nds_queue *q, nds_array **out, nds_tag *tag,
                          int64_t timeout_ns);
/* Waits for the first, then takes what is there, at most room. 0 with *count
 * of them; an error only if there is none. */
NDS_API int nds_queue_get_many(nds_queue *q, int room, nds_array **out,
                               nds_tag *tags, int64_t timeout_ns, int *count);

/* Write in place: loan, fill, publish or discard. *loan becomes NULL, unless
 * publish fails: then it is one still, to be tried again or discarded. */
NDS_API int nds_queue_loan(nds_queue *q, nds_array **loan,
                           const nds_dtype *dtype, int ndim,
                           const int64_t *shape, int64_t timeout_ns);
NDS_API int nds_queue_publish(nds_queue *q, nds_array **loan,
                              const nds_tag *tag);
NDS_API void nds_queue_discard(nds_queue *q, nds_array **loan);
/* Read in place: the item stays the queue's until release. */
NDS_API int nds_queue_take(nds_queue *q, nds_array **out, nds_tag *tag,
                           int64_t timeout_ns);
NDS_API int nds_queue_release(nds_queue *q, nds_array **item);
/* How often the item was delivered before, 0 for the first time. */
NDS_API uint32_t nds_queue_deliveries(const nds_array *item);

/*
 * Items kept aside: by NDS_PARK, after max_deliveries, or because nobody could
 * read them. They keep their memory, and order, until somebody
 *   takes     the oldest, as nds_queue_take: release ends it, closing parks it
 *             again. NDS_EAGAIN: none. Those that cannot be read are passed
 *             over; if there are only such ones, NDS_ECORRUPT.
 *   requeues  all: to the front, as delivered once before
 *   discards  all
 * list tells of at most room of them, the oldest first.
 */
typedef struct nds_parked {
    uint64_t seq;    /* in the order of putting */
    uint64_t nbytes; /* of payload */
    uint32_t deliveries;
    nds_tag tag;
} nds_parked;
NDS_API int nds_queue_list_parked(nds_queue *q, int room, nds_parked *out,
                                  int *count);
NDS_API int nds_queue_take_parked(nds_queue *q, nds_array **out,
                                  nds_tag *tag);
NDS_API int nds_queue_requeue_parked(nds_queue *q, uint64_t *count);
NDS_API int nds_queue_discard_parked(nds_queue *q, uint64_t *count);

/* JoinableQueue: one task_done for each get; join waits for all. An item got
 * without acknowledge by a process that died counts as done when it is
 * buried (one that closed the queue still owes); with acknowledge it comes
 * back instead. If another process says
 * task_done for the getter and the getter dies, join may return early by the
 * number of those. */
NDS_API int nds_queue_task_done(nds_queue *q);
NDS_API int nds_queue_join(nds_queue *q, int64_t timeout_ns);
/* No more puts from anybody; getters drain, then get NDS_EEOF. */
NDS_API int nds_queue_shutdown(nds_queue *q);
/*
 * Gives free memory of an anonymous queue back to the system, but for its first
 * keep_bytes. Without being asked every process does so, as it frees items or
 * waits, with what nobody needed for half a second beyond the queue's
 * keep_bytes: those of the options in the process that made the queue and its
 * children by fork, NDSHARE_KEEP (bytes, 64M, 2G, all) in others, 4 MiB if
 * nobody says. More keeps large items fast that come at long intervals. Named
 * queues keep what they reserved.
 */
NDS_API int nds_queue_trim(nds_queue *q, uint64_t keep_bytes);
/* A descriptor that is readable while items wait; the queue's [lent]. */
NDS_API int nds_queue_fd(nds_queue *q, int *fd);

typedef struct nds_queue_info {
    size_t size;
    uint64_t items; /* READY and BACK */
    uint64_t taken;
    uint64_t parked;
    uint64_t loaned;
    uint64_t bytes_used;
    uint64_t bytes_max;
    uint64_t unfinished;
    uint64_t redelivered;
    uint64_t dropped;
    uint32_t slots;
    uint32_t participants;
    bool closed;
    uint64_t delivered;         /* times an item was handed out */
    uint32_t consumers;         /* alive that have ever asked for an item */
    uint32_t consumers_dead;    /* died since a consumer last came new */
    uint32_t participants_dead; /* died and nobody has buried them yet */
    uint32_t max_items;         /* the bound; slots if none was given */
} nds_queue_info;
NDS_API int nds_queue_info_get(nds_queue *q, nds_queue_info *out);
NDS_API int64_t nds_queue_size(nds_queue *q); /* items waiting, or < 0 */

typedef struct nds_pipe_options {
    size_t size;
    bool duplex; /* both ends send and receive */
    uint32_t max_items;
    uint64_t max_bytes;
    enum nds_huge huge;
    uint64_t keep_bytes;
} nds_pipe_options;
/* One-way: `a` receives, `b` sends, as multiprocessing.Pipe(False). */
NDS_API int nds_pipe_new(nds_pipe **a, nds_pipe **b,
                         const nds_pipe_options *opts);
/* Drops this process's hold of the end. When nobody holds an end any more, the
 * other side gets NDS_EEOF (receiving, once drained) or NDS_EBROKEN. */
NDS_API void nds_pipe_close(nds_pipe *p);
NDS_API int nds_pipe_send(nds_pipe *p, const nds_array *a, const nds_tag *tag,
                          int64_t timeout_ns);
NDS_API int nds_pipe_send_move(nds_pipe *p, nds_array **a, const nds_tag *tag,
                               int64_t timeout_ns);
NDS_API int nds_pipe_recv(nds_pipe *p, nds_array **out, nds_tag *tag,
                          int64_t timeout_ns);
NDS_API int nds_pipe_loan(nds_pipe *p, nds_array **loan,
                          const nds_dtype *dtype, int ndim,
                          const int64_t *shape, int64_t timeout_ns);
NDS_API int nds_pipe_publish(nds_pipe *p, nds_array **loan,
                             const nds_tag *tag);
NDS_API void nds_pipe_discard(nds_pipe *p, nds_array **loan);
/* 0: something can be received (or end of file); NDS_ETIMEDOUT/NDS_EAGAIN. */
NDS_API int nds_pipe_poll(nds_pipe *p, int64_t timeout_ns);
NDS_API int nds_pipe_fd(nds_pipe *p, int *fd);
NDS_API int nds_pipe_trim(nds_pipe *p, uint64_t keep_bytes);

#ifdef __cplusplus
}
#endif
#endif
