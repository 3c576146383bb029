#ifndef TIDINGS_CLI_OUTCOMES_H
#define TIDINGS_CLI_OUTCOMES_H

#include "cli/bus/bus.h"

/* How it is told what became of each topic or group that a request named. */
struct outcome_words {
    const char *verb;      /* "delete" */
    const char *done;      /* "deleted": printed, and the member in JSON that says so */
    const char *kind;      /* "topic" */
    const char *json_name; /* the member in JSON that names it */
    bool is_forgiving;     /* an outcome of the status below is as good as done */
    enum client_status forgiven;
    const char *forgiven_text;             /* "did not exist" */
    int (*fail_unknown)(const char *name); /* tells of CLIENT_NOT_FOUND; returns the exit code */
};

/*
 * Tells all outcomes, or that the whole request for the names failed (`status`, `error`), and frees
 * the outcomes. Returns the exit code: that of the first failure.
 */
int outcomes_tell(const struct outcome_words *words, const struct text_list *names, bool is_json,
                  enum client_status status, const struct client_error *error,
                  struct admin_outcomes *outcomes);

/* Deletes what was named: admin_delete_topics or admin_delete_groups. */
typedef enum client_status outcomes_delete(struct connection *connection, const char *const *names,
                                           size_t count, struct admin_outcomes *outcomes,
                                           struct client_error *error);

/* Asks the bus to delete them, and tells the outcomes. Returns the exit code. */
int outcomes_of_delete(const struct outcome_words *words, const struct bus_options *bus,
                       const struct text_list *names, outcomes_delete *delete_all);

#endif
