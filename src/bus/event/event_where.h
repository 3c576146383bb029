#ifndef TIDINGS_BUS_EVENT_EVENT_WHERE_H
#define TIDINGS_BUS_EVENT_EVENT_WHERE_H

#include "base/arena.h"
#include "bus/event/where.h"
#include "client/event/event.h"

/*
 * Events as what conditions are about (bus/where.h): type, source, subject, id, correlation,
 * causation, key, topic, partition, offset, at (the record's time), value, data.PATH (of a payload
 * in JSON: names and numbers with dots between, as data.lines.0.price) and header.NAME.
 *
 * Pure; any thread, one at a time a subject.
 */
struct event_subject {
    struct event event; /* a structured CloudEvent is unwrapped */
    struct event_attributes attributes;
    bool is_parsed;
    json_t *data; /* NULL: no JSON, or not looked at yet */
    char *text;   /* the last value that was made for data.PATH */
    struct arena arena;
};

/* The fields, for where_new. Static. */
const struct where_field *event_fields(void);

/* Looks at the event, from which it borrows. deinit it, or begin the next one with init. */
void event_subject_init(struct event_subject *subject, const struct event *event);
void event_subject_deinit(struct event_subject *subject);

/* context: a struct event_subject; not const in truth, as it keeps what it has parsed. */
struct where_value event_field_get(const void *context, size_t field, const char *rest);

#endif
