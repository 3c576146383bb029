#include "cli/lanes/lanes.h"

#include "base/time_text.h"
#include "cli/base/cli.h"
#include "cli/lanes/deadletter.h"

#include <stdio.h>

enum { KEY_SHOWN = 40 };

/* --- list --- */

static const struct help_page list_page = {
    .name = "tidings lanes list",
    .usage = "GROUP [OPTIONS]",
    .about =
        "Names the open lanes of a group as its topic lanes.GROUP has them, also when its service\n"
        "does not run. STATE: parked (its HEAD is a dead letter, and what comes behind it waits\n"
        "until it is redriven or skipped), held (by somebody's word), failing (its HEAD fails and\n"
        "is tried again), set aside (it waited for long). ASIDE and BYTES: what is set aside of "
        "it.\n"
        "WHY: what the handler said of its HEAD last, or who holds it.\n"
        "A lane that failed lately may be in the service's memory only, and is not named.",
    .examples = "  tidings lanes list email\n"
                "  tidings lanes list email --where 'state ~ parked* and behind > 10'\n"
                "  tidings lanes list email --json | jq -r '.lanes[].key'\n",
};

/* Who holds it comes first: it is somebody to ask. */
static void add_why(struct table *table, const struct lane_seen *lane)
{
    const struct lane_seen_reason *held = &lane->holder, *failed = &lane->failure;
    if (held->text != NULL) {
        table_cell(table, "held by %s%s%s", held->what, held->text[0] != '\0' ? ": " : "",
                   held->text);
    } else {
        table_cell(table, "%s", failed->text != NULL ? failed->text : "");
    }
}

static void add_row(struct table *table, const struct lane_seen *lane)
{
    char size[32];
    table_cell(table, "%s", lane->topic);
    table_number(table, lane->partition);
    dead_cell(table, lane->name.key, KEY_SHOWN);
    table_cell(table, "%s", lane_seen_state(lane));
    table_number(table, lane->head);
    table_number(table, lane->note.attempts);
    dead_cell_time(table, lane->note.first_failed_ms > 0 ? lane->note.first_failed_ms : -1);
    table_number(table, lane->events);
    table_cell(table, "%s", output_size((double)lane->bytes, size));
    add_why(table, lane);
}

static void print_table(const struct lanes_options *options, const struct lane_view *view)
{
    static const char *const titles[] = {"TOPIC",     ">PARTITION",    "KEY",    "STATE",  ">HEAD",
                                         ">ATTEMPTS", "FIRST FAILURE", ">ASIDE", ">BYTES", "WHY"};
    struct table table;
    size_t shown = 0;
    table_init(&table, titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < view->lanes.count; i++) {
        if (lanes_options_mean(options, &view->lanes.items[i])) {
            add_row(&table, &view->lanes.items[i]);
            shown++;
        }
    }
    if (shown > 0) {
        table_print(&table, 0);
    } else {
        output_text(stdout,
                    view->lanes.count > 0 ? "none of %zu open lanes of group '%s' is meant\n"
                                          : "%zu open lanes of group '%s'\n",
                    view->lanes.count, options->group);
    }
    table_deinit(&table);
    if (view->open_words > 0) {
        output_text(stdout, "%lld word%s to its lanes %s not answered yet\n",
                    (long long)view->open_words, plural_s((uint64_t)view->open_words),
                    view->open_words == 1 ? "is" : "are");
    }
}

static void print_json(const struct lanes_options *options, const struct lane_view *view)
{
    json_t *lanes = json_array();
    for (size_t i = 0; i < view->lanes.count; i++) {
        if (lanes_options_mean(options, &view->lanes.items[i])) {
            json_array_append_new(lanes, lanes_json(&view->lanes.items[i]));
        }
    }
    output_json(json_pack("{s:o,s:o,s:I}", "group", output_json_text(options->group), "lanes",
                          lanes, "words_without_answer", (json_int_t)view->open_words));
}

static int run_list(const struct lanes_options *options)
{
    struct lane_view view;
    int code = lanes_load(options, false, &view);
    if (code == EXIT_OK && options->bus.is_json) {
        print_json(options, &view);
    } else if (code == EXIT_OK) {
        print_table(options, &view);
    }
    lane_view_deinit(&view);
    return output_finish(code);
}

/* --- show --- */

static const struct help_page show_page = {
    .name = "tidings lanes show",
    .usage = "GROUP [OPTIONS]",
    .about = "Shows open lanes in full, with the places of the events that are set aside. A parked "
             "head\nis in dlq.GROUP: tidings deadletter list GROUP --each --offset N.",
    .examples = "  tidings lanes show email --key 4711\n"
                "  tidings lanes show email --topic orders:3 --json\n",
};

static json_t *full_json(const struct lane_seen *lane)
{
    json_t *json = lanes_json(lane);
    json_t *events = json_array();
    for (size_t i = 0; i < lane->list.count; i++) {
        const struct lane_seen_event *at = &lane->list.items[i];
        json_t *event = json_pack("{s:I,s:I,s:I}", "offset", (json_int_t)at->offset, "position",
                                  (json_int_t)at->position, "bytes", (json_int_t)at->bytes);
        dead_set_time(event, "set_aside", at->time_ms);
        json_array_append_new(events, event);
    }
    json_object_set_new(json, "events", events);
    return json;
}

static void print_head(const struct lane_seen *lane)
{
    char text[TIME_TEXT_SIZE];
    if (lane->head < 0) {
        output_text(stdout, "  head: none\n");
        return;
    }
    output_text(stdout, "  head: offset %lld%s\n", (long long)lane->head,
                lane->note.is_parked ? ", dead: redrive or skip it" : "");
    if (lane->note.attempts > 0) {
        output_text(stdout, "  attempts that count: %d\n", lane->note.attempts);
    }
    if (lane->note.first_failed_ms > 0) {
        output_text(stdout, "  first failure: %s\n", time_format(lane->note.first_failed_ms, text));
    }
}

static void print_reasons(const struct lane_seen *lane)
{
    char text[TIME_TEXT_SIZE];
    const struct lane_seen_reason *failed = &lane->failure, *held = &lane->holder;
    if (failed->text != NULL) {
        output_text(stdout, "  failed: %s%s%s (%s)\n", failed->what,
                    failed->what[0] != '\0' ? ": " : "", failed->text,
                    time_format(failed->time_ms, text));
    }
    if (held->text != NULL) {
        output_text(stdout, "  held by: %s%s%s (%s)\n", held->what,
                    held->text[0] != '\0' ? ": " : "", held->text,
                    time_format(held->time_ms, text));
    }
}

static void print_lane(const struct lane_seen *lane)
{
    enum { EVENTS_SHOWN = 20 };
    char text[TIME_TEXT_SIZE], size[32];
    struct buf name = {0};
    lanes_name(lane, &name);
    output_text(stdout, "%s/%d, %s: %s\n", lane->topic, (int)lane->partition, buf_cstr(&name),
                lane_seen_state(lane));
    buf_deinit(&name);
    print_head(lane);
    print_reasons(lane);
    if (lane->noted_ms >= 0) {
        output_text(stdout, "  so since: %s\n", time_format(lane->noted_ms, text));
    }
    output_text(stdout, "  set aside: %lld event%s, %s\n", (long long)lane->events,
                plural_s((uint64_t)lane->events), output_size((double)lane->bytes, size));
    for (size_t i = 0; i < lane->list.count && i < EVENTS_SHOWN; i++) {
        const struct lane_seen_event *at = &lane->list.items[i];
        output_text(stdout, "    offset %lld, %zu bytes%s%s\n", (long long)at->offset, at->bytes,
                    at->time_ms >= 0 ? ", since " : "",
                    at->time_ms >= 0 ? time_format(at->time_ms, text) : "");
    }
    if (lane->list.count > EVENTS_SHOWN) {
        output_text(stdout, "    and %zu more: see them with --json\n",
                    lane->list.count - EVENTS_SHOWN);
    }
}

static int run_show(const struct lanes_options *options)
{
    struct lane_view view;
    json_t *list = json_array();
    size_t shown = 0;
    int code = lanes_load(options, true, &view);
    for (size_t i = 0; code == EXIT_OK && i < view.lanes.count; i++) {
        const struct lane_seen *lane = &view.lanes.items[i];
        if (!lanes_options_mean(options, lane)) {
            continue;
        }
        shown++;
        if (options->bus.is_json) {
            json_array_append_new(list, full_json(lane));
        } else {
            print_lane(lane);
        }
    }
    if (code == EXIT_OK && shown == 0) {
        code = cli_fail(EXIT_NOT_FOUND, "see them all with: tidings lanes list GROUP",
                        "group '%s' has no such open lane", options->group);
    } else if (code == EXIT_OK && options->bus.is_json) {
        json_incref(list);
        output_json(list);
    }
    json_decref(list);
    lane_view_deinit(&view);
    return output_finish(code);
}

/* --- both --- */

static int parse_and_run(const struct help_page *page, int argc, char **argv,
                         int (*run)(const struct lanes_options *options))
{
    struct lanes_options options = lanes_options_default();
    struct option_set sets[] = {lanes_option_set(&options), bus_option_set(&options.bus)};
    int code;
    if (options_parse(page, sets, 2, argc, argv, &options.arguments, &code)) {
        code = lanes_options_check(page, &options);
        if (code == EXIT_OK) {
            code = run(&options);
        }
    }
    text_list_deinit(&options.arguments);
    lanes_options_deinit(&options);
    options_deinit(sets, 2);
    return code;
}

int lanes_command_list(int argc, char **argv)
{
    return parse_and_run(&list_page, argc, argv, run_list);
}

int lanes_command_show(int argc, char **argv)
{
    return parse_and_run(&show_page, argc, argv, run_show);
}
