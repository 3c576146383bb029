#ifndef TIDINGS_BUS_BUS_MODULES_H
#define TIDINGS_BUS_BUS_MODULES_H

#include "bus/http/http.h"
#include "bus/watch/bus_parts.h"

/*
 * What the layer consists of beside its parts: one row each. A module is made before anything runs,
 * and may add sinks to the watch then; it is freed when nothing runs any more.
 */
struct bus_module {
    const char *name;
    void *(*make)(const struct bus_parts *parts);
    /* Borrowed as long as the module. NULL: it has none. */
    const struct http_route *(*routes)(void *module, size_t *count);
    void (*free)(void *module); /* NULL is not given */
};

/* All of them; the last has no name. Static. */
const struct bus_module *bus_modules(void);

#endif
