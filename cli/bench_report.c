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

static double
median(double *values, int count)
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
                            number_or_null(median(r->phase_ns[p], r->runs)));
    }
    json_object_set_new(phases, "steady", number_or_null(middle));
    return entry;
}

/* ---- for people --------------------------------------------------------- */
static double
number(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);

    return json_is_number(value) ? json_number_value(value) : -1;
}

static const char *
string(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return text != NULL ? text : "";
}

/* Three digits and a unit: "1.23 us"; "-" for what there is not. */
static const char *
time_text(char out[16], double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    int i = 0;

    for (; ns >= 999.5 && i < 3; i++) {
        ns /= 1000;
    }
    if (ns < 0) {
        strcpy(out, "-");
    } else {
        snprintf(out, 16, "%.*f %s", ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0, ns,
                 units[i]);
    }
    return out;
}

static void
print_row(const json_t *e)
{
    static const char *const first[] = {"create", "first_touch", "hand_over",
                                        "read"};
    static const char *const steady[] = {"median_ns", "p99_ns", "p999_ns",
                                         "cpu_ns"};
    const json_t *phases = json_object_get(e, "phases");
    char name[32], text[32];

    snprintf(name, sizeof name, "%s%s", string(e, "name"),
             strcmp(string(e, "variant"), "loan") == 0 ? ", loan" : "");
    printf("%d %-14s %9s", (int)number(e, "way"), name,
           cli_bytes(text, sizeof text, number(e, "nbytes")));
    for (int i = 0; i < 4; i++) {
        printf(" %8s", time_text(text, number(phases, first[i])));
    }
    printf(" ");
    for (int i = 0; i < 4; i++) {
        printf(" %8s", time_text(text, number(e, steady[i])));
    }
    printf(" %6.4g", number(e, "throughput_bytes_per_s") / 1e9);
    printf(" %9s\n", cli_bytes(text, sizeof text, number(e, "pss_bytes")));
}

void
bench_print(const json_t *report)
{
    const json_t *machine = json_object_get(report, "machine"), *e;
    char group[64] = "", here[64];
    size_t i;

    printf("%s, %d processors, %s %s, ndshare %s\n",
           string(machine, "processor"), (int)number(machine, "processors"),
           string(machine, "system"), string(machine, "release"),
           string(machine, "ndshare"));
    json_array_foreach(json_object_get(report, "transfer"), i, e)
    {
        snprintf(here, sizeof here, "%s, %d process%s", string(e, "start"),
                 (int)number(e, "processes"),
                 number(e, "processes") > 1 ? "es" : "");
        if (strcmp(group, here) != 0) {
            printf("\n%-26s %35s  %34s\n%-26s %8s %8s %8s %8s  %8s %8s %8s "
                   "%8s %6s %9s\n", here, "once", "steady state", "way",
                   "create", "touch", "hand", "read", "median", "p99",
                   "p99.9", "cpu", "GB/s", "pss");
            strcpy(group, here);
        }
        print_row(e);
    }
}
