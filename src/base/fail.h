/* SPDX-License-Identifier: MIT */
/*
 * fail.h - how the library fills the thread's error record
 *
 *     if (nbytes > room) {
 *         return ndi_fail(NDS_ENOSPC, "create '%s': %zu bytes wanted, ...",
 *                         name, nbytes, room);
 *     }
 *     if ((rc = ndi_os_open(&fd, path, O_RDONLY, 0)) < 0) {
 *         return ndi_fail_errno(-rc, "open '%s'", path);
 *     }
 */
#ifndef NDI_FAIL_H
#define NDI_FAIL_H

#include <base/attr.h>
#include <ndshare/err.h>

/* Sets the record and returns `code`. */
int ndi_fail(int code, const char *fmt, ...) NDI_PRINTF(2, 3) NDI_COLD;

/* The same from an errno (positive): picks the NDS code that stands for it and
 * appends ": <the system's text>". */
int ndi_fail_errno(int err, const char *fmt, ...) NDI_PRINTF(2, 3) NDI_COLD;

/* As ndi_fail_errno with a code chosen by the caller. */
int ndi_fail_sys(int code, int err, const char *fmt, ...)
    NDI_PRINTF(3, 4) NDI_COLD;

/* Appends a line of context to the record: "in argument 2". Returns code. */
int ndi_fail_more(int code, const char *fmt, ...) NDI_PRINTF(2, 3) NDI_COLD;

/* ndi_fail(NDS_ENOMEM, "out of memory: %zu bytes for %s") */
int ndi_fail_nomem(size_t nbytes, const char *what) NDI_COLD;

/* NDS_E... for an errno, without touching the record. */
int ndi_code_of_errno(int err);

#endif
