/* SPDX-License-Identifier: MIT */
/*
 * factories.c - how `create` makes hosted arrays, by type name
 *
 * Registered before the server starts, read without a lock afterwards. Hosted
 * arrays are shareable, so that a client on this machine can map them.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <ndshare/ops.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACTORIES_MAX 256

static struct {
    char name[64];
    nds_factory_fn fn;
    void *ctx;
} registered[FACTORIES_MAX];
static int nregistered;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int
ndi_shape_of_value(const nds_value *v, int *ndim, int64_t *shape)
{
    *ndim = 0;
    if (nds_value_kind(v) == NDS_VALUE_TUPLE ||
        nds_value_kind(v) == NDS_VALUE_LIST) {
        size_t n = nds_value_count(v);

        if (n > NDS_MAX_NDIM) {
            return ndi_fail(NDS_ESHAPE, "maximum supported dimension for an "
                            "ndarray is %d, found %zu", NDS_MAX_NDIM, n);
        }
        for (size_t i = 0; i < n; i++) {
            if (!nds_value_as_int(nds_value_item(v, i), &shape[i])) {
                return ndi_fail(NDS_ECAST, "a shape must be integers");
            }
        }
        *ndim = (int)n;
    } else if (nds_value_as_int(v, shape)) {
        *ndim = 1;
    } else {
        return ndi_fail(NDS_ECAST, "a shape must be an integer or a tuple of "
                        "integers");
    }
    for (int i = 0; i < *ndim; i++) {
        if (shape[i] < 0) {
            return ndi_fail(NDS_ESHAPE,
                            "negative dimensions are not allowed");
        }
    }
    return 0;
}

/* The argument at `at`, or by name. */
static const nds_value *
arg(const nds_value *args, const nds_value *kwds, size_t at, const char *name)
{
    const nds_value *v = args != NULL ? nds_value_item(args, at) : NULL;

    return v != NULL ? v : nds_value_get(kwds, name);
}

static int
check_args(const char *what, const nds_value *args, const nds_value *kwds,
           size_t most, const char *names)
{
    size_t n = args != NULL ? nds_value_count(args) : 0;

    if (n > most) {
        return ndi_fail(NDS_ECAST, "%s() takes at most %zu arguments (%zu "
                        "given)", what, most, n);
    }
    for (size_t i = 0; kwds != NULL && i < nds_value_count(kwds); i += 2) {
        const char *key = nds_value_text(nds_value_item(kwds, i), NULL);
        char quoted[80];

        snprintf(quoted, sizeof quoted, " %.60s ", key != NULL ? key : "?");
        if (strstr(names, quoted) == NULL) {
            return ndi_fail(NDS_ECAST, "%s() got an unexpected keyword "
                            "argument '%.60s'", what,
                            key != NULL ? key : "?");
        }
    }
    return 0;
}

static int
read_order(const nds_value *v, char *order)
{
    const char *text = v != NULL ? nds_value_text(v, NULL) : "C";

    if (v != NULL && nds_value_kind(v) == NDS_VALUE_NONE) {
        text = "C";
    }
    if (text == NULL || (strcmp(text, "C") != 0 && strcmp(text, "F") != 0)) {
        return ndi_fail(NDS_EINVAL, "order must be one of 'C' or 'F'");
    }
    *order = *text;
    return 0;
}

static int
make(nds_array **out, const nds_value *shape_value, const nds_dtype *dt,
     char order, const nds_scalar *fill)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE,
                              .order = order, .fill = fill};
    int64_t shape[NDS_MAX_NDIM];
    int ndim, rc;

    if (shape_value == NULL) {
        return ndi_fail(NDS_ECAST, "the shape is missing");
    }
    rc = ndi_shape_of_value(shape_value, &ndim, shape);
    return rc < 0 ? rc : nds_array_new(out, dt, ndim, shape, &opts);
}

enum { MAKE_ZEROS, MAKE_ONES, MAKE_EMPTY };
static const struct filler {
    const char *name;
    int what;
} fillers[] = {{"zeros", MAKE_ZEROS}, {"ones", MAKE_ONES},
               {"empty", MAKE_EMPTY}};

/* zeros, ones, empty(shape, dtype=float, order='C') */
static int
make_filled(const nds_value *args, const nds_value *kwds, nds_array **out,
            void *ctx)
{
    const struct filler *f = ctx;
    const nds_scalar one = nds_int(1);
    const nds_dtype *dt = NULL;
    char order = 'C';
    int rc = check_args(f->name, args, kwds, 3, " shape dtype order ");

    if (rc == 0) {
        rc = ndi_value_to_dtype(arg(args, kwds, 1, "dtype"), &dt);
    }
    if (rc == 0) {
        rc = read_order(arg(args, kwds, 2, "order"), &order);
    }
    if (rc == 0) {
        rc = make(out, arg(args, kwds, 0, "shape"),
                  dt != NULL ? dt : NDS_FLOAT64, order,
                  f->what == MAKE_ONES ? &one : NULL);
    }
    nds_dtype_put(dt);
    return rc;
}

/* full(shape, fill_value, dtype=None, order='C') */
static int
make_full(const nds_value *args, const nds_value *kwds, nds_array **out,
          void *ctx)
{
    const nds_value *fill = arg(args, kwds, 1, "fill_value");
    const nds_dtype *dt = NULL;
    nds_array *value = NULL;
    char order = 'C';
    bool weak;
    int rc = check_args("full", args, kwds, 4,
                        " shape fill_value dtype order ");

    (void)ctx;
    if (rc == 0 && fill == NULL) {
        rc = ndi_fail(NDS_ECAST, "full() needs a shape and a fill_value");
    }
    if (rc == 0) {
        rc = ndi_array_of_value(NULL, fill, &value, &weak);
    }
    if (rc == 0) {
        rc = ndi_value_to_dtype(arg(args, kwds, 2, "dtype"), &dt);
    }
    if (rc == 0) {
        rc = read_order(arg(args, kwds, 3, "order"), &order);
    }
    if (rc == 0) {
        rc = make(out, arg(args, kwds, 0, "shape"),
                  dt != NULL ? dt : nds_array_view(value)->dtype, order,
                  NULL);
    }
    if (rc == 0) {
        rc = ndi_assign_value(nds_array_view(*out), fill, value, weak);
    }
    nds_dtype_put(dt);
    nds_array_close(value);
    return rc;
}

/* arange([start,] stop[, step][, dtype]) */
static int
make_arange(const nds_value *args, const nds_value *kwds, nds_array **out,
            void *ctx)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    double part[3] = {0, 0, 1};
    const nds_value *given[3] = {arg(args, kwds, 0, "start"),
                                 arg(args, kwds, 1, "stop"),
                                 arg(args, kwds, 2, "step")};
    const nds_dtype *dt = NULL, *use;
    bool whole = true;
    double n;
    int64_t count;
    int rc = check_args("arange", args, kwds, 4, " start stop step dtype ");

    (void)ctx;
    if (rc < 0) {
        return rc;
    }
    if (given[1] == NULL) {
        // arange(stop)
        given[1] = given[0];
        given[0] = NULL;
    }
    if (given[1] == NULL) {
        return ndi_fail(NDS_ECAST, "arange() requires stop to be specified.");
    }
    for (int i = 0; i < 3; i++) {
        if (given[i] == NULL || nds_value_kind(given[i]) == NDS_VALUE_NONE) {
            continue;
        }
        if (!nds_value_as_float(given[i], &part[i])) {
            return ndi_fail(NDS_ECAST, "arange() takes numbers");
        }
        whole = whole && nds_value_as_int(given[i], &count);
    }
    if (part[2] == 0) {
        return ndi_fail(NDS_EINVAL, "Maximum allowed size exceeded");
    }
    n = ceil((part[1] - part[0]) / part[2]);
    if (!(n < 9e15)) {
        return ndi_fail(NDS_EINVAL, "Maximum allowed size exceeded");
    }
    count = n > 0 ? (int64_t)n : 0;
    rc = ndi_value_to_dtype(arg(args, kwds, 3, "dtype"), &dt);
    use = dt != NULL ? dt : whole ? NDS_INT64 : NDS_FLOAT64;
    rc = rc < 0 ? rc : nds_array_new(out, use, 1, &count, &opts);
    if (rc == 0) {
        rc = nds_arange(nds_array_view(*out));
    }
    if (rc == 0 && part[2] != 1) {
        rc = nds_multiply_scalar(nds_array_view(*out), nds_array_view(*out),
                                 whole ? nds_int((int64_t)part[2])
                                       : nds_float(part[2]));
    }
    if (rc == 0 && part[0] != 0) {
        rc = nds_add_scalar(nds_array_view(*out), nds_array_view(*out),
                            whole ? nds_int((int64_t)part[0])
                                  : nds_float(part[0]));
    }
    nds_dtype_put(dt);
    return rc;
}

/* random(shape, seed=0): Generator(Philox(seed)).random(shape) */
static int
make_random(const nds_value *args, const nds_value *kwds, nds_array **out,
            void *ctx)
{
    const nds_value *seed_value = arg(args, kwds, 1, "seed");
    const nds_dtype *dt = NULL;
    int64_t seed = 0;
    int rc = check_args("random", args, kwds, 3, " shape seed dtype ");

    (void)ctx;
    if (rc == 0 && seed_value != NULL &&
        nds_value_kind(seed_value) != NDS_VALUE_NONE &&
        (!nds_value_as_int(seed_value, &seed) || seed < 0)) {
        rc = ndi_fail(NDS_EINVAL, "seed must be an integer of at least 0");
    }
    if (rc == 0) {
        rc = ndi_value_to_dtype(arg(args, kwds, 2, "dtype"), &dt);
    }
    if (rc == 0) {
        rc = make(out, arg(args, kwds, 0, "shape"),
                  dt != NULL ? dt : NDS_FLOAT64, 'C', NULL);
    }
    if (rc == 0) {
        rc = nds_random(nds_array_view(*out), (uint64_t)seed);
    }
    nds_dtype_put(dt);
    return rc;
}

/* load(path): a copy of a .npy file */
static int
make_load(const nds_value *args, const nds_value *kwds, nds_array **out,
          void *ctx)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    const nds_value *path = arg(args, kwds, 0, "file");
    nds_array *file = NULL;
    size_t n = 0;
    const char *text = path != NULL ? nds_value_text(path, &n) : NULL;
    int rc = check_args("load", args, kwds, 1, " file ");

    (void)ctx;
    if (rc == 0 && (text == NULL || n == 0 || strlen(text) != n)) {
        rc = ndi_fail(NDS_ECAST, "load() takes the path of a .npy file");
    }
    if (rc == 0) {
        rc = nds_npy_map(&file, text, NDS_READ);
    }
    if (rc == 0) {
        const nds_view *v = nds_array_view(file);

        opts.order = nds_view_is_contiguous(v, 'C') ? 'C' : 'F';
        rc = nds_array_copy(out, v, &opts);
    }
    nds_array_close(file);
    return rc;
}

static const struct {
    const char *name;
    nds_factory_fn fn;
    const void *ctx;
} builtin[] = {
    {"zeros", make_filled, &fillers[0]}, {"ones", make_filled, &fillers[1]},
    {"empty", make_filled, &fillers[2]}, {"full", make_full, NULL},
    {"arange", make_arange, NULL},       {"random", make_random, NULL},
    {"load", make_load, NULL},
};

static bool
find(const char *typeid_, nds_factory_fn *fn, void **ctx)
{
    bool found = false;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < nregistered && !found; i++) {
        if (strcmp(registered[i].name, typeid_) == 0) {
            *fn = registered[i].fn;
            *ctx = registered[i].ctx;
            found = true;
        }
    }
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < NDI_ARRAY_LEN(builtin) && !found; i++) {
        if (strcmp(builtin[i].name, typeid_) == 0) {
            *fn = builtin[i].fn;
            *ctx = (void *)builtin[i].ctx;
            found = true;
        }
    }
    return found;
}

bool
ndi_factory_is_registered(const char *typeid_)
{
    bool found = false;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < nregistered && !found; i++) {
        found = strcmp(registered[i].name, typeid_) == 0;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

int
nds_factory_register(const char *typeid_, nds_factory_fn fn, void *ctx)
{
    int i = 0, rc = 0;

    if (typeid_[0] == '\0' || strlen(typeid_) >= sizeof registered[0].name) {
        return ndi_fail(NDS_EINVAL, "type name '%.80s': 1 to 63 bytes",
                        typeid_);
    }
    pthread_mutex_lock(&lock);
    while (i < nregistered && strcmp(registered[i].name, typeid_) != 0) {
        i++;
    }
    if (i == FACTORIES_MAX) {
        rc = ndi_fail(NDS_ELIMIT, "more than %d factories", FACTORIES_MAX);
    } else {
        strcpy(registered[i].name, typeid_);
        registered[i].fn = fn;
        registered[i].ctx = ctx;
        nregistered += i == nregistered;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int
nds_factory_alias(const char *typeid_, const char *existing)
{
    nds_factory_fn fn;
    void *ctx;

    if (!find(existing, &fn, &ctx)) {
        return ndi_fail(NDS_EKEY, "no factory is named '%.80s'", existing);
    }
    return nds_factory_register(typeid_, fn, ctx);
}

int
ndi_factory_make(const char *typeid_, const nds_value *args,
                 const nds_value *kwds, nds_array **out)
{
    nds_factory_fn fn;
    void *ctx;
    int rc;

    *out = NULL;
    if (!find(typeid_, &fn, &ctx)) {
        return ndi_fail(NDS_EKEY, "'%.60s'%s", typeid_,
                        strcmp(typeid_, "Pool") != 0
                            ? ""
                            : ": functions do not run in this server; "
                              "Python's SyncManager hosts a Pool, and "
                              "nds_manager_connect() reaches it");
    }
    rc = fn(args, kwds, out, ctx);
    if (rc == 0 && *out == NULL) {
        rc = ndi_fail(NDS_EINVAL, "the factory '%s' made nothing", typeid_);
    }
    if (rc < 0) {
        nds_array_close(ndi_steal(out));
    }
    return rc;
}
