/* SPDX-License-Identifier: MIT */
/* advise_rules.c - what each way can do, and what speaks for it */
#include "advise.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    ARGUMENT = 1,
    INHERITANCE,
    QUEUE,
    PIPE,
    LOCKED,
    RAW,
    SHARED,
    MAPPED,
    MANAGER
};

/* What all ways of memory that is made once have in common. */
static const char one_array[] =
    "of many arrays, each needs a signal of your own when it is ready";

static const char *
no_room(const struct advise_need *need, char text[160])
{
    uint64_t total, left;
    char want[32], have[32];

    if (nds_shm_room(&total, &left) < 0 || (uint64_t)need->nbytes <= left) {
        return NULL;
    }
    snprintf(text, 160, "shared memory has room for %s, not %s",
             cli_bytes(have, sizeof have, (double)left),
             cli_bytes(want, sizeof want, (double)need->nbytes));
    return text;
}

static bool
exceeds_memory(const struct advise_need *need)
{
    double all = (double)sysconf(_SC_PHYS_PAGES) *
                 (double)sysconf(_SC_PAGESIZE);

    return all > 0 && (double)need->nbytes > all;
}

/* Ways whose array only relatives can come by. */
static bool
is_for_relatives(int way)
{
    return way == ARGUMENT || way == INHERITANCE || way == PIPE ||
           way == LOCKED || way == RAW;
}

static const char *
by_lineage(int way, const struct advise_need *need)
{
    if (is_for_relatives(way) && !need->related) {
        return "only children of this program come by it";
    }
    return way == INHERITANCE && need->start != NDS_FORK
               ? "a spawned child inherits nothing"
               : NULL;
}

static const char *
by_writes(int way, const struct advise_need *need)
{
    if (need->writes == ADVISE_NONE) {
        return NULL;
    }
    if (way == ARGUMENT || way == INHERITANCE) {
        return "what a child writes stays in its own copy";
    }
    return need->writes == ADVISE_BOTH && (way == QUEUE || way == PIPE)
               ? "an array that was handed over belongs to the other side"
               : NULL;
}

static const char *
by_form(int way, const struct advise_need *need)
{
    if (way == PIPE && need->readers > 1) {
        return "it has two ends, and there are more readers than one";
    }
    if (way == LOCKED && need->ndim != 1) {
        return "it has one dimension";
    }
    if (way == LOCKED && need->numpy) {
        return "it is read and set element by element, without NumPy's "
               "methods";
    }
    // Files are made one each, and what both write at a time is made once and
    // used again.
    if (need->many && way != QUEUE && way != PIPE &&
        !(way == MAPPED && need->keep) &&
        !(need->writes == ADVISE_BOTH && way >= RAW && way <= MAPPED)) {
        return way == ARGUMENT || way == INHERITANCE
                   ? "it is handed over once, when a process starts"
               : way == MANAGER ? "it would be a call for each array"
                                : one_array;
    }
    return NULL;
}

const char *
advise_refusal(int way, const struct advise_need *need, char text[160])
{
    const char *why = by_lineage(way, need);

    if (way != MAPPED && need->keep) {
        return "it goes with its last user";
    }
    why = why != NULL ? why : by_writes(way, need);
    why = why != NULL ? why : by_form(way, need);
    if (why == NULL && way != MAPPED && exceeds_memory(need)) {
        return "it has to fit into memory";
    }
    if (why == NULL && way >= LOCKED && way <= SHARED) {
        why = no_room(need, text);
    }
    return why;
}

void
advise_order(const struct advise_need *need, int order[BENCH_WAYS])
{
    // From the least work for whoever writes the program.
    static const char orders[][BENCH_WAYS + 1] = {
        "912678345", /* only results cross */
        "432678159", /* many arrays */
        "781264359", /* strangers */
        "126784359", /* one child reads */
        "216783459", /* many read */
        "617843259", /* a spawned family reads */
        "567843129", /* relatives write a list */
        "674835129", /* relatives write */
    };
    const char *o;

    if (need->results) {
        o = orders[0];
    } else if (need->many) {
        o = orders[1];
    } else if (!need->related) {
        o = orders[2];
    } else if (need->writes != ADVISE_NONE) {
        o = orders[need->ndim == 1 && !need->numpy ? 6 : 7];
    } else if (need->start != NDS_FORK && need->readers > 1) {
        o = orders[5];
    } else {
        o = orders[need->readers > 1 ? 4 : 3];
    }
    for (int i = 0; i < BENCH_WAYS; i++) {
        order[i] = o[i] - '0';
    }
}

const char *
advise_reason(int way, const struct advise_need *need)
{
    switch (way) {
    case ARGUMENT:
        return "a child that starts with its input, and has an array of its "
               "own";
    case INHERITANCE:
        return "many processes of this program read, nobody writes: a global "
               "before fork";
    case QUEUE:
        return need->many ? "a pipeline: many arrays, many producers or "
                            "consumers"
                          : "each array goes to one that waits for it";
    case PIPE:
        return "two partners, and arrays that move on";
    case LOCKED:
        return "a typed list that several write, element by element, with a "
               "lock";
    case RAW:
        return need->writes == ADVISE_BOTH
                   ? "relatives write one memory of any shape, holding its "
                     "lock"
                   : "relatives share one memory of any shape";
    case SHARED:
        return "programs that know only a name, stock NumPy included";
    case MAPPED:
        return need->keep ? "data that stay" : "data that stay, or exceed "
                                               "memory";
    default:
        return need->results ? "only results cross, a sum or a slice, to any "
                               "number of clients"
                             : "a server keeps the array, and clients call "
                               "its methods";
    }
}

const char *
advise_cost(int way, const struct advise_need *need)
{
    switch (way) {
    case ARGUMENT:
        return need->start == NDS_FORK
                   ? "no copy until somebody writes; moved: none"
                   : "one copy at most; moved: none";
    case QUEUE:
    case PIPE:
        return "one copy; loan or move: none";
    case MANAGER:
        return need->results ? "a call" : "a call; mapped by relatives and "
                                          "neighbours: none";
    default:
        return "no copy";
    }
}

const char *
advise_c(int way, const struct advise_need *need)
{
    bool locks = need->writes == ADVISE_BOTH;

    switch (way) {
    case ARGUMENT:
        return "nds_args_add_array(args, a, NDS_BY_VALUE);\n"
               "nds_proc_start(&p, \"work\", args, NULL);\n"
               "a = nds_args_array(args, 0);   // in the child";
    case INHERITANCE:
        return "static nds_array *data;        // made before the start\n"
               "nds_proc_start(&p, \"work\", NULL,\n"
               "    &(nds_proc_options){.start = NDS_FORK});";
    case QUEUE:
        return need->related
                   ? "nds_queue_new(&q, NULL);\n"
                     "nds_args_add_handle(args, \"queue\", q);\n"
                     "nds_queue_put_move(q, &a, NULL, NDS_FOREVER);\n"
                     "nds_queue_get(q, &a, NULL, NDS_FOREVER);"
                   : "nds_queue_create(&q, \"frames\", NULL);\n"
                     "nds_queue_put_move(q, &a, NULL, NDS_FOREVER);\n"
                     "nds_queue_attach(&q, \"frames\", NDS_SEC(1));\n"
                     "nds_queue_get(q, &a, NULL, NDS_FOREVER);";
    case PIPE:
        return "nds_pipe_new(&here, &there, NULL);\n"
               "nds_args_add_handle(args, \"pipe\", there);\n"
               "nds_pipe_send_move(there, &a, NULL, NDS_FOREVER);\n"
               "nds_pipe_recv(here, &a, NULL, NDS_FOREVER);";
    case LOCKED:
        return "nds_typed_new(&t, 'd', count, true);\n"
               "nds_args_add_typed(args, t);\n"
               "nds_typed_set(t, i, nds_float(1));\n"
               "nds_typed_get(t, i, &value);";
    case RAW:
        return locks ? "nds_array_new(&a, NDS_FLOAT64, ndim, shape,\n"
                       "    &(nds_array_options){.reach = NDS_SHAREABLE});\n"
                       "nds_args_add_array(args, a, NDS_SHARED);\n"
                       "nds_array_lock(a, NDS_FOREVER);\n"
                       "nds_array_unlock(a);"
                     : "nds_array_new(&a, NDS_FLOAT64, ndim, shape,\n"
                       "    &(nds_array_options){.reach = NDS_SHAREABLE});\n"
                       "nds_args_add_array(args, a, NDS_SHARED);";
    case SHARED:
        return locks ? "nds_array_create(&a, \"frames\", NDS_FLOAT64, ndim, "
                       "shape, NULL);\n"
                       "nds_array_attach(&a, \"frames\", NDS_READWRITE, "
                       "NDS_SEC(1));\n"
                       "nds_array_lock(a, NDS_FOREVER);\n"
                       "nds_array_unlock(a);"
                     : "nds_array_create(&a, \"frames\", NDS_FLOAT64, ndim, "
                       "shape, NULL);\n"
                       "nds_array_attach(&a, \"frames\", NDS_READ, "
                       "NDS_SEC(1));";
    case MAPPED:
        return "nds_array_map_file(&a, \"frames.dat\", NDS_CREATE,\n"
               "    NDS_FLOAT64, ndim, shape, 'C', 0);\n"
               "nds_array_map_file(&a, \"frames.dat\", NDS_READWRITE,\n"
               "    NDS_FLOAT64, ndim, shape, 'C', 0);\n"
               "nds_array_flush(a);";
    default:
        return need->related
                   ? "nds_manager_start(&m, NULL);\n"
                     "nds_manager_create(m, &p, \"zeros\", "
                     "\"((1000, 1000),)\");\n"
                     "nds_args_add_handle(args, \"proxy\", p);\n"
                     "nds_proxy_call(p, &value, \"sum\", NULL, NULL);"
                   : "// ndshare serve /tmp/door --authkey-file key\n"
                     "nds_manager_connect(&m, &(nds_manager_options){\n"
                     "    .size = sizeof(nds_manager_options), .address = "
                     "\"/tmp/door\",\n"
                     "    .authkey = \"key\", .authkey_nbytes = 3});\n"
                     "nds_manager_create(m, &p, \"zeros\", "
                     "\"((1000, 1000),)\");\n"
                     "nds_proxy_call(p, &value, \"sum\", NULL, NULL);";
    }
}

const char *
advise_python(int way, const struct advise_need *need)
{
    bool locks = need->writes == ADVISE_BOTH;

    switch (way) {
    case ARGUMENT:
        return "Process(target=work, args=(a,)).start()";
    case INHERITANCE:
        return "data = a                       # a global, before the start\n"
               "get_context('fork').Process(target=work).start()";
    case QUEUE:
        return need->related ? "q = ndshare.Queue()\n"
                               "Process(target=work, args=(q,)).start()\n"
                               "q.put(a)\n"
                               "a = q.get()                    "
                               "# in the child"
                             : "q = ndshare.Queue(name='frames')\n"
                               "q.put(a)\n"
                               "q = ndshare.Queue.attach('frames', wait=1)\n"
                               "a = q.get()";
    case PIPE:
        return "here, there = ndshare.Pipe()\n"
               "Process(target=work, args=(there,)).start()\n"
               "there.send(a)                  # in the child\n"
               "a = here.recv()";
    case LOCKED:
        return "t = ndshare.Array('d', count)\n"
               "Process(target=work, args=(t,)).start()\n"
               "with t.get_lock():\n"
               "    t[i] += 1";
    case RAW:
        return locks ? "a = ndshare.zeros(shape)\n"
                       "Process(target=work, args=(a,)).start()\n"
                       "with a.lock:\n"
                       "    a += 1"
                     : "a = ndshare.zeros(shape)\n"
                       "Process(target=work, args=(a,)).start()";
    case SHARED:
        return locks ? "a = ndshare.zeros(shape, name='frames')\n"
                       "a = ndshare.attach('frames', mode='r+')\n"
                       "with a.lock:\n"
                       "    a += 1\n"
                       "a = numpy.load('/dev/shm/frames', mmap_mode='r+')  "
                       "# nothing installed"
                     : "a = ndshare.zeros(shape, name='frames')\n"
                       "a = ndshare.attach('frames')\n"
                       "a = numpy.load('/dev/shm/frames', mmap_mode='r')  "
                       "# nothing installed";
    case MAPPED:
        return "a = ndshare.from_file('frames.dat', 'w+', 'f8', shape)\n"
               "a = ndshare.from_file('frames.dat', 'r+', 'f8', shape)\n"
               "a.flush()\n"
               "a = numpy.memmap('frames.dat', 'f8', 'r+', shape=shape)  "
               "# nothing installed";
    default:
        return need->related
                   ? "m = ndshare.Manager()\n"
                     "a = m.zeros((1000, 1000))\n"
                     "Process(target=work, args=(a,)).start()\n"
                     "a.sum()"
                   : "# ndshare serve /tmp/door --authkey-file key\n"
                     "m = ndshare.SyncManager('/tmp/door', b'key')\n"
                     "m.connect()\n"
                     "m.zeros((1000, 1000)).sum()\n"
                     "BaseManager.register('zeros')         "
                     "# nothing installed\n"
                     "m = BaseManager('/tmp/door', b'key')\n"
                     "m.connect()\n"
                     "m.zeros((1000, 1000)).sum()";
    }
}

const char *
advise_example(int way)
{
    static const char *const names[BENCH_WAYS] = {
        "01_argument",      "02_inherit",     "03_queue",
        "04_pipe",          "05_locked_array", "06_raw_array",
        "07_shared_memory", "08_mapped_file", "09_manager",
    };

    return names[way - 1];
}
