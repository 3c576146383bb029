#ifndef TESTS_UNIT_SDK_WORLD_H
#define TESTS_UNIT_SDK_WORLD_H

#include "base.h"
#include "bus_server.h"

/* A bus and a database of the test's own. */
struct world {
    struct bus_server bus;
    struct base base;
};

/* cmocka's group set-up and tear-down: *state is the struct world. */
int world_setup(void **state);
int world_teardown(void **state);

#endif
