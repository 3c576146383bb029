#ifndef TIDINGS_BUS_CONSOLE_CONSOLE_H
#define TIDINGS_BUS_CONSOLE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The console: pages for people at the HTTP server's "/". Made here, as HTML that can be read
 * without scripts; a script of our own adds live updates, keys, the theme and copying.
 *
 * All that it shows of the bus it asks of the server's other routes (/v1/...), in the process: so a
 * page and a program are told the same. What has no route there has no page, and its place says
 * so.
 */
struct bus_parts;
struct http_route;

/* As bus/bus_modules.h has it: the console, its routes, its end. */
void *console_make(const struct bus_parts *parts);
const struct http_route *console_routes(void *console, size_t *count);
void console_free(void *console);

#endif
