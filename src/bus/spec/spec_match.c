#include "bus/spec/spec_inside.h"

#include <string.h>

/* What a message of a bus is called in somebody's document. */

/* A parameter, "{name}", stands for one character or more; size 0: there is none at this place. */
static size_t parameter_size(const char *pattern)
{
    size_t size = pattern[0] == '{' ? strcspn(pattern, "}") : 0;
    return size > 0 && pattern[size] == '}' ? size + 1 : 0;
}

bool spec_address_matches(const char *pattern, const char *topic)
{
    const char *after = NULL, *from = NULL; /* of the last parameter, which may take more */
    while (*topic != '\0') {
        size_t size = parameter_size(pattern);
        if (size > 0) {
            after = pattern += size;
            from = ++topic;
        } else if (*pattern == *topic) {
            pattern++;
            topic++;
        } else if (after != NULL) {
            pattern = after;
            topic = ++from;
        } else {
            return false;
        }
    }
    return *pattern == '\0';
}

bool spec_is_on(const json_t *addresses, const char *topic)
{
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        if (spec_address_matches(json_string_value(json_array_get(addresses, i)), topic)) {
            return true;
        }
    }
    return false;
}

const char *spec_partner(json_t *on_bus, json_t *in_file, const char *name)
{
    const json_t *topics = json_object_get(json_object_get(on_bus, name), "topics");
    const char *other, *partner = NULL;
    json_t *value;
    if (json_object_get(in_file, name) != NULL) {
        return name;
    }
    if (!spec_is_on(topics, name)) {
        return NULL; /* it has a type, which the document does not know */
    }
    json_object_foreach(in_file, other, value)
    {
        if (json_object_get(on_bus, other) == NULL &&
            spec_is_on(json_object_get(value, "topics"), name)) {
            if (partner != NULL) {
                return NULL; /* which of them it is, nothing tells */
            }
            partner = other;
        }
    }
    return partner;
}
