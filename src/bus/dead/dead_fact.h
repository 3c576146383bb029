#ifndef TIDINGS_BUS_DEAD_DEAD_FACT_H
#define TIDINGS_BUS_DEAD_DEAD_FACT_H

#include "base/buf.h"
#include "bus/dead/dead_letter.h"

/*
 * The records of dlq-state.<group> (docs/formats.md, "dlq-state.<group>"): what people said of dead
 * letters, and the redrives they asked for. The keys are text, the values JSON; a key's latest
 * record counts, and one without value says that there is nothing. All functions are pure.
 */

/* Which event: where it stands in its source. A record of dlq.<group> that does not say it stands
 * for itself. */
struct dead_event {
    struct slice topic; /* of topic's letters, never null */
    int32_t partition;
    int64_t offset;
};

/* The event that a letter is about; dlq_topic: where the letter stands. */
struct dead_event dead_event_of(const struct dead_letter *letter, const char *dlq_topic);

enum dead_fact_kind {
    DEAD_FACT_REDRIVE, /* it was asked for, and what came of it */
    DEAD_FACT_DISCARD, /* nobody is to try it again */
    DEAD_FACT_NOTE,    /* on an event, or on a cause */
    DEAD_FACT_PLAN,    /* a part of a plan */
    DEAD_FACT_TASK,    /* a plan at work */
    DEAD_FACT_CANCEL   /* a task is to end */
};

enum dead_outcome {
    DEAD_ASKED,      /* no answer is known */
    DEAD_DONE,       /* the handler did it */
    DEAD_FAILED,     /* it is dead again */
    DEAD_REFUSED,    /* the owner did not try it */
    DEAD_REPUBLISHED /* it was published to its source again; nobody tells what became of it */
};

enum { DEAD_ID_SIZE = 17, DEAD_PLAN_PART = 1000 };

/* One letter of a plan. */
struct dead_choice {
    struct dead_event event;
    struct dead_place letter; /* what to redrive: the newest, or its edited form */
    int64_t number;           /* of the redrive, 1 and up */
};

/* What a record says; which of it counts depends on the kind. Borrowed. Texts may be NULL. */
struct dead_fact {
    enum dead_fact_kind kind;
    bool is_erased; /* there is nothing under its key any more */

    struct dead_event event; /* REDRIVE, DISCARD, NOTE; NOTE on a cause: topic null */
    int64_t number;          /* REDRIVE; PLAN: of the part, from 0 */
    char cause[33];          /* NOTE on a cause */
    char id[DEAD_ID_SIZE];   /* NOTE, PLAN, TASK, CANCEL: its own; REDRIVE: of the task, or "" */

    int64_t time_ms;
    const char *who;
    const char *text; /* DISCARD: why; NOTE; REDRIVE: what the owner said */

    enum dead_outcome outcome; /* REDRIVE */
    int64_t answered_ms;       /* REDRIVE: 0: not yet */
    struct dead_place letter;  /* REDRIVE */
    const char *lane;          /* DISCARD: "opened", "left", or NULL: it was not closed */

    /* PLAN */
    const struct dead_choice *choices;
    size_t choice_count;
    int64_t part_count;

    /* TASK */
    char plan[DEAD_ID_SIZE];
    const char *state; /* "running", "done", "cancelled", "stopped" */
    int64_t total, sent, done, failed, refused;
    int64_t rate; /* letters a second; 0: as fast as it goes */
    int64_t changed_ms;
};

/* Appends key and value (no value when it is erased). */
void dead_fact_write(const struct dead_fact *fact, struct buf *key, struct buf *value);

/* What the record says, made in the arena; false: it is none of these, or of another version. */
bool dead_fact_read(const struct event *record, struct arena *arena, struct dead_fact *fact);

/* 16 hexadecimal digits, drawn at random, into id; returns id. */
const char *dead_id_draw(char id[DEAD_ID_SIZE]);

/* "asked", "done", "failed", "refused", "republished"; static. */
const char *dead_outcome_name(enum dead_outcome outcome);

#endif
