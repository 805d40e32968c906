/* SPDX-License-Identifier: MIT */
/*
 * server.c - being a manager: the accept loop
 *
 * The loop takes connections and hands them to the pool, and watches the pidfds
 * of the processes that hold references. Stopping shuts every connection's
 * socket, which wakes whoever waits; run returns when the last one has ended.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MAX 4096

struct nds_server {
    struct ndi_service service; /* first: service and server are one */
    struct ndi_listener listener;
    unsigned char *key;
    int wake[2];
    _Atomic bool stopping;
    int starter; /* pidfd of the process that started us, or -1 */
    struct ndi_pool pool;
};

static void
poke(struct nds_server *s)
{
    ndi_sock_poke(s->wake[1]);
}

void
nds_server_stop(nds_server *s)
{
    atomic_store(&s->stopping, true);
    poke(s);
}

static void
service_stop(struct ndi_service *s)
{
    nds_server_stop((struct nds_server *)s);
}

static void
service_peers(struct ndi_service *s)
{
    poke((struct nds_server *)s);
}

int
nds_server_new(nds_server **out, const nds_manager_options *opts)
{
    const char *address = opts != NULL ? opts->address : NULL;
    struct ndi_addr addr;
    nds_server *s;
    int rc;

    *out = NULL;
    NDI_KILL_POINT("mgr.begin");
    rc = ndi_auth_check_key(opts != NULL ? opts->authkey : NULL,
                            opts != NULL ? opts->authkey_nbytes : 0);
    if (rc == 0) {
        rc = address != NULL ? ndi_addr_parse(&addr, address)
                             : ndi_addr_fresh(&addr);
    }
    if (rc < 0) {
        return rc;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return ndi_fail_nomem(sizeof *s, "a server");
    }
    s->listener.fd = s->wake[0] = s->wake[1] = s->starter = -1;
    rc = ndi_idents_init(&s->service.idents);
    if (rc < 0) {
        free(s);
        return rc;
    }
    ndi_segments_init(&s->service.segments);
    rc = ndi_pool_init(&s->pool, &s->service);
    if (rc < 0) {
        goto out;
    }
    s->key = malloc(opts->authkey_nbytes);
    if (s->key == NULL) {
        rc = ndi_fail_nomem(opts->authkey_nbytes, "a key");
        goto out;
    }
    memcpy(s->key, opts->authkey, opts->authkey_nbytes);
    s->service.key = s->key;
    s->service.key_nbytes = opts->authkey_nbytes;
    s->service.timeout_ns =
        opts->timeout_ns != 0 ? opts->timeout_ns : NDI_MGR_TIMEOUT;
    s->service.stop = service_stop;
    s->service.peers_changed = service_peers;
    rc = ndi_sock_pair(s->wake);
    rc = rc < 0 ? ndi_fail_errno(-rc, "a server's own socket pair")
                : ndi_listener_open(&s->listener, &addr);
out:
    if (rc < 0) {
        nds_server_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

const char *
nds_server_address(const nds_server *s)
{
    return s->listener.addr.text;
}

/* The server ends when the process behind the pidfd does. */
void
ndi_server_follow(nds_server *s, int pidfd)
{
    s->starter = pidfd;
}

static void
drain(int fd)
{
    char bytes[64];
    int rc;

    // One at a time: a poke is one byte, and they are few.
    do {
        rc = ndi_sock_read(fd, bytes, 1, 0);
    } while (rc == 0);
}

/* Takes whoever waits. */
static void
accept_all(struct nds_server *s)
{
    int fd, rc;

    while ((rc = ndi_sock_accept(&fd, s->listener.fd)) == 0) {
        NDI_KILL_POINT("mgr.accepted");
        ndi_pool_add(&s->pool, fd);
    }
    if (rc != -EAGAIN) {
        // Out of descriptors or memory: let some connections end first.
        ndi_pool_drop_stranger(&s->pool);
        poll(NULL, 0, 20);
    }
}

int
nds_server_run(nds_server *s)
{
    struct pollfd *p = calloc(WATCH_MAX + 3, sizeof *p);
    int *fds = calloc(WATCH_MAX, sizeof *fds);
    int rc = 0;

    if (p == NULL || fds == NULL) {
        free(p);
        free(fds);
        return ndi_fail_nomem(WATCH_MAX * sizeof *p, "a server");
    }
    while (!atomic_load(&s->stopping)) {
        int n = ndi_idents_pidfds(&s->service.idents, fds, WATCH_MAX);

        p[0] = (struct pollfd){.fd = s->listener.fd, .events = POLLIN};
        p[1] = (struct pollfd){.fd = s->wake[0], .events = POLLIN};
        p[2] = (struct pollfd){.fd = s->starter, .events = POLLIN};
        for (int i = 0; i < n; i++) {
            p[3 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        }
        if (NDI_SYS("poll", poll(p, (nfds_t)(3 + n), 1000)) < 0) {
            if (errno == EINTR) {
                continue;
            }
            rc = ndi_fail_errno(errno, "wait for clients");
            break;
        }
        ndi_pool_expire(&s->pool);
        if (p[1].revents) {
            drain(s->wake[0]);
        }
        if (p[2].revents & POLLIN) {
            break;
        }
        for (int i = 0; i < n; i++) {
            if (p[3 + i].revents) {
                ndi_idents_bury(&s->service.idents, p[3 + i].fd);
            }
        }
        if (p[0].revents) {
            accept_all(s);
        }
    }
    free(p);
    free(fds);
    // Close the door first: a client in the queue is refused, not left hanging.
    ndi_listener_close(&s->listener);
    NDI_KILL_POINT("mgr.door_closed");
    ndi_pool_stop(&s->pool);
    NDI_KILL_POINT("mgr.threads_gone");
    return rc;
}

void
nds_server_free(nds_server *s)
{
    if (s == NULL) {
        return;
    }
    ndi_listener_close(&s->listener);
    ndi_pool_fini(&s->pool);
    ndi_idents_fini(&s->service.idents);
    ndi_segments_fini(&s->service.segments);
    ndi_os_close(s->wake[0]);
    ndi_os_close(s->wake[1]);
    ndi_os_close(s->starter);
    free(s->key);
    free(s);
}
