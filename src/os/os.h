/* SPDX-License-Identifier: MIT */
/*
 * os.h - the only door to the kernel
 *
 * Everything here speaks errno: 0 or -errno, no text, no NDS codes; the rooms
 * above know what the call was for and say so (base/fail.h). EINTR is retried
 * inside. Every descriptor made here is close-on-exec.
 *
 * Which file implements what stands above each group.
 */
#ifndef NDI_OS_H
#define NDI_OS_H

#include <base/attr.h>
#include <ndshare/block.h>

#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- clock.c ---------------------------------------------------------- */
int64_t ndi_now_ns(void); /* CLOCK_MONOTONIC */

/* A deadline is an absolute time; NDS_FOREVER stays -1, 0 stays 0 (try). */
int64_t ndi_deadline(int64_t timeout_ns);
/* The same, but time runs from ndi_deadline_begin() on, and no clock is read
 * before: mostly nothing waits. Until then all of it is left. */
int64_t ndi_deadline_later(int64_t timeout_ns);
int64_t ndi_deadline_begin(int64_t deadline); /* one that runs stays */
/* Nanoseconds left, >= 0; INT64_MAX for ever; 0 when over. */
int64_t ndi_deadline_left(int64_t deadline);
bool ndi_deadline_over(int64_t deadline);

/* ---- thread.c: fork, threads ------------------------------------------ */
/* A number that differs in every process image, a forked child's from its
 * parent's included (a MADV_WIPEONFORK page tells); never 0. */
uint64_t ndi_fork_epoch_draw(void);
extern _Atomic uint64_t *ndi_epoch_page;
static inline uint64_t
ndi_fork_epoch(void)
{
    uint64_t seen =
        atomic_load_explicit(ndi_epoch_page, memory_order_relaxed);

    return NDI_LIKELY(seen != 0) ? seen : ndi_fork_epoch_draw();
}
/*
 * Locks of this process that a fork must find free. All are taken before it,
 * outermost first, and let go in reverse after it, in parent and child: that
 * order is the one in which the code nests them. Which lock comes where:
 */
enum ndi_fork_rank {
    NDI_FORK_PINS,    /* array/pin.c: letting go of memory takes all below */
    NDI_FORK_SERVER,  /* proc/start_server.c: over the reaper and joining */
    NDI_FORK_REAPER,  /* proc/reaper.c */
    NDI_FORK_JOIN,    /* sync/party.c: burial may free private memory */
    NDI_FORK_PRIVATE, /* os/private.c */
    NDI_FORK_WARM,    /* mem/warm.c: closing a block, also under the others */
    NDI_FORK_RANKS
};
/* Before main only (a constructor); once for each rank. */
void ndi_at_fork(enum ndi_fork_rank rank, void (*before)(void),
                 void (*in_parent)(void), void (*in_child)(void));
/* Never 0, unique among the threads of this process while they live. */
uint32_t ndi_thread_token(void);

/* ---- parallel.c: one large job on several processors -------------------- */
/* piece(ctx, i) for i in 0..count-1, each once, in any order, by this thread
 * and others, ndi_crew() at most. The pieces must not touch what another one
 * writes. Returns when all are done. */
void ndi_parallel(int64_t count, void (*piece)(void *ctx, int64_t i),
                  void *ctx);
/* How many threads: what was set, else NDSHARE_THREADS, else as many as there
 * are processors for this thread; never more than those. */
int ndi_crew(void);
void ndi_set_crew(int count); /* 0: back to the default */
/* range(ctx, from, to) over 0..count in pieces of 4 MiB, count * nbytes_each
 * being the memory they move; at once by this thread if that is not more than
 * 8 MiB. */
void ndi_in_pieces(int64_t count, size_t nbytes_each,
                   void (*range)(void *ctx, int64_t from, int64_t to),
                   void *ctx);

/* ---- copy.c --------------------------------------------------------------- */
/* memcpy, by several threads if it is large, into memory that others read. */
void ndi_copy(void *to, const void *from, size_t nbytes);
/* memcpy past the caches, where the processor can. */
void ndi_copy_past(char *to, const char *from, size_t nbytes);

/* ---- file.c ------------------------------------------------------------ */
int ndi_os_open(int *fd, const char *path, int flags, unsigned mode);
void ndi_os_close(int fd); /* -1 is fine */
int ndi_os_dup(int *out, int fd);
/* A new open file description on the same file, also when it has no name. */
int ndi_os_reopen(int *out, int fd, int flags);
int ndi_os_fstat(int fd, struct stat *st);
/* All of it or an error; -ENODATA for an early end of file. */
int ndi_os_read(int fd, void *data, size_t nbytes);
int ndi_os_write(int fd, const void *data, size_t nbytes);
int ndi_os_pread(int fd, void *data, size_t nbytes, uint64_t off);
int ndi_os_pwrite(int fd, const void *data, size_t nbytes, uint64_t off);
int ndi_os_truncate(int fd, uint64_t nbytes);
/* Backs [off, off+n) with real memory or disk: -ENOSPC now, not SIGBUS later */
int ndi_os_reserve(int fd, uint64_t off, uint64_t nbytes);
int ndi_os_chmod(int fd, unsigned mode_bits);
int ndi_os_unlink(const char *path);
int ndi_os_rename(const char *from, const char *to);
int ndi_os_sync(int fd);

/* ---- lock.c: OFD byte locks, never flock -------------------------------- */
/* Each tries once: -EAGAIN if somebody else's lock is in the way. */
int ndi_lock_shared(int fd, uint64_t off);
int ndi_lock_exclusive(int fd, uint64_t off);
int ndi_lock_release(int fd, uint64_t off);
/* Waits for an exclusive byte until the deadline: -ETIMEDOUT. */
int ndi_lock_exclusive_wait(int fd, uint64_t off, int64_t deadline);
/* 1 if another open file description holds a lock that conflicts with an
 * exclusive one on the byte, 0 if none, or -errno. Takes nothing. */
int ndi_lock_probe(int fd, uint64_t off);
/* 0 if nobody else has the file open or mapped (takes and drops a write
 * lease); -EAGAIN if somebody has; -EACCES if we may not ask. */
int ndi_lease_probe(int fd);

/* ---- shm.c --------------------------------------------------------------- */
/* "/dev/shm", or NDSHARE_SHM_DIR. Never ends in a slash. */
const char *ndi_shm_dir(void);
/* Joins dir and name into out (room bytes): -ENAMETOOLONG. */
int ndi_shm_path(char *out, size_t room, const char *name);
int ndi_shm_room(uint64_t *total, uint64_t *free_bytes);
/* Says the kernel that processes wait for memory? */
bool ndi_memory_is_short(void);
/* A nameless file in the shm dir that ndi_shm_link can give a name. */
int ndi_shm_tmpfile(int *fd, unsigned mode_bits);
int ndi_shm_link(int fd, const char *name);          /* -EEXIST */
int ndi_shm_link_replace(int fd, const char *name);  /* atomically */
int ndi_shm_open(int *fd, const char *name, int flags); /* O_NOFOLLOW added */
int ndi_shm_unlink(const char *name);
/* Sealed against shrinking; `what` shows in /proc/PID/maps. */
int ndi_memfd(int *fd, const char *what, uint64_t nbytes);

/* ---- map.c -------------------------------------------------------------- */
enum ndi_map_flags {
    NDI_MAP_WRITE = 1,
    NDI_MAP_PRIVATE = 2,  /* copy-on-write */
    NDI_MAP_DONTFORK = 4,
    NDI_MAP_POPULATE = 8, /* fault in for writing, errors ignored */
    NDI_MAP_HUGE = 16,    /* 2 MiB pages whatever NDSHARE_HUGE says */
    NDI_MAP_SMALL = 32    /* none of them */
};
/* Places files of 2 MiB or more so that address = offset modulo 2 MiB. */
int ndi_map(void **out, int fd, uint64_t off, size_t nbytes, unsigned flags);
void ndi_unmap(void *addr, size_t nbytes); /* NULL is fine */
/* Private zero memory, from 2 MiB up aligned for pages of that size. */
int ndi_map_anon(void **out, size_t nbytes, enum nds_huge huge);
int ndi_map_readonly(void *addr, size_t nbytes); /* mprotect */
/* Gives the pages of private memory back: it reads as zero. */
int ndi_map_forget(void *addr, size_t nbytes);
/* Takes the memory out of whole pages of a writable shared mapping, for all who
 * map them: they read as zero. */
int ndi_map_punch(void *addr, size_t nbytes);
int ndi_map_sync(void *addr, size_t nbytes);     /* msync MS_SYNC */
/* Replaces a private copy-on-write range by fresh pages in one stroke, so that
 * a whole-array write copies nothing: content becomes zeros. Returns 0, or
 * -errno with nothing changed. */
int ndi_map_renew(void *addr, size_t nbytes);

/* ---- huge.c -------------------------------------------------------------- */
/* `asked`, or, where that is auto, what NDSHARE_HUGE says. */
enum nds_huge ndi_huge(enum nds_huge asked);
/* Is a shared mapping of so many bytes worth collapsing? */
bool ndi_huge_worth(enum nds_huge huge, size_t nbytes);
/* Advice for private memory; where the system ignores advice and `huge` is
 * always, the pages themselves. */
void ndi_huge_private(void *addr, size_t nbytes, enum nds_huge huge);
/* One page's memory in each whole stretch of 2 MiB, or all of it on a mount
 * that gives such pages. Where there is no room it leaves some out. */
void ndi_huge_touch(void *addr, size_t nbytes);
/* Asks the kernel for 2 MiB pages under a shared mapping, where it has no memory
 * yet; gives up where the kernel cannot, and unless `huge` is always where it
 * takes longer than small pages would. Small pages work as well: it never
 * fails. */
void ndi_map_collapse(void *addr, size_t nbytes, enum nds_huge huge);
/* One piece of such a job, by whichever thread; the struct, all zeros but for
 * `huge` at first, remembers how it goes. */
struct ndi_collapse {
    enum nds_huge huge;
    _Atomic int slow;
    _Atomic bool over;
};
void ndi_collapse_step(struct ndi_collapse *c, void *addr, size_t nbytes);
/* Is there memory behind this address, in the file or in this process? If not,
 * the first touch brings zeros into the caches. True where it cannot be told. */
bool ndi_map_has_memory(const void *addr);
/* Bytes of a shared mapping in stretches of 2 MiB that begin without memory. */
size_t ndi_map_cold(const void *addr, size_t nbytes);
/* How much of the mappings around [addr, addr + nbytes) lies in 2 MiB pages in
 * this process, nbytes at most. Slow: reads a list of all mappings. */
int ndi_huge_bytes(const void *addr, size_t nbytes, size_t *out);

/* ---- private.c ---------------------------------------------------------- */
/* Which private mappings a whole-array write may replace after a fork: the heap
 * of the mem room reports its large blocks here. */
void ndi_private_add(void *addr, size_t nbytes);
void ndi_private_remove(void *addr);
/* If [addr, addr+nbytes) lies in a block that was made before the last fork,
 * so that its pages may be shared with the parent: gives the range fresh zero
 * pages (ndi_map_renew), once. Call it only when all of it will be written.
 * True if it did: every byte of the range is zero now. */
bool ndi_map_renew_if_private(void *addr, size_t nbytes);

/* ---- futex.c ------------------------------------------------------------ */
/* Shared (cross-process) futex. 0 woken or changed, -ETIMEDOUT. Sleeps at most
 * the slice, so callers look again: NDI_SLICE_NS. */
#define NDI_SLICE_NS 50000000
int ndi_futex_wait(const _Atomic uint32_t *word, uint32_t seen,
                   int64_t max_ns);
int ndi_futex_wake(_Atomic uint32_t *word, int count);
/* The processor this thread runs on now. */
int ndi_cpu(void);

/* ---- eventfd.c: what a poll loop hears ---------------------------------- */
int ndi_eventfd(int *fd);        /* does not block */
int ndi_eventfd_ring(int fd);    /* readable from now on */
int ndi_eventfd_still(int fd);   /* readable no more; -EAGAIN: it was not */

/* ---- epoll.c: one descriptor that hears many ----------------------------- */
int ndi_epoll(int *fd);
/* Readable or ended: `tag` is told. Level-triggered. */
int ndi_epoll_add(int epoll, int fd, void *tag);
void ndi_epoll_remove(int epoll, int fd);
/* One of those who wait is told once of input (1), room for output (2) or an
 * end, and has fd alone until it is said again. */
int ndi_epoll_add_once(int epoll, int fd, int events, void *tag);
int ndi_epoll_again(int epoll, int fd, int events, void *tag);
/* How many tags, at least 1; -ETIMEDOUT. */
int ndi_epoll_wait(int epoll, void **tags, int room, int64_t deadline);

/* ---- procfd.c: what another process holds open --------------------------- */
struct ndi_procfd {
    pid_t pid;
    int number; /* of the descriptor there */
    dev_t dev;  /* the file it must lead to */
    ino_t ino;
};
/* A new open file description on it. -ENOENT: the process or its descriptor is
 * gone or leads elsewhere; -EACCES: we may not look into that process. */
int ndi_procfd_open(int *fd, const struct ndi_procfd *what, int flags);
int ndi_pipe(int out[2]); /* read end, write end; neither blocks */

/* ---- rand.c ------------------------------------------------------------- */
int ndi_random_bytes(void *out, size_t nbytes);

/* ---- exec.c: processes -------------------------------------------------- */
int ndi_pidfd_open(int *fd, pid_t pid);
int ndi_pidfd_signal(int pidfd, int sig);
/* Waits for a child by pidfd: *code is the exit code or minus the signal.
 * -ETIMEDOUT; -ECHILD if it is no child of ours. */
int ndi_pidfd_wait(int pidfd, int64_t deadline, int *code);
/* Waits for a child that just got SIGKILL and has no pidfd. */
void ndi_child_wait(pid_t pid);
/* Runs this program's executable anew with argv and env. It inherits 0, 1 and
 * 2, and `keep` as number NDI_SPAWN_FD; and where copies are counted, their
 * counters as the number after that, which replaces env's entry. Nothing
 * else. */
#define NDI_SPAWN_FD 3
int ndi_spawn_self(pid_t *pid, int *pidfd, char *const argv[], char *env[],
                   int keep);

/* ---- sock.c, fdpass.c --------------------------------------------------- */
int ndi_sock_pair(int out[2]); /* Unix stream */
/* poll(2) by a deadline: how many are ready, or -ETIMEDOUT. */
struct pollfd;
int ndi_poll(struct pollfd *p, int count, int64_t deadline);
/* Readable (1) or writable (2) before the deadline: -ETIMEDOUT. */
int ndi_sock_wait(int fd, int events, int64_t deadline);
/* After a call that failed with errno: waits if it would have blocked. 0: call
 * it again; else -errno. */
int ndi_sock_again(int fd, int events, int64_t deadline);
/* All bytes before the deadline; -ENODATA at a clean end before the first
 * byte, -EPIPE at an end in the middle. */
int ndi_sock_read(int fd, void *data, size_t nbytes, int64_t deadline);
/* For ndi_sock_recv that blocks: at most so long, -1 for ever. */
int ndi_sock_patience(int fd, int64_t timeout_ns);
/* What is there, at least one byte; -ENODATA at the end. block: waits in the
 * call itself, for the patience that was set, which must not be longer than
 * what is left until the deadline. */
int ndi_sock_recv(int fd, void *data, size_t room, size_t *got, bool block,
                  int64_t deadline);
/* What is there now: -EAGAIN if nothing is. */
int ndi_sock_try(int fd, void *data, size_t room, size_t *got);
struct iovec;
/* All of it before the deadline. What -ETIMEDOUT left unsent is what the
 * vector shows then. */
int ndi_sock_writev(int fd, struct iovec *iov, int count, int64_t deadline);
/* nbytes (> 0) of data with up to 253 descriptors beside them. */
int ndi_sock_send_fds(int fd, const void *data, size_t nbytes, const int *fds,
                      int nfds, int64_t deadline);
/* Exactly nbytes; descriptors that came with them, at most room, all of them
 * close-on-exec; more than room is -EPROTO and closes them. */
int ndi_sock_recv_fds(int fd, void *data, size_t nbytes, int *fds, int room,
                      int *nfds, int64_t deadline);
/* Streams: `name` is a path, or begins with a NUL byte for the abstract space.
 * -ENAMETOOLONG beyond 107 bytes. Listening sockets never block accept. */
int ndi_sock_listen_unix(int *fd, const char *name, size_t nbytes,
                         int backlog);
int ndi_sock_connect_unix(int *fd, const char *name, size_t nbytes,
                          int64_t deadline);
/* IPv4 over TCP. Looking `host` up has no deadline; -EHOSTUNREACH if that
 * fails. port 0 lets the kernel choose; *bound is the one in use. */
int ndi_sock_listen_tcp(int *fd, const char *host, uint16_t port,
                        int backlog, uint16_t *bound);
int ndi_sock_connect_tcp(int *fd, const char *host, uint16_t port,
                         int64_t deadline);
int ndi_sock_accept(int *out, int fd); /* -EAGAIN if nobody waits */
/* Who is at the other end of a Unix stream, as the kernel saw it connect;
 * -ENOTSUP for anything else. */
int ndi_sock_peer(int fd, pid_t *pid, uid_t *uid);
bool ndi_sock_ended(int fd); /* the other end sends no more */
void ndi_sock_shutdown(int fd); /* both directions; wakes whoever waits */
/* Sends one byte if there is room; async-signal-safe. */
void ndi_sock_poke(int fd);

/* ---- foreign.c: memory that others made --------------------------------- */
bool ndi_os_is_readonly(int fd); /* opened without write access */
bool ndi_os_is_memfd(int fd);    /* memory that can be sealed, not a file */
/* Lays private zero pages over whole pages of a mapping; signal-safe. */
int ndi_map_zero(void *addr, size_t nbytes, bool write);
/* Writes into the memory of a child of ours, at the address it gave; by all
 * processors. -EPERM, -ENOSYS where the kernel does not let us; -EFAULT,
 * -ESRCH. On failure some of it may have been written. */
int ndi_push_memory(pid_t pid, uint64_t to, const void *from, size_t nbytes);
/* System V segments. */
int ndi_sysv_attach(void **out, size_t *nbytes, int shmid, bool readonly);
void ndi_sysv_detach(void *addr);

/* ---- stats.c: counters of a process tree -------------------------------- */
void ndi_count_copied(uint64_t nbytes);
/* The descriptor of the counters, or -1; it stays theirs. */
int ndi_stats_fd(void);
/* Counts on the page behind fd from now on, if it is one and this process does
 * not count yet. The descriptor is taken over. */
void ndi_stats_adopt(int fd);
#define NDI_STATS_ENV "NDSHARE_STATS_FD"

/* ---- kill points and faults: killpoint.c, test builds only -------------- */
/*
 * NDI_KILL_POINT("claim.after_intent") is nothing in a release build. In test
 * builds (NDI_TESTING) each visit is numbered in a page shared with the
 * harness, which can have the process SIGKILLed at visit n.
 *
 * Kernel calls go through NDI_SYS("name", call(...)): in test builds the
 * harness can have each fail, as the kernel would have it fail, below the
 * loops that retry. _MAP is for calls that fail with MAP_FAILED, _CODE for
 * those that return an error number.
 */
#ifdef NDI_TESTING
void ndi_kill_point(const char *name);
#define NDI_KILL_POINT(name) ndi_kill_point(name)
/* True, with errno set, if the harness wants this kernel call to fail now. */
bool ndi_fault(const char *call);
#define NDI_SYS(call, expr) (ndi_fault(call) ? -1 : (expr))
#define NDI_SYS_MAP(call, expr) (ndi_fault(call) ? (void *)-1 : (expr))
#define NDI_SYS_CODE(call, expr) (ndi_fault(call) ? errno : (expr))
#else
#define NDI_KILL_POINT(name) ((void)0)
#define NDI_SYS(call, expr) (expr)
#define NDI_SYS_MAP(call, expr) (expr)
#define NDI_SYS_CODE(call, expr) (expr)
#endif

#endif
