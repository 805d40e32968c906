/* SPDX-License-Identifier: MIT */
/*
 * conn.hpp - connections to any Python
 *
 *     nds::listener door("/tmp/door", "key");
 *     nds::conn c = door.accept();            // Client("/tmp/door", authkey=b"key")
 *     nds::array a = c.recv_array();          // conn.send(numpy_array)
 *     c.send(a);
 *     for (nds::value &v : c) { use(v); }     // until the peer ends
 */
#ifndef NDSHARE_CPP_CONN_HPP
#define NDSHARE_CPP_CONN_HPP

#include <ndshare/cpp/value.hpp>

#include <memory>

namespace nds
{

/* Options with a key; an empty one means no handshake. The text must live. */
inline nds_conn_options
conn_options(const std::string &authkey = std::string())
{
    nds_conn_options opts = options<nds_conn_options>();

    if (!authkey.empty()) {
        opts.authkey = authkey.data();
        opts.authkey_nbytes = authkey.size();
    }
    return opts;
}

class conn : public owner<nds_conn, nds_conn_close>
{
  public:
    using owner::owner;

    static conn
    connect(const std::string &address, const std::string &authkey = "")
    {
        nds_conn_options opts = conn_options(authkey);

        return made<conn>(nds_conn_connect, address.c_str(), &opts);
    }
    /* A stream socket that is there, Python's Connection(fd). */
    static conn
    adopt(int fd)
    {
        nds_conn_options opts = conn_options();

        return made<conn>(nds_conn_adopt, fd, &opts);
    }

    void
    send(const value &v, timeout t = forever)
    {
        check(nds_conn_send(get(), v.get(), nanoseconds(t)));
    }
    void
    send(const array &a, timeout t = forever)
    {
        check(nds_conn_send_array(get(), a.get(), nanoseconds(t)));
    }
    value
    recv(timeout t = forever)
    {
        value v;

        check(nds_conn_recv(get(), v.out(), nanoseconds(t)));
        return v;
    }
    /* Nothing once the peer has ended. */
    std::optional<value>
    next(timeout t = forever)
    {
        value v;
        int rc = nds_conn_recv(get(), v.out(), nanoseconds(t));

        if (rc == NDS_EEOF) {
            return std::nullopt;
        }
        check(rc);
        return v;
    }
    array
    recv_array(timeout t = forever)
    {
        array a;

        check(nds_conn_recv_array(get(), a.out(), nanoseconds(t)));
        return a;
    }
    /* a[...] = what comes, straight into its memory where that can be. */
    void
    recv_into(array &a, timeout t = forever)
    {
        check(nds_conn_recv_array_into(get(), nds_array_view(a.get()),
                                       nanoseconds(t)));
    }
    void
    send_bytes(const void *data, std::size_t nbytes, timeout t = forever)
    {
        check(nds_conn_send_bytes(get(), data, nbytes, nanoseconds(t)));
    }
    std::string
    recv_bytes(timeout t = forever)
    {
        void *data = nullptr;
        std::size_t nbytes = 0;

        check(nds_conn_recv_bytes(get(), &data, &nbytes, nanoseconds(t)));
        return take_text(static_cast<char *>(data), nbytes);
    }
    /* The elements alone, in C order: Python's send_bytes(a) and
     * recv_bytes_into(a). */
    void
    send_elements(const array &a, timeout t = forever)
    {
        check(nds_conn_send_view(get(), a.c_view(), nanoseconds(t)));
    }
    void
    recv_elements(array &a, timeout t = forever)
    {
        check(nds_conn_recv_view(get(), a.c_view(), nanoseconds(t)));
    }
    /* The process at the other end of a Unix socket: its id. */
    int64_t
    peer_pid() const
    {
        int64_t pid = 0;
        uint32_t uid = 0;

        check(nds_conn_peer(get(), &pid, &uid));
        return pid;
    }
    /* Whether a message has begun, or the end is there. */
    bool
    poll(timeout t = at_once)
    {
        return check_wait(nds_conn_poll(get(), nanoseconds(t)));
    }
    /* To wait for with poll and its kin; the connection's. */
    int
    fd() const
    {
        int fd = -1;

        check(nds_conn_fd(get(), &fd));
        return fd;
    }

    /* The values that come, until the peer ends. */
    detail::each<conn, value>
    begin()
    {
        return detail::each<conn, value>(this);
    }
    detail::the_end
    end() const noexcept
    {
        return {};
    }
};

/* multiprocessing.connection.wait: which of them have something, by index;
 * none once the time is over. */
inline std::vector<std::size_t>
wait(const std::vector<const conn *> &conns, timeout t = forever)
{
    std::vector<nds_conn *> handles;
    std::vector<std::size_t> ready;
    std::unique_ptr<bool[]> which(new bool[conns.size()]());

    for (const conn *c : conns) {
        handles.push_back(c->get());
    }
    if (check_wait(nds_conn_wait(handles.data(),
                                 static_cast<int>(handles.size()),
                                 which.get(), nanoseconds(t)))) {
        for (std::size_t i = 0; i < conns.size(); i++) {
            if (which[i]) {
                ready.push_back(i);
            }
        }
    }
    return ready;
}

class listener : public owner<nds_listener, nds_listener_close>
{
  public:
    using owner::owner;

    /* An empty address: a fresh one in the abstract space. */
    explicit listener(const std::string &address,
                      const std::string &authkey = "")
    {
        nds_conn_options opts = conn_options(authkey);

        check(nds_listener_new(out(), address.empty() ? nullptr
                                                      : address.c_str(),
                               &opts));
    }
    std::string
    address() const
    {
        return nds_listener_address(get());
    }
    /* The next client that has proved it has the key. */
    conn
    accept(timeout t = forever)
    {
        conn c;

        check(nds_listener_accept(get(), c.out(), nanoseconds(t)));
        return c;
    }
    int
    fd() const
    {
        int fd = -1;

        check(nds_listener_fd(get(), &fd));
        return fd;
    }
};

} // namespace nds

#endif
