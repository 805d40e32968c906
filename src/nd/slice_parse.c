/* SPDX-License-Identifier: MIT */
/* slice_parse.c - "[0, :, ::2]" as numbers */
#include <base/fail.h>
#include <ndshare/view.h>

#include <string.h>

struct reader {
    const char *text;
    const char *at;
};

static int
fail_at(const struct reader *r, const char *why)
{
    return ndi_fail(NDS_EINVAL, "index '%.100s': %s at character %zu", r->text,
                    why, (size_t)(r->at - r->text));
}

static void
skip_space(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t') {
        r->at++;
    }
}

static bool
take_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(r->at, word, n) != 0) {
        return false;
    }
    r->at += n;
    skip_space(r);
    return true;
}

/* A number if there is one. Too large ones are as good as the largest: slices
 * are cut to the extent, and an index is out of bounds either way. */
static int
take_number(struct reader *r, int64_t *out, bool *found)
{
    bool minus = *r->at == '-';
    int64_t n = 0;

    *found = false;
    if (minus || *r->at == '+') {
        r->at++;
        skip_space(r);
        *found = true;
    }
    if (*r->at < '0' || *r->at > '9') {
        return *found ? fail_at(r, "a number was expected") : 0;
    }
    while (*r->at >= '0' && *r->at <= '9') {
        int digit = *r->at++ - '0';

        n = n > (INT64_MAX - digit) / 10 ? INT64_MAX : n * 10 + digit;
    }
    *found = true;
    *out = minus ? -n : n;
    skip_space(r);
    return 0;
}

/* 5 or start:stop:step, each part may be missing or None. */
static int
read_slice(struct reader *r, nds_index *x)
{
    int64_t *parts[] = {&x->start, &x->stop, &x->step};
    int colons = 0;

    *x = (nds_index){NDS_INDEX_INT, NDS_INDEX_MISSING, NDS_INDEX_MISSING,
                     NDS_INDEX_MISSING};
    for (;;) {
        bool found;
        int rc = take_number(r, parts[colons], &found);

        if (rc < 0) {
            return rc;
        }
        if (!found && take_word(r, "None")) {
            found = true;
            if (colons == 0 && *r->at != ':') {
                x->kind = NDS_INDEX_NEWAXIS;
                return 0;
            }
        }
        if (*r->at != ':') {
            if (colons == 0 && !found) {
                return fail_at(r, *r->at == '\0' || *r->at == ']'
                                      ? "an index is missing"
                                      : "an index was expected");
            }
            break;
        }
        if (++colons == 3) {
            return fail_at(r, "a third ':'");
        }
        r->at++;
        skip_space(r);
    }
    x->kind = colons == 0 ? NDS_INDEX_INT : NDS_INDEX_SLICE;
    if (x->kind == NDS_INDEX_SLICE && x->step == 0) {
        return ndi_fail(NDS_EINVAL, "slice step cannot be zero");
    }
    return 0;
}

static int
read_one(struct reader *r, nds_index *x)
{
    *x = (nds_index){.kind = NDS_INDEX_ELLIPSIS};
    if (take_word(r, "...") || take_word(r, "Ellipsis")) {
        return 0;
    }
    x->kind = NDS_INDEX_NEWAXIS;
    if (take_word(r, "np.newaxis") || take_word(r, "newaxis")) {
        return 0;
    }
    return read_slice(r, x);
}

int
nds_index_parse(const char *text, nds_index *index, int room, int *count)
{
    struct reader r = {.text = text, .at = text};
    bool box;

    *count = 0;
    skip_space(&r);
    box = take_word(&r, "[");
    if (!box && *r.at == '\0') {
        return 0;
    }
    for (;;) {
        nds_index one;
        int rc = read_one(&r, &one);

        if (rc < 0) {
            return rc;
        }
        if (*count == room) {
            return ndi_fail(NDS_EINDEX, "index '%.100s' has more than %d "
                            "parts", text, room);
        }
        index[(*count)++] = one;
        if (!take_word(&r, ",") || *r.at == ']' || *r.at == '\0') {
            break;
        }
    }
    if (box && !take_word(&r, "]")) {
        return fail_at(&r, "',' or ']' was expected");
    }
    return *r.at == '\0' ? 0 : fail_at(&r, "',' was expected");
}
