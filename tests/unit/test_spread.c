/* SPDX-License-Identifier: MIT */
/* test_spread.c - every piece against each byte by itself */
#include "nd_check.h"

#include <nd/spread.h>

#include <stdlib.h>
#include <string.h>

#define ROOM 40000
#define EDGE 8 /* bytes on both sides that must stay as they are */

static unsigned char element[20000];
static unsigned char memory[EDGE + ROOM + EDGE];

static void
piece(size_t item, uint64_t from, uint64_t to)
{
    memset(memory, 0xee, sizeof memory);
    // Elements begin at no address in particular.
    ndi_spread(memory + EDGE, from, to, element, item);
    for (size_t i = 0; i < sizeof memory; i++) {
        uint64_t at = i - EDGE;
        bool inside = i >= EDGE && at >= from && at < to;
        unsigned want = inside ? element[at % item] : 0xee;

        if (memory[i] != want) {
            ck_abort_msg("item %zu, [%llu, %llu): byte %zu is %02x, not %02x",
                         item, (unsigned long long)from,
                         (unsigned long long)to, i - EDGE, memory[i], want);
        }
    }
}

static void
pieces(size_t item)
{
    const uint64_t ends[] = {0, 1, item - 1, item, item + 1, 3 * item + 2,
                             ROOM - 1, ROOM};

    for (size_t i = 0; i < NDI_ARRAY_LEN(ends); i++) {
        for (size_t k = i; k < NDI_ARRAY_LEN(ends); k++) {
            if (ends[i] <= ends[k] && ends[k] <= ROOM) {
                piece(item, ends[i], ends[k]);
            }
        }
    }
}

static const size_t items[] = {1,  2,  3,    4,     8,    12,
                               16, 32, 64, 1000, 16384, 20000};

START_TEST(each_byte_in_its_place)
{
    for (size_t i = 0; i < sizeof element; i++) {
        element[i] = (unsigned char)(i * 7 + i / 251 + 1);
    }
    pieces(items[_i]);
}
END_TEST

START_TEST(bytes_that_are_all_the_same)
{
    memset(element, 0x41, sizeof element);
    pieces(items[_i]);
    element[items[_i] - 1] = 0; // all but the last
    pieces(items[_i]);
}
END_TEST

START_TEST(elements_of_no_bytes)
{
    ndi_spread(memory, 0, 0, element, 0);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("spread");
    TCase *tc = tcase_create("spread");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(tc, each_byte_in_its_place, 0,
                        NDI_ARRAY_LEN(items));
    tcase_add_loop_test(tc, bytes_that_are_all_the_same, 0,
                        NDI_ARRAY_LEN(items));
    tcase_add_test(tc, elements_of_no_bytes);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
