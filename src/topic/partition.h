#ifndef TIDINGS_TOPIC_PARTITION_H
#define TIDINGS_TOPIC_PARTITION_H

#include "base/err.h"
#include "log/log.h"
#include "topic/topic_config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A partition: a log, and what readers may see of it. Consumers read below the high watermark,
 * which is what is on disk (promise 2), or what is written when the topic sets flush.messages
 * above 1.
 */
struct topic;
struct partition;

/*
 * Called when readers may see more, or nothing any more. reactors: bit i set when reactor i asked
 * to know by partition_watch. On the flusher's or the appender's thread; the callee must not block.
 */
typedef void partition_advanced(void *context, struct partition *partition, uint64_t reactors);

struct partition {
    struct topic *topic; /* holds a reference while anyone holds the partition */
    int32_t index;
    struct log *log;
    _Atomic int64_t high_watermark;
    _Atomic uint64_t watching_reactors;
    _Atomic bool gone; /* its topic is deleted */
    partition_advanced *advanced;
    void *advanced_context;
};

/* Any thread. */
int64_t partition_high_watermark(const struct partition *partition);
int64_t partition_log_start(const struct partition *partition);
/* The offset below which all transactions are decided, with their markers below the high watermark;
 * the high watermark itself when there are none. What read_committed may see. (KIP-98) */
int64_t partition_last_stable_offset(const struct partition *partition);
/* Both as of one moment: *last_stable <= *high_watermark. */
void partition_readable(const struct partition *partition, int64_t *high_watermark,
                        int64_t *last_stable);

/* The settings in force; valid as long as the partition is held. Any thread. */
const struct topic_config *partition_config(const struct partition *partition);

/*
 * To be called before the log is used for more than its offsets and sizes: loads it when it was
 * idle since the start (log_load), which most partitions of a large bus are. Cheap when that was
 * done. ERR_IO, ERR_CLOSED. Any thread; the first call waits for the disk.
 */
CHECKED enum err partition_load(struct partition *partition, struct reason *reason);

/*
 * log_append with the topic's settings, to a log that is loaded when need be. append->end_offset is
 * what the caller waits for with flush_wait before it acknowledges; partition_acknowledged tells
 * whether that is already so.
 */
CHECKED enum err partition_append(struct partition *partition, struct log_append *append,
                                  struct reason *reason);

struct partition_marker {
    /* in */
    int64_t producer_id;
    int16_t producer_epoch; /* with transactions v2 one above that of the records (KIP-890) */
    int32_t coordinator_epoch;
    bool commit; /* else: abort */
    /* out */
    int64_t
        end_offset; /* wait for it with flush_wait; partition_acknowledged then makes it count */
};

/*
 * Ends the producer's transaction in this partition: appends the control batch. Without an open
 * transaction it only fences older epochs. Readers of committed records go on once end_offset is
 * acknowledged. ERR_PRODUCER_FENCED (older producer epoch), ERR_COORDINATOR_FENCED (older
 * coordinator epoch), ERR_INVALID (negative producer id or epoch), ERR_IO, ERR_NO_SPACE,
 * ERR_CLOSED: nothing is appended. Any thread; waits for the log's append_lock. (KIP-98)
 */
CHECKED enum err partition_append_marker(struct partition *partition,
                                         struct partition_marker *marker, struct reason *reason);

/* True when an append up to end_offset needs no wait: it is visible, made so here when it is on
 * disk already. Any thread. */
bool partition_acknowledged(struct partition *partition, int64_t end_offset);

/* The next advance of the high watermark, and with it of the last stable offset, will name this
 * reactor (once). Check them after the call, as they may have moved just before. */
void partition_watch(struct partition *partition, unsigned reactor_index);

/* For log_call_user in the flusher's handler: the flushed offset of the log moved, or the log
 * failed. user: the partition. */
void partition_on_flushed(void *user);

/* Its topic was deleted: tells who watches. */
void partition_set_gone(struct partition *partition);
bool partition_gone(const struct partition *partition);

/* Hold and let go. A held partition keeps its topic, its log and its settings. Any thread. */
void partition_ref(struct partition *partition);
void partition_unref(struct partition *partition);

#endif
