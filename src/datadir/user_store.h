#ifndef TIDINGS_DATADIR_USER_STORE_H
#define TIDINGS_DATADIR_USER_STORE_H

#include "datadir/control_client.h"
#include "security/users.h"

/*
 * The users of a data directory: through the control socket of the server that runs there, and
 * where none does by the catalogue itself, which is locked meanwhile. For who owns the directory.
 */

/* Visits what may be told of all credentials, by user and mechanism. ERR_NOT_FOUND: no such
 * directory, or nothing in it; ERR_LOCKED, ERR_IO, ERR_CORRUPT, and those of control_client_ask. */
CHECKED enum err user_store_each(const char *data_dir, const struct control_wait *wait,
                                 void (*each)(void *context, const struct user_told *told),
                                 void *context, struct reason *reason);

/* Makes up to 16 changes, all of them or none, durably. A directory that is not there is made, so
 * that a server has users before its first start. Errors as above, but ERR_NOT_FOUND. */
CHECKED enum err user_store_change(const char *data_dir, const struct control_wait *wait,
                                   const struct user_change *changes, size_t count,
                                   struct reason *reason);

#endif
