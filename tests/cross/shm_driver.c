/* SPDX-License-Identifier: MIT */
/*
 * shm_driver.c - our end of the shared-memory tests with stock Python
 *
 *     shm_driver list-make NAME LITERAL [38]   a ShareableList
 *     shm_driver list-show NAME
 *     shm_driver list-set NAME INDEX LITERAL
 *     shm_driver raw-make NAME NBYTES          bytes 0 1 2 ...
 *     shm_driver raw-sum NAME
 *     shm_driver hold NAME     attaches, waits for a line, says what the name is
 *     shm_driver scope         a block and a list, until a line comes
 *     shm_driver sweep
 */
#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
failed(void)
{
    printf("%s\n", nds_error_name(nds_last_error()->code));
    fprintf(stderr, "shm_driver: %s\n", nds_last_error()->message);
    return 1;
}

static int
list_make(const char *name, const char *literal, bool python38)
{
    nds_shareable_list_options o = {.size = sizeof o, .python38 = python38};
    nds_shareable_list *l;
    nds_value *v;

    if (nds_value_parse(&v, literal) < 0 ||
        nds_shareable_list_create(&l, name, v, &o) < 0) {
        return failed();
    }
    nds_shareable_list_close(l);
    nds_value_free(v);
    return 0;
}

static int
list_show(const char *name)
{
    nds_shareable_list *l;
    char *text;

    if (nds_shareable_list_attach(&l, name, NDS_READ) < 0 ||
        nds_shareable_list_repr(l, &text) < 0) {
        return failed();
    }
    printf("%s\n", text);
    free(text);
    nds_shareable_list_close(l);
    return 0;
}

static int
list_set(const char *name, const char *at, const char *literal)
{
    nds_shareable_list *l;
    nds_value *v;

    if (nds_shareable_list_attach(&l, name, NDS_READWRITE) < 0 ||
        nds_value_parse(&v, literal) < 0 ||
        nds_shareable_list_set(l, atoll(at), v) < 0) {
        return failed();
    }
    nds_shareable_list_close(l);
    return 0;
}

static int
raw_make(const char *name, size_t nbytes)
{
    nds_block *b;

    if (nds_block_create_raw(&b, name, nbytes, 0600) < 0) {
        return failed();
    }
    for (size_t i = 0; i < nbytes; i++) {
        ((unsigned char *)nds_block_data(b))[i] = (unsigned char)i;
    }
    nds_block_close(b);
    return 0;
}

static void
print_sum(const nds_block *b)
{
    const unsigned char *p = nds_block_data(b);
    long sum = 0;

    for (size_t i = 0; i < nds_block_nbytes(b); i++) {
        sum += p[i];
    }
    printf("%ld of %zu\n", sum, nds_block_nbytes(b));
}

static void
await_line(void)
{
    char line[20];

    fflush(stdout);
    (void)!fgets(line, sizeof line, stdin);
}

static int
hold(const char *name, bool wait)
{
    nds_block *b;

    if (nds_block_attach_raw(&b, name, NDS_READWRITE) < 0) {
        return failed();
    }
    if (wait) {
        printf("%s\n", nds_error_name(nds_block_check_name(b)));
        await_line();
        printf("%s\n", nds_error_name(nds_block_check_name(b)));
    }
    print_sum(b);
    nds_block_close(b);
    return 0;
}

static int
scope(void)
{
    nds_raw_options raw = {.size = sizeof raw};
    nds_shareable_list_options list = {.size = sizeof list};
    nds_shareable_list *l;
    nds_scope *s;
    nds_block *b;
    nds_value *v;

    if (nds_value_parse(&v, "[1, 'two']") < 0 || nds_scope_new(&s) < 0) {
        return failed();
    }
    raw.scope = list.scope = s;
    if (nds_block_new_raw(&b, NULL, 1000, &raw) < 0 ||
        nds_shareable_list_create(&l, NULL, v, &list) < 0) {
        return failed();
    }
    printf("%s\n%s\n", nds_block_name(b), nds_shareable_list_name(l));
    await_line();
    nds_scope_close(s);
    nds_block_close(b);
    nds_shareable_list_close(l);
    nds_value_free(v);
    return 0;
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "list-make") == 0 && argc >= 4) {
        return list_make(argv[2], argv[3], argc == 5);
    }
    if (strcmp(what, "list-show") == 0 && argc == 3) {
        return list_show(argv[2]);
    }
    if (strcmp(what, "list-set") == 0 && argc == 5) {
        return list_set(argv[2], argv[3], argv[4]);
    }
    if (strcmp(what, "raw-make") == 0 && argc == 4) {
        return raw_make(argv[2], (size_t)atoll(argv[3]));
    }
    if (argc == 3 && (strcmp(what, "raw-sum") == 0 ||
                      strcmp(what, "hold") == 0)) {
        return hold(argv[2], *what == 'h');
    }
    if (strcmp(what, "scope") == 0) {
        return scope();
    }
    if (strcmp(what, "sweep") == 0) {
        return nds_sweep(false, NULL, NULL) < 0 ? failed() : 0;
    }
    return 2;
}
