/* SPDX-License-Identifier: MIT */
/* bench_plot.h - charts of a report of `ndshare bench` */
#ifndef NDI_BENCH_PLOT_H
#define NDI_BENCH_PLOT_H

#include <jansson.h>
#include <stdbool.h>

/* NULL if the name is a chart's that can be made here, else why it is not. */
const char *bench_plot_refusal(const char *path);
/* Whether its directory can be written. */
bool bench_plot_has_room(const char *path);
/*
 * bench_plot - charts of a report, by the ending of the path: .svg .png .html
 *
 * Time of a transfer against size, with the limit; and whole programs, if the
 * report has them. Of several start methods and numbers of processes the first
 * ones are shown. The report may be anybody's: what is no figure is left out.
 *
 * 0, or -1 with the reason said on standard error
 */
int bench_plot(const json_t *report, const char *path);

#endif
