#include "client/event/event.h"

#include "base/decimal.h"
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

static struct slice own(struct slice bytes, struct arena *arena)
{
    return slice_is_null(bytes) ? bytes : slice_of(arena_cstr(arena, bytes), bytes.size);
}

void event_own(struct event *event, struct arena *arena)
{
    event->topic = arena_cstr(arena, slice_str(event->topic));
    event->key = own(event->key, arena);
    event->value = own(event->value, arena);
    event_header_room(event, 0, arena);
    for (size_t i = 0; i < event->header_count; i++) {
        struct event_header *header = &event->headers[i];
        header->name = arena_cstr(arena, slice_str(header->name));
        header->value = own(header->value, arena);
    }
}

void event_header_add(struct event *event, const char *name, struct slice value)
{
    event->headers[event->header_count++] = (struct event_header){.name = name, .value = value};
}

/* Bytes that are safe on a terminal, or "(null)" for the null slice. */
static void append_bytes(struct buf *line, struct slice bytes)
{
    if (slice_is_null(bytes)) {
        buf_append_str(line, "(null)");
    } else {
        utf8_escape(line, bytes);
    }
}

static void append_place(struct buf *line, const struct event *event)
{
    utf8_escape(line, slice_str(event->topic));
    buf_append_u8(line, '[');
    decimal_append(line, event->partition);
    buf_append_str(line, "]@");
    decimal_append(line, event->offset);
}

void event_to_line(const struct event *event, const struct event_colours *colours, struct buf *line)
{
    static const struct event_colours none = {"", "", "", "", "", ""};
    char time[TIME_TEXT_SIZE];
    colours = colours != NULL ? colours : &none;
    buf_append_str(line, colours->time);
    buf_append_str(line, event->timestamp_ms < 0 ? "-" : time_format(event->timestamp_ms, time));
    buf_append_str(line, colours->off);
    buf_append_str(line, "  ");
    buf_append_str(line, colours->place);
    append_place(line, event);
    buf_append_str(line, colours->off);
    if (!slice_is_null(event->key)) {
        buf_append_str(line, "  ");
        buf_append_str(line, colours->key);
        buf_append_str(line, "key=");
        utf8_escape(line, event->key);
        buf_append_str(line, colours->off);
    }
    const struct event_header *type = event_header_find(event, "ce_type");
    if (type != NULL) {
        buf_append_str(line, "  ");
        buf_append_str(line, colours->type);
        buf_append_str(line, "type=");
        utf8_escape(line, type->value);
        buf_append_str(line, colours->off);
    }
    buf_append_str(line, "  ");
    bool is_null = slice_is_null(event->value);
    buf_append_str(line, is_null ? colours->none : "");
    append_bytes(line, event->value);
    buf_append_str(line, is_null ? colours->off : "");
}

void event_headers_to_lines(const struct event *event, struct buf *lines)
{
    for (size_t i = 0; i < event->header_count; i++) {
        buf_append_str(lines, "    ");
        utf8_escape(lines, slice_str(event->headers[i].name));
        buf_append_str(lines, ": ");
        append_bytes(lines, event->headers[i].value);
        buf_append_str(lines, "\n");
    }
}
