#include "cli/lanes/deadletter.h"

#include "bus/dead/dead_discard.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <string.h>

struct discard_options {
    struct dead_options dead;
    const char *why;
    const char *lane;
    bool is_execute;
    bool is_undo;
};

static const struct help_page page = {
    .name = "tidings deadletter discard",
    .usage = "GROUP ID... --why TEXT [OPTIONS]",
    .about =
        "Says that dead letters are not to be tried again. Nothing is deleted: who did it, when "
        "and\n"
        "why is kept with them, and --undo takes it back. A lane that is closed because of one is\n"
        "opened without it by its owner, so that what waits behind it is handled; with --lane "
        "leave\n"
        "it stays closed. Chosen by anything else than IDs, it only tells what it would do, "
        "unless\n"
        "--execute is given.",
    .examples = "  tidings deadletter discard email 3:41 --why 'the address never existed'\n"
                "  tidings deadletter discard email --cause 5b07 --why 'test orders' --execute\n"
                "  tidings deadletter discard email 3:41 --undo\n",
};

static const struct option_spec specs[] = {
    {0, "why", "TEXT", OPTION_TEXT, offsetof(struct discard_options, why), 0, 0,
     "the reason, for who asks later"},
    {0, "lane", "WHAT", OPTION_TEXT, offsetof(struct discard_options, lane), 0, 0,
     "open (default): what waits behind it is handled; leave: it stays closed"},
    {0, "undo", NULL, OPTION_FLAG, offsetof(struct discard_options, is_undo), 0, 0,
     "take it back: they are open again"},
    {0, "execute", NULL, OPTION_FLAG, offsetof(struct discard_options, is_execute), 0, 0,
     "do it, when they are not chosen by ID"},
};

struct discarding {
    const struct discard_options *options;
    struct dead_discards discards;
};

static bool take(void *context, const struct dead_seen *seen)
{
    struct discarding *discarding = context;
    dead_discards_take(&discarding->discards, seen);
    return true;
}

static int execute(struct dead_reading *reading, struct discarding *discarding)
{
    struct client_error error;
    char who[DEAD_WHO_SIZE];
    const struct discard_options *options = discarding->options;
    bool opens_lanes = options->lane == NULL || strcmp(options->lane, "leave") != 0;
    return dead_discards_do(&discarding->discards, &reading->settings, options->dead.group,
                            dead_who(who), options->why, opens_lanes, &error) == CLIENT_OK
               ? EXIT_OK
               : bus_fail(&error, "discard dead letters of group '%s'", options->dead.group);
}

static void tell_lanes(const struct discarding *discarding)
{
    int64_t counts[3];
    for (int opened = DEAD_NOT_OPENED; opened <= DEAD_OPENED; opened++) {
        counts[opened] = dead_discards_opened(&discarding->discards, (enum dead_opened)opened);
    }
    if (counts[DEAD_OPENED] > 0) {
        output_text(stdout, "%lld lane%s opened: what waits behind is handled\n",
                    (long long)counts[DEAD_OPENED], counts[DEAD_OPENED] == 1 ? " is" : "s are");
    }
    if (counts[DEAD_TO_BE_OPENED] > 0) {
        output_text(stdout, "%lld lane%s opened when the service comes to it\n",
                    (long long)counts[DEAD_TO_BE_OPENED],
                    counts[DEAD_TO_BE_OPENED] == 1 ? " is" : "s are");
    }
    if (counts[DEAD_NOT_OPENED] > 0) {
        output_text(stdout,
                    "%lld lane%s closed: what comes behind waits until it is opened with: "
                    "tidings lanes skip\n",
                    (long long)counts[DEAD_NOT_OPENED],
                    counts[DEAD_NOT_OPENED] == 1 ? " stays" : "s stay");
    }
}

static void tell(const struct discarding *discarding, bool is_done)
{
    const struct discard_options *options = discarding->options;
    const char *what = options->is_undo ? "open again" : "discarded";
    long long count = (long long)discarding->discards.list.count;
    if (options->dead.bus.is_json) {
        json_t *list = json_array();
        char place[DEAD_PLACE_SIZE];
        for (size_t i = 0; i < discarding->discards.list.count; i++) {
            json_array_append_new(
                list, json_string(dead_place_text(discarding->discards.list.items[i].id, place)));
        }
        output_json(json_pack("{s:o,s:b,s:o,s:I,s:I}", "group",
                              output_json_text(options->dead.group), "executed", (int)is_done,
                              options->is_undo ? "undone" : "discarded", list, "passed_over",
                              (json_int_t)discarding->discards.passed, "closed_lanes",
                              (json_int_t)discarding->discards.lanes));
        return;
    }
    output_text(stdout, "%lld event%s %s %s\n", count, plural_s((uint64_t)count),
                is_done ? (count == 1 ? "is" : "are") : "would be", what);
    if (discarding->discards.passed > 0) {
        output_text(stdout, "%lld passed over: %s\n", (long long)discarding->discards.passed,
                    options->is_undo ? "not discarded" : "done, under way, or discarded already");
    }
    if (is_done && !options->is_undo) {
        tell_lanes(discarding);
    }
    if (!is_done) {
        output_text(stdout, "nothing was changed; add --execute to do it\n");
    }
}

static int run(const struct discard_options *options)
{
    struct dead_reading reading;
    struct discarding discarding = {.options = options, .discards.is_undo = options->is_undo};
    bool is_execute = options->is_execute || options->dead.ids.count > 0;
    int code = dead_reading_open(&reading, &options->dead);
    if (code == EXIT_OK) {
        code = dead_reading_each(&reading, &options->dead, take, &discarding);
    }
    if (code == EXIT_OK && is_execute && discarding.discards.list.count > 0) {
        code = execute(&reading, &discarding);
    }
    if (code == EXIT_OK) {
        tell(&discarding, is_execute);
    }
    dead_discards_deinit(&discarding.discards);
    dead_reading_close(&reading);
    return output_finish(code);
}

int deadletter_command_discard(int argc, char **argv)
{
    struct discard_options options = {.dead = dead_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                dead_choose_set(&options.dead),
                                dead_group_set(&options.dead),
                                bus_option_set(&options.dead.bus)};
    int code;
    if (options_parse(&page, sets, 4, argc, argv, &options.dead.arguments, &code)) {
        code = dead_options_check(&page, &options.dead);
        if (code == EXIT_OK && !dead_options_choose(&options.dead)) {
            code =
                options_fail(&page, "discard which? Name IDs, or choose by --cause, --where ...");
        } else if (code == EXIT_OK && options.lane != NULL && strcmp(options.lane, "open") != 0 &&
                   strcmp(options.lane, "leave") != 0) {
            code = options_fail(&page, "--lane is open or leave, not '%s'", options.lane);
        } else if (code == EXIT_OK && options.why == NULL && !options.is_undo) {
            code = options_fail(&page, "give the reason with --why");
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
