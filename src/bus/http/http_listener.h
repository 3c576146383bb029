#ifndef TIDINGS_BUS_HTTP_HTTP_LISTENER_H
#define TIDINGS_BUS_HTTP_HTTP_LISTENER_H

/* The inside of http.h: the port. */

#include "base/err.h"

#include <stdbool.h>

struct http_listener {
    int fd;
    char address[80]; /* "127.0.0.1:8080", "[::]:8080" */
    bool is_loopback;
};

/*
 * Listens at "HOST:PORT"; with may_move at any free port when it is taken. ERR_CONFIG: it is no
 * HOST:PORT; ERR_IO: it cannot be had. Close listener->fd.
 */
CHECKED enum err http_listener_open(const char *text, bool may_move, struct http_listener *listener,
                                    struct reason *reason);

#endif
