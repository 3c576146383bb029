#ifndef TIDINGS_DATADIR_CONTROL_CLIENT_H
#define TIDINGS_DATADIR_CONTROL_CLIENT_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The other end of broker/control.h: asks the server that runs on a data directory. */

/* How long to wait for a server: it may hang, or be stopped by a debugger. */
struct control_wait {
    int64_t timeout_ms;
    bool (*stopped)(void *context); /* asked some ten times a second; NULL: never stopped */
    void *context;
};

/* *fd -1: nobody listens. dir_fd: the directory, since the path of a socket must be short. ERR_IO;
 * ERR_TIMEOUT, ERR_AGAIN (stopped). */
CHECKED enum err control_client_connect(int dir_fd, const struct control_wait *wait, int *fd,
                                        struct reason *reason);

/* One line to the server (with its line break), one object back (json_decref it). ERR_IO;
 * ERR_INVALID with what the server said, or when its answer is no JSON; ERR_TIMEOUT, ERR_AGAIN
 * (stopped), after which the connection is of no more use. */
CHECKED enum err control_client_ask(int fd, const char *line, const struct control_wait *wait,
                                    json_t **answer, struct reason *reason);

/* Connects, asks and closes. ERR_NOT_FOUND: no such directory; ERR_CLOSED: no server runs there;
 * and what the two above return. */
CHECKED enum err control_client_ask_once(const char *data_dir, const char *line,
                                         const struct control_wait *wait, json_t **answer,
                                         struct reason *reason);

#endif
