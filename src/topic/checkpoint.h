#ifndef TIDINGS_TOPIC_CHECKPOINT_H
#define TIDINGS_TOPIC_CHECKPOINT_H

#include "base/err.h"
#include "base/file.h"
#include "base/vec.h"
#include "log/log.h"
#include "topic/topic.h"

/*
 * The checkpoint file, DATA/checkpoint: per partition how far its log was on disk. It makes the
 * start quick, and knows what is missing of a log; a missing, torn or stale one costs a scan, never
 * data. It is kept twice, so that one bit or one missing file takes none of this away. Format:
 * docs/formats.md.
 */
#define CHECKPOINT_NAME      "checkpoint"
#define CHECKPOINT_COPY_NAME "checkpoint-copy"

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

/* checkpoint_save of both files of a data directory; an error may leave one of them as it was. */
CHECKED enum err checkpoint_save_both(struct checkpoint *checkpoint, const struct file_ops *files,
                                      const char *data_dir, struct reason *reason);

/* Reads the file of a data directory, or else its copy; anything wrong with both gives an empty
 * checkpoint (and a log line). */
void checkpoint_load(struct checkpoint *checkpoint, const struct file_ops *files,
                     const char *data_dir);

/* Reads the file without a word; false, and an empty checkpoint, when it cannot be believed. */
CHECKED bool checkpoint_read(struct checkpoint *checkpoint, const struct file_ops *files,
                             const char *path);

/* The same for that of a data directory, or else its copy. */
CHECKED bool checkpoint_read_any(struct checkpoint *checkpoint, const struct file_ops *files,
                                 const char *data_dir);

/* The state of the partition or NULL. After load or save only (sorted). */
const struct log_state *checkpoint_find(const struct checkpoint *checkpoint,
                                        const struct topic_id *topic_id, int32_t partition);

#endif
