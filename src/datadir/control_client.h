#ifndef TIDINGS_DATADIR_CONTROL_CLIENT_H
#define TIDINGS_DATADIR_CONTROL_CLIENT_H

#include "base/err.h"

#include <jansson.h>

/* The other end of broker/control.h: asks the server that runs on a data directory. */

/* *fd -1: nobody listens. dir_fd: the directory, since the path of a socket must be short. ERR_IO.
 */
CHECKED enum err control_client_connect(int dir_fd, int *fd, struct reason *reason);

/* One line to the server (with its line break), one object back (json_decref it). ERR_IO;
 * ERR_INVALID with what the server said, or when its answer is no JSON. Waits for it. */
CHECKED enum err control_client_ask(int fd, const char *line, json_t **answer,
                                    struct reason *reason);

/* Connects, asks and closes. ERR_NOT_FOUND: no such directory; ERR_CLOSED: no server runs there. */
CHECKED enum err control_client_ask_once(const char *data_dir, const char *line, json_t **answer,
                                         struct reason *reason);

#endif
