#ifndef TIDINGS_CLIENT_LANE_LANE_RECORD_H
#define TIDINGS_CLIENT_LANE_LANE_RECORD_H

#include "client/event/event.h"
#include "client/lane/lane.h"

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
    LANE_RECORD_REDRIVEN = 6,
    LANE_RECORD_WORD = 7, /* somebody's, who owns nothing: it has no fence and is never void */
    LANE_RECORD_ANSWER = 8,
    LANE_RECORD_DONE = 9,   /* in the transaction of what the event caused */
    LANE_RECORD_REASON = 10 /* for people: why a lane is as its note says */
};

/* Of what a reason is. As it stands in the log. */
enum lane_reason_kind {
    LANE_REASON_FAILED = 1, /* what the handler said of its head last */
    LANE_REASON_HELD = 2    /* the word that holds it */
};

/* What became of a dead event. As it stands in the log. */
enum lane_redriven {
    LANE_DEAD_AGAIN = 0, /* its redrive failed, or was not begun */
    LANE_REDRIVEN_DONE = 1,
    LANE_LEFT_DEAD = 2 /* its lane was opened without it, by somebody's word */
};

/* What somebody wants of a lane. As it stands in the log. */
enum lane_verb {
    LANE_SAY_RETRY = 1,
    LANE_SAY_SKIP = 2,
    LANE_SAY_HOLD = 3,
    LANE_SAY_RELEASE = 4,
    LANE_SAY_REDRIVE = 5
};

/* How a word ended. As it stands in the log. */
enum lane_outcome {
    LANE_CARRIED_OUT = 1, /* and durable; of a redrive: the event is done */
    LANE_NOTHING_TO_DO = 2,
    LANE_REFUSED = 3,
    LANE_FAILED_AGAIN = 4 /* a redrive: the event was tried and is dead again */
};

/* Whose record it is and which one of his: never used twice. */
struct lane_record_id {
    uint64_t writer; /* drawn at random by each owner, and by each who sends words */
    int64_t serial;  /* above 0 */
};

/* A record's key: about which source partition. */
struct lane_record_key {
    struct lane_record_id id;
    struct slice topic; /* borrowed */
    int32_t partition;
};

/* Where a dead letter stands in dlq.<group>. */
struct lane_letter {
    int32_t partition; /* -1: there is none */
    int64_t offset;
};

struct lane_word {
    enum lane_verb verb;
    struct lane_name name; /* its lane; of a redrive: to be shown, the event's own lane counts */
    int64_t head;          /* the head that is meant, -1: whatever it is (not with SKIP); of a
                              redrive the dead event's offset in its source */
    struct lane_letter letter; /* REDRIVE */
    int64_t number;            /* REDRIVE: which one of this event, 1 and up; else 0 */
    struct slice who, why;     /* text for people */
    int64_t time_ms;
};

struct lane_answer {
    struct lane_record_id word;
    enum lane_outcome outcome;
    struct lane_letter letter; /* FAILED_AGAIN: the new one, if it is known */
    struct slice text;         /* for people */
    int64_t time_ms;
};

struct lane_reason {
    enum lane_reason_kind kind;
    int64_t offset;    /* FAILED: of the event; -1 */
    struct slice what; /* FAILED: the error's class; HELD: who said it */
    struct slice text; /* FAILED: its message; HELD: why */
    int64_t time_ms;
};

struct lane_record {
    enum lane_record_kind kind;
    int64_t fence;               /* WORD: 0 */
    int64_t offset;              /* ASIDE, FORGET, REDRIVEN, DONE: of the event in its source */
    struct event event;          /* ASIDE: as it stood there, without topic and partition; DONE:
                                    its key only */
    struct lane_name name;       /* NOTE, CLOSE, REASON */
    struct lane_note note;       /* NOTE */
    enum lane_redriven redriven; /* REDRIVEN */
    int64_t number;              /* REDRIVEN: of the redrive; 0: none */
    struct lane_word word;       /* WORD */
    struct lane_answer answer;   /* ANSWER */
    struct lane_reason reason;   /* REASON */
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

/* "retry", "skip", "hold", "release", "redrive"; static. */
const char *lane_verb_name(enum lane_verb verb);

/* "carried out", "nothing to do", "refused", "failed again"; static. */
const char *lane_outcome_name(enum lane_outcome outcome);

#endif
