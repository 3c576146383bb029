#include "cli/live/status_bus.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/output.h"
#include "cli/base/output_text.h"
#include "cli/bus/http_client.h"
#include "cli/bus/raw_bus.h"
#include "cli/bus/topic_facts.h"
#include "wire/generated/api_versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many groups are in a state. */
struct group_count {
    const char *state; /* static */
    size_t count;
};

struct bus_status {
    struct admin_cluster cluster;
    bool is_tidings;
    size_t topics, partitions, offline;
    const char *offline_topic; /* of the first partition without a leader; borrowed */
    int32_t offline_partition;
    int64_t offsets, bytes; /* of all topics; -1: not known */
    struct reason no_bytes;
    struct client_error groups_error;
    size_t groups;
    VEC(struct group_count) states;
    int64_t *answer_ms; /* of each broker; -1: none */
    struct reason *no_answer;
    char *url;      /* of the bus layer; NULL: none is known */
    json_t *health; /* what it says of itself; NULL: it does not answer */
    json_t *ready;
};

/* --- brokers --- */

/* How long a small question takes. */
static int64_t ask_broker(struct raw_bus *bus, size_t broker, struct reason *reason)
{
    struct raw_request request;
    struct raw_answer answer;
    struct api_versions_request body;
    int64_t began_ms = clock_mono_ms(clock_system());
    api_versions_request_init(&body);
    raw_request_init(&request, API_KEY_API_VERSIONS, 0);
    api_versions_request_encode(&request.writer, 0, &body);
    enum err err = raw_bus_ask(bus, broker, &request, &answer, reason);
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    return err == ERR_NONE ? clock_mono_ms(clock_system()) - began_ms : -1;
}

static void ask_brokers(struct bus_status *status, const struct bus_options *options)
{
    struct raw_bus bus;
    struct reason reason = {"it was not asked"};
    size_t count = status->cluster.brokers.count;
    bool is_reached = raw_bus_init(&bus, options, &reason) == ERR_NONE;
    status->answer_ms = mem_new_array(int64_t, count + 1);
    status->no_answer = mem_new_array(struct reason, count + 1);
    for (size_t i = 0; i < count; i++) {
        status->answer_ms[i] = -1;
        status->no_answer[i] = reason;
        for (size_t j = 0; is_reached && j < bus.brokers.count; j++) {
            if (bus.brokers.items[j].id == status->cluster.brokers.items[i].id) {
                status->answer_ms[i] = ask_broker(&bus, j, &status->no_answer[i]);
            }
        }
    }
    raw_bus_deinit(&bus);
}

/* --- topics and groups --- */

static void count_partitions(struct bus_status *status, const struct admin_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        const struct admin_topic *topic = &topics->items[i];
        status->topics++;
        status->partitions += topic->partitions.count;
        for (size_t j = 0; j < topic->partitions.count; j++) {
            if (topic->partitions.items[j].leader < 0) {
                status->offline_topic = status->offline == 0 ? topic->name : status->offline_topic;
                status->offline_partition = status->offline++ == 0 ? topic->partitions.items[j].id
                                                                   : status->offline_partition;
            }
        }
    }
}

static void add_up(struct bus_status *status, const struct topic_ends_list *ends,
                   const struct topic_facts *facts)
{
    for (size_t i = 0; i < ends->count; i++) {
        const struct topic_ends *at = &ends->items[i];
        bool is_known = at->error.status == CLIENT_OK && status->offsets >= 0;
        for (size_t j = 0; is_known && j < at->topic->partitions.count; j++) {
            status->offsets += at->bounds[j].end - at->bounds[j].start;
        }
        status->offsets = is_known ? status->offsets : -1;
        status->bytes = status->bytes < 0 || facts->items[i].bytes < 0
                            ? -1
                            : status->bytes + facts->items[i].bytes;
    }
    status->no_bytes = facts->no_bytes;
}

static void look_at_topics(struct bus_status *status, const struct bus_options *options,
                           struct connection *connection, const struct admin_topics *topics)
{
    struct topic_ends_list ends = {0};
    struct topic_facts facts;
    count_partitions(status, topics);
    for (size_t i = 0; i < topics->count; i++) {
        topic_ends_add(&ends, &topics->items[i]);
    }
    topic_ends_load(connection, &ends);
    topic_facts_load(&facts, options, &ends);
    add_up(status, &ends, &facts);
    topic_facts_deinit(&facts);
    topic_ends_deinit(&ends);
}

static void count_state(struct bus_status *status, const char *state)
{
    for (size_t i = 0; i < status->states.count; i++) {
        if (strcmp(status->states.items[i].state, state) == 0) {
            status->states.items[i].count++;
            return;
        }
    }
    vec_push(&status->states, (struct group_count){state, 1});
}

static void look_at_groups(struct bus_status *status, struct connection *connection)
{
    struct admin_group_listings groups;
    status->groups_error.status = admin_groups(connection, &groups, &status->groups_error);
    status->groups = groups.count;
    for (size_t i = 0; i < groups.count; i++) {
        count_state(status, groups.items[i].state);
    }
    admin_group_listings_deinit(&groups);
}

/* --- the bus layer --- */

static void look_at_layer(struct bus_status *status, const struct bus_options *options)
{
    struct bus_options at = *options;
    unsigned code;
    if (!http_client_url(options, &status->url)) {
        return;
    }
    at.url = status->url;
    (void)http_ask_json(&at, "GET", "/healthz", NULL, &code, &status->health);
    if (status->health != NULL) {
        (void)http_ask_json(&at, "GET", "/readyz", NULL, &code, &status->ready);
    }
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "?";
}

/* --- in words --- */

static void print_brokers(const struct bus_status *status)
{
    size_t count = status->cluster.brokers.count;
    output_text(stdout, "brokers     %zu\n", count);
    for (size_t i = 0; i < count; i++) {
        const struct admin_broker *broker = &status->cluster.brokers.items[i];
        output_text(stdout, "            %d at %s ", (int)broker->id, broker->address);
        if (status->answer_ms[i] >= 0) {
            output_text(stdout, "answers within %lld ms\n", (long long)status->answer_ms[i] + 1);
        } else {
            output_text(stdout, "was not heard: %s\n", status->no_answer[i].text);
        }
    }
}

static void print_topics(const struct bus_status *status)
{
    char size[32];
    output_text(stdout, "topics      %zu with %zu partition%s", status->topics, status->partitions,
                plural_s(status->partitions));
    if (status->offsets >= 0) {
        output_text(stdout, ", %lld offset%s", (long long)status->offsets,
                    plural_s((uint64_t)status->offsets));
    }
    if (status->bytes >= 0) {
        output_text(stdout, ", %s (one copy)\n", output_size((double)status->bytes, size));
    } else {
        output_text(stdout, ", size not known: %s\n", status->no_bytes.text);
    }
    if (status->offline > 0) {
        output_text(
            stdout,
            "offline     %zu partition%s without a leader, first %s/%d: see 'a partition is "
            "offline' in the server's log\n",
            status->offline, plural_s(status->offline), status->offline_topic,
            (int)status->offline_partition);
    }
}

static void print_groups(const struct bus_status *status)
{
    if (status->groups_error.status != CLIENT_OK) {
        output_text(stdout, "groups      not known: %s\n", status->groups_error.text);
        return;
    }
    output_text(stdout, "groups      %zu", status->groups);
    for (size_t i = 0; i < status->states.count; i++) {
        output_text(stdout, "%s %zu %s", i == 0 ? ":" : ",", status->states.items[i].count,
                    status->states.items[i].state);
    }
    output_text(stdout, "\n");
}

static void print_layer(const struct bus_status *status)
{
    size_t i;
    const json_t *check;
    if (status->url == NULL) {
        output_text(stdout,
                    "bus layer   none is known: name it with --url; 'tidings bus' makes one "
                    "for any Kafka cluster\n");
        return;
    }
    output_text(stdout, "bus layer   %s: %s\n", status->url,
                status->health == NULL ? "it does not answer from here"
                                       : text_of(status->ready, "status"));
    json_array_foreach(json_object_get(status->ready, "checks"), i, check)
    {
        if (!json_is_true(json_object_get(check, "ok"))) {
            output_text(stdout, "            %s: %s\n", text_of(check, "name"),
                        text_of(check, "detail"));
        }
    }
}

static void print_status(const struct bus_status *status)
{
    const char *version =
        status->health != NULL ? text_of(status->health, "version") : "of a version not known here";
    output_text(stdout, "server      %s%s\n",
                status->is_tidings ? "tidings " : "another broker of the Kafka protocol",
                status->is_tidings ? version : "");
    output_text(stdout, "cluster     %s\n",
                status->cluster.id != NULL ? status->cluster.id : "it tells no id");
    print_brokers(status);
    print_topics(status);
    print_groups(status);
    print_layer(status);
    output_text(stdout, "not known   process, since when, memory, compaction: %s\n",
                status->is_tidings ? "tidings status DATA tells them on the server's machine"
                                   : "the protocol does not tell them");
}

/* --- for programs --- */

static json_t *brokers_to_json(const struct bus_status *status)
{
    json_t *list = json_array();
    for (size_t i = 0; i < status->cluster.brokers.count; i++) {
        const struct admin_broker *broker = &status->cluster.brokers.items[i];
        json_t *one = json_pack("{s:i,s:o,s:o}", "id", (int)broker->id, "address",
                                output_json_text(broker->address), "answer_ms",
                                output_number_or_null(status->answer_ms[i]));
        if (status->answer_ms[i] < 0) {
            json_object_set_new(one, "no_answer_because",
                                output_json_text(status->no_answer[i].text));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *groups_to_json(const struct bus_status *status)
{
    if (status->groups_error.status != CLIENT_OK) {
        return json_null();
    }
    json_t *states = json_object();
    for (size_t i = 0; i < status->states.count; i++) {
        json_object_set_new(states, status->states.items[i].state,
                            json_integer((json_int_t)status->states.items[i].count));
    }
    return json_pack("{s:I,s:o}", "count", (json_int_t)status->groups, "states", states);
}

static json_t *layer_to_json(const struct bus_status *status)
{
    if (status->url == NULL) {
        return json_null();
    }
    json_t *checks = json_incref(json_object_get(status->ready, "checks"));
    return json_pack("{s:o,s:b,s:o,s:o}", "url", output_json_text(status->url), "answers",
                     status->health != NULL, "status",
                     output_json_text(json_string_value(json_object_get(status->ready, "status"))),
                     "checks", checks != NULL ? checks : json_null());
}

static json_t *to_json(const struct bus_status *status)
{
    const char *version = json_string_value(json_object_get(status->health, "version"));
    json_t *json = json_pack(
        "{s:b,s:o,s:o,s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:[ssss]}", "is_tidings", status->is_tidings,
        "version", output_json_text(status->is_tidings ? version : NULL), "cluster_id",
        output_json_text(status->cluster.id), "brokers", brokers_to_json(status), "topics",
        (json_int_t)status->topics, "partitions", (json_int_t)status->partitions,
        "offline_partitions", (json_int_t)status->offline, "offsets",
        output_number_or_null(status->offsets), "bytes", output_number_or_null(status->bytes),
        "groups", groups_to_json(status), "bus_layer", layer_to_json(status), "not_known", "pid",
        "started_ms", "memory", "cleaner");
    if (status->bytes < 0) {
        json_object_set_new(json, "bytes_unknown_because", output_json_text(status->no_bytes.text));
    }
    if (status->groups_error.status != CLIENT_OK) {
        json_object_set_new(json, "groups_unknown_because",
                            output_json_text(status->groups_error.text));
    }
    return json;
}

/* --- all of it --- */

static void status_deinit(struct bus_status *status)
{
    admin_cluster_deinit(&status->cluster);
    vec_deinit(&status->states);
    free(status->answer_ms);
    free(status->no_answer);
    free(status->url);
    json_decref(status->health);
    json_decref(status->ready);
}

/* A setting that no other broker has. */
static bool is_tidings(struct connection *connection)
{
    char *value;
    struct client_error error;
    bool is_there =
        admin_broker_setting(connection, "http.advertised.url", &value, &error) == CLIENT_OK &&
        value != NULL;
    free(value);
    return is_there;
}

int status_bus(const struct bus_options *options)
{
    struct connection *connection;
    struct bus_status status = {.groups_error = {.status = CLIENT_OK}};
    struct admin_topics topics = {0};
    struct client_error error;
    int code = bus_open(options, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    if (admin_cluster(connection, &status.cluster, &error) != CLIENT_OK ||
        admin_topics(connection, &topics, &error) != CLIENT_OK) {
        code = bus_fail(&error, "ask the bus what it is at");
    } else {
        status.is_tidings = is_tidings(connection);
        ask_brokers(&status, options);
        look_at_topics(&status, options, connection, &topics);
        look_at_groups(&status, connection);
        look_at_layer(&status, options);
        if (options->is_json) {
            output_json(to_json(&status));
        } else {
            print_status(&status);
        }
        code = output_finish(EXIT_OK);
    }
    status_deinit(&status);
    admin_topics_deinit(&topics);
    connection_close(connection);
    return code;
}
