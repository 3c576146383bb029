#ifndef TIDINGS_BROKER_OFFSETS_LOG_H
#define TIDINGS_BROKER_OFFSETS_LOG_H

#include "broker/internal_topic.h"
#include "group/coordinator.h"

/*
 * Joins the group coordinator to the topic __consumer_offsets: group records become record batches
 * of its partitions, and the coordinator's answers wait for the flush that covers them.
 */
struct offsets_log {
    struct internal_topic topic;
};

/* Finds or creates __consumer_offsets with this many partitions (an existing one keeps its own). */
CHECKED enum err offsets_log_open(struct offsets_log *offsets, struct catalogue *catalogue,
                                  struct flusher *flusher, int32_t partition_count,
                                  struct reason *reason);
void offsets_log_close(struct offsets_log *offsets);

/* What the coordinator is given; context is the offsets_log. */
struct group_log offsets_log_interface(struct offsets_log *offsets);

/* Feeds every stored record and the end of every transaction to the coordinator. At start, before
 * requests. */
CHECKED enum err offsets_log_replay(struct offsets_log *offsets, const struct file_ops *files,
                                    struct group_coordinator *coordinator, struct reason *reason);

#endif
