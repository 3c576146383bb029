#include "cli/event.h"

#include "cli/output.h"
#include "cli/time_text.h"

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

void event_to_line(const struct event *event, struct buf *line)
{
    char time[TIME_TEXT_SIZE];
    buf_printf(line, "%s  %s[%d]@%lld",
               event->timestamp_ms < 0 ? "-" : time_format(event->timestamp_ms, time), event->topic,
               (int)event->partition, (long long)event->offset);
    if (!slice_is_null(event->key)) {
        buf_append_str(line, "  key=");
        output_escape(line, event->key);
    }
    const struct event_header *type = event_header_find(event, "ce_type");
    if (type != NULL) {
        buf_append_str(line, "  type=");
        output_escape(line, type->value);
    }
    buf_append_str(line, "  ");
    if (slice_is_null(event->value)) {
        buf_append_str(line, "(null)");
    } else {
        output_escape(line, event->value);
    }
}

void event_headers_to_lines(const struct event *event, struct buf *lines)
{
    for (size_t i = 0; i < event->header_count; i++) {
        buf_append_str(lines, "    ");
        output_escape(lines, slice_str(event->headers[i].name));
        buf_append_str(lines, ": ");
        if (slice_is_null(event->headers[i].value)) {
            buf_append_str(lines, "(null)");
        } else {
            output_escape(lines, event->headers[i].value);
        }
        buf_append_str(lines, "\n");
    }
}
