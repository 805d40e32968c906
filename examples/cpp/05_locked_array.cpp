/* SPDX-License-Identifier: MIT */
/*
 * Way 5: a typed array, as multiprocessing.Array (here without its lock).
 *
 *     c++ -std=c++17 05_locked_array.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

static void
show(const nds::typed_array &t)
{
    std::cout << t.str(0, 10) << " " << t.size() << "\n";
}

static int
task(nds::arguments &args)
{
    auto t = args.typed(0);

    show(*t);
    t->elements().fill(0);
    show(*t);
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    nds::array data = nds::array::ones<double>({10000});

    std::cout << data["[:10]"] << " (10000,)\n";
    nds::typed_array t('d', data, false);
    show(t);
    nds::process child("task", t);
    int code = child.join();
    show(t);
    return code;
}

/* Prints
 * [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] (10000,)
 * [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0] 10000   (twice)
 * [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] 10000   (twice) */
