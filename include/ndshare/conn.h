/* SPDX-License-Identifier: MIT */
/*
 * conn.h - connections to any Python: multiprocessing.connection in C
 *
 *     nds_conn_options o = {.size = sizeof o, .authkey = "k", .authkey_nbytes = 1};
 *     nds_listener *l;
 *     nds_conn *c;
 *     nds_listener_new(&l, "/tmp/door", &o);
 *     nds_listener_accept(l, &c, NDS_FOREVER);  // Client("/tmp/door", authkey=b"k")
 *     nds_conn_recv_array(c, &a, NDS_SEC(5));   // conn.send(numpy_array)
 *     nds_conn_send(c, value, NDS_SEC(5));      // conn.recv()
 *
 * Stock CPython 3.8 to 3.14 is a full peer, in either role, with nothing of
 * ours installed. What arrives is read without running anything: a fixed list
 * of types, everything else NDS_EREFUSED by name.
 *
 * Addresses: "/path" (anything with a slash), "@abstract" (Python's
 * "\0abstract"), "host:port", ":port" or a port alone (on 127.0.0.1; a
 * listener on "0.0.0.0:port" hears all interfaces).
 *
 * Time-outs are until a message begins. One that has begun gets the time of
 * the connection's options, and a second more for each 4 MiB of it: a peer
 * that stalls in the middle costs that, and the connection. After
 * NDS_ETIMEDOUT (NDS_EAGAIN where the time-out was 0) nothing has happened and
 * the call may be made again.
 *
 * What goes wrong: NDS_EEOF the peer ended between messages; NDS_EPROTO it
 * ended in one, stalled, or does not speak the protocol: that direction of the
 * connection gives NDS_EBROKEN from then on. What was refused, or is too large
 * for the buffer given, leaves the connection as it was. One thread may send
 * while another receives; two senders need a lock. A child of fork has the
 * same connection and must leave it to one of the two processes. A peer that
 * is killed is an end like any other. The handshake proves the two ends;
 * nothing after it is encrypted.
 */
#ifndef NDSHARE_CONN_H
#define NDSHARE_CONN_H

#include <ndshare/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_conn nds_conn;
typedef struct nds_listener nds_listener;

typedef struct nds_conn_options {
    size_t size;
    const void *authkey; /* NULL: no handshake, as Python's authkey=None */
    size_t authkey_nbytes;
    int64_t timeout_ns; /* to connect and shake hands; for what of a message
                           is outstanding once it has begun; 0: 30 s */
    uint64_t max_bytes; /* of one message that is taken; 0: 64 GiB. Memory
                           grows with what arrives, not with what is said */
    int protocol;       /* pickle protocol that is sent: 5 (0) or 4 */
    /* A listener tells of each client it turned away, and why (NDS_EAUTH the
     * wrong key). May be NULL. */
    void (*refused)(void *ctx, int code, const char *why);
    void *ctx;
} nds_conn_options;

/*
 * nds_listener_new - bind an address and listen
 *
 *   address  NULL: a fresh name in the abstract space
 *
 * Errors   NDS_EEXIST somebody listens there; NDS_EINVAL address, or an empty
 *          key; a socket file that nobody listens on any more is taken over
 */
NDS_API int nds_listener_new(nds_listener **out, const char *address,
                             const nds_conn_options *opts);
/* As bound: with the port that was chosen for port 0. */
NDS_API const char *nds_listener_address(const nds_listener *l);
/*
 * nds_listener_accept - the next client that has proved it has the key
 *
 * Handshakes of many clients go on side by side: one that stalls, lies, or has
 * another key is dropped in its own time and holds up nobody. They go on while
 * somebody is in this call only. At most 64 are under way; one more drops the
 * oldest.
 *
 * Errors     NDS_ETIMEDOUT, NDS_EAGAIN; NDS_ESYS no descriptors are left
 * Threads    one thread a listener at a time
 * Fork       the child's handle is a listener of its own on the same door
 */
NDS_API int nds_listener_accept(nds_listener *l, nds_conn **out,
                                int64_t timeout_ns);
/* Readable when accept has something to do, maybe without a result; the
 * listener's [lent]. A child of fork asks again. */
NDS_API int nds_listener_fd(nds_listener *l, int *fd);
/* Removes the socket's path if it is still this listener's. NULL is fine. */
NDS_API void nds_listener_close(nds_listener *l);

/* NDS_ENOENT nobody listens there; NDS_EAUTH; NDS_EPROTO; NDS_ETIMEDOUT */
NDS_API int nds_conn_connect(nds_conn **out, const char *address,
                             const nds_conn_options *opts);
/* Over a stream socket that is there: no handshake. Python's
 * Connection(fd). The descriptor is taken over, also on failure. */
NDS_API int nds_conn_adopt(nds_conn **out, int fd,
                           const nds_conn_options *opts);
NDS_API void nds_conn_close(nds_conn *c); /* NULL is fine */

/* Python's send and recv: any value, whole. Array data is written straight
 * from the arrays' memory, and arrives in that of new arrays. */
NDS_API int nds_conn_send(nds_conn *c, const nds_value *v,
                          int64_t timeout_ns);
NDS_API int nds_conn_recv(nds_conn *c, nds_value **out, int64_t timeout_ns);
NDS_API int nds_conn_send_array(nds_conn *c, nds_array *a,
                                int64_t timeout_ns);
/* NDS_EDTYPE what came is no array; it is gone. */
NDS_API int nds_conn_recv_array(nds_conn *c, nds_array **out,
                                int64_t timeout_ns);
/* v[...] = what comes, with broadcasting and casting. Straight into v's memory
 * if dtype, shape and order are the same, and 64 KiB or more come. On failure
 * the content of v is undefined. NDS_EDTYPE, NDS_ESHAPE, NDS_EREADONLY */
NDS_API int nds_conn_recv_array_into(nds_conn *c, const nds_view *v,
                                     int64_t timeout_ns);

/* Python's send_bytes and recv_bytes: one message of raw bytes. */
NDS_API int nds_conn_send_bytes(nds_conn *c, const void *data, size_t nbytes,
                                int64_t timeout_ns);
/* A NUL stands behind the last byte. [caller frees] */
NDS_API int nds_conn_recv_bytes(nds_conn *c, void **data, size_t *nbytes,
                                int64_t timeout_ns);
/* recv_bytes_into. NDS_EBUFFER: *nbytes are needed; the message stays for the
 * next call. */
NDS_API int nds_conn_recv_bytes_into(nds_conn *c, void *data, size_t room,
                                     size_t *nbytes, int64_t timeout_ns);
/* The elements alone, in C order, with no copy between the array's memory and
 * the socket if they lie in C order there: Python's send_bytes(a) and
 * recv_bytes_into(a). NDS_EBUFFER: the message, which stays, has another
 * number of bytes. */
NDS_API int nds_conn_send_view(nds_conn *c, const nds_view *v,
                               int64_t timeout_ns);
NDS_API int nds_conn_recv_view(nds_conn *c, const nds_view *v,
                               int64_t timeout_ns);

/* 0: a message has begun, or the end is there. NDS_ETIMEDOUT, NDS_EAGAIN */
NDS_API int nds_conn_poll(nds_conn *c, int64_t timeout_ns);
/* multiprocessing.connection.wait: until one of `count` is as poll wants it;
 * ready[i] says which are. NDS_ETIMEDOUT, NDS_EAGAIN */
NDS_API int nds_conn_wait(nds_conn *const *conns, int count, bool *ready,
                          int64_t timeout_ns);
/* The socket, readable when a message comes; the connection's [lent]. */
NDS_API int nds_conn_fd(const nds_conn *c, int *fd);
/* The process at the other end, as the kernel saw it connect. NDS_ENOTSUP
 * over TCP. */
NDS_API int nds_conn_peer(const nds_conn *c, int64_t *pid, uint32_t *uid);

#ifdef __cplusplus
}
#endif
#endif
