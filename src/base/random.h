#ifndef TIDINGS_BASE_RANDOM_H
#define TIDINGS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Seeded pseudo-random numbers (SplitMix64): the same seed gives the same row. Not for secrets. */
struct random {
    uint64_t state;
};

/* The next number of the row: each of the 2^64 is as likely. */
uint64_t random_next(struct random *random);

/* Evenly in [0, bound); bound > 0. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Fills from the kernel's generator; for ids and secrets. Any thread. */
void random_secure(void *to, size_t size);

/* A random (version 4) UUID, RFC 4122, never one of Kafka's two reserved ones. */
void random_uuid(uint8_t uuid[16]);

enum { UUID_TEXT_SIZE = 37 };

/* Such a UUID as text, "f81d4fae-7dec-41d0-a765-00a0c91e6bf6", into text; returns text. */
const char *random_uuid_text(char text[UUID_TEXT_SIZE]);

#endif
