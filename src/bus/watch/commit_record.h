#ifndef TIDINGS_BUS_WATCH_COMMIT_RECORD_H
#define TIDINGS_BUS_WATCH_COMMIT_RECORD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The records of __consumer_offsets as every Kafka writes them (OffsetCommitKey 0 and 1,
 * OffsetCommitValue 0 to 4): which group is done with what, and since when. Records about a group's
 * members stand there, too, and are of no interest here.
 */
enum commit_record_kind {
    COMMIT_RECORD_OTHER,  /* about something else, or of a version that is not known */
    COMMIT_RECORD_OFFSET, /* all below the offset is done */
    COMMIT_RECORD_GONE,   /* the group has no offset for the partition any more */
};

struct commit_record {
    enum commit_record_kind kind;
    struct slice group; /* borrow from the record */
    struct slice topic;
    int32_t partition;
    int64_t offset;
    int64_t time_ms; /* the broker's clock, when it was committed */
};

/* Any bytes: what cannot be read is COMMIT_RECORD_OTHER. value null: a tombstone. Any thread. */
void commit_record_read(struct slice key, struct slice value, struct commit_record *record);

#endif
