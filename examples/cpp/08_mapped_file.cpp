/* SPDX-License-Identifier: MIT */
/*
 * Way 8: a file of raw elements, mapped by both sides, as numpy.memmap.
 *
 *     c++ -std=c++17 08_mapped_file.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <cstdio>
#include <iostream>
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    nds::array a = nds::array::map_file(args.text(0).c_str(), NDS_READWRITE,
                                        "f4", {1000});

    std::cout << "Child: " << a["[:10]"] << "\n";
    a += 1;
    a.flush();
    std::cout << "Child: " << a["[:10]"] << "\n";
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    nds::array a =
        nds::array::map_file("data.np", NDS_CREATE, "f4", {1000});

    a.fill(1).flush();
    std::cout << a["[:10]"] << "\n";
    nds::process child("task", "data.np");
    int code = child.join();
    std::cout << a["[:10]"] << "\n";
    std::remove("data.np");
    return code;
}

/* Prints what way 6 prints without a length, and "Child: " for "Child ". */
