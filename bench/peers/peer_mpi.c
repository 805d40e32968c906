/* SPDX-License-Identifier: MIT */
/* peer_mpi.c - Open MPI over shared memory, two ranks of one mpirun */
#include "peer.h"

#include <mpi.h>

static int me;
static int nbytes;
static void *buffer;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)variant;
    (void)dir;
    nbytes = (int)n;
    MPI_Init(NULL, NULL);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
}

static int
role(void)
{
    return me;
}

static void
start(int as)
{
    (void)as;
    buffer = peer_memory((size_t)nbytes);
}

static void
put(const void *payload)
{
    MPI_Send(payload, nbytes, MPI_BYTE, 1 - me, 1, MPI_COMM_WORLD);
}

static const void *
get(void)
{
    MPI_Recv(buffer, nbytes, MPI_BYTE, 1 - me, 1, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    return buffer;
}

static void
stop(void)
{
    MPI_Finalize();
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .close = stop, .role = role,
};
