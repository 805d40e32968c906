/* SPDX-License-Identifier: MIT */
/* test_ring.c - words, lanes, repair from words alone, caches that lie */
#include <chan/chan_impl.h>
#include <os/os.h>
#include <sync/word.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct ndi_hub *
hub_new(uint32_t max_items)
{
    struct ndi_hub_spec spec = {.max_items = max_items, .max_bytes = 1 << 20};
    struct ndi_hub *hub = NULL;

    ck_assert_msg(ndi_hub_create(&hub, &spec) == 0, "%s",
                  nds_last_error()->message);
    return hub;
}

static int
put_number(struct ndi_chan *c, int64_t value, int64_t count)
{
    nds_array *a = NULL;
    int rc;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 1, &count, NULL), 0);
    ((int64_t *)nds_array_data(a))[0] = value;
    rc = ndi_item_put(c, a, NULL, 0);
    nds_array_close(a);
    return rc;
}

static int64_t
get_number(struct ndi_chan *c)
{
    nds_array *a = NULL;
    int64_t value;

    if (ndi_item_get(c, NDI_GET, &a, NULL, 0) < 0) {
        return -1;
    }
    value = ((int64_t *)nds_array_data(a))[0];
    nds_array_close(a);
    return value;
}

START_TEST(words_keep_their_fields)
{
    uint64_t w = ndi_word_make(NDI_PARKED, 31, 4095, NDI_SEQ_MASK);

    ck_assert_uint_eq(ndi_word_state(w), NDI_PARKED);
    ck_assert_uint_eq(ndi_word_deliveries(w), 31);
    ck_assert_uint_eq(ndi_word_owner(w), 4095);
    ck_assert_uint_eq(ndi_word_seq(w), NDI_SEQ_MASK);
    ck_assert(ndi_seq_before(1, 2));
    ck_assert(!ndi_seq_before(2, 2));
    ck_assert(ndi_seq_before(NDI_SEQ_MASK, 3)); // round the corner
    ck_assert(!ndi_seq_before(3, NDI_SEQ_MASK));
}
END_TEST

START_TEST(seqs_go_round)
{
    struct ndi_hub *hub = hub_new(16);
    struct ndi_chan *c = &hub->chan[0];

    ndi_store_seq(&c->h->next_seq, NDI_SEQ_MASK - 3);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(put_number(c, i, 2), 0);
    }
    ck_assert_int_eq(ndi_chan_lock(c), 0);
    ck_assert_int_eq(ndi_chan_rebuild(c), 0);
    ndi_chan_unlock(c);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(get_number(c), i);
    }
    ndi_hub_put(hub);
}
END_TEST

START_TEST(full_lanes_spill_in_order)
{
    struct ndi_hub *hub = hub_new(100);
    struct ndi_chan *c = &hub->chan[0];

    c->lane_entries = 4; // of this process: the layout has more
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(put_number(c, i, 2), 0);
    }
    ck_assert_int_eq(ndi_chan_size(c), 40);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(get_number(c), i);
        ck_assert_int_eq(put_number(c, 40 + i, 2), 0);
    }
    for (int i = 20; i < 60; i++) {
        ck_assert_int_eq(get_number(c), i);
    }
    ck_assert_int_eq(ndi_chan_valid(c), 0);
    ndi_hub_put(hub);
}
END_TEST

START_TEST(producers_without_a_lane)
{
    struct ndi_hub *hub = hub_new(100);
    struct ndi_chan *c = &hub->chan[0];

    for (uint32_t i = 0; i < c->nlanes; i++) {
        ndi_store_seq(&c->lanes[i].owner, ndi_owner_make(900, 1));
    }
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(put_number(c, i, 200), 0);
    }
    ck_assert_int_eq(c->lane, -1);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(get_number(c), i);
    }
    ck_assert_int_eq(ndi_chan_valid(c), 0);
    ndi_hub_put(hub);
}
END_TEST

/* Random bytes in everything that is a cache. */
static void
spoil(struct ndi_chan *c)
{
    struct ndi_chan_header *h = c->h;
    unsigned char *from = (unsigned char *)&h->free_count;
    unsigned char *to = (unsigned char *)&h->warm;
    uint32_t top = ndi_load_rlx(&h->top);

    while (from < to) {
        *from++ = (unsigned char)rand();
    }
    for (uint32_t i = 0; i < c->nlanes; i++) {
        ndi_store_rlx(&c->lanes[i].head, (uint64_t)rand() % 50);
    }
    for (uint32_t i = 0; i < top; i++) {
        ndi_store_rlx(&ndi_slot_at(c, i)->prev, (uint32_t)rand());
        ndi_store_rlx(&ndi_slot_at(c, i)->next, (uint32_t)rand() % 300);
        ndi_store_rlx(&ndi_slot_at(c, i)->listed, (uint32_t)rand() % 2);
        ndi_store_rlx(&c->free[i], (uint32_t)rand() % 300);
    }
    ndi_store_rlx(&c->arena.map->count, (uint32_t)rand() % 400);
    for (uint32_t i = 0; i < 8; i++) {
        ndi_store_rlx(&c->arena.map->free[i].off, (uint64_t)rand());
        ndi_store_rlx(&c->arena.map->free[i].nbytes, (uint64_t)rand());
    }
}

START_TEST(repair_needs_only_the_words)
{
    srand(5);
    for (int n = 0; n < 100; n++) {
        struct ndi_hub *hub = hub_new(100);
        struct ndi_chan *c = &hub->chan[0];

        for (int i = 0; i < 30; i++) {
            ck_assert_int_eq(put_number(c, i, i % 3 ? 2 : 500), 0);
        }
        for (int i = 0; i < 7; i++) {
            ck_assert_int_eq(get_number(c), i);
        }
        spoil(c);
        ndi_store_seq(&c->h->dirty, 1);
        ck_assert_int_eq(ndi_chan_valid(c), 0);
        for (int i = 7; i < 30; i++) {
            ck_assert_int_eq(get_number(c), i);
        }
        ck_assert_int_eq(ndi_chan_valid(c), 0);
        ndi_hub_put(hub);
    }
}
END_TEST

/* The same, and nobody says that it is dirty: progress may be refused and
 * items may be misjudged, but nothing outside is touched. */
START_TEST(lying_caches_do_no_harm)
{
    srand(6);
    for (int n = 0; n < 300; n++) {
        struct ndi_hub *hub = hub_new(100);
        struct ndi_chan *c = &hub->chan[0];

        for (int i = 0; i < 10; i++) {
            ck_assert_int_eq(put_number(c, i, i % 3 ? 2 : 500), 0);
        }
        for (int k = 0; k < 5; k++) {
            spoil(c);
            (void)put_number(c, 10, 300);
            (void)get_number(c);
        }
        ndi_hub_put(hub);
    }
}
END_TEST

START_TEST(hostile_headers_are_refused)
{
    struct ndi_hub *hub = hub_new(100), *other = NULL;
    struct ndi_segment *s = hub->segment;
    unsigned char *bytes = (unsigned char *)hub->chan[0].h;
    unsigned char good[64];
    int refused = 0;

    srand(7);
    memcpy(good, bytes, sizeof good);
    for (int n = 0; n < 300; n++) {
        int fd = -1;

        memcpy(bytes, good, sizeof good);
        for (int i = 0; i < 3; i++) {
            bytes[8 + rand() % 52] = (unsigned char)rand();
        }
        ck_assert_int_eq(ndi_os_dup(&fd, s->fd), 0);
        s = NULL;
        if (ndi_segment_adopt(&s, fd, NDI_KIND_QUEUE, NDS_READWRITE) == 0 &&
            ndi_hub_over(&other, s) == 0) {
            (void)put_number(&other->chan[0], 1, 200);
            (void)get_number(&other->chan[0]);
            ndi_held_abandon(other); // acknowledge may be on by now
            ndi_hub_put(other);
        } else {
            refused++;
        }
        s = hub->segment;
    }
    memcpy(bytes, good, sizeof good);
    ck_assert_int_gt(refused, 100);
    ndi_hub_put(hub);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ring");
    TCase *tc = tcase_create("ring");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, words_keep_their_fields);
    tcase_add_test(tc, seqs_go_round);
    tcase_add_test(tc, full_lanes_spill_in_order);
    tcase_add_test(tc, producers_without_a_lane);
    tcase_add_test(tc, repair_needs_only_the_words);
    tcase_add_test(tc, lying_caches_do_no_harm);
    tcase_add_test(tc, hostile_headers_are_refused);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
