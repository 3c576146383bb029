#include "log/compact_map.h"

#include "base/mem.h"
#include "base/random.h"

#include <assert.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 uint128;

void compact_map_init(struct compact_map *map, size_t max_bytes, double load_factor, uint64_t keys)
{
    assert(max_bytes >= COMPACT_MAP_MIN_BYTES && load_factor > 0 && load_factor <= 1);
    size_t slots = max_bytes / sizeof(struct compact_slot);
    double needed = (double)keys / load_factor + 2;
    if (needed < (double)slots) {
        slots = (size_t)needed;
    }
    *map = (struct compact_map){.slot_count = slots, .most = (size_t)((double)slots * load_factor)};
    map->most = map->most < 1 ? 1 : map->most < slots ? map->most : slots - 1; /* one stays free */
    map->slots = mem_new_array(struct compact_slot, slots);
    random_secure(&map->secret, sizeof map->secret);
}

void compact_map_deinit(struct compact_map *map)
{
    free(map->slots);
    *map = (struct compact_map){.slot_count = 0};
}

/* The slot of the key, or the free one where it belongs. */
static struct compact_slot *find_slot(const struct compact_map *map, struct slice key,
                                      struct siphash128 *hash)
{
    *hash = siphash128(&map->secret, key.data, key.size);
    /* The high half of a product spreads evenly over any number of slots. */
    size_t at = (size_t)(((uint128)hash->low * map->slot_count) >> 64);
    struct compact_slot *slot = &map->slots[at];
    while (slot->end != 0 && (slot->hash.low != hash->low || slot->hash.high != hash->high)) {
        at = at + 1 == map->slot_count ? 0 : at + 1;
        slot = &map->slots[at];
    }
    return slot;
}

bool compact_map_put(struct compact_map *map, struct slice key, int64_t offset)
{
    struct siphash128 hash;
    struct compact_slot *slot = find_slot(map, key, &hash);
    if (slot->end == 0) {
        if (map->count >= map->most) {
            return false;
        }
        map->count++;
        slot->hash = hash;
    }
    if (slot->end < offset + 1) {
        slot->end = offset + 1;
    }
    return true;
}

int64_t compact_map_get(const struct compact_map *map, struct slice key)
{
    struct siphash128 hash;
    return find_slot(map, key, &hash)->end - 1;
}
