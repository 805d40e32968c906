/* SPDX-License-Identifier: MIT */
/* test_shareable_list.c - lists as each Python lays them out; scopes */
#include "tsv.h"

#include <base/fail.h>
#include <os/os.h>

#include <ndshare/ndshare.h>

#include <stdio.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char name[64];

static void
choose_name(void)
{
    snprintf(name, sizeof name, "t-list-%d", (int)getpid());
}

static void
remove_name(void)
{
    (void)nds_name_unlink(name);
}

static void
same_values(const nds_shareable_list *l, const char *want)
{
    nds_value *all;
    char *text;

    ck_assert_msg(nds_shareable_list_values(l, &all) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_int_eq(nds_value_repr(all, &text), 0);
    ck_assert_str_eq(text, want);
    free(text);
    nds_value_free(all);
}

static void
same_bytes(const nds_shareable_list *l, const char *hex, const char *id)
{
    size_t n;
    unsigned char *want = tsv_hex(hex, &n);
    nds_block *b = nds_shareable_list_block(l);

    ck_assert_uint_eq(nds_block_nbytes(b), n);
    ck_assert_msg(memcmp(nds_block_data(b), want, n) == 0, "%s", id);
    free(want);
}

static void
assign(nds_shareable_list *l)
{
    ck_assert_int_eq(nds_shareable_list_set(l, 0, nds_value_str("abc")), 0);
    ck_assert_int_eq(nds_shareable_list_set(l, 1, nds_value_bytes("zz", 2)),
                     0);
    ck_assert_int_eq(nds_shareable_list_set(l, -4, nds_value_bool(true)), 0);
    ck_assert_int_eq(nds_shareable_list_set(l, 5, nds_value_int(9)), 0);
    ck_assert_int_eq(nds_shareable_list_set(l, 0,
                                            nds_value_str("longer than 8")),
                     NDS_EBUFFER);
}

/* Python's bytes are read, and ours are the same. */
static void
one_list(char **field, int n)
{
    nds_shareable_list_options o = {.size = sizeof o};
    size_t nbytes;
    unsigned char *bytes = tsv_hex(field[3], &nbytes);
    nds_shareable_list *l;
    nds_value *v;
    nds_block *b;

    ck_assert_int_eq(n, 7);
    ck_assert_int_eq(nds_block_create_raw(&b, name, nbytes, 0600), 0);
    memcpy(nds_block_data(b), bytes, nbytes);
    ck_assert_int_eq(nds_shareable_list_attach(&l, name, NDS_READWRITE), 0);
    same_values(l, field[4]);
    if (strcmp(field[5], "-") != 0) {
        assign(l);
        same_values(l, field[5]);
        same_bytes(l, field[6], field[1]);
    }
    nds_shareable_list_close(l);
    nds_block_close(b);
    ck_assert_int_eq(nds_name_unlink(name), 0);

    o.python38 = strncmp(field[0], "3.8", 3) == 0;
    ck_assert_int_eq(nds_value_parse(&v, field[2]), 0);
    ck_assert_int_eq(nds_shareable_list_create(&l, name, v, &o), 0);
    if (strcmp(field[1], "utf8_trunc") == 0) {
        same_values(l, field[2]); // Python's own loses three characters
    } else {
        same_bytes(l, field[3], field[1]);
    }
    nds_value_free(v);
    nds_shareable_list_close(l);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    free(bytes);
}

START_TEST(every_pythons_lists)
{
    ck_assert_int_ge(tsv_each(NDS_TEST_DATA "/shareable_list.tsv", one_list),
                     32);
}
END_TEST

START_TEST(items_that_do_not_go)
{
    static const struct {
        const char *text;
        int rc;
    } each[] = {{"[[1]]", NDS_EDTYPE},  {"[1j]", NDS_EDTYPE},
                {"[9223372036854775808]", NDS_EOVERFLOW},
                {"{}", NDS_EINVAL},     {"3", NDS_EINVAL}};
    nds_shareable_list *l;
    nds_value *v, *item;
    int64_t at;
    char *text, want[100];

    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        ck_assert_int_eq(nds_value_parse(&v, each[i].text), 0);
        ck_assert_int_eq(nds_shareable_list_create(&l, name, v, NULL),
                         each[i].rc);
        nds_value_free(v);
    }
    ck_assert_int_eq(nds_value_parse(&v, "(1, 'x')"), 0);
    ck_assert_int_eq(nds_shareable_list_create(&l, name, v, NULL), 0);
    ck_assert_int_eq(nds_shareable_list_get(l, 2, &item), NDS_EINDEX);
    ck_assert_int_eq(nds_shareable_list_get(l, -3, &item), NDS_EINDEX);
    ck_assert_int_eq(nds_shareable_list_set(l, 0, nds_value_list()),
                     NDS_EDTYPE);
    ck_assert_int_eq(nds_shareable_list_index(l, nds_value_item(v, 1), &at),
                     0);
    ck_assert_int_eq(at, 1);
    item = nds_value_int(5);
    ck_assert_int_eq(nds_shareable_list_index(l, item, &at), NDS_EKEY);
    nds_value_free(item);
    ck_assert_int_eq(nds_shareable_list_repr(l, &text), 0);
    snprintf(want, sizeof want, "ShareableList([1, 'x'], name='%s')", name);
    ck_assert_str_eq(text, want);
    free(text);
    nds_shareable_list_close(l);
    ck_assert_int_eq(nds_shareable_list_attach(&l, name, NDS_READ), 0);
    ck_assert_int_eq(nds_shareable_list_set(l, 0, nds_value_int(2)),
                     NDS_EREADONLY);
    nds_shareable_list_close(l);
    nds_value_free(v);
}
END_TEST

/* Whatever stands in the memory: an answer or an error, and nothing else. */
START_TEST(any_bytes_at_all)
{
    static const char text[] = "[7, 1.5, True, None, 'howdy', b'\\x01']";
    uint64_t state = 88172645463325252u;
    nds_shareable_list *l, *m;
    nds_value *v, *item;
    unsigned char *p, before[400];
    size_t n;

    ck_assert_int_eq(nds_value_parse(&v, text), 0);
    ck_assert_int_eq(nds_shareable_list_create(&l, name, v, NULL), 0);
    p = nds_block_data(nds_shareable_list_block(l));
    n = nds_block_nbytes(nds_shareable_list_block(l));
    ck_assert_uint_le(n, sizeof before);
    memcpy(before, p, n);
    for (int round = 0; round < 20000; round++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        p[state % n] = (unsigned char)(state >> 32);
        if (nds_shareable_list_attach(&m, name, NDS_READWRITE) == 0) {
            for (int64_t i = 0; i < nds_shareable_list_count(m) && i < 20;
                 i++) {
                if (nds_shareable_list_get(m, i, &item) == 0) {
                    nds_value_free(item);
                }
                (void)nds_shareable_list_set(m, i, nds_value_str("abc"));
            }
            nds_shareable_list_close(m);
        }
        if (round % 4 == 0) {
            memcpy(p, before, n);
        }
    }
    nds_shareable_list_close(l);
    nds_value_free(v);
}
END_TEST

/* ---- names that others take away, and scopes ---- */

START_TEST(a_lost_name_is_said_so)
{
    nds_block *b, *c;

    ck_assert_int_eq(nds_block_create_raw(&b, name, 100, 0600), 0);
    ck_assert_int_eq(nds_block_check_name(b), 0);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    ck_assert_int_eq(nds_block_check_name(b), NDS_ENOENT);
    ck_assert_int_eq(nds_block_create_raw(&c, name, 100, 0600), 0);
    ck_assert_int_eq(nds_block_check_name(b), NDS_ESTALE);
    ck_assert_int_eq(nds_block_check_name(c), 0);
    memset(nds_block_data(b), 1, 100);
    nds_block_close(b);
    nds_block_close(c);
}
END_TEST

static bool
exists(const char *what)
{
    nds_name_info info = {.size = sizeof info};

    return nds_name_info_get(what, &info) == 0;
}

START_TEST(names_go_with_their_scope)
{
    nds_raw_options o = {.size = sizeof o};
    char one[64], two[64];
    nds_block *b, *c;
    nds_array *a;
    nds_scope *s;

    ck_assert_int_eq(nds_scope_new(&s), 0);
    o.scope = s;
    ck_assert_int_eq(nds_block_new_raw(&b, NULL, 100, &o), 0);
    ck_assert_int_eq(nds_block_new_raw(&c, NULL, 100, &o), 0);
    ck_assert_int_eq(nds_array_create(&a, name, NDS_FLOAT64, 1,
                                      (int64_t[]){3}, NULL), 0);
    ck_assert_int_eq(nds_scope_add(s, name), 0);
    strcpy(one, nds_block_name(b));
    strcpy(two, nds_block_name(c));
    ck_assert_int_eq(strncmp(one, "psm_", 4), 0);
    ck_assert_int_eq(nds_scope_count(s), 3);
    // One that went and came again is somebody else's.
    ck_assert_int_eq(nds_name_unlink(one), 0);
    nds_block_close(b);
    ck_assert_int_eq(nds_block_create_raw(&b, one, 100, 0600), 0);
    ck_assert_int_eq(nds_scope_count(s), 2);
    if (fork() == 0) {
        nds_scope_close(s); // a child's copy: nothing happens
        _exit(0);
    }
    ck_assert_int_gt(wait(NULL), 0);
    ck_assert(exists(one) && exists(two) && exists(name));
    nds_scope_close(s);
    ck_assert(exists(one) && !exists(two) && !exists(name));
    memset(nds_block_data(c), 1, 100);
    ck_assert_int_eq(nds_name_unlink(one), 0);
    nds_block_close(b);
    nds_block_close(c);
    nds_array_close(a);
}
END_TEST

START_TEST(a_killed_makers_names_are_swept)
{
    nds_raw_options o = {.size = sizeof o};
    nds_block *b;
    nds_scope *s;
    pid_t pid;
    int go[2];
    char byte;

    ck_assert_int_eq(ndi_sock_pair(go), 0);
    pid = fork();
    if (pid == 0) {
        if (nds_scope_new(&s) < 0 || (o.scope = s) == NULL ||
            nds_block_new_raw(&b, name, 100, &o) < 0) {
            _exit(1);
        }
        // A child that outlives it does not keep the names.
        if (fork() == 0) {
            (void)ndi_sock_read(go[1], &byte, 1, NDS_FOREVER);
            _exit(0);
        }
        (void)ndi_os_write(go[1], "x", 1);
        pause();
    }
    ck_assert_int_eq(ndi_sock_read(go[0], &byte, 1,
                                   ndi_deadline(NDS_SEC(20))), 0);
    ck_assert_int_ge(nds_sweep(false, NULL, NULL), 0);
    ck_assert(exists(name)); // its maker lives
    ck_assert_int_eq(nds_block_attach_raw(&b, name, NDS_READWRITE), 0);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_ge(nds_sweep(false, NULL, NULL), 1);
    ck_assert(!exists(name));
    memset(nds_block_data(b), 1, 100); // and whoever has it keeps it
    nds_block_close(b);
    ndi_os_write(go[0], "x", 1);
    ndi_os_close(go[0]);
    ndi_os_close(go[1]);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("shareable_list");
    TCase *tc = tcase_create("lists");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, choose_name, remove_name);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_pythons_lists);
    tcase_add_test(tc, items_that_do_not_go);
    tcase_add_test(tc, any_bytes_at_all);
    tcase_add_test(tc, a_lost_name_is_said_so);
    tcase_add_test(tc, names_go_with_their_scope);
    tcase_add_test(tc, a_killed_makers_names_are_swept);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
