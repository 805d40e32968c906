/* SPDX-License-Identifier: MIT */
/* step_world.h - what the two halves of the digest share */
#ifndef NDI_STEP_WORLD_H
#define NDI_STEP_WORLD_H

#include "step.h"

extern char step_dir[64];

uint64_t step_mix(uint64_t h, uint64_t v);
uint64_t step_mix_bytes(uint64_t h, const void *data, size_t nbytes);
/* Files in the order in which they were met. */
unsigned step_file_rank(dev_t dev, ino_t ino);

void step_bytes_reset(void);
void step_bytes_look(pid_t victim);
uint64_t step_bytes_digest(pid_t victim);

#endif
