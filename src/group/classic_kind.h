#ifndef TIDINGS_GROUP_CLASSIC_KIND_H
#define TIDINGS_GROUP_CLASSIC_KIND_H

#include "group/group_state.h"

/* A classic group: what a new group is. */
extern const struct group_kind classic_kind;

#endif
