#ifndef TIDINGS_TESTS_CRASH_TEAR_H
#define TIDINGS_TESTS_CRASH_TEAR_H

#include "base/random.h"

#include <stdint.h>

/*
 * What a power failure may do to a stopped server's data: takes bytes that were not synced, by what
 * sync_witness.c noted.
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

#endif
