/* SPDX-License-Identifier: MIT */
/*
 * pool.c - the sessions of a server and the threads that serve them
 *
 * Idle sessions rest in one set of descriptors, which all threads that have
 * nothing to do wait for; who is told of a session has it alone until it rests
 * again. So a call wakes one thread, and a session that does nothing costs
 * none. A thread that takes a session leaves another one waiting, made if need
 * be: calls that last, or wait for locks and items, hold up nobody. Those that
 * are no longer needed end.
 *
 * Strangers: who has not proved the key may have STRANGERS connections, then
 * the one that came first is dropped for the next.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define STRANGERS 256
#define KEEP_THREADS 2
#define KEEP_NS NDS_SEC(3)

int
ndi_pool_init(struct ndi_pool *p, struct ndi_service *service)
{
    int rc;

    *p = (struct ndi_pool){.service = service, .set = -1,
                           .wake = {-1, -1}};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->ended, NULL);
    rc = ndi_epoll(&p->set);
    rc = rc < 0 ? rc : ndi_sock_pair(p->wake);
    return rc < 0 ? ndi_fail_errno(-rc, "a server's set of connections") : 0;
}

static void
link_in(struct ndi_session **list, struct ndi_session *s)
{
    s->next = *list;
    s->at = list;
    if (s->next != NULL) {
        s->next->at = &s->next;
    }
    *list = s;
}

static void
link_out(struct ndi_session *s)
{
    *s->at = s->next;
    if (s->next != NULL) {
        s->next->at = s->at;
    }
}

/* The session that its thread has: its end. */
static void
end(struct ndi_pool *p, struct ndi_session *s)
{
    NDI_KILL_POINT("mgr.conn_done");
    ndi_epoll_remove(p->set, s->conn.fd);
    pthread_mutex_lock(&p->lock);
    link_out(s);
    p->sessions--;
    p->nstrangers -= s->stranger;
    // Out of the lists first: nobody shuts a number that is someone else's.
    pthread_cond_broadcast(&p->ended);
    pthread_mutex_unlock(&p->lock);
    ndi_session_fini(s);
    free(s);
}

/* Back to the set, unless it is at its end. Whoever is told of it next takes the
 * lock first, and so sees all that was done here. */
static void
lay_down(struct ndi_pool *p, struct ndi_session *s, int events)
{
    pthread_mutex_lock(&p->lock);
    if (s->stranger && ndi_session_is_proved(s)) {
        link_out(s);
        link_in(&p->proved, s);
        s->stranger = false;
        p->nstrangers--;
    }
    if (events == 0 || ndi_epoll_again(p->set, s->conn.fd, events, s) < 0) {
        pthread_mutex_unlock(&p->lock);
        end(p, s);
        pthread_mutex_lock(&p->lock);
    }
    p->idle++;
    pthread_mutex_unlock(&p->lock);
}

static void start_locked(struct ndi_pool *p);

/* The next session to serve; NULL: this thread is not needed any more. */
static struct ndi_session *
next_session(struct ndi_pool *p)
{
    void *what = NULL;
    bool leave = false;
    int rc;

    while (!leave) {
        rc = ndi_epoll_wait(p->set, &what, 1, ndi_deadline(KEEP_NS));
        pthread_mutex_lock(&p->lock);
        leave = p->stopping || (rc <= 0 && p->idle > KEEP_THREADS);
        if (rc > 0 && what != NULL && !p->stopping) {
            p->idle--;
            if (p->idle == 0) {
                start_locked(p);
            }
            pthread_mutex_unlock(&p->lock);
            return what;
        }
        p->idle -= leave;
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

static void *
thread_main(void *arg)
{
    struct ndi_pool *p = arg;
    struct ndi_session *s;
    pthread_t before;
    bool join;

    while ((s = next_session(p)) != NULL) {
        lay_down(p, s, ndi_session_run(s));
    }
    // Each joins the one that ended before it, so none is left half ended.
    pthread_mutex_lock(&p->lock);
    join = p->has_left;
    before = p->left;
    p->left = pthread_self();
    p->has_left = true;
    pthread_mutex_unlock(&p->lock);
    if (join) {
        pthread_join(before, NULL);
    }
    pthread_mutex_lock(&p->lock);
    p->threads--;
    pthread_cond_broadcast(&p->ended);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* One thread more that waits, if there may be. */
static void
start_locked(struct ndi_pool *p)
{
    sigset_t all, before;
    pthread_t id;
    int rc;

    if (p->threads >= NDI_MGR_THREADS) {
        return;
    }
    // Signals are the business of the program's own threads.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = NDI_SYS_CODE("thread", pthread_create(&id, NULL, thread_main, p));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        p->threads++;
        p->idle++;
    }
}

/* Ends the stranger that came first: the last in the list. */
static void
drop_stranger_locked(struct ndi_pool *p)
{
    struct ndi_session *s = p->strangers;

    while (s != NULL && s->next != NULL) {
        s = s->next;
    }
    if (s != NULL) {
        ndi_sock_shutdown(s->conn.fd);
    }
}

void
ndi_pool_drop_stranger(struct ndi_pool *p)
{
    pthread_mutex_lock(&p->lock);
    drop_stranger_locked(p);
    pthread_mutex_unlock(&p->lock);
}

void
ndi_pool_add(struct ndi_pool *p, int fd)
{
    struct ndi_session *s = calloc(1, sizeof *s);
    bool served;

    if (s == NULL) {
        ndi_os_close(fd);
        return;
    }
    ndi_session_init(s, p->service, fd);
    s->stranger = true;
    pthread_mutex_lock(&p->lock);
    if (p->nstrangers >= STRANGERS) {
        drop_stranger_locked(p);
    }
    if (p->idle == 0) {
        start_locked(p);
    }
    // There is room for a greeting: that is for a thread of ours to send, since
    // with what comes next it may be busy for long.
    served = p->threads > 0 &&
             ndi_epoll_add_once(p->set, fd, 2, s) == 0;
    if (served) {
        // Before its thread can look for it: that one needs the lock first.
        link_in(&p->strangers, s);
        p->sessions++;
        p->nstrangers++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!served) {
        ndi_session_fini(s);
        free(s);
    }
}

static void
shut_late(struct ndi_session *s, bool all)
{
    for (; s != NULL; s = s->next) {
        int64_t deadline = atomic_load(&s->deadline);

        if (all || (deadline >= 0 && ndi_deadline_over(deadline))) {
            ndi_sock_shutdown(s->conn.fd);
        }
    }
}

void
ndi_pool_expire(struct ndi_pool *p)
{
    pthread_mutex_lock(&p->lock);
    shut_late(p->strangers, false);
    shut_late(p->proved, false);
    pthread_mutex_unlock(&p->lock);
}

void
ndi_pool_stop(struct ndi_pool *p)
{
    pthread_mutex_lock(&p->lock);
    shut_late(p->strangers, true);
    shut_late(p->proved, true);
    while (p->sessions > 0) {
        pthread_cond_wait(&p->ended, &p->lock);
    }
    p->stopping = true;
    if (p->threads > 0 &&
        ndi_epoll_add_once(p->set, p->wake[0], 1, NULL) == 0) {
        ndi_os_close(p->wake[1]); // ready for ever
        p->wake[1] = -1;
    }
    while (p->threads > 0) {
        pthread_cond_wait(&p->ended, &p->lock);
        // Told once each: the next one.
        (void)ndi_epoll_again(p->set, p->wake[0], 1, NULL);
    }
    if (p->has_left) {
        pthread_join(p->left, NULL);
        p->has_left = false;
    }
    pthread_mutex_unlock(&p->lock);
}

void
ndi_pool_fini(struct ndi_pool *p)
{
    ndi_pool_stop(p);
    ndi_os_close(p->set);
    ndi_os_close(p->wake[0]);
    ndi_os_close(p->wake[1]);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->ended);
}
