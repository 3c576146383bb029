#include "cli/lanes/deadletter.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct help_page page = {
    .name = "tidings deadletter show",
    .usage = "GROUP ID... [OPTIONS]",
    .about =
        "Shows dead letters in full: the event with its payload and headers, why and how often it\n"
        "failed, whether its lane is closed, and what became of it since. An ID is a letter's "
        "place\n"
        "in dlq.GROUP, PARTITION:OFFSET; any letter of the event does.",
    .examples = "  tidings deadletter show email 3:41\n"
                "  tidings deadletter show email 3:41 --json | jq -r '.[].value'\n",
};

/* One event that is shown. */
struct shown {
    const struct dead_case *its;
    struct dead_event event; /* owned topic */
    json_t *json;            /* NULL: its newest letter did not come yet */
    json_t *history;         /* what -> entry: the last one of a kind counts */
    json_t *edited;          /* {value, ...}, or NULL */
    struct buf headers;      /* lines for people */
};

struct showing {
    const struct dead_options *options;
    VEC(struct shown) events;
};

static struct shown *reach(struct showing *showing, const struct dead_seen *seen)
{
    for (size_t i = 0; i < showing->events.count; i++) {
        if (showing->events.items[i].its == seen->its) {
            return &showing->events.items[i];
        }
    }
    struct shown *shown = vec_add(&showing->events);
    char *topic = mem_strndup((const char *)seen->event.topic.data, seen->event.topic.size);
    shown->its = seen->its;
    shown->event = seen->event;
    shown->event.topic = slice_str(topic);
    shown->history = json_object();
    return shown;
}

/* An entry of the history under a name of its own. */
static json_t *add_entry(struct shown *shown, const char *name, const char *what, int64_t time_ms)
{
    json_t *entry = json_object();
    dead_set_time(entry, "time", time_ms);
    json_object_set_new(entry, "what", json_string(what));
    json_object_set_new(shown->history, name, entry);
    return entry;
}

/* The event as it was published. */
static struct event original(const struct event *record, struct event_header *headers)
{
    struct event event = *record;
    event.headers = headers;
    event.header_count = 0;
    for (size_t i = 0; i < record->header_count; i++) {
        if (!dead_letter_adds(record->headers[i].name)) {
            headers[event.header_count++] = record->headers[i];
        }
    }
    return event;
}

static void take_newest(struct shown *shown, const struct dead_seen *seen)
{
    const struct event *record = seen->subject.letter->event;
    struct event_header *headers = mem_new_array(struct event_header, record->header_count + 1);
    struct event event = original(record, headers);
    json_t *plain = event_to_json(&event);
    json_decref(shown->json);
    shown->json = dead_seen_to_json(seen);
    json_object_set(shown->json, "headers", json_object_get(plain, "headers"));
    event_set_bytes(shown->json, "value", "value_encoding", event.value);
    buf_clear(&shown->headers);
    event_headers_to_lines(&event, &shown->headers);
    json_decref(plain);
    free(headers);
}

static void take_edited(struct shown *shown, const struct dead_seen *seen)
{
    const struct event *record = seen->subject.letter->event;
    const struct event_header *who = event_header_find(record, "tidings-dead-edited-by");
    json_decref(shown->edited);
    shown->edited = json_object();
    event_set_bytes(shown->edited, "value", "value_encoding", record->value);
    dead_set_text(shown->edited, "who", who != NULL ? who->value : (struct slice){0});
    dead_set_time(shown->edited, "time", seen->subject.letter->died_ms);
}

static bool is_place(struct dead_place a, struct dead_place b)
{
    return a.partition == b.partition && a.offset == b.offset;
}

static bool take_letter(void *context, const struct dead_seen *seen)
{
    struct shown *shown = reach(context, seen);
    const struct dead_letter *letter = seen->subject.letter;
    char place[DEAD_PLACE_SIZE], name[64];
    bool is_edited = letter->edit_of.partition >= 0;
    dead_place_text(letter->place, place);
    snprintf(name, sizeof name, "letter %s", place);
    json_t *entry = add_entry(shown, name, is_edited ? "edited" : "died", letter->died_ms);
    json_object_set_new(entry, "letter", json_string(place));
    if (!is_edited) {
        dead_set_text(entry, "class", letter->error_class);
        dead_set_text(entry, "message", letter->message);
        json_object_set_new(entry, "attempts", output_number_or_null(letter->attempts));
        json_object_set_new(entry, "redrive", json_integer((json_int_t)letter->redrive));
    }
    if (is_place(letter->place, seen->its->newest)) {
        take_newest(shown, seen);
    } else if (is_place(letter->place, seen->its->edit)) {
        take_edited(shown, seen);
    }
    return true;
}

/* --- what people said --- */

static void set_who(json_t *entry, const struct dead_fact *fact)
{
    json_object_set_new(entry, "who", output_json_text(fact->who));
}

static void take_redrive(struct shown *shown, const struct dead_fact *fact)
{
    char name[64];
    snprintf(name, sizeof name, "redrive %lld", (long long)fact->number);
    json_t *entry = add_entry(shown, name, "redrive requested", fact->time_ms);
    json_object_set_new(entry, "redrive", json_integer((json_int_t)fact->number));
    json_object_set_new(entry, "task", output_json_text(fact->id));
    set_who(entry, fact);
    if (fact->outcome == DEAD_ASKED) {
        return;
    }
    char what[64];
    snprintf(name, sizeof name, "redriven %lld", (long long)fact->number);
    snprintf(what, sizeof what, "redrive %s", dead_outcome_name(fact->outcome));
    entry = add_entry(shown, name, what, fact->answered_ms);
    json_object_set_new(entry, "redrive", json_integer((json_int_t)fact->number));
    json_object_set_new(entry, "text", output_json_text(fact->text));
}

static bool take_fact(void *context, const struct dead_fact *fact)
{
    struct showing *showing = context;
    for (size_t i = 0; i < showing->events.count; i++) {
        struct shown *shown = &showing->events.items[i];
        char name[64];
        if (slice_is_null(fact->event.topic) || fact->event.partition != shown->event.partition ||
            fact->event.offset != shown->event.offset ||
            !slice_equal(fact->event.topic, shown->event.topic)) {
            continue;
        }
        snprintf(name, sizeof name, fact->kind == DEAD_FACT_NOTE ? "note %s" : "discard", fact->id);
        if (fact->kind == DEAD_FACT_REDRIVE && !fact->is_erased) {
            take_redrive(shown, fact);
        } else if (fact->kind != DEAD_FACT_REDRIVE && fact->is_erased) {
            json_object_del(shown->history, name);
        } else if (fact->kind != DEAD_FACT_REDRIVE) {
            bool is_note = fact->kind == DEAD_FACT_NOTE;
            json_t *entry = add_entry(shown, name, is_note ? "note" : "discarded", fact->time_ms);
            json_object_set_new(entry, is_note ? "text" : "why", output_json_text(fact->text));
            if (!is_note) {
                json_object_set_new(entry, "lane", output_json_text(fact->lane));
            }
            set_who(entry, fact);
        }
    }
    return true;
}

/* --- output --- */

static int compare_entries(const void *left, const void *right)
{
    const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
    const char *a_time = json_string_value(json_object_get(a, "time"));
    const char *b_time = json_string_value(json_object_get(b, "time"));
    return strcmp(a_time != NULL ? a_time : "", b_time != NULL ? b_time : "");
}

/* A list by time, instead of the named entries. */
static json_t *sorted_history(const struct shown *shown)
{
    size_t count = json_object_size(shown->history), i = 0;
    json_t **entries = mem_new_array(json_t *, count + 1);
    json_t *list = json_array(), *entry;
    const char *name;
    json_object_foreach(shown->history, name, entry)
    {
        entries[i++] = entry;
    }
    if (count > 1) {
        qsort(entries, count, sizeof *entries, compare_entries);
    }
    for (i = 0; i < count; i++) {
        json_array_append(list, entries[i]);
    }
    free(entries);
    return list;
}

static const char *text_in(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static void print_line(const json_t *json, const char *name, const char *title)
{
    const char *text = text_in(json, name);
    if (text != NULL) {
        output_text(stdout, "  %s: %s\n", title, text);
    }
}

/* Line by line, so that a JSON text stays readable. */
static void print_value(const json_t *json, const char *title)
{
    const char *text = text_in(json, "value");
    const char *encoding = text_in(json, "value_encoding");
    if (text == NULL) {
        output_text(stdout, "  %s: none (a tombstone)\n", title);
        return;
    }
    output_text(stdout, "  %s%s:\n", title, encoding != NULL ? " (base64)" : "");
    while (true) {
        size_t size = strcspn(text, "\n");
        output_text(stdout, "    %.*s\n", (int)size, text);
        if (text[size] == '\0') {
            return;
        }
        text += size + 1;
    }
}

static void print_entry(const json_t *entry)
{
    static const char *const details[] = {"letter", "lane", "class", "message",
                                          "why",    "text", "task",  "who"};
    const char *time = text_in(entry, "time");
    json_int_t redrive = json_integer_value(json_object_get(entry, "redrive"));
    output_text(stdout, "    %s  %s", time != NULL ? time : "-", text_in(entry, "what"));
    if (redrive > 0) {
        output_text(stdout, " (redrive %lld)", (long long)redrive);
    }
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        const char *text = text_in(entry, details[i]);
        if (text != NULL && text[0] != '\0') {
            output_text(stdout, ", %s %s", details[i], text);
        }
    }
    output_text(stdout, "\n");
}

static void print_shown(const struct shown *shown, const json_t *history)
{
    const json_t *json = shown->json;
    const char *topic = text_in(json, "topic");
    json_int_t attempts = json_integer_value(json_object_get(json, "attempts"));
    output_text(stdout, "dead letter %s: %s\n", text_in(json, "id"), text_in(json, "state"));
    if (topic != NULL) {
        output_text(stdout, "  source: %s/%lld@%lld\n", topic,
                    (long long)json_integer_value(json_object_get(json, "partition")),
                    (long long)json_integer_value(json_object_get(json, "offset")));
    } else {
        output_text(stdout, "  source: not said (written by another tool)\n");
    }
    print_line(json, "key", "key");
    print_line(json, "type", "type");
    print_line(json, "event_id", "id");
    print_line(json, "source", "published by");
    print_line(json, "published", "published");
    print_line(json, "cause", "cause");
    print_line(json, "class", "class");
    print_line(json, "message", "message");
    print_line(json, "handler", "handler");
    if (attempts > 0) {
        output_text(stdout, "  attempts: %lld\n", (long long)attempts);
    }
    print_line(json, "first_failure", "first failure");
    print_line(json, "last_failure", "last failure");
    output_text(stdout, "  lane: %s\n",
                json_is_true(json_object_get(json, "lane_is_closed"))
                    ? "closed, what comes behind it waits"
                    : "not closed by it");
    if (shown->headers.size > 0) {
        /* escaped by event_headers_to_lines */
        output_text(stdout, "  headers:\n");
        const char *text = (const char *)shown->headers.data;
        for (size_t at = 0, size; at < shown->headers.size; at += size + 1) {
            const char *end = memchr(text + at, '\n', shown->headers.size - at);
            size = end != NULL ? (size_t)(end - text) - at : shown->headers.size - at;
            output_text(stdout, "  %.*s\n", (int)size, text + at);
        }
    }
    print_value(json, "payload");
    if (shown->edited != NULL) {
        print_value(shown->edited, "edited payload, which a redrive takes");
    }
    output_text(stdout, "  history:\n");
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)(uintptr_t)history, i, entry)
    {
        print_entry(entry);
    }
}

static void print_all(struct showing *showing)
{
    json_t *list = json_array();
    for (size_t i = 0; i < showing->events.count; i++) {
        struct shown *shown = &showing->events.items[i];
        json_t *history = sorted_history(shown);
        if (shown->json == NULL) {
            json_decref(history);
            continue;
        }
        if (showing->options->bus.is_json) {
            json_object_set(shown->json, "history", history);
            json_object_set_new(shown->json, "edited_payload",
                                shown->edited != NULL ? json_incref(shown->edited) : json_null());
            json_array_append(list, shown->json);
        } else {
            output_text(stdout, "%s", i > 0 ? "\n" : "");
            print_shown(shown, history);
        }
        json_decref(history);
    }
    if (showing->options->bus.is_json) {
        json_incref(list);
        output_json(list);
    }
    json_decref(list);
}

static void deinit(struct showing *showing)
{
    for (size_t i = 0; i < showing->events.count; i++) {
        struct shown *shown = &showing->events.items[i];
        free((char *)(uintptr_t)shown->event.topic.data);
        json_decref(shown->json);
        json_decref(shown->history);
        json_decref(shown->edited);
        buf_deinit(&shown->headers);
    }
    vec_deinit(&showing->events);
}

/* Gathers and prints. */
static int look(struct dead_reading *reading, struct showing *showing)
{
    struct client_error error;
    struct dead_view *view = &reading->view;
    if (view->index == NULL) {
        return EXIT_OK; /* nothing was read, which was told */
    }
    if (dead_view_letters(view, take_letter, showing, &error) != CLIENT_OK) {
        return dead_fail(&error, "read", view->dlq_topic);
    }
    if (dead_view_facts(view, take_fact, showing, &error) != CLIENT_OK) {
        return dead_fail(&error, "read", view->state_topic);
    }
    progress_clear(&reading->progress);
    print_all(showing);
    return EXIT_OK;
}

static int run(const struct dead_options *options)
{
    struct dead_reading reading;
    struct showing showing = {.options = options};
    int code = dead_reading_open(&reading, options);
    if (code == EXIT_OK || code == EXIT_NOT_FOUND) { /* those that are there */
        int looked = look(&reading, &showing);
        code = looked != EXIT_OK ? looked : code;
    }
    deinit(&showing);
    dead_reading_close(&reading);
    return output_finish(code);
}

int deadletter_command_show(int argc, char **argv)
{
    struct dead_options options = dead_options_default();
    struct option_set sets[] = {dead_group_set(&options), bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.arguments, &code)) {
        code = dead_options_check(&page, &options);
        if (code == EXIT_OK && options.ids.count == 0) {
            code = options_fail(&page, "show which? Usage: tidings deadletter show GROUP ID...");
        }
        if (code == EXIT_OK) {
            code = run(&options);
        }
    }
    text_list_deinit(&options.arguments);
    dead_options_deinit(&options);
    options_deinit(sets, 2);
    return code;
}
