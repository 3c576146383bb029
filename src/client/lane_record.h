#ifndef TIDINGS_CLIENT_LANE_RECORD_H
#define TIDINGS_CLIENT_LANE_RECORD_H

#include "client/event.h"
#include "client/lane.h"

/*
 * The records of lanes.<group> as bytes (docs/formats.md, "lanes.<group>"), and the names of the
 * topics of a group. What they mean together is lane_book.h's. All functions are pure.
 */

/* As it stands in the log: never renumbered. */
enum lane_record_kind {
    LANE_RECORD_MARK = 1, /* an owner begins: `fence` */
    LANE_RECORD_ASIDE = 2,
    LANE_RECORD_NOTE = 3,
    LANE_RECORD_CLOSE = 4,
    LANE_RECORD_FORGET = 5,
    LANE_RECORD_REDRIVEN = 6
};

/* Whose record it is and which one of his: never used twice. */
struct lane_record_id {
    uint64_t writer; /* drawn at random by each owner */
    int64_t serial;  /* above 0 */
};

/* A record's key: about which source partition. */
struct lane_record_key {
    struct lane_record_id id;
    struct slice topic; /* borrowed */
    int32_t partition;
};

struct lane_record {
    enum lane_record_kind kind;
    int64_t fence;
    int64_t offset;        /* ASIDE, FORGET, REDRIVEN: of the event in its source */
    struct event event;    /* ASIDE: as it stood there, without topic and partition */
    struct lane_name name; /* NOTE, CLOSE */
    struct lane_note note; /* NOTE */
    bool was_done;         /* REDRIVEN */
};

/* Appends the key. */
void lane_record_key_write(const struct lane_record_key *key, struct buf *to);

/* False when the bytes are not wholly such a key. */
CHECKED bool lane_record_key_read(struct slice bytes, struct lane_record_key *key);

/* Appends the value. */
void lane_record_write(const struct lane_record *record, struct buf *to);

/*
 * Reads a value. What it holds borrows from the arena; the values of headers are followed by a NUL.
 * ERR_UNSUPPORTED: of a version or kind that is not known here; ERR_CORRUPT: not wholly a record.
 */
CHECKED enum err lane_record_read(struct slice bytes, struct arena *arena,
                                  struct lane_record *record);

enum { LANE_TOPIC_SIZE = 250 };

/* Writes the name of a topic of the group, prefix ("lanes.", "dlq.") and name; a name that cannot
 * stand in a topic's is escaped (docs/formats.md). Returns `to`. */
const char *lane_topic_name(const char *prefix, const char *group, char to[LANE_TOPIC_SIZE]);

#endif
