#include "bus/index/event_terms.h"

#include <string.h>

/* Of a traceparent: version, trace id, parent id and flags, each behind a dash. */
enum { VERSION_CHARS = 2, TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53, TRACEPARENT_CHARS = 55 };

static bool is_hex(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool is_digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!is_digit) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '0') {
            return false;
        }
    }
    return true;
}

bool event_trace_id(struct slice text, struct slice *trace_id)
{
    const uint8_t *at = text.data;
    if (text.size < TRACEPARENT_CHARS || !is_hex(at, VERSION_CHARS) || at[TRACE_AT - 1] != '-' ||
        !is_hex(at + TRACE_AT, TRACE_ID_CHARS) || at[PARENT_AT - 1] != '-' ||
        !is_hex(at + PARENT_AT, 16) || at[FLAGS_AT - 1] != '-' || !is_hex(at + FLAGS_AT, 2)) {
        return false;
    }
    bool is_version_0 = memcmp(at, "00", VERSION_CHARS) == 0;
    bool ends_well = text.size == TRACEPARENT_CHARS ||
                     (!is_version_0 && at[TRACEPARENT_CHARS] == '-'); /* of a later version */
    if (memcmp(at, "ff", VERSION_CHARS) == 0 || !ends_well ||
        is_zero(at + TRACE_AT, TRACE_ID_CHARS) || is_zero(at + PARENT_AT, 16)) {
        return false;
    }
    *trace_id = slice_of(at + TRACE_AT, TRACE_ID_CHARS);
    return true;
}

static void add(struct event_terms *terms, enum event_term_kind kind, struct slice value)
{
    if (value.size > 0 && value.size <= EVENT_TERM_MAX_BYTES) {
        terms->items[terms->count++] = (struct event_term){kind, value};
    }
}

static void add_trace(struct event_terms *terms, const struct event *event)
{
    struct slice trace_id;
    const struct event_header *header = event_header_find(event, "traceparent");
    if (header == NULL) {
        header = event_header_find(event, "ce_traceparent");
    }
    if (header != NULL && event_trace_id(header->value, &trace_id)) {
        add(terms, EVENT_TERM_TRACE, trace_id);
    }
}

void event_terms_of(const struct event *given, struct arena *arena, struct event_terms *terms)
{
    struct event event = *given;
    *terms = (struct event_terms){.count = 0};
    if (event_mode(&event) == EVENT_STRUCTURED && event_unwrap(&event, arena, NULL) != ERR_NONE) {
        event = *given; /* then it is known by its key and its headers */
    }
    if (event.header_count > 0) {
        struct event_attributes attributes = event_attributes(&event);
        add(terms, EVENT_TERM_ID, slice_str(attributes.id));
        add(terms, EVENT_TERM_CORRELATION, slice_str(attributes.correlation_id));
        add(terms, EVENT_TERM_CAUSATION, slice_str(attributes.causation_id));
        add_trace(terms, &event);
    }
    add(terms, EVENT_TERM_KEY, event.key);
}
