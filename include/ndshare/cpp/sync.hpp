/* SPDX-License-Identifier: MIT */
/*
 * sync.hpp - locks that survive their holders, as scopes
 *
 *     nds::mutex m;                              // children reach it
 *     auto n = nds::mutex::create("tables");     // anybody
 *     auto held = n.lock(5s);                    // nds::timed_out, or ours
 *     if (held.owner_died()) { repair(); }
 */
#ifndef NDSHARE_CPP_SYNC_HPP
#define NDSHARE_CPP_SYNC_HPP

#include <ndshare/cpp/array.hpp>

#include <climits>

namespace nds
{

class mutex : public owner<nds_mutex, nds_mutex_close>
{
  public:
    using lock_type = held<nds_mutex, nds_mutex_unlock>;

    explicit mutex(nds_mutex *handle) noexcept : owner(handle)
    {
    }
    explicit mutex(nds_mutex_kind kind = NDS_MUTEX_PLAIN)
    {
        check(nds_mutex_new(out(), kind));
    }
    static mutex
    create(const char *name, nds_mutex_kind kind = NDS_MUTEX_PLAIN)
    {
        return made<mutex>(nds_mutex_create, name, kind);
    }
    static mutex
    attach(const char *name)
    {
        return made<mutex>(nds_mutex_attach, name);
    }
    lock_type
    lock(timeout wait = forever)
    {
        return detail::hold<nds_mutex, nds_mutex_unlock>(
            get(), nds_mutex_lock(get(), nanoseconds(wait)));
    }
    /* Holding it, instead of unlocking: NDS_EPOISONED for all from now on. */
    void
    poison()
    {
        check(nds_mutex_poison(get()));
    }
    /* By anybody, who may have died; for show. */
    bool
    is_locked() const
    {
        return nds_mutex_is_locked(get());
    }
};

class rwlock : public owner<nds_rwlock, nds_rwlock_close>
{
  public:
    using lock_type = held<nds_rwlock, nds_rwlock_unlock>;

    explicit rwlock(nds_rwlock *handle) noexcept : owner(handle)
    {
    }
    rwlock()
    {
        check(nds_rwlock_new(out()));
    }
    static rwlock
    create(const char *name)
    {
        return made<rwlock>(nds_rwlock_create, name);
    }
    static rwlock
    attach(const char *name)
    {
        return made<rwlock>(nds_rwlock_attach, name);
    }
    lock_type
    read(timeout wait = forever)
    {
        return detail::hold<nds_rwlock, nds_rwlock_unlock>(
            get(), nds_rwlock_rdlock(get(), nanoseconds(wait)));
    }
    lock_type
    write(timeout wait = forever)
    {
        return detail::hold<nds_rwlock, nds_rwlock_unlock>(
            get(), nds_rwlock_wrlock(get(), nanoseconds(wait)));
    }
};

/* With a mutex of its own, as threading.Condition. */
class condition : public owner<nds_cond, nds_cond_close>
{
  public:
    using lock_type = held<nds_cond, nds_cond_unlock>;

    explicit condition(nds_cond *handle) noexcept : owner(handle)
    {
    }
    condition()
    {
        check(nds_cond_new(out()));
    }
    static condition
    create(const char *name)
    {
        return made<condition>(nds_cond_create, name);
    }
    static condition
    attach(const char *name)
    {
        return made<condition>(nds_cond_attach, name);
    }
    lock_type
    lock(timeout wait = forever)
    {
        return detail::hold<nds_cond, nds_cond_unlock>(
            get(), nds_cond_lock(get(), nanoseconds(wait)));
    }
    /* Holding the lock; false: nobody notified in time. */
    bool
    wait(timeout limit = forever)
    {
        return check_wait(nds_cond_wait(get(), nanoseconds(limit)));
    }
    void
    notify_one()
    {
        check(nds_cond_notify(get(), 1));
    }
    void
    notify_all()
    {
        check(nds_cond_notify(get(), INT_MAX));
    }
};

class semaphore : public owner<nds_sem, nds_sem_close>
{
  public:
    explicit semaphore(nds_sem *handle) noexcept : owner(handle)
    {
    }
    /* bound 0: none */
    explicit semaphore(unsigned value, unsigned bound = 0)
    {
        check(nds_sem_new(out(), value, bound));
    }
    /* Permits of a process that dies are free again. */
    static semaphore
    owned(unsigned permits)
    {
        return made<semaphore>(nds_sem_new_owned, permits);
    }
    static semaphore
    create_owned(const char *name, unsigned permits)
    {
        return made<semaphore>(nds_sem_create_owned, name, permits);
    }
    static semaphore
    create(const char *name, unsigned value, unsigned bound = 0)
    {
        return made<semaphore>(nds_sem_create, name, value, bound);
    }
    static semaphore
    attach(const char *name)
    {
        return made<semaphore>(nds_sem_attach, name);
    }
    bool
    acquire(timeout wait = forever)
    {
        return check_wait(nds_sem_acquire(get(), nanoseconds(wait)));
    }
    void
    release(unsigned count = 1)
    {
        check(nds_sem_release(get(), count));
    }
    unsigned
    value() const noexcept
    {
        return nds_sem_value(get());
    }
};

class event : public owner<nds_event, nds_event_close>
{
  public:
    explicit event(nds_event *handle) noexcept : owner(handle)
    {
    }
    event()
    {
        check(nds_event_new(out()));
    }
    static event
    create(const char *name)
    {
        return made<event>(nds_event_create, name);
    }
    static event
    attach(const char *name)
    {
        return made<event>(nds_event_attach, name);
    }
    void
    set()
    {
        check(nds_event_set(get()));
    }
    void
    clear()
    {
        check(nds_event_clear(get()));
    }
    bool
    is_set() const noexcept
    {
        return nds_event_is_set(get());
    }
    bool
    wait(timeout limit = forever)
    {
        return check_wait(nds_event_wait(get(), nanoseconds(limit)));
    }
};

class barrier : public owner<nds_barrier, nds_barrier_close>
{
  public:
    explicit barrier(nds_barrier *handle) noexcept : owner(handle)
    {
    }
    explicit barrier(unsigned parties)
    {
        check(nds_barrier_new(out(), parties));
    }
    static barrier
    create(const char *name, unsigned parties)
    {
        return made<barrier>(nds_barrier_create, name, parties);
    }
    static barrier
    attach(const char *name)
    {
        return made<barrier>(nds_barrier_attach, name);
    }
    /* 0..parties-1, unique in each round; NDS_EBROKEN once it is broken. */
    unsigned
    wait(timeout limit = forever)
    {
        unsigned index = 0;

        check(nds_barrier_wait(get(), nanoseconds(limit), &index));
        return index;
    }
    unsigned
    parties() const noexcept
    {
        return nds_barrier_parties(get());
    }
    unsigned
    waiting() const noexcept
    {
        return nds_barrier_waiting(get());
    }
    bool
    is_broken() const noexcept
    {
        return nds_barrier_is_broken(get());
    }
    void
    abort()
    {
        check(nds_barrier_abort(get()));
    }
    void
    reset_barrier()
    {
        check(nds_barrier_reset(get()));
    }
};

/* One writer, readers that write nothing. */
class seqlock : public owner<nds_seqlock, nds_seqlock_close>
{
  public:
    using lock_type = held<nds_seqlock, nds_seqlock_write_end>;

    explicit seqlock(nds_seqlock *handle) noexcept : owner(handle)
    {
    }
    seqlock()
    {
        check(nds_seqlock_new(out()));
    }
    static seqlock
    create(const char *name)
    {
        return made<seqlock>(nds_seqlock_create, name);
    }
    static seqlock
    attach(const char *name, nds_mode mode = NDS_READ)
    {
        return made<seqlock>(nds_seqlock_attach, name, mode);
    }
    lock_type
    write(timeout wait = forever)
    {
        return detail::hold<nds_seqlock, nds_seqlock_write_end>(
            get(), nds_seqlock_write_begin(get(), nanoseconds(wait)));
    }
    /* Calls copy() until it ran without a writer beside it; what it copied
     * may be torn until then. NDS_EOWNERDEAD: the writer died at work. */
    template <class Copy>
    void
    read(Copy copy, timeout wait = forever) const
    {
        uint64_t seen = 0;

        do {
            check(nds_seqlock_read_begin(get(), &seen, nanoseconds(wait)));
            copy();
        } while (nds_seqlock_read_retry(get(), seen));
    }
};

} // namespace nds

#endif
