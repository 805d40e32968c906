/* SPDX-License-Identifier: MIT */
/*
 * mutex.pml - the lock word with a kill at any step
 *
 * Three participants (JOIN 0), or two and one that joins in the entry of a dead
 * one (JOIN 1). STEP(p, x) is one store, load or CAS that others can see, or
 * the death of the process in its place; p is the kill point of src/sync that
 * lies there. At most KILLS die. The kernel's part: a dying process lets go of
 * its presence bytes.
 * Modelled: the word (owner, generation, waiters bit), the futex, entries
 * (state, generation, presence byte), heirs, burial, joining, giving back.
 *
 * Checked: at most one living holder; "owner died" comes to whoever takes the
 * lock after a death at work, and to nobody else; a sleeper that looks again
 * when nothing else can move (that is what a slice is for) gets the lock.
 *
 * A model that cannot fail proves nothing. MUTANT 1: an heir does not compare
 * the word. 2: giving back unlocks. 3: the generation is not asked.
 */
#ifndef KILLS
#define KILLS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef JOIN
#define JOIN 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif
#define EMPTY 0
#define LIVE 1
#define DYING 2
#define JOINER 3 /* with JOIN 1 */

/* The word. (Who died, `dead`, is its holder's note, so a local here.) */
byte wo, wg;
bool ww;
/* Entries 1..3: state, generation, who holds the presence byte. */
byte st[4], gn[4], by[4];
/* Processes 1..3. Out: ended, dead, or a joiner that finds no room. */
bool asleep[4], out[4];
/* The futex has been raised since this process read it. */
bool raised[4];
/* Ghosts: living ones inside, a death at work nobody has heard of, and whose
 * slice ended when nobody else could move, unless somebody has since. */
byte inside, kills, ended, vain;
bool owed;

#define NAMES_US (en != 0 && wo == en && wg == g)
#define STEP(point, x)                                                       \
    if                                                                       \
    :: atomic { vain = (vain == me -> me : 0); x }                           \
    :: DIE                                                                   \
    fi
#define LOOK(x) atomic { x }
#define DIE                                                                  \
    atomic {                                                                 \
        kills < KILLS -> kills++;                                            \
        owed = (NAMES_US -> true : owed);                                    \
        inside = (NAMES_US -> inside - 1 : inside);                          \
        asleep[me] = false; vain = 0; out[me] = true;                        \
        by[1] = (by[1] == me -> 0 : by[1]);                                  \
        by[2] = (by[2] == me -> 0 : by[2]);                                  \
        by[3] = (by[3] == me -> 0 : by[3]);                                  \
        goto over                                                            \
    }
#define STILL(p) (asleep[p] || out[p])
#define ALL_STILL (STILL(1) && STILL(2) && STILL(3))
#define ENTER(waiters)                                                       \
    wo = en; wg = g; ww = waiters; inside++; got = true;                     \
    assert(inside == 1)

#if MUTANT == 1
#define SAME_WORD (wo != 0)
#else
#define SAME_WORD (wo == o && wg == og && ww == ow)
#endif
#if MUTANT == 3
#define OTHER_LIFE(e, gen) (st[e] != LIVE)
#else
#define OTHER_LIFE(e, gen) (gn[e] != gen || st[e] != LIVE)
#endif

/* party.c: bury(), by whoever got the presence byte */
inline bury(e)
{
    LOOK(t = (st[e] != EMPTY && by[e] == 0));
    if
    :: t ->
        STEP(party.byte, t = (by[e] == 0); by[e] = (t -> me : by[e]));
        if
        :: t && st[e] != EMPTY ->
            STEP(party.bury_begin, st[e] = DYING);
            STEP(party.bury_done, st[e] = EMPTY);
            STEP(party.bury_empty, by[e] = 0)
        :: t && st[e] == EMPTY ->
            STEP(party.release, by[e] = 0)
        :: else
        fi
    :: else
    fi;
    t = false
}

/* mutex.c: inherit() */
inline inherit()
{
    LOOK(h = !OTHER_LIFE(o, og));
    t = true;
    if
    :: h -> STEP(heir.lock, t = (by[o] == 0); by[o] = (t -> me : by[o]))
    :: else
    fi;
    if
    :: t ->
        STEP(mutex.heir_byte,
             if
             :: SAME_WORD ->
                ENTER(true); assert(owed); owed = false; heir = true
             :: else
             fi);
        if
        :: got -> STEP(mutex.heir_took, dead_o = o; dead_g = og)
        :: else
        fi;
        if
        :: h -> STEP(heir.close, by[o] = 0)
        :: else
        fi
    :: else
    fi;
    h = false; t = false
}

/* mutex.c: the sleep of acquire_slow(). A slice ends when all others are
 * still; who then looks again must find the lock free, or its holder dead. */
inline sleep_a_slice()
{
    STEP(waiters, t = SAME_WORD; ww = (t -> true : ww));
    if
    :: t ->
        assert(vain != me);
        STEP(mutex.will_sleep, asleep[me] = !raised[me]);
        if
        :: !asleep[me]
        :: atomic {
            asleep[me] && ALL_STILL -> asleep[me] = false; vain = me
        }
        :: DIE
        fi
    :: else
    fi;
    t = false
}

inline acquire()
{
    STEP(mutex.before_take,
         if
         :: wo == 0 -> ENTER(false); assert(!owed)
         :: else
         fi);
    do
    :: got -> break
    :: else ->
        LOOK(raised[me] = false);
        LOOK(o = wo; og = wg; ow = ww);
        if
        :: o == 0 ->
            STEP(mutex.before_take,
                 if
                 :: wo == 0 -> ENTER(keep); assert(!owed)
                 :: else
                 fi)
        :: else ->
            LOOK(d = OTHER_LIFE(o, og));
            if
            :: !d -> LOOK(d = (by[o] == 0))
            :: else
            fi;
            if
            :: d -> inherit()
            :: else
            fi;
            if
            :: !got -> keep = true; sleep_a_slice()
            :: else
            fi
        fi
    od;
    o = 0; og = 0; ow = false; d = false; keep = false; raised[me] = true
}

/* mutex.c: let_go() for 0, or for the dead one's name */
inline release()
{
    if
    :: true ->
        STEP(mutex.before_free,
             ow = ww; wo = 0; wg = 0; ww = false; inside--)
    :: heir ->
        STEP(mutex.before_free,
             ow = ww; owed = true; ww = false; inside--;
#if MUTANT == 2
             wo = 0; wg = 0
#else
             wo = dead_o; wg = dead_g
#endif
             )
    fi;
    got = false; heir = false; dead_o = 0; dead_g = 0;
    if
    :: ow ->
        STEP(mutex.freed,
             raised[1] = true; raised[2] = true; raised[3] = true;
             if
             :: asleep[1] -> asleep[1] = false
             :: asleep[2] -> asleep[2] = false
             :: asleep[3] -> asleep[3] = false
             :: !asleep[1] && !asleep[2] && !asleep[3]
             fi)
    :: else
    fi;
    ow = false
}

/* party.c: join(), in an entry that is empty or a dead one's */
inline join()
{
    out[me] = true; /* until there is one */
    if
    :: atomic { by[1] == 0 -> e = 1; out[me] = false }
    :: atomic { by[2] == 0 -> e = 2; out[me] = false }
    :: ended == 2 -> goto over
    fi;
    STEP(party.join_byte, t = (by[e] == 0); by[e] = (t -> me : by[e]));
    if
    :: !t -> goto over
    :: else
    fi;
    t = false;
    STEP(party.join_gen, gn[e] = gn[e] + 1);
    STEP(party.join_live, st[e] = LIVE);
    en = e; g = gn[e]; e = 0
}

proctype Locker(byte me; byte rounds)
{
    byte en, g, e, o, og, dead_o, dead_g;
    bool ow, got, keep, heir, d, h, t;

    if
    :: JOIN == 1 && me == JOINER -> join()
    :: else -> en = me; g = 1
    fi;
    do
    :: rounds > 0 ->
        rounds--;
        if
        :: me == 2 -> bury(1)
        :: true
        fi;
        acquire();
        release()
    :: else -> break
    od;
over:
    atomic { ended++; out[me] = true; vain = 0 }
}

proctype Auditor()
{
    ended == 3;
    assert(inside == 0);
    assert(owed == (wo != 0));
    /* A name that is left is a dead one's, and the next one will see that. */
    assert(wo == 0 || gn[wo] != wg || st[wo] != LIVE || by[wo] == 0)
}

init
{
    atomic {
        st[1] = LIVE; gn[1] = 1; by[1] = 1;
        st[2] = LIVE; gn[2] = 1; by[2] = 2;
        if
        :: JOIN == 0 -> st[3] = LIVE; gn[3] = 1; by[3] = 3
        :: else
        fi;
        run Locker(1, ROUNDS);
        run Locker(2, ROUNDS);
        run Locker(3, ROUNDS);
        run Auditor()
    }
}
