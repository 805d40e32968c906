/* SPDX-License-Identifier: MIT */
/*
 * Way 4: a pipe. The child makes the array and moves it: nothing is copied.
 *
 *     c++ -std=c++17 04_pipe.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    auto pipe = args.handle<nds::pipe>(0);
    int64_t n = args.integer(1);
    nds::array a = nds::array::ones<double>({n, n}, nds::array::shareable());

    std::cout << a["[:5,:5]"] << "\n";
    pipe->send(std::move(a));
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    auto [receiver, sender] = nds::pipe::make();
    nds::process child("task", sender,
                       argc > 1 ? std::atoll(argv[1]) : 10000);

    sender.reset(); // the child has its own
    std::cout << receiver.recv().value["[:5,:5]"] << "\n";
    return child.join();
}

/* Prints a corner of ones in the child and one in the parent. */
