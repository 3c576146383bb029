#ifndef TIDINGS_CLIENT_LANE_KAFKA_OUTCOME_LOG_H
#define TIDINGS_CLIENT_LANE_KAFKA_OUTCOME_LOG_H

#include "base/clock.h"
#include "client/connection/connection.h"
#include "client/event/outcome.h"
#include "client/runner/lane_runner.h"

/*
 * Writes outcomes to __tidings_outcomes, on a thread of its own that begins with the first one;
 * nobody ever waits for it. What finds no room is dropped and counted, and so is what comes too
 * often: of what happens to an event on its way (failed, waits, done, slow) 50 a second are
 * told, after 500 at once; of its ends (aside, dead, skipped, redriven, and of handlers) 200 after
 * 2,000. What is left out is told once a second as a count of its kind, so that nobody takes
 * silence for peace. The topic is made if need be; who may not is told once, and goes on without.
 * Connections are closed while nothing is told.
 *
 * Threads: any may tell. One lock guards queue, counts and measures; nothing is called under it.
 */
struct outcome_log_settings {
    struct connection_settings connection; /* its texts live as long as the log */
    const char *group;
    const char *instance;      /* NULL: none */
    int attempts;              /* that an event has */
    const struct clock *clock; /* NULL: the machine's; as long as the log */

    /* A line for people, from the log's own threads. */
    void (*log)(void *context, enum lane_log_level level, const char *text);
    void *context;
};

struct outcome_log;

/* Nothing is opened yet. Free with outcome_log_free. */
struct outcome_log *outcome_log_new(const struct outcome_log_settings *settings);

/* Writes what is queued, as far as the bus takes it within 2 s, and frees. NULL is fine. */
void outcome_log_free(struct outcome_log *log);

/* Tells it, unless too much is told: see lane_runner_settings.story. Any thread. */
void outcome_log_story(struct outcome_log *log, const struct lane_story *story);

/*
 * The member takes events of these kinds and passes over all others, from now on: told in a second,
 * and every six hours again, as the topic forgets. Copied. Nothing is told of more than
 * OUTCOME_FILTERS_MAX, or of names that a record would not have as they are: whoever reads them
 * would take events for passed over that are not. Once, any thread.
 */
void outcome_log_handles(struct outcome_log *log, const struct outcome_filter *filters,
                         size_t count);

struct outcome_log_counts {
    uint64_t told;     /* records that the bus has */
    uint64_t left_out; /* too many at once */
    uint64_t dropped;  /* no room in the queue, or the bus did not take them */
};
/* Since the start. Any thread. */
void outcome_log_counts(struct outcome_log *log, struct outcome_log_counts *counts);

/* --- what outcome_story.c stands on --- */

/* Whether one more of this kind may be told now; else it is counted as left out. Any thread. */
bool outcome_log_allows(struct outcome_log *log, enum outcome_kind kind);
/* Queues it. Any thread. */
void outcome_log_add(struct outcome_log *log, const struct outcome *outcome);
/* The group's, as every outcome has it. */
struct outcome outcome_log_blank(const struct outcome_log *log, enum outcome_kind kind);
const struct outcome_log_settings *outcome_log_settings(const struct outcome_log *log);

#endif
