#ifndef TIDINGS_GROUP_GROUP_LOG_H
#define TIDINGS_GROUP_GROUP_LOG_H

#include "group/effects.h"

/* Writes a log line for each event and takes the events out. Without locks; any thread. */
void group_log_events(struct group_effects *effects);

#endif
