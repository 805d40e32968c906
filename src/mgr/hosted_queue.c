/* SPDX-License-Identifier: MIT */
/*
 * hosted_queue.c - Queue and JoinableQueue, first in first out
 *
 * state.value   the items         state.limit   the most there may be, 0: any
 * state.count   items put and not yet said to be done (JoinableQueue)
 *
 * An item whose reply cannot be sent goes back in front: a consumer that was
 * killed while it waited takes nothing with it.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

void
ndi_queue_undo(struct ndi_hosted *h, nds_value *item)
{
    pthread_mutex_lock(&h->mutex);
    if (ndi_value_insert(h->state.value, 0, item) == 0) {
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->mutex);
}

static int
make_queue(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
           const nds_value *kwds)
{
    const nds_value *most = nds_value_item(args, 0);

    (void)t;
    most = most != NULL ? most : nds_value_get(kwds, "maxsize");
    if (nds_value_count(args) > 1 ||
        (most != NULL && !nds_value_as_int(most, &s->limit))) {
        return ndi_fail(NDS_ECAST, "Queue() takes a maxsize");
    }
    s->limit = s->limit < 0 ? 0 : s->limit;
    s->value = nds_value_list();
    return s->value != NULL ? 0 : NDS_ENOMEM;
}

static bool
is_full(const struct ndi_state *s)
{
    return s->limit > 0 && s->value->count >= (size_t)s->limit;
}

/* block=True, timeout=None from argument `at` on. */
static int
read_wait(struct ndi_call *c, size_t at, bool *block, int64_t *deadline)
{
    const nds_value *b = ndi_call_arg(c, at, "block");
    const nds_value *timeout = ndi_call_arg(c, at + 1, "timeout");
    double seconds = 0;

    *block = true;
    *deadline = NDS_FOREVER;
    if (b != NULL && !nds_value_as_bool(b, block)) {
        return ndi_raise(c, "TypeError", "block must be a bool");
    }
    if (*block && timeout != NULL && nds_value_as_float(timeout, &seconds) &&
        seconds < 0) {
        return ndi_raise(c, "ValueError",
                         "'timeout' must be a non-negative number");
    }
    return *block ? ndi_act_deadline(c, timeout, deadline) : 0;
}

static int
put(struct ndi_call *c, bool block, int64_t deadline, nds_value **out)
{
    const nds_value *item = ndi_call_arg(c, 0, "item");
    struct ndi_state *s = &c->self->state;
    nds_value *v = NULL;
    int rc = 0;

    while (rc == 0 && is_full(s)) {
        rc = block ? ndi_act_wait(c, deadline) : NDS_ETIMEDOUT;
    }
    if (rc == NDS_ETIMEDOUT) {
        return ndi_raise(c, "Full", "%s", "");
    }
    rc = rc < 0 ? rc : ndi_act_keep(c->idents, item, &v);
    rc = rc < 0 ? rc : nds_value_append(s->value, v);
    if (rc < 0) {
        return rc;
    }
    s->count++;
    pthread_cond_broadcast(&c->self->changed);
    return ndi_act_none(out);
}

static int
act_put(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"item", "block", "timeout", NULL};
    int64_t deadline = 0;
    bool block = true;
    int rc = ndi_act_check(c, "put", 1, 3, names);

    rc = rc < 0 ? rc : read_wait(c, 1, &block, &deadline);
    return rc < 0 ? rc : put(c, block, deadline, out);
}

static int
act_put_nowait(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"item", NULL};
    int rc = ndi_act_check(c, "put_nowait", 1, 1, names);

    return rc < 0 ? rc : put(c, false, 0, out);
}

static int
get(struct ndi_call *c, bool block, int64_t deadline, nds_value **out)
{
    struct ndi_state *s = &c->self->state;
    nds_value *item;
    int rc = 0;

    while (rc == 0 && s->value->count == 0) {
        rc = block ? ndi_act_wait(c, deadline) : NDS_ETIMEDOUT;
    }
    if (rc == NDS_ETIMEDOUT) {
        return ndi_raise(c, "Empty", "%s", "");
    }
    if (rc < 0) {
        return rc;
    }
    item = ndi_value_cut(s->value, 0);
    c->taken = ndi_value_get(item);
    pthread_cond_broadcast(&c->self->changed);
    return ndi_act_made(item, out);
}

static int
act_get(struct ndi_call *c, nds_value **out)
{
    static const char *const names[] = {"block", "timeout", NULL};
    int64_t deadline = 0;
    bool block = true;
    int rc = ndi_act_check(c, "get", 0, 2, names);

    rc = rc < 0 ? rc : read_wait(c, 0, &block, &deadline);
    return rc < 0 ? rc : get(c, block, deadline, out);
}

static int
act_get_nowait(struct ndi_call *c, nds_value **out)
{
    return get(c, false, 0, out);
}

static int
act_empty(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(nds_value_bool(c->self->state.value->count == 0),
                        out);
}

static int
act_full(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(nds_value_bool(is_full(&c->self->state)), out);
}

static int
act_task_done(struct ndi_call *c, nds_value **out)
{
    if (c->self->state.count == 0) {
        return ndi_raise(c, "ValueError", "task_done() called too many times");
    }
    if (--c->self->state.count == 0) {
        pthread_cond_broadcast(&c->self->changed);
    }
    return ndi_act_none(out);
}

static int
act_join(struct ndi_call *c, nds_value **out)
{
    int rc = 0;

    while (rc == 0 && c->self->state.count > 0) {
        rc = ndi_act_wait(c, NDS_FOREVER);
    }
    return rc < 0 ? rc : ndi_act_none(out);
}

static const struct ndi_act queue_methods[] = {
    NDI_ACT("empty", false, act_empty), NDI_ACT("full", false, act_full),
    NDI_ACT("get", false, act_get),
    NDI_ACT("get_nowait", false, act_get_nowait),
    NDI_ACT("join", false, act_join), NDI_ACT("put", false, act_put),
    NDI_ACT("put_nowait", false, act_put_nowait),
    NDI_ACT("qsize", false, ndi_act_count),
    NDI_ACT("task_done", false, act_task_done), NDI_ACT_END};

const struct ndi_hosted_kind ndi_kind_queue = {"Queue", queue_methods, make_queue,
                                        true, false};
const struct ndi_hosted_kind ndi_kind_joinable = {"JoinableQueue", queue_methods,
                                           make_queue, true, false};
