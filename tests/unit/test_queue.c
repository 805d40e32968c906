/* SPDX-License-Identifier: MIT */
/* test_queue.c - what goes in comes out: kinds of item, bounds, hand-over */
#include <harness/chan_of.h>
#include <os/os.h>
#include <sync/word.h>

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The hub behind a handle: its first and only field. */
static nds_array *
numbers(int64_t count, double first)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, &count, NULL), 0);
    for (int64_t i = 0; i < count; i++) {
        ((double *)nds_array_data(a))[i] = first + (double)i;
    }
    return a;
}

static void
check_numbers(const nds_array *a, int64_t count, double first)
{
    const nds_view *v = nds_array_view(a);

    ck_assert_int_eq(v->ndim, 1);
    ck_assert_int_eq(v->shape[0], count);
    ck_assert(nds_dtype_equal(v->dtype, NDS_FLOAT64));
    for (int64_t i = 0; i < count; i++) {
        ck_assert(((double *)v->data)[i] == first + (double)i);
    }
}

static nds_queue *
queue_new(const nds_queue_options *opts)
{
    nds_queue *q = NULL;

    ck_assert_msg(nds_queue_new(&q, opts) == 0, "%s",
                  nds_last_error()->message);
    return q;
}

START_TEST(every_size_comes_back)
{
    static const int64_t counts[] = {0,    1,     128,   129,    1000,
                                     8191, 8192,  8193,  100000, 600000};
    nds_queue *q = queue_new(NULL);
    nds_tag tag = {3, "abc"}, seen;

    for (size_t i = 0; i < NDI_ARRAY_LEN(counts); i++) {
        nds_array *a = numbers(counts[i], (double)i), *b = NULL;

        ck_assert_int_eq(nds_queue_put(q, a, &tag, NDS_SEC(5)), 0);
        if (counts[i] > 0) {
            *(double *)nds_array_data(a) = -1; // by value
        }
        nds_array_close(a);
        ck_assert_int_eq(nds_queue_size(q), 1);
        ck_assert_int_eq(nds_queue_get(q, &b, &seen, NDS_SEC(5)), 0);
        check_numbers(b, counts[i], (double)i);
        ck_assert_uint_eq(seen.nbytes, 3);
        ck_assert_mem_eq(seen.bytes, "abc", 3);
        nds_array_close(b);
        ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    }
    nds_queue_close(q);
}
END_TEST

START_TEST(first_in_first_out_and_many)
{
    nds_queue *q = queue_new(NULL);
    nds_array *in[50], *out[60];
    int done, count;

    for (int i = 0; i < 50; i++) {
        in[i] = numbers(i % 7 * 100, i);
    }
    ck_assert_int_eq(nds_queue_put_many(q, 50, in, NULL, NDS_SEC(5), &done),
                     0);
    ck_assert_int_eq(done, 50);
    ck_assert_int_eq(nds_queue_get_many(q, 60, out, NULL, NDS_SEC(5), &count),
                     0);
    ck_assert_int_eq(count, 50);
    for (int i = 0; i < 50; i++) {
        check_numbers(out[i], i % 7 * 100, i);
        nds_array_close(in[i]);
        nds_array_close(out[i]);
    }
    ck_assert_int_eq(nds_queue_get(q, out, NULL, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_queue_get(q, out, NULL, NDS_MSEC(20)),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(many_are_partly_done)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 5};
    nds_tag tags[8] = {{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"},
                       {1, "e"}, {1, "f"}, {61, "g"}, {1, "h"}}, seen[8];
    nds_queue *q = queue_new(&opts);
    nds_array *in[8], *out[8];
    int done, count;

    for (int i = 0; i < 8; i++) {
        in[i] = i == 3 ? NULL : numbers(i % 2 ? 9000 : 5, i);
    }
    ck_assert_int_eq(nds_queue_put_many(q, 6, in, tags, 0, &done),
                     NDS_EAGAIN);
    ck_assert_int_eq(done, 5);
    ck_assert_int_eq(nds_queue_put_many(q, 1, in, tags, NDS_MSEC(10), &done),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(done, 0);
    ck_assert_int_eq(nds_queue_get_many(q, 2, out, seen, 0, &count), 0);
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(seen[1].bytes[0], 'b');
    // The tag of the second of these is too long.
    ck_assert_int_eq(nds_queue_put_many(q, 3, in + 5, tags + 5, 0, &done),
                     NDS_EINVAL);
    ck_assert_int_eq(done, 1);
    ck_assert_int_eq(nds_queue_get_many(q, 6, out + 2, seen, 0, &count), 0);
    ck_assert_int_eq(count, 4);
    ck_assert_ptr_null(out[3]);
    for (int i = 0; i < 6; i++) {
        if (i != 3) {
            check_numbers(out[i], i % 2 ? 9000 : 5, i);
        }
        nds_array_close(out[i]);
    }
    ck_assert_int_eq(nds_queue_get_many(q, 6, out, NULL, 0, &count),
                     NDS_EAGAIN);
    ck_assert_int_eq(count, 0);
    for (int i = 0; i < 8; i++) {
        nds_array_close(in[i]);
    }
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

/* More than one run, with items between that must go alone. */
START_TEST(many_of_every_kind)
{
    nds_queue_options opts = {.size = sizeof opts, .max_bytes = 4 << 20};
    nds_array_options sh = {.size = sizeof sh, .reach = NDS_SHAREABLE};
    nds_queue *q = queue_new(&opts);
    nds_array *in[200], *out[200];
    int64_t n = 3000;
    nds_queue_info info;
    int done, count;

    for (int i = 0; i < 200; i++) {
        in[i] = numbers(i == 150 ? 600000 : i % 50, i);
    }
    nds_array_close(in[70]);
    ck_assert_int_eq(nds_array_new(&in[70], NDS_FLOAT64, 1, &n, &sh), 0);
    for (int64_t i = 0; i < n; i++) {
        ((double *)nds_array_data(in[70]))[i] = 70 + (double)i;
    }
    ck_assert_int_eq(nds_array_freeze(in[70]), 0);
    ck_assert_msg(nds_queue_put_many(q, 140, in, NULL, 0, &done) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_int_eq(done, 140);
    ck_assert_int_eq(nds_queue_get_many(q, 200, out, NULL, 0, &count), 0);
    ck_assert_int_eq(count, 140);
    ck_assert_int_eq(nds_queue_put_many(q, 60, in + 140, NULL, 0, &done),
                     NDS_EAGAIN); // the large one waits until it is alone
    ck_assert_int_eq(done, 10);
    ck_assert_int_eq(nds_queue_get_many(q, 60, out + 140, NULL, 0, &count),
                     0);
    ck_assert_int_eq(nds_queue_put_many(q, 50, in + 150, NULL, 0, &done),
                     NDS_EAGAIN); // and then nothing beside it
    ck_assert_int_eq(done, 1);
    ck_assert_int_eq(nds_queue_get_many(q, 50, out + 150, NULL, 0, &count),
                     0);
    ck_assert_int_eq(nds_queue_put_many(q, 49, in + 151, NULL, 0, &done), 0);
    ck_assert_int_eq(nds_queue_get_many(q, 49, out + 151, NULL, 0, &count),
                     0);
    for (int i = 0; i < 200; i++) {
        check_numbers(out[i], i == 70 ? n : i == 150 ? 600000 : i % 50, i);
        nds_array_close(in[i]);
        nds_array_close(out[i]);
    }
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.bytes_used, 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

/* What a run meets that cannot be opened ends it: parked, and those behind it
 * wait as if nobody had claimed them. */
START_TEST(a_bad_item_ends_a_run)
{
    nds_queue_options opts = {.size = sizeof opts, .acknowledge = true};
    nds_queue *q = queue_new(&opts);
    struct ndi_chan *c = chan_of(q);
    nds_array *in[4], *out[4];
    nds_queue_info info;
    int done, count;

    for (int i = 0; i < 4; i++) {
        in[i] = numbers(5, i);
    }
    ck_assert_int_eq(nds_queue_put_many(q, 4, in, NULL, 0, &done), 0);
    for (uint32_t i = 0; i < c->nslots; i++) {
        uint64_t w = ndi_load_acq(&ndi_slot_at(c, i)->word);

        if (ndi_word_state(w) == NDI_READY && ndi_word_seq(w) == 2) {
            ndi_slot_at(c, i)->ndim = 200;
        }
    }
    ck_assert_int_eq(nds_queue_get_many(q, 4, out, NULL, 0, &count), 0);
    ck_assert_int_eq(count, 1);
    check_numbers(out[0], 5, 0);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.parked, 1);
    ck_assert_uint_eq(info.items, 2);
    ck_assert_uint_eq(info.redelivered, 0);
    ck_assert_int_eq(nds_queue_get_many(q, 4, out + 1, NULL, 0, &count), 0);
    ck_assert_int_eq(count, 2);
    ck_assert_uint_eq(nds_queue_deliveries(out[1]), 0);
    check_numbers(out[1], 5, 2);
    check_numbers(out[2], 5, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(nds_queue_task_done(q), 0);
        nds_array_close(out[i]);
    }
    ck_assert_int_eq(nds_queue_join(q, 0), 0);
    for (int i = 0; i < 4; i++) {
        nds_array_close(in[i]);
    }
    ck_assert_int_eq(ndi_chan_valid(c), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(shapes_orders_and_dtypes)
{
    nds_queue *q = queue_new(NULL);
    const nds_dtype *dt = NULL;
    nds_array *a = NULL, *b = NULL, *t = NULL;
    int64_t shape[12] = {1, 2, 1, 3, 1, 1, 2, 1, 1, 1, 1, 2};
    nds_array_options f = {.size = sizeof f, .order = 'F'};

    ck_assert_int_eq(nds_dtype_parse(&dt, "[('x', '<f4'), ('id', '|S3')]"),
                     0);
    ck_assert_int_eq(nds_array_new(&a, dt, 12, shape, NULL), 0);
    memset(nds_array_data(a), 'z', 24 * 7);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert(nds_dtype_equal(nds_array_view(b)->dtype, dt));
    ck_assert_int_eq(nds_array_view(b)->ndim, 12);
    ck_assert_mem_eq(nds_array_data(b), nds_array_data(a), 24 * 7);
    nds_array_close(a);
    nds_array_close(b);
    nds_dtype_put(dt);

    ck_assert_int_eq(
        nds_array_new(&a, NDS_INT32, 2, (int64_t[]){300, 200}, &f), 0);
    ((int32_t *)nds_array_data(a))[1] = 42; // element (1, 0)
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_array_slice(&t, a, "[::2, ::-1]"), 0);
    ck_assert_int_eq(nds_queue_put(q, t, NULL, 0), 0);
    nds_array_close(t);
    nds_array_close(a);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert(nds_view_is_contiguous(nds_array_view(b), 'F'));
    ck_assert_int_eq(((int32_t *)nds_array_data(b))[1], 42);
    nds_array_close(b);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_int_eq(nds_array_view(b)->shape[0], 150);
    nds_array_close(b);
    nds_queue_close(q);
}
END_TEST

START_TEST(none_and_bounds_and_shutdown)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 3};
    nds_queue *q = queue_new(&opts);
    nds_array *b = NULL;

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(nds_queue_put_none(q, 0), 0);
    }
    ck_assert_int_eq(nds_queue_put_none(q, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_queue_put_none(q, NDS_MSEC(10)), NDS_ETIMEDOUT);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_ptr_null(b);
    ck_assert_int_eq(nds_queue_put_none(q, 0), 0);
    ck_assert_int_eq(nds_queue_shutdown(q), 0);
    ck_assert_int_eq(nds_queue_put_none(q, 0), NDS_ECLOSED);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    }
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, NDS_FOREVER), NDS_EEOF);
    nds_queue_close(q);
}
END_TEST

START_TEST(bytes_are_bounded_and_oversize_crosses)
{
    nds_queue_options opts = {.size = sizeof opts, .max_bytes = 1 << 20};
    nds_queue *q = queue_new(&opts);
    nds_array *a = numbers(80000, 1), *big = numbers(400000, 5), *b = NULL;

    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    nds_array_close(b);
    ck_assert_msg(nds_queue_put(q, big, NULL, NDS_SEC(1)) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    check_numbers(b, 400000, 5);
    nds_array_close(b);
    nds_array_close(a);
    nds_array_close(big);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(loans_and_takes_copy_nothing)
{
    nds_queue *q = queue_new(NULL);
    nds_array *l = NULL, *t = NULL;
    int64_t n = 50000;
    nds_queue_info info;
    double *where;

    ck_assert_int_eq(nds_queue_loan(q, &l, NDS_FLOAT64, 1, &n, 0), 0);
    where = nds_array_data(l);
    for (int64_t i = 0; i < n; i++) {
        where[i] = (double)i;
    }
    ck_assert_int_eq(nds_queue_publish(q, &l, NULL), 0);
    ck_assert_ptr_null(l);
    ck_assert_int_eq(nds_queue_take(q, &t, NULL, 0), 0);
    ck_assert_ptr_eq(nds_array_data(t), where);
    check_numbers(t, n, 0);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.taken, 1);
    ck_assert_int_eq(nds_queue_release(q, &t), 0);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.taken + info.items + info.loaned, 0);
    ck_assert_uint_eq(info.bytes_used, 0);

    ck_assert_int_eq(nds_queue_loan(q, &l, NDS_FLOAT64, 1, &n, 0), 0);
    nds_queue_discard(q, &l);
    ck_assert_int_eq(nds_queue_size(q), 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(closing_a_taken_item_gives_it_back)
{
    nds_queue *q = queue_new(NULL);
    nds_array *a = numbers(10, 3), *t = NULL;

    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    nds_array_close(a);
    a = numbers(10, 4);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_queue_take(q, &t, NULL, 0), 0);
    ck_assert_uint_eq(nds_queue_deliveries(t), 0);
    nds_array_close(t);
    ck_assert_int_eq(nds_queue_take(q, &t, NULL, 0), 0);
    ck_assert_uint_eq(nds_queue_deliveries(t), 1);
    check_numbers(t, 10, 3); // at the front again
    ck_assert_int_eq(nds_queue_release(q, &t), 0);
    ck_assert_int_eq(nds_queue_get(q, &t, NULL, 0), 0);
    check_numbers(t, 10, 4);
    nds_array_close(t);
    nds_queue_close(q);
}
END_TEST

/* A view that outlives release or the handle keeps its memory. */
START_TEST(adopted_memory_lives_with_its_last_view)
{
    nds_queue *q = queue_new(NULL);
    nds_array *a = numbers(20000, 1), *b = NULL, *s = NULL;
    nds_queue_info info;

    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_int_eq(nds_array_slice(&s, b, "[5:]"), 0);
    nds_array_close(b);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.loaned, 1);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    check_numbers(s, 19995, 6);
    nds_queue_close(q);
    check_numbers(s, 19995, 6);
    nds_array_close(s);
    nds_array_close(a);
}
END_TEST

START_TEST(moved_and_frozen_arrays_cross_by_reference)
{
    nds_array_options sh = {.size = sizeof sh, .reach = NDS_SHAREABLE};
    nds_queue *q = queue_new(NULL);
    nds_array *a = NULL, *b = NULL;
    int64_t n = 300000;
    nds_stats before = {.size = sizeof before}, after = before;

    ck_assert_int_eq(nds_stats_enable(), 0);
    nds_stats_read(&before);
    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, &n, &sh), 0);
    ((double *)nds_array_data(a))[7] = 7;
    ck_assert_msg(nds_queue_put_move(q, &a, NULL, 0) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_ptr_null(a);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert(((double *)nds_array_data(b))[7] == 7);
    ((double *)nds_array_data(b))[8] = 8;
    nds_array_close(b);

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, &n, &sh), 0);
    ((double *)nds_array_data(a))[7] = 9;
    ck_assert_int_eq(nds_array_freeze(a), 0);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert(((double *)nds_array_data(b))[7] == 9);
    ck_assert((nds_array_view(b)->flags & NDS_VIEW_READONLY) != 0);
    nds_array_close(b);
    nds_array_close(a);
    nds_stats_read(&after);
    ck_assert_uint_eq(after.bytes_copied, before.bytes_copied);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

static nds_array *
shareable(int64_t count, double first)
{
    nds_array_options sh = {.size = sizeof sh, .reach = NDS_SHAREABLE};
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, &count, &sh), 0);
    for (int64_t i = 0; i < count; i++) {
        ((double *)nds_array_data(a))[i] = first + (double)i;
    }
    return a;
}

/* From hand to hand, through two queues, one of them with acknowledge. */
START_TEST(received_arrays_move_on_without_a_copy)
{
    nds_queue_options ack = {.size = sizeof ack, .acknowledge = true};
    nds_stats before = {.size = sizeof before}, after = before;
    nds_queue *q = queue_new(NULL), *r = queue_new(&ack);
    nds_array *a = shareable(300000, 1), *s = NULL;
    nds_queue_info info;

    ck_assert_int_eq(nds_stats_enable(), 0);
    nds_stats_read(&before);
    for (int i = 0; i < 5; i++) {
        nds_queue *to = i % 2 ? r : q;

        ck_assert_int_eq(nds_queue_put_move(to, &a, NULL, 0), 0);
        ck_assert_int_eq(nds_queue_get(to, &a, NULL, 0), 0);
        nds_queue_info_get(to, &info);
        ck_assert((info.bytes_used >= 2400000) == (i % 2 == 1));
        ck_assert_int_eq(i % 2 ? nds_queue_task_done(to) : 0, 0);
        nds_queue_info_get(to, &info);
        ck_assert_uint_eq(info.bytes_used, 0); // it is ours alone
        ck_assert_uint_eq(info.loaned, 1);
        ck_assert_int_eq(ndi_chan_valid(chan_of(to)), 0);
    }
    check_numbers(a, 300000, 1);
    // Frozen, it stays here and goes as well, twice.
    ck_assert_int_eq(nds_array_freeze(a), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(nds_queue_put(r, a, NULL, 0), 0);
        ck_assert_int_eq(nds_queue_get(r, &s, NULL, 0), 0);
        check_numbers(s, 300000, 1);
        nds_array_close(s);
        ck_assert_int_eq(nds_queue_task_done(r), 0);
    }
    nds_array_close(a);
    nds_stats_read(&after);
    ck_assert_uint_eq(after.bytes_copied, before.bytes_copied);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.loaned + info.bytes_used, 0);
    nds_queue_info_get(r, &info);
    ck_assert_uint_eq(info.loaned + info.bytes_used, 0);
    nds_queue_close(q);
    nds_queue_close(r);
}
END_TEST

/* Open ones do not use up the slots: from some number on they lose the name,
 * and are copied when they move on. */
START_TEST(open_files_leave_slots)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 2};
    nds_queue *q = queue_new(&opts);
    nds_array *a[300];
    uint32_t nslots = chan_of(q)->nslots;
    nds_queue_info info;

    ck_assert_uint_lt(nslots, 300);
    for (int i = 0; i < 300; i++) {
        a[i] = shareable(1000, i);
        ck_assert_int_eq(nds_queue_put_move(q, &a[i], NULL, 0), 0);
        ck_assert_int_eq(nds_queue_get(q, &a[i], NULL, 0), 0);
    }
    nds_queue_info_get(q, &info);
    ck_assert_uint_le(info.loaned, nslots / 2 + 1);
    ck_assert_int_eq(nds_queue_put_move(q, &a[299], NULL, 0), 0);
    ck_assert_int_eq(nds_queue_get(q, &a[299], NULL, 0), 0);
    for (int i = 0; i < 300; i++) {
        check_numbers(a[i], 1000, i);
        nds_array_close(a[i]);
    }
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.loaned + info.bytes_used, 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(acknowledged_queues_count_and_join)
{
    nds_queue_options opts = {.size = sizeof opts, .acknowledge = true};
    nds_queue *q = queue_new(&opts);
    nds_array *a = numbers(100000, 1), *b = NULL;
    nds_queue_info info;

    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_put_none(q, 0), 0);
    ck_assert_int_eq(nds_queue_join(q, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    check_numbers(b, 100000, 1);
    nds_array_close(b);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.unfinished, 2);
    ck_assert_uint_eq(info.taken, 1);
    ck_assert_int_eq(nds_queue_task_done(q), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_join(q, NDS_MSEC(5)), NDS_ETIMEDOUT);
    ck_assert_int_eq(nds_queue_task_done(q), 0);
    ck_assert_int_eq(nds_queue_join(q, 0), 0);
    ck_assert_int_eq(nds_queue_task_done(q), NDS_EINVAL);

    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_task_done(q), 0); // done before it is closed
    check_numbers(b, 100000, 1);
    nds_array_close(b);
    nds_queue_info_get(q, &info);
    ck_assert_uint_eq(info.bytes_used, 0);
    nds_array_close(a);
    nds_queue_close(q);
}
END_TEST

START_TEST(plain_queues_count_and_join)
{
    nds_queue *q = queue_new(NULL);
    nds_array *b = NULL;

    ck_assert_int_eq(nds_queue_task_done(q), NDS_EINVAL);
    ck_assert_int_eq(nds_queue_put_none(q, 0), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_join(q, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_queue_task_done(q), 0);
    ck_assert_int_eq(nds_queue_join(q, 0), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(named_queues_are_found)
{
    nds_queue_options opts = {.size = sizeof opts, .max_bytes = 1 << 20};
    nds_queue *q = NULL, *r = NULL;
    nds_array *a = numbers(300, 1), *b = NULL;
    char name[64];
    int rc;

    snprintf(name, sizeof name, "t-chan-%d", (int)getpid());
    ck_assert_int_eq(nds_queue_attach(&r, name, 0), NDS_ENOENT);
    ck_assert_msg(nds_queue_create(&q, name, &opts) == 0, "%s",
                  nds_last_error()->message);
    rc = nds_queue_attach(&r, name, 0);
    nds_queue_unlink(name);
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_get(r, &b, NULL, 0), 0);
    check_numbers(b, 300, 1);
    nds_array_close(a);
    nds_array_close(b);
    nds_queue_close(q);
    nds_queue_close(r);
}
END_TEST

START_TEST(descriptor_is_readable_while_items_wait)
{
    nds_queue *q = queue_new(NULL);
    nds_array *b = NULL;
    struct pollfd p = {.events = POLLIN};

    ck_assert_int_eq(nds_queue_fd(q, &p.fd), 0);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    ck_assert_int_eq(nds_queue_put_none(q, 0), 0);
    ck_assert_int_eq(poll(&p, 1, 5000), 1);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, 0), 0);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(child_of_fork_uses_the_same_handle)
{
    nds_queue *q = queue_new(NULL);
    nds_array *b = NULL;
    int status;
    pid_t pid;

    ck_assert_int_eq(nds_queue_put_none(q, 0), 0); // the parent has joined
    pid = fork();
    if (pid == 0) {
        nds_array *a = numbers(20000, 2);
        int rc = nds_queue_put(q, a, NULL, NDS_SEC(5));

        nds_array_close(a);
        nds_queue_close(q);
        _exit(rc == 0 ? 0 : 1);
    }
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_queue_get(q, &b, NULL, NDS_SEC(5)), 0);
    check_numbers(b, 20000, 2);
    nds_array_close(b);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(items_of_dead_consumers_come_back)
{
    static const enum nds_redelivery policies[] = {NDS_REDELIVER, NDS_DROP,
                                                   NDS_PARK};
    for (int i = 0; i < 3; i++) {
        nds_queue_options opts = {.size = sizeof opts,
                                  .redelivery = policies[i]};
        nds_queue *q = queue_new(&opts);
        nds_array *a = numbers(20000, 2), *b = NULL;
        nds_queue_info info;
        int status;
        pid_t pid;

        ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
        nds_array_close(a);
        pid = fork();
        if (pid == 0) {
            (void)nds_queue_take(q, &b, NULL, NDS_SEC(5));
            raise(SIGKILL);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (policies[i] == NDS_REDELIVER) {
            ck_assert_int_eq(nds_queue_take(q, &b, NULL, NDS_SEC(5)), 0);
            ck_assert_uint_eq(nds_queue_deliveries(b), 1);
            check_numbers(b, 20000, 2);
            ck_assert_int_eq(nds_queue_release(q, &b), 0);
        } else {
            ck_assert_int_eq(nds_queue_get(q, &b, NULL, NDS_MSEC(200)),
                             NDS_ETIMEDOUT);
        }
        nds_queue_info_get(q, &info);
        ck_assert_uint_eq(info.parked, policies[i] == NDS_PARK);
        ck_assert_uint_eq(info.dropped, policies[i] == NDS_DROP);
        ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
        nds_queue_close(q);
    }
}
END_TEST

/* Random bytes where a READY item's descriptor was: an error or an array, and
 * never an access outside (the sanitizers watch). */
START_TEST(hostile_descriptors_are_refused)
{
    nds_queue_options opts = {.size = sizeof opts, .max_bytes = 1 << 20};
    nds_array *small = numbers(3, 1), *large = numbers(9000, 1), *b = NULL;
    uint64_t sum = 0;
    int refused = 0;

    srand(3);
    for (int n = 0; n < 500; n++) {
        nds_queue *q = queue_new(&opts);
        struct ndi_chan *c = chan_of(q);
        unsigned char *d;
        int rc;

        ck_assert_int_eq(nds_queue_put(q, n % 2 ? small : large, NULL, 0), 0);
        for (uint32_t i = 0; i < c->nslots; i++) {
            uint64_t w = ndi_load_acq(&ndi_slot_at(c, i)->word);

            d = (unsigned char *)ndi_slot_at(c, i) + 64;
            if (ndi_word_state(w) == NDI_READY) {
                d[rand() % 200] = (unsigned char)rand();
                d[24 + rand() % 16] = (unsigned char)(rand() % 8);
                break;
            }
        }
        rc = nds_queue_get(q, &b, NULL, 0);
        if (rc == 0 && b != NULL) {
            const nds_view *v = nds_array_view(b);

            if (v->data != NULL && nds_view_nbytes(v) > 0) {
                sum += ((unsigned char *)v->data)[0];
                sum += ((unsigned char *)v->data)[nds_view_nbytes(v) - 1];
            }
        }
        refused += rc < 0;
        nds_array_close(b);
        b = NULL;
        nds_queue_close(q);
    }
    ck_assert_int_gt(refused, 10);
    ck_assert_uint_ge(sum + 1, 1);
    nds_array_close(small);
    nds_array_close(large);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("queue");
    TCase *tc = tcase_create("queue");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, every_size_comes_back);
    tcase_add_test(tc, first_in_first_out_and_many);
    tcase_add_test(tc, many_are_partly_done);
    tcase_add_test(tc, many_of_every_kind);
    tcase_add_test(tc, a_bad_item_ends_a_run);
    tcase_add_test(tc, shapes_orders_and_dtypes);
    tcase_add_test(tc, none_and_bounds_and_shutdown);
    tcase_add_test(tc, bytes_are_bounded_and_oversize_crosses);
    tcase_add_test(tc, loans_and_takes_copy_nothing);
    tcase_add_test(tc, closing_a_taken_item_gives_it_back);
    tcase_add_test(tc, adopted_memory_lives_with_its_last_view);
    tcase_add_test(tc, moved_and_frozen_arrays_cross_by_reference);
    tcase_add_test(tc, received_arrays_move_on_without_a_copy);
    tcase_add_test(tc, open_files_leave_slots);
    tcase_add_test(tc, acknowledged_queues_count_and_join);
    tcase_add_test(tc, plain_queues_count_and_join);
    tcase_add_test(tc, named_queues_are_found);
    tcase_add_test(tc, descriptor_is_readable_while_items_wait);
    tcase_add_test(tc, child_of_fork_uses_the_same_handle);
    tcase_add_test(tc, items_of_dead_consumers_come_back);
    tcase_add_test(tc, hostile_descriptors_are_refused);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
