#ifndef TIDINGS_CLI_RESET_TARGET_H
#define TIDINGS_CLI_RESET_TARGET_H

#include "base/err.h"

#include <stdint.h>

enum { RESET_TOPIC_SIZE = 250 };

/* "orders" (all partitions, *partition -1) or "orders:2"; the name goes into topic. ERR_INVALID
 * with a reason. */
CHECKED enum err reset_target_parse(const char *text, char topic[RESET_TOPIC_SIZE],
                                    int32_t *partition, struct reason *reason);

#endif
