// SPDX-License-Identifier: MIT
/*
 * A stream, third stage: what Python makes of the camera's frames, in C++.
 * A frame of this camera has one brightness all over, so a profile that was
 * made of half of one, or read while it was written, would show.
 *
 *     c++ -std=c++17 viewer.cpp -o viewer $(pkg-config --cflags --libs ndshare)
 *     ./camera & python3 filter.py & ./viewer
 */
#include <iostream>
#include <ndshare/ndshare.hpp>

int
main()
try {
    using namespace std::chrono_literals;
    auto profile = nds::array::attach("profile", NDS_READ, 20s);
    uint64_t seen = 0;
    double brightness = 0;
    int shown = 0, torn = 0;

    while (brightness < 65535) {
        if (!profile.wait_changed(seen, 10s)) {
            std::cerr << "viewer: no frame for 10 s\n";
            return 1;
        }
        seen = profile.generation();

        nds::array now = profile.snapshot();
        auto p = now.view<const double, 2>();

        brightness = p(0, 0);
        for (int64_t x = 0; x < p.extent(1); x++) {
            if (p(0, x) != brightness || p(1, x) != 0) {
                torn++;
                break;
            }
        }
        shown++;
    }
    std::cout << (shown > 0 ? "saw the last frame" : "saw nothing") << ", "
              << torn << " torn\n";
    return torn != 0;
} catch (const nds::error &e) {
    std::cerr << "viewer: " << e.what() << "\n";
    return 1;
}
