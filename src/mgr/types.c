/* SPDX-License-Identifier: MIT */
/*
 * types.c - hosted types of the program's own
 *
 * Each becomes a kind like ours, whose acts call the program's methods. Types
 * are never taken back: what has been registered stays.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <base/options.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ndi_type {
    struct ndi_hosted_kind kind; /* first: a kind of ours is in its type */
    char name[64];
    nds_hosted_type type;
    struct ndi_type *next;
};

static struct ndi_type *types;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int
act_method(struct ndi_call *c, nds_value **out)
{
    const nds_hosted_type *t = &c->self->state.type->type;
    const nds_hosted_method *m = t->methods;
    int rc;

    // It was found by this name in the list made of these.
    while (strcmp(m->name, c->method) != 0) {
        m++;
    }
    rc = m->run(c->self->state.object, c->args, c->kwds, out, t->ctx);
    if (rc < 0) {
        nds_value_free(ndi_steal(out));
        return rc == NDS_EEOF ? NDS_EREMOTE : rc; // the client is still there
    }
    return *out != NULL ? 0 : ndi_act_none(out);
}

static int
make(struct ndi_idents *t, struct ndi_state *s, const nds_value *args,
     const nds_value *kwds)
{
    const nds_hosted_type *type = &s->type->type;
    int rc = type->make(&s->object, args, kwds, type->ctx);

    (void)t;
    if (rc < 0) {
        s->type = NULL; // nothing to drop
    }
    return rc < 0 ? rc : 0;
}

void
ndi_type_drop(struct ndi_state *s)
{
    if (s->type != NULL && s->type->type.drop != NULL) {
        s->type->type.drop(s->object, s->type->type.ctx);
    }
}

static struct ndi_type *
find_locked(const char *typeid_)
{
    struct ndi_type *t = types;

    while (t != NULL && strcmp(t->name, typeid_) != 0) {
        t = t->next;
    }
    return t;
}

const struct ndi_hosted_kind *
ndi_type_find(const char *typeid_)
{
    struct ndi_type *t;

    pthread_mutex_lock(&lock);
    t = find_locked(typeid_);
    pthread_mutex_unlock(&lock);
    return t != NULL ? &t->kind : NULL;
}

const struct ndi_type *
ndi_type_of(const struct ndi_hosted_kind *k)
{
    return k->make == make ? (const struct ndi_type *)k : NULL;
}

int
nds_hosted_register(const char *typeid_, const nds_hosted_type *type)
{
    struct ndi_type *t = calloc(1, sizeof *t);
    struct ndi_act *acts = NULL;
    size_t n = 0;
    int rc = 0;

    if (t != NULL) {
        ndi_options_copy(&t->type, sizeof t->type, type);
    }
    if (t != NULL && (typeid_[0] == '\0' ||
                      strlen(typeid_) >= sizeof t->name ||
                      t->type.make == NULL || t->type.methods == NULL)) {
        rc = ndi_fail(NDS_EINVAL, "type '%.80s': a name of 1 to 63 bytes, "
                      "make and methods are needed", typeid_);
    }
    while (t != NULL && rc == 0 && t->type.methods[n].name != NULL) {
        n++;
    }
    acts = t != NULL ? calloc(n + 1, sizeof *acts) : NULL;
    if (acts == NULL) {
        rc = ndi_fail_nomem(sizeof *t, "a type");
    }
    if (rc < 0) {
        free(acts);
        free(t);
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        acts[i] = (struct ndi_act){t->type.methods[i].name, false,
                                   act_method};
    }
    snprintf(t->name, sizeof t->name, "%s", typeid_);
    t->kind = (struct ndi_hosted_kind){.name = t->name, .acts = acts,
                                       .make = make, .opaque = true};
    pthread_mutex_lock(&lock);
    t->next = types; // before one of the same name
    types = t;
    pthread_mutex_unlock(&lock);
    return 0;
}
