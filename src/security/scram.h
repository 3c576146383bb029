#ifndef TIDINGS_SECURITY_SCRAM_H
#define TIDINGS_SECURITY_SCRAM_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * SCRAM (RFC 5802) with SHA-256 (RFC 7677) and SHA-512: what is kept of a password. Texts are taken
 * byte by byte: no SASLprep, as in Apache Kafka. Pure; secrets are compared in constant time, and
 * wiped.
 */
enum scram_mechanism { SCRAM_SHA_256 = 1, SCRAM_SHA_512 = 2 }; /* Kafka's numbers (KIP-554) */

enum {
    SCRAM_MECHANISMS = 2,
    SCRAM_KEY_MOST_BYTES = 64,
    SCRAM_SALT_MOST_BYTES = 128,
    SCRAM_NAME_MOST_BYTES = 255,
    SCRAM_PASSWORD_MOST_BYTES = 1024,
    SCRAM_MESSAGE_MOST_BYTES = 2048,
    SCRAM_ITERATIONS_LEAST = 4096, /* both as Apache Kafka */
    SCRAM_ITERATIONS_MOST = 16384,
    SCRAM_SALT_BYTES = 24 /* of what is made here */
};

/* What is kept of a password: with it a client's proof is checked, and nobody can log in. */
struct scram_credential {
    enum scram_mechanism mechanism;
    int32_t iterations;
    uint32_t salt_size;
    uint8_t salt[SCRAM_SALT_MOST_BYTES];
    uint8_t stored_key[SCRAM_KEY_MOST_BYTES]; /* scram_key_bytes of each count */
    uint8_t server_key[SCRAM_KEY_MOST_BYTES];
};

/* Whether there is a mechanism of this number. */
bool scram_is_mechanism(int64_t number);
/* "SCRAM-SHA-256"; static. */
const char *scram_name(enum scram_mechanism mechanism);
/* The mechanism of this name; false: there is none. */
bool scram_find(struct slice name, enum scram_mechanism *out);
/* Of its hash: 32 or 64 (scram_hash.c). */
size_t scram_key_bytes(enum scram_mechanism mechanism);

/* Whether it can be a user's name: UTF-8 of 1 to 255 bytes without what does something to a
 * terminal (base/utf8.h). ERR_INVALID. */
CHECKED enum err scram_check_name(struct slice name, struct reason *reason);

/* Whether iterations and salt are within the bounds above, the salt not empty. ERR_INVALID. */
CHECKED enum err scram_check_terms(int64_t iterations, size_t salt_size, struct reason *reason);

/* A salt that nobody has had before. */
void scram_new_salt(uint8_t salt[SCRAM_SALT_BYTES]);

/* Of a password that is not empty; the terms are within their bounds. Takes the time of that many
 * HMACs, some 2 ms for 4,096: never on a reactor. */
void scram_make(enum scram_mechanism mechanism, struct slice password, struct slice salt,
                int32_t iterations, struct scram_credential *out);

/* The same of what PBKDF2 made of the password; scram_key_bytes. */
void scram_make_salted(enum scram_mechanism mechanism, const uint8_t *salted, struct slice salt,
                       int32_t iterations, struct scram_credential *out);

/* Whether this is the password. As long as scram_make. */
bool scram_fits(const struct scram_credential *credential, struct slice password);

/*
 * What is used for a user who is not there, so that nobody learns that: the same for a name each
 * time, and no password fits. secret: 32 bytes that only the server knows.
 */
void scram_pretend(enum scram_mechanism mechanism, const uint8_t secret[32], struct slice name,
                   struct scram_credential *out);

#endif
