#ifndef TIDINGS_CLIENT_EVENT_EVENT_H
#define TIDINGS_CLIENT_EVENT_EVENT_H

#include "base/arena.h"
#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * One event: a record of a topic, and what it says as a CloudEvent (1.0, with the Kafka protocol
 * binding), as JSON, and as a line for people. Everything in it borrows: from the reader's record,
 * from an input or from an arena. All functions here are pure; any thread, one at a time an event.
 */
struct event_header {
    const char *name;
    struct slice value; /* null slice: a header without value */
};

struct event {
    const char *topic; /* NULL: not known yet */
    int32_t partition; /* -1: by key */
    int64_t offset;    /* -1: none yet */
    int64_t
        timestamp_ms; /* -1: none, or now when publishing; of a received one as event_time says */
    struct slice key;
    struct slice value; /* null slice: a tombstone */
    struct event_header *headers;
    size_t header_count;
};

/*
 * The time of a received event, of any 64 bits that its producer wrote: -1 or between 1970 and the
 * end of year 9999, so that whoever takes times apart or adds a span to one meets no overflow. What
 * is outside is told as the nearest.
 */
static inline int64_t event_time(int64_t timestamp_ms)
{
    static const int64_t YEAR_9999_ENDS_MS = INT64_C(253402300799999);
    if (timestamp_ms < 0) {
        return -1;
    }
    return timestamp_ms < YEAR_9999_ENDS_MS ? timestamp_ms : YEAR_9999_ENDS_MS;
}

/* No topic, no partition, no offset, no time, no key, a tombstone: what a new event begins as. */
static inline struct event event_blank(void)
{
    return (struct event){.partition = -1, .offset = -1, .timestamp_ms = -1};
}

/* The last header of this name (Kafka's rule for repeated ones), or NULL. */
const struct event_header *event_header_find(const struct event *event, const char *name);

/* Moves the headers into the arena with room for `more`, for event_header_add. */
void event_header_room(struct event *event, size_t more, struct arena *arena);

/* What the event borrows is copied into the arena, and borrowed from there. */
void event_own(struct event *event, struct arena *arena);

/* Adds a header behind the others. Room was made; name and value are borrowed. */
void event_header_add(struct event *event, const char *name, struct slice value);

/* --- CloudEvents (event_cloud.c) --- */

/* How a record carries a CloudEvent. */
enum event_mode {
    EVENT_PLAIN,     /* it is none */
    EVENT_BINARY,    /* attributes are headers named ce_*, the value is the data */
    EVENT_STRUCTURED /* content-type begins with application/cloudevents: the value is all of it */
};

/* How the record carries its event, by its headers alone. */
enum event_mode event_mode(const struct event *event);

/*
 * A structured CloudEvent in JSON becomes the binary one that says the same: a header ce_NAME for
 * each attribute and extension, content-type from datacontenttype (application/json when that is
 * missing and data is not), and as value the data: JSON as it was written, byte for byte; a text
 * when the content type is not JSON; decoded data_base64; the null slice when there is none. Other
 * headers stay, before these. Plain and binary events stay as they are (ERR_NONE).
 * ERR_INVALID: no JSON object, or id, source, type or specversion is missing. ERR_UNSUPPORTED:
 * another format than JSON, a batch, or a specversion other than 1. Then the event is unchanged.
 */
CHECKED enum err event_unwrap(struct event *event, struct arena *arena, struct reason *reason);

/*
 * The other way: a binary CloudEvent becomes a structured one in JSON. Data that is JSON by its
 * content type and its bytes is put in as it is, other UTF-8 as text, the rest in base 64.
 * ERR_INVALID when it is no binary CloudEvent or an attribute is no UTF-8; the event is unchanged.
 */
CHECKED enum err event_wrap(struct event *event, struct arena *arena, struct reason *reason);

/* The attributes that this program knows; NULL stands for an absent one. */
struct event_attributes {
    const char *id;
    const char *source;
    const char *type;
    const char *subject;
    const char *time; /* RFC 3339, as its publisher wrote it */
    const char *content_type;
    const char *correlation_id; /* extension: of the first event of the story */
    const char *causation_id;   /* extension: of the event that made this one happen */
};

/*
 * What the headers of a binary (or unwrapped) event say; all NULL but content_type for a plain
 * one. Borrows from the header values, which must be followed by a NUL outside their size: those of
 * client/reader/reader.h, event_unwrap and event_from_json are.
 */
struct event_attributes event_attributes(const struct event *event);

enum { EVENT_ATTRIBUTES_MAX = 9 };

/*
 * Adds what is set ("" counts as not set) as headers of a binary CloudEvent, ce_specversion first
 * and content-type last, but none whose name stands among the first `own_count` headers. Room for
 * EVENT_ATTRIBUTES_MAX was made. Borrows the texts.
 */
void event_attributes_add(struct event *event, size_t own_count,
                          const struct event_attributes *attributes);

/* --- JSON (event_json.c) --- */

/*
 * As a JSON object: topic, partition, offset, timestamp (ISO 8601), key, headers (an object; a
 * repeated name holds a list), value. Bytes that are no UTF-8 are base 64, marked by
 * "key_encoding" or "value_encoding": "base64"; in headers by {"base64": "..."}.
 */
json_t *event_to_json(const struct event *event);

/* Appends what json_dumps(event_to_json(event), JSON_COMPACT) says, as utf8_escape_json has it,
 * written directly: for many events. */
void event_to_json_line(const struct event *event, struct buf *line);

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

/* --- lines for people --- */

/* What is written before the parts of a line, to a terminal. All are set; `off` ends each. */
struct event_colours {
    const char *time;
    const char *place;
    const char *key;
    const char *type;
    const char *none; /* the value of a tombstone */
    const char *off;
};

/*
 * One line, without line break: time, topic[partition]@offset, key, type, value. Whatever the event
 * holds is safe on a terminal (utf8_escape). colours NULL: none.
 */
void event_to_line(const struct event *event, const struct event_colours *colours,
                   struct buf *line);

/* One indented line for each header. */
void event_headers_to_lines(const struct event *event, struct buf *lines);

#endif
