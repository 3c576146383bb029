/* When librdkafka is woken to fetch on; its part is played here, by functions of the same names. */
#include "client/reader/reader_inside.h"

#include "../../unit.h"

enum { LOOK_EVERY = 64, LIMIT_EVENTS = 1000, LIMIT_KBYTES = 1024 };

/* What librdkafka has fetched, and what it was asked last. */
static struct {
    size_t length;
    int asked;
    char topic[16];
    int32_t partition;
    int timeout_ms;
} library;

size_t rd_kafka_queue_length(rd_kafka_queue_t *queue)
{
    return library.length;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
    return "orders";
}

rd_kafka_resp_err_t rd_kafka_offsets_for_times(rd_kafka_t *rk,
                                               rd_kafka_topic_partition_list_t *list,
                                               int timeout_ms)
{
    library.asked++;
    assert_int_equal(list->cnt, 1);
    snprintf(library.topic, sizeof library.topic, "%s", list->elems[0].topic);
    library.partition = list->elems[0].partition;
    library.timeout_ms = timeout_ms;
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

static struct reader make_reader(void)
{
    struct reader reader = {0};
    const struct reader_settings settings = {.prefetch_events = LIMIT_EVENTS,
                                             .prefetch_kbytes = LIMIT_KBYTES};
    memset(&library, 0, sizeof library);
    reader_flow_init(&reader, &settings);
    return reader;
}

/* Takes events of `bytes` until the next look, which finds `length` in the queue. Returns how often
 * librdkafka was woken. */
static int look(struct reader *reader, size_t length, size_t bytes)
{
    rd_kafka_message_t message = {.partition = 3, .len = bytes - bytes / 2, .key_len = bytes / 2};
    int before = library.asked;
    library.length = length;
    for (int i = 0; i < LOOK_EVERY; i++) {
        reader_flow_taken(reader, &message);
    }
    return library.asked - before;
}

static void test_limits_are_those_of_the_settings_or_the_defaults(void **state)
{
    struct reader reader = make_reader();
    assert_int_equal(reader.flow.limit_events, LIMIT_EVENTS);
    assert_int_equal(reader.flow.limit_bytes, LIMIT_KBYTES * 1024);
    reader_flow_init(&reader, &(struct reader_settings){0});
    assert_int_equal(reader.flow.limit_events, READER_PREFETCH_EVENTS);
    assert_int_equal(reader.flow.limit_bytes, (int64_t)READER_PREFETCH_KBYTES * 1024);
}

static void test_a_queue_that_never_was_full_wakes_nobody(void **state)
{
    struct reader reader = make_reader();
    assert_int_equal(look(&reader, LIMIT_EVENTS / 4 * 3 - 1, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 3, 10), 0);
    assert_int_equal(look(&reader, 0, 10), 0);
}

static void test_what_was_full_of_events_wakes_once_when_half_is_read(void **state)
{
    struct reader reader = make_reader();
    assert_int_equal(look(&reader, LIMIT_EVENTS, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 2, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 2 - 1, 10), 1);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 4, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS + 200, 10), 0); /* and again, from what it was */
    assert_int_equal(look(&reader, LIMIT_EVENTS / 2 + 99, 10), 1);
}

/* It was full between two looks, and the second one finds less. */
static void test_what_may_have_been_full_wakes_when_half_of_the_most_is_read(void **state)
{
    struct reader reader = make_reader();
    assert_int_equal(look(&reader, LIMIT_EVENTS / 10 * 9, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 10 * 8, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 20 * 9, 10), 0);
    assert_int_equal(look(&reader, LIMIT_EVENTS / 20 * 9 - 1, 10), 1);
}

static void test_what_was_full_of_bytes_wakes_when_half_is_read(void **state)
{
    enum { BYTES = 16384, MANY = 50, FEW = 40 }; /* of 64 that fit: above and below 3/4 */
    struct reader reader = make_reader();
    assert_int_equal(look(&reader, FEW, BYTES), 0);
    assert_int_equal(look(&reader, FEW / 2 - 1, BYTES), 0);
    assert_int_equal(look(&reader, MANY, BYTES), 0);
    assert_int_equal(look(&reader, MANY / 2 - 1, BYTES), 1);
}

static void test_the_leader_of_the_event_is_asked_and_not_waited_for(void **state)
{
    struct reader reader = make_reader();
    look(&reader, LIMIT_EVENTS, 10);
    assert_int_equal(look(&reader, 0, 10), 1);
    assert_string_equal(library.topic, "orders");
    assert_int_equal(library.partition, 3);
    assert_int_equal(library.timeout_ms, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_are_those_of_the_settings_or_the_defaults),
        cmocka_unit_test(test_a_queue_that_never_was_full_wakes_nobody),
        cmocka_unit_test(test_what_was_full_of_events_wakes_once_when_half_is_read),
        cmocka_unit_test(test_what_may_have_been_full_wakes_when_half_of_the_most_is_read),
        cmocka_unit_test(test_what_was_full_of_bytes_wakes_when_half_is_read),
        cmocka_unit_test(test_the_leader_of_the_event_is_asked_and_not_waited_for),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
