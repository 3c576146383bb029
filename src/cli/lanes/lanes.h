#ifndef TIDINGS_CLI_LANES_H
#define TIDINGS_CLI_LANES_H

#include "bus/dead/lane_view.h"
#include "cli/base/output.h"
#include "cli/bus/bus.h"

/* `tidings lanes`: what its verbs share. One thread. */

/* The verbs: each parses its own options and returns an enum cli_exit. */
int lanes_command_list(int argc, char **argv);
int lanes_command_show(int argc, char **argv);
int lanes_command_retry(int argc, char **argv);
int lanes_command_skip(int argc, char **argv);
int lanes_command_hold(int argc, char **argv);
int lanes_command_release(int argc, char **argv);

/* What all have: GROUP, which lanes, and the connection. */
struct lanes_options {
    struct bus_options bus;
    struct text_list arguments;
    const char *group;
    struct text_list topics, keys, wheres;
    struct where *where; /* made by lanes_options_check */
};

/* The defaults to start from. Free with lanes_options_deinit. */
struct lanes_options lanes_options_default(void);
void lanes_options_deinit(struct lanes_options *options);

/* The rows of --group, --topic, --key and --where. */
struct option_set lanes_option_set(struct lanes_options *options);

/* Takes arguments and conditions apart. EXIT_USAGE (told) when something is wrong. */
int lanes_options_check(const struct help_page *page, struct lanes_options *options);

/* Whether the lane is one of those that are meant. */
bool lanes_options_mean(const struct lanes_options *options, const struct lane_seen *lane);

/* Reads the lanes with progress on standard error; a failure is told. Returns the exit code; free
 * the view in any case. */
int lanes_load(const struct lanes_options *options, bool wants_events, struct lane_view *view);

/* How a lane is named, "key anna", "orders/3@17", "orders/3", appended; any bytes. */
void lanes_name(const struct lane_seen *lane, struct buf *to);

/* One lane as JSON, without its events. */
json_t *lanes_json(const struct lane_seen *lane);

#endif
