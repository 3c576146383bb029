#ifndef TIDINGS_GROUP_CONSUMER_KIND_H
#define TIDINGS_GROUP_CONSUMER_KIND_H

#include "group/group_state.h"

/* A consumer group of the new protocol (KIP-848). */
extern const struct group_kind consumer_kind;

#endif
