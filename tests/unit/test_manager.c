/* SPDX-License-Identifier: MIT */
/* test_manager.c - our server and our clients: calls, references, map */
#include <base/carry.h>
#include <base/fail.h>
#include <mgr/mgr_impl.h>
#include <ndshare/ndshare.h>
#include <os/os.h>

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static nds_manager *m;

static void
start(void)
{
    int rc = nds_manager_start(&m, NULL);

    ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
}

static void
stop(void)
{
    nds_manager_close(m);
    m = NULL;
}

/* p.method(args) as Python shows the result [caller frees] */
static char *
call(nds_proxy *p, const char *method, const char *args)
{
    nds_value *a, *k, *v;
    char *text;
    int rc;

    ck_assert_int_eq(nds_value_parse_args(&a, &k, args), 0);
    rc = nds_proxy_call(p, &v, method, a, k);
    nds_value_free(a);
    nds_value_free(k);
    if (rc < 0) {
        return strdup(nds_last_error()->message);
    }
    ck_assert_int_eq(nds_value_repr(v, &text), 0);
    nds_value_free(v);
    return text;
}

static int
objects(void)
{
    nds_value *v;
    int64_t n = -1;

    ck_assert_int_eq(ndi_manager_ask(m, "number_of_objects", NULL, NULL, &v),
                     0);
    nds_value_as_int(v, &n);
    nds_value_free(v);
    return (int)n;
}

static void
await_objects(int n)
{
    for (int i = 0; i < 2000 && objects() != n; i++) {
        poll(NULL, 0, 2);
    }
    ck_assert_int_eq(objects(), n);
}

static const struct {
    const char *method, *args, *result;
} calls[] = {
    {"sum", "", "66"},
    {"sum", "axis=0", "array([12, 15, 18, 21])"},
    {"sum", "0, None, None", "array([12, 15, 18, 21])"},
    {"sum", "axis=(0, 1)", "66"},
    {"sum", "axis=1, keepdims=True",
     "array([[ 6],\n       [22],\n       [38]])"},
    {"sum", "axis=None, dtype='f8', out=None", "66.0"},
    {"mean", "", "5.5"},
    {"max", "axis=-1", "array([ 3,  7, 11])"},
    {"min", "", "0"},
    {"argmax", "", "11"},
    {"var", "ddof=1", "13.0"},
    {"any", "", "True"},
    {"all", "", "False"},
    {"__getitem__", "(1, 2)", "6"},
    {"__getitem__", "1", "array([4, 5, 6, 7])"},
    {"__getitem__", "(slice(None), -1)", "array([ 3,  7, 11])"},
    {"__getitem__", "(..., 0)", "array([0, 4, 8])"},
    {"__len__", "", "3"},
    {"shape", "", "(3, 4)"},
    {"ndim", "", "2"},
    {"size", "", "12"},
    {"nbytes", "", "96"},
    {"dtype", "", "dtype('int64')"},
    {"item", "5", "5"},
    {"item", "2, 3", "11"},
    {"tolist", "", "[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]"},
    {"__add__", "1",
     "array([[ 1,  2,  3,  4],\n       [ 5,  6,  7,  8],\n"
     "       [ 9, 10, 11, 12]])"},
    {"__rsub__", "[1, 1, 1, 1]",
     "array([[  1,   0,  -1,  -2],\n       [ -3,  -4,  -5,  -6],\n"
     "       [ -7,  -8,  -9, -10]])"},
    {"__getitem__", "9",
     "IndexError: index 9 is out of bounds for axis 0 with size 3"},
    {"__getitem__", "1.5",
     "IndexError: only integers, slices (`:`), ellipsis (`...`) and "
     "numpy.newaxis (`None`) are valid indices of a hosted array"},
    {"fill", "'x'", "TypeError: a number or an array was expected"},
    {"sum", "nothing=1",
     "TypeError: sum() got an unexpected keyword argument 'nothing'"},
};

START_TEST(methods_answer_as_numpy)
{
    nds_proxy *p, *flat;
    nds_array *a, *r;
    char *text;

    ck_assert_int_eq(nds_manager_create(m, &flat, "arange", "(12,)"), 0);
    ck_assert_int_eq(nds_proxy_fetch(flat, &a, NULL), 0);
    ck_assert_int_eq(nds_array_reshape(&r, a, 2, (int64_t[]){3, 4}), 0);
    ck_assert_int_eq(nds_manager_create(m, &p, "zeros", "((3, 4), 'i8')"), 0);
    ck_assert_int_eq(nds_proxy_store(p, NULL, r), 0);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        text = call(p, calls[i].method, calls[i].args);
        ck_assert_msg(strcmp(text, calls[i].result) == 0,
                      "%s(%s): %s, not %s", calls[i].method, calls[i].args,
                      text, calls[i].result);
        free(text);
    }
    text = call(p, "zzz", "");
    ck_assert_msg(strstr(text, "AttributeError: method 'zzz'") != NULL, "%s",
                  text);
    free(text);
    nds_array_close(r);
    nds_array_close(a);
    nds_proxy_close(flat);
    nds_proxy_close(p);
    await_objects(0);
}
END_TEST

START_TEST(work_in_place)
{
    nds_proxy *p;
    double d;
    char *text;

    ck_assert_int_eq(nds_manager_create(m, &p, "ones", "((2, 3),)"), 0);
    free(call(p, "add", "2"));
    free(call(p, "multiply", "[1, 2, 3]"));
    free(call(p, "__setitem__", "(0, 0), 10"));
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    ck_assert_double_eq(d, 43);
    ck_assert_int_eq(nds_proxy_str(p, &text), 0);
    ck_assert_str_eq(text, "[[10.  6.  9.]\n [ 3.  6.  9.]]");
    free(text);
    ck_assert_int_eq(nds_proxy_repr(p, &text), 0);
    ck_assert_str_eq(text, "array([[10.,  6.,  9.],\n       [ 3.,  6.,  "
                           "9.]])");
    free(text);
    nds_proxy_close(p);
}
END_TEST

static const struct {
    const char *typeid_, *args, *result;
} factories[] = {
    {"zeros", "(3,)", "array([0., 0., 0.])"},
    {"ones", "((2,), 'i4')", "array([1, 1], dtype=int32)"},
    {"ones", "([2], float)", "array([1., 1.])"},
    {"full", "((2,), 7)", "array([7, 7])"},
    {"full", "(2, 1.5, 'f4')", "array([1.5, 1.5], dtype=float32)"},
    {"arange", "(4,)", "array([0, 1, 2, 3])"},
    {"arange", "(1, 2, 0.25)", "array([1.  , 1.25, 1.5 , 1.75])"},
    {"arange", "(5, 0, -2)", "array([5, 3, 1])"},
    {"mine", "(2,)", "array([1., 1.])"},
    {"zeros", "(-1,)", "!negative dimensions are not allowed"},
    {"zeros", "((1 << 2,),)", NULL},
    {"zeros", "('x',)", "!a shape must be an integer"},
    {"zeros", "(2, 'q9')", "!data type"},
    {"nosuch", "()", "!KeyError: 'nosuch'"},
};

START_TEST(factories_make_and_refuse)
{
    nds_proxy *p;
    char *text;
    const char *want = factories[_i].result;
    int rc = nds_manager_create(m, &p, factories[_i].typeid_,
                                factories[_i].args);

    if (want == NULL) {
        ck_assert_int_eq(rc, NDS_EINVAL);
    } else if (want[0] == '!') {
        ck_assert_int_eq(rc, NDS_EREMOTE);
        ck_assert_msg(strstr(nds_last_error()->message, want + 1) != NULL,
                      "%s", nds_last_error()->message);
    } else {
        ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
        ck_assert_int_eq(nds_proxy_repr(p, &text), 0);
        ck_assert_str_eq(text, want);
        free(text);
    }
    nds_proxy_close(p);
}
END_TEST

START_TEST(the_array_itself)
{
    nds_proxy *p;
    nds_array *a, *r;
    double d;

    ck_assert_int_eq(nds_manager_create(m, &p, "ones", "((100, 100),)"), 0);
    ck_assert_msg(nds_proxy_map(p, &a, NDS_READWRITE) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_int_eq(nds_array_view(a)->ndim, 2);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_float(2)), 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    ck_assert_double_eq(d, 20000);
    ck_assert_int_eq(nds_proxy_map(p, &r, NDS_READ), 0);
    ck_assert_double_eq(*(double *)nds_array_data(r), 2);
    ck_assert_int_eq(nds_fill(nds_array_view(r), nds_float(0)),
                     NDS_EREADONLY);
    // The mapping outlives the object on the server.
    nds_proxy_close(p);
    await_objects(0);
    ck_assert_double_eq(*(double *)nds_array_data(a), 2);
    nds_array_close(a);
    nds_array_close(r);
}
END_TEST

static void *
run_server(void *arg)
{
    nds_server_run(arg);
    return NULL;
}

#define SIDE 200 /* of an array that is copied by mapping */

/* The same with few bytes, which are messages, and with many. */
START_TEST(copies_in_and_out)
{
    char args[40];
    nds_proxy *p;
    nds_array *a, *row;
    int64_t side = _i == 0 ? 4 : SIDE;
    double d;

    snprintf(args, sizeof args, "((%d, %d),)", (int)side, (int)side);
    ck_assert_int_eq(nds_manager_create(m, &p, "ones", args), 0);
    ck_assert_int_eq(nds_array_new(&row, NDS_INT32, 1, &side, NULL), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(row), nds_int(3)), 0);
    ck_assert_int_eq(nds_proxy_store(p, "[1]", row), 0);
    ck_assert_int_eq(nds_proxy_store(p, "[:, 0]", row), 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    ck_assert_double_eq(d, (double)(side * side + 4 * side - 2));
    ck_assert_int_eq(nds_proxy_fetch(p, &a, NULL), 0);
    ck_assert_int_eq(nds_view_count(nds_array_view(a)), side * side);
    ck_assert_double_eq(((double *)nds_array_data(a))[side + 1], 3);
    // What was fetched is the caller's.
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(9)), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_proxy_fetch(p, &a, "[-1, ::-1]"), 0);
    ck_assert_int_eq(nds_array_view(a)->ndim, 1);
    ck_assert_double_eq(((double *)nds_array_data(a))[side - 1], 3);
    ck_assert_double_eq(((double *)nds_array_data(a))[0], 1);
    nds_array_close(a);
    ck_assert_int_eq(nds_proxy_fetch(p, &a, "[1, 2]"), 0);
    ck_assert_int_eq(nds_array_view(a)->ndim, 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_proxy_fetch(p, &a, "[9999]"), NDS_EREMOTE);
    ck_assert_int_eq(nds_proxy_store(p, "[0, :3]", row), NDS_EREMOTE);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "broadcast"));
    nds_array_close(row);
    nds_proxy_close(p);
}
END_TEST

static void *
store_for_ever(void *arg)
{
    int64_t shape[2] = {SIDE, SIDE};
    nds_array *a;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 2, shape, NULL), 0);
    for (int i = 1; i <= 300; i++) {
        ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(i)), 0);
        ck_assert_int_eq(nds_proxy_store(arg, NULL, a), 0);
    }
    nds_array_close(a);
    return NULL;
}

/* Who copies and who calls sees all of a store or nothing. */
START_TEST(no_copy_is_torn)
{
    pthread_t writer;
    nds_proxy *p;
    double low = 0, high = 0;

    ck_assert_int_eq(nds_manager_create(m, &p, "zeros", "((200, 200),)"), 0);
    ck_assert_int_eq(pthread_create(&writer, NULL, store_for_ever, p), 0);
    while (high < 300) {
        const double *d;
        nds_array *a;

        ck_assert_int_eq(nds_proxy_fetch(p, &a, NULL), 0);
        d = nds_array_data(a);
        for (int i = 1; i < SIDE * SIDE; i++) {
            ck_assert_double_eq(d[i], d[0]);
        }
        high = d[0];
        nds_array_close(a);
        ck_assert_int_eq(nds_proxy_reduce(p, "sum", &low), 0);
        ck_assert_double_eq(low / (SIDE * SIDE),
                            (double)(int64_t)(low / (SIDE * SIDE)));
    }
    pthread_join(writer, NULL);
    nds_proxy_close(p);
}
END_TEST

struct counter {
    int64_t n;
};
static int dropped;

static int
counter_make(void **object, const nds_value *args, const nds_value *kwds,
             void *ctx)
{
    struct counter *c = calloc(1, sizeof *c);

    (void)kwds;
    (void)ctx;
    if (nds_value_count(args) != 1 ||
        !nds_value_as_int(nds_value_item(args, 0), &c->n)) {
        free(c);
        return nds_error_set(NDS_ECAST, "a number is needed");
    }
    *object = c;
    return 0;
}

static void
counter_drop(void *object, void *ctx)
{
    *(int *)ctx += 1;
    free(object);
}

static int
counter_add(void *object, const nds_value *args, const nds_value *kwds,
            nds_value **out, void *ctx)
{
    struct counter *c = object;
    int64_t n = 1;

    (void)ctx;
    if (nds_value_count(args) > 0 &&
        !nds_value_as_int(nds_value_item(args, 0), &n)) {
        return nds_error_set(NDS_ECAST, "no number");
    }
    if (nds_value_get(kwds, "quiet") != NULL) {
        c->n += n;
        return 0;
    }
    *out = nds_value_int(c->n += n);
    return 0;
}

static const nds_hosted_method counter_methods[] = {{"add", counter_add},
                                             {NULL, NULL}};
static const nds_hosted_type counter = {sizeof counter, counter_make, counter_drop,
                                 counter_methods, &dropped};

/* A server in this process, with a type of this program's. */
START_TEST(a_type_of_ones_own)
{
    nds_manager_options opts = {.size = sizeof opts, .authkey = "k",
                                .authkey_nbytes = 1};
    nds_server *s;
    nds_manager *other;
    nds_proxy *p;
    pthread_t t;
    char *text;

    ck_assert_int_eq(nds_hosted_register("Counter", &counter), 0);
    ck_assert_int_eq(nds_hosted_register("", &counter), NDS_EINVAL);
    ck_assert_int_eq(nds_server_new(&s, &opts), 0);
    ck_assert_int_eq(pthread_create(&t, NULL, run_server, s), 0);
    opts.address = nds_server_address(s);
    ck_assert_int_eq(nds_manager_connect(&other, &opts), 0);
    ck_assert_int_eq(nds_manager_create(other, &p, "Counter", "('x',)"),
                     NDS_EREMOTE);
    ck_assert_int_eq(nds_manager_create(other, &p, "Counter", "(40,)"), 0);
    text = call(p, "add", "");
    ck_assert_str_eq(text, "41");
    free(text);
    text = call(p, "add", "1, quiet=True");
    ck_assert_str_eq(text, "None");
    free(text);
    text = call(p, "add", "'x'");
    ck_assert_str_eq(text, "TypeError: no number");
    free(text);
    text = call(p, "sub", "");
    ck_assert_ptr_nonnull(strstr(text, "not exposed"));
    free(text);
    ck_assert_int_eq(dropped, 0);
    nds_proxy_close(p);
    nds_manager_close(other);
    nds_server_stop(s);
    pthread_join(t, NULL);
    nds_server_free(s);
    ck_assert_int_eq(dropped, 1);
}
END_TEST

/* One that dies with the array's lock leaves it to the server. */
START_TEST(a_client_killed_in_a_copy)
{
    nds_proxy *p;
    double d;
    pid_t pid;

    ck_assert_int_eq(nds_manager_create(m, &p, "ones", "((200, 200),)"), 0);
    pid = fork();
    if (pid == 0) {
        nds_array *a;

        if (nds_proxy_map(p, &a, NDS_READWRITE) < 0 ||
            nds_array_lock(a, NDS_SEC(5)) < 0) {
            _exit(1);
        }
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    ck_assert_double_eq(d, SIDE * SIDE);
    nds_proxy_close(p);
}
END_TEST

START_TEST(a_killed_clients_references_go)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        nds_proxy *p;

        if (nds_manager_create(m, &p, "ones", "(10,)") < 0 ||
            nds_manager_create(m, &p, "ones", "(10,)") < 0) {
            _exit(1);
        }
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    await_objects(0);
}
END_TEST

START_TEST(a_forked_child_uses_the_proxy)
{
    nds_proxy *p;
    pid_t pid;
    double d;
    int status;

    ck_assert_int_eq(nds_manager_create(m, &p, "ones", "(10,)"), 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    pid = fork();
    if (pid == 0) {
        int rc = nds_proxy_reduce(p, "sum", &d);

        free(call(p, "fill", "3"));
        nds_proxy_close(p);
        nds_manager_close(m);
        _exit(rc == 0 && d == 10 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    ck_assert_double_eq(d, 30);
    nds_proxy_close(p);
    await_objects(0);
}
END_TEST

START_TEST(a_proxy_travels)
{
    const struct ndi_carrier *c = ndi_carrier_find("proxy");
    struct ndi_parcel parcel = {0};
    nds_proxy *p;
    void *q;
    double d;

    ck_assert_int_eq(nds_manager_create(m, &p, "arange", "(5,)"), 0);
    ck_assert_int_eq(c->pack(p, &parcel), 0);
    ck_assert_int_eq(c->unpack(&parcel, &q), 0);
    ndi_parcel_fini(&parcel);
    nds_proxy_close(p);
    ck_assert_int_eq(objects(), 1);
    ck_assert_int_eq(nds_proxy_reduce(q, "sum", &d), 0);
    ck_assert_double_eq(d, 10);
    c->close(q);
    await_objects(0);
}
END_TEST

static void *
caller(void *arg)
{
    nds_proxy *p = arg;

    for (int i = 0; i < 50; i++) {
        double d;

        free(call(p, "add", "1"));
        ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    }
    return NULL;
}

START_TEST(many_threads_at_once)
{
    pthread_t t[4];
    nds_proxy *p;
    double d;

    ck_assert_int_eq(nds_manager_create(m, &p, "zeros", "(1000,)"), 0);
    for (int i = 0; i < 4; i++) {
        pthread_create(&t[i], NULL, caller, p);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    ck_assert_int_eq(nds_proxy_reduce(p, "max", &d), 0);
    ck_assert_double_eq(d, 200);
    nds_proxy_close(p);
}
END_TEST

START_TEST(a_wrong_key_is_said_so)
{
    nds_manager_options opts = {.size = sizeof opts,
                                .address = nds_manager_address(m),
                                .authkey = "wrong",
                                .authkey_nbytes = 5};
    nds_manager *other;

    ck_assert_int_eq(nds_manager_connect(&other, &opts), NDS_EAUTH);
    ck_assert_ptr_null(other);
    opts.address = "@ndshare-nobody-here";
    ck_assert_int_eq(nds_manager_connect(&other, &opts), NDS_ENOENT);
    opts.authkey_nbytes = 0;
    ck_assert_int_eq(nds_manager_connect(&other, &opts), NDS_EINVAL);
}
END_TEST

START_TEST(a_server_that_died)
{
    nds_proxy *p;
    nds_value *v;
    double d;
    int rc;

    ck_assert_int_eq(nds_manager_create(m, &p, "ones", "(10,)"), 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    nds_proc_kill(m->proc);
    nds_proc_join(m->proc, NDS_SEC(5), NULL);
    rc = nds_proxy_reduce(p, "sum", &d);
    ck_assert_msg(rc == NDS_EEOF, "%d", rc);
    ck_assert_int_lt(nds_proxy_call(p, &v, "sum", NULL, NULL), 0);
    ck_assert_ptr_null(v);
    nds_proxy_close(p);
}
END_TEST

START_TEST(a_server_by_every_start_method)
{
    nds_manager_options opts = {.size = sizeof opts, .start = _i};
    nds_manager *other;
    nds_proxy *p;
    double d;

    ck_assert_msg(nds_manager_start(&other, &opts) == 0, "%s",
                  nds_last_error()->message);
    // A spawned server has the factories that main registered before nds_init.
    ck_assert_int_eq(nds_manager_create(other, &p, "mine", "(7,)"), 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &d), 0);
    ck_assert_double_eq(d, 7);
    nds_proxy_close(p);
    nds_manager_close(other);
}
END_TEST

START_TEST(a_server_ends_with_its_starter)
{
    char address[64];
    nds_manager_options opts = {.size = sizeof opts, .address = address,
                                .authkey = "k", .authkey_nbytes = 1};
    nds_manager *other;
    int status, rc = 0;
    pid_t pid;

    snprintf(address, sizeof address, "@t-mgr-%d", (int)getpid());
    pid = fork();
    if (pid == 0) {
        rc = nds_manager_start(&other, &opts);
        raise(rc == 0 ? SIGKILL : SIGTERM);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    for (int i = 0; i < 2000 && rc != NDS_ENOENT; i++) {
        rc = nds_manager_connect(&other, &opts);
        if (rc == 0) {
            nds_manager_close(other);
        }
        poll(NULL, 0, 2);
    }
    ck_assert_int_eq(rc, NDS_ENOENT);
}
END_TEST

static int
mine(const nds_value *args, const nds_value *kwds, nds_array **out, void *ctx)
{
    int64_t n;

    (void)kwds;
    (void)ctx;
    if (!nds_value_as_int(nds_value_item(args, 0), &n)) {
        return NDS_EINVAL;
    }
    // In the server's process: no test is running there.
    if (nds_array_new(out, NDS_FLOAT64, 1, &n, NULL) < 0) {
        return nds_last_error()->code;
    }
    return nds_fill(nds_array_view(*out), nds_float(1));
}

int
main(int argc, char **argv)
{
    Suite *s = suite_create("manager");
    TCase *tc = tcase_create("manager");
    SRunner *sr;
    int failed;

    nds_factory_register("mine", mine, NULL);
    nds_init(argc, argv);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, methods_answer_as_numpy);
    tcase_add_test(tc, work_in_place);
    tcase_add_loop_test(tc, factories_make_and_refuse, 0,
                        sizeof factories / sizeof factories[0]);
    tcase_add_test(tc, the_array_itself);
    tcase_add_loop_test(tc, copies_in_and_out, 0, 2);
    tcase_add_test(tc, no_copy_is_torn);
    tcase_add_test(tc, a_client_killed_in_a_copy);
    tcase_add_test(tc, a_type_of_ones_own);
    tcase_add_test(tc, a_killed_clients_references_go);
    tcase_add_test(tc, a_forked_child_uses_the_proxy);
    tcase_add_test(tc, a_proxy_travels);
    tcase_add_test(tc, many_threads_at_once);
    tcase_add_test(tc, a_wrong_key_is_said_so);
    tcase_add_test(tc, a_server_that_died);
    tcase_add_loop_test(tc, a_server_by_every_start_method, NDS_FORK,
                        NDS_FORKSERVER + 1);
    tcase_add_test(tc, a_server_ends_with_its_starter);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
