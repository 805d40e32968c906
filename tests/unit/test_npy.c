/* SPDX-License-Identifier: MIT */
/* test_npy.c - files of three NumPys; malformed heads; mutations */
#include "nd_check.h"

#include <npy/npy_header.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define DIR_NPY NDS_TEST_DATA "/npy/"

static size_t
read_file(const char *name, unsigned char *data, size_t room)
{
    char path[512];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s%s", DIR_NPY, name);
    f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    n = fread(data, 1, room, f);
    fclose(f);
    return n;
}

/* Every file is read, through its descriptor and from memory, and those of
 * the newest NumPy are written anew to the same bytes. */
START_TEST(files_of_numpy)
{
    static unsigned char data[1 << 18];
    DIR *dir = opendir(DIR_NPY);
    struct dirent *e;
    int files = 0, rewritten = 0, refused = 0;

    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir)) != NULL) {
        struct ndi_npy_info info, again;
        struct ndi_buf b = {0};
        char path[512];
        size_t n;
        int fd;

        if (strstr(e->d_name, ".npy") == NULL) {
            continue;
        }
        files++;
        n = read_file(e->d_name, data, sizeof data);
        if (strstr(e->d_name, "title") != NULL) {
            ck_fails(ndi_npy_parse(&info, data, n), NDS_EFORMAT);
            ck_text("title");
            refused++;
            continue;
        }
        ck_assert_msg(ndi_npy_parse(&info, data, n) == 0, "%s: %s", e->d_name,
                      nds_last_error()->message);
        ck_assert_uint_eq(info.data_off + info.nbytes, n);
        snprintf(path, sizeof path, "%s%s", DIR_NPY, e->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_eq(ndi_npy_read(&again, fd, e->d_name), 0);
        close(fd);
        ck_assert(nds_dtype_equal(info.dtype, again.dtype));
        ck_assert_uint_eq(again.data_off, info.data_off);
        ndi_npy_info_fini(&again);
        ck_assert_int_eq(ndi_npy_format(&b, info.dtype, info.ndim, info.shape,
                                        info.order, 0), 0);
        if (strncmp(e->d_name, "np2.4.6", 7) == 0 &&
            strstr(e->d_name, "ver") == NULL) {
            ck_assert_uint_eq(b.nbytes, info.data_off);
            ck_assert_mem_eq(b.data, data, b.nbytes);
            rewritten++;
        }
        ndi_buf_fini(&b);
        ndi_npy_info_fini(&info);
    }
    closedir(dir);
    ck_assert_int_gt(files, 50);
    ck_assert_int_gt(rewritten, 20);
    ck_assert_int_eq(refused, 3);
}
END_TEST

static size_t
make_head(unsigned char *out, int version, const char *text)
{
    size_t pre = version == 1 ? 10 : 12, n = strlen(text);

    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[7] = 0;
    for (size_t i = 0; i < pre - 8; i++) {
        out[8 + i] = (unsigned char)(n >> (8 * i));
    }
    memcpy(out + pre, text, n);
    return pre + n;
}

static const char *const good[] = {
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }",
    "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f8\"}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L)}  \n",
    "{'descr': ('<f8', (3,)), 'fortran_order': False, 'shape': (2,)}",
    "{u'descr': u'<f8', 'fortran_order': False, 'shape': (2, 3)}",
};

START_TEST(old_and_odd_heads_are_read)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        unsigned char head[256];
        struct ndi_npy_info info;
        size_t n = make_head(head, 1, good[i]);

        ck_assert_msg(ndi_npy_parse(&info, head, n) == 0, "%s: %s", good[i],
                      nds_last_error()->message);
        ck_assert_int_eq(info.ndim, 2);
        ck_assert_int_eq(info.shape[1], 3);
        ck_assert_uint_eq(info.nbytes, 48);
        ck_assert(info.dtype == NDS_FLOAT64);
        ndi_npy_info_fini(&info);
    }
}
END_TEST

static const char *const bad[][2] = {
    {"", "the text ends"},
    {"[1]", "a list, not a dict"},
    {"{'descr': '<f8', 'fortran_order': False}", "no key 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (), 'x': 1}",
     "unknown key 'x'"},
    {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}",
     "doubled key"},
    {"{'descr': '<f8', 'fortran_order': 0, 'shape': ()}", "not a bool"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': [2]}", "not a tuple"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2)}", "not a tuple"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", "negative"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", "a bool"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807,"
     "3)}", "larger than the maximum"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': "
     "(99999999999999999999,)}", "beyond 64 bits"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", "objects"},
    {"{'descr': 'xyz', 'fortran_order': False, 'shape': ()}",
     "not understood"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': ()", "unclosed"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': ()} import os",
     "more text"},
    {"{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}",
     "unknown word '__import__'"},
};

START_TEST(bad_heads_say_why)
{
    unsigned char head[512];
    struct ndi_npy_info info;
    size_t n;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        n = make_head(head, 2, bad[i][0]);
        ck_assert_msg(ndi_npy_parse(&info, head, n) == NDS_EFORMAT, "%s",
                      bad[i][0]);
        ck_assert_ptr_null(info.dtype);
        ck_text(bad[i][1]);
    }
    n = make_head(head, 1, good[0]);
    ck_fails(ndi_npy_parse(&info, head, n - 1), NDS_EFORMAT);
    ck_text("are there");
    ck_fails(ndi_npy_parse(&info, head, 3), NDS_EFORMAT);
    head[6] = 4;
    ck_fails(ndi_npy_parse(&info, head, n), NDS_EFORMAT);
    ck_text("not (4, 0)");
    head[0] = 0x80;
    ck_fails(ndi_npy_parse(&info, head, n), NDS_EFORMAT);
    ck_text("magic");
    make_head(head, 3, good[0]);
    head[11] = 0xff;
    ck_fails(ndi_npy_parse(&info, head, n), NDS_EFORMAT);
    ck_text("more than");
}
END_TEST

START_TEST(data_start_where_asked)
{
    struct ndi_buf b = {0};
    struct ndi_npy_info info;
    const nds_dtype *dt;
    char text[6000];

    ck_assert_int_eq(ndi_npy_format(&b, NDS_INT16, 1, (int64_t[]){5}, 'C',
                                    4096), 0);
    ck_assert_uint_eq(b.nbytes, 4096);
    ck_assert_int_eq(b.data[4095], '\n');
    ck_assert_int_eq(ndi_npy_parse(&info, b.data, b.nbytes), 0);
    ck_assert_uint_eq(info.data_off, 4096);
    ndi_npy_info_fini(&info);
    ndi_buf_fini(&b);
    ck_assert_int_eq(ndi_npy_format(&b, NDS_INT16, 0, NULL, 'C', 131072), 0);
    ck_assert_int_eq(b.data[6], 2);
    ck_assert_uint_eq(b.nbytes, 131072);
    ndi_buf_fini(&b);
    memset(text, 'x', sizeof text);
    memcpy(text, "[('", 3);
    strcpy(text + 5000, "', 'i4')]");
    ck_assert_int_eq(nds_dtype_parse(&dt, text), 0);
    ck_fails(ndi_npy_format(&b, dt, 0, NULL, 'C', 4096), NDS_ELIMIT);
    ck_assert_int_eq(ndi_npy_format(&b, dt, 0, NULL, 'C', 8192), 0);
    ck_assert_uint_eq(b.nbytes, 8192);
    ndi_buf_fini(&b);
    nds_dtype_put(dt);
    nds_dtype_parse(&dt, "{'names': ['a', 'b'], 'formats': ['i4', 'i2'], "
                         "'offsets': [0, 2]}");
    ck_fails(ndi_npy_format(&b, dt, 0, NULL, 'C', 0), NDS_ENOTSUP);
    nds_dtype_put(dt);
}
END_TEST

START_TEST(short_files_are_refused)
{
    char path[] = "/tmp/t-npy-XXXXXX";
    struct ndi_npy_info info;
    struct ndi_buf b = {0};
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    ndi_npy_format(&b, NDS_FLOAT64, 1, (int64_t[]){10}, 'C', 0);
    ck_assert_int_eq(pwrite(fd, b.data, b.nbytes, 0), (int)b.nbytes);
    ck_fails(ndi_npy_read(&info, fd, "x.npy"), NDS_EFORMAT);
    ck_text("mmap length is greater than file size");
    ck_assert_int_eq(ftruncate(fd, (off_t)b.nbytes + 80), 0);
    ck_assert_int_eq(ndi_npy_read(&info, fd, "x.npy"), 0);
    ndi_npy_info_fini(&info);
    for (off_t n = (off_t)b.nbytes - 1; n >= 0; n--) {
        ck_assert_int_eq(ftruncate(fd, n), 0);
        ck_fails(ndi_npy_read(&info, fd, "x.npy"), NDS_EFORMAT);
    }
    ndi_buf_fini(&b);
    close(fd);
}
END_TEST

START_TEST(mutations_get_an_answer)
{
    unsigned char seed[3][512], head[512];
    size_t n[3];
    uint64_t r = 88172645463325252u;
    int accepted = 0;

    n[0] = read_file("np2.4.6_struct_sub.npy", seed[0], 512);
    n[1] = read_file("np1.24.2_struct_utf8.npy", seed[1], 512);
    n[2] = read_file("np2.4.6_3d_F.npy", seed[2], 512);
    for (int i = 0; i < 40000; i++) {
        struct ndi_npy_info info;
        size_t len = n[i % 3];

        memcpy(head, seed[i % 3], len);
        for (int k = i % 5; k >= 0; k--) {
            static const char bytes[] = "[](){}',:\"\\ 019-<|L\n\xff\xc3";

            r ^= r << 13, r ^= r >> 7, r ^= r << 17;
            head[r % len] = (r >> 60) % 2 == 0
                                ? (unsigned char)(r >> 40)
                                : (unsigned char)
                                      bytes[(r >> 32) % (sizeof bytes - 1)];
            len = (r >> 20) % 32 == 0 ? r % len + 1 : len;
        }
        if (ndi_npy_parse(&info, head, len) == 0) {
            accepted++;
            ck_assert_uint_le(info.data_off, len);
            ndi_npy_info_fini(&info);
        } else {
            ck_assert_int_eq(nds_last_error()->code, NDS_EFORMAT);
        }
    }
    ck_assert_int_gt(accepted, 100);
}
END_TEST

RUN("npy", files_of_numpy, old_and_odd_heads_are_read, bad_heads_say_why,
    data_start_where_asked, short_files_are_refused, mutations_get_an_answer)
