/* SPDX-License-Identifier: MIT */
/*
 * proxy_array.c - the hosted array itself: mapped, copied out, copied in
 *
 * On one machine nothing large goes through a socket: the first copy of an
 * array that is worth it maps it, and copies go between that and the caller's
 * array under the array's own lock, without the server. Numbers and small arrays are
 * messages.
 */
#include <mgr/mgr_impl.h>

#include <array/array_impl.h>
#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

/* Mapping costs a connection and a handshake, a message its bytes twice. */
#define BULK_NBYTES 65536

static int
index_value(const char *slice, nds_value **out)
{
    nds_index index[2 * NDS_MAX_NDIM];
    int n = 0;
    int rc;

    if (slice == NULL) {
        *out = nds_value_ellipsis();
    } else {
        rc = nds_index_parse(slice, index, 2 * NDS_MAX_NDIM, &n);
        if (rc < 0) {
            *out = NULL;
            return rc;
        }
        *out = ndi_value_of_index(index, n);
    }
    return *out != NULL ? 0 : NDS_ENOMEM;
}

static int
fetch_by_message(nds_proxy *p, nds_array **out, const char *slice)
{
    nds_value *args = NULL, *index, *v = NULL;
    bool weak;
    int rc;

    *out = NULL;
    if (slice == NULL) {
        rc = nds_proxy_call(p, &v, "#GETVALUE", NULL, NULL);
    } else {
        rc = index_value(slice, &index);
        if (rc == 0) {
            args = nds_value_tuple();
            rc = nds_value_append(args, index);
        }
        if (rc == 0) {
            rc = nds_proxy_call(p, &v, "__getitem__", args, NULL);
        }
    }
    if (rc == 0) {
        rc = ndi_array_of_value(NULL, v, out, &weak);
    }
    nds_value_free(args);
    nds_value_free(v);
    return rc;
}

static int
store_by_message(nds_proxy *p, const char *slice, nds_array *value)
{
    nds_value *args = NULL, *index;
    int rc = index_value(slice, &index);

    if (rc == 0) {
        args = nds_value_tuple();
        rc = nds_value_append(args, index);
    }
    if (rc == 0) {
        rc = nds_value_append(args, nds_value_array(value));
    }
    if (rc == 0) {
        rc = nds_proxy_call(p, NULL, "__setitem__", args, NULL);
    }
    nds_value_free(args);
    return rc;
}

/* ---- the array itself --------------------------------------------------- */

/* What came: geometry and a descriptor (taken over). Nothing of either is
 * believed before it is checked. */
static int
adopt(const nds_value *geometry, int fd, enum nds_mode mode, nds_array **out)
{
    struct ndi_segment *seg = NULL;
    struct ndi_parcel p = {0};
    size_t n = 0;
    const char *bytes = nds_value_text(geometry, &n);
    int rc = ndi_segment_adopt(&seg, fd, NDI_KIND_ARRAY, mode);

    NDI_KILL_POINT("client.mapped");
    if (rc == 0) {
        ndi_buf_add(&p.bytes, bytes, n);
        rc = ndi_parcel_ok(&p);
        if (rc < 0) {
            ndi_segment_put(seg);
        }
    }
    if (rc == 0) {
        rc = ndi_ticket_unpack_geometry(&p, seg, out);
    }
    if (rc == 0 && mode == NDS_READ) {
        (*out)->view.flags |= NDS_VIEW_READONLY;
    } else if (rc == 0 && mode == NDS_COPY) {
        (*out)->view.flags &= ~(uint32_t)NDS_VIEW_READONLY;
    }
    ndi_parcel_fini(&p);
    return rc;
}

static int
ask_map(nds_proxy *p, struct ndi_conn *c, enum nds_mode mode,
        nds_value **geometry, int *fd)
{
    int64_t deadline = ndi_deadline(p->manager->timeout_ns);
    const char text[2] = {(char)mode, '\0'};
    nds_value *args = nds_value_tuple();
    nds_value *request = NULL, *reply = NULL;
    char byte;
    int nfds = 0;
    int rc = nds_value_append(args, nds_value_str(p->id));

    rc = rc < 0 ? rc : nds_value_append(args, nds_value_str(text));

    if (rc == 0) {
        request = ndi_request(nds_value_str(NDI_MGR_HELLO), "map", args,
                              NULL);
        rc = request != NULL ? ndi_conn_send(c, request, deadline)
                             : NDS_ENOMEM;
    } else {
        nds_value_free(args);
    }
    nds_value_free(request);
    rc = rc < 0 ? rc : ndi_conn_recv(c, &reply, deadline);
    rc = rc < 0 ? rc : ndi_reply_value(reply, geometry, NULL);
    if (rc == 0 && nds_value_kind(*geometry) != NDS_VALUE_BYTES) {
        rc = ndi_fail(NDS_EPROTO, "map answered with no geometry");
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_sock_recv_fds(c->fd, &byte, 1, fd, 1, &nfds, deadline);
    NDI_KILL_POINT("client.descriptor");
    if (rc < 0) {
        return ndi_fail_errno(-rc, "receive the array's descriptor");
    }
    return nfds == 1 ? 0
                     : ndi_fail(NDS_EPROTO, "map came without a descriptor");
}

int
nds_proxy_map(nds_proxy *p, nds_array **out, enum nds_mode mode)
{
    struct ndi_conn c = {.fd = -1};
    nds_value *geometry = NULL;
    int fd = -1;
    int rc;

    *out = NULL;
    if (mode != NDS_READ && mode != NDS_READWRITE && mode != NDS_COPY) {
        return ndi_fail(NDS_EINVAL, "map: mode 'r', '+' or 'c'");
    }
    if (!p->can_map || p->manager->addr.tcp) {
        return ndi_fail(NDS_ENOTSUP, "map: manager '%s' %s",
                        p->manager->addr.text,
                        p->manager->addr.tcp
                            ? "is reached over TCP; map needs a Unix socket"
                            : "cannot hand out its arrays");
    }
    rc = ndi_proxy_own(p);
    if (rc == 0) {
        rc = ndi_manager_open(p->manager, &c);
    }
    if (rc == 0) {
        rc = ask_map(p, &c, mode, &geometry, &fd);
    }
    if (rc == 0) {
        rc = adopt(geometry, fd, mode, out);
    }
    nds_value_free(geometry);
    if (c.fd >= 0) {
        ndi_conn_close(&c);
    }
    return rc;
}

/* ---- copies in and out -------------------------------------------------- */

/* The array to copy from or to; NULL where messages do as well. */
static nds_array *
own_map(nds_proxy *p)
{
    nds_array *a = NULL;

    if (!p->can_map || p->manager->addr.tcp) {
        return NULL;
    }
    pthread_mutex_lock(&p->lock);
    if (p->map == NULL && p->nbytes >= BULK_NBYTES) {
        (void)nds_proxy_map(p, &p->map, NDS_READWRITE);
    }
    if (p->map != NULL) {
        (void)nds_array_get(&a, p->map);
    }
    pthread_mutex_unlock(&p->lock);
    return a;
}

/* The part of the array that the slice names. */
static int
part_of(const nds_array *a, const char *slice, nds_view *out)
{
    nds_index index[2 * NDS_MAX_NDIM];
    int n = 0;
    int rc = slice != NULL ? nds_index_parse(slice, index, 2 * NDS_MAX_NDIM,
                                             &n)
                           : 0;

    return rc < 0 ? rc : nds_view_index(out, nds_array_view(a), n, index);
}

/* Under the array's own lock, which the server's methods take, too. */
static int
lock_map(nds_proxy *p, nds_array *a)
{
    int rc = nds_array_lock(a, p->manager->timeout_ns);

    if (rc == NDS_ETIMEDOUT) {
        return ndi_fail(NDS_ETIMEDOUT, "manager '%s': the array's lock is "
                        "held", p->manager->addr.text);
    }
    return rc == NDS_EOWNERDEAD ? 0 : rc;
}

int
nds_proxy_fetch(nds_proxy *p, nds_array **out, const char *slice)
{
    nds_array_options opts = {.size = sizeof opts};
    nds_array *a = own_map(p);
    nds_view part;
    bool whole;
    int rc;

    *out = NULL;
    // What the slice cannot have is said by the server; one element is a
    // number of Python's there.
    if (a == NULL || part_of(a, slice, &part) < 0) {
        nds_array_close(a);
        return fetch_by_message(p, out, slice);
    }
    whole = part.ndim > 0 || slice == NULL;
    rc = whole ? lock_map(p, a) : 0;
    if (rc == 0 && whole) {
        opts.order = nds_view_is_contiguous(&part, 'F') &&
                             !nds_view_is_contiguous(&part, 'C')
                         ? 'F'
                         : 'C';
        rc = nds_array_copy(out, &part, &opts);
        NDI_KILL_POINT("client.fetched");
        (void)ndi_array_unlock_unchanged(a);
    }
    nds_view_fini(&part);
    nds_array_close(a);
    return whole ? rc : fetch_by_message(p, out, slice);
}

int
nds_proxy_store(nds_proxy *p, const char *slice, nds_array *value)
{
    nds_array *a = own_map(p);
    nds_view part;
    int rc;

    if (a == NULL || part_of(a, slice, &part) < 0) {
        nds_array_close(a);
        return store_by_message(p, slice, value);
    }
    rc = lock_map(p, a);
    if (rc == 0) {
        rc = nds_assign(&part, nds_array_view(value));
        NDI_KILL_POINT("client.stored");
        (void)nds_array_unlock(a);
        // A value that does not fit, in the server's words.
        rc = rc < 0 ? store_by_message(p, slice, value) : 0;
    }
    nds_view_fini(&part);
    nds_array_close(a);
    return rc;
}
