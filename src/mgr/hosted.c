/* SPDX-License-Identifier: MIT */
/*
 * hosted.c - hosted objects that are no arrays: SyncManager's types
 *
 * Each has one mutex, held while a method runs; a method that waits sleeps on
 * the object's condition, which lets go of it. What is stored is a copy and
 * what is answered is pickled before the mutex is free, since values belong to
 * one thread at a time. A waiter looks every now and then whether its client is
 * still there, so that the dead do not queue for locks.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <nd/view_impl.h>
#include <os/os.h>

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE_NS 100000000

static const struct ndi_hosted_kind *const kinds[] = {
    &ndi_kind_list,      &ndi_kind_dict,     &ndi_kind_set,
    &ndi_kind_namespace,
    &ndi_kind_iterator,  &ndi_kind_value,    &ndi_kind_array,
    &ndi_kind_queue,     &ndi_kind_joinable, &ndi_kind_lock,
    &ndi_kind_rlock,     &ndi_kind_semaphore, &ndi_kind_bounded,
    &ndi_kind_condition, &ndi_kind_event,    &ndi_kind_barrier};

const struct ndi_hosted_kind *
ndi_kind_find(const char *typeid_)
{
    for (size_t i = 0; i < NDI_ARRAY_LEN(kinds); i++) {
        // An iterator comes only from its container.
        if (strcmp(kinds[i]->name, typeid_) == 0 &&
            kinds[i] != &ndi_kind_iterator) {
            return kinds[i];
        }
    }
    return NULL;
}

void
ndi_state_fini(struct ndi_state *s)
{
    nds_value_free(s->value);
    ndi_keys_clear(&s->keys);
    ndi_holders_free(s->holders);
    ndi_type_drop(s);
    *s = (struct ndi_state){0};
}

static int
act_text(struct ndi_call *c, nds_value **out)
{
    char plain[100];
    char *text = NULL;
    int rc;

    if (c->self->kind->opaque) {
        snprintf(plain, sizeof plain, "<%.60s object>", c->self->typeid_);
        return ndi_act_made(nds_value_str(plain), out);
    }
    rc = nds_value_repr(c->self->state.value, &text);
    if (rc == 0) {
        rc = ndi_act_made(nds_value_str(text), out);
    }
    free(text);
    return rc;
}

static int
act_whole(struct ndi_call *c, nds_value **out)
{
    if (c->self->kind->opaque) {
        return ndi_raise(c, "TypeError", "cannot pickle '%.60s' object",
                         c->self->typeid_);
    }
    return ndi_act_made(ndi_value_get(c->self->state.value), out);
}

static const struct ndi_act common[] = {
    NDI_ACT("__str__", true, act_text),
    NDI_ACT("__repr__", true, act_text),
    NDI_ACT("#GETVALUE", true, act_whole), NDI_ACT_END};

static const struct ndi_act *
find_act(const struct ndi_act *m, const char *name)
{
    while (m->name != NULL && strcmp(m->name, name) != 0) {
        m++;
    }
    return m->name != NULL ? m : NULL;
}

const struct ndi_act *
ndi_kind_act(const struct ndi_hosted_kind *k, const char *name)
{
    const struct ndi_act *m = find_act(k->acts, name);

    return m != NULL ? m : find_act(common, name);
}

nds_value *
ndi_kind_names(const struct ndi_hosted_kind *k)
{
    nds_value *names = nds_value_tuple();

    for (const struct ndi_act *m = k->acts;
         names != NULL && m->name != NULL; m++) {
        if (!m->hidden && nds_value_append(names, nds_value_str(m->name)) < 0) {
            nds_value_free(names);
            names = NULL;
        }
    }
    return names;
}

int
ndi_raise(struct ndi_call *c, const char *name, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    nds_value_free(c->error);
    c->error = nds_value_exception(name, text[0] != '\0' ? text : NULL);
    return ndi_fail(NDS_EREMOTE, "%s: %s", name, text);
}

int
ndi_raise_key(struct ndi_call *c, const nds_value *key)
{
    nds_value_free(c->error);
    c->error = nds_value_exception("KeyError", NULL);
    if (nds_value_append(c->error, ndi_value_copy(key)) < 0) {
        nds_value_free(ndi_steal(&c->error));
        return NDS_ENOMEM;
    }
    return ndi_fail(NDS_EREMOTE, "KeyError");
}

int
ndi_act_made(nds_value *v, nds_value **out)
{
    *out = v;
    return v != NULL ? 0 : NDS_ENOMEM;
}

int
ndi_act_none(nds_value **out)
{
    return ndi_act_made(nds_value_none(), out);
}

int
ndi_act_text(const struct ndi_buf *b, nds_value **out)
{
    int rc = ndi_buf_ok(b);

    return rc < 0 ? rc
                  : ndi_act_made(nds_value_strn((const char *)b->data,
                                                b->nbytes), out);
}

int
ndi_act_iter(const nds_value *v, bool backward, nds_value **out)
{
    size_t width = v->kind == NDS_VALUE_DICT ? 2 : 1, n = v->count / width;
    nds_value *list = nds_value_list(), *args = nds_value_tuple();
    int rc = list == NULL ? NDS_ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = ndi_value_push(list, v->items[(backward ? n - 1 - i : i) * width]);
    }
    rc = rc < 0 ? rc : nds_value_append(args, ndi_steal(&list));
    nds_value_free(list);
    if (rc < 0) {
        nds_value_free(args);
        return rc;
    }
    return ndi_act_made(ndi_value_call("builtins", "iter", args, NULL, false),
                        out);
}

static int
pin_proxies(struct ndi_idents *t, const nds_value *v)
{
    int rc = 0;

    if (v->kind == NDS_VALUE_PROXY) {
        // Of another server, or of what is gone: kept as it is, as Python does.
        rc = ndi_idents_pin(t,
                            nds_value_text(v->items[1]->items[2], NULL));
        return rc == NDS_EKEY ? 0 : rc;
    }
    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        rc = pin_proxies(t, v->items[i]);
    }
    return rc;
}

int
ndi_act_keep(struct ndi_idents *t, const nds_value *v, nds_value **out)
{
    int rc = pin_proxies(t, v);

    return rc < 0 ? rc : ndi_act_made(ndi_value_copy(v), out);
}

int
ndi_act_keep_items(struct ndi_idents *t, nds_value *to, const nds_value *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++) {
        nds_value *v = NULL;

        rc = ndi_act_keep(t, from->items[i], &v);
        rc = rc < 0 ? rc : nds_value_append(to, v);
    }
    return rc;
}

int
ndi_act_check(struct ndi_call *c, const char *method, size_t least,
              size_t most, const char *const *names)
{
    size_t n = nds_value_count(c->args);

    if (ndi_call_check(c, method, most, names) < 0) {
        return NDS_ECAST;
    }
    for (size_t i = n; i < least; i++) {
        if (names == NULL || nds_value_get(c->kwds, names[i]) == NULL) {
            return ndi_raise(c, "TypeError", "%s() missing a required "
                             "argument (%zu given, at least %zu needed)",
                             method, n, least);
        }
    }
    return 0;
}

int
ndi_act_count(struct ndi_call *c, nds_value **out)
{
    return ndi_act_made(nds_value_int((int64_t)c->self->state.value->count),
                        out);
}

int
ndi_act_index(struct ndi_call *c, const nds_value *at, const char *type_words,
              const char *range_words, size_t *out)
{
    int64_t i, n = (int64_t)c->self->state.value->count;

    if (nds_value_kind(at) == NDS_VALUE_FLOAT || !nds_value_as_int(at, &i)) {
        return ndi_raise(c, "TypeError", "%s", type_words);
    }
    i += i < 0 ? n : 0;
    if (i < 0 || i >= n) {
        return ndi_raise(c, "IndexError", "%s", range_words);
    }
    *out = (size_t)i;
    return 0;
}

int
ndi_act_slice(struct ndi_call *c, const nds_value *at, const char *words,
              int64_t *start, int64_t *step, int64_t *count)
{
    nds_index x = {.kind = NDS_INDEX_SLICE};
    int64_t *part[3] = {&x.start, &x.stop, &x.step};

    for (size_t i = 0; i < 3; i++) {
        const nds_value *v = nds_value_item(at, i);

        if (nds_value_kind(v) == NDS_VALUE_NONE) {
            *part[i] = NDS_INDEX_MISSING;
        } else if (nds_value_kind(v) == NDS_VALUE_FLOAT ||
                   !nds_value_as_int(v, part[i])) {
            return ndi_raise(c, "TypeError", "%s", words);
        } else if (*part[i] < -INT64_MAX) {
            *part[i] = -INT64_MAX; // as far out, and not NDS_INDEX_MISSING
        }
    }
    if (x.step == 0) {
        return ndi_raise(c, "ValueError", "slice step cannot be zero");
    }
    *count = ndi_slice_count(&x, (int64_t)c->self->state.value->count, start,
                             step);
    return 0;
}

int
ndi_act_items(struct ndi_call *c, int64_t start, int64_t step, int64_t count,
              nds_value **out)
{
    nds_value *part = nds_value_list();

    for (int64_t k = 0; part != NULL && k < count; k++) {
        if (ndi_value_push(part, c->self->state.value->items[start + k * step])
            < 0) {
            nds_value_free(ndi_steal(&part));
        }
    }
    return ndi_act_made(part, out);
}

int
ndi_act_deadline(struct ndi_call *c, const nds_value *v, int64_t *deadline)
{
    double seconds = 0;

    *deadline = NDS_FOREVER;
    if (v == NULL || nds_value_kind(v) == NDS_VALUE_NONE) {
        return 0;
    }
    if (!nds_value_as_float(v, &seconds) || isnan(seconds)) {
        return ndi_raise(c, "TypeError", "a timeout must be a number or None");
    }
    if (seconds < 1e9) {
        // A deadline in the past, not 0: a zero would be a try without one.
        *deadline = seconds > 0 ? ndi_deadline((int64_t)(seconds * 1e9) + 1)
                                : 1;
    }
    return 0;
}

int
ndi_act_wait(struct ndi_call *c, int64_t deadline)
{
    int64_t at = ndi_now_ns() + SLICE_NS;
    struct timespec ts;
    int rc;

    if (deadline >= 0 && ndi_deadline_over(deadline)) {
        return NDS_ETIMEDOUT;
    }
    if (deadline >= 0 && deadline < at) {
        at = deadline;
    }
    ts.tv_sec = (time_t)(at / 1000000000);
    ts.tv_nsec = (long)(at % 1000000000);
    if (atomic_fetch_add(&c->idents->waiting, 1) >= NDI_MGR_WAITERS) {
        // Whoever would set this one free needs a thread.
        atomic_fetch_sub(&c->idents->waiting, 1);
        return ndi_raise(c, "RuntimeError", "%d calls wait here already",
                         NDI_MGR_WAITERS);
    }
    rc = pthread_cond_timedwait(&c->self->changed, &c->self->mutex, &ts);
    atomic_fetch_sub(&c->idents->waiting, 1);
    return rc == ETIMEDOUT && ndi_sock_ended(c->conn->fd) ? NDS_EEOF : 0;
}
