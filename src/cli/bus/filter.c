#include "cli/bus/filter.h"

#include <string.h>

static bool is_listed(const struct text_list *list, const struct event *event, const char *name)
{
    const struct event_header *header = event_header_find(event, name);
    for (size_t i = 0; header != NULL && i < list->count; i++) {
        if (slice_equal_str(header->value, list->items[i])) {
            return true;
        }
    }
    return list->count == 0;
}

/* Any header of the name counts, not only the last. */
static bool has_header(const struct event *event, const char *wanted)
{
    size_t name_size = strcspn(wanted, "=");
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        if (strncmp(header->name, wanted, name_size) == 0 && header->name[name_size] == '\0' &&
            (wanted[name_size] == '\0' ||
             (!slice_is_null(header->value) &&
              slice_equal_str(header->value, wanted + name_size + 1)))) {
            return true;
        }
    }
    return false;
}

static bool has_attributes(const struct filter *filter, const struct event *event)
{
    struct arena arena = {0};
    struct event binary = *event;
    bool is_wanted = event_unwrap(&binary, &arena, NULL) == ERR_NONE &&
                     is_listed(&filter->types, &binary, "ce_type") &&
                     is_listed(&filter->sources, &binary, "ce_source");
    arena_deinit(&arena);
    return is_wanted;
}

bool filter_accepts(const struct filter *filter, const struct event *event)
{
    if (filter->key != NULL &&
        (slice_is_null(event->key) || !slice_equal_str(event->key, filter->key))) {
        return false;
    }
    for (size_t i = 0; i < filter->headers.count; i++) {
        if (!has_header(event, filter->headers.items[i])) {
            return false;
        }
    }
    return (filter->types.count == 0 && filter->sources.count == 0) ||
           has_attributes(filter, event);
}
