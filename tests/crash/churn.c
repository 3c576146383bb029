#include "churn.h"

#include "base/file.h"
#include "base/mem.h"
#include "wire/generated/describe_configs.h"
#include "wire/generated/metadata.h"
#include "wire/generated/produce.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 8, METADATA_VERSION = 9, PRODUCE_VERSION = 9, DESCRIBE_VERSION = 4 };

enum state { GONE, PRESENT, CREATING, DELETING };

struct churn_topic {
    char name[32];
    enum state state;
    int32_t partitions;
    int64_t retention_ms;
    int32_t events; /* in partition 0 */
    bool events_in_doubt;
};

struct churn {
    struct world *world;
    struct random random;
    struct churn_topic topics[NAMES];
    int64_t created;
    int64_t deleted;
};

static bool create(struct churn *churn, struct client *client, struct churn_topic *topic)
{
    char value[32];
    topic->partitions = (int32_t)random_below(&churn->random, 4) + 1;
    topic->retention_ms = (int64_t)random_below(&churn->random, 1000000000) + 3600000;
    topic->events = 0;
    topic->events_in_doubt = false;
    topic->state = CREATING;
    snprintf(value, sizeof value, "%lld", (long long)topic->retention_ms);
    struct topic_plan plan = {topic->name, topic->partitions, "retention.ms", value};
    int16_t code = client_create_topic(client, &plan);
    if (code == 0) {
        topic->state = PRESENT;
        churn->created++;
    } else if (code != CLIENT_BROKEN) {
        crash_fail("creating %s answered error %d", topic->name, code);
    }
    return code == 0;
}

static bool fill(struct churn *churn, struct client *client, struct churn_topic *topic)
{
    int32_t count = (int32_t)random_below(&churn->random, 100) + 1;
    struct batch_plan plan = {.producer_id = -1, .first = 0, .count = count, .value_bytes = 50};
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data = {.index = 0, .records.bytes = buf_slice(&batch)};
    struct produce_request_topic in = {slice_str(topic->name), &data, 1};
    struct produce_request request = {
        .acks = -1, .timeout_ms = 60000, .topic_data = &in, .topic_data_count = 1};
    struct produce_response response;
    topic->events = count;
    topic->events_in_doubt = true;
    bool good = client_call(client, API_KEY_PRODUCE, PRODUCE_VERSION, &request, &response);
    buf_deinit(&batch);
    if (good) {
        int16_t code = response.responses[0].partition_responses[0].error_code;
        if (code != 0 || response.responses[0].partition_responses[0].base_offset != 0) {
            crash_fail("the first events of %s: error %d, offset %" PRId64, topic->name, code,
                       response.responses[0].partition_responses[0].base_offset);
        }
        topic->events_in_doubt = false;
    }
    return good;
}

static bool delete (struct churn *churn, struct client *client, struct churn_topic *topic)
{
    topic->state = DELETING;
    int16_t code = client_delete_topic(client, topic->name);
    if (code == 0) {
        topic->state = GONE;
        churn->deleted++;
    } else if (code != CLIENT_BROKEN) {
        crash_fail("deleting %s answered error %d", topic->name, code);
    }
    return code == 0;
}

static bool step(struct churn *churn, struct client *client)
{
    struct churn_topic *topic = &churn->topics[random_below(&churn->random, NAMES)];
    if (topic->state == PRESENT) {
        return delete (churn, client, topic);
    }
    return create(churn, client, topic) && fill(churn, client, topic);
}

static void *run(void *argument)
{
    struct churn *churn = argument;
    struct client client = {.fd = -1};
    uint64_t seen = 0;
    uint16_t port;
    while (!world_stopping(churn->world)) {
        gate_pass(churn->world, &seen, &port);
        bool good = client_connect(&client, port);
        while (good && !world_stopping(churn->world)) {
            good = step(churn, &client);
        }
        client_close(&client);
    }
    client_deinit(&client);
    return NULL;
}

struct churn *churn_start(struct world *world)
{
    struct churn *churn = mem_new(struct churn);
    churn->world = world;
    churn->random.state = random_next(&world->random);
    for (int i = 0; i < NAMES; i++) {
        snprintf(churn->topics[i].name, sizeof churn->topics[i].name, "churn-%d", i);
    }
    if (pthread_create(&world->threads[world->thread_count++], NULL, run, churn) != 0) {
        crash_fail("cannot start a thread");
    }
    return churn;
}

static void check_events(struct churn_topic *topic, struct client *client)
{
    int64_t end;
    if (!client_end_offset(client, topic->name, 0, &end)) {
        crash_fail("the connection of the check broke");
    }
    if (end != topic->events && !(topic->events_in_doubt && end == 0)) {
        crash_fail("topic %s holds %" PRId64 " events, %d were acknowledged", topic->name, end,
                   topic->events);
    }
    topic->events_in_doubt = false;
    topic->events = (int32_t)end;
}

static void check_setting(struct churn_topic *topic, struct client *client)
{
    struct slice key = slice_str("retention.ms");
    struct describe_configs_request_resource resource;
    describe_configs_request_resource_init(&resource);
    resource.resource_type = 2;
    resource.resource_name = slice_str(topic->name);
    resource.configuration_keys = &key;
    resource.configuration_keys_count = 1;
    struct describe_configs_request request;
    describe_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    struct describe_configs_response response;
    if (!client_call(client, API_KEY_DESCRIBE_CONFIGS, DESCRIBE_VERSION, &request, &response)) {
        crash_fail("the connection of the check broke");
    }
    char expected[32];
    snprintf(expected, sizeof expected, "%lld", (long long)topic->retention_ms);
    if (response.results[0].error_code != 0 || response.results[0].configs_count != 1 ||
        !slice_equal_str(response.results[0].configs[0].value, expected)) {
        crash_fail("topic %s: error %d, retention.ms is not %s", topic->name,
                   response.results[0].error_code, expected);
    }
}

/* seen: the partitions that Metadata tells of, 0: no such topic. */
static void check_topic(struct churn_topic *topic, int32_t seen)
{
    bool may_be_gone = topic->state != PRESENT;
    bool may_be_there = topic->state != GONE;
    if (seen == 0 && !may_be_gone) {
        crash_fail("topic %s was acknowledged and is not there", topic->name);
    }
    if (seen != 0 && !may_be_there) {
        crash_fail("topic %s was deleted with acknowledgement and is there", topic->name);
    }
    if (seen != 0 && seen != topic->partitions) {
        crash_fail("topic %s has %d partitions, not %d", topic->name, seen, topic->partitions);
    }
    topic->state = seen != 0 ? PRESENT : GONE;
}

static enum err check_directory(void *context, const char *name)
{
    struct churn *churn = context;
    for (int i = 0; i < NAMES; i++) {
        const struct churn_topic *topic = &churn->topics[i];
        size_t size = strlen(topic->name);
        if (strncmp(name, topic->name, size) == 0 &&
            (topic->state != PRESENT || strstr(name, "delete") != NULL)) {
            crash_fail("topics/%s is left of a deleted topic", name);
        }
    }
    return ERR_NONE;
}

void churn_check(struct churn *churn, struct client *client)
{
    struct metadata_request request;
    metadata_request_init(&request);
    request.topics_count = -1;
    request.allow_auto_topic_creation = false;
    struct metadata_response response;
    if (!client_call(client, API_KEY_METADATA, METADATA_VERSION, &request, &response)) {
        crash_fail("the connection of the check broke");
    }
    int32_t seen[NAMES] = {0};
    for (int32_t t = 0; t < response.topics_count; t++) {
        for (int i = 0; i < NAMES; i++) {
            if (slice_equal_str(response.topics[t].name, churn->topics[i].name)) {
                seen[i] = response.topics[t].partitions_count;
            }
        }
    }
    for (int i = 0; i < NAMES; i++) {
        struct churn_topic *topic = &churn->topics[i];
        check_topic(topic, seen[i]);
        if (topic->state == PRESENT) {
            check_events(topic, client);
            check_setting(topic, client);
        }
    }
    char *dir = mem_sprintf("%s/data/topics", churn->world->server.dir);
    if (file_list_dir(dir, check_directory, churn, NULL) != ERR_NONE) {
        crash_fail("cannot list %s", dir);
    }
    free(dir);
}

void churn_counts(const struct churn *churn, int64_t *created, int64_t *deleted)
{
    *created = churn->created;
    *deleted = churn->deleted;
}
