#include "cli/bus/raw_scram.h"

#include "base/base64.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { SALT_MOST = 1024 };

static size_t size_of(const struct raw_scram *scram)
{
    return (size_t)EVP_MD_get_size(EVP_get_digestbyname(scram->digest));
}

static void hmac(const struct raw_scram *scram, const uint8_t *key, struct slice text, uint8_t *out)
{
    HMAC(EVP_get_digestbyname(scram->digest), key, (int)size_of(scram), text.data, text.size, out,
         NULL);
}

/* ',' and '=' of a name have words of their own. */
static void add_name(struct buf *to, struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == ',') {
            buf_printf(to, "=2C");
        } else if (name.data[i] == '=') {
            buf_printf(to, "=3D");
        } else {
            buf_append(to, &name.data[i], 1);
        }
    }
}

void raw_scram_begin(struct raw_scram *scram, bool is_512, struct slice user, struct slice password,
                     const char *nonce, struct buf *message)
{
    *scram = (struct raw_scram){
        .digest = is_512 ? "SHA512" : "SHA256", .user = user, .password = password};
    snprintf(scram->nonce, sizeof scram->nonce, "%s", nonce);
    buf_printf(&scram->first, "n=");
    add_name(&scram->first, user);
    buf_printf(&scram->first, ",r=%s", scram->nonce);
    buf_printf(message, "n,,%s", buf_cstr(&scram->first));
}

void raw_scram_deinit(struct raw_scram *scram)
{
    OPENSSL_cleanse(scram->expected, sizeof scram->expected);
    buf_deinit(&scram->first);
}

/* The value of "r=" at the front, which is taken off; null: something else is there. */
static struct slice take(struct slice *text, char name)
{
    if (text->size < 2 || text->data[0] != (uint8_t)name || text->data[1] != '=') {
        return (struct slice){0};
    }
    const uint8_t *comma = slice_find(*text, ',');
    size_t size = comma != NULL ? (size_t)(comma - text->data) : text->size;
    size_t used = comma != NULL ? size + 1 : size;
    struct slice value = slice_of(text->data + 2, size - 2);
    *text = slice_of(text->data + used, text->size - used);
    return value;
}

/* 1 to the most; 0: it is no such number. */
static int read_iterations(struct slice text)
{
    int number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || number > RAW_SCRAM_ITERATIONS_MOST) {
            return 0;
        }
        number = number * 10 + (text.data[i] - '0');
    }
    return number <= RAW_SCRAM_ITERATIONS_MOST ? number : 0;
}

/* The proof that the password is known, appended; and what the server's has to be. */
static void prove(struct raw_scram *scram, struct slice salt, int iterations, struct slice words,
                  struct buf *message)
{
    const EVP_MD *digest = EVP_get_digestbyname(scram->digest);
    size_t size = size_of(scram);
    uint8_t salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
    uint8_t signature[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
    PKCS5_PBKDF2_HMAC((const char *)scram->password.data, (int)scram->password.size, salt.data,
                      (int)salt.size, iterations, digest, (int)size, salted);
    hmac(scram, salted, slice_str("Client Key"), client);
    EVP_Digest(client, size, stored, NULL, digest, NULL);
    hmac(scram, stored, words, signature);
    for (size_t i = 0; i < size; i++) {
        client[i] ^= signature[i];
    }
    buf_printf(message, ",p=");
    base64_encode(message, slice_of(client, size));
    hmac(scram, salted, slice_str("Server Key"), server);
    hmac(scram, server, words, scram->expected);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client, sizeof client);
    OPENSSL_cleanse(stored, sizeof stored);
    OPENSSL_cleanse(server, sizeof server);
}

enum err raw_scram_answer(struct raw_scram *scram, struct slice challenge, struct buf *message,
                          struct reason *reason)
{
    struct slice rest = challenge;
    struct slice nonce = take(&rest, 'r');
    struct slice salt_text = take(&rest, 's');
    int iterations = read_iterations(take(&rest, 'i'));
    struct arena arena = {0};
    struct slice salt;
    size_t own = strlen(scram->nonce);
    bool is_good = nonce.size > own && memcmp(nonce.data, scram->nonce, own) == 0 &&
                   salt_text.size > 0 && salt_text.size <= SALT_MOST && iterations > 0 &&
                   base64_decode(&arena, salt_text, &salt) && salt.size > 0;
    if (is_good) {
        struct buf words = {0}; /* all that was said, which both sides prove to have seen */
        buf_printf(message, "c=biws,r=%.*s", SLICE_ARGS(nonce));
        buf_printf(&words, "%s,%.*s,%s", buf_cstr(&scram->first), SLICE_ARGS(challenge),
                   buf_cstr(message));
        prove(scram, salt, iterations, buf_slice(&words), message);
        scram->is_answered = true;
        buf_deinit(&words);
    }
    arena_deinit(&arena);
    return is_good ? ERR_NONE
                   : reason_fail(reason, ERR_CORRUPT, "the broker's challenge makes no sense");
}

enum err raw_scram_check(const struct raw_scram *scram, struct slice last, struct reason *reason)
{
    struct arena arena = {0};
    struct slice proof;
    struct slice text = take(&last, 'v');
    bool is_good = scram->is_answered && base64_decode(&arena, text, &proof) &&
                   proof.size == size_of(scram) &&
                   CRYPTO_memcmp(proof.data, scram->expected, proof.size) == 0;
    arena_deinit(&arena);
    return is_good ? ERR_NONE
                   : reason_fail(reason, ERR_CORRUPT,
                                 "the broker does not know the password: it is not who it seems");
}
