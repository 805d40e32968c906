/* SPDX-License-Identifier: MIT */
/*
 * ndshare.h - NumPy arrays between processes, nine ways, one array type
 *
 * The umbrella: one small header per noun.
 */
#ifndef NDSHARE_NDSHARE_H
#define NDSHARE_NDSHARE_H

#include <ndshare/array.h>
#include <ndshare/block.h>
#include <ndshare/chan.h>
#include <ndshare/conn.h>
#include <ndshare/dtype.h>
#include <ndshare/err.h>
#include <ndshare/handle.h>
#include <ndshare/manager.h>
#include <ndshare/ops.h>
#include <ndshare/proc.h>
#include <ndshare/shareable_list.h>
#include <ndshare/sync.h>
#include <ndshare/value.h>
#include <ndshare/view.h>

#endif
