/* SPDX-License-Identifier: MIT */
/*
 * proc.hpp - processes that get arrays among their arguments
 *
 *     static int work(nds::arguments &args) {
 *         nds::array a = args.array(0);
 *         a.fill(args.integer(1));
 *         return 0;
 *     }
 *     NDS_CPP_TASK(work);
 *     int main(int argc, char **argv) {
 *         nds_init(argc, argv);
 *         nds::process p("work", nds::by_value(a), 3);
 *         return p.join();
 *     }
 */
#ifndef NDSHARE_CPP_PROC_HPP
#define NDSHARE_CPP_PROC_HPP

#include <ndshare/cpp/chan.hpp>
#include <ndshare/cpp/manager.hpp>
#include <ndshare/cpp/sync.hpp>

#include <cstdio>
#include <exception>

namespace nds
{

/* How an array crosses; a plain nds::array among the arguments is by value. */
struct passed {
    nds_array *array;
    nds_pass how;
};
inline passed
by_value(const array &a)
{
    return {a.get(), NDS_BY_VALUE};
}
inline passed
shared(const array &a)
{
    return {a.get(), NDS_SHARED};
}

/* What the child has been given; all of it lives until the task's end. */
class arguments
{
  public:
    explicit arguments(nds_args *args) noexcept : args_(args)
    {
    }
    int
    size() const noexcept
    {
        return nds_args_count(args_);
    }
    nds::array
    array(int i) const
    {
        return nds::array::share(there(nds_args_array(args_, i), i, "array"));
    }
    int64_t
    integer(int i) const noexcept
    {
        return nds_args_int(args_, i);
    }
    double
    real(int i) const noexcept
    {
        return nds_args_float(args_, i);
    }
    std::string
    text(int i) const
    {
        return there(nds_args_str(args_, i), i, "text");
    }
    span<const std::byte>
    bytes(int i) const
    {
        std::size_t n = 0;
        const void *data = there(nds_args_bytes(args_, i, &n), i, "bytes");

        return {static_cast<const std::byte *>(data), n};
    }
    /* Handles are lent: T is nds::queue, nds::pipe, nds::mutex, ... */
    template <class T> class lent
    {
      public:
        explicit lent(typename T::handle_type *handle) noexcept
            : object_(handle)
        {
        }
        lent(lent &&) noexcept = default;
        lent &operator=(lent &&) = delete;
        ~lent()
        {
            (void)object_.release(); // the arguments close it
        }
        T &
        operator*() noexcept
        {
            return object_;
        }
        T *
        operator->() noexcept
        {
            return &object_;
        }

      private:
        T object_;
    };
    template <class T>
    lent<T>
    handle(int i) const
    {
        using H = typename T::handle_type;

        return lent<T>(static_cast<H *>(
            there(nds_args_handle(args_, i, kind(static_cast<H *>(nullptr))),
                  i, kind(static_cast<H *>(nullptr)))));
    }
    lent<typed_array>
    typed(int i) const
    {
        return lent<typed_array>(
            there(nds_args_typed(args_, i), i, "typed array"));
    }
    nds_args *
    get() const noexcept
    {
        return args_;
    }

    /* The names of the kinds in nds_args_add_handle. */
    static constexpr const char *
    kind(nds_queue *)
    {
        return "queue";
    }
    static constexpr const char *
    kind(nds_pipe *)
    {
        return "pipe";
    }
    static constexpr const char *
    kind(nds_mutex *)
    {
        return "mutex";
    }
    static constexpr const char *
    kind(nds_cond *)
    {
        return "cond";
    }
    static constexpr const char *
    kind(nds_sem *)
    {
        return "sem";
    }
    static constexpr const char *
    kind(nds_event *)
    {
        return "event";
    }
    static constexpr const char *
    kind(nds_barrier *)
    {
        return "barrier";
    }
    static constexpr const char *
    kind(nds_rwlock *)
    {
        return "rwlock";
    }
    static constexpr const char *
    kind(nds_seqlock *)
    {
        return "seqlock";
    }
    static constexpr const char *
    kind(nds_proxy *)
    {
        return "proxy";
    }
    static constexpr const char *
    kind(nds_block *)
    {
        return "block";
    }

  private:
    template <class P>
    static P *
    there(P *p, int i, const char *what)
    {
        if (p == nullptr) {
            detail::fail(NDS_EINVAL, "argument " + std::to_string(i) +
                                         " is no " + what);
        }
        return p;
    }

    nds_args *args_;
};

/* A child. The destructor drops the handle; the child goes on. */
class process : public owner<nds_proc, nds_proc_close>
{
  public:
    template <class... Args>
    explicit process(const char *task, Args &&...args)
        : process(options<nds_proc_options>(), task,
                  std::forward<Args>(args)...)
    {
    }
    template <class... Args>
    process(const nds_proc_options &opts, const char *task, Args &&...args)
    {
        owner<nds_args, nds_args_free> list;

        check(nds_args_new(list.out()));
        (add(list.get(), std::forward<Args>(args)), ...);
        check(nds_proc_start(out(), task, list.get(), &opts));
    }

    /* The exit code, or minus the signal; nds::timed_out. */
    int
    join(timeout wait = forever)
    {
        int code = 0;

        check(nds_proc_join(get(), nanoseconds(wait), &code));
        return code;
    }
    int
    pid() const noexcept
    {
        return nds_proc_pid(get());
    }
    int
    fd() const noexcept
    {
        return nds_proc_fd(get());
    }
    bool
    is_alive() noexcept
    {
        return nds_proc_is_alive(get());
    }
    void
    terminate()
    {
        check(nds_proc_terminate(get()));
    }
    void
    kill()
    {
        check(nds_proc_kill(get()));
    }

  private:
    static void
    add(nds_args *list, const passed &a)
    {
        check(nds_args_add_array(list, a.array, a.how));
    }
    static void
    add(nds_args *list, const array &a)
    {
        add(list, by_value(a));
    }
    /* Moved. */
    static void
    add(nds_args *list, array &&a)
    {
        check(nds_args_add_move(list, a.out()));
    }
    static void
    add(nds_args *list, array &a)
    {
        add(list, by_value(a));
    }
    static void
    add(nds_args *list, const char *text)
    {
        check(nds_args_add_str(list, text));
    }
    static void
    add(nds_args *list, const std::string &text)
    {
        add(list, text.c_str());
    }
    static void
    add(nds_args *list, span<const std::byte> bytes)
    {
        check(nds_args_add_bytes(list, bytes.data(), bytes.size()));
    }
    static void
    add(nds_args *list, const typed_array &t)
    {
        check(nds_args_add_typed(list, t.get()));
    }
    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    static void
    add(nds_args *list, T value)
    {
        if constexpr (std::is_integral_v<T>) {
            check(nds_args_add_int(list, static_cast<int64_t>(value)));
        } else {
            check(nds_args_add_float(list, static_cast<double>(value)));
        }
    }
    template <class H, void (*Close)(H *)>
    static void
    add(nds_args *list, const owner<H, Close> &object)
    {
        check(nds_args_add_handle(
            list, arguments::kind(static_cast<H *>(nullptr)), object.get()));
    }
};

namespace detail
{
/* What escapes a task is said on stderr and is exit code 1. */
template <int (*Task)(arguments &)>
int
run_task(nds_args *lent) noexcept
{
    try {
        arguments args(lent);

        return Task(args);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
    } catch (...) {
        std::fprintf(stderr, "an exception of unknown type\n");
    }
    return 1;
}
} // namespace detail

} // namespace nds

/* Puts `int fn(nds::arguments &)` into the program's task list, by its name. */
#define NDS_CPP_TASK(fn)                                                      \
    __attribute__((constructor)) static void nds_task_register_##fn(void)     \
    {                                                                         \
        nds_task_register(#fn, nds::detail::run_task<fn>);                    \
    }                                                                         \
    struct nds_task_needs_semicolon_##fn

#endif
