#ifndef TIDINGS_BUS_DEAD_DEAD_JSON_H
#define TIDINGS_BUS_DEAD_DEAD_JSON_H

#include "bus/dead/dead_plan.h"
#include "bus/dead/dead_view.h"
#include "bus/dead/lane_view.h"

#include <jansson.h>

/* Dead letters, plans and tasks as JSON: the same for the command and by HTTP. Any thread. */

/* One event in short. */
json_t *dead_seen_to_json(const struct dead_seen *seen);

/* An open lane. */
json_t *lane_seen_to_json(const struct lane_seen *lane);

/* What a plan would run, and what it passes over; changed: left out since it was made. */
json_t *dead_plan_to_json(const struct dead_plan *plan, const char *group, size_t changed);

/* A redrive that is or was at work, as its record says; with changed_ms, which dead_tasks_read
 * takes away. */
json_t *dead_task_to_json(const struct dead_fact *task);

/*
 * The redrives of a group in the order in which they began, as an object by their ids, into *tasks
 * (set also after a failure); id NULL: all. A task says each second that it runs; one that is
 * silent for long has the state "silent", and one that was told to end "cancelling".
 */
CHECKED enum client_status dead_tasks_read(struct dead_view *view, const char *id, json_t **tasks,
                                           struct client_error *error);

/* Sets a text of any bytes (event_set_bytes); absent for the null slice. */
void dead_set_text(json_t *object, const char *name, struct slice text);

/* Sets a time as ISO 8601, null when it is below 0. */
void dead_set_time(json_t *object, const char *name, int64_t time_ms);

#endif
