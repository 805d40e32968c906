/* SPDX-License-Identifier: MIT */
/*
 * containers.c - two PID namespaces over one /dev/shm, pid 1 in each
 *
 * Who holds what is asked of the kernel's byte locks, not of process ids: in
 * two containers everybody may be pid 1. Here two or three boxes, each a PID
 * namespace of its own whose only process is pid 1, share a directory. What pid
 * 1 of A holds must not be given to pid 1 of B while A's lives, and must come
 * to B once it is killed.
 *
 * A box obeys orders, one at a time, over a socket; nothing here waits for
 * time to pass but where the answer is "not yet": a deadline that must run out.
 *
 * Exit 0, 1, or 77 with the reason where namespaces may not be made.
 */
#include <harness/walk.h>

#include <ndshare/ndshare.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_YET NDS_MSEC(300) /* several slices: long enough to be wrong in */
#define SURELY NDS_SEC(60)
#define ANSWER_MS 90000
#define ITEM 42 /* what B puts; A's are other numbers */

struct order {
    int (*act)(void);
};

struct answer {
    int rc;
    int64_t number; /* an item, a namespace, a count */
    char why[96];
};

struct box {
    pid_t keeper; /* our child, outside; its child is pid 1 inside */
    pid_t worker; /* as we see it */
    int fd;
};

/* ---- inside a box: what pid 1 is told to do ----------------------------- */

static nds_mutex *mutex;
static nds_queue *queue;
static nds_array *array, *item;
static struct answer said;

static int
who_am_i(void)
{
    struct stat st;

    if (stat("/proc/self/ns/pid", &st) < 0) {
        return -errno;
    }
    said.number = (int64_t)st.st_ino;
    return (int)getpid();
}

static int
make_mutex(void)
{
    return nds_mutex_create(&mutex, "lock", NDS_MUTEX_PLAIN);
}

static int
attach_mutex(void)
{
    return nds_mutex_attach(&mutex, "lock");
}

static int
try_lock(void)
{
    return nds_mutex_lock(mutex, NOT_YET);
}

static int
wait_lock(void)
{
    return nds_mutex_lock(mutex, SURELY);
}

static int
unlock(void)
{
    return nds_mutex_unlock(mutex);
}

static int
make_queue(void)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 1,
                              .acknowledge = true};

    return nds_queue_create(&queue, "queue", &opts);
}

static int
attach_queue(void)
{
    return nds_queue_attach(&queue, "queue", SURELY);
}

static int
put_item(int64_t timeout_ns)
{
    nds_array_options opts = {.size = sizeof opts};
    int64_t n = 1;
    nds_array *a = NULL;
    int rc = nds_array_new(&a, NDS_INT64, 1, &n, &opts);

    if (rc == 0) {
        *(int64_t *)nds_array_data(a) = ITEM;
        rc = nds_queue_put(queue, a, NULL, timeout_ns);
    }
    nds_array_close(a);
    return rc;
}

static int
put_try(void)
{
    return put_item(NOT_YET);
}

static int
put_surely(void)
{
    return put_item(SURELY);
}

static int
take_item(int64_t timeout_ns)
{
    int rc = nds_queue_take(queue, &item, NULL, timeout_ns);

    if (rc == 0) {
        said.number = *(const int64_t *)nds_array_data(item);
        snprintf(said.why, sizeof said.why, "delivered %u times before",
                 nds_queue_deliveries(item));
    }
    return rc;
}

static int
take_try(void)
{
    return take_item(NOT_YET);
}

static int
take_surely(void)
{
    return take_item(SURELY);
}

static int
release(void)
{
    return nds_queue_release(queue, &item);
}

/* Not inline: memory of the arena. */
static int
loan(void)
{
    int64_t n = 100000;
    int rc = nds_queue_loan(queue, &item, NDS_INT64, 1, &n, SURELY);

    if (rc == 0) {
        memset(nds_array_data(item), 0xee, 4096);
    }
    return rc;
}

static int
bytes_used(void)
{
    nds_queue_info info = {.size = sizeof info};
    int rc = nds_queue_info_get(queue, &info);

    said.number = (int64_t)info.bytes_used;
    return rc < 0 ? rc : (int)info.loaned;
}

static int
make_array(void)
{
    nds_array_options opts = {.size = sizeof opts,
                              .lifetime = NDS_WHILE_USED};
    int64_t n = 1000;

    return nds_array_create(&array, "array", NDS_INT64, 1, &n, &opts);
}

/* As a program that has never heard of us maps a file. */
static int
map_array(void)
{
    char path[256];
    void *p;
    int fd;

    snprintf(path, sizeof path, "%s/array", getenv("NDSHARE_SHM_DIR"));
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? -errno : 0;
}

static void
hear(const char *name, bool removed, const char *why, void *ctx)
{
    (void)ctx;
    if (strcmp(name, "array") == 0) {
        said.number = removed;
        snprintf(said.why, sizeof said.why, "%s", why);
    }
}

/* number: whether the array went. */
static int
sweep(void)
{
    int rc = nds_sweep(false, hear, NULL);

    return rc < 0 ? rc : 0;
}

/* Obeys until the other end of the socket is gone. */
static void
obey(int fd)
{
    struct order order;

    while (read(fd, &order, sizeof order) == (ssize_t)sizeof order) {
        memset(&said, 0, sizeof said);
        said.rc = order.act();
        if (said.rc < 0 && said.why[0] == '\0') {
            snprintf(said.why, sizeof said.why, "%s",
                     nds_last_error()->message);
        }
        if (write(fd, &said, sizeof said) != (ssize_t)sizeof said) {
            break;
        }
    }
}

/* ---- outside ------------------------------------------------------------ */

static int failures;
static const char *doing = "";

static void
expect(bool good, const char *what, const struct answer *a)
{
    if (!good) {
        failures++;
        printf("FAILED %s: %s (%d, %lld%s%s)\n", doing, what, a->rc,
               (long long)a->number, a->why[0] != '\0' ? ", " : "", a->why);
    }
}

static void
tell(const struct box *b, int (*act)(void))
{
    struct order order = {act}; // both are one image: a pointer means the same

    if (write(b->fd, &order, sizeof order) != (ssize_t)sizeof order) {
        perror("order");
    }
}

static struct answer
hear_from(const struct box *b)
{
    struct answer a = {.rc = INT32_MIN, .why = "no answer"};
    struct pollfd p = {.fd = b->fd, .events = POLLIN};

    if (poll(&p, 1, ANSWER_MS) != 1 ||
        read(b->fd, &a, sizeof a) != (ssize_t)sizeof a) {
        a = (struct answer){.rc = INT32_MIN, .why = "no answer"};
    }
    return a;
}

static struct answer
ask(const struct box *b, int (*act)(void))
{
    tell(b, act);
    return hear_from(b);
}

/* Asks and wants rc. */
static struct answer
want(const struct box *b, int (*act)(void), int rc, const char *what)
{
    struct answer a = ask(b, act);

    expect(a.rc == rc, what, &a);
    return a;
}

/* A keeper makes the namespace and stays outside; who it forks is pid 1. Its
 * own /proc too, where that may be mounted: else the host's is seen, which
 * serves as well. */
static void
keep(int fd)
{
    pid_t worker;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
        _exit(errno == EPERM || errno == ENOSYS || errno == EINVAL ||
                      errno == ENOSPC
                  ? 77
                  : 1);
    }
    worker = fork();
    if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0) {
            (void)mount("proc", "/proc", "proc", 0, NULL);
        }
        obey(fd);
        _exit(0);
    }
    if (worker < 0 || write(fd, &worker, sizeof worker) < 0) {
        _exit(1);
    }
    close(fd);
    while (waitpid(worker, NULL, 0) < 0 && errno == EINTR) {
    }
    _exit(0);
}

/* 0, or what the keeper said: 77 where it may not. */
static int
box_open(struct box *b)
{
    int ends[2], status = 0;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return 1;
    }
    fflush(stdout);
    b->keeper = fork();
    if (b->keeper < 0) {
        return 1;
    }
    if (b->keeper == 0) {
        close(ends[0]);
        keep(ends[1]);
    }
    close(ends[1]);
    b->fd = ends[0];
    // The worker is told of before it is asked anything.
    if (read(b->fd, &b->worker, sizeof b->worker) ==
        (ssize_t)sizeof b->worker) {
        return 0;
    }
    close(b->fd);
    waitpid(b->keeper, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 1;
}

/* SIGKILL, from outside. The keeper ends when it has seen the end of pid 1,
 * which is after the kernel has let go of all it held. */
static void
box_kill(struct box *b)
{
    if (b->keeper > 0) {
        kill(b->worker, SIGKILL);
        waitpid(b->keeper, NULL, 0);
        close(b->fd);
        b->keeper = 0;
    }
}

static int
boxes_open(const char *title, struct box *a, struct box *b)
{
    struct answer in_a, in_b;

    doing = title;
    if (box_open(a) != 0 || box_open(b) != 0) {
        failures++;
        printf("FAILED %s: no boxes\n", title);
        return -1;
    }
    in_a = want(a, who_am_i, 1, "A is pid 1");
    in_b = want(b, who_am_i, 1, "B is pid 1");
    expect(in_a.number != in_b.number, "two namespaces", &in_a);
    return 0;
}

/* ---- the cases ---------------------------------------------------------- */

static void
a_lock(struct box *a, struct box *b)
{
    struct answer got;

    want(a, make_mutex, 0, "A makes a lock");
    want(a, wait_lock, 0, "A locks");
    want(b, attach_mutex, 0, "B attaches");
    want(b, try_lock, NDS_ETIMEDOUT, "B does not get what pid 1 of A holds");
    want(b, unlock, NDS_ENOTOWNER, "B does not pass for its holder");
    want(a, unlock, 0, "A unlocks");
    want(b, wait_lock, 0, "B gets it without a verdict");
    want(a, try_lock, NDS_ETIMEDOUT, "nor A what pid 1 of B holds");
    want(b, unlock, 0, "B unlocks");
    want(a, wait_lock, 0, "A locks again");
    tell(b, wait_lock);
    box_kill(a);
    got = hear_from(b);
    expect(got.rc == NDS_EOWNERDEAD, "B hears of A's death", &got);
    want(b, unlock, 0, "and holds it");
}

static void
an_item(struct box *a, struct box *b)
{
    struct answer got;

    want(b, make_queue, 0, "B makes a queue");
    want(a, attach_queue, 0, "A attaches");
    want(b, put_surely, 0, "B puts");
    got = want(a, take_surely, 0, "A takes");
    expect(got.number == ITEM, "the item", &got);
    want(b, take_try, NDS_ETIMEDOUT, "B does not get what A works on");
    tell(b, take_surely);
    box_kill(a);
    got = hear_from(b);
    expect(got.rc == 0 && got.number == ITEM, "it comes back to B", &got);
    expect(strcmp(got.why, "delivered 1 times before") == 0,
           "its count is raised", &got);
    want(b, release, 0, "B is done");
    want(b, take_try, NDS_ETIMEDOUT, "and it comes no third time");
}

static void
a_loan(struct box *a, struct box *b)
{
    struct answer before, got;

    want(b, make_queue, 0, "B makes a queue for one item");
    before = want(b, bytes_used, 0, "nothing is on loan");
    want(a, attach_queue, 0, "A attaches");
    want(a, loan, 0, "A has a loan");
    got = want(b, bytes_used, 1, "one is on loan");
    expect(got.number > before.number, "it costs memory", &got);
    want(b, put_try, NDS_ETIMEDOUT, "no room while A lives");
    tell(b, put_surely);
    box_kill(a);
    got = hear_from(b);
    expect(got.rc == 0, "room after A's death", &got);
    got = want(b, take_surely, 0, "only B's item is there");
    expect(got.number == ITEM, "the item", &got);
    want(b, release, 0, "B is done");
    got = want(b, bytes_used, 0, "no loan is left");
    expect(got.number == before.number, "all memory is back", &got);
}

static void
a_name(struct box *a, struct box *b)
{
    struct answer got;

    want(a, make_array, 0, "A makes an array, while used");
    got = want(b, sweep, 0, "B sweeps");
    expect(got.number == 0 && strcmp(got.why, "in use") == 0,
           "A uses it: it stays", &got);
    box_kill(a);
    got = want(b, sweep, 0, "B sweeps again");
    expect(got.number == 1, "nobody uses it: it goes", &got);
    expect(nds_count_names("array") == 0, "the name is gone", &got);
}

/* The array's maker is a third one, already dead. */
static void
a_stranger(struct box *a, struct box *b)
{
    struct box maker = {0};
    struct answer got = {0};

    if (box_open(&maker) != 0) {
        expect(false, "a third box", &got);
        return;
    }
    want(&maker, make_array, 0, "one makes an array, while used");
    want(a, map_array, 0, "A maps it, with no lock of ours");
    box_kill(&maker);
    got = want(b, sweep, 0, "B sweeps");
    expect(got.number == 0 && strstr(got.why, "not ndshare's") != NULL,
           "a stranger's mapping keeps it", &got);
    box_kill(a);
    got = want(b, sweep, 0, "B sweeps again");
    expect(got.number == 1, "nobody maps it: it goes", &got);
}

static const struct {
    const char *title;
    void (*run)(struct box *a, struct box *b);
} cases[] = {
    {"a lock", a_lock},     {"an item taken", an_item},
    {"a loan", a_loan},     {"a name while used", a_name},
    {"a stranger's mapping", a_stranger},
};

/* Without root: a user namespace that maps us to ourselves. 0, or why not. */
static int
become_able(void)
{
    char text[64];
    uid_t uid = geteuid();
    int fd;

    if (uid == 0) {
        return 0;
    }
    if (unshare(CLONE_NEWUSER) < 0) {
        return errno;
    }
    fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    snprintf(text, sizeof text, "%u %u 1", (unsigned)uid, (unsigned)uid);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        int err = errno;

        close(fd);
        return err;
    }
    close(fd);
    return 0;
}

static int
skip(const char *why)
{
    printf("skipped: no PID namespaces here: %s\n", why);
    return 77;
}

int
main(void)
{
    struct box probe = {0};
    int rc = become_able();

    if (rc != 0) {
        return skip(strerror(rc));
    }
    rc = box_open(&probe);
    if (rc == 77) {
        return skip("unshare(CLONE_NEWPID) is refused");
    }
    box_kill(&probe);
    if (rc != 0) {
        printf("FAILED: no box\n");
        return 1;
    }
    nds_own_shm_dir();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct box a = {0}, b = {0};
        int before = failures;

        if (boxes_open(cases[i].title, &a, &b) == 0) {
            cases[i].run(&a, &b);
        }
        box_kill(&a);
        box_kill(&b);
        nds_remove_names("");
        printf("%s: %s\n", cases[i].title, failures == before ? "ok" : "bad");
    }
    nds_drop_shm_dir();
    return failures == 0 ? 0 : 1;
}
