/* SPDX-License-Identifier: MIT */
/*
 * peer_iceoryx.c - iceoryx through its C binding, a topic each way
 *
 *     poll      asks for the next chunk without end
 *     waitset   sleeps in a WaitSet until there is one
 *
 * Producers wait for consumers (nothing is discarded). The daemon must run.
 */
#include "peer.h"

#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/wait_set.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static iox_pub_storage_t pub_storage;
static iox_sub_storage_t sub_storage;
static iox_ws_storage_t ws_storage;
static iox_pub_t pub;
static iox_sub_t sub;
static iox_ws_t ws;
static size_t nbytes;
static bool sleeps;
static char instance[32];
static const void *got;
static void *lent;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)dir;
    nbytes = n;
    sleeps = strcmp(variant, "waitset") == 0;
    snprintf(instance, sizeof instance, "%d", (int)getpid());
}

static void
start(int role)
{
    iox_pub_options_t p;
    iox_sub_options_t s;
    char name[64];

    snprintf(name, sizeof name, "nds-peers-%s-%d", instance, role);
    iox_runtime_init(name);
    iox_pub_options_init(&p);
    p.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
    pub = iox_pub_init(&pub_storage, "nds", instance, role ? "back" : "there",
                       &p);
    iox_sub_options_init(&s);
    s.queueCapacity = (uint64_t)peer_depth(nbytes) - 1;
    s.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
    sub = iox_sub_init(&sub_storage, "nds", instance, role ? "there" : "back",
                       &s);
    while (iox_sub_get_subscription_state(sub) != SubscribeState_SUBSCRIBED
           || !iox_pub_has_subscribers(pub)) {
        usleep(1000);
    }
    if (sleeps) {
        ws = iox_ws_init(&ws_storage);
        iox_ws_attach_subscriber_state(ws, sub, SubscriberState_HAS_DATA, 1,
                                       NULL);
    }
}

static void *
loan(void)
{
    enum iox_AllocationResult rc;

    // The consumer may hold the last chunk for a moment.
    while ((rc = iox_pub_loan_aligned_chunk(pub, &lent, (uint32_t)nbytes, 8))
           == AllocationResult_RUNNING_OUT_OF_CHUNKS) {
    }
    if (rc != AllocationResult_SUCCESS) {
        peer_die("loan", rc == AllocationResult_NO_MEMPOOLS_AVAILABLE
                             ? "no memory pool of that size" : "refused");
    }
    return lent;
}

static void
publish(void)
{
    iox_pub_publish_chunk(pub, lent);
}

static void
put(const void *payload)
{
    memcpy(loan(), payload, nbytes);
    publish();
}

static const void *
get(void)
{
    while (iox_sub_take_chunk(sub, &got) != ChunkReceiveResult_SUCCESS) {
        if (sleeps) {
            iox_notification_info_t info[1];
            uint64_t missed;

            iox_ws_wait(ws, info, 1, &missed);
        }
    }
    return got;
}

static void
drop(void)
{
    iox_sub_release_chunk(sub, got);
}

static void
stop(void)
{
    if (sleeps) {
        iox_ws_detach_subscriber_state(ws, sub, SubscriberState_HAS_DATA);
        iox_ws_deinit(ws);
    }
    iox_sub_deinit(sub);
    iox_pub_deinit(pub);
    iox_runtime_shutdown();
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .loan = loan, .publish = publish, .close = stop,
};
