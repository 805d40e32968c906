/* SPDX-License-Identifier: MIT */
/*
 * print_driver.c - prints arrays that another program describes
 *
 * A request is one line, "CLASS WHAT DTYPE-HEX SHAPE STRIDES OFF DATA-HEX":
 * WHAT is str, repr or tolist; numbers are joined by commas, "-" is none. The
 * answer is a line with the length of the text, then the text; the length is
 * -1 and the text the error's when printing failed.
 */
#include <ndshare/err.h>
#include <ndshare/view.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
hex_digit(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

static unsigned char *
from_hex(const char *hex, size_t *nbytes)
{
    size_t n = hex[0] == '-' ? 0 : strlen(hex) / 2;
    unsigned char *data = calloc(1, n + 1);

    for (size_t i = 0; data != NULL && i < n; i++) {
        data[i] = (unsigned char)(hex_digit(hex[2 * i]) << 4 |
                                  hex_digit(hex[2 * i + 1]));
    }
    *nbytes = n;
    return data;
}

static int
read_numbers(const char *text, int64_t *out)
{
    int n = 0;

    while (text != NULL && *text != '-' && *text != '\0' && n < NDS_MAX_NDIM) {
        char *end;

        // A stride may be negative: written with an 'm' in front.
        int64_t sign = *text == 'm' ? -1 : 1;

        text += sign < 0 ? 1 : 0;
        out[n++] = sign * strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : NULL;
    }
    return n;
}

static int
print_one(const char *what, nds_view *v, int numpy, char **text)
{
    nds_print_options opts = {.size = sizeof opts, .numpy = numpy};

    if (strcmp(what, "str") == 0) {
        return nds_view_str(v, &opts, text);
    }
    if (strcmp(what, "repr") == 0) {
        return nds_view_repr(v, &opts, text);
    }
    return nds_view_tolist_str(v, text);
}

static void
answer(char **field)
{
    size_t nbytes;
    unsigned char *name = from_hex(field[2], &nbytes);
    unsigned char *data = from_hex(field[6], &nbytes);
    nds_view v = {0};
    char *text = NULL;
    int rc = nds_dtype_parse(&v.dtype, (const char *)name);

    if (rc == 0) {
        v.ndim = read_numbers(field[3], v.shape);
        read_numbers(field[4], v.strides);
        v.data = data + strtoll(field[5], NULL, 10);
        rc = print_one(field[1], &v, atoi(field[0]), &text);
    }
    if (rc < 0) {
        printf("-1\n%s\n", nds_last_error()->message);
    } else {
        printf("%zu\n%s", strlen(text), text);
    }
    fflush(stdout);
    free(text);
    nds_dtype_put(v.dtype);
    free(data);
    free(name);
}

int
main(void)
{
    char *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, stdin) > 0) {
        char *field[7], *rest = NULL;
        int n = 0;

        for (char *p = strtok_r(line, " \n", &rest); p != NULL && n < 7;
             p = strtok_r(NULL, " \n", &rest)) {
            field[n++] = p;
        }
        if (n != 7) {
            fprintf(stderr, "print_driver: %d fields\n", n);
            return 2;
        }
        answer(field);
    }
    free(line);
    return 0;
}
