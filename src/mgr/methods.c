/* SPDX-License-Identifier: MIT */
/*
 * methods.c - the methods of hosted arrays, by name
 *
 * The names listed as `exposed` become real methods of a stock Python proxy,
 * so dunders give it indexing, len() and arithmetic. Names that would replace
 * the proxy's own machinery are never exposed.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>

#include <string.h>

static const struct ndi_method *const tables[] = {
    ndi_index_methods, ndi_reduce_methods, ndi_arith_methods};

const struct ndi_method *
ndi_method_find(const char *name)
{
    for (size_t t = 0; t < NDI_ARRAY_LEN(tables); t++) {
        for (const struct ndi_method *m = tables[t]; m->name != NULL; m++) {
            if (strcmp(m->name, name) == 0) {
                return m;
            }
        }
    }
    return NULL;
}

nds_value *
ndi_method_names(void)
{
    nds_value *names = nds_value_tuple();

    for (size_t t = 0; t < NDI_ARRAY_LEN(tables); t++) {
        for (const struct ndi_method *m = tables[t];
             names != NULL && m->name != NULL; m++) {
            if (!m->hidden &&
                nds_value_append(names, nds_value_str(m->name)) < 0) {
                nds_value_free(names);
                names = NULL;
            }
        }
    }
    return names;
}

const nds_value *
ndi_call_arg(const struct ndi_call *c, size_t at, const char *name)
{
    const nds_value *v = nds_value_item(c->args, at);

    return v != NULL ? v : nds_value_get(c->kwds, name);
}

int
ndi_call_check(const struct ndi_call *c, const char *method, size_t most,
               const char *const *names)
{
    size_t n = nds_value_count(c->args);

    if (n > most) {
        return ndi_fail(NDS_ECAST, "%s() takes at most %zu arguments (%zu "
                        "given)", method, most, n);
    }
    for (size_t i = 0; i < nds_value_count(c->kwds); i += 2) {
        const char *key = nds_value_text(nds_value_item(c->kwds, i), NULL);
        const char *const *at = names;

        while (at != NULL && *at != NULL && key != NULL &&
               strcmp(*at, key) != 0) {
            at++;
        }
        if (key == NULL || at == NULL || *at == NULL) {
            return ndi_fail(NDS_ECAST, "%s() got an unexpected keyword "
                            "argument '%.60s'", method,
                            key != NULL ? key : "?");
        }
    }
    return 0;
}

const nds_view *
ndi_call_view(const struct ndi_call *c)
{
    return nds_array_view(c->self->array);
}
