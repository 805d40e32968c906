/* SPDX-License-Identifier: MIT */
/*
 * array.hpp - a view and the memory it keeps alive
 *
 *     auto a = nds::array::create<double>("frames", {480, 640});
 *     a.as<double>()[0] = 1;
 *     auto b = nds::array::attach("frames", NDS_READ);
 *     std::cout << b["[0, :5]"] << b.sum() << "\n";
 *     { auto held = a.lock(); a += 1.0; }
 *
 * nds::array is a handle: closing one of two leaves the memory to the other.
 */
#ifndef NDSHARE_CPP_ARRAY_HPP
#define NDSHARE_CPP_ARRAY_HPP

#include <ndshare/cpp/block.hpp>

#include <ostream>

namespace nds
{

/* One element of any dtype, as reductions give it. */
class scalar
{
  public:
    scalar(const nds_scalar &value) : value_(value)
    {
    }
    scalar(double value) : value_(nds_float(value))
    {
    }
    scalar(float value) : value_(nds_float(static_cast<double>(value)))
    {
    }
    scalar(bool value) : value_(nds_bool(value))
    {
    }
    scalar(std::complex<double> value)
        : value_(nds_complex(value.real(), value.imag()))
    {
    }
    template <class I, std::enable_if_t<std::is_integral_v<I> &&
                                            !std::is_same_v<I, bool>,
                                        int> = 0>
    scalar(I value)
        : value_(std::is_signed_v<I>
                     ? nds_int(static_cast<int64_t>(value))
                     : nds_uint(static_cast<uint64_t>(value)))
    {
    }

    const nds_scalar &
    get() const noexcept
    {
        return value_;
    }
    /* The real part; integers as the nearest double. */
    explicit
    operator double() const
    {
        return nds_scalar_double(&value_);
    }
    /* Truncated and clamped. */
    explicit
    operator int64_t() const
    {
        return nds_scalar_int64(&value_);
    }
    /* As Python prints it: "121600.0" */
    std::string
    str() const
    {
        return text_from(nds_scalar_str, &value_);
    }
    friend std::ostream &
    operator<<(std::ostream &out, const scalar &s)
    {
        return out << s.str();
    }

  private:
    nds_scalar value_;
};

/* Held from nds_..._lock to the end of the scope. After the death of the last
 * holder owner_died() is true: look at what the lock guards first. */
template <class H, int (*Unlock)(H *)> class held
{
  public:
    held(H *object, bool owner_died) noexcept
        : object_(object), owner_died_(owner_died)
    {
    }
    held(held &&other) noexcept
        : object_(std::exchange(other.object_, nullptr)),
          owner_died_(other.owner_died_)
    {
    }
    held &operator=(held &&) = delete;
    held(const held &) = delete;
    held &operator=(const held &) = delete;
    ~held()
    {
        if (object_ != nullptr) {
            (void)Unlock(object_);
        }
    }

    bool
    owner_died() const noexcept
    {
        return owner_died_;
    }
    /* Earlier than at the end of the scope, and with a verdict. */
    void
    unlock()
    {
        check(Unlock(std::exchange(object_, nullptr)));
    }

  private:
    H *object_;
    bool owner_died_;
};

namespace detail
{
/* 0 or NDS_EOWNERDEAD holds; all else throws. */
template <class H, int (*Unlock)(H *)>
held<H, Unlock>
hold(H *object, int rc)
{
    if (rc != NDS_EOWNERDEAD) {
        check(rc);
    }
    return {object, rc == NDS_EOWNERDEAD};
}
} // namespace detail

class array : public owner<nds_array, nds_array_close>
{
  public:
    using owner::owner;
    using lock_type = held<nds_array, nds_array_unlock>;

    /* ---- making and finding ---- */
    static nds_array_options
    heap() noexcept
    {
        return options<nds_array_options>();
    }
    static nds_array_options
    shareable() noexcept
    {
        nds_array_options opts = options<nds_array_options>();

        opts.reach = NDS_SHAREABLE;
        return opts;
    }
    static array
    zeros(const dtype &type, const shape &extents,
          const nds_array_options &opts = heap())
    {
        return made<array>(nds_array_new, type.get(), ndim(extents),
                           extents.data(), &opts);
    }
    template <class T>
    static array
    zeros(const shape &extents, const nds_array_options &opts = heap())
    {
        return zeros(dtype::of<T>(), extents, opts);
    }
    static array
    full(const dtype &type, const shape &extents, const scalar &value,
         nds_array_options opts = heap())
    {
        opts.fill = &value.get();
        return zeros(type, extents, opts);
    }
    template <class T>
    static array
    ones(const shape &extents, const nds_array_options &opts = heap())
    {
        return full(dtype::of<T>(), extents, scalar(1), opts);
    }
    /* A new name; fails if it is taken. */
    static array
    create(const char *name, const dtype &type, const shape &extents,
           const nds_array_options &opts = options<nds_array_options>())
    {
        return made<array>(nds_array_create, name, type.get(), ndim(extents),
                           extents.data(), &opts);
    }
    template <class T>
    static array
    create(const char *name, const shape &extents,
           const nds_array_options &opts = options<nds_array_options>())
    {
        return create(name, dtype::of<T>(), extents, opts);
    }
    /* What token() of another process gave. */
    static array
    from_token(const std::string &token)
    {
        return made<array>(nds_array_token_import, token.data(),
                           token.size());
    }
    /* Bytes by which another process attaches this array; its memory is kept
     * for it that long (nds_array_token_export). */
    std::string
    token(timeout hold = std::chrono::seconds(60)) const
    {
        void *bytes = nullptr;
        std::size_t nbytes = 0;

        check(nds_array_token_export(get(), nanoseconds(hold), &bytes,
                                     &nbytes));
        std::string text(static_cast<const char *>(bytes), nbytes);
        std::free(bytes);
        return text;
    }
    /* Before this process ends: false if some token was not received. */
    static bool
    tokens_wait(timeout wait)
    {
        return check_wait(nds_array_tokens_wait(nanoseconds(wait)));
    }
    /* An existing name; waits for it to appear for as long as `wait`. */
    static array
    attach(const char *name, nds_mode mode = NDS_READWRITE,
           timeout wait = at_once)
    {
        return made<array>(nds_array_attach, name, mode, nanoseconds(wait));
    }
    static void
    unlink(const char *name)
    {
        check(nds_array_unlink(name));
    }
    /* Raw elements in a file, as numpy.memmap; no extents: all it holds. */
    static array
    map_file(const char *path, nds_mode mode, const dtype &type,
             const shape &extents = {}, char order = 'C', int64_t off = 0)
    {
        return made<array>(nds_array_map_file, path, mode, type.get(),
                           extents.empty() ? 1 : ndim(extents),
                           extents.empty() ? nullptr : extents.data(), order,
                           off);
    }
    /* Over a raw block, which the array keeps. */
    static array
    over(const nds::block &b, const dtype &type, const shape &extents,
         char order = 'C', int64_t off = 0)
    {
        return made<array>(nds_array_from_block, b.get(), type.get(),
                           ndim(extents), extents.data(), order, off);
    }
    static array
    map_npy(const char *path, nds_mode mode = NDS_READ)
    {
        return made<array>(nds_npy_map, path, mode);
    }
    static array
    load_npy(const char *path)
    {
        return made<array>(nds_npy_load, path);
    }
    void
    save_npy(const char *path) const
    {
        check(nds_npy_save(c_view(), path));
    }
    /* Over the elements of a vector, std::array or span, which must outlive
     * every handle on it; const ones are read-only. */
    template <class Elements>
    static array
    over_memory(Elements &memory, const shape &extents)
    {
        using T = std::remove_pointer_t<decltype(std::data(memory))>;
        detail::view_owner v;

        check(nds_view_init(v.out(), dtype::of<T>().get(),
                            const_cast<std::remove_cv_t<T> *>(
                                std::data(memory)),
                            std::size(memory) * sizeof(T), ndim(extents),
                            extents.data()));
        if (std::is_const_v<T>) {
            v.out()->flags |= NDS_VIEW_READONLY;
        }
        return made<array>(nds_array_from_memory, v.out(), nullptr, nullptr);
    }
    /* A handle on a C handle that stays its owner's. */
    static array
    share(nds_array *lent)
    {
        return made<array>(nds_array_get, lent);
    }

    /* ---- what it is ---- */
    const nds_view *
    c_view() const noexcept
    {
        return nds_array_view(get());
    }
    int
    ndim() const noexcept
    {
        return c_view()->ndim;
    }
    span<const int64_t>
    extents() const noexcept
    {
        return {c_view()->shape, static_cast<std::size_t>(ndim())};
    }
    /* Bytes, as in NumPy. */
    span<const int64_t>
    strides() const noexcept
    {
        return {c_view()->strides, static_cast<std::size_t>(ndim())};
    }
    bool
    is_readonly() const noexcept
    {
        return (c_view()->flags & NDS_VIEW_READONLY) != 0;
    }
    int64_t
    extent(int axis) const
    {
        return extents()[static_cast<std::size_t>(axis)];
    }
    int64_t
    size() const noexcept
    {
        return nds_view_count(c_view());
    }
    int64_t
    nbytes() const noexcept
    {
        return nds_view_nbytes(c_view());
    }
    nds::dtype
    type() const
    {
        return nds::dtype(c_view()->dtype);
    }
    const char *
    name() const noexcept
    {
        return nds_array_name(get());
    }
    /* The memory it is in, which knows whether a name still leads there. */
    nds::block
    block() const
    {
        return nds::block::share(nds_array_block(get()));
    }
    void *
    data() const noexcept
    {
        return nds_array_data(get());
    }
    /* All elements in C order: contiguous arrays of that type only. */
    template <class T>
    span<T>
    as() const
    {
        return detail::as_span<T>(*c_view());
    }
    template <class T, std::size_t N>
    nds::view<T, N>
    view() const
    {
        return nds::view<T, N>(*c_view());
    }

    /* ---- parts, on the same memory ---- */
    array
    operator[](const char *slice) const
    {
        return made<array>(nds_array_slice, get(), slice);
    }
    array
    reshape(const shape &extents) const
    {
        return made<array>(nds_array_reshape, get(), ndim(extents),
                           extents.data());
    }
    array
    transpose() const
    {
        return made<array>(nds_array_transpose, get(), nullptr);
    }
    /* One field of an array of records. */
    array
    field(const char *name) const
    {
        return part(nds_view_field, name);
    }
    array
    broadcast_to(const shape &extents) const
    {
        return part(nds_view_broadcast, ndim(extents), extents.data());
    }
    /* Another dtype over the same bytes, as NumPy's a.view(dtype). */
    array
    cast_bytes(const dtype &type) const
    {
        return part(nds_view_cast_bytes, type.get());
    }
    array
    readonly() const
    {
        return made<array>(nds_array_readonly, get());
    }
    array
    handle() const
    {
        return share(get());
    }
    array
    copy(const nds_array_options &opts = heap()) const
    {
        return made<array>(nds_array_copy, c_view(), &opts);
    }

    /* ---- together with others ---- */
    void
    publish(const char *name,
            const nds_array_options &opts = options<nds_array_options>())
    {
        check(nds_array_publish(get(), name, &opts));
    }
    void
    freeze()
    {
        check(nds_array_freeze(get()));
    }
    void
    flush()
    {
        check(nds_array_flush(get()));
    }
    void
    resize(int64_t extent)
    {
        check(nds_array_resize(get(), extent));
    }
    void
    refresh()
    {
        check(nds_array_refresh(get()));
    }
    lock_type
    lock(timeout wait = forever)
    {
        return detail::hold<nds_array, nds_array_unlock>(
            get(), nds_array_lock(get(), nanoseconds(wait)));
    }
    /* Holding the lock, instead of unlocking: NDS_EPOISONED for all. */
    void
    poison()
    {
        check(nds_array_poison(get()));
    }
    /* The time in which data is written that snapshot() must see whole. */
    held<nds_array, nds_array_write_end>
    writing(timeout wait = forever)
    {
        return detail::hold<nds_array, nds_array_write_end>(
            get(), nds_array_write_begin(get(), nanoseconds(wait)));
    }
    /* A private copy of one state, never of half of one; the writer does not
     * wait for it. NDS_EOWNERDEAD: the writer died at work. */
    array
    snapshot(timeout wait = forever) const
    {
        uint64_t seen = 0;

        for (;;) {
            check(nds_array_read_begin(get(), &seen, nanoseconds(wait)));
            array whole = copy();

            if (!nds_array_read_retry(get(), seen)) {
                return whole;
            }
        }
    }
    /* Data changed without the lock: tells who waits. */
    void
    changed()
    {
        check(nds_array_changed(get()));
    }
    uint64_t
    generation() const
    {
        uint64_t gen = 0;

        check(nds_array_generation(get(), &gen));
        return gen;
    }
    bool
    wait_changed(uint64_t after, timeout wait = forever) const
    {
        return check_wait(
            nds_array_wait_changed(get(), after, nanoseconds(wait)));
    }

    /* ---- arithmetic, as NumPy's ---- */
    array &
    fill(const scalar &value)
    {
        check(nds_fill(c_view(), value.get()));
        return *this;
    }
    array &
    arange()
    {
        check(nds_arange(c_view()));
        return *this;
    }
    array &
    random(uint64_t seed)
    {
        check(nds_random(c_view(), seed));
        return *this;
    }
    array &
    assign(const array &from)
    {
        check(nds_assign(c_view(), from.c_view()));
        return *this;
    }
    array &
    operator+=(const array &b)
    {
        return apply(NDS_ADD, b);
    }
    array &
    operator-=(const array &b)
    {
        return apply(NDS_SUBTRACT, b);
    }
    array &
    operator*=(const array &b)
    {
        return apply(NDS_MULTIPLY, b);
    }
    array &
    operator/=(const array &b)
    {
        return apply(NDS_DIVIDE, b);
    }
    array &
    operator+=(const scalar &b)
    {
        return apply(NDS_ADD, b);
    }
    array &
    operator-=(const scalar &b)
    {
        return apply(NDS_SUBTRACT, b);
    }
    array &
    operator*=(const scalar &b)
    {
        return apply(NDS_MULTIPLY, b);
    }
    array &
    operator/=(const scalar &b)
    {
        return apply(NDS_DIVIDE, b);
    }
    scalar
    reduce(nds_reduction op, int ddof = 0) const
    {
        nds_reduce_options opts = options<nds_reduce_options>();
        nds_scalar value;

        opts.ddof = ddof;
        check(nds_reduce(op, c_view(), &opts, &value));
        return value;
    }
    /* Over some axes, negative ones from the end. */
    array
    reduce_axes(nds_reduction op, const std::vector<int> &axes,
                bool keepdims = false, int ddof = 0) const
    {
        nds_reduce_options opts = options<nds_reduce_options>();
        int naxes = static_cast<int>(axes.size()), left = 0;
        shape extents(NDS_MAX_NDIM);
        const nds_dtype *type = nullptr;

        opts.ddof = ddof;
        opts.keepdims = keepdims;
        check(nds_reduce_shape(c_view(), naxes, axes.data(), &opts, &left,
                               extents.data()));
        extents.resize(static_cast<std::size_t>(left));
        check(nds_reduce_dtype(op, c_view()->dtype, &type));
        array result = zeros(dtype::adopt(type), extents);

        check(nds_reduce_axes(op, result.c_view(), c_view(), naxes,
                              axes.data(), &opts));
        return result;
    }
    scalar
    sum() const
    {
        return reduce(NDS_SUM);
    }
    scalar
    min() const
    {
        return reduce(NDS_MIN);
    }
    scalar
    max() const
    {
        return reduce(NDS_MAX);
    }
    scalar
    mean() const
    {
        return reduce(NDS_MEAN);
    }
    scalar
    std(int ddof = 0) const
    {
        return reduce(NDS_STD, ddof);
    }
    scalar
    var(int ddof = 0) const
    {
        return reduce(NDS_VAR, ddof);
    }
    scalar
    argmin() const
    {
        return reduce(NDS_ARGMIN);
    }
    scalar
    argmax() const
    {
        return reduce(NDS_ARGMAX);
    }
    scalar
    any() const
    {
        return reduce(NDS_ANY);
    }
    scalar
    all() const
    {
        return reduce(NDS_ALL);
    }

    /* ---- text, as NumPy's str and repr ---- */
    std::string
    str() const
    {
        return text_from(nds_view_str, c_view(), nullptr);
    }
    std::string
    repr() const
    {
        return text_from(nds_view_repr, c_view(), nullptr);
    }
    friend std::ostream &
    operator<<(std::ostream &out, const array &a)
    {
        return out << a.str();
    }

  private:
    static int
    ndim(const shape &extents) noexcept
    {
        return static_cast<int>(extents.size());
    }
    template <class Cut, class... Args>
    array
    part(Cut cut, Args... args) const
    {
        detail::view_owner v;

        check(cut(v.out(), c_view(), args...));
        return made<array>(nds_array_wrap, get(), v.out());
    }
    array &
    apply(nds_op op, const array &b)
    {
        check(nds_binary(op, c_view(), c_view(), b.c_view()));
        return *this;
    }
    array &
    apply(nds_op op, const scalar &b)
    {
        check(nds_binary_scalar(op, c_view(), c_view(), b.get()));
        return *this;
    }
};

/* multiprocessing.Array: one dimension, a type code, a lock. */
class typed_array : public owner<nds_typed, nds_typed_close>
{
  public:
    using owner::owner;
    using lock_type = held<nds_typed, nds_typed_unlock>;

    typed_array(char code, int64_t count, bool locked = true)
    {
        check(nds_typed_new(out(), code, count, locked));
    }
    typed_array(char code, const array &init, bool locked = true)
    {
        check(nds_typed_from(out(), code, init.c_view(), locked));
    }

    int64_t
    size() const noexcept
    {
        return nds_typed_count(get());
    }
    char
    code() const noexcept
    {
        return nds_typed_code(get());
    }
    detail::indexed<typed_array, scalar>
    begin() const noexcept
    {
        return {this, 0};
    }
    detail::indexed<typed_array, scalar>
    end() const noexcept
    {
        return {this, size()};
    }
    scalar
    at(int64_t i) const
    {
        nds_scalar value;

        check(nds_typed_get(get(), i, &value));
        return value;
    }
    void
    set(int64_t i, const scalar &value)
    {
        check(nds_typed_set(get(), i, value.get()));
    }
    lock_type
    lock(timeout wait = forever)
    {
        return detail::hold<nds_typed, nds_typed_unlock>(
            get(), nds_typed_lock(get(), nanoseconds(wait)));
    }
    /* The elements themselves; the lock is the caller's business. */
    array
    elements() const
    {
        return array::share(nds_typed_array(get()));
    }
    /* As print(arr[start:stop]) in Python. */
    std::string
    str(int64_t start = NDS_INDEX_MISSING,
        int64_t stop = NDS_INDEX_MISSING) const
    {
        return text_from(nds_typed_str, get(), start, stop);
    }
};

} // namespace nds

#endif
