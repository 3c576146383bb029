#ifndef TIDINGS_BROKER_CLOCK_MOVER_H
#define TIDINGS_BROKER_CLOCK_MOVER_H

#include "base/movable_clock.h"
#include "coordinator/alarm.h"
#include "group/coordinator.h"
#include "net/workers.h"
#include "topic/catalogue.h"
#include "topic/cleaner.h"
#include "txn/coordinator.h"

/*
 * Moves the clock of a server for tests, and has all that is due by then done: deadlines of groups
 * and transactions, retention, expired offsets and producers. So whoever moved it need not wait
 * for any of that. A log that is due to be compacted by then is begun with.
 *
 * What does not go by this clock: time-outs of connections, waits of fetches, a stop.
 */
struct clock_mover;

/* Where what is due gets done. All outlive the mover. */
struct clock_mover_parts {
    struct movable_clock *clock;
    struct workers *workers; /* that the alarms tick on */
    struct workers *keepers; /* for upkeep */
    const void *upkeep_owner;
    struct alarm *groups_alarm;
    struct alarm *txns_alarm;
    struct group_coordinator *groups;
    struct txn_coordinator *txns;
    struct catalogue *catalogue;
    struct cleaner *cleaner; /* NULL: none */
};

/* The parts are copied. Nothing runs before the first move. One thread. */
struct clock_mover *clock_mover_new(const struct clock_mover_parts *parts);

/* When the workers are gone. NULL does nothing. */
void clock_mover_free(struct clock_mover *mover);

/*
 * As movable_clock_advance, and waits until what is due is done; *is_done false: not within 30 s,
 * and it goes on by itself. ERR_INVALID; ERR_AGAIN: that of the last move still goes on. One
 * thread, which is neither a reactor's nor a worker.
 */
CHECKED enum err clock_mover_advance(struct clock_mover *mover, int64_t ms, bool calendar_only,
                                     bool *is_done, struct reason *reason);

/* The clock that it moves. Any thread. */
const struct movable_clock *clock_mover_clock(const struct clock_mover *mover);

#endif
