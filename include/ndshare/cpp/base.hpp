/* SPDX-License-Identifier: MIT */
/*
 * base.hpp - errors, time-outs, owners and loops, for the other C++ headers
 */
#ifndef NDSHARE_CPP_BASE_HPP
#define NDSHARE_CPP_BASE_HPP

#include <ndshare/ndshare.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace nds
{

/* What a failed call leaves: its code and the text of nds_last_error. */
class error : public std::runtime_error
{
  public:
    error(int code, const char *text)
        : std::runtime_error(text != nullptr && *text != '\0'
                                 ? text
                                 : nds_strerror(code)),
          code_(code)
    {
    }

    int
    code() const noexcept
    {
        return code_;
    }
    const char *
    name() const noexcept
    {
        return nds_error_name(code_);
    }

  private:
    int code_;
};

/* NDS_ETIMEDOUT, and NDS_EAGAIN where the time-out was 0. */
class timed_out : public error
{
  public:
    explicit timed_out(int code) : error(code, nullptr)
    {
    }
};

/* NDS_EEOF: the other side is gone, or closed and drained. */
class end_of_file : public error
{
  public:
    explicit end_of_file(int code) : error(code, nullptr)
    {
    }
};

/* 0 and more pass; the outcomes that are no failures carry no stale text. */
inline int
check(int rc)
{
    if (rc >= 0) {
        return rc;
    }
    switch (rc) {
    case NDS_ETIMEDOUT:
    case NDS_EAGAIN:
        throw timed_out(rc);
    case NDS_EEOF:
        throw end_of_file(rc);
    case NDS_EOWNERDEAD:
        throw error(rc, nullptr);
    default:
        throw error(rc, nds_last_error()->message);
    }
}

/* For calls whose time-out is an answer: false instead of an exception. */
inline bool
check_wait(int rc)
{
    return rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN ? false
                                                   : (check(rc), true);
}

/* Any std::chrono duration; a negative one, such as forever, waits. */
using timeout = std::chrono::nanoseconds;
inline constexpr timeout forever{NDS_FOREVER};
inline constexpr timeout at_once{0};

inline int64_t
nanoseconds(timeout t) noexcept
{
    return t.count() < 0 ? NDS_FOREVER : t.count();
}

/* Text that the C interface gave us to free. */
inline std::string
take_text(char *text, std::size_t nbytes)
{
    struct freer {
        char *text;
        ~freer()
        {
            std::free(text);
        }
    } owned{text};

    return text != nullptr ? std::string(text, nbytes) : std::string();
}
inline std::string
take_text(char *text)
{
    return take_text(text, text != nullptr ? std::strlen(text) : 0);
}

/* One handle: moves, does not copy, closes at its end. Empty is false. */
template <class H, void (*Close)(H *)> class owner
{
  public:
    using handle_type = H;

    owner() noexcept = default;
    explicit owner(H *handle) noexcept : handle_(handle)
    {
    }
    owner(owner &&other) noexcept : handle_(other.release())
    {
    }
    owner &
    operator=(owner &&other) noexcept
    {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    ~owner()
    {
        reset();
    }

    explicit
    operator bool() const noexcept
    {
        return handle_ != nullptr;
    }
    H *
    get() const noexcept
    {
        return handle_;
    }
    /* Gives the handle away: the caller closes it. */
    H *
    release() noexcept
    {
        return std::exchange(handle_, nullptr);
    }
    void
    reset(H *handle = nullptr) noexcept
    {
        H *old = std::exchange(handle_, handle);

        if (old != nullptr) {
            Close(old);
        }
    }
    /* For calls that hand a handle out, or empty one. */
    H **
    out() noexcept
    {
        return &handle_;
    }

  private:
    H *handle_ = nullptr;
};

/* What one call makes: the handle leaves through its first parameter. */
template <class Owner, class Make, class... Args>
Owner
made(Make make, Args... args)
{
    Owner made(static_cast<typename Owner::handle_type *>(nullptr));

    check(make(made.out(), args...));
    return made;
}

/* The text that one call gives through its last parameter. */
template <class Give, class... Args>
std::string
text_from(Give give, Args... args)
{
    char *text = nullptr;

    check(give(args..., &text));
    return take_text(text);
}

/* A C option struct of zeros that knows its size. */
template <class Options>
Options
options() noexcept
{
    Options opts{};

    opts.size = sizeof opts;
    return opts;
}

namespace detail
{
struct the_end {
};

/* Over what From::next() gives, until it gives nothing: range-for, and an
 * input range for the algorithms of C++20. */
template <class From, class Value> class each
{
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using pointer = Value *;
    using reference = Value &;

    explicit each(From *from) : from_(from), value_(from->next())
    {
    }
    Value &
    operator*() const
    {
        return *value_;
    }
    Value *
    operator->() const
    {
        return &*value_;
    }
    each &
    operator++()
    {
        value_ = from_->next();
        return *this;
    }
    void
    operator++(int)
    {
        ++*this;
    }
    friend bool
    operator==(const each &it, the_end) noexcept
    {
        return !it.value_;
    }
    friend bool
    operator!=(const each &it, the_end) noexcept
    {
        return it.value_.has_value();
    }

  private:
    From *from_;
    mutable std::optional<Value> value_; // const iterators lend it too
};

/* Over Of::at(0), at(1), ...: each is made when it is looked at. */
template <class Of, class Value> class indexed
{
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Value;

    indexed() noexcept = default;
    indexed(const Of *of, int64_t i) noexcept : of_(of), i_(i)
    {
    }
    Value
    operator*() const
    {
        return of_->at(i_);
    }
    indexed &
    operator++() noexcept
    {
        i_++;
        return *this;
    }
    indexed
    operator++(int) noexcept
    {
        indexed before = *this;

        i_++;
        return before;
    }
    friend bool
    operator==(const indexed &a, const indexed &b) noexcept
    {
        return a.i_ == b.i_;
    }
    friend bool
    operator!=(const indexed &a, const indexed &b) noexcept
    {
        return a.i_ != b.i_;
    }

  private:
    const Of *of_ = nullptr;
    int64_t i_ = 0;
};
} // namespace detail

} // namespace nds

#endif
