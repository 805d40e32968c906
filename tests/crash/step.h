/* SPDX-License-Identifier: MIT */
/*
 * step.h - kill an operation after each of its instructions
 *
 * A victim process is single-stepped through one operation. After every
 * instruction the world that others see (shared bytes, names, kernel-held
 * locks) is digested. For each distinct world a fresh victim is stepped to it
 * and killed there, another process finishes, and nothing may be wrong or
 * left.
 *
 * One process, the driver of this run, makes the objects; victim and finisher
 * are forked from it, so handles kept in the operations' static variables mean
 * the same in all three.
 */
#ifndef NDI_STEP_H
#define NDI_STEP_H

#include <mem/segment.h>
#include <ndshare/sync.h>

#include <signal.h>
#include <stdarg.h>
#include <sys/types.h>

#define STEP_DEADLINE_S 20 /* for the finisher */

struct step_now {
    bool ended;  /* the victim had executed all of the operation */
    bool helped; /* the partner has acted */
};

struct step_op {
    const char *name;
    bool hot; /* walked with stride one by --every */
    /* In the driver, with an empty directory: makes and watches objects. */
    void (*setup)(void);
    /* In the victim, before the first counted instruction; may be NULL. */
    void (*prepare)(void);
    void (*operate)(void); /* in the victim, counted */
    /* In the driver, once, when the victim is about to sleep on a futex; may be
     * NULL. */
    void (*partner)(void);
    /* In a process of its own, after the kill: goes on and checks, by need. */
    void (*finish)(const struct step_now *now);
    void (*teardown)(void); /* in the driver: gives all back; no name stays */
    const void *arg;        /* what its functions share code by */
    /* In the driver, when the victim stands before its first instruction: gives
     * up what only the victim shall have, or lets somebody wait for it. May be
     * NULL. */
    void (*started)(void);
};
/* Two victims: the first is killed in some worlds of its own operation, and in
 * what each left the second is walked. Both have one setup, one teardown and
 * one argument. */
struct step_pair {
    struct step_op op;
    const struct step_op *first; /* its prepare and operate; no partner */
    unsigned samples;            /* worlds of the first, the last among them */
    /* In the driver, when the first is dead: remembers what it left. May be
     * NULL. */
    void (*between)(void);
};
/* The one that is being walked. */
const void *step_arg(void);

/* ---- step_ops.c: what the operations share ------------------------------ */
struct ndi_segment *step_segment_of(const void *handle); /* of a sync object */
/* In finish: buries the dead; no entry of theirs may be left. */
void step_need_buried(struct ndi_party *p);
/* In finish: lock is free, or of a dead process; dead says which. */
void step_need_lock_sane(struct ndi_party *p, const struct ndi_lock *l,
                         bool *dead);
/* In finish: the next one gets the mutex, hears of a dead holder exactly if
 * there was one, and the one after him hears nothing. Was there one? */
bool step_need_mutex_usable(nds_mutex *mutex);

/* ---- step_other.c: one more process in the world ------------------------ */
/* In setup: a child acts and is killed. */
void step_other_dies(void (*act)(void));
/* In setup: a child has acted, and lives until step_other_end(), which must be
 * called by teardown and may be before. */
void step_other_lives(void (*act)(void));
void step_other_end(void);
/* In setup or started: a child runs act until it sleeps on this futex word,
 * and is stopped there. It changes nothing before a finisher lets it go on;
 * then its result must come long before its own deadline is over. */
#define STEP_ASLEEP_NS NDS_SEC(60) /* for act */
void step_other_sleeps(int (*act)(void), const void *futex);
int step_other_verdict(void);

/* ---- step_ops_*.c ------------------------------------------------------- */
extern const struct step_op step_ops_lock[];
extern const struct step_op step_ops_wait[];
extern const struct step_op step_ops_gate[];
extern const struct step_op step_ops_owned[];
extern const struct step_op step_ops_seq[];
extern const struct step_op step_ops_sleeper[];
extern const struct step_op step_ops_consumer[];
extern const struct step_op step_ops_named[];
extern const struct step_op step_ops_made[];
extern const struct step_op step_ops_attach[];
extern const struct step_op step_ops_chan[];
extern const struct step_op step_ops_item[];
extern const struct step_op step_ops_repair[];

extern const struct step_pair step_pairs_owned[];
extern const struct step_pair step_pairs_seq[];
extern const struct step_pair step_pairs_named[];
extern const struct step_pair step_pairs_repair[];

/* ---- step_world.c: what others can see ---------------------------------- */
/* Makes the private directory and points the library at it. */
int step_world_open(void);
void step_world_close(void);
/* Forgets what was watched. */
void step_world_reset(void);
/* Bytes mapped in the driver (and so in the victim). */
void step_watch(const void *at, size_t nbytes);
/* Of bytes watched already: only whether they are all zero counts (pids,
 * times, random ids and what else differs from run to run). */
void step_blur(const void *at, size_t nbytes);
void step_watch_segment(const struct ndi_segment *s);
/* Files that the victim itself maps are watched as well, in its own memory. */
void step_watch_maps(void);
/* Looks anew at names, locks and the victim's mappings. */
void step_world_look(pid_t victim);
uint64_t step_world_digest(pid_t victim);
/* Names in the directory that should not be there, and locks on files of this
 * world: their number, the first one described in text. */
unsigned step_world_left(char *text, size_t room);
unsigned step_world_names(void); /* names but the lock file of names */
void step_world_clear(void);     /* removes every name */

/* ---- step_driver.c: the victim ------------------------------------------ */
struct step_victim {
    pid_t pid;
    const struct step_op *op;
    uint64_t steps;  /* instructions executed since the start mark */
    uintptr_t pc;    /* of the next one */
    bool helped;
    bool in_syscall; /* stopped at one's begin or end */
    char trouble[128]; /* set by STEP_BROKE */
};
enum step_result { STEP_ON, STEP_ENDED, STEP_BROKE };
/* First of all: 0, or -errno if this system forbids it. */
int step_allowed(void);
enum step_result step_start(struct step_victim *v, const struct step_op *op);
enum step_result step_one(struct step_victim *v);
/* At full speed to the end mark. */
enum step_result step_to_end(struct step_victim *v);
/* Counts how often the recorded run stood at its place; to be begun anew. */
void step_visits_begin(void);
uint32_t step_visit(const struct step_victim *v);
/* At full speed to the n-th time at that place; STEP_ENDED if this run does
 * not come by. */
enum step_result step_jump(struct step_victim *v, uintptr_t target,
                           uint32_t visits);
void step_kill(struct step_victim *v);

/* ---- step_clock.c ------------------------------------------------------- */
void step_clock_slow(void); /* in the victim, before it is walked */
/* Of the victim's clock; at the same address in the driver. */
extern int64_t step_clock_passed_ns;

/* ---- step_run.c: one operation, all its states -------------------------- */
struct step_how {
    unsigned sample; /* every n-th distinct state, the first and the last */
    bool every;      /* after each instruction instead */
    bool progress;
};
struct step_sum {
    uint64_t steps;
    unsigned states;
    unsigned kills;
    unsigned missed; /* states that no further run reached */
    unsigned hangs;
    unsigned leaks;
    unsigned failures; /* finisher found something wrong */
};
extern volatile sig_atomic_t step_interrupted;
void step_run(const struct step_op *op, const struct step_how *how,
              struct step_sum *sum);
void step_run_pair(const struct step_pair *pair, const struct step_how *how,
                   struct step_sum *sum);
/* In finish: ends the process with this message unless ok. */
#define need(ok, ...)                                                         \
    do {                                                                      \
        if (!(ok)) {                                                          \
            step_wrong(__FILE__, __LINE__, __VA_ARGS__);                      \
        }                                                                     \
    } while (0)
_Noreturn void step_wrong(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* In setup, prepare, operate: the library must not refuse. */
#define must(call) step_must((call), #call, __FILE__, __LINE__)
void step_must(int rc, const char *what, const char *file, int line);

#endif
