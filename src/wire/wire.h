/* SPDX-License-Identifier: MIT */
/*
 * wire.h - CPython's multiprocessing.connection, from C
 *
 * An address, frames with their length in front, the mutual proof of a shared
 * key, and connections and listeners that put them together. Every wait has a
 * deadline, which the stock protocol itself does not know.
 */
#ifndef NDI_WIRE_H
#define NDI_WIRE_H

#include <ndshare/conn.h>
#include <pickle/pickle.h>

#include <sys/types.h>

#define NDI_AUTH_LIMIT 256 /* bytes of one handshake message */
#define NDI_FRAME_LIMIT ((uint64_t)1 << 36) /* bytes of one message */

/* ---- addr.c ---- */
struct ndi_addr {
    bool tcp;
    uint16_t port;
    size_t nbytes;   /* of name */
    char name[128];  /* a path, "\0abstract", or the host; NUL-terminated */
    char text[160];  /* as people write it */
};
/* "/path" (or anything with a slash), "@abstract", "host:port", ":port" or a
 * port alone (on 127.0.0.1). NDS_EINVAL. */
int ndi_addr_parse(struct ndi_addr *a, const char *text);
/* A name in the abstract space that nobody has: nothing stays behind if its
 * listener is killed. */
int ndi_addr_fresh(struct ndi_addr *a);
/* As Python spells it: ('host', port), '/path', or '\0name'. */
nds_value *ndi_addr_value(const struct ndi_addr *a);

/* ---- frame.c ---- */
/* One message. NDS_EEOF the peer ended between messages; NDS_EPROTO a length
 * below -1, beyond `limit`, or an end in the middle; NDS_ETIMEDOUT.
 * [caller frees *data] */
int ndi_frame_read(int fd, uint64_t limit, void **data, size_t *nbytes,
                   int64_t deadline);
/* What stands in front of a message, of which `have` bytes have come: 1 and the
 * length; 0 if *head bytes are needed to tell; NDS_EPROTO. */
int ndi_frame_head(const unsigned char *h, size_t have, uint64_t limit,
                   size_t *head, uint64_t *nbytes);
/* The nbytes of a message, of which `have` (at most all) have come.
 * [caller frees *data] */
int ndi_frame_body(int fd, uint64_t nbytes, const void *begun, size_t have,
                   void **data, int64_t deadline);
/* Our code for a failed read; `between` two messages, or within one. */
int ndi_frame_failed(int rc, bool between);
/* The same into a buffer of `room` bytes. */
int ndi_frame_read_into(int fd, void *data, size_t room, size_t *nbytes,
                        int64_t deadline);
int ndi_frame_write(int fd, const void *data, size_t nbytes,
                    int64_t deadline);
/* iov[0] is left for the header. */
struct iovec;
int ndi_frame_writev(int fd, struct iovec *iov, int count, int64_t deadline);
/* The same in two steps: the header goes into h and iov[0]; then all that the
 * vector shows is sent. After NDS_ETIMEDOUT it shows what is left. */
void ndi_frame_begin(struct iovec *iov, int count, unsigned char h[12]);
int ndi_frame_resume(int fd, struct iovec *iov, int count, int64_t deadline);

/* ---- handshake.c ---- */
/*
 * Each side proves to the other that it has the key, in four stages: a
 * listener delivers a challenge and judges the answer, then answers one and
 * hears the verdict; a client the other way round. What has come is kept, so
 * a handshake can go on whenever something has arrived, and one thread can
 * lead any number of them.
 */
#define NDI_CHALLENGE_NBYTES 48 /* "{sha256}" and 40 random bytes */
struct ndi_handshake {
    int fd;
    int stage; /* which comes next */
    int left;  /* how many are to come */
    size_t have; /* bytes of `in` */
    unsigned char m[NDI_CHALLENGE_NBYTES]; /* our challenge */
    unsigned char in[12 + NDI_AUTH_LIMIT]; /* one message and its length */
};
void ndi_handshake_begin(struct ndi_handshake *h, int fd, bool listener);
/* 0 it is done. NDS_ETIMEDOUT: nothing more came by the deadline (0: has come
 * by now); go on later. NDS_EAUTH, NDS_EPROTO, NDS_EEOF: it failed. */
int ndi_handshake_go(struct ndi_handshake *h, const void *key, size_t nbytes,
                     int64_t deadline);
/* Half of it: NDS_EAUTH, NDS_EPROTO, NDS_EEOF, NDS_ETIMEDOUT. */
int ndi_auth_deliver(int fd, const void *key, size_t nbytes,
                     int64_t deadline);
int ndi_auth_answer(int fd, const void *key, size_t nbytes, int64_t deadline);

/* ---- auth.c ---- */
int ndi_auth_check_key(const void *key, size_t nbytes);
/* What answers the challenge `m`, and whether `r` does. */
int ndi_auth_respond(const void *key, size_t key_nbytes, const void *m,
                     size_t nbytes, unsigned char *out, size_t *out_nbytes);
int ndi_auth_verify(const void *key, size_t key_nbytes, const void *m,
                    size_t nbytes, const void *r, size_t r_nbytes);

/* ---- conn.c ---- */
struct ndi_conn {
    int fd;
    bool local;  /* a Unix socket: pid and uid are the peer's */
    pid_t pid;
    uid_t uid;
    uint64_t epoch; /* the process image that opened it */
    uint64_t serial; /* of this connection, in this process */
    unsigned char *ahead; /* heap, NDI_AHEAD bytes; NULL: nothing is read ahead */
    size_t at, end;       /* what was read ahead and not yet taken */
    int64_t patience_ns;  /* how long one receive blocks, where ahead */
    /* ndi_conn_try: a message too long for that, as far as it has come. */
    unsigned char *body;
    size_t body_have, body_room, body_nbytes;
    /* ndi_conn_send_or_keep: what has not gone yet. */
    unsigned char *rest;
    size_t rest_at, rest_nbytes;
    int quick; /* waits in a row that a spin would have been enough for */
    int wary;  /* as many are needed before the next spin */
    bool holds; /* a manager's: it has held a lock that ends with it */
};
/* Takes fd over. */
void ndi_conn_init(struct ndi_conn *c, int fd);
void ndi_conn_close(struct ndi_conn *c);
/* key NULL: no handshake. */
int ndi_conn_open(struct ndi_conn *c, const struct ndi_addr *a,
                  const void *key, size_t key_nbytes, int64_t deadline);
int ndi_conn_send(struct ndi_conn *c, const nds_value *v, int64_t deadline);
int ndi_conn_send_pickle(struct ndi_conn *c, const struct ndi_pickle *p,
                         int64_t deadline);
int ndi_conn_recv(struct ndi_conn *c, nds_value **out, int64_t deadline);
/* Sends it, unless the peer takes nothing for a while: what is left then, `most`
 * bytes at most, is kept in the connection for ndi_conn_flush. */
int ndi_conn_send_or_keep(struct ndi_conn *c, const struct ndi_pickle *p,
                          size_t most, int64_t deadline);
/* Sends what was kept, as much as goes: 1 all of it, 0 not yet. */
int ndi_conn_flush(struct ndi_conn *c);

/* ---- ahead.c ---- */
#define NDI_AHEAD 8192
#define NDI_SPIN_NS 50000
struct ndi_message {
    const void *data; /* until the connection's next message */
    size_t nbytes;
    void *heap; /* of a message that does not fit what is read ahead */
};
/* For messages in turns: from now on one blocking receive, of at most
 * patience_ns, waits for a message and takes it whole. Descriptors beside
 * bytes would be lost: where they come, ndi_conn_next_exactly. */
int ndi_conn_read_ahead(struct ndi_conn *c, int64_t patience_ns);
int ndi_conn_next(struct ndi_conn *c, struct ndi_message *m,
                  int64_t deadline);
/* The same, and not a byte more than the message. */
int ndi_conn_next_exactly(struct ndi_conn *c, struct ndi_message *m,
                          int64_t deadline);
void ndi_message_fini(struct ndi_message *m);
/* Without waiting: 1 and a message, 0 it has not come whole, or a failure. What
 * has come stays with the connection. */
int ndi_conn_try(struct ndi_conn *c, uint64_t limit, struct ndi_message *m);
/* The same, and looks for a while where that has paid lately. */
int ndi_conn_spin(struct ndi_conn *c, uint64_t limit, struct ndi_message *m);
/* A wait for a message took so long. */
void ndi_conn_waited(struct ndi_conn *c, int64_t ns);
/* Nobody will read for a while: gives back what is not needed. */
void ndi_conn_rest(struct ndi_conn *c);
/* Whether a message has come in part. */
bool ndi_conn_is_amid(const struct ndi_conn *c);

/* ---- peer.c: the public nds_conn ---- */
#define NDI_CONN_TIMEOUT NDS_SEC(30)
/* Takes fd over, also on failure. */
int ndi_peer_new(nds_conn **out, int fd, const nds_conn_options *opts);

/* ---- listener.c ---- */
struct ndi_listener {
    int fd;
    struct ndi_addr addr;
    uint64_t dev, ino; /* of the socket file, to remove that and no other */
    uint64_t epoch;
};
/* A path on which nobody listens any more is taken over; NDS_EEXIST if
 * somebody does. */
int ndi_listener_open(struct ndi_listener *l, const struct ndi_addr *a);
/* Removes the socket's path if it is still ours. */
void ndi_listener_close(struct ndi_listener *l);

#endif
