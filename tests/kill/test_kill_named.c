/* SPDX-License-Identifier: MIT */
/*
 * test_kill_named.c - names, killed at every step
 *
 * After a kill a name is absent or complete, its lock is free, and after a
 * sweep nothing of a `while used` name and no hidden name is left.
 */
#include <check.h>
#include <harness/own_names.h>
#include <mem/mem_impl.h>
#include <os/os.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY 100000

static int
fill(struct ndi_segment *s, void *ctx)
{
    memset(s->body, *(int *)ctx, BODY);
    return 0;
}

static struct ndi_segment_spec
spec_of(const int *value)
{
    return (struct ndi_segment_spec){.kind = NDI_KIND_EVENT,
                                     .name = name,
                                     .body_nbytes = BODY,
                                     .lifetime = NDS_WHILE_USED,
                                     .fill = fill,
                                     .ctx = (void *)(uintptr_t)value};
}

static const int one = 1, two = 2;

static void
make(const int *value)
{
    struct ndi_segment_spec spec = spec_of(value);
    struct ndi_segment *s;

    spec.replace = true;
    spec.lifetime = NDS_UNTIL_UNLINKED;
    ck_assert_int_eq(ndi_segment_create(&s, &spec), 0);
    ndi_segment_put(s);
}

/* Absent (0) or complete: then which one it is. */
static int
look(const char *point)
{
    struct ndi_segment *s;
    int rc = ndi_segment_attach(&s, name, NDI_KIND_EVENT, NDS_READWRITE, 0);
    int value;
    uint64_t owner;

    if (rc == NDS_ENOENT) {
        return 0;
    }
    ck_assert_msg(rc == 0, "at '%s': %d %s", point, rc,
                  nds_last_error()->message);
    value = s->body[0];
    for (int i = 0; i < BODY; i++) {
        ck_assert_msg(s->body[i] == value, "at '%s'", point);
    }
    ck_assert_int_eq(ndi_party_join(&s->party, &owner), 0);
    ndi_segment_put(s);
    return value;
}

/* Nobody's left: no names but the lock file, and the name lock is free. */
static void
nothing_left(const char *point)
{
    int64_t start = ndi_now_ns();

    ck_assert_int_ge(nds_sweep(false, NULL, NULL), 0);
    ck_assert_msg(nds_count_names(name) == 0, "name left at '%s'", point);
    ck_assert_msg(nds_count_names(".nds-tmp") == 0, "left at '%s'", point);
    ck_assert_int_lt(ndi_now_ns() - start, NDS_SEC(2));
}

static int
act_create(void *ctx)
{
    struct ndi_segment_spec spec = spec_of(&one);
    struct ndi_segment *s;

    (void)ctx;
    if (ndi_segment_create(&s, &spec) < 0) {
        return 1;
    }
    ndi_segment_put(s);
    return 0;
}

static void
check_create(void *ctx, const char *point)
{
    int value = look(point);

    (void)ctx;
    ck_assert_msg(value == 0 || value == 1, "at '%s': %d", point, value);
    nothing_left(point);
}

START_TEST(create_and_close)
{
    struct nds_walk w = {NULL, act_create, check_create, NULL};

    ck_assert_int_gt(nds_walk(&w), 8);
}
END_TEST

static void
setup_one(void *ctx)
{
    (void)ctx;
    make(&one);
}

static int
act_replace(void *ctx)
{
    struct ndi_segment_spec spec = spec_of(&two);
    struct ndi_segment *s;

    (void)ctx;
    spec.replace = true;
    spec.lifetime = NDS_UNTIL_UNLINKED;
    if (ndi_segment_create(&s, &spec) < 0) {
        return 1;
    }
    ndi_segment_put(s);
    return 0;
}

static void
check_replace(void *ctx, const char *point)
{
    int value = look(point);

    (void)ctx;
    // Never a moment without the name.
    ck_assert_msg(value == 1 || value == 2, "at '%s': %d", point, value);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    nothing_left(point);
}

START_TEST(replace)
{
    struct nds_walk w = {setup_one, act_replace, check_replace, NULL};

    ck_assert_int_gt(nds_walk(&w), 8);
}
END_TEST

static int
act_unlink(void *ctx)
{
    (void)ctx;
    return nds_name_unlink(name) != 0;
}

static void
check_unlink(void *ctx, const char *point)
{
    (void)ctx;
    if (look(point) != 0) {
        ck_assert_int_eq(nds_name_unlink(name), 0);
    }
    nothing_left(point);
}

START_TEST(unlink_a_name)
{
    struct nds_walk w = {setup_one, act_unlink, check_unlink, NULL};

    ck_assert_int_gt(nds_walk(&w), 1);
}
END_TEST

static int
act_attach(void *ctx)
{
    struct ndi_segment *s;
    uint64_t owner;

    (void)ctx;
    if (ndi_segment_attach(&s, name, 0, NDS_READWRITE, 0) < 0 ||
        ndi_party_join(&s->party, &owner) < 0 ||
        ndi_lock_acquire(&s->party, &s->ctl->lock, 0) < 0) {
        return 1;
    }
    s->body[5]++;
    s->body[5]--;
    ndi_lock_unlock(&s->party, &s->ctl->lock);
    ndi_segment_put(s);
    return 0;
}

static void
check_attach(void *ctx, const char *point)
{
    struct ndi_segment *s;
    int rc;

    (void)ctx;
    ck_assert_int_eq(ndi_segment_attach(&s, name, 0, NDS_READWRITE, 0), 0);
    rc = ndi_lock_acquire(&s->party, &s->ctl->lock,
                          ndi_deadline(NDS_SEC(5)));
    ck_assert_msg(rc == 0 || rc == NDS_EOWNERDEAD, "at '%s': %d", point, rc);
    ck_assert_int_eq(ndi_lock_unlock(&s->party, &s->ctl->lock), 0);
    ck_assert_int_ge(ndi_party_sweep(&s->party), 0);
    ck_assert_int_eq(ndi_party_alive(&s->party), 1);
    ndi_segment_put(s);
    ck_assert_int_eq(look(point), 1);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    nothing_left(point);
}

START_TEST(attach_lock_close)
{
    struct nds_walk w = {setup_one, act_attach, check_attach, NULL};

    ck_assert_int_gt(nds_walk(&w), 4);
}
END_TEST

static int
act_publish(void *ctx)
{
    struct ndi_segment_spec spec = spec_of(&one);
    struct ndi_segment *s;

    (void)ctx;
    spec.name = NULL;
    if (ndi_segment_create(&s, &spec) < 0 ||
        ndi_segment_publish(s, name, false) < 0) {
        return 1;
    }
    ndi_segment_put(s);
    return 0;
}

START_TEST(publish_later)
{
    struct nds_walk w = {NULL, act_publish, check_create, NULL};

    ck_assert_int_gt(nds_walk(&w), 6);
}
END_TEST

static int
make_and_die(void *ctx)
{
    struct ndi_segment_spec spec = spec_of(&one);
    struct ndi_segment *s;

    (void)ctx;
    return ndi_segment_create(&s, &spec) == 0 ? 0 : 1; // _exit, no close
}

static void
setup_dead(void *ctx)
{
    ck_assert_int_eq(nds_in_child(make_and_die, ctx), 0);
}

static int
act_sweep(void *ctx)
{
    (void)ctx;
    return nds_sweep(false, NULL, NULL) < 1;
}

static void
check_sweep(void *ctx, const char *point)
{
    (void)ctx;
    nothing_left(point);
}

START_TEST(sweep)
{
    struct nds_walk w = {setup_dead, act_sweep, check_sweep, NULL};

    ck_assert_int_gt(nds_walk(&w), 3);
}
END_TEST

/* A scope with two names, closed. */
static int
act_scope(void *ctx)
{
    nds_raw_options o = {.size = sizeof o};
    nds_block *b = NULL, *c = NULL;
    char second[100];
    nds_scope *s;
    int rc;

    (void)ctx;
    snprintf(second, sizeof second, "%s2", name);
    rc = nds_scope_new(&s);
    o.scope = s;
    if (rc == 0) {
        rc = nds_block_new_raw(&b, name, 100, &o);
    }
    if (rc == 0) {
        rc = nds_block_new_raw(&c, second, 100, &o);
    }
    nds_block_close(b);
    nds_block_close(c);
    nds_scope_close(s);
    return rc < 0 || nds_count_names(name) != 0;
}

static void
check_scope(void *ctx, const char *point)
{
    nothing_left(point);
    ck_assert_msg(nds_count_names(".nds-scope") == 0, "left at '%s'", point);
    (void)ctx;
}

START_TEST(scope)
{
    struct nds_walk w = {NULL, act_scope, check_scope, NULL};

    ck_assert_int_gt(nds_walk(&w), 12);
}
END_TEST

static int
make_scope_and_die(void *ctx)
{
    nds_raw_options o = {.size = sizeof o};
    nds_block *b;
    nds_scope *s;

    (void)ctx;
    if (nds_scope_new(&s) < 0) {
        return 1;
    }
    o.scope = s;
    // Its process ends with the scope open.
    return nds_block_new_raw(&b, name, 100, &o) < 0;
}

static void
setup_dead_scope(void *ctx)
{
    ck_assert_int_eq(nds_in_child(make_scope_and_die, ctx), 0);
    ck_assert_int_eq(nds_count_names(name), 1);
}

START_TEST(sweep_a_scope)
{
    struct nds_walk w = {setup_dead_scope, act_sweep, check_scope, NULL};

    ck_assert_int_gt(nds_walk(&w), 4);
}
END_TEST

int
main(void)
{
    TCase *tc = case_with_names("kill named");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, create_and_close);
    tcase_add_test(tc, replace);
    tcase_add_test(tc, unlink_a_name);
    tcase_add_test(tc, attach_lock_close);
    tcase_add_test(tc, publish_later);
    tcase_add_test(tc, sweep);
    tcase_add_test(tc, scope);
    tcase_add_test(tc, sweep_a_scope);
    return nds_run_case("kill named", tc);
}
