/* SPDX-License-Identifier: MIT */
/*
 * fuzz.c - input, a private directory, clocks and patches for the targets
 *
 * A process that is stopped and continued while a call runs has no say about
 * how long the call took: SIGCONT makes the clock be ignored once.
 */
#include "fuzz.h"

#include <ndshare/ndshare.h>
#include <os/killpoint.h>
#include <sync/lock.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHM "/dev/shm"
#define PREFIX "nds-fuzz-"
#define FILE_MOST ((rlim_t)8 << 20)
#define LATER_ROOM 8
#define PATCH_ROOM 16

static char dir[64];
static volatile sig_atomic_t continued;
static int64_t slack_ns = NDS_SEC(5); /* NDS_FUZZ_SLACK seconds */

/* What is too large to allocate is an error, not the end of the run. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=256:"
           "detect_leaks=1";
}

/* ---- input -------------------------------------------------------------- */

uint8_t
fuzz_u8(struct fuzz_in *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

uint16_t
fuzz_u16(struct fuzz_in *in)
{
    unsigned low = fuzz_u8(in);

    return (uint16_t)(low | (unsigned)fuzz_u8(in) << 8);
}

uint32_t
fuzz_u32(struct fuzz_in *in)
{
    uint32_t low = fuzz_u16(in);

    return low | (uint32_t)fuzz_u16(in) << 16;
}

uint64_t
fuzz_u64(struct fuzz_in *in)
{
    uint64_t low = fuzz_u32(in);

    return low | (uint64_t)fuzz_u32(in) << 32;
}

char *
fuzz_text(struct fuzz_in *in)
{
    char *text = malloc(in->left + 1);

    fuzz_check(text != NULL, "no memory for an input");
    memcpy(text, in->at, in->left);
    text[in->left] = '\0';
    in->at += in->left;
    in->left = 0;
    return text;
}

/* ---- surroundings ------------------------------------------------------- */

static void
remove_dir(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char name[512];

    if (d == NULL) {
        return;
    }
    while ((e = readdir(d)) != NULL) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        unlink(name);
    }
    closedir(d);
    rmdir(path);
}

static void
remove_own(void)
{
    remove_dir(dir);
}

/* What targets that crashed or were killed could not remove. */
static void
remove_stale(void)
{
    DIR *d = opendir(SHM);
    struct dirent *e;
    char path[512];

    while (d != NULL && (e = readdir(d)) != NULL) {
        long pid = strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) == 0
                       ? strtol(e->d_name + sizeof PREFIX - 1, NULL, 10)
                       : 0;

        if (pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH) {
            snprintf(path, sizeof path, SHM "/%s", e->d_name);
            remove_dir(path);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

static void
on_cont(int sig)
{
    (void)sig;
    continued = 1;
}

/* With a handler, growing a file past the limit is EFBIG and no signal. */
static void
on_xfsz(int sig)
{
    (void)sig;
}

void
fuzz_surroundings(void)
{
    struct rlimit most = {FILE_MOST, FILE_MOST};
    struct sigaction cont = {.sa_handler = on_cont, .sa_flags = SA_RESTART};
    struct sigaction xfsz = {.sa_handler = on_xfsz, .sa_flags = SA_RESTART};
    const char *slack = getenv("NDS_FUZZ_SLACK");

    if (slack != NULL) {
        slack_ns = NDS_SEC(strtol(slack, NULL, 10));
    }
    remove_stale();
    snprintf(dir, sizeof dir, SHM "/" PREFIX "%ld", (long)getpid());
    mkdir(dir, 0700);
    setenv("NDSHARE_SHM_DIR", dir, 1);
    atexit(remove_own);
    sigaction(SIGCONT, &cont, NULL);
    sigaction(SIGXFSZ, &xfsz, NULL);
    setrlimit(RLIMIT_FSIZE, &most);
    ndi_patience_ns = 500000;
}

void
fuzz_check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz: %s (last error: %s)\n", what,
                nds_last_error()->message);
        abort();
    }
}

/* ---- clocks ------------------------------------------------------------- */

static struct {
    const char *what;
    int64_t start;
    int64_t most;
} call;

void
fuzz_begin(const char *what, int64_t timeout_ns)
{
    continued = 0;
    call.what = what;
    call.most = timeout_ns + slack_ns;
    call.start = ndi_now_ns();
}

void
fuzz_done(void)
{
    int64_t took = ndi_now_ns() - call.start;

    if (took > call.most && continued == 0) {
        fprintf(stderr, "fuzz: %s took %lld ms\n", call.what,
                (long long)(took / 1000000));
        abort();
    }
}

int64_t
fuzz_timeout(struct fuzz_in *in)
{
    static const int64_t ns[] = {0, 0, 0, 200000};

    return ns[fuzz_u8(in) & 3];
}

/* ---- patches ------------------------------------------------------------ */

static struct later {
    unsigned due; /* kill points from now; 0: done */
    unsigned char *at;
    unsigned nbytes;
    uint8_t bytes[PATCH_ROOM];
} later[LATER_ROOM];
static unsigned pending;

static void
visit(const char *name)
{
    (void)name;
    for (unsigned i = 0; pending > 0 && i < LATER_ROOM; i++) {
        if (later[i].due > 0 && --later[i].due == 0) {
            memcpy(later[i].at, later[i].bytes, later[i].nbytes);
            pending--;
        }
    }
}

void
fuzz_patch_forget(void)
{
    memset(later, 0, sizeof later);
    pending = 0;
    ndi_kill_visit_with(NULL);
}

void
fuzz_patch(const struct fuzz_target *t, struct fuzz_in *in, bool wait)
{
    const struct fuzz_region *r = &t->regions[fuzz_u8(in) % t->count];
    uint64_t off = r->off + (uint64_t)fuzz_u8(in) * r->unit;
    unsigned nbytes = fuzz_u8(in) % PATCH_ROOM + 1;
    unsigned due = wait ? fuzz_u8(in) + 1U : 0;
    uint8_t bytes[PATCH_ROOM];

    if (t->nbytes == 0) {
        return;
    }
    off %= t->nbytes;
    nbytes = nbytes <= t->nbytes - off ? nbytes : (unsigned)(t->nbytes - off);
    for (unsigned i = 0; i < nbytes; i++) {
        bytes[i] = fuzz_u8(in);
    }
    for (unsigned i = 0; wait && i < LATER_ROOM; i++) {
        if (later[i].due == 0) {
            later[i].due = due;
            later[i].at = t->bytes + off;
            later[i].nbytes = nbytes;
            memcpy(later[i].bytes, bytes, nbytes);
            pending++;
            ndi_kill_visit_with(visit);
            return;
        }
    }
    memcpy(t->bytes + off, bytes, nbytes);
}

/* ---- scripts ---- */

bool
fuzz_script_run(const struct fuzz_script *s, void *ctx, struct fuzz_in *in)
{
    bool attached = false;

    for (int n = 0; in->left > 0 && n < FUZZ_STEPS; n++) {
        uint8_t op = fuzz_u8(in);

        if (op < FUZZ_CALLS) {
            fuzz_patch(s->target, in, op >= s->later_from);
        } else if (s->aside != NULL && s->aside(ctx, op, in)) {
            continue;
        } else if (!attached) {
            fuzz_begin("attach", 0);
            attached = s->attach(ctx) == 0;
            fuzz_done();
        } else if (op >= s->close_first && op <= s->close_last) {
            FUZZ_TIMED(s->close(ctx), 0);
            attached = false;
        } else {
            s->use(ctx, op, in);
        }
    }
    return attached;
}
