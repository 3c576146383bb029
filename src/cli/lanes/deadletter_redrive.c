#include "cli/lanes/deadletter.h"

#include "base/clock.h"
#include "base/time_text.h"
#include "bus/dead/dead_json.h"
#include "bus/dead/dead_republish.h"
#include "cli/base/cli.h"
#include "cli/base/interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redrive_options {
    struct dead_options dead;
    const char *plan;
    const char *rate_text;
    int64_t rate;
    bool is_all, is_dry, is_republish, may_others_see;
};

static const struct help_page page = {
    .name = "tidings deadletter redrive",
    .usage = "GROUP (ID... | --cause ... | --all | --plan ID) [OPTIONS]",
    .about =
        "Has the group's service handle dead letters once more, in the order of their keys, the\n"
        "head of each lane first; what waits behind a head follows when it is done. It is an\n"
        "instruction to the owner of the lane: other groups and the topic itself see nothing. What "
        "is\n"
        "done, discarded or under way is left out. Nothing is deleted.\n"
        "--dry-run tells what it would do and keeps that as a plan; --plan runs exactly that. A "
        "plan\n"
        "may be run again, after a kill too: what was tried is not tried twice, and what the "
        "owner\n"
        "refused is asked for again. Ctrl-C and\n"
        "'deadletter tasks cancel' send no more, and wait for what is under way.\n"
        "Exit code 1: some failed again or were refused. 6: nothing was answered for --timeout; "
        "what\n"
        "was sent stays, and is carried out when the service runs.",
    .examples = "  tidings deadletter redrive email --cause 5b07 --dry-run\n"
                "  tidings deadletter redrive email --plan 0123456789abcdef --rate 50/s\n"
                "  tidings deadletter redrive email 3:41\n",
};

static const struct option_spec specs[] = {
    {0, "all", NULL, OPTION_FLAG, offsetof(struct redrive_options, is_all), 0, 0,
     "all that are open or failed again"},
    {'n', "dry-run", NULL, OPTION_FLAG, offsetof(struct redrive_options, is_dry), 0, 0,
     "tell how many events and lanes, and keep the plan; redrive nothing"},
    {0, "plan", "ID", OPTION_TEXT, offsetof(struct redrive_options, plan), 0, 0,
     "run this plan of --dry-run, or of an earlier redrive"},
    {0, "rate", "N/s", OPTION_TEXT, offsetof(struct redrive_options, rate_text), 0, 0,
     "so many dead letters a second at most (default: as fast as it goes);\n"
     "what waits behind them follows as the service takes it"},
    {0, "republish", NULL, OPTION_FLAG, offsetof(struct redrive_options, is_republish), 0, 0,
     "for a group without key lanes: publish the events to their topics\n"
     "again, with the header tidings-redrive-for"},
    {0, "others-will-see-it", NULL, OPTION_FLAG, offsetof(struct redrive_options, may_others_see),
     0, 0, "with --republish: yes, all groups that read there see them"},
};

struct redriving {
    const struct redrive_options *options;
    struct dead_reading reading;
    struct dead_plan plan;
    struct interrupt interrupt;
    size_t changed; /* left out of a plan, since something became of them meanwhile */
};

static bool take(void *context, const struct dead_seen *seen)
{
    struct redriving *redriving = context;
    const struct dead_options *dead = &redriving->options->dead;
    bool is_named = dead->ids.count > 0 || dead->choose.states.count > 0;
    dead_plan_take(&redriving->plan, seen, is_named);
    return true;
}

/* --- plans --- */

static int make_plan(struct redriving *redriving)
{
    const struct redrive_options *options = redriving->options;
    struct dead_writer *writer = NULL;
    struct client_error error;
    char who[DEAD_WHO_SIZE];
    dead_plan_init(&redriving->plan);
    int code = dead_reading_each(&redriving->reading, &options->dead, take, redriving);
    dead_plan_sort(&redriving->plan);
    if (code != EXIT_OK || redriving->plan.choices.count == 0) {
        return code;
    }
    code = dead_writing_open(&options->dead, &writer);
    if (code == EXIT_OK && dead_plan_store(&redriving->plan, writer, dead_who(who),
                                           clock_wall_ms(clock_system()), &error) != CLIENT_OK) {
        code = bus_fail(&error, "keep the plan");
    }
    return dead_writing_close(&options->dead, writer, code);
}

static int load_plan(struct redriving *redriving)
{
    struct client_error error;
    struct dead_view *view = &redriving->reading.view;
    if (dead_plan_load(view, redriving->options->plan, &redriving->plan, &error) != CLIENT_OK) {
        return bus_fail(&error, "load the plan");
    }
    redriving->changed = dead_plan_check(&redriving->plan, view->index);
    return EXIT_OK;
}

static void print_passed(const struct redriving *redriving)
{
    const struct dead_plan *plan = &redriving->plan;
    for (int state = 0; state < DEAD_STATES; state++) {
        if (plan->passed[state] > 0) {
            output_text(stderr, "passed over: %lld %s\n", (long long)plan->passed[state],
                        dead_state_name((enum dead_state)state));
        }
    }
    if (plan->nameless > 0) {
        output_text(stderr, "passed over: %lld of other tools, which do not say their source\n",
                    (long long)plan->nameless);
    }
    if (redriving->changed > 0) {
        output_text(stderr, "passed over: %zu of the plan that were treated since\n",
                    redriving->changed);
    }
}

static void print_plan(const struct redriving *redriving)
{
    const struct dead_plan *plan = &redriving->plan;
    size_t count = plan->choices.count;
    char first[TIME_TEXT_SIZE], last[TIME_TEXT_SIZE];
    if (redriving->options->dead.bus.is_json) {
        output_json(dead_plan_to_json(&redriving->plan, redriving->options->dead.group,
                                      redriving->changed));
        return;
    }
    print_passed(redriving);
    output_text(stdout, "%zu event%s of %zu lane%s", count, plural_s(count), plan->lanes,
                plural_s(plan->lanes));
    if (plan->first_ms >= 0) {
        output_text(stdout, ", given up from %s to %s", time_format(plan->first_ms, first),
                    time_format(plan->last_ms, last));
    }
    output_text(stdout, "\n");
    if (count > 0) {
        output_text(stdout, "plan %s; run it with: tidings deadletter redrive %s --plan %s%s\n",
                    plan->id, redriving->options->dead.group, plan->id,
                    redriving->options->is_republish ? " --republish" : "");
    }
}

/* --- running --- */

static bool on_run(void *context, const struct dead_fact *task)
{
    struct redriving *redriving = context;
    char things[96];
    snprintf(things, sizeof things, "events (%lld failed again, %lld refused)",
             (long long)task->failed, (long long)task->refused);
    progress_show_count(&redriving->reading.progress, "redriven", things,
                        task->done + task->failed + task->refused, task->total);
    return !interrupt_is_raised(&redriving->interrupt);
}

static int tell_run(struct redriving *redriving, const struct dead_run *run, int code)
{
    const struct dead_fact *task = &run->task;
    bool is_republish = redriving->options->is_republish;
    if (redriving->options->dead.bus.is_json) {
        json_t *json =
            dead_plan_to_json(&redriving->plan, redriving->options->dead.group, redriving->changed);
        json_object_set_new(json, "task", json_string(task->id));
        json_object_set_new(json, "state", json_string(task->state));
        json_object_set_new(json, "sent", json_integer((json_int_t)task->sent));
        json_object_set_new(json, "done", json_integer((json_int_t)task->done));
        json_object_set_new(json, "failed_again", json_integer((json_int_t)task->failed));
        json_object_set_new(json, "refused", json_integer((json_int_t)task->refused));
        output_json(json);
    } else {
        print_passed(redriving);
        if (is_republish) {
            output_text(stdout, "task %s %s: %lld of %lld event%s published again\n", task->id,
                        task->state, (long long)task->sent, (long long)task->total,
                        plural_s((uint64_t)task->total));
        } else {
            output_text(stdout,
                        "task %s %s: %lld of %lld event%s sent, %lld done, %lld failed again, %lld "
                        "refused\n",
                        task->id, task->state, (long long)task->sent, (long long)task->total,
                        plural_s((uint64_t)task->total), (long long)task->done,
                        (long long)task->failed, (long long)task->refused);
        }
    }
    if (code != EXIT_OK) {
        return code;
    }
    if (task->failed + task->refused > 0) {
        return cli_fail(EXIT_FAILED, "see them with: tidings deadletter list GROUP",
                        "%lld failed again and %lld were refused; the last one: %s",
                        (long long)task->failed, (long long)task->refused, run->why);
    }
    return EXIT_OK;
}

static int run_plan(struct redriving *redriving)
{
    const struct redrive_options *options = redriving->options;
    struct client_error error;
    char who[DEAD_WHO_SIZE];
    struct dead_run run = {.connection = &redriving->reading.settings,
                           .group = options->dead.group,
                           .plan = &redriving->plan,
                           .rate = options->rate,
                           .who = dead_who(who),
                           .progress = on_run,
                           .context = redriving};
    interrupt_init(&redriving->interrupt);
    progress_init(&redriving->reading.progress);
    enum client_status status = options->is_republish
                                    ? dead_republish(&run, &redriving->reading.view, &error)
                                    : dead_run(&run, &error);
    progress_clear(&redriving->reading.progress);
    interrupt_deinit(&redriving->interrupt);
    int code = status == CLIENT_OK ? EXIT_OK : bus_fail(&error, "redrive all of it");
    return run.task.state != NULL ? tell_run(redriving, &run, code) : code;
}

/* Who else would see what is published again. */
static int check_others(struct redriving *redriving)
{
    const struct redrive_options *options = redriving->options;
    struct client_error error;
    struct dead_readers readers;
    size_t others = 0;
    int code = dead_readers_find(&redriving->reading.settings, &redriving->plan, &readers,
                                 &error) == CLIENT_OK
                   ? EXIT_OK
                   : bus_fail(&error, "look who reads there");
    for (size_t i = 0; code == EXIT_OK && i < readers.count; i++) {
        if (strcmp(readers.items[i].group, options->dead.group) != 0) {
            output_text(stderr, "group %s reads topic %s, and will see the events again\n",
                        readers.items[i].group, readers.items[i].topic);
            others++;
        }
    }
    dead_readers_deinit(&readers);
    if (code == EXIT_OK && !options->may_others_see) {
        code = cli_fail(EXIT_CONFLICT, "if that is right, add --others-will-see-it",
                        "%zu event%s would be published again, for all who read there: %zu other "
                        "group%s now. Nothing was done",
                        redriving->plan.choices.count, plural_s(redriving->plan.choices.count),
                        others, plural_s(others));
    }
    return code;
}

static int check_way(const struct redriving *redriving)
{
    const struct redrive_options *options = redriving->options;
    bool has_lanes = redriving->reading.view.has_lanes;
    if (!has_lanes && !options->is_republish) {
        return cli_fail(EXIT_NOT_FOUND,
                        "a service without key lanes can only be given events by publishing them "
                        "again: --republish",
                        "group '%s' has no lanes: there is no topic '%s'", options->dead.group,
                        redriving->reading.view.lanes_topic);
    }
    if (has_lanes && options->is_republish) {
        return cli_fail(EXIT_CONFLICT, "leave --republish out",
                        "group '%s' has key lanes: its own service can redrive these, in order",
                        options->dead.group);
    }
    return EXIT_OK;
}

static int run(const struct redrive_options *options)
{
    struct redriving redriving = {.options = options};
    int code = dead_reading_open(&redriving.reading, &options->dead);
    if (code == EXIT_OK) {
        code = check_way(&redriving);
    }
    if (code == EXIT_OK) {
        code = options->plan != NULL ? load_plan(&redriving) : make_plan(&redriving);
    }
    bool is_empty = redriving.plan.choices.count == 0;
    if (code == EXIT_OK && (options->is_dry || is_empty)) {
        print_plan(&redriving);
    } else if (code == EXIT_OK) {
        code = options->is_republish ? check_others(&redriving) : EXIT_OK;
        code = code == EXIT_OK ? run_plan(&redriving) : code;
    }
    dead_plan_deinit(&redriving.plan);
    dead_reading_close(&redriving.reading);
    return output_finish(code);
}

static int check(struct redrive_options *options)
{
    const struct dead_options *dead = &options->dead;
    bool has_choice = dead_options_choose(dead);
    if (options->plan != NULL && (has_choice || options->is_all || options->is_dry)) {
        return options_fail(&page, "--plan says all: no IDs, conditions, --all or --dry-run");
    }
    if (options->is_all && has_choice) {
        return options_fail(&page, "--all leaves nothing to choose");
    }
    if (options->plan == NULL && !has_choice && !options->is_all) {
        return options_fail(&page, "redrive which? Name IDs, choose by --cause, --where ..., or "
                                   "give --all");
    }
    if (options->rate_text != NULL) {
        char *end;
        options->rate = strtoll(options->rate_text, &end, 10);
        if (options->rate < 1 || options->rate > 1000000 ||
            (*end != '\0' && strcmp(end, "/s") != 0)) {
            return options_fail(&page, "--rate is a number of events a second (50/s), not '%s'",
                                options->rate_text);
        }
        if (options->is_republish) {
            return options_fail(&page, "--republish has no --rate");
        }
    }
    if (options->may_others_see && !options->is_republish) {
        return options_fail(&page, "--others-will-see-it goes with --republish");
    }
    return EXIT_OK;
}

int deadletter_command_redrive(int argc, char **argv)
{
    struct redrive_options options = {.dead = dead_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                dead_choose_set(&options.dead),
                                dead_group_set(&options.dead),
                                bus_option_set(&options.dead.bus)};
    int code;
    if (options_parse(&page, sets, 4, argc, argv, &options.dead.arguments, &code)) {
        code = dead_options_check(&page, &options.dead);
        code = code == EXIT_OK ? check(&options) : code;
        code = code == EXIT_OK ? run(&options) : code;
    }
    text_list_deinit(&options.dead.arguments);
    dead_options_deinit(&options.dead);
    options_deinit(sets, 4);
    return code;
}
