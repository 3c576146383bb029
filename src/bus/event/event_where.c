#include "bus/event/event_where.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum field {
    FIELD_TYPE,
    FIELD_SOURCE,
    FIELD_SUBJECT,
    FIELD_ID,
    FIELD_CORRELATION,
    FIELD_CAUSATION,
    FIELD_KEY,
    FIELD_TOPIC,
    FIELD_PARTITION,
    FIELD_OFFSET,
    FIELD_AT,
    FIELD_VALUE,
    FIELD_DATA
};

const struct where_field *event_fields(void)
{
    static const struct where_field fields[] = {
        {"type", WHERE_TEXT},     {"source", WHERE_TEXT},      {"subject", WHERE_TEXT},
        {"id", WHERE_TEXT},       {"correlation", WHERE_TEXT}, {"causation", WHERE_TEXT},
        {"key", WHERE_TEXT},      {"topic", WHERE_TEXT},       {"partition", WHERE_NUMBER},
        {"offset", WHERE_NUMBER}, {"at", WHERE_TIME},          {"value", WHERE_TEXT},
        {"data.", WHERE_OPEN},    {NULL, WHERE_TEXT},
    };
    return fields;
}

void event_subject_init(struct event_subject *subject, const struct event *event)
{
    struct reason ignored;
    *subject = (struct event_subject){.event = *event};
    (void)!event_unwrap(&subject->event, &subject->arena,
                        &ignored); /* a broken one stays as it is */
    subject->attributes = event_attributes(&subject->event);
}

void event_subject_deinit(struct event_subject *subject)
{
    json_decref(subject->data);
    free(subject->text);
    arena_deinit(&subject->arena);
    *subject = (struct event_subject){0};
}

static struct where_value of_slice(struct slice text)
{
    return (struct where_value){.is_there = !slice_is_null(text), .text = text};
}

static struct where_value of_text(const char *text)
{
    return of_slice(slice_str(text));
}

static struct where_value of_number(int64_t number)
{
    return (struct where_value){.is_there = number >= 0, .number = number};
}

/* One name or number of the path; NULL: it is not there. */
static const json_t *step(const json_t *json, const char *name, size_t size)
{
    if (json_is_array(json)) {
        char *end;
        unsigned long index = strtoul(name, &end, 10);
        return isdigit((unsigned char)name[0]) && end == name + size ? json_array_get(json, index)
                                                                     : NULL;
    }
    return json_object_getn(json, name, size);
}

static struct where_value data_at(struct event_subject *subject, const char *path)
{
    struct slice value = subject->event.value;
    if (!subject->is_parsed) {
        subject->is_parsed = true;
        subject->data = json_loadb((const char *)value.data, value.size,
                                   JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    }
    const json_t *at = subject->data;
    while (at != NULL && *path != '\0') {
        size_t size = strcspn(path, ".");
        at = step(at, path, size);
        path += size + (path[size] == '.');
    }
    if (at == NULL) {
        return (struct where_value){0};
    }
    if (json_is_string(at)) {
        return of_slice(slice_of(json_string_value(at), json_string_length(at)));
    }
    free(subject->text);
    subject->text = json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT);
    return of_text(subject->text);
}

struct where_value event_field_get(const void *context, size_t field, const char *rest)
{
    struct event_subject *subject = (struct event_subject *)(uintptr_t)context;
    const struct event *event = &subject->event;
    const struct event_attributes *attributes = &subject->attributes;
    if (field == WHERE_HEADER) {
        const struct event_header *found = event_header_find(event, rest);
        return found == NULL ? (struct where_value){0}
                             : (struct where_value){.is_there = true, .text = found->value};
    }
    switch ((enum field)field) {
    case FIELD_TYPE:
        return of_text(attributes->type);
    case FIELD_SOURCE:
        return of_text(attributes->source);
    case FIELD_SUBJECT:
        return of_text(attributes->subject);
    case FIELD_ID:
        return of_text(attributes->id);
    case FIELD_CORRELATION:
        return of_text(attributes->correlation_id);
    case FIELD_CAUSATION:
        return of_text(attributes->causation_id);
    case FIELD_KEY:
        return of_slice(event->key);
    case FIELD_TOPIC:
        return of_text(event->topic);
    case FIELD_PARTITION:
        return of_number(event->partition);
    case FIELD_OFFSET:
        return of_number(event->offset);
    case FIELD_AT:
        return of_number(event->timestamp_ms);
    case FIELD_VALUE:
        return of_slice(event->value);
    case FIELD_DATA:
        return data_at(subject, rest);
    }
    return (struct where_value){0};
}
