#include "bus/map/map_facts.h"

#include "base/bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS = MAP_NAMES + 3,
    KEY_MOST = 1 + PARTS * (4 + MAP_NAME_BYTES),
    QUIET_MS = 24 * 60 * 60 * 1000,
    RATE_OVER_MS = 10000,
};

/* --- keys --- */

static struct slice cut(struct slice name)
{
    return name.size <= MAP_NAME_BYTES ? name : slice_of(name.data, MAP_NAME_BYTES);
}

static size_t put_part(uint8_t *key, size_t at, struct slice part)
{
    part = cut(part);
    store_be32(key + at, slice_is_null(part) ? UINT32_MAX : (uint32_t)part.size);
    slice_copy(key + at + 4, part);
    return at + 4 + part.size;
}

static size_t make_key(uint8_t key[KEY_MOST], const struct map_fact_key *is)
{
    size_t at = 1;
    key[0] = (uint8_t)is->kind;
    for (int i = 0; i < MAP_NAMES; i++) {
        at = put_part(key, at, is->names[i]);
    }
    at = put_part(key, at, is->topic);
    at = put_part(key, at, is->type);
    return put_part(key, at, is->other);
}

static struct slice take_part(const uint8_t **at)
{
    uint32_t size = load_be32(*at);
    struct slice part = {0};
    *at += 4;
    if (size != UINT32_MAX) {
        part = slice_of(*at, size);
        *at += size;
    }
    return part;
}

static struct map_fact_key read_key(const uint8_t *key)
{
    struct map_fact_key is = {.kind = (enum map_fact_kind)key[0]};
    const uint8_t *at = key + 1;
    for (int i = 0; i < MAP_NAMES; i++) {
        is.names[i] = take_part(&at);
    }
    is.topic = take_part(&at);
    is.type = take_part(&at);
    is.other = take_part(&at);
    return is;
}

/* --- the table --- */

void map_facts_init(struct map_facts *facts, int64_t now_ms)
{
    *facts = (struct map_facts){.began_ms = now_ms};
}

void map_facts_remove(struct map_facts *facts, struct map_fact *fact)
{
    HASH_DEL(facts->by_key, fact);
    buf_deinit(&fact->bytes_of_key);
    free(fact);
}

void map_facts_deinit(struct map_facts *facts)
{
    struct map_fact *fact, *next;
    HASH_ITER (hh, facts->by_key, fact, next) {
        map_facts_remove(facts, fact);
    }
}

/* When something was last heard of it. */
static int64_t heard_ms(const struct map_fact *fact)
{
    return fact->active_ms > fact->last_ms ? fact->active_ms : fact->last_ms;
}

/* What was last heard of a fact only becomes later, so that one look at all tells for how long
 * there is no room: else each event that has no place would cost one. */
static bool make_room(struct map_facts *facts, int64_t now_ms)
{
    struct map_fact *quietest = NULL;
    if (now_ms < facts->full_until_ms) {
        return false;
    }
    for (struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (quietest == NULL || heard_ms(fact) < heard_ms(quietest)) {
            quietest = fact;
        }
    }
    if (quietest == NULL || now_ms - heard_ms(quietest) < QUIET_MS) {
        facts->full_until_ms = quietest == NULL ? 0 : heard_ms(quietest) + QUIET_MS;
        return false;
    }
    map_facts_remove(facts, quietest);
    return true;
}

static struct map_fact *add_fact(struct map_facts *facts, const uint8_t *key, size_t size)
{
    struct map_fact *fact = mem_new(struct map_fact);
    buf_append(&fact->bytes_of_key, key, size);
    fact->is = read_key(fact->bytes_of_key.data);
    fact->connections = fact->members = -1;
    fact->lag = -1;
    HASH_ADD_KEYPTR(hh, facts->by_key, fact->bytes_of_key.data, size, fact);
    return fact;
}

struct map_fact *map_facts_find(const struct map_facts *facts, const struct map_fact_key *key)
{
    uint8_t bytes[KEY_MOST];
    struct map_fact *fact;
    size_t size = make_key(bytes, key);
    HASH_FIND(hh, facts->by_key, bytes, size, fact);
    return fact;
}

struct map_fact *map_facts_reach(struct map_facts *facts, const struct map_fact_key *key,
                                 int64_t now_ms)
{
    uint8_t bytes[KEY_MOST];
    struct map_fact *fact;
    size_t size = make_key(bytes, key);
    HASH_FIND(hh, facts->by_key, bytes, size, fact);
    if (fact != NULL) {
        return fact;
    }
    if (HASH_COUNT(facts->by_key) >= MAP_FACTS_MAX && !make_room(facts, now_ms)) {
        map_left_out_add(&facts->left_out, bytes, size);
        return NULL;
    }
    fact = add_fact(facts, bytes, size);
    fact->active_ms = now_ms;
    return fact;
}

void map_facts_copy(const struct map_facts *from, struct map_facts *to)
{
    *to = *from;
    to->by_key = NULL;
    for (const struct map_fact *fact = from->by_key; fact != NULL; fact = fact->hh.next) {
        struct map_fact *copy = add_fact(to, fact->bytes_of_key.data, fact->bytes_of_key.size);
        struct map_fact made = *copy;
        *copy = *fact;
        copy->hh = made.hh;
        copy->bytes_of_key = made.bytes_of_key;
        copy->is = made.is;
    }
}

/* --- what flows --- */

void map_fact_add(struct map_fact *fact, uint64_t events, uint64_t bytes, int64_t time_ms)
{
    fact->events += events;
    fact->bytes += bytes;
    fact->new_events += events;
    fact->new_bytes += bytes;
    if (fact->first_ms == 0 || time_ms < fact->first_ms) {
        fact->first_ms = time_ms;
    }
    if (time_ms > fact->last_ms) {
        fact->last_ms = time_ms;
    }
}

void map_fact_took(struct map_fact *fact, int64_t took_ms)
{
    double took = took_ms < 0 ? 0 : (double)took_ms;
    double step = fact->took_ms / 16 > 1 ? fact->took_ms / 16 : 1;
    if (fact->events == 0) {
        fact->took_ms = took;
    } else if (fabs(took - fact->took_ms) <= step) {
        fact->took_ms = took;
    } else {
        fact->took_ms += took > fact->took_ms ? step : -step;
    }
}

static void note_gap(struct map_fact *fact, int64_t now_ms, int64_t dt_ms)
{
    int64_t since_ms = fact->active_ms > 0 ? now_ms - fact->active_ms : dt_ms;
    int64_t gap_ms = since_ms / (int64_t)(fact->new_events > 1000000 ? 1000000 : fact->new_events);
    bool is_first = fact->gap_ms == 0;
    gap_ms = gap_ms < 1 ? 1 : gap_ms;
    fact->gap_ms = is_first ? gap_ms : (3 * fact->gap_ms + gap_ms) / 4;
    fact->gap_ms = fact->gap_ms < 1 ? 1 : fact->gap_ms;
    fact->active_ms = now_ms;
}

void map_facts_tick(struct map_facts *facts, int64_t now_ms, int64_t dt_ms)
{
    double dt_s = (double)(dt_ms < 1 ? 1 : dt_ms) / 1000;
    double share = 1 - exp(-dt_s * 1000 / RATE_OVER_MS);
    if (HASH_COUNT(facts->by_key) < MAP_FACTS_MAX && facts->left_out.count > 0) {
        facts->left_out = (struct map_left_out){0}; /* there is room again */
    }
    for (struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        bool is_old = fact->last_ms < now_ms - 60000; /* read now, but of another time */
        double events = is_old ? 0 : (double)fact->new_events;
        double bytes = is_old ? 0 : (double)fact->new_bytes;
        fact->rate += (events / dt_s - fact->rate) * share;
        fact->byte_rate += (bytes / dt_s - fact->byte_rate) * share;
        fact->rate = fact->rate < 0.0001 ? 0 : fact->rate;
        fact->byte_rate = fact->byte_rate < 0.0001 ? 0 : fact->byte_rate;
        if (fact->new_events > 0 && !is_old) {
            note_gap(fact, now_ms, dt_ms);
        }
        fact->new_events = fact->new_bytes = 0;
    }
}

/* --- samples of totals --- */

void map_facts_sample_begin(struct map_facts *facts)
{
    for (struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        fact->sum_events = fact->sum_bytes = 0;
        fact->sum_connections = -1;
        fact->sum_first_ms = fact->sum_last_ms = fact->sum_left_ms = 0;
    }
}

void map_fact_sample(struct map_fact *fact, uint64_t events, uint64_t bytes, int32_t connections,
                     int64_t first_ms, int64_t last_ms, int64_t left_ms)
{
    fact->sum_events += events;
    fact->sum_bytes += bytes;
    fact->sum_connections = (fact->sum_connections < 0 ? 0 : fact->sum_connections) + connections;
    if (fact->sum_first_ms == 0 || first_ms < fact->sum_first_ms) {
        fact->sum_first_ms = first_ms;
    }
    fact->sum_last_ms = last_ms > fact->sum_last_ms ? last_ms : fact->sum_last_ms;
    fact->sum_left_ms = left_ms > fact->sum_left_ms ? left_ms : fact->sum_left_ms;
}

/* What was forgotten since (a client that had to make room) makes the sum less: nothing is new. */
static uint64_t more_than(uint64_t sum, uint64_t base)
{
    return sum > base ? sum - base : 0;
}

static void take_sample(struct map_fact *fact, int64_t now_ms)
{
    bool was_there = fact->connections > 0;
    uint64_t events = more_than(fact->sum_events, fact->base_events);
    uint64_t bytes = more_than(fact->sum_bytes, fact->base_bytes);
    fact->base_events = fact->sum_events;
    fact->base_bytes = fact->sum_bytes;
    fact->connections = fact->sum_connections < 0 ? 0 : fact->sum_connections;
    if (events > 0) {
        map_fact_add(fact, events, bytes, fact->sum_last_ms);
    }
    if (fact->first_ms == 0 || (fact->sum_first_ms > 0 && fact->sum_first_ms < fact->first_ms)) {
        fact->first_ms = fact->sum_first_ms;
    }
    if (fact->connections > 0) {
        fact->left_ms = 0;
    } else if (fact->left_ms == 0 || was_there) {
        fact->left_ms = fact->sum_left_ms > 0 ? fact->sum_left_ms : now_ms;
    }
}

void map_facts_sample_end(struct map_facts *facts, int64_t now_ms)
{
    facts->sampled_ms = now_ms;
    for (struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        bool is_of_clients = fact->sum_connections >= 0 || fact->connections >= 0;
        if (is_of_clients) {
            take_sample(fact, now_ms);
        }
    }
}
