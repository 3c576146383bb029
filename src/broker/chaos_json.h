#ifndef TIDINGS_BROKER_CHAOS_JSON_H
#define TIDINGS_BROKER_CHAOS_JSON_H

#include "base/err.h"
#include "broker/chaos_rule.h"

#include <jansson.h>

/* Faults as they are asked for and told at the control socket (docs/formats.md). */

/*
 * Makes a rule of {"fault": "error", "apis": ["Produce"], "topic": "orders", ...}. for_ms: -1, or
 * after which time it is over. ERR_INVALID says what is wrong and what there is; the rule owns
 * nothing then. A seed is made up when none is given. One thread.
 */
CHECKED enum err chaos_json_read(json_t *json, struct chaos_rule *rule, int64_t *for_ms,
                                 struct reason *reason);

/* All that is known of the rule; mono_ms: now, for how long it goes on. Free it. */
json_t *chaos_json_write(const struct chaos_rule *rule, int64_t mono_ms);

#endif
