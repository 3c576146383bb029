#include "cli/lanes/lanes.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/progress.h"
#include "cli/bus/reset_target.h"
#include "cli/lanes/deadletter.h"
#include "client/lane_kafka/lane_word.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words to lanes: retry, skip, hold, release. */

struct say_options {
    struct lanes_options lanes;
    const char *why;
    int64_t offset;
    bool is_all, is_execute;
    enum lane_verb verb;
};

/* One lane, and what its owner said. */
struct target {
    struct lane_seen lane; /* owned: topic and key */
    bool is_guess;         /* this partition may have no such lane */
    bool is_ended;
    enum lane_outcome outcome; /* 0: none */
    struct client_error error; /* why not */
    char text[256];
};

struct saying {
    const struct say_options *options;
    VEC(struct target) targets;
    struct lane_words *words;
    size_t ended;
    char who[DEAD_WHO_SIZE];
};

/* --- which lanes --- */

static void add(struct saying *saying, const char *topic, int32_t partition, struct lane_name name,
                int64_t head, bool is_guess)
{
    struct target *target = vec_add(&saying->targets);
    struct lane_seen *lane = &target->lane;
    lane->topic = mem_strdup(topic);
    lane->partition = partition;
    lane->name.offset = name.offset;
    if (!slice_is_null(name.key)) {
        buf_append_slice(&lane->key, name.key);
        lane->name.key = lane->key.size > 0 ? buf_slice(&lane->key) : slice_str("");
    }
    lane->head = head;
    target->is_guess = is_guess;
}

/* Whether the word could do anything there. */
static bool is_of_use(enum lane_verb verb, const struct lane_seen *lane)
{
    switch (verb) {
    case LANE_SAY_SKIP:
        return lane->head >= 0;
    case LANE_SAY_HOLD:
        return !lane->note.is_held;
    case LANE_SAY_RELEASE:
        return lane->note.is_held;
    default:
        return !lane->note.is_parked;
    }
}

static bool has_target(const struct saying *saying, const char *topic, int32_t partition,
                       struct slice key)
{
    bool is_there = false;
    for (size_t i = 0; i < saying->targets.count; i++) {
        const struct lane_seen *lane = &saying->targets.items[i].lane;
        is_there |= lane->partition == partition && strcmp(lane->topic, topic) == 0 &&
                    slice_equal(lane->name.key, key) && !slice_is_null(lane->name.key);
    }
    return is_there;
}

static void choose_listed(struct saying *saying, const struct lane_view *view)
{
    for (size_t i = 0; i < view->lanes.count; i++) {
        const struct lane_seen *lane = &view->lanes.items[i];
        if (lanes_options_mean(&saying->options->lanes, lane) &&
            is_of_use(saying->options->verb, lane)) {
            add(saying, lane->topic, lane->partition, lane->name, lane->head, false);
        }
    }
}

/* Keys that are not listed: who publishes chooses the partition, so each of them is asked. */
static int choose_keys(struct saying *saying)
{
    const struct lanes_options *options = &saying->options->lanes;
    struct connection *connection;
    struct topic_partitions list = {0};
    int code = bus_open(&options->bus, &connection);
    for (size_t i = 0; code == EXIT_OK && i < options->topics.count; i++) {
        char topic[RESET_TOPIC_SIZE];
        int32_t partition = -1;
        code = reset_target_parse(options->topics.items[i], topic, &partition, NULL) == ERR_NONE
                   ? bus_partitions(connection, topic, partition, &list)
                   : EXIT_USAGE; /* checked before */
    }
    for (size_t i = 0; code == EXIT_OK && i < list.count; i++) {
        for (size_t k = 0; k < options->keys.count; k++) {
            const struct lane_name name = {slice_str(options->keys.items[k]), -1};
            const struct topic_partition *at = &list.items[i];
            if (!has_target(saying, at->topic, at->partition, name.key)) {
                add(saying, at->topic, at->partition, name, -1, true);
            }
        }
    }
    connection_close(connection);
    topic_partitions_deinit(&list);
    return code;
}

/* The one event that --offset names, whether its lane is listed or not. */
static void choose_offset(struct saying *saying)
{
    const struct lanes_options *options = &saying->options->lanes;
    char topic[RESET_TOPIC_SIZE];
    int32_t partition;
    int64_t offset = saying->options->offset;
    struct lane_name name = {.offset = offset};
    if (options->keys.count > 0) {
        name = (struct lane_name){slice_str(options->keys.items[0]), -1};
    }
    if (reset_target_parse(options->topics.items[0], topic, &partition, NULL) == ERR_NONE) {
        add(saying, topic, partition, name, offset, false);
    }
}

static int choose(struct saying *saying)
{
    const struct say_options *options = saying->options;
    struct lane_view view;
    bool is_skip = options->verb == LANE_SAY_SKIP;
    if (is_skip && options->offset >= 0) {
        choose_offset(saying);
        return EXIT_OK;
    }
    int code = lanes_load(&options->lanes, false, &view);
    if (code == EXIT_OK) {
        choose_listed(saying, &view);
    }
    lane_view_deinit(&view);
    bool knows_key = options->lanes.keys.count > 0 && options->lanes.topics.count > 0 &&
                     options->lanes.wheres.count == 0;
    if (code == EXIT_OK && knows_key && !is_skip) {
        code = choose_keys(saying);
    }
    if (code == EXIT_OK && saying->targets.count == 0) {
        code = cli_fail(EXIT_NOT_FOUND,
                        is_skip ? "see them with: tidings lanes list GROUP; a head that is not "
                                  "listed is named by --topic TOPIC:N --key KEY --offset N"
                                : "see them with: tidings lanes list GROUP; a key without a listed "
                                  "lane is reached with --topic TOPIC --key KEY",
                        "group '%s' has no such open lane", options->lanes.group);
    }
    return code;
}

/* --- saying it --- */

static void on_replied(void *context, const struct lane_reply *reply)
{
    struct saying *saying = context;
    struct target *target = &saying->targets.items[(size_t)(uintptr_t)reply->token];
    target->is_ended = true;
    saying->ended++;
    if (reply->answer != NULL) {
        target->outcome = reply->answer->outcome;
        snprintf(target->text, sizeof target->text, "%.*s", SLICE_ARGS(reply->answer->text));
    } else {
        target->error = *reply->error;
    }
}

static enum client_status say_one(struct saying *saying, size_t index, struct client_error *error)
{
    const struct say_options *options = saying->options;
    const struct lane_seen *lane = &saying->targets.items[index].lane;
    const struct lane_word word = {.verb = options->verb,
                                   .name = lane->name,
                                   .head = options->verb == LANE_SAY_SKIP ? lane->head : -1,
                                   .who = slice_str(saying->who),
                                   .why = slice_str(options->why != NULL ? options->why : "")};
    return lane_words_send(saying->words, lane->topic, lane->partition, &word,
                           (void *)(uintptr_t)index, error);
}

/* Nobody has answered for a while: whether to go on waiting. */
static bool waits_on(struct saying *saying, int64_t silent_ms, int64_t *ask_ms,
                     struct client_error *error)
{
    enum { GRACE_MS = 5000, AGAIN_MS = 1000 }; /* a service that is started again is away so long */
    int64_t most_ms = saying->options->lanes.bus.timeout_ms;
    int64_t least_ms = most_ms < GRACE_MS ? most_ms : GRACE_MS;
    if (lane_words_unwritten(saying->words) > 0 || silent_ms < least_ms || silent_ms < *ask_ms) {
        return true;
    }
    *ask_ms = silent_ms + AGAIN_MS;
    int members;
    (void)lane_words_silence(saying->words, &members, error);
    return members != 0 && silent_ms < most_ms;
}

/* Until all have answered, or nobody has for as long as --timeout. */
static int say_all(struct saying *saying, struct progress *progress)
{
    enum { STEP_MS = 200 };
    const struct lanes_options *options = &saying->options->lanes;
    struct client_error error;
    size_t sent = 0, heard = 0, all = saying->targets.count;
    int64_t heard_ms = clock_mono_ms(clock_system()), ask_ms = 0;
    while (saying->ended < all) {
        enum client_status status = CLIENT_OK;
        while (status == CLIENT_OK && sent < all) {
            status = say_one(saying, sent, &error);
            sent += status == CLIENT_OK;
        }
        if (status != CLIENT_OK && status != CLIENT_FULL) {
            return bus_fail(&error, "say it to the lanes of group '%s'", options->group);
        }
        status = lane_words_serve(saying->words, STEP_MS, &error);
        if (status == CLIENT_FATAL) {
            return bus_fail(&error, "read the answers");
        }
        progress_show_count(progress, "heard", "answers", (int64_t)saying->ended, (int64_t)all);
        if (saying->ended > heard) {
            heard = saying->ended;
            heard_ms = clock_mono_ms(clock_system());
            ask_ms = 0;
        } else if (!waits_on(saying, clock_mono_ms(clock_system()) - heard_ms, &ask_ms, &error)) {
            return cli_fail(EXIT_TIMED_OUT, error.hint, "%s", error.text);
        }
    }
    return EXIT_OK;
}

static int say(struct saying *saying)
{
    const struct lanes_options *options = &saying->options->lanes;
    struct client_error error;
    struct progress progress;
    const struct lane_words_settings settings = {.connection = bus_settings(&options->bus),
                                                 .group = options->group,
                                                 .replied = on_replied,
                                                 .context = saying};
    if (lane_words_open(&settings, &saying->words, &error) != CLIENT_OK) {
        return bus_fail(&error, "reach the lanes of group '%s'", options->group);
    }
    progress_init(&progress);
    int code = say_all(saying, &progress);
    progress_clear(&progress);
    lane_words_close(saying->words);
    return code;
}

/* --- what came of it --- */

/* It was asked in a partition that has no such lane, and found in another. */
static bool is_beside(const struct saying *saying, const struct target *target)
{
    bool is_elsewhere = false;
    for (size_t i = 0; target->is_guess && i < saying->targets.count; i++) {
        const struct target *other = &saying->targets.items[i];
        is_elsewhere |= other->outcome == LANE_CARRIED_OUT &&
                        slice_equal(other->lane.name.key, target->lane.name.key);
    }
    return is_elsewhere && target->outcome == LANE_NOTHING_TO_DO;
}

static const char *outcome_of(const struct target *target)
{
    return target->outcome != 0                    ? lane_outcome_name(target->outcome)
           : !target->is_ended                     ? "not said"
           : target->error.status == CLIENT_CLOSED ? "no answer"
                                                   : "not written";
}

static const char *text_of(const struct target *target)
{
    return target->outcome != 0                    ? target->text
           : target->error.status == CLIENT_CLOSED ? "it stays, and is carried out when the owner "
                                                     "comes to it"
                                                   : target->error.text;
}

static void print_json(const struct saying *saying, bool is_done)
{
    json_t *list = json_array();
    for (size_t i = 0; i < saying->targets.count; i++) {
        const struct target *target = &saying->targets.items[i];
        if (is_beside(saying, target)) {
            continue;
        }
        json_t *json = json_object();
        json_object_set_new(json, "topic", output_json_text(target->lane.topic));
        json_object_set_new(json, "partition", json_integer(target->lane.partition));
        event_set_bytes(json, "key", "key_encoding", target->lane.name.key);
        json_object_set_new(json, "head", output_number_or_null(target->lane.head));
        if (is_done) {
            json_object_set_new(json, "outcome", json_string(outcome_of(target)));
            json_object_set_new(json, "text", output_json_text(text_of(target)));
        }
        json_array_append_new(list, json);
    }
    output_json(json_pack(
        "{s:o,s:s,s:b,s:o}", "group", output_json_text(saying->options->lanes.group), "word",
        lane_verb_name(saying->options->verb), "executed", (int)is_done, "lanes", list));
}

static void print_lines(const struct saying *saying, bool is_done)
{
    for (size_t i = 0; i < saying->targets.count; i++) {
        const struct target *target = &saying->targets.items[i];
        struct buf name = {0};
        if (is_beside(saying, target)) {
            continue;
        }
        lanes_name(&target->lane, &name);
        if (is_done) {
            output_text(stdout, "%s/%d, %s: %s: %s\n", target->lane.topic,
                        (int)target->lane.partition, buf_cstr(&name), outcome_of(target),
                        text_of(target));
        } else {
            output_text(stdout, "%s/%d, %s, head %lld\n", target->lane.topic,
                        (int)target->lane.partition, buf_cstr(&name), (long long)target->lane.head);
        }
        buf_deinit(&name);
    }
    if (!is_done) {
        output_text(stdout, "%zu lane%s; nothing was said; add --execute to do it\n",
                    saying->targets.count, plural_s(saying->targets.count));
    }
}

/* The worst of all: not written, refused, or a head that is another one by now. */
static int code_of(const struct saying *saying, int code)
{
    for (size_t i = 0; code == EXIT_OK && i < saying->targets.count; i++) {
        const struct target *target = &saying->targets.items[i];
        if (target->outcome == LANE_REFUSED) {
            code = EXIT_FAILED;
        } else if (target->outcome == LANE_NOTHING_TO_DO &&
                   saying->options->verb == LANE_SAY_SKIP) {
            code = EXIT_CONFLICT;
        } else if (target->outcome == 0) {
            code = bus_exit_code(target->error.status);
        }
    }
    return code;
}

static int run(const struct say_options *options)
{
    struct saying saying = {.options = options};
    bool is_done = options->lanes.keys.count > 0 || options->offset >= 0 || options->is_execute;
    dead_who(saying.who);
    int code = choose(&saying);
    bool has_any = code == EXIT_OK;
    if (has_any && is_done) {
        code = code_of(&saying, say(&saying));
    }
    if (has_any && options->lanes.bus.is_json) {
        print_json(&saying, is_done);
    } else if (has_any) {
        print_lines(&saying, is_done);
    }
    for (size_t i = 0; i < saying.targets.count; i++) {
        free(saying.targets.items[i].lane.topic);
        buf_deinit(&saying.targets.items[i].lane.key);
    }
    vec_deinit(&saying.targets);
    return output_finish(code);
}

/* --- the command line --- */

static const struct option_spec specs[] = {
    {0, "why", "TEXT", OPTION_TEXT, offsetof(struct say_options, why), 0, 0,
     "the reason: it is in the service's log"},
    {'a', "all", NULL, OPTION_FLAG, offsetof(struct say_options, is_all), 0, 0,
     "all of the group's open lanes"},
    {0, "execute", NULL, OPTION_FLAG, offsetof(struct say_options, is_execute), 0, 0,
     "do it, when the lanes are not chosen by --key"},
};

static const struct option_spec skip_specs[] = {
    {'o', "offset", "N", OPTION_INTEGER, offsetof(struct say_options, offset), 0, INT64_MAX,
     "the head, of a lane that is not listed: with --topic TOPIC:N,\n"
     "and --key if it has one"},
};

static int check(const struct help_page *page, struct say_options *options)
{
    const struct lanes_options *lanes = &options->lanes;
    char topic[RESET_TOPIC_SIZE];
    int32_t partition = -1;
    int code = lanes_options_check(page, &options->lanes);
    if (code != EXIT_OK) {
        return code;
    }
    bool is_chosen =
        lanes->keys.count + lanes->topics.count + lanes->wheres.count > 0 || options->is_all;
    if (!is_chosen) {
        return options_fail(page,
                            "which lanes? Choose by --key, --topic or --where, or take --all");
    }
    if (options->offset >= 0 &&
        (lanes->topics.count != 1 || lanes->keys.count > 1 || lanes->wheres.count > 0 ||
         reset_target_parse(lanes->topics.items[0], topic, &partition, NULL) != ERR_NONE ||
         partition < 0)) {
        return options_fail(page, "--offset names one event: give --topic TOPIC:N, and --key if it "
                                  "has one");
    }
    return EXIT_OK;
}

static int parse_and_run(const struct help_page *page, enum lane_verb verb, int argc, char **argv)
{
    struct say_options options = {.lanes = lanes_options_default(), .offset = -1, .verb = verb};
    bool is_skip = verb == LANE_SAY_SKIP;
    struct option_set sets[4] = {
        {"Options", specs, sizeof specs / sizeof specs[0], &options},
        lanes_option_set(&options.lanes),
        bus_option_set(&options.lanes.bus),
        {"Of skip", skip_specs, sizeof skip_specs / sizeof skip_specs[0], &options}};
    size_t set_count = is_skip ? 4 : 3;
    int code;
    if (options_parse(page, sets, set_count, argc, argv, &options.lanes.arguments, &code)) {
        code = check(page, &options);
        if (code == EXIT_OK) {
            code = run(&options);
        }
    }
    text_list_deinit(&options.lanes.arguments);
    lanes_options_deinit(&options.lanes);
    options_deinit(sets, set_count);
    return code;
}

#define HOW                                                                                        \
    "The word is a record of lanes.GROUP, which the owner of the lane answers; without an owner\n" \
    "it stays, and is carried out when one comes. Chosen by anything else than --key it only\n"    \
    "shows what it would do, unless --execute is given."

int lanes_command_retry(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings lanes retry",
        .usage = "GROUP [OPTIONS]",
        .about = "Tries heads that wait for their back-off now, as an attempt like any other. A "
                 "dead head\nis tried again with 'tidings deadletter redrive'.\n" HOW,
        .examples = "  tidings lanes retry email --key 4711\n"
                    "  tidings lanes retry email --all --execute\n",
    };
    return parse_and_run(&page, LANE_SAY_RETRY, argc, argv);
}

int lanes_command_skip(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings lanes skip",
        .usage = "GROUP [OPTIONS]",
        .about = "Gives the heads of lanes up: each goes to the dead letters and its lane on; a "
                 "parked lane\nis opened without its dead head. Only the head that is listed is "
                 "skipped: when another\none is there by now, nothing is done (exit code 5).\n" HOW,
        .examples = "  tidings lanes skip email --key 4711 --why 'a test order'\n"
                    "  tidings lanes skip email --topic orders:3 --offset 1500\n",
    };
    return parse_and_run(&page, LANE_SAY_SKIP, argc, argv);
}

int lanes_command_hold(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings lanes hold",
        .usage = "GROUP [OPTIONS]",
        .about = "Starts nothing of lanes until they are released, through restarts; what they "
                 "have and get is\nset aside, and what runs is not stopped. With --topic and --key "
                 "also a key that has no\nevent yet: then in each partition, as who publishes "
                 "chooses it.\n" HOW,
        .examples = "  tidings lanes hold email --topic orders --key 4711 --why 'asked by mail'\n",
    };
    return parse_and_run(&page, LANE_SAY_HOLD, argc, argv);
}

int lanes_command_release(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings lanes release",
        .usage = "GROUP [OPTIONS]",
        .about = "Ends a hold: what was set aside is handled in order. A parked lane stays "
                 "closed.\n" HOW,
        .examples = "  tidings lanes release email --key 4711\n"
                    "  tidings lanes release email --all --execute\n",
    };
    return parse_and_run(&page, LANE_SAY_RELEASE, argc, argv);
}
