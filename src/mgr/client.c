/* SPDX-License-Identifier: MIT */
/*
 * client.c - a manager from outside: connections, requests, starting one
 *
 * Method channels are kept for the next call. Each belongs to the thread that
 * opened it, as with Python's clients, for a server knows who holds an RLock by
 * that; and to the process: a forked child closes what it inherited and opens
 * its own. A count (create, incref, decref) uses a connection of its own, as
 * the stock server ends it after one reply.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <ndshare/proc.h>
#include <os/os.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_NS NDS_SEC(10)
#define TASK "ndshare.manager"

void ndi_server_follow(nds_server *s, int pidfd);

int
ndi_manager_new(nds_manager **out, const char *address, const void *key,
                size_t nbytes, int64_t timeout_ns)
{
    nds_manager *m;
    int rc = ndi_auth_check_key(key, nbytes);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return ndi_fail_nomem(sizeof *m, "a manager");
    }
    rc = ndi_addr_parse(&m->addr, address);
    if (rc == 0) {
        m->key = malloc(nbytes);
        rc = m->key != NULL ? 0 : ndi_fail_nomem(nbytes, "a key");
    }
    if (rc < 0) {
        free(m);
        return rc;
    }
    memcpy(m->key, key, nbytes);
    m->key_nbytes = nbytes;
    m->timeout_ns = timeout_ns != 0 ? timeout_ns : NDI_MGR_TIMEOUT;
    m->epoch = ndi_fork_epoch();
    atomic_init(&m->refs, 1);
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return 0;
}

nds_manager *
ndi_manager_get(nds_manager *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

const char *
nds_manager_address(const nds_manager *m)
{
    return m->addr.text;
}

const void *
nds_manager_authkey(const nds_manager *m, size_t *nbytes)
{
    *nbytes = m->key_nbytes;
    return m->key;
}

int
ndi_manager_open(nds_manager *m, struct ndi_conn *c)
{
    return ndi_conn_open(c, &m->addr, m->key, m->key_nbytes,
                         ndi_deadline(m->timeout_ns));
}

/* ---- requests and replies ----------------------------------------------- */

nds_value *
ndi_request(nds_value *first, const char *name, nds_value *args,
            nds_value *kwds)
{
    nds_value *t = nds_value_tuple();
    int rc = nds_value_append(t, first);

    rc |= nds_value_append(t, nds_value_str(name));
    rc |= nds_value_append(t, args != NULL ? args : nds_value_tuple());
    rc |= nds_value_append(t, kwds != NULL ? kwds : nds_value_dict());
    if (rc != 0) {
        nds_value_free(t);
        return NULL;
    }
    return t;
}

/* "IndexError: index 9 is out of bounds", as Python would end a traceback. */
static int
raised(const nds_value *e)
{
    const nds_value *only = nds_value_item(e, 0);
    char *text = NULL;

    if (nds_value_kind(e) != NDS_VALUE_EXCEPTION) {
        return ndi_fail(NDS_EPROTO, "an error reply without an exception");
    }
    if (nds_value_count(e) == 0) {
        return ndi_fail(NDS_EREMOTE, "%s", nds_value_text(e, NULL));
    }
    if (nds_value_count(e) == 1 && nds_value_kind(only) == NDS_VALUE_STR) {
        return ndi_fail(NDS_EREMOTE, "%s: %s", nds_value_text(e, NULL),
                        nds_value_text(only, NULL));
    }
    if (nds_value_repr(e, &text) < 0) {
        return NDS_EREMOTE;
    }
    ndi_fail(NDS_EREMOTE, "%s", text);
    free(text);
    return NDS_EREMOTE;
}

static int
remote_text(const nds_value *v)
{
    size_t n = 0;
    const char *text = nds_value_text(v, &n);

    if (text == NULL) {
        return ndi_fail(NDS_EPROTO, "an error reply without a text");
    }
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    return ndi_fail(NDS_EREMOTE, "%.*s", (int)(n > 1900 ? 1900 : n), text);
}

int
ndi_reply_value(nds_value *reply, nds_value **out, bool *proxy)
{
    const char *kind = NULL;
    const nds_value *value = NULL;
    int rc;

    *out = NULL;
    if (proxy != NULL) {
        *proxy = false;
    }
    if (nds_value_kind(reply) == NDS_VALUE_TUPLE &&
        nds_value_count(reply) == 2 &&
        nds_value_kind(nds_value_item(reply, 0)) == NDS_VALUE_STR) {
        kind = nds_value_text(nds_value_item(reply, 0), NULL);
        value = nds_value_item(reply, 1);
    }
    if (kind == NULL) {
        rc = ndi_fail(NDS_EPROTO, "a reply that is no pair");
    } else if (strcmp(kind, "#RETURN") == 0) {
        *out = ndi_value_get((nds_value *)value);
        rc = 0;
    } else if (strcmp(kind, "#PROXY") == 0 && proxy != NULL) {
        const nds_value *token = nds_value_kind(value) == NDS_VALUE_TUPLE
                                     ? nds_value_item(value, 1)
                                     : NULL;

        *proxy = token != NULL && nds_value_kind(token) == NDS_VALUE_TOKEN;
        rc = *proxy ? 0 : ndi_fail(NDS_EPROTO, "a proxy without a token");
        *out = rc == 0 ? ndi_value_get((nds_value *)value) : NULL;
    } else if (strcmp(kind, "#ERROR") == 0) {
        rc = raised(value);
    } else if (strcmp(kind, "#TRACEBACK") == 0 ||
               strcmp(kind, "#UNSERIALIZABLE") == 0) {
        rc = remote_text(value);
    } else {
        rc = ndi_fail(NDS_ENOTSUP, "a reply of kind '%.40s'", kind);
    }
    nds_value_free(reply);
    return rc;
}

/* Sends and waits for the reply. A time-out leaves a reply on its way: the
 * connection must not be used again after any failure but NDS_EREMOTE. */
static int
exchange(nds_manager *m, struct ndi_conn *c, const nds_value *request,
         nds_value **out, bool *proxy, bool *usable)
{
    int64_t deadline = ndi_deadline(m->timeout_ns);
    nds_value *reply = NULL;
    int rc = ndi_conn_send(c, request, deadline);

    NDI_KILL_POINT("client.sent");
    *usable = false;
    if (rc == 0) {
        rc = ndi_conn_recv(c, &reply, deadline);
        NDI_KILL_POINT("client.answered");
    }
    if (rc == NDS_ETIMEDOUT) {
        return ndi_fail(NDS_ETIMEDOUT, "manager '%s': no reply in time",
                        m->addr.text);
    }
    if (rc < 0) {
        return ndi_fail_more(rc, "manager '%s'", m->addr.text);
    }
    *usable = true;
    return ndi_reply_value(reply, out, proxy);
}

int
ndi_manager_ask(nds_manager *m, const char *fn, nds_value *args,
                nds_value *kwds, nds_value **out)
{
    nds_value *request = ndi_request(nds_value_str(NDI_MGR_HELLO), fn, args,
                                     kwds);
    struct ndi_conn c = {.fd = -1};
    nds_value *value = NULL;
    bool usable;
    int rc = request != NULL ? ndi_manager_open(m, &c) : NDS_ENOMEM;

    if (rc == 0) {
        rc = exchange(m, &c, request, &value, NULL, &usable);
        ndi_conn_close(&c);
    }
    nds_value_free(request);
    if (out != NULL) {
        *out = value;
    } else {
        nds_value_free(value);
    }
    return rc;
}

static uint64_t
this_thread(void)
{
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t mine;

    if (mine == 0) {
        mine = atomic_fetch_add(&threads, 1) + 1;
    }
    return mine;
}

static void
forget_idle_locked(nds_manager *m, int at)
{
    m->nidle--;
    memmove(&m->idle[at], &m->idle[at + 1],
            (size_t)(m->nidle - at) * sizeof m->idle[0]);
}

/* A method channel: the thread's own, or a new one. */
static int
channel_take(nds_manager *m, struct ndi_conn *c, bool *fresh)
{
    nds_value *request, *value = NULL;
    nds_value *args;
    bool usable;
    int rc;

    *fresh = false;
    pthread_mutex_lock(&m->lock);
    for (int i = m->nidle - 1; i >= 0; i--) {
        *c = m->idle[i].conn;
        if (c->epoch == ndi_fork_epoch() &&
            m->idle[i].thread == this_thread()) {
            forget_idle_locked(m, i);
            pthread_mutex_unlock(&m->lock);
            return 0;
        }
        if (c->epoch != ndi_fork_epoch()) {
            forget_idle_locked(m, i);
            ndi_conn_close(c);
        }
    }
    pthread_mutex_unlock(&m->lock);
    *fresh = true;
    rc = ndi_manager_open(m, c);
    if (rc < 0) {
        return rc;
    }
    args = nds_value_tuple();
    rc = nds_value_append(args, nds_value_str("ndshare"));
    if (rc < 0) {
        nds_value_free(args);
        ndi_conn_close(c);
        return rc;
    }
    request = ndi_request(nds_value_none(), "accept_connection", args, NULL);
    rc = request != NULL ? exchange(m, c, request, &value, NULL, &usable)
                         : NDS_ENOMEM;
    nds_value_free(request);
    nds_value_free(value);
    if (rc == 0) {
        rc = ndi_conn_read_ahead(c, m->timeout_ns);
    }
    if (rc < 0) {
        ndi_conn_close(c);
    }
    return rc;
}

static void
channel_give(nds_manager *m, struct ndi_conn *c)
{
    struct ndi_conn oldest = {.fd = -1};

    pthread_mutex_lock(&m->lock);
    if (m->nidle == (int)NDI_ARRAY_LEN(m->idle)) {
        // Most likely of a thread that is gone.
        oldest = m->idle[0].conn;
        forget_idle_locked(m, 0);
    }
    m->idle[m->nidle].conn = *c;
    m->idle[m->nidle++].thread = this_thread();
    pthread_mutex_unlock(&m->lock);
    ndi_conn_close(&oldest);
}

int
ndi_manager_call(nds_manager *m, const char *id, const char *method,
                 const nds_value *args, const nds_value *kwds,
                 nds_value **out, bool *proxy)
{
    nds_value *request;
    struct ndi_conn c = {.fd = -1};
    nds_value *value = NULL;
    bool usable, fresh;
    int rc;

    *out = NULL;
    request = ndi_request(
        nds_value_str(id), method,
        args != NULL ? ndi_value_get((nds_value *)args) : NULL,
        kwds != NULL ? ndi_value_get((nds_value *)kwds) : NULL);
    rc = request != NULL ? channel_take(m, &c, &fresh) : NDS_ENOMEM;
    if (rc == 0) {
        rc = exchange(m, &c, request, &value, proxy, &usable);
        if (usable) {
            channel_give(m, &c);
        } else {
            ndi_conn_close(&c);
        }
    }
    nds_value_free(request);
    *out = value;
    return rc;
}

int
nds_manager_ask(nds_manager *m, nds_value **out, const char *function,
                const nds_value *args)
{
    nds_value *value = NULL;
    int rc = ndi_manager_ask(
        m, function,
        args != NULL ? ndi_value_get((nds_value *)args) : NULL, NULL, &value);

    if (out != NULL) {
        *out = value;
    } else {
        nds_value_free(value);
    }
    return rc;
}

/* ---- connect, start, end ------------------------------------------------ */

int
nds_manager_connect(nds_manager **out, const nds_manager_options *opts)
{
    nds_manager *m;
    int rc;

    *out = NULL;
    if (opts == NULL || opts->address == NULL) {
        return ndi_fail(NDS_EINVAL, "connect: an address is needed");
    }
    rc = ndi_manager_new(&m, opts->address, opts->authkey,
                         opts->authkey_nbytes, opts->timeout_ns);
    if (rc == 0) {
        rc = ndi_manager_ask(m, "dummy", NULL, NULL, NULL);
        if (rc < 0) {
            nds_manager_close(m);
            return rc;
        }
        *out = m;
    }
    return rc;
}

/* The server process: address, key and starter's pid are its arguments. */
static int
serve(nds_args *args)
{
    nds_manager_options opts = {.size = sizeof opts};
    pid_t starter = (pid_t)nds_args_int(args, 2);
    nds_server *s;
    int pidfd = -1;
    int rc;

    opts.address = nds_args_str(args, 0);
    opts.authkey = nds_args_bytes(args, 1, &opts.authkey_nbytes);
    if (nds_server_new(&s, &opts) < 0) {
        fprintf(stderr, "ndshare manager: %s\n", nds_last_error()->message);
        return 1;
    }
    // A starter that cannot be watched, most likely because it was killed
    // meanwhile, would leave a server that nobody ends.
    rc = ndi_pidfd_open(&pidfd, starter);
    if (rc == 0) {
        ndi_server_follow(s, pidfd);
        rc = nds_server_run(s);
    }
    nds_server_free(s);
    return rc < 0;
}

__attribute__((constructor)) static void
register_task(void)
{
    nds_task_register(TASK, serve);
}

static int
start_process(nds_manager *m, int start)
{
    nds_proc_options popts = {.size = sizeof popts,
                              .start = (enum nds_start)start,
                              .name = "ndshare manager"};
    nds_args *args = NULL;
    int rc = nds_args_new(&args);

    if (rc == 0) {
        rc = nds_args_add_str(args, m->addr.text);
    }
    if (rc == 0) {
        rc = nds_args_add_bytes(args, m->key, m->key_nbytes);
    }
    if (rc == 0) {
        rc = nds_args_add_int(args, getpid());
    }
    if (rc == 0) {
        rc = nds_proc_start(&m->proc, TASK, args, &popts);
        NDI_KILL_POINT("client.started");
    }
    nds_args_free(args);
    return rc;
}

/* Asks until the server answers, its process ends or time is up. */
static int
await_server(nds_manager *m)
{
    int64_t deadline = ndi_deadline(START_NS);

    for (;;) {
        int rc = ndi_manager_ask(m, "dummy", NULL, NULL, NULL);

        if (rc != NDS_ENOENT) {
            return rc;
        }
        if (!nds_proc_is_alive(m->proc)) {
            return ndi_fail(NDS_ECHILD, "the manager's server on '%s' ended "
                            "at once", m->addr.text);
        }
        if (ndi_deadline_over(deadline)) {
            return ndi_fail(NDS_ETIMEDOUT, "the manager's server on '%s' "
                            "did not start in time", m->addr.text);
        }
        ppoll(NULL, 0, &(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

int
nds_manager_start(nds_manager **out, const nds_manager_options *opts)
{
    unsigned char random[32];
    char fresh[64];
    const char *address = opts != NULL ? opts->address : NULL;
    const void *key = opts != NULL ? opts->authkey : NULL;
    size_t nbytes = opts != NULL ? opts->authkey_nbytes : 0;
    nds_manager *m = NULL;
    uint64_t name[2];
    int rc = ndi_random_bytes(random, sizeof random);

    *out = NULL;
    rc = rc < 0 ? rc : ndi_random_bytes(name, sizeof name);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "random bytes for a key");
    }
    if (key == NULL) {
        key = random;
        nbytes = sizeof random;
    }
    if (address == NULL) {
        snprintf(fresh, sizeof fresh, "@ndshare-%016llx%016llx",
                 (unsigned long long)name[0], (unsigned long long)name[1]);
        address = fresh;
    }
    rc = ndi_manager_new(&m, address, key, nbytes,
                         opts != NULL ? opts->timeout_ns : 0);
    if (rc == 0 && m->addr.tcp && m->addr.port == 0) {
        rc = ndi_fail(NDS_EINVAL, "start: a port is needed in '%s'", address);
    }
    if (rc == 0) {
        rc = start_process(m, opts != NULL ? opts->start : 0);
    }
    if (rc == 0) {
        m->starter = true;
        rc = await_server(m);
    }
    if (rc < 0) {
        if (m != NULL && m->proc != NULL) {
            nds_proc_kill(m->proc);
            nds_proc_join(m->proc, NDS_SEC(5), NULL);
        }
        if (m != NULL) {
            m->starter = false;
        }
        nds_manager_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

int
nds_manager_shutdown(nds_manager *m)
{
    int code;
    int rc = ndi_manager_ask(m, "shutdown", NULL, NULL, NULL);

    // Once more where the connection was lost: it does no harm, and waiting
    // for a server that was not told would.
    if (rc < 0 && rc != NDS_ETIMEDOUT) {
        rc = ndi_manager_ask(m, "shutdown", NULL, NULL, NULL);
    }
    if (m->proc != NULL && m->epoch == ndi_fork_epoch()) {
        if (nds_proc_join(m->proc, NDS_SEC(5), &code) < 0) {
            nds_proc_kill(m->proc);
            nds_proc_join(m->proc, NDS_SEC(5), &code);
        }
        nds_proc_close(m->proc);
        m->proc = NULL;
        m->starter = false;
    }
    return rc;
}

void
nds_manager_close(nds_manager *m)
{
    if (m == NULL || atomic_fetch_sub(&m->refs, 1) != 1) {
        return;
    }
    for (int i = 0; i < m->nidle; i++) {
        ndi_conn_close(&m->idle[i].conn);
    }
    m->nidle = 0;
    if (m->starter && m->epoch == ndi_fork_epoch()) {
        (void)nds_manager_shutdown(m);
    }
    if (m->proc != NULL) {
        nds_proc_close(m->proc);
    }
    pthread_mutex_destroy(&m->lock);
    free(m->key);
    free(m);
}
