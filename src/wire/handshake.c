/* SPDX-License-Identifier: MIT */
/*
 * handshake.c - each side proves to the other that it has the key
 *
 * Messages are read exactly, for what comes behind the last one belongs to
 * whoever uses the connection. Ours are so short that a socket always has room
 * for them: who does not read his does not get a second chance.
 */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <string.h>

static const char challenge[] = "#CHALLENGE#";
static const char welcome[] = "#WELCOME#";
static const char failure[] = "#FAILURE#";
#define PREFIX_NBYTES (sizeof challenge - 1)
#define SEND_NS NDS_SEC(1)

enum stage {
    CHALLENGE, /* ours goes out */
    JUDGE,     /* the peer's answer comes, our verdict goes out */
    ANSWER,    /* the peer's challenge comes, our answer goes out */
    VERDICT,   /* the peer's comes */
    STAGES
};

static void
begin(struct ndi_handshake *h, int fd, enum stage first, int count)
{
    h->fd = fd;
    h->stage = (int)first;
    h->left = count;
    h->have = 0;
}

void
ndi_handshake_begin(struct ndi_handshake *h, int fd, bool listener)
{
    begin(h, fd, listener ? CHALLENGE : ANSWER, STAGES);
}

static int
say(struct ndi_handshake *h, const void *data, size_t nbytes)
{
    int rc = ndi_frame_write(h->fd, data, nbytes, ndi_deadline(SEND_NS));

    return rc == NDS_ETIMEDOUT
               ? ndi_fail(NDS_EPROTO, "the peer does not read the handshake")
               : rc;
}

/* Until `want` bytes of the message are there. */
static int
gather(struct ndi_handshake *h, size_t want, int64_t deadline)
{
    while (h->have < want) {
        size_t got = 0;
        int rc = ndi_sock_recv(h->fd, h->in + h->have, want - h->have, &got,
                               false, deadline);

        if (rc < 0) {
            return ndi_frame_failed(rc, h->have == 0);
        }
        h->have += got;
    }
    return 0;
}

/* A whole message: lent until the next one. */
static int
hear(struct ndi_handshake *h, const unsigned char **m, size_t *nbytes,
     int64_t deadline)
{
    uint64_t n = 0;
    size_t head = 4;
    int rc = 0;

    do {
        int waited = gather(h, head, deadline);

        if (waited < 0) {
            return waited;
        }
        rc = ndi_frame_head(h->in, h->have, NDI_AUTH_LIMIT, &head, &n);
    } while (rc == 0);
    if (rc > 0) {
        rc = gather(h, head + (size_t)n, deadline);
    }
    if (rc < 0) {
        return rc;
    }
    *m = h->in + head;
    *nbytes = (size_t)n;
    h->have = 0;
    return 0;
}

static int
send_challenge(struct ndi_handshake *h)
{
    unsigned char m[PREFIX_NBYTES + NDI_CHALLENGE_NBYTES];
    int rc;

    memcpy(h->m, "{sha256}", 8);
    rc = ndi_random_bytes(h->m + 8, NDI_CHALLENGE_NBYTES - 8);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "random bytes for a challenge");
    }
    memcpy(m, challenge, PREFIX_NBYTES);
    memcpy(m + PREFIX_NBYTES, h->m, NDI_CHALLENGE_NBYTES);
    return say(h, m, sizeof m);
}

static int
judge(struct ndi_handshake *h, const void *key, size_t nbytes,
      int64_t deadline)
{
    const unsigned char *r = NULL;
    size_t got = 0;
    int rc = hear(h, &r, &got, deadline);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_auth_verify(key, nbytes, h->m, NDI_CHALLENGE_NBYTES, r, got);
    if (rc == 0) {
        return say(h, welcome, sizeof welcome - 1);
    }
    // Best effort: the peer is told, whatever becomes of the message.
    (void)say(h, failure, sizeof failure - 1);
    return rc == NDS_EAUTH
               ? ndi_fail(NDS_EAUTH, "digest received was wrong")
               : rc;
}

static int
answer(struct ndi_handshake *h, const void *key, size_t nbytes,
       int64_t deadline)
{
    unsigned char r[NDI_AUTH_LIMIT];
    const unsigned char *m = NULL;
    size_t got = 0, n = 0;
    int rc = hear(h, &m, &got, deadline);

    if (rc < 0) {
        return rc;
    }
    if (got < PREFIX_NBYTES || memcmp(m, challenge, PREFIX_NBYTES) != 0) {
        return ndi_fail(NDS_EPROTO, "the peer speaks another protocol, or "
                        "wants no key");
    }
    rc = ndi_auth_respond(key, nbytes, m + PREFIX_NBYTES,
                          got - PREFIX_NBYTES, r, &n);
    return rc < 0 ? rc : say(h, r, n);
}

static int
hear_verdict(struct ndi_handshake *h, int64_t deadline)
{
    const unsigned char *m = NULL;
    size_t got = 0;
    int rc = hear(h, &m, &got, deadline);

    if (rc == 0 &&
        (got != sizeof welcome - 1 || memcmp(m, welcome, got) != 0)) {
        rc = ndi_fail(NDS_EAUTH, "digest sent was rejected: the key is "
                      "wrong");
    }
    return rc;
}

int
ndi_handshake_go(struct ndi_handshake *h, const void *key, size_t nbytes,
                 int64_t deadline)
{
    while (h->left > 0) {
        int rc = h->stage == CHALLENGE ? send_challenge(h)
                 : h->stage == JUDGE   ? judge(h, key, nbytes, deadline)
                 : h->stage == ANSWER  ? answer(h, key, nbytes, deadline)
                                       : hear_verdict(h, deadline);

        if (rc < 0) {
            return rc;
        }
        h->stage = (h->stage + 1) % STAGES;
        h->left--;
    }
    return 0;
}

int
ndi_auth_deliver(int fd, const void *key, size_t nbytes, int64_t deadline)
{
    struct ndi_handshake h;

    begin(&h, fd, CHALLENGE, 2);
    return ndi_handshake_go(&h, key, nbytes, deadline);
}

int
ndi_auth_answer(int fd, const void *key, size_t nbytes, int64_t deadline)
{
    struct ndi_handshake h;

    begin(&h, fd, ANSWER, 2);
    return ndi_handshake_go(&h, key, nbytes, deadline);
}
