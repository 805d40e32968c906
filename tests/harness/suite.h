/* SPDX-License-Identifier: MIT */
/*
 * suite.h - what ends the main of a test program
 */
#ifndef NDS_SUITE_H
#define NDS_SUITE_H

#include <check.h>

/* Runs what s holds; main's exit code. */
int nds_run_suite(Suite *s);
/* A suite of that title with one case. */
int nds_run_case(const char *title, TCase *tc);

#endif
