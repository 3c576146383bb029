#ifndef TIDINGS_BUS_INDEX_INDEX_PLACES_H
#define TIDINGS_BUS_INDEX_INDEX_PLACES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>

/*
 * Which events the numbers in a run of the index stand for. A number (32 bits) is an event's place
 * in the run: spans of numbers that follow one another stand for offsets of one partition that do.
 * So an entry of the index takes 4 bytes for its event, whatever topic, partition and offset are.
 *
 * Pure; one thread at a time.
 */

/* A topic of one life: one that was deleted and made again has another id. Where the bus does not
 * tell ids, event_index_inside.h makes them up. */
struct index_topic {
    char *name;
    uint8_t id[16];
};

struct index_span {
    uint32_t topic; /* of the places' topics */
    int32_t partition;
    int64_t offset; /* of the first event */
    uint32_t number;
    uint32_t count; /* above 0 */
};

/* An event's place. The name is borrowed from the places. */
struct index_place {
    const char *topic;
    const uint8_t *topic_id; /* 16 bytes */
    int32_t partition;
    int64_t offset;
};

struct index_places {
    VEC(struct index_topic) topics;
    VEC(struct index_span) spans; /* by rising number, without gaps from 0 on */
};

/* A run has so many numbers at most; index_places_add asks for one more. */
enum { INDEX_NUMBERS_MAX = INT32_MAX };

/* Frees what it has; empty afterwards. */
void index_places_deinit(struct index_places *places);

/* How many numbers there are. */
uint32_t index_places_count(const struct index_places *places);

/* The topic's place in the list, where it is put if it is not there. name is copied. */
uint32_t index_places_topic(struct index_places *places, const char *name, const uint8_t id[16]);

/*
 * The number of an event. One that stands at or a little behind the last one of its partition, as
 * long as no other partition's came between, is in the same span; the offsets between get numbers
 * that nothing uses. There are fewer than INDEX_NUMBERS_MAX.
 */
uint32_t index_places_add(struct index_places *places, uint32_t topic, int32_t partition,
                          int64_t offset);

/* The span that holds the number, which is below the count. */
const struct index_span *index_places_span(const struct index_places *places, uint32_t number);

/* The place of a number below the count. */
struct index_place index_places_find(const struct index_places *places, uint32_t number);

/* Whether all of a partition's events below end_offset are gone. */
typedef bool index_is_gone(void *context, const struct index_topic *topic, int32_t partition,
                           int64_t end_offset);
#define INDEX_GONE UINT64_MAX

/*
 * For places that come together: `to`, which is empty, gets the spans of all `from` but those that
 * `is_gone` (NULL: none is), in order of topic, partition and offset, and what follows one another,
 * or is there twice, is one span. shifts[i][j] is what the numbers of from[i]'s j-th span change by
 * (modulo 2^32), or INDEX_GONE. Free each of shifts with free.
 */
void index_places_join(struct index_places *to, const struct index_places *const *from,
                       size_t count, index_is_gone *is_gone, void *context, uint64_t **shifts);

/* As bytes (docs/formats.md), behind what is in `to`. */
void index_places_encode(const struct index_places *places, struct buf *to);

/* Any bytes: ERR_CORRUPT, and the places are empty. */
CHECKED enum err index_places_decode(struct index_places *places, struct slice bytes,
                                     struct reason *reason);

#endif
