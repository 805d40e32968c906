/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - one connection of a manager's server, from handshake to end
 *
 * A connection carries one dispatch request; accept_connection turns it into
 * a channel of method calls. Every request gets exactly one reply: an
 * exception of the method is #ERROR, everything else that fails #TRACEBACK.
 */
#include <mgr/mgr_impl.h>

#include <array/array_impl.h>
#include <base/fail.h>
#include <os/os.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* (kind, value); takes the value over. */
static int
reply(struct ndi_service *s, struct ndi_conn *c, const char *kind,
      nds_value *value)
{
    struct ndi_pickle p = {0};
    nds_value *t = nds_value_tuple();
    int rc = nds_value_append(t, nds_value_str(kind));
    int rc2 = nds_value_append(t, value);

    rc = rc < 0 ? rc : rc2;
    rc = rc < 0 ? rc : ndi_pickle_write(&p, t, 5);
    if (rc == 0) {
        NDI_KILL_POINT("mgr.replying");
        rc = ndi_conn_send_or_keep(c, &p, NDI_MGR_KEEP,
                                   ndi_deadline(s->timeout_ns));
        NDI_KILL_POINT("mgr.replied");
    }
    ndi_pickle_fini(&p);
    nds_value_free(t);
    return rc;
}

/* A message as a text value: cut words may end inside a character, which
 * then shows as '?'. */
static nds_value *
text_of(const char *message)
{
    nds_value *v;
    char *plain;

    if (ndi_text_is_utf8(message, strlen(message))) {
        return nds_value_str(message);
    }
    plain = strdup(message);
    for (char *c = plain; c != NULL && *c != '\0'; c++) {
        *c = (unsigned char)*c >= 0x80 ? '?' : *c;
    }
    v = plain != NULL ? nds_value_str(plain) : NULL;
    free(plain);
    return v;
}

int
ndi_reply_traceback(struct ndi_service *s, struct ndi_conn *c, int code)
{
    struct ndi_buf b = {0};
    nds_value *text;

    ndi_buf_add_fmt(&b, "Traceback (most recent call last):\n"
                    "  in the ndshare manager\n%s: %s\n",
                    nds_error_python(code), nds_last_error()->message);
    text = ndi_buf_ok(&b) < 0 ? NULL : text_of((const char *)b.data);
    ndi_buf_fini(&b);
    return reply(s, c, "#TRACEBACK", text);
}

static int
reply_error(struct ndi_service *s, struct ndi_conn *c, int code)
{
    nds_value *e = nds_value_exception(nds_error_python(code), NULL);

    if (nds_value_append(e, text_of(nds_last_error()->message)) < 0) {
        nds_value_free(e);
        e = NULL;
    }
    return reply(s, c, "#ERROR", e);
}

static int
bad_request(const char *what)
{
    return ndi_fail(NDS_ECAST, "a request with %s", what);
}

struct request {
    const char *first; /* text of item 0, or NULL */
    const char *name;
    const nds_value *args;
    const nds_value *kwds;
    nds_value *none; /* the kwds of a request without */
};

/* (first, name, args, kwds), or without kwds. */
static int
read_request(const nds_value *v, struct request *r)
{
    size_t n = nds_value_count(v);

    if (nds_value_kind(v) != NDS_VALUE_TUPLE || n < 3 || n > 4) {
        return bad_request("another shape than four items");
    }
    *r = (struct request){0};
    if (nds_value_kind(nds_value_item(v, 0)) == NDS_VALUE_STR) {
        r->first = nds_value_text(nds_value_item(v, 0), NULL);
    }
    if (nds_value_kind(nds_value_item(v, 1)) != NDS_VALUE_STR) {
        return bad_request("a name that is no text");
    }
    r->name = nds_value_text(nds_value_item(v, 1), NULL);
    r->args = nds_value_item(v, 2);
    if (nds_value_kind(r->args) != NDS_VALUE_TUPLE &&
        nds_value_kind(r->args) != NDS_VALUE_LIST) {
        return bad_request("arguments that are no tuple");
    }
    if (n == 4) {
        r->kwds = nds_value_item(v, 3);
        return nds_value_kind(r->kwds) == NDS_VALUE_DICT
                   ? 0
                   : bad_request("keywords that are no dict");
    }
    r->kwds = r->none = nds_value_dict();
    return r->none != NULL ? 0 : NDS_ENOMEM;
}

/* The text argument at `at`, or NULL with the record set. */
static const char *
text_arg(const struct request *r, size_t at)
{
    const nds_value *v = nds_value_item(r->args, at);

    if (v == NULL || nds_value_kind(v) != NDS_VALUE_STR) {
        bad_request("an argument that is missing or no text");
        return NULL;
    }
    return nds_value_text(v, NULL);
}

static pid_t
peer_of(const struct ndi_conn *c)
{
    return c->local ? c->pid : 0;
}

/* Wakes who watches processes only if there is another to watch. */
static void
peers_may_have_changed(struct ndi_service *s)
{
    if (atomic_exchange(&s->idents.fresh, false)) {
        s->peers_changed(s);
    }
}

/* ---- what `create` answers ---------------------------------------------- */

static nds_value *
names_of(const struct ndi_hosted *h)
{
    return h->kind != NULL ? ndi_kind_names(h->kind) : ndi_method_names();
}

/* (ident, exposed), and for clients of our own what we can do beside. */
static nds_value *
created(const struct ndi_hosted *h, bool hello)
{
    nds_value *t = nds_value_tuple();
    int rc = nds_value_append(t, nds_value_str(h->id));

    rc |= nds_value_append(t, names_of(h));
    if (hello && h->array != NULL) {
        nds_value *can = nds_value_dict();

        rc |= nds_value_set(can, "map",
                            nds_value_bool(ndi_block_segment(
                                nds_array_block(h->array)) != NULL));
        rc |= nds_value_set(can, "nbytes",
                            nds_value_int(nds_view_nbytes(
                                nds_array_view(h->array))));
        rc |= nds_value_append(t, can);
    }
    if (rc != 0) {
        nds_value_free(t);
        return NULL;
    }
    return t;
}

static int
fn_create(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
          nds_value **out)
{
    const char *typeid_ = text_arg(r, 0);
    nds_value *args;
    const struct ndi_hosted_kind *kind;
    struct ndi_hosted *h = NULL;
    struct ndi_state state = {0};
    nds_array *a = NULL;
    int rc = 0;

    if (typeid_ == NULL) {
        return NDS_ECAST;
    }
    args = nds_value_tuple();
    for (size_t i = 1; args && rc == 0 && i < nds_value_count(r->args); i++) {
        rc = ndi_value_push(args, r->args->items[i]);
    }
    if (args == NULL) {
        rc = NDS_ENOMEM;
    }
    // A registered type goes before ours of the same name.
    kind = ndi_type_find(typeid_);
    if (kind == NULL && !ndi_factory_is_registered(typeid_)) {
        kind = ndi_kind_find(typeid_);
    }
    state.type = kind != NULL ? ndi_type_of(kind) : NULL;
    if (rc == 0) {
        rc = kind != NULL ? kind->make(&s->idents, &state, args, r->kwds)
                          : ndi_factory_make(typeid_, args, r->kwds, &a);
    }
    NDI_KILL_POINT("mgr.made");
    nds_value_free(args);
    if (rc == 0) {
        rc = ndi_idents_add(&s->idents, typeid_, a, kind, &state, peer_of(c),
                            &h);
        NDI_KILL_POINT("mgr.hosted");
    }
    if (rc < 0) {
        return rc;
    }
    peers_may_have_changed(s);
    *out = created(h, r->first != NULL &&
                          strcmp(r->first, NDI_MGR_HELLO) == 0);
    ndi_idents_put(&s->idents, h);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

static int
fn_count(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
         nds_value **out)
{
    const char *id = text_arg(r, 0);
    int rc;

    if (id == NULL) {
        return NDS_ECAST;
    }
    rc = r->name[0] == 'i' ? ndi_idents_incref(&s->idents, id, peer_of(c))
                           : ndi_idents_decref(&s->idents, id, peer_of(c));
    NDI_KILL_POINT("mgr.counted");
    if (rc == 0) {
        peers_may_have_changed(s);
        *out = nds_value_none();
    }
    return rc;
}

static int
fn_none(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
        nds_value **out)
{
    (void)s;
    (void)c;
    (void)r;
    *out = nds_value_none();
    return 0;
}

static int
fn_get_methods(struct ndi_service *s, struct ndi_conn *c,
               const struct request *r, nds_value **out)
{
    const nds_value *token = nds_value_item(r->args, 0);
    struct ndi_hosted *h;
    const char *id;

    (void)c;
    if (token == NULL || nds_value_kind(token) != NDS_VALUE_TOKEN) {
        return bad_request("an argument that is no Token");
    }
    id = nds_value_text(nds_value_item(token, 2), NULL);
    h = ndi_idents_get(&s->idents, id);
    if (h == NULL) {
        return ndi_fail(NDS_EKEY, "'%.30s'", id);
    }
    *out = names_of(h);
    ndi_idents_put(&s->idents, h);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

static int
fn_number(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
          nds_value **out)
{
    (void)c;
    (void)r;
    *out = nds_value_int(ndi_idents_count(&s->idents));
    return 0;
}

static int
fn_debug(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
         nds_value **out)
{
    char *text;
    int rc = ndi_idents_debug(&s->idents, &text);

    (void)c;
    (void)r;
    if (rc == 0) {
        *out = nds_value_str(text);
        free(text);
    }
    return rc;
}

static int
fn_segment(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
           nds_value **out)
{
    const char *name = text_arg(r, 0);
    int rc;

    (void)c;
    if (name == NULL) {
        return NDS_ECAST;
    }
    rc = r->name[0] == 't' ? ndi_segments_track(&s->segments, name)
                           : ndi_segments_release(&s->segments, name);
    *out = rc == 0 ? nds_value_none() : NULL;
    return rc;
}

static int
fn_segments(struct ndi_service *s, struct ndi_conn *c, const struct request *r,
            nds_value **out)
{
    (void)c;
    (void)r;
    *out = ndi_segments_list(&s->segments);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

static const struct {
    const char *name;
    int (*run)(struct ndi_service *, struct ndi_conn *,
               const struct request *, nds_value **);
} functions[] = {
    {"dummy", fn_none},          {"create", fn_create},
    {"incref", fn_count},        {"decref", fn_count},
    {"get_methods", fn_get_methods},
    {"number_of_objects", fn_number},
    {"debug_info", fn_debug},    {"accept_connection", fn_none},
    {"shutdown", fn_none},
    {"track_segment", fn_segment}, {"release_segment", fn_segment},
    {"list_segments", fn_segments},
};

/* ---- the array itself, for a client of ours on this machine ------------- */

/* An open file description of the client's own (locks belong to it) that can
 * do no more than the mode asks for. */
static int
descriptor_for(struct ndi_segment *seg, enum nds_mode mode, int *fd)
{
    int rc;

    ndi_segment_lend(seg);
    rc = ndi_os_reopen(fd, seg->fd,
                       mode == NDS_READWRITE ? O_RDWR : O_RDONLY);

    return rc < 0 ? ndi_fail_errno(-rc, "a descriptor of the array") : 0;
}

/* map(ident, mode): the geometry as a reply, then one byte with the
 * descriptor beside it. */
static int
serve_map(struct ndi_service *s, struct ndi_conn *c, const struct request *r)
{
    const char *id = text_arg(r, 0);
    const char *mode = id != NULL ? text_arg(r, 1) : NULL;
    struct ndi_hosted *h = NULL;
    struct ndi_segment *seg;
    struct ndi_parcel p = {0};
    int fd = -1;
    int rc = mode != NULL ? 0 : NDS_ECAST;

    if (rc == 0 && !c->local) {
        rc = ndi_fail(NDS_ENOTSUP, "map needs a Unix socket");
    }
    if (rc == 0 && strcmp(mode, "r") != 0 && strcmp(mode, "+") != 0 &&
        strcmp(mode, "c") != 0) {
        rc = bad_request("a mode that is none of 'r', '+', 'c'");
    }
    if (rc == 0) {
        h = ndi_idents_get(&s->idents, id);
        rc = h != NULL ? 0 : ndi_fail(NDS_EKEY, "'%.30s'", id);
    }
    if (rc == 0) {
        seg = h->array != NULL
                  ? ndi_block_segment(nds_array_block(h->array))
                  : NULL;
        rc = seg != NULL ? descriptor_for(seg, (enum nds_mode)*mode, &fd)
                         : ndi_fail(NDS_ENOTSUP, "the hosted array is not "
                                    "in shared memory");
    }
    if (rc == 0) {
        if (*mode == NDS_READWRITE) {
            ndi_access_share(h);
        }
        ndi_ticket_pack_geometry(h->array, &p);
        rc = ndi_parcel_ok(&p);
    }
    if (rc < 0) {
        rc = ndi_reply_traceback(s, c, rc);
    } else {
        rc = reply(s, c, "#RETURN",
                   nds_value_bytes(p.bytes.data, p.bytes.nbytes));
        NDI_KILL_POINT("mgr.map_geometry");
        if (rc == 0 && c->rest == NULL) {
            rc = ndi_sock_send_fds(c->fd, "M", 1, &fd, 1,
                                   ndi_deadline(s->timeout_ns));
        }
    }
    ndi_parcel_fini(&p);
    ndi_os_close(fd);
    ndi_idents_put(&s->idents, h);
    return rc;
}

/* ---- method calls ------------------------------------------------------- */

static int
reply_not_exposed(struct ndi_service *s, struct ndi_conn *c,
                  const struct ndi_hosted *h, const char *name)
{
    struct ndi_buf b = {0};
    nds_value *text;

    ndi_buf_add_fmt(&b, "Traceback (most recent call last):\n"
                    "  in the ndshare manager\nAttributeError: method "
                    "'%.60s' of '%s' object is not exposed\n", name,
                    h->typeid_);
    text = ndi_buf_ok(&b) < 0 ? NULL : text_of((const char *)b.data);
    ndi_buf_fini(&b);
    return reply(s, c, "#TRACEBACK", text);
}

static int
run_method(struct ndi_service *s, struct ndi_conn *c, struct ndi_hosted *h,
           const struct ndi_method *m, const struct request *r)
{
    struct ndi_call call = {.self = h, .idents = &s->idents, .args = r->args,
                            .kwds = r->kwds};
    struct ndi_access access;
    nds_value *value = NULL;
    int rc;

    rc = ndi_access_begin(&access, h, m->writes, s->timeout_ns);
    if (rc < 0) {
        return reply_error(s, c, rc);
    }
    rc = m->run(&call, &value);
    NDI_KILL_POINT("mgr.method_run");
    // What is answered may be the array's own memory: a reader keeps it still.
    if (m->writes) {
        ndi_access_end(&access);
    }
    rc = rc < 0 ? reply_error(s, c, rc) : reply(s, c, "#RETURN", value);
    if (!m->writes) {
        ndi_access_end(&access);
    }
    return rc;
}

/* What an act made, as a pickled reply; the values are gone afterwards. */
static int
pickle_reply(struct ndi_call *call, int rc, nds_value *value,
             struct ndi_pickle *p)
{
    const char *kind = call->proxy ? "#PROXY" : "#RETURN";
    nds_value *t = nds_value_tuple();

    if (rc < 0) {
        kind = "#ERROR";
        value = ndi_steal(&call->error);
        if (value == NULL) {
            value = nds_value_exception(nds_error_python(rc),
                                        nds_last_error()->message);
        }
    }
    rc = nds_value_append(t, nds_value_str(kind));
    if (rc < 0) {
        nds_value_free(value);
    } else {
        rc = nds_value_append(t, value);
    }
    rc = rc < 0 ? rc : ndi_pickle_write(p, t, 5);
    nds_value_free(t);
    return rc;
}

/* A method of a kind; see hosted.c for why the reply is pickled under the
 * object's mutex. */
static int
run_act(struct ndi_service *s, struct ndi_conn *c, struct ndi_hosted *h,
        const struct ndi_act *m, const struct request *r)
{
    struct ndi_call call = {.self = h, .idents = &s->idents,
                            .method = r->name, .args = r->args,
                            .kwds = r->kwds, .conn = c, .pid = peer_of(c)};
    struct ndi_pickle p = {0};
    nds_value *value = NULL;
    int rc;

    pthread_mutex_lock(&h->mutex);
    rc = m->run(&call, &value);
    NDI_KILL_POINT("mgr.act_run");
    if (rc != NDS_EEOF) {
        rc = pickle_reply(&call, rc, value, &p);
    }
    pthread_mutex_unlock(&h->mutex);
    if (call.acquired && call.pid > 0) {
        // Its end is seen from here on; if it has ended, what it got is free.
        if (!ndi_idents_watch(&s->idents, call.pid)) {
            ndi_lock_left(h, call.pid, 0);
        }
        peers_may_have_changed(s);
    }
    // An item that was taken must be known to have gone.
    rc = rc < 0 ? rc
                : ndi_conn_send_or_keep(c, &p, call.taken != NULL
                                                   ? 0 : NDI_MGR_KEEP,
                                        ndi_deadline(s->timeout_ns));
    if (rc < 0 && call.acquired) {
        ndi_lock_undo(h, call.pid);
    }
    if (rc < 0 && call.taken != NULL) {
        ndi_queue_undo(h, ndi_steal(&call.taken));
    }
    ndi_pickle_fini(&p);
    nds_value_free(call.taken);
    nds_value_free(call.error);
    return rc;
}

static int
call(struct ndi_service *s, struct ndi_conn *c, const struct request *r)
{
    struct ndi_hosted *h;
    const struct ndi_method *m;
    const struct ndi_act *act;
    int rc;

    if (r->first == NULL) {
        bad_request("an ident that is no text");
        return ndi_reply_traceback(s, c, NDS_ECAST);
    }
    h = ndi_idents_get(&s->idents, r->first);
    if (h == NULL) {
        ndi_fail(NDS_EKEY, "'%.30s'", r->first);
        return ndi_reply_traceback(s, c, NDS_EKEY);
    }
    if (h->kind != NULL) {
        act = ndi_kind_act(h->kind, r->name);
        rc = act == NULL ? reply_not_exposed(s, c, h, r->name)
                         : run_act(s, c, h, act, r);
    } else {
        m = ndi_method_find(r->name);
        rc = m == NULL ? reply_not_exposed(s, c, h, r->name)
                       : run_method(s, c, h, m, r);
    }
    ndi_idents_put(&s->idents, h);
    return rc;
}

static int
serve(struct ndi_service *s, struct ndi_conn *c, const struct request *r)
{
    nds_value *value = NULL;
    int rc = NDS_EKEY;

    if (strcmp(r->name, "map") == 0 && r->first != NULL &&
        strcmp(r->first, NDI_MGR_HELLO) == 0) {
        return serve_map(s, c, r);
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(functions); i++) {
        if (strcmp(functions[i].name, r->name) == 0) {
            rc = functions[i].run(s, c, r, &value);
            rc = rc == 0 && value == NULL ? NDS_ENOMEM : rc;
            break;
        }
        if (i + 1 == NDI_ARRAY_LEN(functions)) {
            ndi_fail(NDS_EKEY, "'%.60s' is no function of a manager",
                     r->name);
        }
    }
    if (rc < 0) {
        return ndi_reply_traceback(s, c, rc);
    }
    rc = reply(s, c, "#RETURN", value);
    if (strcmp(r->name, "shutdown") == 0) {
        NDI_KILL_POINT("mgr.shutdown");
        s->stop(s);
    } else if (rc == 0 && strcmp(r->name, "accept_connection") == 0) {
        return 1;
    }
    return rc;
}

/* Reads a message and runs it by fn. */
static int
serve_by(struct ndi_service *s, struct ndi_conn *c,
         const struct ndi_message *m,
         int (*fn)(struct ndi_service *s, struct ndi_conn *c,
                   const struct request *r))
{
    nds_value *v = NULL;
    struct request r = {0};
    int rc = ndi_pickle_read(&v, m->data, m->nbytes);

    // A message that cannot be understood is answered; the next may be.
    rc = rc < 0 ? rc : read_request(v, &r);
    rc = rc < 0 ? ndi_reply_traceback(s, c, rc) : fn(s, c, &r);
    nds_value_free(r.none);
    nds_value_free(v);
    return rc;
}

int
ndi_serve_call(struct ndi_service *s, struct ndi_conn *c,
               const struct ndi_message *m)
{
    return serve_by(s, c, m, call);
}

int
ndi_serve_request(struct ndi_service *s, struct ndi_conn *c,
                  const struct ndi_message *m)
{
    return serve_by(s, c, m, serve);
}
