/* SPDX-License-Identifier: MIT */
/*
 * chan.pml - the slot table with a kill at any step
 *
 * One producer, two consumers, two slots, two extents, three items. STEP(x) is
 * one store to shared memory, or the death of the process in its place; at
 * most KILLS of them die, so somebody is left to repair. Modelled: the words,
 * the lock that names its holder, dirty, presence (alive, and the byte that
 * gives the right to bury), the lane of the producer and the caches (list,
 * free slots, free extents).
 *
 * With RUN 2 both sides work in runs: loans in one section, one range of
 * numbers and one move of the tail for the run; claims in one section, a
 * consumer may give back what it has not started, and frees in one section.
 *
 * With AHEAD the producer takes a loan ahead, which anybody may take back, and
 * starts it without the lock. With PICK a consumer that knows its place in the
 * lane picks an item without the lock, and gives the slot up without it, for
 * whoever comes next to collect; both count as waiting until somebody who holds
 * the lock has seen them.
 *
 * Checked whenever caches are said to be clean, and at the end after a last
 * burial: slots and extents are partitioned, every committed item is in one
 * place or was delivered exactly once, and whatever waits can be found.
 */
#ifndef KILLS
#define KILLS 2
#endif
#define NS 2
#ifndef ITEMS
#define ITEMS 3
#endif
#ifndef RUN
#define RUN 1 /* items of one section, at most */
#endif
#define PRODUCER 1

#define FREE 0
#define LOANED 1
#define READY 2
#define TAKEN 3
#define BACK 4
#define RESERVED 5
#define GIVEN 6
#define PICKED 7
/* What a holder of the lock may make plain: a swap of the word. */
#define IS_ODD(x) (st[x] == RESERVED || st[x] == GIVEN || st[x] == PICKED)
#define SETTLE(x)                                                            \
    if                                                                       \
    :: st[x] == PICKED -> st[x] = TAKEN                                      \
    :: st[x] == RESERVED || st[x] == GIVEN -> st[x] = FREE; own[x] = 0       \
    :: else                                                                  \
    fi
#define COUNTS(x) (st[x] == LOANED || WAITS(x) || IS_ODD(x))

/* The words (one store each, so always changed in one atomic step). */
byte st[NS], own[NS], sq[NS];
/* The descriptor. */
byte ext[NS];
/* Caches. */
bool lst[NS], fr[NS], ef[NS];
byte head;
byte unclaimed; /* loans and what waits */
/* The lane: entries by the producer, tail by the producer. */
byte eslot[ITEMS], eseq[ITEMS], tail;
byte nseq = 1;
/* Lock, participants (1 producer, 2 and 3 consumers). */
byte lk;
bool dirty;
bool alive[4], buried[4];
byte grave[4]; /* who holds the presence byte of the dead one */
/* Ghosts: what an observer outside would count. */
byte committed, delivered, kills, ended;
byte got[ITEMS + 1]; /* by seq */

/* A model that cannot fail proves nothing: with MUTANT it must. */
#ifndef MUTANT
#define MUTANT 0
#endif
#if MUTANT == 1
#define SET_DIRTY skip
#else
#define SET_DIRTY STEP(dirty = true;)
#endif

#define STEP(x)                                                              \
    if                                                                       \
    :: atomic { x }                                                          \
    :: atomic { kills < KILLS -> kills++; alive[me] = false };               \
       goto over                                                             \
    fi

#define WAITS(x) (st[x] == READY || st[x] == BACK)

/* Words and caches agree. */
inline check_clean()
{
    d_step {
        k = 0;
        do
        :: k < NS ->
            assert((st[k] == FREE) == fr[k]);
            assert(!fr[k] || !lst[k]);
            if
            :: st[k] != FREE -> assert(!ef[ext[k]])
            :: else
            fi;
            k++
        :: else -> break
        od;
        assert(st[0] == FREE || st[1] == FREE || ext[0] != ext[1]);
        assert(fr[0] + fr[1] == ef[0] + ef[1]);
        assert(unclaimed == COUNTS(0) + COUNTS(1));
        k = 0;
    }
}

inline rebuild()
{
    STEP(dirty = true;);
    STEP(head = tail;);
    STEP(ef[0] = true;);
    STEP(ef[1] = true;);
    STEP(unclaimed = 0;);
    r = 0;
    do
    :: r < NS ->
        STEP(lst[r] = false;);
        STEP(SETTLE(r); w = st[r];); /* once; others may go on meanwhile */
        if
        :: w == FREE ->
            STEP(fr[r] = true;)
        :: else ->
            assert(ef[ext[r]]); /* no extent twice */
            STEP(ef[ext[r]] = false;);
            STEP(fr[r] = false;);
            if
            :: w == READY || w == BACK -> STEP(lst[r] = true; unclaimed++;)
            :: w == LOANED -> STEP(unclaimed++;)
            :: else
            fi
        fi;
        r++
    :: else -> break
    od;
    r = 0; w = 0
}

inline take_lock()
{
    STEP((lk == 0 || !alive[lk]) -> lk = me;);
    if
    :: dirty -> rebuild()
    :: else
    fi;
    check_clean();
    SET_DIRTY
}

inline give_lock()
{
    check_clean();
    STEP(dirty = false;);
    STEP(lk = 0;)
}

/* Under the lock: what is reserved or given up becomes room, what is picked
 * counts no more. What the look finds is for the swap of the word to confirm. */
inline take_back(x)
{
    if
    :: IS_ODD(x) ->
        STEP(w = (IS_ODD(x) -> st[x] : FREE); SETTLE(x););
        if
        :: w != FREE ->
            STEP(unclaimed--;);
            if
            :: w != PICKED ->
                STEP(lst[x] = false;);
                STEP(ef[ext[x]] = true;);
                STEP(fr[x] = true;)
            :: else
            fi
        :: else
        fi;
        w = 0
    :: else
    fi
}

/* The dead one's words, each by one store; then the caches anew. */
inline bury(d)
{
    take_lock();
    b = 0;
    do
    :: b < NS ->
        if
        :: own[b] == d && (st[b] == LOANED || st[b] == RESERVED) ->
            STEP(st[b] = FREE; own[b] = 0; sq[b] = 0;)
        :: own[b] == d && (st[b] == TAKEN || st[b] == PICKED) ->
            STEP(st[b] = BACK; own[b] = 0;)
        :: own[b] == d && st[b] == READY ->
#if MUTANT == 4
            STEP(st[b] = BACK; own[b] = 0;)
#else
            STEP(if /* or somebody picks it this moment */
                 :: own[b] == d && st[b] == READY -> st[b] = BACK; own[b] = 0
                 :: else
                 fi;)
#endif
        :: else
        fi;
        b++
    :: else -> break
    od;
    b = 0;
    rebuild();
    give_lock();
    STEP(buried[d] = true;);
    STEP(grave[d] = 0;)
}

inline may_bury(d)
{
    if
    :: d != me && !alive[d] && !buried[d] ->
        STEP(if
             :: !buried[d] && (grave[d] == 0 || !alive[grave[d]]) ->
                grave[d] = me
             :: else
             fi;);
        if
        :: grave[d] == me -> bury(d)
        :: else
        fi
    :: else
    fi
}

proctype Producer()
{
    byte me = PRODUCER, n, k, r, w, slot, e, seq, cnt, i;
    byte mine[RUN];
#ifdef AHEAD
    byte ahead = NS;
#endif

    do
    :: n < ITEMS ->
        cnt = 0;
#ifdef AHEAD
        if
        :: ahead != NS ->
            slot = ahead;
            ahead = NS;
#if MUTANT == 2
            STEP(st[slot] = LOANED; own[slot] = me; cnt = 1;);
#else
            STEP(if
                 :: st[slot] == RESERVED && own[slot] == me ->
                    st[slot] = LOANED; cnt = 1
                 :: else
                 fi;);
#endif
            mine[0] = slot
        :: else
        fi;
        if
        :: cnt == 1 -> goto filled
        :: else
        fi;
#endif
        take_lock();
        do
        :: cnt < RUN && n + cnt < ITEMS && (fr[0] || fr[1]) ->
            slot = (fr[0] -> 0 : 1);
            e = (ef[0] -> 0 : 1);
            STEP(ef[e] = false;);
            STEP(fr[slot] = false;);
            STEP(ext[slot] = e;); /* ignored while the word says FREE */
            STEP(st[slot] = LOANED; own[slot] = me; sq[slot] = 0;);
            STEP(unclaimed++;);
            mine[cnt] = slot;
            cnt++
        :: else -> break
        od;
#ifdef AHEAD
        if
        :: cnt == 1 && (fr[0] || fr[1]) ->
            slot = (fr[0] -> 0 : 1);
            e = (ef[0] -> 0 : 1);
            STEP(ef[e] = false;);
            STEP(fr[slot] = false;);
            STEP(ext[slot] = e;);
            STEP(st[slot] = RESERVED; own[slot] = me; sq[slot] = 0;);
            STEP(unclaimed++;);
            ahead = slot
        :: else
        fi;
#endif
#if defined(AHEAD) || defined(PICK)
        if
        :: cnt == 0 -> /* full: what nobody uses, and nobody told */
            take_back(0);
            take_back(1)
        :: else
        fi;
#endif
        give_lock();
#ifdef AHEAD
filled:
#endif
        /* Without the lock from here on. */
        if
        :: cnt > 0 ->
            STEP(seq = nseq; nseq = nseq + cnt;);
            i = 0;
            do
            :: i < cnt ->
                STEP(st[mine[i]] = READY; sq[mine[i]] = seq + i; committed++;);
                i++
            :: else -> break
            od;
            i = 0;
            do
            :: i < cnt ->
                STEP(eslot[tail + i] = mine[i]; eseq[tail + i] = seq + i;);
                i++
            :: else -> break
            od;
            STEP(tail = tail + cnt;);
            n = n + cnt
        :: else
        fi
    :: else -> break
    od;
over:
    ended++
}

#define HAS_ITEMS (head != tail || lst[0] || lst[1])
#define ALL_DONE (ended >= 1 && !HAS_ITEMS && DEAD_ARE_BURIED)
#define DEAD_ARE_BURIED ((alive[1] || buried[1]) && (alive[2] || buried[2]) \
                         && (alive[3] || buried[3]))
#define DUE (HAS_ITEMS || (!alive[1] && !buried[1]) ||                       \
             (me != 2 && !alive[2] && !buried[2]) ||                         \
             (me != 3 && !alive[3] && !buried[3]))

/* The lowest seq among the lane's head and the list: into slot. */
inline choose()
{
    slot = NS;
    inlane = false;
    k = 0;
    do
    :: k < NS ->
        if
        :: lst[k] && !WAITS(k) -> STEP(lst[k] = false;) /* it was picked */
        :: else
        fi;
        k++
    :: else -> break
    od;
    k = 0;
    do
    :: head != tail && !((st[eslot[head]] == READY ||
                          st[eslot[head]] == BACK) &&
                         sq[eslot[head]] == eseq[head]) ->
        STEP(head++;) /* stale: its word says something else */
    :: else -> break
    od;
    atomic {
        if /* tail may have moved since: an entry is judged by its word */
        :: head != tail && (st[eslot[head]] == READY ||
                            st[eslot[head]] == BACK) &&
           sq[eslot[head]] == eseq[head] ->
            slot = eslot[head]; inlane = true
        :: else
        fi;
        k = 0;
        do
        :: k < NS ->
            if
            :: lst[k] && WAITS(k) && (slot == NS || sq[k] < sq[slot]) ->
                slot = k; inlane = false
            :: else
            fi;
            k++
        :: else -> break
        od;
        k = 0
    }
}

/* Items that were claimed leave, in one section. */
inline leave()
{
    take_lock();
    i = 0;
    do
    :: i < cnt ->
        slot = mine[i];
        assert(st[slot] == TAKEN && own[slot] == me);
        STEP(got[sq[slot]]++; delivered++;
             assert(got[sq[slot]] == 1);
             st[slot] = FREE; own[slot] = 0; sq[slot] = 0;);
        STEP(lst[slot] = false;);
        STEP(ef[ext[slot]] = true;);
        STEP(fr[slot] = true;);
        i++
    :: else -> break
    od;
    give_lock()
}

proctype Consumer(byte me)
{
    byte k, r, w, b, slot, cnt, i;
    byte mine[RUN];
    bool inlane;
#ifdef PICK
    byte given = NS, cur, seen;
    bool knows;
#endif

    do
#if defined(AHEAD) || defined(PICK)
    :: IS_ODD(0) || IS_ODD(1) -> /* as a full producer, or a shutdown */
        take_lock();
        take_back(0);
        take_back(1);
        give_lock()
#endif
#ifdef PICK
    :: knows && !lst[0] && !lst[1] && cur != tail ->
        slot = eslot[cur];
        seen = eseq[cur];
        cnt = 0;
        if
        :: st[slot] == READY && sq[slot] == seen ->
#if MUTANT == 3
            STEP(st[slot] = PICKED; own[slot] = me; cnt = 1;)
#else
            STEP(if
                 :: st[slot] == READY && sq[slot] == seen ->
                    assert(st[1 - slot] != READY || sq[1 - slot] > seen);
                    st[slot] = PICKED; own[slot] = me; cnt = 1
                 :: else
                 fi;)
#endif
        :: else
        fi;
        cur++;
        if
        :: cnt == 1 ->
            /* The payload is read here; then it leaves, or it was counted. */
            STEP(if
                 :: st[slot] == PICKED && own[slot] == me ->
                    got[sq[slot]]++; delivered++;
                    assert(got[sq[slot]] == 1);
                    st[slot] = GIVEN; sq[slot] = 0; cnt = 0
                 :: else
                 fi;);
            if
            :: cnt == 0 ->
                if /* one at a time: the next one is collected with it */
                :: given == NS -> given = slot
                :: else ->
                    take_lock();
                    take_back(given);
                    take_back(slot);
                    give_lock();
                    given = NS
                fi
            :: else -> mine[0] = slot; leave()
            fi
        :: else
        fi
#endif
    :: DUE ->
        may_bury(1);
        may_bury(2);
        may_bury(3);
        if
        :: HAS_ITEMS ->
            take_lock();
            cnt = 0;
#ifdef PICK
            if
            :: given != NS -> take_back(given); given = NS
            :: else
            fi;
#endif
            do
            :: cnt < RUN ->
                choose();
                if
                :: slot == NS -> break
                :: else
                fi;
                r = 0;
                STEP(if /* who picks may be faster */
                     :: WAITS(slot) ->
                        st[slot] = TAKEN; own[slot] = me; r = 1
                     :: else
                     fi;);
                if
                :: r == 1 ->
                    r = 0;
                    STEP(lst[slot] = false;);
                    if
                    :: inlane ->
                        STEP(head++;);
#ifdef PICK
                        cur = head;
                        knows = true
#endif
                    :: else
                    fi;
                    STEP(unclaimed--;);
                    mine[cnt] = slot;
                    cnt++
                :: else
                fi
            :: else -> break
            od;
            give_lock();
#if RUN > 1
            if /* the second was not started */
            :: cnt == 2 ->
                take_lock();
                slot = mine[1];
                STEP(st[slot] = BACK; own[slot] = 0;);
                STEP(lst[slot] = true;);
                STEP(unclaimed++;);
                give_lock();
                cnt = 1
            :: true
            fi;
#endif
            if
            :: cnt > 0 -> leave() /* the payload is read before */
            :: else
            fi
        :: else
        fi
    :: ended >= 1 && !DUE -> break
    :: timeout -> break
    od;
over:
    ended++
}

/* When all have ended: one more participant buries and counts. */
proctype Auditor()
{
    byte k, n;

    ended == 3;
    d_step {
        k = 0;
        do
        :: k < NS ->
            if
            :: st[k] == RESERVED || st[k] == GIVEN -> st[k] = FREE
            :: st[k] != FREE && st[k] != BACK && !alive[own[k]] ->
                if
                :: st[k] == LOANED -> st[k] = FREE
                :: else -> st[k] = BACK
                fi
            :: else
            fi;
            /* Nothing is left half way by those who ended well. */
            assert(st[k] == FREE || st[k] == READY || st[k] == BACK);
            if
            :: st[k] != FREE -> n++; assert(got[sq[k]] == 0)
            :: else
            fi;
            k++
        :: else -> break
        od;
        assert(st[0] == FREE || st[1] == FREE || ext[0] != ext[1]);
        assert(n + delivered == committed);
    }
}

init
{
    atomic {
        fr[0] = true; fr[1] = true;
        ef[0] = true; ef[1] = true;
        alive[1] = true; alive[2] = true; alive[3] = true;
        run Producer();
        run Consumer(2);
        run Consumer(3);
        run Auditor()
    }
}
