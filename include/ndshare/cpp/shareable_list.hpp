/* SPDX-License-Identifier: MIT */
/*
 * shareable_list.hpp - Python's ShareableList
 *
 *     auto l = nds::shareable_list::create(
 *         "settings", nds::value::list(1, 2.5, "text"));
 *     l.set(0, 7);
 *     for (const nds::value &item : l) { std::cout << item << "\n"; }
 *     nds::unlink("settings");
 *
 * Python: ShareableList(name="settings"). There is no lock, in Python's
 * neither; each use reads what stands there then.
 */
#ifndef NDSHARE_CPP_SHAREABLE_LIST_HPP
#define NDSHARE_CPP_SHAREABLE_LIST_HPP

#include <ndshare/cpp/value.hpp>

namespace nds
{

class shareable_list
    : public owner<nds_shareable_list, nds_shareable_list_close>
{
  public:
    using owner::owner;

    /* items: a list or tuple of plain values; name nullptr: a fresh one. */
    static shareable_list
    create(const char *name, const value &items,
           const nds_shareable_list_options &opts =
               options<nds_shareable_list_options>())
    {
        return made<shareable_list>(nds_shareable_list_create, name,
                                    items.get(), &opts);
    }
    /* With a fresh name that goes with the scope. */
    static shareable_list
    create(const scope &within, const value &items)
    {
        nds_shareable_list_options opts =
            options<nds_shareable_list_options>();

        opts.scope = within.get();
        return create(nullptr, items, opts);
    }
    static shareable_list
    attach(const char *name, nds_mode mode = NDS_READWRITE)
    {
        return made<shareable_list>(nds_shareable_list_attach, name, mode);
    }

    int64_t
    size() const noexcept
    {
        return nds_shareable_list_count(get());
    }
    const char *
    name() const noexcept
    {
        return nds_shareable_list_name(get());
    }
    /* The memory it is in, which knows whether the name still leads there. */
    nds::block
    block() const
    {
        return nds::block::share(nds_shareable_list_block(get()));
    }
    /* Negative indices count from the end. */
    value
    at(int64_t i) const
    {
        value item;

        check(nds_shareable_list_get(get(), i, item.out()));
        return item;
    }
    /* NDS_EBUFFER: the item's slot is too small for it. */
    void
    set(int64_t i, value item)
    {
        check(nds_shareable_list_set(get(), i, item.release()));
    }
    /* All of them, as a list. */
    value
    values() const
    {
        value all;

        check(nds_shareable_list_values(get(), all.out()));
        return all;
    }
    /* Where the first one is that equals; NDS_EKEY. */
    int64_t
    index(const value &item) const
    {
        int64_t i = 0;

        check(nds_shareable_list_index(get(), item.get(), &i));
        return i;
    }
    std::string
    repr() const
    {
        return text_from(nds_shareable_list_repr, get());
    }
    detail::indexed<shareable_list, value>
    begin() const noexcept
    {
        return {this, 0};
    }
    detail::indexed<shareable_list, value>
    end() const noexcept
    {
        return {this, size()};
    }
};

} // namespace nds

#endif
