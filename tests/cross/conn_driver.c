/* SPDX-License-Identifier: MIT */
/*
 * conn_driver.c - our end of the connection tests with stock Python
 *
 *     conn_driver listen ADDRESS KEY     prints the address; clients come and
 *                                        go until one says 'stop'
 *     conn_driver connect ADDRESS KEY    until the peer ends
 *
 * Either end then does as it is told: a text is a command, anything else comes
 * back as it was understood.
 */
#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT NDS_SEC(60)

static int
failed(const char *what)
{
    fprintf(stderr, "conn_driver: %s: %s\n", what, nds_last_error()->message);
    return -1;
}

/* 'bytes': a message of bytes comes and goes. */
static int
do_bytes(nds_conn *c)
{
    void *data;
    size_t n;
    int rc = nds_conn_recv_bytes(c, &data, &n, WAIT);

    if (rc == 0) {
        rc = nds_conn_send_bytes(c, data, n, WAIT);
        free(data);
    }
    return rc;
}

static int
new_array(nds_conn *c, nds_array **a)
{
    nds_array *like = NULL;
    const nds_view *v;
    int rc = nds_conn_recv_array(c, &like, WAIT);

    if (rc == 0) {
        v = nds_array_view(like);
        rc = nds_array_new(a, v->dtype, v->ndim, v->shape, NULL);
    }
    nds_array_close(like);
    return rc;
}

/* 'elements': an array to make one like, then the elements of it, which go
 * into the array and come back out of it. 'into': the same with arrays whole. */
static int
do_into(nds_conn *c, bool elements)
{
    nds_array *a = NULL;
    int rc = new_array(c, &a);

    if (rc == 0) {
        rc = elements ? nds_conn_recv_view(c, nds_array_view(a), WAIT)
                      : nds_conn_recv_array_into(c, nds_array_view(a), WAIT);
    }
    if (rc == 0) {
        rc = elements ? nds_conn_send_view(c, nds_array_view(a), WAIT)
                      : nds_conn_send_array(c, a, WAIT);
    }
    nds_array_close(a);
    return rc;
}

/* 'sum': of the array that comes. */
static int
do_sum(nds_conn *c)
{
    nds_array *a = NULL;
    nds_scalar s = nds_float(0);
    nds_value *v;
    int rc = nds_conn_recv_array(c, &a, WAIT);

    if (rc == 0) {
        rc = nds_sum(&s, nds_array_view(a));
    }
    if (rc == 0) {
        v = nds_value_scalar(&s);
        rc = nds_conn_send(c, v, WAIT);
        nds_value_free(v);
    }
    nds_array_close(a);
    return rc;
}

/* An error's name is the reply; the connection goes on. */
static int
tell(nds_conn *c, int error)
{
    nds_value *v = nds_value_list();
    int rc;

    nds_value_append(v, nds_value_str(nds_error_name(error)));
    nds_value_append(v, nds_value_str(nds_last_error()->message));
    rc = nds_conn_send(c, v, WAIT);
    nds_value_free(v);
    return rc;
}

static int
obey(nds_conn *c, const nds_value *v, const char *word, bool *stop)
{
    if (strcmp(word, "bytes") == 0) {
        return do_bytes(c);
    }
    if (strcmp(word, "elements") == 0 || strcmp(word, "into") == 0) {
        return do_into(c, *word == 'e');
    }
    if (strcmp(word, "sum") == 0) {
        return do_sum(c);
    }
    *stop = *stop || strcmp(word, "stop") == 0;
    return nds_conn_send(c, v, WAIT);
}

static bool
talk(nds_conn *c)
{
    bool stop = false;
    int rc = 0;

    while (rc == 0) {
        nds_value *v = NULL;
        const char *word;

        rc = nds_conn_recv(c, &v, WAIT);
        if (rc == NDS_EREFUSED || rc == NDS_EFORMAT || rc == NDS_ELIMIT) {
            rc = tell(c, rc);
            continue;
        }
        if (rc == 0) {
            word = nds_value_kind(v) == NDS_VALUE_STR
                       ? nds_value_text(v, NULL)
                       : "";
            rc = obey(c, v, word, &stop);
        }
        nds_value_free(v);
    }
    if (rc != NDS_EEOF) {
        failed("talk");
    }
    nds_conn_close(c);
    return stop;
}

static void
refused(void *ctx, int code, const char *why)
{
    (void)ctx;
    printf("refused %s: %s\n", nds_error_name(code), why);
    fflush(stdout);
}

static int
listen_to(const char *address, nds_conn_options *o)
{
    bool stop = false;
    nds_listener *l;

    o->refused = refused;
    if (nds_listener_new(&l, address, o) < 0) {
        return failed("listen");
    }
    printf("%s\n", nds_listener_address(l));
    fflush(stdout);
    while (!stop) {
        nds_conn *c;

        if (nds_listener_accept(l, &c, WAIT) < 0) {
            return failed("accept");
        }
        stop = talk(c);
    }
    nds_listener_close(l);
    return 0;
}

int
main(int argc, char **argv)
{
    nds_conn_options o = {.size = sizeof o, .timeout_ns = WAIT};
    nds_conn *c;

    if (argc != 4) {
        return 2;
    }
    o.authkey = *argv[3] != '\0' ? argv[3] : NULL;
    o.authkey_nbytes = strlen(argv[3]);
    if (strcmp(argv[1], "listen") == 0) {
        return listen_to(argv[2], &o) < 0;
    }
    if (nds_conn_connect(&c, argv[2], &o) < 0) {
        printf("%s\n", nds_error_name(nds_last_error()->code));
        return 1;
    }
    talk(c);
    return 0;
}
