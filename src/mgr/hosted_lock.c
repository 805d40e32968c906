/* SPDX-License-Identifier: MIT */
/*
 * hosted_lock.c - Lock, RLock, Semaphore, BoundedSemaphore, Condition
 *
 * state.limit   the permits there can be: 1 of a lock, 0 without a bound
 * state.count   the permits that are free
 * state.turn    how often an RLock is held by its holder; of a semaphore the
 *               permits it began with
 * state.holders who took permits of a semaphore and how many
 * state.value   of a Condition: the numbers of those who wait, first one first
 *
 * The holder of a lock is the process that acquired it, and of an RLock or
 * Condition also the connection, as stock Python's client has one a thread.
 * When the process dies (Unix sockets), or the connection of an RLock ends, the
 * lock comes free. So do the permits that a process took from a semaphore and
 * did not give back, but never beyond the number it began with: above that,
 * permits are events, which stay used up.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <stdlib.h>

struct ndi_holder {
    pid_t pid;
    int64_t count; /* permits */
    struct ndi_holder *next;
};

static void
let_go(struct ndi_hosted *h)
{
    h->state.count++;
    h->state.pid = 0;
    h->state.who = 0;
    h->state.turn = 0;
    pthread_cond_broadcast(&h->changed);
}

static bool
is_reentrant(const struct ndi_hosted *h)
{
    return h->kind == &ndi_kind_rlock || h->kind == &ndi_kind_condition;
}

static bool
is_semaphore(const struct ndi_hosted *h)
{
    return h->kind == &ndi_kind_semaphore || h->kind == &ndi_kind_bounded;
}

void
ndi_holders_free(struct ndi_holder *first)
{
    while (first != NULL) {
        struct ndi_holder *next = first->next;

        free(first);
        first = next;
    }
}

/* The process took so many permits, or gave them back (< 0). */
static void
account(struct ndi_state *s, pid_t pid, int64_t permits)
{
    struct ndi_holder **at = &s->holders, *h;

    while (*at != NULL && (*at)->pid != pid) {
        at = &(*at)->next;
    }
    h = *at;
    if (h == NULL && pid > 0 && permits > 0) {
        // Without memory its permits are lost when it dies.
        h = *at = calloc(1, sizeof *h);
        if (h != NULL) {
            h->pid = pid;
        }
    }
    if (h != NULL) {
        h->count += permits;
        if (h->count <= 0) {
            *at = h->next;
            free(h);
        }
    }
}

/* What the dead process held, as far as the semaphore began with it. */
static void
give_back(struct ndi_hosted *h, pid_t pid)
{
    struct ndi_state *s = &h->state;
    int64_t mine = 0, others = 0, back;

    for (struct ndi_holder *x = s->holders; x != NULL; x = x->next) {
        *(x->pid == pid ? &mine : &others) += x->count;
    }
    back = s->turn - s->count - others;
    back = back < mine ? back : mine;
    if (mine > 0) {
        account(s, pid, -mine);
    }
    if (back > 0) {
        s->count += back;
        pthread_cond_broadcast(&h->changed);
    }
}

void
ndi_lock_left(struct ndi_hosted *h, pid_t pid, uint64_t who)
{
    pthread_mutex_lock(&h->mutex);
    if (is_semaphore(h)) {
        give_back(h, pid);
    } else if (h->state.count == 0 &&
        ((pid > 0 && h->state.pid == pid) ||
         (pid == 0 && is_reentrant(h) && h->state.who == who))) {
        let_go(h);
    }
    pthread_mutex_unlock(&h->mutex);
}

void
ndi_lock_undo(struct ndi_hosted *h, pid_t pid)
{
    pthread_mutex_lock(&h->mutex);
    if (is_semaphore(h)) {
        account(&h->state, pid, -1);
        h->state.count++;
        pthread_cond_broadcast(&h->changed);
    } else if (is_reentrant(h) && h->state.turn > 1) {
        h->state.turn--;
    } else if (h->state.count < h->state.limit) {
        let_go(h);
    }
    pthread_mutex_unlock(&h->mutex);
}

static int
make_lock(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
          const nds_value *kwds)
{
    (void)t;
    if (nds_value_count(args) != 0 || nds_value_count(kwds) != 0) {
        return ndi_fail(NDS_ECAST, "a lock takes no arguments");
    }
    s->limit = s->count = 1;
    return 0;
}

static int
make_condition(struct ndi_idents *t, struct ndi_state *s,
               const nds_value *args, const nds_value *kwds)
{
    int rc = make_lock(t, s, args, kwds);

    if (rc == 0) {
        s->value = nds_value_list();
        rc = s->value != NULL ? 0 : NDS_ENOMEM;
    }
    return rc;
}

static int
make_semaphore(struct ndi_idents *t, struct ndi_state *s,
               const nds_value *args, const nds_value *kwds)
{
    const nds_value *value = nds_value_item(args, 0);

    (void)t;
    value = value != NULL ? value : nds_value_get(kwds, "value");
    s->count = 1;
    if (value != NULL && !nds_value_as_int(value, &s->count)) {
        return ndi_fail(NDS_ECAST, "a semaphore's value is an integer");
    }
    s->turn = s->count;
    return s->count < 0 ? ndi_fail(NDS_EINVAL, "semaphore initial value must "
                                   "be >= 0")
                        : 0;
}

static int
make_bounded(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
             const nds_value *kwds)
{
    int rc = make_semaphore(t, s, args, kwds);

    s->limit = s->count;
    // A bound of 0 would read as none: no permit can ever come back to it.
    s->flag = true;
    return rc;
}

static bool
is_mine(const struct ndi_call *c)
{
    return c->self->state.count == 0 &&
           c->self->state.who == c->conn->serial;
}

static void
take(struct ndi_call *c)
{
    struct ndi_state *s = &c->self->state;

    s->count--;
    c->acquired = true;
    if (is_semaphore(c->self)) {
        account(s, c->pid, 1);
        return;
    }
    s->turn = 1;
    s->who = c->conn->serial;
    s->pid = c->pid;
    c->conn->holds |= is_reentrant(c->self);
}

/* Waits for a permit: 1, 0 not in time, or a failure. */
static int
acquire(struct ndi_call *c, bool blocking, int64_t deadline)
{
    struct ndi_state *s = &c->self->state;

    if (is_reentrant(c->self) && is_mine(c)) {
        s->turn++;
        c->acquired = true;
        return 1;
    }
    while (s->count == 0) {
        int rc = blocking ? ndi_act_wait(c, deadline) : NDS_ETIMEDOUT;

        if (rc == NDS_ETIMEDOUT) {
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
    }
    take(c);
    return 1;
}

static int
act_acquire(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"blocking", "timeout", NULL};
    const nds_value *b = ndi_call_arg(c, 0, "blocking");
    const nds_value *timeout = ndi_call_arg(c, 1, "timeout");
    int64_t deadline = NDS_FOREVER;
    bool blocking = true;
    double seconds = 0;
    int rc = ndi_act_check(c, "acquire", 0, 2, names);

    if (rc == 0 && b != NULL && !nds_value_as_bool(b, &blocking)) {
        rc = ndi_raise(c, "TypeError", "blocking must be a bool");
    }
    // -1 is for ever, as in threading.
    if (rc == 0 && timeout != NULL &&
        !(nds_value_as_float(timeout, &seconds) && seconds == -1)) {
        if (!blocking && nds_value_kind(timeout) != NDS_VALUE_NONE) {
            rc = ndi_raise(c, "ValueError", "can't specify a timeout for a "
                           "non-blocking call");
        } else {
            rc = ndi_act_deadline(c, timeout, &deadline);
        }
    }
    rc = rc < 0 ? rc : acquire(c, blocking, deadline);
    return rc < 0 ? rc : ndi_act_made(nds_value_bool(rc > 0), out);
}

static int
act_release(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;

    if (ndi_act_check(c, "release", 0, 0, NULL) < 0) {
        return NDS_ECAST;
    }
    if (s->count != 0) {
        return ndi_raise(c, "RuntimeError",
                         is_reentrant(c->self) ? "cannot release un-acquired "
                                                 "lock"
                                               : "release unlocked lock");
    }
    if (is_reentrant(c->self)) {
        if (!is_mine(c)) {
            return ndi_raise(c, "RuntimeError",
                             "cannot release un-acquired lock");
        }
        if (--s->turn > 0) {
            return ndi_act_none(out);
        }
    }
    let_go(c->self);
    return ndi_act_none(out);
}

static int
act_locked(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(nds_value_bool(c->self->state.count == 0), out);
}

/* release(n=1) of a semaphore */
static int
act_post(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"n", NULL};
    const nds_value *v = ndi_call_arg(c, 0, "n");
    struct ndi_state *s = &c->self->state;
    int64_t n = 1;
    int rc = ndi_act_check(c, "release", 0, 1, names);

    if (rc == 0 && v != NULL && !nds_value_as_int(v, &n)) {
        rc = ndi_raise(c, "TypeError", "n must be an integer");
    }
    if (rc == 0 && n < 1) {
        rc = ndi_raise(c, "ValueError", "n must be one or more");
    }
    if (rc == 0 && s->flag && n > s->limit - s->count) {
        rc = ndi_raise(c, "ValueError", "Semaphore released too many times");
    }
    if (rc == 0 && n > INT64_MAX - s->count) {
        rc = ndi_raise(c, "OverflowError", "too many permits");
    }
    if (rc < 0) {
        return rc;
    }
    s->count += n;
    account(s, c->pid, -n);
    pthread_cond_broadcast(&c->self->changed);
    return ndi_act_none(out);
}

/* ---- Condition ---------------------------------------------------------- */

/* Where among the waiters the number stands; their count if it was told. */
static size_t
place(const nds_value *waiters, int64_t number)
{
    size_t i = 0;

    while (i < waiters->count && waiters->items[i]->u.integer != number) {
        i++;
    }
    return i;
}

static int
act_wait(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"timeout", NULL};
    struct ndi_state *s = &c->self->state;
    int64_t deadline = NDS_FOREVER, number = 0, depth = s->turn;
    bool told;
    int rc = ndi_act_check(c, "wait", 0, 1, names);

    if (rc == 0) {
        rc = ndi_act_deadline(c, ndi_call_arg(c, 0, "timeout"), &deadline);
    }
    if (rc == 0 && !is_mine(c)) {
        rc = ndi_raise(c, "RuntimeError", "cannot wait on un-acquired lock");
    }
    if (rc == 0) {
        // Never given twice: a waiter is told by taking its number away.
        number = ++s->limit;
        rc = nds_value_append(s->value, nds_value_int(number));
    }
    if (rc < 0) {
        return rc;
    }
    let_go(c->self);
    while (rc == 0 && place(s->value, number) < s->value->count) {
        rc = ndi_act_wait(c, deadline);
    }
    told = place(s->value, number) == s->value->count;
    if (!told) {
        nds_value_free(ndi_value_cut(s->value, place(s->value, number)));
    }
    if (rc == 0 || rc == NDS_ETIMEDOUT) {
        rc = acquire(c, true, NDS_FOREVER);
    }
    if (rc < 0) {
        // Nobody hears it here: the next one is told.
        if (told && s->value->count > 0) {
            nds_value_free(ndi_value_cut(s->value, 0));
            pthread_cond_broadcast(&c->self->changed);
        }
        return rc;
    }
    s->turn = depth;
    return ndi_act_made(nds_value_bool(told), out);
}

static int
notify(struct ndi_call *c, int64_t n, nds_value **out)
{
    struct ndi_state *s = &c->self->state;

    if (!is_mine(c)) {
        return ndi_raise(c, "RuntimeError",
                         "cannot notify on un-acquired lock");
    }
    while (n-- > 0 && s->value->count > 0) {
        nds_value_free(ndi_value_cut(s->value, 0));
    }
    pthread_cond_broadcast(&c->self->changed);
    return ndi_act_none(out);
}

static int
act_notify(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"n", NULL};
    const nds_value *v = ndi_call_arg(c, 0, "n");
    int64_t n = 1;

    if (ndi_act_check(c, "notify", 0, 1, names) < 0) {
        return NDS_ECAST;
    }
    if (v != NULL && !nds_value_as_int(v, &n)) {
        return ndi_raise(c, "TypeError", "n must be an integer");
    }
    return notify(c, n, out);
}

static int
act_notify_all(struct ndi_call *c, nds_value **out)
{
    return notify(c, INT64_MAX, out);
}

static const struct ndi_act lock_methods[] = {
    NDI_ACT("acquire", false, act_acquire),
    NDI_ACT("release", false, act_release),
    NDI_ACT("__enter__", true, act_acquire),
    NDI_ACT("__exit__", true, act_release),
    NDI_ACT("locked", true, act_locked), NDI_ACT_END};
static const struct ndi_act semaphore_methods[] = {
    NDI_ACT("acquire", false, act_acquire),
    NDI_ACT("release", false, act_post), NDI_ACT_END};

const struct ndi_hosted_kind ndi_kind_lock = {"Lock", lock_methods, make_lock, true,
                                       true};
const struct ndi_hosted_kind ndi_kind_rlock = {"RLock", lock_methods, make_lock,
                                        true, true};
const struct ndi_hosted_kind ndi_kind_semaphore = {"Semaphore", semaphore_methods,
                                            make_semaphore, true, true};
const struct ndi_hosted_kind ndi_kind_bounded = {
    "BoundedSemaphore", semaphore_methods, make_bounded, true, true};
const struct ndi_hosted_kind ndi_kind_condition = {
    "Condition",
    (const struct ndi_act[]){
        NDI_ACT("acquire", false, act_acquire),
        NDI_ACT("release", false, act_release),
        NDI_ACT("wait", false, act_wait),
        NDI_ACT("notify", false, act_notify),
        NDI_ACT("notify_all", false, act_notify_all),
        NDI_ACT("locked", true, act_locked), NDI_ACT_END},
    make_condition, true, true};
