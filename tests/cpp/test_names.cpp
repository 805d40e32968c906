/* SPDX-License-Identifier: MIT */
/*
 * Names in shared memory, and ranges, from C++.
 */
#include "cpp_check.hpp"

#include <algorithm>
#include <numeric>
#if __cplusplus >= 202002L
#include <ranges>
#include <version>
#endif

#if defined(__cpp_lib_ranges)
static_assert(std::ranges::input_range<nds::queue>);
static_assert(std::ranges::input_range<nds::pipe>);
static_assert(std::ranges::input_range<nds::conn>);
static_assert(std::ranges::input_range<nds::value>);
static_assert(std::ranges::input_range<nds::shareable_list>);
static_assert(std::ranges::input_range<nds::typed_array>);
#endif
static_assert(!std::is_copy_constructible_v<nds::block> &&
              std::is_nothrow_move_constructible_v<nds::block>);
static_assert(!std::is_copy_assignable_v<nds::shareable_list> &&
              std::is_nothrow_move_assignable_v<nds::shareable_list>);

START_TEST(blocks)
{
    std::string name = fresh("block");
    nds::block made = nds::block::create_raw(name.c_str(), 4096);
    nds::block other = nds::block::attach_raw(name.c_str(), NDS_READ);

    made.bytes()[5] = std::byte{9};
    ck_assert(other.bytes()[5] == std::byte{9} && other.size() == 4096);
    ck_assert(other.is_readonly() && !made.is_readonly());
    ck_assert(made.reach() == NDS_RAW);
    same(other.name(), name.c_str());
    nds::array over = nds::array::over(made, "u1", {4096});
    ck_assert(over.block().get() == made.get());
    ck_assert_int_eq(code_of([&] {
                         nds::block::create_raw(name.c_str(), 4096);
                     }),
                     NDS_EEXIST);
    nds::unlink(name.c_str());
}
END_TEST

START_TEST(names_are_losable)
{
    std::string name = fresh("losable");
    nds::block mine = nds::block::create_raw(name.c_str(), 64);

    ck_assert(!mine.name_lost());
    mine.check_name();
    nds::unlink(name.c_str());
    ck_assert(mine.name_lost());
    ck_assert_int_eq(code_of([&] { mine.check_name(); }), NDS_ENOENT);
    nds::block taken = nds::block::create_raw(name.c_str(), 64);
    ck_assert(mine.name_lost() && !taken.name_lost());
    ck_assert_int_eq(code_of([&] { mine.check_name(); }), NDS_ESTALE);
    nds::unlink(name.c_str());
    nds::array nameless = nds::array::zeros<float>({4});
    ck_assert_int_eq(code_of([&] { (void)nameless.block().name_lost(); }),
                     NDS_EINVAL);
}
END_TEST

START_TEST(scopes)
{
    std::string array_name = fresh("scoped");
    std::string block_name, list_name;

    {
        nds::scope s;
        nds::block b = nds::block::create_raw(s, 100);
        auto l = nds::shareable_list::create(s, nds::value::list(1, 2));

        nds::array::create<float>(array_name.c_str(), {3});
        s.add(array_name.c_str());
        ck_assert_int_eq(s.size(), 3);
        block_name = b.name();
        list_name = l.name();
        ck_assert(nds::block::attach_raw(block_name.c_str()).size() == 100);
    }
    for (const std::string &gone : {block_name, list_name, array_name}) {
        ck_assert_int_eq(code_of([&] { nds::name_info(gone.c_str()); }),
                         NDS_ENOENT);
    }
}
END_TEST

START_TEST(who_is_there)
{
    std::string name = fresh("there");
    nds::array a = nds::array::create<int16_t>(name.c_str(), {2, 3});
    nds_name_info info = nds::name_info(name.c_str());
    std::vector<nds_name_info> all = nds::names();

    same(info.kind, "array");
    same(info.dtype, "<i2");
    ck_assert(info.ndim == 2 && info.shape[1] == 3);
    ck_assert_int_eq(std::count_if(all.begin(), all.end(),
                                   [&](const nds_name_info &n) {
                                       return name == n.name;
                                   }),
                     1);
    ck_assert(nds::sweep(true) >= 0);
    ck_assert(!a.block().name_lost());
    nds::unlink(name.c_str());
    ck_assert(a.block().name_lost());
}
END_TEST

START_TEST(shareable_lists)
{
    std::string name = fresh("list");
    auto mine = nds::shareable_list::create(
        name.c_str(), nds::value::list(1, 2.5, nds::value::none(), "text",
                                       true, nds::value::bytes("raw")));
    auto theirs = nds::shareable_list::attach(name.c_str());
    int64_t at = 0;

    ck_assert_int_eq(theirs.size(), 6);
    mine.set(0, 7);
    mine.set(-1, nds::value::bytes("more"));
    ck_assert_int_eq(theirs.at(0).as_int(), 7);
    ck_assert(theirs.at(2).is_none() && theirs.at(4).as_bool());
    for (const nds::value &item : theirs) {
        ck_assert(item == mine.at(at++));
    }
    ck_assert_int_eq(at, 6);
    same(theirs.values().repr(), "[7, 2.5, None, 'text', True, b'more']");
    ck_assert_int_eq(theirs.index("text"), 3);
    same(theirs.repr(), ("ShareableList([7, 2.5, None, 'text', True, "
                         "b'more'], name='" +
                         name + "')")
                            .c_str());
    ck_assert_int_eq(code_of([&] { theirs.index(8); }), NDS_EKEY);
    ck_assert_int_eq(code_of([&] { theirs.at(6); }), NDS_EINDEX);
    ck_assert_int_eq(code_of([&] { mine.set(3, std::string(80, 'x')); }),
                     NDS_EBUFFER);
    ck_assert_int_eq(code_of([&] {
                         nds::shareable_list::attach(name.c_str(), NDS_READ)
                             .set(0, 1);
                     }),
                     NDS_EREADONLY);
    ck_assert_int_eq(code_of([&] {
                         nds::shareable_list::create(
                             nullptr, nds::value::parse("[[1]]"));
                     }),
                     NDS_EDTYPE);
    ck_assert(!theirs.block().name_lost());
    nds::unlink(name.c_str());
    ck_assert(theirs.block().name_lost());
}
END_TEST

/* Runs of items, and a queue as a range for the algorithms. */
START_TEST(runs)
{
    nds::queue q;
    std::vector<nds::array> arrays;

    for (int i = 0; i < 5; i++) {
        arrays.push_back(nds::array::full(nds::dtype::of<int>(), {2}, i));
    }
    ck_assert_int_eq(q.put_many(arrays), 5);
    ck_assert_uint_eq(q.info().items, 5);
    std::vector<nds::item> first = q.pop_many(2);
    ck_assert(first.size() == 2 && double(first[1].value.sum()) == 2);
    q.shutdown();
    double sum = 0;
#if defined(__cpp_lib_ranges)
    // Not a view: clang 14 cannot make one from what libstdc++ 12 has.
    std::ranges::for_each(
        q, [&](nds::item &i) { sum += double(i.value.sum()); });
#else
    for (nds::item &i : q) {
        sum += double(i.value.sum());
    }
#endif
    ck_assert(sum == 4 + 6 + 8);
    ck_assert_int_eq(code_of([&] { q.pop_many(2); }), NDS_EEOF);
    ck_assert_int_eq(code_of([&] { q.put_many(arrays); }), NDS_ECLOSED);
    q.trim();
}
END_TEST

START_TEST(parked_items)
{
    nds_queue_options opts = nds::options<nds_queue_options>();

    opts.max_deliveries = 1;
    nds::queue q(opts);
    q.put(nds::array::ones<double>({3}), "kept");
    {
        auto unreleased = q.take();
    }
    ck_assert_int_eq(code_of([&] { q.pop(0s); }), NDS_EAGAIN);
    std::vector<nds_parked> list = q.parked();
    ck_assert(list.size() == 1 && list[0].deliveries == 1);
    {
        auto item = q.take_parked();

        ck_assert(item.tag.bytes() == "kept" && item.size() == 3);
    }
    ck_assert_uint_eq(q.requeue_parked(), 1);
    q.pop(1s);
    ck_assert_uint_eq(q.discard_parked(), 0);
}
END_TEST

TCase *
names_case()
{
    TCase *t = tcase_create("names");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, blocks);
    tcase_add_test(t, names_are_losable);
    tcase_add_test(t, scopes);
    tcase_add_test(t, who_is_there);
    tcase_add_test(t, shareable_lists);
    tcase_add_test(t, runs);
    tcase_add_test(t, parked_items);
    return t;
}
