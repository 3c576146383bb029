#ifndef TIDINGS_BROKER_CHAOS_H
#define TIDINGS_BROKER_CHAOS_H

#include "api/faults.h"
#include "base/vec.h"
#include "broker/chaos_rule.h"

/*
 * The faults that were asked for of a server for tests: judges each request by them (api/faults.h),
 * counts and says in the log what struck. Those that are over are remembered, the newest ones.
 * Any thread; one lock guards all of it, no other is taken inside.
 */
struct chaos;

enum {
    CHAOS_RULES_MOST = 100,         /* that strike */
    CHAOS_ENDED_MOST = 100,         /* that are remembered */
    CHAOS_MEMBERSHIPS_MOST = 10000, /* pairs of a client.id and a group that it spoke for */
};

/* What the command's own requests come as: no fault is for them. */
#define CHAOS_EXEMPT_CLIENT "tidings-chaos"

/* clock: the server's, which outlives it. */
struct chaos *chaos_new(const struct clock *clock);
/* When no request comes any more. NULL does nothing. */
void chaos_free(struct chaos *chaos);

/* For api_server.faults; lives as long as chaos. */
const struct api_faults *chaos_faults(struct chaos *chaos);

/* Takes over what the rule owns, and gives it its id and its beginning; for_ms: after which it is
 * over (-1: never). ERR_LIMIT. */
CHECKED enum err chaos_add(struct chaos *chaos, struct chaos_rule *rule, int64_t for_ms,
                           int64_t *id, struct reason *reason);

/* Ends the rule of this id, or with 0 all that strike; returns how many it ended. */
size_t chaos_clear(struct chaos *chaos, int64_t id);

/* Shows each rule, oldest first. The rule lives for the call, under the lock. */
void chaos_each(struct chaos *chaos, void (*each)(void *context, const struct chaos_rule *rule),
                void *context);

#endif
