#include "bus/dead/dead_write.h"

#include "base/mem.h"
#include "client/admin/admin.h"
#include "client/lane/lane_record.h"
#include "client/publisher/publisher.h"

#include <stdlib.h>

struct dead_writer {
    struct publisher *publisher;
    char *group;
    char dlq_topic[LANE_TOPIC_SIZE], state_topic[LANE_TOPIC_SIZE];
    int timeout_ms;
    struct client_error failure; /* the first one since the last flush; CLIENT_OK: none */
    struct dead_place edited;
};

/* context: the record's topic is dlq_topic when it is not NULL. */
static void on_done(void *context, const struct publication *publication)
{
    struct dead_writer *writer = context;
    if (publication->status != CLIENT_OK && writer->failure.status == CLIENT_OK) {
        writer->failure = *publication->error;
    } else if (publication->status == CLIENT_OK && publication->context != NULL) {
        writer->edited = (struct dead_place){publication->partition, publication->offset};
    }
}

/* Somebody else may make it at the same time. */
static enum client_status make_topic(struct dead_writer *writer, struct client_error *error)
{
    static const struct admin_setting settings[] = {{"cleanup.policy", "compact"}};
    const struct admin_new_topic topic = {writer->state_topic, 1, settings, 1};
    struct connection *connection = publisher_connection(writer->publisher);
    struct admin_topics topics;
    struct admin_outcomes outcomes;
    enum client_status status = admin_topic(connection, writer->state_topic, false, &topics, error);
    admin_topics_deinit(&topics);
    if (status != CLIENT_NOT_FOUND) {
        return status;
    }
    status = admin_create_topics(connection, &topic, 1, &outcomes, error);
    if (status == CLIENT_OK && outcomes.items[0].error.status != CLIENT_OK &&
        outcomes.items[0].error.status != CLIENT_CONFLICT) {
        *error = outcomes.items[0].error;
        status = error->status;
    }
    admin_outcomes_deinit(&outcomes);
    if (status == CLIENT_OK) {
        status = admin_topic(connection, writer->state_topic, true, &topics, error);
        admin_topics_deinit(&topics);
    }
    return status;
}

enum client_status dead_writer_open(const struct connection_settings *connection, const char *group,
                                    struct dead_writer **writer, struct client_error *error)
{
    enum { EVENT_MAX_BYTES = 100000000 }; /* the bus has its own bound */
    struct dead_writer *made = mem_new(struct dead_writer);
    *writer = NULL;
    made->group = mem_strdup(group);
    made->edited.partition = -1;
    lane_topic_name("dlq.", group, made->dlq_topic);
    lane_topic_name("dlq-state.", group, made->state_topic);
    const struct publisher_settings settings = {.connection = *connection,
                                                .event_max_bytes = EVENT_MAX_BYTES,
                                                .done = on_done,
                                                .done_context = made};
    enum client_status status = publisher_open(&settings, &made->publisher, error);
    if (status == CLIENT_OK) {
        made->timeout_ms = connection_timeout_ms(publisher_connection(made->publisher));
        status = connection_reach(publisher_connection(made->publisher), error);
    }
    if (status == CLIENT_OK) {
        status = make_topic(made, error);
    }
    if (status != CLIENT_OK) {
        dead_writer_close(made);
        return status;
    }
    *writer = made;
    return CLIENT_OK;
}

void dead_writer_close(struct dead_writer *writer)
{
    if (writer != NULL) {
        publisher_close(writer->publisher);
        free(writer->group);
        free(writer);
    }
}

/* Waits for room where too much is on its way. */
static enum client_status publish(struct dead_writer *writer, const struct event *event,
                                  void *context, struct client_error *error)
{
    enum { WAIT_MS = 20 };
    enum client_status status;
    while ((status = publisher_publish(writer->publisher, event, context, error)) == CLIENT_FULL) {
        publisher_serve(writer->publisher, WAIT_MS);
    }
    publisher_serve(writer->publisher, 0);
    return status;
}

enum client_status dead_writer_put(struct dead_writer *writer, const struct dead_fact *fact,
                                   struct client_error *error)
{
    struct buf key = {0}, value = {0};
    struct event event = event_blank();
    dead_fact_write(fact, &key, &value);
    event.topic = writer->state_topic;
    event.partition = 0;
    event.key = buf_slice(&key);
    event.value = fact->is_erased ? (struct slice){0} : buf_slice(&value);
    enum client_status status = publish(writer, &event, NULL, error);
    buf_deinit(&key);
    buf_deinit(&value);
    return status;
}

enum client_status dead_writer_edit(struct dead_writer *writer, const struct dead_letter *letter,
                                    struct slice payload, const char *who,
                                    struct client_error *error)
{
    enum { ADDED = 2 };
    struct arena arena = {0};
    char place[DEAD_PLACE_SIZE];
    struct event event = *letter->event;
    event.topic = writer->dlq_topic;
    event.partition = letter->place.partition;
    event.offset = -1;
    event.timestamp_ms = -1;
    event.value = payload;
    event_header_room(&event, ADDED, &arena);
    event_header_add(&event, "tidings-dead-edit-of",
                     slice_str(dead_place_text(letter->place, place)));
    event_header_add(&event, "tidings-dead-edited-by", slice_str(who));
    enum client_status status = publish(writer, &event, writer->dlq_topic, error);
    arena_deinit(&arena);
    return status;
}

enum client_status dead_writer_republish(struct dead_writer *writer,
                                         const struct dead_letter *letter, struct slice payload,
                                         struct client_error *error)
{
    struct event event = event_blank();
    char topic[LANE_TOPIC_SIZE];
    struct event_header *headers =
        mem_new_array(struct event_header, letter->event->header_count + 1);
    if (slice_is_null(letter->topic)) {
        free(headers);
        return client_fail(error, CLIENT_INVALID, NULL, "its record does not say its source");
    }
    snprintf(topic, sizeof topic, "%.*s", SLICE_ARGS(letter->topic));
    event.topic = topic;
    event.key = letter->event->key;
    event.value = payload;
    event.headers = headers;
    for (size_t i = 0; i < letter->event->header_count; i++) {
        if (!dead_letter_adds(letter->event->headers[i].name)) {
            headers[event.header_count++] = letter->event->headers[i];
        }
    }
    event_header_add(&event, "tidings-redrive-for", slice_str(writer->group));
    enum client_status status = publish(writer, &event, NULL, error);
    free(headers);
    return status;
}

enum client_status dead_writer_flush(struct dead_writer *writer, struct client_error *error)
{
    enum client_status status = publisher_flush(writer->publisher, writer->timeout_ms);
    if (writer->failure.status != CLIENT_OK) {
        status = writer->failure.status;
        if (error != NULL) {
            *error = writer->failure;
        }
    } else if (status != CLIENT_OK) {
        client_fail(error, status, "allow more time with --timeout",
                    "no answer of the bus within %d ms", writer->timeout_ms);
    }
    writer->failure = (struct client_error){0};
    return status;
}

struct dead_place dead_writer_edited(const struct dead_writer *writer)
{
    return writer->edited;
}
