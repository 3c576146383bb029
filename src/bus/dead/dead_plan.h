#ifndef TIDINGS_BUS_DEAD_DEAD_PLAN_H
#define TIDINGS_BUS_DEAD_DEAD_PLAN_H

#include "bus/dead/dead_view.h"
#include "bus/dead/dead_write.h"

/*
 * What a redrive is to run: letters with the number of each redrive, so that a plan that is run
 * again runs nothing twice. In order of offset, so the head of each lane comes first. Memory: about
 * 60 bytes a letter. One thread.
 */
struct dead_plan {
    char id[DEAD_ID_SIZE];
    VEC(struct dead_choice) choices;
    VEC(char *) topics;          /* owned: those of the choices */
    size_t lanes;                /* of a plan that was made or measured here */
    int64_t first_ms, last_ms;   /* when they died; -1: not known */
    int64_t passed[DEAD_STATES]; /* events that were not taken, because of their state */
    int64_t nameless;            /* and those whose record does not say its source */
    struct dead_plan_lane *seen;
};

/* Draws an id. Free with dead_plan_deinit. */
void dead_plan_init(struct dead_plan *plan);
void dead_plan_deinit(struct dead_plan *plan);

/* Takes the event when it can be redriven: it is open, failed again, or was asked for and not sent.
 * may_repeat: what was republished before, too. */
void dead_plan_take(struct dead_plan *plan, const struct dead_seen *seen, bool may_repeat);

/* Brings them into their order. */
void dead_plan_sort(struct dead_plan *plan);

/* Writes the plan to dlq-state.<group>; it is kept after dead_writer_flush. */
CHECKED enum client_status dead_plan_store(const struct dead_plan *plan, struct dead_writer *writer,
                                           const char *who, int64_t now_ms,
                                           struct client_error *error);

/* The stored plan of this id. CLIENT_NOT_FOUND: there is none, or a part of it is missing. */
CHECKED enum client_status dead_plan_load(struct dead_view *view, const char *id,
                                          struct dead_plan *plan, struct client_error *error);

/* How many of the plan its own redrives have done, or seen fail again. */
void dead_plan_ended(const struct dead_plan *plan, const struct dead_index *index, int64_t *done,
                     int64_t *failed);

/* Of a loaded plan: counts the lane of the event and takes its time, if it is one of the plan's,
 * which are in their order (dead_plan_sort). */
void dead_plan_measure(struct dead_plan *plan, const struct dead_seen *seen);

/* Leaves out what was done, discarded or redriven since by another plan; returns how many. What the
 * owner refused without trying is asked for again, under its next number. */
size_t dead_plan_check(struct dead_plan *plan, const struct dead_index *index);

#endif
