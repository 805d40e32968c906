/* SPDX-License-Identifier: MIT */
/*
 * err.c - the thread-local record of the last failure
 *
 * The text lives in a buffer that a thread gets with its first failure: as
 * a thread-local array it would keep the library from being loaded by a
 * running program (Python), where there is little room for such. Without
 * memory the text is the general one of the code. A text that does not fit is
 * cut with "..." at its end.
 */
#include <base/fail.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NDI_ERR_ROOM 2048

static _Thread_local char *err_text; // NULL or NDI_ERR_ROOM bytes
static _Thread_local nds_error err_record = {0, 0, ""};

static const struct err_row {
    int code;
    const char *name;
    const char *text;
    const char *python;
} err_rows[] = {
    {NDS_OK, "NDS_OK", "no error", ""},
#define ERR_ROW(name, number, text, python)                                   \
    {number, "NDS_" #name, text, python},
    NDS_ERROR_LIST(ERR_ROW)
#undef ERR_ROW
};

static const struct err_row *
err_row(int code)
{
    for (size_t i = 0; i < NDI_ARRAY_LEN(err_rows); i++) {
        if (err_rows[i].code == code) {
            return &err_rows[i];
        }
    }
    return NULL;
}

const nds_error *
nds_last_error(void)
{
    return &err_record;
}

const char *
nds_strerror(int code)
{
    const struct err_row *row = err_row(code);

    return row != NULL ? row->text : "unknown error code";
}

const char *
nds_error_name(int code)
{
    const struct err_row *row = err_row(code);

    return row != NULL ? row->name : "NDS_E?";
}

const char *
nds_error_python(int code)
{
    const struct err_row *row = err_row(code);

    return row != NULL ? row->python : "RuntimeError";
}

const char *
nds_version(void)
{
    return NDS_VERSION_TEXT;
}

/* ---- the buffer --------------------------------------------------------- */

static pthread_key_t at_end;
static bool at_end_works;

static void
give_back(void *text)
{
    free(text);
    err_text = NULL;
    err_record = (nds_error){0, 0, ""};
}

__attribute__((constructor)) static void
err_early(void)
{
    at_end_works = pthread_key_create(&at_end, give_back) == 0;
}

static bool
have_text(void)
{
    if (err_text == NULL && at_end_works) {
        err_text = calloc(1, NDI_ERR_ROOM);
        if (err_text != NULL && pthread_setspecific(at_end, err_text) != 0) {
            free(err_text);
            err_text = NULL;
        }
    }
    return err_text != NULL;
}

/* Adds to the text from `at` on; marks a cut. Returns the new length. */
static size_t
append(size_t at, const char *fmt, va_list ap)
{
    int n = vsnprintf(err_text + at, NDI_ERR_ROOM - at, fmt, ap);

    if (n < 0) {
        return at;
    }
    if ((size_t)n >= NDI_ERR_ROOM - at) {
        memcpy(err_text + NDI_ERR_ROOM - 4, "...", 4);
        return NDI_ERR_ROOM - 1;
    }
    return at + (size_t)n;
}

static NDI_PRINTF(2, 3) void
append_text(size_t at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    append(at, fmt, ap);
    va_end(ap);
}

/* The text may be formatted from the old record, so build it aside. */
static void
set_record(int code, int err, const char *fmt, va_list ap)
{
    char text[NDI_ERR_ROOM];
    int n = vsnprintf(text, sizeof text, fmt, ap);

    if (n >= (int)sizeof text) {
        memcpy(text + sizeof text - 4, "...", 4);
    }
    if (!have_text()) {
        err_record = (nds_error){code, err, nds_strerror(code)};
        return;
    }
    memcpy(err_text, text, strnlen(text, sizeof text - 1) + 1);
    if (err != 0) {
        append_text(strlen(err_text), ": %s", strerror(err));
    }
    err_record = (nds_error){code, err, err_text};
}

int
ndi_fail(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_record(code, 0, fmt, ap);
    va_end(ap);
    return code;
}

int
nds_error_set(int code, const char *message)
{
    return ndi_fail(code, "%s", message);
}

int
ndi_fail_sys(int code, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_record(code, err, fmt, ap);
    va_end(ap);
    return code;
}

int
ndi_fail_errno(int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_record(ndi_code_of_errno(err), err, fmt, ap);
    va_end(ap);
    return err_record.code;
}

int
ndi_fail_more(int code, const char *fmt, ...)
{
    va_list ap;
    size_t at;

    if (!have_text()) {
        err_record = (nds_error){code, err_record.saved_errno,
                                 nds_strerror(code)};
        return code;
    }
    at = strlen(err_text);
    if (at + 1 < NDI_ERR_ROOM) {
        err_text[at++] = '\n';
        err_text[at] = '\0';
    }
    va_start(ap, fmt);
    append(at, fmt, ap);
    va_end(ap);
    err_record.code = code;
    err_record.message = err_text;
    return code;
}

int
ndi_fail_nomem(size_t nbytes, const char *what)
{
    return ndi_fail(NDS_ENOMEM, "out of memory: %zu bytes for %s", nbytes,
                    what);
}

int
ndi_code_of_errno(int err)
{
    switch (err) {
    case 0:
        return NDS_OK;
    case EINVAL:
    case ENAMETOOLONG:
        return NDS_EINVAL;
    case ENOMEM:
        return NDS_ENOMEM;
    case EEXIST:
        return NDS_EEXIST;
    case ENOENT:
    case ENOTDIR:
        return NDS_ENOENT;
    case EPERM:
    case EACCES:
    case EROFS:
        return NDS_EPERM;
    case ENOSPC:
    case EDQUOT:
        return NDS_ENOSPC;
    case ETIMEDOUT:
        return NDS_ETIMEDOUT;
    case EAGAIN:
        return NDS_EAGAIN;
    case EBUSY:
        return NDS_EBUSY;
    case EPIPE:
    case ECONNRESET:
        return NDS_EEOF;
    default:
        return NDS_ESYS;
    }
}
