/* SPDX-License-Identifier: MIT */
/*
 * mgr_impl.h - inside a manager's server and its clients
 *
 * A hosted object is an array with an ident, counted references and a lock of
 * its own, so that calls on different objects, and readers of one, run at the
 * same time. Lock order: the table's lock, then nothing; an object's lock is
 * never taken under the table's.
 */
#ifndef NDI_MGR_IMPL_H
#define NDI_MGR_IMPL_H

#include <ndshare/manager.h>
#include <wire/wire.h>

#include <pthread.h>

#define NDI_MGR_TIMEOUT NDS_SEC(30)
#define NDI_MGR_CONNS 1024 /* at once */
/* What our own clients write where stock Python writes None, and no server
 * looks. Ours answers `create` with one item more. */
#define NDI_MGR_HELLO "ndshare/1"

/* ---- idents.c: hosted objects and who holds them ---- */
struct ndi_hosted {
    char id[24];
    char typeid_[64];
    nds_array *array;
    pthread_rwlock_t lock; /* of the array's elements */
    int64_t refs;  /* of clients, under the table's lock */
    int users;     /* calls that run on it now, under the table's lock */
    bool disposed; /* no references left: freed by its last user */
    struct ndi_hosted *next;
};

struct ndi_peer; /* a process on this machine that holds references */

struct ndi_idents {
    pthread_mutex_t lock;
    struct ndi_hosted *objects;
    struct ndi_peer *peers;
    uint64_t next_id;
    int count;
};

int ndi_idents_init(struct ndi_idents *t);
void ndi_idents_fini(struct ndi_idents *t);
/* Hosts the array (taken over, also on failure) with one reference charged to
 * `pid` (0: to nobody). *out may be used until ndi_idents_put. */
int ndi_idents_add(struct ndi_idents *t, const char *typeid_, nds_array *a,
                   pid_t pid, struct ndi_hosted **out);
/* NULL if there is none. */
struct ndi_hosted *ndi_idents_get(struct ndi_idents *t, const char *id);
void ndi_idents_put(struct ndi_idents *t, struct ndi_hosted *h);
/* NDS_EKEY */
int ndi_idents_incref(struct ndi_idents *t, const char *id, pid_t pid);
int ndi_idents_decref(struct ndi_idents *t, const char *id, pid_t pid);
int ndi_idents_count(struct ndi_idents *t);
/* What debug_info answers [caller frees]. */
int ndi_idents_debug(struct ndi_idents *t, char **text);
/* The pidfds of peers, at most room: to poll. */
int ndi_idents_pidfds(struct ndi_idents *t, int *fds, int room);
/* Drops what the process behind the pidfd held, and forgets it. */
void ndi_idents_bury(struct ndi_idents *t, int pidfd);

/* ---- factories.c ---- */
/* NDS_EKEY if nobody registered the name. */
int ndi_factory_make(const char *typeid_, const nds_value *args,
                     const nds_value *kwds, nds_array **out);
/* A shape from an int, a tuple or a list: NDS_EINVAL. */
int ndi_shape_of_value(const nds_value *v, int *ndim, int64_t *shape);

/* ---- methods.c ---- */
struct ndi_call {
    struct ndi_hosted *self;
    struct ndi_idents *idents;
    const nds_value *args; /* a tuple */
    const nds_value *kwds; /* a dict */
};
struct ndi_method {
    const char *name;
    bool writes;
    bool hidden; /* works, but is not in `exposed` */
    int (*run)(const struct ndi_call *c, nds_value **out);
};
const struct ndi_method *ndi_method_find(const char *name);
nds_value *ndi_method_names(void); /* the `exposed` tuple */
/* The argument at `at`, or by name; NULL if it was not given. */
const nds_value *ndi_call_arg(const struct ndi_call *c, size_t at,
                              const char *name);
/* TypeError when there are more than `most`, or a keyword is not among
 * `names` (NULL-ended). */
int ndi_call_check(const struct ndi_call *c, const char *method, size_t most,
                   const char *const *names);
const nds_view *ndi_call_view(const struct ndi_call *c);

/* ---- method_reduce.c, method_index.c, method_arith.c ---- */
extern const struct ndi_method ndi_reduce_methods[];
extern const struct ndi_method ndi_index_methods[];
extern const struct ndi_method ndi_arith_methods[];

/* ---- convert.c ---- */
/* A number as Python's own, anything else as a NumPy scalar. */
nds_value *ndi_value_of_element(const nds_view *v);
/* A number of Python's or NumPy's; false for what is none. */
bool ndi_scalar_of_value(const nds_value *v, nds_scalar *out);
/* Any array-like: numbers, arrays, nested lists, proxies of our own objects.
 * *weak: a plain Python number. [caller closes] */
int ndi_array_of_value(struct ndi_idents *t, const nds_value *v,
                       nds_array **out, bool *weak);
/* The array, or its number if it has no dimensions. Takes `a` over. */
nds_value *ndi_value_of_result(nds_array *a);
/* Python indices: an index, a slice, a tuple of them. */
int ndi_index_of_value(const nds_value *v, nds_index *index, int *count,
                       bool *ellipsis);
nds_value *ndi_value_of_index(const nds_index *index, int count);
nds_value *ndi_value_of_list(const nds_view *v); /* tolist() */

/* ---- dispatch.c ---- */
struct ndi_service {
    struct ndi_idents idents;
    const unsigned char *key;
    size_t key_nbytes;
    int64_t timeout_ns;
    void (*stop)(struct ndi_service *s); /* a client asked for shutdown */
    void (*peers_changed)(struct ndi_service *s);
};
/* One connection, from handshake to its end. */
void ndi_serve_conn(struct ndi_service *s, struct ndi_conn *c);
/* What follows the handshake. */
void ndi_serve_proved(struct ndi_service *s, struct ndi_conn *c,
                      int64_t deadline);

/* ---- client.c ---- */
struct nds_manager {
    _Atomic uint32_t refs;
    struct ndi_addr addr;
    unsigned char *key;
    size_t key_nbytes;
    int64_t timeout_ns;
    bool starter;
    uint64_t epoch;       /* of the process that made it */
    struct nds_proc *proc; /* the server, of a starter */
    pthread_mutex_t lock;
    struct ndi_conn idle[8]; /* method channels nobody uses now */
    int nidle;
};
/* One request on a connection of its own. */
int ndi_manager_ask(nds_manager *m, const char *fn, nds_value *args,
                    nds_value *kwds, nds_value **out);
/* One request on a method channel. */
int ndi_manager_call(nds_manager *m, const char *id, const char *method,
                     const nds_value *args, const nds_value *kwds,
                     nds_value **out);
int ndi_manager_open(nds_manager *m, struct ndi_conn *c);
/* The value of a reply, or its failure as ours. Takes the reply over. */
int ndi_reply_value(nds_value *reply, nds_value **out);
nds_manager *ndi_manager_get(nds_manager *m);
int ndi_manager_new(nds_manager **out, const char *address, const void *key,
                    size_t nbytes, int64_t timeout_ns);

/* (kind, a, b, c) of a request; args and kwds may be NULL. */
nds_value *ndi_request(nds_value *first, const char *name, nds_value *args,
                       nds_value *kwds);

#endif
