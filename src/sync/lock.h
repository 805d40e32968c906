/* SPDX-License-Identifier: MIT */
/*
 * lock.h - the in-place primitives, over a participant table
 *
 * All waits take a deadline (ndi_deadline) and sleep in slices; outcomes are
 * NDS_ETIMEDOUT (NDS_EAGAIN for a try), NDS_EOWNERDEAD (held!), NDS_EPOISONED.
 * A word that makes no sense is NDS_ECORRUPT. mutex.c rwlock.c seqlock.c
 * cond.c sem.c sem_owned.c event.c barrier.c.
 */
#ifndef NDI_LOCK_H
#define NDI_LOCK_H

#include <ndshare/err.h>
#include <sync/party.h>

/* How long a lock that the library needs for itself may stay with a process
 * that lives: it may be stopped, or somebody wrote its name there. 10 s; tests
 * make it shorter, before they start. */
extern int64_t ndi_patience_ns;
/* A deadline for such a lock in a call that has one of its own: never before
 * a tenth of our patience, for a try must survive others at work. */
int64_t ndi_patient_deadline(int64_t deadline);

/* NDS_ECORRUPT: what is rewritten whenever we look, for NDI_CAS_TRIES. */
int ndi_restless(const char *what);

void ndi_lock_init(struct ndi_lock *l, uint32_t kind);
int ndi_lock_acquire(struct ndi_party *p, struct ndi_lock *l,
                     int64_t deadline);
int ndi_lock_unlock(struct ndi_party *p, struct ndi_lock *l);
/* Unlocks, but the next to lock gets NDS_EOWNERDEAD again: for an heir that
 * could not do what the verdict asks for. */
int ndi_lock_give_back(struct ndi_party *p, struct ndi_lock *l);
/* Waits until nobody alive holds the lock, and takes nothing: 0, or
 * NDS_EOWNERDEAD if the dead one's name is in the word still. */
int ndi_lock_await(struct ndi_party *p, struct ndi_lock *l, int64_t deadline);
int ndi_lock_poison(struct ndi_party *p, struct ndi_lock *l);
bool ndi_lock_is_mine(const struct ndi_party *p, const struct ndi_lock *l);
/* "free", "held by pid 12", "held by pid 12, which died", "poisoned" */
void ndi_lock_describe(const struct ndi_party *p, const struct ndi_lock *l,
                       char *out, size_t room);

/* Readers are counted per participant. NDS_EOWNERDEAD: a writer died at work;
 * readers get it, reading, until a writer got it (held) and unlocked. */
void ndi_rwlock_init(struct ndi_rwlock *l);
int ndi_rwlock_read(struct ndi_party *p, struct ndi_rwlock *l,
                    int64_t deadline);
int ndi_rwlock_write(struct ndi_party *p, struct ndi_rwlock *l,
                     int64_t deadline);
int ndi_rwlock_release(struct ndi_party *p, struct ndi_rwlock *l);

void ndi_seqlock_init(struct ndi_seqlock *l);
/* Waits for another writer. NDS_EOWNERDEAD: writing, and all of the data has
 * to be written, for the last writer died at work. */
int ndi_seqlock_write_begin(struct ndi_party *p, struct ndi_seqlock *l,
                            int64_t deadline);
int ndi_seqlock_write_end(struct ndi_party *p, struct ndi_seqlock *l);
/* Copy between begin and retry; NDS_EOWNERDEAD if the writer died at work. */
int ndi_seqlock_read_begin(const struct ndi_party *p,
                           const struct ndi_seqlock *l, uint64_t *seen,
                           int64_t deadline);
bool ndi_seqlock_read_retry(const struct ndi_seqlock *l, uint64_t seen);

void ndi_cond_init(struct ndi_condvar *c);
int ndi_cond_sleep(struct ndi_party *p, struct ndi_condvar *c,
                   int64_t deadline); /* holding c->lock */
int ndi_cond_wake(struct ndi_condvar *c, int count);

void ndi_sem_init(struct ndi_semaphore *s, uint32_t value, uint32_t bound);
int ndi_sem_take(struct ndi_semaphore *s, int64_t deadline);
int ndi_sem_give(struct ndi_semaphore *s, uint32_t count);
/* Permits charged to participants: one such semaphore per table. Takers pass
 * through `guard`; giving more than one holds is NDS_ENOTOWNER. */
void ndi_sem_init_owned(struct ndi_semaphore *s, uint32_t permits);
int ndi_sem_take_owned(struct ndi_party *p, struct ndi_lock *guard,
                       struct ndi_semaphore *s, int64_t deadline);
int ndi_sem_give_owned(struct ndi_party *p, struct ndi_semaphore *s,
                       uint32_t count);
/* Permits that nobody alive holds; probes each holder. */
uint32_t ndi_sem_free(const struct ndi_party *p,
                      const struct ndi_semaphore *s);

void ndi_flag_init(struct ndi_flag *f);
void ndi_flag_set(struct ndi_flag *f);
void ndi_flag_clear(struct ndi_flag *f);
int ndi_flag_wait(struct ndi_flag *f, int64_t deadline);

void ndi_gate_init(struct ndi_gate *g, uint32_t parties);
/* `leave` (NULL: never) is asked after each slice; true breaks the round. */
int ndi_gate_wait_unless(struct ndi_party *p, struct ndi_gate *g,
                         int64_t deadline, uint32_t *index,
                         bool (*leave)(void *ctx), void *ctx);
static inline int
ndi_gate_wait(struct ndi_party *p, struct ndi_gate *g, int64_t deadline,
              uint32_t *index)
{
    return ndi_gate_wait_unless(p, g, deadline, index, NULL, NULL);
}
/* Members that wait in this round; broken: until a reset. */
void ndi_gate_state(const struct ndi_party *p, const struct ndi_gate *g,
                    uint32_t *waiting, bool *broken);
/* Both wait for nobody. NDS_ECORRUPT: words that others turn all the time. */
int ndi_gate_abort(struct ndi_gate *g);
int ndi_gate_reset(struct ndi_gate *g);
/* The `mourn` of a barrier's participants; mourned: the gate. */
void ndi_gate_mourn(void *mourned, const struct ndi_party_slot *slot);

#endif
