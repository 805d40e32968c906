/* SPDX-License-Identifier: MIT */
/* cmd_info.c - what one name is, and which names there are */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
shape_text(char *out, size_t room, const nds_name_info *i)
{
    size_t at = (size_t)snprintf(out, room, "(");

    for (int k = 0; k < i->ndim && at + 24 < room; k++) {
        at += (size_t)snprintf(out + at, room - at, "%s%lld",
                               k > 0 ? ", " : "", (long long)i->shape[k]);
    }
    snprintf(out + at, room - at, "%s)", i->ndim == 1 ? "," : "");
    return out;
}

static bool
is_array(const nds_name_info *i)
{
    return strcmp(i->kind, "array") == 0;
}

/* What a queue tells of itself; false if it cannot be had (not ours to open,
 * another layout, gone meanwhile). Looking changes nothing in it. */
static bool
queue_info(const nds_name_info *i, nds_queue_info *out)
{
    nds_queue *q = NULL;
    bool had = strcmp(i->kind, "queue") == 0 &&
               nds_queue_attach(&q, i->name, 0) == 0 &&
               nds_queue_info_get(q, out) == 0;

    nds_queue_close(q);
    return had;
}

static const struct {
    const char *name;
    size_t off;
    bool wide;
} queue_counts[] = {
#define COUNT(name) {#name, offsetof(nds_queue_info, name),                    \
                     sizeof((nds_queue_info *)0)->name == 8}
    COUNT(items),       COUNT(taken),          COUNT(loaned),
    COUNT(parked),      COUNT(unfinished),     COUNT(bytes_used),
    COUNT(bytes_max),   COUNT(slots),          COUNT(delivered),
    COUNT(redelivered), COUNT(dropped),        COUNT(participants),
    COUNT(consumers),   COUNT(consumers_dead), COUNT(participants_dead),
#undef COUNT
};
#define QUEUE_COUNTS (sizeof queue_counts / sizeof queue_counts[0])

static unsigned long long
queue_count(const nds_queue_info *q, size_t k)
{
    const char *at = (const char *)q + queue_counts[k].off;
    uint64_t wide;
    uint32_t narrow;

    if (queue_counts[k].wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static json_t *
queue_json(const nds_queue_info *q)
{
    json_t *o = json_object();

    for (size_t k = 0; k < QUEUE_COUNTS; k++) {
        json_object_set_new(o, queue_counts[k].name,
                            json_integer((json_int_t)queue_count(q, k)));
    }
    json_object_set_new(o, "closed", json_boolean(q->closed));
    return o;
}

static void
queue_text(const nds_queue_info *q)
{
    for (size_t k = 0; k < QUEUE_COUNTS; k++) {
        printf("%-17s %llu\n", queue_counts[k].name, queue_count(q, k));
    }
    printf("%-17s %s\n", "closed", q->closed ? "yes" : "no");
}

static bool
is_ours(const nds_name_info *i)
{
    return strcmp(i->kind, "raw") != 0 && strcmp(i->kind, "foreign") != 0;
}

static json_t *
to_json(const nds_name_info *i)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(i->name));
    json_object_set_new(o, "kind", json_string(i->kind));
    if (is_array(i)) {
        json_t *shape = json_array();
        char order[2] = {i->order, '\0'};

        for (int k = 0; k < i->ndim; k++) {
            json_array_append_new(shape, json_integer(i->shape[k]));
        }
        json_object_set_new(o, "dtype", json_string(i->dtype));
        json_object_set_new(o, "shape", shape);
        json_object_set_new(o, "order", json_string(order));
        json_object_set_new(o, "nbytes", json_integer(i->nbytes));
        json_object_set_new(o, "capacity", json_integer(i->capacity));
        json_object_set_new(o, "shape_gen",
                            json_integer((json_int_t)i->shape_gen));
        json_object_set_new(o, "data_gen",
                            json_integer((json_int_t)i->data_gen));
    }
    json_object_set_new(o, "file_nbytes", json_integer(i->file_nbytes));
    json_object_set_new(o, "mode", json_integer(i->mode_bits));
    json_object_set_new(o, "uid", json_integer(i->uid));
    if (is_ours(i)) {
        json_object_set_new(o, "lifetime",
                            json_string(i->lifetime == NDS_WHILE_USED
                                            ? "used" : "unlinked"));
        json_object_set_new(o, "users", json_integer(i->users));
        json_object_set_new(o, "lock", json_string(i->lock_state));
    }
    json_object_set_new(o, "others", json_boolean(i->others));
    return o;
}

static void
to_text(const nds_name_info *i)
{
    char text[1024];

    printf("name        %s\nkind        %s\n", i->name, i->kind);
    if (is_array(i)) {
        printf("dtype       %s\nshape       %s\norder       %c\n", i->dtype,
               shape_text(text, sizeof text, i), i->order);
        printf("bytes       %lld (%s)\n", (long long)i->nbytes,
               cli_bytes(text, sizeof text, (double)i->nbytes));
        if (i->capacity > i->nbytes) {
            printf("capacity    %lld bytes\n", (long long)i->capacity);
        }
        printf("shape_gen   %llu\ndata_gen    %llu\n",
               (unsigned long long)i->shape_gen,
               (unsigned long long)i->data_gen);
    }
    printf("file        %lld bytes\nmode        %03o\nuid         %u\n",
           (long long)i->file_nbytes, i->mode_bits, i->uid);
    if (is_ours(i)) {
        printf("lifetime    %s\nusers       %d\n",
               i->lifetime == NDS_WHILE_USED ? "used" : "unlinked", i->users);
    }
    printf("others      %s\n", i->others ? "yes" : "no");
    if (is_ours(i)) {
        printf("lock        %s\n", i->lock_state);
    }
}

/* A .npy file has a dtype and a shape, but no users we could know of. */
static int
info_of_path(const struct cli_command *self, const char *path, bool as_json)
{
    nds_name_info i = {.size = sizeof i, .kind = "file"};
    nds_array *a = NULL;
    const nds_view *v;
    char *dtype = NULL;
    char text[1024];
    int rc = CLI_OK;

    if (nds_npy_map(&a, path, NDS_READ) < 0) {
        return cli_fail(self, path);
    }
    v = nds_array_view(a);
    if (nds_dtype_str(v->dtype, &dtype) < 0) {
        nds_array_close(a);
        return cli_fail(self, path);
    }
    i.ndim = v->ndim;
    memcpy(i.shape, v->shape, sizeof i.shape);
    if (as_json) {
        json_t *shape = json_array();

        for (int k = 0; k < v->ndim; k++) {
            json_array_append_new(shape, json_integer(v->shape[k]));
        }
        rc = cli_print_json(json_pack(
            "{ss ss ss so ss sI}", "name", path, "kind", "file", "dtype",
            dtype, "shape", shape, "order",
            nds_view_is_contiguous(v, 'C') ? "C" : "F", "nbytes",
            (json_int_t)nds_view_nbytes(v)));
    } else {
        printf("name        %s\nkind        file\ndtype       %s\nshape     "
               "  %s\norder       %c\nbytes       %lld\n", path, dtype,
               shape_text(text, sizeof text, &i),
               nds_view_is_contiguous(v, 'C') ? 'C' : 'F',
               (long long)nds_view_nbytes(v));
    }
    free(dtype);
    nds_array_close(a);
    return rc;
}

static const struct option info_options[] = {
    {"json", no_argument, NULL, 'j'}, {0}};

static int
run_info(const struct cli_command *self, int argc, char **argv)
{
    nds_name_info info = {.size = sizeof info};
    nds_queue_info queue = {.size = sizeof queue};
    bool as_json = false, is_queue;
    json_t *o;
    int c;

    while ((c = cli_option(self, argc, argv, info_options)) != -1) {
        if (c != 'j') {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        as_json = true;
    }
    if (argc - optind != 1) {
        return cli_usage(self, "one NAME is needed");
    }
    if (strchr(argv[optind], '/') != NULL) {
        return info_of_path(self, argv[optind], as_json);
    }
    if (nds_name_info_get(argv[optind], &info) < 0) {
        return cli_fail(self, argv[optind]);
    }
    is_queue = queue_info(&info, &queue);
    if (as_json) {
        o = to_json(&info);
        if (is_queue) {
            json_object_set_new(o, "queue", queue_json(&queue));
        }
        return cli_print_json(o);
    }
    to_text(&info);
    if (is_queue) {
        queue_text(&queue);
    }
    return CLI_OK;
}

const struct cli_command cli_info = {
    "info", "dtype, shape, users, lock and generation of one name",
    "usage: ndshare info NAME [--json]\n\n"
    "users counts registered participants; others says whether anybody else,\n"
    "stock NumPy for one, has it open or mapped.\n\n"
    "Of a queue also: items that wait, taken, loaned (being filled, or got "
    "and\n"
    "still open), parked; how often items were delivered, delivered again and\n"
    "dropped; consumers alive, and dead without a successor; participants "
    "that\n"
    "died and nobody has buried yet.\n\n"
    "example: ndshare info frames\n",
    run_info};

struct listing {
    json_t *list; /* or NULL: print lines */
    int count;
    double nbytes;
};

static int
list_one(const nds_name_info *i, void *ctx)
{
    struct listing *l = ctx;
    char shape[128], bytes[32];

    if (l->list != NULL) {
        return json_array_append_new(l->list, to_json(i)) < 0 ? NDS_ENOMEM
                                                              : 0;
    }
    if (l->count == 0) {
        printf("%-20s %-8s %-10s %-18s %10s %5s %6s\n", "NAME", "KIND",
               "DTYPE", "SHAPE", "SIZE", "USERS", "OTHERS");
    }
    l->count++;
    l->nbytes += (double)i->file_nbytes;
    printf("%-20s %-8s %-10.10s %-18s %10s %5d %6s\n", i->name, i->kind,
           is_array(i) ? i->dtype : "-",
           is_array(i) ? shape_text(shape, sizeof shape, i) : "-",
           cli_bytes(bytes, sizeof bytes, (double)i->file_nbytes), i->users,
           i->others ? "yes" : "no");
    return 0;
}

static const struct option ls_options[] = {{"json", no_argument, NULL, 'j'},
                                           {"all", no_argument, NULL, 'a'},
                                           {0}};

static int
run_ls(const struct cli_command *self, int argc, char **argv)
{
    struct listing l = {0};
    bool all = false;
    uint64_t total, avail;
    char a[32], b[32];
    int c;

    while ((c = cli_option(self, argc, argv, ls_options)) != -1) {
        if (c == 'j') {
            l.list = json_array();
        } else if (c == 'a') {
            all = true;
        } else {
            json_decref(l.list);
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
    }
    if (argc != optind) {
        json_decref(l.list);
        return cli_usage(self, "ls takes no NAME; see ndshare info");
    }
    if (nds_names_walk(all, list_one, &l) < 0) {
        json_decref(l.list);
        return cli_fail(self, NULL);
    }
    if (l.list != NULL) {
        return cli_print_json(l.list);
    }
    if (nds_shm_room(&total, &avail) == 0) {
        cli_remark("%d name%s, %s; %s free in shared memory", l.count,
                   l.count == 1 ? "" : "s",
                   cli_bytes(a, sizeof a, l.nbytes),
                   cli_bytes(b, sizeof b, (double)avail));
    }
    return CLI_OK;
}

const struct cli_command cli_ls = {
    "ls", "the arrays, queues and locks that live on this machine",
    "usage: ndshare ls [--all] [--json]\n\n"
    "  --all   raw blocks and files of other programs too\n\n"
    "example: ndshare ls --json\n",
    run_ls};
