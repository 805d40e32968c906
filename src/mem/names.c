/* SPDX-License-Identifier: MIT */
/*
 * names.c - what lives in shared memory, told without touching it
 *
 * Everything is read through a descriptor and copied; nothing is mapped, so
 * looking makes nobody a user. What an array's header says is the array
 * room's to read: it fills in a function.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <mem/names.h>
#include <os/os.h>
#include <sync/word.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int (*describe_array)(const unsigned char *head, size_t nbytes,
                             nds_name_info *out);

void
ndi_names_describe_with(int (*fn)(const unsigned char *head, size_t nbytes,
                                  nds_name_info *out))
{
    describe_array = fn;
}

/* Users, lock and generations from a copy of the control area. */
static void
describe_control(const struct ndi_control_copy *copy, int fd,
                 nds_name_info *out)
{
    struct ndi_control *ctl = malloc(sizeof *ctl);
    uint32_t count = copy->geometry.party_count;
    struct ndi_party_slot *slots = calloc(count, sizeof *slots);
    struct ndi_party party;

    if (ctl == NULL || slots == NULL ||
        ndi_os_pread(fd, ctl, sizeof *ctl, copy->ctl_off) < 0 ||
        ndi_os_pread(fd, slots, count * sizeof *slots,
                     copy->geometry.party_off) < 0 ||
        ndi_party_init(&party, fd, slots, count, true) < 0) {
        goto out;
    }
    out->users = ndi_party_alive(&party);
    out->shape_gen = ndi_load_rlx(&ctl->gens.shape_gen);
    out->data_gen = ndi_load_rlx(&ctl->gens.data_gen);
    ndi_lock_describe(&party,
                      copy->header.kind == NDI_KIND_MUTEX
                          ? &ctl->object.mutex
                          : &ctl->lock,
                      out->lock_state, sizeof out->lock_state);
    ndi_party_fini(&party);
out:
    free(slots);
    free(ctl);
}

static void
describe_ours(const char *name, int fd, const struct ndi_control_copy *copy,
              nds_name_info *out)
{
    unsigned char head[8192];
    size_t nbytes = copy->geometry.data_off < sizeof head
                        ? (size_t)copy->geometry.data_off
                        : sizeof head;

    (void)name;
    snprintf(out->kind, sizeof out->kind, "%s",
             ndi_kind_text(copy->header.kind));
    out->lifetime = (enum nds_lifetime)copy->header.lifetime;
    out->nbytes = (int64_t)copy->geometry.body_nbytes;
    if (copy->header.kind == NDI_KIND_ARRAY) {
        out->capacity = (int64_t)copy->geometry.capacity;
        out->nbytes = out->capacity;
        if (describe_array != NULL &&
            ndi_os_pread(fd, head, nbytes, 0) == 0) {
            (void)describe_array(head, nbytes, out);
        }
    }
    describe_control(copy, fd, out);
}

int
nds_name_info_get(const char *name, nds_name_info *out)
{
    struct ndi_control_copy copy;
    size_t size = out->size;
    struct stat st;
    int fd = -1;
    int rc;

    memset(out, 0, sizeof *out);
    out->size = size;
    if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL ||
        strlen(name) >= sizeof out->name) {
        return ndi_fail(NDS_EINVAL, "'%s' is no name in shared memory",
                        name != NULL ? name : "(null)");
    }
    rc = ndi_shm_open(&fd, name, O_RDONLY);
    if (rc == -EACCES) {
        rc = ndi_shm_open(&fd, name, O_PATH);
    }
    if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
    }
    if (rc < 0) {
        ndi_os_close(fd);
        return ndi_fail_errno(-rc, "look at '%s' in %s", name, ndi_shm_dir());
    }
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->lock_state, sizeof out->lock_state, "none");
    out->file_nbytes = st.st_size;
    out->nbytes = st.st_size;
    out->capacity = st.st_size;
    out->mode_bits = st.st_mode & 07777;
    out->uid = st.st_uid;
    if (!S_ISREG(st.st_mode)) {
        snprintf(out->kind, sizeof out->kind, "foreign");
    } else if (ndi_control_read(&copy, fd, 0, name) == 0) {
        describe_ours(name, fd, &copy, out);
    } else {
        snprintf(out->kind, sizeof out->kind, "raw");
    }
    // Counted participants hold it too: then nobody else can be told apart.
    out->others = out->users == 0 && ndi_lease_probe(fd) == -EAGAIN;
    ndi_os_close(fd);
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

int
nds_names_walk(bool all, int (*fn)(const nds_name_info *, void *), void *ctx)
{
    char(*list)[256] = NULL;
    size_t count = 0, room = 0;
    nds_name_info info = {.size = sizeof info};
    struct dirent *e;
    DIR *dir = opendir(ndi_shm_dir());
    int rc = 0;

    if (dir == NULL) {
        return ndi_fail_errno(errno, "list %s", ndi_shm_dir());
    }
    while (rc == 0 && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.' &&
            !(all && ndi_name_is_hidden(e->d_name))) {
            continue;
        }
        if (count == room) {
            void *more = realloc(list, (room + 64) * sizeof list[0]);

            if (more == NULL) {
                rc = ndi_fail_nomem(room * sizeof list[0], "a list of names");
                break;
            }
            list = more;
            room += 64;
        }
        snprintf(list[count++], sizeof list[0], "%s", e->d_name);
    }
    closedir(dir);
    if (count > 0) {
        qsort(list, count, sizeof list[0], by_name);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool ours;

        if (nds_name_info_get(list[i], &info) < 0) {
            continue; // went meanwhile
        }
        ours = strcmp(info.kind, "raw") != 0 &&
               strcmp(info.kind, "foreign") != 0;
        if (ours || all) {
            rc = fn(&info, ctx);
        }
    }
    free(list);
    return rc;
}
