/* SPDX-License-Identifier: MIT */
/*
 * chan.hpp - queues and pipes of arrays
 *
 *     nds::queue q;
 *     q.put(a);                                  // by value
 *     q.put(std::move(a));                       // moved
 *     auto loan = q.loan<float>({480, 640});     // filled in place
 *     loan.as<float>()[0] = 1;
 *     loan.publish();
 *     for (nds::item &i : q) { use(i.value); }   // until closed and drained
 */
#ifndef NDSHARE_CPP_CHAN_HPP
#define NDSHARE_CPP_CHAN_HPP

#include <ndshare/cpp/array.hpp>

#include <string_view>

namespace nds
{

/* At most NDS_TAG_MAX bytes beside an item. */
class tag
{
  public:
    tag() = default;
    tag(std::string_view bytes)
    {
        if (bytes.size() > NDS_TAG_MAX) {
            detail::fail(NDS_ELIMIT, "a tag of " +
                                         std::to_string(bytes.size()) +
                                         " bytes; 60 are allowed");
        }
        value_.nbytes = static_cast<uint32_t>(bytes.size());
        std::memcpy(value_.bytes, bytes.data(), bytes.size());
    }
    tag(const char *text) : tag(std::string_view(text))
    {
    }
    tag(const std::string &text) : tag(std::string_view(text))
    {
    }

    std::string_view
    bytes() const noexcept
    {
        return {reinterpret_cast<const char *>(value_.bytes), value_.nbytes};
    }
    const nds_tag *
    get() const noexcept
    {
        return &value_;
    }
    nds_tag *
    out() noexcept
    {
        return &value_;
    }

  private:
    nds_tag value_{};
};

/* What a get gives; value is empty for a None item. */
struct item {
    array value;
    nds::tag tag;
};

/* Filled in place, then published; what is not published is discarded. C is
 * the channel's C handle. The channel must outlive it. */
template <class C, int (*Publish)(C *, nds_array **, const nds_tag *),
          void (*Discard)(C *, nds_array **)>
class loaned : public array
{
  public:
    loaned(C *channel, nds_array *handle) noexcept
        : array(handle), channel_(channel)
    {
    }
    loaned(loaned &&) noexcept = default;
    loaned &operator=(loaned &&) = delete;
    ~loaned()
    {
        if (*this) {
            Discard(channel_, out());
        }
    }
    void
    publish(const tag &beside = {})
    {
        check(Publish(channel_, out(), beside.get()));
    }

  private:
    C *channel_;
};

/* Taken from a queue and read in place. Ends with release(); without it the
 * item goes back, its count of deliveries raised. */
class taken : public array
{
  public:
    taken(nds_queue *queue, nds_array *handle, const nds::tag &beside) noexcept
        : array(handle), tag(beside), queue_(queue)
    {
    }
    uint32_t
    deliveries() const noexcept
    {
        return nds_queue_deliveries(get());
    }
    void
    release()
    {
        check(nds_queue_release(queue_, out()));
    }

    nds::tag tag;

  private:
    nds_queue *queue_;
};

/* What the receiving end and loans of queues and pipes have in common. */
template <class H, void (*Close)(H *),
          int (*Get)(H *, nds_array **, nds_tag *, int64_t),
          int (*Loan)(H *, nds_array **, const nds_dtype *, int,
                      const int64_t *, int64_t),
          int (*Publish)(H *, nds_array **, const nds_tag *),
          void (*Discard)(H *, nds_array **)>
class channel : public owner<H, Close>
{
  public:
    using owner<H, Close>::owner;
    using owner<H, Close>::get;
    using loan_type = loaned<H, Publish, Discard>;

    /* Nothing once it is closed and drained. */
    std::optional<item>
    next(timeout wait = forever)
    {
        item got;
        int rc = receive(got, wait);

        if (rc == NDS_EEOF) {
            return std::nullopt;
        }
        check(rc);
        return got;
    }
    detail::each<channel, item>
    begin()
    {
        return detail::each<channel, item>(this);
    }
    detail::the_end
    end() const noexcept
    {
        return {};
    }
    loan_type
    loan(const dtype &type, const shape &extents, timeout wait = forever)
    {
        nds_array *handle = nullptr;

        check(Loan(get(), &handle, type.get(),
                   static_cast<int>(extents.size()), extents.data(),
                   nanoseconds(wait)));
        return {get(), handle};
    }
    template <class T>
    loan_type
    loan(const shape &extents, timeout wait = forever)
    {
        return loan(dtype::of<T>(), extents, wait);
    }

  protected:
    item
    receive(timeout wait)
    {
        item got;

        check(receive(got, wait));
        return got;
    }

  private:
    int
    receive(item &got, timeout wait)
    {
        return Get(get(), got.value.out(), got.tag.out(), nanoseconds(wait));
    }
};

class queue
    : public channel<nds_queue, nds_queue_close, nds_queue_get, nds_queue_loan,
                     nds_queue_publish, nds_queue_discard>
{
  public:
    explicit queue(nds_queue *handle) noexcept : channel(handle)
    {
    }
    explicit queue(const nds_queue_options &opts = options<nds_queue_options>())
    {
        check(nds_queue_new(out(), &opts));
    }
    static queue
    create(const char *name,
           const nds_queue_options &opts = options<nds_queue_options>())
    {
        return made<queue>(nds_queue_create, name, &opts);
    }
    static queue
    attach(const char *name, timeout wait = at_once)
    {
        return made<queue>(nds_queue_attach, name, nanoseconds(wait));
    }
    static void
    unlink(const char *name)
    {
        check(nds_queue_unlink(name));
    }

    void
    put(const array &a, const tag &beside = {}, timeout wait = forever)
    {
        check(nds_queue_put(get(), a.get(), beside.get(), nanoseconds(wait)));
    }
    void
    put(array &&a, const tag &beside = {}, timeout wait = forever)
    {
        check(nds_queue_put_move(get(), a.out(), beside.get(),
                                 nanoseconds(wait)));
    }
    /* Runs of items: a container of arrays; how many of them, from the first
     * on, are in the queue. Throws only if none is. */
    template <class Arrays>
    int
    put_many(const Arrays &arrays, timeout wait = forever)
    {
        std::vector<nds_array *> handles;
        int done = 0;

        for (const array &a : arrays) {
            handles.push_back(a.get());
        }
        int rc = nds_queue_put_many(get(), static_cast<int>(handles.size()),
                                    handles.data(), nullptr,
                                    nanoseconds(wait), &done);

        check(done > 0 ? 0 : rc);
        return done;
    }
    /* Waits for the first, then gives what is there, at most room of them. */
    std::vector<item>
    pop_many(int room, timeout wait = forever)
    {
        std::vector<nds_array *> handles(static_cast<std::size_t>(room));
        std::vector<nds_tag> tags(handles.size());
        std::vector<item> items(handles.size());
        int count = 0;

        check(nds_queue_get_many(get(), room, handles.data(), tags.data(),
                                 nanoseconds(wait), &count));
        items.resize(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < items.size(); i++) {
            items[i].value.reset(handles[i]);
            *items[i].tag.out() = tags[i];
        }
        return items;
    }
    void
    put_none(timeout wait = forever)
    {
        check(nds_queue_put_none(get(), nanoseconds(wait)));
    }
    /* nds::end_of_file once it is closed and drained. */
    item
    pop(timeout wait = forever)
    {
        return receive(wait);
    }
    taken
    take(timeout wait = forever)
    {
        nds_array *handle = nullptr;
        nds::tag beside;

        check(nds_queue_take(get(), &handle, beside.out(), nanoseconds(wait)));
        return {get(), handle, beside};
    }
    void
    task_done()
    {
        check(nds_queue_task_done(get()));
    }
    bool
    join(timeout wait = forever)
    {
        return check_wait(nds_queue_join(get(), nanoseconds(wait)));
    }
    void
    shutdown()
    {
        check(nds_queue_shutdown(get()));
    }
    /* ---- items kept aside (chan.h) ---- */
    std::vector<nds_parked>
    parked(int room = 1000)
    {
        std::vector<nds_parked> list(static_cast<std::size_t>(room));
        int count = 0;

        check(nds_queue_list_parked(get(), room, list.data(), &count));
        list.resize(static_cast<std::size_t>(count));
        return list;
    }
    taken
    take_parked()
    {
        nds_array *handle = nullptr;
        nds::tag beside;

        check(nds_queue_take_parked(get(), &handle, beside.out()));
        return {get(), handle, beside};
    }
    uint64_t
    requeue_parked()
    {
        uint64_t count = 0;

        check(nds_queue_requeue_parked(get(), &count));
        return count;
    }
    uint64_t
    discard_parked()
    {
        uint64_t count = 0;

        check(nds_queue_discard_parked(get(), &count));
        return count;
    }

    nds_queue_info
    info() const
    {
        nds_queue_info what = options<nds_queue_info>();

        check(nds_queue_info_get(get(), &what));
        return what;
    }
    void
    trim(uint64_t keep_bytes = 0)
    {
        check(nds_queue_trim(get(), keep_bytes));
    }
    int64_t
    size() const
    {
        int64_t n = nds_queue_size(get());

        check(n < 0 ? static_cast<int>(n) : 0);
        return n;
    }
    int
    fd()
    {
        int fd = -1;

        check(nds_queue_fd(get(), &fd));
        return fd;
    }
};

/* One end. */
class pipe
    : public channel<nds_pipe, nds_pipe_close, nds_pipe_recv, nds_pipe_loan,
                     nds_pipe_publish, nds_pipe_discard>
{
  public:
    using channel::channel;

    /* One way (the first end receives) unless the options say duplex. */
    static std::pair<pipe, pipe>
    make(const nds_pipe_options &opts = options<nds_pipe_options>())
    {
        std::pair<pipe, pipe> ends;

        check(nds_pipe_new(ends.first.out(), ends.second.out(), &opts));
        return ends;
    }
    static std::pair<pipe, pipe>
    make_duplex()
    {
        nds_pipe_options opts = options<nds_pipe_options>();

        opts.duplex = true;
        return make(opts);
    }
    void
    send(const array &a, const tag &beside = {}, timeout wait = forever)
    {
        check(nds_pipe_send(get(), a.get(), beside.get(), nanoseconds(wait)));
    }
    void
    send(array &&a, const tag &beside = {}, timeout wait = forever)
    {
        check(nds_pipe_send_move(get(), a.out(), beside.get(),
                                 nanoseconds(wait)));
    }
    /* nds::end_of_file once the other end is gone. */
    item
    recv(timeout wait = forever)
    {
        return receive(wait);
    }
    bool
    poll(timeout wait = at_once)
    {
        return check_wait(nds_pipe_poll(get(), nanoseconds(wait)));
    }
    void
    trim(uint64_t keep_bytes = 0)
    {
        check(nds_pipe_trim(get(), keep_bytes));
    }
    int
    fd()
    {
        int fd = -1;

        check(nds_pipe_fd(get(), &fd));
        return fd;
    }
};

} // namespace nds

#endif
