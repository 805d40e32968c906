/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - a handle on a hosted object
 *
 * A proxy is one reference on the server, charged to this process. A child of
 * fork inherits the handle but not the reference: its first use takes one of
 * its own, and closing a handle it never used gives nothing back.
 */
#include <mgr/mgr_impl.h>

#include <array/array_impl.h>
#include <base/fail.h>
#include <ndshare/ops.h>
#include <os/os.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nds_value *
one_text(const char *text)
{
    nds_value *t = nds_value_tuple();

    if (nds_value_append(t, nds_value_str(text)) < 0) {
        nds_value_free(t);
        return NULL;
    }
    return t;
}

static int
count(nds_manager *m, const char *fn, const char *id)
{
    nds_value *args = one_text(id);

    return args != NULL ? ndi_manager_ask(m, fn, args, NULL, NULL)
                        : NDS_ENOMEM;
}

/* Takes over one reference on the server; gives it back if it fails. */
static int
proxy_new(nds_proxy **out, nds_manager *m, const char *typeid_,
          const char *id, const nds_value *exposed, int64_t nbytes)
{
    nds_proxy *p = calloc(1, sizeof *p);
    char *copy = strdup(id), *type = strdup(typeid_);

    if (p == NULL || copy == NULL || type == NULL) {
        free(p);
        free(copy);
        free(type);
        (void)count(m, "decref", id);
        return ndi_fail_nomem(sizeof *p, "a proxy");
    }
    atomic_init(&p->refs, 1);
    atomic_init(&p->epoch, ndi_fork_epoch());
    pthread_mutex_init(&p->lock, NULL);
    p->manager = ndi_manager_get(m);
    p->id = copy;
    p->typeid_ = type;
    if (exposed != NULL && nds_value_kind(exposed) == NDS_VALUE_TUPLE) {
        p->exposed = ndi_value_copy(exposed);
    }
    // Never negative where the server can hand the array out.
    p->can_map = nbytes >= 0;
    p->nbytes = nbytes;
    *out = p;
    return 0;
}

int
ndi_proxy_own(nds_proxy *p)
{
    int rc = 0;

    if (atomic_load(&p->epoch) == ndi_fork_epoch()) {
        return 0;
    }
    pthread_mutex_lock(&p->lock);
    if (atomic_load(&p->epoch) != ndi_fork_epoch()) {
        rc = count(p->manager, "incref", p->id);
        if (rc == 0) {
            atomic_store(&p->epoch, ndi_fork_epoch());
        }
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int
nds_manager_create_value(nds_manager *m, nds_proxy **out,
                         const char *typeid_, const nds_value *args,
                         const nds_value *kwds)
{
    nds_value *all = one_text(typeid_);
    nds_value *made = NULL;
    const nds_value *id, *can;
    bool can_map = false;
    int64_t nbytes = 0;
    int rc = all != NULL ? 0 : NDS_ENOMEM;

    *out = NULL;
    for (size_t i = 0; rc == 0 && args && i < nds_value_count(args); i++) {
        rc = ndi_value_push(all, args->items[i]);
    }
    if (rc < 0) {
        nds_value_free(all);
        return rc;
    }
    rc = ndi_manager_ask(
        m, "create", all,
        kwds != NULL ? ndi_value_get((nds_value *)kwds) : NULL, &made);
    if (rc < 0) {
        return rc;
    }
    id = nds_value_item(made, 0);
    can = nds_value_get(nds_value_item(made, 2), "map");
    if (id == NULL || nds_value_kind(id) != NDS_VALUE_STR) {
        rc = ndi_fail(NDS_EPROTO, "create answered without an ident");
    } else {
        if (can != NULL) {
            nds_value_as_bool(can, &can_map);
            can = nds_value_get(nds_value_item(made, 2), "nbytes");
        }
        if (can != NULL && (!nds_value_as_int(can, &nbytes) || nbytes < 0)) {
            nbytes = 0;
        }
        rc = proxy_new(out, m, typeid_, nds_value_text(id, NULL),
                       nds_value_item(made, 1), can_map ? nbytes : -1);
    }
    nds_value_free(made);
    return rc;
}

int
nds_manager_create(nds_manager *m, nds_proxy **out, const char *typeid_,
                   const char *args)
{
    nds_value *v = NULL;
    int rc = 0;

    *out = NULL;
    if (args != NULL) {
        rc = nds_value_parse(&v, args);
        if (rc == 0 && nds_value_kind(v) != NDS_VALUE_TUPLE) {
            rc = ndi_fail(NDS_EINVAL, "create: the arguments '%s' are no "
                          "tuple; one argument is written (x,)", args);
        }
    }
    if (rc == 0) {
        rc = nds_manager_create_value(m, out, typeid_, v, NULL);
    }
    nds_value_free(v);
    return rc;
}

int
nds_proxy_get(nds_proxy **out, nds_proxy *p)
{
    atomic_fetch_add(&p->refs, 1);
    *out = p;
    return 0;
}

void
nds_proxy_close(nds_proxy *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) {
        return;
    }
    if (atomic_load(&p->epoch) == ndi_fork_epoch()) {
        // A server that is gone holds nothing either.
        (void)count(p->manager, "decref", p->id);
    }
    nds_array_close(p->map);
    nds_manager_close(p->manager);
    pthread_mutex_destroy(&p->lock);
    nds_value_free(p->exposed);
    free(p->typeid_);
    free(p->id);
    free(p);
}

/* Of (exposed, token) */
static const char *
token_id(const nds_value *made)
{
    return nds_value_text(nds_value_item(nds_value_item(made, 1), 2), NULL);
}

int
nds_proxy_call(nds_proxy *p, nds_value **out, const char *method,
               const nds_value *args, const nds_value *kwds)
{
    nds_value *value = NULL;
    bool is_proxy = false;
    int rc = ndi_proxy_own(p);

    if (rc == 0) {
        rc = ndi_manager_call(p->manager, p->id, method, args, kwds, &value,
                              &is_proxy);
    }
    if (is_proxy) {
        // Made for us, and nobody will use it.
        (void)count(p->manager, "decref", token_id(value));
        rc = ndi_fail(NDS_ENOTSUP, "%s answers with a proxy: "
                      "nds_proxy_call_proxy takes it", method);
        nds_value_free(ndi_steal(&value));
    }
    if (out != NULL) {
        *out = value;
    } else {
        nds_value_free(value);
    }
    return rc;
}

int
nds_proxy_call_proxy(nds_proxy *p, nds_proxy **out, const char *method,
                     const nds_value *args, const nds_value *kwds)
{
    nds_value *made = NULL;
    bool is_proxy = false;
    int rc = ndi_proxy_own(p);

    *out = NULL;
    if (rc == 0) {
        rc = ndi_manager_call(p->manager, p->id, method, args, kwds, &made,
                              &is_proxy);
    }
    if (rc == 0 && !is_proxy) {
        rc = ndi_fail(NDS_ECAST, "%s answered with a value, not a proxy",
                      method);
    }
    if (rc == 0) {
        // The server has counted one reference for us.
        const nds_value *token = nds_value_item(made, 1);

        rc = proxy_new(out, p->manager,
                       nds_value_text(nds_value_item(token, 0), NULL),
                       token_id(made), nds_value_item(made, 0), -1);
    }
    nds_value_free(made);
    return rc;
}

const char *
nds_proxy_typeid(const nds_proxy *p)
{
    return p->typeid_;
}

/* The class of a stock Python's proxies on a SyncManager's type. */
static const char *
proxy_class(const char *typeid_)
{
    static const char *const classes[][2] = {
        {"list", "ListProxy"},           {"dict", "DictProxy"},
        {"set", "SetProxy"},             {"Namespace", "NamespaceProxy"},
        {"Value", "ValueProxy"},         {"Array", "ArrayProxy"},
        {"Event", "EventProxy"},         {"Lock", "AcquirerProxy"},
        {"RLock", "AcquirerProxy"},      {"Semaphore", "AcquirerProxy"},
        {"BoundedSemaphore", "AcquirerProxy"},
        {"Condition", "ConditionProxy"}, {"Barrier", "BarrierProxy"},
        {"Pool", "PoolProxy"},           {"Iterator", "IteratorProxy"}};

    for (size_t i = 0; i < NDI_ARRAY_LEN(classes); i++) {
        if (strcmp(classes[i][0], typeid_) == 0) {
            return classes[i][1];
        }
    }
    return "AutoProxy";
}

/* RebuildProxy(class, Token(typeid, address, id), 'pickle', keywords): every
 * stock Python can make a proxy of that; an AutoProxy is told the methods. */
nds_value *
nds_proxy_value(const nds_proxy *p)
{
    nds_value *v = ndi_value_new(NDS_VALUE_PROXY);
    nds_value *token = ndi_value_new(NDS_VALUE_TOKEN);
    nds_value *kwds = nds_value_dict();
    const char *class = proxy_class(p->typeid_);
    int rc = token == NULL || kwds == NULL ? NDS_ENOMEM : 0;

    if (rc == 0) {
        rc = nds_value_append(token, nds_value_str(p->typeid_));
        rc |= nds_value_append(token, ndi_addr_value(&p->manager->addr));
        rc |= nds_value_append(token, nds_value_str(p->id));
        if (p->exposed != NULL && strcmp(class, "AutoProxy") == 0) {
            rc |= nds_value_set(kwds, "exposed", ndi_value_copy(p->exposed));
        }
    }
    rc |= nds_value_append(v, ndi_value_type("multiprocessing.managers",
                                             class));
    rc |= nds_value_append(v, token);
    rc |= nds_value_append(v, nds_value_str("pickle"));
    rc |= nds_value_append(v, kwds);
    if (rc != 0) {
        nds_value_free(v);
        return NULL;
    }
    return v;
}

int
nds_manager_adopt(nds_manager *m, nds_proxy **out, const nds_value *value)
{
    const nds_value *token = value;
    const nds_value *exposed = NULL;
    const char *id;
    int rc;

    *out = NULL;
    if (nds_value_kind(value) == NDS_VALUE_PROXY) {
        token = nds_value_item(value, 1);
        exposed = nds_value_get(nds_value_item(value, 3), "exposed");
    }
    if (nds_value_kind(token) != NDS_VALUE_TOKEN) {
        return ndi_fail(NDS_ECAST, "adopt: the value is no proxy");
    }
    id = nds_value_text(nds_value_item(token, 2), NULL);
    rc = count(m, "incref", id);
    return rc < 0 ? rc
                  : proxy_new(out, m,
                              nds_value_text(nds_value_item(token, 0), NULL),
                              id, exposed, -1);
}

static int
call_text(nds_proxy *p, const char *method, char **text)
{
    nds_value *v;
    size_t n;
    int rc = nds_proxy_call(p, &v, method, NULL, NULL);

    *text = NULL;
    if (rc == 0 && nds_value_kind(v) != NDS_VALUE_STR) {
        rc = ndi_fail(NDS_EPROTO, "%s answered with no text", method);
    }
    if (rc == 0) {
        *text = strdup(nds_value_text(v, &n));
        rc = *text != NULL ? 0 : ndi_fail_nomem(n, "a text");
    }
    nds_value_free(v);
    return rc;
}

int
nds_proxy_str(nds_proxy *p, char **text)
{
    return call_text(p, "__str__", text);
}

int
nds_proxy_repr(nds_proxy *p, char **text)
{
    return call_text(p, "__repr__", text);
}

int
nds_proxy_reduce(nds_proxy *p, const char *method, double *out)
{
    nds_value *v;
    int rc = nds_proxy_call(p, &v, method, NULL, NULL);

    *out = 0;
    if (rc == 0 && !nds_value_as_float(v, out)) {
        rc = ndi_fail(NDS_EPROTO, "%s answered with no number", method);
    }
    nds_value_free(v);
    return rc;
}

/* ---- to another process ------------------------------------------------- */

static int
carry_pack(void *handle, struct ndi_parcel *parcel)
{
    nds_proxy *p = handle;
    int rc = ndi_proxy_own(p);

    if (rc < 0) {
        return rc;
    }
    ndi_parcel_add_str(parcel, p->manager->addr.text);
    ndi_parcel_add_bytes(parcel, p->manager->key, p->manager->key_nbytes);
    ndi_parcel_add_u64(parcel, (uint64_t)p->manager->timeout_ns);
    ndi_parcel_add_str(parcel, p->typeid_);
    ndi_parcel_add_str(parcel, p->id);
    ndi_parcel_add_u64(parcel, p->can_map ? (uint64_t)p->nbytes
                                          : UINT64_MAX);
    return ndi_parcel_ok(parcel);
}

static int
carry_unpack(struct ndi_parcel *parcel, void **handle)
{
    const char *address = ndi_parcel_str(parcel);
    size_t nbytes;
    const void *key = ndi_parcel_bytes(parcel, &nbytes);
    int64_t timeout_ns = (int64_t)ndi_parcel_u64(parcel);
    const char *type = ndi_parcel_str(parcel);
    const char *id = ndi_parcel_str(parcel);
    int64_t array_nbytes = (int64_t)ndi_parcel_u64(parcel);
    nds_manager *m = NULL;
    nds_proxy *p = NULL;
    int rc = ndi_parcel_ok(parcel);

    *handle = NULL;
    if (rc == 0) {
        rc = ndi_manager_new(&m, address, key, nbytes, timeout_ns);
    }
    if (rc == 0) {
        rc = count(m, "incref", id);
    }
    if (rc == 0) {
        rc = proxy_new(&p, m, type, id, NULL, array_nbytes);
    }
    nds_manager_close(m);
    *handle = p;
    return rc;
}

static void
carry_close(void *handle)
{
    nds_proxy_close(handle);
}

static struct ndi_carrier carrier = {"proxy", carry_pack, carry_unpack,
                                     carry_close, NULL};

__attribute__((constructor)) static void
register_carrier(void)
{
    ndi_carrier_register(&carrier);
}
