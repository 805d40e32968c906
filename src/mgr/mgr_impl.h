/* SPDX-License-Identifier: MIT */
/*
 * mgr_impl.h - inside a manager's server and its clients
 *
 * A hosted object is an array, or the state of a kind (hosted.c), with an
 * ident, counted references and locks of its own, so that calls on different
 * objects, and readers of one array, run at the same time. Lock order: an
 * object's lock or mutex, then the table's; under the table's, nothing.
 */
#ifndef NDI_MGR_IMPL_H
#define NDI_MGR_IMPL_H

#include <base/attr.h>
#include <ndshare/manager.h>
#include <wire/wire.h>

#include <pthread.h>

#define NDI_MGR_TIMEOUT NDS_SEC(30)
#define NDI_MGR_THREADS 1088 /* of one server */
#define NDI_MGR_WAITERS 1024 /* calls that wait: the others go on */
#define NDI_MGR_KEEP ((size_t)64 << 20) /* bytes that a client does not take */
/* What our own clients write where stock Python writes None, and no server
 * looks. Ours answers `create` with one item more. */
#define NDI_MGR_HELLO "ndshare/1"

/* ---- idents.c: hosted objects and who holds them ---- */
struct ndi_hosted_kind;
/* ---- keys.c: where a key is in a dict (of which entries are pairs of items) or
 * in a set ---- */
struct ndi_keys {
    uint32_t *slots;
    size_t room, used;
};
/* Whether it can be one: NDS_ECAST. */
int ndi_keys_check(const nds_value *key);
/* dict->count if it is not there. */
size_t ndi_keys_find(const struct ndi_keys *k, const nds_value *dict,
                     const nds_value *key);
/* Before an entry is appended: NDS_ENOMEM; and when it has been, at `at`. */
int ndi_keys_reserve(struct ndi_keys *k, const nds_value *dict);
void ndi_keys_add(struct ndi_keys *k, const nds_value *dict, size_t at);
/* Before the entry at `at` is cut out. */
void ndi_keys_cut(struct ndi_keys *k, const nds_value *dict, size_t at);
void ndi_keys_clear(struct ndi_keys *k);

struct ndi_holder;
struct ndi_type;
/* What a hosted object is that is no array; all under its mutex. What each
 * number means is said by the kind's file. */
struct ndi_state {
    nds_value *value;
    struct ndi_keys keys;       /* of a dict or a set */
    struct ndi_holder *holders; /* of a semaphore */
    const struct ndi_type *type; /* of an object of a registered type */
    void *object;
    int64_t limit;
    int64_t count;
    int64_t turn;
    bool flag;
    pid_t pid;    /* the process that holds it, 0: none, or none we know */
    uint64_t who; /* the connection that holds it, 0: none */
};
struct ndi_hosted {
    char id[24];
    char typeid_[64];
    nds_array *array; /* NULL: an object of `kind` */
    const struct ndi_hosted_kind *kind;
    struct ndi_state state;
    pthread_mutex_t mutex;  /* of the state */
    pthread_cond_t changed; /* the state is another */
    bool pinned; /* a hosted container holds a proxy of it: never disposed */
    pthread_rwlock_t lock; /* of the array's elements */
    bool mapped; /* a client may have it: the array's own lock counts, too */
    int readers; /* methods that hold that one together, under `mutex` */
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
    _Atomic int waiting; /* calls in ndi_act_wait */
    _Atomic bool fresh;  /* a process is watched that was not before */
};

int ndi_idents_init(struct ndi_idents *t);
void ndi_idents_fini(struct ndi_idents *t);
/* Hosts the array, or the state of a kind (taken over, also on failure), with
 * one reference charged to `pid` (0: to nobody). *out may be used until
 * ndi_idents_put. */
int ndi_idents_add(struct ndi_idents *t, const char *typeid_, nds_array *a,
                   const struct ndi_hosted_kind *kind, struct ndi_state *state,
                   pid_t pid, struct ndi_hosted **out);
/* Whether the process lives; if so its death will be seen. */
bool ndi_idents_watch(struct ndi_idents *t, pid_t pid);
/* A process (or, pid 0, a connection) is gone: what it held comes free. */
void ndi_idents_left(struct ndi_idents *t, pid_t pid, uint64_t who);
/* Keeps the object for as long as the server lives: NDS_EKEY. */
int ndi_idents_pin(struct ndi_idents *t, const char *id);
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
bool ndi_factory_is_registered(const char *typeid_);
/* A shape from an int, a tuple or a list: NDS_EINVAL. */
int ndi_shape_of_value(const nds_value *v, int *ndim, int64_t *shape);

/* ---- methods.c ---- */
struct ndi_call {
    struct ndi_hosted *self;
    struct ndi_idents *idents;
    const char *method;
    const nds_value *args; /* a tuple */
    const nds_value *kwds; /* a dict */
    struct ndi_conn *conn;
    pid_t pid; /* of the client, 0: not known */
    nds_value *error; /* set by NDS_EREMOTE: the exception to raise */
    nds_value *taken; /* given back to the object if the reply is not sent */
    bool acquired;    /* the same for a lock */
    bool proxy;       /* the result is that of a #PROXY reply */
};
/* ---- access.c: a hosted array's elements, and clients that have mapped it */
struct ndi_access {
    struct ndi_hosted *h;
    bool writes, locked;
};
/* Before a method: NDS_ETIMEDOUT (with words) if a client keeps the lock. */
int ndi_access_begin(struct ndi_access *a, struct ndi_hosted *h, bool writes,
                     int64_t timeout_ns);
void ndi_access_end(struct ndi_access *a);
/* From now on clients may have it mapped. */
void ndi_access_share(struct ndi_hosted *h);

struct ndi_method {
    const char *name;
    bool writes;
    bool hidden; /* works, but is not in `exposed` */
    int (*run)(const struct ndi_call *c, nds_value **out);
};
/* The same of a kind, which may say more in the call. */
struct ndi_act {
    const char *name;
    bool hidden;
    int (*run)(struct ndi_call *c, nds_value **out);
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

/* ---- hosted.c: objects that are no arrays ---- */
struct ndi_hosted_kind {
    const char *name; /* the typeid */
    const struct ndi_act *acts;
    int (*make)(struct ndi_idents *t, struct ndi_state *s,
                const nds_value *args, const nds_value *kwds);
    bool opaque; /* has no value to send */
    bool dies;   /* who holds it lets go of it by ending */
};
#define NDI_ACT(name, hidden, fn) {name, hidden, fn}
#define NDI_ACT_END {NULL, false, NULL}
const struct ndi_hosted_kind *ndi_kind_find(const char *typeid_);
const struct ndi_act *ndi_kind_act(const struct ndi_hosted_kind *k,
                                   const char *name);
nds_value *ndi_kind_names(const struct ndi_hosted_kind *k);
/* A failed act: raises the exception. Returns NDS_EREMOTE. */
int ndi_raise(struct ndi_call *c, const char *name, const char *fmt, ...)
    NDI_PRINTF(3, 4);
int ndi_raise_key(struct ndi_call *c, const nds_value *key); /* KeyError(key) */
int ndi_act_made(nds_value *v, nds_value **out); /* NDS_ENOMEM for NULL */
int ndi_act_none(nds_value **out);
int ndi_act_text(const struct ndi_buf *b, nds_value **out); /* a str of it */
/* What goes over the items, or the keys of a dict: iter(list) to the client. */
int ndi_act_iter(const nds_value *v, bool backward, nds_value **out);
/* A copy for the state; proxies of our objects in it are pinned. */
int ndi_act_keep(struct ndi_idents *t, const nds_value *v, nds_value **out);
/* The same for the items of `from`, onto the end of `to`. */
int ndi_act_keep_items(struct ndi_idents *t, nds_value *to,
                       const nds_value *from);
/* TypeError unless there are `least` to `most` arguments, keywords among the
 * names (NULL-ended) counted as the arguments they name. */
int ndi_act_check(struct ndi_call *c, const char *method, size_t least,
                  size_t most, const char *const *names);
/* Of an object whose value is a list: how many items (an act); the place of
 * one, from 0 on (TypeError, IndexError with those words); a slice, clipped as
 * Python does (TypeError); and the items of that slice as a list. */
int ndi_act_count(struct ndi_call *c, nds_value **out);
int ndi_act_index(struct ndi_call *c, const nds_value *at,
                  const char *type_words, const char *range_words,
                  size_t *out);
int ndi_act_slice(struct ndi_call *c, const nds_value *at, const char *words,
                  int64_t *start, int64_t *step, int64_t *count);
int ndi_act_items(struct ndi_call *c, int64_t start, int64_t step,
                  int64_t count, nds_value **out);
/* Sleeps until the state changed: 0, NDS_ETIMEDOUT, NDS_EEOF (the client is
 * gone or the server stops). */
int ndi_act_wait(struct ndi_call *c, int64_t deadline);
/* None: for ever; a number: so many seconds from now. */
int ndi_act_deadline(struct ndi_call *c, const nds_value *v,
                     int64_t *deadline);
void ndi_state_fini(struct ndi_state *s);
/* hosted_lock.c: what a process, or a connection (pid 0), held comes free. */
void ndi_lock_left(struct ndi_hosted *h, pid_t pid, uint64_t who);
/* hosted_queue.c: puts an item back in front (taken over). */
void ndi_queue_undo(struct ndi_hosted *h, nds_value *item);
/* Takes an acquire back whose reply could not be sent. */
void ndi_lock_undo(struct ndi_hosted *h, pid_t pid);
void ndi_holders_free(struct ndi_holder *first);
extern const struct ndi_hosted_kind ndi_kind_list, ndi_kind_dict, ndi_kind_set,
    ndi_kind_namespace, ndi_kind_iterator, ndi_kind_value, ndi_kind_array, ndi_kind_queue,
    ndi_kind_joinable, ndi_kind_lock, ndi_kind_rlock, ndi_kind_semaphore,
    ndi_kind_bounded, ndi_kind_condition, ndi_kind_event, ndi_kind_barrier;

/* ---- convert.c ---- */
/* A number as Python's own, anything else as a NumPy scalar. */
nds_value *ndi_value_of_element(const nds_view *v);
/* A number of Python's or NumPy's; false for what is none. */
bool ndi_scalar_of_value(const nds_value *v, nds_scalar *out);
/* Any array-like: numbers, arrays, nested lists, proxies of our own objects.
 * *weak: a plain Python number. [caller closes] */
int ndi_array_of_value(struct ndi_idents *t, const nds_value *v,
                       nds_array **out, bool *weak);
/* dst[...] = v, which is `value` by now. A weak number must fit, as Python's
 * do: NDS_EOVERFLOW, NDS_EINVAL for NaN as an integer, NDS_ECAST for a complex
 * number as a real one. */
int ndi_assign_value(const nds_view *dst, const nds_value *v,
                     const nds_array *value, bool weak);
/* The array, or its number if it has no dimensions. Takes `a` over. */
nds_value *ndi_value_of_result(nds_array *a);
/* Python indices: an index, a slice, a tuple of them. */
int ndi_index_of_value(const nds_value *v, nds_index *index, int *count,
                       bool *ellipsis);
nds_value *ndi_value_of_index(const nds_index *index, int count);
nds_value *ndi_value_of_list(const nds_view *v); /* tolist() */

/* ---- types.c: hosted types of the program's own ---- */
/* NULL: none of that name. */
const struct ndi_hosted_kind *ndi_type_find(const char *typeid_);
/* The type of such a kind; NULL for one of ours. */
const struct ndi_type *ndi_type_of(const struct ndi_hosted_kind *k);
void ndi_type_drop(struct ndi_state *s);

/* ---- segments.c: shared memory that goes with the server ---- */
struct ndi_segments {
    pthread_mutex_t lock;
    char **names;
    size_t count;
};
void ndi_segments_init(struct ndi_segments *t);
void ndi_segments_fini(struct ndi_segments *t); /* unlinks what is left */
int ndi_segments_track(struct ndi_segments *t, const char *name);
int ndi_segments_release(struct ndi_segments *t, const char *name); /* and
                                                      unlinks it: NDS_EKEY */
nds_value *ndi_segments_list(struct ndi_segments *t);

/* ---- dispatch.c ---- */
struct ndi_service {
    struct ndi_idents idents;
    struct ndi_segments segments;
    const unsigned char *key;
    size_t key_nbytes;
    int64_t timeout_ns;
    void (*stop)(struct ndi_service *s); /* a client asked for shutdown */
    void (*peers_changed)(struct ndi_service *s);
};
/* The first message: 1 the connection is a channel of calls now, 0 it has been
 * answered and ends. */
int ndi_serve_request(struct ndi_service *s, struct ndi_conn *c,
                      const struct ndi_message *m);
/* One message of a channel; < 0 ends it. */
int ndi_serve_call(struct ndi_service *s, struct ndi_conn *c,
                   const struct ndi_message *m);
/* The thread's last failure as a remote traceback. */
int ndi_reply_traceback(struct ndi_service *s, struct ndi_conn *c, int code);

/* ---- session.c ---- */
struct ndi_session {
    struct ndi_conn conn;
    struct ndi_service *service;
    struct ndi_handshake hands;
    int stage;
    _Atomic int64_t deadline; /* when it is shut, -1 never */
    int64_t parked_ns;
    bool stranger; /* the pool's: in the list of those without proof */
    struct ndi_session *next, **at;
};
/* Takes fd over. */
void ndi_session_init(struct ndi_session *s, struct ndi_service *service,
                      int fd);
void ndi_session_skip_proof(struct ndi_session *s);
bool ndi_session_is_proved(const struct ndi_session *s);
/* Greets the client, then serves what has come: what to wait for next, 1 input, 2 room for output, or 0
 * at its end. */
int ndi_session_run(struct ndi_session *s);
void ndi_session_fini(struct ndi_session *s);
/* To its end by this thread alone, fini included. */
void ndi_serve_alone(struct ndi_session *s);

/* ---- pool.c ---- */
struct ndi_pool {
    struct ndi_service *service;
    int set;
    int wake[2];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended; /* a session or a thread */
    struct ndi_session *strangers, *proved;
    int sessions, nstrangers;
    int threads, idle;
    bool stopping;
    pthread_t left; /* the thread that ended last ... */
    bool has_left;  /* ... if one has, and nobody joined it */
};
int ndi_pool_init(struct ndi_pool *p, struct ndi_service *service);
/* A client that has connected; takes fd over. */
void ndi_pool_add(struct ndi_pool *p, int fd);
void ndi_pool_drop_stranger(struct ndi_pool *p);
void ndi_pool_expire(struct ndi_pool *p); /* ends those who are late */
/* Ends all sessions, then all threads. */
void ndi_pool_stop(struct ndi_pool *p);
void ndi_pool_fini(struct ndi_pool *p);

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
    /* Method channels that nobody uses now, the last used one last, and the
     * threads whose they are. */
    struct {
        struct ndi_conn conn;
        uint64_t thread;
    } idle[64];
    int nidle;
};
/* One request on a connection of its own. */
int ndi_manager_ask(nds_manager *m, const char *fn, nds_value *args,
                    nds_value *kwds, nds_value **out);
/* One request on a method channel. */
int ndi_manager_call(nds_manager *m, const char *id, const char *method,
                     const nds_value *args, const nds_value *kwds,
                     nds_value **out, bool *proxy);
int ndi_manager_open(nds_manager *m, struct ndi_conn *c);
/* The value of a reply, or its failure as ours. Takes the reply over. *proxy:
 * the value is (exposed, token) of an object made for us; NULL takes none. */
int ndi_reply_value(nds_value *reply, nds_value **out, bool *proxy);
nds_manager *ndi_manager_get(nds_manager *m);
int ndi_manager_new(nds_manager **out, const char *address, const void *key,
                    size_t nbytes, int64_t timeout_ns);

/* ---- proxy.c, proxy_array.c ---- */
struct nds_proxy {
    _Atomic uint32_t refs;
    nds_manager *manager;
    char *id;
    char *typeid_;
    nds_value *exposed; /* the tuple of the methods' names, or NULL */
    bool can_map;
    int64_t nbytes;  /* of the array, 0: not known */
    _Atomic uint64_t epoch; /* the process whose reference it is */
    pthread_mutex_t lock;
    nds_array *map; /* of the array, once much of it was copied */
};
/* Makes sure that this process holds a reference of its own. */
int ndi_proxy_own(nds_proxy *p);

/* (kind, a, b, c) of a request; args and kwds may be NULL. */
nds_value *ndi_request(nds_value *first, const char *name, nds_value *args,
                       nds_value *kwds);

#endif
