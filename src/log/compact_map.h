#ifndef TIDINGS_LOG_COMPACT_MAP_H
#define TIDINGS_LOG_COMPACT_MAP_H

#include "base/siphash.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The newest offset of each key of a stretch of a log. Keys are known by a hash of 16 bytes with a
 * secret of the process, so that no two keys are taken for one; each takes 24 bytes, and the whole
 * never more than it was given. One thread.
 */
struct compact_slot {
    struct siphash128 hash;
    int64_t end; /* offset + 1; 0: free */
};

struct compact_map {
    struct siphash_key secret;
    struct compact_slot *slots;
    size_t slot_count;
    size_t most; /* keys that it takes: a table that is too full is slow */
    size_t count;
};

enum { COMPACT_MAP_MIN_BYTES = 2 * sizeof(struct compact_slot) };

/*
 * An empty map of at most max_bytes (COMPACT_MAP_MIN_BYTES or more), of which the part
 * load_factor (above 0, at most 1) is filled; no larger than `keys` keys need.
 */
void compact_map_init(struct compact_map *map, size_t max_bytes, double load_factor, uint64_t keys);
void compact_map_deinit(struct compact_map *map);

/* Notes the offset of a key unless a newer one is known; false when it is a new key and the map is
 * full. */
bool compact_map_put(struct compact_map *map, struct slice key, int64_t offset);

/* The newest offset of the key, or -1. */
int64_t compact_map_get(const struct compact_map *map, struct slice key);

#endif
