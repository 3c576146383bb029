#ifndef TIDINGS_CLI_DEADLETTER_H
#define TIDINGS_CLI_DEADLETTER_H

#include "bus/dead/dead_group.h"
#include "bus/dead/dead_json.h"
#include "bus/dead/dead_view.h"
#include "bus/dead/dead_write.h"
#include "cli/base/output.h"
#include "cli/base/progress.h"
#include "cli/bus/bus.h"

/* `tidings deadletter`: what its verbs share. One thread. */

/* The verbs: each parses its own options and returns an enum cli_exit. */
int deadletter_command_list(int argc, char **argv);
int deadletter_command_show(int argc, char **argv);
int deadletter_command_discard(int argc, char **argv);
int deadletter_command_edit(int argc, char **argv);
int deadletter_command_note(int argc, char **argv);
int deadletter_command_redrive(int argc, char **argv);
int deadletter_command_tasks(int argc, char **argv);

/* Which dead letters are meant. */
struct dead_choose {
    struct text_list causes, classes, types, keys, handlers, topics, states, where;
    const char *since, *until;
    int64_t partition, offset; /* of the source; -1: any */
};

/* What all verbs have: GROUP [ID...], which of them, and the connection. */
struct dead_options {
    struct bus_options bus;
    struct text_list arguments;
    const char *group; /* the first argument, unless --group has it */
    struct dead_choose choose;

    /* made by dead_options_check */
    VEC(struct dead_place) ids;
    struct where *where;
};

/* The defaults to start from. Free with dead_options_deinit. */
struct dead_options dead_options_default(void);
void dead_options_deinit(struct dead_options *options);

/* The rows of --group; and of --cause, --class, --type, --key, --handler, --topic, --partition,
 * --offset, --state, --since, --until, --where. */
struct option_set dead_group_set(struct dead_options *options);
struct option_set dead_choose_set(struct dead_options *options);

/* Takes the arguments apart. EXIT_USAGE (told) when something is wrong. */
int dead_options_check(const struct help_page *page, struct dead_options *options);

/* Whether anything says which letters are meant. */
bool dead_options_choose(const struct dead_options *options);

/* A view with its progress on standard error. */
struct dead_reading {
    struct dead_view view;
    struct connection_settings settings;
    struct progress progress;
};

/* Reads what is known of the letters that are meant. Letters that are not there are told, as is a
 * bound that was met. Returns the exit code; close in any case. */
int dead_reading_open(struct dead_reading *reading, const struct dead_options *options);
/* The same, but nothing is read yet: for dead_view_facts only. */
int dead_reading_begin(struct dead_reading *reading, const struct dead_options *options);
void dead_reading_close(struct dead_reading *reading);

/* Calls each for all that are meant; a failure is told. Returns the exit code. */
int dead_reading_each(struct dead_reading *reading, const struct dead_options *options,
                      bool (*each)(void *context, const struct dead_seen *seen), void *context);

enum { DEAD_WHO_SIZE = 180 };

/* "user@host", whose command this is, into text; returns text. */
const char *dead_who(char text[DEAD_WHO_SIZE]);

/* Opens a writer; a failure is told. Returns the exit code; close in any case. */
int dead_writing_open(const struct dead_options *options, struct dead_writer **writer);

/* Waits until all is kept, and frees it; a failure is told. Returns `code`, or that of the failure.
 */
int dead_writing_close(const struct dead_options *options, struct dead_writer *writer, int code);

/* Tells why a topic of dead letters could not be read or written. Returns the exit code. */
int dead_fail(const struct client_error *error, const char *verb, const char *topic);

/* --- how letters are shown (deadletter_print.c) --- */

/* "open", or "failed again (2)". */
const char *dead_state_text(const struct dead_seen *seen, char text[32]);

/* A cell of any bytes, at most so many of them; "-" for the null slice. */
void dead_cell(struct table *table, struct slice text, size_t most);

/* A cell with a time to the second; "-" when it is below 0. */
void dead_cell_time(struct table *table, int64_t time_ms);

#endif
