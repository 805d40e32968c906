/* SPDX-License-Identifier: MIT */
/*
 * manager.h - a server process that hosts objects, and proxies on them
 *
 *     nds_manager *m;
 *     nds_proxy *p;
 *     nds_value *sum;
 *     nds_manager_start(&m, NULL);              // a server of our own
 *     nds_manager_create(m, &p, "ones", "((1000, 1000),)");
 *     nds_proxy_call(p, &sum, "sum", NULL, NULL);
 *
 * The wire is CPython's multiprocessing.managers: a stock
 * BaseManager(address, authkey).connect() is a client of our server.
 *
 * What goes wrong: a wrong key is NDS_EAUTH; a server that died gives
 * NDS_EEOF from every call. References of a client that dies over a Unix
 * socket are dropped with it; over TCP they last until shutdown. Handles are
 * MT-safe; after fork each process opens connections of its own.
 */
#ifndef NDSHARE_MANAGER_H
#define NDSHARE_MANAGER_H

#include <ndshare/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_manager nds_manager; /* a client, and maybe the starter */
typedef struct nds_proxy nds_proxy;
typedef struct nds_server nds_server; /* being one */

typedef struct nds_manager_options {
    size_t size;
    const char *address; /* "/path", "@abstract", "host:port"; NULL: a fresh
                            Unix socket */
    const void *authkey; /* NULL for start: a random one */
    size_t authkey_nbytes;
    int start;          /* enum nds_start for nds_manager_start, 0 = fork */
    int64_t timeout_ns; /* connect, handshake and calls; 0 = 30 s */
} nds_manager_options;

/* Makes a hosted object for `create`; args is a tuple, kwds a dict. The result
 * becomes the hosted array. */
typedef int (*nds_factory_fn)(const nds_value *args, const nds_value *kwds,
                              nds_array **out, void *ctx);
/* Before nds_manager_start (fork), nds_server_run, or in a program that calls
 * nds_init (spawn). ones zeros full empty arange random load are there, and
 * SyncManager's list dict set Namespace Value Array Queue JoinableQueue Event
 * Lock RLock Semaphore BoundedSemaphore Condition Barrier. */
NDS_API int nds_factory_register(const char *typeid_, nds_factory_fn fn,
                                 void *ctx);
/* A hosted type of your own. make answers with an object that drop (may be NULL)
 * frees; a method gets the object, a tuple and a dict, and answers with a value
 * of its own (*out left NULL: None). Calls of one object run one at a time. What
 * fails sets the record (nds_error_set) and returns its code: the client gets
 * the Python exception that stands for it. Everything in it must stay there. */
typedef struct nds_hosted_method {
    const char *name; /* NULL ends the list */
    int (*run)(void *object, const nds_value *args, const nds_value *kwds,
               nds_value **out, void *ctx);
} nds_hosted_method;
typedef struct nds_hosted_type {
    size_t size;
    int (*make)(void **object, const nds_value *args, const nds_value *kwds,
                void *ctx);
    void (*drop)(void *object, void *ctx);
    const nds_hosted_method *methods;
    void *ctx;
} nds_hosted_type;
/* When, as for factories; it goes before what has the same name. */
NDS_API int nds_hosted_register(const char *typeid_,
                                const nds_hosted_type *type);
/* Registers `typeid_` as another name of an existing one. */
NDS_API int nds_factory_alias(const char *typeid_, const char *existing);

NDS_API int nds_manager_start(nds_manager **out,
                              const nds_manager_options *opts);
NDS_API int nds_manager_connect(nds_manager **out,
                                const nds_manager_options *opts);
/* Ends the server (starter or any client). */
NDS_API int nds_manager_shutdown(nds_manager *m);
/* Drops the handle; the starter's last handle shuts the server down. */
NDS_API void nds_manager_close(nds_manager *m);
/* One request to the server itself, with a tuple of arguments (NULL: none):
 * "number_of_objects", "debug_info", a SharedMemoryManager's "list_segments",
 * "track_segment", "release_segment". out may be NULL. */
NDS_API int nds_manager_ask(nds_manager *m, nds_value **out,
                            const char *function, const nds_value *args);
NDS_API const char *nds_manager_address(const nds_manager *m);
NDS_API const void *nds_manager_authkey(const nds_manager *m, size_t *nbytes);

/* `args`: a Python tuple literal, or NULL. */
NDS_API int nds_manager_create(nds_manager *m, nds_proxy **out,
                               const char *typeid_, const char *args);
NDS_API int nds_manager_create_value(nds_manager *m, nds_proxy **out,
                                     const char *typeid_,
                                     const nds_value *args,
                                     const nds_value *kwds);
NDS_API void nds_proxy_close(nds_proxy *p); /* decref */
NDS_API int nds_proxy_get(nds_proxy **out, nds_proxy *p);

/* NDS_EREMOTE: the method raised; the message is the remote text. args a
 * tuple, kwds a dict, both may be NULL and stay the caller's. */
NDS_API int nds_proxy_call(nds_proxy *p, nds_value **out, const char *method,
                           const nds_value *args, const nds_value *kwds);
/* For methods that answer with an object of their own, as dict.__iter__ and
 * Pool.apply_async of a server of Python's: a proxy on it [caller closes].
 * NDS_ECAST: it answered with a value. */
NDS_API int nds_proxy_call_proxy(nds_proxy *p, nds_proxy **out,
                                 const char *method, const nds_value *args,
                                 const nds_value *kwds);
/* A proxy as a value: an argument, or an item of a hosted container. It holds no
 * reference: keep p until it has been sent. NULL: no memory. */
NDS_API nds_value *nds_proxy_value(const nds_proxy *p);
/* The proxy that a value which came from this manager stands for; takes a
 * reference of its own. NDS_ECAST: the value is none. */
NDS_API int nds_manager_adopt(nds_manager *m, nds_proxy **out,
                              const nds_value *value);
NDS_API const char *nds_proxy_typeid(const nds_proxy *p); /* "list" */
NDS_API int nds_proxy_str(nds_proxy *p, char **text);  /* [caller frees] */
NDS_API int nds_proxy_repr(nds_proxy *p, char **text); /* [caller frees] */
/* "sum", "max", ... -> double */
NDS_API int nds_proxy_reduce(nds_proxy *p, const char *method, double *out);
/* Copies a slice: "[0, ::2]", or NULL for all. */
NDS_API int nds_proxy_fetch(nds_proxy *p, nds_array **out, const char *slice);
NDS_API int nds_proxy_store(nds_proxy *p, const char *slice,
                            nds_array *value);
/* The hosted array itself, no copy; same machine, Unix socket. NDS_ENOTSUP
 * over TCP or with a stock Python server. */
NDS_API int nds_proxy_map(nds_proxy *p, nds_array **out, enum nds_mode mode);

/* Be a server: bind, then run until shutdown. ready (may be NULL) is called
 * with the address once clients can connect. */
NDS_API int nds_server_new(nds_server **out, const nds_manager_options *opts);
NDS_API const char *nds_server_address(const nds_server *s);
NDS_API int nds_server_run(nds_server *s);
NDS_API void nds_server_stop(nds_server *s); /* async-signal-safe */
NDS_API void nds_server_free(nds_server *s);

#ifdef __cplusplus
}
#endif
#endif
