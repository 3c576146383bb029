#include "cli/bus/raw_sasl.h"

#include "base/random.h"
#include "cli/bus/raw_scram.h"
#include "wire/generated/sasl_authenticate.h"
#include "wire/generated/sasl_handshake.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { HANDSHAKE_VERSION = 1, AUTHENTICATE_VERSION = 0 };

static enum err shake_hands(struct raw_stream *stream, const char *mechanism, int64_t until_ms,
                            struct reason *reason)
{
    struct raw_request request;
    struct raw_answer answer;
    struct sasl_handshake_response told;
    const struct sasl_handshake_request body = {.mechanism = slice_str(mechanism)};
    raw_request_init(&request, API_KEY_SASL_HANDSHAKE, HANDSHAKE_VERSION);
    sasl_handshake_request_encode(&request.writer, HANDSHAKE_VERSION, &body);
    enum err err = raw_exchange(stream, &request, &answer, until_ms, reason);
    if (err == ERR_NONE) {
        err = sasl_handshake_response_decode(&answer.reader, HANDSHAKE_VERSION, &told);
    }
    if (err == ERR_NONE && told.error_code != 0) {
        struct buf known = {0};
        for (int32_t i = 0; i < told.mechanisms_count; i++) {
            buf_printf(&known, " %.*s", SLICE_ARGS(told.mechanisms[i]));
        }
        err = reason_fail(reason, ERR_IO, "the broker does not take sasl.mechanism=%s;%.100s",
                          mechanism, known.size > 0 ? buf_cstr(&known) : " it takes none there");
        buf_deinit(&known);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    return err;
}

/* One message, and what the broker says to it. */
static enum err say(struct raw_stream *stream, const struct buf *message, struct buf *said,
                    int64_t until_ms, struct reason *reason)
{
    struct raw_request request;
    struct raw_answer answer;
    struct sasl_authenticate_response told;
    const struct sasl_authenticate_request body = {.auth_bytes = buf_slice(message)};
    raw_request_init(&request, API_KEY_SASL_AUTHENTICATE, AUTHENTICATE_VERSION);
    sasl_authenticate_request_encode(&request.writer, AUTHENTICATE_VERSION, &body);
    enum err err = raw_exchange(stream, &request, &answer, until_ms, reason);
    if (err == ERR_NONE) {
        err = sasl_authenticate_response_decode(&answer.reader, AUTHENTICATE_VERSION, &told);
    }
    if (err == ERR_NONE && told.error_code != 0) {
        err = reason_fail(reason, ERR_IO,
                          "the broker refuses: %.*s (sasl.username, sasl.password, sasl.mechanism)",
                          (int)(told.error_message.size < 200 ? told.error_message.size : 200),
                          (const char *)told.error_message.data);
    } else if (err == ERR_NONE) {
        buf_append(said, told.auth_bytes.data, told.auth_bytes.size);
    }
    raw_answer_deinit(&answer);
    OPENSSL_cleanse(request.bytes.data, request.bytes.size);
    raw_request_deinit(&request);
    return err;
}

static void wipe(struct buf *secret)
{
    if (secret->size > 0) {
        OPENSSL_cleanse(secret->data, secret->size);
    }
    buf_deinit(secret);
}

static enum err login_plain(struct raw_stream *stream, const struct raw_security *security,
                            int64_t until_ms, struct reason *reason)
{
    struct buf message = {0}, said = {0};
    buf_append(&message, "", 1);
    buf_append(&message, security->user, strlen(security->user));
    buf_append(&message, "", 1);
    buf_append(&message, security->password, strlen(security->password));
    enum err err = say(stream, &message, &said, until_ms, reason);
    wipe(&message);
    buf_deinit(&said);
    return err;
}

static enum err login_scram(struct raw_stream *stream, const struct raw_security *security,
                            int64_t until_ms, struct reason *reason)
{
    struct raw_scram scram;
    struct buf message = {0}, said = {0};
    uint8_t random[16];
    char nonce[33];
    random_secure(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(nonce + 2 * i, 3, "%02x", random[i]);
    }
    raw_scram_begin(&scram, strcmp(security->mechanism, "SCRAM-SHA-512") == 0,
                    slice_str(security->user), slice_str(security->password), nonce, &message);
    enum err err = say(stream, &message, &said, until_ms, reason);
    if (err == ERR_NONE) {
        buf_clear(&message);
        err = raw_scram_answer(&scram, buf_slice(&said), &message, reason);
    }
    if (err == ERR_NONE) {
        buf_clear(&said);
        err = say(stream, &message, &said, until_ms, reason);
    }
    if (err == ERR_NONE) {
        err = raw_scram_check(&scram, buf_slice(&said), reason);
    }
    raw_scram_deinit(&scram);
    wipe(&message);
    wipe(&said);
    return err;
}

enum err raw_sasl_login(struct raw_stream *stream, const struct raw_security *security,
                        int64_t until_ms, struct reason *reason)
{
    if (security->mechanism == NULL) {
        return ERR_NONE;
    }
    enum err err = shake_hands(stream, security->mechanism, until_ms, reason);
    if (err != ERR_NONE) {
        return err;
    }
    return strcmp(security->mechanism, "PLAIN") == 0
               ? login_plain(stream, security, until_ms, reason)
               : login_scram(stream, security, until_ms, reason);
}
