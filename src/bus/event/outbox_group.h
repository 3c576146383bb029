#ifndef TIDINGS_BUS_EVENT_OUTBOX_GROUP_H
#define TIDINGS_BUS_EVENT_OUTBOX_GROUP_H

#include "base/slice.h"

#include <stdbool.h>

/*
 * Whether this is the group NAME.outbox.ID of an outbox of libtidings (docs/formats.md, "Tables of
 * a service"): it reads nothing, and what it commits are numbers of batches. Any thread.
 */
bool outbox_group_is(struct slice group);

#endif
