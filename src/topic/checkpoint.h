#ifndef TIDINGS_TOPIC_CHECKPOINT_H
#define TIDINGS_TOPIC_CHECKPOINT_H

#include "base/err.h"
#include "base/file.h"
#include "base/vec.h"
#include "log/log.h"
#include "topic/topic.h"

/*
 * The checkpoint file, DATA/checkpoint: per partition how far its log was on disk. It only makes
 * the start quick; a missing, torn or stale one costs a scan, never data. Format: docs/formats.md.
 */
struct checkpoint_entry {
    struct topic_id topic_id;
    int32_t partition;
    struct log_state state;
};

struct checkpoint {
    VEC(struct checkpoint_entry) entries;
    bool clean; /* of the whole file */
};

/* Frees the entries; empty afterwards. */
void checkpoint_deinit(struct checkpoint *checkpoint);

/* Adds what is known of one partition; once each. */
void checkpoint_add(struct checkpoint *checkpoint, const struct topic_id *topic_id,
                    int32_t partition, const struct log_state *state);

/* Replaces the file atomically and durably. */
CHECKED enum err checkpoint_save(struct checkpoint *checkpoint, const struct file_ops *files,
                                 const char *path, struct reason *reason);

/* Reads the file; anything wrong with it gives an empty checkpoint (and a log line). */
void checkpoint_load(struct checkpoint *checkpoint, const struct file_ops *files, const char *path);

/* Reads the file without a word; false, and an empty checkpoint, when it cannot be believed. */
CHECKED bool checkpoint_read(struct checkpoint *checkpoint, const struct file_ops *files,
                             const char *path);

/* The state of the partition or NULL. After load or save only (sorted). */
const struct log_state *checkpoint_find(const struct checkpoint *checkpoint,
                                        const struct topic_id *topic_id, int32_t partition);

#endif
