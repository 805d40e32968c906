/* SPDX-License-Identifier: MIT */
/*
 * mgr_driver.c - our end of the manager tests with stock Python
 *
 *     mgr_driver serve ADDRESS KEY         a server; prints its address
 *     mgr_driver client ADDRESS KEY        calls a server of Python's
 *     mgr_driver record ADDRESS KEY        a server, the same idents each time
 *     mgr_driver talk ADDRESS KEY          what is recorded of our client
 */
#include "../unit/wire_talk.h"

#include <mgr/mgr_impl.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nds_server *server;

static void
on_term(int sig)
{
    (void)sig;
    nds_server_stop(server);
}

static int
failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, nds_last_error()->message);
    return 1;
}

static int
serve(const nds_manager_options *opts, bool fixed)
{
    int rc;

    if (nds_server_new(&server, opts) < 0) {
        return failed("serve");
    }
    if (fixed) {
        // The service is the server's first member.
        ((struct ndi_service *)server)->idents.next_id = 0x1000001;
    }
    signal(SIGTERM, on_term);
    printf("%s\n", nds_server_address(server));
    fflush(stdout);
    rc = nds_server_run(server);
    nds_server_free(server);
    return rc < 0;
}

/* p.method(args), printed as Python's repr or the error's text. */
static void
show(nds_proxy *p, const char *method, const char *text)
{
    nds_value *args, *kwds, *v = NULL;
    char *shown = NULL;

    if (nds_value_parse_args(&args, &kwds, text) < 0 ||
        nds_proxy_call(p, &v, method, args, kwds) < 0 ||
        nds_value_repr(v, &shown) < 0) {
        const char *message = nds_last_error()->message;
        const char *last = strrchr(message, '\n');

        printf("%s: %s\n", method, last != NULL ? last + 1 : message);
    } else {
        printf("%s: %s\n", method, shown);
    }
    free(shown);
    nds_value_free(v);
    nds_value_free(args);
    nds_value_free(kwds);
}

static int
client(const nds_manager_options *opts)
{
    nds_manager *m;
    nds_proxy *list, *arr;
    nds_array *a;
    char *text;
    double d;

    if (nds_manager_connect(&m, opts) < 0 ||
        nds_manager_create(m, &list, "list", "([1, 2, 3],)") < 0 ||
        nds_manager_create(m, &arr, "arr", "(6,)") < 0) {
        return failed("client");
    }
    show(list, "append", "'four'");
    show(list, "__getitem__", "3");
    show(list, "__len__", "");
    show(list, "__getitem__", "9");
    show(list, "nosuch", "");
    show(arr, "sum", "");
    show(arr, "reshape", "2, 3");
    show(arr, "mean", "axis=0");
    if (nds_proxy_reduce(arr, "max", &d) < 0 ||
        nds_proxy_fetch(arr, &a, NULL) < 0 ||
        nds_proxy_repr(arr, &text) < 0) {
        return failed("arr");
    }
    printf("max %g, %lld elements\n", d,
           (long long)nds_view_count(nds_array_view(a)));
    printf("%s\n", text);
    free(text);
    nds_array_close(a);
    if (nds_proxy_map(arr, &a, NDS_READ) != NDS_ENOTSUP) {
        return failed("map of a stock server");
    }
    nds_proxy_close(list);
    nds_proxy_close(arr);
    nds_manager_close(m);
    return 0;
}

int
main(int argc, char **argv)
{
    nds_manager_options opts = {.size = sizeof opts};

    nds_init(argc, argv);
    if (argc != 4) {
        return 2;
    }
    opts.address = argv[2];
    opts.authkey = argv[3];
    opts.authkey_nbytes = strlen(argv[3]);
    if (strcmp(argv[1], "talk") == 0) {
        nds_manager *m;

        if (nds_manager_connect(&m, &opts) < 0) {
            return failed("talk");
        }
        talk(stdout, m);
        nds_manager_close(m);
        return 0;
    }
    return strcmp(argv[1], "client") == 0
               ? client(&opts)
               : serve(&opts, strcmp(argv[1], "record") == 0);
}
