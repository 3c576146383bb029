#ifndef TIDINGS_DATADIR_DUMP_H
#define TIDINGS_DATADIR_DUMP_H

#include "batch/batch.h"
#include "log/walk.h"

/*
 * `tidings dump`: batches and records as they lie in the files, of a data directory (also one that
 * a server is at work on: up to what is whole) or of one file. Changes nothing, takes no lock.
 */

/* Where something lies. */
struct dump_place {
    const char *topic; /* "" when the file's folder is no partition's */
    int32_t partition; /* -1: likewise */
    const char *file;
};

/* What gets the pieces, all borrowed; returns false to end. */
struct dump_sink {
    void *context;
    bool (*batch)(void *context, const struct dump_place *place, int64_t position,
                  const struct batch *batch);
    /* Not called when NULL: then batches are not decompressed. */
    bool (*record)(void *context, const struct dump_place *place, int64_t position,
                   const struct batch *batch, const struct record *record);
    /* Bytes that are no good batch. last: of the newest segment, where a write may be under way. */
    bool (*damage)(void *context, const struct dump_place *place, const struct walk_damage *damage,
                   bool last);
};

struct dump_options {
    const char *path;  /* a data directory or a segment file */
    const char *topic; /* NULL: all; of a data directory only */
    int64_t partition; /* -1: all */
    int64_t from;      /* the first offset wanted */
    int64_t to;        /* the first offset that is not wanted any more */
};

/* "none", "gzip", "snappy", "lz4", "zstd"; "unknown". */
const char *dump_codec(const struct batch *batch);

/* ERR_NOT_FOUND: no such path, topic or partition. ERR_INVALID: a file of another kind. ERR_IO.
 * Files that the server deletes meanwhile are passed over. One thread. */
CHECKED enum err dump_run(const struct dump_options *options, const struct dump_sink *sink,
                          struct reason *reason);

#endif
