#ifndef TIDINGS_TOPIC_SNAPSHOT_H
#define TIDINGS_TOPIC_SNAPSHOT_H

#include "base/file.h"
#include "log/log.h"
#include "topic/checkpoint.h"

/*
 * A snapshot folder: hard links to the segments of a data directory beside a copy of its catalogue
 * and a checkpoint, and `files`, the list of what a copy is to hold:
 *
 *   <size> <path below the folder>
 *
 * Segments may have grown past their size in the list: only that many bytes count. Indexes and
 * producer snapshots are not in it, the start makes them anew. docs/formats.md
 */
struct snapshot_writer;

/* In `dir`, which exists and is empty but for tidings.db. */
CHECKED enum err snapshot_writer_new(const struct file_ops *files, const char *dir,
                                     struct snapshot_writer **out, struct reason *reason);
/* NULL is fine. */
void snapshot_writer_free(struct snapshot_writer *writer);

/* Makes the folder of a log: "<topic>-<partition>". */
CHECKED enum err snapshot_begin_log(struct snapshot_writer *writer, const char *log_name,
                                    struct reason *reason);

/* Links <from_dir>/<name> and lists it. size_bytes -1: as it is. */
CHECKED enum err snapshot_link(struct snapshot_writer *writer, const char *from_dir,
                               const char *log_name, const char *name, int64_t size_bytes,
                               struct reason *reason);

/* Writes and lists the checkpoint, when it has entries. */
CHECKED enum err snapshot_add_checkpoint(struct snapshot_writer *writer,
                                         struct checkpoint *checkpoint, struct reason *reason);

/* Lists tidings.db and writes `files`: the snapshot is complete. */
CHECKED enum err snapshot_finish(struct snapshot_writer *writer, struct reason *reason);

/* "<base offset, 20 digits>.log" */
void snapshot_segment_name(int64_t base_offset, char name[32]);

/* Whether a file beside the segments goes with them: ".damage", ".cut". */
bool snapshot_is_sidecar(const char *name);

/*
 * The checkpoint entry that a copy gets. No segment is named, so that its start reads and checks
 * everything and makes indexes and producers anew; and nothing below end_offset is cut.
 */
struct log_state snapshot_state(int64_t start_offset, int64_t end_offset);

#endif
