#ifndef TIDINGS_CLI_SERVE_LAYER_H
#define TIDINGS_CLI_SERVE_LAYER_H

#include "broker/server.h"

#include <stdbool.h>

/* The layer beside the bus (bus/bus_layer.h), in the process of the server whose settings tell of
 * it. One thread. */
struct serve_layer;

/* Starts it when it is enabled. NULL: it is not, or cannot be, which the log says: the server is
 * none the worse. */
struct serve_layer *serve_layer_start(struct server *server);

/* Where it serves HTTP, "127.0.0.1:8080"; "": nowhere (yet). layer may be NULL. */
const char *serve_layer_http(const struct serve_layer *layer);

/* Before server_stop. False: something of it hangs, and the process is to end by _exit. NULL is
 * fine. */
CHECKED bool serve_layer_stop(struct serve_layer *layer);

#endif
