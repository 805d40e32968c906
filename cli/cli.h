/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what the files of the command share
 *
 * One cmd_*.c a command or family; main.c lists them. Data on stdout, remarks
 * on stderr; exit 0 done, 1 failed, 2 usage.
 */
#ifndef NDI_CLI_H
#define NDI_CLI_H

#include <ndshare/ndshare.h>

#include <jansson.h>
#include <sys/types.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
    const char *name;
    const char *line;  /* one line of help */
    const char *usage; /* full help, an example included */
    int (*run)(const struct cli_command *self, int argc, char **argv);
};

extern const struct cli_command cli_create, cli_print, cli_info, cli_ls,
    cli_tour, cli_rm, cli_gc, cli_load, cli_save, cli_fill, cli_add, cli_mul,
    cli_sum, cli_prod, cli_min, cli_max, cli_mean, cli_std, cli_var,
    cli_argmin, cli_argmax, cli_any, cli_all, cli_wait, cli_doctor, cli_serve,
    cli_call, cli_bench, cli_advise;

/* ---- key.c -------------------------------------------------------------- */
/* The manager's key, from `file` or where serve's help says [caller frees]. */
int cli_key(const struct cli_command *self, const char *file, char **key,
            size_t *nbytes);

/* ---- say.c -------------------------------------------------------------- */
/* "ndshare NAME: <the library's last error>" and a remedy if one is known. */
int cli_fail(const struct cli_command *self, const char *what);
int cli_usage(const struct cli_command *self, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void cli_remark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints and frees the JSON value: CLI_OK, or CLI_FAILED if memory ran out. */
int cli_print_json(json_t *value);
/* Bytes for people: "80.0 KB". */
const char *cli_bytes(char *out, size_t room, double nbytes);

/* ---- opts.c ------------------------------------------------------------- */
struct option;
/*
 * getopt_long with --help and errors taken care of. Returns an option's val,
 * -1 after the last one; 'h' (help was printed: return CLI_OK) or '?' (usage
 * was printed: return CLI_USAGE).
 */
int cli_option(const struct cli_command *self, int argc, char **argv,
               const struct option *options);
bool cli_parse_int(const char *text, int64_t *out);
bool cli_parse_double(const char *text, double *out);
/* "1000,1000" or "()" or "5"; at most NDS_MAX_NDIM extents. */
bool cli_parse_shape(const char *text, int *ndim, int64_t *shape);
/* A number as Python writes it: 3, -1.5, 1e3, nan, True, 1+2j. */
bool cli_parse_scalar(const char *text, nds_scalar *out);
/* Seconds to a time-out; negative or "forever" waits. */
bool cli_parse_timeout(const char *text, int64_t *timeout_ns);

/* ---- tree.c ------------------------------------------------------------- */
/* Of one process: proportional set size in bytes; time on processors. */
double cli_pss(pid_t pid);
double cli_cpu_ns(pid_t pid);
/* The sum over a process and its descendants, as /proc tells right now. */
double cli_tree(pid_t pid, double (*of)(pid_t pid));

/* ---- beside.c ----------------------------------------------------------- */
#define CLI_PATH 4096
/* Where the nine programs are, in the build tree or installed; false: they are
 * not, which was said. And where stock Python's are. */
bool cli_programs(char dir[CLI_PATH]);
bool cli_python_programs(char dir[CLI_PATH]);

/* ---- target.c ----------------------------------------------------------- */
/*
 * NAME[SLICE]: a name in shared memory, or a path if it contains a slash.
 * `out` is the slice as an array of its own, `whole` the array it came from;
 * both are closed by cli_target_close.
 */
struct cli_target {
    nds_array *whole;
    nds_array *out;
    bool is_path;
    bool locked;
};
int cli_target_open(const struct cli_command *self, struct cli_target *t,
                    const char *text, enum nds_mode mode);
/* For commands that write: takes the array's lock (5 s), saying so when its
 * holder died. Files have none. */
int cli_target_lock(const struct cli_command *self, struct cli_target *t,
                    const char *text);
void cli_target_close(struct cli_target *t);

#endif
