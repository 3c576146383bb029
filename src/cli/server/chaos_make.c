#include "base/mem.h"
#include "base/movable_clock.h"
#include "base/time_text.h"
#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/server/chaos.h"
#include "cli/server/test_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The verbs that make a fault: their options become the JSON that the server takes, which says what
 * is wrong with it. */

struct make_settings {
    struct test_server_options server;
    const char *topic;
    const char *group;
    const char *client;
    const char *transactional_id;
    int64_t count; /* -1, as all that follow: not given */
    int64_t after;
    int64_t seed;
    int64_t for_ms;
    const char *chance;
};

static const struct option_spec scope_specs[] = {
    {0, "group", "GROUP", OPTION_TEXT, offsetof(struct make_settings, group), 0, 0,
     "requests of this group; a fetch is its group's by client.id"},
    {0, "topic", "TOPIC", OPTION_TEXT, offsetof(struct make_settings, topic), 0, 0,
     "requests about this topic, as a whole; * and ? stand for letters,\nas in all of these"},
    {0, "client", "ID", OPTION_TEXT, offsetof(struct make_settings, client), 0, 0,
     "requests of clients with this client.id"},
    {0, "transactional-id", "ID", OPTION_TEXT, offsetof(struct make_settings, transactional_id), 0,
     0, "requests in transactions of this id"},
};

/* Rows of them: from the first of the two, so many. */
enum {
    OF_ALL = 0,
    ALL_COUNT = 4,
    OF_FETCH = 0,
    FETCH_COUNT = 3,
    OF_PRODUCE = 1,
    PRODUCE_COUNT = 3,
    OF_MEMBER = 2,
    MEMBER_COUNT = 1
};

static const struct option_spec course_specs[] = {
    {'n', "count", "N", OPTION_INTEGER, offsetof(struct make_settings, count), 1, 1000000000,
     "strike so often, then no more (default: until it is cleared)"},
    {0, "after", "N", OPTION_INTEGER, offsetof(struct make_settings, after), 0, 1000000000,
     "let so many requests through first"},
    {0, "for", "DURATION", OPTION_DURATION, offsetof(struct make_settings, for_ms), 1,
     MOVABLE_CLOCK_MOST_MS, "strike for so long, by the clock of the bus"},
    {0, "chance", "SHARE", OPTION_TEXT, offsetof(struct make_settings, chance), 0, 0,
     "strike some of them only: 10%, 0.1"},
    {0, "seed", "N", OPTION_INTEGER, offsetof(struct make_settings, seed), 0, INT64_MAX,
     "with --chance: which ones; the same number gives the same row"},
};

/* What a verb puts into the JSON out of its arguments. False: they are wrong, which is told. */
typedef bool take_arguments(const struct help_page *page, const struct text_list *arguments,
                            json_t *fault);

struct verb {
    const struct help_page *page;
    const char *fault;
    take_arguments *take;
    bool is_repeated; /* it has a course: how often, how long */
    size_t scope_from, scope_count;
};

static void put_text(json_t *fault, const char *name, const char *text)
{
    if (text != NULL) {
        json_t *value = json_string(text);
        json_object_set_new(fault, name, value != NULL ? value : json_string("\x1b"));
    }
}

static void put_number(json_t *fault, const char *name, int64_t number)
{
    if (number >= 0) {
        json_object_set_new(fault, name, json_integer(number));
    }
}

/* "10%", "0.1" */
static bool put_chance(const struct help_page *page, const char *text, json_t *fault)
{
    char *end;
    if (text == NULL) {
        return true;
    }
    double share = strtod(text, &end);
    share = *end == '%' ? share / 100 : share;
    end += *end == '%';
    if (end == text || *end != '\0' || !(share > 0 && share <= 1)) {
        (void)options_fail(page, "--chance is a share above 0, as 10%% or 0.1, and not '%s'", text);
        return false;
    }
    json_object_set_new(fault, "chance", json_real(share));
    return true;
}

/* Names with commas, added to the list of APIs. */
static void add_apis(json_t *fault, const char *text)
{
    json_t *apis = json_object_get(fault, "apis");
    if (apis == NULL) {
        apis = json_array();
        json_object_set_new(fault, "apis", apis);
    }
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        json_t *name = json_stringn(text, size);
        json_array_append_new(apis, name != NULL ? name : json_string("?"));
        text += size + (text[size] == ',');
    }
}

static bool take_apis(const struct help_page *page, const struct text_list *arguments,
                      json_t *fault)
{
    (void)page;
    for (size_t i = 0; i < arguments->count; i++) {
        add_apis(fault, arguments->items[i]);
    }
    return true;
}

static bool take_error(const struct help_page *page, const struct text_list *arguments,
                       json_t *fault)
{
    if (arguments->count != 2) {
        (void)options_fail(page, "which API, and which error? As in: tidings chaos error produce "
                                 "NOT_ENOUGH_REPLICAS");
        return false;
    }
    char *end;
    long code = strtol(arguments->items[1], &end, 10);
    add_apis(fault, arguments->items[0]);
    if (*end == '\0' && end != arguments->items[1]) {
        json_object_set_new(fault, "error", json_integer(code));
    } else {
        put_text(fault, "error", arguments->items[1]);
    }
    return true;
}

static bool take_delay(const struct help_page *page, const struct text_list *arguments,
                       json_t *fault)
{
    struct reason reason;
    int64_t delay_ms;
    if (arguments->count == 0) {
        (void)options_fail(page, "how long? As in: tidings chaos delay 300ms");
        return false;
    }
    if (duration_parse(arguments->items[0], &delay_ms, &reason) != ERR_NONE) {
        (void)options_fail(page, "%s", reason.text);
        return false;
    }
    put_number(fault, "delay_ms", delay_ms);
    for (size_t i = 1; i < arguments->count; i++) {
        add_apis(fault, arguments->items[i]);
    }
    return true;
}

static bool take_nothing(const struct help_page *page, const struct text_list *arguments,
                         json_t *fault)
{
    (void)fault;
    if (arguments->count > 0) {
        (void)options_fail(page, "it takes no argument '%s'", arguments->items[0]);
    }
    return arguments->count == 0;
}

static bool take_one(const struct help_page *page, const struct text_list *arguments, json_t *fault,
                     const char *name, const char *asked)
{
    if (arguments->count != 1) {
        (void)options_fail(page, "%s", asked);
        return false;
    }
    put_text(fault, name, arguments->items[0]);
    return true;
}

static bool take_group(const struct help_page *page, const struct text_list *arguments,
                       json_t *fault)
{
    return take_one(page, arguments, fault, "group", "which group?");
}

static bool take_transactional_id(const struct help_page *page, const struct text_list *arguments,
                                  json_t *fault)
{
    return take_one(page, arguments, fault, "transactional_id", "which transactional id?");
}

static bool fill(const struct verb *verb, const struct make_settings *settings,
                 const struct text_list *arguments, json_t *fault)
{
    put_text(fault, "fault", verb->fault);
    put_text(fault, "topic", settings->topic);
    put_text(fault, "group", settings->group);
    put_text(fault, "client", settings->client);
    put_text(fault, "transactional_id", settings->transactional_id);
    put_number(fault, "count", settings->count);
    put_number(fault, "after", settings->after);
    put_number(fault, "seed", settings->seed);
    put_number(fault, "for_ms", settings->for_ms);
    return put_chance(verb->page, settings->chance, fault) &&
           verb->take(verb->page, arguments, fault);
}

static int ask(const struct make_settings *settings, json_t *fault)
{
    json_t *answer;
    json_t *request = json_pack("{s:O}", "add", fault);
    char *text = json_dumps(request, JSON_COMPACT);
    char *line = mem_sprintf("chaos %s", text);
    int code = test_server_ask(&settings->server, line, &answer);
    free(line);
    free(text);
    json_decref(request);
    if (code != EXIT_OK) {
        return code;
    }
    json_t *made = json_array_get(json_object_get(answer, "faults"), 0);
    if (settings->server.bus.is_json) {
        output_json(json_incref(made));
    } else {
        chaos_print_one(made);
    }
    json_decref(answer);
    return output_finish(EXIT_OK);
}

static int make(const struct verb *verb, int argc, char **argv)
{
    struct make_settings settings = {
        .server = test_server_default(), .count = -1, .after = -1, .seed = -1, .for_ms = -1};
    struct option_set sets[4];
    size_t count = 0;
    struct text_list arguments = {0};
    int code;
    if (verb->scope_count > 0) {
        sets[count++] = (struct option_set){"What it is for", scope_specs + verb->scope_from,
                                            verb->scope_count, &settings};
    }
    if (verb->is_repeated) {
        sets[count++] = (struct option_set){
            "How often", course_specs, sizeof course_specs / sizeof course_specs[0], &settings};
    }
    sets[count++] = test_server_option_set(&settings.server);
    sets[count++] = bus_option_set(&settings.server.bus);
    if (options_parse(verb->page, sets, count, argc, argv, &arguments, &code)) {
        json_t *fault = json_object();
        code = fill(verb, &settings, &arguments, fault) ? ask(&settings, fault) : EXIT_USAGE;
        json_decref(fault);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, count);
    return code;
}

/* --- the verbs --- */

#define VERB(name)                                                                                 \
    int chaos_command_##name(int argc, char **argv)                                                \
    {                                                                                              \
        return make(&name##_verb, argc, argv);                                                     \
    }

static const struct help_page error_page = {
    .name = "tidings chaos error",
    .usage = "API[,API...] ERROR [OPTIONS]",
    .about =
        "Refuses requests of these APIs (produce, fetch, metadata, join-group, heartbeat,\n"
        "offset-commit, init-producer-id, end-txn...) with an error of Kafka's, by name or "
        "number.\n"
        "Nothing of such a request is done. A produce request that wants no answer (acks=0) ends\n"
        "its connection instead, as on a real broker.",
    .examples = "  tidings chaos error produce NOT_ENOUGH_REPLICAS --topic orders --count 3\n"
                "  tidings chaos error offset-commit REBALANCE_IN_PROGRESS --group shipping -n 1\n"
                "  tidings chaos error fetch 6 --after 2 -n 1        the third fetch\n",
};
static const struct verb error_verb = {&error_page, "error", take_error, true, OF_ALL, ALL_COUNT};
VERB(error)

static const struct help_page delay_page = {
    .name = "tidings chaos delay",
    .usage = "DURATION [API...] [OPTIONS]",
    .about = "Does what is asked for, and answers so much later. Without an API all of them are\n"
             "delayed. Answers leave in order, so later ones of the connection wait as well.",
    .examples = "  tidings chaos delay 300ms\n"
                "  tidings chaos delay 40s produce --client checkout --count 1\n",
};
static const struct verb delay_verb = {&delay_page, "delay", take_delay, true, OF_ALL, ALL_COUNT};
VERB(delay)

static const struct help_page drop_page = {
    .name = "tidings chaos drop",
    .usage = "[API...] [OPTIONS]",
    .about =
        "Cuts the connection when such a request comes; nothing of it is done. Without an API\n"
        "any request is met, but for those by which a client begins to speak (ApiVersions), so\n"
        "with --client it is as if the network were away.",
    .examples = "  tidings chaos drop --client checkout --for 10s\n"
                "  tidings chaos drop fetch --topic orders --count 1\n",
};
static const struct verb drop_verb = {&drop_page, "drop", take_apis, true, OF_ALL, ALL_COUNT};
VERB(drop)

static const struct help_page lose_page = {
    .name = "tidings chaos lose",
    .usage = "[API...] [OPTIONS]",
    .about =
        "Does what is asked for, and cuts the connection instead of an answer. The client\n"
        "cannot know whether it was done and tries again: without idempotence an event is there\n"
        "twice. Without an API it is for produce.",
    .examples = "  tidings chaos lose --topic orders --count 1\n"
                "  tidings chaos lose offset-commit --group shipping --count 1\n"
                "  tidings chaos lose end-txn --transactional-id billing-1 --count 1\n",
};
static const struct verb lose_verb = {&lose_page, "lose", take_apis, true, OF_ALL, ALL_COUNT};
VERB(lose)

static const struct help_page pause_page = {
    .name = "tidings chaos pause",
    .usage = "[OPTIONS]",
    .about =
        "Fetches find no events, though there are: consumers stand still, stay in their group,\n"
        "and their lag grows. It takes --topic, --group or --client. Fetches name no group: those\n"
        "of a group are the fetches of clients whose client.id spoke for it, so give clients one.",
    .examples = "  tidings chaos pause --topic orders\n"
                "  tidings chaos pause --group shipping --for 30s\n",
};
static const struct verb pause_verb = {&pause_page, "pause",  take_nothing,
                                       true,        OF_FETCH, FETCH_COUNT};
VERB(pause)

static const struct help_page full_page = {
    .name = "tidings chaos full",
    .usage = "[OPTIONS]",
    .about =
        "Refuses events as a bus does whose disk is full (KAFKA_STORAGE_ERROR): reading, commits\n"
        "and groups go on.",
    .examples = "  tidings chaos full --count 1                 the next append\n"
                "  tidings chaos full --topic orders --for 1m\n",
};
static const struct verb full_verb = {&full_page, "full",     take_nothing,
                                      true,       OF_PRODUCE, PRODUCE_COUNT};
VERB(full)

static const struct help_page expire_page = {
    .name = "tidings chaos expire",
    .usage = "GROUP [OPTIONS]",
    .about =
        "Throws the members of a group out of it, all or those of one client.id, as when their\n"
        "session is over. They hear of it at their next heartbeat or commit (UNKNOWN_MEMBER_ID),\n"
        "have lost their partitions by then, and join again.",
    .examples = "  tidings chaos expire shipping\n"
                "  tidings chaos expire shipping --client shipping-2\n",
};
static const struct verb expire_verb = {&expire_page, "expire",  take_group,
                                        false,        OF_MEMBER, MEMBER_COUNT};
VERB(expire)

static const struct help_page rebalance_page = {
    .name = "tidings chaos rebalance",
    .usage = "GROUP [OPTIONS]",
    .about =
        "Makes the members of a group join again: one more joins and leaves at once. A group of\n"
        "the consumer protocol (KIP-848) is assigned anew, which members that keep what they\n"
        "have do not notice.",
    .examples = "  tidings chaos rebalance shipping\n",
};
static const struct verb rebalance_verb = {&rebalance_page, "rebalance", take_group, false, 0, 0};
VERB(rebalance)

static const struct help_page fence_page = {
    .name = "tidings chaos fence",
    .usage = "TRANSACTIONAL-ID [OPTIONS]",
    .about = "Fences the producer that has this transactional id, as if another one had taken it\n"
             "over: its open transaction is aborted, and what it asks for next is refused\n"
             "(PRODUCER_FENCED, INVALID_PRODUCER_EPOCH).",
    .examples = "  tidings chaos fence billing-1\n",
};
static const struct verb fence_verb = {&fence_page, "fence", take_transactional_id, false, 0, 0};
VERB(fence)
