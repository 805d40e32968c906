/* SPDX-License-Identifier: MIT */
/*
 * A worker in C in a pool that Python runs (pool.py): takes arrays from one
 * queue until it is closed, and puts what it made of them into another. Killed
 * at work, it gives its array back to the other workers.
 *
 *     cc worker.c -o worker $(pkg-config --cflags --libs ndshare)
 *     ./worker JOBS RESULTS
 */
#include <ndshare/ndshare.h>
#include <stdio.h>
#include <stdlib.h>

static void
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "worker: %s\n", nds_last_error()->message);
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    nds_queue *jobs, *results;
    nds_array *job, *result;
    int64_t shape[] = {3};
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: worker JOBS RESULTS\n");
        return 2;
    }
    must(nds_queue_attach(&jobs, argv[1], NDS_SEC(10)));
    must(nds_queue_attach(&results, argv[2], NDS_SEC(10)));
    while ((rc = nds_queue_take(jobs, &job, NULL, NDS_FOREVER)) == 0) {
        const double *x = nds_array_data(job); // in place: nothing is copied
        nds_scalar sum;
        double *r;

        must(nds_sum(&sum, nds_array_view(job)));
        must(nds_queue_loan(results, &result, NDS_FLOAT64, 1, shape,
                            NDS_FOREVER));
        r = nds_array_data(result);
        r[0] = x[0]; // which job it was
        r[1] = nds_scalar_double(&sum);
        r[2] = 1; // made in C
        must(nds_queue_publish(results, &result, NULL));
        nds_queue_release(jobs, &job);
    }
    if (rc != NDS_EEOF) {
        must(rc);
    }
    nds_queue_close(results);
    nds_queue_close(jobs);
    return 0;
}
