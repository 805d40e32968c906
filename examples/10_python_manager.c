/* SPDX-License-Identifier: MIT */
/*
 * A manager of stock Python's, driven from C: 10_python_manager.py is the
 * server and says its address and its key.
 *
 *     python3 10_python_manager.py | ./10_python_manager
 *     cc 10_python_manager.c $(pkg-config --cflags --libs ndshare)
 */
#include <ndshare/ndshare.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        exit(1);
    }
}

/* p.method(args), as Python would print it */
static void
show(nds_proxy *p, const char *method, const char *text)
{
    nds_value *args, *kwds, *v;
    char *shown;

    must(nds_value_parse_args(&args, &kwds, text));
    must(nds_proxy_call(p, &v, method, args, kwds));
    must(nds_value_repr(v, &shown));
    printf("%s.%s(%s): %s\n", nds_proxy_typeid(p), method, text, shown);
    free(shown);
    nds_value_free(v);
    nds_value_free(args);
    nds_value_free(kwds);
}

int
main(void)
{
    nds_manager_options opts = {.size = sizeof opts};
    char address[200], key[100];
    nds_manager *m;
    nds_proxy *p, *result;
    nds_value *args;

    if (scanf("%199s %99s", address, key) != 2) {
        return 2;
    }
    opts.address = address;
    opts.authkey = key;
    opts.authkey_nbytes = strlen(key);
    must(nds_manager_connect(&m, &opts));
    must(nds_manager_create(m, &p, "Account", "('Ada', 100)"));
    show(p, "deposit", "25, note='lunch'");
    show(p, "history", "");
    nds_proxy_close(p);
    must(nds_manager_create(m, &p, "Pool", "(2,)"));
    args = nds_value_tuple(); // (math.factorial, (20,))
    must(nds_value_append(args, nds_value_name("math", "factorial")));
    must(nds_value_append(args, nds_value_tuple()));
    must(nds_value_append((nds_value *)nds_value_item(args, 1),
                          nds_value_int(20)));
    must(nds_proxy_call_proxy(p, &result, "apply_async", args, NULL));
    show(result, "get", "");
    nds_value_free(args);
    nds_proxy_close(result);
    nds_proxy_close(p);
    must(nds_manager_shutdown(m));
    nds_manager_close(m);
    return 0;
}
