/* SPDX-License-Identifier: MIT */
/* print_text.c - bytes, characters and raw memory as Python's repr */
#include <nd/print_impl.h>

#include <string.h>

size_t
ndi_bytes_used(const unsigned char *s, size_t n)
{
    while (n > 0 && s[n - 1] == 0) {
        n--;
    }
    return n;
}

/* Double quotes only where they save escapes. */
static char
pick_quote(bool has_single, bool has_double)
{
    return has_single && !has_double ? '"' : '\'';
}

static bool
add_common_escape(struct ndi_buf *b, uint32_t c, char quote)
{
    switch (c) {
    case '\n':
        ndi_buf_add_str(b, "\\n");
        return true;
    case '\r':
        ndi_buf_add_str(b, "\\r");
        return true;
    case '\t':
        ndi_buf_add_str(b, "\\t");
        return true;
    default:
        if (c == '\\' || c == (unsigned char)quote) {
            ndi_buf_add_char(b, '\\');
            ndi_buf_add_char(b, (char)c);
            return true;
        }
        return false;
    }
}

void
ndi_add_bytes_repr(struct ndi_buf *b, const unsigned char *s, size_t n)
{
    bool has_single = n > 0 && memchr(s, '\'', n) != NULL;
    bool has_double = n > 0 && memchr(s, '"', n) != NULL;
    char quote = pick_quote(has_single, has_double);

    ndi_buf_add_char(b, 'b');
    ndi_buf_add_char(b, quote);
    for (size_t i = 0; i < n; i++) {
        if (add_common_escape(b, s[i], quote)) {
            continue;
        }
        if (s[i] < 0x20 || s[i] >= 0x7f) {
            ndi_buf_add_fmt(b, "\\x%02x", s[i]);
        } else {
            ndi_buf_add_char(b, (char)s[i]);
        }
    }
    ndi_buf_add_char(b, quote);
}

void
ndi_add_void_str(struct ndi_buf *b, const unsigned char *s, size_t n)
{
    ndi_buf_add_str(b, "b'");
    for (size_t i = 0; i < n; i++) {
        ndi_buf_add_fmt(b, "\\x%02X", s[i]);
    }
    ndi_buf_add_char(b, '\'');
}

static uint32_t
char_at(const nds_dtype *dt, const unsigned char *at, int64_t i)
{
    uint32_t c;

    memcpy(&c, at + 4 * i, sizeof c);
    return dt->swapped ? __builtin_bswap32(c) : c;
}

static int64_t
chars_used(const nds_dtype *dt, const unsigned char *at)
{
    int64_t n = dt->itemsize / 4;

    while (n > 0 && char_at(dt, at, n - 1) == 0) {
        n--;
    }
    return n;
}

static void
add_utf8(struct ndi_buf *b, uint32_t c)
{
    char s[4];
    size_t n;

    if (c < 0x80) {
        s[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        s[0] = (char)(0xc0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        s[0] = (char)(0xe0 | c >> 12);
        n = 3;
    } else {
        s[0] = (char)(0xf0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++) {
        s[i] = (char)(0x80 | ((c >> 6 * (n - 1 - i)) & 0x3f));
    }
    ndi_buf_add(b, s, n);
}

void
ndi_add_str_plain(struct ndi_buf *b, const nds_dtype *dt,
                  const unsigned char *at)
{
    int64_t n = chars_used(dt, at);

    for (int64_t i = 0; i < n; i++) {
        uint32_t c = char_at(dt, at, i);

        add_utf8(b, c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
    }
}

void
ndi_add_str_repr(struct ndi_buf *b, const nds_dtype *dt,
                 const unsigned char *at)
{
    int64_t n = chars_used(dt, at);
    bool has_single = false, has_double = false;
    char quote;

    for (int64_t i = 0; i < n; i++) {
        uint32_t c = char_at(dt, at, i);

        has_single = has_single || c == '\'';
        has_double = has_double || c == '"';
    }
    quote = pick_quote(has_single, has_double);
    ndi_buf_add_char(b, quote);
    for (int64_t i = 0; i < n; i++) {
        uint32_t c = char_at(dt, at, i);

        if (add_common_escape(b, c, quote)) {
            continue;
        }
        if (ndi_unicode_printable(c)) {
            add_utf8(b, c);
        } else if (c < 0x100) {
            ndi_buf_add_fmt(b, "\\x%02x", (unsigned)c);
        } else if (c < 0x10000) {
            ndi_buf_add_fmt(b, "\\u%04x", (unsigned)c);
        } else {
            ndi_buf_add_fmt(b, "\\U%08x", (unsigned)c);
        }
    }
    ndi_buf_add_char(b, quote);
}
