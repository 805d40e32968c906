/* SPDX-License-Identifier: MIT */
/*
 * view.hpp - dtypes, spans, and typed views of any strides
 *
 *     nds::span<double> all = a.as<double>();       // C-contiguous only
 *     nds::view<double, 2> m = a.view<double, 2>(); // any strides
 *     m(3, 4) = 1;
 *     auto md = m.mdspan();                         // where the compiler has
 *                                                   // std::mdspan
 */
#ifndef NDSHARE_CPP_VIEW_HPP
#define NDSHARE_CPP_VIEW_HPP

#include <ndshare/cpp/base.hpp>

#include <array>
#include <complex>
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <vector>
#if __cplusplus >= 202002L
#include <version>
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif
#if defined(__cpp_lib_mdspan)
#include <mdspan>
#endif

namespace nds
{

#if defined(__cpp_lib_span)
template <class T> using span = std::span<T>;
#else
/* What std::span is from C++20 on, as far as it is used here. */
template <class T> class span
{
  public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using size_type = std::size_t;
    using iterator = T *;

    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept
        : data_(data), size_(size)
    {
    }
    /* Of T as const T. */
    template <class U, std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>,
                                        int> = 0>
    constexpr span(const span<U> &other) noexcept
        : data_(other.data()), size_(other.size())
    {
    }
    constexpr T *
    data() const noexcept
    {
        return data_;
    }
    constexpr std::size_t
    size() const noexcept
    {
        return size_;
    }
    constexpr std::size_t
    size_bytes() const noexcept
    {
        return size_ * sizeof(T);
    }
    constexpr bool
    empty() const noexcept
    {
        return size_ == 0;
    }
    constexpr T &
    operator[](std::size_t i) const
    {
        return data_[i];
    }
    constexpr T *
    begin() const noexcept
    {
        return data_;
    }
    constexpr T *
    end() const noexcept
    {
        return data_ + size_;
    }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

using shape = std::vector<int64_t>;

/* The native dtype of a C++ type; undefined for what has none. */
template <class T> constexpr nds_type
type_of()
{
    using V = std::remove_cv_t<T>;

    if constexpr (std::is_same_v<V, bool>) {
        return NDS_TYPE_BOOL;
    } else if constexpr (std::is_integral_v<V>) {
        constexpr bool is_signed = std::is_signed_v<V>;

        return sizeof(V) == 1   ? is_signed ? NDS_TYPE_INT8 : NDS_TYPE_UINT8
               : sizeof(V) == 2 ? is_signed ? NDS_TYPE_INT16 : NDS_TYPE_UINT16
               : sizeof(V) == 4 ? is_signed ? NDS_TYPE_INT32 : NDS_TYPE_UINT32
               : is_signed      ? NDS_TYPE_INT64
                                : NDS_TYPE_UINT64;
    } else if constexpr (std::is_same_v<V, float>) {
        return NDS_TYPE_FLOAT32;
    } else if constexpr (std::is_same_v<V, double>) {
        return NDS_TYPE_FLOAT64;
    } else if constexpr (std::is_same_v<V, long double>) {
        return NDS_TYPE_LONGDOUBLE;
    } else if constexpr (std::is_same_v<V, std::complex<float>>) {
        return NDS_TYPE_COMPLEX64;
    } else if constexpr (std::is_same_v<V, std::complex<double>>) {
        return NDS_TYPE_COMPLEX128;
    } else {
        static_assert(!sizeof(V *), "no dtype stands for this type");
    }
}

/* Counted; copies cost one addition. */
class dtype
{
  public:
    dtype(const char *text)
    {
        check(nds_dtype_parse(&handle_, text));
    }
    dtype(const std::string &text) : dtype(text.c_str())
    {
    }
    /* Takes a count of its own. */
    explicit dtype(const nds_dtype *handle) : handle_(nds_dtype_get(handle))
    {
    }
    /* The count that the caller has becomes its own. */
    static dtype
    adopt(const nds_dtype *handle)
    {
        dtype taken(handle);

        nds_dtype_put(handle);
        return taken;
    }
    template <class T>
    static dtype
    of()
    {
        return dtype(nds_dtype_builtin(type_of<T>()));
    }
    dtype(const dtype &other) : handle_(nds_dtype_get(other.handle_))
    {
    }
    dtype(dtype &&other) noexcept
        : handle_(std::exchange(other.handle_, nullptr))
    {
    }
    dtype &
    operator=(dtype other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~dtype()
    {
        if (handle_ != nullptr) {
            nds_dtype_put(handle_);
        }
    }

    const nds_dtype *
    get() const noexcept
    {
        return handle_;
    }
    int64_t
    itemsize() const noexcept
    {
        return nds_dtype_itemsize(handle_);
    }
    char
    kind() const noexcept
    {
        return nds_dtype_kind(handle_);
    }
    bool
    is_native() const noexcept
    {
        return nds_dtype_is_native(handle_);
    }
    /* '<', '>' or '=' for native */
    dtype
    with_order(char order) const
    {
        const nds_dtype *other = nullptr;

        check(nds_dtype_with_order(&other, handle_, order));
        return adopt(other);
    }
    struct field;
    /* Of a record; none of all else. */
    std::vector<field> fields() const;
    /* "float64" */
    std::string
    name() const
    {
        return text_from(nds_dtype_name, handle_);
    }
    /* "<f8" */
    std::string
    str() const
    {
        return text_from(nds_dtype_str, handle_);
    }
    friend bool
    operator==(const dtype &a, const dtype &b)
    {
        return nds_dtype_equal(a.handle_, b.handle_);
    }
    friend bool
    operator!=(const dtype &a, const dtype &b)
    {
        return !(a == b);
    }

  private:
    const nds_dtype *handle_ = nullptr;
};

struct dtype::field {
    std::string name;
    dtype type;
    int64_t off; /* bytes from the record's start */
};

inline std::vector<dtype::field>
dtype::fields() const
{
    std::vector<field> all;

    for (int64_t i = 0; i < nds_dtype_field_count(handle_); i++) {
        const char *name = nullptr;
        const nds_dtype *type = nullptr;
        int64_t off = 0;

        check(nds_dtype_field(handle_, i, &name, &type, &off));
        all.push_back({name, dtype(type), off});
    }
    return all;
}

namespace detail
{
/* A C view of our making, ended with the scope. */
class view_owner
{
  public:
    view_owner() = default;
    view_owner(const view_owner &) = delete;
    view_owner &operator=(const view_owner &) = delete;
    ~view_owner()
    {
        nds_view_fini(&view_);
    }
    nds_view *
    out() noexcept
    {
        return &view_;
    }

  private:
    nds_view view_{};
};

[[noreturn]] inline void
fail(int code, const std::string &text)
{
    throw error(code, text.c_str());
}

/* T may look at the elements of v: the same type in native order (or, for
 * trivially copyable records, the same size), const if v is read-only. */
template <class T>
void
check_type(const nds_view &v)
{
    using V = std::remove_cv_t<T>;

    if constexpr (std::is_arithmetic_v<V> ||
                  std::is_same_v<V, std::complex<float>> ||
                  std::is_same_v<V, std::complex<double>>) {
        if (!nds_dtype_equal(v.dtype, nds_dtype_builtin(type_of<V>()))) {
            fail(NDS_EDTYPE, "the array is of " + dtype(v.dtype).name() +
                                 ", not of " + dtype::of<V>().name());
        }
    } else {
        static_assert(std::is_trivially_copyable_v<V>);
        if (nds_dtype_itemsize(v.dtype) != static_cast<int64_t>(sizeof(V))) {
            fail(NDS_EDTYPE, "elements of " + dtype(v.dtype).name() +
                                 " are not of this type's size");
        }
    }
    if (!std::is_const_v<T> && (v.flags & NDS_VIEW_READONLY) != 0) {
        fail(NDS_EREADONLY, "the array is read-only: ask for const elements");
    }
    if (reinterpret_cast<std::uintptr_t>(v.data) % alignof(V) != 0) {
        fail(NDS_EBUFFER, "the elements are not aligned for this type");
    }
}

/* The elements in C order as one run. */
template <class T>
span<T>
as_span(const nds_view &v)
{
    check_type<T>(v);
    if (!nds_view_is_contiguous(&v, 'C')) {
        fail(NDS_ESHAPE, "the elements are not contiguous in C order: copy "
                         "the array, or use view<T, N>()");
    }
    return {static_cast<T *>(v.data),
            static_cast<std::size_t>(nds_view_count(&v))};
}
} // namespace detail

/* N dimensions of T at any strides, over memory that an array keeps. Indices
 * are not checked; at() checks them. */
template <class T, std::size_t N> class view
{
  public:
    explicit view(const nds_view &v)
    {
        detail::check_type<T>(v);
        if (v.ndim != static_cast<int32_t>(N)) {
            detail::fail(NDS_ESHAPE,
                         "the array has " + std::to_string(v.ndim) +
                             " dimensions, not " + std::to_string(N));
        }
        data_ = static_cast<char *>(v.data);
        for (std::size_t i = 0; i < N; i++) {
            if (v.strides[i] % static_cast<int64_t>(alignof(T)) != 0) {
                detail::fail(NDS_EBUFFER, "the strides are not aligned for "
                                          "this type");
            }
            shape_[i] = v.shape[i];
            strides_[i] = v.strides[i];
        }
    }

    const std::array<int64_t, N> &
    shape() const noexcept
    {
        return shape_;
    }
    int64_t
    extent(std::size_t i) const noexcept
    {
        return shape_[i];
    }
    /* Bytes, as in NumPy. */
    const std::array<int64_t, N> &
    strides() const noexcept
    {
        return strides_;
    }
    template <class... I>
    T &
    operator()(I... index) const
    {
        static_assert(sizeof...(I) == N, "one index a dimension");
        int64_t off = 0;
        std::size_t i = 0;

        ((off += static_cast<int64_t>(index) * strides_[i++]), ...);
        return *reinterpret_cast<T *>(data_ + off);
    }
    template <class... I>
    T &
    at(I... index) const
    {
        std::size_t i = 0;

        (check_index(static_cast<int64_t>(index), i++), ...);
        return (*this)(index...);
    }
#if defined(__cpp_lib_mdspan)
    using mdspan_type = std::mdspan<T, std::dextents<int64_t, N>,
                                    std::layout_stride>;
    /* Positive strides that are whole elements, as std::mdspan has them. */
    mdspan_type
    mdspan() const
    {
        std::array<int64_t, N> steps{};

        for (std::size_t i = 0; i < N; i++) {
            if (strides_[i] <= 0 ||
                strides_[i] % static_cast<int64_t>(sizeof(T)) != 0) {
                detail::fail(NDS_ESHAPE, "std::mdspan has no such strides");
            }
            steps[i] = strides_[i] / static_cast<int64_t>(sizeof(T));
        }
        return mdspan_type(reinterpret_cast<T *>(data_),
                           {std::dextents<int64_t, N>(shape_), steps});
    }
#endif

  private:
    void
    check_index(int64_t index, std::size_t axis) const
    {
        if (index < 0 || index >= shape_[axis]) {
            detail::fail(NDS_EINDEX,
                         "index " + std::to_string(index) +
                             " is out of bounds for axis " +
                             std::to_string(axis) + " with size " +
                             std::to_string(shape_[axis]));
        }
    }

    char *data_ = nullptr;
    std::array<int64_t, N> shape_{};
    std::array<int64_t, N> strides_{};
};

} // namespace nds

#endif
