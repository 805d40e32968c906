/* SPDX-License-Identifier: MIT */
/*
 * ndshare.hpp - the same library for C++17 and later
 *
 *     nds::array a = nds::array::create<float>("frames", {480, 640});
 *     a.fill(1.0);
 *     for (float &x : a.as<float>()) { x *= 2; }
 *     std::cout << a << a.sum() << "\n";
 *
 * Owners that move and do not copy, exceptions with code and text, spans, and
 * loops; no logic of its own: every call here is one call of the C interface,
 * whose headers say what holds across threads, processes, fork and crash.
 * `.get()` lends the C handle for whatever is not here.
 *
 * What goes wrong: a call that fails throws nds::error (code(), what());
 * a wait that ends without result throws nds::timed_out. A span or a view
 * lends an array's memory: the array must outlive it. An exception must not
 * leave a task (NDS_CPP_TASK sees to that).
 */
#ifndef NDSHARE_NDSHARE_HPP
#define NDSHARE_NDSHARE_HPP

#include <ndshare/cpp/array.hpp>
#include <ndshare/cpp/base.hpp>
#include <ndshare/cpp/block.hpp>
#include <ndshare/cpp/chan.hpp>
#include <ndshare/cpp/conn.hpp>
#include <ndshare/cpp/manager.hpp>
#include <ndshare/cpp/proc.hpp>
#include <ndshare/cpp/shareable_list.hpp>
#include <ndshare/cpp/sync.hpp>
#include <ndshare/cpp/value.hpp>
#include <ndshare/cpp/view.hpp>

#endif
