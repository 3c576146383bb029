#include "bus/bus_modules.h"

#include "bus/api/http_dead.h"
#include "bus/api/http_module.h"
#include "bus/console/console.h"
#include "bus/layer_state.h"
#include "bus/map/client_view.h"
#include "bus/map/map_watch.h"
#include "bus/spec/spec_watch.h"
#include "bus/story/story_module.h"

static const struct bus_module modules[] = {
    {"state", layer_state_make, layer_state_routes, layer_state_free},
    {"http", http_module_make, http_module_routes, http_module_free},
    {"dead", http_dead_make, http_dead_routes, http_dead_free},
    {"story", story_make, story_routes, story_free},
    {"clients", client_view_make, client_view_routes, client_view_free},
    {"map", map_watch_make, map_watch_routes, map_watch_free},
    {"spec", spec_watch_make, spec_watch_routes, spec_watch_free},
    {"console", console_make, console_routes, console_free},
    {.name = NULL},
};

const struct bus_module *bus_modules(void)
{
    return modules;
}
