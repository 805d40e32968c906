/* SPDX-License-Identifier: MIT */
/*
 * Way 3: a queue. One producer, four consumers, arrays of any shape; closing
 * it ends every consumer's loop once it is drained.
 *
 *     c++ -std=c++17 03_queue.cpp $(pkg-config --cflags --libs ndshare)
 */
#include <iostream>
#include <ndshare/ndshare.hpp>
#include <sstream>

static int
task(nds::arguments &args)
{
    auto q = args.handle<nds::queue>(0);

    for (nds::item &i : *q) {
        std::ostringstream line; // written at once: others write too

        line << "Task read an array (" << i.value.extent(0) << ", "
             << i.value.extent(1) << "), max=" << i.value.max() << "\n";
        std::cout << line.str();
    }
    std::cout << "Task done.\n";
    return 0;
}
NDS_CPP_TASK(task);

int
main(int argc, char **argv)
{
    nds_init(argc, argv);
    int64_t least = argc > 1 ? std::atoll(argv[1]) : 500, more = 3 * least + 1;
    nds::queue q;
    std::vector<nds::process> children;

    for (int i = 0; i < 4; i++) {
        children.emplace_back("task", q);
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        int64_t rows = least + std::rand() % more;
        auto loan = q.loan<double>({rows, least + std::rand() % more});

        loan.random(seed);
        loan.publish();
    }
    q.shutdown();
    for (nds::process &child : children) {
        child.join();
    }
    std::cout << "Done.\n";
}

/* Prints 20 lines "Task read an array ...", 4 lines "Task done." and "Done." */
