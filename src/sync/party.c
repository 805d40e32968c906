/* SPDX-License-Identifier: MIT */
/*
 * party.c - who is here, and are they alive
 *
 * An entry passes through EMPTY, LIVE, DYING. Its presence byte is the right
 * to change it: whoever holds the byte exclusively is either the participant
 * itself or, the participant being dead, its burier. The generation is raised
 * when an entry is taken, so an owner value never names two processes.
 *
 * Killed while joining: the byte falls free, the entry is EMPTY still, or LIVE
 * with nobody behind it, which is what a dead participant looks like. Killed
 * while burying: the byte falls free, the entry stays DYING, and the next
 * burier does it again; burying is idempotent. What others conclude from a dead
 * one's entry is concluded for them (`mourn`) before it changes.
 *
 * Not handled: more than one segment handle of a process on one file is two
 * participants, which is right but counts twice in `users`.
 */
#include <sync/party.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* Joining must not fall across a fork: the child would share the open file
 * description that is about to carry the presence byte. */
static pthread_mutex_t join_mutex = PTHREAD_MUTEX_INITIALIZER;

static void
join_lock(void)
{
    pthread_mutex_lock(&join_mutex);
}

static void
join_unlock(void)
{
    pthread_mutex_unlock(&join_mutex);
}

__attribute__((constructor)) static void
party_early(void)
{
    ndi_at_fork(NDI_FORK_JOIN, join_lock, join_unlock, join_unlock);
}

int
ndi_party_init(struct ndi_party *p, int fd, struct ndi_party_slot *slots,
               uint32_t count, bool readonly)
{
    struct stat st;
    int rc = ndi_os_fstat(fd, &st);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at a shared file");
    }
    if (count == 0 || count > NDI_PARTY_MAX) {
        return ndi_fail(NDS_ECORRUPT, "a table of %u participants", count);
    }
    p->fd = fd;
    p->dev = st.st_dev;
    p->ino = st.st_ino;
    p->slots = slots;
    p->count = count;
    p->readonly = readonly;
    p->bury = NULL;
    p->ctx = NULL;
    p->mourn = NULL;
    p->mourned = NULL;
    ndi_store_rel(&p->epoch, 0);
    p->presence = NULL;
    ndi_store_rel(&p->owner, 0);
    return 0;
}

/* Our descriptor, if it still is the one we were given: a program that closes
 * descriptors it does not know must not make us ask a stranger's file. */
static bool
fd_is_ours(const struct ndi_party *p)
{
    struct stat st;

    return ndi_os_fstat(p->fd, &st) == 0 && st.st_dev == p->dev &&
           st.st_ino == p->ino;
}

/* A description of our own: byte locks of a shared one would not exclude the
 * relatives that share it. */
static int
reopen(const struct ndi_party *p, int *fd)
{
    *fd = -1;
    return fd_is_ours(p) ? ndi_os_reopen(fd, p->fd, O_RDWR) : -EBADF;
}

bool
ndi_party_is_dead(const struct ndi_party *p, uint64_t owner)
{
    uint32_t index = ndi_owner_index(owner);
    const struct ndi_party_slot *slot;

    if (owner == 0 || index >= p->count || owner == ndi_party_self(p)) {
        return false;
    }
    slot = &p->slots[index];
    // DYING is written only by a burier, with the presence byte in its hand:
    // its own probe of that byte would find a lock, and must not be believed.
    if (ndi_load_acq(&slot->gen) != ndi_owner_gen(owner) ||
        ndi_load_acq(&slot->state) != NDI_PARTY_LIVE) {
        return true;
    }
    return fd_is_ours(p) &&
           ndi_lock_probe(p->fd, NDI_BYTE_PRESENCE + index) == 0;
}

uint32_t
ndi_party_pid(const struct ndi_party *p, uint64_t owner)
{
    uint32_t index = ndi_owner_index(owner);

    if (owner == 0 || index >= p->count ||
        ndi_load_acq(&p->slots[index].gen) != ndi_owner_gen(owner)) {
        return 0;
    }
    return ndi_load_rlx(&p->slots[index].pid);
}

/* With the presence byte of `index` held on some description of ours and its
 * participant dead: burial. */
static int
bury(struct ndi_party *p, uint32_t index)
{
    struct ndi_party_slot *slot = &p->slots[index];
    uint32_t gen = ndi_load_acq(&slot->gen);
    int rc = 0;

    if (ndi_load_acq(&slot->state) == NDI_PARTY_EMPTY) {
        return 0;
    }
    NDI_KILL_POINT("party.bury_begin");
    if (p->mourn != NULL) {
        p->mourn(p->mourned, slot);
    }
    ndi_store_seq(&slot->state, NDI_PARTY_DYING);
    NDI_KILL_POINT("party.bury_dying");
    if (p->bury != NULL) {
        rc = p->bury(p->ctx, index, gen);
    }
    if (rc < 0) {
        return rc;
    }
    ndi_store_seq(&slot->permits, 0);
    ndi_store_seq(&slot->readers, 0);
    ndi_store_seq(&slot->arrivals, 0);
    NDI_KILL_POINT("party.bury_done");
    ndi_store_seq(&slot->state, NDI_PARTY_EMPTY);
    NDI_KILL_POINT("party.bury_empty");
    return 0;
}

/* Makes the entry ours: its byte is held on fd. */
static void
take_entry(struct ndi_party_slot *slot, uint32_t *gen)
{
    struct timespec now;
    uint32_t g = ndi_load_acq(&slot->gen) + 1;

    clock_gettime(CLOCK_REALTIME, &now);
    // 0 is no generation: owner values of a zeroed table stay nobody's.
    *gen = g == 0 ? 1 : g;
    ndi_store_seq(&slot->gen, *gen);
    NDI_KILL_POINT("party.join_gen");
    ndi_store_rlx(&slot->pid, (uint32_t)getpid());
    ndi_store_rlx(&slot->started, (uint64_t)now.tv_sec * 1000000000u +
                                      (uint64_t)now.tv_nsec);
    ndi_store_seq(&slot->permits, 0);
    ndi_store_seq(&slot->readers, 0);
    ndi_store_seq(&slot->arrivals, 0);
    NDI_KILL_POINT("party.join_clean");
    ndi_store_seq(&slot->state, NDI_PARTY_LIVE);
    NDI_KILL_POINT("party.join_live");
}

/* First pass: entries that look empty. Second: dead ones. The byte is held. */
static int
find_entry(struct ndi_party *p, int fd, bool dead_too, uint32_t *index)
{
    for (uint32_t i = 0; i < p->count; i++) {
        bool empty = ndi_load_acq(&p->slots[i].state) == NDI_PARTY_EMPTY;
        int rc;

        if (empty == dead_too) {
            continue;
        }
        rc = ndi_lock_exclusive(fd, NDI_BYTE_PRESENCE + i);
        if (rc == -EAGAIN) {
            continue;
        }
        if (rc < 0) {
            return ndi_fail_errno(-rc, "take presence byte %u", i);
        }
        NDI_KILL_POINT("party.join_byte");
        *index = i;
        return 0;
    }
    return NDS_EAGAIN;
}

/* What the last one of our index left is buried by us as participants, for
 * burial may take locks. Killed in it, we are dead with the same index. */
static int
bury_before(struct ndi_party *p, struct ndi_party_slot *slot, uint32_t index,
            uint32_t gen)
{
    int rc = p->bury == NULL ? 0 : p->bury(p->ctx, index, gen);

    if (rc < 0) {
        ndi_store_seq(&slot->state, NDI_PARTY_DYING);
        ndi_store_rel(&p->owner, 0);
        ndi_unmap(p->presence, (size_t)sysconf(_SC_PAGESIZE));
        p->presence = NULL;
    }
    return rc;
}

static int
join(struct ndi_party *p)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *carrier = NULL;
    uint32_t index = 0, gen;
    int fd = -1;
    int rc = reopen(p, &fd);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "join the users of a shared file");
    }
    rc = find_entry(p, fd, false, &index);
    if (rc == NDS_EAGAIN) {
        rc = find_entry(p, fd, true, &index);
    }
    if (rc == NDS_EAGAIN) {
        rc = ndi_fail(NDS_ELIMIT, "%u processes use this already", p->count);
    }
    if (rc == 0) {
        rc = ndi_map(&carrier, fd, 0, page, NDI_MAP_DONTFORK);
        rc = rc < 0 ? ndi_fail_errno(-rc, "map a presence page") : 0;
    }
    if (rc == 0) {
        uint32_t before = ndi_load_acq(&p->slots[index].gen);
        bool empty =
            ndi_load_acq(&p->slots[index].state) == NDI_PARTY_EMPTY;

        if (!empty && p->mourn != NULL) {
            p->mourn(p->mourned, &p->slots[index]);
        }
        take_entry(&p->slots[index], &gen);
        // What a parent's mapping was, MADV_DONTFORK kept from us.
        p->presence = carrier;
        ndi_store_rel(&p->owner, ndi_owner_make(index, gen));
        ndi_store_rel(&p->epoch, ndi_fork_epoch());
        rc = empty ? 0 : bury_before(p, &p->slots[index], index, before);
    }
    ndi_os_close(fd); // the mapping carries the byte from here on
    return rc;
}

int
ndi_party_join(struct ndi_party *p, uint64_t *owner)
{
    int rc = 0;

    *owner = ndi_party_self(p);
    if (*owner != 0) {
        return 0;
    }
    if (p->readonly) {
        return ndi_fail(NDS_EPERM, "attached read-only: no locks");
    }
    // One mutex for all parties: fork waits for it (party_early).
    join_lock();
    if (ndi_party_self(p) == 0) {
        rc = join(p);
    }
    join_unlock();
    *owner = ndi_party_self(p);
    return rc;
}

void
ndi_party_fini(struct ndi_party *p)
{
    uint64_t owner = ndi_party_self(p);

    if (owner != 0) {
        struct ndi_party_slot *slot = &p->slots[ndi_owner_index(owner)];
        bool clean = true;

        // A handle closed while it still holds something died, for others.
        if (p->bury != NULL) {
            clean = p->bury(p->ctx, ndi_owner_index(owner),
                            ndi_owner_gen(owner)) == 0;
        }
        if (clean) {
            ndi_store_seq(&slot->permits, 0);
            ndi_store_seq(&slot->readers, 0);
            ndi_store_seq(&slot->arrivals, 0);
            ndi_store_seq(&slot->state, NDI_PARTY_EMPTY);
        }
        NDI_KILL_POINT("party.left");
        ndi_store_rel(&p->owner, 0);
        ndi_unmap(p->presence, (size_t)sysconf(_SC_PAGESIZE));
        p->presence = NULL;
    }
}

int
ndi_party_sweep(struct ndi_party *p)
{
    uint64_t self = ndi_party_self(p);
    int64_t start = ndi_now_ns();
    int buried = 0;
    int fd = -1;
    int rc;

    for (uint32_t i = 0; i < p->count; i++) {
        struct ndi_party_slot *slot = &p->slots[i];

        // A table full of the dead must not eat a waiter's deadline; who is
        // buried stays so, and the next sweep goes on behind them.
        if (buried > 0 && ndi_now_ns() - start > NDI_SLICE_NS) {
            break;
        }

        if (ndi_load_acq(&slot->state) == NDI_PARTY_EMPTY ||
            (self != 0 && ndi_owner_index(self) == i) || !fd_is_ours(p) ||
            ndi_lock_probe(p->fd, NDI_BYTE_PRESENCE + i) != 0) {
            continue;
        }
        if (fd < 0 && (rc = reopen(p, &fd)) < 0) {
            return ndi_fail_errno(-rc, "bury a dead participant");
        }
        // Ask again by taking it: somebody may have joined or buried since.
        if (ndi_lock_exclusive(fd, NDI_BYTE_PRESENCE + i) < 0) {
            continue;
        }
        if (ndi_load_acq(&slot->state) != NDI_PARTY_EMPTY) {
            rc = bury(p, i);
            if (rc < 0) {
                ndi_os_close(fd);
                return rc;
            }
            buried++;
        }
        ndi_lock_release(fd, NDI_BYTE_PRESENCE + i);
    }
    ndi_os_close(fd);
    return buried;
}

int
ndi_party_alive(const struct ndi_party *p)
{
    uint64_t self = ndi_party_self(p);
    int alive = 0;

    if (!fd_is_ours(p)) {
        return 0;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        if (ndi_load_acq(&p->slots[i].state) == NDI_PARTY_EMPTY) {
            continue;
        }
        alive += (self != 0 && ndi_owner_index(self) == i) ||
                 ndi_lock_probe(p->fd, NDI_BYTE_PRESENCE + i) == 1;
    }
    return alive;
}
