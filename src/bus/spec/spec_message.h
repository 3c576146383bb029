#ifndef TIDINGS_BUS_SPEC_SPEC_MESSAGE_H
#define TIDINGS_BUS_SPEC_SPEC_MESSAGE_H

#include "base/buf.h"
#include "client/event/event.h"

#include <jansson.h>

/*
 * What was seen of the events of one type: their CloudEvents headers, content type, keys, and the
 * schema of their payloads (bus/schema_infer.h). Pure; one thread at a time.
 */
enum {
    SPEC_PAYLOAD_MOST = 64 << 10, /* a larger one is counted, and not looked at */
    SPEC_HEADERS_MAX = 32,
    SPEC_HEADER_BYTES = 64,
    SPEC_CONTENT_TYPE_BYTES = 127
};

struct spec_message;

/* As if no event came yet; free takes NULL. */
struct spec_message *spec_message_new(void);
void spec_message_free(struct spec_message *message);

/* One more event, as its record says it (a structured CloudEvent is not unwrapped yet). */
void spec_message_take(struct spec_message *message, const struct event *event,
                       struct arena *arena);

/* How many events were looked at. */
uint64_t spec_message_seen(const struct spec_message *message);

/* As a Message Object of AsyncAPI 3.0 under this name; the caller's. */
json_t *spec_message_json(const struct spec_message *message, const char *name, bool is_topic);

/* All that is known, to be kept, and taken up again: NULL when it is nothing that was kept. */
json_t *spec_message_keep(const struct spec_message *message);
struct spec_message *spec_message_restore(const json_t *kept);

/* "type:NAME" of an event that says its type, else "topic:NAME": as the flow map has it (any bytes
 * but NUL, escaped as json_word does it). The caller's. */
char *spec_message_id(const struct event *event, struct arena *arena);

#endif
