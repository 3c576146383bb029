#ifndef TIDINGS_BROKER_CONTROL_USERS_H
#define TIDINGS_BROKER_CONTROL_USERS_H

#include "topic/catalogue.h"

#include <jansson.h>

/* What the control socket acts on. Both outlive it. */
struct control_users {
    struct catalogue *catalogue;
    struct users *users;
};

/*
 * "users {...}" at the control socket, of which this is what stands behind the word: lists users,
 * some at a time, or changes them (docs/formats.md). The caller frees the answer. On the control
 * thread.
 */
json_t *control_users(const struct control_users *parts, const char *rest);

#endif
