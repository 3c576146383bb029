#ifndef TIDINGS_DATADIR_BACKUP_H
#define TIDINGS_DATADIR_BACKUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * `tidings backup`: copies a running or stopped bus into a directory.
 *
 *   DIR/manifest       what the backup holds; written last
 *   DIR/data/<path>    the files, named as in the data directory ("~<version>" for later versions)
 *   DIR/progress       the journal of a backup under way
 *   DIR/lock           one backup at a time
 *
 * A backup into the same DIR goes on where one was stopped, or brings an older one up to date.
 * Until its manifest is there the older backup stays whole: files that changed are written beside
 * the old ones, grown ones only get longer, and what nobody names any more is removed at the end.
 * DIR is made when there is something to copy: a backup of nothing leaves nothing.
 */
struct backup_options {
    const char *data_dir;
    const char *dir;
    int64_t max_rate;   /* bytes a second; 0: no limit */
    int64_t timeout_ms; /* how long a running server may take for its snapshot */
    void *context;
    bool (*stopped)(void *context); /* while waiting for the snapshot; true: stop */
    bool (*progress)(void *context, int64_t bytes, int64_t total_bytes); /* false: stop */
    /* A file whose batches are not all good: it is copied as it is. */
    void (*damaged)(void *context, const char *path, int64_t position);
};

struct backup_totals {
    char cluster_id[64];
    int64_t cut_ms;
    int64_t waited_us; /* how long appends waited for the snapshot */
    int64_t files;
    int64_t bytes;
    int64_t copied_files; /* the rest was there */
    int64_t copied_bytes;
    int64_t damaged_files;
    bool stopped_source; /* no server ran */
};

/* ERR_NOT_FOUND, ERR_LOCKED, ERR_EXISTS (DIR holds something else), ERR_CLOSED (stopped by
 * progress), ERR_AGAIN (stopped while waiting), ERR_TIMEOUT, ERR_IO, ERR_NO_SPACE, ERR_CORRUPT. On
 * an error the same call goes on later. */
CHECKED enum err backup_run(const struct backup_options *options, struct backup_totals *totals,
                            struct reason *reason);

/*
 * Reads every file of a backup and compares it with the manifest, and checks the CRC of every
 * batch. options: dir, max_rate and the callbacks. totals: bad_files are told by `bad`.
 */
struct backup_check {
    int64_t files;
    int64_t bytes;
    int64_t bad_files;
    int64_t damaged_files; /* were so in the source */
    char cluster_id[64];
    int64_t cut_ms;
};

/*
 * Reads every byte of a backup and compares sizes and checksums. A file that differs is no error of
 * the call: bad() is told of it and *check counts it. ERR_NOT_FOUND: there is no backup;
 * ERR_CLOSED: progress ended it.
 */
CHECKED enum err backup_verify(const struct backup_options *options,
                               void (*bad)(void *context, const char *path, const char *why),
                               struct backup_check *check, struct reason *reason);

struct restore_options {
    const char *dir;
    const char *data_dir;
    int64_t max_rate;
    void *context;
    bool (*progress)(void *context, int64_t bytes, int64_t total_bytes);
};

struct restore_totals {
    char cluster_id[64];
    int64_t cut_ms;
    int64_t files;
    int64_t bytes;
    int64_t copied_files;
};

/*
 * Makes data_dir, which is missing or empty, from a backup: in "<data_dir>.restoring", which takes
 * the name at the end, whole and durable. Every file is compared with the manifest on its way.
 * ERR_EXISTS: data_dir is not empty. ERR_NOT_FOUND: no backup. ERR_CORRUPT: the backup is damaged,
 * nothing was made. ERR_CLOSED: stopped; the same call goes on.
 */
CHECKED enum err restore_run(const struct restore_options *options, struct restore_totals *totals,
                             struct reason *reason);

#endif
