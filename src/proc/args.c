/* SPDX-License-Identifier: MIT */
/*
 * args.c - what a process is given: a list of tagged values
 *
 * The same structure is a builder in the parent and the arguments in the
 * child. Arrays are held by handles of our own; other handles are borrowed by
 * a builder and owned in a child.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

int
nds_args_new(nds_args **out)
{
    *out = calloc(1, sizeof **out);
    return *out == NULL ? ndi_fail_nomem(sizeof **out, "arguments") : 0;
}

static void
arg_fini(struct ndi_arg *arg)
{
    nds_array_close(arg->array);
    if (arg->owned && arg->handle != NULL) {
        arg->carrier->close(arg->handle);
    }
    free(arg->bytes);
}

void
nds_args_free(nds_args *args)
{
    if (args == NULL) {
        return;
    }
    for (int i = 0; i < args->count; i++) {
        arg_fini(&args->items[i]);
    }
    free(args->items);
    free(args);
}

static int
arg_add(nds_args *args, struct ndi_arg **out)
{
    if (args->count == args->room) {
        int room = args->room == 0 ? 8 : args->room * 2;
        size_t nbytes = (size_t)room * sizeof *args->items;
        struct ndi_arg *items = realloc(args->items, nbytes);

        if (items == NULL) {
            return ndi_fail_nomem(nbytes, "arguments");
        }
        args->items = items;
        args->room = room;
    }
    *out = &args->items[args->count];
    memset(*out, 0, sizeof **out);
    return 0;
}

int
nds_args_add_array(nds_args *args, nds_array *a, enum nds_pass pass)
{
    struct ndi_arg *arg;
    int rc;

    if (a == NULL || pass < NDS_BY_VALUE || pass > NDS_SHARED) {
        return ndi_fail(NDS_EINVAL, "argument %d: %s", args->count,
                        a == NULL ? "no array" : "unknown way to pass it");
    }
    if (pass == NDS_SHARED && a->segment == NULL &&
        nds_block_reach(a->block) == NDS_HEAP) {
        return ndi_fail(NDS_EINVAL, "argument %d: an array on the heap cannot "
                        "be shared; make it with reach NDS_SHAREABLE, or give "
                        "it a name", args->count);
    }
    rc = arg_add(args, &arg);
    if (rc < 0) {
        return rc;
    }
    if (pass == NDS_MOVED) {
        arg->array = a;
    } else {
        rc = nds_array_get(&arg->array, a);
        if (rc < 0) {
            return rc;
        }
    }
    arg->kind = NDI_ARG_ARRAY;
    arg->pass = pass;
    args->count++;
    return 0;
}

int
nds_args_add_move(nds_args *args, nds_array **a)
{
    int rc = nds_args_add_array(args, *a, NDS_MOVED);

    if (rc == 0) {
        *a = NULL;
    }
    return rc;
}

int
nds_args_add_int(nds_args *args, int64_t value)
{
    struct ndi_arg *arg = NULL;
    int rc = arg_add(args, &arg);

    if (rc == 0) {
        arg->kind = NDI_ARG_INT;
        arg->number = value;
        args->count++;
    }
    return rc;
}

int
nds_args_add_float(nds_args *args, double value)
{
    struct ndi_arg *arg = NULL;
    int rc = arg_add(args, &arg);

    if (rc == 0) {
        arg->kind = NDI_ARG_FLOAT;
        arg->real = value;
        args->count++;
    }
    return rc;
}

static int
add_copied(nds_args *args, enum ndi_arg_kind kind, const void *data,
           size_t nbytes)
{
    struct ndi_arg *arg = NULL;
    int rc = arg_add(args, &arg);

    if (rc < 0) {
        return rc;
    }
    arg->bytes = nbytes == SIZE_MAX ? NULL : malloc(nbytes + 1);
    if (arg->bytes == NULL) {
        return ndi_fail_nomem(nbytes, "an argument");
    }
    if (nbytes > 0) {
        memcpy(arg->bytes, data, nbytes);
    }
    arg->bytes[nbytes] = '\0';
    arg->nbytes = nbytes;
    arg->kind = kind;
    args->count++;
    return 0;
}

int
nds_args_add_str(nds_args *args, const char *text)
{
    if (text == NULL) {
        return ndi_fail(NDS_EINVAL, "argument %d: no text", args->count);
    }
    return add_copied(args, NDI_ARG_STR, text, strlen(text));
}

int
nds_args_add_bytes(nds_args *args, const void *data, size_t nbytes)
{
    if (data == NULL && nbytes > 0) {
        return ndi_fail(NDS_EINVAL, "argument %d: no bytes", args->count);
    }
    return add_copied(args, NDI_ARG_BYTES, data, nbytes);
}

int
nds_args_add_handle(nds_args *args, const char *kind, void *handle)
{
    const struct ndi_carrier *carrier = ndi_carrier_find(kind);
    struct ndi_arg *arg;
    int rc;

    if (carrier == NULL) {
        return ndi_fail(NDS_EKEY, "argument %d: no kind of handle is called "
                        "'%s'", args->count, kind);
    }
    if (handle == NULL) {
        return ndi_fail(NDS_EINVAL, "argument %d: no %s", args->count, kind);
    }
    rc = arg_add(args, &arg);
    if (rc == 0) {
        arg->kind = NDI_ARG_HANDLE;
        arg->carrier = carrier;
        arg->handle = handle;
        args->count++;
    }
    return rc;
}

int
nds_args_add_typed(nds_args *args, nds_typed *t)
{
    return nds_args_add_handle(args, "typed", t);
}

int
nds_args_count(const nds_args *args)
{
    return args == NULL ? 0 : args->count;
}

static struct ndi_arg *
arg_at(nds_args *args, int i, enum ndi_arg_kind kind)
{
    if (args == NULL || i < 0 || i >= args->count ||
        args->items[i].kind != kind) {
        return NULL;
    }
    return &args->items[i];
}

nds_array *
nds_args_array(nds_args *args, int i)
{
    struct ndi_arg *arg = arg_at(args, i, NDI_ARG_ARRAY);

    return arg == NULL ? NULL : arg->array;
}

int64_t
nds_args_int(nds_args *args, int i)
{
    struct ndi_arg *arg = arg_at(args, i, NDI_ARG_INT);

    return arg == NULL ? 0 : arg->number;
}

double
nds_args_float(nds_args *args, int i)
{
    struct ndi_arg *arg = arg_at(args, i, NDI_ARG_FLOAT);

    return arg == NULL ? 0.0 : arg->real;
}

const char *
nds_args_str(nds_args *args, int i)
{
    struct ndi_arg *arg = arg_at(args, i, NDI_ARG_STR);

    return arg == NULL ? NULL : (const char *)arg->bytes;
}

const void *
nds_args_bytes(nds_args *args, int i, size_t *nbytes)
{
    struct ndi_arg *arg = arg_at(args, i, NDI_ARG_BYTES);

    *nbytes = arg == NULL ? 0 : arg->nbytes;
    return arg == NULL ? NULL : arg->bytes;
}

void *
nds_args_handle(nds_args *args, int i, const char *kind)
{
    struct ndi_arg *arg = arg_at(args, i, NDI_ARG_HANDLE);

    if (arg == NULL || strcmp(arg->carrier->kind, kind) != 0) {
        return NULL;
    }
    return arg->handle;
}

nds_typed *
nds_args_typed(nds_args *args, int i)
{
    return nds_args_handle(args, i, "typed");
}

int
ndi_args_check(const nds_args *args)
{
    for (int i = 0; args != NULL && i < args->count; i++) {
        if (args->items[i].kind == NDI_ARG_ARRAY &&
            args->items[i].array == NULL) {
            return ndi_fail(NDS_EINVAL, "argument %d was moved to an earlier "
                            "process", i);
        }
    }
    return 0;
}

void
ndi_args_drop_moved(nds_args *args)
{
    for (int i = 0; args != NULL && i < args->count; i++) {
        if (args->items[i].pass == NDS_MOVED) {
            nds_array_close(ndi_steal(&args->items[i].array));
        }
    }
}
