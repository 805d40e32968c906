/* SPDX-License-Identifier: MIT */
/*
 * err.c - the thread-local record of the last failure
 *
 * The text lives in a fixed buffer of the thread, so that failing needs no
 * memory and a thread's end frees nothing. A text that does not fit is cut
 * with "..." at its end.
 */
#include <base/fail.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NDI_ERR_ROOM 2048

static _Thread_local char err_text[NDI_ERR_ROOM];
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
    size_t at = strlen(err_text);

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
