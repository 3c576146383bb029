#ifndef TIDINGS_BROKER_CONTROL_WORDS_H
#define TIDINGS_BROKER_CONTROL_WORDS_H

#include "broker/chaos.h"
#include "broker/chaos_act.h"
#include "broker/clock_mover.h"

#include <jansson.h>

/* The requests at the control socket that only a server for tests takes. Each takes what stands
 * behind its word and gives the answer (docs/formats.md), for the caller to free. On the control
 * thread. */

/* An answer that says no. */
json_t *control_failure(const char *text);

/* "clock", or "clock {...}" to move it. mover NULL: refused. */
json_t *control_clock(struct clock_mover *mover, const char *rest);

/* What "chaos" acts on. */
struct control_chaos {
    struct chaos *chaos;       /* NULL: it is refused */
    const struct clock *clock; /* the server's */
    struct chaos_targets targets;
};

/* "chaos" lists the faults, "chaos {...}" makes or ends some. */
json_t *control_chaos(const struct control_chaos *parts, const char *rest);

#endif
