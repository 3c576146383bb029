#ifndef TIDINGS_TOPIC_CHECKPOINT_V1_H
#define TIDINGS_TOPIC_CHECKPOINT_V1_H

#include "log/log.h"
#include "topic/topic.h"

/* One entry of the file. */
typedef void checkpoint_v1_entry(void *context, const struct topic_id *topic_id, int32_t partition,
                                 const struct log_state *state);

/* Reads a checkpoint of version 1, which says nothing of what idle logs need (docs/formats.md).
 * *clean: of the whole file. False, before any entry is told, when it is none or damaged. */
CHECKED bool checkpoint_v1_decode(const uint8_t *bytes, size_t size, bool *clean,
                                  checkpoint_v1_entry *each, void *context);

#endif
