#include "cli/lanes/lanes.h"

#include "base/clock.h"
#include "bus/dead/dead_json.h"
#include "cli/base/cli.h"
#include "cli/base/progress.h"
#include "cli/bus/reset_target.h"
#include "cli/lanes/deadletter.h"

#include <stdio.h>
#include <string.h>

/* --- options --- */

struct lanes_options lanes_options_default(void)
{
    return (struct lanes_options){.bus = bus_options_default()};
}

void lanes_options_deinit(struct lanes_options *options)
{
    where_free(options->where);
    options->where = NULL;
}

struct option_set lanes_option_set(struct lanes_options *options)
{
    static const struct option_spec specs[] = {
        {'g', "group", "GROUP", OPTION_TEXT, offsetof(struct lanes_options, group), 0, 0,
         "the group, instead of the argument"},
        {'t', "topic", "TOPIC[:N]", OPTION_TEXTS, offsetof(struct lanes_options, topics), 0, 0,
         "of this topic, or its partition N (repeat it for several)"},
        {'k', "key", "KEY", OPTION_TEXTS, offsetof(struct lanes_options, keys), 0, 0,
         "of this key (repeat it for several)"},
        {'w', "where", "CONDITION", OPTION_TEXTS, offsetof(struct lanes_options, wheres), 0, 0,
         "FIELD OP VALUE with and, or, not and parentheses; OP: = != < <= >\n"
         ">= ~ !~ (~ is a pattern with * and ?); FIELD: state, key, topic,\n"
         "partition, head, attempts, behind, bytes, first, noted, reason, who\n"
         "(repeat it: all of them)"},
    };
    return (struct option_set){"Which ones", specs, sizeof specs / sizeof specs[0], options};
}

static int check_topics(const struct help_page *page, const struct lanes_options *options)
{
    for (size_t i = 0; i < options->topics.count; i++) {
        char topic[RESET_TOPIC_SIZE];
        int32_t partition;
        struct reason reason;
        if (reset_target_parse(options->topics.items[i], topic, &partition, &reason) != ERR_NONE) {
            return options_fail(page, "--topic: %s", reason.text);
        }
    }
    return EXIT_OK;
}

int lanes_options_check(const struct help_page *page, struct lanes_options *options)
{
    struct reason reason;
    int64_t now_ms = clock_wall_ms(clock_system());
    size_t first = 0;
    if (options->group == NULL && options->arguments.count > 0) {
        options->group = options->arguments.items[first++];
    }
    if (options->group == NULL || options->group[0] == '\0') {
        return options_fail(page, "of which group? Usage: %s GROUP", page->name);
    }
    if (options->arguments.count > first) {
        return options_fail(page, "what is '%s'? Lanes are chosen by --key, --topic and --where",
                            options->arguments.items[first]);
    }
    options->where = where_new(lane_fields());
    if (where_add_any(options->where, "key", "=", options->keys.items, options->keys.count, now_ms,
                      &reason) != ERR_NONE) {
        return options_fail(page, "--key: %s", reason.text);
    }
    for (size_t i = 0; i < options->wheres.count; i++) {
        if (where_add(options->where, options->wheres.items[i], now_ms, &reason) != ERR_NONE) {
            return options_fail(page, "--where: %s", reason.text);
        }
    }
    return check_topics(page, options);
}

static bool is_of_topic(const char *text, const struct lane_seen *lane)
{
    char topic[RESET_TOPIC_SIZE];
    int32_t partition = -1;
    return reset_target_parse(text, topic, &partition, NULL) == ERR_NONE &&
           strcmp(topic, lane->topic) == 0 && (partition < 0 || partition == lane->partition);
}

bool lanes_options_mean(const struct lanes_options *options, const struct lane_seen *lane)
{
    bool is_meant = options->topics.count == 0;
    for (size_t i = 0; i < options->topics.count; i++) {
        is_meant |= is_of_topic(options->topics.items[i], lane);
    }
    return is_meant && where_holds(options->where, lane_field_get, lane);
}

/* --- reading --- */

struct reading {
    struct progress progress;
    char things[LANE_TOPIC_SIZE + 16];
};

static bool on_progress(void *context, int64_t done, int64_t total)
{
    struct reading *reading = context;
    progress_show_count(&reading->progress, "read", reading->things, done, total);
    return true;
}

int lanes_load(const struct lanes_options *options, bool wants_events, struct lane_view *view)
{
    struct client_error error;
    struct connection *connection;
    struct reading reading;
    struct connection_settings settings = bus_settings(&options->bus);
    char topic[LANE_TOPIC_SIZE];
    *view = (struct lane_view){0};
    int code = bus_open(&options->bus, &connection); /* fails fast where nobody listens */
    if (code != EXIT_OK) {
        return code;
    }
    connection_close(connection);
    progress_init(&reading.progress);
    snprintf(reading.things, sizeof reading.things, "records of %s",
             lane_topic_name("lanes.", options->group, topic));
    const struct lane_view_settings how = {.connection = &settings,
                                           .group = options->group,
                                           .wants_events = wants_events,
                                           .progress = on_progress,
                                           .context = &reading};
    enum client_status status = lane_view_load(view, &how, &error);
    progress_clear(&reading.progress);
    if (status == CLIENT_NOT_FOUND) {
        return cli_fail(EXIT_NOT_FOUND,
                        "a service with key lanes makes it at its first start; see the groups "
                        "with: tidings group list",
                        "group '%s' has no lanes: there is no topic '%s'", options->group,
                        view->topic);
    }
    return status == CLIENT_OK ? EXIT_OK
                               : bus_fail(&error, "read the lanes of group '%s'", options->group);
}

/* --- how a lane is shown --- */

void lanes_name(const struct lane_seen *lane, struct buf *to)
{
    if (!slice_is_null(lane->name.key)) {
        buf_append_str(to, "key ");
        buf_append_slice(to, lane->name.key);
    } else if (lane->name.offset >= 0) {
        buf_printf(to, "%s/%d@%lld", lane->topic, (int)lane->partition,
                   (long long)lane->name.offset);
    } else {
        buf_printf(to, "%s/%d", lane->topic, (int)lane->partition);
    }
}

/* null: not known. */
json_t *lanes_json(const struct lane_seen *lane)
{
    return lane_seen_to_json(lane);
}
