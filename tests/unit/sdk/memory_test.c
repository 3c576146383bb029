/* The bus in memory for services' own tests: what a test can rely on. */
#include "../unit.h"

#include "tidings_test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct work {
    struct tidings_test *bus;
    pthread_mutex_t lock;
    int calls;
    int64_t last_ms;
    bool is_away; /* what the handler needs */
    bool is_mended;
    int64_t redrive; /* of the event in hand last */
    bool fails;
    enum tidings_status last; /* of what was published */
};

enum { LINES_SIZE = 4096 };

static int setup(void **state)
{
    struct work *work = calloc(1, sizeof *work);
    work->bus = tidings_test_new();
    pthread_mutex_init(&work->lock, NULL);
    *state = work;
    return 0;
}

static int teardown(void **state)
{
    struct work *work = *state;
    tidings_test_free(work->bus);
    free(work);
    return 0;
}

/* One at a time, as the header says. context: where to add the line; NULL: nowhere. */
static void no_log(void *context, enum tidings_log_level level, const char *message)
{
    (void)level;
    if (context != NULL) {
        char *lines = context;
        size_t used = strlen(lines);
        snprintf(lines + used, LINES_SIZE - used, "%s\n", message);
    }
    if (getenv("TEST_LOG") != NULL) {
        fprintf(stderr, "%s\n", message);
    }
}

/* Publishes what it gets to "out"; "poison" it rejects, and it may be away. */
static enum tidings_verdict pass_on(struct tidings *service, const struct tidings_event *event,
                                    void *context)
{
    struct work *work = context;
    struct tidings_message message = {.topic = "out",
                                      .type = "Passed",
                                      .key = event->key,
                                      .cause = event,
                                      .data = event->data,
                                      .data_size = event->data_size};
    pthread_mutex_lock(&work->lock);
    work->calls++;
    work->last_ms = tidings_test_now_ms(work->bus);
    bool is_away = work->is_away;
    work->redrive = event->redrive;
    pthread_mutex_unlock(&work->lock);
    if (strcmp(event->data, "poison") == 0 && !work->is_mended) {
        return tidings_reject(event, "test", "no such thing");
    }
    if (is_away) {
        return tidings_retry(event, 0, "test", "away");
    }
    return tidings_publish(service, &message, NULL, NULL, NULL) == TIDINGS_OK ? TIDINGS_DONE
                                                                              : TIDINGS_RETRY;
}

static struct tidings *start(struct work *work, struct tidings_options options)
{
    struct tidings *service;
    options.name = "passer";
    options.log = no_log;
    assert_int_equal(tidings_test_service(work->bus, &options, &service, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(service, "in", NULL, pass_on, work, NULL), TIDINGS_OK);
    return service;
}

static void put(struct work *work, const char *key, const char *data)
{
    struct tidings_message message = {
        .topic = "in", .type = "Thing", .key = key, .data = data, .data_size = strlen(data)};
    assert_int_equal(tidings_test_publish(work->bus, &message, NULL), TIDINGS_OK);
}

static void settle(struct work *work)
{
    struct tidings_error error = {0};
    if (tidings_test_settle(work->bus, &error) != TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
}

static void test_what_a_handler_publishes_can_be_looked_at(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0});
    put(work, "17", "{\"n\":1}");
    assert_int_equal(tidings_test_count(work->bus, "out"), 0);
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "out"), 1);
    const struct tidings_event *in = tidings_test_event(work->bus, "in", 0);
    const struct tidings_event *out = tidings_test_event(work->bus, "out", 0);
    assert_string_equal(out->key, "17");
    assert_string_equal(out->type, "Passed");
    assert_string_equal(out->source, "/passer");
    assert_string_equal(out->data, "{\"n\":1}");
    assert_string_equal(out->causation_id, in->id);
    assert_string_equal(in->source, "/test");
    assert_string_equal(out->time, "2026-01-01T00:00:00.000Z");
    assert_null(tidings_test_event(work->bus, "out", 1));
    tidings_free(service);
}

/* The wait is in the clock of the test: an hour passes in no time. */
static void test_an_outage_of_an_hour_is_over_at_once(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0});
    put(work, "a", "1");
    put(work, "b", "2");
    put(work, "a", "3");
    work->is_away = true;
    settle(work);
    assert_int_equal(tidings_test_advance(work->bus, 3600 * 1000, NULL), TIDINGS_OK);
    assert_in_range(work->calls, 100, 3600 * 2); /* one probe in 4 s at most, and the first ones */
    assert_int_equal(tidings_test_count(work->bus, "out"), 0);
    work->is_away = false;
    assert_int_equal(tidings_test_advance(work->bus, 60 * 1000, NULL), TIDINGS_OK);
    assert_int_equal(tidings_test_count(work->bus, "out"), 3);
    assert_int_equal(tidings_test_count(work->bus, "dlq.passer"), 0);
    tidings_free(service);
}

static void test_a_rejected_event_parks_its_key(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0});
    put(work, "a", "poison");
    put(work, "a", "behind");
    put(work, "b", "1");
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "out"), 1);
    assert_string_equal(tidings_test_event(work->bus, "out", 0)->key, "b");
    const struct tidings_event *letter = tidings_test_event(work->bus, "dlq.passer", 0);
    size_t size;
    const char *message = tidings_event_header(letter, "__dlq.errors.message", &size);
    assert_int_equal(size, strlen("no such thing"));
    assert_memory_equal(message, "no such thing", size);
    /* and the next process finds it closed, and what stands behind it kept */
    assert_int_equal(tidings_test_advance(work->bus, 10000, NULL), TIDINGS_OK);
    tidings_free(service);
    service = start(work, (struct tidings_options){0});
    put(work, "a", "later");
    put(work, "b", "2");
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "out"), 2);
    assert_string_equal(tidings_test_event(work->bus, "out", 1)->data, "2");
    tidings_free(service);
}

/* The data of all that was passed on: "1 2 ". */
static void expect_out(struct work *work, const char *expected)
{
    char out[256] = "";
    for (size_t i = 0; i < tidings_test_count(work->bus, "out"); i++) {
        const struct tidings_event *event = tidings_test_event(work->bus, "out", i);
        size_t used = strlen(out);
        snprintf(out + used, sizeof out - used, "%s ", (const char *)event->data);
    }
    assert_string_equal(out, expected);
}

static void test_a_redrive_opens_the_key_in_order(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0});
    struct tidings_error error;
    put(work, "a", "poison");
    put(work, "a", "behind");
    put(work, "b", "1");
    settle(work);
    assert_int_equal(tidings_test_redrive(work->bus, "passer", 1, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "dlq.passer"));
    /* the cause is not mended: dead again, and the key stays closed */
    assert_int_equal(tidings_test_redrive(work->bus, "passer", 0, &error), TIDINGS_OK);
    settle(work);
    assert_int_equal(work->redrive, 1);
    assert_int_equal(tidings_test_count(work->bus, "dlq.passer"), 2);
    expect_out(work, "1 ");
    work->is_mended = true;
    assert_int_equal(tidings_test_redrive(work->bus, "passer", 1, &error), TIDINGS_OK);
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "dlq.passer"), 2);
    expect_out(work, "1 poison behind ");
    put(work, "a", "later");
    settle(work);
    expect_out(work, "1 poison behind later ");
    tidings_free(service);
}

/* Its waits are in the test's time, and it outlives the service. */
static void test_a_redrive_that_fails_first_waits_for_the_clock(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0});
    put(work, "a", "poison");
    put(work, "a", "behind");
    settle(work);
    tidings_free(service);
    assert_int_equal(tidings_test_redrive(work->bus, "passer", 0, NULL), TIDINGS_OK);
    work->is_mended = work->is_away = true;
    service = start(work, (struct tidings_options){0});
    settle(work);
    expect_out(work, "");
    assert_int_equal(tidings_test_advance(work->bus, 10 * 60 * 1000, NULL), TIDINGS_OK);
    expect_out(work, "");
    work->is_away = false;
    assert_int_equal(tidings_test_advance(work->bus, 60 * 1000, NULL), TIDINGS_OK);
    expect_out(work, "poison behind ");
    tidings_free(service);
}

static void put_key(struct work *work, const char *topic, const char *key)
{
    struct tidings_message message = {
        .topic = topic, .type = "T", .key = key, .data = "x", .data_size = 1};
    assert_int_equal(tidings_test_publish(work->bus, &message, NULL), TIDINGS_OK);
}

static void test_keys_go_to_the_partition_that_publishers_choose(void **state)
{
    /* from Apache Kafka's own test of its hash: -973932308, -790332482, -985981536, -1486304829 */
    static const char *const keys[] = {"21", "foobar", "a-little-bit-long-string",
                                       "a-little-bit-longer-string"};
    static const int64_t hashes[] = {1173551340, 1357151166, 1161502112, 661178819};
    struct work *work = *state;
    struct tidings_error error;
    assert_int_equal(tidings_test_topic(work->bus, "many", 7, NULL), TIDINGS_OK);
    assert_int_equal(tidings_test_topic(work->bus, "many", 6, &error), TIDINGS_INVALID);
    assert_int_equal(tidings_test_topic(work->bus, "a b", 1, &error), TIDINGS_INVALID);
    for (size_t i = 0; i < 4; i++) {
        put_key(work, "many", keys[i]);
        put_key(work, "many", keys[i]);
        const struct tidings_event *first = tidings_test_event(work->bus, "many", 2 * i);
        const struct tidings_event *second = tidings_test_event(work->bus, "many", 2 * i + 1);
        assert_int_equal(first->partition, hashes[i] % 7);
        assert_int_equal(second->partition, first->partition);
        assert_int_equal(second->offset, first->offset + 1);
    }
    for (size_t i = 0; i < 7; i++) {
        put_key(work, "many", NULL);
        assert_int_equal(tidings_test_event(work->bus, "many", 8 + i)->partition, i);
    }
}

static void test_a_partition_that_fails_holds_back_no_other(void **state)
{
    struct work *work = *state;
    assert_int_equal(tidings_test_topic(work->bus, "in", 4, NULL), TIDINGS_OK);
    struct tidings *service =
        start(work, (struct tidings_options){.order = TIDINGS_BY_PARTITION, .attempts = 2});
    put(work, NULL, "poison"); /* round: partitions 0, 1, 2, 3, 0 */
    put(work, NULL, "1");
    put(work, NULL, "2");
    put(work, NULL, "3");
    put(work, NULL, "behind");
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "out"), 3);
    tidings_free(service);
    /* each partition goes on where it was; one that is added from its first event on */
    assert_int_equal(tidings_test_topic(work->bus, "in", 5, NULL), TIDINGS_OK);
    service = start(work, (struct tidings_options){.order = TIDINGS_BY_PARTITION});
    for (int i = 0; i < 5; i++) { /* partitions 0 to 4 */
        put(work, NULL, "next");
    }
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "out"), 7);
    work->is_mended = true;
    assert_int_equal(tidings_test_redrive(work->bus, "passer", 0, NULL), TIDINGS_OK);
    settle(work);
    assert_int_equal(tidings_test_count(work->bus, "out"), 10);
    assert_string_equal(tidings_test_event(work->bus, "out", 7)->data, "poison");
    assert_string_equal(tidings_test_event(work->bus, "out", 8)->data, "behind");
    tidings_free(service);
}

static void test_a_refused_follow_up_is_tried_again_with_its_cause(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0});
    tidings_test_refuse(work->bus, "out", 2);
    put(work, "a", "1");
    settle(work);
    assert_int_equal(work->calls, 1);
    assert_int_equal(tidings_test_count(work->bus, "out"), 0);
    assert_int_equal(tidings_test_advance(work->bus, 60 * 1000, NULL), TIDINGS_OK);
    assert_int_equal(work->calls, 3);
    assert_int_equal(tidings_test_count(work->bus, "out"), 1);
    tidings_free(service);
}

/* Publishes first, and fails then. */
static enum tidings_verdict publish_and_fail(struct tidings *service,
                                             const struct tidings_event *event, void *context)
{
    enum tidings_verdict verdict = pass_on(service, event, context);
    struct work *work = context;
    return verdict == TIDINGS_DONE && work->fails ? tidings_retry(event, 0, "test", "no") : verdict;
}

static void test_exactly_once_nothing_of_a_failed_attempt_is_seen(void **state)
{
    struct work *work = *state;
    struct tidings *service;
    const struct tidings_options options = {
        .name = "once", .log = no_log, .exactly_once = true, .retry_max_ms = 200};
    work->fails = true;
    assert_int_equal(tidings_test_service(work->bus, &options, &service, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(service, "in", NULL, publish_and_fail, work, NULL), TIDINGS_OK);
    put(work, "17", "first");
    put(work, "17", "second");
    settle(work);
    assert_int_equal(work->calls, 1);
    assert_int_equal(tidings_test_count(work->bus, "out"), 0);
    work->fails = false;
    assert_int_equal(tidings_test_advance(work->bus, 5000, NULL), TIDINGS_OK);
    assert_int_equal(tidings_test_count(work->bus, "out"), 2);
    assert_string_equal(tidings_test_event(work->bus, "out", 0)->data, "first");
    assert_string_equal(tidings_test_event(work->bus, "out", 0)->causation_id,
                        tidings_test_event(work->bus, "in", 0)->id);
    tidings_free(service);
}

static void on_delivered(void *context, const struct tidings_delivery *delivery)
{
    struct work *work = context;
    work->last = delivery->status;
}

static enum tidings_verdict publish_and_tell(struct tidings *service,
                                             const struct tidings_event *event, void *context)
{
    struct work *work = context;
    struct tidings_message message = {
        .topic = "out", .type = "Passed", .key = event->key, .cause = event};
    work->calls++;
    return tidings_publish(service, &message, on_delivered, work, NULL) == TIDINGS_OK
               ? TIDINGS_DONE
               : TIDINGS_RETRY;
}

static void test_exactly_once_a_refusal_is_an_attempt_and_told(void **state)
{
    struct work *work = *state;
    struct tidings *service;
    const struct tidings_options options = {
        .name = "once", .log = no_log, .exactly_once = true, .workers = 1, .attempts_alone = 2};
    assert_int_equal(tidings_test_service(work->bus, &options, &service, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(service, "in", NULL, publish_and_tell, work, NULL), TIDINGS_OK);
    tidings_test_refuse(work->bus, "out", 1);
    put(work, "17", "x");
    settle(work);
    assert_int_equal(work->last, TIDINGS_REFUSED);
    assert_int_equal(tidings_test_count(work->bus, "out"), 0);
    assert_int_equal(tidings_test_advance(work->bus, 5000, NULL), TIDINGS_OK);
    assert_int_equal(work->last, TIDINGS_OK);
    assert_int_equal(tidings_test_count(work->bus, "out"), 1);
    tidings_test_refuse(work->bus, "out", 1000);
    put(work, "18", "x");
    assert_int_equal(tidings_test_advance(work->bus, 60000, NULL), TIDINGS_OK);
    assert_int_equal(tidings_test_count(work->bus, "dlq.once"), 1);
    assert_int_equal(tidings_test_count(work->bus, "out"), 1);
    tidings_free(service);
}

static void test_a_service_goes_on_where_it_was(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){.workers = 1});
    put(work, NULL, "1");
    settle(work);
    tidings_free(service);
    put(work, NULL, "2");
    service = start(work, (struct tidings_options){.workers = 1});
    settle(work);
    tidings_free(service);
    assert_int_equal(work->calls, 2);
    assert_int_equal(tidings_test_count(work->bus, "out"), 2);
}

static void test_what_cannot_be_is_refused(void **state)
{
    struct work *work = *state;
    struct tidings *service = start(work, (struct tidings_options){0}), *second;
    struct tidings_error error;
    struct tidings_options options = {.name = "passer"}, wrong = {.name = "x", .workers = -1};
    assert_int_equal(tidings_test_service(work->bus, &options, &second, &error), TIDINGS_INVALID);
    assert_int_equal(tidings_test_service(work->bus, &wrong, &second, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "options.workers"));
    assert_int_equal(tidings_run(service, &error), TIDINGS_INVALID);
    struct tidings_message message = {.topic = "in"};
    assert_int_equal(tidings_test_publish(work->bus, &message, &error), TIDINGS_INVALID);
    tidings_free(service);
}

static void test_a_key_may_have_any_bytes(void **state)
{
    struct work *work = *state;
    static const char key[] = {'a', '\0', 'b', '\xff'};
    struct tidings_error error;
    struct tidings_message message = {.topic = "any", .type = "T", .key_size = sizeof key};
    assert_int_equal(tidings_test_publish(work->bus, &message, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "key_size"));
    message.key = key;
    assert_int_equal(tidings_test_publish(work->bus, &message, &error), TIDINGS_OK);
    const struct tidings_event *event = tidings_test_event(work->bus, "any", 0);
    assert_int_equal(event->key_size, sizeof key);
    assert_memory_equal(event->key, key, sizeof key);
}

static void test_an_event_may_end_its_service(void **state)
{
    struct work *work = *state;
    struct tidings_error error;
    struct tidings *service =
        start(work, (struct tidings_options){.give_up_with_key = TIDINGS_END});
    put(work, "a", "poison");
    assert_int_equal(tidings_test_settle(work->bus, &error), TIDINGS_FATAL);
    assert_non_null(strstr(error.text, "no such thing"));
    tidings_free(service);
    assert_int_equal(tidings_test_count(work->bus, "dlq.passer"), 0);
}

static enum tidings_verdict say_little(struct tidings *service, const struct tidings_event *event,
                                       void *context)
{
    return strcmp(event->data, "class") == 0 ? tidings_reject(event, "class", "%s", "")
                                             : TIDINGS_REJECT;
}

/* A verdict needs no reason, nor both parts of one. */
static void test_a_reason_may_be_left_out(void **state)
{
    struct work *work = *state;
    char lines[LINES_SIZE] = "";
    struct tidings_options options = {.name = "short", .log = no_log, .log_context = lines};
    struct tidings *service;
    assert_int_equal(tidings_test_service(work->bus, &options, &service, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(service, "in", NULL, say_little, NULL, NULL), TIDINGS_OK);
    put(work, "a", "class");
    put(work, "b", "nothing");
    settle(work);
    tidings_free(service);
    assert_int_equal(tidings_test_count(work->bus, "dlq.short"), 2);
    assert_non_null(strstr(lines, "(in/0 offset 0, key a) is rejected (class)\n"));
    assert_non_null(strstr(lines, "(in/0 offset 1, key b) is rejected (no reason was given)\n"));
}

struct batches {
    struct work *work;
    pthread_cond_t went;
    int singles, batches, most, events;
    char order[2000]; /* of key "a" */
};

static enum tidings_verdict count_single(struct tidings *service, const struct tidings_event *event,
                                         void *context)
{
    struct batches *batches = context;
    pthread_mutex_lock(&batches->work->lock);
    batches->singles++;
    pthread_cond_broadcast(&batches->went);
    pthread_mutex_unlock(&batches->work->lock);
    return TIDINGS_DONE;
}

/* The first one waits until others had the time to gather. */
static enum tidings_verdict take_batch(struct tidings *service,
                                       const struct tidings_event *const *events, size_t count,
                                       void *context)
{
    struct batches *batches = context;
    struct tidings_message message = {.topic = "out", .type = "Taken"};
    pthread_mutex_lock(&batches->work->lock);
    batches->batches++;
    batches->events += (int)count;
    batches->most = (int)count > batches->most ? (int)count : batches->most;
    while (batches->singles < 20) {
        pthread_cond_wait(&batches->went, &batches->work->lock);
    }
    pthread_mutex_unlock(&batches->work->lock);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) { /* one of a key */
            assert_string_not_equal(events[i]->key, events[j]->key);
        }
        if (strcmp(events[i]->data, "poison") == 0) {
            tidings_reject(events[i], "test", "no such thing");
            continue;
        }
        if (strcmp(events[i]->key, "a") == 0) {
            strcat(strcat(batches->order, events[i]->data), " ");
        }
        message.cause = events[i];
        message.key = events[i]->key;
        assert_int_equal(tidings_publish(service, &message, NULL, NULL, NULL), TIDINGS_OK);
    }
    return TIDINGS_DONE;
}

static void put_typed(struct work *work, const char *type, const char *key, const char *data)
{
    struct tidings_message message = {
        .topic = "in", .type = type, .key = key, .data = data, .data_size = strlen(data)};
    assert_int_equal(tidings_test_publish(work->bus, &message, NULL), TIDINGS_OK);
}

/* Several at once, each with its own end, and the order of keys as ever. */
static void test_a_batch_has_one_event_of_a_key(void **state)
{
    struct work *work = *state;
    struct batches batches = {.work = work, .went = PTHREAD_COND_INITIALIZER};
    struct tidings_options options = {.name = "batcher", .workers = 1, .log = no_log};
    struct tidings *service;
    assert_int_equal(tidings_test_service(work->bus, &options, &service, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(service, "in", "Single", count_single, &batches, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on_batch(service, "in", NULL, 0, take_batch, &batches, NULL),
                     TIDINGS_INVALID);
    assert_int_equal(tidings_on_batch(service, "in", NULL, 8, take_batch, &batches, NULL),
                     TIDINGS_OK);
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        put_typed(work, "Many", text, i == 7 ? "poison" : "ok");
        put_typed(work, "Many", "a", text);
        put_typed(work, "Single", NULL, "");
    }
    settle(work);
    tidings_free(service);
    assert_int_equal(batches.events, 40);
    assert_in_range(batches.most, 2, 8);
    assert_true(batches.batches < 40);
    assert_string_equal(batches.order, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 ");
    assert_int_equal(tidings_test_count(work->bus, "out"), 39);
    assert_int_equal(tidings_test_count(work->bus, "dlq.batcher"), 1);
    assert_string_equal(tidings_test_event(work->bus, "dlq.batcher", 0)->key, "7");
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(test_what_a_handler_publishes_can_be_looked_at),
        MEMORY_TEST(test_an_outage_of_an_hour_is_over_at_once),
        MEMORY_TEST(test_a_rejected_event_parks_its_key),
        MEMORY_TEST(test_a_redrive_opens_the_key_in_order),
        MEMORY_TEST(test_a_redrive_that_fails_first_waits_for_the_clock),
        MEMORY_TEST(test_keys_go_to_the_partition_that_publishers_choose),
        MEMORY_TEST(test_a_partition_that_fails_holds_back_no_other),
        MEMORY_TEST(test_a_refused_follow_up_is_tried_again_with_its_cause),
        MEMORY_TEST(test_exactly_once_nothing_of_a_failed_attempt_is_seen),
        MEMORY_TEST(test_exactly_once_a_refusal_is_an_attempt_and_told),
        MEMORY_TEST(test_a_service_goes_on_where_it_was),
        MEMORY_TEST(test_what_cannot_be_is_refused),
        MEMORY_TEST(test_a_key_may_have_any_bytes),
        MEMORY_TEST(test_an_event_may_end_its_service),
        MEMORY_TEST(test_a_reason_may_be_left_out),
        MEMORY_TEST(test_a_batch_has_one_event_of_a_key),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
