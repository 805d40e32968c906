/* SPDX-License-Identifier: MIT */
/*
 * Way 7: a block by name, as Python's SharedMemory makes and attaches it.
 *
 *     c++ -std=c++17 07_shared_memory.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    nds::block b = nds::block::attach_raw(args.text(0).c_str());
    nds::array a = nds::array::over(b, "f8", {10000});

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
    nds::block b = nds::block::create_raw("MyMemory", 80000);
    nds::array a = nds::array::over(b, "f8", {10000});

    std::cout << a.fill(1)["[:10]"] << " 10000\n";
    nds::process child("task", "MyMemory");
    int code = child.join();
    std::cout << a["[:10]"] << "\n";
    nds::unlink("MyMemory");
    return code;
}

/* Prints what way 6 prints, with 10000 for the length. */
