/* SPDX-License-Identifier: MIT */
/*
 * Values, views, reductions, and being a manager's server, from C++.
 */
#include "cpp_check.hpp"

#include <thread>

START_TEST(values)
{
    nds::array a = nds::array::ones<float>({2});
    nds::value v = nds::value::list(7, 2.5, "text", true,
                                    std::complex<double>(1, 2), a,
                                    nds::dtype("<i4"));

    v.append(nds::value::tuple(uint64_t{1} << 63, nds::value::none()));
    ck_assert_int_eq(v.size(), 8);
    same(v.at(7).repr(), "(9223372036854775808, None)");
    ck_assert(v.at(4).as_complex() == std::complex<double>(1, 2));
    ck_assert(v.at(6).as_dtype() == nds::dtype("<i4"));
    ck_assert(v.at(5).as_array().data() == a.data());
    ck_assert(v.at(0) == 7.0 && v.at(0) != 8 && v.contains("text"));
    ck_assert_int_eq(code_of([&] { v.at(8); }), NDS_EINDEX);
    ck_assert_int_eq(code_of([&] { v.at(2).as_int(); }), NDS_EINVAL);

    nds::value d = nds::value::dict();
    d.set("size", nds::value::tuple(640, 480));
    d.set("axis", 0);
    same(d.repr(), "{'size': (640, 480), 'axis': 0}");
    ck_assert_int_eq(d.at("size").at(1).as_int(), 480);
    ck_assert_int_eq(code_of([&] { d.at("none"); }), NDS_EKEY);
    ck_assert_int_eq(code_of([] { nds::value(2.5).append(1); }), NDS_EINVAL);
    ck_assert(nds::value::loads(d.dumps()) == d);
    ck_assert_int_eq(code_of([] { nds::value::loads("no pickle"); }),
                     NDS_EFORMAT);
    d.set(nds::value::tuple(1, 2), 2.5);
    ck_assert(d.at(nds::value::tuple(1, 2)) == 2.5);
    d.remove(4);
    same(d.repr(), "{'size': (640, 480), 'axis': 0}");
    nds::value few = nds::value::list(1, 3);
    few.insert(1, 2);
    few.replace(0, "one");
    same(few.repr(), "['one', 2, 3]");
    ck_assert_int_eq(code_of([&] { few.insert(9, 1); }), NDS_EINDEX);
    ck_assert_int_eq(code_of([&] { few.remove(3); }), NDS_EINDEX);
    nds::value copy = d.copy();
    copy.set("axis", 1);
    ck_assert(d.at("axis") == 0);
}
END_TEST

START_TEST(parts_of_arrays)
{
    std::vector<double> mine{1, 2, 3, 4, 5, 6};
    const std::vector<float> constant{1, 2};
    nds::array a = nds::array::over_memory(mine, {2, 3});

    a["[1]"].fill(9);
    ck_assert(mine[3] == 9 && mine[2] == 3);
    ck_assert(a.strides()[0] == 24 && !a.is_readonly());
    ck_assert(nds::array::over_memory(constant, {2}).is_readonly());
    ck_assert_int_eq(code_of([&] { nds::array::over_memory(mine, {7}); }),
                     NDS_EBUFFER);
    same(a.reduce_axes(NDS_SUM, {0}).str(), "[10. 11. 12.]");
    same(a.reduce_axes(NDS_MEAN, {-1}, true).str(), "[[2.]\n [9.]]");
    same(a.argmax().str(), "3");
    ck_assert(bool(double(a.all())) && double(a.var(1)) > double(a.var()));
    ck_assert_int_eq(code_of([&] { a.reduce_axes(NDS_SUM, {2}); }), NDS_EINDEX);

    nds::array row = nds::array::ones<int32_t>({3});
    same(row.broadcast_to({2, 3}).str(), "[[1 1 1]\n [1 1 1]]");
    ck_assert_int_eq(row.cast_bytes("u1").size(), 12);
    ck_assert_int_eq(code_of([&] { row.broadcast_to({2, 4}); }), NDS_ESHAPE);
    nds::array points =
        nds::array::zeros("[('x', '<f4'), ('id', '>i4')]", {4});
    points.field("id").fill(3);
    same(points["[2]"].str(), "(0.0, 3)");
    ck_assert_int_eq(code_of([&] { points.field("y"); }), NDS_EKEY);

    auto fields = points.type().fields();
    ck_assert(fields.size() == 2 && fields[1].name == "id");
    ck_assert(fields[1].off == 4 && !fields[1].type.is_native());
    ck_assert(fields[1].type.with_order('=') == nds::dtype::of<int32_t>());
}
END_TEST

START_TEST(poisoned)
{
    nds::mutex m;

    ck_assert(!m.is_locked());
    auto held = m.lock();
    ck_assert(m.is_locked());
    m.poison();
    ck_assert_int_eq(code_of([&] { m.lock(0s); }), NDS_EPOISONED);
    nds::array a = nds::array::zeros<float>({2}, nds::array::shareable());
    {
        auto other = a.lock();

        a.poison();
    }
    ck_assert_int_eq(code_of([&] { a.lock(0s); }), NDS_EPOISONED);
    std::string name = fresh("permits");
    auto permits = nds::semaphore::create_owned(name.c_str(), 2);
    nds::unlink(name.c_str());
    ck_assert(permits.acquire(0s) && permits.value() == 1);
}
END_TEST

static int
measures(nds::arguments &args)
{
    auto memory = args.handle<nds::block>(1);

    return static_cast<int>(args.bytes(0).size() + memory->size());
}
NDS_CPP_TASK(measures);

START_TEST(bytes_and_blocks_cross)
{
    std::string name = fresh("crosses");
    nds::block b = nds::block::create_raw(name.c_str(), 64);

    nds::unlink(name.c_str());
    nds::process p("measures", b.bytes(), b);
    ck_assert_int_eq(p.join(30s), 128);
}
END_TEST

START_TEST(being_the_server)
{
    nds::server s(nullptr, "key");
    std::thread serving([&] { s.run(); });
    {
        nds::manager m =
            nds::manager::connect(s.address().c_str(), "key");
        nds::proxy list = m.create(
            "list", nds::value::tuple(nds::value::list(3, 1, 2)));
        nds::proxy d = m.create("dict");

        same(m.authkey(), "key");
        same(list.type(), "list");
        list.call("append", nds::value::tuple(9));
        list.call("sort");
        same(list.str(), "[1, 2, 3, 9]");
        d.call("update", nds::value::tuple(), nds::value::parse("{'a': 1}"));
        list.call("append", nds::value::tuple(d.as_value()));
        nds::proxy again = m.adopt(list.call("__getitem__", "(4,)"));
        same(again.str(), "{'a': 1}");
        ck_assert_int_eq(m.ask("number_of_objects").as_int(), 2);
        nds::proxy copy = list.handle();
        list = nds::proxy();
        same(copy.call("pop", "(0,)").repr(), "1");
        ck_assert_int_eq(code_of([&] { m.ask("no_such"); }), NDS_EREMOTE);
    }
    s.stop();
    serving.join();
}
END_TEST

START_TEST(waiting_for_connections)
{
    nds::listener door("", "key");
    std::thread peer([&] {
        nds::conn one = nds::conn::connect(door.address(), "key");
        nds::conn two = nds::conn::connect(door.address(), "key");
        nds::array a = nds::array::ones<double>({4});

        two.send_elements(a);
        ck_assert_int_eq(one.recv().as_int(), 1);
    });
    nds::conn one = door.accept(20s), two = door.accept(20s);
    nds::array into = nds::array::zeros<double>({4});

    ck_assert(nds::wait({&one}, 0s).empty());
    ck_assert(nds::wait({&one, &two}, 20s) == std::vector<std::size_t>{1});
    two.recv_elements(into);
    ck_assert(double(into.sum()) == 4);
    ck_assert_int_eq(one.peer_pid(), getpid());
    one.send(1);
    peer.join();
    ck_assert(!two.next());
}
END_TEST

TCase *
values_case()
{
    TCase *t = tcase_create("values");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, values);
    tcase_add_test(t, parts_of_arrays);
    tcase_add_test(t, poisoned);
    tcase_add_test(t, bytes_and_blocks_cross);
    tcase_add_test(t, being_the_server);
    tcase_add_test(t, waiting_for_connections);
    return t;
}
