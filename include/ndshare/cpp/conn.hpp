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

#include <ndshare/cpp/manager.hpp>

#include <iterator>

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
    class iterator
    {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = value;
        using difference_type = std::ptrdiff_t;
        using pointer = value *;
        using reference = value &;

        iterator() = default;
        explicit iterator(conn *from) : from_(from)
        {
            ++*this;
        }
        value &
        operator*()
        {
            return value_;
        }
        iterator &
        operator++()
        {
            int rc;

            value_.reset();
            rc = nds_conn_recv(from_->get(), value_.out(), NDS_FOREVER);
            if (rc == NDS_EEOF) {
                from_ = nullptr;
            } else {
                check(rc);
            }
            return *this;
        }
        bool
        operator!=(const iterator &other) const noexcept
        {
            return from_ != other.from_;
        }

      private:
        conn *from_ = nullptr;
        value value_;
    };
    iterator
    begin()
    {
        return iterator(this);
    }
    iterator
    end()
    {
        return iterator();
    }
};

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
