#ifndef TIDINGS_CLI_COMMIT_TIMES_H
#define TIDINGS_CLI_COMMIT_TIMES_H

#include "base/vec.h"
#include "client/connection/connection.h"

/*
 * When groups committed, which no answer of the protocol tells: read in __consumer_offsets, whose
 * records have the broker's time, on any bus that lets one read it. Only the newest records of each
 * partition are read, so that it takes no longer where there are many: what is older is not known.
 */
enum { COMMIT_TIMES_RECORDS = 20000 };

/* One commit. */
struct commit_step {
    char *topic;
    int32_t partition;
    int64_t offset;
    int64_t time_ms;
};

struct group_commits {
    int64_t last_ms;               /* -1: not known */
    VEC(struct commit_step) steps; /* in order of time, when they are wanted */
};

struct commit_times {
    const struct connection_settings *connection;
    const char *const *names; /* of groups, by name */
    size_t count;
    bool wants_steps;
    /* Now and then: so many of so many records are read. NULL: nobody is told. */
    bool (*progress)(void *context, int64_t done, int64_t total);
    void *context;

    struct group_commits *groups; /* out, of `names` */
};

/* Reads. Failures as of topic_scan (bus/topic_scan.h). Deinit in any case. */
CHECKED enum client_status commit_times_load(struct commit_times *times,
                                             struct client_error *error);
void commit_times_deinit(struct commit_times *times);

#endif
