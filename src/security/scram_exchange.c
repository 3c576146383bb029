#include "security/scram_exchange.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/random.h"
#include "security/scram_hash.h"
#include "security/scram_message.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

struct scram_exchange {
    struct scram_credential credential; /* its mechanism from the beginning */
    char *header;                       /* of the first message */
    char *nonce;                        /* the client's; with the server's once challenged */
    size_t client_nonce_size;
    char *user;
    struct buf transcript; /* what the proofs are of, as far as it was said */
    bool is_challenged;
};

static char *copy(struct slice text)
{
    return mem_strndup((const char *)text.data, text.size);
}

enum err scram_begin(enum scram_mechanism mechanism, struct slice message,
                     struct scram_exchange **out, struct reason *reason)
{
    struct scram_client_first first;
    *out = NULL;
    enum err err = scram_read_first(message, &first, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct scram_exchange *exchange = mem_new(struct scram_exchange);
    exchange->credential.mechanism = mechanism;
    exchange->header = copy(first.header);
    exchange->nonce = copy(first.nonce);
    exchange->client_nonce_size = first.nonce.size;
    exchange->user = copy(slice_of(first.user, first.user_size));
    buf_append_slice(&exchange->transcript, first.bare);
    *out = exchange;
    return ERR_NONE;
}

struct slice scram_user(const struct scram_exchange *exchange)
{
    return slice_str(exchange->user);
}

void scram_add_nonce(struct buf *to)
{
    enum { NONCE_BYTES = 24 };
    uint8_t bytes[NONCE_BYTES];
    random_secure(bytes, sizeof bytes);
    base64_encode(to, slice_of(bytes, sizeof bytes));
}

void scram_challenge(struct scram_exchange *exchange, const struct scram_credential *credential,
                     struct slice nonce, struct buf *answer)
{
    struct buf text = {0};
    assert(!exchange->is_challenged && credential->mechanism == exchange->credential.mechanism);
    exchange->credential = *credential;
    exchange->is_challenged = true;
    buf_append_str(&text, exchange->nonce);
    buf_append_slice(&text, nonce);
    free(exchange->nonce);
    exchange->nonce = copy(buf_slice(&text));
    buf_clear(&text);
    buf_printf(&text, "r=%s,s=", exchange->nonce);
    base64_encode(&text, slice_of(credential->salt, credential->salt_size));
    buf_printf(&text, ",i=%d", (int)credential->iterations);
    buf_append_slice(answer, buf_slice(&text));
    buf_append_str(&exchange->transcript, ",");
    buf_append_slice(&exchange->transcript, buf_slice(&text));
    buf_deinit(&text);
}

/* Whether who made the proof knows the password: the key behind it has the hash that is kept. */
static bool is_proven(const struct scram_exchange *exchange, const struct scram_client_final *final)
{
    const struct scram_credential *credential = &exchange->credential;
    size_t size = scram_key_bytes(credential->mechanism);
    uint8_t key[SCRAM_KEY_MOST_BYTES];
    uint8_t hashed[SCRAM_KEY_MOST_BYTES];
    scram_hmac(credential->mechanism, credential->stored_key, size,
               buf_slice(&exchange->transcript), key);
    for (size_t i = 0; i < size; i++) {
        key[i] ^= final->proof[i];
    }
    scram_hash(credential->mechanism, key, hashed);
    bool proven = CRYPTO_memcmp(hashed, credential->stored_key, size) == 0;
    OPENSSL_cleanse(key, sizeof key);
    return proven;
}

static bool is_same(struct slice a, struct slice b)
{
    return a.size == b.size && CRYPTO_memcmp(a.data, b.data, a.size) == 0;
}

/*
 * librdkafka before 2.6.1 puts its nonce once more in front (its pull request 4895). That is taken
 * as well, and nothing else: the proof is of all that was said, the server's nonce in it.
 */
static bool is_nonce_of(const struct scram_exchange *exchange, struct slice nonce)
{
    struct slice whole = slice_str(exchange->nonce);
    struct slice own = slice_of(whole.data, exchange->client_nonce_size);
    if (nonce.size > whole.size && is_same(slice_of(nonce.data, own.size), own)) {
        nonce = slice_of(nonce.data + own.size, nonce.size - own.size);
    }
    return is_same(nonce, whole);
}

/* Whether it is the end of this exchange, and says of channel binding what its beginning said. */
static bool belongs(const struct scram_exchange *exchange, const struct scram_client_final *final)
{
    return slice_equal_str(slice_of(final->binding, final->binding_size), exchange->header) &&
           is_nonce_of(exchange, final->nonce) &&
           final->proof_size == scram_key_bytes(exchange->credential.mechanism);
}

static void answer_proven(struct scram_exchange *exchange, struct buf *answer)
{
    const struct scram_credential *credential = &exchange->credential;
    uint8_t signature[SCRAM_KEY_MOST_BYTES];
    size_t size = scram_key_bytes(credential->mechanism);
    scram_hmac(credential->mechanism, credential->server_key, size,
               buf_slice(&exchange->transcript), signature);
    buf_append_str(answer, "v=");
    base64_encode(answer, slice_of(signature, size));
}

enum err scram_finish(struct scram_exchange *exchange, struct slice message, struct buf *answer,
                      struct reason *reason)
{
    struct scram_client_final final;
    assert(exchange->is_challenged);
    enum err err = scram_read_final(message, &final, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (!belongs(exchange, &final)) {
        return reason_fail(reason, ERR_INVALID, "the final SCRAM message is of another exchange");
    }
    buf_append_str(&exchange->transcript, ",");
    buf_append_slice(&exchange->transcript, final.without_proof);
    if (!is_proven(exchange, &final)) {
        return reason_fail(reason, ERR_INVALID, "wrong password, or no such user");
    }
    answer_proven(exchange, answer);
    return ERR_NONE;
}

void scram_end(struct scram_exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    free(exchange->header);
    free(exchange->nonce);
    free(exchange->user);
    buf_deinit(&exchange->transcript);
    OPENSSL_cleanse(&exchange->credential, sizeof exchange->credential);
    free(exchange);
}
