#ifndef TIDINGS_BUS_MAP_FLOW_HISTORY_H
#define TIDINGS_BUS_MAP_FLOW_HISTORY_H

#include "base/err.h"
#include "bus/map/map_facts.h"

/*
 * The facts of the flow map over time, in a SQLite database: each fact with what is known of it,
 * and how many events and bytes flowed in each minute, hour and day in which any did. Minutes are
 * kept for two days, hours for two months, days for three years, and never more than
 * FLOW_HISTORY_ROWS of the minutes. Also how far the feed was read. One thread at a time.
 */
enum { FLOW_HISTORY_ROWS = 2000000 };

struct flow_history;

/* Opens the database at `path`, or makes it (for the owner only). ERR_CORRUPT: it is not what was
 * written, and is to be removed (flow_history_remove); ERR_UNSUPPORTED: of a newer version;
 * ERR_IO, ERR_NO_SPACE. */
CHECKED enum err flow_history_open(const char *path, struct flow_history **history,
                                   struct reason *reason);

/* NULL is fine. What was not flushed is lost. */
void flow_history_close(struct flow_history *history);

/* Removes a database that nobody has open, with what lies beside it. */
void flow_history_remove(const char *path);

/* Adds what is kept to *facts, which is fresh. began_ms becomes that of the history's beginning. */
CHECKED enum err flow_history_load(struct flow_history *history, struct map_facts *facts,
                                   struct reason *reason);

/* Up to where the feed was read. */
struct flow_place {
    struct slice topic;
    uint8_t topic_id[16];
    int32_t partition;
    int64_t next, end;
};

/* Calls each for every place that is kept. */
CHECKED enum err flow_history_places(struct flow_history *history,
                                     void (*each)(void *context, const struct flow_place *place),
                                     void *context, struct reason *reason);

/*
 * Keeps all facts, and what is new of each since it was kept last, under the minute of now_ms, in
 * one transaction; and these places, for those of before. After an error nothing of it is kept, and
 * the next one has it all.
 */
CHECKED enum err flow_history_flush(struct flow_history *history, struct map_facts *facts,
                                    const struct flow_place *places, size_t place_count,
                                    int64_t now_ms, struct reason *reason);

/* Leaves out what is too old. Now and then. */
CHECKED enum err flow_history_thin(struct flow_history *history, int64_t now_ms,
                                   struct reason *reason);

/*
 * The facts as they were at a time: those first seen by then, with their last time before it and
 * their rate in the minutes (further back: the hour, the day) before it. *facts is fresh. Who was
 * there is not kept: see map_view's is_past.
 */
CHECKED enum err flow_history_at(struct flow_history *history, int64_t at_ms,
                                 struct map_facts *facts, struct reason *reason);

#endif
