#include "bus/bus_modules.h"

#include "bus/layer_state.h"

static const struct bus_module modules[] = {
    {"state", layer_state_make, layer_state_routes, layer_state_free},
    {.name = NULL},
};

const struct bus_module *bus_modules(void)
{
    return modules;
}
