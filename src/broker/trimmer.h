#ifndef TIDINGS_BROKER_TRIMMER_H
#define TIDINGS_BROKER_TRIMMER_H

#include "base/budget.h"
#include "net/reactor.h"
#include "net/workers.h"

/*
 * Gives memory back to the system. The allocator keeps what was freed for the next one who asks,
 * also after a burst that will not come again. Four times a second a timer looks at what the
 * budget's shares hold: when they have come down from their most by a 128th of memory.max, and did
 * not grow since the last look, the allocator is told to let go, on a thread where nobody waits for
 * it.
 */
struct trimmer;

/* The timer runs on the reactor, the work on the keepers; all outlive it. */
struct trimmer *trimmer_new(struct reactor *reactor, struct workers *keepers,
                            struct budget *budget);

/* Before the reactors start. */
void trimmer_start(struct trimmer *trimmer);

/* After the reactor and the keepers have stopped. NULL does nothing. */
void trimmer_free(struct trimmer *trimmer);

#endif
