#ifndef TIDINGS_TESTS_CRASH_WITNESS_H
#define TIDINGS_TESTS_CRASH_WITNESS_H

#include <stdint.h>

/* In the file that sync_witness.c writes: so many bytes of this file were synced. The last record
 * of a file counts. */
struct witness_record {
    uint64_t inode;
    int64_t size;
};

#endif
