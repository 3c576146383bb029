#ifndef TIDINGS_CLI_EVENT_H
#define TIDINGS_CLI_EVENT_H

#include "base/arena.h"
#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * One event as the command shows and reads it. Everything in it borrows: from a librdkafka message,
 * from the input or from an arena.
 */
struct event_header {
    const char *name;
    struct slice value; /* null slice: a header without value */
};

struct event {
    const char *topic;    /* NULL: not known yet */
    int32_t partition;    /* -1: by key */
    int64_t offset;       /* -1: none yet */
    int64_t timestamp_ms; /* -1: none, or now when publishing */
    struct slice key;
    struct slice value; /* null slice: a tombstone */
    struct event_header *headers;
    size_t header_count;
};

/* The last header of this name (Kafka's rule for repeated ones), or NULL. */
const struct event_header *event_header_find(const struct event *event, const char *name);

/*
 * As a JSON object: topic, partition, offset, timestamp (ISO 8601), key, headers (an object; a
 * repeated name holds a list), value. Bytes that are no UTF-8 are base 64, marked by
 * "key_encoding" or "value_encoding": "base64"; in headers by {"base64": "..."}.
 */
json_t *event_to_json(const struct event *event);

/* Sets object's member to the bytes: as text, or in base 64 with the member encoding_name saying
 * so, or null for the null slice. */
void event_set_bytes(json_t *object, const char *name, const char *encoding_name,
                     struct slice bytes);

/*
 * Reads what event_to_json writes, or less: key, value, headers, partition, timestamp (ISO 8601 or
 * ms). A value or key that is an object, a list, a number or a truth value is taken as its JSON
 * text. topic and offset are ignored; any other member is ERR_INVALID with a reason. The event
 * borrows from the arena.
 */
CHECKED enum err event_from_json(struct slice text, struct arena *arena, struct event *event,
                                 struct reason *reason);

/* One line for people, without line break: time, topic[partition]@offset, key, type, value. */
void event_to_line(const struct event *event, struct buf *line);

/* One indented line for each header, for people. */
void event_headers_to_lines(const struct event *event, struct buf *lines);

#endif
