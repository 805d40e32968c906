/* SPDX-License-Identifier: MIT */
/*
 * hosted_event.c - Event and Barrier
 *
 * Event     state.flag: it is set; state.turn: how often it was set
 * Barrier   state.limit parties, state.count of them wait, state.turn counts
 *           the rounds that are over, state.who has a bit for each of the last
 *           64: it was broken; state.flag: it is broken, until a reset;
 *           state.value the time-out of waits that give none, or NULL
 *
 * A party that dies while it waits breaks the barrier: the others would wait
 * for ever.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <string.h>

static int
make_event(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
           const nds_value *kwds)
{
    (void)t;
    (void)s;
    return nds_value_count(args) + nds_value_count(kwds) == 0
               ? 0
               : ndi_fail(NDS_ECAST, "Event() takes no arguments");
}

static int
act_is_set(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(nds_value_bool(c->self->state.flag), out);
}

static int
act_set(struct ndi_call *c, nds_value **out)
{
    c->self->state.flag = true;
    c->self->state.turn++;
    pthread_cond_broadcast(&c->self->changed);
    return ndi_act_none(out);
}

static int
act_clear(struct ndi_call *c, nds_value **out)
{
    c->self->state.flag = false;
    return ndi_act_none(out);
}

/* usual: what holds if the call gives none, or None; may be NULL. */
static int
read_timeout(struct ndi_call *c, const nds_value *usual, int64_t *deadline)
{
    static const char *const names[] = {"timeout", NULL};
    const nds_value *timeout;
    int rc = ndi_act_check(c, "wait", 0, 1, names);

    if (rc < 0) {
        return rc;
    }
    timeout = ndi_call_arg(c, 0, "timeout");
    if (timeout == NULL || nds_value_kind(timeout) == NDS_VALUE_NONE) {
        timeout = usual;
    }
    return ndi_act_deadline(c, timeout, deadline);
}

static int
act_event_wait(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;
    int64_t deadline = 0, turn = s->turn;
    int rc = read_timeout(c, NULL, &deadline);

    // Set and cleared again meanwhile has woken us all the same.
    while (rc == 0 && !s->flag && s->turn == turn) {
        rc = ndi_act_wait(c, deadline);
    }
    return rc < 0 && rc != NDS_ETIMEDOUT
               ? rc
               : ndi_act_made(nds_value_bool(s->flag || s->turn != turn),
                              out);
}

static int
make_barrier(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
             const nds_value *kwds)
{
    const nds_value *parties = nds_value_item(args, 0);
    const nds_value *action = nds_value_item(args, 1);
    const nds_value *timeout = nds_value_item(args, 2);
    double seconds;

    (void)t;
    parties = parties != NULL ? parties : nds_value_get(kwds, "parties");
    action = action != NULL ? action : nds_value_get(kwds, "action");
    timeout = timeout != NULL ? timeout : nds_value_get(kwds, "timeout");
    if (action != NULL && nds_value_kind(action) != NDS_VALUE_NONE) {
        return ndi_fail(NDS_ECAST, "Barrier(): action must be None: functions "
                        "do not run here");
    }
    if (parties == NULL || !nds_value_as_int(parties, &s->limit)) {
        return ndi_fail(NDS_ECAST, "Barrier() takes the number of parties");
    }
    if (s->limit < 1) {
        return ndi_fail(NDS_EINVAL, "parties must be > 0");
    }
    if (timeout != NULL && nds_value_kind(timeout) != NDS_VALUE_NONE) {
        if (!nds_value_as_float(timeout, &seconds)) {
            return ndi_fail(NDS_ECAST, "a timeout must be a number or None");
        }
        s->value = nds_value_copy(timeout); // of waits that give none
        return s->value == NULL ? ndi_fail_nomem(64, "a barrier") : 0;
    }
    return 0;
}

static void
shatter(struct ndi_call *c)
{
    c->self->state.flag = true;
    pthread_cond_broadcast(&c->self->changed);
}

/* A round is over: those in it are told by its bit in the history, for others
 * may have come and gone before they look. */
static void
next_round(struct ndi_call *c, bool broken)
{
    struct ndi_state *s = &c->self->state;

    s->count = 0;
    s->turn++;
    s->who = s->who << 1 | (broken ? 1 : 0);
    pthread_cond_broadcast(&c->self->changed);
}

static bool
was_broken(const struct ndi_state *s, int64_t turn)
{
    int64_t ago = s->turn - turn - 1;

    return ago < 64 && (s->who >> ago & 1) != 0;
}

static int
broken(struct ndi_call *c)
{
    return ndi_raise(c, "BrokenBarrierError", "%s", "");
}

static int
act_barrier_wait(struct ndi_call *c, nds_value **out)
{
    struct ndi_state *s = &c->self->state;
    int64_t deadline = 0, turn = s->turn, place;
    int rc = read_timeout(c, s->value, &deadline);

    if (rc < 0) {
        return rc;
    }
    if (s->flag) {
        return broken(c);
    }
    place = s->count++;
    if (s->count == s->limit) {
        next_round(c, false);
        return ndi_act_made(nds_value_int(place), out);
    }
    while (rc == 0 && !s->flag && s->turn == turn) {
        rc = ndi_act_wait(c, deadline);
    }
    if (s->turn == turn) {
        s->count--;
        shatter(c);
    }
    if (rc == NDS_EEOF) {
        return rc;
    }
    return s->turn == turn || was_broken(s, turn)
               ? broken(c) : ndi_act_made(nds_value_int(place), out);
}

static int
act_abort(struct ndi_call *c, nds_value **out)
{
    shatter(c);
    return ndi_act_none(out);
}

/* Whoever waits is turned away; those who come later find it whole. */
static int
act_reset(struct ndi_call *c, nds_value **out)
{
    next_round(c, true);
    c->self->state.flag = false;
    return ndi_act_none(out);
}

static int
act_getattr(struct ndi_call *c, nds_value **out)
{
    const struct ndi_state *s = &c->self->state;
    const nds_value *v = nds_value_item(c->args, 0);
    const char *name;

    if (v == NULL || nds_value_kind(v) != NDS_VALUE_STR) {
        return ndi_raise(c, "TypeError", "attribute name must be string");
    }
    name = nds_value_text(v, NULL);
    if (strcmp(name, "parties") == 0) {
        return ndi_act_made(nds_value_int(s->limit), out);
    }
    if (strcmp(name, "n_waiting") == 0) {
        return ndi_act_made(nds_value_int(s->count), out);
    }
    if (strcmp(name, "broken") == 0) {
        return ndi_act_made(nds_value_bool(s->flag), out);
    }
    return ndi_raise(c, "AttributeError",
                     "'Barrier' object has no attribute '%.100s'", name);
}

const struct ndi_hosted_kind ndi_kind_event = {
    "Event",
    (const struct ndi_act[]){NDI_ACT("is_set", false, act_is_set),
                                NDI_ACT("set", false, act_set),
                                NDI_ACT("clear", false, act_clear),
                                NDI_ACT("wait", false, act_event_wait),
                                NDI_ACT_END},
    make_event, true, false};
const struct ndi_hosted_kind ndi_kind_barrier = {
    "Barrier",
    (const struct ndi_act[]){
        NDI_ACT("__getattribute__", false, act_getattr),
        NDI_ACT("wait", false, act_barrier_wait),
        NDI_ACT("abort", false, act_abort),
        NDI_ACT("reset", false, act_reset), NDI_ACT_END},
    make_barrier, true, false};
