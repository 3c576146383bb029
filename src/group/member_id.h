#ifndef TIDINGS_GROUP_MEMBER_ID_H
#define TIDINGS_GROUP_MEMBER_ID_H

#include "group/group_config.h"

/* The member ids that the server makes. */
enum {
    /* Of the client or instance id in a member id, so that it always fits a STRING. */
    MEMBER_ID_PREFIX_BYTES = 255,
    MEMBER_ID_UUID_BYTES = 36,
    MEMBER_ID_BYTES = MEMBER_ID_PREFIX_BYTES + MEMBER_ID_UUID_BYTES + 2
};

/* A name, a dash and a UUID. `to` has room for MEMBER_ID_BYTES; the result borrows it. */
struct slice member_id_make(const struct group_config *config, struct slice prefix, char *to,
                            size_t size);

#endif
