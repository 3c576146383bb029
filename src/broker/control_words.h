#ifndef TIDINGS_BROKER_CONTROL_WORDS_H
#define TIDINGS_BROKER_CONTROL_WORDS_H

#include "broker/clock_mover.h"

#include <jansson.h>

/* The requests at the control socket that only a server for tests takes. Each takes what stands
 * behind its word and gives the answer (docs/formats.md), for the caller to free. On the control
 * thread. */

/* An answer that says no. */
json_t *control_failure(const char *text);

/* "clock", or "clock {...}" to move it. mover NULL: refused. */
json_t *control_clock(struct clock_mover *mover, const char *rest);

#endif
