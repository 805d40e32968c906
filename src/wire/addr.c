/* SPDX-License-Identifier: MIT */
/* addr.c - where a listener is, as people and as Python write it */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
parse_port(const char *text, uint16_t *port)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || n > 65535) {
        return NDS_EINVAL;
    }
    *port = (uint16_t)n;
    return 0;
}

int
ndi_addr_parse(struct ndi_addr *a, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t n = strlen(text);

    *a = (struct ndi_addr){0};
    if (n == 0 || n >= sizeof a->name) {
        return ndi_fail(NDS_EINVAL, "address '%.100s': it must have 1 to "
                        "%zu characters", text, sizeof a->name - 1);
    }
    if (text[0] == '@' || strchr(text, '/') != NULL) {
        if (n > 107 || n < 2) {
            return ndi_fail(NDS_EINVAL, "address '%s': AF_UNIX path too "
                            "long (or empty)", text);
        }
        memcpy(a->name, text, n);
        a->nbytes = n;
        if (text[0] == '@') {
            a->name[0] = '\0';
        }
        memcpy(a->text, text, n);
        return 0;
    }
    a->tcp = true;
    if (parse_port(colon != NULL ? colon + 1 : text, &a->port) < 0 ||
        (colon != NULL && memchr(text, ':', (size_t)(colon - text)))) {
        return ndi_fail(NDS_EINVAL, "address '%s': write '/path', "
                        "'@abstract' or 'host:port'", text);
    }
    if (colon != NULL && colon != text) {
        memcpy(a->name, text, (size_t)(colon - text));
    } else {
        memcpy(a->name, "127.0.0.1", sizeof "127.0.0.1");
    }
    a->nbytes = strlen(a->name);
    snprintf(a->text, sizeof a->text, "%s:%u", a->name, a->port);
    return 0;
}

int
ndi_addr_fresh(struct ndi_addr *a)
{
    char text[64];
    uint64_t r[2];
    int rc = ndi_random_bytes(r, sizeof r);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "random bytes for an address");
    }
    snprintf(text, sizeof text, "@ndshare-%016llx%016llx",
             (unsigned long long)r[0], (unsigned long long)r[1]);
    return ndi_addr_parse(a, text);
}

nds_value *
ndi_addr_value(const struct ndi_addr *a)
{
    nds_value *v;

    if (!a->tcp) {
        return nds_value_strn(a->name, a->nbytes);
    }
    v = nds_value_tuple();
    if (nds_value_append(v, nds_value_str(a->name)) < 0 ||
        nds_value_append(v, nds_value_int(a->port)) < 0) {
        nds_value_free(v);
        return NULL;
    }
    return v;
}
