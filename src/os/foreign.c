/* SPDX-License-Identifier: MIT */
/* foreign.c - memory that others made: questions, writes, System V segments */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/uio.h>

bool
ndi_os_is_readonly(int fd)
{
    int flags = NDI_SYS("getfl", fcntl(fd, F_GETFL));

    return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
}

bool
ndi_os_is_memfd(int fd)
{
    int seals = NDI_SYS("get_seals", fcntl(fd, F_GET_SEALS));

    // Files of a tmpfs mount answer too, but cannot be sealed.
    return seals >= 0 && (seals & F_SEAL_SEAL) == 0;
}

int
ndi_map_zero(void *addr, size_t nbytes, bool write)
{
    int prot = PROT_READ | (write ? PROT_WRITE : 0);

    return NDI_SYS_MAP("map_zero",
                       mmap(addr, nbytes, prot,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)) ==
                   MAP_FAILED
               ? -errno
               : 0;
}

struct push {
    pid_t pid;
    uint64_t to;
    const char *from;
    _Atomic int err;
};

static void
push_range(void *ctx, int64_t from, int64_t to)
{
    struct push *p = ctx;

    while (from < to && p->err == 0) {
        struct iovec here = {.iov_base = (void *)(uintptr_t)(p->from + from),
                             .iov_len = (size_t)(to - from)};
        struct iovec there = {
            .iov_base = (void *)(uintptr_t)(p->to + (uint64_t)from),
            .iov_len = here.iov_len};
        ssize_t n = NDI_SYS("push_memory", process_vm_writev(p->pid, &here, 1,
                                                              &there, 1, 0));

        if (n <= 0) {
            p->err = n < 0 ? errno : EFAULT;
            return;
        }
        from += n;
    }
}

int
ndi_push_memory(pid_t pid, uint64_t to, const void *from, size_t nbytes)
{
    struct push p = {.pid = pid, .to = to, .from = from};

    ndi_in_pieces((int64_t)nbytes, 1, push_range, &p);
    return -p.err;
}

int
ndi_sysv_attach(void **out, size_t *nbytes, int shmid, bool readonly)
{
    struct shmid_ds info;
    void *p;

    if (NDI_SYS("shmctl", shmctl(shmid, IPC_STAT, &info)) < 0) {
        return -errno;
    }
    p = NDI_SYS_MAP("shmat", shmat(shmid, NULL, readonly ? SHM_RDONLY : 0));
    if (p == (void *)-1) {
        return -errno;
    }
    *out = p;
    *nbytes = info.shm_segsz;
    return 0;
}

void
ndi_sysv_detach(void *addr)
{
    if (addr != NULL) {
        shmdt(addr);
    }
}
