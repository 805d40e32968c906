/* SPDX-License-Identifier: MIT */
/*
 * test_replay.c - conversations recorded with stock Pythons, once more
 *
 * What a client of each Python said is said to our server, and each answer must
 * be the value that it was; and our client must say what it said to a server of
 * each Python, hear its very bytes, and make the same of them.
 */
#include "wire_talk.h"

#include <mgr/mgr_impl.h>
#include <os/os.h>

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define KEY "secret"
#define CONNS 400
#define TIMEOUT NDS_SEC(20)

static const char *const versions[] = {"3.8",  "3.9",  "3.10",
                                       "3.11", "3.12", "3.13", "3.14"};

struct line {
    int conn;
    char who;
    unsigned char *data;
    size_t nbytes;
};
static struct line *lines;
static size_t nlines;

static void
open_recording(const char *who, const char *version)
{
    char path[300], *text = NULL;
    size_t room = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/wire/%s-%s.tsv", NDS_TEST_DATA, who,
             version);
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    nlines = 0;
    while (getline(&text, &room, f) > 0) {
        struct line l = {0};
        int at = 0;
        size_t n;

        if (text[0] == '#') {
            continue;
        }
        ck_assert_int_eq(sscanf(text, "%d %c %n", &l.conn, &l.who, &at), 2);
        n = strspn(text + at, "0123456789abcdef");
        l.nbytes = n / 2;
        l.data = malloc(n / 2 + 1);
        for (size_t i = 0; i < l.nbytes; i++) {
            unsigned byte;

            ck_assert_int_eq(sscanf(text + at + 2 * i, "%2x", &byte), 1);
            l.data[i] = (unsigned char)byte;
        }
        ck_assert_int_lt(l.conn, CONNS);
        lines = realloc(lines, (nlines + 1) * sizeof *lines);
        lines[nlines++] = l;
    }
    free(text);
    fclose(f);
    ck_assert_uint_gt(nlines, 60);
}

static void
close_recording(void)
{
    for (size_t i = 0; i < nlines; i++) {
        free(lines[i].data);
    }
    free(lines);
    lines = NULL;
}

/* A message as Python would show it [caller frees]. */
static char *
shown(const void *data, size_t nbytes)
{
    nds_value *v = NULL;
    char *text = NULL;
    int rc = ndi_pickle_read(&v, data, nbytes);

    ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
    ck_assert_int_eq(nds_value_repr(v, &text), 0);
    nds_value_free(v);
    return text;
}

static void
check_same(size_t i, const void *data, size_t nbytes)
{
    char *got = shown(data, nbytes);
    char *want = shown(lines[i].data, lines[i].nbytes);

    ck_assert_msg(strcmp(got, want) == 0, "message %zu: %s, recorded: %s", i,
                  got, want);
    free(got);
    free(want);
}

static nds_server *server;

static void *
run(void *arg)
{
    ck_assert_int_eq(nds_server_run(server), 0);
    return arg;
}

START_TEST(their_client)
{
    nds_manager_options opts = {.size = sizeof opts, .authkey = KEY,
                                .authkey_nbytes = strlen(KEY)};
    struct ndi_conn c[CONNS];
    struct ndi_addr a;
    pthread_t runner;

    open_recording("client", versions[_i]);
    for (int i = 0; i < CONNS; i++) {
        c[i] = (struct ndi_conn){.fd = -1};
    }
    ck_assert_int_eq(nds_server_new(&server, &opts), 0);
    ((struct ndi_service *)server)->idents.next_id = 0x1000001;
    ck_assert_int_eq(ndi_addr_parse(&a, nds_server_address(server)), 0);
    ck_assert_int_eq(pthread_create(&runner, NULL, run, NULL), 0);
    for (size_t i = 0; i < nlines; i++) {
        struct ndi_conn *conn = &c[lines[i].conn];
        int64_t deadline = ndi_deadline(TIMEOUT);

        if (conn->fd < 0) {
            ck_assert_int_eq(ndi_conn_open(conn, &a, KEY, strlen(KEY),
                                           deadline), 0);
        }
        if (lines[i].who == 'C') {
            ck_assert_int_eq(ndi_frame_write(conn->fd, lines[i].data,
                                             lines[i].nbytes, deadline), 0);
        } else {
            void *data = NULL;
            size_t n = 0;

            ck_assert_int_eq(ndi_frame_read(conn->fd, NDI_FRAME_LIMIT, &data,
                                            &n, deadline), 0);
            check_same(i, data, n);
            free(data);
        }
    }
    for (int i = 0; i < CONNS; i++) {
        if (c[i].fd >= 0) {
            ndi_conn_close(&c[i]);
        }
    }
    nds_server_stop(server);
    pthread_join(runner, NULL);
    nds_server_free(server);
    close_recording();
}
END_TEST

/* ---- a server that says what was recorded ------------------------------- */

static struct ndi_listener door;
static pthread_t scribe;

/* One connection after the other, as our client makes them; a channel stays
 * open beside those for counts. */
static void *
play(void *arg)
{
    struct ndi_conn c[CONNS];
    int64_t deadline = ndi_deadline(3 * TIMEOUT);

    (void)arg;
    for (int i = 0; i < CONNS; i++) {
        c[i] = (struct ndi_conn){.fd = -1};
    }
    for (size_t i = 0; i < nlines; i++) {
        struct ndi_conn *conn = &c[lines[i].conn];
        void *data = NULL;
        size_t n = 0;
        int fd;

        if (conn->fd < 0) {
            int rc;

            do {
                rc = ndi_sock_wait(door.fd, 1, deadline);
                rc = rc < 0 ? rc : ndi_sock_accept(&fd, door.fd);
            } while (rc == -EAGAIN);
            ck_assert_int_eq(rc, 0);
            ndi_conn_init(conn, fd);
            ck_assert_int_eq(ndi_auth_deliver(fd, KEY, strlen(KEY),
                                              deadline), 0);
            ck_assert_int_eq(ndi_auth_answer(fd, KEY, strlen(KEY),
                                             deadline), 0);
        }
        if (lines[i].who == 'S') {
            ck_assert_int_eq(ndi_frame_write(conn->fd, lines[i].data,
                                             lines[i].nbytes, deadline), 0);
            continue;
        }
        ck_assert_int_eq(ndi_frame_read(conn->fd, NDI_FRAME_LIMIT, &data, &n,
                                        deadline), 0);
        check_same(i, data, n);
        free(data);
    }
    for (int i = 0; i < CONNS; i++) {
        if (c[i].fd >= 0) {
            ndi_conn_close(&c[i]);
        }
    }
    return NULL;
}

START_TEST(their_server)
{
    nds_manager_options opts = {.size = sizeof opts, .authkey = KEY,
                                .authkey_nbytes = strlen(KEY),
                                .timeout_ns = TIMEOUT};
    char address[64], path[300], *said = NULL, want[8000] = "";
    struct ndi_addr a;
    nds_manager *m;
    size_t n = 0;
    FILE *log = open_memstream(&said, &n), *f;

    open_recording("server", versions[_i]);
    snprintf(address, sizeof address, "@t-replay-%d", (int)getpid());
    ck_assert_int_eq(ndi_addr_parse(&a, address), 0);
    ck_assert_int_eq(ndi_listener_open(&door, &a), 0);
    ck_assert_int_eq(pthread_create(&scribe, NULL, play, NULL), 0);
    opts.address = address;
    ck_assert_int_eq(nds_manager_connect(&m, &opts), 0);
    talk(log, m);
    nds_manager_close(m);
    pthread_join(scribe, NULL);
    fclose(log);
    snprintf(path, sizeof path, "%s/wire/server-%s.out", NDS_TEST_DATA,
             versions[_i]);
    f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(want, 1, sizeof want - 1, f), 100);
    fclose(f);
    ck_assert_str_eq(said, want);
    free(said);
    ndi_listener_close(&door);
    close_recording();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tc = tcase_create("recorded");
    int count = (int)(sizeof versions / sizeof *versions), failed;
    SRunner *r;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, their_client, 0, count);
    tcase_add_loop_test(tc, their_server, 0, count);
    suite_add_tcase(suite, tc);
    r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
