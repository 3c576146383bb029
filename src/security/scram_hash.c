#include "security/scram_hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

size_t scram_key_bytes(enum scram_mechanism mechanism)
{
    return mechanism == SCRAM_SHA_256 ? 32 : 64;
}

static const EVP_MD *hash_of(enum scram_mechanism mechanism)
{
    return mechanism == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha512();
}

/* The library fails only without memory, or without the hash. */
static void must(bool done)
{
    if (!done) {
        abort();
    }
}

void scram_hmac(enum scram_mechanism mechanism, const uint8_t *key, size_t key_size,
                struct slice text, uint8_t *out)
{
    must(HMAC(hash_of(mechanism), key, (int)key_size, text.data, text.size, out, NULL) != NULL);
}

void scram_hash(enum scram_mechanism mechanism, const uint8_t *of, uint8_t *out)
{
    must(EVP_Digest(of, scram_key_bytes(mechanism), out, NULL, hash_of(mechanism), NULL) == 1);
}

void scram_stretch(enum scram_mechanism mechanism, struct slice password, struct slice salt,
                   int32_t iterations, uint8_t *out)
{
    must(PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt.data,
                           (int)salt.size, iterations, hash_of(mechanism),
                           (int)scram_key_bytes(mechanism), out) == 1);
}
