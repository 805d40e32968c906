/* SPDX-License-Identifier: MIT */
/*
 * mem_driver.c - one step of ours, for scripts of stock Python
 *
 *   create NAME DTYPE SHAPE ORDER   arange, reshaped ("2,3"; "" is 0-d)
 *   print NAME                      str of the array
 *   raw-create NAME N / raw-fill NAME VALUE / raw-sum NAME
 *   file-print PATH DTYPE OFF / npy-print PATH
 *   dead NAME                       a `while used` name whose maker is gone
 *   sweep NAME                      "removed" or why it stays
 *   unlink NAME
 */
#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
fault(void)
{
    fprintf(stderr, "%s\n", nds_last_error()->message);
    return 1;
}

static int
print_view(nds_array *a)
{
    char *text;

    if (nds_view_str(nds_array_view(a), NULL, &text) < 0) {
        return fault();
    }
    puts(text);
    free(text);
    nds_array_close(a);
    return 0;
}

static int
create(char **argv)
{
    nds_array_options opts = {.size = sizeof opts, .order = argv[5][0]};
    const nds_dtype *dt;
    nds_array *a, *numbers;
    nds_view v;
    int64_t shape[8], count = 1;
    int ndim = 0;

    for (char *p = strtok(argv[4], ","); p != NULL; p = strtok(NULL, ",")) {
        shape[ndim++] = atoll(p);
        count *= shape[ndim - 1];
    }
    if (nds_dtype_parse(&dt, argv[3]) < 0 ||
        nds_array_create(&a, argv[2], dt, ndim, shape, &opts) < 0 ||
        nds_array_new(&numbers, NDS_INT64, 1, &count, NULL) < 0) {
        return fault();
    }
    for (int64_t i = 0; i < count; i++) {
        ((int64_t *)nds_array_data(numbers))[i] = i;
    }
    if (nds_view_reshape(&v, nds_array_view(numbers), ndim, shape, 'C') < 0 ||
        nds_assign(nds_array_view(a), &v) < 0) {
        return fault();
    }
    nds_view_fini(&v);
    nds_array_close(numbers);
    nds_array_close(a);
    nds_dtype_put(dt);
    return 0;
}

static int
raw(const char *what, const char *name, const char *number)
{
    nds_block *b;
    unsigned char *p;
    long sum = 0;
    int rc = strcmp(what, "raw-create") == 0
                 ? nds_block_create_raw(&b, name, (size_t)atoll(number), 0)
                 : nds_block_attach_raw(&b, name, NDS_READWRITE);

    if (rc < 0) {
        return fault();
    }
    p = nds_block_data(b);
    for (size_t i = 0; i < nds_block_nbytes(b); i++) {
        if (strcmp(what, "raw-fill") == 0) {
            p[i] = (unsigned char)atoi(number);
        }
        sum += p[i];
    }
    printf("%zu %ld\n", nds_block_nbytes(b), sum);
    nds_block_close(b);
    return 0;
}

static void
tell(const char *name, bool removed, const char *why, void *want)
{
    if (strcmp(name, want) == 0) {
        puts(removed ? "removed" : why);
    }
}

static int
file_print(char **argv)
{
    const nds_dtype *dt;
    nds_array *a;

    if (nds_dtype_parse(&dt, argv[3]) < 0 ||
        nds_array_map_file(&a, argv[2], NDS_READ, dt, 1, NULL, 'C',
                           atoll(argv[4])) < 0) {
        return fault();
    }
    nds_dtype_put(dt);
    return print_view(a);
}

static int
dead(const char *name)
{
    nds_array_options opts = {.size = sizeof opts,
                              .lifetime = NDS_WHILE_USED};
    nds_array *a;

    if (nds_array_create(&a, name, NDS_FLOAT64, 1, (int64_t[]){10}, &opts) <
        0) {
        return fault();
    }
    _exit(0); // not closed: as if killed
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    nds_array *a;

    if (strcmp(what, "create") == 0 && argc == 6) {
        return create(argv);
    }
    if (strcmp(what, "print") == 0 && argc == 3) {
        return nds_array_attach(&a, argv[2], NDS_READ, 0) < 0 ? fault()
                                                              : print_view(a);
    }
    if (strcmp(what, "npy-print") == 0 && argc == 3) {
        return nds_npy_map(&a, argv[2], NDS_READ) < 0 ? fault()
                                                      : print_view(a);
    }
    if (strncmp(what, "raw-", 4) == 0 && argc >= 3) {
        return raw(what, argv[2], argc > 3 ? argv[3] : "0");
    }
    if (strcmp(what, "file-print") == 0 && argc == 5) {
        return file_print(argv);
    }
    if (strcmp(what, "dead") == 0 && argc == 3) {
        return dead(argv[2]);
    }
    if (strcmp(what, "sweep") == 0 && argc == 3) {
        return nds_sweep(false, tell, argv[2]) < 0 ? fault() : 0;
    }
    if (strcmp(what, "unlink") == 0 && argc == 3) {
        return nds_name_unlink(argv[2]) < 0 ? fault() : 0;
    }
    fprintf(stderr, "usage: see the head of mem_driver.c\n");
    return 2;
}
