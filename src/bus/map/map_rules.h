#ifndef TIDINGS_BUS_MAP_MAP_RULES_H
#define TIDINGS_BUS_MAP_MAP_RULES_H

#include "base/err.h"
#include "bus/map/map_facts.h"

/*
 * Rules that name services, from a text of lines
 *
 *     KIND:EXPRESSION = NAME
 *
 * KIND is principal, source, group, client or software; the expression (base/pattern.h) has to fit
 * the whole of what was observed. All that one name is given to is one service. The first rule that
 * fits counts. Lines that are empty or begin with # say nothing. At most MAP_RULES_MAX rules.
 * Reading them: any thread; asking them: one thread at a time.
 */
enum { MAP_RULES_MAX = 256, MAP_RULES_BYTES = 64 << 10 };

struct map_rules;

/* ERR_INVALID, ERR_TOO_LARGE: the reason names the line. *rules is NULL then; else map_rules_free.
 */
CHECKED enum err map_rules_read(struct slice text, struct map_rules **rules, struct reason *reason);

/* NULL is fine. */
void map_rules_free(struct map_rules *rules);

/* The name that a rule gives; null: none does, or rules is NULL. Borrows from the rules. */
struct slice map_rules_name(const struct map_rules *rules, enum map_name kind, struct slice text);

#endif
