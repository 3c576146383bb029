#ifndef TIDINGS_TOPIC_CHECKPOINT_V1_H
#define TIDINGS_TOPIC_CHECKPOINT_V1_H

#include "topic/checkpoint.h"

/* Reads a checkpoint of version 1, which says nothing of what idle logs need (docs/formats.md).
 * False when it is none or damaged; *checkpoint is to be given up then. */
CHECKED bool checkpoint_decode_v1(struct checkpoint *checkpoint, const uint8_t *bytes, size_t size);

#endif
