#ifndef TIDINGS_TESTS_CRASH_TEAR_H
#define TIDINGS_TESTS_CRASH_TEAR_H

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a power failure may do to a stopped server's data: takes bytes that were not synced, and
 * undoes what was done to names in directories that were not synced, by what sync_witness.c and
 * name_witness.c noted. Names first: bytes are taken of the files that are there then.
 */
struct tear {
    struct random random;
    const char *data_dir;
    const char *witness_path;
    int64_t torn_bytes; /* so far */
};

/* Ends the test on failure. The number of logs that now end in bytes which are no batch for sure.
 */
int tear_tails(struct tear *tear);

/*
 * Undoes creations, renames and removals, newest first; the random numbers say how many of those
 * that no sync covered. in_order: the newest ones, as on a journaling file system, where a sync of
 * a directory covers also what was done before in others; else any of them, as the standard allows.
 * Everything left counts as durable. Ends the test on failure. The number of what was undone.
 */
int tear_names(struct tear *tear, bool in_order);

#endif
