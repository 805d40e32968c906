/* SPDX-License-Identifier: MIT */
/*
 * room.c - is there room for new shared memory, asked before it is taken
 *
 * A full mount is an error of the reservation anyway; asking first gives the
 * numbers. A memory control group with too low a limit does not fail but
 * kills, so its limit is compared beforehand. Memory it could reclaim (the
 * page cache that is not shared memory) counts as free.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define ASK_FROM ((uint64_t)16 << 20) /* no control group is that tight */

int
nds_shm_room(uint64_t *total, uint64_t *free_bytes)
{
    int rc = ndi_shm_room(total, free_bytes);

    return rc < 0 ? ndi_fail_errno(-rc, "ask for the room in %s",
                                   ndi_shm_dir())
                  : 0;
}

/* The number after `key` (NULL: the first word) in a control group's file. */
static bool
read_number(const char *dir, const char *file, const char *key,
            uint64_t *value)
{
    char path[1200];
    char word[64];
    unsigned long long n;
    bool found = false;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, file);
    f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    if (key == NULL) {
        found = fscanf(f, "%llu", &n) == 1; // "max" is no number
    } else {
        while (!found && fscanf(f, "%63s %llu", word, &n) == 2) {
            found = strcmp(word, key) == 0;
        }
    }
    fclose(f);
    if (found) {
        *value = n;
    }
    return found;
}

/* Room below one group's limit; false if it has none. */
static bool
group_room(const char *dir, uint64_t *room)
{
    uint64_t max, now, file = 0, shmem = 0;

    if (!read_number(dir, "memory.max", NULL, &max) ||
        !read_number(dir, "memory.current", NULL, &now)) {
        return false;
    }
    read_number(dir, "memory.stat", "file", &file);
    read_number(dir, "memory.stat", "shmem", &shmem);
    if (file > shmem) {
        now -= now < file - shmem ? now : file - shmem;
    }
    *room = max > now ? max - now : 0;
    return true;
}

/* The least room of our control group and those above it. */
static bool
cgroup_room(uint64_t *least)
{
    char line[1024];
    char dir[1100];
    char *path = NULL;
    bool limited = false;
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (f == NULL) {
        return false;
    }
    while (path == NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            path = line + 3;
        }
    }
    fclose(f);
    while (path != NULL) {
        uint64_t room;
        char *slash;

        snprintf(dir, sizeof dir, CGROUP_ROOT "%s", path);
        if (group_room(dir, &room) && (!limited || room < *least)) {
            *least = room;
            limited = true;
        }
        slash = strrchr(path, '/');
        if (slash == NULL || path[0] == '\0') {
            break;
        }
        *slash = '\0';
    }
    return limited;
}

int
ndi_room_check(const char *name, uint64_t nbytes, bool memfd)
{
    uint64_t total, left;

    if (!memfd && ndi_shm_room(&total, &left) == 0 && total != 0 &&
        nbytes > left) {
        return ndi_fail(NDS_ENOSPC, "create '%s': %llu bytes wanted, %llu "
                        "free in %s", name, (unsigned long long)nbytes,
                        (unsigned long long)left, ndi_shm_dir());
    }
    if (nbytes >= ASK_FROM && cgroup_room(&left) && nbytes > left) {
        return ndi_fail(NDS_ENOSPC, "create '%s': %llu bytes wanted, %llu "
                        "free below this control group's memory.max", name,
                        (unsigned long long)nbytes,
                        (unsigned long long)left);
    }
    return 0;
}
