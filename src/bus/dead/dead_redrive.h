#ifndef TIDINGS_BUS_DEAD_DEAD_REDRIVE_H
#define TIDINGS_BUS_DEAD_DEAD_REDRIVE_H

#include "bus/dead/dead_plan.h"

/*
 * Runs a plan: a word to the owner of each event's lane (client/lane_kafka/lane_word.h), in the
 * plan's order, and what the owners answer is written to dlq-state.<group>. The owner redrives the
 * event through its lane: only this group sees it, in the order of its key.
 *
 * What is asked for is durable before its word is sent, and the word before it counts as sent; each
 * has the number that the plan gave it. So whoever is killed here or there runs the same plan
 * again: what an owner did is answered by what it wrote, and not done once more. One thread.
 */
struct dead_run {
    const struct connection_settings *connection;
    const char *group;
    const struct dead_plan *plan;
    int64_t rate; /* letters a second; 0: as fast as owners take them */
    const char *who;
    /* Often: how far it is. False: no more is sent, and what is under way is waited for. */
    bool (*progress)(void *context, const struct dead_fact *task);
    /* Often. True: dead_run returns at once with CLIENT_CLOSED, and the task stays as it is, for
     * who goes on with it. NULL: never. */
    bool (*leaves)(void *context);
    void *context;

    char task_id[DEAD_ID_SIZE]; /* "": one is drawn */
    /* Of a task that goes on: when it began, and what the plan had beside what is left of it. */
    int64_t began_ms, done_before, failed_before;

    /* out: its last state; borrows from this struct */
    struct dead_fact task;
    char why[200]; /* of the last one that failed or was refused; "": none */
};

/*
 * Returns when all is answered; when it was cancelled (progress, or a cancel in the state topic),
 * when what was sent is answered. CLIENT_NOT_FOUND: the group has no lanes. CLIENT_TIMED_OUT:
 * nothing was answered for the connection's timeout_ms; what was sent stays, and is carried out
 * when the service comes to it. Memory: 16 bytes a letter and the window of words.
 */
CHECKED enum client_status dead_run(struct dead_run *run, struct client_error *error);

#endif
