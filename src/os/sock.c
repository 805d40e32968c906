/* SPDX-License-Identifier: MIT */
/*
 * sock.c - stream sockets whose every wait has a deadline
 *
 * Each call tries the kernel without blocking and sleeps in poll only when
 * there was nothing to do, so a descriptor works the same whether or not it
 * is in blocking mode. No call raises SIGPIPE.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

int
ndi_sock_pair(int out[2])
{
    out[0] = out[1] = -1;
    if (NDI_SYS("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
                                         0, out)) < 0) {
        return -errno;
    }
    return 0;
}

int
ndi_poll(struct pollfd *p, int count, int64_t deadline)
{
    for (;;) {
        int64_t left = ndi_deadline_left(deadline);
        int ms = -1;
        int n;

        if (left != INT64_MAX) {
            int64_t up = left / 1000000 + (left % 1000000 != 0);

            ms = up > 3600000 ? 3600000 : (int)up;
        }
        n = NDI_SYS("poll", poll(p, (nfds_t)count, ms));
        if (n > 0) {
            return n;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0 && ndi_deadline_over(deadline)) {
            return -ETIMEDOUT;
        }
    }
}

int
ndi_sock_wait(int fd, int events, int64_t deadline)
{
    struct pollfd p = {.fd = fd};
    int n;

    p.events = (short)(((events & 1) ? POLLIN : 0) |
                       ((events & 2) ? POLLOUT : 0));
    n = ndi_poll(&p, 1, deadline);
    // Hang-up and errors count as ready: the next call says which.
    return n < 0 ? n : (p.revents & POLLNVAL) ? -EBADF : 0;
}

int
ndi_sock_again(int fd, int events, int64_t deadline)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return ndi_sock_wait(fd, events, deadline);
    }
    return errno == EINTR ? 0 : -errno;
}

int
ndi_sock_read(int fd, void *data, size_t nbytes, int64_t deadline)
{
    unsigned char *to = data;
    size_t done = 0;

    while (done < nbytes) {
        ssize_t n = NDI_SYS("recv", recv(fd, to + done, nbytes - done,
                                         MSG_DONTWAIT));

        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) {
            return done == 0 ? -ENODATA : -EPIPE;
        } else {
            int rc = ndi_sock_again(fd, 1, deadline);

            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

int
ndi_sock_patience(int fd, int64_t timeout_ns)
{
    struct timeval t = {0}; // which means for ever
    int flags = NDI_SYS("fcntl", fcntl(fd, F_GETFL));

    if (timeout_ns > 0) {
        t.tv_sec = (time_t)(timeout_ns / 1000000000);
        t.tv_usec = (suseconds_t)(timeout_ns % 1000000000 / 1000) + 1;
        if (t.tv_usec > 999999) {
            t.tv_usec = 999999;
        }
    }
    if (flags < 0 ||
        NDI_SYS("fcntl", fcntl(fd, F_SETFL, flags & ~O_NONBLOCK)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) < 0) {
        return -errno;
    }
    return 0;
}

int
ndi_sock_recv(int fd, void *data, size_t room, size_t *got, bool block,
              int64_t deadline)
{
    *got = 0;
    for (;;) {
        ssize_t n = NDI_SYS("recv", recv(fd, data, room,
                                         block ? 0 : MSG_DONTWAIT));
        int rc;

        if (n > 0) {
            *got = (size_t)n;
            return 0;
        }
        if (n == 0) {
            return -ENODATA;
        }
        // A signal, or the patience is over: the rest by the deadline.
        block = false;
        rc = ndi_sock_again(fd, 1, deadline);
        if (rc < 0) {
            return rc;
        }
    }
}

int
ndi_sock_try(int fd, void *data, size_t room, size_t *got)
{
    ssize_t n;

    do {
        n = NDI_SYS("recv", recv(fd, data, room, MSG_DONTWAIT));
    } while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0) {
        return 0;
    }
    return n == 0 ? -ENODATA : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Drops `n` written bytes from the front of the vector, which shows what is
 * left if we give up. */
static void
advance(struct iovec **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)->iov_len = 0;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

int
ndi_sock_writev(int fd, struct iovec *iov, int count, int64_t deadline)
{
    advance(&iov, &count, 0);
    while (count > 0) {
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        ssize_t n = NDI_SYS("sendmsg",
                            sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));

        if (n >= 0) {
            advance(&iov, &count, (size_t)n);
        } else {
            int rc = ndi_sock_again(fd, 2, deadline);

            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

static int
unix_address(struct sockaddr_un *sun, socklen_t *len, const char *name,
             size_t nbytes)
{
    if (nbytes == 0) {
        return -EINVAL;
    }
    if (nbytes >= sizeof sun->sun_path) {
        return -ENAMETOOLONG;
    }
    memset(sun, 0, sizeof *sun);
    sun->sun_family = AF_UNIX;
    memcpy(sun->sun_path, name, nbytes);
    // An abstract name is exactly its bytes; a path has its NUL counted.
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + nbytes +
                       (name[0] == '\0' ? 0 : 1));
    return 0;
}

/* A socket, and the address for it; -errno. */
static int
unix_socket(struct sockaddr_un *sun, socklen_t *len, const char *name,
            size_t nbytes)
{
    int rc = unix_address(sun, len, name, nbytes);

    if (rc == 0) {
        rc = NDI_SYS("socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
                                                   SOCK_NONBLOCK, 0));
        rc = rc < 0 ? -errno : rc;
    }
    return rc;
}

int
ndi_sock_listen_unix(int *fd, const char *name, size_t nbytes, int backlog)
{
    struct sockaddr_un sun;
    socklen_t len;
    int s = unix_socket(&sun, &len, name, nbytes);

    *fd = -1;
    if (s < 0) {
        return s;
    }
    if (NDI_SYS("bind", bind(s, (struct sockaddr *)&sun, len)) < 0 ||
        NDI_SYS("listen", listen(s, backlog)) < 0) {
        int rc = -errno;

        close(s);
        return rc;
    }
    *fd = s;
    return 0;
}

/* Connects before the deadline; the socket is closed on failure. */
static int
connect_before(int *fd, int s, const struct sockaddr *sa, socklen_t len,
               int64_t deadline)
{
    int err = 0;
    socklen_t errlen = sizeof err;
    int rc = 0;

    while (NDI_SYS("connect", connect(s, sa, len)) < 0) {
        if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR) {
            rc = ndi_sock_wait(s, 2, deadline);
            if (rc == 0 &&
                getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &errlen) < 0) {
                rc = -errno;
            }
            if (rc == 0) {
                rc = -err;
            }
            break;
        }
        if (errno != EAGAIN || sa->sa_family != AF_UNIX) {
            rc = -errno;
            break;
        }
        // A Unix listener whose backlog is full: nothing to poll on, so ask
        // again in a little while.
        if (ndi_deadline_over(deadline)) {
            rc = -ETIMEDOUT;
            break;
        }
        poll(NULL, 0, 2);
    }
    if (rc < 0) {
        close(s);
        return rc;
    }
    *fd = s;
    return 0;
}

int
ndi_sock_connect_unix(int *fd, const char *name, size_t nbytes,
                      int64_t deadline)
{
    struct sockaddr_un sun;
    socklen_t len;
    int s = unix_socket(&sun, &len, name, nbytes);

    *fd = -1;
    return s < 0 ? s
                 : connect_before(fd, s, (struct sockaddr *)&sun, len,
                                  deadline);
}

static int
look_up(struct sockaddr_in *sin, const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int rc;

    rc = getaddrinfo(host, NULL, &hints, &found);
    if (rc != 0) {
        return rc == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
    }
    memcpy(sin, found->ai_addr, sizeof *sin);
    sin->sin_port = htons(port);
    freeaddrinfo(found);
    return 0;
}

static int
tcp_socket(void)
{
    int s = NDI_SYS("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC |
                                                  SOCK_NONBLOCK, 0));

    return s < 0 ? -errno : s;
}

int
ndi_sock_listen_tcp(int *fd, const char *host, uint16_t port, int backlog,
                    uint16_t *bound)
{
    struct sockaddr_in sin;
    socklen_t len = sizeof sin;
    int one = 1;
    int s, rc;

    *fd = -1;
    rc = look_up(&sin, host, port);
    if (rc < 0) {
        return rc;
    }
    s = tcp_socket();
    if (s < 0) {
        return s;
    }
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (NDI_SYS("bind", bind(s, (struct sockaddr *)&sin, sizeof sin)) < 0 ||
        NDI_SYS("listen", listen(s, backlog)) < 0 ||
        getsockname(s, (struct sockaddr *)&sin, &len) < 0) {
        rc = -errno;
        close(s);
        return rc;
    }
    *bound = ntohs(sin.sin_port);
    *fd = s;
    return 0;
}

int
ndi_sock_connect_tcp(int *fd, const char *host, uint16_t port,
                     int64_t deadline)
{
    struct sockaddr_in sin;
    int one = 1;
    int s, rc;

    *fd = -1;
    rc = look_up(&sin, host, port);
    if (rc < 0) {
        return rc;
    }
    s = tcp_socket();
    if (s < 0) {
        return s;
    }
    // Requests are one write and wait for their reply: never hold them back.
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return connect_before(fd, s, (struct sockaddr *)&sin, sizeof sin,
                          deadline);
}

int
ndi_sock_accept(int *out, int fd)
{
    int one = 1;
    int s;

    *out = -1;
    do {
        s = NDI_SYS("accept",
                    accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    } while (s < 0 && errno == EINTR);
    if (s < 0) {
        // A client that gave up between its connect and our accept.
        return errno == EWOULDBLOCK || errno == ECONNABORTED ? -EAGAIN
                                                             : -errno;
    }
    // Fails on a Unix socket, where nothing is held back anyway.
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *out = s;
    return 0;
}

int
ndi_sock_peer(int fd, pid_t *pid, uid_t *uid)
{
    struct ucred cred;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (NDI_SYS("getsockname",
                getsockname(fd, (struct sockaddr *)&ss, &len)) < 0) {
        return -errno;
    }
    if (ss.ss_family != AF_UNIX) {
        return -ENOTSUP;
    }
    len = sizeof cred;
    if (NDI_SYS("peercred", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred,
                                       &len)) < 0) {
        return -errno;
    }
    *pid = cred.pid;
    *uid = cred.uid;
    return 0;
}

bool
ndi_sock_ended(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK &&
                      errno != EINTR);
}

void
ndi_sock_shutdown(int fd)
{
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

void
ndi_sock_poke(int fd)
{
    int saved = errno;

    (void)!send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    errno = saved;
}
