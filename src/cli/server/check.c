#include "datadir/check.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/base/progress.h"
#include "client/event/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_settings {
    const char *topic;
    int64_t partition;
    bool repair;
    bool is_json;
};

static const struct help_page page = {
    .name = "tidings check",
    .usage = "DATA [OPTIONS]",
    .about =
        "Reads a stopped data directory from end to end and tells what is wrong with it: damaged\n"
        "batches with their file, position and the events around them, offsets that are missing,\n"
        "indexes and snapshots that do not fit, a damaged catalogue. A running bus is refused.\n"
        "\n"
        "  damage      events or settings are lost or cannot be read; see docs/operations.md\n"
        "  disposable  a file that the start makes anew, such as an index\n"
        "  note        worth knowing, not wrong: a torn tail, bytes that a start set aside\n"
        "\n"
        "Exit codes: 0 sound, 1 damage found (or something disposable that is not repaired), 2 "
        "not\n"
        "checked.",
    .examples = "  tidings check /var/lib/tidings\n"
                "  tidings check /var/lib/tidings --topic orders --partition 3 --json\n"
                "  tidings check /var/lib/tidings --repair\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXT, offsetof(struct check_settings, topic), 0, 0,
     "only this topic"},
    {'p', "partition", "N", OPTION_INTEGER, offsetof(struct check_settings, partition), 0,
     INT32_MAX, "only this partition of each topic"},
    {0, "repair", NULL, OPTION_FLAG, offsetof(struct check_settings, repair), 0, 0,
     "remove or rewrite indexes and a checkpoint that are bad, and have the\n"
     "next start make what is missing and bad snapshots anew; events are\nnever touched"},
    {'j', "json", NULL, OPTION_FLAG, offsetof(struct check_settings, is_json), 0, 0,
     "print JSON for programs"},
};

/* What check_run tells. */
struct listener {
    bool is_json;
    json_t *findings;
    struct progress progress;
};

static const char *level_name(enum check_level level)
{
    static const char *const names[] = {"damage", "disposable", "note"};
    return names[level];
}

static json_t *event_json(const struct check_event *event)
{
    if (event == NULL || !event->known) {
        return json_null();
    }
    char time[TIME_TEXT_SIZE];
    json_t *json = json_pack("{s:I}", "offset", (json_int_t)event->offset);
    json_object_set_new(json, "timestamp",
                        event->timestamp < 0 ? json_null()
                                             : json_string(time_format(event->timestamp, time)));
    event_set_bytes(json, "key", "key_encoding",
                    event->has_key ? buf_slice(&event->key) : (struct slice){0});
    return json;
}

static void set_offset(json_t *json, const char *name, int64_t offset)
{
    json_object_set_new(json, name, offset < 0 ? json_null() : json_integer(offset));
}

static json_t *finding_json(const struct check_finding *finding)
{
    json_t *json = json_pack("{s:s,s:s,s:s}", "level", level_name(finding->level), "kind",
                             finding->kind, "file", finding->file);
    if (finding->position >= 0) {
        set_offset(json, "position", finding->position);
        set_offset(json, "bytes", finding->end - finding->position);
        set_offset(json, "first_offset", finding->first_offset);
        set_offset(json, "last_offset", finding->last_offset);
        json_object_set_new(json, "before", event_json(finding->before));
        json_object_set_new(json, "behind", event_json(finding->behind));
    }
    json_object_set_new(json, "text", output_json_text(finding->text));
    json_object_set_new(json, "repaired", json_boolean(finding->repaired));
    return json;
}

static void print_event(const char *label, const struct check_event *event)
{
    if (event == NULL || !event->known) {
        output_text(stdout, "    %s: none\n", label);
        return;
    }
    char time[TIME_TEXT_SIZE];
    struct buf key = {0};
    if (event->has_key) {
        utf8_escape(&key, buf_slice(&event->key));
    } else {
        buf_append_str(&key, "(null)");
    }
    output_text(stdout, "    %s: offset %lld  %s  key=%s\n", label, (long long)event->offset,
                event->timestamp < 0 ? "-" : time_format(event->timestamp, time), buf_cstr(&key));
    buf_deinit(&key);
}

static void print_finding(const struct check_finding *finding)
{
    output_text(stdout, "%s: %s: %s", level_name(finding->level), finding->kind, finding->file);
    if (finding->position < 0) {
        output_text(stdout, "\n    %s%s\n", finding->text, finding->repaired ? " (repaired)" : "");
        return;
    }
    output_text(stdout, " position %lld, %lld bytes", (long long)finding->position,
                (long long)(finding->end - finding->position));
    if (finding->first_offset >= 0 && finding->last_offset >= finding->first_offset) {
        output_text(stdout, ", offsets %lld-%lld", (long long)finding->first_offset,
                    (long long)finding->last_offset);
    } else if (finding->first_offset >= 0) {
        output_text(stdout, ", offsets from %lld", (long long)finding->first_offset);
    }
    output_text(stdout, "\n    %s\n", finding->text);
    print_event("before", finding->before);
    print_event("behind", finding->behind);
}

static void on_found(void *context, const struct check_finding *finding)
{
    struct listener *listener = context;
    progress_clear(&listener->progress);
    if (listener->is_json) {
        json_array_append_new(listener->findings, finding_json(finding));
    } else {
        print_finding(finding);
        fflush(stdout);
    }
}

static void on_progress(void *context, int64_t bytes, int64_t total_bytes)
{
    struct listener *listener = context;
    progress_show(&listener->progress, "checked", bytes, total_bytes);
}

static void print_totals(const struct check_totals *totals)
{
    char size[32];
    output_text(stdout, "%lld partition%s, %lld segment%s, %lld batch%s, %lld event%s, %s\n",
                (long long)totals->partitions, plural_s((uint64_t)totals->partitions),
                (long long)totals->segments, plural_s((uint64_t)totals->segments),
                (long long)totals->batches, totals->batches == 1 ? "" : "es",
                (long long)totals->records, plural_s((uint64_t)totals->records),
                output_size((double)totals->bytes, size));
    output_text(stdout, "damage: %lld, disposable: %lld, notes: %lld, repaired: %lld\n",
                (long long)totals->findings[CHECK_DAMAGE],
                (long long)totals->findings[CHECK_DISPOSABLE],
                (long long)totals->findings[CHECK_NOTE], (long long)totals->repaired);
}

static json_t *totals_json(const struct check_totals *totals, bool sound)
{
    return json_pack(
        "{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "sound", sound, "partitions",
        (json_int_t)totals->partitions, "segments", (json_int_t)totals->segments, "batches",
        (json_int_t)totals->batches, "records", (json_int_t)totals->records, "bytes",
        (json_int_t)totals->bytes, "damage", (json_int_t)totals->findings[CHECK_DAMAGE],
        "disposable", (json_int_t)totals->findings[CHECK_DISPOSABLE], "notes",
        (json_int_t)totals->findings[CHECK_NOTE], "repaired", (json_int_t)totals->repaired);
}

static int fail(enum err err, const char *data, const struct reason *reason)
{
    const char *hint = err == ERR_LOCKED      ? "stop it first; 'tidings dump' reads a running one"
                       : err == ERR_NOT_FOUND ? "give the directory that serve has as --data"
                                              : NULL;
    return cli_fail(EXIT_USAGE, hint, "cannot check %s: %s", data, reason->text);
}

static int run(const struct check_settings *settings, const char *data)
{
    struct listener listener = {.is_json = settings->is_json, .findings = json_array()};
    progress_init(&listener.progress);
    struct check_options options = {
        .data_dir = data,
        .topic = settings->topic,
        .partition = settings->partition,
        .repair = settings->repair,
        .context = &listener,
        .found = on_found,
        .progress = on_progress,
    };
    struct check_totals totals;
    struct reason reason = {.text = ""};
    enum err err = check_run(&options, &totals, &reason);
    progress_clear(&listener.progress);
    if (err != ERR_NONE) {
        json_decref(listener.findings);
        return fail(err, data, &reason);
    }
    bool sound =
        totals.findings[CHECK_DAMAGE] == 0 && totals.findings[CHECK_DISPOSABLE] == totals.repaired;
    if (settings->is_json) {
        json_t *json = totals_json(&totals, sound);
        json_object_set_new(json, "findings", listener.findings);
        output_json(json);
    } else {
        json_decref(listener.findings);
        print_totals(&totals);
    }
    return output_finish(sound ? EXIT_OK : EXIT_FAILED);
}

int cli_check(int argc, char **argv)
{
    struct check_settings settings = {.partition = -1};
    struct option_set set = {"Options", specs, sizeof specs / sizeof specs[0], &settings};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, &set, 1, argc, argv, &arguments, &code)) {
        code = arguments.count != 1
                   ? options_fail(&page, "check needs one data directory: tidings check DATA")
                   : run(&settings, arguments.items[0]);
    }
    text_list_deinit(&arguments);
    return code;
}
