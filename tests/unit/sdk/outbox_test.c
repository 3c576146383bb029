/*
 * The outbox on SQLite and, with TEST_DATABASE=postgres, on PostgreSQL, against a server; also
 * under SIGKILL between any two of its steps (this program starts itself for that).
 */
#include "../unit.h"

#include "outbox.h"
#include "service_fixture.h"
#include "world.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, LEASE_MS = 150, KEYS = 5 };

static const struct tidings_outbox_options quick = {
    .poll_ms = 5, .lease_ms = LEASE_MS, .retry_ms = 50};

/* --- what goes in --- */

static void begin(const struct sql *sql)
{
    base_do(sql, sql->dialect->begin);
}

/* In the transaction that is open. The text is also the id. */
static void add(struct tidings *service, const struct sql *sql, const char *topic, const char *key,
                const char *text)
{
    struct tidings_error error;
    struct tidings_message message = {.topic = topic,
                                      .type = "Told",
                                      .key = key,
                                      .id = text,
                                      .data = text,
                                      .data_size = strlen(text)};
    if (tidings_outbox_add(service, base_db(sql), &message, &error) != TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
}

static void add_alone(struct tidings *service, const struct sql *sql, const char *topic,
                      const char *key, const char *text)
{
    begin(sql);
    add(service, sql, topic, key, text);
    base_do(sql, "commit");
}

/* Rows first, first + 1 ... of keys in turn, in transactions of ten. */
static void add_numbers(struct tidings *service, const struct sql *sql, const char *topic,
                        int first, int count)
{
    for (int i = 0; i < count; i++) {
        char key[16], text[16];
        snprintf(key, sizeof key, "k%d", (first + i) % KEYS);
        snprintf(text, sizeof text, "%d", first + i);
        if (i % 10 == 0) {
            begin(sql);
        }
        add(service, sql, topic, key, text);
        if (i % 10 == 9 || i == count - 1) {
            base_do(sql, "commit");
        }
    }
}

/* --- what came out: committed events only, as a consumer sees them --- */

static rd_kafka_t *consumer_new(const struct bus_server *bus, const char *topic, int partitions)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bus->address, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "looker", text, sizeof text);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof text);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++) {
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

/* The texts of a topic, "key text", partition by partition as they come. */
static struct seen *read_topic(const struct bus_server *bus, const char *topic, int partitions)
{
    struct seen *seen = seen_new();
    rd_kafka_t *rk = consumer_new(bus, topic, partitions);
    for (int ended = 0; ended < partitions;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, PATIENCE_MS);
        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ended++;
        } else if (message->err == 0) {
            char text[TEXT_MAX];
            snprintf(text, sizeof text, "%.*s %.*s", (int)message->key_len,
                     (const char *)message->key, (int)(message->len < 100 ? message->len : 100),
                     (const char *)message->payload);
            seen_add(seen, text);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return seen;
}

/* Each number from 0 on is there once, those of a key in order. */
static void check_numbers(const struct bus_server *bus, const char *topic, int partitions,
                          int count)
{
    int last[KEYS];
    struct seen *seen = read_topic(bus, topic, partitions);
    assert_int_equal(seen->count, count);
    for (int i = 0; i < KEYS; i++) {
        last[i] = i - KEYS;
    }
    for (int i = 0; i < seen->count; i++) {
        int key, number;
        assert_int_equal(sscanf(seen->texts[i], "k%d %d", &key, &number), 2);
        assert_int_equal(number, last[key] + KEYS);
        last[key] = number;
    }
    free(seen);
}

/* --- an outbox at work --- */

struct work {
    struct sql sql;
    struct tidings_outbox *outbox;
};

static void work_start(struct work *work, const struct world *world, struct tidings *service,
                       void (*at)(void *context, enum outbox_step step), void *context)
{
    struct tidings_error error;
    work->sql = base_connect(&world->base);
    if (outbox_start(service, base_db(&work->sql), &quick, at, context, &work->outbox, &error) !=
        TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
}

static void work_wait(struct work *work)
{
    struct tidings_error error;
    if (tidings_outbox_wait(work->outbox, PATIENCE_MS, &error) != TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
}

static void work_stop(struct work *work)
{
    tidings_outbox_stop(work->outbox);
    base_close(&work->sql);
}

static void test_rows_are_published_in_order_and_deleted(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "shop"), *other;
    struct work work;
    struct tidings_outbox_counts counts;
    bus_server_topic(&world->bus, "many", 3);
    other = service_new(&world->bus, "other");
    add_numbers(service, &sql, "many", 0, 1500);
    add_alone(other, &sql, "many", "x", "of another service");
    work_start(&work, world, service, NULL, NULL);
    add_numbers(service, &sql, "many", 1500, 500);
    work_wait(&work);
    tidings_outbox_get_counts(work.outbox, &counts);
    assert_int_equal(counts.published, 2000);
    assert_int_equal(counts.oldest_ms, 0);
    assert_true(counts.is_publishing && !counts.is_down);
    work_stop(&work);
    check_numbers(&world->bus, "many", 3, 2000);
    assert_int_equal(base_number(&sql, "select count(*) from tidings_outbox"), 1);
    base_do(&sql, "delete from tidings_outbox");
    tidings_free(other);
    tidings_free(service);
    base_close(&sql);
}

static void test_what_is_rolled_back_was_never_there(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "rolls");
    struct tidings_error error;
    struct tidings_message message = {.topic = "rolled", .type = "Told"};
    struct work work;
    bus_server_topic(&world->bus, "rolled", 1);
    assert_int_equal(tidings_outbox_add(service, base_db(&sql), &message, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "begin a transaction"));
    begin(&sql);
    add(service, &sql, "rolled", "a", "no");
    base_do(&sql, "rollback");
    add_alone(service, &sql, "rolled", "a", "yes");
    work_start(&work, world, service, NULL, NULL);
    work_wait(&work);
    work_stop(&work);
    struct seen *seen = read_topic(&world->bus, "rolled", 1);
    assert_int_equal(seen->count, 1);
    assert_string_equal(seen->texts[0], "a yes");
    free(seen);
    tidings_free(service);
    base_close(&sql);
}

static void test_an_event_comes_out_as_it_went_in(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct seen *seen = seen_new();
    struct tidings *service = service_new(&world->bus, "whole");
    const struct tidings_header headers[] = {{"none", NULL, 0}, {"bytes", "\0\xff", 2}};
    struct tidings_event cause = {.id = "c1", .correlation_id = "story"};
    struct tidings_message message = {.topic = "whole",
                                      .type = "Caf\xc3\xa9",
                                      .key = "\xff",
                                      .subject = "s",
                                      .cause = &cause,
                                      .headers = headers,
                                      .header_count = 2};
    struct work work;
    bus_server_topic(&world->bus, "whole", 1);
    begin(&sql);
    assert_int_equal(tidings_outbox_add(service, base_db(&sql), &message, NULL), TIDINGS_OK);
    base_do(&sql, "commit");
    work_start(&work, world, service, NULL, NULL);
    work_wait(&work);
    work_stop(&work);
    rd_kafka_t *rk = consumer_new(&world->bus, "whole", 1);
    rd_kafka_message_t *came = rd_kafka_consumer_poll(rk, PATIENCE_MS);
    rd_kafka_headers_t *list;
    const void *value;
    size_t size;
    assert_int_equal(came->err, 0);
    assert_null(came->payload);
    assert_memory_equal(came->key, "\xff", 1);
    assert_int_equal(rd_kafka_message_headers(came, &list), 0);
    assert_int_equal(rd_kafka_header_get_last(list, "none", &value, &size), 0);
    assert_null(value);
    assert_int_equal(rd_kafka_header_get_last(list, "bytes", &value, &size), 0);
    assert_int_equal(size, 2);
    assert_memory_equal(value, "\0\xff", 2);
    assert_int_equal(rd_kafka_header_get_last(list, "ce_type", &value, &size), 0);
    assert_memory_equal(value, "Caf\xc3\xa9", size);
    assert_int_equal(rd_kafka_header_get_last(list, "ce_causationid", &value, &size), 0);
    assert_memory_equal(value, "c1", size);
    assert_int_equal(rd_kafka_header_get_last(list, "ce_source", &value, &size), 0);
    assert_memory_equal(value, "/whole", size);
    rd_kafka_message_destroy(came);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(seen);
    tidings_free(service);
    base_close(&sql);
}

/* What a transaction leaves behind its events is no lag of who has handled them. */
static void test_a_service_commits_behind_the_end_of_a_transaction(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "tells");
    struct tidings *hears = service_new(&world->bus, "hears");
    struct flaky heard = {.seen = seen_new(), .fails_on = ""};
    struct work work;
    struct runner runner;
    bus_server_topic(&world->bus, "told", 1);
    add_alone(service, &sql, "told", "a", "1");
    work_start(&work, world, service, NULL, NULL);
    work_wait(&work);
    work_stop(&work);
    assert_int_equal(tidings_on(hears, "told", NULL, fail_sometimes, &heard, NULL), TIDINGS_OK);
    runner_start(&runner, hears);
    seen_wait(heard.seen, 1);
    while (bus_server_committed(&world->bus, "hears", "told", 0) < 2) {
    }
    runner_stop(&runner);
    free(heard.seen);
    tidings_free(service);
    base_close(&sql);
}

static void test_a_slower_transaction_is_not_overtaken(void **state)
{
    struct world *world = *state;
    if (world->base.kind != TIDINGS_POSTGRES) {
        return; /* SQLite has one writer at a time */
    }
    struct sql sql = base_connect(&world->base), slow = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "slow");
    struct work work;
    bus_server_topic(&world->bus, "slow", 1);
    begin(&slow);
    add(service, &slow, "slow", "a", "1");
    work_start(&work, world, service, NULL, NULL);
    add_alone(service, &sql, "slow", "a", "2");
    add_alone(service, &sql, "slow", "b", "3");
    /* what is added before is through, and these two are not: the outbox looks often */
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tidings_outbox_wait(work.outbox, 10, NULL), TIDINGS_UNREACHABLE);
    }
    assert_int_equal(base_number(&sql, "select count(*) from tidings_outbox"), 2);
    add(service, &slow, "slow", "b", "4");
    base_do(&slow, "commit");
    work_wait(&work);
    work_stop(&work);
    struct seen *seen = read_topic(&world->bus, "slow", 1);
    assert_int_equal(seen->count, 4);
    assert_string_equal(seen->texts[0], "a 1");
    assert_string_equal(seen->texts[1], "a 2");
    assert_string_equal(seen->texts[2], "b 3");
    assert_string_equal(seen->texts[3], "b 4");
    free(seen);
    tidings_free(service);
    base_close(&slow);
    base_close(&sql);
}

static void test_rows_of_a_restored_database_do_not_wait_for_its_old_transactions(void **state)
{
    struct world *world = *state;
    if (world->base.kind != TIDINGS_POSTGRES) {
        return;
    }
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "restored");
    struct work work;
    bus_server_topic(&world->bus, "restored", 1);
    add_alone(service, &sql, "restored", "a", "1");
    base_do(&sql, "update tidings_outbox set xid = '900000000000'"); /* of a server before */
    work_start(&work, world, service, NULL, NULL);
    work_wait(&work);
    work_stop(&work);
    tidings_free(service);
    base_close(&sql);
}

static void test_a_service_may_have_the_longest_name(void **state)
{
    struct world *world = *state;
    char name[250];
    struct sql sql = base_connect(&world->base);
    struct work work;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    struct tidings *service = service_new(&world->bus, name);
    bus_server_topic(&world->bus, name, 1);
    add_alone(service, &sql, name, "a", "1");
    work_start(&work, world, service, NULL, NULL);
    work_wait(&work);
    work_stop(&work);
    struct seen *seen = read_topic(&world->bus, name, 1);
    assert_int_equal(seen->count, 1);
    free(seen);
    tidings_free(service);
    base_close(&sql);
}

/* --- what the bus refuses --- */

static void test_a_row_that_is_too_large_holds_back_its_key_only(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct seen *lines = seen_new();
    struct tidings *service = service_new_telling(&world->bus, "large", lines);
    struct work work;
    struct tidings_outbox_counts counts;
    char large[3000], text[16];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    bus_server_topic(&world->bus, "large", 1);
    bus_server_alter(&world->bus, "large", "max.message.bytes", "1500");
    for (int i = 0; i < 20; i++) { /* together they are too large, each alone is not */
        snprintf(text, sizeof text, "before %d", i);
        add_alone(service, &sql, "large", i % 2 == 0 ? "a" : "b", text);
    }
    add_alone(service, &sql, "large", "a", large);
    add_alone(service, &sql, "large", "a", "behind");
    add_alone(service, &sql, "large", "b", "beside");
    work_start(&work, world, service, NULL, NULL);
    seen_wait_part(lines, "is refused");
    while (base_number(&sql, "select count(*) from tidings_outbox") > 2) {
        (void)tidings_outbox_wait(work.outbox, 10, NULL);
    }
    add_alone(service, &sql, "large", "a", "later");
    add_alone(service, &sql, "large", "b", "last");
    while (base_number(&sql, "select count(*) from tidings_outbox where state = 0") > 0) {
        (void)tidings_outbox_wait(work.outbox, 10, NULL);
    }
    tidings_outbox_get_counts(work.outbox, &counts);
    assert_int_equal(counts.failing, 1);
    struct {
        struct tidings_outbox_counts first;
        uint64_t more[2];
    } newer = {.more = {7, 7}}, older = {.more = {7, 7}};
    tidings_outbox_get_counts_sized(work.outbox, &newer.first, sizeof newer.first + 8);
    assert_int_equal(newer.first.failing, 1);
    assert_int_equal(newer.more[0], 0);
    assert_int_equal(newer.more[1], 7);
    older.first.failing = 7;
    tidings_outbox_get_counts_sized(work.outbox, &older.first, 8);
    assert_int_equal(older.first.published, newer.first.published);
    assert_int_equal(older.first.failing, 7);
    assert_int_equal(base_number(&sql, "select count(*) from tidings_outbox where state = 2"), 2);
    bus_server_alter(&world->bus, "large", "max.message.bytes", "100000");
    work_wait(&work); /* it is tried again by itself */
    work_stop(&work);
    seen_wait_part(lines, "went through");
    struct seen *seen = read_topic(&world->bus, "large", 1);
    assert_int_equal(seen->count, 25);
    assert_int_equal(index_of(seen, "b beside"), 20);
    assert_int_equal(index_of(seen, "b last"), 21);
    assert_int_equal(strncmp(seen->texts[22], "a xxx", 5), 0);
    assert_int_equal(index_of(seen, "a behind"), 23);
    assert_int_equal(index_of(seen, "a later"), 24);
    free(seen);
    tidings_free(service);
    free(lines);
    base_close(&sql);
}

static void test_what_is_behind_a_refused_row_goes_on_when_that_is_deleted(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "deleted");
    struct work work;
    char large[3000];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    bus_server_topic(&world->bus, "deleted", 1);
    bus_server_alter(&world->bus, "deleted", "max.message.bytes", "1500");
    add_alone(service, &sql, "deleted", "a", large);
    add_alone(service, &sql, "deleted", "b", large);
    add_alone(service, &sql, "deleted", "a", "behind");
    add_alone(service, &sql, "deleted", "b", "waits");
    work_start(&work, world, service, NULL, NULL);
    while (base_number(&sql, "select count(*) from tidings_outbox where state = 2") < 2) {
        (void)tidings_outbox_wait(work.outbox, 10, NULL);
    }
    begin(&sql); /* one of two, then the other one */
    base_do(&sql, "delete from tidings_outbox where state = 1 and seq = (select min(seq) from "
                  "tidings_outbox)");
    base_do(&sql, "commit");
    while (base_number(&sql, "select count(*) from tidings_outbox") > 2) {
        (void)tidings_outbox_wait(work.outbox, 10, NULL);
    }
    begin(&sql);
    base_do(&sql, "delete from tidings_outbox where state = 1");
    base_do(&sql, "commit");
    work_wait(&work);
    work_stop(&work);
    struct seen *seen = read_topic(&world->bus, "deleted", 1);
    assert_int_equal(seen->count, 2);
    assert_string_equal(seen->texts[0], "a behind");
    assert_string_equal(seen->texts[1], "b waits");
    free(seen);
    tidings_free(service);
    base_close(&sql);
}

static void test_a_topic_that_is_not_there_holds_back_its_rows_only(void **state)
{
    struct world *world = *state;
    if (bus_server_is_foreign()) {
        print_message("skip: a cluster makes topics that are named, unless it is told not to\n");
        skip();
    }
    struct sql sql = base_connect(&world->base);
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(&world->bus, "missing");
    static const char *const soon[] = {"topic.metadata.propagation.max.ms=300",
                                       "topic.metadata.refresh.interval.ms=100", NULL};
    options.client_settings = soon;
    options.log_context = lines;
    struct tidings *service = service_of(&options);
    struct work work;
    bus_server_topic(&world->bus, "there", 1);
    add_alone(service, &sql, "absent", "a", "1");
    add_alone(service, &sql, "absent", "b", "2");
    add_alone(service, &sql, "there", "a", "3");
    work_start(&work, world, service, NULL, NULL);
    while (base_number(&sql, "select count(*) from tidings_outbox") > 2 ||
           base_number(&sql, "select count(*) from tidings_outbox where state = 1") < 1) {
        (void)tidings_outbox_wait(work.outbox, 10, NULL);
    }
    assert_int_equal(base_number(&sql, "select count(*) from tidings_outbox where state = 2"), 1);
    bus_server_topic(&world->bus, "absent", 1);
    work_wait(&work);
    work_stop(&work);
    struct seen *seen = read_topic(&world->bus, "absent", 1);
    assert_int_equal(seen->count, 2);
    assert_string_equal(seen->texts[0], "a 1");
    assert_string_equal(seen->texts[1], "b 2");
    free(seen);
    tidings_free(service);
    free(lines);
    base_close(&sql);
}

static void test_while_the_bus_is_away_rows_stay(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct seen *lines = seen_new();
    struct tidings *service = service_new_telling(&world->bus, "away", lines);
    struct work work;
    bus_server_topic(&world->bus, "away", 1);
    add_numbers(service, &sql, "away", 0, 50);
    work_start(&work, world, service, NULL, NULL);
    work_wait(&work);
    bus_server_kill(&world->bus);
    add_numbers(service, &sql, "away", 50, 50);
    seen_wait_part(lines, "cannot publish, its rows wait");
    bus_server_start_again(&world->bus);
    work_wait(&work);
    work_stop(&work);
    seen_wait_part(lines, "publishes again");
    int told = 0;
    for (int i = 0; i < lines->count; i++) {
        told += strstr(lines->texts[i], "cannot publish") != NULL;
    }
    assert_int_equal(told, 1);
    check_numbers(&world->bus, "away", 1, 100);
    tidings_free(service);
    free(lines);
    base_close(&sql);
}

/* --- two of them --- */

struct stop_at {
    enum outbox_step step;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there, may_go;
};

static void wait_at(void *context, enum outbox_step step)
{
    struct stop_at *stop = context;
    if (step != stop->step) {
        return;
    }
    pthread_mutex_lock(&stop->lock);
    stop->is_there = true;
    pthread_cond_broadcast(&stop->changed);
    while (!stop->may_go) {
        pthread_cond_wait(&stop->changed, &stop->lock);
    }
    pthread_mutex_unlock(&stop->lock);
}

static void test_a_late_owner_publishes_nothing(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "late");
    int count = 0;
    bus_server_topic(&world->bus, "late", 2);
    for (enum outbox_step step = OUTBOX_TAKEN; step <= OUTBOX_COMMITTED; step++) {
        struct stop_at stop = {
            .step = step, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
        struct work late, next;
        add_numbers(service, &sql, "late", count, 20);
        work_start(&late, world, service, wait_at, &stop);
        pthread_mutex_lock(&stop.lock);
        while (!stop.is_there) {
            pthread_cond_wait(&stop.changed, &stop.lock);
        }
        pthread_mutex_unlock(&stop.lock);
        add_numbers(service, &sql, "late", count + 20, 20);
        work_start(&next, world, service, NULL, NULL); /* begins when the lease is over */
        work_wait(&next);
        pthread_mutex_lock(&stop.lock);
        stop.may_go = true;
        pthread_cond_broadcast(&stop.changed);
        pthread_mutex_unlock(&stop.lock);
        add_numbers(service, &sql, "late", count + 40, 20);
        work_wait(&late);
        work_stop(&late);
        work_stop(&next);
        count += 60;
        check_numbers(&world->bus, "late", 2, count);
    }
    tidings_free(service);
    base_close(&sql);
}

static void test_a_wrong_option_names_itself(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "wrong");
    struct tidings_outbox_options options = {.lease_ms = -1};
    struct tidings_outbox *outbox;
    struct tidings_error error;
    assert_int_equal(tidings_outbox_start(service, base_db(&sql), &options, &outbox, &error),
                     TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "lease_ms"));
    tidings_free(service);
    base_close(&sql);
}

/* --- killed --- */

struct kill_at {
    enum outbox_step step;
    int times; /* the how-manieth it dies at */
};

static void die_at(void *context, enum outbox_step step)
{
    struct kill_at *at = context;
    if (step == at->step && --at->times == 0) {
        kill(getpid(), SIGKILL);
    }
}

/* The other program: --child FOLDER KIND ADDRESS STEP TIMES */
static int child_main(char **argv)
{
    struct world world = {.base = {.folder = argv[2], .kind = atoi(argv[3])},
                          .bus = {.address = argv[4]}};
    struct kill_at at = {.step = atoi(argv[5]), .times = atoi(argv[6])};
    struct work work;
    struct tidings *service = service_new(&world.bus, "killed");
    struct tidings_outbox_options options = quick;
    struct tidings_error error;
    options.batch_events = 7;
    work.sql = base_connect(&world.base);
    if (outbox_start(service, base_db(&work.sql), &options, die_at, &at, &work.outbox, &error) !=
        TIDINGS_OK) {
        return 1;
    }
    work_wait(&work);
    work_stop(&work);
    tidings_free(service);
    return 0;
}

/* The status that waitpid gives. */
static int run_child(const struct world *world, enum outbox_step step, int times)
{
    int status = 0;
    char kind[8], step_text[8], times_text[8];
    snprintf(kind, sizeof kind, "%d", world->base.kind);
    snprintf(step_text, sizeof step_text, "%d", step);
    snprintf(times_text, sizeof times_text, "%d", times);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "outbox-child", "--child", world->base.folder, kind,
              world->bus.address, step_text, times_text, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_each_row_is_published_once_whenever_it_is_killed(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *service = service_new(&world->bus, "killed");
    int count = 0;
    bus_server_topic(&world->bus, "killed", 2);
    for (int times = 1; times <= 2;
         times++) { /* the second batch of an owner begins behind OWNED */
        for (enum outbox_step step = times == 1 ? 0 : OUTBOX_MARKED; step < OUTBOX_STEPS; step++) {
            add_numbers(service, &sql, "killed", count, 20);
            count += 20;
            int status = run_child(world, step, times);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
    }
    assert_int_equal(run_child(world, OUTBOX_STEPS, 0), 0);
    check_numbers(&world->bus, "killed", 2, count);
    tidings_free(service);
    base_close(&sql);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wrong_option_names_itself),
        cmocka_unit_test(test_rows_are_published_in_order_and_deleted),
        cmocka_unit_test(test_what_is_rolled_back_was_never_there),
        cmocka_unit_test(test_an_event_comes_out_as_it_went_in),
        cmocka_unit_test(test_a_service_commits_behind_the_end_of_a_transaction),
        cmocka_unit_test(test_a_slower_transaction_is_not_overtaken),
        cmocka_unit_test(test_rows_of_a_restored_database_do_not_wait_for_its_old_transactions),
        cmocka_unit_test(test_a_service_may_have_the_longest_name),
        cmocka_unit_test(test_a_row_that_is_too_large_holds_back_its_key_only),
        cmocka_unit_test(test_what_is_behind_a_refused_row_goes_on_when_that_is_deleted),
        cmocka_unit_test(test_a_topic_that_is_not_there_holds_back_its_rows_only),
        cmocka_unit_test(test_while_the_bus_is_away_rows_stay),
        cmocka_unit_test(test_a_late_owner_publishes_nothing),
        cmocka_unit_test(test_each_row_is_published_once_whenever_it_is_killed),
    };
    if (argc == 7 && strcmp(argv[1], "--child") == 0) {
        return child_main(argv);
    }
    return unit_run(tests, world_setup, world_teardown, argc, argv);
}
