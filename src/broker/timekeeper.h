#ifndef TIDINGS_BROKER_TIMEKEEPER_H
#define TIDINGS_BROKER_TIMEKEEPER_H

#include "group/coordinator.h"
#include "net/net.h"
#include "net/workers.h"
#include "topic/catalogue.h"
#include "txn/coordinator.h"

#include <stdint.h>

/*
 * What happens by the clock: time-outs of groups and transactions (on reactor 0) and upkeep of the
 * logs (on a worker, one at a time), with a look for hanging transactions.
 */
struct timekeeper;

struct timekeeper *timekeeper_new(struct reactor *reactor, struct workers *workers,
                                  struct catalogue *catalogue, int64_t upkeep_interval_ms);

/* Before the reactors start. */
void timekeeper_start(struct timekeeper *timekeeper, struct group_coordinator *groups,
                      struct txn_coordinator *txns);

/* The groups, the transactions want their tick by deadline_ms (monotonic). Any thread. */
void timekeeper_wake_groups(struct timekeeper *timekeeper, int64_t deadline_ms);
void timekeeper_wake_txns(struct timekeeper *timekeeper, int64_t deadline_ms);

/* After reactors and workers have stopped. */
void timekeeper_free(struct timekeeper *timekeeper);

#endif
