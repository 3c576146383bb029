#include "base/siphash.h"

struct sip_state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline void sip_round(struct sip_state *state)
{
    state->v0 += state->v1;
    state->v1 = rotate(state->v1, 13) ^ state->v0;
    state->v0 = rotate(state->v0, 32);
    state->v2 += state->v3;
    state->v3 = rotate(state->v3, 16) ^ state->v2;
    state->v0 += state->v3;
    state->v3 = rotate(state->v3, 21) ^ state->v0;
    state->v2 += state->v1;
    state->v1 = rotate(state->v1, 17) ^ state->v2;
    state->v2 = rotate(state->v2, 32);
}

static inline void take_word(struct sip_state *state, uint64_t word)
{
    state->v3 ^= word;
    sip_round(state);
    sip_round(state);
    state->v0 ^= word;
}

/* Four rounds, and half of the result. */
static inline uint64_t finish(struct sip_state *state)
{
    for (int i = 0; i < 4; i++) {
        sip_round(state);
    }
    return state->v0 ^ state->v1 ^ state->v2 ^ state->v3;
}

/* Up to 8 bytes as a little-endian number. */
static inline uint64_t load_le(const uint8_t *from, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

struct siphash128 siphash128(const struct siphash_key *key, const void *data, size_t size)
{
    struct sip_state state = {
        .v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        .v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key->k1 ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *at = data;
    size_t left = size;
    for (; left >= 8; left -= 8, at += 8) {
        take_word(&state, load_le(at, 8));
    }
    take_word(&state, (uint64_t)size << 56 | load_le(at, left));
    state.v2 ^= 0xee;
    struct siphash128 hash;
    hash.low = finish(&state);
    state.v1 ^= 0xdd;
    hash.high = finish(&state);
    return hash;
}
