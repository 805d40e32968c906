/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frame.c - what a peer sends: frames, handshakes, requests, replies
 *
 * The first byte says who reads. Requests come as (length u16, pickle) and get
 * their frame headers here, so that mutations reach what is behind them; the
 * server hosts one array, ident "1000001".
 */
#include "fuzz.h"

#include <mgr/mgr_impl.h>
#include <ndshare/ndshare.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LIMIT ((uint64_t)1 << 22)
#define KEY "key"

static int pair[2]; /* the reader's end, the peer's */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_surroundings();
    return 0;
}

static int64_t
soon(void)
{
    return ndi_deadline(20000000);
}

static void
send_some(const void *data, size_t nbytes)
{
    // What does not fit the socket is not sent: nobody reads meanwhile.
    (void)!send(pair[1], data, nbytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
send_frames(struct fuzz_in *in)
{
    while (in->left > 0) {
        uint32_t n = fuzz_u16(in);
        unsigned char head[4];

        n = n <= in->left ? n : (uint32_t)in->left;
        for (int i = 0; i < 4; i++) {
            head[i] = (unsigned char)(n >> (24 - 8 * i));
        }
        send_some(head, sizeof head);
        send_some(in->at, n);
        in->at += n;
        in->left -= n;
    }
}

static void
read_frames(struct fuzz_in *in)
{
    unsigned char small[64];
    void *data;
    size_t n;
    int rc;

    send_some(in->at, in->left);
    shutdown(pair[1], SHUT_WR);
    if (in->left % 2 == 0) {
        rc = ndi_frame_read_into(pair[0], small, sizeof small, &n, soon());
        fuzz_check(rc < 0 || n <= sizeof small, "a frame beyond its room");
    }
    while ((rc = ndi_frame_read(pair[0], LIMIT, &data, &n, soon())) == 0) {
        fuzz_check(n <= in->left, "a frame longer than what came");
        free(data);
    }
}

static void
shake_hands(struct fuzz_in *in)
{
    unsigned char out[NDI_AUTH_LIMIT];
    size_t n = 0, half = in->left / 2;

    if (ndi_auth_respond(KEY, 3, in->at, in->left, out, &n) == 0) {
        fuzz_check(n <= sizeof out, "an answer beyond its room");
        fuzz_check(ndi_auth_verify(KEY, 3, in->at, in->left, out, n) == 0 ||
                       n == 16,
                   "our own answer is wrong");
    }
    (void)ndi_auth_verify(KEY, 3, in->at, half, in->at + half,
                          in->left - half);
    send_frames(in);
    shutdown(pair[1], SHUT_WR);
    (void)ndi_auth_answer(pair[0], KEY, 3, soon());
    (void)ndi_auth_deliver(pair[0], KEY, 3, soon());
}

static void
note(struct ndi_service *s)
{
    (void)s;
}

static int
host_one(struct ndi_service *s)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    struct ndi_hosted *h = NULL;
    nds_array *a = NULL;
    int rc = nds_array_new(&a, NDS_FLOAT64, 2, (int64_t[]){3, 4}, &opts);

    s->idents.next_id = 0x1000001;
    rc = rc < 0 ? rc : ndi_idents_add(&s->idents, "zeros", a,
                                          NULL, NULL, 0, &h);
    if (rc == 0) {
        ndi_idents_put(&s->idents, h);
    }
    return rc;
}

static void
serve(struct fuzz_in *in, bool proved)
{
    struct ndi_service s = {.key = (const unsigned char *)KEY,
                            .key_nbytes = 3,
                            .timeout_ns = 20000000,
                            .stop = note,
                            .peers_changed = note};
    struct ndi_session c;

    fuzz_check(ndi_idents_init(&s.idents) == 0, "no table of idents");
    ndi_segments_init(&s.segments);
    ndi_session_init(&c, &s, pair[0]);
    pair[0] = -1;
    send_frames(in);
    shutdown(pair[1], SHUT_WR);
    if (proved) {
        ndi_session_skip_proof(&c);
        (void)host_one(&s);
    }
    ndi_serve_alone(&c);
    ndi_segments_fini(&s.segments);
    ndi_idents_fini(&s.idents);
}

static void
read_reply(struct fuzz_in *in)
{
    nds_value *v = NULL, *value = NULL;
    bool proxy;

    if (ndi_pickle_read(&v, in->at, in->left) == 0 &&
        ndi_reply_value(v, &value, &proxy) == 0) {
        nds_value_free(value);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct fuzz_in in = {data, nbytes};
    uint8_t who = fuzz_u8(&in) % 8;

    if (ndi_sock_pair(pair) < 0) {
        return 0;
    }
    fuzz_begin("a peer's bytes", 0);
    if (who == 0) {
        read_frames(&in);
    } else if (who == 1) {
        shake_hands(&in);
    } else if (who == 2) {
        read_reply(&in);
    } else {
        serve(&in, who > 3);
    }
    fuzz_done();
    ndi_os_close(pair[0]);
    ndi_os_close(pair[1]);
    return 0;
}
