#include "bus/event/event_hide.h"

#include <string.h>

bool event_header_is_attribute(const char *name)
{
    return strncmp(name, "ce_", 3) == 0 || strcmp(name, "content-type") == 0 ||
           strcmp(name, "traceparent") == 0 || strcmp(name, "tracestate") == 0;
}

void event_hide(struct event *event, struct arena *arena)
{
    struct reason ignored;
    size_t kept = 0;
    (void)!event_unwrap(event, arena, &ignored); /* a broken one has no attributes to keep */
    event_header_room(event, 0, arena);
    for (size_t i = 0; i < event->header_count; i++) {
        if (event_header_is_attribute(event->headers[i].name)) {
            event->headers[kept++] = event->headers[i];
        }
    }
    event->header_count = kept;
    event->value = (struct slice){0};
}

bool event_where_asks_hidden(const struct where *where)
{
    return where != NULL && (where_uses(where, "value") || where_uses(where, "data.") ||
                             where_uses_header(where, event_header_is_attribute));
}
