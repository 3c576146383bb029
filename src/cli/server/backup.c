#include "datadir/backup.h"
#include "base/time_text.h"
#include "cli/base/cli.h"
#include "cli/base/interrupt.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/base/progress.h"

#include <jansson.h>
#include <stdio.h>

/* backup and restore: what they share is the rate, the progress and the signals. */

enum { MAX_RATE_MB = 1000000, BYTES_PER_MB = 1000000 };

struct backup_settings {
    bool verify;
    int64_t max_rate_mb;
    int64_t timeout_ms;
    bool is_json;
};

struct restore_settings {
    int64_t max_rate_mb;
    bool is_json;
};

static const struct help_page backup_page = {
    .name = "tidings backup",
    .usage = "DATA DIR [OPTIONS]  |  --verify DIR",
    .about =
        "Copies a bus into the directory DIR, while it runs or stopped. The copy is one instant "
        "of\n"
        "the whole: all partitions, committed offsets, transactions and settings as a kill at "
        "that\n"
        "instant would have left them. Publishing waits for it a few milliseconds at most.\n"
        "\n"
        "A backup that was stopped goes on with the same command. A later one into the same DIR\n"
        "copies only what is new; until it is whole the one before stays good. Every CRC is "
        "checked\n"
        "on the way. Run it on the machine of the bus, as its user: DATA is its --data directory.\n"
        "\n"
        "--verify reads a backup again and compares all of it with its manifest.",
    .examples = "  tidings backup /var/lib/tidings /mnt/backup/bus\n"
                "  tidings backup /var/lib/tidings /mnt/backup/bus --max-rate 50\n"
                "  tidings backup --verify /mnt/backup/bus\n",
};

static const struct help_page restore_page = {
    .name = "tidings restore",
    .usage = "DIR DATA [OPTIONS]",
    .about =
        "Makes the data directory DATA, which must be missing or empty, from the backup in DIR.\n"
        "Everything is compared with the manifest on the way; a damaged backup is refused and "
        "DATA\n"
        "does not appear. A restore that was stopped goes on with the same command. Then start "
        "it:\n"
        "tidings serve --data DATA. The first start reads everything once.",
    .examples = "  tidings restore /mnt/backup/bus /var/lib/tidings\n",
};

static const struct option_spec backup_specs[] = {
    {0, "verify", NULL, OPTION_FLAG, offsetof(struct backup_settings, verify), 0, 0,
     "check the backup in DIR instead of making one"},
    {0, "max-rate", "MB", OPTION_INTEGER, offsetof(struct backup_settings, max_rate_mb), 1,
     MAX_RATE_MB, "read at most so many megabytes a second"},
    {0, "timeout", "DURATION", OPTION_DURATION, offsetof(struct backup_settings, timeout_ms), 100,
     86400000, "how long a running bus may take to make its snapshot (default: 5m)"},
    {'j', "json", NULL, OPTION_FLAG, offsetof(struct backup_settings, is_json), 0, 0,
     "print JSON for programs"},
};

static const struct option_spec restore_specs[] = {
    {0, "max-rate", "MB", OPTION_INTEGER, offsetof(struct restore_settings, max_rate_mb), 1,
     MAX_RATE_MB, "read at most so many megabytes a second"},
    {'j', "json", NULL, OPTION_FLAG, offsetof(struct restore_settings, is_json), 0, 0,
     "print JSON for programs"},
};

/* What the callbacks need. */
struct listener {
    const char *verb;
    struct progress progress;
    struct interrupt interrupt;
    bool is_json;
    json_t *files; /* bad or damaged ones */
};

static void listen(struct listener *listener, const char *verb, bool is_json)
{
    *listener = (struct listener){.verb = verb, .is_json = is_json, .files = json_array()};
    progress_init(&listener->progress);
    interrupt_init(&listener->interrupt);
}

static void unlisten(struct listener *listener)
{
    progress_clear(&listener->progress);
    interrupt_deinit(&listener->interrupt);
}

static bool on_waiting(void *context)
{
    struct listener *listener = context;
    return interrupt_is_raised(&listener->interrupt);
}

static bool on_progress(void *context, int64_t bytes, int64_t total_bytes)
{
    struct listener *listener = context;
    progress_show(&listener->progress, listener->verb, bytes, total_bytes);
    return !interrupt_is_raised(&listener->interrupt);
}

static void on_damaged(void *context, const char *path, int64_t position)
{
    struct listener *listener = context;
    progress_clear(&listener->progress);
    json_array_append_new(listener->files, json_pack("{s:o,s:I}", "file", output_json_text(path),
                                                     "position", (json_int_t)position));
    cli_warn("%s has a damaged batch at position %lld; it is copied as it is (tidings check tells "
             "more)",
             path, (long long)position);
}

static void on_bad(void *context, const char *path, const char *why)
{
    struct listener *listener = context;
    progress_clear(&listener->progress);
    json_array_append_new(listener->files, json_pack("{s:o,s:o}", "file", output_json_text(path),
                                                     "text", output_json_text(why)));
    if (!listener->is_json) {
        output_text(stdout, "bad: %s\n", why);
    }
}

static int fail(enum err err, const char *what, const struct reason *reason)
{
    enum cli_exit code = err == ERR_NOT_FOUND                     ? EXIT_NOT_FOUND
                         : err == ERR_LOCKED || err == ERR_EXISTS ? EXIT_CONFLICT
                         : err == ERR_TIMEOUT                     ? EXIT_TIMED_OUT
                                                                  : EXIT_FAILED;
    return cli_fail(code, NULL, "%s: %s", what, reason->text);
}

static const char *cut_time(int64_t cut_ms, char text[TIME_TEXT_SIZE])
{
    return time_format(cut_ms, text);
}

static void tell_backup(const struct backup_totals *totals, struct listener *listener,
                        const char *dir)
{
    char time[TIME_TEXT_SIZE];
    char all[32];
    char copied[32];
    if (listener->is_json) {
        json_t *json = json_pack(
            "{s:o,s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I}", "dir", output_json_text(dir), "cluster_id",
            totals->cluster_id, "cut", cut_time(totals->cut_ms, time), "running",
            !totals->stopped_source, "files", (json_int_t)totals->files, "bytes",
            (json_int_t)totals->bytes, "copied_files", (json_int_t)totals->copied_files,
            "copied_bytes", (json_int_t)totals->copied_bytes, "appends_waited_us",
            (json_int_t)totals->waited_us);
        json_object_set(json, "damaged", listener->files);
        output_json(json);
        return;
    }
    output_text(stdout, "backup %s holds the bus of %s: %lld file%s, %s\n", dir,
                cut_time(totals->cut_ms, time), (long long)totals->files,
                plural_s((uint64_t)totals->files), output_size((double)totals->bytes, all));
    output_text(stdout, "copied %lld file%s, %s; the rest was there\n",
                (long long)totals->copied_files, plural_s((uint64_t)totals->copied_files),
                output_size((double)totals->copied_bytes, copied));
    if (!totals->stopped_source) {
        output_text(stdout, "publishing waited %.1f ms\n", (double)totals->waited_us / 1000);
    }
}

static int run_backup(const struct backup_settings *settings, const char *data, const char *dir)
{
    struct listener listener;
    struct backup_totals totals;
    struct reason reason = {.text = ""};
    listen(&listener, "went through", settings->is_json);
    struct backup_options options = {
        .data_dir = data,
        .dir = dir,
        .max_rate = settings->max_rate_mb * BYTES_PER_MB,
        .timeout_ms = settings->timeout_ms,
        .context = &listener,
        .stopped = on_waiting,
        .progress = on_progress,
        .damaged = on_damaged,
    };
    enum err err = backup_run(&options, &totals, &reason);
    unlisten(&listener);
    int code = err == ERR_NONE ? EXIT_OK : fail(err, "no backup", &reason);
    if (err == ERR_NONE) {
        tell_backup(&totals, &listener, dir);
    }
    json_decref(listener.files);
    return output_finish(code);
}

static void tell_verify(const struct backup_check *check, struct listener *listener,
                        const char *dir)
{
    char time[TIME_TEXT_SIZE];
    char all[32];
    if (listener->is_json) {
        json_t *json = json_pack(
            "{s:o,s:s,s:s,s:b,s:I,s:I,s:I}", "dir", output_json_text(dir), "cluster_id",
            check->cluster_id, "cut", cut_time(check->cut_ms, time), "good", check->bad_files == 0,
            "files", (json_int_t)check->files, "bytes", (json_int_t)check->bytes,
            "damaged_in_source", (json_int_t)check->damaged_files);
        json_object_set(json, "bad", listener->files);
        output_json(json);
        return;
    }
    output_text(stdout, "backup %s of %s: %lld file%s, %s, %lld bad\n", dir,
                cut_time(check->cut_ms, time), (long long)check->files,
                plural_s((uint64_t)check->files), output_size((double)check->bytes, all),
                (long long)check->bad_files);
    if (check->damaged_files > 0) {
        output_text(stdout, "%lld file%s damaged in the bus already\n",
                    (long long)check->damaged_files, check->damaged_files == 1 ? " was" : "s were");
    }
}

static int run_verify(const struct backup_settings *settings, const char *dir)
{
    struct listener listener;
    struct backup_check check;
    struct reason reason = {.text = ""};
    listen(&listener, "verified", settings->is_json);
    struct backup_options options = {
        .dir = dir,
        .max_rate = settings->max_rate_mb * BYTES_PER_MB,
        .context = &listener,
        .progress = on_progress,
    };
    enum err err = backup_verify(&options, on_bad, &check, &reason);
    unlisten(&listener);
    int code = err != ERR_NONE       ? fail(err, "not verified", &reason)
               : check.bad_files > 0 ? EXIT_FAILED
                                     : EXIT_OK;
    if (err == ERR_NONE) {
        tell_verify(&check, &listener, dir);
    }
    json_decref(listener.files);
    return output_finish(code);
}

int cli_backup(int argc, char **argv)
{
    struct backup_settings settings = {.timeout_ms = 300000};
    struct option_set set = {"Options", backup_specs, sizeof backup_specs / sizeof backup_specs[0],
                             &settings};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&backup_page, &set, 1, argc, argv, &arguments, &code)) {
        if (settings.verify && arguments.count == 1) {
            code = run_verify(&settings, arguments.items[0]);
        } else if (!settings.verify && arguments.count == 2) {
            code = run_backup(&settings, arguments.items[0], arguments.items[1]);
        } else {
            code = options_fail(&backup_page, settings.verify
                                                  ? "give one backup: tidings backup --verify DIR"
                                                  : "give the data directory and where the backup "
                                                    "goes: tidings backup DATA DIR");
        }
    }
    text_list_deinit(&arguments);
    return code;
}

static void tell_restore(const struct restore_totals *totals, bool is_json, const char *data)
{
    char time[TIME_TEXT_SIZE];
    char all[32];
    if (is_json) {
        output_json(json_pack("{s:o,s:s,s:s,s:I,s:I,s:I}", "data", output_json_text(data),
                              "cluster_id", totals->cluster_id, "cut",
                              cut_time(totals->cut_ms, time), "files", (json_int_t)totals->files,
                              "bytes", (json_int_t)totals->bytes, "copied_files",
                              (json_int_t)totals->copied_files));
        return;
    }
    output_text(stdout,
                "restored the bus of %s: %lld file%s, %s\nstart it with: tidings serve --data %s\n",
                cut_time(totals->cut_ms, time), (long long)totals->files,
                plural_s((uint64_t)totals->files), output_size((double)totals->bytes, all), data);
}

static int run_restore(const struct restore_settings *settings, const char *dir, const char *data)
{
    struct listener listener;
    struct restore_totals totals;
    struct reason reason = {.text = ""};
    listen(&listener, "restored", settings->is_json);
    struct restore_options options = {
        .dir = dir,
        .data_dir = data,
        .max_rate = settings->max_rate_mb * BYTES_PER_MB,
        .context = &listener,
        .progress = on_progress,
    };
    enum err err = restore_run(&options, &totals, &reason);
    unlisten(&listener);
    json_decref(listener.files);
    if (err != ERR_NONE) {
        return fail(err, "not restored", &reason);
    }
    tell_restore(&totals, settings->is_json, data);
    return output_finish(EXIT_OK);
}

int cli_restore(int argc, char **argv)
{
    struct restore_settings settings = {.max_rate_mb = 0};
    struct option_set set = {"Options", restore_specs,
                             sizeof restore_specs / sizeof restore_specs[0], &settings};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&restore_page, &set, 1, argc, argv, &arguments, &code)) {
        code = arguments.count != 2
                   ? options_fail(&restore_page, "give the backup and the new data directory: "
                                                 "tidings restore DIR DATA")
                   : run_restore(&settings, arguments.items[0], arguments.items[1]);
    }
    text_list_deinit(&arguments);
    return code;
}
