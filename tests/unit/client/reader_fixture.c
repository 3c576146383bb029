#include "reader_fixture.h"

#include "../unit.h"

static void on_assigned(void *context, const struct topic_partitions *partitions)
{
    struct seen *seen = context;
    seen->assigned += (int)partitions->count;
    for (size_t i = 0; i < partitions->count; i++) {
        const char *metadata = partitions->items[i].metadata;
        snprintf(seen->metadata, sizeof seen->metadata, "%s", metadata != NULL ? metadata : "");
    }
}

static void on_committed(void *context, const struct reader_commit_answer *answer)
{
    struct seen *seen = context;
    seen->stored += answer->is_stored;
    seen->stored_epoch = answer->epoch;
}

static void on_revoked(void *context, const struct topic_partitions *partitions, bool is_lost)
{
    struct seen *seen = context;
    seen->revoked += (int)partitions->count;
    seen->was_lost |= is_lost;
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    ((struct seen *)context)->ended++;
}

static void on_gone(void *context, const struct reader_gap *gap)
{
    struct seen *seen = context;
    seen->gaps++;
    seen->gap = *gap;
}

static void on_notice(void *context, const struct client_error *what)
{
    struct seen *seen = context;
    snprintf(seen->notice, sizeof seen->notice, "%s", what->text);
}

const struct reader_callbacks seen_callbacks = {.assigned = on_assigned,
                                                .revoked = on_revoked,
                                                .committed = on_committed,
                                                .ended = on_ended,
                                                .gone = on_gone};

void seen_join_as(const struct reader_settings *as, struct bus_server *bus, struct seen *seen,
                  const char *property)
{
    struct reader_settings settings = *as;
    settings.connection = bus_server_settings(bus);
    settings.is_cooperative = true;
    settings.commit_interval_ms = settings.fetch_wait_ms = 20;
    settings.callbacks = seen_callbacks;
    settings.context = seen;
    *seen = (struct seen){0};
    settings.connection.notice = on_notice;
    settings.connection.notice_context = seen;
    settings.connection.timeout_ms = as->connection.timeout_ms;
    settings.connection.properties = &property;
    settings.connection.property_count = property != NULL;
    struct client_error error;
    if (reader_open(&settings, &seen->reader, &error) != CLIENT_OK) {
        fail_msg("%s", error.text);
    }
}

void seen_join(struct bus_server *bus, struct seen *seen, const char *group,
               const char *const *topics, size_t topic_count, enum position_kind from)
{
    struct reader_settings settings = {.group = group,
                                       .topics = topics,
                                       .topic_count = topic_count,
                                       .from = {.kind = from},
                                       .session_timeout_ms = 30000};
    seen_join_as(&settings, bus, seen, NULL);
}

/* The next event; fails the test when the reader does. */
struct received *seen_take(struct seen *seen)
{
    struct received *received = NULL;
    struct client_error error;
    while (received == NULL) {
        if (reader_take(seen->reader, 100, &received, &error) != CLIENT_OK) {
            fail_msg("%s", error.text);
        }
    }
    return received;
}

/* Takes events with values first, first + 1, ... of one partition and marks each as done. */
void seen_expect(struct seen *seen, int first, int count, const char *metadata)
{
    for (int i = first; i < first + count; i++) {
        struct received *received = seen_take(seen);
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        assert_string_equal((const char *)received->event.value.data, value);
        assert_true(reader_mark(seen->reader, received->event.topic, received->event.partition,
                                received->epoch, received->event.offset + 1, metadata));
        received_free(received);
    }
}

/* Serves the reader until it has so many partitions. */
void seen_wait_assigned(struct seen *seen, int count)
{
    while (seen->assigned < count) {
        struct received *received;
        assert_int_equal(reader_take(seen->reader, 20, &received, NULL), CLIENT_OK);
        assert_null(received);
    }
}

void seen_expect_committed(struct bus_server *bus, const char *group, const char *topic,
                           int32_t partition, int64_t offset, const char *metadata)
{
    struct topic_partitions offsets;
    assert_int_equal(admin_group_offsets(bus->connection, group, NULL, &offsets, NULL), CLIENT_OK);
    const struct topic_partition *found = topic_partitions_find(&offsets, topic, partition);
    assert_non_null(found);
    assert_int_equal(found->offset, offset);
    assert_int_equal(found->metadata == NULL, metadata == NULL);
    if (metadata != NULL) {
        assert_string_equal(found->metadata, metadata);
    }
    topic_partitions_deinit(&offsets);
}
