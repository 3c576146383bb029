#ifndef TIDINGS_BUS_INDEX_EVENT_TERMS_H
#define TIDINGS_BUS_INDEX_EVENT_TERMS_H

#include "bus/index/event_index.h"
#include "client/event/event.h"

/*
 * What an event can be found by: its CloudEvents id, correlation id and cause, the trace id of its
 * W3C trace context (the header traceparent, else ce_traceparent), and its key. A structured
 * CloudEvent is taken apart first. What is empty or missing gives no term; a key of more than
 * EVENT_TERM_MAX_BYTES, or another value so long, gives none either.
 *
 * The header values of the event are followed by a NUL outside their size.
 */
enum { EVENT_TERM_MAX_BYTES = 64 << 10, TRACE_ID_CHARS = 32 };

struct event_terms {
    struct event_term items[EVENT_TERMS_MAX];
    size_t count;
};

/* The terms borrow from the event and the arena. Any thread. */
void event_terms_of(const struct event *event, struct arena *arena, struct event_terms *terms);

/* The trace id of a traceparent ("00-<32 hex digits>-<16>-<2>", version ff excepted); false when it
 * is none that the W3C's recommendation takes. Borrows. */
bool event_trace_id(struct slice traceparent, struct slice *trace_id);

#endif
