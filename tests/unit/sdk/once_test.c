/*
 * Exactly once from end to end: a service whose handler writes into its database by the inbox, and
 * tells of it by the outbox, is killed between any two steps, and has a second process beside it
 * (this program starts itself for that). What is in the database and what was published in the end
 * are held against what came in. SQLite, or PostgreSQL with TEST_DATABASE=postgres. With TEST_ALL
 * it is killed in every step, else in the last two: most of the time sessions run out.
 */
#include "../unit.h"

#include "service_fixture.h"
#include "tidings_once.h"
#include "world.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, KEYS = 8, PARTITIONS = 2, WORKERS = 4, EACH = 24 };

/* Where a handler may die. */
enum step { BEGUN, ASKED, WORKED, ADDED, COMMITTED, STEPS };

/* --- the service, in a process of its own --- */

struct shop {
    struct world world;
    enum step dies_at;
    atomic_int times; /* the how-manieth it dies at */
    pthread_key_t connection;
};

static void step(struct shop *shop, enum step at)
{
    if (at == shop->dies_at && atomic_fetch_sub(&shop->times, 1) == 1) {
        kill(getpid(), SIGKILL);
    }
}

/* A connection for each worker. */
static const struct sql *connection_of(struct shop *shop)
{
    struct sql *sql = pthread_getspecific(shop->connection);
    if (sql == NULL) {
        sql = malloc(sizeof *sql);
        *sql = base_connect(&shop->world.base);
        pthread_setspecific(shop->connection, sql);
    }
    return sql;
}

static bool work(struct shop *shop, struct tidings *service, const struct sql *sql,
                 const struct tidings_event *event)
{
    char text[200];
    struct tidings_error error;
    struct tidings_message told = {.topic = "told",
                                   .type = "Told",
                                   .key = event->key,
                                   .cause = event,
                                   .data = event->data,
                                   .data_size = event->data_size};
    step(shop, ASKED);
    snprintf(text, sizeof text, "insert into effects (place, number) values ('%s', %s)", event->key,
             (const char *)event->data);
    if (sql_do(sql, text, &error) != SQL_OK) {
        return false;
    }
    step(shop, WORKED);
    if (tidings_outbox_add(service, base_db(sql), &told, &error) != TIDINGS_OK) {
        return false;
    }
    step(shop, ADDED);
    if (sql_do(sql, "commit", &error) != SQL_OK) {
        return false;
    }
    step(shop, COMMITTED);
    return true;
}

static enum tidings_verdict handle(struct tidings *service, const struct tidings_event *event,
                                   void *context)
{
    struct shop *shop = context;
    const struct sql *sql = connection_of(shop);
    struct tidings_error error = {.text = ""};
    if (sql_do(sql, sql->dialect->begin, &error) != SQL_OK) {
        return tidings_retry(event, 1, "database", "%s", error.text);
    }
    step(shop, BEGUN);
    enum tidings_once_answer answer = tidings_once(service, base_db(sql), event, &error);
    if (answer == TIDINGS_ONCE_FIRST && work(shop, service, sql, event)) {
        return TIDINGS_DONE;
    }
    (void)sql_do(sql, "rollback", NULL);
    if (answer == TIDINGS_ONCE_BEFORE) {
        (void)sql_do(sql, "insert into repeats (number) values (1)", NULL);
        return TIDINGS_DONE;
    }
    return tidings_retry(event, 1, "database", "%s", error.text);
}

static void *run_main(void *service)
{
    (void)tidings_run(service, NULL);
    return NULL;
}

/* The other program: --child FOLDER KIND ADDRESS STEP TIMES COUNT. It ends when so many effects are
 * there and told of. */
static int child_main(char **argv)
{
    struct shop shop = {
        .world = {.base = {.folder = argv[2], .kind = atoi(argv[3])}, .bus = {.address = argv[4]}},
        .dies_at = atoi(argv[5]),
        .times = atoi(argv[6])};
    const struct tidings_outbox_options quick = {.poll_ms = 5, .lease_ms = 300};
    struct tidings_options options = options_of(&shop.world.bus, "shop");
    struct tidings_outbox *outbox;
    struct sql sql = base_connect(&shop.world.base), looker = base_connect(&shop.world.base);
    pthread_t running;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_key_create(&shop.connection, NULL);
    options.workers = WORKERS;
    options.session_timeout_ms = 1000;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "asked", NULL, handle, &shop, NULL), TIDINGS_OK);
    assert_int_equal(tidings_outbox_start(service, base_db(&sql), &quick, &outbox, NULL),
                     TIDINGS_OK);
    pthread_create(&running, NULL, run_main, service);
    while (base_number(&looker, "select count(*) from effects") < atoi(argv[7]) ||
           tidings_outbox_wait(outbox, 10, NULL) != TIDINGS_OK) {
        usleep(2000); /* others share the database */
    }
    tidings_outbox_stop(outbox);
    _exit(0); /* without a farewell: the next one finds what a death leaves */
}

static pid_t start_child(const struct world *world, enum step at, int times, int count)
{
    char kind[8], step_text[8], times_text[8], count_text[16];
    snprintf(kind, sizeof kind, "%d", world->base.kind);
    snprintf(step_text, sizeof step_text, "%d", at);
    snprintf(times_text, sizeof times_text, "%d", times);
    snprintf(count_text, sizeof count_text, "%d", count);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "once-child", "--child", world->base.folder, kind,
              world->bus.address, step_text, times_text, count_text, (char *)NULL);
        _exit(127);
    }
    return child;
}

static int wait_child(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* --- what came of it --- */

static void publish_numbers(struct tidings *service, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char key[16], text[16];
        struct tidings_message message = {
            .topic = "asked", .type = "Asked", .key = key, .id = text, .data = text};
        snprintf(key, sizeof key, "k%d", i % KEYS);
        snprintf(text, sizeof text, "%d", i);
        message.data_size = strlen(text);
        assert_int_equal(tidings_publish(service, &message, NULL, NULL, NULL), TIDINGS_OK);
    }
    assert_int_equal(tidings_flush(service, PATIENCE_MS, NULL), TIDINGS_OK);
}

/* What is told on the topic: each number once, those of a key in order. */
static void check_told(const struct world *world, int count)
{
    int last[KEYS], seen = 0;
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", world->bus.address, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "looker", text, sizeof text);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++) {
        rd_kafka_topic_partition_list_add(list, "told", i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    for (int i = 0; i < KEYS; i++) {
        last[i] = i - KEYS;
    }
    for (int ended = 0; ended < PARTITIONS;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, PATIENCE_MS);
        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ended++;
        } else if (message->err == 0) {
            snprintf(text, sizeof text, "%.*s", (int)message->len, (const char *)message->payload);
            int number = atoi(text), key = number % KEYS;
            assert_int_equal(number, last[key] + KEYS);
            last[key] = number;
            seen++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    assert_int_equal(seen, count);
}

/* The effects are those of the numbers below count, each once, those of a key in order. */
static void check_effects(const struct sql *sql, int count)
{
    assert_int_equal(base_number(sql, "select count(*) from effects"), count);
    assert_int_equal(base_number(sql, "select count(distinct number) from effects"), count);
    assert_int_equal(base_number(sql, "select count(*) from effects a, effects b where a.place = "
                                      "b.place and a.seq < b.seq and a.number > b.number"),
                     0);
}

static void make_tables(const struct world *world, const struct sql *sql)
{
    base_do(sql, world->base.kind == TIDINGS_SQLITE
                     ? "create table effects (seq integer primary key autoincrement, place text, "
                       "number integer); create table repeats (number integer)"
                     : "create table effects (seq bigserial primary key, place text, "
                       "number bigint); create table repeats (number bigint)");
    base_do(sql, tidings_once_schema(world->base.kind));
}

static void test_each_effect_happens_once_whenever_the_service_is_killed(void **state)
{
    struct world *world = *state;
    struct sql sql = base_connect(&world->base);
    struct tidings *publisher = service_new(&world->bus, "publisher");
    int count = 0;
    make_tables(world, &sql);
    bus_server_topic(&world->bus, "asked", PARTITIONS);
    bus_server_topic(&world->bus, "told", PARTITIONS);
    for (enum step at = getenv("TEST_ALL") != NULL ? BEGUN : ADDED; at < STEPS; at++) {
        publish_numbers(publisher, count, EACH);
        count += EACH;
        pid_t dies = start_child(world, at, 5 + (int)at, count);
        pid_t lives = at == COMMITTED ? 0 : start_child(world, STEPS, 0, count);
        int status = wait_child(dies);
        if (lives == 0) { /* nobody but it can have made the repeats */
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            lives = start_child(world, STEPS, 0, count);
        }
        assert_int_equal(wait_child(lives), 0);
        check_effects(&sql, count);
    }
    assert_true(base_number(&sql, "select count(*) from repeats") > 0);
    check_told(world, count);
    assert_int_equal(base_number(&sql, "select count(*) from tidings_outbox"), 0);
    tidings_free(publisher);
    base_close(&sql);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_effect_happens_once_whenever_the_service_is_killed),
    };
    if (argc == 8 && strcmp(argv[1], "--child") == 0) {
        return child_main(argv);
    }
    return unit_run(tests, world_setup, world_teardown, argc, argv);
}
