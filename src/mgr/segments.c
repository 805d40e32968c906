/* SPDX-License-Identifier: MIT */
/*
 * segments.c - the shared memory that a SharedMemoryManager's clients made
 *
 * They make and name it themselves and tell us; what nobody has released when
 * the server ends is unlinked then, as Python's server does. A server that is
 * killed unlinks nothing.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 65536

void
ndi_segments_init(struct ndi_segments *t)
{
    *t = (struct ndi_segments){0};
    pthread_mutex_init(&t->lock, NULL);
}

void
ndi_segments_fini(struct ndi_segments *t)
{
    for (size_t i = 0; i < t->count; i++) {
        // Gone already, most likely: that is no failure.
        (void)ndi_shm_unlink(t->names[i]);
        free(t->names[i]);
    }
    free(t->names);
    pthread_mutex_destroy(&t->lock);
}

static size_t
find_locked(const struct ndi_segments *t, const char *name)
{
    size_t i = 0;

    while (i < t->count && strcmp(t->names[i], name) != 0) {
        i++;
    }
    return i;
}

int
ndi_segments_track(struct ndi_segments *t, const char *name)
{
    char *copy = NULL, **more;
    int rc = 0;

    if (name[0] == '\0' || strlen(name) > 255 || strchr(name, '/') != NULL) {
        return ndi_fail(NDS_EINVAL, "'%.100s' is no name of shared memory",
                        name);
    }
    pthread_mutex_lock(&t->lock);
    if (t->count >= SEGMENTS_MAX) {
        rc = ndi_fail(NDS_ELIMIT, "more than %d segments", SEGMENTS_MAX);
    } else if (find_locked(t, name) == t->count) {
        copy = strdup(name);
        more = realloc(t->names, (t->count + 1) * sizeof *more);
        t->names = more != NULL ? more : t->names;
        rc = copy != NULL && more != NULL
                 ? 0
                 : ndi_fail_nomem(strlen(name), "a segment's name");
    }
    if (rc == 0 && copy != NULL) {
        t->names[t->count++] = copy;
    } else {
        free(copy);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

int
ndi_segments_release(struct ndi_segments *t, const char *name)
{
    size_t i;
    bool known;

    pthread_mutex_lock(&t->lock);
    i = find_locked(t, name);
    known = i < t->count;
    if (known) {
        (void)ndi_shm_unlink(name);
        free(t->names[i]);
        t->names[i] = t->names[--t->count];
    }
    pthread_mutex_unlock(&t->lock);
    return known ? 0
                 : ndi_fail(NDS_EKEY, "'%.100s' is not tracked here", name);
}

nds_value *
ndi_segments_list(struct ndi_segments *t)
{
    nds_value *list = nds_value_list();
    int rc = 0;

    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; rc == 0 && i < t->count; i++) {
        rc = nds_value_append(list, nds_value_str(t->names[i]));
    }
    pthread_mutex_unlock(&t->lock);
    if (rc < 0) {
        nds_value_free(ndi_steal(&list));
    }
    return list;
}
