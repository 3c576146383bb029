/* What waits for a bus that takes all and answers nothing ends with the deadline of its connection.
 */
#include "bus_server.h"

#include "base/buf.h"
#include "base/mem.h"
#include "client/reader/reader.h"

#include "../../unit.h"

#include <pthread.h>
#include <time.h>

/* All calls here may take ten minutes: a test that ends has shown that they did not. */
enum { FOR_EVER_MS = 600000, SHORT_MS = 2 };

struct asking {
    struct bus_server *bus;
    struct deadline deadline;
    atomic_bool begins; /* somebody is about to ask */
    pthread_t thread;
};

/* The deadline begins while somebody waits for the answer. */
static void *begin_deadline(void *argument)
{
    struct asking *asking = argument;
    const struct timespec moment = {.tv_nsec = 20000000};
    while (!atomic_load(&asking->begins)) {
        nanosleep(&moment, NULL);
    }
    nanosleep(&moment, NULL);
    deadline_begin(&asking->deadline, SHORT_MS);
    return NULL;
}

static struct connection_settings settings_of(struct asking *asking)
{
    struct connection_settings settings = bus_server_settings(asking->bus);
    settings.timeout_ms = FOR_EVER_MS;
    settings.deadline = &asking->deadline;
    return settings;
}

static void begin(struct asking *asking, struct bus_server *bus)
{
    *asking = (struct asking){.bus = bus, .deadline = {.within_ms = SHORT_MS}};
    pthread_create(&asking->thread, NULL, begin_deadline, asking);
}

/* The bus answers no more, and what is asked next waits when the deadline begins. */
static void hang(struct asking *asking)
{
    bus_server_hang(asking->bus);
    atomic_store(&asking->begins, true);
}

static void end(struct asking *asking)
{
    pthread_join(asking->thread, NULL);
    bus_server_go_on(asking->bus);
}

/* --- questions --- */

static enum client_status ask_topics(struct connection *connection, struct client_error *error)
{
    struct admin_topics topics;
    enum client_status status = admin_topics(connection, &topics, error);
    admin_topics_deinit(&topics);
    return status;
}

static enum client_status ask_topic(struct connection *connection, struct client_error *error)
{
    struct admin_topics topics;
    enum client_status status = admin_topic(connection, "asked", false, &topics, error);
    admin_topics_deinit(&topics);
    return status;
}

static enum client_status ask_bounds(struct connection *connection, struct client_error *error)
{
    struct topic_partitions partitions = {0};
    struct admin_bounds bounds[1];
    topic_partitions_add(&partitions, "asked", 0, -1);
    enum client_status status = admin_bounds(connection, &partitions, bounds, error);
    topic_partitions_deinit(&partitions);
    return status;
}

static enum client_status ask_groups(struct connection *connection, struct client_error *error)
{
    struct admin_group_listings listings;
    enum client_status status = admin_groups(connection, &listings, error);
    admin_group_listings_deinit(&listings);
    return status;
}

static enum client_status ask_group(struct connection *connection, struct client_error *error)
{
    struct admin_group group;
    enum client_status status = admin_group(connection, "asked", &group, error);
    admin_group_deinit(&group);
    return status;
}

static void test_no_question_outlasts_the_deadline(void **state)
{
    enum client_status (*const questions[])(struct connection *, struct client_error *) = {
        ask_topics, ask_topic, ask_bounds, ask_groups, ask_group};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct asking asking;
        struct connection *connection;
        struct client_error error;
        begin(&asking, *state);
        struct connection_settings settings = settings_of(&asking);
        assert_int_equal(connection_open(&settings, &connection, &error), CLIENT_OK);
        assert_int_equal(ask_topics(connection, &error), CLIENT_OK); /* it knows the bus */
        hang(&asking);
        assert_int_equal(questions[i](connection, &error), CLIENT_TIMED_OUT);
        connection_close(connection); /* nor does the end of it */
        end(&asking);
    }
}

/* --- readers --- */

static void open_reader(struct asking *asking, struct reader **reader, const char *group)
{
    static const char *const topics[] = {"asked"};
    struct client_error error;
    struct topic_partitions partitions = {0};
    struct reader_settings settings = {.connection = settings_of(asking)};
    topic_partitions_add(&partitions, "asked", 0, 0);
    if (group != NULL) {
        settings.group = group;
        settings.topics = topics;
        settings.topic_count = 1;
        settings.is_cooperative = true;
    } else {
        settings.partitions = &partitions;
    }
    assert_int_equal(reader_open(&settings, reader, &error), CLIENT_OK);
    topic_partitions_deinit(&partitions);
}

static struct received *take(struct reader *reader)
{
    struct received *received = NULL;
    struct client_error error;
    while (received == NULL) {
        assert_int_equal(reader_take(reader, 100, &received, &error), CLIENT_OK);
    }
    return received;
}

static void test_no_seek_outlasts_the_deadline(void **state)
{
    struct asking asking;
    struct reader *reader;
    struct client_error error;
    begin(&asking, *state);
    bus_server_put_numbers(*state, "asked", 0, 0, 2);
    open_reader(&asking, &reader, NULL);
    received_free(take(reader));
    hang(&asking);
    while (!deadline_has_begun(&asking.deadline)) { /* librdkafka may know where it is */
        (void)!reader_seek(reader, "asked", 0, 0, &error);
    }
    assert_int_equal(reader_close(reader, &error), CLIENT_OK);
    end(&asking);
}

static void test_no_commit_outlasts_the_deadline(void **state)
{
    struct asking asking;
    struct reader *reader;
    struct client_error error;
    begin(&asking, *state);
    bus_server_put_numbers(*state, "asked", 0, 0, 2);
    open_reader(&asking, &reader, "commits");
    struct received *received = take(reader);
    assert_true(reader_mark(reader, "asked", 0, received->epoch, 1, NULL));
    received_free(received);
    hang(&asking);
    assert_int_not_equal(reader_commit(reader, true, &error), CLIENT_OK);
    (void)!reader_close(reader, &error);
    end(&asking);
}

/* --- transactions --- */

struct transacting {
    struct asking asking;
    struct publisher *publisher;
    struct topic_partitions offsets;
};

static void on_done(void *context, const struct publication *publication)
{
    (void)publication;
    ++*(int *)context;
}

static void begin_transaction(struct transacting *its, struct bus_server *bus)
{
    static const char *const properties[] = {"transactional.id=asked",
                                             "transaction.timeout.ms=600000"};
    struct client_error error;
    int done = 0;
    begin(&its->asking, bus);
    struct publisher_settings settings = {
        .connection = settings_of(&its->asking), .done = on_done, .done_context = &done};
    settings.connection.properties = properties;
    settings.connection.property_count = 2;
    its->offsets = (struct topic_partitions){0};
    topic_partitions_add(&its->offsets, "asked", 0, 1);
    assert_int_equal(publisher_open(&settings, &its->publisher, &error), CLIENT_OK);
    assert_int_equal(publisher_txn_start(its->publisher, FOR_EVER_MS / 10, &error), CLIENT_OK);
    assert_int_equal(publisher_txn_begin(its->publisher, &error), CLIENT_OK);
    struct event event = event_blank();
    event.topic = "asked";
    event.value = slice_str("one");
    assert_int_equal(publisher_publish(its->publisher, &event, &done, &error), CLIENT_OK);
    while (done == 0) {
        publisher_serve(its->publisher, 100);
    }
}

static void end_transaction(struct transacting *its)
{
    publisher_close(its->publisher);
    topic_partitions_deinit(&its->offsets);
    end(&its->asking);
}

static void test_no_transaction_outlasts_the_deadline(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct transacting its;
        struct client_error error;
        begin_transaction(&its, *state);
        hang(&its.asking);
        enum client_status status =
            i == 0
                ? publisher_txn_offsets(its.publisher, "asked", &its.offsets, FOR_EVER_MS, &error)
            : i == 1 ? publisher_txn_commit(its.publisher, FOR_EVER_MS, &error)
                     : publisher_txn_abort(its.publisher, FOR_EVER_MS, &error);
        assert_int_equal(status, CLIENT_CLOSED);
        end_transaction(&its);
    }
}

static int set_up(void **state)
{
    bus_server_set_up(state);
    bus_server_topic(*state, "asked", 1);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_question_outlasts_the_deadline),
        cmocka_unit_test(test_no_seek_outlasts_the_deadline),
        cmocka_unit_test(test_no_commit_outlasts_the_deadline),
        cmocka_unit_test(test_no_transaction_outlasts_the_deadline),
    };
    return unit_run(tests, set_up, bus_server_tear_down, argc, argv);
}
