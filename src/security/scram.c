#include "security/scram.h"

#include "base/random.h"
#include "base/utf8.h"
#include "security/scram_hash.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

bool scram_is_mechanism(int64_t number)
{
    return number == SCRAM_SHA_256 || number == SCRAM_SHA_512;
}

const char *scram_name(enum scram_mechanism mechanism)
{
    return mechanism == SCRAM_SHA_256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512";
}

bool scram_find(struct slice name, enum scram_mechanism *out)
{
    *out = slice_equal_str(name, scram_name(SCRAM_SHA_512)) ? SCRAM_SHA_512 : SCRAM_SHA_256;
    return slice_equal_str(name, scram_name(*out));
}

enum err scram_check_name(struct slice name, struct reason *reason)
{
    bool good = name.size > 0 && name.size <= SCRAM_NAME_MOST_BYTES;
    for (size_t at = 0; good && at < name.size;) {
        size_t size = utf8_printable(slice_of(name.data + at, name.size - at));
        good = size > 0;
        at += size;
    }
    return good ? ERR_NONE
                : reason_fail(reason, ERR_INVALID,
                              "no user can have this name: 1 to %d bytes of UTF-8 without control "
                              "characters",
                              SCRAM_NAME_MOST_BYTES);
}

enum err scram_check_terms(int64_t iterations, size_t salt_size, struct reason *reason)
{
    if (iterations < SCRAM_ITERATIONS_LEAST || iterations > SCRAM_ITERATIONS_MOST) {
        return reason_fail(reason, ERR_INVALID, "too %s iterations: %d to %d are taken",
                           iterations < SCRAM_ITERATIONS_LEAST ? "few" : "many",
                           SCRAM_ITERATIONS_LEAST, SCRAM_ITERATIONS_MOST);
    }
    if (salt_size < 1 || salt_size > SCRAM_SALT_MOST_BYTES) {
        return reason_fail(reason, ERR_INVALID, "a salt of %zu bytes: 1 to %d are taken", salt_size,
                           SCRAM_SALT_MOST_BYTES);
    }
    return ERR_NONE;
}

void scram_make_salted(enum scram_mechanism mechanism, const uint8_t *salted, struct slice salt,
                       int32_t iterations, struct scram_credential *out)
{
    uint8_t client_key[SCRAM_KEY_MOST_BYTES];
    assert(salt.size <= sizeof out->salt);
    *out = (struct scram_credential){
        .mechanism = mechanism, .iterations = iterations, .salt_size = (uint32_t)salt.size};
    slice_copy(out->salt, salt);
    size_t size = scram_key_bytes(mechanism);
    scram_hmac(mechanism, salted, size, slice_str("Client Key"), client_key);
    scram_hash(mechanism, client_key, out->stored_key);
    scram_hmac(mechanism, salted, size, slice_str("Server Key"), out->server_key);
    OPENSSL_cleanse(client_key, sizeof client_key);
}

void scram_new_salt(uint8_t salt[SCRAM_SALT_BYTES])
{
    random_secure(salt, SCRAM_SALT_BYTES);
}

void scram_make(enum scram_mechanism mechanism, struct slice password, struct slice salt,
                int32_t iterations, struct scram_credential *out)
{
    uint8_t salted[SCRAM_KEY_MOST_BYTES];
    scram_stretch(mechanism, password, salt, iterations, salted);
    scram_make_salted(mechanism, salted, salt, iterations, out);
    OPENSSL_cleanse(salted, sizeof salted);
}

bool scram_fits(const struct scram_credential *credential, struct slice password)
{
    struct scram_credential made;
    scram_make(credential->mechanism, password, slice_of(credential->salt, credential->salt_size),
               credential->iterations, &made);
    bool fits = CRYPTO_memcmp(made.stored_key, credential->stored_key,
                              scram_key_bytes(credential->mechanism)) == 0;
    OPENSSL_cleanse(&made, sizeof made);
    return fits;
}

void scram_pretend(enum scram_mechanism mechanism, const uint8_t secret[32], struct slice name,
                   struct scram_credential *out)
{
    enum { PURPOSES = 3 };
    uint8_t made[PURPOSES][SCRAM_KEY_MOST_BYTES];
    struct buf text = {0};
    for (char purpose = 0; purpose < PURPOSES; purpose++) {
        buf_clear(&text);
        buf_printf(&text, "%s %c ", scram_name(mechanism), 'a' + purpose);
        buf_append_slice(&text, name);
        scram_hmac(mechanism, secret, 32, buf_slice(&text), made[(int)purpose]);
    }
    buf_deinit(&text);
    *out = (struct scram_credential){.mechanism = mechanism,
                                     .iterations = SCRAM_ITERATIONS_LEAST,
                                     .salt_size = SCRAM_SALT_BYTES};
    memcpy(out->salt, made[0], SCRAM_SALT_BYTES);
    memcpy(out->stored_key, made[1], scram_key_bytes(mechanism));
    memcpy(out->server_key, made[2], scram_key_bytes(mechanism));
    OPENSSL_cleanse(made, sizeof made);
}
