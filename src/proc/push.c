/* SPDX-License-Identifier: MIT */
/*
 * push.c - a heap array written straight into its child's memory
 *
 * By value from the heap means one copy. A spawned child makes room on its own
 * heap, says where, and the parent has the kernel write there
 * (process_vm_writev: an ancestor may, also where Yama guards tracing). So the
 * copy's pages are the child's alone, private and 2 MiB large, and shared
 * memory needs no room for it. Where the kernel refuses (seccomp, a child that
 * is not dumpable), the bytes follow over the socket.
 *
 * For a spawned child only: we are its parent, so its process id stays its own
 * until we wait for it. A child that lies about the address harms itself.
 *
 *     child   reply NDI_REPLY_ROOM, value: which argument, text: address (hex)
 *     parent  'p': it is there · 'b': nbytes of data follow
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#define PUSH_FROM (1 << 20) /* smaller ones are quicker with the rest */
#define CHUNK ((size_t)1 << 20)

bool
ndi_push_suits(const struct ndi_arg *arg)
{
    const nds_array *a = arg->array;

    return arg->kind == NDI_ARG_ARRAY && arg->pass != NDS_SHARED &&
           a->on_close == NULL && nds_block_reach(a->block) == NDS_HEAP &&
           nds_view_nbytes(&a->view) >= PUSH_FROM &&
           (nds_view_is_contiguous(&a->view, 'C') ||
            nds_view_is_contiguous(&a->view, 'F'));
}

int
ndi_push_pack(const struct ndi_arg *arg, struct ndi_parcel *p)
{
    const nds_view *v = &arg->array->view;
    char *text = NULL;
    int rc = nds_dtype_str(v->dtype, &text);

    if (rc < 0) {
        return rc;
    }
    ndi_parcel_add_str(p, text);
    free(text);
    ndi_parcel_add_u64(p, nds_view_is_contiguous(v, 'C') ? 'C' : 'F');
    ndi_parcel_add_u64(p, (uint64_t)v->ndim);
    for (int i = 0; i < v->ndim; i++) {
        ndi_parcel_add_u64(p, (uint64_t)v->shape[i]);
    }
    return 0;
}

int
ndi_push_unpack(struct ndi_parcel *p, nds_array **out)
{
    nds_array_options opts = {.size = sizeof opts};
    int64_t shape[NDS_MAX_NDIM];
    const nds_dtype *dtype = NULL;
    const char *text = ndi_parcel_str(p);
    uint64_t order = ndi_parcel_u64(p);
    uint64_t ndim = ndi_parcel_u64(p);
    int rc;

    *out = NULL;
    if (ndim > NDS_MAX_NDIM || (order != 'C' && order != 'F')) {
        return ndi_fail(NDS_EPROTO, "an array of %" PRIu64 " dimensions in "
                        "order %" PRIu64, ndim, order);
    }
    for (uint64_t i = 0; i < ndim; i++) {
        shape[i] = (int64_t)ndi_parcel_u64(p);
    }
    opts.order = (char)order;
    rc = ndi_parcel_ok(p);
    if (rc == 0) {
        rc = nds_dtype_parse(&dtype, text);
    }
    if (rc == 0) {
        rc = nds_array_new(out, dtype, (int)ndim, shape, &opts);
    }
    nds_dtype_put(dtype);
    return rc;
}

static int
receive_one(int fd, int i, nds_array *a)
{
    size_t left = (size_t)nds_view_nbytes(&a->view);
    char *to = nds_array_data(a);
    char text[32], how = 0;
    int rc;

    snprintf(text, sizeof text, "%" PRIxPTR, (uintptr_t)to);
    rc = ndi_child_send(fd, NDI_REPLY_ROOM, i, text, -1);
    if (rc == 0) {
        rc = ndi_sock_read(fd, &how, 1, NDS_FOREVER);
    }
    while (rc == 0 && how == 'b' && left > 0) {
        size_t n = left < CHUNK ? left : CHUNK;

        rc = ndi_sock_read(fd, to, n, NDS_FOREVER);
        to += n;
        left -= n;
    }
    if (rc == 0 && how != 'b' && how != 'p') {
        rc = -EPROTO;
    }
    return rc < 0 ? ndi_fail_errno(-rc, "receive argument %d", i) : 0;
}

int
ndi_push_receive(int fd, nds_args *args)
{
    int rc = 0;

    for (int i = 0; i < args->count && rc == 0; i++) {
        if (args->items[i].awaited) {
            rc = receive_one(fd, i, args->items[i].array);
            args->items[i].awaited = false;
        }
    }
    return rc;
}

static int
stream(int fd, const char *from, size_t nbytes, int64_t patience_ns)
{
    int rc = 0;

    while (rc == 0 && nbytes > 0) {
        size_t n = nbytes < CHUNK ? nbytes : CHUNK;
        struct iovec iov = {.iov_base = (void *)(uintptr_t)from, .iov_len = n};

        // However long all of it takes: each piece shows that it goes on.
        rc = ndi_sock_writev(fd, &iov, 1, ndi_deadline(patience_ns));
        from += n;
        nbytes -= n;
    }
    return rc;
}

int
ndi_push(int fd, pid_t pid, const struct ndi_start *s,
         const struct ndi_reply *r)
{
    const nds_view *v;
    struct iovec iov = {.iov_len = 1};
    static char pushed[] = "p", bytes[] = "b";
    size_t nbytes;
    uint64_t to;
    bool reached;
    int rc;

    if (r->value < 0 || r->value >= nds_args_count(s->args) ||
        !ndi_push_suits(&s->args->items[r->value])) {
        return -EPROTO;
    }
    v = &s->args->items[r->value].array->view;
    nbytes = (size_t)nds_view_nbytes(v);
    to = strtoull(r->text, NULL, 16);
    NDI_KILL_POINT("push.before");
    reached = ndi_push_memory(pid, to, v->data, nbytes) == 0;
    NDI_KILL_POINT("push.written");
    iov.iov_base = reached ? pushed : bytes;
    rc = ndi_sock_writev(fd, &iov, 1, s->deadline);
    if (rc == 0 && !reached) {
        rc = stream(fd, v->data, nbytes, s->handshake_ns);
    }
    if (rc == 0) {
        ndi_count_copied(nbytes);
    }
    return rc;
}
