#include "cli/bus/topic_facts.h"

#include "base/mem.h"
#include "wire/generated/describe_log_dirs.h"
#include "wire/generated/list_offsets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOG_DIRS_VERSION = 1, /* Kafka 1.0 to 4 */
    OFFSETS_VERSION = 7,  /* Kafka 3.0 on: the first with the newest time (KIP-734) */
    NEWEST = -3
};

/* One number of each partition. */
struct numbers {
    const struct topic_ends_list *topics;
    int64_t **of; /* [topic][place in its partitions]; -1: not known */
};

static struct numbers numbers_new(const struct topic_ends_list *topics)
{
    struct numbers numbers = {topics, mem_new_array(int64_t *, topics->count + 1)};
    for (size_t i = 0; i < topics->count; i++) {
        size_t count = topics->items[i].topic->partitions.count;
        numbers.of[i] = mem_new_array(int64_t, count + 1);
        memset(numbers.of[i], 0xff, count * sizeof(int64_t));
    }
    return numbers;
}

static void numbers_free(struct numbers *numbers)
{
    for (size_t i = 0; i < numbers->topics->count; i++) {
        free(numbers->of[i]);
    }
    free(numbers->of);
}

/* The place of this partition's number, or NULL. */
static int64_t *find(const struct numbers *numbers, struct slice name, int32_t partition)
{
    size_t low = 0, high = numbers->topics->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct admin_topic *topic = numbers->topics->items[middle].topic;
        int order = slice_compare(slice_str(topic->name), name);
        if (order == 0) {
            for (size_t i = 0; i < topic->partitions.count; i++) {
                if (topic->partitions.items[i].id == partition) {
                    return &numbers->of[middle][i];
                }
            }
            return NULL;
        }
        low = order < 0 ? middle + 1 : low;
        high = order > 0 ? middle : high;
    }
    return NULL;
}

static void raise_to(const struct numbers *numbers, struct slice name, int32_t partition,
                     int64_t number)
{
    int64_t *known = find(numbers, name, partition);
    if (known != NULL && number > *known) {
        *known = number;
    }
}

/* --- sizes --- */

static void write_log_dirs(struct raw_request *request, const struct topic_ends_list *topics)
{
    struct describe_log_dirs_request body;
    struct arena arena = {0};
    describe_log_dirs_request_init(&body);
    body.topics_count = (int32_t)topics->count;
    body.topics = arena_alloc_array(&arena, topics->count + 1, sizeof *body.topics);
    for (size_t i = 0; i < topics->count; i++) {
        const struct admin_topic *topic = topics->items[i].topic;
        struct describe_log_dirs_request_topic *to = &body.topics[i];
        to->topic = slice_str(topic->name);
        to->partitions = arena_alloc_array(&arena, topic->partitions.count + 1, sizeof(int32_t));
        to->partitions_count = (int32_t)topic->partitions.count;
        for (size_t j = 0; j < topic->partitions.count; j++) {
            to->partitions[j] = topic->partitions.items[j].id;
        }
    }
    describe_log_dirs_request_encode(&request->writer, LOG_DIRS_VERSION, &body);
    arena_deinit(&arena);
}

static enum err take_log_dirs(struct raw_answer *answer, const struct numbers *numbers,
                              struct reason *reason)
{
    struct describe_log_dirs_response body;
    enum err err = describe_log_dirs_response_decode(&answer->reader, LOG_DIRS_VERSION, &body);
    for (int32_t i = 0; err == ERR_NONE && i < body.results_count; i++) {
        const struct describe_log_dirs_response_result *dir = &body.results[i];
        if (dir->error_code != 0) {
            reason_set(reason, "%s", client_code_name(dir->error_code));
        }
        for (int32_t j = 0; j < dir->topics_count; j++) {
            const struct describe_log_dirs_response_topic *topic = &dir->topics[j];
            for (int32_t k = 0; k < topic->partitions_count; k++) {
                raise_to(numbers, topic->name, topic->partitions[k].partition_index,
                         topic->partitions[k].partition_size);
            }
        }
    }
    return err;
}

/* --- times --- */

/* Of the partitions that this broker leads; false: of none. */
static bool write_offsets(struct raw_request *request, const struct topic_ends_list *topics,
                          int32_t broker)
{
    struct list_offsets_request body;
    struct arena arena = {0};
    list_offsets_request_init(&body);
    body.replica_id = -1;
    body.topics = arena_alloc_array(&arena, topics->count + 1, sizeof *body.topics);
    for (size_t i = 0; i < topics->count; i++) {
        const struct admin_topic *topic = topics->items[i].topic;
        struct list_offsets_request_topic *to = &body.topics[body.topics_count];
        to->name = slice_str(topic->name);
        to->partitions =
            arena_alloc_array(&arena, topic->partitions.count + 1, sizeof *to->partitions);
        to->partitions_count = 0;
        for (size_t j = 0; j < topic->partitions.count; j++) {
            if (topic->partitions.items[j].leader == broker) {
                struct list_offsets_request_partition *at = &to->partitions[to->partitions_count++];
                list_offsets_request_partition_init(at);
                at->partition_index = topic->partitions.items[j].id;
                at->timestamp = NEWEST;
            }
        }
        body.topics_count += to->partitions_count > 0;
    }
    list_offsets_request_encode(&request->writer, OFFSETS_VERSION, &body);
    arena_deinit(&arena);
    return body.topics_count > 0;
}

static enum err take_offsets(struct raw_answer *answer, const struct numbers *numbers,
                             struct reason *reason)
{
    struct list_offsets_response body;
    enum err err = list_offsets_response_decode(&answer->reader, OFFSETS_VERSION, &body);
    for (int32_t i = 0; err == ERR_NONE && i < body.topics_count; i++) {
        const struct list_offsets_response_topic *topic = &body.topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct list_offsets_response_partition *at = &topic->partitions[j];
            if (at->error_code != 0) {
                reason_set(reason, "%s", client_code_name(at->error_code));
            } else { /* a partition without events says -1: it has no time, and is known */
                raise_to(numbers, topic->name, at->partition_index,
                         at->timestamp < 0 ? 0 : at->timestamp);
            }
        }
    }
    return err;
}

/* --- both --- */

static void ask(struct raw_bus *bus, bool is_sizes, const struct numbers *numbers,
                struct reason *reason)
{
    for (size_t i = 0; i < bus->brokers.count; i++) {
        struct raw_request request;
        struct raw_answer answer = {.arena = {0}};
        struct reason why = {""};
        bool is_wanted = true;
        raw_request_init(&request, is_sizes ? API_KEY_DESCRIBE_LOG_DIRS : API_KEY_LIST_OFFSETS,
                         is_sizes ? LOG_DIRS_VERSION : OFFSETS_VERSION);
        if (is_sizes) {
            write_log_dirs(&request, numbers->topics);
        } else {
            is_wanted = write_offsets(&request, numbers->topics, bus->brokers.items[i].id);
        }
        enum err err = is_wanted ? raw_bus_ask(bus, i, &request, &answer, &why) : ERR_NONE;
        if (is_wanted && err == ERR_NONE) {
            err = is_sizes ? take_log_dirs(&answer, numbers, &why)
                           : take_offsets(&answer, numbers, &why);
        }
        if (err != ERR_NONE && why.text[0] == '\0') {
            reason_set(&why, "the answer cannot be read");
        }
        if (why.text[0] != '\0') {
            *reason = why;
        }
        raw_answer_deinit(&answer);
        raw_request_deinit(&request);
    }
}

static int64_t sum(const int64_t *of, size_t count)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (of[i] < 0) {
            return -1;
        }
        total += of[i];
    }
    return total;
}

static int64_t newest(const int64_t *of, size_t count)
{
    int64_t most = -1;
    for (size_t i = 0; i < count; i++) {
        if (of[i] < 0) {
            return -1;
        }
        most = of[i] > most ? of[i] : most;
    }
    return most > 0 ? most : -1;
}

void topic_facts_load(struct topic_facts *facts, const struct bus_options *options,
                      const struct topic_ends_list *topics)
{
    struct raw_bus bus;
    struct numbers sizes = numbers_new(topics), times = numbers_new(topics);
    *facts = (struct topic_facts){.items = mem_new_array(struct topic_fact, topics->count + 1)};
    if (topics->count > 0 && raw_bus_init(&bus, options, &facts->no_bytes) == ERR_NONE) {
        ask(&bus, true, &sizes, &facts->no_bytes);
        ask(&bus, false, &times, &facts->no_newest);
    } else {
        facts->no_newest = facts->no_bytes;
    }
    if (topics->count > 0) {
        raw_bus_deinit(&bus);
    }
    for (size_t i = 0; i < topics->count; i++) {
        size_t count = topics->items[i].topic->partitions.count;
        facts->items[i] = (struct topic_fact){sum(sizes.of[i], count), newest(times.of[i], count)};
    }
    numbers_free(&sizes);
    numbers_free(&times);
}

void topic_facts_deinit(struct topic_facts *facts)
{
    free(facts->items);
    *facts = (struct topic_facts){0};
}
