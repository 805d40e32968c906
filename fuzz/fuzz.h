/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the fuzz targets share
 *
 * A target is LLVMFuzzerTestOneInput over the library's test build, linked
 * with libFuzzer, or with replay.c to run its corpus without one. Targets of
 * shared files read their input as a script: patches of the file's bytes and
 * calls of the library in turn (fuzz_script_run). A patch may wait for a kill
 * point, so that it falls into the middle of a call, where a neighbour's write
 * might fall.
 */
#ifndef NDS_FUZZ_H
#define NDS_FUZZ_H

#include <base/attr.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

/* ---- input, front to back; zeros beyond its end ---- */
struct fuzz_in {
    const uint8_t *at;
    size_t left;
};
uint8_t fuzz_u8(struct fuzz_in *in);
uint16_t fuzz_u16(struct fuzz_in *in);
uint32_t fuzz_u32(struct fuzz_in *in);
uint64_t fuzz_u64(struct fuzz_in *in);
/* All that is left, NUL-terminated [caller frees]. */
char *fuzz_text(struct fuzz_in *in);

/* ---- surroundings ---- */
/* A private directory below /dev/shm is the library's until exit; files of
 * this process stay below 8 MiB each; locks are not waited for long. */
void fuzz_surroundings(void);
/* Aborts with `what` unless ok: a broken promise is a finding. */
void fuzz_check(bool ok, const char *what);

/* A call and its deadline: fuzz_done aborts when it took 5 s more, or what
 * NDS_FUZZ_SLACK says where the fuzzer runs at the lowest priority. */
void fuzz_begin(const char *what, int64_t timeout_ns);
void fuzz_done(void);
#define FUZZ_TIMED(call, ns)                                                  \
    do {                                                                      \
        int64_t timeout = (ns);                                               \
        fuzz_begin(#call, timeout);                                           \
        (void)(call);                                                         \
        fuzz_done();                                                          \
    } while (0)
/* Mostly 0, or 0.2 ms, by the input. */
int64_t fuzz_timeout(struct fuzz_in *in);

/* ---- patches ---- */
struct fuzz_region {
    uint64_t off;
    uint32_t unit; /* offsets in the input count these */
};
/* A mapping that a script may patch. */
struct fuzz_target {
    unsigned char *bytes;
    size_t nbytes;
    const struct fuzz_region *regions;
    unsigned count;
};
/* Reads one patch. `later`: it falls due at a coming kill point. */
void fuzz_patch(const struct fuzz_target *t, struct fuzz_in *in, bool later);
/* Patches that never fell due are dropped. */
void fuzz_patch_forget(void);

/* ---- scripts ---- */
#define FUZZ_CALLS 96 /* the first op that is no patch */
#define FUZZ_STEPS 64 /* what comes behind them is not read */

/* Each step is one byte, the op, and what it reads of the input: below
 * FUZZ_CALLS a patch, which waits for a kill point from later_from on. Without
 * a handle any other op attaches. */
struct fuzz_script {
    const struct fuzz_target *target;
    uint8_t later_from;
    uint8_t close_first, close_last; /* the ops that close */
    int (*attach)(void *ctx);
    void (*close)(void *ctx);
    void (*use)(void *ctx, uint8_t op, struct fuzz_in *in);
    /* True: the op was one that needs no handle, and is done. May be NULL. */
    bool (*aside)(void *ctx, uint8_t op, struct fuzz_in *in);
};
/* True: a handle is open still. The caller ends, then forgets the patches. */
bool fuzz_script_run(const struct fuzz_script *s, void *ctx,
                     struct fuzz_in *in);

#endif
