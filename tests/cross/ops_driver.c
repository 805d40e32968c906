/* SPDX-License-Identifier: MIT */
/*
 * ops_driver.c - does what ops_compare.py asks, one line in, one line out
 *
 * A line is a command, the bytes of one memory in hex, and views into it,
 * each "dtype off shape strides" (numbers with commas, "x" for none). The
 * answer is the memory afterwards, or "E" and the name of the error code.
 */
#include <ndshare/ops.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 20

static int
read_numbers(const char *text, int64_t *out)
{
    int n = 0;

    while (*text != '\0' && *text != 'x' && n < NDS_MAX_NDIM) {
        char *end;

        out[n++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return n;
}

static unsigned
nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10) & 15U;
}

struct memory {
    unsigned char *bytes;
    size_t nbytes;
};

/* A line of its own on the heap: the sanitizers know where it ends. */
static struct memory
read_memory(const char *text)
{
    struct memory m = {NULL, strlen(text) / 2};

    m.bytes = aligned_alloc(64, (m.nbytes + 63) / 64 * 64 + 64);
    if (!m.bytes) {
        abort();
    }
    for (size_t i = 0; i < m.nbytes; i++) {
        m.bytes[i] = (unsigned char)(nibble(text[2 * i]) << 4 |
                                     nibble(text[2 * i + 1]));
    }
    return m;
}

static void
print_hex(const void *data, size_t nbytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < nbytes; i++) {
        unsigned char c = ((const unsigned char *)data)[i];

        putchar(digits[c >> 4]);
        putchar(digits[c & 15]);
    }
}

static void
answer(int rc, const void *data, size_t nbytes)
{
    if (rc < 0) {
        printf("E%s", nds_error_name(rc) + 4);
    } else {
        print_hex(data, nbytes);
    }
}

/* The four fields of a view; ends the driver if they make none. */
static void
read_view(nds_view *v, char **f, const struct memory *m)
{
    int64_t shape[NDS_MAX_NDIM];
    int64_t strides[NDS_MAX_NDIM];
    const nds_dtype *dt;
    int ndim = read_numbers(f[2], shape);
    int rc = nds_dtype_parse(&dt, f[0]);

    read_numbers(f[3], strides);
    rc = rc < 0 ? rc
                : nds_view_init_strided(v, dt, m->bytes, m->nbytes,
                                        strtoll(f[1], NULL, 10), ndim, shape,
                                        strides, 'C');
    if (rc < 0) {
        fprintf(stderr, "ops_driver: %s\n", nds_last_error()->message);
        exit(1);
    }
    nds_dtype_put(dt);
}

/* "i -3", "u 7", "f 0x1p-3", "c 0x1p0,0x1p1", "b 1" */
static nds_scalar
read_scalar(char kind, const char *text)
{
    char *end;
    double re;

    switch (kind) {
    case 'i':
        return nds_int(strtoll(text, NULL, 10));
    case 'u':
        return nds_uint(strtoull(text, NULL, 10));
    case 'b':
        return nds_bool(text[0] == '1');
    case 'f':
        return nds_float(strtod(text, NULL));
    default:
        re = strtod(text, &end);
        return nds_complex(re, strtod(end + 1, NULL));
    }
}

/* bin OP MEMORY OUT A B */
static void
do_binary(char **f)
{
    struct memory m = read_memory(f[2]);
    nds_view out;
    nds_view a;
    nds_view b;

    read_view(&out, f + 3, &m);
    read_view(&a, f + 7, &m);
    read_view(&b, f + 11, &m);
    answer(nds_binary((enum nds_op)atoi(f[1]), &out, &a, &b), m.bytes,
           m.nbytes);
    nds_view_fini(&out);
    nds_view_fini(&a);
    nds_view_fini(&b);
    free(m.bytes);
}

/* scalar OP MEMORY OUT A KIND VALUE */
static void
do_scalar(char **f)
{
    struct memory m = read_memory(f[2]);
    nds_view out;
    nds_view a;

    read_view(&out, f + 3, &m);
    read_view(&a, f + 7, &m);
    answer(nds_binary_scalar((enum nds_op)atoi(f[1]), &out, &a,
                             read_scalar(f[11][0], f[12])),
           m.bytes, m.nbytes);
    nds_view_fini(&out);
    nds_view_fini(&a);
    free(m.bytes);
}

/* reduce OP MEMORY OUT A AXES DDOF KEEPDIMS; AXES "all": every one. The dtype
 * and the shape of the answer must be those of OUT. */
static void
do_reduce(char **f)
{
    enum nds_reduction op = (enum nds_reduction)atoi(f[1]);
    struct memory m = read_memory(f[2]);
    nds_reduce_options opts = {sizeof(opts), atoi(f[12]), f[13][0] == '1'};
    int64_t numbers[NDS_MAX_NDIM];
    int axes[NDS_MAX_NDIM];
    int naxes = f[11][0] == 'a' ? -1 : read_numbers(f[11], numbers);
    nds_view out;
    nds_view a;

    for (int i = 0; i < naxes; i++) {
        axes[i] = (int)numbers[i];
    }
    read_view(&out, f + 3, &m);
    read_view(&a, f + 7, &m);
    answer(nds_reduce_axes(op, &out, &a, naxes, axes, &opts), m.bytes,
           m.nbytes);
    nds_view_fini(&out);
    nds_view_fini(&a);
    free(m.bytes);
}

/* whole OP MEMORY A DDOF: the dtype's text and the bytes of the scalar */
static void
do_whole(char **f)
{
    struct memory m = read_memory(f[2]);
    nds_reduce_options opts = {sizeof(opts), atoi(f[7]), false};
    nds_scalar s = {0};
    nds_view a;
    char *text = NULL;
    int rc;

    read_view(&a, f + 3, &m);
    rc = nds_reduce((enum nds_reduction)atoi(f[1]), &a, &opts, &s);
    if (rc == 0) {
        nds_dtype_str(s.dtype, &text);
        printf("%s\t", text);
        free(text);
    }
    answer(rc, s.data, rc < 0 ? 0 : (size_t)nds_dtype_itemsize(s.dtype));
    nds_view_fini(&a);
    free(m.bytes);
}

/* fill KIND MEMORY DST VALUE */
static void
do_fill(char **f)
{
    struct memory m = read_memory(f[2]);
    nds_view dst;

    read_view(&dst, f + 3, &m);
    answer(nds_fill(&dst, read_scalar(f[1][0], f[7])), m.bytes, m.nbytes);
    nds_view_fini(&dst);
    free(m.bytes);
}

/* arange - MEMORY DST; random SEED MEMORY DST */
static void
do_count(char **f)
{
    struct memory m = read_memory(f[2]);
    nds_view dst;
    int rc;

    read_view(&dst, f + 3, &m);
    rc = f[0][0] == 'a' ? nds_arange(&dst)
                        : nds_random(&dst, strtoull(f[1], NULL, 10));
    answer(rc, m.bytes, m.nbytes);
    nds_view_fini(&dst);
    free(m.bytes);
}

int
main(void)
{
    static const struct {
        const char *name;
        int fields;
        void (*run)(char **fields);
    } commands[] = {{"bin", 15, do_binary},   {"scalar", 13, do_scalar},
                    {"reduce", 14, do_reduce}, {"whole", 8, do_whole},
                    {"fill", 8, do_fill},      {"arange", 7, do_count},
                    {"random", 7, do_count}};
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while ((n = getline(&line, &room, stdin)) > 0) {
        char *fields[MAX_FIELDS] = {NULL};
        char *rest = line;
        int count = 0;
        bool known = false;

        line[n - 1] = '\0';
        while (count < MAX_FIELDS && (fields[count] = strsep(&rest, "\t"))) {
            count++;
        }
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
            if (strcmp(commands[i].name, fields[0]) == 0 &&
                commands[i].fields == count) {
                commands[i].run(fields);
                known = true;
            }
        }
        if (!known) {
            fprintf(stderr, "ops_driver: cannot read '%.40s'\n", fields[0]);
            return 1;
        }
        putchar('\n');
    }
    free(line);
    return 0;
}
