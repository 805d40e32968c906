/* SPDX-License-Identifier: MIT */
/*
 * A stream, first stage: a camera that waits for nobody. It writes frame after
 * frame into one named array, under the array's sequence lock; who reads takes
 * snapshots and misses frames if it is slow, but never sees half of one.
 *
 *     cc camera.c -o camera $(pkg-config --cflags --libs ndshare)
 *     ./camera & python3 filter.py & ./viewer
 *     ./camera [FRAMES [FRAMES_PER_SECOND]]
 */
#include <ndshare/ndshare.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "camera: %s\n", nds_last_error()->message);
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    int frames = argc > 1 ? atoi(argv[1]) : 250;
    int rate = argc > 2 ? atoi(argv[2]) : 50;
    struct timespec pause = {.tv_nsec = 999999999 / (rate > 1 ? rate : 1)};
    nds_array_options opts = {.size = sizeof opts, .replace = true,
                              .lifetime = NDS_WHILE_USED};
    int64_t shape[] = {480, 640};
    nds_array *frame;

    must(nds_array_create(&frame, "camera", NDS_UINT16, 2, shape, &opts));
    for (int i = 1; i <= frames; i++) {
        int rc = nds_array_write_begin(frame, NDS_FOREVER);

        if (rc != NDS_EOWNERDEAD) { // a camera that died: all is written anew
            must(rc);
        }
        // The brightest is the mark of the last one.
        must(nds_fill(nds_array_view(frame),
                      nds_int(i == frames ? UINT16_MAX : i)));
        must(nds_array_write_end(frame)); // and wakes who waits for a frame
        nanosleep(&pause, NULL);
    }
    nds_array_close(frame); // the name goes with its last user
    return 0;
}
