/* SPDX-License-Identifier: MIT */
/*
 * segment_attach.c - joining a segment by name or by descriptor
 *
 * Between opening a name and holding the in-use lock the file may lose it, so
 * the link count is looked at with the lock held: none left means look again.
 * A name that is missing is waited for by looking in growing intervals.
 */
#include <mem/mem_impl.h>
#include <mem/warm.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RACE_WAIT_NS NDS_SEC(5) /* a sweeper at work holds a name shortly */
#define LOOK_MOST_NS 10000000

/* The mapping that this file had here before fits it, or goes. */
static bool
is_mapped(struct ndi_segment *s, uint64_t ctl_off)
{
    if (s->body != NULL && s->map_nbytes == ctl_off) {
        ndi_guard_add(s->ctl, NDI_CTL_NBYTES, &s->truncated);
        ndi_guard_add(s->body, s->map_nbytes, &s->truncated);
        return true;
    }
    ndi_unmap(ndi_steal(&s->body), s->map_nbytes);
    ndi_unmap(ndi_steal(&s->ctl), NDI_CTL_NBYTES);
    return false;
}

/* fd is taken over, also on failure, and so is the mapping, if there is one;
 * forks: before there was either. */
static int
over_fd(struct ndi_segment **out, int fd, enum ndi_kind kind,
        enum nds_mode mode, bool fd_readonly, const char *name,
        const struct ndi_warm *back, uint64_t forks)
{
    struct ndi_segment *s = calloc(1, sizeof *s);
    struct ndi_control_copy copy;
    struct stat st;
    bool ctl_readonly = mode == NDS_READ || fd_readonly;
    int rc;

    *out = NULL;
    if (s == NULL) {
        ndi_unmap(back->map, back->nbytes);
        ndi_unmap(back->ctl, NDI_CTL_NBYTES);
        ndi_os_close(fd);
        return ndi_fail_nomem(sizeof *s, "a segment");
    }
    s->refs = 1;
    s->fd = fd;
    s->mode = mode;
    s->forks = forks;
    s->body = back->map;
    s->map_nbytes = back->nbytes;
    s->ctl = back->ctl;
    s->huge = ndi_huge(NDS_HUGE_AUTO);
    rc = ndi_control_read(&copy, fd, kind, name);
    if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
        rc = rc < 0 ? ndi_fail_errno(-rc, "look at '%s'", name) : 0;
    }
    if (rc == 0 && (uint64_t)st.st_size != copy.header.file_nbytes) {
        rc = ndi_fail(NDS_ETRUNCATED, "'%s' changed its size meanwhile",
                      name);
    }
    if (rc == 0) {
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        s->nbytes = copy.header.file_nbytes;
        s->body_nbytes = copy.geometry.body_nbytes;
        s->while_used = copy.header.lifetime == NDS_WHILE_USED;
        rc = is_mapped(s, copy.ctl_off)
                 ? 0
                 : ndi_segment_map(s, copy.ctl_off, ctl_readonly, name);
    }
    if (rc == 0) {
        rc = ndi_segment_party(s, &copy.geometry, copy.ctl_off, ctl_readonly);
        s->partied = rc == 0;
    }
    if (rc < 0) {
        ndi_segment_put(s);
        return rc;
    }
    *out = s;
    return 0;
}

static int
open_name(int *fd, const char *name, enum nds_mode mode, bool *readonly)
{
    int rc;

    *readonly = mode == NDS_READ;
    rc = ndi_shm_open(fd, name, *readonly ? O_RDONLY : O_RDWR);
    if (rc == -EACCES && mode == NDS_COPY) {
        *readonly = true; // private data need no more than reading
        rc = ndi_shm_open(fd, name, O_RDONLY);
    }
    switch (rc) {
    case 0:
    case -ENOENT:
    case -EAGAIN:
        return rc == 0 ? 0 : rc == -ENOENT ? NDS_ENOENT : NDS_EAGAIN;
    case -EACCES:
    case -EPERM:
        return ndi_fail_errno(-rc, "attach '%s': no permission to %s it",
                              name, mode == NDS_READ ? "read" : "write");
    case -ELOOP:
    case -ENXIO:
    case -EISDIR:
        return ndi_fail(NDS_ENOTOURS, "attach '%s': not a file of shared "
                        "memory", name);
    default:
        return ndi_fail_errno(-rc, "attach '%s'", name);
    }
}

/* NDS_EAGAIN: in the middle of a change; NDS_ENOENT: not there (no text). */
static int
attach_once(struct ndi_segment **out, const char *name, enum ndi_kind kind,
            enum nds_mode mode)
{
    struct ndi_warm back = {0};
    uint64_t forks = ndi_warm_forks();
    struct stat st;
    bool readonly;
    int fd = -1;
    int rc = open_name(&fd, name, mode, &readonly);

    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("attach.opened");
    rc = ndi_os_fstat(fd, &st);
    if (rc == 0 && !S_ISREG(st.st_mode)) {
        ndi_os_close(fd);
        return ndi_fail(NDS_ENOTOURS, "attach '%s': not a file of shared "
                        "memory", name);
    }
    if (rc == 0 && mode == NDS_READWRITE && ndi_name_is_hidden(name) &&
        ndi_warm_find(&back, st.st_dev, st.st_ino)) {
        ndi_os_close(fd); // may be opened, and has been before
        fd = back.fd;
    }
    if (rc == 0) {
        rc = ndi_lock_shared(fd, NDI_BYTE_IN_USE);
    }
    NDI_KILL_POINT("attach.in_use");
    if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
    }
    if (rc < 0 || st.st_nlink == 0) {
        ndi_unmap(back.map, back.nbytes);
        ndi_unmap(back.ctl, NDI_CTL_NBYTES);
        ndi_os_close(fd);
        return rc == 0 || rc == -EAGAIN
                   ? NDS_EAGAIN
                   : ndi_fail_errno(-rc, "attach '%s'", name);
    }
    rc = over_fd(out, fd, kind, mode, readonly, name, &back, forks);
    if (rc == 0) {
        strncpy((*out)->name, name, sizeof (*out)->name - 1);
    }
    return rc;
}

void
ndi_nap(int64_t ns)
{
    static const _Atomic uint32_t nobody_writes_this;

    ndi_futex_wait(&nobody_writes_this, 0, ns);
}

int
ndi_segment_attach(struct ndi_segment **out, const char *name,
                   enum ndi_kind kind, enum nds_mode mode,
                   int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);
    int64_t race = ndi_deadline(RACE_WAIT_NS);
    int64_t look = 100000;
    int rc;

    *out = NULL;
    rc = ndi_name_check(name);
    if (rc < 0) {
        return rc;
    }
    if (mode != NDS_READ && mode != NDS_READWRITE && mode != NDS_COPY) {
        return ndi_fail(NDS_EINVAL, "attach '%s': mode '%c'; use 'r', '+' or "
                        "'c'", name, mode);
    }
    for (;;) {
        int64_t left;

        rc = attach_once(out, name, kind, mode);
        if (rc == NDS_EAGAIN) {
            if (ndi_deadline_over(race)) {
                return ndi_fail(NDS_EBUSY, "attach '%s': somebody is changing "
                                "the name for too long", name);
            }
            ndi_nap(50000);
            continue;
        }
        if (rc != NDS_ENOENT) {
            return rc;
        }
        if (timeout_ns == 0) {
            return ndi_fail(NDS_ENOENT, "attach '%s': no such name in %s",
                            name, ndi_shm_dir());
        }
        left = ndi_deadline_left(deadline);
        if (left == 0) {
            return NDS_ETIMEDOUT;
        }
        ndi_nap(look < left ? look : left);
        look = look * 2 < LOOK_MOST_NS ? look * 2 : LOOK_MOST_NS;
    }
}

int
ndi_segment_attach_hidden(struct ndi_segment **out, const char *name,
                          enum nds_mode mode)
{
    uid_t me = geteuid();
    struct stat st;
    int rc;

    *out = NULL;
    if (!ndi_name_is_hidden(name) || strchr(name, '/') != NULL) {
        return ndi_fail(NDS_EINVAL, "'%s' is no hidden name", name);
    }
    rc = attach_once(out, name, 0, mode);
    if (rc == NDS_ENOENT || rc == NDS_EAGAIN) {
        return ndi_fail(NDS_ENOENT, "attach '%s': no such name in %s", name,
                        ndi_shm_dir());
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_os_fstat((*out)->fd, &st);
    if (rc < 0 || (st.st_uid != me && st.st_uid != 0 && me != 0)) {
        ndi_segment_put(ndi_steal(out));
        return ndi_fail(NDS_EPERM, "attach '%s': it belongs to uid %u", name,
                        st.st_uid);
    }
    return 0;
}

int
ndi_segment_adopt(struct ndi_segment **out, int fd, enum ndi_kind kind,
                  enum nds_mode mode)
{
    const struct ndi_warm none = {0};
    struct stat st;
    int rc;

    *out = NULL;
    rc = ndi_os_fstat(fd, &st);
    if (rc < 0) {
        ndi_os_close(fd);
        return ndi_fail_errno(-rc, "adopt descriptor %d", fd);
    }
    // A memfd has no name and no sweeper; a file must not lose its name.
    rc = ndi_lock_shared(fd, NDI_BYTE_IN_USE);
    if (rc < 0) {
        ndi_os_close(fd);
        return ndi_fail_errno(-rc, "adopt a descriptor: mark it as in use");
    }
    rc = over_fd(out, fd, kind, mode, ndi_os_is_readonly(fd),
                 "(descriptor)", &none, ndi_warm_forks());
    if (rc == 0) {
        ndi_store_seq(&(*out)->given, true); // who sent it has it too
        (*out)->memfd = ndi_os_is_memfd(fd);
    }
    return rc;
}
