#ifndef TIDINGS_BASE_SIPHASH_H
#define TIDINGS_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* A secret of 16 bytes: whoever does not know it cannot look for inputs with the same hash. */
struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

struct siphash128 {
    uint64_t low;
    uint64_t high;
};

/*
 * SipHash-2-4 with 128 bits (Aumasson and Bernstein): a keyed hash for which a collision of two
 * inputs is as likely as a guess of 128 bits. Any thread.
 */
struct siphash128 siphash128(const struct siphash_key *key, const void *data, size_t size);

#endif
