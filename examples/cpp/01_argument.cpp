/* SPDX-License-Identifier: MIT */
/*
 * Way 1: an array as an argument. By value, so the parent keeps its own.
 *
 *     c++ -std=c++17 01_argument.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    nds::array a = args.array(0);

    std::cout << a["[:5,:5]"] << "\n";
    a.fill(args.real(1));
    std::cout << a["[:5,:5]"] << "\n";
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    int64_t n = argc > 1 ? std::atoll(argv[1]) : 10000;
    double fill = argc > 2 ? std::atof(argv[2]) : 0;

    nds::array a = nds::array::ones<double>({n, n});
    nds::process child("task", a, fill);
    int code = child.join();
    std::cout << a["[:5,:5]"] << "\n";
    return code;
}

/* Prints a corner of ones, a corner of zeros, and a corner of ones. */
