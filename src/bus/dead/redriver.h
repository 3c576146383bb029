#ifndef TIDINGS_BUS_DEAD_REDRIVER_H
#define TIDINGS_BUS_DEAD_REDRIVER_H

#include "bus/dead/dead_json.h"
#include "bus/dead/dead_redrive.h"

/*
 * Redrives that this process runs for people who do not wait for them: each on a thread of its own,
 * by dead_run, as `tidings deadletter redrive` does. Which ones are at work is kept in a file, so
 * that they go on, as the same task, after the process was ended or killed; what became of them is
 * in the task's record. Any thread.
 */
struct redriver;

enum { REDRIVES_MAX = 8 };

/* path: of the file; the settings are borrowed. Begins with what the file says, as soon as the bus
 * answers. Free with redriver_free. */
struct redriver *redriver_new(const struct connection_settings *connection, const char *path);

/* Lets all go where they are, and waits for their threads: for as long as one request to the bus
 * takes. NULL is fine. */
void redriver_free(struct redriver *redriver);

/*
 * Runs the stored plan of the group; `who` asks for it. The task's id into `task`.
 * CLIENT_FULL: REDRIVES_MAX are at work. CLIENT_CONFLICT: that plan is.
 */
CHECKED enum client_status redriver_start(struct redriver *redriver, const char *group,
                                          const char *plan, int64_t rate, const char *who,
                                          char task[DEAD_ID_SIZE], struct client_error *error);

/* It sends no more; what was sent is waited for. False: this process does not run it. */
bool redriver_cancel(struct redriver *redriver, const char *group, const char *task);

/*
 * How far a task is that this process runs, or has run and could not (dead_task_to_json, and "why"
 * of the last event that failed or was refused); NULL: it knows nothing of it, its record does.
 */
json_t *redriver_task(struct redriver *redriver, const char *group, const char *task);

#endif
