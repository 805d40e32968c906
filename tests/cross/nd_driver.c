/* SPDX-License-Identifier: MIT */
/*
 * nd_driver.c - does what nd_random.py asks, one line in, one line out
 *
 * Fields are separated by tabs. An answer is the result, or "E" and the name
 * of the error code. Shapes and strides are numbers with commas, "x" for none.
 */
#include <npy/npy_header.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 10

static int
read_numbers(const char *text, int64_t *out)
{
    int n = 0;

    while (*text != '\0' && *text != 'x') {
        char *end;

        out[n++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return n;
}

static size_t
read_hex(const char *text, unsigned char **out)
{
    size_t n = strlen(text) / 2;

    *out = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;

        sscanf(text + 2 * i, "%2x", &byte);
        (*out)[i] = (unsigned char)byte;
    }
    return n;
}

static void
print_hex(const void *data, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++) {
        printf("%02x", ((const unsigned char *)data)[i]);
    }
}

static void
print_error(int rc)
{
    printf("E%s", nds_error_name(rc) + 4);
}

static void
print_shape(const nds_view *v)
{
    for (int i = 0; i < v->ndim; i++) {
        printf("%s%lld", i == 0 ? "" : ",", (long long)v->shape[i]);
    }
}

/* dtype TEXT */
static void
do_dtype(char **f)
{
    const nds_dtype *dt, *again;
    char *text, *name;
    int rc = nds_dtype_parse(&dt, f[1]);

    if (rc < 0) {
        print_error(rc);
        return;
    }
    nds_dtype_str(dt, &text);
    nds_dtype_name(dt, &name);
    rc = nds_dtype_parse(&again, text);
    printf("%s\t%s\t%lld\t%lld\t%d", text, name,
           (long long)nds_dtype_itemsize(dt),
           (long long)nds_dtype_alignment(dt),
           rc == 0 && nds_dtype_equal(dt, again));
    nds_dtype_put(again);
    nds_dtype_put(dt);
    free(text);
    free(name);
}

static int
step(nds_view *out, const nds_view *v, char *op)
{
    int64_t n[NDS_MAX_NDIM];
    int axes[NDS_MAX_NDIM], count;

    switch (op[0]) {
    case 's':
        return nds_view_slice(out, v, op + 1);
    case 't':
        count = read_numbers(op + 1, n);
        for (int i = 0; i < count; i++) {
            axes[i] = (int)n[i];
        }
        return nds_view_transpose(out, v, axes);
    case 'b':
        count = read_numbers(op + 1, n);
        return nds_view_broadcast(out, v, count, n);
    default: // C or F reshape
        count = read_numbers(op + 1, n);
        return nds_view_reshape(out, v, count, n, op[0]);
    }
}

/* view SHAPE OP|OP|...: int32 counting from 0; shape and elements at the end */
static void
do_view(char **f)
{
    int64_t shape[NDS_MAX_NDIM], count = 1;
    int ndim = read_numbers(f[1], shape), rc = 0;
    nds_view v, next, flat;
    int32_t *data, *copy;

    for (int i = 0; i < ndim; i++) {
        count *= shape[i];
    }
    data = malloc(sizeof *data * (size_t)(count + 1));
    for (int64_t i = 0; i < count; i++) {
        data[i] = (int32_t)i;
    }
    nds_view_init(&v, NDS_INT32, data, sizeof *data * (size_t)count, ndim,
                  shape);
    for (char *op = strtok(f[2], "|"); op != NULL; op = strtok(NULL, "|")) {
        rc = step(&next, &v, op);
        if (rc < 0) {
            break;
        }
        nds_view_fini(&v);
        nds_view_copy(&v, &next);
        nds_view_fini(&next);
    }
    if (rc < 0) {
        print_error(rc);
    } else {
        size_t nbytes = (size_t)nds_view_nbytes(&v);

        copy = malloc(nbytes + 1);
        nds_view_init(&flat, NDS_INT32, copy, nbytes, v.ndim, v.shape);
        nds_assign(&flat, &v);
        print_shape(&v);
        printf("\t%d%d\t", nds_view_is_contiguous(&v, 'C'),
               nds_view_is_contiguous(&v, 'F'));
        print_hex(copy, nbytes);
        nds_view_fini(&flat);
        free(copy);
    }
    nds_view_fini(&v);
    free(data);
}

/* assign DST-DTYPE DST-SHAPE SRC-DTYPE SRC-SHAPE SRC-BYTES: the bytes of dst */
static void
do_assign(char **f)
{
    const nds_dtype *to, *from;
    int64_t shape[NDS_MAX_NDIM];
    unsigned char *bytes, *out;
    nds_view dst, src;
    size_t n = read_hex(f[5], &bytes), room = 1 << 16;
    int rc;

    nds_dtype_parse(&to, f[1]);
    nds_dtype_parse(&from, f[3]);
    out = calloc(1, room);
    nds_view_init(&dst, to, out, room, read_numbers(f[2], shape), shape);
    nds_view_init(&src, from, bytes, n, read_numbers(f[4], shape), shape);
    rc = nds_assign(&dst, &src);
    if (rc < 0) {
        print_error(rc);
    } else {
        print_hex(out, (size_t)nds_view_nbytes(&dst));
    }
    nds_view_fini(&dst);
    nds_view_fini(&src);
    nds_dtype_put(to);
    nds_dtype_put(from);
    free(bytes);
    free(out);
}

/* self SHAPE DST-SLICE SRC-SLICE: int32 counting; the bytes afterwards */
static void
do_self(char **f)
{
    int64_t shape[NDS_MAX_NDIM];
    int32_t data[4096];
    nds_view v, dst, src;
    int rc;

    for (int i = 0; i < 4096; i++) {
        data[i] = i;
    }
    nds_view_init(&v, NDS_INT32, data, sizeof data, read_numbers(f[1], shape),
                  shape);
    nds_view_slice(&dst, &v, f[2]);
    nds_view_slice(&src, &v, f[3]);
    rc = nds_assign(&dst, &src);
    if (rc < 0) {
        print_error(rc);
    } else {
        print_hex(data, (size_t)nds_view_nbytes(&v));
    }
    nds_view_fini(&dst);
    nds_view_fini(&src);
    nds_view_fini(&v);
}

/* overlap ITEM OFF SHAPE STRIDES ITEM OFF SHAPE STRIDES */
static void
do_overlap(char **f)
{
    static char memory[1 << 16];
    int64_t shape[NDS_MAX_NDIM], strides[NDS_MAX_NDIM];
    nds_view v[2];

    for (int i = 0; i < 2; i++) {
        const nds_dtype *dt;
        int ndim = read_numbers(f[4 * i + 3], shape);

        nds_dtype_parse(&dt, f[4 * i + 1]);
        read_numbers(f[4 * i + 4], strides);
        nds_view_init_strided(&v[i], dt, memory, sizeof memory,
                              strtoll(f[4 * i + 2], NULL, 10), ndim, shape,
                              strides, 'C');
        nds_dtype_put(dt);
    }
    printf("%d", nds_view_overlaps(&v[0], &v[1]));
    nds_view_fini(&v[0]);
    nds_view_fini(&v[1]);
}

/* npy HEAD-BYTES: what it says, and the head written anew */
static void
do_npy(char **f)
{
    struct ndi_npy_info info;
    struct ndi_buf b = {0};
    unsigned char *bytes;
    size_t n = read_hex(f[1], &bytes);
    char *text;
    int rc = ndi_npy_parse(&info, bytes, n);

    if (rc < 0) {
        print_error(rc);
        free(bytes);
        return;
    }
    nds_dtype_str(info.dtype, &text);
    ndi_npy_format(&b, info.dtype, info.ndim, info.shape, info.order, 0);
    printf("%s\t%c\t%llu\t%llu\t", text, info.order,
           (unsigned long long)info.data_off, (unsigned long long)info.nbytes);
    print_hex(b.data, b.nbytes);
    ndi_buf_fini(&b);
    ndi_npy_info_fini(&info);
    free(text);
    free(bytes);
}

int
main(void)
{
    static const struct {
        const char *name;
        void (*run)(char **fields);
    } commands[] = {{"dtype", do_dtype},     {"view", do_view},
                    {"assign", do_assign},   {"self", do_self},
                    {"overlap", do_overlap}, {"npy", do_npy}};
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while ((n = getline(&line, &room, stdin)) > 0) {
        char *fields[MAX_FIELDS] = {NULL}, *rest = line;
        size_t i = 0;

        line[n - 1] = '\0';
        while (i < MAX_FIELDS && (fields[i] = strsep(&rest, "\t")) != NULL) {
            i++;
        }
        for (i = 0; i < sizeof commands / sizeof *commands; i++) {
            if (strcmp(commands[i].name, fields[0]) == 0) {
                commands[i].run(fields);
            }
        }
        putchar('\n');
    }
    free(line);
    return 0;
}
