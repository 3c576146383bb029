#ifndef TIDINGS_BROKER_TIMEKEEPER_H
#define TIDINGS_BROKER_TIMEKEEPER_H

#include "net/net.h"
#include "net/workers.h"
#include "topic/catalogue.h"
#include "txn/coordinator.h"

#include <stdint.h>

/*
 * What happens by the clock but for the deadlines of the coordinators: upkeep of the logs (on a
 * thread of its own, never behind clients), with a look for hanging transactions, and counts of log
 * lines left out.
 */
struct timekeeper;

/* Its timers run on the reactor, upkeep on the keepers every upkeep_interval_ms: workers that do
 * nothing else. All outlive it. */
struct timekeeper *timekeeper_new(struct reactor *reactor, struct workers *keepers,
                                  struct catalogue *catalogue, int64_t upkeep_interval_ms);

/* Before the reactors start. */
void timekeeper_start(struct timekeeper *timekeeper, struct txn_coordinator *txns);

/* After the reactor and the keepers have stopped. */
void timekeeper_free(struct timekeeper *timekeeper);

#endif
