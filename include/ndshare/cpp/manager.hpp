/* SPDX-License-Identifier: MIT */
/*
 * manager.hpp - a server process that hosts arrays, and proxies on them
 *
 *     nds::manager m = nds::manager::start();
 *     nds::proxy p = m.create("ones", "((1000, 1000),)");
 *     std::cout << p.call("sum").repr() << "\n";
 *     nds::array same = p.map(NDS_READ);            // no copy
 */
#ifndef NDSHARE_CPP_MANAGER_HPP
#define NDSHARE_CPP_MANAGER_HPP

#include <ndshare/cpp/array.hpp>

namespace nds
{

/* A tree of plain Python values. */
class value : public owner<nds_value, nds_value_free>
{
  public:
    using owner::owner;

    /* From a Python literal: "(3, 4)", "{'axis': 0}". */
    static value
    parse(const char *text)
    {
        return made<value>(nds_value_parse, text);
    }
    enum nds_value_kind
    kind() const noexcept
    {
        return ::nds_value_kind(get());
    }
    std::size_t
    size() const noexcept
    {
        return nds_value_count(get());
    }
    int64_t
    as_int() const
    {
        int64_t n = 0;

        need(nds_value_as_int(get(), &n), "an int");
        return n;
    }
    double
    as_float() const
    {
        double x = 0;

        need(nds_value_as_float(get(), &x), "a float");
        return x;
    }
    std::string
    as_text() const
    {
        std::size_t n = 0;
        const char *text = nds_value_text(get(), &n);

        need(text != nullptr, "a text");
        return std::string(text, n);
    }
    array
    as_array() const
    {
        nds_array *lent = nds_value_as_array(get());

        need(lent != nullptr, "an array");
        return array::share(lent);
    }
    std::string
    repr() const
    {
        return text_from(nds_value_repr, get());
    }

  private:
    void
    need(bool is, const char *what) const
    {
        if (!is) {
            detail::fail(NDS_EINVAL, repr() + " is not " + what);
        }
    }
};

class proxy : public owner<nds_proxy, nds_proxy_close>
{
  public:
    using owner::owner;

    /* args: a Python tuple literal such as "((3, 4),)"; NDS_EREMOTE with the
     * remote text if the method raised. */
    value
    call(const char *method, const char *args = "()",
         const char *kwds = "{}") const
    {
        value a = value::parse(args), k = value::parse(kwds), result;

        check(nds_proxy_call(get(), result.out(), method, a.get(), k.get()));
        return result;
    }
    double
    reduce(const char *method) const
    {
        double x = 0;

        check(nds_proxy_reduce(get(), method, &x));
        return x;
    }
    array
    fetch(const char *slice = nullptr) const
    {
        array a;

        check(nds_proxy_fetch(get(), a.out(), slice));
        return a;
    }
    void
    store(const char *slice, const array &from)
    {
        check(nds_proxy_store(get(), slice, from.get()));
    }
    /* The hosted array itself; same machine only. */
    array
    map(nds_mode mode = NDS_READWRITE) const
    {
        array a;

        check(nds_proxy_map(get(), a.out(), mode));
        return a;
    }
    std::string
    str() const
    {
        return text_from(nds_proxy_str, get());
    }
    std::string
    repr() const
    {
        return text_from(nds_proxy_repr, get());
    }
};

class manager : public owner<nds_manager, nds_manager_close>
{
  public:
    using owner::owner;

    static manager
    start(const nds_manager_options &opts = options<nds_manager_options>())
    {
        return made<manager>(nds_manager_start, &opts);
    }
    static manager
    connect(const char *address, const std::string &authkey)
    {
        nds_manager_options opts = options<nds_manager_options>();
        manager m;

        opts.address = address;
        opts.authkey = authkey.data();
        opts.authkey_nbytes = authkey.size();
        check(nds_manager_connect(m.out(), &opts));
        return m;
    }
    std::string
    address() const
    {
        return nds_manager_address(get());
    }
    proxy
    create(const char *type, const char *args = "()")
    {
        proxy p;

        check(nds_manager_create(get(), p.out(), type, args));
        return p;
    }
    void
    shutdown()
    {
        check(nds_manager_shutdown(get()));
    }
};

} // namespace nds

#endif
