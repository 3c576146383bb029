#include "world.h"

#include <stdlib.h>

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    base_start(&world->base);
    bus_server_start(&world->bus);
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *world = *state;
    bus_server_stop(&world->bus);
    base_stop(&world->base);
    free(world);
    return 0;
}
