/* SPDX-License-Identifier: MIT */
/*
 * named.c - raw blocks: a name and a byte count, nothing of ours inside
 *
 * Exactly what Python's SharedMemory makes and attaches: st_size is the number
 * of bytes asked for, the mode as given, no header. They live until unlinked
 * and are never swept.
 */
#include <mem/mem_impl.h>

#include <base/carry.h>
#include <base/fail.h>
#include <base/options.h>
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
raw_fini(nds_block *b)
{
    ndi_guard_remove(b->map);
    ndi_unmap(b->map, b->map_nbytes);
}

static int
map_raw(nds_block **out, int fd, const char *name, enum nds_mode mode,
        size_t nbytes)
{
    char path[PATH_MAX];
    unsigned flags = mode == NDS_READ ? 0
                     : mode == NDS_COPY
                         ? (unsigned)NDI_MAP_WRITE | NDI_MAP_PRIVATE
                         : (unsigned)NDI_MAP_WRITE;
    nds_block *b = NULL;
    struct stat st;
    int rc = ndi_block_make(&b, NDS_RAW, mode);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_os_fstat(fd, &st);
    if (rc == 0) {
        b->dev = st.st_dev;
        b->ino = st.st_ino;
        rc = ndi_map(&b->map, fd, 0, nbytes, flags);
    }
    if (rc < 0) {
        nds_block_close(b);
        return ndi_fail_errno(-rc, "map '%s' (%zu bytes)", name, nbytes);
    }
    b->fini = raw_fini;
    b->map_nbytes = nbytes;
    b->data = b->map;
    b->nbytes = nbytes;
    ndi_guard_add(b->map, nbytes, &b->truncated);
    if (ndi_shm_path(path, sizeof path, name) == 0) {
        b->path = strdup(path);
    }
    if (b->path == NULL) {
        nds_block_close(b);
        return ndi_fail_nomem(sizeof path, "a path");
    }
    *out = b;
    return 0;
}

/* The nameless file of so many bytes, with memory behind each. */
static int
make_raw(int *fd, const char *name, size_t nbytes, unsigned mode_bits)
{
    int rc = ndi_room_check(name, nbytes, false);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_shm_tmpfile(fd, mode_bits != 0 ? mode_bits : 0600);
    if (rc == 0) {
        rc = ndi_os_truncate(*fd, nbytes);
    }
    if (rc == 0) {
        rc = ndi_os_reserve(*fd, 0, nbytes);
    }
    NDI_KILL_POINT("raw.reserved");
    return rc < 0 ? ndi_fail_errno(-rc, "create '%s': %zu bytes wanted", name,
                                   nbytes)
                  : 0;
}

/* Gives it the name. The scope knows it before anybody can see it. */
static int
link_raw(int fd, const char *name, nds_scope *scope)
{
    struct stat st;
    int hold = -1;
    int rc = 0;

    if (scope != NULL) {
        rc = ndi_os_fstat(fd, &st);
        rc = rc < 0 ? ndi_fail_errno(-rc, "create '%s'", name)
                    : ndi_scope_note(scope, name, &st);
    }
    if (rc == 0) {
        rc = ndi_name_hold(&hold, name, geteuid(),
                           ndi_deadline(NDI_NAME_WAIT_NS));
    }
    if (rc == 0) {
        rc = ndi_shm_link(fd, name);
        NDI_KILL_POINT("raw.linked");
        rc = rc == -EEXIST
                 ? ndi_fail(NDS_EEXIST, "create '%s': the name is taken in %s",
                            name, ndi_shm_dir())
             : rc < 0 ? ndi_fail_errno(-rc, "create '%s'", name)
                      : 0;
    }
    ndi_os_close(hold);
    return rc;
}

/* A name as Python makes them up. */
static int
fresh_name(char *out, size_t room)
{
    uint32_t r;
    int rc = ndi_random_bytes(&r, sizeof r);

    snprintf(out, room, "psm_%08x", r);
    return rc < 0 ? ndi_fail_errno(-rc, "random bytes for a name") : 0;
}

int
nds_block_new_raw(nds_block **out, const char *name, size_t nbytes,
                  const nds_raw_options *opts)
{
    nds_raw_options o;
    char fresh[32];
    nds_block *b = NULL;
    bool any = name == NULL;
    int fd = -1;
    int rc = 0;

    *out = NULL;
    ndi_options_copy(&o, sizeof o, opts);
    if (any) {
        rc = fresh_name(fresh, sizeof fresh);
        name = fresh;
    } else {
        name += name[0] == '/';
        rc = ndi_name_check(name);
    }
    if (rc == 0 && nbytes == 0) {
        rc = ndi_fail(NDS_EINVAL, "create '%s': a raw block has one byte or "
                      "more", name);
    }
    if (rc == 0) {
        rc = make_raw(&fd, name, nbytes, o.mode_bits);
    }
    if (rc == 0) {
        rc = map_raw(&b, fd, name, NDS_READWRITE, nbytes);
    }
    if (rc == 0 && o.fill != NULL) {
        rc = o.fill(b->data, nbytes, o.ctx);
        NDI_KILL_POINT("raw.filled");
    }
    if (rc == 0) {
        rc = link_raw(fd, name, o.scope);
    }
    for (int i = 0; rc == NDS_EEXIST && any && i < 100; i++) {
        // The name is of the same length: the block's path takes it.
        rc = fresh_name(fresh, sizeof fresh);
        strcpy(strrchr(b->path, '/') + 1, fresh);
        rc = rc < 0 ? rc : link_raw(fd, name, o.scope);
    }
    ndi_os_close(fd);
    if (rc == 0) {
        *out = ndi_steal(&b);
    }
    nds_block_close(b);
    return rc;
}

int
nds_block_create_raw(nds_block **out, const char *name, size_t nbytes,
                     unsigned mode_bits)
{
    nds_raw_options opts = {.size = sizeof opts, .mode_bits = mode_bits};

    *out = NULL;
    return name == NULL ? ndi_name_check(name)
                        : nds_block_new_raw(out, name, nbytes, &opts);
}

int
nds_block_attach_raw(nds_block **out, const char *name, enum nds_mode mode)
{
    struct stat st;
    int fd = -1;
    int rc;

    *out = NULL;
    rc = ndi_name_posix(name, &name);
    if (rc < 0) {
        return rc;
    }
    if (mode != NDS_READ && mode != NDS_READWRITE && mode != NDS_COPY) {
        return ndi_fail(NDS_EINVAL, "attach '%s': mode '%c'; use 'r', '+' or "
                        "'c'", name, mode);
    }
    rc = ndi_shm_open(&fd, name, mode == NDS_READWRITE ? O_RDWR : O_RDONLY);
    if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
    }
    if (rc < 0) {
        ndi_os_close(fd);
        return ndi_fail_errno(-rc, "attach '%s' in %s", name, ndi_shm_dir());
    }
    if (!S_ISREG(st.st_mode)) {
        rc = ndi_fail(NDS_ENOTOURS, "attach '%s': not a file of shared memory",
                      name);
    } else if (st.st_size == 0) {
        rc = ndi_fail(NDS_EINVAL, "attach '%s': cannot mmap an empty file",
                      name);
    } else {
        rc = map_raw(out, fd, name, mode, (size_t)st.st_size);
    }
    ndi_os_close(fd);
    return rc;
}

/* ---- names that others may take away ------------------------------------- */

const char *
nds_block_name(const nds_block *b)
{
    if (b->segment != NULL) {
        return b->segment->name;
    }
    return b->reach == NDS_RAW ? strrchr(b->path, '/') + 1 : "";
}

int
nds_block_check_name(const nds_block *b)
{
    const char *name = nds_block_name(b);
    struct stat st = {0}, now;
    int rc;

    if (*name == '\0') {
        return ndi_fail(NDS_EINVAL, "the block has no name");
    }
    st.st_dev = b->segment != NULL ? b->segment->dev : b->dev;
    st.st_ino = b->segment != NULL ? b->segment->ino : b->ino;
    rc = ndi_name_stat(name, &now);
    if (rc == -ENOENT) {
        return ndi_fail(NDS_ENOENT, "'%s': somebody unlinked the name, as "
                        "Python's resource tracker does; the memory is whole "
                        "for whoever has it", name);
    }
    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at '%s' in %s", name, ndi_shm_dir());
    }
    return now.st_dev == st.st_dev && now.st_ino == st.st_ino
               ? 0
               : ndi_fail(NDS_ESTALE, "'%s': the name was unlinked and means "
                          "something else now; the memory is whole for "
                          "whoever has it", name);
}

/* ---- travelling --------------------------------------------------------- */


static int
carry_pack(void *handle, struct ndi_parcel *p)
{
    nds_block *b = handle;
    int fd = -1;
    int rc;

    if (b->path == NULL) {
        return ndi_fail(NDS_EINVAL, "only raw blocks and files can be passed "
                        "on as blocks");
    }
    // By descriptor while the name is there, so that it may go meanwhile.
    rc = ndi_os_open(&fd, b->path, b->mode == NDS_READWRITE ||
                                           b->mode == NDS_CREATE
                                       ? O_RDWR
                                       : O_RDONLY, 0);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "pass '%s' on", b->path);
    }
    ndi_parcel_add_fd(p, fd);
    ndi_parcel_add_u64(p, b->reach);
    ndi_parcel_add_u64(p, b->mode == NDS_CREATE ? NDS_READWRITE : b->mode);
    ndi_parcel_add_u64(p, b->off);
    ndi_parcel_add_u64(p, b->nbytes);
    ndi_parcel_add_str(p, b->path);
    return ndi_parcel_ok(p);
}

static int
carry_unpack(struct ndi_parcel *p, void **handle)
{
    int fd = ndi_parcel_fd(p);
    uint64_t reach = ndi_parcel_u64(p);
    uint64_t mode = ndi_parcel_u64(p);
    uint64_t off = ndi_parcel_u64(p);
    uint64_t nbytes = ndi_parcel_u64(p);
    const char *path = ndi_parcel_str(p);
    nds_block *b = NULL;
    struct stat st = {0};
    int rc = ndi_parcel_ok(p);

    *handle = NULL;
    if (rc == 0 && ((reach != NDS_RAW && reach != NDS_FILE) ||
                    (mode != NDS_READ && mode != NDS_READWRITE &&
                     mode != NDS_COPY))) {
        rc = ndi_fail(NDS_EPROTO, "a block of reach %llu, mode %llu",
                      (unsigned long long)reach, (unsigned long long)mode);
    }
    if (rc == 0 && reach == NDS_FILE) {
        rc = ndi_block_map_file(&b, path, (enum nds_mode)mode, off, nbytes);
    } else if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
        rc = rc < 0 ? ndi_fail_errno(-rc, "take over '%s'", path)
             : st.st_size <= 0 || (uint64_t)st.st_size != nbytes
                 ? ndi_fail(NDS_ETRUNCATED, "'%s' has %lld bytes, not %llu",
                            path, (long long)st.st_size,
                            (unsigned long long)nbytes)
                 : 0;
        if (rc == 0) {
            const char *base = strrchr(path, '/');

            rc = map_raw(&b, fd, base != NULL ? base + 1 : path,
                         (enum nds_mode)mode, (size_t)nbytes);
        }
    }
    ndi_os_close(fd);
    *handle = b;
    return rc;
}

static void
carry_close(void *handle)
{
    nds_block_close(handle);
}

static struct ndi_carrier block_carrier = {"block", carry_pack, carry_unpack,
                                           carry_close, NULL};

__attribute__((constructor)) static void
register_block_carrier(void)
{
    ndi_carrier_register(&block_carrier);
}
