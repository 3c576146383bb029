/* Transactions: what readers see, fencing, and consume-transform-produce. */
#include "step.h"

#include <stdio.h>
#include <string.h>

enum { MOST_KEYS = 64 };

/* The keys of some records, in order. */
struct keys {
    char text[MOST_KEYS][48];
    size_t count;
};

static void keys_add(struct keys *keys, const char *word, size_t count)
{
    for (size_t at = 0; at < count && keys->count < MOST_KEYS; at++)
        snprintf(keys->text[keys->count++], sizeof keys->text[0], "%.20s-%zu", word, at);
}

static void keys_append(struct keys *keys, const struct keys *more, size_t from, size_t count)
{
    for (size_t at = from; at < from + count && keys->count < MOST_KEYS; at++)
        memcpy(keys->text[keys->count++], more->text[at], sizeof keys->text[0]);
}

/* ---- what readers see ---- */

struct seeing {
    struct client *client;
    const struct keys *keys;
    const char *level;
};

static int same_key(void *context, size_t index, rd_kafka_message_t *message)
{
    const struct seeing *seeing = context;
    const char *due = seeing->keys->text[index];
    if (message->key_len == strlen(due) && memcmp(message->key, due, message->key_len) == 0)
        return 0;
    return client_fail(seeing->client, "%s sees %.*s, not %s", seeing->level, (int)message->key_len,
                       (const char *)message->key, due);
}

/* A reader of that isolation level sees these keys, in this order. */
static int check_seen(struct client *client, const char *topic, const char *level,
                      const struct keys *keys)
{
    const char *const settings[] = {"bootstrap.servers",
                                    client->bootstrap,
                                    "group.id",
                                    "unused",
                                    "enable.auto.commit",
                                    "false",
                                    "isolation.level",
                                    level,
                                    NULL};
    rd_kafka_t *reader = client_handle(client, RD_KAFKA_CONSUMER, settings);
    if (!reader)
        return -1;
    rd_kafka_poll_set_consumer(reader);
    struct seeing seeing = {.client = client, .keys = keys, .level = level};
    int result = client_read_with(client, reader, topic, 0, 0, keys->count, same_key, &seeing);
    member_free(reader);
    return result;
}

static int check_both(struct client *client, const char *topic, const struct keys *committed,
                      const struct keys *all)
{
    if (check_seen(client, topic, "read_committed", committed))
        return -1;
    return check_seen(client, topic, "read_uncommitted", all);
}

/* ---- a transactional producer ---- */

/* Takes the error, which may be NULL for none. */
static int outcome(struct client *client, rd_kafka_error_t *error, const char *what)
{
    if (!error)
        return 0;
    client_fail(client, "%s: %s: %s", what, rd_kafka_error_name(error),
                rd_kafka_error_string(error));
    client->code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return -1;
}

static rd_kafka_t *producer_new(struct client *client, const char *id)
{
    const char *const settings[] = {"bootstrap.servers", client->bootstrap, "transactional.id", id,
                                    NULL};
    rd_kafka_t *producer = client_handle(client, RD_KAFKA_PRODUCER, settings);
    if (producer && outcome(client, rd_kafka_init_transactions(producer, WAIT_MS), "init")) {
        rd_kafka_destroy(producer);
        return NULL;
    }
    return producer;
}

/* Begins a transaction and sends the keys in it. */
static int begin_and_send(struct client *client, rd_kafka_t *producer, const char *topic,
                          const struct keys *keys)
{
    if (outcome(client, rd_kafka_begin_transaction(producer), "begin"))
        return -1;
    for (size_t at = 0; at < keys->count; at++) {
        struct record record = {.key = keys->text[at], .value = "v", .value_size_bytes = 1};
        rd_kafka_resp_err_t error = client_enqueue(producer, topic, 0, &record);
        if (error)
            return client_fail_code(client, error, "produce");
    }
    rd_kafka_resp_err_t error = rd_kafka_flush(producer, WAIT_MS);
    return error ? client_fail_code(client, error, "flush") : 0;
}

static int end(struct client *client, rd_kafka_t *producer, bool commit)
{
    return commit ? outcome(client, rd_kafka_commit_transaction(producer, WAIT_MS), "commit")
                  : outcome(client, rd_kafka_abort_transaction(producer, WAIT_MS), "abort");
}

static bool commits(const json_t *transaction)
{
    return json_is_true(json_object_get(transaction, "commit"));
}

/* ---- op transaction ---- */

static int play(struct client *client, rd_kafka_t *producer, const char *topic, const json_t *list,
                struct keys *committed, struct keys *all)
{
    size_t at;
    json_t *wanted;
    json_array_foreach(list, at, wanted)
    {
        struct keys keys = {.count = 0};
        char word[24];
        snprintf(word, sizeof word, "%zu", at);
        keys_add(&keys, word, (size_t)number_of(wanted, "count", 0));
        keys_append(all, &keys, 0, keys.count);
        if (commits(wanted))
            keys_append(committed, &keys, 0, keys.count);
        if (begin_and_send(client, producer, topic, &keys))
            return -1;
        if (at + 1 == json_array_size(list) && check_seen(client, topic, "read_uncommitted", all))
            return -1;
        if (end(client, producer, commits(wanted)))
            return -1;
    }
    return 0;
}

int op_transaction(struct client *client, const json_t *step)
{
    struct name topic, id;
    struct keys committed = {.count = 0}, all = {.count = 0};
    prefixed(&topic, client, text_of(step, "topic"));
    rd_kafka_t *producer = producer_new(client, prefixed(&id, client, text_of(step, "step")));
    if (!producer)
        return -1;
    int result =
        play(client, producer, topic.text, json_object_get(step, "transactions"), &committed, &all);
    rd_kafka_destroy(producer);
    return result ? -1 : check_both(client, topic.text, &committed, &all);
}

/* ---- op transaction_fence ---- */

/* The first has an open transaction; the second takes over its id. */
static int take_over(struct client *client, rd_kafka_t *first, rd_kafka_t *second,
                     const char *topic, const struct keys *fresh)
{
    if (end(client, first, true) == 0)
        return client_fail(client, "the fenced producer could commit");
    if (client->code != RD_KAFKA_RESP_ERR__FENCED)
        return -1;
    fprintf(stderr, "fenced: %s\n", client->why);
    if (begin_and_send(client, second, topic, fresh))
        return -1;
    return end(client, second, true);
}

int op_transaction_fence(struct client *client, const json_t *step)
{
    struct name topic, id;
    struct keys all = {.count = 0}, fresh = {.count = 0};
    size_t count = (size_t)number_of(step, "count", 0);
    prefixed(&topic, client, text_of(step, "topic"));
    prefixed(&id, client, text_of(step, "step"));
    keys_add(&all, "old", count);
    keys_add(&fresh, "new", count);
    rd_kafka_t *second = NULL, *first = producer_new(client, id.text);
    int result = first ? begin_and_send(client, first, topic.text, &all) : -1;
    if (result == 0) {
        second = producer_new(client, id.text);
        result = second ? take_over(client, first, second, topic.text, &fresh) : -1;
    }
    if (first)
        rd_kafka_destroy(first);
    if (second)
        rd_kafka_destroy(second);
    keys_append(&all, &fresh, 0, fresh.count);
    return result ? -1 : check_both(client, topic.text, &fresh, &all);
}

/* ---- op transaction_offsets ---- */

struct transform {
    struct name id, group, topic, into;
    int64_t position; /* the group's committed offset */
    size_t count;
    bool commit;
};

/* Takes the records behind the committed offset from the member. */
static int take(struct client *client, rd_kafka_t *member, const struct transform *what,
                struct keys *taken)
{
    int result = 0;
    int64_t end_ms = now_ms() + WAIT_MS;
    while (taken->count < what->count && result == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member, 100);
        int64_t due = what->position + (int64_t)taken->count;
        if (message && !message->err && message->offset != due)
            result = client_fail(client, "read %lld, not %lld", (long long)message->offset,
                                 (long long)due);
        else if (message && !message->err)
            snprintf(taken->text[taken->count++], sizeof taken->text[0], "%.*s",
                     (int)message->key_len, (const char *)message->key);
        else if (now_ms() > end_ms)
            result = client_fail(client, "read %zu of %zu", taken->count, what->count);
        if (message)
            rd_kafka_message_destroy(message);
    }
    return result;
}

static int send_offset(struct client *client, rd_kafka_t *producer, rd_kafka_t *member,
                       const struct transform *what)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, what->topic.text, 0)->offset =
        what->position + (int64_t)what->count;
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(member);
    int result = outcome(
        client, rd_kafka_send_offsets_to_transaction(producer, offsets, group, WAIT_MS), "offsets");
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    return result;
}

/* One consume-transform-produce: the group's next records go out, and its offset. */
static int transform(struct client *client, const struct transform *what)
{
    struct keys taken = {.count = 0};
    rd_kafka_t *producer = NULL, *member = member_new(client, what->group.text, what->topic.text);
    int result = member ? take(client, member, what, &taken) : -1;
    if (result == 0) {
        producer = producer_new(client, what->id.text);
        result = producer ? 0 : -1;
    }
    if (result == 0)
        result = begin_and_send(client, producer, what->into.text, &taken);
    if (result == 0)
        result = send_offset(client, producer, member, what);
    if (result == 0)
        result = end(client, producer, what->commit);
    if (producer)
        rd_kafka_destroy(producer);
    member_free(member);
    return result;
}

static int await_offset(struct client *client, const struct transform *what)
{
    int64_t offset = -1;
    for (int64_t end_ms = now_ms() + WAIT_MS; now_ms() < end_ms; pause_ms(20)) {
        if (admin_group_offset(client, what->group.text, what->topic.text, 0, &offset))
            return -1;
        if (offset == what->position)
            return 0;
    }
    return client_fail(client, "the group's offset is %lld, not %lld", (long long)offset,
                       (long long)what->position);
}

static int produce_input(struct client *client, const char *topic, const struct keys *keys)
{
    const struct produce_options plain = {.codec = "none", .acks = -1};
    struct record records[MOST_KEYS];
    for (size_t at = 0; at < keys->count; at++)
        records[at] = (struct record){.key = keys->text[at], .value = "v", .value_size_bytes = 1};
    return client_produce(client, topic, 0, records, keys->count, &plain);
}

int op_transaction_offsets(struct client *client, const json_t *step)
{
    struct keys keys = {.count = 0}, committed = {.count = 0}, all = {.count = 0};
    struct transform what = {.position = 0};
    size_t at;
    json_t *wanted;
    prefixed(&what.id, client, text_of(step, "step"));
    prefixed(&what.group, client, text_of(step, "group"));
    prefixed(&what.topic, client, text_of(step, "topic"));
    prefixed(&what.into, client, text_of(step, "into"));
    keys_add(&keys, "in", (size_t)number_of(step, "total", 0));
    if (produce_input(client, what.topic.text, &keys))
        return -1;
    json_array_foreach(json_object_get(step, "transactions"), at, wanted)
    {
        what.count = (size_t)number_of(wanted, "count", 0);
        what.commit = commits(wanted);
        if (transform(client, &what))
            return -1;
        keys_append(&all, &keys, (size_t)what.position, what.count);
        if (!what.commit)
            continue;
        keys_append(&committed, &keys, (size_t)what.position, what.count);
        what.position += (int64_t)what.count;
        if (await_offset(client, &what))
            return -1;
    }
    return check_both(client, what.into.text, &committed, &all);
}
