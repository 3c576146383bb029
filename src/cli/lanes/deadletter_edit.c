#include "cli/lanes/deadletter.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What people add to dead letters: another payload, and notes. */

struct edit_options {
    struct dead_options dead;
    const char *file;
    const char *value;
    bool is_tombstone;
};

static const struct help_page edit_page = {
    .name = "tidings deadletter edit",
    .usage = "GROUP ID --payload FILE [OPTIONS]",
    .about =
        "Gives a dead letter another payload, which a redrive of it takes. The original stays:\n"
        "'deadletter show' has both. Key and headers are not changed. The last edit counts.",
    .examples = "  tidings deadletter show email 3:41 --json | jq -r '.[].value' > order.json\n"
                "  tidings deadletter edit email 3:41 --payload order.json\n",
};

static const struct option_spec edit_specs[] = {
    {'f', "payload", "FILE", OPTION_TEXT, offsetof(struct edit_options, file), 0, 0,
     "the new payload, byte for byte; - for standard input"},
    {0, "value", "TEXT", OPTION_TEXT, offsetof(struct edit_options, value), 0, 0,
     "the new payload as an argument"},
    {0, "tombstone", NULL, OPTION_FLAG, offsetof(struct edit_options, is_tombstone), 0, 0,
     "no payload at all"},
};

/* Told when it fails. */
static int read_file(const char *path, struct buf *payload)
{
    enum { PIECE = 65536, MOST = 100000000 };
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    if (file == NULL) {
        return cli_fail(EXIT_USAGE, NULL, "cannot read '%s': %s", path, strerror(errno));
    }
    size_t got = PIECE;
    while (got > 0 && payload->size <= MOST) {
        buf_reserve(payload, PIECE);
        got = fread(payload->data + payload->size, 1, PIECE, file);
        payload->size += got;
    }
    int code = ferror(file) ? cli_fail(EXIT_USAGE, NULL, "cannot read '%s'", path) : EXIT_OK;
    if (code == EXIT_OK && payload->size > MOST) {
        code = cli_fail(EXIT_USAGE, NULL, "'%s' has more than %d bytes", path, MOST);
    }
    if (!is_input) {
        fclose(file);
    }
    return code;
}

struct editing {
    const struct edit_options *options;
    struct slice payload;
    struct dead_writer *writer;
    int code;
    struct dead_place id;
};

static bool edit_one(void *context, const struct dead_seen *seen)
{
    struct editing *editing = context;
    struct client_error error;
    char who[DEAD_WHO_SIZE];
    editing->id = seen->its->first;
    if (seen->state == DEAD_IS_DONE || seen->state == DEAD_RUNNING ||
        seen->state == DEAD_REQUESTED) {
        editing->code = cli_fail(EXIT_CONFLICT, NULL, "it is %s: nothing was changed",
                                 seen->state == DEAD_IS_DONE ? "done" : "being redriven");
    } else if (dead_writer_edit(editing->writer, seen->subject.letter, editing->payload,
                                dead_who(who), &error) != CLIENT_OK) {
        editing->code = bus_fail(&error, "write the edited letter");
    }
    return true;
}

static int edit(struct editing *editing)
{
    const struct dead_options *dead = &editing->options->dead;
    struct dead_reading reading;
    char id[DEAD_PLACE_SIZE], edited[DEAD_PLACE_SIZE];
    int code = dead_reading_open(&reading, dead);
    if (code == EXIT_OK) {
        code = dead_writing_open(dead, &editing->writer);
    }
    if (code == EXIT_OK) {
        code = dead_reading_each(&reading, dead, edit_one, editing);
        code = code == EXIT_OK ? editing->code : code;
    }
    struct client_error error;
    if (code == EXIT_OK && dead_writer_flush(editing->writer, &error) != CLIENT_OK) {
        code = bus_fail(&error, "write the edited letter");
    }
    if (code == EXIT_OK) {
        dead_place_text(editing->id, id);
        dead_place_text(dead_writer_edited(editing->writer), edited);
        if (dead->bus.is_json) {
            output_json(json_pack("{s:o,s:s,s:s}", "group", output_json_text(dead->group), "id", id,
                                  "edited", edited));
        } else {
            output_text(stdout, "%s has another payload (kept as %s); a redrive takes it\n", id,
                        edited);
        }
    }
    dead_writer_close(editing->writer);
    dead_reading_close(&reading);
    return output_finish(code);
}

static int run_edit(const struct edit_options *options)
{
    struct buf payload = {0};
    struct editing editing = {.options = options};
    int code = options->file != NULL ? read_file(options->file, &payload) : EXIT_OK;
    editing.payload = options->is_tombstone    ? (struct slice){0}
                      : options->value != NULL ? slice_str(options->value)
                                               : buf_slice(&payload);
    code = code == EXIT_OK ? edit(&editing) : code;
    buf_deinit(&payload);
    return code;
}

int deadletter_command_edit(int argc, char **argv)
{
    struct edit_options options = {.dead = dead_options_default()};
    struct option_set sets[] = {
        {"Options", edit_specs, sizeof edit_specs / sizeof edit_specs[0], &options},
        dead_group_set(&options.dead),
        bus_option_set(&options.dead.bus)};
    int code;
    if (options_parse(&edit_page, sets, 3, argc, argv, &options.dead.arguments, &code)) {
        int given = (options.file != NULL) + (options.value != NULL) + options.is_tombstone;
        code = dead_options_check(&edit_page, &options.dead);
        if (code == EXIT_OK && options.dead.ids.count != 1) {
            code = options_fail(&edit_page, "edit which? One letter at a time");
        } else if (code == EXIT_OK && given != 1) {
            code = options_fail(&edit_page, "give the payload with --payload, --value or "
                                            "--tombstone: one of them");
        }
        if (code == EXIT_OK) {
            code = run_edit(&options);
        }
    }
    text_list_deinit(&options.dead.arguments);
    dead_options_deinit(&options.dead);
    options_deinit(sets, 3);
    return code;
}

/* --- notes --- */

struct note_options {
    struct dead_options dead;
    const char *text;
    const char *cause;
};

static const struct help_page note_page = {
    .name = "tidings deadletter note",
    .usage = "GROUP (ID... | --cause FINGERPRINT) --text TEXT [OPTIONS]",
    .about =
        "Writes down what is known of dead letters, or of all of one cause: 'deadletter show'\n"
        "and 'deadletter list' tell it.",
    .examples = "  tidings deadletter note email --cause 5b07 --text 'fixed in release 41'\n",
};

static const struct option_spec note_specs[] = {
    {0, "text", "TEXT", OPTION_TEXT, offsetof(struct note_options, text), 0, 0, "the note"},
    {0, "cause", "FINGERPRINT", OPTION_TEXT, offsetof(struct note_options, cause), 0, 0,
     "a cause, its first letters are enough"},
};

struct noting {
    const struct note_options *options;
    struct dead_writer *writer;
    char cause[33];
    bool is_ambiguous;
    int64_t count;
    int code;
};

static void put_note(struct noting *noting, struct dead_event event, const char *cause)
{
    struct client_error error;
    char who[DEAD_WHO_SIZE];
    struct dead_fact fact = {.kind = DEAD_FACT_NOTE,
                             .event = event,
                             .time_ms = clock_wall_ms(clock_system()),
                             .who = dead_who(who),
                             .text = noting->options->text};
    dead_id_draw(fact.id);
    snprintf(fact.cause, sizeof fact.cause, "%s", cause);
    noting->count++;
    if (dead_writer_put(noting->writer, &fact, &error) != CLIENT_OK && noting->code == EXIT_OK) {
        noting->code = bus_fail(&error, "write the note");
    }
}

static bool note_one(void *context, const struct dead_seen *seen)
{
    struct noting *noting = context;
    const char *cause = seen->subject.letter->fingerprint;
    if (noting->options->cause == NULL) {
        put_note(noting, seen->event, "");
    } else if (noting->cause[0] == '\0') {
        snprintf(noting->cause, sizeof noting->cause, "%s", cause);
    } else {
        noting->is_ambiguous |= strcmp(noting->cause, cause) != 0;
    }
    return true;
}

static int note_cause(struct noting *noting)
{
    const char *cause = noting->options->cause;
    if (noting->cause[0] == '\0') {
        return cli_fail(EXIT_NOT_FOUND, NULL, "no dead letter has a cause that begins with '%s'",
                        cause);
    }
    if (noting->is_ambiguous) {
        return cli_fail(EXIT_CONFLICT, "give more of its letters", "several causes begin with '%s'",
                        cause);
    }
    put_note(noting, (struct dead_event){0}, noting->cause);
    return noting->code;
}

static int run_note(const struct note_options *options)
{
    struct dead_reading reading;
    struct noting noting = {.options = options};
    int code = dead_reading_open(&reading, &options->dead);
    if (code == EXIT_OK) {
        code = dead_writing_open(&options->dead, &noting.writer);
    }
    if (code == EXIT_OK) {
        code = dead_reading_each(&reading, &options->dead, note_one, &noting);
    }
    if (code == EXIT_OK) {
        code = options->cause != NULL ? note_cause(&noting) : noting.code;
    }
    code = dead_writing_close(&options->dead, noting.writer, code);
    if (code == EXIT_OK && options->dead.bus.is_json) {
        output_json(json_pack("{s:o,s:I}", "group", output_json_text(options->dead.group), "notes",
                              (json_int_t)noting.count));
    } else if (code == EXIT_OK) {
        output_text(stdout, "noted\n");
    }
    dead_reading_close(&reading);
    return output_finish(code);
}

int deadletter_command_note(int argc, char **argv)
{
    struct note_options options = {.dead = dead_options_default()};
    struct option_set sets[] = {
        {"Options", note_specs, sizeof note_specs / sizeof note_specs[0], &options},
        dead_group_set(&options.dead),
        bus_option_set(&options.dead.bus)};
    int code;
    if (options_parse(&note_page, sets, 3, argc, argv, &options.dead.arguments, &code)) {
        if (options.cause != NULL) {
            text_list_add(&options.dead.choose.causes, options.cause);
        }
        code = dead_options_check(&note_page, &options.dead);
        if (code == EXIT_OK && (options.dead.ids.count > 0) == (options.cause != NULL)) {
            code = options_fail(&note_page, "note on which? Name IDs, or a --cause");
        } else if (code == EXIT_OK && (options.text == NULL || options.text[0] == '\0')) {
            code = options_fail(&note_page, "give the note with --text");
        }
        if (code == EXIT_OK) {
            code = run_note(&options);
        }
    }
    text_list_deinit(&options.dead.choose.causes);
    text_list_deinit(&options.dead.arguments);
    dead_options_deinit(&options.dead);
    options_deinit(sets, 3);
    return code;
}
