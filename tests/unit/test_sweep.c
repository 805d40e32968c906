/* SPDX-License-Identifier: MIT */
/* test_sweep.c - what goes, what stays and why; the list of names */
#include <check.h>
#include <harness/own_names.h>
#include <mem/mem_impl.h>
#include <os/os.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name whose maker is dead. */
static int
make_and_die(void *ctx)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_EVENT,
                                    .name = name,
                                    .lifetime = *(enum nds_lifetime *)ctx};
    struct ndi_segment *s;
    uint64_t owner;

    if (ndi_segment_create(&s, &spec) < 0 ||
        ndi_party_join(&s->party, &owner) < 0) {
        return 1;
    }
    kill(getpid(), SIGKILL);
    return 2;
}

struct heard {
    const char *name;
    int times, removed;
    char why[128];
};

static void
hear(const char *n, bool removed, const char *why, void *ctx)
{
    struct heard *h = ctx;

    if (strcmp(n, h->name) == 0) {
        h->times++;
        h->removed += removed;
        snprintf(h->why, sizeof h->why, "%s", why);
    }
}

static struct heard
sweep(bool dry_run)
{
    struct heard h = {.name = name};

    ck_assert_int_ge(nds_sweep(dry_run, hear, &h), h.removed);
    return h;
}

START_TEST(while_used_of_the_dead_goes)
{
    enum nds_lifetime life = NDS_WHILE_USED;
    struct heard h;

    ck_assert_int_eq(nds_in_child(make_and_die, &life), -SIGKILL);
    ck_assert_int_eq(nds_count_names(name), 1);
    h = sweep(true);
    ck_assert_int_eq(h.removed, 1);
    ck_assert_int_eq(nds_count_names(name), 1);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 1);
    ck_assert_str_eq(h.why, "nobody uses it");
    ck_assert_int_eq(nds_count_names(name), 0);
}
END_TEST

START_TEST(a_dead_name_is_no_obstacle)
{
    enum nds_lifetime life = NDS_WHILE_USED;
    struct ndi_segment_spec spec = {.kind = NDI_KIND_EVENT, .name = name};
    struct ndi_segment *s;

    ck_assert_int_eq(nds_in_child(make_and_die, &life), -SIGKILL);
    ck_assert_int_eq(ndi_segment_create(&s, &spec), 0);
    ndi_segment_put(s);
    ck_assert_int_eq(nds_name_unlink(name), 0);
}
END_TEST

START_TEST(until_unlinked_stays)
{
    enum nds_lifetime life = NDS_UNTIL_UNLINKED;
    struct heard h;

    ck_assert_int_eq(nds_in_child(make_and_die, &life), -SIGKILL);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 0);
    ck_assert_int_eq(h.times, 1);
    ck_assert_str_eq(h.why, "lives until unlinked");
    ck_assert_int_eq(nds_count_names(name), 1);
}
END_TEST

START_TEST(in_use_stays)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_EVENT,
                                    .name = name,
                                    .lifetime = NDS_WHILE_USED};
    struct ndi_segment *s;
    struct heard h;

    ck_assert_int_eq(ndi_segment_create(&s, &spec), 0);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 0);
    ck_assert_str_eq(h.why, "in use");
    // Also by the mapping alone, when descriptors are closed under us.
    close(s->fd);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 0);
    ck_assert_str_eq(h.why, "in use");
    s->fd = -1;
    ndi_segment_put(s);
    ck_assert_int_eq(nds_count_names(name), 0);
}
END_TEST

START_TEST(a_stranger_s_mapping_keeps_it)
{
    enum nds_lifetime life = NDS_WHILE_USED;
    struct heard h;
    void *p;
    int fd;

    ck_assert_int_eq(nds_in_child(make_and_die, &life), -SIGKILL);
    ck_assert_int_eq(ndi_shm_open(&fd, name, O_RDONLY), 0);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    close(fd);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 0);
    ck_assert_ptr_nonnull(strstr(h.why, "not ndshare's"));
    munmap(p, 4096);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 1);
}
END_TEST

START_TEST(raw_and_foreign_stay)
{
    struct heard h;
    nds_block *b;
    int fd;

    ck_assert_int_eq(nds_block_create_raw(&b, name, 100000, 0600), 0);
    nds_block_close(b);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 0);
    ck_assert_str_eq(h.why, "not ours");
    ck_assert_int_eq(nds_name_unlink(name), 0);
    ck_assert_int_eq(ndi_shm_open(&fd, name, O_RDWR | O_CREAT), 0);
    close(fd);
    h = sweep(false);
    ck_assert_int_eq(h.removed, 0);
    ck_assert_int_eq(nds_name_unlink(name), 0);
}
END_TEST

/* A hidden name as a channel gives one to an item. */
static void
hidden(const char *n)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_ARRAY,
                                    .data_off = 4096,
                                    .capacity = 100,
                                    .body_nbytes = 4196};
    struct ndi_segment *s;

    ck_assert_int_eq(ndi_segment_create(&s, &spec), 0);
    ck_assert_int_eq(ndi_segment_publish(s, n, false), 0);
    ndi_segment_put(s);
}

START_TEST(items_stay_while_their_channel_does)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_QUEUE, .name = name};
    struct ndi_segment *q, *s;
    char item[96], marker[96];
    struct heard h;
    int fd;

    ck_assert_int_eq(ndi_segment_create(&q, &spec), 0);
    snprintf(item, sizeof item, ".nds-%016llx%016llx-7",
             (unsigned long long)q->ctl->header.creator[0],
             (unsigned long long)q->ctl->header.creator[1]);
    hidden(item);
    h = (struct heard){.name = item};
    nds_sweep(false, hear, &h);
    ck_assert_str_eq(h.why, "in flight in a channel with a name");
    ck_assert_int_eq(ndi_segment_attach_hidden(&s, item, NDS_READ), 0);
    ndi_segment_put(s);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    // Without a name its marker speaks for it.
    snprintf(marker, sizeof marker, "%.37s-q", item);
    ck_assert_int_eq(ndi_shm_open(&fd, marker, O_RDWR | O_CREAT), 0);
    ck_assert_int_eq(ndi_lock_shared(fd, NDI_BYTE_IN_USE), 0);
    h = (struct heard){.name = item};
    nds_sweep(false, hear, &h);
    ck_assert_str_eq(h.why, "in flight in a channel in use");
    ck_assert_int_eq(nds_count_names(marker), 1);
    close(fd);
    h = (struct heard){.name = item};
    nds_sweep(false, hear, &h);
    ck_assert_int_eq(h.removed, 1);
    ck_assert_int_eq(nds_count_names(marker), 0);
    ndi_segment_put(q);
}
END_TEST

static char alien_item[96], alien_marker[96];

/* A private name of root's says nothing of our items, a marker of root's all. */
static int
items_of_nobody(void *ctx)
{
    struct heard h = {.name = alien_item};

    (void)ctx;
    if (setgid(65534) < 0 || setuid(65534) < 0) {
        return 100;
    }
    hidden(alien_item);
    nds_sweep(false, hear, &h);
    if (h.removed != 0 ||
        strcmp(h.why, "in flight in a channel of another user") != 0) {
        return 1;
    }
    // The same item of a channel that has no marker.
    alien_item[20] = alien_item[20] == '0' ? '1' : '0';
    hidden(alien_item);
    h = (struct heard){.name = alien_item};
    nds_sweep(false, hear, &h);
    return h.removed == 1 ? 0 : 2;
}

/* Needs root: anybody else cannot be two. */
START_TEST(items_stay_for_channels_of_other_users)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_QUEUE, .name = name};
    struct ndi_segment *q;
    int fd;

    if (geteuid() != 0) {
        return;
    }
    ck_assert_int_eq(ndi_segment_create(&q, &spec), 0); // mode 0600
    snprintf(alien_item, sizeof alien_item, ".nds-%016llx%016llx-7",
             (unsigned long long)q->ctl->header.creator[0],
             (unsigned long long)q->ctl->header.creator[1]);
    snprintf(alien_marker, sizeof alien_marker, "%.37s-q", alien_item);
    ck_assert_int_eq(ndi_shm_open(&fd, alien_marker, O_RDWR | O_CREAT), 0);
    ck_assert_int_eq(fchmod(fd, 0600), 0);
    close(fd);
    ck_assert_int_eq(nds_in_child(items_of_nobody, NULL), 0);
    ndi_segment_put(q);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    nds_sweep(false, NULL, NULL); // root's may all go now
    ck_assert_int_eq(nds_count_names(alien_marker), 0);
}
END_TEST

START_TEST(info_tells_without_using)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_ARRAY,
                                    .name = name,
                                    .data_off = 4096,
                                    .capacity = 800,
                                    .body_nbytes = 4896,
                                    .mode_bits = 0640};
    nds_name_info info = {.size = sizeof info};
    struct ndi_segment *s;
    uint64_t owner;

    ck_assert_int_eq(nds_name_info_get(name, &info), NDS_ENOENT);
    ck_assert_int_eq(ndi_segment_create(&s, &spec), 0);
    ck_assert_int_eq(nds_name_info_get(name, &info), 0);
    ck_assert_str_eq(info.kind, "array");
    ck_assert_int_eq(info.capacity, 800);
    ck_assert_int_eq(info.users, 0);
    ck_assert(info.others);
    ck_assert_uint_eq(info.mode_bits, 0640);
    ck_assert_str_eq(info.lock_state, "free");
    ck_assert_int_eq(ndi_party_join(&s->party, &owner), 0);
    ck_assert_int_eq(ndi_lock_acquire(&s->party, &s->ctl->lock, 0), 0);
    ck_assert_int_eq(nds_name_info_get(name, &info), 0);
    ck_assert_int_eq(info.users, 1);
    ck_assert_ptr_nonnull(strstr(info.lock_state, "held by pid"));
    ndi_lock_unlock(&s->party, &s->ctl->lock);
    ndi_segment_put(s);
    ck_assert_int_eq(nds_name_info_get(name, &info), 0);
    ck_assert_int_eq(info.users, 0);
    ck_assert(!info.others);
    ck_assert_int_eq(nds_name_unlink(name), 0);
}
END_TEST

static int
count_kind(const nds_name_info *info, void *ctx)
{
    int *counts = ctx;

    if (strncmp(info->name, prefix, strlen(prefix)) == 0) {
        counts[strcmp(info->kind, "raw") == 0]++;
    }
    return 0;
}

static int
stop(const nds_name_info *info, void *ctx)
{
    (void)info;
    (void)ctx;
    return 5;
}

START_TEST(walk_lists_ours_or_all)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_MUTEX, .name = name};
    struct ndi_segment *s;
    nds_block *b;
    char raw[96];
    int ours[2] = {0}, all[2] = {0};

    snprintf(raw, sizeof raw, "%sraw", prefix);
    ck_assert_int_eq(ndi_segment_create(&s, &spec), 0);
    ck_assert_int_eq(nds_block_create_raw(&b, raw, 10, 0), 0);
    ck_assert_int_eq(nds_names_walk(false, count_kind, ours), 0);
    ck_assert_int_eq(nds_names_walk(true, count_kind, all), 0);
    ck_assert(ours[0] == 1 && ours[1] == 0);
    ck_assert(all[0] == 1 && all[1] == 1);
    ck_assert_int_eq(nds_names_walk(false, stop, NULL), 5);
    nds_block_close(b);
    ndi_segment_put(s);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    ck_assert_int_eq(nds_name_unlink(raw), 0);
}
END_TEST

int
main(void)
{
    TCase *tc = case_with_names("sweep");
    int rc;

    // Tests beside this one sweep too, and would take what it is to remove.
    nds_own_shm_dir();
    chmod(getenv("NDSHARE_SHM_DIR"), 01777); // one of them is another user
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, while_used_of_the_dead_goes);
    tcase_add_test(tc, a_dead_name_is_no_obstacle);
    tcase_add_test(tc, until_unlinked_stays);
    tcase_add_test(tc, in_use_stays);
    tcase_add_test(tc, a_stranger_s_mapping_keeps_it);
    tcase_add_test(tc, items_stay_for_channels_of_other_users);
    tcase_add_test(tc, raw_and_foreign_stay);
    tcase_add_test(tc, items_stay_while_their_channel_does);
    tcase_add_test(tc, info_tells_without_using);
    tcase_add_test(tc, walk_lists_ours_or_all);
    rc = nds_run_case("sweep", tc);
    nds_drop_shm_dir();
    return rc;
}
