/* The scenario through librdkafka in C: RUNNER SCENARIO BOOTSTRAP PREFIX [STEP ...].
 * Prints one line a step. The same ops as python/common.py; ../README.md describes them. */
#include "step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int create_topic(struct client *client, const json_t *topic)
{
    struct name name;
    const char *config[16];
    size_t config_count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(topic, "config"), key, value)
    {
        if (config_count < 8) {
            config[2 * config_count] = key;
            config[2 * config_count++ + 1] = json_string_value(value);
        }
    }
    return admin_create_topic(client, prefixed(&name, client, text_of(topic, "topic")),
                              (int)number_of(topic, "partitions", 1), config, config_count);
}

static int op_create_topics(struct client *client, const json_t *step)
{
    size_t at;
    json_t *topic;
    json_array_foreach(json_object_get(step, "topics"), at, topic)
    {
        if (create_topic(client, topic))
            return -1;
    }
    return 0;
}

/* Waits until the topic has that many partitions; 0 means until it is gone. */
static int await_partitions(struct client *client, const char *topic, int wanted)
{
    int count = -1;
    for (int64_t end_ms = now_ms() + WAIT_MS; now_ms() < end_ms; pause_ms(20)) {
        if (admin_topic_listed(client, topic, &count))
            return -1;
        if (count == wanted || (wanted < 0 && count > 0))
            return 0;
    }
    return client_fail(client, "%s has %d partitions, not %d", topic, count, wanted);
}

static int op_list_topics(struct client *client, const json_t *step)
{
    size_t at;
    json_t *topic;
    struct name name;
    json_array_foreach(json_object_get(step, "contains"), at, topic)
    {
        if (await_partitions(client, prefixed(&name, client, json_string_value(topic)), -1))
            return -1;
    }
    return 0;
}

static int op_describe_topic(struct client *client, const json_t *step)
{
    struct name topic;
    prefixed(&topic, client, text_of(step, "topic"));
    return await_partitions(client, topic.text, (int)number_of(step, "partitions", 0));
}

static int await_config(struct client *client, const char *topic, const json_t *step)
{
    char value[128] = "";
    for (int64_t end_ms = now_ms() + WAIT_MS; now_ms() < end_ms; pause_ms(20)) {
        if (admin_get_config(client, topic, text_of(step, "key"), value, sizeof value))
            return -1;
        if (strcmp(value, text_of(step, "value")) == 0)
            return 0;
    }
    return client_fail(client, "%s is %s", text_of(step, "key"), value);
}

static int op_describe_config(struct client *client, const json_t *step)
{
    struct name topic;
    return await_config(client, prefixed(&topic, client, text_of(step, "topic")), step);
}

static int op_alter_config(struct client *client, const json_t *step)
{
    struct name topic;
    prefixed(&topic, client, text_of(step, "topic"));
    if (admin_set_config(client, topic.text, text_of(step, "key"), text_of(step, "value")))
        return -1;
    return await_config(client, topic.text, step);
}

/* `text` over and over until size_bytes are full; the caller frees it. */
static char *filled(const char *text, size_t size_bytes)
{
    char *value = malloc(size_bytes + 1);
    size_t length = strlen(text);
    if (!value)
        abort();
    for (size_t at = 0; at < size_bytes; at++)
        value[at] = text[at % length];
    value[size_bytes] = '\0';
    return value;
}

struct trip {
    struct client *client;
    struct record *records;
    size_t count;
    int64_t start;
    rd_kafka_headers_t *headers;
};

static void trip_init(struct trip *trip, struct client *client, const json_t *step)
{
    *trip = (struct trip){.client = client, .count = (size_t)number_of(step, "count", 0)};
    trip->records = calloc(trip->count, sizeof *trip->records);
    if (!trip->records)
        abort();
    const json_t *pair, *headers = json_object_get(step, "headers");
    size_t at;
    if (headers)
        trip->headers = rd_kafka_headers_new(8);
    json_array_foreach(headers, at, pair)
    {
        const char *value = json_string_value(json_array_get(pair, 1));
        rd_kafka_header_add(trip->headers, json_string_value(json_array_get(pair, 0)), -1, value,
                            (ssize_t)strlen(value));
    }
    const json_t *keyed = json_object_get(step, "keyed");
    const json_t *size = json_object_get(step, "value_bytes");
    for (at = 0; at < trip->count; at++) {
        struct record *record = &trip->records[at];
        char text[128];
        snprintf(text, sizeof text, "%s-%zu ", text_of(step, "step"), at);
        record->headers = trip->headers;
        if (json_is_integer(size)) {
            record->value_size_bytes = (size_t)json_integer_value(size);
            record->value = filled(text, record->value_size_bytes);
        }
        text[strlen(text) - 1] = '\0';
        if (!keyed || json_is_true(keyed))
            record->key = strdup(text);
    }
}

static void trip_deinit(struct trip *trip)
{
    for (size_t at = 0; at < trip->count; at++) {
        free((void *)(uintptr_t)trip->records[at].key);
        free((void *)(uintptr_t)trip->records[at].value);
    }
    free(trip->records);
    if (trip->headers)
        rd_kafka_headers_destroy(trip->headers);
}

static bool same_bytes(const void *got, size_t got_size, const void *sent, size_t sent_size)
{
    if (!got || !sent)
        return !got && !sent;
    return got_size == sent_size && memcmp(got, sent, sent_size) == 0;
}

static bool same_headers(const rd_kafka_headers_t *sent, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *got = NULL;
    rd_kafka_message_headers(message, &got);
    size_t count = sent ? rd_kafka_header_cnt(sent) : 0;
    if ((got ? rd_kafka_header_cnt(got) : 0) != count)
        return false;
    for (size_t at = 0; at < count; at++) {
        const char *name, *other_name;
        const void *value, *other;
        size_t size, other_size;
        if (rd_kafka_header_get_all(sent, at, &name, &value, &size) ||
            rd_kafka_header_get_all(got, at, &other_name, &other, &other_size))
            return false;
        if (strcmp(name, other_name) != 0 || !same_bytes(other, other_size, value, size))
            return false;
    }
    return true;
}

static int compare(void *context, size_t index, rd_kafka_message_t *message)
{
    struct trip *trip = context;
    const struct record *sent = &trip->records[index];
    if (message->offset != trip->start + (int64_t)index)
        return client_fail(trip->client, "offset %lld, not %lld", (long long)message->offset,
                           (long long)trip->start + (long long)index);
    if (!same_bytes(message->key, message->key_len, sent->key, sent->key ? strlen(sent->key) : 0))
        return client_fail(trip->client, "the key differs at %zu", index);
    if (!same_bytes(message->payload, message->len, sent->value, sent->value_size_bytes))
        return client_fail(trip->client, "the value differs at %zu", index);
    if (!same_headers(sent->headers, message))
        return client_fail(trip->client, "the headers differ at %zu", index);
    return 0;
}

static int op_round_trip(struct client *client, const json_t *step)
{
    struct name topic;
    struct trip trip;
    int partition = (int)number_of(step, "partition", 0);
    struct produce_options options = {
        .codec = text_of(step, "codec"),
        .acks = (int)number_of(step, "acks", -1),
        .idempotent = json_is_true(json_object_get(step, "idempotent")),
    };
    prefixed(&topic, client, text_of(step, "topic"));
    trip_init(&trip, client, step);
    int result = 0;
    int64_t earliest;
    if (!json_is_true(json_object_get(step, "fresh")))
        result = client_offsets(client, topic.text, partition, &earliest, &trip.start);
    if (result == 0)
        result = client_produce(client, topic.text, partition, trip.records, trip.count, &options);
    if (result == 0)
        result = client_read(client, topic.text, partition, trip.start, trip.count, compare, &trip);
    trip_deinit(&trip);
    return result;
}

static const struct produce_options PLAIN = {.codec = "none", .acks = -1};

/* Turns the result of a call that must fail into the result of its step. */
static int due_error(struct client *client, const json_t *step, int result)
{
    if (result == 0)
        return client_fail(client, "taken, but %s was due", text_of(step, "error_name"));
    return client->code == number_of(step, "error", 0) ? 0 : -1;
}

static int op_produce_error(struct client *client, const json_t *step)
{
    struct name topic;
    struct record record = {.key = "key",
                            .value_size_bytes = (size_t)number_of(step, "value_bytes", 0)};
    char *value = filled("too large ", record.value_size_bytes);
    record.value = value;
    int result = client_produce(client, prefixed(&topic, client, text_of(step, "topic")),
                                (int)number_of(step, "partition", 0), &record, 1, &PLAIN);
    free(value);
    return due_error(client, step, result);
}

static int keep_time(void *context, size_t index, rd_kafka_message_t *message)
{
    *(int64_t *)context = rd_kafka_message_timestamp(message, NULL);
    return 0;
}

static int op_seek_time(struct client *client, const json_t *step)
{
    enum { MOST = 1000 };
    struct record records[MOST];
    struct name topic;
    int64_t count = number_of(step, "count", 0), offset = -1, after = -1, time_ms = 0;
    prefixed(&topic, client, text_of(step, "topic"));
    for (int64_t at = 0; at < count && at < MOST; at++)
        records[at] = (struct record){.key = "key",
                                      .value = "at",
                                      .value_size_bytes = 2,
                                      .timestamp_ms = number_of(step, "start_ms", 0) +
                                                      at * number_of(step, "every_ms", 0)};
    if (client_produce(client, topic.text, 0, records, (size_t)count, &PLAIN) ||
        client_offset_at(client, topic.text, 0, number_of(step, "at_ms", 0), &offset) ||
        client_offset_at(client, topic.text, 0, number_of(step, "after_ms", 0), &after))
        return -1;
    if (offset != number_of(step, "offset", 0))
        return client_fail(client, "offset %lld", (long long)offset);
    if (after != -1 && after != RD_KAFKA_OFFSET_END && after != count)
        return client_fail(client, "offset %lld for a time to come", (long long)after);
    if (client_read(client, topic.text, 0, offset, 1, keep_time, &time_ms))
        return -1;
    if (time_ms != records[offset].timestamp_ms)
        return client_fail(client, "time %lld", (long long)time_ms);
    return 0;
}

static int op_watermarks(struct client *client, const json_t *step)
{
    struct name topic;
    int64_t earliest, latest;
    if (client_offsets(client, prefixed(&topic, client, text_of(step, "topic")),
                       (int)number_of(step, "partition", 0), &earliest, &latest))
        return -1;
    if (earliest != number_of(step, "earliest", 0) || latest != number_of(step, "latest", 0))
        return client_fail(client, "from %lld to %lld", (long long)earliest, (long long)latest);
    return 0;
}

/* One member reads offsets [from, to) and commits `to`. */
static int read_and_commit(struct client *client, const char *group, const char *topic,
                           int64_t from, int64_t to)
{
    int result = 0;
    rd_kafka_t *member = member_new(client, group, topic);
    if (!member)
        return -1;
    int64_t end_ms = now_ms() + WAIT_MS;
    while (from < to && result == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member, 100);
        if (message && !message->err && message->offset != from++)
            result = client_fail(client, "read %lld, not %lld", (long long)message->offset,
                                 (long long)from - 1);
        if (message)
            rd_kafka_message_destroy(message);
        if (now_ms() > end_ms)
            result = client_fail(client, "read up to %lld of %lld", (long long)from, (long long)to);
    }
    if (result == 0)
        result = member_commit(client, member, topic, 0, to);
    member_free(member);
    return result;
}

static int op_commit_resume(struct client *client, const json_t *step)
{
    struct name topic, group;
    int64_t take = number_of(step, "take", 0);
    prefixed(&topic, client, text_of(step, "topic"));
    prefixed(&group, client, text_of(step, "group"));
    if (read_and_commit(client, group.text, topic.text, 0, take))
        return -1;
    return read_and_commit(client, group.text, topic.text, take, number_of(step, "total", 0));
}

struct sharing {
    struct client *client;
    const char *topic;
    rd_kafka_t *members[2];
    int64_t next[8]; /* for each partition, the offset after the last one seen */
    int partition_count;
};

static void look(struct sharing *sharing)
{
    for (size_t at = 0; at < 2; at++) {
        if (!sharing->members[at])
            continue;
        rd_kafka_message_t *message = rd_kafka_consumer_poll(sharing->members[at], 20);
        if (!message)
            continue;
        if (!message->err && message->offset >= sharing->next[message->partition])
            sharing->next[message->partition] = message->offset + 1;
        rd_kafka_message_destroy(message);
    }
}

static int await_shares(struct sharing *sharing, int first, int second)
{
    uint64_t owned[2] = {0};
    for (int64_t end_ms = now_ms() + WAIT_MS; now_ms() < end_ms;) {
        look(sharing);
        for (size_t at = 0; at < 2; at++)
            owned[at] = sharing->members[at] ? member_assignment(sharing->members[at]) : 0;
        if (__builtin_popcountll(owned[0]) == first && __builtin_popcountll(owned[1]) == second &&
            (owned[0] & owned[1]) == 0)
            return 0;
    }
    return client_fail(sharing->client, "own %#llx and %#llx, not %d and %d of them",
                       (unsigned long long)owned[0], (unsigned long long)owned[1], first, second);
}

static int produce_and_see(struct sharing *sharing, int64_t each, int64_t round)
{
    struct record records[100];
    for (int64_t at = 0; at < each; at++)
        records[at] = (struct record){.key = "k", .value = "v", .value_size_bytes = 1};
    for (int at = 0; at < sharing->partition_count; at++) {
        if (client_produce(sharing->client, sharing->topic, at, records, (size_t)each, &PLAIN))
            return -1;
    }
    int seen_count = 0;
    for (int64_t end_ms = now_ms() + WAIT_MS; now_ms() < end_ms;) {
        look(sharing);
        seen_count = 0;
        for (int at = 0; at < sharing->partition_count; at++)
            seen_count += sharing->next[at] == each * round;
        if (seen_count == sharing->partition_count)
            return 0;
    }
    return client_fail(sharing->client, "all records of %d partitions only", seen_count);
}

static int share(struct sharing *sharing, const char *group, const json_t *step)
{
    int all = sharing->partition_count;
    int64_t each = number_of(step, "records", 0) / all;
    sharing->members[0] = member_new(sharing->client, group, sharing->topic);
    if (!sharing->members[0] || await_shares(sharing, all, 0))
        return -1;
    sharing->members[1] = member_new(sharing->client, group, sharing->topic);
    if (!sharing->members[1] || await_shares(sharing, all / 2, all / 2) ||
        produce_and_see(sharing, each, 1))
        return -1;
    member_free(sharing->members[1]);
    sharing->members[1] = NULL;
    return await_shares(sharing, all, 0) || produce_and_see(sharing, each, 2) ? -1 : 0;
}

static int op_rebalance(struct client *client, const json_t *step)
{
    struct name topic, group;
    struct sharing sharing = {.client = client,
                              .topic = prefixed(&topic, client, text_of(step, "topic")),
                              .partition_count = (int)number_of(step, "partitions", 0)};
    int result = share(&sharing, prefixed(&group, client, text_of(step, "group")), step);
    member_free(sharing.members[0]);
    member_free(sharing.members[1]);
    return result;
}

static int op_list_groups(struct client *client, const json_t *step)
{
    size_t at;
    json_t *group;
    struct name name;
    bool listed;
    json_array_foreach(json_object_get(step, "contains"), at, group)
    {
        prefixed(&name, client, json_string_value(group));
        if (admin_group_listed(client, name.text, &listed))
            return -1;
        if (!listed)
            return client_fail(client, "%s is not listed", name.text);
    }
    return 0;
}

static int op_describe_group(struct client *client, const json_t *step)
{
    struct name group;
    const char *state = "";
    prefixed(&group, client, text_of(step, "group"));
    for (int64_t end_ms = now_ms() + WAIT_MS; now_ms() < end_ms; pause_ms(20)) {
        if (admin_group_state(client, group.text, &state))
            return -1;
        if (strcmp(state, text_of(step, "state")) == 0)
            return 0;
    }
    return client_fail(client, "the group is %s", state);
}

static int op_group_offsets(struct client *client, const json_t *step)
{
    struct name group, topic;
    int64_t offset;
    if (admin_group_offset(client, prefixed(&group, client, text_of(step, "group")),
                           prefixed(&topic, client, text_of(step, "topic")),
                           (int)number_of(step, "partition", 0), &offset))
        return -1;
    if (offset != number_of(step, "offset", 0))
        return client_fail(client, "offset %lld", (long long)offset);
    return 0;
}

static int op_delete_group(struct client *client, const json_t *step)
{
    struct name group;
    bool listed;
    prefixed(&group, client, text_of(step, "group"));
    if (admin_delete_group(client, group.text) || admin_group_listed(client, group.text, &listed))
        return -1;
    return listed ? client_fail(client, "still listed") : 0;
}

static int op_create_partitions(struct client *client, const json_t *step)
{
    struct name topic;
    int count = (int)number_of(step, "partitions", 0);
    prefixed(&topic, client, text_of(step, "topic"));
    if (admin_add_partitions(client, topic.text, count))
        return -1;
    return await_partitions(client, topic.text, count);
}

static int op_delete_records(struct client *client, const json_t *step)
{
    struct name topic;
    int partition = (int)number_of(step, "partition", 0);
    int64_t before = number_of(step, "before", 0), earliest, latest;
    prefixed(&topic, client, text_of(step, "topic"));
    if (admin_delete_records(client, topic.text, partition, before) ||
        client_offsets(client, topic.text, partition, &earliest, &latest))
        return -1;
    return earliest == before ? 0 : client_fail(client, "from %lld on", (long long)earliest);
}

static int op_create_error(struct client *client, const json_t *step)
{
    return due_error(client, step, create_topic(client, step));
}

static int op_delete_error(struct client *client, const json_t *step)
{
    struct name topic;
    prefixed(&topic, client, text_of(step, "topic"));
    return due_error(client, step, admin_delete_topic(client, topic.text));
}

static int op_delete_topic(struct client *client, const json_t *step)
{
    struct name topic;
    prefixed(&topic, client, text_of(step, "topic"));
    if (admin_delete_topic(client, topic.text))
        return -1;
    return await_partitions(client, topic.text, 0);
}

static const struct {
    const char *name;
    int (*run)(struct client *client, const json_t *step);
} OPS[] = {
    {"create_topics", op_create_topics},
    {"list_topics", op_list_topics},
    {"describe_topic", op_describe_topic},
    {"describe_config", op_describe_config},
    {"alter_config", op_alter_config},
    {"round_trip", op_round_trip},
    {"produce_error", op_produce_error},
    {"seek_time", op_seek_time},
    {"watermarks", op_watermarks},
    {"commit_resume", op_commit_resume},
    {"rebalance", op_rebalance},
    {"list_groups", op_list_groups},
    {"describe_group", op_describe_group},
    {"group_offsets", op_group_offsets},
    {"delete_group", op_delete_group},
    {"create_partitions", op_create_partitions},
    {"delete_records", op_delete_records},
    {"create_error", op_create_error},
    {"delete_error", op_delete_error},
    {"delete_topic", op_delete_topic},
    {"transaction", op_transaction},
    {"transaction_fence", op_transaction_fence},
    {"transaction_offsets", op_transaction_offsets},
};

static void run_step(struct client *client, const json_t *step)
{
    const char *name = text_of(step, "step"), *op = text_of(step, "op");
    if (number_of(step, "partitions", 1) == 0) {
        printf("skip librdkafka %s: librdkafka refuses it before it reaches the server\n", name);
        return;
    }
    for (size_t at = 0; at < sizeof OPS / sizeof *OPS; at++) {
        if (strcmp(OPS[at].name, op) != 0)
            continue;
        if (OPS[at].run(client, step))
            printf("not ok librdkafka %s: %s\n", name, client->why);
        else
            printf("ok librdkafka %s\n", name);
        return;
    }
    printf("skip librdkafka %s: no op %s\n", name, op);
}

static bool is_asked(const char *name, char **names, int count)
{
    for (int at = 0; at < count; at++) {
        if (strcmp(names[at], name) == 0)
            return true;
    }
    return count == 0;
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: run_librdkafka SCENARIO BOOTSTRAP PREFIX [STEP ...]\n");
        return 2;
    }
    json_error_t error;
    json_t *scenario = json_load_file(arguments[1], 0, &error);
    struct client client;
    if (!scenario || client_init(&client, arguments[2], arguments[3])) {
        fprintf(stderr, "%s\n", scenario ? client.why : error.text);
        return 1;
    }
    size_t at;
    json_t *step;
    json_array_foreach(json_object_get(scenario, "steps"), at, step)
    {
        if (is_asked(text_of(step, "step"), arguments + 4, count - 4))
            run_step(&client, step);
        fflush(stdout);
    }
    client_deinit(&client);
    json_decref(scenario);
    return 0;
}
