#ifndef TIDINGS_BROKER_TIMEKEEPER_H
#define TIDINGS_BROKER_TIMEKEEPER_H

#include "net/net.h"
#include "net/workers.h"
#include "topic/catalogue.h"
#include "txn/coordinator.h"

#include <stdint.h>

/*
 * What happens by the clock but for the deadlines of the coordinators: upkeep of the logs (on a
 * worker, one at a time), with a look for hanging transactions, and counts of log lines left out.
 */
struct timekeeper;

/* Its timers run on the reactor, upkeep on a worker every upkeep_interval_ms. All outlive it. */
struct timekeeper *timekeeper_new(struct reactor *reactor, struct workers *workers,
                                  struct catalogue *catalogue, int64_t upkeep_interval_ms);

/* Before the reactors start. */
void timekeeper_start(struct timekeeper *timekeeper, struct txn_coordinator *txns);

/* After reactors and workers have stopped. */
void timekeeper_free(struct timekeeper *timekeeper);

#endif
