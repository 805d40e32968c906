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

/* What all kinds have. */
static json_t *
entry_of(const struct bench_cell *c, const char *who,
         const struct bench_result *r, double middle, double items)
{
    return json_pack(
        "{s:i, s:s, s:s, s:I, s:s, s:i, s:s, s:I, s:o, s:f, s:f, s:f}", "way",
        c->way, "name", bench_way_name(c->way), "variant", bench_variant(c),
        "nbytes", (json_int_t)c->nbytes, "start", bench_start_name(c->start),
        "processes", c->processes, "who", who, "runs",
        (json_int_t)r->steady.count, "median_ns", number_or_null(middle),
        "throughput_bytes_per_s", (double)c->nbytes * 1e9 / middle *
            (c->kind == BENCH_TRANSFER ? c->processes : 1),
        "cpu_ns", r->cpu_ns / items, "pss_bytes", r->pss);
}

static void
add_tails(json_t *entry, const struct bench_hist *h)
{
    json_object_set_new(entry, "min_ns",
                        number_or_null(h->count > 0 ? (double)h->min : -1));
    json_object_set_new(entry, "p99_ns",
                        number_or_null(bench_hist_quantile(h, 0.99)));
    json_object_set_new(entry, "p999_ns",
                        number_or_null(bench_hist_quantile(h, 0.999)));
}

static json_t *
histogram(const struct bench_hist *h)
{
    json_t *all = json_array();

    for (int i = 0; i < BENCH_HIST_BUCKETS; i++) {
        if (h->buckets[i] > 0) {
            json_array_append_new(
                all, json_pack("[f, I]", bench_hist_value(i),
                               (json_int_t)h->buckets[i]));
        }
    }
    return all;
}

json_t *
bench_entry_json(const struct bench_cell *c, const char *who,
                 struct bench_result *r)
{
    static const char *const names[] = {"create", "first_touch", "hand_over",
                                        "read"};
    const struct bench_hist *h = &r->steady;
    double middle = bench_hist_quantile(h, 0.5);
    json_t *entry, *phases;

    if (c->kind == BENCH_RATE) { // ns for a thousand
        middle /= 1000;
        entry = entry_of(c, who, r, middle, r->items);
        json_object_set_new(entry, "items_per_s", json_real(1e9 / middle));
        return entry;
    }
    entry = entry_of(c, who, r, middle, (double)h->count);
    add_tails(entry, h);
    if (c->kind == BENCH_TRIPS) {
        json_object_set_new(entry, "max_ns", json_real((double)h->max));
        json_object_set_new(entry, "histogram", histogram(h));
        return entry;
    }
    phases = json_object();
    for (int p = 0; p < BENCH_PHASES; p++) {
        json_object_set_new(
            phases, names[p],
            number_or_null(bench_median(r->phase_ns[p], r->runs)));
    }
    json_object_set_new(phases, "steady", number_or_null(middle));
    json_object_set_new(entry, "phases", phases);
    return entry;
}

/* ---- for people --------------------------------------------------------- */
double
bench_number(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);

    return json_is_number(value) ? json_number_value(value) : -1;
}

int
bench_int(const json_t *entry, const char *key)
{
    double value = bench_number(entry, key);

    return value > -1e9 && value < 1e9 ? (int)value : -1;
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
    long long a = nbytes > 0 && nbytes < 1e18 ? (long long)nbytes : 0, b = a;
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

/* "3 queue, loan"; of stock Python's row "3   Python". */
static void
print_name(const json_t *e)
{
    const char *variant = bench_string(e, "variant");
    char name[32], text[32];

    snprintf(name, sizeof name, "%s%s%s", bench_string(e, "name"),
             strcmp(variant, "plain") != 0 ? ", " : "",
             strcmp(variant, "plain") != 0 ? variant : "");
    printf("%d %-13s %8s", bench_int(e, "way"),
           strcmp(bench_string(e, "who"), "python") == 0 ? "  Python" : name,
           bench_size_text(text, bench_number(e, "nbytes")));
}

static void
print_times(const json_t *e, const char *const *keys, int count)
{
    char text[32];

    for (int i = 0; i < count; i++) {
        printf(" %6s", bench_time_text(text, bench_number(e, keys[i])));
    }
}

/* The end of each row; `ours`: the row before, if it has stock Python's work
 * in this one. */
static void
print_limit(const json_t *e, const json_t *ours)
{
    char text[32];

    printf("  %6s", bytes_text(text, bench_number(e,
                                                  "throughput_bytes_per_s")));
    printf(" %6s", bytes_text(text, bench_number(e, "pss_bytes")));
    printf("  %6s", bench_time_text(text, bench_number(e, "limit_ns")));
    printf(" %4.0f%%", 100 * bench_number(e, "fraction"));
    if (bench_number(e, "bare_fraction") >= 0) {
        printf(" %4.0f%%", 100 * bench_number(e, "bare_fraction"));
    } else {
        printf(" %5s", "-");
    }
    if (ours != NULL && strcmp(bench_string(e, "who"), "python") == 0) {
        printf("  %.3g times ours", bench_number(e, "median_ns") /
                                        bench_number(ours, "median_ns"));
    }
    printf("\n");
}

static const char *const steady[] = {"median_ns", "p99_ns", "p999_ns",
                                     "cpu_ns"};

static void
print_transfer(const json_t *e, const json_t *ours)
{
    static const char *const first[] = {"create", "first_touch", "hand_over",
                                        "read"};

    print_name(e);
    print_times(json_object_get(e, "phases"), first, 4);
    printf(" ");
    print_times(e, steady, 4);
    print_limit(e, ours);
}

static void
print_trip(const json_t *e, const json_t *ours)
{
    char text[32];

    print_name(e);
    printf("%13s %6s %6s ", "",
           bench_time_text(text, bench_number(e, "min_ns")), "");
    print_times(e, steady, 4);
    print_limit(e, ours);
}

static void
print_rate(const json_t *e, const json_t *ours)
{
    print_name(e);
    printf("%14s %12.4g  ", "", bench_number(e, "items_per_s"));
    print_times(e, steady, 1);
    printf("%14s", "");
    print_times(e, steady + 3, 1);
    print_limit(e, ours);
}

static void
print_kind(const json_t *entries, const char *title, const char *columns,
           void (*print)(const json_t *e, const json_t *ours))
{
    const json_t *e, *ours = NULL;
    char group[80] = "", here[80];
    size_t i;

    json_array_foreach(entries, i, e)
    {
        int n = bench_int(e, "processes");

        snprintf(here, sizeof here, "%s, by %.12s, %d process%s", title,
                 bench_string(e, "start"), n, n > 1 ? "es" : "");
        if (strcmp(group, here) != 0) {
            printf("\n%s\n%-24s %s  %6s %6s %6s %6s  %6s %6s  %6s %5s %5s\n",
                   here, "way", columns, "median", "p99", "p99.9", "cpu",
                   "B/s", "pss", "limit", "of it", "bare");
            strcpy(group, here);
        }
        print(e, ours);
        ours = e;
    }
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

        printf("%d %-13s %8s %9s %9s", bench_int(e, "way"),
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

    printf("%s, %d processors, %s %s, ndshare %s\n",
           bench_string(machine, "processor"),
           bench_int(machine, "processors"),
           bench_string(machine, "system"), bench_string(machine, "release"),
           bench_string(machine, "ndshare"));
    if (python != NULL) {
        printf("beside Python %s with NumPy %s, in turns\n",
               bench_string(python, "version"), bench_string(python, "numpy"));
    }
    print_limits(report);
    print_kind(json_object_get(report, "transfer"),
               "until the other side has added up the array",
               "create  touch   hand   read", print_transfer);
    print_kind(json_object_get(report, "latency"),
               "there and back, or a call", "                min        ",
               print_trip);
    print_kind(json_object_get(report, "rate"), "one way, many in flight",
               "                    items/s", print_rate);
    print_programs(json_object_get(report, "programs"));
}
