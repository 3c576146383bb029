#ifndef TIDINGS_BROKER_SERVER_USERS_H
#define TIDINGS_BROKER_SERVER_USERS_H

#include "api/sasl_session.h"
#include "broker/listeners.h"
#include "broker/server_config.h"
#include "topic/catalogue.h"

/*
 * The users of a server and how they log in. Zero-initialised it is empty. One thread, but for what
 * the parts say of themselves.
 */
struct server_users {
    struct users *users;
    struct sasl_service sasl;
    bool *listeners; /* of sasl */
};

/* Reads the users, and sets up logins where a listener speaks SASL (else sasl.listener_count is 0).
 * Says in the log what is odd: nobody can log in, passwords go as they are. ERR_CORRUPT, ERR_IO. */
CHECKED enum err server_users_open(struct server_users *users, const struct server_config *config,
                                   const struct server_addresses *listeners,
                                   struct catalogue *catalogue, const struct clock *clock,
                                   struct reason *reason);

/* When no connection is there any more. */
void server_users_deinit(struct server_users *users);

#endif
