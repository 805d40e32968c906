/* SPDX-License-Identifier: MIT */
/*
 * The header on its own, with the warnings that the library is built with:
 * every template is made once.
 */
#include <ndshare/ndshare.hpp>

static int
task(nds::arguments &args)
{
    auto q = args.handle<nds::queue>(0);

    q->put(args.array(1));
    return args.typed(2)->size() == args.integer(3) ? 0 : 1;
}
NDS_CPP_TASK(task);

double use_all(nds::array &a, nds::pipe &p);

double
use_all(nds::array &a, nds::pipe &p)
{
    nds::queue q;
    nds::typed_array t('d', 4);
    nds::process child("task", q, nds::shared(a), t, 4);
    double sum = 0;

    for (const std::complex<double> &z : a.as<const std::complex<double>>()) {
        sum += z.real();
    }
    for (nds::item &i : q) {
        sum += i.value.view<float, 2>()(0, 0);
    }
    for (nds::item &i : p) {
        sum += static_cast<double>(i.value.max());
    }
    p.loan<int16_t>({2, 3}).publish("tag");
    q.take().release();
    return sum + child.join();
}
