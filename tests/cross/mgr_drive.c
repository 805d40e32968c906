/* SPDX-License-Identifier: MIT */
/*
 * mgr_drive.c - every type of a SyncManager, driven from C
 *
 *     mgr_drive ADDRESS KEY stock|ours
 *
 * The server is a stock Python's, or ours: what is asked and what must come is
 * the same, but for what only Python can do (functions).
 */
#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nds_manager *m;
static int failed;

static void
complain(const char *what, const char *got, const char *want)
{
    printf("%s: %s, wanted %s\n", what, got, want);
    failed++;
}

/* The value's repr, or the first words of the failure. */
static char *
shown(int rc, const nds_value *v)
{
    char *text = NULL;

    if (rc < 0 || nds_value_repr(v, &text) < 0) {
        const char *message = nds_last_error()->message;
        const char *last = strrchr(message, '\n');

        text = strdup(last != NULL ? last + 1 : message);
    }
    return text;
}

static void
expect(const char *what, int rc, const nds_value *v, const char *want)
{
    char *text = shown(rc, v);
    size_t n = strlen(want);

    // "IndexError..." wants no more than that
    if (n > 3 && strcmp(want + n - 3, "...") == 0
            ? strncmp(text, want, n - 3) != 0
            : strcmp(text, want) != 0) {
        complain(what, text, want);
    }
    free(text);
}

static nds_proxy *
make(const char *typeid_, const char *args)
{
    nds_proxy *p = NULL;

    if (nds_manager_create(m, &p, typeid_, args) < 0) {
        complain(typeid_, nds_last_error()->message, "an object");
        exit(1);
    }
    return p;
}

/* p.method(args) must show as `want`. */
static void
is(nds_proxy *p, const char *method, const char *args, const char *want)
{
    nds_value *a = NULL, *k = NULL, *v = NULL;
    char what[200];
    int rc = nds_value_parse_args(&a, &k, args);

    rc = rc < 0 ? rc : nds_proxy_call(p, &v, method, a, k);
    snprintf(what, sizeof what, "%s.%s(%s)", nds_proxy_typeid(p), method,
             args);
    expect(what, rc, v, want);
    nds_value_free(v);
    nds_value_free(a);
    nds_value_free(k);
}

static void
lists(void)
{
    nds_proxy *p = make("list", "([3, 1, 2],)");

    is(p, "append", "'four'", "None");
    is(p, "__getitem__", "3", "'four'");
    is(p, "__getitem__", "-1", "'four'");
    is(p, "pop", "", "'four'");
    is(p, "sort", "", "None");
    is(p, "__len__", "", "3");
    is(p, "extend", "[5, 4.5]", "None");
    is(p, "__contains__", "4.5", "True");
    is(p, "insert", "0, (1, None)", "None");
    is(p, "index", "2", "2");
    is(p, "count", "9", "0");
    is(p, "remove", "(1, None)", "None");
    is(p, "reverse", "", "None");
    is(p, "__mul__", "1", "[4.5, 5, 3, 2, 1]");
    is(p, "__add__", "[0]", "[4.5, 5, 3, 2, 1, 0]");
    is(p, "__getitem__", "9", "IndexError: list index out of range");
    is(p, "__delitem__", "0", "None");
    is(p, "__setitem__", "0, {'k': b'v'}", "None");
    is(p, "__str__", "", "\"[{'k': b'v'}, 3, 2, 1]\"");
    is(p, "#GETVALUE", "", "[{'k': b'v'}, 3, 2, 1]");
    nds_proxy_close(p);
}

static void
dicts(void)
{
    nds_proxy *p = make("dict", "({'a': 1, (2, 'b'): [None]},)"), *it = NULL;
    nds_value *v = NULL;

    is(p, "__getitem__", "(2, 'b')", "[None]");
    is(p, "__setitem__", "'c', 3.5", "None");
    is(p, "keys", "", "['a', (2, 'b'), 'c']");
    is(p, "items", "", "[('a', 1), ((2, 'b'), [None]), ('c', 3.5)]");
    is(p, "get", "'zz', 7", "7");
    is(p, "pop", "'a'", "1");
    is(p, "setdefault", "'d', 4", "4");
    is(p, "update", "{'c': 1}, e=2", "None");
    is(p, "__contains__", "'e'", "True");
    is(p, "__getitem__", "'zz'", "KeyError...");
    is(p, "copy", "", "{(2, 'b'): [None], 'c': 1, 'd': 4, 'e': 2}");
    if (nds_proxy_call(p, &v, "__iter__", NULL, NULL) != NDS_ENOTSUP) {
        complain("dict.__iter__ as a value", "something", "NDS_ENOTSUP");
    }
    if (nds_proxy_call_proxy(p, &it, "__iter__", NULL, NULL) < 0) {
        complain("dict.__iter__", nds_last_error()->message, "a proxy");
    } else {
        is(it, "__next__", "", "(2, 'b')");
        is(it, "__next__", "", "'c'");
        is(it, "__next__", "", "'d'");
        is(it, "__next__", "", "'e'");
        is(it, "__next__", "", "StopIteration...");
        nds_proxy_close(it);
    }
    if (nds_proxy_call_proxy(p, &it, "keys", NULL, NULL) != NDS_ECAST) {
        complain("dict.keys as a proxy", "something", "NDS_ECAST");
    }
    nds_proxy_close(p);
}

static void
cells(void)
{
    nds_proxy *p = make("Namespace", NULL);

    is(p, "__setattr__", "'x', [1, 2]", "None");
    is(p, "__getattribute__", "'x'", "[1, 2]");
    is(p, "__str__", "", "'Namespace(x=[1, 2])'");
    is(p, "#GETVALUE", "", "{'x': [1, 2]}");
    is(p, "__delattr__", "'x'", "None");
    is(p, "__getattribute__", "'x'", "AttributeError...");
    nds_proxy_close(p);
    p = make("Value", "('i', 5)");
    is(p, "get", "", "5");
    is(p, "set", "7", "None");
    is(p, "get", "", "7");
    is(p, "__str__", "", "\"Value('i', 7)\"");
    is(p, "#GETVALUE", "", "{'_typecode': 'i', '_value': 7}");
    nds_proxy_close(p);
    p = make("Array", "('h', [1, 2, 3, 4])");
    is(p, "__getitem__", "2", "3");
    is(p, "__setitem__", "2, 9", "None");
    is(p, "__len__", "", "4");
    is(p, "__getitem__", "slice(1, None, None)",
       "array([2, 9, 4], dtype=int16)");
    is(p, "__getitem__", "slice(None, None, -2)",
       "array([4, 2], dtype=int16)");
    is(p, "__str__", "", "\"array('h', [1, 2, 9, 4])\"");
    is(p, "#GETVALUE", "", "array([1, 2, 9, 4], dtype=int16)");
    is(p, "__setitem__", "0, 40000", "OverflowError...");
    nds_proxy_close(p);
}

static void
queues(void)
{
    nds_proxy *p = make("Queue", "(2,)");

    is(p, "put", "(1, 'a')", "None");
    is(p, "put_nowait", "2", "None");
    is(p, "full", "", "True");
    is(p, "put", "3, timeout=0.01", "Full...");
    is(p, "qsize", "", "2");
    is(p, "get", "", "(1, 'a')");
    is(p, "get_nowait", "", "2");
    is(p, "get", "timeout=0.01", "Empty...");
    is(p, "empty", "", "True");
    nds_proxy_close(p);
    p = make("JoinableQueue", NULL);
    is(p, "put", "None", "None");
    is(p, "get", "", "None");
    is(p, "task_done", "", "None");
    is(p, "join", "", "None");
    is(p, "task_done", "", "ValueError: task_done() called too many times");
    nds_proxy_close(p);
}

static void
locks(void)
{
    nds_proxy *p = make("Lock", NULL);

    is(p, "acquire", "", "True");
    is(p, "acquire", "False", "False");
    is(p, "acquire", "True, 0.01", "False");
    is(p, "release", "", "None");
    is(p, "release", "", "RuntimeError: release unlocked lock");
    nds_proxy_close(p);
    p = make("RLock", NULL);
    is(p, "acquire", "", "True");
    is(p, "acquire", "", "True");
    is(p, "release", "", "None");
    is(p, "release", "", "None");
    is(p, "release", "", "RuntimeError: cannot release un-acquired lock");
    nds_proxy_close(p);
    p = make("Semaphore", "(1,)");
    is(p, "acquire", "", "True");
    is(p, "acquire", "False", "False");
    is(p, "release", "", "None");
    is(p, "release", "", "None");
    nds_proxy_close(p);
    p = make("BoundedSemaphore", "(1,)");
    is(p, "acquire", "", "True");
    is(p, "release", "", "None");
    is(p, "release", "", "ValueError: Semaphore released too many times");
    nds_proxy_close(p);
    p = make("Condition", NULL);
    is(p, "notify", "", "RuntimeError: cannot notify on un-acquired lock");
    is(p, "acquire", "", "True");
    is(p, "wait", "0.01", "False");
    is(p, "notify_all", "", "None");
    is(p, "release", "", "None");
    nds_proxy_close(p);
    p = make("Event", NULL);
    is(p, "wait", "0.01", "False");
    is(p, "set", "", "None");
    is(p, "is_set", "", "True");
    is(p, "wait", "", "True");
    is(p, "clear", "", "None");
    nds_proxy_close(p);
    p = make("Barrier", "(1,)");
    is(p, "wait", "", "0");
    is(p, "__getattribute__", "'parties'", "1");
    is(p, "abort", "", "None");
    is(p, "__getattribute__", "'broken'", "True");
    is(p, "wait", "", "BrokenBarrierError...");
    is(p, "reset", "", "None");
    nds_proxy_close(p);
}

/* A proxy as an item, and back. */
static void
nested(void)
{
    nds_proxy *outer = make("list", "([],)"), *inner = make("dict", NULL);
    nds_proxy *again = NULL;
    nds_value *args = nds_value_tuple(), *v = NULL;
    int rc = nds_value_append(args, nds_proxy_value(inner));

    rc = rc < 0 ? rc : nds_proxy_call(outer, &v, "append", args, NULL);
    expect("append(a proxy)", rc, v, "None");
    nds_value_free(v);
    nds_value_free(args);
    is(inner, "__setitem__", "'q', 7", "None");
    nds_proxy_close(inner); // the list keeps it
    rc = nds_value_parse(&args, "(0,)");
    rc = rc < 0 ? rc : nds_proxy_call(outer, &v, "__getitem__", args, NULL);
    rc = rc < 0 ? rc : nds_manager_adopt(m, &again, v);
    nds_value_free(v);
    nds_value_free(args);
    if (rc < 0) {
        complain("a proxy from a list", nds_last_error()->message, "it");
    } else {
        is(again, "__getitem__", "'q'", "7");
        nds_proxy_close(again);
    }
    nds_proxy_close(outer);
}

/* pool.method(math.sqrt, rest) */
static nds_value *
with_sqrt(const char *rest)
{
    nds_value *args = nds_value_tuple(), *more;

    nds_value_append(args, nds_value_name("math", "sqrt"));
    if (nds_value_parse(&more, rest) < 0 ||
        nds_value_append(args, more) < 0) {
        exit(1);
    }
    return args;
}

static void
pools(void)
{
    nds_proxy *p = make("Pool", "(2,)"), *result = NULL;
    nds_value *args = with_sqrt("(16,)"), *v = NULL;
    int rc = nds_proxy_call(p, &v, "apply", args, NULL);

    expect("Pool.apply", rc, v, "4.0");
    nds_value_free(v);
    if (nds_proxy_call_proxy(p, &result, "apply_async", args, NULL) < 0) {
        complain("Pool.apply_async", nds_last_error()->message, "a proxy");
    } else {
        is(result, "get", "30", "4.0");
        is(result, "ready", "", "True");
        nds_proxy_close(result);
    }
    nds_value_free(args);
    args = with_sqrt("[1, 4, 9]");
    rc = nds_proxy_call(p, &v, "map", args, NULL);
    expect("Pool.map", rc, v, "[1.0, 2.0, 3.0]");
    nds_value_free(v);
    if (nds_proxy_call_proxy(p, &result, "imap", args, NULL) < 0) {
        complain("Pool.imap", nds_last_error()->message, "a proxy");
    } else {
        is(result, "__next__", "", "1.0");
        is(result, "__next__", "", "2.0");
        is(result, "__next__", "", "3.0");
        is(result, "__next__", "", "StopIteration...");
        nds_proxy_close(result);
    }
    nds_value_free(args);
    is(p, "close", "", "None");
    is(p, "join", "", "None");
    nds_proxy_close(p);
}

/* A type that the Python program registered. */
static void
things(void)
{
    nds_proxy *p = make("Thing", "(3,)");

    is(p, "scale", "2, by=10", "60");
    is(p, "fail", "'so'", "ValueError: so");
    is(p, "both", "", "(3, {'n': 3})");
    nds_proxy_close(p);
}

static void
server_itself(void)
{
    nds_value *v = NULL;
    int rc = nds_manager_ask(m, &v, "number_of_objects", NULL);

    expect("number_of_objects", rc, v, "0");
    nds_value_free(v);
}

int
main(int argc, char **argv)
{
    nds_manager_options opts = {.size = sizeof opts};

    nds_init(argc, argv);
    if (argc != 4) {
        return 2;
    }
    opts.address = argv[1];
    opts.authkey = argv[2];
    opts.authkey_nbytes = strlen(argv[2]);
    if (nds_manager_connect(&m, &opts) < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        return 1;
    }
    lists();
    dicts();
    cells();
    queues();
    locks();
    if (strcmp(argv[3], "stock") == 0) {
        pools();
        things();
        server_itself();
    }
    nested();
    nds_manager_close(m);
    return failed != 0;
}
