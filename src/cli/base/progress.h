#ifndef TIDINGS_CLI_PROGRESS_H
#define TIDINGS_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How far a long run is, on standard error: a line that is written over on a terminal, else a line
 * every ten seconds.
 */
struct progress {
    bool is_terminal;
    bool is_shown; /* a line that can be written over stands there */
    int64_t began_ns;
    int64_t told_ns;
};

/* Begins now; shows nothing where standard error is no terminal. */
void progress_init(struct progress *progress);

/* "checked 1.2 GB of 3.4 GB (35%), 410.0 MB/s"; not more often than is of use. */
void progress_show(struct progress *progress, const char *verb, int64_t bytes, int64_t total_bytes);

/* "read 1200 of 10000 records of dlq.email (12%), 4000/s"; `things` is a text for people. */
void progress_show_count(struct progress *progress, const char *verb, const char *things,
                         int64_t done, int64_t total);

/* Before anything else is written, and at the end. */
void progress_clear(struct progress *progress);

#endif
