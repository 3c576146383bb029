#ifndef TIDINGS_TESTS_CRASH_CHURN_H
#define TIDINGS_TESTS_CRASH_CHURN_H

#include "world.h"

/*
 * A thread that creates, fills and deletes topics without rest, and the check that the server
 * knows after a kill what it had acknowledged: topics, their partitions, settings and events, and
 * deletions.
 */
struct churn;

struct churn *churn_start(struct world *world);
/* The thread is parked, the server is up: compares, and settles what was in doubt. */
void churn_check(struct churn *churn, struct client *client);
/* Counts of acknowledged changes, to see that the test did something. */
void churn_counts(const struct churn *churn, int64_t *created, int64_t *deleted);

#endif
