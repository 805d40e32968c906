/* SPDX-License-Identifier: MIT */
/* warm.c - how much free memory stays with us */
#include <mem/warm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_NBYTES (UINT64_C(4) << 20)

/* "100", "64K", "2G", "all"; 0 for anything else. */
static uint64_t
size_of_text(const char *text)
{
    static const char units[] = "KMGT";
    const char *unit;
    unsigned long long n;
    char *end;

    if (strcmp(text, "all") == 0) {
        return UINT64_MAX;
    }
    errno = 0;
    n = strtoull(text, &end, 10);
    if (end == text || errno != 0 || text[0] == '-') {
        return 0;
    }
    unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit != NULL) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);

        n = n > UINT64_MAX >> shift ? UINT64_MAX : n << shift;
        end++;
    }
    // 0 is a size as well: the least that is not "not said".
    return *end != '\0' ? 0 : n == 0 ? 1 : n;
}

uint64_t
ndi_keep_nbytes(uint64_t asked)
{
    const char *text = asked == 0 ? secure_getenv("NDSHARE_KEEP") : NULL;
    uint64_t said = text != NULL ? size_of_text(text) : 0;

    return asked != 0 ? asked : said != 0 ? said : KEEP_NBYTES;
}
