/* SPDX-License-Identifier: MIT */
/*
 * spread.c - one element, over and over
 *
 * Elements of which a cache line holds a whole number become a line, which is
 * stored again and again from registers: as fast as memory takes it. Any others
 * are copied behind themselves, twice as much each time, until there is a burst
 * of them that stays in the first cache; that is copied on and on.
 */
#include <nd/spread.h>

#include <string.h>

#define LINE 64
#define BURST 16384
#define FEW 512 /* bytes for which a line is not worth making */

static bool
is_one_byte(const unsigned char *element, size_t item)
{
    return item == 1 || memcmp(element, element + 1, item - 1) == 0;
}

/* n bytes, of which the first is byte `phase` of the element. */
static void
repeat(unsigned char *at, size_t n, const unsigned char *element, size_t item,
       size_t phase)
{
    size_t burst = item * (item < BURST ? BURST / item : 1);
    size_t done = item - phase < n ? item - phase : n;
    size_t rest = phase < n - done ? phase : n - done;

    memcpy(at, element + phase, done);
    memcpy(at + done, element, rest); // now one whole element
    done += rest;
    while (done < n) {
        size_t most = done < burst ? done : burst;
        size_t k = n - done < most ? n - done : most;

        memcpy(at + done, at, k); // whole elements so far: in step
        done += k;
    }
}

static void
lines(unsigned char *restrict at, size_t n, const unsigned char *restrict line)
{
    for (; n >= LINE; at += LINE, n -= LINE) {
        memcpy(at, line, LINE);
    }
    memcpy(at, line, n);
}

void
ndi_spread(void *data, uint64_t from, uint64_t to, const void *element,
           size_t item)
{
    unsigned char *at = (unsigned char *)data + from;
    unsigned char line[LINE];
    size_t n = (size_t)(to - from), phase, head;

    if (n == 0 || item == 0) {
        return;
    }
    if (is_one_byte(element, item)) {
        memset(at, *(const unsigned char *)element, n);
        return;
    }
    phase = (size_t)(from % item);
    if (n < FEW || LINE % item != 0) {
        repeat(at, n, element, item, phase);
        return;
    }
    head = (0 - (uintptr_t)at) % LINE;
    repeat(at, head, element, item, phase);
    repeat(line, LINE, element, item, (phase + head) % item);
    lines(at + head, n - head, line);
}
