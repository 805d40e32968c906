/* SPDX-License-Identifier: MIT */
/*
 * Way 2: inheritance. A forked child has its parent's globals, copy-on-write.
 *
 *     c++ -std=c++17 02_inherit.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static nds::array data;

static int
task(nds::arguments &args)
{
    std::cout << data["[:5,:5]"] << "\n";
    data.fill(args.real(0));
    std::cout << data["[:5,:5]"] << "\n";
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    int64_t n = argc > 1 ? std::atoll(argv[1]) : 10000;
    double fill = argc > 2 ? std::atof(argv[2]) : 0;
    auto opts = nds::options<nds_proc_options>();

    opts.start = NDS_FORK;
    data = nds::array::ones<double>({n, n});
    nds::process child(opts, "task", fill);
    int code = child.join();
    std::cout << data["[:5,:5]"] << "\n";
    return code;
}

/* Prints a corner of ones, a corner of zeros, and a corner of ones. */
