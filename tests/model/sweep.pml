/* SPDX-License-Identifier: MIT */
/*
 * sweep.pml - one name, and all who make, use, sweep and take it away
 *
 * A publisher (links, or takes a dead one's place), a user (attaches), both
 * closing a `while used` name; two sweepers; a foreign mapper, who knows none
 * of our locks; a third party that makes the name mean a raw block of its own.
 * STEP(p, x) is one call of the kernel that others can see, or the death of
 * the process in its place; p is the kill point of src/mem that lies before it
 * (or the file's word for it). At most KILLS die. The kernel's part: a dead
 * process has nothing open and holds nothing.
 * Modelled: what the name means, link counts, descriptors, the in-use byte
 * (shared by users, exclusive for a sweeper), the lease (refused while anybody
 * else has the file open), the lock of names. Four at a time, beside the
 * publisher and a sweeper: RUN 0 the user and the mapper; RUN 3 the user and a
 * second sweeper; RUN 1 a second sweeper and the third party, holding the lock
 * of names; RUN 2 the same without that lock. Whoever closes sweeps as well.
 *
 * Checked: what a sweeper unlinks is no file that one of us uses, none that a
 * stranger had open when the lease was asked for, and no stranger's; who
 * has attached has a file that nobody has swept; and one more sweeper, when all
 * are gone, finds a dead name and removes it.
 *
 * Not promised, since the kernel has no unlink by descriptor: LIMIT 1, a mapper
 * that comes after the lease was asked for loses the name (not its memory);
 * LIMIT 2 (RUN 2), a third party without the lock that takes the name between
 * the last look and the unlink loses it. Both must be found here.
 *
 * A model that cannot fail proves nothing. MUTANT 1: no look whether the name
 * is still that file. 2: attaching does not look at the link count. 3: no
 * lease. 4: no exclusive byte. 5: no lock of names.
 */
#ifndef KILLS
#define KILLS 1
#endif
#ifndef RUN
#define RUN 0
#endif
#ifndef LIMIT
#define LIMIT 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

/* Processes. */
#define PUBLISHER 1
#define USER 2
#define SWEEPER 3 /* and 4 */
#define OTHER 5   /* the mapper or the third party */
#define LAST 6    /* the one sweeper more */

/* Files: the publisher's, one of a dead publisher, a raw block. */
#define NEW 1
#define OLD 2
#define RAW 3

byte name;                /* what it means, 0 nothing */
bool linked[4], swept[4]; /* swept: ghost */
/* By process: the file it uses and its shared lock on that; the file it asks
 * about as a sweeper and its exclusive lock on that. */
byte fd[7], ask[7];
bool sh[7], ex[7];
byte names_held; /* the lock of names */
/* Ghosts: attached to this file; between lease or look and unlink; the mapper
 * came after this one's lease. */
byte uses[7];
bool leased[7], looked[7], late[7];
byte kills, ended;

#define HAS(p, i) ((fd[p] == i) + (ask[p] == i))
#define OPEN(i)                                                              \
    (HAS(1, i) + HAS(2, i) + HAS(3, i) + HAS(4, i) + HAS(5, i) + HAS(6, i))
#define EX(p, i) (ex[p] && ask[p] == i)
#define ANY_EX(i)                                                            \
    (EX(1, i) || EX(2, i) || EX(3, i) || EX(4, i) || EX(5, i) || EX(6, i))
#define SH(p, i) (sh[p] && fd[p] == i)
#define ANY_SH(i) (SH(1, i) || SH(2, i))
#define USED(i) (uses[1] == i || uses[2] == i)
#define AT_WORK(what) (what[1] || what[2] || what[3] || what[4])

#define DIE                                                                  \
    atomic {                                                                 \
        me != LAST && kills < KILLS -> kills++;                              \
        goto over                                                            \
    }
#define STEP(point, x)                                                       \
    if                                                                       \
    :: atomic { x }                                                          \
    :: DIE                                                                   \
    fi
/* A wait for the lock of names, which may run out. */
#define HOLD_NAMES                                                           \
    if                                                                       \
    :: atomic { names_held == 0 || NO_NAME_LOCK -> names_held = me }         \
    :: me != LAST -> goto gave_up                                            \
    :: DIE                                                                   \
    fi
#define LET_GO_OF_NAMES names_held = (names_held == me -> 0 : names_held)

#define NO_NAME_LOCK (MUTANT == 5)
#define IS_IT (name == ask[me] || (MUTANT == 1 && name != 0))
#define NOT_SHARED (MUTANT == 4 || (!ANY_SH(ask[me]) && !ANY_EX(ask[me])))
#define NOBODY_ELSE (MUTANT == 3 || OPEN(ask[me]) == 1)

/* sweep.c: remove_dead(), with the lock of names */
inline remove_dead()
{
    STEP(sweep.held, t = NOT_SHARED; ex[me] = t && MUTANT != 4);
    if
    :: t ->
        STEP(sweep.locked,
             t = NOBODY_ELSE; leased[me] = t; late[me] = false);
        if
        :: t ->
            STEP(sweep.leased, t = IS_IT; looked[me] = t; leased[me] = t);
            if
            :: t ->
                STEP(sweep.unlinking,
                     if
                     :: name != 0 ->
                        assert(name != RAW);
                        assert(!USED(name));
                        assert(fd[OTHER] != name || (late[me] && LIMIT != 1));
                        linked[name] = false; swept[name] = true;
                        name = 0
                     :: else /* somebody was quicker: ENOENT */
                     fi;
                     looked[me] = false; leased[me] = false)
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    t = false
}

/* sweep.c: ndi_sweep_name(). held: by the publisher, who has the lock of names
 * already. A raw block is not ours, and stays. */
inline sweep(held)
{
    STEP(sweep.open, ask[me] = (name == RAW -> 0 : name));
    if
    :: ask[me] != 0 && !held ->
        if
        :: atomic { names_held == 0 || NO_NAME_LOCK -> names_held = me }
        :: me != LAST /* a second was not enough */
        :: DIE
        fi;
        if
        :: names_held == me || NO_NAME_LOCK ->
            remove_dead();
            STEP(sweep.let_go, LET_GO_OF_NAMES)
        :: else
        fi
    :: ask[me] != 0 && held -> remove_dead()
    :: else
    fi;
    STEP(sweep.close, ex[me] = false; ask[me] = 0)
}

/* segment.c: ndi_segment_put() of a `while used` segment */
inline put()
{
    STEP(segment.left, uses[me] = 0; sh[me] = false; fd[me] = 0);
    sweep(false)
}

/* What the kernel does when a process ends, or dies. */
inline end()
{
    atomic {
        uses[me] = 0; fd[me] = 0; sh[me] = false;
        ask[me] = 0; ex[me] = false;
        leased[me] = false; looked[me] = false;
        LET_GO_OF_NAMES; t = false;
        ended++
    }
}

/* segment.c: ndi_segment_create(), publish(), link_new() */
proctype Publisher(byte me)
{
    bool t;

    STEP(segment.ready, fd[me] = NEW; sh[me] = true; uses[me] = NEW);
    HOLD_NAMES;
    STEP(publish.held,
         t = (name == 0);
         name = (t -> NEW : name); linked[NEW] = t);
    if
    :: !t ->
        sweep(true);
        STEP(publish.again,
             t = (name == 0);
             name = (t -> NEW : name); linked[NEW] = t)
    :: else
    fi;
    t = false;
    STEP(publish.linked, LET_GO_OF_NAMES);
gave_up:
    put();
over:
    end()
}

/* segment_attach.c: attach_once(), and once more after NDS_EAGAIN */
proctype User(byte me)
{
    bool t;
    byte tries = 2;

    do
    :: tries > 0 ->
        tries--;
        STEP(attach.open, fd[me] = (name == RAW -> 0 : name));
        if
        :: fd[me] == 0 -> break /* not there, or not ours */
        :: else
        fi;
        STEP(attach.opened, t = !ANY_EX(fd[me]); sh[me] = t);
        if
        :: t ->
            STEP(attach.in_use,
                 t = linked[fd[me]] || MUTANT == 2;
                 uses[me] = (t -> fd[me] : 0);
                 assert(!t || !swept[fd[me]]))
        :: else
        fi;
        if
        :: t -> t = false; put(); break
        :: else -> STEP(attach.again, sh[me] = false; fd[me] = 0)
        fi
    :: else -> break
    od;
over:
    end()
}

proctype Sweeper(byte me)
{
    bool t;

    sweep(false);
over:
    end()
}

/* open, mmap; munmap, close. */
proctype Mapper(byte me)
{
    bool t;

    STEP(open,
         fd[me] = name;
         late[1] = leased[1]; late[2] = leased[2];
         late[3] = leased[3]; late[4] = leased[4];
         late[LAST] = false);
    STEP(close, fd[me] = 0);
over:
    end()
}

/* The name becomes a raw block of its own: by unlink and link, or by rename.
 * Without the lock of names: not between a sweeper's last look and its unlink,
 * unless LIMIT 2. */
#define LAWFUL (RUN == 1)
#define MAY (LAWFUL || LIMIT == 2 || !AT_WORK(looked))
proctype Third(byte me)
{
    bool t;

    if
    :: LAWFUL -> HOLD_NAMES
    :: else
    fi;
    if
    :: true ->
        STEP(publish.rename,
             MAY -> linked[name] = false; name = RAW; linked[RAW] = true)
    :: true ->
        STEP(unlink.held, linked[name] = false; name = 0);
        if
        :: LAWFUL -> STEP(unlink.done, LET_GO_OF_NAMES); HOLD_NAMES
        :: else
        fi;
        STEP(raw.link,
             MAY -> t = (name == 0);
             name = (t -> RAW : name); linked[RAW] = t)
    fi;
gave_up:
over:
    end()
}

proctype Last(byte me)
{
    bool t;
    byte was;

    ended == 4;
    was = name;
    sweep(false);
    assert(name == (was == RAW -> RAW : 0));
over:
    skip
}

init
{
    atomic {
        if
        :: true
        :: name = OLD; linked[OLD] = true /* its publisher was killed */
        fi;
        run Publisher(PUBLISHER);
        run Sweeper(SWEEPER);
        if
        :: RUN == 0 -> run User(USER); run Mapper(OTHER)
        :: RUN == 3 -> run User(USER); run Sweeper(SWEEPER + 1)
        :: else -> run Sweeper(SWEEPER + 1); run Third(OTHER)
        fi;
        run Last(LAST)
    }
}
