/* SPDX-License-Identifier: MIT */
/*
 * test_kill_mgr.c - a manager, its server or its client killed at every step
 *
 * A client whose server dies hears an ordinary error in time, keeps what it
 * has mapped, and can start another server on the same path. A server whose
 * client dies drops what that client held; one whose starter dies ends.
 */
#include <base/carry.h>
#include <harness/kill_tree.h>
#include <mgr/mgr_impl.h>
#include <os/os.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT NDS_SEC(8)
#define ELEMENTS 100000

static char address[64];
static nds_manager *host; /* of the walks that kill clients */

/* Success, or a failure that says why, not too late. */
static bool
ordinary(int rc, int64_t begun)
{
    if (ndi_now_ns() - begun > TIMEOUT + NDS_SEC(2)) {
        return false;
    }
    return rc == 0 || (rc < 0 && nds_last_error()->code == rc &&
                       nds_last_error()->message[0] != '\0');
}

/* Another reference to the same object, as another process would take it. */
static int
second_proxy(nds_proxy *p, nds_proxy **out)
{
    const struct ndi_carrier *carrier = ndi_carrier_find("proxy");
    struct ndi_parcel parcel = {0};
    void *handle = NULL;
    int rc = carrier->pack(p, &parcel);

    if (rc == 0) {
        rc = carrier->unpack(&parcel, &handle);
    }
    ndi_parcel_fini(&parcel);
    *out = handle;
    return rc;
}

/* Calls, counts and mappings of one object. *failed: something did, as it
 * may. Returns 0 or where it was no ordinary failure. */
static int
use_object(nds_proxy *p, bool *failed)
{
    nds_proxy *second = NULL;
    nds_array *mapped = NULL;
    double sum = 0;
    int64_t begun = ndi_now_ns();
    int rc = nds_proxy_reduce(p, "sum", &sum);

    *failed = rc < 0;
    if (!ordinary(rc, begun) || (rc == 0 && sum != ELEMENTS)) {
        return 30;
    }
    begun = ndi_now_ns();
    rc = second_proxy(p, &second);
    *failed |= rc < 0;
    if (!ordinary(rc, begun)) {
        return 31;
    }
    begun = ndi_now_ns();
    rc = nds_proxy_map(p, &mapped, NDS_READWRITE);
    *failed |= rc < 0;
    if (!ordinary(rc, begun)) {
        return 32;
    }
    begun = ndi_now_ns();
    nds_proxy_close(second);
    nds_proxy_close(p);
    if (!ordinary(0, begun)) {
        return 33;
    }
    // The memory lives as long as somebody has it, server or no server.
    rc = mapped != NULL && ((double *)nds_array_data(mapped))[7] != 1.0;
    nds_array_close(mapped);
    return rc != 0 ? 34 : 0;
}

static int
use(nds_manager *m, bool *failed)
{
    char args[32];
    nds_proxy *p = NULL;
    int64_t begun = ndi_now_ns();
    int rc;

    snprintf(args, sizeof args, "(%d,)", ELEMENTS);
    rc = nds_manager_create(m, &p, "ones", args);
    *failed = rc < 0;
    if (rc < 0) {
        return ordinary(rc, begun) ? 0 : 35;
    }
    return use_object(p, failed);
}

/* A server from start to shutdown; strict: nothing may fail. */
static int
one_life(enum nds_start how, bool strict)
{
    nds_manager_options opts = {.size = sizeof opts, .address = address,
                                .authkey = "key", .authkey_nbytes = 3,
                                .start = (int)how, .timeout_ns = TIMEOUT};
    int64_t begun = ndi_now_ns();
    bool failed = false;
    nds_manager *m;
    int rc = nds_manager_start(&m, &opts);

    if (rc < 0) {
        return ordinary(rc, begun) && !strict ? 0 : 40;
    }
    rc = use(m, &failed);
    begun = ndi_now_ns();
    if (rc == 0 && nds_manager_shutdown(m) < 0) {
        failed = true;
        rc = ordinary(nds_last_error()->code, begun) ? 0 : 41;
    }
    nds_manager_close(m);
    return rc == 0 && failed && strict ? 42 : rc;
}

static int
act_serve(void *ctx)
{
    enum nds_start how = *(const enum nds_start *)ctx;
    struct tree_mark before = tree_mark();
    int rc = one_life(how, false);

    if (rc == 0) {
        rc = one_life(how, true); // in the place of the dead one
    }
    ndi_server_stop();
    if (rc == 0 && access(address, F_OK) == 0) {
        rc = 50;
    }
    return tree_end(&before, rc, 51);
}

static void
check_names(void *ctx, const char *point)
{
    tree_check_names(ctx, point);
    // A killed starter leaves a path at most, and the next start takes it.
    (void)unlink(address);
}

START_TEST(the_server_dies)
{
    struct nds_walk w = {NULL, act_serve, check_names, &starts[_i]};

    ck_assert_int_gt(nds_walk_tree(&w, "mgr.begin"), 40);
}
END_TEST

START_TEST(the_starter_dies)
{
    struct nds_walk w = {NULL, act_serve, check_names, &starts[_i]};

    ck_assert_int_gt(nds_walk_tree(&w, NULL), 60);
}
END_TEST

static int
act_client(void *ctx)
{
    nds_manager_options opts = {.size = sizeof opts, .authkey = "key",
                                .authkey_nbytes = 3, .timeout_ns = TIMEOUT};
    int fds = nds_open_descriptors();
    bool failed = false;
    nds_manager *m;
    int rc;

    (void)ctx;
    opts.address = nds_manager_address(host);
    if (nds_manager_connect(&m, &opts) < 0) {
        return 60;
    }
    rc = use(m, &failed);
    nds_manager_close(m);
    if (rc == 0 && nds_open_descriptors() != fds) {
        rc = 61;
    }
    return rc == 0 && failed ? 62 : rc;
}

static int
objects(void)
{
    nds_value *v = NULL;
    int64_t n = -1;

    ck_assert_int_eq(ndi_manager_ask(host, "number_of_objects", NULL, NULL,
                                     &v), 0);
    nds_value_as_int(v, &n);
    nds_value_free(v);
    return (int)n;
}

/* Everything the dead client held is dropped, its memory too. */
static void
check_dropped(void *ctx, const char *point)
{
    int64_t deadline = ndi_deadline(NDS_SEC(10));
    int pid = nds_proc_pid(host->proc);

    while ((objects() > 0 || nds_shared_mappings_of(pid) > *(int *)ctx) &&
           !ndi_deadline_over(deadline)) {
        poll(NULL, 0, 1);
    }
    ck_assert_msg(objects() == 0, "objects left at '%s'", point);
    ck_assert_msg(nds_shared_mappings_of(pid) == *(int *)ctx,
                  "memory left at '%s'", point);
    check_names(ctx, point);
}

START_TEST(a_client_dies)
{
    nds_manager_options opts = {.size = sizeof opts, .authkey = "key",
                                .authkey_nbytes = 3,
                                .start = (int)NDS_SPAWN};
    int maps;
    struct nds_walk w = {NULL, act_client, check_dropped, &maps};

    ck_assert_int_eq(nds_manager_start(&host, &opts), 0);
    maps = nds_shared_mappings_of(nds_proc_pid(host->proc));
    nds_walk_keep(nds_proc_pid(host->proc));
    ck_assert_int_gt(nds_walk_tree(&w, NULL), 30);
    ck_assert_int_eq(nds_manager_shutdown(host), 0);
    nds_manager_close(host);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_loop_test(tc, the_server_dies, 0, 3);
    tcase_add_loop_test(tc, the_starter_dies, 0, 3);
    tcase_add_test(tc, a_client_dies);
}

int
main(int argc, char **argv)
{
    int failed;

    snprintf(address, sizeof address, "/tmp/nds-test-mgr-%d", (int)getpid());
    failed = run_tree_tests(argc, argv, "kill mgr", add);
    (void)unlink(address);
    return failed;
}
