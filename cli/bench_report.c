/* SPDX-License-Identifier: MIT */
/*
 * bench_report.c - what was measured, as JSON and for people
 *
 * The table is printed from the JSON, so both say the same.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A number, or null for what there is not (negative). */
static json_t *
number_or_null(double value)
{
    return value >= 0 ? json_real(value) : json_null();
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double
bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

json_t *
bench_machine_json(void)
{
    char line[256], model[128] = "unknown";
    struct utsname u = {0};
    FILE *f = fopen("/proc/cpuinfo", "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "model name : %127[^\n]", model) == 1) {
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    uname(&u);
    return json_pack("{s:s, s:i, s:I, s:s, s:s, s:s}", "processor", model,
                     "processors", (int)sysconf(_SC_NPROCESSORS_ONLN),
                     "memory_bytes",
                     (json_int_t)sysconf(_SC_PHYS_PAGES) *
                         sysconf(_SC_PAGESIZE),
                     "system", u.sysname, "release", u.release, "ndshare",
                     nds_version());
}

json_t *
bench_transfer_json(const struct bench_cell *c, const char *who,
                    struct bench_result *r)
{
    static const char *const names[] = {"create", "first_touch", "hand_over",
                                        "read"};
    const struct bench_hist *h = &r->steady;
    double middle = bench_hist_quantile(h, 0.5);
    json_t *phases = json_object();
    json_t *entry = json_pack(
        "{s:i, s:s, s:s, s:I, s:s, s:i, s:s, s:I, s:o, s:o, s:o, s:o, s:f, "
        "s:f, s:f, s:o}",
        "way", c->way, "name", bench_way_name(c->way), "variant",
        c->loan ? "loan" : "plain", "nbytes", (json_int_t)c->nbytes, "start",
        bench_start_name(c->start), "processes", c->processes, "who", who,
        "runs", (json_int_t)h->count, "min_ns",
        number_or_null(h->count > 0 ? (double)h->min : -1), "median_ns",
        number_or_null(middle), "p99_ns",
        number_or_null(bench_hist_quantile(h, 0.99)), "p999_ns",
        number_or_null(bench_hist_quantile(h, 0.999)),
        "throughput_bytes_per_s",
        (double)c->nbytes * c->processes * 1e9 / middle, "cpu_ns",
        r->cpu_ns / (double)h->count, "pss_bytes", r->pss, "phases", phases);

    for (int p = 0; p < BENCH_PHASES; p++) {
        json_object_set_new(phases, names[p],
                            number_or_null(bench_median(r->phase_ns[p], r->runs)));
    }
    json_object_set_new(phases, "steady", number_or_null(middle));
    return entry;
}

/* ---- for people --------------------------------------------------------- */
double
bench_number(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);

    return json_is_number(value) ? json_number_value(value) : -1;
}

const char *
bench_string(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return text != NULL ? text : "";
}

/* Three digits. */
static const char *
short_text(char out[32], double value, double step, const char *const *units)
{
    while (value >= 999.5 && units[1] != NULL) {
        value /= step;
        units++;
    }
    if (value < 0) {
        return strcpy(out, "-");
    }
    snprintf(out, 32, "%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0,
             value, *units);
    return out;
}

const char *
bench_time_text(char out[32], double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};

    return short_text(out, ns, 1000, units);
}

static const char *
bytes_text(char out[32], double nbytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", NULL};

    return short_text(out, nbytes, 1000, units);
}

const char *
bench_size_text(char out[32], double nbytes)
{
    static const char *const two[] = {"B", "KiB", "MiB", "GiB"};
    static const char *const ten[] = {"B", "KB", "MB", "GB"};
    long long a = (long long)nbytes, b = a;
    int i = 0, k = 0;

    for (; a > 0 && a % 1024 == 0 && i < 3; i++) {
        a /= 1024;
    }
    for (; b > 0 && b % 1000 == 0 && k < 3; k++) {
        b /= 1000;
    }
    snprintf(out, 32, "%lld %s", a < b ? a : b, a < b ? two[i] : ten[k]);
    return out;
}

/* How many times as long as ours stock Python took: of the entry before. */
static double
times_ours(const json_t *ours, const json_t *e)
{
    return ours != NULL && strcmp(bench_string(e, "who"), "python") == 0
               ? bench_number(e, "median_ns") /
                     bench_number(ours, "median_ns")
               : -1;
}

static void
print_row(const json_t *e, double times)
{
    static const char *const first[] = {"create", "first_touch", "hand_over",
                                        "read"};
    static const char *const steady[] = {"median_ns", "p99_ns", "p999_ns",
                                         "cpu_ns"};
    const json_t *phases = json_object_get(e, "phases");
    char name[32], text[32];

    snprintf(name, sizeof name, "%s%s", bench_string(e, "name"),
             strcmp(bench_string(e, "variant"), "loan") == 0 ? ", loan" : "");
    printf("%d %-13s %8s", (int)bench_number(e, "way"),
           times >= 0 ? "  Python" : name,
           bench_size_text(text, bench_number(e, "nbytes")));
    for (int i = 0; i < 4; i++) {
        printf(" %6s", bench_time_text(text, bench_number(phases, first[i])));
    }
    printf(" ");
    for (int i = 0; i < 4; i++) {
        printf(" %6s", bench_time_text(text, bench_number(e, steady[i])));
    }
    printf("  %6s", bytes_text(text, bench_number(e,
                                                  "throughput_bytes_per_s")));
    printf(" %6s", bytes_text(text, bench_number(e, "pss_bytes")));
    printf("  %6s", bench_time_text(text, bench_number(e, "limit_ns")));
    printf(" %4.0f%%", 100 * bench_number(e, "fraction"));
    if (times >= 0) {
        printf("  %.3g times ours", times);
    }
    printf("\n");
}

static void
print_programs(const json_t *programs)
{
    const json_t *e;
    char a[32], b[32];
    size_t i;

    if (json_array_size(programs) > 0) {
        printf("\n%-24s %9s %9s %7s\n", "whole programs", "ndshare", "Python",
               "times");
    }
    json_array_foreach(programs, i, e)
    {
        double python = bench_number(e, "python_s");

        printf("%d %-13s %8s %9s %9s", (int)bench_number(e, "way"),
               bench_string(e, "name"), bench_string(e, "start"),
               bench_time_text(a, bench_number(e, "ndshare_s") * 1e9),
               bench_time_text(b, python > 0 ? python * 1e9 : -1));
        if (python > 0) {
            printf(" %7.1f", bench_number(e, "ratio"));
        }
        printf("\n");
    }
}

static void
print_limits(const json_t *report)
{
    const json_t *words = json_object_get(report, "round_trips"), *e;
    static const char *const passes[] = {"memcpy_ns", "read_ns", "write_ns"};
    char a[32], b[32], c[32], d[32];
    size_t i;

    printf("\nthe limits here: a word there and back %s spinning, %s by "
           "futex; a fork %s, a spawn %s\n",
           bench_time_text(a, bench_number(words, "spin_ns")),
           bench_time_text(b, bench_number(words, "futex_ns")),
           bench_time_text(c, bench_number(words, "fork_ns")),
           bench_time_text(d, bench_number(words, "spawn_ns")));
    printf("%24s %15s %15s %15s\n", "", "memcpy", "read", "write");
    json_array_foreach(json_object_get(report, "limits"), i, e)
    {
        double n = bench_number(e, "nbytes");

        printf("%24s", bench_size_text(a, n));
        for (int k = 0; k < 3; k++) {
            double ns = bench_number(e, passes[k]);

            printf(" %6s %6s/s", bench_time_text(a, ns),
                   bytes_text(b, n / ns * 1e9));
        }
        printf("\n");
    }
}

void
bench_print(const json_t *report)
{
    const json_t *machine = json_object_get(report, "machine");
    const json_t *python = json_object_get(report, "python");
    const json_t *e, *ours = NULL;
    char group[64] = "", here[64];
    size_t i;

    printf("%s, %d processors, %s %s, ndshare %s\n",
           bench_string(machine, "processor"),
           (int)bench_number(machine, "processors"),
           bench_string(machine, "system"), bench_string(machine, "release"),
           bench_string(machine, "ndshare"));
    if (python != NULL) {
        printf("beside Python %s with NumPy %s, in turns\n",
               bench_string(python, "version"), bench_string(python, "numpy"));
    }
    print_limits(report);
    json_array_foreach(json_object_get(report, "transfer"), i, e)
    {
        snprintf(here, sizeof here, "%s, %d process%s",
                 bench_string(e, "start"), (int)bench_number(e, "processes"),
                 bench_number(e, "processes") > 1 ? "es" : "");
        if (strcmp(group, here) != 0) {
            printf("\n%-24s %27s  %27s\n%-24s %6s %6s %6s %6s  %6s %6s %6s "
                   "%6s  %6s %6s  %6s %5s\n", here, "------- first time ----",
                   "------ steady state -----", "way", "create", "touch",
                   "hand", "read", "median", "p99", "p99.9", "cpu", "B/s",
                   "pss", "limit", "of it");
            strcpy(group, here);
        }
        print_row(e, times_ours(ours, e));
        ours = e;
    }
    print_programs(json_object_get(report, "programs"));
}
