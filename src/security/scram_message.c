#include "security/scram_message.h"

#include "base/arena.h"
#include "base/base64.h"

#include <string.h>

/* Takes up to the next comma, which goes as well. */
static struct slice take_part(struct slice *rest)
{
    const uint8_t *comma = slice_find(*rest, ',');
    size_t size = comma != NULL ? (size_t)(comma - rest->data) : rest->size;
    struct slice part = slice_of(rest->data, size);
    size_t used = size + (comma != NULL);
    *rest = slice_of(rest->data + used, rest->size - used);
    return part;
}

/* What stands behind "LETTER="; null: the part does not begin so. */
static struct slice value_of(struct slice part, char letter)
{
    bool is_it = part.size >= 2 && part.data[0] == (uint8_t)letter && part.data[1] == '=';
    return is_it ? slice_of(part.data + 2, part.size - 2) : (struct slice){0};
}

static bool is_nonce(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) {
            return false;
        }
    }
    return text.size > 0;
}

/* A name as it is sent: "=2C" for a comma, "=3D" for "=". False: it is none, or too long. */
static bool unescape(struct slice text, char *out, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char letter = (char)text.data[i];
        if (letter == '=') {
            bool comma = text.size - i >= 3 && memcmp(text.data + i, "=2C", 3) == 0;
            if (!comma && (text.size - i < 3 || memcmp(text.data + i, "=3D", 3) != 0)) {
                return false;
            }
            letter = comma ? ',' : '=';
            i += 2;
        }
        if (*size == SCRAM_NAME_MOST_BYTES) {
            return false;
        }
        out[(*size)++] = letter;
    }
    out[*size] = '\0';
    return true;
}

static enum err check_size(struct slice message, struct reason *reason)
{
    return message.size > 0 && message.size <= SCRAM_MESSAGE_MOST_BYTES
               ? ERR_NONE
               : reason_fail(reason, ERR_INVALID,
                             "a SCRAM message of %zu bytes (1 to %d are taken)", message.size,
                             SCRAM_MESSAGE_MOST_BYTES);
}

/* Takes the header with its two commas. */
static enum err take_header(struct slice *rest, struct slice *header, struct slice *identity,
                            struct reason *reason)
{
    const uint8_t *begin = rest->data;
    struct slice flag = take_part(rest);
    *identity = take_part(rest);
    *header = slice_of(begin, (size_t)(rest->data - begin));
    if (flag.size >= 2 && flag.data[0] == 'p' && flag.data[1] == '=') {
        return reason_fail(reason, ERR_INVALID, "channel binding is asked for, and not served");
    }
    if (!slice_equal_str(flag, "n") && !slice_equal_str(flag, "y")) {
        return reason_fail(reason, ERR_INVALID,
                           "the first SCRAM message does not begin with \"n,\"");
    }
    if (identity->size > 0 && slice_is_null(value_of(*identity, 'a'))) {
        return reason_fail(reason, ERR_INVALID, "the first SCRAM message has a malformed identity");
    }
    return ERR_NONE;
}

enum err scram_read_first(struct slice message, struct scram_client_first *out,
                          struct reason *reason)
{
    struct slice rest = message;
    struct slice identity;
    enum err err = check_size(message, reason);
    if (err == ERR_NONE) {
        err = take_header(&rest, &out->header, &identity, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    out->bare = rest;
    struct slice name = take_part(&rest);
    if (!slice_is_null(value_of(name, 'm'))) {
        return reason_fail(reason, ERR_INVALID, "a SCRAM extension that must be understood");
    }
    name = value_of(name, 'n');
    if (slice_is_null(name) || !unescape(name, out->user, &out->user_size)) {
        return reason_fail(reason, ERR_INVALID, "the first SCRAM message has no good user name");
    }
    err = scram_check_name(slice_of(out->user, out->user_size), reason);
    if (err != ERR_NONE) {
        return err;
    }
    identity = value_of(identity, 'a');
    if (identity.size > 0 && !slice_equal(identity, name)) {
        return reason_fail(reason, ERR_INVALID,
                           "an authorization id is asked for that is different from the user name");
    }
    out->nonce = value_of(take_part(&rest), 'r');
    return is_nonce(out->nonce)
               ? ERR_NONE
               : reason_fail(reason, ERR_INVALID, "the first SCRAM message has no good nonce");
}

/* Base 64 into a buffer with room for so many bytes. */
static bool decode(struct slice text, uint8_t *out, size_t room, size_t *size)
{
    struct arena arena = {0};
    struct slice bytes;
    bool good = !slice_is_null(text) && base64_decode(&arena, text, &bytes) && bytes.size <= room;
    if (good) {
        slice_copy(out, bytes);
        *size = bytes.size;
    }
    arena_deinit(&arena);
    return good;
}

/* The proof is the last part: "...,p=" and base 64, in which there is no comma. */
static bool split_proof(struct slice message, struct slice *without, struct slice *proof)
{
    size_t at = message.size;
    while (at > 0 && message.data[at - 1] != ',') {
        at--;
    }
    *proof = value_of(slice_of(message.data + at, message.size - at), 'p');
    *without = slice_of(message.data, at > 0 ? at - 1 : 0);
    return at > 0 && !slice_is_null(*proof);
}

enum err scram_read_final(struct slice message, struct scram_client_final *out,
                          struct reason *reason)
{
    struct slice proof;
    enum err err = check_size(message, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (!split_proof(message, &out->without_proof, &proof) ||
        !decode(proof, out->proof, sizeof out->proof, &out->proof_size)) {
        return reason_fail(reason, ERR_INVALID, "the final SCRAM message has no good proof");
    }
    struct slice rest = out->without_proof;
    if (!decode(value_of(take_part(&rest), 'c'), out->binding, sizeof out->binding,
                &out->binding_size)) {
        return reason_fail(reason, ERR_INVALID,
                           "the final SCRAM message has no good channel binding");
    }
    out->nonce = value_of(take_part(&rest), 'r');
    return is_nonce(out->nonce)
               ? ERR_NONE
               : reason_fail(reason, ERR_INVALID, "the final SCRAM message has no good nonce");
}
