/* SPDX-License-Identifier: MIT */
/*
 * frame.c - messages on a stream: the length, then the bytes
 *
 * The length is a big-endian signed 32-bit number; -1 says that an unsigned
 * 64-bit one follows. Memory for a message grows with what has arrived, so a
 * peer that only announces a huge one costs nothing.
 */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define FIRST_GRAB ((size_t)16 << 20)

int
ndi_frame_failed(int rc, bool between)
{
    switch (rc) {
    case -ENODATA:
        return between ? ndi_fail(NDS_EEOF, "the peer closed the connection")
                       : ndi_fail(NDS_EPROTO,
                                  "got end of file during message");
    case -EPIPE:
        return ndi_fail(NDS_EPROTO, "got end of file during message");
    case -ECONNRESET:
        return ndi_fail_sys(NDS_EEOF, ECONNRESET, "read a message");
    case -ETIMEDOUT:
        return NDS_ETIMEDOUT;
    default:
        return ndi_fail_errno(-rc, "read a message");
    }
}

int
ndi_frame_head(const unsigned char *h, size_t have, uint64_t limit,
               size_t *head, uint64_t *nbytes)
{
    uint64_t n = 0;

    *head = 4;
    if (have < *head) {
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        n = n << 8 | h[i];
    }
    if (n == UINT32_MAX) {
        *head = 12;
        if (have < *head) {
            return 0;
        }
        n = 0;
        for (int i = 4; i < 12; i++) {
            n = n << 8 | h[i];
        }
    } else if (n > INT32_MAX) {
        return ndi_fail(NDS_EPROTO, "bad message length %d",
                        (int)(int32_t)n);
    }
    if (n > limit) {
        return ndi_fail(NDS_EPROTO, "bad message length: %llu bytes, at most "
                        "%llu are taken here", (unsigned long long)n,
                        (unsigned long long)limit);
    }
    *nbytes = n;
    return 1;
}

/* The length that stands in front. */
static int
read_length(int fd, uint64_t limit, uint64_t *nbytes, int64_t deadline)
{
    unsigned char h[12];
    size_t have = 0, head = 4;
    int rc = 0;

    while (rc == 0) {
        rc = ndi_sock_read(fd, h + have, head - have, deadline);
        if (rc < 0) {
            return ndi_frame_failed(rc, have == 0);
        }
        have = head;
        rc = ndi_frame_head(h, have, limit, &head, nbytes);
    }
    return rc < 0 ? rc : 0;
}

int
ndi_frame_read_into(int fd, void *data, size_t room, size_t *nbytes,
                    int64_t deadline)
{
    uint64_t n = 0;
    int rc = read_length(fd, room, &n, deadline);

    *nbytes = 0;
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("frame.length");
    rc = ndi_sock_read(fd, data, (size_t)n, deadline);
    if (rc < 0) {
        return ndi_frame_failed(rc, false);
    }
    *nbytes = (size_t)n;
    return 0;
}

int
ndi_frame_body(int fd, uint64_t nbytes, const void *begun, size_t have,
               void **data, int64_t deadline)
{
    unsigned char *b = NULL;
    size_t done = 0, room = 0;
    int rc = 0;

    *data = NULL;
    do {
        size_t want = room == 0 ? FIRST_GRAB : room * 4;
        unsigned char *more;

        room = nbytes < want ? (size_t)nbytes : want;
        more = realloc(b, room + 1);
        if (more == NULL) {
            free(b);
            return ndi_fail_nomem(room, "a message");
        }
        b = more;
        if (have != 0) {
            memcpy(b, begun, have);
            done = have;
            have = 0;
        }
        rc = ndi_sock_read(fd, b + done, room - done, deadline);
        if (rc < 0) {
            free(b);
            return ndi_frame_failed(rc, false);
        }
        done = room;
    } while (done < nbytes);
    b[done] = '\0';
    ndi_count_copied(done);
    *data = b;
    return 0;
}

int
ndi_frame_read(int fd, uint64_t limit, void **data, size_t *nbytes,
               int64_t deadline)
{
    uint64_t n = 0;
    int rc;

    *data = NULL;
    *nbytes = 0;
    rc = read_length(fd, limit, &n, deadline);
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("frame.length");
    rc = ndi_frame_body(fd, n, NULL, 0, data, deadline);
    if (rc == 0) {
        *nbytes = (size_t)n;
    }
    return rc;
}

int
ndi_frame_resume(int fd, struct iovec *iov, int count, int64_t deadline)
{
    for (int done = 0; done < count; done += 1024) {
        int some = count - done < 1024 ? count - done : 1024; // IOV_MAX
        int rc = ndi_sock_writev(fd, iov + done, some, deadline);

        if (rc == -EPIPE || rc == -ECONNRESET) {
            return ndi_fail_sys(NDS_EEOF, -rc, "send a message");
        }
        if (rc == -ETIMEDOUT) {
            return NDS_ETIMEDOUT;
        }
        if (rc < 0) {
            return ndi_fail_errno(-rc, "send a message");
        }
    }
    return 0;
}

void
ndi_frame_begin(struct iovec *iov, int count, unsigned char h[12])
{
    uint64_t n = 0;
    size_t at = 4;

    for (int i = 1; i < count; i++) {
        n += iov[i].iov_len;
    }
    if (n > INT32_MAX) {
        memset(h, 0xff, 4);
        for (int i = 0; i < 8; i++) {
            h[4 + i] = (unsigned char)(n >> (56 - 8 * i));
        }
        at = 12;
    } else {
        for (int i = 0; i < 4; i++) {
            h[i] = (unsigned char)(n >> (24 - 8 * i));
        }
    }
    iov[0] = (struct iovec){h, at};
    ndi_count_copied(n);
}

int
ndi_frame_writev(int fd, struct iovec *iov, int count, int64_t deadline)
{
    unsigned char h[12];

    ndi_frame_begin(iov, count, h);
    return ndi_frame_resume(fd, iov, count, deadline);
}

int
ndi_frame_write(int fd, const void *data, size_t nbytes, int64_t deadline)
{
    struct iovec iov[2] = {{NULL, 0}, {(void *)data, nbytes}};

    return ndi_frame_writev(fd, iov, 2, deadline);
}
