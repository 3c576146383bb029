#ifndef TIDINGS_BUS_MAP_MAP_FEED_H
#define TIDINGS_BUS_MAP_MAP_FEED_H

#include "bus/map/map_facts.h"
#include "client/event/feed.h"

/*
 * What events tell the flow map: their types and sources, what caused them, and what was given up;
 * and for lags where each partition ends and when its events were published.
 *
 * Of a bus that is busy not every event is looked at: MAP_LOOKS_A_SECOND in a second, and at least
 * MAP_LOOKS_A_PIECE of each piece; these stand for the others of their piece. Causes are found
 * among the last MAP_CAUSES_KEPT events that were looked at. Some 2 MiB in all. One thread at a
 * time.
 */
enum {
    MAP_LOOKS_A_SECOND = 2000,
    MAP_LOOKS_A_PIECE = 4,
    MAP_CAUSES_KEPT = 16384,
    MAP_EFFECTS_KEPT = 4096,
    MAP_PLACES_MAX = 100000,
    MAP_PUBLISHERS_MAX = 4096
};

/* Who has a producer id: fills what is known (map_name.h) into names, borrowed until the next call;
 * false: nobody knows. */
typedef bool map_find_publisher(void *context, int64_t producer_id, struct slice names[MAP_NAMES]);

struct map_feed;

/* Fills these facts, which outlive it. find NULL: nobody knows of producer ids. */
struct map_feed *map_feed_new(struct map_facts *facts, map_find_publisher *find, void *context);
void map_feed_free(struct map_feed *feed);

/* One more piece. now_ms: wall clock. */
void map_feed_take(struct map_feed *feed, const struct feed_piece *piece, int64_t now_ms);

/* Up to where a partition was read; -1: not at all. */
int64_t map_feed_next(const struct map_feed *feed, const struct feed_source *source);

/* Where a partition was read up to and ended, as remembered from before. */
void map_feed_restore(struct map_feed *feed, struct slice topic, const uint8_t topic_id[16],
                      int32_t partition, int64_t next, int64_t end);

/* Calls each for every partition. */
typedef void map_feed_place(void *context, struct slice topic, const uint8_t topic_id[16],
                            int32_t partition, int64_t next, int64_t end);

/* As above; in no order. */
void map_feed_each(const struct map_feed *feed, map_feed_place *each, void *context);

/* How many offsets wait behind a committed one: -1: not known. *oldest_ms: about when the first of
 * them was published; 0: none waits, or not known. */
int64_t map_feed_lag(const struct map_feed *feed, struct slice topic, int32_t partition,
                     int64_t committed, int64_t *oldest_ms);

/* Whether a topic is machinery that no map shows: the bus's own, and those of lanes and dead
 * letters. */
bool map_hides_topic(struct slice topic);

#endif
