/* SPDX-License-Identifier: MIT */
/*
 * value.hpp - a tree of plain Python values
 *
 *     nds::value v = nds::value::list(7, 2.5, "text", array);
 *     v.append(nds::value::parse("{'axis': 0}"));
 *     v.at(4).at("axis").as_int();
 *     for (const nds::value &item : v) { use(item); }
 *
 * What managers, connections and shareable lists carry.
 */
#ifndef NDSHARE_CPP_VALUE_HPP
#define NDSHARE_CPP_VALUE_HPP

#include <ndshare/cpp/array.hpp>

#include <string_view>

namespace nds
{

class value : public owner<nds_value, nds_value_free>
{
  public:
    using owner::owner;

    /* ---- making; an empty one, value(), is not None but nothing ---- */
    value(bool b) : value(made_of(nds_value_bool(b)))
    {
    }
    value(double x) : value(made_of(nds_value_float(x)))
    {
    }
    template <class I, std::enable_if_t<std::is_integral_v<I> &&
                                            !std::is_same_v<I, bool>,
                                        int> = 0>
    value(I i)
        : value(made_of(std::is_signed_v<I>
                            ? nds_value_int(static_cast<int64_t>(i))
                            : nds_value_uint(static_cast<uint64_t>(i))))
    {
    }
    value(std::complex<double> z)
        : value(made_of(nds_value_complex(z.real(), z.imag())))
    {
    }
    value(std::string_view text)
        : value(made_of(nds_value_strn(text.data(), text.size())))
    {
    }
    value(const std::string &text) : value(std::string_view(text))
    {
    }
    value(const char *text) : value(std::string_view(text))
    {
    }
    /* The array itself, not a copy. */
    value(const array &a) : value(made_of(nds_value_array(a.get())))
    {
    }
    value(const dtype &type) : value(made_of(nds_value_dtype(type.get())))
    {
    }
    static value
    none()
    {
        return made_of(nds_value_none());
    }
    static value
    bytes(std::string_view data)
    {
        return made_of(nds_value_bytes(data.data(), data.size()));
    }
    template <class... Items>
    static value
    list(Items &&...items)
    {
        return filled(nds_value_list(), std::forward<Items>(items)...);
    }
    template <class... Items>
    static value
    tuple(Items &&...items)
    {
        return filled(nds_value_tuple(), std::forward<Items>(items)...);
    }
    static value
    dict()
    {
        return made_of(nds_value_dict());
    }
    /* From a Python literal: "(3, 4)", "{'axis': 0}". */
    static value
    parse(const char *text)
    {
        return made<value>(nds_value_parse, text);
    }
    /* A pickle that every Python loads, and the value of one. */
    static value
    loads(std::string_view pickle)
    {
        return made<value>(nds_value_loads, pickle.data(), pickle.size());
    }
    std::string
    dumps(int protocol = 0) const
    {
        void *data = nullptr;
        std::size_t nbytes = 0;

        check(nds_value_dumps(get(), protocol, &data, &nbytes));
        return take_text(static_cast<char *>(data), nbytes);
    }
    /* A tree of its own; the arrays in it are the same memory. */
    value
    copy() const
    {
        return made_of(nds_value_copy(get()));
    }

    /* ---- a container's items ---- */
    /* Of a dict: twice its entries. Of a text: its bytes. */
    std::size_t
    size() const noexcept
    {
        return nds_value_count(get());
    }
    /* A copy of item i (of a dict: 2i is a key, 2i + 1 its value). */
    value
    at(int64_t i) const
    {
        return found(nds_value_item(get(), static_cast<std::size_t>(i)),
                     NDS_EINDEX, std::to_string(i));
    }
    bool
    contains(const value &item) const noexcept
    {
        return nds_value_contains(get(), item.get());
    }
    void
    append(value item)
    {
        check(nds_value_append(get(), item.release()));
    }
    /* Of a dict. */
    void
    set(value key, value item)
    {
        check(nds_value_set_key(get(), key.release(), item.release()));
    }
    value
    at(const value &key) const
    {
        return found(nds_value_get_key(get(), key.get()), NDS_EKEY,
                     key.repr());
    }
    /* Before item i of a list. */
    void
    insert(std::size_t i, value item)
    {
        check(nds_value_insert(get(), i, item.release()));
    }
    void
    replace(std::size_t i, value item)
    {
        check(nds_value_replace(get(), i, item.release()));
    }
    /* Item i, or the entry of a dict that it belongs to. */
    void
    remove(std::size_t i)
    {
        check(nds_value_remove(get(), i));
    }
    detail::indexed<value, value>
    begin() const noexcept
    {
        return {this, 0};
    }
    detail::indexed<value, value>
    end() const noexcept
    {
        return {this, static_cast<int64_t>(size())};
    }

    /* ---- what it is; NDS_EINVAL if it is something else ---- */
    enum nds_value_kind
    kind() const noexcept
    {
        return ::nds_value_kind(get());
    }
    bool
    is_none() const noexcept
    {
        return nds_value_is_none(get());
    }
    bool
    as_bool() const
    {
        return as<bool>(nds_value_as_bool, "a bool");
    }
    int64_t
    as_int() const
    {
        return as<int64_t>(nds_value_as_int, "an int");
    }
    double
    as_float() const
    {
        return as<double>(nds_value_as_float, "a float");
    }
    std::complex<double>
    as_complex() const
    {
        double re = 0, im = 0;

        need(nds_value_as_complex(get(), &re, &im), "a number");
        return {re, im};
    }
    /* Of a str, bytes, ...: its bytes. */
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
    dtype
    as_dtype() const
    {
        const nds_dtype *lent = nds_value_as_dtype(get());

        need(lent != nullptr, "a dtype");
        return dtype(lent);
    }
    std::string
    repr() const
    {
        return text_from(nds_value_repr, get());
    }
    /* Python's ==: of numbers by value, of arrays never. */
    friend bool
    operator==(const value &a, const value &b) noexcept
    {
        return nds_value_equal(a.get(), b.get());
    }
    friend bool
    operator!=(const value &a, const value &b) noexcept
    {
        return !(a == b);
    }
    friend std::ostream &
    operator<<(std::ostream &out, const value &v)
    {
        return out << v.repr();
    }

  private:
    static value
    made_of(nds_value *handle)
    {
        if (handle == nullptr) {
            throw error(NDS_ENOMEM, nullptr);
        }
        return value(handle);
    }
    template <class... Items>
    static value
    filled(nds_value *container, Items &&...items)
    {
        value v = made_of(container);

        (v.append(value(std::forward<Items>(items))), ...);
        return v;
    }
    value
    found(const nds_value *item, int code, const std::string &what) const
    {
        if (item == nullptr) {
            detail::fail(code, repr() + " has no item " + what);
        }
        return made_of(nds_value_copy(item));
    }
    template <class T>
    T
    as(bool (*give)(const nds_value *, T *), const char *what) const
    {
        T x{};

        need(give(get(), &x), what);
        return x;
    }
    void
    need(bool is, const char *what) const
    {
        if (!is) {
            detail::fail(NDS_EINVAL, repr() + " is not " + what);
        }
    }
};

} // namespace nds

#endif
