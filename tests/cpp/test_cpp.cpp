/* SPDX-License-Identifier: MIT */
/*
 * The C++ header does what it says: owners, exceptions, spans, loops. What the
 * calls themselves do is tested in C.
 */
#include "cpp_check.hpp"

#include <sched.h>
#include <sstream>
#include <thread>


static int
doubles(nds::arguments &args)
{
    nds::array a = args.array(0);
    auto q = args.handle<nds::queue>(1);

    a *= args.real(2);
    q->put(a["[:2]"], args.text(3));
    return static_cast<int>(args.integer(4));
}
NDS_CPP_TASK(doubles);

static int
throws(nds::arguments &args)
{
    args.array(0); // there is none
    return 0;
}
NDS_CPP_TASK(throws);

START_TEST(elements_and_text)
{
    nds::array a = nds::array::zeros<double>({2, 3});
    std::ostringstream out;

    a.arange();
    a += 1;
    a *= a;
    ck_assert_int_eq(a.as<double>().size(), 6);
    ck_assert(a.as<double>()[5] == 36);
    ck_assert(static_cast<double>(a.sum()) == 91);
    same(a.max().str(), "36.0");
    auto column = a.transpose();
    auto v = column.view<const double, 2>();
    ck_assert(v(2, 1) == 36 && v.extent(0) == 3);
    ck_assert_int_eq(code_of([&] { v.at(3, 0); }), NDS_EINDEX);
    ck_assert_int_eq(code_of([&] { column.as<double>(); }), NDS_ESHAPE);
    ck_assert_int_eq(code_of([&] { a.as<float>(); }), NDS_EDTYPE);
    ck_assert_int_eq(code_of([&] { (a.view<double, 3>()); }), NDS_ESHAPE);
    out << a["[1]"];
    same(out.str(), "[16. 25. 36.]");
    ck_assert_int_eq(code_of([&] { a.readonly().as<double>(); }),
                     NDS_EREADONLY);
    ck_assert(a.readonly().as<const double>()[0] == 1);
    ck_assert(a.type() == nds::dtype::of<double>());
    same(a.type().str(), "<f8");
#if defined(__cpp_lib_mdspan)
    auto md = a.view<double, 2>().mdspan();
    ck_assert((md[1, 2]) == 36);
#endif
}
END_TEST

START_TEST(records)
{
    struct point {
        float x;
        int32_t id;
    };
    nds::array a = nds::array::zeros("[('x', '<f4'), ('id', '<i4')]", {4});

    a.as<point>()[3] = {1.5F, 7};
    same(a["[3]"].str(), "(1.5, 7)");
}
END_TEST

START_TEST(owners)
{
    nds::array a = nds::array::ones<int32_t>({4}), b;

    ck_assert(a && !b);
    b = std::move(a);
    ck_assert(!a && b.size() == 4); // NOLINT: empty is what a move leaves
    a = b.handle();
    b = nds::array();
    ck_assert(a.as<int32_t>()[3] == 1);
}
END_TEST

START_TEST(names_and_locks)
{
    std::string name = fresh("array");
    nds::array a = nds::array::create<float>(name.c_str(), {3});
    nds::array b = nds::array::attach(name.c_str(), NDS_READ);
    nds::array c = nds::array::from_token(b.token());
    ck_assert_str_eq(c.name(), name.c_str());
    uint64_t before = a.generation();

    {
        auto writing = a.writing();

        a.fill(7);
    }
    ck_assert(static_cast<double>(b.snapshot().sum()) == 21);
    ck_assert(b.wait_changed(before, std::chrono::seconds(0)));
    before = a.generation();

    ck_assert_int_eq(code_of([&] {
                         nds::array::create<float>(name.c_str(), {3});
                     }),
                     NDS_EEXIST);
    {
        auto held = a.lock(1s);

        ck_assert(!held.owner_died());
        a.fill(2.5);
    }
    ck_assert(b.wait_changed(before, 1s));
    ck_assert(!b.wait_changed(b.generation(), 0s));
    ck_assert(b.as<const float>()[2] == 2.5F);
    ck_assert_int_eq(code_of([&] { b.fill(1); }), NDS_EREADONLY);
    nds::array::unlink(name.c_str());
    ck_assert_int_eq(code_of([&] { nds::array::from_token("no token"); }),
                     NDS_EFORMAT);
    ck_assert_int_eq(code_of([&] { nds::array::attach(name.c_str()); }),
                     NDS_ENOENT);
    ck_assert(b.as<const float>()[0] == 2.5F);
}
END_TEST

START_TEST(queues)
{
    nds::queue q;
    nds::array a = nds::array::ones<double>({2, 2});
    double sum = 0;
    int nones = 0;

    q.put(a, "first");
    q.put(a.copy());
    q.put_none();
    {
        auto loan = q.loan<double>({3});

        loan.fill(5);
        loan.publish("last");
    }
    {
        auto dropped = q.loan<double>({1000});
    }
    ck_assert_int_eq(q.size(), 4);
    {
        auto item = q.take();

        ck_assert(item.tag.bytes() == "first" && item.deliveries() == 0);
    }
    auto again = q.take();
    ck_assert_uint_eq(again.deliveries(), 1);
    again.release();
    q.shutdown();
    for (nds::item &i : q) {
        if (i.value) {
            sum += static_cast<double>(i.value.sum());
        } else {
            nones++;
        }
    }
    ck_assert(sum == 4 + 15 && nones == 1);
    ck_assert_int_eq(code_of([&] { q.pop(); }), NDS_EEOF);
    ck_assert_int_eq(code_of([&] { q.put(a); }), NDS_ECLOSED);
    ck_assert(!q.next());
    ck_assert_int_eq(code_of([] { nds::tag t(std::string(61, 'x')); }),
                     NDS_ELIMIT);
}
END_TEST

START_TEST(timeouts)
{
    nds::queue q;
    nds::event e;

    try {
        q.pop(1ms);
        ck_abort_msg("something came");
    } catch (const nds::timed_out &t) {
        ck_assert_int_eq(t.code(), NDS_ETIMEDOUT);
    }
    ck_assert(!e.wait(1ms));
    e.set();
    ck_assert(e.is_set() && e.wait());
}
END_TEST

START_TEST(pipes)
{
    auto ends = nds::pipe::make(); // clang lets no lambda use [a, b] of it
    nds::pipe &receiver = ends.first, &sender = ends.second;
    nds::array a = nds::array::ones<int8_t>({5});

    ck_assert(!receiver.poll());
    sender.send(a);
    ck_assert(receiver.poll(1s));
    sender.send(std::move(a), "moved");
    ck_assert(!a); // NOLINT
    ck_assert(receiver.recv().value.size() == 5);
    ck_assert(receiver.recv(1s).tag.bytes() == "moved");
    sender = nds::pipe();
    ck_assert_int_eq(code_of([&] { receiver.recv(); }), NDS_EEOF);
}
END_TEST

START_TEST(locks)
{
    nds::mutex m, r(NDS_MUTEX_RECURSIVE);
    nds::rwlock l;
    nds::condition c;
    nds::semaphore s(1, 1);
    nds::barrier b(1);
    nds::seqlock q;
    int shared = 0, seen = 0;

    {
        auto held = m.lock();

        ck_assert_int_eq(code_of([&] { m.lock(0s); }), NDS_EDEADLK);
        held.unlock();
        auto again = m.lock(0s);
    }
    {
        auto one = r.lock(), two = r.lock();
    }
    {
        auto reader = l.read(), other = l.read();
    }
    {
        auto writer = l.write();
    }
    {
        auto held = c.lock();

        c.notify_all();
        ck_assert(!c.wait(1ms));
    }
    ck_assert(s.acquire() && !s.acquire(0s));
    s.release();
    ck_assert_int_eq(code_of([&] { s.release(); }), NDS_ELIMIT);
    ck_assert_uint_eq(b.wait(), 0);
    {
        auto writing = q.write();

        shared = 4;
    }
    q.read([&] { seen = shared; });
    ck_assert_int_eq(seen, 4);
}
END_TEST

START_TEST(processes)
{
    nds::array a = nds::array::zeros<double>({4}, nds::array::shareable());
    nds::queue q;

    a.arange();
    nds::process p("doubles", nds::shared(a), q, 2.0, "half of it", 7);
    ck_assert_int_eq(p.join(30s), 7);
    ck_assert(a.as<double>()[3] == 6);
    nds::item got = q.pop(1s);
    ck_assert(got.value.size() == 2 && got.tag.bytes() == "half of it");

    nds::process bad("throws");
    ck_assert_int_eq(bad.join(30s), 1);
    ck_assert_int_eq(code_of([] { nds::process none("nobody"); }),
                     NDS_EKEY);
}
END_TEST

START_TEST(managers)
{
    nds::manager m = nds::manager::start();
    nds::proxy p = m.create("ones", "((3, 4),)");
    nds::array mapped = p.map();

    mapped.fill(2);
    ck_assert(p.call("sum").as_float() == 24);
    ck_assert(p.reduce("max") == 2);
    same(p.call("tolist").repr().substr(0, 6), "[[2.0,");
    ck_assert(p.fetch("[0]").size() == 4);
    ck_assert_int_eq(code_of([&] { p.call("no_such_method"); }), NDS_EREMOTE);
    ck_assert_int_eq(code_of([&] { p.call("sum").as_text(); }), NDS_EINVAL);
}
END_TEST

START_TEST(connections)
{
    nds::listener door("", "key");
    std::thread peer([&] {
        nds::conn c = nds::conn::connect(door.address(), "key");
        nds::array a = nds::array::zeros<float>({300, 200});

        a.fill(3);
        c.send(a);
        c.send(a);
        c.send_bytes("a\0b", 3);
        c.send(nds::value::parse("{'x': 1}"));
    });
    nds::conn c = door.accept(std::chrono::seconds(20));
    nds::array into = nds::array::zeros<float>({300, 200});
    int n = 0;

    ck_assert(double(c.recv_array().sum()) == 180000);
    c.recv_into(into);
    ck_assert(double(into.sum()) == 180000);
    ck_assert(c.recv_bytes() == std::string("a\0b", 3));
    for (nds::value &v : c) {
        same(v.repr(), "{'x': 1}");
        n++;
    }
    ck_assert_int_eq(n, 1);
    ck_assert(c.poll());
    peer.join();
    ck_assert_int_eq(code_of([&] { door.accept(nds::at_once); }), NDS_EAGAIN);
}
END_TEST

/* Here and not among the C tests, for their build has no such limit. */
START_TEST(threads)
{
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    int most = CPU_COUNT(&set) < 16 ? CPU_COUNT(&set) : 16;
    ck_assert_int_eq(nds_set_threads(1), 0);
    ck_assert_int_eq(nds_threads(), 1);
    ck_assert_int_eq(nds_set_threads(1000), 0);
    ck_assert_int_eq(nds_threads(), most);
    ck_assert_int_eq(nds_set_threads(0), 0);
    setenv("NDSHARE_THREADS", "1000", 1);
    ck_assert_int_eq(nds_threads(), most);
}
END_TEST

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    Suite *s = suite_create("cpp");
    TCase *t = tcase_create("header");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, elements_and_text);
    tcase_add_test(t, records);
    tcase_add_test(t, owners);
    tcase_add_test(t, names_and_locks);
    tcase_add_test(t, queues);
    tcase_add_test(t, timeouts);
    tcase_add_test(t, pipes);
    tcase_add_test(t, locks);
    tcase_add_test(t, processes);
    tcase_add_test(t, managers);
    tcase_add_test(t, connections);
    tcase_add_test(t, threads);
    suite_add_tcase(s, t);
    suite_add_tcase(s, names_case());
    suite_add_tcase(s, values_case());
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
