/* SPDX-License-Identifier: MIT */
/*
 * cmd_advise.c - which way to take, why, and what to write
 *
 * With --measure the ways that fit are timed here, by the engine of `bench`,
 * and the fastest is taken; a tenth faster than the first of the rules it must
 * be, or it would be noise that decides.
 */
#include "advise.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLEARLY 0.9

struct verdict {
    int way;
    char text[160];
    const char *refusal; /* NULL: it fits */
    bool measured;
    double first_ns; /* made, written, handed over, read, all for once */
    double again_ns; /* handed over and read, again and again */
};

/* ---- options ------------------------------------------------------------ */
static const struct option options[] = {
    {"size", required_argument, NULL, 's'},
    {"readers", required_argument, NULL, 'n'},
    {"writes", required_argument, NULL, 'w'},
    {"related", required_argument, NULL, 'r'},
    {"dims", required_argument, NULL, 'd'},
    {"numpy", required_argument, NULL, 'N'},
    {"arrays", required_argument, NULL, 'a'},
    {"keep", required_argument, NULL, 'k'},
    {"need", required_argument, NULL, 'x'},
    {"start-method", required_argument, NULL, 'm'},
    {"measure", no_argument, NULL, 'M'},
    {"json", no_argument, NULL, 'j'},
    {0}};

/* Which of two words it is. */
static bool
either(const char *text, const char *no, const char *yes, bool *out)
{
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0;
}

static bool
take_count(const char *text, int64_t least, int64_t most, int *out)
{
    int64_t n;

    if (!cli_parse_int(text, &n) || n < least || n > most) {
        return false;
    }
    *out = (int)n;
    return true;
}

static bool
take_writes(const char *text, enum advise_writes *out)
{
    static const char *const words[] = {"none", "child", "both"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (enum advise_writes)i;
            return true;
        }
    }
    return false;
}

/* NULL, or what the option takes. */
static const char *
take_option(int c, struct advise_need *need)
{
    switch (c) {
    case 's':
        return bench_parse_size(optarg, &need->nbytes)
                   ? NULL
                   : "--size takes 16 bytes or more: 1K, 8M, 800MB";
    case 'n':
        return take_count(optarg, 1, BENCH_PROCESSES_MAX, &need->readers)
                   ? NULL
                   : "--readers takes 1 to 64";
    case 'w':
        return take_writes(optarg, &need->writes)
                   ? NULL
                   : "--writes is none, child or both";
    case 'r':
        return either(optarg, "no", "yes", &need->related)
                   ? NULL
                   : "--related is yes or no";
    case 'd':
        return take_count(optarg, 0, NDS_MAX_NDIM, &need->ndim)
                   ? NULL
                   : "--dims takes 0 to 64";
    case 'N':
        return either(optarg, "no", "yes", &need->numpy)
                   ? NULL
                   : "--numpy is yes or no";
    case 'a':
        return either(optarg, "one", "many", &need->many)
                   ? NULL
                   : "--arrays is one or many";
    case 'k':
        return either(optarg, "no", "yes", &need->keep)
                   ? NULL
                   : "--keep is yes or no";
    case 'x':
        return either(optarg, "array", "results", &need->results)
                   ? NULL
                   : "--need is array or results";
    default:
        need->start = bench_start_of(optarg);
        return need->start != 0 ? NULL
                                : "--start-method is fork, spawn or "
                                  "forkserver";
    }
}

static int
parse(const struct cli_command *self, int argc, char **argv,
      struct advise_need *need, bool *measure, bool *json)
{
    const char *takes;
    int c;

    while ((c = cli_option(self, argc, argv, options)) != -1) {
        if (c == 'h' || c == '?') {
            return c == 'h' ? -1 : CLI_USAGE;
        }
        if (c == 'M') {
            *measure = true;
        } else if (c == 'j') {
            *json = true;
        } else if ((takes = take_option(c, need)) != NULL) {
            return cli_usage(self, "%s", takes);
        }
    }
    return argc == optind ? CLI_OK : cli_usage(self, "advise takes no NAME");
}

/* ---- measuring ---------------------------------------------------------- */
static int
measure_way(const struct cli_command *self, const struct advise_need *need,
            struct verdict *v)
{
    struct bench_cell c = {.way = v->way, .nbytes = need->nbytes,
                           .start = need->start, .processes = need->readers};
    struct bench_result *r = calloc(1, sizeof *r);
    int rc = r != NULL ? bench_one(self, &c, NDS_MSEC(100), r) : CLI_FAILED;

    if (rc == CLI_OK) {
        v->measured = true;
        v->again_ns = bench_hist_quantile(&r->steady, 0.5);
        for (int p = 0; p < BENCH_PHASES; p++) {
            double ns = bench_median(r->phase_ns[p], r->runs);

            v->first_ns += ns > 0 ? ns : 0;
        }
    }
    free(r);
    return rc;
}

static double
time_of(const struct advise_need *need, const struct verdict *v)
{
    return need->many ? v->again_ns : v->first_ns;
}

/* Times those that fit, and brings the fastest to the front. */
static int
measure_all(const struct cli_command *self, const struct advise_need *need,
            struct verdict *all, int fits)
{
    int best = 0, rc = CLI_OK;

    for (int i = 0; rc == CLI_OK && i < fits; i++) {
        rc = measure_way(self, need, &all[i]);
    }
    for (int i = 1; rc == CLI_OK && i < fits; i++) {
        double to_beat = time_of(need, &all[best]);

        if (time_of(need, &all[i]) < (best == 0 ? CLEARLY : 1) * to_beat) {
            best = i;
        }
    }
    if (best > 0) {
        struct verdict taken = all[best];

        memmove(&all[1], &all[0], (size_t)best * sizeof all[0]);
        all[0] = taken;
    }
    bench_progress_over();
    return rc;
}

/* ---- saying so ---------------------------------------------------------- */
/* Lines with a word before the first. */
static void
print_lines(const char *word, const char *lines)
{
    while (*lines != '\0') {
        size_t n = strcspn(lines, "\n");

        printf("%-8s%.*s\n", word, (int)n, lines);
        lines += n + (lines[n] == '\n');
        word = "";
    }
}

static void
print_asked(const struct advise_need *need)
{
    static const char *const writes[] = {"nobody writes", "the child writes",
                                         "both write"};
    char size[32];

    printf("asked   %s%s, %d %s, %s, %s, %d dimension%s%s%s\n",
           need->many ? "many arrays of " : "",
           cli_bytes(size, sizeof size, (double)need->nbytes), need->readers,
           need->readers == 1 ? "reader" : "readers", writes[need->writes],
           need->related ? "related" : "strangers", need->ndim,
           need->ndim == 1 ? "" : "s", need->keep ? ", to stay" : "",
           need->results ? ", only results cross" : "");
}

static void
print_row(const char *word, const struct verdict *v,
          const struct advise_need *need)
{
    char first[32], again[32];

    printf("%-8s%d %-14s ", word, v->way, bench_way_name(v->way));
    if (v->measured) {
        printf("%9s %9s  ", bench_time_text(first, v->first_ns),
               bench_time_text(again, v->again_ns));
    }
    printf("%s\n", v->refusal != NULL ? v->refusal
                                      : advise_reason(v->way, need));
}

static int
print_all(const struct advise_need *need, const struct verdict *all, int fits,
          bool measured)
{
    const struct verdict *take = &all[0];

    print_asked(need);
    printf("take    %d %s\n", take->way, bench_way_name(take->way));
    printf("why     %s\n", advise_reason(take->way, need));
    if (measured) {
        printf("        and for %s it is the fastest here, or within a tenth "
               "of it\n", need->many ? "many arrays" : "one array");
    }
    printf("cost    %s\n", advise_cost(take->way, need));
    print_lines("C", advise_c(take->way, need));
    print_lines("Python", advise_python(take->way, need));
    printf("see     examples/%s.c, ndshare tour --only %d\n\n",
           advise_example(take->way), take->way);
    if (measured) {
        printf("        %16s %9s %9s\n", "", "once", "again");
        print_row("took", take, need);
    }
    for (int i = 1; i < BENCH_WAYS; i++) {
        print_row(i < fits ? "or" : "not", &all[i], need);
    }
    return CLI_OK;
}

static json_t *
way_json(const struct verdict *v, const struct advise_need *need)
{
    json_t *o = json_pack("{s:i, s:s, s:b, s:s}", "way", v->way, "name",
                          bench_way_name(v->way), "fits", v->refusal == NULL,
                          "why", v->refusal != NULL
                                     ? v->refusal
                                     : advise_reason(v->way, need));

    if (v->refusal == NULL) {
        json_object_set_new(o, "cost",
                            json_string(advise_cost(v->way, need)));
        json_object_set_new(o, "c", json_string(advise_c(v->way, need)));
        json_object_set_new(o, "python",
                            json_string(advise_python(v->way, need)));
        json_object_set_new(o, "example",
                            json_string(advise_example(v->way)));
    }
    if (v->measured) {
        json_object_set_new(o, "once_ns", json_real(v->first_ns));
        json_object_set_new(o, "again_ns", json_real(v->again_ns));
    }
    return o;
}

static int
print_json(const struct advise_need *need, const struct verdict *all)
{
    static const char *const writes[] = {"none", "child", "both"};
    json_t *ways = json_array();
    json_t *o = json_pack(
        "{s:{s:I, s:i, s:s, s:b, s:i, s:b, s:s, s:b, s:s, s:s}, s:i, s:o}",
        "asked", "size", (json_int_t)need->nbytes, "readers", need->readers,
        "writes", writes[need->writes], "related", need->related, "dims",
        need->ndim, "numpy", need->numpy, "arrays",
        need->many ? "many" : "one", "keep", need->keep, "need",
        need->results ? "results" : "array", "start_method",
        bench_start_name(need->start), "take", all[0].way, "ways", ways);

    for (int i = 0; i < BENCH_WAYS; i++) {
        json_array_append_new(ways, way_json(&all[i], need));
    }
    return cli_print_json(o);
}

/* Those that fit first, each half in its order: how many fit. */
static int
judge(const struct advise_need *need, struct verdict *all)
{
    struct verdict no[BENCH_WAYS];
    int order[BENCH_WAYS];
    int fits = 0, refused = 0;

    advise_order(need, order);
    for (int i = 0; i < BENCH_WAYS; i++) {
        char text[160];
        bool fit = advise_refusal(order[i], need, text) == NULL;
        struct verdict *v = fit ? &all[fits++] : &no[refused++];

        *v = (struct verdict){.way = order[i]};
    }
    for (int i = 0; i < refused; i++) {
        struct verdict *v = &all[fits + i];

        *v = no[i];
        v->refusal = advise_refusal(v->way, need, v->text);
    }
    return fits;
}

static int
run(const struct cli_command *self, int argc, char **argv)
{
    struct advise_need need = {.nbytes = 8000000, .readers = 1, .ndim = 2,
                               .related = true, .numpy = true,
                               .start = NDS_FORK};
    struct verdict all[BENCH_WAYS];
    bool measure = false, json = false;
    int fits;
    int rc = parse(self, argc, argv, &need, &measure, &json);

    if (rc != CLI_OK) {
        return rc < 0 ? CLI_OK : rc;
    }
    fits = judge(&need, all);
    if (fits == 0) {
        cli_remark("no way does all of that; the nearest is %d, %s: %s",
                   all[0].way, bench_way_name(all[0].way), all[0].refusal);
        return CLI_FAILED;
    }
    if (measure) {
        rc = measure_all(self, &need, all, fits);
    }
    return rc != CLI_OK ? rc
           : json       ? print_json(&need, all)
                        : print_all(&need, all, fits, measure);
}

const struct cli_command cli_advise = {
    "advise", "which way to take, why, and what to write",
    "usage: ndshare advise [--size BYTES] [--readers N] [--writes "
    "none|child|both]\n"
    "         [--related yes|no] [--dims N] [--numpy yes|no] [--arrays "
    "one|many]\n"
    "         [--keep yes|no] [--need array|results]\n"
    "         [--start-method fork|spawn|forkserver] [--measure] [--json]\n\n"
    "Answers with the call in C and in Python, and with what speaks against "
    "each of\nthe other ways.\n\n"
    "  --size BYTES      of the array: 1K is 1024, 1KB 1000; else 8MB\n"
    "  --readers N       processes that get it; else 1\n"
    "  --writes          who writes once it is handed over: none, the child "
    "(and the\n"
    "                    parent reads it then), or both; else none\n"
    "  --related         whether this program starts the others; else yes\n"
    "  --dims N          dimensions of the array; else 2\n"
    "  --numpy           whether the others use NumPy's methods on it, not "
    "single\n"
    "                    elements only; else yes\n"
    "  --arrays          one, or many, one after another; else one\n"
    "  --keep            whether it must outlive all processes; else no\n"
    "  --need            the array, or only results of it, as its sum; else "
    "array\n"
    "  --start-method    how processes are started; else fork\n"
    "  --measure         times the ways that fit, here, before it answers: "
    "one array\n"
    "                    made, written, handed over and read (once), then "
    "handed over\n"
    "                    and read (again)\n"
    "  --json            all of it\n\n"
    "example: ndshare advise --size 80MB --readers 4 --writes both "
    "--measure\n",
    run};
