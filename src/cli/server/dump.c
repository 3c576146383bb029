#include "datadir/dump.h"
#include "base/mem.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "client/event/event.h"
#include "datadir/internal_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dump_settings {
    const char *topic;
    int64_t partition;
    int64_t from;
    int64_t to;
    bool batches;
    bool headers;
    bool is_json;
};

static const struct help_page page = {
    .name = "tidings dump",
    .usage = "DATA|FILE [OPTIONS]",
    .about =
        "Prints batches and their records as they lie on disk: of a data directory, also while a "
        "bus\n"
        "runs on it (up to what is whole), or of one segment or .cut file. Every CRC is checked.\n"
        "Records of __consumer_offsets and __transaction_state and the markers that end "
        "transactions\n"
        "are decoded. Nothing is changed.\n"
        "\n"
        "With --json each record is one line, a batch too with --batches; damaged bytes are a "
        "line\n"
        "{\"damage\": ...}. Ends with 1 when there were any.",
    .examples =
        "  tidings dump /var/lib/tidings --topic orders --partition 0 --from 1000 --to 1010\n"
        "  tidings dump /var/lib/tidings --topic __consumer_offsets --json\n"
        "  tidings dump data/topics/orders-0/00000000000000000000.log --batches\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXT, offsetof(struct dump_settings, topic), 0, 0,
     "only this topic"},
    {'p', "partition", "N", OPTION_INTEGER, offsetof(struct dump_settings, partition), 0, INT32_MAX,
     "only this partition"},
    {0, "from", "OFFSET", OPTION_INTEGER, offsetof(struct dump_settings, from), 0, INT64_MAX,
     "begin at this offset"},
    {0, "to", "OFFSET", OPTION_INTEGER, offsetof(struct dump_settings, to), 0, INT64_MAX,
     "end before this offset"},
    {'b', "batches", NULL, OPTION_FLAG, offsetof(struct dump_settings, batches), 0, 0,
     "only the headers of batches, no records"},
    {0, "headers", NULL, OPTION_FLAG, offsetof(struct dump_settings, headers), 0, 0,
     "print the headers of each record too (--json always does)"},
    {'j', "json", NULL, OPTION_FLAG, offsetof(struct dump_settings, is_json), 0, 0,
     "print JSON for programs, one line a record"},
};

struct printer {
    const struct dump_settings *settings;
    bool damaged;
};

/* False when nobody reads any more. */
static bool goes_on(void)
{
    return !ferror(stdout);
}

static const char *time_or_dash(int64_t time_ms, char text[TIME_TEXT_SIZE])
{
    return time_ms < 0 ? "-" : time_format(time_ms, text);
}

static json_t *batch_json(const struct dump_place *place, int64_t position,
                          const struct batch *batch)
{
    json_t *json = json_pack(
        "{s:s,s:i,s:s,s:I,s:I,s:I,s:I,s:i,s:i,s:s,s:I,s:I,s:b}", "topic", place->topic, "partition",
        (int)place->partition, "file", place->file, "position", (json_int_t)position, "bytes",
        (json_int_t)batch->bytes.size, "base_offset", (json_int_t)batch->base_offset, "last_offset",
        (json_int_t)batch_last_offset(batch), "records", (int)batch->record_count, "leader_epoch",
        (int)batch->leader_epoch, "codec", dump_codec(batch), "base_timestamp",
        (json_int_t)batch->base_timestamp, "max_timestamp", (json_int_t)batch->max_timestamp,
        "log_append_time", (batch->attributes & BATCH_ATTRIBUTE_LOG_APPEND_TIME) != 0);
    json_object_set_new(json, "producer_id", json_integer(batch->producer_id));
    json_object_set_new(json, "producer_epoch", json_integer(batch->producer_epoch));
    json_object_set_new(json, "base_sequence", json_integer(batch->base_sequence));
    json_object_set_new(json, "transactional", json_boolean(batch_is_transactional(batch)));
    json_object_set_new(json, "control", json_boolean(batch_is_control(batch)));
    json_object_set_new(json, "crc", json_integer(batch->crc));
    json_object_set_new(json, "crc_ok", json_true());
    return json;
}

static bool on_batch(void *context, const struct dump_place *place, int64_t position,
                     const struct batch *batch)
{
    const struct printer *printer = context;
    char first[TIME_TEXT_SIZE];
    char most[TIME_TEXT_SIZE];
    if (printer->settings->is_json) {
        if (printer->settings->batches) {
            output_json_line(json_pack("{s:o}", "batch", batch_json(place, position, batch)));
        }
        return goes_on();
    }
    output_text(
        stdout,
        "batch %s[%d]@%lld-%lld  position=%lld bytes=%zu records=%d codec=%s time=%s "
        "max_time=%s%s",
        place->topic, (int)place->partition, (long long)batch->base_offset,
        (long long)batch_last_offset(batch), (long long)position, batch->bytes.size,
        (int)batch->record_count, dump_codec(batch), time_or_dash(batch->base_timestamp, first),
        time_or_dash(batch->max_timestamp, most),
        (batch->attributes & BATCH_ATTRIBUTE_LOG_APPEND_TIME) != 0 ? " log_append_time" : "");
    if (batch->producer_id >= 0) {
        output_text(stdout, " producer=%lld epoch=%d sequence=%d", (long long)batch->producer_id,
                    (int)batch->producer_epoch, (int)batch->base_sequence);
    }
    output_text(stdout, "%s%s leader_epoch=%d crc=%08x ok\n",
                batch_is_transactional(batch) ? " transactional" : "",
                batch_is_control(batch) ? " control" : "", (int)batch->leader_epoch,
                (unsigned)batch->crc);
    return goes_on();
}

/* The record as an event; free headers and their names with free_headers. */
static struct event to_event(const struct dump_place *place, const struct record *record)
{
    struct event event = {
        .topic = place->topic,
        .partition = place->partition,
        .offset = record->offset,
        .timestamp_ms = record->timestamp,
        .key = record->key,
        .value = record->value,
        .headers = mem_new_array(struct event_header, (size_t)record->header_count),
    };
    struct record_header header;
    size_t position = 0;
    while (event.header_count < (size_t)record->header_count &&
           record_header_next(record->headers, &position, &header)) {
        event.headers[event.header_count++] = (struct event_header){
            .name = mem_strndup((const char *)header.key.data, header.key.size),
            .value = header.value,
        };
    }
    return event;
}

static void free_headers(struct event *event)
{
    for (size_t i = 0; i < event->header_count; i++) {
        free((char *)(uintptr_t)event->headers[i].name);
    }
    free(event->headers);
}

static void print_record(const struct printer *printer, const struct event *event, json_t *decoded)
{
    struct buf line = {0};
    buf_append_str(&line, "  ");
    event_to_line(event, NULL, &line);
    buf_append_str(&line, "\n");
    if (printer->settings->headers) {
        event_headers_to_lines(event, &line);
    }
    if (decoded != NULL) {
        char *text = json_dumps(decoded, JSON_COMPACT);
        buf_append_str(&line, "    ");
        utf8_escape_json(&line, slice_str(text));
        buf_append_str(&line, "\n");
        free(text);
    }
    fwrite(line.data, 1, line.size, stdout);
    buf_deinit(&line);
    json_decref(decoded);
}

static void print_record_json(const struct event *event, int64_t position,
                              const struct batch *batch, json_t *decoded)
{
    json_t *json = event_to_json(event);
    json_object_set_new(json, "position", json_integer(position));
    if (batch->producer_id >= 0) {
        json_object_set_new(json, "producer_id", json_integer(batch->producer_id));
        json_object_set_new(json, "producer_epoch", json_integer(batch->producer_epoch));
        json_object_set_new(json, "base_sequence", json_integer(batch->base_sequence));
    }
    json_object_set_new(json, "transactional", json_boolean(batch_is_transactional(batch)));
    json_object_set_new(json, "control", json_boolean(batch_is_control(batch)));
    if (decoded != NULL) {
        json_object_set_new(json, "decoded", decoded);
    }
    output_json_line(json);
}

static bool on_record(void *context, const struct dump_place *place, int64_t position,
                      const struct batch *batch, const struct record *record)
{
    const struct printer *printer = context;
    struct event event = to_event(place, record);
    json_t *decoded = batch_is_control(batch)
                          ? internal_control_record(record->key, record->value)
                          : internal_record(place->topic, record->key, record->value);
    if (printer->settings->is_json) {
        print_record_json(&event, position, batch, decoded);
    } else {
        print_record(printer, &event, decoded);
    }
    free_headers(&event);
    return goes_on();
}

static bool on_damage(void *context, const struct dump_place *place,
                      const struct walk_damage *damage, bool last)
{
    struct printer *printer = context;
    long long bytes = (long long)(damage->end - damage->position);
    if (!last) {
        printer->damaged = true;
    }
    if (printer->settings->is_json) {
        json_t *json =
            json_pack("{s:s,s:I,s:I,s:I,s:s,s:b}", "file", place->file, "position",
                      (json_int_t)damage->position, "bytes", (json_int_t)bytes, "first_offset",
                      (json_int_t)damage->first_offset, "text", damage->why.text, "at_end", last);
        json_object_set_new(json, "next_offset",
                            damage->next_offset < 0 ? json_null()
                                                    : json_integer(damage->next_offset));
        output_json_line(json_pack("{s:o}", "damage", json));
        return goes_on();
    }
    if (last) {
        output_text(
            stdout,
            "end %s position %lld: %lld bytes that are no whole batch: a write under way, or one "
            "that a crash cut short\n",
            place->file, (long long)damage->position, bytes);
    } else {
        output_text(stdout, "damage %s position %lld, %lld bytes, offsets from %lld: %s\n",
                    place->file, (long long)damage->position, bytes,
                    (long long)damage->first_offset, damage->why.text);
    }
    return goes_on();
}

static int run(const struct dump_settings *settings, const char *path)
{
    struct printer printer = {.settings = settings};
    struct dump_options options = {
        .path = path,
        .topic = settings->topic,
        .partition = settings->partition,
        .from = settings->from,
        .to = settings->to,
    };
    struct dump_sink sink = {
        .context = &printer,
        .batch = on_batch,
        .record = settings->batches ? NULL : on_record,
        .damage = on_damage,
    };
    struct reason reason = {.text = ""};
    enum err err = dump_run(&options, &sink, &reason);
    if (err != ERR_NONE) {
        return cli_fail(err == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED, NULL,
                        "cannot dump %s: %s", path, reason.text);
    }
    return output_finish(printer.damaged ? EXIT_FAILED : EXIT_OK);
}

int cli_dump(int argc, char **argv)
{
    struct dump_settings settings = {.partition = -1, .to = INT64_MAX};
    struct option_set set = {"Options", specs, sizeof specs / sizeof specs[0], &settings};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, &set, 1, argc, argv, &arguments, &code)) {
        code = arguments.count != 1
                   ? options_fail(&page, "dump needs one data directory or file: tidings dump DATA")
                   : run(&settings, arguments.items[0]);
    }
    text_list_deinit(&arguments);
    return code;
}
