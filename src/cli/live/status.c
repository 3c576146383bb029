#include "base/time_text.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/base/output_text.h"
#include "cli/bus/http_client.h"
#include "cli/live/status_bus.h"
#include "datadir/control_client.h"

#include <stdio.h>
#include <string.h>

static const struct help_page page = {
    .name = "tidings status",
    .usage = "[DATA] [OPTIONS]",
    .about =
        "Tells what a bus is at. From any machine it asks the bus at --bootstrap-server: which\n"
        "brokers there are and how fast they answer, topics, partitions, size, partitions without\n"
        "a leader, groups by state, and what the bus layer says of itself. This works on any "
        "Kafka\n"
        "cluster.\n"
        "\n"
        "With the data directory DATA it asks the server that runs on it, and tells more: its\n"
        "process, what each share of memory.max holds and how often it had no room, and which log "
        "it\n"
        "is compacting. Run that on the server's machine, as its user. A log is compacted in two\n"
        "phases: 'keys' reads the keys that are new, 'rewriting' writes the segments without what "
        "is\n"
        "superseded. When the keys do not fit the memory for them, there is another pass, and "
        "more\n"
        "to read and write.\n"
        "\n"
        "Exit codes: 0 told, 3 nobody answers, 4 there is no such directory, 6 no answer in time.",
    .examples = "  tidings status                                 the bus at 127.0.0.1:9092\n"
                "  tidings status -b kafka-1:9092 --json\n"
                "  tidings status /var/lib/tidings                on its own machine\n",
};

static json_int_t number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static const char *text(const json_t *json, const char *name)
{
    const char *value = json_string_value(json_object_get(json, name));
    return value != NULL ? value : "?";
}

static void print_cleaner(const json_t *cleaner)
{
    char moved[32], freed[32], most[32], size[32];
    if (!json_is_object(cleaner)) {
        output_text(stdout, "compaction  off (log.cleaner.enable=false)\n");
        return;
    }
    output_text(
        stdout, "compaction  %lld log%s cleaned since the start, %s read and written, %s freed\n",
        (long long)number(cleaner, "cleanings"), plural_s((uint64_t)number(cleaner, "cleanings")),
        output_size((double)number(cleaner, "moved_bytes"), moved),
        output_size((double)number(cleaner, "freed_bytes"), freed));
    if (number(cleaner, "failures") > 0) {
        output_text(stdout, "            %lld failed: see the server's log\n",
                    (long long)number(cleaner, "failures"));
    }
    const json_t *now = json_object_get(cleaner, "now");
    if (json_is_object(now)) {
        output_text(
            stdout,
            "            at %s-%lld for %.1f s, %s, pass %lld: %s of at most %s read and written, "
            "the log has %s\n",
            text(now, "topic"), (long long)number(now, "partition"),
            (double)number(now, "ms") / 1000, text(now, "phase"), (long long)number(now, "pass"),
            output_size((double)number(now, "moved_bytes"), moved),
            output_size((double)number(now, "at_most_bytes"), most),
            output_size((double)number(now, "log_bytes"), size));
    }
}

static void print_memory(const json_t *memory)
{
    char used[32], limit[32], most[32];
    size_t i;
    const json_t *share;
    if (!json_is_object(memory)) {
        return; /* an older server */
    }
    output_text(stdout, "memory      %s (memory.max), in shares:\n",
                output_size((double)number(memory, "max_bytes"), limit));
    json_array_foreach(json_object_get(memory, "shares"), i, share)
    {
        const char *name = text(share, "name");
        output_text(stdout, "            %s", name);
        printf("%*s", 11 - (int)strnlen(name, 10), "");
        output_text(stdout, "%s of %s, at most %s, refused %lld time%s\n",
                    output_size((double)number(share, "used_bytes"), used),
                    output_size((double)number(share, "limit_bytes"), limit),
                    output_size((double)number(share, "most_bytes"), most),
                    (long long)number(share, "refused"),
                    plural_s((uint64_t)number(share, "refused")));
    }
}

static void print_status(const json_t *status)
{
    char started[TIME_TEXT_SIZE];
    char size[32];
    output_text(stdout, "server      tidings %s, process %lld, since %s\n", text(status, "version"),
                (long long)number(status, "pid"),
                time_format(number(status, "started_ms"), started));
    output_text(stdout, "cluster     %s\n", text(status, "cluster_id"));
    output_text(stdout, "topics      %lld with %lld partition%s, %s\n",
                (long long)number(status, "topics"), (long long)number(status, "partitions"),
                plural_s((uint64_t)number(status, "partitions")),
                output_size((double)number(status, "bytes"), size));
    if (number(status, "offline_partitions") > 0) {
        uint64_t offline = (uint64_t)number(status, "offline_partitions");
        output_text(
            stdout,
            "offline     %llu partition%s: see 'a partition is offline' in the server's log\n",
            (unsigned long long)offline, plural_s(offline));
    }
    print_memory(json_object_get(status, "memory"));
    print_cleaner(json_object_get(status, "cleaner"));
}

static int run(const struct bus_options *options, const char *data_dir)
{
    json_t *status;
    struct reason reason;
    struct control_wait wait = {.timeout_ms = options->timeout_ms};
    enum err err = control_client_ask_once(data_dir, "status\n", &wait, &status, &reason);
    if (err != ERR_NONE) {
        return err == ERR_CLOSED
                   ? cli_fail(EXIT_UNREACHABLE, "start one with: tidings serve --data DATA", "%s",
                              reason.text)
               : err == ERR_TIMEOUT   ? cli_fail(EXIT_TIMED_OUT, NULL, "%s", reason.text)
               : err == ERR_NOT_FOUND ? cli_fail(EXIT_NOT_FOUND, NULL, "%s", reason.text)
                                      : cli_fail(EXIT_FAILED, NULL, "%s", reason.text);
    }
    json_object_del(status, "ok");
    if (options->is_json) {
        output_json(status);
    } else {
        print_status(status);
        json_decref(status);
    }
    return output_finish(EXIT_OK);
}

int cli_status(int argc, char **argv)
{
    struct bus_options options = bus_options_default();
    struct option_set sets[] = {bus_option_set(&options), http_option_set(&options)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        bool is_local = arguments.count == 1;
        code = arguments.count > 1 ? options_fail(&page, "one directory at most")
               : is_local && options.bootstrap != NULL
                   ? options_fail(&page, "either a directory, or --bootstrap-server")
               : is_local ? run(&options, arguments.items[0])
                          : status_bus(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
