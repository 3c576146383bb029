#ifndef TIDINGS_DATADIR_MANIFEST_H
#define TIDINGS_DATADIR_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a backup holds: DIR/manifest, text (docs/formats.md). It is written last, so its being there
 * means that the backup is whole; its last line has the CRC-32C of all before it.
 */
enum { MANIFEST_FORMAT = 1, MANIFEST_MAX_BYTES = 1 << 30, MANIFEST_PATH_MAX = 512 };

struct manifest_file {
    char *path; /* below the data directory */
    int64_t size;
    uint32_t crc;    /* CRC-32C of the first `size` bytes */
    int32_t version; /* which of the files of this path in DIR: see manifest_stored_name */
    uint64_t inode;  /* of the source, with its time of change: whether it is the same still */
    int64_t mtime_ns;
    bool damaged; /* the source had batches whose CRC does not fit */
};

struct manifest {
    char cluster_id[64];
    int64_t cut_ms; /* wall clock of the instant that the backup shows */
    VEC(struct manifest_file) files;
};

/* Frees the paths and the list; empty afterwards. */
void manifest_deinit(struct manifest *manifest);

/* Takes path over. */
void manifest_add(struct manifest *manifest, const struct manifest_file *file);

/* Sorts by path, so that manifest_find works. */
void manifest_sort(struct manifest *manifest);
const struct manifest_file *manifest_find(const struct manifest *manifest, const char *path);

/* Appends the text of the manifest, which is sorted, with its checksum (docs/formats.md). */
void manifest_encode(const struct manifest *manifest, struct buf *out);

/* Any bytes. Paths stay below a directory, in order and without doubles. ERR_CORRUPT,
 * ERR_UNSUPPORTED (a newer format); *manifest is empty then. */
CHECKED enum err manifest_decode(struct manifest *manifest, struct slice bytes,
                                 struct reason *reason);

/* One line of a file, as in the manifest: for the journal of a backup under way. */
void manifest_encode_file(const struct manifest_file *file, struct buf *out);
/* Reads the line at the front of *text and moves behind it; path is a fresh text. False when no
 * whole, good line is there. */
CHECKED bool manifest_decode_file(struct slice *text, struct manifest_file *file);

/* "<path>", or "<path>~<version>" for a later version of the same path. Free it. */
char *manifest_stored_name(const struct manifest_file *file);

#endif
