/* SPDX-License-Identifier: MIT */
/* buf.c - growable bytes, doubled as they grow */
#include <base/buf.h>

#include <base/fail.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
ndi_buf_fini(struct ndi_buf *b)
{
    free(b->data);
    *b = (struct ndi_buf){0};
}

bool
ndi_buf_reserve(struct ndi_buf *b, size_t more)
{
    size_t want, room;
    unsigned char *data;

    if (b->failed || __builtin_add_overflow(b->nbytes, more, &want) ||
        __builtin_add_overflow(want, (size_t)1, &want)) {
        b->failed = true;
        return false;
    }
    if (want <= b->room) {
        return true;
    }
    room = b->room < 64 ? 64 : b->room;
    while (room < want) {
        room = room > SIZE_MAX / 2 ? want : room * 2;
    }
    data = realloc(b->data, room);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    b->data[b->nbytes] = '\0';
    return true;
}

void
ndi_buf_add(struct ndi_buf *b, const void *data, size_t nbytes)
{
    if (!ndi_buf_reserve(b, nbytes)) {
        return;
    }
    if (nbytes != 0) {
        memcpy(b->data + b->nbytes, data, nbytes);
    }
    b->nbytes += nbytes;
    b->data[b->nbytes] = '\0';
}

void
ndi_buf_add_char(struct ndi_buf *b, char c)
{
    ndi_buf_add(b, &c, 1);
}

void
ndi_buf_add_fill(struct ndi_buf *b, char c, size_t count)
{
    if (!ndi_buf_reserve(b, count)) {
        return;
    }
    memset(b->data + b->nbytes, c, count);
    b->nbytes += count;
    b->data[b->nbytes] = '\0';
}

void
ndi_buf_add_str(struct ndi_buf *b, const char *text)
{
    ndi_buf_add(b, text, strlen(text));
}

void
ndi_buf_add_fmt(struct ndi_buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !ndi_buf_reserve(b, (size_t)n)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->nbytes, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->nbytes += (size_t)n;
}

int
ndi_buf_ok(const struct ndi_buf *b)
{
    return b->failed ? ndi_fail_nomem(b->nbytes, "a buffer") : 0;
}

int
ndi_buf_steal_text(struct ndi_buf *b, char **text)
{
    *text = NULL;
    if (!ndi_buf_reserve(b, 0)) {
        size_t nbytes = b->nbytes;

        ndi_buf_fini(b);
        return ndi_fail_nomem(nbytes, "a text");
    }
    *text = (char *)b->data;
    *b = (struct ndi_buf){0};
    return 0;
}
