#ifndef TIDINGS_BUS_EVENT_EVENT_HIDE_H
#define TIDINGS_BUS_EVENT_EVENT_HIDE_H

#include "bus/event/where.h"
#include "client/event/event.h"

/*
 * What is told of an event to who may see its attributes only (http_shows_payloads says who): no
 * value, and of its headers those that describe it. Its key, which says whose event it is, stays.
 * Pure; any thread.
 */

/* Whether the header is one of those: ce_*, content-type, traceparent, tracestate. */
bool event_header_is_attribute(const char *name);

/* Takes the rest away. A structured CloudEvent becomes a binary one first, so that its attributes
 * stay. The event borrows from the arena then. */
void event_hide(struct event *event, struct arena *arena);

/* Whether the condition, over event_fields(), asks for anything that event_hide takes away: who may
 * not see it could find it out by asking often. NULL: no. */
bool event_where_asks_hidden(const struct where *where);

#endif
