#ifndef TIDINGS_BUS_API_HTTP_DEAD_INSIDE_H
#define TIDINGS_BUS_API_HTTP_DEAD_INSIDE_H

/* The inside of http_dead.h: http_dead_ask.c looks, http_dead.c tells, http_dead_redrive.c has what
 * changes something. */

#include "bus/api/http_api_inside.h"
#include "bus/api/http_dead.h"
#include "bus/dead/dead_plan.h"
#include "bus/dead/redriver.h"

enum {
    DEAD_READERS_MAX = 2,    /* at once */
    DEAD_READ_MS = 6000,     /* each of the two passes over the topics */
    DEAD_EVENTS_MAX = 100000 /* known in one answer: 30 MB */
};

struct http_dead {
    const struct bus_parts *parts;
    struct redriver *redriver;
    struct http_route routes[16];
    size_t route_count;
    _Atomic unsigned readers;
};

/* One look at a group's dead letters, within limits of time and memory. */
struct dead_ask {
    struct http_dead *module;
    struct http *http; /* NULL: in tests */
    const char *group;
    struct dead_view view;
    int64_t until_ms;
    bool is_late;
    struct where *where; /* NULL: all */
};

/* --- http_dead_ask.c --- */

/* Reads what is known of them; cause NULL: of all. False: the reply says why it could not. To be
 * closed in any case. */
CHECKED bool dead_ask_open(struct dead_ask *ask, struct http_dead *module,
                           const struct http_request *request, const char *cause,
                           struct http_reply *reply);
void dead_ask_close(struct dead_ask *ask);

/* The letters that are asked for, in another pass. False: the reply says why it could not. */
CHECKED bool dead_ask_each(struct dead_ask *ask,
                           bool (*each)(void *context, const struct dead_seen *seen), void *context,
                           struct http_reply *reply);

/* "complete", or why not all was looked at: "time", "events". */
const char *dead_ask_stopped(const struct dead_ask *ask);

enum { DEAD_WHO_BYTES = 100 };

/* Who asks, for records: "http 127.0.0.1". */
void dead_ask_who(const struct http_request *request, char who[DEAD_WHO_BYTES]);

/* Says why it failed. */
void dead_ask_fail(const struct dead_ask *ask, const struct client_error *error,
                   struct http_reply *reply);

/* One more route of the module's own; *route is copied. */
void http_dead_add(struct http_dead *module, const struct http_route *route);

/* --- http_dead_republish.c --- */

/* A redrive by publishing again: the plan is made, and not begun without agreed. */
struct dead_again {
    const char *plan; /* NULL: of all, or of the cause */
    const char *cause;
    bool is_dry, is_agreed;
};

/* Answers it. */
void http_dead_republish(struct http_dead *module, const struct http_request *request,
                         const struct dead_again *again, struct http_reply *reply);

/* --- http_dead_plan.c --- */

/* "readers" of the plan's answer: who would see its events again. False: the reply says why that is
 * not known; the JSON is freed then. */
CHECKED bool http_dead_set_readers(struct http_dead *module, const struct dead_plan *plan,
                                   json_t *json, struct http_reply *reply);

/* Makes the plan of what is asked for, and keeps it if there is anything in it. False: the reply
 * says why not. */
CHECKED bool http_dead_make_plan(struct dead_ask *ask, struct dead_plan *plan, const char *who,
                                 struct http_reply *reply);

/* False: not all was looked at, and the reply says so. */
CHECKED bool http_dead_is_whole(const struct dead_ask *ask, struct http_reply *reply);

/* http_dead_discard.c, http_dead_redrive.c, http_dead_lanes.c: add their routes. */
void http_dead_discard(struct http_dead *module);
void http_dead_redrive(struct http_dead *module);
void http_dead_lanes(struct http_dead *module);

#endif
