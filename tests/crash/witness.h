#ifndef TIDINGS_TESTS_CRASH_WITNESS_H
#define TIDINGS_TESTS_CRASH_WITNESS_H

#include <stdint.h>

/* In the file that sync_witness.c writes: so many bytes of this file were synced. The last record
 * of a file counts. */
struct witness_record {
    uint64_t inode;
    int64_t size;
};

/*
 * In <witness file>.names, written by name_witness.c: what was done to names below the data
 * directory since the last sync of the whole file system, in order, each noted before it was done.
 * A record's number is its place in the file.
 *
 * What a rename replaced or a removal took away keeps a hard link, <data directory>.gone/<number>.
 */
#define WITNESS_NAMES ".names"
#define WITNESS_GONE  ".gone"

enum witness_change {
    WITNESS_CREATED,
    WITNESS_RENAMED,
    WITNESS_REMOVED,
    WITNESS_DIR_SYNCED, /* dir only */
};

struct witness_name {
    uint32_t change;
    uint32_t is_dir;
    uint32_t gone;  /* a file was replaced or removed */
    uint32_t kept;  /* ... and has its link */
    uint64_t dir;   /* inode of the directory that holds the name; of a rename, the new one */
    uint64_t inode; /* of what is renamed or removed */
    char path[512]; /* from the data directory on */
    char to[512];   /* of a rename */
};

#endif
