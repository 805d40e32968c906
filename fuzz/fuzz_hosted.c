/* SPDX-License-Identifier: MIT */
/*
 * fuzz_hosted.c - calls of the methods of everything a manager can host
 *
 * The input is calls on one channel, (length u16, pickle) each, of objects that
 * have the idents that a recorded client's had (tests/data/wire): one of every
 * kind, and two arrays. Afterwards the client is gone, as if killed.
 */
#include "fuzz.h"

#include <mgr/mgr_impl.h>
#include <ndshare/ndshare.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS 200

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_surroundings();
    return 0;
}

static void
note(struct ndi_service *s)
{
    (void)s;
}

static const struct {
    const char *typeid_, *args;
} hosted[] = {
    {"list", "([3, 1.5, None],)"}, {"dict", "({'a': 1, 2: [True]},)"},
    {NULL, NULL}, // the dict's iterator was here
    {"Namespace", "()"},           {"Value", "('i', 5)"},
    {"Array", "('h', [1, 2, 3])"}, {"Queue", "(1,)"},
    {"Lock", "()"},                {"RLock", "()"},
    {"BoundedSemaphore", "(1,)"},  {"Condition", "()"},
    {"Event", "()"},               {"Barrier", "(1,)"},
    {"ones", "((2, 3),)"},         {"arange", "(5,)"},
    {"JoinableQueue", "()"},       {"Semaphore", "(3,)"},
};

static int
host(struct ndi_service *s, const char *typeid_, const char *text)
{
    const struct ndi_hosted_kind *kind = ndi_kind_find(typeid_);
    nds_value *args = NULL, *kwds = nds_value_dict();
    struct ndi_state state = {0};
    struct ndi_hosted *h = NULL;
    nds_array *a = NULL;
    int rc = nds_value_parse(&args, text);

    if (rc == 0) {
        rc = kind != NULL ? kind->make(&s->idents, &state, args, kwds)
                          : ndi_factory_make(typeid_, args, kwds, &a);
    }
    rc = rc < 0 ? rc
                : ndi_idents_add(&s->idents, typeid_, a, kind, &state,
                                 getpid(), &h);
    if (rc == 0) {
        ndi_idents_put(&s->idents, h);
    }
    nds_value_free(args);
    nds_value_free(kwds);
    return rc;
}

static void
drain(int fd)
{
    static char bytes[1 << 16];

    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct ndi_service s = {.timeout_ns = 20000000, .stop = note,
                            .peers_changed = note};
    struct fuzz_in in = {data, nbytes};
    struct ndi_conn c;
    int pair[2], rc = 0;

    if (ndi_sock_pair(pair) < 0) {
        return 0;
    }
    fuzz_check(ndi_idents_init(&s.idents) == 0, "no table of idents");
    s.idents.next_id = 0x1000001;
    for (size_t i = 0; rc == 0 && i < NDI_ARRAY_LEN(hosted); i++) {
        if (hosted[i].typeid_ == NULL) {
            s.idents.next_id++;
        } else {
            rc = host(&s, hosted[i].typeid_, hosted[i].args);
        }
    }
    fuzz_check(rc == 0, "an object cannot be made");
    ndi_conn_init(&c, pair[0]);
    // Nothing comes from there any more, so nobody waits for long.
    shutdown(pair[1], SHUT_WR);
    for (int i = 0; rc == 0 && in.left > 0 && i < CALLS; i++) {
        size_t n = fuzz_u16(&in);
        struct ndi_message m = {0};

        m.nbytes = n < in.left ? n : in.left;
        m.data = in.at;
        fuzz_begin("a call", 0);
        rc = ndi_serve_call(&s, &c, &m);
        fuzz_done();
        in.at += m.nbytes;
        in.left -= m.nbytes;
        drain(pair[1]);
    }
    ndi_idents_left(&s.idents, 0, c.serial);
    ndi_idents_left(&s.idents, getpid(), 0);
    ndi_conn_close(&c);
    ndi_os_close(pair[1]);
    ndi_idents_fini(&s.idents);
    return 0;
}
