/* SPDX-License-Identifier: MIT */
/*
 * pin.c - memory kept until who was told of it has it
 *
 * A token (token.c) names a descriptor of this process. A pin keeps the block,
 * and with it the descriptor, until the receiver has written the pin's serial
 * number into our pipe, or its time is over. One thread, started when first
 * needed and gone a while after the last pin, reads that pipe.
 *
 * The receiver opens the pipe as it opens the memory, by /proc: a killed
 * receiver leaves the pin to its time, a killed sender takes both along. An
 * acknowledgement that finds the pipe full is lost, and the pin ends with its
 * time. A forked child is not the sender of anything: it lets go of all pins.
 */
#include <array/array_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define LINGER_NS NDS_SEC(1)   /* the thread waits so long for the next pin */
#define FOREVER_NS INT64_MAX

struct pin {
    struct pin *next;
    nds_block *block;
    uint64_t serial;
    int64_t end; /* ndi_now_ns() */
};

static struct {
    pthread_mutex_t mutex;
    struct pin *first;
    struct pin **last; /* where the next one is hung; NULL before the first */
    uint64_t serial;
    int pipe[2];
    struct ndi_procfd ack; /* its write end, for receivers */
    bool running;
    _Atomic uint32_t ended; /* counts pins that ended; a futex */
    int64_t asleep_until; /* of the thread */
} pins = {.mutex = PTHREAD_MUTEX_INITIALIZER, .pipe = {-1, -1}};

static void
unhang(struct pin **at)
{
    struct pin *p = *at;

    *at = p->next;
    if (p->next == NULL) {
        pins.last = at;
    }
    nds_block_close(p->block);
    free(p);
    ndi_add_seq(&pins.ended, 1);
    ndi_futex_wake(&pins.ended, INT32_MAX);
}

/* ---- fork --------------------------------------------------------------- */

static void
before_fork(void)
{
    pthread_mutex_lock(&pins.mutex);
}

static void
after_fork_parent(void)
{
    pthread_mutex_unlock(&pins.mutex);
}

static void
after_fork_child(void)
{
    while (pins.first != NULL) {
        unhang(&pins.first);
    }
    ndi_os_close(ndi_steal_fd(&pins.pipe[0]));
    ndi_os_close(ndi_steal_fd(&pins.pipe[1]));
    pins.running = false;
    pthread_mutex_unlock(&pins.mutex); // ours: only we are left
}

__attribute__((constructor)) static void
follow_forks(void)
{
    ndi_at_fork(NDI_FORK_PINS, before_fork, after_fork_parent,
                after_fork_child);
}

/* ---- the thread --------------------------------------------------------- */

static void
hear_acknowledgements(void)
{
    uint64_t serials[64];
    ssize_t got;

    // Others write 8 bytes at a time, which a pipe never splits.
    while ((got = read(pins.pipe[0], serials, sizeof serials)) > 0) {
        for (size_t i = 0; i < (size_t)got / sizeof serials[0]; i++) {
            struct pin **at = &pins.first;

            while (*at != NULL && (*at)->serial != serials[i]) {
                at = &(*at)->next;
            }
            if (*at != NULL) {
                unhang(at);
            }
        }
    }
}

/* Ends what is over; the next end of one, or LINGER from now. */
static int64_t
end_the_overdue(void)
{
    int64_t now = ndi_now_ns();
    int64_t next = pins.first == NULL ? now + LINGER_NS : FOREVER_NS;
    struct pin **at = &pins.first;

    while (*at != NULL) {
        if ((*at)->end <= now) {
            unhang(at);
            continue;
        }
        next = (*at)->end < next ? (*at)->end : next;
        at = &(*at)->next;
    }
    return next;
}

static void *
wait_for_receivers(void *unused)
{
    bool idle = false;

    (void)unused;
    for (;;) {
        int64_t until;
        int fd, rc;

        pthread_mutex_lock(&pins.mutex);
        hear_acknowledgements();
        until = end_the_overdue();
        if (pins.first == NULL && idle) {
            pins.running = false;
            pthread_mutex_unlock(&pins.mutex);
            return NULL;
        }
        idle = pins.first == NULL;
        pins.asleep_until = until;
        fd = pins.pipe[0];
        pthread_mutex_unlock(&pins.mutex);
        rc = ndi_sock_wait(fd, 1, until == FOREVER_NS ? NDS_FOREVER : until);
        idle = idle && rc < 0;
    }
}

static int
start_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = NDI_SYS_CODE("pthread_create", pthread_create(&thread, &attr,
                                                       wait_for_receivers,
                                                       NULL));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0 ? 0
                   : ndi_fail_errno(rc, "start the thread that waits for the "
                                    "receivers of arrays");
}

/* ---- pins --------------------------------------------------------------- */

static int
be_ready_locked(void)
{
    struct stat st;
    int rc = 0;

    if (pins.pipe[0] < 0) {
        rc = ndi_pipe(pins.pipe);
        if (rc == 0) {
            rc = ndi_os_fstat(pins.pipe[1], &st);
        }
        if (rc < 0) {
            ndi_os_close(ndi_steal_fd(&pins.pipe[0]));
            ndi_os_close(ndi_steal_fd(&pins.pipe[1]));
            return ndi_fail_errno(-rc, "a pipe for acknowledgements");
        }
        pins.ack = (struct ndi_procfd){getpid(), pins.pipe[1], st.st_dev,
                                       st.st_ino};
    }
    if (!pins.running) {
        pins.asleep_until = FOREVER_NS;
        rc = start_thread();
        pins.running = rc == 0;
    }
    return rc;
}

int
ndi_pin_add(nds_block *b, int64_t hold_ns, struct ndi_pin *out)
{
    struct pin *p = calloc(1, sizeof *p);
    int rc;

    if (p == NULL) {
        return ndi_fail_nomem(sizeof *p, "a pin");
    }
    pthread_mutex_lock(&pins.mutex);
    rc = be_ready_locked();
    if (rc == 0) {
        int64_t now = ndi_now_ns();

        p->block = nds_block_get(b);
        p->serial = ++pins.serial;
        p->end = hold_ns < 0 || hold_ns > FOREVER_NS - now ? FOREVER_NS
                                                           : now + hold_ns;
        if (pins.first == NULL) {
            pins.last = &pins.first;
        }
        *pins.last = p;
        pins.last = &p->next;
        out->serial = p->serial;
        out->ack = pins.ack;
        if (p->end < pins.asleep_until) {
            const uint64_t nobody = 0;

            (void)ndi_os_write(pins.pipe[1], &nobody, sizeof nobody);
        }
    }
    pthread_mutex_unlock(&pins.mutex);
    if (rc < 0) {
        free(p);
    }
    return rc;
}

int
nds_array_tokens_wait(int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);

    for (;;) {
        uint32_t seen = ndi_load_seq(&pins.ended);
        int64_t left = ndi_deadline_left(deadline);
        bool none;

        pthread_mutex_lock(&pins.mutex);
        none = pins.first == NULL;
        pthread_mutex_unlock(&pins.mutex);
        if (none) {
            return 0;
        }
        if (left == 0) {
            return timeout_ns == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
        }
        ndi_futex_wait(&pins.ended, seen,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
}

void
ndi_pin_acknowledge(const struct ndi_procfd *pipe, uint64_t serial)
{
    int fd = -1;

    if (ndi_procfd_open(&fd, pipe, O_RDWR | O_NONBLOCK) == 0) {
        // One try: a full pipe loses it. We are a reader too, so that no
        // SIGPIPE comes of a sender that ends just now.
        (void)ndi_os_write(fd, &serial, sizeof serial);
        ndi_os_close(fd);
    }
}
