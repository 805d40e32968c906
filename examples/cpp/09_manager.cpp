/* SPDX-License-Identifier: MIT */
/*
 * Way 9: a manager: a server process hosts the array, others call its methods.
 *
 *     c++ -std=c++17 09_manager.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    auto array = args.handle<nds::proxy>(0);

    std::cout << "Array sum (in child): " << array->call("sum").repr()
              << "\n";
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds::check(nds_factory_alias("shared_array", "ones"));
    nds_init(argc, argv); // a spawned server finds the factory registered
    std::string shape = argc > 1 ? argv[1] : "100000000";
    nds::manager manager = nds::manager::start();
    nds::proxy array =
        manager.create("shared_array", ("(" + shape + ",)").c_str());

    std::cout << "Array created on host: " << array.repr() << "\n";
    std::cout << "Array sum: " << array.call("sum").repr() << "\n";
    nds::process child("task", array);
    return child.join();
}

/* Prints
 *
 *     Array created on host: array([1., ..., 1.], shape=(100000000,))
 *     Array sum: 100000000.0
 *     Array sum (in child): 100000000.0
 *
 * with three ones at either end. */
