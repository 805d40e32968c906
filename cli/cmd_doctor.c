/* SPDX-License-Identifier: MIT */
/*
 * cmd_doctor.c - what this machine gives, found by trying
 *
 * Each line is a thing the library stands on, whether it works here, and what
 * to do if it does not.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

struct report {
    json_t *json; /* or NULL: lines */
    int faults;
};

enum verdict { GOOD, NOTE, BAD };

static void
say(struct report *r, enum verdict v, const char *what, const char *found,
    const char *advice)
{
    static const char *const words[] = {"ok", "note", "BAD"};

    r->faults += v == BAD;
    if (r->json != NULL) {
        json_array_append_new(
            r->json, json_pack("{ss ss ss ss}", "check", what, "verdict",
                               words[v], "found", found, "advice",
                               v == GOOD ? "" : advice));
        return;
    }
    printf("%-5s %-22s %s\n", words[v], what, found);
    if (v != GOOD && advice[0] != '\0') {
        printf("      %-22s -> %s\n", "", advice);
    }
}

/* The first line of a small file, or "" if it cannot be read. */
static const char *
first_line(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "re");

    out[0] = '\0';
    if (f != NULL) {
        if (fgets(out, (int)room, f) != NULL) {
            out[strcspn(out, "\n")] = '\0';
        }
        fclose(f);
    }
    return out;
}

static void
check_kernel(struct report *r)
{
    struct utsname u;
    int major = 0, minor = 0;
    char text[256];

    uname(&u);
    sscanf(u.release, "%d.%d", &major, &minor);
    snprintf(text, sizeof text, "%s %s %s", u.sysname, u.release, u.machine);
    say(r, major > 5 || (major == 5 && minor >= 14) ? GOOD : BAD, "kernel",
        text, "Linux 5.14 or later is needed");
}

static void
check_room(struct report *r)
{
    uint64_t total = 0, avail = 0;
    char a[32], b[32], text[128];

    if (nds_shm_room(&total, &avail) < 0) {
        say(r, BAD, "shared memory", nds_last_error()->message,
            "mount a tmpfs on /dev/shm, or name one in NDSHARE_SHM_DIR");
        return;
    }
    snprintf(text, sizeof text, "%s free of %s",
             cli_bytes(a, sizeof a, (double)avail),
             cli_bytes(b, sizeof b, (double)total));
    say(r, avail < (UINT64_C(1) << 30) ? NOTE : GOOD, "shared memory", text,
        "containers often give 64 MB: run them with --shm-size, or remount "
        "/dev/shm larger");
}

static void
check_memory_limit(struct report *r)
{
    char line[64], text[96];

    first_line("/sys/fs/cgroup/memory.max", line, sizeof line);
    if (line[0] == '\0' || strcmp(line, "max") == 0) {
        say(r, GOOD, "memory limit", "none from the control group", "");
        return;
    }
    snprintf(text, sizeof text, "%s bytes", line);
    say(r, NOTE, "memory limit", text,
        "past it the kernel kills instead of refusing; shared memory counts");
}

static void
check_locks(struct report *r)
{
    const char *dir = getenv("NDSHARE_SHM_DIR");
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd = open(dir != NULL ? dir : "/dev/shm",
                  O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    say(r, fd >= 0 ? GOOD : NOTE, "O_TMPFILE",
        fd >= 0 ? "works" : strerror(errno),
        "a temporary name is linked instead; a crash may leave it to gc");
    if (fd < 0) {
        return;
    }
    say(r, fcntl(fd, F_OFD_SETLK, &l) == 0 ? GOOD : BAD, "OFD byte locks",
        "tells who is alive", "the file system of the shm dir must have "
        "open-file-description locks: use a tmpfs");
    // The kernel asks for the owner of the file, or CAP_LEASE.
    if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        say(r, GOOD, "file leases", "stock NumPy users are seen", "");
    } else {
        say(r, NOTE, "file leases", strerror(errno),
            "a name in doubt is left alone: gc removes less");
    }
    close(fd);
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Touches fresh memory of each kind; GB/s says what pages the kernel gave. */
static double
fresh_rate(void *addr, size_t nbytes)
{
    double start = now();

    memset(addr, 1, nbytes);
    return (double)nbytes / (now() - start) / 1e9;
}

static void
check_huge(struct report *r)
{
    size_t n = (size_t)64 << 20, unit = (size_t)2 << 20;
    char enabled[128], shmem[128], text[256];
    char *heap = mmap(NULL, n + unit, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = memfd_create("ndshare-doctor", MFD_CLOEXEC);
    char *shared = MAP_FAILED, *at;
    bool collapsed;

    first_line("/sys/kernel/mm/transparent_hugepage/enabled", enabled,
               sizeof enabled);
    first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", shmem,
               sizeof shmem);
    if (heap != MAP_FAILED) {
        at = (char *)(((uintptr_t)heap + unit - 1) & ~(uintptr_t)(unit - 1));
        madvise(at, n, MADV_HUGEPAGE);
        snprintf(text, sizeof text, "%s; fresh memory at %.1f GB/s", enabled,
                 fresh_rate(at, n));
        say(r, strstr(enabled, "[never]") != NULL ? NOTE : GOOD,
            "2 MiB pages, heap", text,
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
        munmap(heap, n + unit);
    }
    if (fd >= 0 && ftruncate(fd, (off_t)(n + unit)) == 0) {
        shared = mmap(NULL, n + unit, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      0);
    }
    if (shared != MAP_FAILED) {
        memset(shared, 1, unit * 2);
        at = (char *)(((uintptr_t)shared + unit - 1) &
                      ~(uintptr_t)(unit - 1));
        // Collapsing wants address and offset congruent: move the file's.
        collapsed = at == shared && madvise(at, unit, MADV_COLLAPSE) == 0;
        snprintf(text, sizeof text, "%s; collapse %s", shmem,
                 collapsed ? "works"
                           : "not tried or refused at this address");
        say(r, strstr(shmem, "[never]") != NULL ? NOTE : GOOD,
            "2 MiB pages, shared", text,
            "mount a tmpfs with huge=advise and name it in NDSHARE_SHM_DIR");
        munmap(shared, n + unit);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                        {0}};

static int
run(const struct cli_command *self, int argc, char **argv)
{
    struct report r = {0};
    int c;

    while ((c = cli_option(self, argc, argv, options)) != -1) {
        if (c != 'j') {
            json_decref(r.json);
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        r.json = json_array();
    }
    if (argc != optind) {
        json_decref(r.json);
        return cli_usage(self, "doctor takes no NAME");
    }
    check_kernel(&r);
    check_room(&r);
    check_memory_limit(&r);
    check_locks(&r);
    check_huge(&r);
    c = r.faults == 0 ? CLI_OK : CLI_FAILED;
    if (r.json != NULL && cli_print_json(r.json) != CLI_OK) {
        return CLI_FAILED;
    }
    return c;
}

const struct cli_command cli_doctor = {
    "doctor", "what this machine gives, and what to do about the rest",
    "usage: ndshare doctor [--json]\n\n"
    "Tries each thing the library stands on. Exit 1 if one it needs is "
    "missing.\n\nexample: ndshare doctor\n",
    run};
