/* SPDX-License-Identifier: MIT */
/* The same stranger in C++: he knows <ndshare/ndshare.hpp>. */
#include <ndshare/ndshare.hpp>

#include <iostream>

int
main()
{
    nds::array a = nds::array::zeros<double>({3, 4});

    std::cout << nds_version() << " " << a.fill(2).sum() << "\n";
}
