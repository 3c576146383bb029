#include "bus/story/story_bus.h"

#include <string.h>

bool story_bus_has_topic(const struct story_bus *bus, const char *name)
{
    for (size_t i = 0; i < bus->topics->count; i++) {
        if (strcmp(bus->topics->items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}
