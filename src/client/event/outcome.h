#ifndef TIDINGS_CLIENT_EVENT_OUTCOME_H
#define TIDINGS_CLIENT_EVENT_OUTCOME_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What members of groups tell of events that did not simply go through: records of the topic
 * __tidings_outcomes (docs/formats.md), for `tidings why`. Nothing is told of a success.
 */

#define OUTCOME_TOPIC "__tidings_outcomes"

enum outcome_kind {
    OUTCOME_FAILED,   /* an attempt: retry or reject */
    OUTCOME_WAITS,    /* behind another one of its key, in memory */
    OUTCOME_ASIDE,    /* set aside in lanes.<group> */
    OUTCOME_DEAD,     /* given up, in dlq.<group> */
    OUTCOME_SKIPPED,  /* the same, by somebody's word */
    OUTCOME_REDRIVEN, /* a redrive of it is over */
    OUTCOME_DONE,     /* after something else was told of it, or after long */
    OUTCOME_SLOW,     /* its handler has had it for long */
    OUTCOME_DOWN,     /* nothing of the handler succeeds */
    OUTCOME_UP,
    OUTCOME_LEFT_OUT, /* so many of a kind were not told one by one */
    OUTCOME_HANDLES,  /* of which events the member takes; it passes over all others */
    OUTCOME_KINDS
};

/* Events of one type on one topic. */
struct outcome_filter {
    const char *topic; /* a name, or "^" and a regular expression as of tidings_on */
    const char *type;  /* NULL: of every type */
};
enum { OUTCOME_FILTERS_MAX = 1000, OUTCOME_TEXT_MAX = 400 };

/* Whether a record has all of it as it is: there are not too many, and no name is cut or escaped.
 */
bool outcome_filters_fit(const struct outcome_filter *filters, size_t count);

/* Texts NULL, numbers below 0 and times 0: not known, or not of this kind. What is read of others
 * is bounded: times as event_time says, other numbers from 0 on, spans as long as times are. */
struct outcome {
    enum outcome_kind kind;
    int64_t time_ms; /* wall clock */
    const char *group, *member, *instance, *handler;

    const char *topic; /* the event; NULL: it is about the handler */
    int32_t partition;
    int64_t offset;
    const char *key; /* as text, other bytes as \x1b; the first 200 */
    const char *id, *source, *type;

    const char *verdict; /* done, retry, reject; of a redrive: done, dead */
    int attempt;         /* how often its handler has had it */
    int counted, most;   /* attempts that count, and how many there may be */
    int64_t next_ms;     /* it is not tried before; 0 while it waits for a probe */
    bool is_down;        /* its handler is down: the attempt does not count */
    const char *error_class, *message;
    int64_t took_ms;
    int64_t behind;           /* offset of the event of its key that it waits behind */
    int32_t letter_partition; /* in dlq.<group> */
    int64_t letter_offset;
    int closes_lane;       /* 0, 1; its dead letter does */
    int64_t redrive;       /* which one of the event it is */
    const char *who, *why; /* of a word */

    enum outcome_kind of; /* LEFT_OUT: of this kind */
    int64_t count;        /* LEFT_OUT */
    int64_t since_ms;     /* LEFT_OUT, UP */

    const struct outcome_filter *filters; /* HANDLES */
    size_t filter_count;
};

/* All not known. Any thread. */
struct outcome outcome_blank(enum outcome_kind kind);

/* "failed", "left-out": static. */
const char *outcome_kind_name(enum outcome_kind kind);

/* Appends key and value of the record. Texts may hold any bytes; long ones are cut. Any thread. */
void outcome_encode(const struct outcome *outcome, struct buf *key, struct buf *value);

/* Reads a record's value; texts are in the arena. False: it is of another version, or none of ours.
 * Fields that are not known are passed over. Any thread. */
bool outcome_decode(struct slice value, struct arena *arena, struct outcome *outcome);

#endif
