#ifndef TIDINGS_BUS_DEAD_DEAD_LETTER_H
#define TIDINGS_BUS_DEAD_DEAD_LETTER_H

#include "bus/event/where.h"
#include "client/event/event.h"

/*
 * Dead letters as they stand in dlq.<group> (docs/formats.md, "dlq.<group>"): what a record there
 * says, whoever wrote it. All functions are pure.
 */

/* Who wrote the record, as far as it tells. */
enum dead_kind {
    DEAD_OURS,   /* a service with key lanes: tidings-dead-version */
    DEAD_KAFKA,  /* somebody with the headers of KIP-1191 only */
    DEAD_FOREIGN /* somebody else: nothing but the record itself is known */
};

enum dead_lane { DEAD_LANE_UNKNOWN, DEAD_LANE_OPEN, DEAD_LANE_CLOSED };

/* A place in a partition of dlq.<group>. */
struct dead_place {
    int32_t partition; /* -1: none */
    int64_t offset;
};

/* Borrows from the record. Texts may be any bytes; the null slice: it is not said. */
struct dead_letter {
    enum dead_kind kind;
    const struct event *event; /* the record */
    struct dead_place place;
    int64_t died_ms; /* the record's time */

    /* the event's source; topic null: it is not said, or not wholly */
    struct slice topic;
    int32_t partition;
    int64_t offset;

    struct slice group, message, handler, error_class;
    char fingerprint[33]; /* of its cause; made here when the record has none */
    int64_t attempts;     /* -1: not said */
    int64_t first_failure_ms, last_failure_ms, published_ms; /* -1: not said */
    enum dead_lane lane;
    int64_t redrive;           /* by which redrive it came here; 0: by none */
    struct dead_place edit_of; /* it is the edited form of that letter */

    struct slice type, source, id; /* of the CloudEvent, also of a structured one */
};

/* What the record says. The arena keeps what has to be made. Never fails: what is not as it should
 * be counts as not said. */
void dead_letter_read(const struct event *record, struct arena *arena, struct dead_letter *letter);

/* Whether the header is one of those that a dead letter adds to its event's. */
bool dead_letter_adds(const char *header);

enum { DEAD_PLACE_SIZE = 36 };

/* "3:41" into text; returns text. */
const char *dead_place_text(struct dead_place place, char text[DEAD_PLACE_SIZE]);

/* False when the text is no such place. */
CHECKED bool dead_place_parse(const char *text, struct dead_place *place);

/* --- as fields of a condition (bus/where.h) --- */

/* What is known beside the letter itself. */
struct dead_subject {
    const struct dead_letter *letter;
    const char *state;    /* dead_state_name */
    int64_t failed_again; /* so often */
};

/* The fields: state, cause, class, message, type, source, id, key, handler, attempts, lane, topic,
 * partition, offset, first, last, published, died, failed_again, kind. */
const struct where_field *dead_fields(void);

/* where_get; context is a struct dead_subject. */
struct where_value dead_field_get(const void *context, size_t field, const char *header);

#endif
