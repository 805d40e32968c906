/* SPDX-License-Identifier: MIT */
/*
 * access.c - who may touch the elements of a hosted array
 *
 * Methods exclude each other by the object's lock in this process. Once a
 * client has mapped the array they hold the array's own lock beside it, which
 * clients take to copy in and out; it is one mutex, so methods that only read
 * take it together: the first takes it, the last gives it back. A client that
 * died with it has left it to us, with what it had written by then.
 */
#include <mgr/mgr_impl.h>

#include <array/array_impl.h>
#include <base/fail.h>

static int
lock_shared(struct ndi_hosted *h, int64_t timeout_ns)
{
    int rc = nds_array_lock(h->array, timeout_ns);

    if (rc == NDS_ETIMEDOUT) {
        return ndi_fail(NDS_ETIMEDOUT, "a client that has mapped the array "
                        "keeps its lock");
    }
    return rc == NDS_EOWNERDEAD ? 0 : rc;
}

int
ndi_access_begin(struct ndi_access *a, struct ndi_hosted *h, bool writes,
                 int64_t timeout_ns)
{
    int rc = 0;

    *a = (struct ndi_access){.h = h, .writes = writes};
    if (writes) {
        pthread_rwlock_wrlock(&h->lock);
    } else {
        pthread_rwlock_rdlock(&h->lock);
    }
    a->locked = h->mapped;
    if (a->locked && writes) {
        rc = lock_shared(h, timeout_ns);
    } else if (a->locked) {
        pthread_mutex_lock(&h->mutex);
        rc = h->readers == 0 ? lock_shared(h, timeout_ns) : 0;
        h->readers += rc == 0;
        pthread_mutex_unlock(&h->mutex);
    }
    if (rc < 0) {
        pthread_rwlock_unlock(&h->lock);
    }
    return rc;
}

void
ndi_access_end(struct ndi_access *a)
{
    struct ndi_hosted *h = a->h;

    if (a->locked && a->writes) {
        (void)nds_array_unlock(h->array); // raises data_gen
    } else if (a->writes) {
        (void)nds_array_changed(h->array);
    } else if (a->locked) {
        pthread_mutex_lock(&h->mutex);
        if (--h->readers == 0) {
            (void)ndi_array_unlock_unchanged(h->array);
        }
        pthread_mutex_unlock(&h->mutex);
    }
    pthread_rwlock_unlock(&h->lock);
}

void
ndi_access_share(struct ndi_hosted *h)
{
    // Those that run now know nothing of the array's lock.
    pthread_rwlock_wrlock(&h->lock);
    h->mapped = true;
    pthread_rwlock_unlock(&h->lock);
}
