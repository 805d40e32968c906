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
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

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

/* An array made and written as usual: what pages the kernel gave, how fast. */
static void
check_pages(struct report *r, enum nds_reach reach, const char *what,
            const char *knob, const char *advice)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    int64_t n = (int64_t)64 << 20;
    const char *asked = getenv("NDSHARE_HUGE");
    char knob_text[128], text[256];
    nds_array *a = NULL;
    size_t huge = 0;
    double start = now();

    if (nds_array_new(&a, NDS_UINT8, 1, &n, &opts) < 0 ||
        nds_fill(nds_array_view(a), nds_int(1)) < 0) {
        say(r, NOTE, what, nds_last_error()->message, "");
        nds_array_close(a);
        return;
    }
    start = now() - start;
    nds_block_huge(nds_array_block(a), &huge);
    nds_array_close(a);
    first_line(knob, knob_text, sizeof knob_text);
    snprintf(text, sizeof text, "%.0f %% of 64 MiB, made and written at %.1f "
             "GB/s%s%s; the system says %s", 100.0 * (double)huge / (double)n,
             (double)n / start / 1e9, asked != NULL ? "; NDSHARE_HUGE=" : "",
             asked != NULL ? asked : "", knob_text);
    say(r, huge >= (size_t)n / 10 * 9 ? GOOD : NOTE, what, text,
        asked != NULL && strcmp(asked, "never") == 0
            ? "NDSHARE_HUGE=never forbids them" : advice);
}

static void
check_huge(struct report *r)
{
#define THP "/sys/kernel/mm/transparent_hugepage/"
    check_pages(r, NDS_HEAP, "2 MiB pages, heap", THP "enabled",
                "echo madvise > " THP "enabled");
    check_pages(r, NDS_SHAREABLE, "2 MiB pages, shared", THP "shmem_enabled",
                "Linux 6.1 collapses them; before, mount a tmpfs with "
                "huge=advise and name it in NDSHARE_SHM_DIR");
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
