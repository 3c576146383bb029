#include "cli/filter.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

static bool has_type(const struct filter *filter, struct slice type)
{
    for (size_t i = 0; i < filter->types.count; i++) {
        if (slice_equal_str(type, filter->types.items[i])) {
            return true;
        }
    }
    return false;
}

static bool is_structured(const struct event *event)
{
    static const char prefix[] = "application/cloudevents";
    const struct event_header *content = event_header_find(event, "content-type");
    return content != NULL && content->value.size >= sizeof prefix - 1 &&
           strncasecmp((const char *)content->value.data, prefix, sizeof prefix - 1) == 0;
}

static bool structured_has_type(const struct filter *filter, const struct event *event)
{
    json_t *body =
        json_loadb((const char *)event->value.data, event->value.size, JSON_ALLOW_NUL, NULL);
    const json_t *type = json_object_get(body, "type");
    bool is_wanted = json_is_string(type) &&
                     has_type(filter, slice_of(json_string_value(type), json_string_length(type)));
    json_decref(body);
    return is_wanted;
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
    const struct event_header *type = event_header_find(event, "ce_type");
    if (type != NULL) {
        return has_type(filter, type->value);
    }
    return is_structured(event) && structured_has_type(filter, event);
}
