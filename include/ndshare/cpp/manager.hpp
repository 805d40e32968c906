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

#include <ndshare/cpp/value.hpp>

namespace nds
{

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
        return call(method, value::parse(args), value::parse(kwds));
    }
    /* args a tuple, kwds a dict; empty ones are none. */
    value
    call(const char *method, const value &args,
         const value &kwds = value()) const
    {
        value result;

        check(nds_proxy_call(get(), result.out(), method, args.get(),
                             kwds.get()));
        return result;
    }
    /* For methods that answer with an object of their own. */
    proxy
    call_proxy(const char *method, const value &args = value(),
               const value &kwds = value()) const
    {
        proxy p;

        check(nds_proxy_call_proxy(get(), p.out(), method, args.get(),
                                   kwds.get()));
        return p;
    }
    /* An argument, or an item of a hosted container; it holds no reference. */
    value
    as_value() const
    {
        nds_value *v = nds_proxy_value(get());

        if (v == nullptr) {
            throw error(NDS_ENOMEM, nullptr);
        }
        return value(v);
    }
    proxy
    handle() const
    {
        return made<proxy>(nds_proxy_get, get());
    }
    /* "list" */
    const char *
    type() const noexcept
    {
        return nds_proxy_typeid(get());
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

/* With an address (nullptr: a fresh Unix socket) and a key; both must live. */
inline nds_manager_options
manager_options(const char *address, const std::string &authkey)
{
    nds_manager_options opts = options<nds_manager_options>();

    opts.address = address;
    opts.authkey = authkey.data();
    opts.authkey_nbytes = authkey.size();
    return opts;
}

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
        nds_manager_options opts = manager_options(address, authkey);

        return made<manager>(nds_manager_connect, &opts);
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
    /* args a tuple, kwds a dict; empty ones are none. */
    proxy
    create(const char *type, const value &args, const value &kwds = value())
    {
        proxy p;

        check(nds_manager_create_value(get(), p.out(), type, args.get(),
                                       kwds.get()));
        return p;
    }
    /* The proxy that a value which came from this manager stands for. */
    proxy
    adopt(const value &v)
    {
        proxy p;

        check(nds_manager_adopt(get(), p.out(), v.get()));
        return p;
    }
    /* A request to the server itself: "number_of_objects", "debug_info". */
    value
    ask(const char *function, const value &args = value())
    {
        value answer;

        check(nds_manager_ask(get(), answer.out(), function, args.get()));
        return answer;
    }
    std::string
    authkey() const
    {
        std::size_t n = 0;
        const void *key = nds_manager_authkey(get(), &n);

        return std::string(static_cast<const char *>(key), n);
    }
    void
    shutdown()
    {
        check(nds_manager_shutdown(get()));
    }
};

/* Being the server: bound by the constructor, serving in run(). */
class server : public owner<nds_server, nds_server_free>
{
  public:
    using owner::owner;

    server(const char *address, const std::string &authkey)
    {
        nds_manager_options opts = manager_options(address, authkey);

        check(nds_server_new(out(), &opts));
    }
    std::string
    address() const
    {
        return nds_server_address(get());
    }
    /* Until shutdown by a client, or stop(). */
    void
    run()
    {
        check(nds_server_run(get()));
    }
    /* From any thread or signal handler. */
    void
    stop() noexcept
    {
        nds_server_stop(get());
    }
};

} // namespace nds

#endif
