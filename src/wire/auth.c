/* SPDX-License-Identifier: MIT */
/*
 * auth.c - what answers a challenge, and whether an answer does
 *
 * A challenge of exactly 20 bytes is an old peer's (Python up to 3.11) and is
 * answered by a bare HMAC-MD5; any other must begin with the name of its
 * digest in braces. What we send asks for SHA-256; an old peer answers it with
 * 16 bytes of MD5 over the whole challenge, which is accepted.
 *
 * libcrypto is loaded when a key is first used: relocating it takes 1.3 ms, as
 * long as all else of a small program's start, and few programs have a key.
 */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>

#define LIBCRYPTO "libcrypto.so.3"

static struct {
    pthread_once_t once;
    const char *missing; /* what could not be had, NULL: nothing */
    __typeof__(EVP_get_digestbyname) *digest;
    __typeof__(EVP_MD_get0_name) *name;
    __typeof__(HMAC) *hmac;
    __typeof__(CRYPTO_memcmp) *differs;
} crypto = {.once = PTHREAD_ONCE_INIT};

static void
find(void *lib, const char *name, void **fn)
{
    *fn = lib != NULL ? dlsym(lib, name) : NULL;
    if (*fn == NULL && crypto.missing == NULL) {
        crypto.missing = name;
    }
}

static void
load_crypto(void)
{
    void *lib = dlopen(LIBCRYPTO, RTLD_NOW | RTLD_LOCAL);

    find(lib, "EVP_get_digestbyname", (void **)&crypto.digest);
    find(lib, "EVP_MD_get0_name", (void **)&crypto.name);
    find(lib, "HMAC", (void **)&crypto.hmac);
    find(lib, "CRYPTO_memcmp", (void **)&crypto.differs);
    if (crypto.missing == NULL) {
        // Its own start-up happens here, before a fork rather than after.
        unsigned char out[EVP_MAX_MD_SIZE];
        unsigned len;

        (void)crypto.hmac(crypto.digest("SHA256"), "", 0,
                          (const unsigned char *)"", 0, out, &len);
    }
}

static int
need_crypto(void)
{
    pthread_once(&crypto.once, load_crypto);
    return crypto.missing == NULL
               ? 0
               : ndi_fail(NDS_ENOTSUP, "keys need OpenSSL's %s (%s cannot be "
                          "had)", LIBCRYPTO, crypto.missing);
}

int
ndi_auth_check_key(const void *key, size_t nbytes)
{
    if (key == NULL || nbytes == 0) {
        return ndi_fail(NDS_EINVAL, "the key is empty: it must have at least "
                        "one byte");
    }
    if (nbytes > INT32_MAX) {
        return ndi_fail(NDS_EINVAL, "the key has %zu bytes: too long",
                        nbytes);
    }
    return need_crypto();
}

/* The digest named in braces at the front, or MD5 for the old lengths; NULL
 * if neither. *prefix is how many bytes the name takes. */
static const EVP_MD *
digest_of(const unsigned char *m, size_t nbytes, size_t *prefix)
{
    static const struct {
        const char *name;
        const char *md;
    } known[] = {
        {"{md5}", "MD5"},           {"{sha256}", "SHA256"},
        {"{sha384}", "SHA384"},     {"{sha3_256}", "SHA3-256"},
        {"{sha3_384}", "SHA3-384"},
    };

    *prefix = 0;
    if (nbytes == 16 || nbytes == 20) {
        return crypto.digest("MD5");
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(known); i++) {
        size_t n = strlen(known[i].name);

        if (nbytes >= n && memcmp(m, known[i].name, n) == 0) {
            *prefix = n;
            return crypto.digest(known[i].md);
        }
    }
    return NULL;
}

static int
mac(const EVP_MD *md, const void *key, size_t key_nbytes, const void *m,
    size_t nbytes, unsigned char *out, size_t *out_nbytes)
{
    unsigned len = 0;

    if (crypto.hmac(md, key, (int)key_nbytes, m, nbytes, out, &len) == NULL) {
        return ndi_fail(NDS_EAUTH, "OpenSSL refuses HMAC-%s here; peers with "
                        "Python 3.11 and older need HMAC-MD5, which FIPS "
                        "mode forbids", crypto.name(md));
    }
    *out_nbytes = len;
    return 0;
}

int
ndi_auth_respond(const void *key, size_t key_nbytes, const void *m,
                 size_t nbytes, unsigned char *out, size_t *out_nbytes)
{
    size_t prefix = 0, n = 0;
    int rc = need_crypto();
    const EVP_MD *md = rc == 0 ? digest_of(m, nbytes, &prefix) : NULL;

    if (rc < 0) {
        return rc;
    }
    if (md == NULL || nbytes < 20) {
        return ndi_fail(NDS_EAUTH, "a challenge of %zu bytes that names no "
                        "digest we know", nbytes);
    }
    memcpy(out, m, prefix);
    rc = mac(md, key, key_nbytes, m, nbytes, out + prefix, &n);
    *out_nbytes = prefix + n;
    return rc;
}

int
ndi_auth_verify(const void *key, size_t key_nbytes, const void *m,
                size_t nbytes, const void *r, size_t r_nbytes)
{
    unsigned char want[EVP_MAX_MD_SIZE];
    size_t prefix = 0, n = 0;
    int rc = need_crypto();
    const EVP_MD *md = rc == 0 ? digest_of(r, r_nbytes, &prefix) : NULL;

    if (rc < 0) {
        return rc;
    }
    if (md == NULL) {
        return ndi_fail(NDS_EAUTH, "digest received was wrong");
    }
    rc = mac(md, key, key_nbytes, m, nbytes, want, &n);
    if (rc < 0) {
        return rc;
    }
    if (r_nbytes - prefix != n ||
        crypto.differs((const unsigned char *)r + prefix, want, n) != 0) {
        return ndi_fail(NDS_EAUTH, "digest received was wrong");
    }
    return 0;
}
