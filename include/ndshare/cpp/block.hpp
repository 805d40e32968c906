/* SPDX-License-Identifier: MIT */
/*
 * block.hpp - names in shared memory: raw blocks, scopes, who is there
 *
 *     auto b = nds::block::create_raw("MyMemory", 80000);
 *     b.bytes()[0] = std::byte{1};
 *     if (b.name_lost()) { tell(); }      // somebody unlinked it
 *     {
 *         nds::scope s;                   // as Python's SharedMemoryManager
 *         auto t = nds::block::create_raw(s, 4096);
 *     }                                   // the name of t is gone
 *     for (const nds_name_info &n : nds::names()) { std::puts(n.name); }
 */
#ifndef NDSHARE_CPP_BLOCK_HPP
#define NDSHARE_CPP_BLOCK_HPP

#include <ndshare/cpp/view.hpp>

#include <new>

namespace nds
{

/* Names that go with it, or with this process, however it ends. */
class scope : public owner<nds_scope, nds_scope_close>
{
  public:
    explicit scope(nds_scope *handle) noexcept : owner(handle)
    {
    }
    scope()
    {
        check(nds_scope_new(out()));
    }
    /* A name that is there, of whatever kind. */
    void
    add(const char *name)
    {
        check(nds_scope_add(get(), name));
    }
    /* How many of its names still are what they were. */
    int
    size() const
    {
        return check(nds_scope_count(get()));
    }
};

/* A name and a byte count, as Python's SharedMemory. */
class block : public owner<nds_block, nds_block_close>
{
  public:
    using owner::owner;

    static block
    create_raw(const char *name, std::size_t nbytes, unsigned mode_bits = 0600)
    {
        return made<block>(nds_block_create_raw, name, nbytes, mode_bits);
    }
    /* name nullptr: a fresh one, "psm_" and eight digits. */
    static block
    create_raw(const char *name, std::size_t nbytes,
               const nds_raw_options &opts)
    {
        return made<block>(nds_block_new_raw, name, nbytes, &opts);
    }
    /* With a fresh name that goes with the scope. */
    static block
    create_raw(const scope &within, std::size_t nbytes)
    {
        nds_raw_options opts = options<nds_raw_options>();

        opts.scope = within.get();
        return create_raw(nullptr, nbytes, opts);
    }
    static block
    attach_raw(const char *name, nds_mode mode = NDS_READWRITE)
    {
        return made<block>(nds_block_attach_raw, name, mode);
    }
    static block
    attach_sysv(int shmid, nds_mode mode = NDS_READWRITE)
    {
        return made<block>(nds_block_attach_sysv, shmid, mode);
    }
    /* Another handle on a C handle that stays its owner's. */
    static block
    share(nds_block *lent)
    {
        return block(nds_block_get(lent));
    }

    span<std::byte>
    bytes() const noexcept
    {
        return {static_cast<std::byte *>(nds_block_data(get())), size()};
    }
    std::size_t
    size() const noexcept
    {
        return nds_block_nbytes(get());
    }
    /* "" if it has none. */
    const char *
    name() const noexcept
    {
        return nds_block_name(get());
    }
    nds_reach
    reach() const noexcept
    {
        return nds_block_reach(get());
    }
    bool
    is_readonly() const noexcept
    {
        return nds_block_is_readonly(get());
    }
    /* NDS_ENOENT nobody has its name any more; NDS_ESTALE the name leads to
     * something else; NDS_EINVAL it never had one. */
    void
    check_name() const
    {
        check(nds_block_check_name(get()));
    }
    /* The first two of these as an answer. */
    bool
    name_lost() const
    {
        int rc = nds_block_check_name(get());

        return rc == NDS_ENOENT || rc == NDS_ESTALE || (check(rc), false);
    }
    /* Of a file: writes through to the disk. */
    void
    flush()
    {
        check(nds_block_flush(get()));
    }
};

/* A name of any kind. */
inline void
unlink(const char *name)
{
    check(nds_name_unlink(name));
}

inline nds_name_info
name_info(const char *name)
{
    nds_name_info info = options<nds_name_info>();

    check(nds_name_info_get(name, &info));
    return info;
}

/* What lives on this machine; `all`: foreign names too. */
inline std::vector<nds_name_info>
names(bool all = false)
{
    std::vector<nds_name_info> found;

    check(nds_names_walk(
        all,
        [](const nds_name_info *info, void *ctx) -> int {
            try {
                static_cast<std::vector<nds_name_info> *>(ctx)->push_back(
                    *info);
            } catch (const std::bad_alloc &) {
                return nds_error_set(NDS_ENOMEM, "no memory for the names");
            }
            return 0;
        },
        &found));
    return found;
}

/* Removes what the dead left; how many names that were. */
inline int
sweep(bool dry_run = false)
{
    return check(nds_sweep(dry_run, nullptr, nullptr));
}

} // namespace nds

#endif
