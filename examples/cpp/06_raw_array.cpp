/* SPDX-License-Identifier: MIT */
/*
 * Way 6: shared memory without a name, passed to the child as it is.
 *
 *     c++ -std=c++17 06_raw_array.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    nds::array a = args.array(0);

    std::cout << "Child " << a["[:10]"] << "\n";
    a += 1;
    std::cout << "Child " << a["[:10]"] << "\n";
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    int64_t n = argc > 1 ? std::atoll(argv[1]) : 10000000;
    nds::array a = nds::array::ones<double>({n}, nds::array::shareable());

    std::cout << a["[:10]"] << " " << n << "\n";
    nds::process child("task", nds::shared(a));
    int code = child.join();
    std::cout << a["[:10]"] << "\n";
    return code;
}

/* Prints
 * [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] 10000000
 * Child [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.]
 * Child [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.]
 * [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.] */
