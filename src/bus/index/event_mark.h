#ifndef TIDINGS_BUS_INDEX_EVENT_MARK_H
#define TIDINGS_BUS_INDEX_EVENT_MARK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What is kept of one event of a partition, to tell later whether the same one stands there still:
 * where a bus tells no ids of topics, one that was deleted and made again is known by that alone.
 */
struct event_mark {
    int64_t offset; /* -1: nothing is kept */
    int64_t timestamp_ms;
    uint32_t crc; /* CRC-32C of key, value and headers */
};

struct event;

/* Nothing is kept. */
static inline struct event_mark event_mark_none(void)
{
    return (struct event_mark){.offset = -1};
}

/* Of this event. Any thread. */
struct event_mark event_mark_of(const struct event *event);

/* Whether both are of one event. */
static inline bool event_mark_is_same(const struct event_mark *a, const struct event_mark *b)
{
    return a->offset == b->offset && a->timestamp_ms == b->timestamp_ms && a->crc == b->crc;
}

#endif
