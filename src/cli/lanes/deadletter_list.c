#include "cli/lanes/deadletter.h"

#include "base/mem.h"
#include "base/time_text.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list_options {
    struct dead_options dead;
    const char *by;
    bool is_each;
    int64_t limit;
    enum dead_by group_by;
};

static const struct help_page page = {
    .name = "tidings deadletter list",
    .usage = "GROUP [ID...] [OPTIONS]",
    .about =
        "Names what the group gave up, by cause: letters of one cause have the same error class\n"
        "and message, but for ids, counts and times in it. STATES: open; requested and running: a\n"
        "redrive is under way; done: redriven with success; discarded. What was redriven and died\n"
        "again stands apart. CLOSED LANES: so many keys wait behind these.\n"
        "It reads dlq.GROUP twice; memory: about 300 bytes a dead event, at most a million of "
        "them.",
    .examples =
        "  tidings deadletter list email\n"
        "  tidings deadletter list email --each --cause 5b07\n"
        "  tidings deadletter list email --by key --since -1d\n"
        "  tidings deadletter list email --where \"header.tenant = acme and message ~ '*550*'\"\n"
        "  tidings deadletter list email --json | jq '.groups[].cause'\n",
};

static const struct option_spec specs[] = {
    {0, "by", "WHAT", OPTION_TEXT, offsetof(struct list_options, by), 0, 0,
     "cause (default), class, type, key, handler, topic or day"},
    {0, "each", NULL, OPTION_FLAG, offsetof(struct list_options, is_each), 0, 0,
     "name each by itself, oldest first"},
    {'n', "limit", "N", OPTION_INTEGER, offsetof(struct list_options, limit), 1, 100000,
     "with --each: only the newest N (default: 1000)"},
};

/* One letter of --each, kept until all are known. */
struct row {
    int64_t died_ms;
    struct dead_place place;
    json_t *json;
};

struct listing {
    const struct list_options *options;
    struct dead_groups groups, again; /* again: what failed again */
    VEC(struct row) rows;
    int64_t seen;
};

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    if (a->died_ms != b->died_ms) {
        return a->died_ms < b->died_ms ? -1 : 1;
    }
    if (a->place.partition != b->place.partition) {
        return a->place.partition < b->place.partition ? -1 : 1;
    }
    return (a->place.offset > b->place.offset) - (a->place.offset < b->place.offset);
}

/* In order, and no more than the newest `limit`. */
static void keep_newest(struct listing *listing)
{
    size_t limit = (size_t)listing->options->limit;
    if (listing->rows.count > 1) {
        qsort(listing->rows.items, listing->rows.count, sizeof(struct row), compare_rows);
    }
    if (listing->rows.count > limit) {
        size_t gone = listing->rows.count - limit;
        for (size_t i = 0; i < gone; i++) {
            json_decref(listing->rows.items[i].json);
        }
        memmove(listing->rows.items, listing->rows.items + gone, limit * sizeof(struct row));
        listing->rows.count = limit;
    }
}

static bool take(void *context, const struct dead_seen *seen)
{
    struct listing *listing = context;
    listing->seen++;
    if (!listing->options->is_each) {
        dead_groups_add(seen->state == DEAD_AGAIN ? &listing->again : &listing->groups, seen);
        return true;
    }
    vec_push(&listing->rows, (struct row){seen->subject.letter->died_ms,
                                          seen->subject.letter->place, dead_seen_to_json(seen)});
    if (listing->rows.count >= 2 * (size_t)listing->options->limit) {
        keep_newest(listing);
    }
    return true;
}

/* --- each --- */

static void cell_of(struct table *table, const json_t *json, const char *name, size_t most)
{
    const char *text = json_string_value(json_object_get(json, name));
    dead_cell(table, slice_str(text), most);
}

static void add_row(struct table *table, const json_t *json)
{
    enum { KEY = 40, MESSAGE = 60 };
    char place[64];
    json_int_t again = json_integer_value(json_object_get(json, "failed_again"));
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *topic = json_string_value(json_object_get(json, "topic"));
    cell_of(table, json, "id", KEY);
    if (strcmp(state, dead_state_name(DEAD_AGAIN)) == 0) {
        table_cell(table, "failed again (%lld)", (long long)again);
    } else {
        table_cell(table, "%s", state);
    }
    cell_of(table, json, "died", KEY);
    if (topic != NULL) {
        snprintf(place, sizeof place, "%lld@%lld",
                 (long long)json_integer_value(json_object_get(json, "partition")),
                 (long long)json_integer_value(json_object_get(json, "offset")));
        table_cell(table, "%s/%s", topic, place);
    } else {
        table_cell(table, "-");
    }
    cell_of(table, json, "key", KEY);
    cell_of(table, json, "type", KEY);
    cell_of(table, json, "class", KEY);
    cell_of(table, json, "message", MESSAGE);
}

static void print_each(struct listing *listing)
{
    static const char *const titles[] = {"ID",  "STATE", "DIED",  "SOURCE",
                                         "KEY", "TYPE",  "CLASS", "MESSAGE"};
    json_t *list = json_array();
    struct table table;
    table_init(&table, titles, sizeof titles / sizeof titles[0]);
    keep_newest(listing);
    for (size_t i = 0; i < listing->rows.count; i++) {
        if (!listing->options->dead.bus.is_json) {
            add_row(&table, listing->rows.items[i].json);
        }
        json_array_append_new(list, listing->rows.items[i].json);
    }
    int64_t left_out = listing->seen - (int64_t)listing->rows.count;
    if (listing->options->dead.bus.is_json) {
        json_incref(list);
        output_json(list);
    } else {
        table_print(&table, 0);
    }
    if (left_out > 0) {
        cli_warn("%lld older one%s left out: see them with --limit or --until", (long long)left_out,
                 left_out == 1 ? " is" : "s are");
    }
    json_decref(list);
    table_deinit(&table);
    vec_deinit(&listing->rows);
}

/* --- by groups --- */

static const char *states_text(const struct dead_group *group, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int state = 0; state < DEAD_STATES; state++) {
        if (group->states[state] > 0 && used < size) {
            used += (size_t)snprintf(text + used, size - used, "%s%lld %s", used > 0 ? ", " : "",
                                     (long long)group->states[state],
                                     dead_state_name((enum dead_state)state));
        }
    }
    return text;
}

static void add_group(struct table *table, const struct dead_group *group, enum dead_by by)
{
    enum { NAME = 40, SHORT_CAUSE = 8, MESSAGE = 60, STATES = 128 };
    char states[STATES];
    struct buf types = {0};
    if (by == DEAD_BY_CAUSE) {
        table_cell(table, "%.*s", SHORT_CAUSE, group->cause);
    } else {
        dead_cell(table, slice_str(group->name), NAME);
    }
    table_number(table, group->count);
    table_cell(table, "%s", states_text(group, states, sizeof states));
    table_number(table, group->lanes_closed);
    dead_cell_time(table, group->first_ms);
    dead_cell_time(table, group->last_ms);
    for (size_t i = 0; i < group->type_count; i++) {
        buf_printf(&types, "%s%s", i > 0 ? ", " : "", group->types[i]);
    }
    buf_append_str(&types, group->has_more_types ? ", ..." : "");
    dead_cell(table, types.size > 0 ? buf_slice(&types) : (struct slice){0}, NAME);
    dead_cell(table, slice_str(group->error_class), NAME);
    dead_cell(table, slice_str(group->message), MESSAGE);
    buf_deinit(&types);
}

static void print_groups(struct dead_groups *groups)
{
    static const char *const by_titles[] = {"CAUSE",   "CLASS", "TYPE", "KEY",
                                            "HANDLER", "TOPIC", "DAY"};
    const char *const titles[] = {by_titles[groups->by],
                                  ">EVENTS",
                                  "STATES",
                                  ">CLOSED LANES",
                                  "FIRST",
                                  "LAST",
                                  "TYPES",
                                  "CLASS",
                                  "MESSAGE"};
    struct dead_group *group, *next;
    struct table table;
    table_init(&table, titles, sizeof titles / sizeof titles[0]);
    dead_groups_sort(groups);
    HASH_ITER (hh, groups->all, group, next) {
        add_group(&table, group, groups->by);
    }
    table_print(&table, 0);
    table_deinit(&table);
    if (groups->left_out > 0) {
        cli_warn("more than %d groups: %lld events are not shown", DEAD_GROUPS_MAX,
                 (long long)groups->left_out);
    }
}

static json_t *group_to_json(const struct dead_group *group, enum dead_by by)
{
    json_t *states = json_object(), *types = json_array();
    json_t *json = json_object();
    for (int state = 0; state < DEAD_STATES; state++) {
        json_object_set_new(states, dead_state_name((enum dead_state)state),
                            json_integer((json_int_t)group->states[state]));
    }
    for (size_t i = 0; i < group->type_count; i++) {
        json_array_append_new(types, output_json_text(group->types[i]));
    }
    if (by != DEAD_BY_CAUSE) {
        json_object_set_new(json, "name", output_json_text(group->name));
    }
    json_object_set_new(json, "cause", json_string(group->cause));
    json_object_set_new(json, "events", json_integer((json_int_t)group->count));
    json_object_set_new(json, "states", states);
    json_object_set_new(json, "closed_lanes", json_integer((json_int_t)group->lanes_closed));
    dead_set_time(json, "first", group->first_ms);
    dead_set_time(json, "last", group->last_ms);
    json_object_set_new(json, "types", types);
    json_object_set_new(json, "class", output_json_text(group->error_class));
    json_object_set_new(json, "message", output_json_text(group->message));
    return json;
}

static json_t *groups_to_json(struct dead_groups *groups)
{
    struct dead_group *group, *next;
    json_t *list = json_array();
    dead_groups_sort(groups);
    HASH_ITER (hh, groups->all, group, next) {
        json_array_append_new(list, group_to_json(group, groups->by));
    }
    return list;
}

/* --- notes on causes --- */

struct notes {
    const struct listing *listing;
    json_t *all; /* key of the record -> note */
};

static bool take_note(void *context, const struct dead_fact *fact)
{
    struct notes *notes = context;
    char key[64];
    if (fact->kind != DEAD_FACT_NOTE || !slice_is_null(fact->event.topic)) {
        return true;
    }
    snprintf(key, sizeof key, "%s %s", fact->cause, fact->id);
    json_object_del(notes->all, key);
    if (!fact->is_erased) {
        json_t *note = json_pack("{s:s,s:o,s:o}", "cause", fact->cause, "text",
                                 output_json_text(fact->text), "who", output_json_text(fact->who));
        dead_set_time(note, "time", fact->time_ms);
        json_object_set_new(notes->all, key, note);
    }
    return true;
}

static void print_notes(const json_t *all)
{
    enum { SHORT_CAUSE = 8 };
    const char *key;
    json_t *note;
    json_object_foreach((json_t *)(uintptr_t)all, key, note)
    {
        const char *who = json_string_value(json_object_get(note, "who"));
        output_text(stdout, "note on %.*s: %s (%s, %s)\n", SHORT_CAUSE, key,
                    json_string_value(json_object_get(note, "text")), who != NULL ? who : "-",
                    json_string_value(json_object_get(note, "time")));
    }
}

static void print_by_group(struct listing *listing, json_t *notes)
{
    if (listing->options->dead.bus.is_json) {
        const char *key;
        json_t *note, *list = json_array();
        json_object_foreach(notes, key, note)
        {
            json_array_append(list, note);
        }
        output_json(json_pack(
            "{s:o,s:I,s:o,s:o,s:I,s:o}", "group", output_json_text(listing->options->dead.group),
            "events", (json_int_t)listing->seen, "groups", groups_to_json(&listing->groups),
            "failed_again", groups_to_json(&listing->again), "left_out",
            (json_int_t)(listing->groups.left_out + listing->again.left_out), "notes", list));
        return;
    }
    if (listing->groups.total > 0 || listing->again.total == 0) {
        print_groups(&listing->groups);
    }
    if (listing->again.total > 0) {
        output_text(stdout, "%sfailed again after a redrive:\n",
                    listing->groups.total > 0 ? "\n" : "");
        print_groups(&listing->again);
    }
    print_notes(notes);
}

static int run(const struct list_options *options)
{
    struct dead_reading reading;
    struct client_error error;
    struct listing listing = {.options = options,
                              .groups = {.by = options->group_by},
                              .again = {.by = options->group_by}};
    struct notes notes = {.listing = &listing, .all = json_object()};
    int code = dead_reading_open(&reading, &options->dead);
    if (code == EXIT_OK) {
        code = dead_reading_each(&reading, &options->dead, take, &listing);
    }
    if (code == EXIT_OK && !options->is_each &&
        dead_view_facts(&reading.view, take_note, &notes, &error) != CLIENT_OK) {
        code = dead_fail(&error, "read", reading.view.state_topic);
    }
    if (code == EXIT_OK && options->is_each) {
        print_each(&listing);
    } else if (code == EXIT_OK) {
        print_by_group(&listing, notes.all);
    }
    for (size_t i = 0; code != EXIT_OK && i < listing.rows.count; i++) {
        json_decref(listing.rows.items[i].json);
    }
    vec_deinit(&listing.rows);
    json_decref(notes.all);
    dead_groups_deinit(&listing.groups);
    dead_groups_deinit(&listing.again);
    dead_reading_close(&reading);
    return output_finish(code);
}

int deadletter_command_list(int argc, char **argv)
{
    struct list_options options = {.dead = dead_options_default(), .limit = 1000};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                dead_choose_set(&options.dead),
                                dead_group_set(&options.dead),
                                bus_option_set(&options.dead.bus)};
    int code;
    if (options_parse(&page, sets, 4, argc, argv, &options.dead.arguments, &code)) {
        code = dead_options_check(&page, &options.dead);
        if (code == EXIT_OK && options.by != NULL &&
            !dead_by_parse(options.by, &options.group_by)) {
            code = options_fail(&page,
                                "--by is cause, class, type, key, handler, topic or day, not '%s'",
                                options.by);
        }
        if (code == EXIT_OK) {
            code = run(&options);
        }
    }
    text_list_deinit(&options.dead.arguments);
    dead_options_deinit(&options.dead);
    options_deinit(sets, 4);
    return code;
}
