#include "client/event.h"

#include "base/time_text.h"
#include "base/utf8.h"

#include <string.h>

const struct event_header *event_header_find(const struct event *event, const char *name)
{
    for (size_t i = event->header_count; i > 0; i--) {
        if (strcmp(event->headers[i - 1].name, name) == 0) {
            return &event->headers[i - 1];
        }
    }
    return NULL;
}

void event_header_room(struct event *event, size_t more, struct arena *arena)
{
    struct event_header *headers =
        arena_alloc_array(arena, event->header_count + more + 1, sizeof *headers);
    if (event->header_count > 0) {
        memcpy(headers, event->headers, event->header_count * sizeof *headers);
    }
    event->headers = headers;
}

void event_header_add(struct event *event, const char *name, struct slice value)
{
    event->headers[event->header_count++] = (struct event_header){.name = name, .value = value};
}

void event_to_line(const struct event *event, struct buf *line)
{
    char time[TIME_TEXT_SIZE];
    buf_printf(line, "%s  %s[%d]@%lld",
               event->timestamp_ms < 0 ? "-" : time_format(event->timestamp_ms, time), event->topic,
               (int)event->partition, (long long)event->offset);
    if (!slice_is_null(event->key)) {
        buf_append_str(line, "  key=");
        utf8_escape(line, event->key);
    }
    const struct event_header *type = event_header_find(event, "ce_type");
    if (type != NULL) {
        buf_append_str(line, "  type=");
        utf8_escape(line, type->value);
    }
    buf_append_str(line, "  ");
    if (slice_is_null(event->value)) {
        buf_append_str(line, "(null)");
    } else {
        utf8_escape(line, event->value);
    }
}

void event_headers_to_lines(const struct event *event, struct buf *lines)
{
    for (size_t i = 0; i < event->header_count; i++) {
        buf_append_str(lines, "    ");
        utf8_escape(lines, slice_str(event->headers[i].name));
        buf_append_str(lines, ": ");
        if (slice_is_null(event->headers[i].value)) {
            buf_append_str(lines, "(null)");
        } else {
            utf8_escape(lines, event->headers[i].value);
        }
        buf_append_str(lines, "\n");
    }
}
