/* SPDX-License-Identifier: MIT */
/* test_array.c - arrays over every kind of memory, growth, locks, files */
#include <array/array_impl.h>
#include <check.h>
#include <harness/own_names.h>
#include <ndshare/ops.h>
#include <os/os.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHAPE(...) (int64_t[]){__VA_ARGS__}

static void
expect_text(const nds_array *a, const char *want)
{
    char *text;

    ck_assert_int_eq(nds_view_tolist_str(nds_array_view(a), &text), 0);
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(heap_and_shareable_are_zeros)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a, *b, *c;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 2, SHAPE(2, 3), NULL), 0);
    expect_text(a, "[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]");
    ck_assert_int_eq(nds_block_reach(nds_array_block(a)), NDS_HEAP);
    ck_assert_int_eq(nds_array_lock(a, 0), NDS_EINVAL);
    opts.order = 'F';
    ck_assert_int_eq(nds_array_new(&b, NDS_INT32, 2, SHAPE(2, 3), &opts), 0);
    ck_assert(nds_view_is_contiguous(nds_array_view(b), 'F'));
    ck_assert_int_eq(nds_block_reach(nds_array_block(b)), NDS_SHAREABLE);
    ck_assert_uint_eq((uintptr_t)nds_array_data(b) % 4096, 0);
    ck_assert_int_eq(nds_array_slice(&c, b, "[1, ::2]"), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(c), nds_int(5)), 0);
    nds_array_close(c);
    expect_text(b, "[[0, 0, 0], [5, 0, 5]]");
    ck_assert_int_eq(nds_array_lock(b, 0), 0);
    ck_assert_int_eq(nds_array_unlock(b), 0);
    nds_array_close(a);
    nds_array_close(b);
    nds_array_close(NULL);
    ck_assert_int_eq(nds_array_new(&a, NDS_INT8, 2,
                                   SHAPE(INT64_MAX, 2), NULL), NDS_ESHAPE);
    ck_assert_int_eq(nds_array_new(&a, NDS_INT8, 1, SHAPE(-1), NULL),
                     NDS_ESHAPE);
    ck_assert_int_eq(nds_array_new(&a, NDS_INT8, 65, SHAPE(1), NULL),
                     NDS_ESHAPE);
    ck_assert_ptr_null(a);
}
END_TEST

START_TEST(want_of_room_names_the_array)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 2,
                                   SHAPE(1 << 20, 1 << 20), &opts),
                     NDS_ENOSPC);
    ck_assert_ptr_null(a);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                 "of shape (1048576, 1048576), dtype <f8"));
    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT8, 1,
                                      SHAPE((int64_t)1 << 44), NULL),
                     NDS_ENOSPC);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, name));
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                 "of shape (17592186044416,), dtype |i1"));
    ck_assert_int_eq(nds_count_names(prefix), 0);
}
END_TEST

START_TEST(named_is_one_memory_for_all)
{
    nds_array *a, *b, *r, *c;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_FLOAT64, 2, SHAPE(2, 2),
                                      NULL), 0);
    ck_assert_int_eq(nds_array_create(&b, name, NDS_FLOAT64, 2, SHAPE(2, 2),
                                      NULL), NDS_EEXIST);
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READWRITE, 0), 0);
    ck_assert_int_eq(nds_array_attach(&r, name, NDS_READ, 0), 0);
    ck_assert_int_eq(nds_array_attach(&c, name, NDS_COPY, 0), 0);
    ck_assert_str_eq(nds_array_name(b), name);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_float(1.5)), 0);
    expect_text(a, "[[1.5, 1.5], [1.5, 1.5]]");
    expect_text(r, "[[1.5, 1.5], [1.5, 1.5]]");
    ck_assert_int_eq(nds_fill(nds_array_view(r), nds_float(2)),
                     NDS_EREADONLY);
    ck_assert_int_eq(nds_array_lock(r, 0), NDS_EPERM);
    ck_assert_int_eq(nds_fill(nds_array_view(c), nds_float(9)), 0);
    expect_text(a, "[[1.5, 1.5], [1.5, 1.5]]");
    nds_array_close(a);
    nds_array_close(b);
    nds_array_close(c);
    ck_assert_int_eq(nds_array_unlink(name), 0);
    expect_text(r, "[[1.5, 1.5], [1.5, 1.5]]");
    nds_array_close(r);
    ck_assert_int_eq(nds_array_attach(&a, name, NDS_READ, 0), NDS_ENOENT);
    ck_assert_int_eq(nds_array_unlink(name), NDS_ENOENT);
}
END_TEST

START_TEST(every_dtype_comes_back)
{
    static const char *const types[] = {
        "?", "i1", "<u8", ">i4", "f2", "<f4", "g", "F", "D", "S7", "U3",
        "V5", "<M8[25us]", "m8[s]", "[('a', '<i4'), ('b', '>f8', (2, 3))]"};

    for (size_t i = 0; i < NDI_ARRAY_LEN(types); i++) {
        const nds_dtype *dt;
        nds_array *a, *b;

        ck_assert_int_eq(nds_dtype_parse(&dt, types[i]), 0);
        ck_assert_int_eq(nds_array_create(&a, name, dt, 3, SHAPE(2, 0, 3),
                                          NULL), 0);
        nds_array_close(a);
        ck_assert_int_eq(nds_array_unlink(name), 0);
        ck_assert_int_eq(nds_array_create(&a, name, dt, 0, NULL, NULL), 0);
        ck_assert_int_eq(nds_array_attach(&b, name, NDS_READ, 0), 0);
        ck_assert(nds_dtype_equal(nds_array_view(b)->dtype, dt));
        ck_assert_int_eq(nds_array_view(b)->ndim, 0);
        nds_array_close(a);
        nds_array_close(b);
        ck_assert_int_eq(nds_array_unlink(name), 0);
        nds_dtype_put(dt);
    }
}
END_TEST

START_TEST(grows_in_place_up_to_its_capacity)
{
    nds_array_options opts = {.size = sizeof opts, .capacity = 10};
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT32, 2, SHAPE(2, 2),
                                      &opts), 0);
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READWRITE, 0), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_int(3)), 0);
    ck_assert_int_eq(nds_array_resize(a, 3), 0);
    expect_text(a, "[[3, 3], [3, 3], [0, 0]]");
    expect_text(b, "[[3, 3], [3, 3]]");
    ck_assert_int_eq(nds_array_refresh(b), 0);
    expect_text(b, "[[3, 3], [3, 3], [0, 0]]");
    ck_assert_int_eq(nds_array_resize(b, 1), 0);
    ck_assert_int_eq(nds_array_resize(b, 3), 0);
    expect_text(b, "[[3, 3], [0, 0], [0, 0]]");
    ck_assert_int_eq(nds_array_resize(a, 10), 0);
    ck_assert_int_eq(nds_array_resize(a, 11), NDS_ENOSPC);
    ck_assert_int_eq(nds_array_view(a)->shape[0], 10);
    nds_array_close(a);
    nds_array_close(b);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

START_TEST(replaced_arrays_say_so)
{
    nds_array_options opts = {.size = sizeof opts, .replace = true};
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT32, 1, SHAPE(2),
                                      NULL), 0);
    ck_assert_int_eq(nds_array_create(&b, name, NDS_INT32, 1, SHAPE(9),
                                      &opts), 0);
    ck_assert_int_eq(nds_array_refresh(a), NDS_ESTALE);
    nds_array_close(a);
    nds_array_close(b);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

START_TEST(shareable_is_published_later)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT16, 1, SHAPE(3), &opts), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(4)), 0);
    ck_assert_int_eq(nds_array_publish(a, name, NULL), 0);
    ck_assert_str_eq(nds_array_name(a), name);
    ck_assert_int_eq(nds_block_reach(nds_array_block(a)), NDS_NAMED);
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READ, 0), 0);
    expect_text(b, "[4, 4, 4]");
    nds_array_close(a);
    nds_array_close(b);
    ck_assert_int_eq(nds_array_unlink(name), 0);
    ck_assert_int_eq(nds_array_new(&a, NDS_INT16, 1, SHAPE(3), NULL), 0);
    ck_assert_int_eq(nds_array_publish(a, name, NULL), NDS_EINVAL);
    nds_array_close(a);
}
END_TEST

static int
die_holding(void *ctx)
{
    nds_array *a;

    (void)ctx;
    if (nds_array_attach(&a, name, NDS_READWRITE, 0) < 0 ||
        nds_array_lock(a, 0) < 0) {
        return 1;
    }
    kill(getpid(), SIGKILL);
    return 2;
}

START_TEST(the_lock_outlives_its_holder)
{
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT32, 1, SHAPE(2),
                                      NULL), 0);
    ck_assert_int_eq(nds_in_child(die_holding, NULL), -SIGKILL);
    ck_assert_int_eq(nds_array_lock(a, NDS_SEC(5)), NDS_EOWNERDEAD);
    ck_assert_int_eq(nds_array_unlock(a), 0);
    ck_assert_int_eq(nds_array_lock(a, 0), 0);
    ck_assert_int_eq(nds_array_poison(a), 0);
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READWRITE, 0), 0);
    ck_assert_int_eq(nds_array_lock(b, 0), NDS_EPOISONED);
    nds_array_close(a);
    nds_array_close(b);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

static void *
change_soon(void *ctx)
{
    usleep(20000);
    ck_assert_int_eq(nds_array_changed(ctx), 0);
    return NULL;
}

START_TEST(changes_are_waited_for)
{
    nds_array *a, *r;
    uint64_t gen;
    pthread_t t;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT32, 1, SHAPE(2),
                                      NULL), 0);
    ck_assert_int_eq(nds_array_attach(&r, name, NDS_READ, 0), 0);
    ck_assert_int_eq(nds_array_generation(r, &gen), 0);
    ck_assert_int_eq(nds_array_wait_changed(r, gen, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_array_wait_changed(a, gen, NDS_MSEC(5)),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(pthread_create(&t, NULL, change_soon, a), 0);
    ck_assert_int_eq(nds_array_wait_changed(r, gen, NDS_SEC(10)), 0);
    pthread_join(t, NULL);
    ck_assert_int_eq(nds_array_wait_changed(a, gen, 0), 0);
    nds_array_close(a);
    nds_array_close(r);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

START_TEST(freezing_needs_the_only_handle)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT16, 1, SHAPE(3), &opts), 0);
    ck_assert_int_eq(nds_array_get(&b, a), 0);
    ck_assert_int_eq(nds_array_freeze(a), NDS_EBUSY);
    nds_array_close(b);
    ck_assert_int_eq(nds_array_freeze(a), 0);
    ck_assert(ndi_array_is_frozen(a));
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(4)), NDS_EREADONLY);
    expect_text(a, "[0, 0, 0]");
    nds_array_close(a);
}
END_TEST

START_TEST(files_and_raw_blocks_are_arrays)
{
    nds_array *a, *b;
    nds_block *raw;

    ck_assert_int_eq(nds_array_map_file(&a, file, NDS_CREATE, NDS_INT32, 2,
                                        SHAPE(2, 2), 'C', 8), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(6)), 0);
    ck_assert_int_eq(nds_array_flush(a), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_map_file(&a, file, NDS_READ, NDS_INT32, 1,
                                        NULL, 'C', 0), 0);
    expect_text(a, "[0, 0, 6, 6, 6, 6]");
    ck_assert_int_eq(nds_npy_save(nds_array_view(a), file), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_npy_map(&a, file, NDS_READWRITE), 0);
    ck_assert_int_eq(nds_npy_load(&b, file), 0);
    expect_text(a, "[0, 0, 6, 6, 6, 6]");
    expect_text(b, "[0, 0, 6, 6, 6, 6]");
    nds_array_close(a);
    nds_array_close(b);
    ck_assert_int_eq(nds_array_map_file(&a, file, NDS_CREATE, NDS_INT32, 1,
                                        NULL, 'C', 0), NDS_EINVAL);
    ck_assert_int_eq(nds_block_create_raw(&raw, name, 24, 0), 0);
    ck_assert_int_eq(nds_array_from_block(&a, raw, NDS_FLOAT64, 1, SHAPE(3),
                                          'C', 0), 0);
    ck_assert_int_eq(nds_array_from_block(&b, raw, NDS_FLOAT64, 1, SHAPE(4),
                                          'C', 0), NDS_EBUFFER);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                 "buffer is too small for requested array"));
    nds_block_close(raw);
    expect_text(a, "[0.0, 0.0, 0.0]");
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

START_TEST(hostile_headers_are_errors)
{
    nds_array *a, *b;
    unsigned char old, bad;
    int fd;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_FLOAT64, 2,
                                      SHAPE(20, 20), NULL), 0);
    fd = a->segment->fd;
    for (uint64_t at = 0; at < 90; at++) {
        for (int bit = 0; bit < 8; bit += 1) {
            ck_assert_int_eq(ndi_os_pread(fd, &old, 1, at), 0);
            bad = (unsigned char)(old ^ 1U << bit);
            ck_assert_int_eq(ndi_os_pwrite(fd, &bad, 1, at), 0);
            if (nds_array_attach(&b, name, NDS_READWRITE, 0) == 0) {
                double sum = 0;
                nds_view_nbytes(nds_array_view(b));
                for (int64_t i = 0; i < nds_view_count(nds_array_view(b)) &&
                                    i < 400; i++) {
                    sum += ((unsigned char *)nds_array_data(b))[i];
                }
                ck_assert(sum >= 0);
                nds_array_close(b);
            }
            ck_assert_int_eq(ndi_os_pwrite(fd, &old, 1, at), 0);
        }
    }
    ck_assert_int_eq(nds_array_attach(&b, name, NDS_READ, 0), 0);
    nds_array_close(b);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

START_TEST(info_describes_the_array)
{
    nds_array_options opts = {.size = sizeof opts, .order = 'F',
                              .capacity = 7};
    nds_name_info info = {.size = sizeof info};
    nds_array *a;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT16, 2, SHAPE(3, 4),
                                      &opts), 0);
    ck_assert_int_eq(nds_name_info_get(name, &info), 0);
    ck_assert_str_eq(info.kind, "array");
    ck_assert_str_eq(info.dtype, "<i2");
    ck_assert_int_eq(info.ndim, 2);
    ck_assert(info.shape[0] == 3 && info.shape[1] == 4);
    ck_assert_int_eq(info.order, 'F');
    ck_assert_int_eq(info.nbytes, 24);
    ck_assert_int_eq(info.capacity, 42);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

static void
through_ticket(nds_array *a, int pass, nds_array **out)
{
    struct ndi_parcel p = {0};

    ck_assert_int_eq(ndi_ticket_pack(a, pass, &p), 0);
    ck_assert_int_eq(ndi_ticket_unpack(&p, out), 0);
    ndi_parcel_fini(&p);
}

START_TEST(tickets_carry_arrays)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *heap, *share, *named, *view, *b;
    struct ndi_parcel p = {0};
    int before = nds_open_descriptors();

    ck_assert_int_eq(nds_array_new(&heap, NDS_INT32, 1, SHAPE(4), NULL), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(heap), nds_int(1)), 0);
    through_ticket(heap, NDS_BY_VALUE, &b);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_int(2)), 0);
    expect_text(heap, "[1, 1, 1, 1]");
    nds_array_close(b);
    ck_assert_int_eq(ndi_ticket_pack(heap, NDS_SHARED, &p), NDS_EINVAL);
    ndi_parcel_fini(&p);
    nds_array_close(heap);

    ck_assert_int_eq(nds_array_new(&share, NDS_INT32, 1, SHAPE(4), &opts),
                     0);
    through_ticket(share, NDS_SHARED, &b);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_int(2)), 0);
    expect_text(share, "[2, 2, 2, 2]");
    nds_array_close(b);
    ck_assert_int_eq(nds_array_slice(&view, share, "[::-2]"), 0);
    through_ticket(view, NDS_SHARED, &b);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_int(7)), 0);
    expect_text(share, "[2, 7, 2, 7]");
    nds_array_close(b);
    through_ticket(view, NDS_BY_VALUE, &b);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_int(8)), 0);
    expect_text(share, "[2, 7, 2, 7]");
    nds_array_close(b);
    nds_array_close(view);
    ck_assert_int_eq(nds_array_freeze(share), 0);
    through_ticket(share, NDS_BY_VALUE, &b);
    ck_assert_int_eq(nds_fill(nds_array_view(b), nds_int(9)), 0);
    expect_text(share, "[2, 7, 2, 7]");
    nds_array_close(b);
    nds_array_close(share);

    ck_assert_int_eq(nds_array_create(&named, name, NDS_INT32, 1, SHAPE(2),
                                      NULL), 0);
    through_ticket(named, NDS_SHARED, &b);
    ck_assert_str_eq(nds_array_name(b), name);
    ck_assert_int_eq(nds_array_lock(b, 0), 0);
    ck_assert_int_eq(nds_array_unlock(b), 0);
    nds_array_close(b);
    nds_array_close(named);
    ck_assert_int_eq(nds_array_unlink(name), 0);
    ck_assert_int_eq(nds_open_descriptors(), before);
}
END_TEST

START_TEST(spoilt_tickets_are_errors)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT32, 2, SHAPE(3, 4), &opts), 0);
    for (int at = 0; at < 400; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct ndi_parcel p = {0};

            ck_assert_int_eq(ndi_ticket_pack(a, 2, &p), 0);
            if ((size_t)at < p.bytes.nbytes) {
                p.bytes.data[at] ^= (unsigned char)(1U << bit);
                if (ndi_ticket_unpack(&p, &b) == 0) {
                    nds_array_close(b);
                }
            }
            ndi_parcel_fini(&p);
        }
    }
    nds_array_close(a);
}
END_TEST

int
main(void)
{
    TCase *tc = case_with_names("array");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, heap_and_shareable_are_zeros);
    tcase_add_test(tc, want_of_room_names_the_array);
    tcase_add_test(tc, named_is_one_memory_for_all);
    tcase_add_test(tc, every_dtype_comes_back);
    tcase_add_test(tc, grows_in_place_up_to_its_capacity);
    tcase_add_test(tc, replaced_arrays_say_so);
    tcase_add_test(tc, shareable_is_published_later);
    tcase_add_test(tc, the_lock_outlives_its_holder);
    tcase_add_test(tc, changes_are_waited_for);
    tcase_add_test(tc, freezing_needs_the_only_handle);
    tcase_add_test(tc, files_and_raw_blocks_are_arrays);
    tcase_add_test(tc, hostile_headers_are_errors);
    tcase_add_test(tc, info_describes_the_array);
    tcase_add_test(tc, tickets_carry_arrays);
    tcase_add_test(tc, spoilt_tickets_are_errors);
    return nds_run_case("array", tc);
}
