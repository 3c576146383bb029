#include "cli/filter.h"

#include <string.h>

static bool has_type(const struct filter *filter, struct slice type)
{
    for (size_t i = 0; i < filter->types.count; i++) {
        if (slice_equal_str(type, filter->types.items[i])) {
            return true;
        }
    }
    return false;
}

bool filter_accepts(const struct filter *filter, const struct event *event)
{
    if (filter->key != NULL &&
        (slice_is_null(event->key) || !slice_equal_str(event->key, filter->key))) {
        return false;
    }
    if (filter->types.count == 0) {
        return true;
    }
    struct arena arena = {0};
    struct event binary = *event;
    bool is_wanted = false;
    if (event_unwrap(&binary, &arena, NULL) == ERR_NONE) {
        const struct event_header *type = event_header_find(&binary, "ce_type");
        is_wanted = type != NULL && has_type(filter, type->value);
    }
    arena_deinit(&arena);
    return is_wanted;
}
