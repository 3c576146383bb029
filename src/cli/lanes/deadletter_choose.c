#include "cli/lanes/deadletter.h"

#include "base/clock.h"
#include "cli/base/cli.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- options --- */

struct dead_options dead_options_default(void)
{
    return (struct dead_options){.bus = bus_options_default(),
                                 .choose = {.partition = -1, .offset = -1}};
}

void dead_options_deinit(struct dead_options *options)
{
    where_free(options->where);
    options->where = NULL;
    vec_deinit(&options->ids);
}

struct option_set dead_group_set(struct dead_options *options)
{
    static const struct option_spec specs[] = {
        {'g', "group", "GROUP", OPTION_TEXT, offsetof(struct dead_options, group), 0, 0,
         "the group, instead of the first argument"},
    };
    return (struct option_set){"Group", specs, sizeof specs / sizeof specs[0], options};
}

struct option_set dead_choose_set(struct dead_options *options)
{
    static const struct option_spec specs[] = {
        {0, "cause", "FINGERPRINT", OPTION_TEXTS, offsetof(struct dead_choose, causes), 0, 0,
         "of this cause, its first letters are enough (repeat it for several)"},
        {0, "class", "CLASS", OPTION_TEXTS, offsetof(struct dead_choose, classes), 0, 0,
         "of this error class (repeat it for several)"},
        {0, "type", "TYPE", OPTION_TEXTS, offsetof(struct dead_choose, types), 0, 0,
         "CloudEvents of this type (repeat it for several)"},
        {'k', "key", "KEY", OPTION_TEXTS, offsetof(struct dead_choose, keys), 0, 0,
         "of this key (repeat it for several)"},
        {0, "handler", "NAME", OPTION_TEXTS, offsetof(struct dead_choose, handlers), 0, 0,
         "given up by this handler (repeat it for several)"},
        {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct dead_choose, topics), 0, 0,
         "published to this topic (repeat it for several)"},
        {'p', "partition", "N", OPTION_INTEGER, offsetof(struct dead_choose, partition), 0,
         INT32_MAX, "of this partition of its topic"},
        {'o', "offset", "N", OPTION_INTEGER, offsetof(struct dead_choose, offset), 0, INT64_MAX,
         "with this offset in its topic"},
        {0, "state", "STATE", OPTION_TEXTS, offsetof(struct dead_choose, states), 0, 0,
         "open, requested, running, done, failed, republished, discarded\n"
         "(repeat it for several)"},
        {0, "since", "TIME", OPTION_TEXT, offsetof(struct dead_choose, since), 0, 0,
         "given up at or after this time: -1h, 2026-02-01T12:00"},
        {0, "until", "TIME", OPTION_TEXT, offsetof(struct dead_choose, until), 0, 0,
         "given up before this time"},
        {'w', "where", "CONDITION", OPTION_TEXTS, offsetof(struct dead_choose, where), 0, 0,
         "FIELD OP VALUE with and, or, not and parentheses; OP: = != < <= >\n"
         ">= ~ !~ (~ is a pattern with * and ?); FIELD: header.NAME, state,\n"
         "cause, class, message, type, source, id, key, handler, attempts,\n"
         "lane, topic, partition, offset, first, last, published, died,\n"
         "failed_again, kind (repeat it: all of them)"},
    };
    return (struct option_set){"Which ones", specs, sizeof specs / sizeof specs[0],
                               &options->choose};
}

static bool is_hexadecimal(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789abcdef") == strlen(text);
}

/* Fingerprints by their first letters. */
static int add_causes(const struct help_page *page, struct dead_options *options)
{
    struct buf text = {0};
    struct reason reason;
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < options->choose.causes.count; i++) {
        const char *cause = options->choose.causes.items[i];
        if (!is_hexadecimal(cause)) {
            code = options_fail(page, "--cause: '%s' is no fingerprint; 'deadletter list' has them",
                                cause);
        }
        buf_printf(&text, "%scause ~ '%s*'", i > 0 ? " or " : "", cause);
    }
    if (code == EXIT_OK && text.size > 0 &&
        where_add(options->where, buf_cstr(&text), 0, &reason) != ERR_NONE) {
        code = options_fail(page, "--cause: %s", reason.text);
    }
    buf_deinit(&text);
    return code;
}

static int check_states(const struct help_page *page, const struct text_list *states)
{
    for (size_t i = 0; i < states->count; i++) {
        bool is_known = false;
        for (int state = 0; state < DEAD_STATES; state++) {
            is_known |= strcmp(states->items[i], dead_state_name((enum dead_state)state)) == 0;
        }
        if (!is_known) {
            return options_fail(page, "--state: there is no state '%s'", states->items[i]);
        }
    }
    return EXIT_OK;
}

static int add_conditions(const struct help_page *page, struct dead_options *options)
{
    const struct dead_choose *choose = &options->choose;
    char partition[24], offset[24];
    const char *partitions[] = {partition}, *offsets[] = {offset};
    const char *since[] = {choose->since}, *until[] = {choose->until};
    const struct {
        const char *option, *field, *operator;
        const char *const *values;
        size_t count;
    } rows[] = {
        {"--class", "class", "=", choose->classes.items, choose->classes.count},
        {"--type", "type", "=", choose->types.items, choose->types.count},
        {"--key", "key", "=", choose->keys.items, choose->keys.count},
        {"--handler", "handler", "=", choose->handlers.items, choose->handlers.count},
        {"--topic", "topic", "=", choose->topics.items, choose->topics.count},
        {"--state", "state", "=", choose->states.items, choose->states.count},
        {"--partition", "partition", "=", partitions, choose->partition >= 0},
        {"--offset", "offset", "=", offsets, choose->offset >= 0},
        {"--since", "died", ">=", since, choose->since != NULL},
        {"--until", "died", "<", until, choose->until != NULL},
    };
    int64_t now_ms = clock_wall_ms(clock_system());
    struct reason reason;
    snprintf(partition, sizeof partition, "%lld", (long long)choose->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)choose->offset);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (where_add_any(options->where, rows[i].field, rows[i].operator, rows[i].values,
                          rows[i].count, now_ms, &reason) != ERR_NONE) {
            return options_fail(page, "%s: %s", rows[i].option, reason.text);
        }
    }
    for (size_t i = 0; i < choose->where.count; i++) {
        if (where_add(options->where, choose->where.items[i], now_ms, &reason) != ERR_NONE) {
            return options_fail(page, "--where: %s", reason.text);
        }
    }
    return add_causes(page, options);
}

int dead_options_check(const struct help_page *page, struct dead_options *options)
{
    size_t first = 0;
    if (options->group == NULL && options->arguments.count > 0) {
        options->group = options->arguments.items[first++];
    }
    if (options->group == NULL || options->group[0] == '\0') {
        return options_fail(page, "of which group? Usage: %s GROUP", page->name);
    }
    for (size_t i = first; i < options->arguments.count; i++) {
        struct dead_place place;
        if (!dead_place_parse(options->arguments.items[i], &place)) {
            return options_fail(page, "'%s' is no dead letter: they are named PARTITION:OFFSET",
                                options->arguments.items[i]);
        }
        vec_push(&options->ids, place);
    }
    options->where = where_new(dead_fields());
    int code = check_states(page, &options->choose.states);
    return code == EXIT_OK ? add_conditions(page, options) : code;
}

bool dead_options_choose(const struct dead_options *options)
{
    return options->ids.count > 0 || !where_is_empty(options->where);
}

/* --- reading --- */

int dead_fail(const struct client_error *error, const char *verb, const char *topic)
{
    return bus_fail(error, "%s topic '%s'", verb, topic);
}

static bool on_progress(void *context, const char *topic, int64_t done, int64_t total)
{
    struct dead_reading *reading = context;
    char things[LANE_TOPIC_SIZE + 16];
    snprintf(things, sizeof things, "records of %s", topic);
    progress_show_count(&reading->progress, "read", things, done, total);
    return true;
}

/* The letters that were named and are not there. */
static int tell_missing(const struct dead_reading *reading, const struct dead_options *options)
{
    char text[DEAD_PLACE_SIZE];
    int code = EXIT_OK;
    for (size_t i = 0; i < reading->view.missing.count; i++) {
        code = cli_fail(EXIT_NOT_FOUND, NULL, "group '%s' has no dead letter %s", options->group,
                        dead_place_text(reading->view.missing.items[i], text));
    }
    return code;
}

static struct dead_view_settings begin(struct dead_reading *reading,
                                       const struct dead_options *options)
{
    *reading = (struct dead_reading){.settings = bus_settings(&options->bus)};
    progress_init(&reading->progress);
    return (struct dead_view_settings){.connection = &reading->settings,
                                       .group = options->group,
                                       .wanted = options->ids.count > 0 ? options->ids.items : NULL,
                                       .wanted_count = options->ids.count,
                                       .progress = on_progress,
                                       .context = reading};
}

/* Fails fast where nobody listens. */
static int reach(const struct dead_options *options)
{
    struct connection *connection;
    int code = bus_open(&options->bus, &connection);
    connection_close(connection);
    return code;
}

int dead_reading_begin(struct dead_reading *reading, const struct dead_options *options)
{
    const struct dead_view_settings settings = begin(reading, options);
    dead_view_init(&reading->view, &settings);
    return reach(options);
}

int dead_reading_open(struct dead_reading *reading, const struct dead_options *options)
{
    struct client_error error;
    const struct dead_view_settings settings = begin(reading, options);
    int code = reach(options);
    if (code != EXIT_OK) {
        return code;
    }
    enum client_status status = dead_view_load(&reading->view, &settings, &error);
    progress_clear(&reading->progress);
    if (status != CLIENT_OK) {
        code = status == CLIENT_NOT_FOUND
                   ? cli_fail(EXIT_NOT_FOUND,
                              "a service with key lanes makes it at its first start; see the "
                              "groups with: tidings group list",
                              "group '%s' has no dead letters: there is no topic '%s'",
                              options->group, reading->view.dlq_topic)
                   : bus_fail(&error, "read the dead letters of group '%s'", options->group);
        dead_view_deinit(&reading->view);
        return code;
    }
    if (reading->view.is_too_many) {
        cli_warn("more than %d events: those that came last are left out", DEAD_CASES_MAX);
    }
    return tell_missing(reading, options);
}

const char *dead_who(char text[DEAD_WHO_SIZE])
{
    char host[64] = "";
    const struct passwd *user = getpwuid(getuid());
    gethostname(host, sizeof host - 1);
    snprintf(text, DEAD_WHO_SIZE, "%.100s@%s", user != NULL ? user->pw_name : "?", host);
    return text;
}

int dead_writing_open(const struct dead_options *options, struct dead_writer **writer)
{
    struct client_error error;
    struct connection_settings settings = bus_settings(&options->bus);
    if (dead_writer_open(&settings, options->group, writer, &error) != CLIENT_OK) {
        return bus_fail(&error, "write about the dead letters of group '%s'", options->group);
    }
    return EXIT_OK;
}

int dead_writing_close(const struct dead_options *options, struct dead_writer *writer, int code)
{
    struct client_error error;
    if (writer != NULL && dead_writer_flush(writer, &error) != CLIENT_OK && code == EXIT_OK) {
        code = bus_fail(&error, "write about the dead letters of group '%s'", options->group);
    }
    dead_writer_close(writer);
    return code;
}

void dead_reading_close(struct dead_reading *reading)
{
    dead_view_deinit(&reading->view);
}

int dead_reading_each(struct dead_reading *reading, const struct dead_options *options,
                      bool (*each)(void *context, const struct dead_seen *seen), void *context)
{
    struct client_error error;
    enum client_status status =
        dead_view_each(&reading->view, options->where, each, context, &error);
    progress_clear(&reading->progress);
    return status == CLIENT_OK ? EXIT_OK : dead_fail(&error, "read", reading->view.dlq_topic);
}
