/* SPDX-License-Identifier: MIT */
/* cast_text.c - S and U: cut, padded with zeros, ASCII between the two */
#include <nd/cast.h>

#include <base/fail.h>
#include <nd/dtype_impl.h>

#include <string.h>

static uint32_t
load_char(const char *at, const nds_dtype *dt)
{
    uint32_t c;

    if (dt->type == NDS_TYPE_BYTES) {
        return (unsigned char)*at;
    }
    memcpy(&c, at, sizeof c);
    return dt->swapped ? __builtin_bswap32(c) : c;
}

static int
store_char(char *at, uint32_t c, const struct ndi_cast *cast)
{
    if (cast->from->type != cast->to->type && c > 0x7f) {
        return ndi_fail(NDS_ECAST, "character U+%04X is not ASCII and cannot "
                        "be cast between S and U", c);
    }
    if (cast->to->type == NDS_TYPE_BYTES) {
        *at = (char)c;
        return 0;
    }
    c = cast->to->swapped ? __builtin_bswap32(c) : c;
    memcpy(at, &c, sizeof c);
    return 0;
}

int
ndi_cast_text(const struct ndi_cast *c, char *dst, int64_t dst_stride,
              const char *src, int64_t src_stride, int64_t count)
{
    int64_t to = c->to->type == NDS_TYPE_STR ? 4 : 1;
    int64_t from = c->from->type == NDS_TYPE_STR ? 4 : 1;
    int64_t room = c->to->itemsize / to, have = c->from->itemsize / from;
    int64_t chars = room < have ? room : have;

    for (int64_t i = 0; i < count; i++, dst += dst_stride, src += src_stride) {
        for (int64_t k = 0; k < chars; k++) {
            int rc = store_char(dst + k * to,
                                load_char(src + k * from, c->from), c);

            if (rc < 0) {
                return rc;
            }
        }
        memset(dst + chars * to, 0, (size_t)((room - chars) * to));
    }
    return 0;
}
