/* SPDX-License-Identifier: MIT */
/*
 * wire_talk.h - what our client says to a stock server in the recordings
 *
 * Run once by tests/data/wire/record.py against each Python, and by
 * test_replay.c against what was recorded then.
 */
#ifndef WIRE_TALK_H
#define WIRE_TALK_H

#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>

/* One call, with what came of it on one line of `log`. */
static void
talk_call(FILE *log, nds_proxy *p, const char *method, const char *text)
{
    nds_value *args = NULL, *kwds = NULL, *v = NULL;
    char *shown = NULL;
    int rc = nds_value_parse_args(&args, &kwds, text);

    rc = rc < 0 ? rc : nds_proxy_call(p, &v, method, args, kwds);
    rc = rc < 0 ? rc : nds_value_repr(v, &shown);
    fprintf(log, "%s.%s(%s): %s\n", nds_proxy_typeid(p), method, text,
            rc == 0 ? shown : nds_error_name(rc));
    free(shown);
    nds_value_free(v);
    nds_value_free(args);
    nds_value_free(kwds);
}

static nds_proxy *
talk_make(FILE *log, nds_manager *m, const char *typeid_, const char *args)
{
    nds_proxy *p = NULL;
    int rc = nds_manager_create(m, &p, typeid_, args);

    fprintf(log, "%s: %s\n", typeid_, rc == 0 ? "made" : nds_error_name(rc));
    return p;
}

static void
talk(FILE *log, nds_manager *m)
{
    nds_proxy *p = talk_make(log, m, "list", "([3, 1.5, None],)"), *it = NULL;

    talk_call(log, p, "append", "('four', b'\\x00', {'k': (1, 2)})");
    talk_call(log, p, "__getitem__", "3");
    talk_call(log, p, "__getitem__", "slice(None, None, -1)");
    talk_call(log, p, "__getitem__", "99");
    talk_call(log, p, "nosuch", "");
    nds_proxy_close(p);
    p = talk_make(log, m, "dict", "({'a': 1, 2: [True]},)");
    if (nds_proxy_call_proxy(p, &it, "__iter__", NULL, NULL) == 0) {
        talk_call(log, it, "__next__", "");
        talk_call(log, it, "__next__", "");
        talk_call(log, it, "__next__", "");
        nds_proxy_close(it);
    }
    talk_call(log, p, "items", "");
    nds_proxy_close(p);
    p = talk_make(log, m, "Array", "('d', [1, 2.5, 3])");
    talk_call(log, p, "__getitem__", "slice(1, None, None)");
    nds_proxy_close(p);
    p = talk_make(log, m, "Namespace", NULL);
    talk_call(log, p, "__setattr__", "'x', 1");
    talk_call(log, p, "#GETVALUE", "");
    nds_proxy_close(p);
    p = talk_make(log, m, "Queue", "(1,)");
    talk_call(log, p, "put", "[1, 2]");
    talk_call(log, p, "get", "");
    talk_call(log, p, "get", "False");
    nds_proxy_close(p);
    p = talk_make(log, m, "RLock", NULL);
    talk_call(log, p, "acquire", "");
    talk_call(log, p, "release", "");
    talk_call(log, p, "release", "");
    nds_proxy_close(p);
    p = talk_make(log, m, "nosuch", NULL);
}

#endif
