/* SPDX-License-Identifier: MIT */
/*
 * cpp_check.hpp - what the tests of the C++ header share
 */
#ifndef NDSHARE_TESTS_CPP_CHECK_HPP
#define NDSHARE_TESTS_CPP_CHECK_HPP

#include <ndshare/ndshare.hpp>

#include <check.h>
#include <string>
#include <unistd.h>

using namespace std::chrono_literals;

/* test_cpp.cpp has main, and runs these too. */
TCase *names_case();
TCase *values_case();

inline std::string
fresh(const char *what)
{
    return "nds-cpp-" + std::to_string(getpid()) + "-" + what;
}

/* The code of what fn throws, 0 if nothing. */
template <class Fn>
int
code_of(Fn fn)
{
    try {
        fn();
    } catch (const nds::error &e) {
        ck_assert_str_ne(e.what(), "");
        return e.code();
    }
    return 0;
}

/* Check's macros keep a pointer, which a temporary would take away. */
inline void
same(const std::string &got, const char *want)
{
    ck_assert_str_eq(got.c_str(), want);
}

#endif
