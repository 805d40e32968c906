/* SPDX-License-Identifier: MIT */
/*
 * args_carry.c - arguments as a parcel, and what a forked child must copy
 *
 * By fork nearly everything crosses as it is: the heap copy-on-write, shared
 * memory by its mapping. Only memory that the parent may still write, and
 * memory that a channel lends for a while, is copied, by the child while the
 * parent waits: so the copy's pages belong to the child alone.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <string.h>

/* A fresh array of this process with the same values and order. */
static int
private_copy(nds_array **out, const nds_array *a)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_HEAP,
                              .uninitialised = true};
    int rc;

    opts.order = nds_view_is_contiguous(&a->view, 'F') &&
                         !nds_view_is_contiguous(&a->view, 'C')
                     ? 'F'
                     : 'C';
    rc = nds_array_copy(out, &a->view, &opts);
    if (rc == 0) {
        ndi_count_copied((uint64_t)nds_view_nbytes(&a->view));
    }
    return rc;
}

/* By a channel, whose slot it is. */
static bool
lent(const nds_array *a)
{
    return a->on_close != NULL && !a->own_file;
}

static bool
must_copy(const struct ndi_arg *arg)
{
    const nds_array *a = arg->array;

    if (arg->kind != NDI_ARG_ARRAY || arg->pass == NDS_SHARED) {
        return false;
    }
    if (lent(a)) {
        return true; // a channel reuses the memory once our parent lets go
    }
    if (arg->pass == NDS_MOVED) {
        return false;
    }
    if (a->segment == NULL) {
        return nds_block_reach(a->block) != NDS_HEAP;
    }
    return a->segment->mode != NDS_COPY && !ndi_array_is_frozen(a);
}

bool
ndi_args_must_settle(const nds_args *args)
{
    for (int i = 0; args != NULL && i < args->count; i++) {
        if (must_copy(&args->items[i])) {
            return true;
        }
    }
    return false;
}

int
ndi_args_settle(nds_args *args)
{
    for (int i = 0; args != NULL && i < args->count; i++) {
        struct ndi_arg *arg = &args->items[i];
        nds_array *copy;
        int rc;

        arg->owned = true;
        if (!must_copy(arg)) {
            continue;
        }
        rc = private_copy(&copy, arg->array);
        if (rc < 0) {
            return ndi_fail_more(rc, "in argument %d", i);
        }
        NDI_KILL_POINT("args.settled_one");
        // The handle itself is the parent's business: it is left, not closed.
        arg->array = copy;
    }
    return 0;
}

static int
pack_array(const struct ndi_arg *arg, struct ndi_parcel *p)
{
    nds_array *copy;
    int rc;

    if (!lent(arg->array) || arg->pass == NDS_SHARED) {
        return ndi_ticket_pack(arg->array, arg->pass, p);
    }
    rc = private_copy(&copy, arg->array);
    if (rc == 0) {
        rc = ndi_ticket_pack(copy, NDS_BY_VALUE, p);
        nds_array_close(copy);
    }
    return rc;
}

static int
pack_one(const struct ndi_arg *arg, struct ndi_parcel *p, bool push)
{
    uint64_t word = 0;

    if (push && ndi_push_suits(arg)) {
        ndi_parcel_add_u64(p, NDI_ARG_PUSHED);
        return ndi_push_pack(arg, p);
    }
    ndi_parcel_add_u64(p, arg->kind);
    switch (arg->kind) {
    case NDI_ARG_ARRAY:
        return pack_array(arg, p);
    case NDI_ARG_INT:
        ndi_parcel_add_u64(p, (uint64_t)arg->number);
        return 0;
    case NDI_ARG_FLOAT:
        memcpy(&word, &arg->real, sizeof word);
        ndi_parcel_add_u64(p, word);
        return 0;
    case NDI_ARG_STR:
    case NDI_ARG_BYTES:
        ndi_parcel_add_bytes(p, arg->bytes, arg->nbytes);
        return 0;
    case NDI_ARG_HANDLE:
        ndi_parcel_add_str(p, arg->carrier->kind);
        return arg->carrier->pack(arg->handle, p);
    case NDI_ARG_PUSHED:
        break; // never kept
    }
    return ndi_fail(NDS_EINVAL, "unknown kind of argument");
}

int
ndi_args_pack(const nds_args *args, struct ndi_parcel *p, bool push)
{
    int count = nds_args_count(args);

    ndi_parcel_add_u64(p, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        int rc = pack_one(&args->items[i], p, push);

        NDI_KILL_POINT("args.packed_one");
        if (rc < 0) {
            return ndi_fail_more(rc, "in argument %d", i);
        }
    }
    if (p->bad && p->nfds == NDI_PARCEL_FDS) {
        return ndi_fail(NDS_ELIMIT, "the arguments need more than %d "
                        "descriptors", NDI_PARCEL_FDS);
    }
    return ndi_parcel_ok(p);
}

static int
unpack_handle(struct ndi_parcel *p, nds_args *args)
{
    const char *kind = ndi_parcel_str(p);
    const struct ndi_carrier *carrier = ndi_carrier_find(kind);
    void *handle = NULL;
    int rc = ndi_parcel_ok(p);

    if (rc < 0) {
        return rc;
    }
    if (carrier == NULL) {
        return ndi_fail(NDS_EPROTO, "no kind of handle is called '%s'", kind);
    }
    rc = carrier->unpack(p, &handle);
    if (rc < 0) {
        return rc;
    }
    rc = nds_args_add_handle(args, kind, handle);
    if (rc < 0) {
        carrier->close(handle);
        return rc;
    }
    args->items[args->count - 1].owned = true;
    return 0;
}

static int
unpack_array(struct ndi_parcel *p, nds_args *args, bool pushed)
{
    nds_array *a;
    int rc = pushed ? ndi_push_unpack(p, &a) : ndi_ticket_unpack(p, &a);

    if (rc < 0) {
        return rc;
    }
    rc = nds_args_add_array(args, a, NDS_MOVED);
    if (rc < 0) {
        nds_array_close(a);
        return rc;
    }
    args->items[args->count - 1].awaited = pushed;
    return 0;
}

static int
unpack_one(struct ndi_parcel *p, nds_args *args)
{
    const void *data;
    uint64_t word;
    double real;
    size_t nbytes;
    uint64_t kind = ndi_parcel_u64(p);

    switch (kind) {
    case NDI_ARG_ARRAY:
    case NDI_ARG_PUSHED:
        return unpack_array(p, args, kind == NDI_ARG_PUSHED);
    case NDI_ARG_INT:
        return nds_args_add_int(args, (int64_t)ndi_parcel_u64(p));
    case NDI_ARG_FLOAT:
        word = ndi_parcel_u64(p);
        memcpy(&real, &word, sizeof real);
        return nds_args_add_float(args, real);
    case NDI_ARG_STR:
        return nds_args_add_str(args, ndi_parcel_str(p));
    case NDI_ARG_BYTES:
        data = ndi_parcel_bytes(p, &nbytes);
        return nds_args_add_bytes(args, data, nbytes);
    case NDI_ARG_HANDLE:
        return unpack_handle(p, args);
    default:
        return ndi_fail(NDS_EPROTO, "unknown kind of argument %llu",
                        (unsigned long long)kind);
    }
}

int
ndi_args_unpack(struct ndi_parcel *p, nds_args **out)
{
    nds_args *args = NULL;
    uint64_t count = ndi_parcel_u64(p);
    int rc = nds_args_new(&args);

    *out = NULL;
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        rc = unpack_one(p, args);
        NDI_KILL_POINT("args.unpacked_one");
        if (rc == 0) {
            rc = ndi_parcel_ok(p); // also ends the loop of a false count
        }
        if (rc < 0) {
            ndi_fail_more(rc, "in argument %llu", (unsigned long long)i);
        }
    }
    if (rc == 0) {
        rc = ndi_parcel_ok(p);
    }
    if (rc < 0) {
        nds_args_free(args);
        return rc;
    }
    *out = args;
    return 0;
}
