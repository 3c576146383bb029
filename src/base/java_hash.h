#ifndef TIDINGS_BASE_JAVA_HASH_H
#define TIDINGS_BASE_JAVA_HASH_H

#include "base/slice.h"

#include <stdint.h>

/*
 * Where Kafka keeps what has a name in an internal topic: abs(String.hashCode) % partitions. text:
 * UTF-8; broken bytes count as U+FFFD. partition_count: above 0. Pure.
 */
int32_t java_hash_partition(struct slice text, int32_t partition_count);

#endif
