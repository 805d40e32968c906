/* SPDX-License-Identifier: MIT */
/*
 * step_ops_named.c - names: made, found, grown, given up, taken over
 *
 * A name that can be seen is complete. The driver has none of these files
 * mapped, for that would be a user; what the victim maps is read in the
 * victim.
 */
#include "step.h"

#include <array/array_impl.h>
#include <sync/word.h>

#define NAME "subject"
#define EXTENT 100
#define GROWN 120
#define CAPACITY 150
#define VALUE 5

static nds_array *array;
static nds_array *old; /* of the driver, over a file that is replaced */
static uint64_t generation; /* of its data */

static int
make(nds_array **out, int64_t extent, bool replace, enum nds_lifetime life)
{
    nds_array_options opts = {.size = sizeof opts, .capacity = CAPACITY,
                              .replace = replace, .lifetime = life};

    return nds_array_create(out, NAME, NDS_INT64, 1, &extent, &opts);
}

static void
set(nds_array *a)
{
    int64_t *d = nds_array_data(a);

    for (int64_t i = 0; i < nds_array_view(a)->shape[0]; i++) {
        d[i] = VALUE;
    }
}

/* ---- in the driver ------------------------------------------------------ */

static void
nothing_there(void)
{
    step_watch_maps();
}

static void
one_there(void)
{
    nds_array *a = NULL;

    step_watch_maps();
    must(make(&a, EXTENT, false, NDS_UNTIL_UNLINKED));
    set(a);
    nds_array_close(a);
}

static void
one_there_and_open(void)
{
    one_there();
    must(nds_array_attach(&old, NAME, NDS_READWRITE, 0));
    must(nds_array_generation(old, &generation));
}

static void
unlink_it(void)
{
    nds_array_close(old);
    old = NULL;
    (void)nds_array_unlink(NAME);
}

static void
sweep_alone(void)
{
}

/* ---- in the victim ------------------------------------------------------ */

static void
create(void)
{
    must(make(&array, EXTENT, false, NDS_UNTIL_UNLINKED));
}

static void
create_used(void)
{
    must(make(&array, EXTENT, false, NDS_WHILE_USED));
}

static void
create_used_and_lock(void)
{
    create_used();
    must(nds_array_lock(array, NDS_SEC(5)));
    must(nds_array_unlock(array));
}

static void
replace(void)
{
    must(make(&array, GROWN, true, NDS_UNTIL_UNLINKED));
}

static void
attach(void)
{
    must(nds_array_attach(&array, NAME, NDS_READWRITE, NDS_SEC(5)));
}

static void
attach_and_join(void)
{
    attach();
    must(nds_array_lock(array, NDS_SEC(5)));
    must(nds_array_unlock(array));
}

static void
attach_and_lock(void)
{
    attach();
    must(nds_array_lock(array, NDS_SEC(5)));
}

static void
lock(void)
{
    must(nds_array_lock(array, NDS_SEC(5)));
}

static void
unlock(void)
{
    must(nds_array_unlock(array));
}

static void
grow(void)
{
    must(nds_array_resize(array, GROWN));
}

static void
close_it(void)
{
    nds_array_close(array);
}

static void
unlink_only(void)
{
    must(nds_array_unlink(NAME));
}

static void
nameless(void)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    int64_t extent = EXTENT;

    must(nds_array_new(&array, NDS_INT64, 1, &extent, &opts));
    set(array);
}

static void
publish(void)
{
    must(nds_array_publish(array, NAME, NULL));
}

/* ---- in the finisher ---------------------------------------------------- */

/* Whole: extent a or b, values what they must be; the lock works, the
 * generation is even, growing goes on, and the dead are buried. */
static void
need_whole(int64_t extent_a, int64_t extent_b, int64_t value)
{
    const int64_t *d;
    nds_array *a = NULL;
    int64_t n;
    int rc = nds_array_attach(&a, NAME, NDS_READWRITE, NDS_SEC(5));

    need(rc == 0, "attach: %d %s", rc, nds_last_error()->message);
    n = nds_array_view(a)->shape[0];
    d = nds_array_data(a);
    need(n == extent_a || n == extent_b, "an extent of %d", (int)n);
    for (int64_t i = 0; i < n; i++) {
        need(d[i] == (i < EXTENT ? value : 0), "element %d is %d", (int)i,
             (int)d[i]);
    }
    rc = nds_array_lock(a, NDS_SEC(5));
    need(rc == 0 || rc == NDS_EOWNERDEAD, "lock: %d", rc);
    need(ndi_load_acq(&a->segment->ctl->gens.shape_gen) % 2 == 0,
         "the shape's generation is odd");
    need(nds_array_unlock(a) == 0, "unlock");
    need(nds_array_lock(a, 0) == 0 && nds_array_unlock(a) == 0, "lock again");
    if (a->segment->ctl->geometry.capacity >= CAPACITY * sizeof *d) {
        need(nds_array_resize(a, CAPACITY) == 0, "resize: %s",
             nds_last_error()->message);
        need(nds_array_refresh(a) == 0 &&
                 nds_array_view(a)->shape[0] == CAPACITY, "refresh");
    }
    step_need_buried(&a->segment->party);
    nds_array_close(a);
}

static bool
is_there(void)
{
    nds_name_info info = {.size = sizeof info};

    return nds_name_info_get(NAME, &info) == 0;
}

static void
create_finish(const struct step_now *now)
{
    bool there = is_there();
    nds_array *a = NULL;
    int rc;

    need(there || !now->ended, "it had made the name");
    need(step_world_names() == there, "other names");
    rc = make(&a, EXTENT, false, NDS_UNTIL_UNLINKED);
    need(rc == (there ? NDS_EEXIST : 0), "create: %d %s", rc,
         nds_last_error()->message);
    nds_array_close(a);
    need_whole(EXTENT, EXTENT, 0);
}

/* Its only user is dead: the next creator gets the name. */
static void
create_used_finish(const struct step_now *now)
{
    nds_array *a = NULL;
    int rc = make(&a, EXTENT, false, NDS_WHILE_USED);

    (void)now;
    need(rc == 0, "create: %d %s", rc, nds_last_error()->message);
    need(step_world_names() == 1, "other names");
    need_whole(EXTENT, EXTENT, 0);
    nds_array_close(a);
    need(step_world_names() == 0, "the last user did not take it along");
}

/* Nobody creates it again: the sweep takes it. */
static void
used_finish(const struct step_now *now)
{
    need(!now->ended || step_world_names() == 0,
         "it had closed the last handle");
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(step_world_names() == 0, "swept and still there");
}

static void
replace_finish(const struct step_now *now)
{
    nds_array *a = NULL;
    int64_t n;
    int rc = nds_array_attach(&a, NAME, NDS_READ, 0);

    need(rc == 0, "attach: %d %s", rc, nds_last_error()->message);
    n = nds_array_view(a)->shape[0];
    nds_array_close(a);
    need(n == EXTENT || n == GROWN, "an extent of %d", (int)n);
    need(!now->ended || n == GROWN, "it had replaced the array");
    rc = nds_array_refresh(old);
    need(rc == (n == GROWN ? NDS_ESTALE : 0), "the old one: %d", rc);
    rc = nds_array_wait_changed(old, generation, 0);
    need(rc == (n == GROWN ? 0 : NDS_EAGAIN), "its waiters: %d", rc);
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(step_world_names() == 1, "other names");
    rc = make(&a, GROWN, true, NDS_UNTIL_UNLINKED);
    need(rc == 0, "replace: %d %s", rc, nds_last_error()->message);
    need(nds_array_refresh(old) == NDS_ESTALE, "the old one was told by us");
    nds_array_close(a);
    need_whole(GROWN, GROWN, 0);
}

static void
there_finish(const struct step_now *now)
{
    (void)now;
    need(step_world_names() == 1, "other names");
    need_whole(EXTENT, EXTENT, VALUE);
}

static void
grow_finish(const struct step_now *now)
{
    need_whole(now->ended ? GROWN : EXTENT, GROWN, VALUE);
}

static void
unlink_finish(const struct step_now *now)
{
    bool there = is_there();

    need(!there || !now->ended, "it had unlinked the name");
    if (there) {
        need_whole(EXTENT, EXTENT, VALUE);
        need(nds_array_unlink(NAME) == 0, "unlink");
    }
    need(step_world_names() == 0, "other names");
    create();
    need_whole(EXTENT, EXTENT, 0);
}

static void
publish_finish(const struct step_now *now)
{
    bool there = is_there();

    need(there || !now->ended, "it had published the array");
    need(step_world_names() == there, "other names");
    if (there) {
        need_whole(EXTENT, EXTENT, VALUE);
        return;
    }
    nameless();
    publish();
    need_whole(EXTENT, EXTENT, VALUE);
}

#define OP(name, setup, prepare, operate, finish, teardown)                   \
    {name, false, setup, prepare, operate, NULL, finish, teardown, NULL, NULL}

const struct step_op step_ops_named[] = {
    OP("array.create", nothing_there, NULL, create, create_finish, unlink_it),
    OP("array.create-used", nothing_there, NULL, create_used,
       create_used_finish, sweep_alone),
    OP("array.replace", one_there_and_open, NULL, replace, replace_finish,
       unlink_it),
    OP("array.attach", one_there, NULL, attach, there_finish, unlink_it),
    OP("array.lock", one_there, attach_and_join, lock, there_finish,
       unlink_it),
    OP("array.unlock", one_there, attach_and_lock, unlock, there_finish,
       unlink_it),
    OP("array.resize", one_there, attach_and_join, grow, grow_finish,
       unlink_it),
    OP("array.close", one_there, attach_and_join, close_it, there_finish,
       unlink_it),
    OP("array.close-used", nothing_there, create_used_and_lock, close_it,
       used_finish, sweep_alone),
    OP("array.unlink", one_there, NULL, unlink_only, unlink_finish,
       unlink_it),
    OP("array.publish", nothing_there, nameless, publish, publish_finish,
       unlink_it),
    {0},
};

/* ---- two victims -------------------------------------------------------- */

static void
sweep(void)
{
    must(nds_sweep(false, NULL, NULL));
}

static void
cycle(void)
{
    int rc = nds_array_lock(array, NDS_SEC(5));

    must(rc == NDS_EOWNERDEAD ? 0 : rc);
    must(nds_array_unlock(array));
}

/* The first may have grown it, the second makes the header whole. */
static void
grown_finish(const struct step_now *now)
{
    (void)now;
    need(step_world_names() == 1, "other names");
    need_whole(EXTENT, GROWN, VALUE);
}

/* What a sweep leaves behind: a whole array of one size, or none at all. */
static void
created_finish(const struct step_now *now)
{
    bool there = is_there();

    need(!now->ended || step_world_names() == there, "left by a sweep");
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(is_there() == there && step_world_names() == there,
         "a sweep took or left a name");
    if (!there) {
        create();
    }
    need_whole(EXTENT, EXTENT, 0);
}

/* Whether the first had replaced the array shows in the array alone. */
static void
replaced_finish(const struct step_now *now)
{
    struct step_now either = {.helped = now->helped};

    replace_finish(&either);
}

static const struct step_op
    first_create = OP("create", nothing_there, NULL, create, create_finish,
                      unlink_it),
    first_create_used = OP("create-used", nothing_there, NULL, create_used,
                           create_used_finish, sweep_alone),
    first_replace = OP("replace", one_there_and_open, NULL, replace,
                       replace_finish, unlink_it),
    first_grow = OP("resize", one_there, attach_and_join, grow, grow_finish,
                    unlink_it);

const struct step_pair step_pairs_named[] = {
    {OP("twice.create-sweep", nothing_there, NULL, sweep, created_finish,
        unlink_it), &first_create, 4, NULL},
    {OP("twice.create-used-sweep", nothing_there, NULL, sweep, used_finish,
        sweep_alone), &first_create_used, 4, NULL},
    {OP("twice.replace-sweep", one_there_and_open, NULL, sweep,
        replaced_finish, unlink_it), &first_replace, 4, NULL},
    {OP("twice.resize-lock", one_there, attach, cycle, grown_finish,
        unlink_it), &first_grow, 6, NULL},
    {{0}, NULL, 0, NULL},
};
