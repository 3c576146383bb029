#ifndef TIDINGS_SECURITY_SCRAM_HASH_H
#define TIDINGS_SECURITY_SCRAM_HASH_H

#include "security/scram.h"

/* What SCRAM is made of, by OpenSSL. Results have scram_key_bytes. Never fail but by abort: without
 * memory. */

/* HMAC. out has room for SCRAM_KEY_MOST_BYTES. */
void scram_hmac(enum scram_mechanism mechanism, const uint8_t *key, size_t key_size,
                struct slice text, uint8_t *out);

/* The hash of such a result. */
void scram_hash(enum scram_mechanism mechanism, const uint8_t *of, uint8_t *out);

/* PBKDF2: takes the time of so many HMACs. */
void scram_stretch(enum scram_mechanism mechanism, struct slice password, struct slice salt,
                   int32_t iterations, uint8_t *out);

#endif
