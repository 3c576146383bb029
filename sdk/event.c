#include "service.h"

#include "base/decimal.h"

#include <string.h>

/* Events as handlers see them: CloudEvents in either mode, or plain records. */

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static const struct tidings_header *show_headers(const struct event *event, struct arena *arena)
{
    static const struct tidings_header none;
    if (event->header_count == 0) {
        return &none;
    }
    struct tidings_header *headers = arena_alloc_array(arena, event->header_count, sizeof *headers);
    for (size_t i = 0; i < event->header_count; i++) {
        headers[i] = (struct tidings_header){.name = event->headers[i].name,
                                             .value = event->headers[i].value.data,
                                             .value_size = event->headers[i].value.size};
    }
    return headers;
}

/* Of the headers, or of a CloudEvent's extension (its distributed tracing one has these names). */
static const char *trace_header(const struct event *event, const char *name)
{
    if (event->header_count == 0) {
        return "";
    }
    const struct event_header *found = event_header_find(event, name + strlen("ce_"));
    if (found == NULL || slice_is_null(found->value)) {
        found = event_header_find(event, name);
    }
    return found != NULL && !slice_is_null(found->value) ? (const char *)found->value.data : "";
}

/* A copy with a NUL behind it. Returns what is behind that. */
static char *put(char *at, struct slice bytes)
{
    slice_copy(at, bytes);
    at[bytes.size] = '\0';
    return at + bytes.size + 1;
}

/* "topic/partition/offset": who publishes without CloudEvents is not to pay for printf. */
static void put_place(char *at, struct slice topic, const struct event *event)
{
    at = put(at, topic);
    at[-1] = '/';
    at = decimal_write(at, event->partition);
    *at++ = '/';
    *decimal_write(at, event->offset) = '\0';
}

/* Data, key and the id of one that has none, in one piece of memory: the data first, aligned. */
static void copy_texts(const struct event *from, struct arena *arena, struct tidings_event *event)
{
    bool has_id = event->id != NULL && event->id[0] != '\0';
    struct slice topic = slice_str(from->topic);
    size_t id_size = has_id ? 0 : topic.size + 2 * (1 + DECIMAL_MOST) + 1;
    char *at = arena_room(arena, from->value.size + 1 + from->key.size + 1 + id_size);
    if (!slice_is_null(from->value)) {
        event->data = at;
        event->data_size = from->value.size;
        at = put(at, from->value);
    }
    if (!slice_is_null(from->key)) {
        event->key = at;
        event->key_size = from->key.size;
        at = put(at, from->key);
    }
    if (!has_id) {
        event->id = at;
        put_place(at, topic, from);
    }
}

void event_show(const struct lane_hand *hand, struct arena *arena, struct tidings_event *event)
{
    const struct event *from = &hand->received->event;
    struct event unwrapped;
    struct event_attributes attributes = {0};
    if (from->header_count > 0) { /* else it is a plain one */
        unwrapped = *from;
        (void)!event_unwrap(&unwrapped, arena, NULL); /* one that cannot be is shown as it is */
        attributes = event_attributes(&unwrapped);
        from = &unwrapped;
    }
    *event = (struct tidings_event){
        .id = attributes.id,
        .source = or_empty(attributes.source),
        .type = or_empty(attributes.type),
        .subject = or_empty(attributes.subject),
        .time = or_empty(attributes.time),
        .content_type = or_empty(attributes.content_type),
        .correlation_id = or_empty(attributes.correlation_id),
        .causation_id = or_empty(attributes.causation_id),
        .traceparent = trace_header(from, "ce_traceparent"),
        .tracestate = trace_header(from, "ce_tracestate"),
        .headers = show_headers(from, arena),
        .header_count = from->header_count,
        .topic = from->topic,
        .partition = from->partition,
        .offset = from->offset,
        .timestamp_ms = from->timestamp_ms,
        .attempt = hand->attempt,
        .first_failed_ms = hand->first_failed_ms,
        .fence = hand->fence,
        .redrive = hand->redrive,
    };
    copy_texts(from, arena, event);
}

const void *tidings_event_header(const struct tidings_event *event, const char *name, size_t *size)
{
    for (size_t i = event->header_count; i-- > 0;) {
        if (strcmp(event->headers[i].name, name) == 0) {
            *size = event->headers[i].value_size;
            return event->headers[i].value;
        }
    }
    *size = 0;
    return NULL;
}
