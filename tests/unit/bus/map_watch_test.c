#include "../unit.h"

#include "base/clock.h"
#include "base/file.h"
#include "bus/http/http.h"
#include "bus/map/client_view.h"
#include "bus/map/flow_history.h"
#include "bus/map/map_watch.h"
#include "client/event/observer.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The module of the flow map beside a bus that nobody answers for, with a feed and an observer made
 * here: what it learned is served. */

enum { TRIES = 30000 };
#define OWN_CLIENT_ID "tidings-bus-own"

/* A feed of one event, again and again. */
struct one_feed {
    struct feed feed;
    bool is_given;
};

static struct event_header headers[] = {{"ce_type", {(const uint8_t *)"OrderPlaced", 11}},
                                        {"ce_source", {(const uint8_t *)"/shop", 5}}};

static enum err next_piece(struct feed *feed, int timeout_ms, struct feed_piece *piece,
                           struct reason *reason)
{
    static struct feed_event event;
    struct one_feed *one = container_of(feed, struct one_feed, feed);
    (void)reason;
    *piece = (struct feed_piece){.kind = FEED_NOTHING, .level_ms = 1, .damaged_from = -1};
    if (one->is_given) {
        nanosleep(&(struct timespec){.tv_nsec = (timeout_ms < 5 ? timeout_ms : 5) * 1000000L},
                  NULL);
        return ERR_NONE;
    }
    one->is_given = true;
    event = (struct feed_event){.event = event_blank(), .producer_id = 7};
    event.event.offset = 0;
    event.event.timestamp_ms = clock_wall_ms(clock_system());
    event.event.headers = headers;
    event.event.header_count = 2;
    piece->kind = FEED_EVENTS;
    piece->source = (struct feed_source){.topic = "orders", .topic_id = {1}};
    piece->events = &event;
    piece->count = 1;
    piece->next_offset = piece->end_offset = 1;
    return ERR_NONE;
}

static void wake_feed(struct feed *feed)
{
    (void)feed;
}

static void free_feed(struct feed *feed)
{
    free(container_of(feed, struct one_feed, feed));
}

static struct feed *open_feed(void *context, feed_begin *begin, void *begin_context,
                              struct reason *reason)
{
    struct one_feed *one = mem_new(struct one_feed);
    struct feed_source source = {.topic = "orders", .topic_id = {1}};
    (void)context, (void)reason;
    one->is_given = begin(begin_context, &source) > 0;
    one->feed = (struct feed){next_piece, wake_feed, free_feed};
    return &one->feed;
}

/* One client, which produces, and one that reads for a group and can go. */
struct two_clients {
    struct observer observer;
    atomic_bool is_gone, has_layers, has_namesake, has_silent;
    atomic_int fetched;
};

static void show_one(const struct client_visitor *visitor, struct client_shown client,
                     const char *software, const struct client_flow_shown *flows, size_t count)
{
    client.identity.software_name = software != NULL ? slice_str(software) : (struct slice){0};
    visitor->client(visitor->context, &client);
    for (size_t i = 0; i < count; i++) {
        visitor->flow(visitor->context, &flows[i]);
    }
}

/* Libraries that tell their software on their first connection only; of two it is not known whose a
 * silent one is, and another machine is another one. */
static void show_silent(const struct client_visitor *visitor, struct client_shown client,
                        struct client_flow_shown flow)
{
    struct client_flow_shown flows[] = {flow, flow};
    flow.events = flows[0].events = flows[1].events = 5;
    flows[0].first_ms = 7;
    flows[1].topic = slice_str("stock");
    client.identity.client_id = slice_str("ledger");
    client.connections = 2;
    show_one(visitor, client, NULL, flows, 2);
    client.first_ms = 3;
    client.connections = 1;
    show_one(visitor, client, "kgo", &flow, 1);
    client.identity.host = slice_str("192.0.2.1");
    show_one(visitor, client, NULL, &flow, 1);
    client.identity.client_id = slice_str("two");
    show_one(visitor, client, "one", &flow, 1);
    show_one(visitor, client, "other", &flow, 1);
    show_one(visitor, client, NULL, &flow, 1);
}

/* The layer that asks, a person at the command, and clients that only sound like them. */
static void show_layers(const struct client_visitor *visitor, struct client_shown client,
                        struct client_flow_shown flow)
{
    static const char *const names[] = {OWN_CLIENT_ID, "tidings-bus", OWN_CLIENT_ID "-x",
                                        "tidings-clip"};
    client.identity.client_id = slice_str(CONNECTION_COMMAND);
    show_one(visitor, client, CONNECTION_COMMAND, &flow, 1);
    client.identity.client_id = slice_str("named"); /* by the person at the command */
    show_one(visitor, client, CONNECTION_COMMAND, &flow, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        client.identity.client_id = slice_str(names[i]);
        visitor->client(visitor->context, &client);
        visitor->flow(visitor->context, &flow);
    }
}

/* A service with the command's client.id and a library of its own. */
static void show_namesake(const struct client_visitor *visitor, struct client_shown client,
                          struct client_flow_shown flow)
{
    client.identity.client_id = slice_str(CONNECTION_COMMAND);
    show_one(visitor, client, "librdkafka", &flow, 1);
}

static void show(struct observer *observer, const struct client_visitor *visitor)
{
    struct two_clients *two = container_of(observer, struct two_clients, observer);
    bool is_gone = atomic_load(&two->is_gone);
    int64_t now_ms = clock_wall_ms(clock_system());
    struct client_shown shop = {.identity = {.principal = slice_str("User:ANONYMOUS"),
                                             .client_id = slice_str("shop-app-1"),
                                             .host = slice_str("::1")},
                                .connections = 1,
                                .first_ms = now_ms - 1000};
    struct client_flow_shown produced = {.did = CLIENT_PRODUCED,
                                         .topic = slice_str("orders"),
                                         .events = 1,
                                         .bytes = 10,
                                         .first_ms = now_ms - 500,
                                         .last_ms = now_ms - 500};
    visitor->client(visitor->context, &shop);
    visitor->flow(visitor->context, &produced);
    struct client_shown mail = shop;
    mail.identity.client_id = slice_str("mail-2");
    mail.connections = is_gone ? 0 : 2;
    mail.last_ms = is_gone ? now_ms - 100 : 0;
    struct client_flow_shown fetched = produced;
    fetched.did = CLIENT_FETCHED;
    fetched.events = (uint64_t)atomic_fetch_add(&two->fetched, 3) + 1;
    visitor->client(visitor->context, &mail);
    visitor->flow(visitor->context, &fetched);
    if (atomic_load(&two->has_silent)) {
        show_silent(visitor, shop, fetched);
    }
    if (atomic_load(&two->has_layers)) {
        show_layers(visitor, shop, fetched);
    }
    if (atomic_load(&two->has_namesake)) {
        show_namesake(visitor, shop, fetched);
    }
}

static bool find_producer(struct observer *observer, int64_t producer_id,
                          client_producer_seen *seen, void *context)
{
    struct client_shown shop = {.identity = {.client_id = slice_str("shop-app-1")},
                                .connections = 1};
    (void)observer;
    if (producer_id == 7) {
        seen(context, &shop, 1);
    }
    return producer_id == 7;
}

struct bench {
    char *dir;
    struct two_clients clients;
    struct connection_settings connection;
    struct bus_parts parts;
    void *map, *view;
};

static void start(struct bench *bench)
{
    struct watch_settings settings = {.open_feed = open_feed, .tick_ms = 10};
    struct reason reason;
    /* No connection: librdkafka's threads are none that a thread sanitizer knows. */
    static const char *const properties[] = {"no.such.property=1"};
    bench->connection = (struct connection_settings){.bootstrap_servers = "127.0.0.1:1",
                                                     .client_id = OWN_CLIENT_ID,
                                                     .properties = properties,
                                                     .property_count = 1};
    bench->parts = (struct bus_parts){.dir = bench->dir,
                                      .connection = &bench->connection,
                                      .watch = watch_new(&settings),
                                      .observer = &bench->clients.observer,
                                      .asker = bus_asker_new(&bench->connection)};
    bench->map = map_watch_make(&bench->parts);
    bench->view = client_view_make(&bench->parts);
    assert_int_equal(watch_start(bench->parts.watch, &reason), ERR_NONE);
}

static void stop(struct bench *bench)
{
    assert_true(watch_stop(bench->parts.watch, 60000));
    map_watch_free(bench->map);
    client_view_free(bench->view);
    watch_free(bench->parts.watch);
    bus_asker_free(bench->parts.asker);
}

static int setup(void **state)
{
    struct bench *bench = mem_new(struct bench);
    char name[] = "/tmp/tidings-map-XXXXXX";
    assert_non_null(mkdtemp(name));
    bench->dir = mem_strdup(name);
    bench->clients.observer = (struct observer){show, find_producer};
    start(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    char *path = mem_sprintf("%s/flows.db", bench->dir);
    stop(bench);
    flow_history_remove(path);
    rmdir(bench->dir);
    free(path);
    free(bench->dir);
    free(bench);
    return 0;
}

static void get(struct bench *bench, const char *target, struct http_answer *answer)
{
    size_t count;
    const struct http_route *routes = map_watch_routes(bench->map, &count);
    if (strncmp(target, "/v1/clients", 11) == 0) {
        routes = client_view_routes(bench->view, &count);
    }
    http_try(routes, count, "GET", target, NULL, (struct slice){0}, answer);
}

/* Until the answer to the target has the text. */
static void wait_for(struct bench *bench, const char *target, const char *text)
{
    bool is_there = false;
    for (int i = 0; i < TRIES && !is_there; i++) {
        struct http_answer answer;
        get(bench, target, &answer);
        is_there = answer.status == 200 && strstr(buf_cstr(&answer.body), text) != NULL;
        if (i == TRIES - 1 && !is_there) {
            print_error("no %s in %s\n", text, buf_cstr(&answer.body));
        }
        http_answer_deinit(&answer);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    assert_true(is_there);
}

static void expect_status(struct bench *bench, const char *target, unsigned status)
{
    struct http_answer answer;
    get(bench, target, &answer);
    if (answer.status != status) {
        print_error("%s: %u, not %u: %s\n", target, answer.status, status, buf_cstr(&answer.body));
    }
    assert_int_equal(answer.status, status);
    http_answer_deinit(&answer);
}

static void test_what_feed_and_observer_tell_is_served(void **state)
{
    struct bench *bench = *state;
    wait_for(bench, "/v1/who/OrderPlaced?format=text", "from    shop");
    wait_for(bench, "/v1/who/OrderPlaced?format=text", "to      mail");
    wait_for(bench, "/v1/map", "\"groups_error\":\"");
    wait_for(bench, "/v1/map.svg", "OrderPlaced");
    wait_for(bench, "/v1/map?format=dot", "digraph");
    wait_for(bench, "/v1/alerts", "[");
    atomic_store(&bench->clients.is_gone, true);
    wait_for(bench, "/v1/map?format=text", "its last connection ended");
    expect_status(bench, "/v1/who/Nothing", 404);
    expect_status(bench, "/v1/map?at=1999-01-01", 404);
    expect_status(bench, "/v1/map?format=png", 400);
    expect_status(bench, "/v1/map?diff=soon", 400);
}

static void test_nobody_hides_by_a_name_like_ours(void **state)
{
    struct bench *bench = *state;
    atomic_store(&bench->clients.has_layers, true);
    wait_for(bench, "/v1/map", "\"service:tidings-clip\""); /* the last one that is shown */
    wait_for(bench, "/v1/map", "\"service:tidings-bus\"");
    wait_for(bench, "/v1/map", "\"service:" OWN_CLIENT_ID "-x\"");
    struct http_answer answer;
    get(bench, "/v1/map", &answer);
    assert_null(strstr(buf_cstr(&answer.body), "\"service:" OWN_CLIENT_ID "\""));
    assert_null(strstr(buf_cstr(&answer.body), "\"service:" CONNECTION_COMMAND "\""));
    http_answer_deinit(&answer);
    wait_for(bench, "/v1/map", "\"service:named\"");
    atomic_store(&bench->clients.has_namesake, true);
    wait_for(bench, "/v1/map", "\"service:" CONNECTION_COMMAND "\"");
}

static const json_t *field(const json_t *clients, size_t which, const char *name)
{
    return json_object_get(json_array_get(clients, which), name);
}

static void test_connections_that_do_not_tell_their_software_are_the_clients_that_did(void **state)
{
    struct bench *bench = *state;
    struct http_answer answer;
    atomic_store(&bench->clients.has_silent, true);
    get(bench, "/v1/clients?over=1ms", &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(json_array_size(answer.json), 2 + 2 + 3);
    assert_string_equal(json_string_value(field(answer.json, 2, "software")), "kgo");
    assert_int_equal(json_integer_value(field(answer.json, 2, "connections")), 3);
    assert_string_equal(json_string_value(field(answer.json, 2, "first_seen")),
                        "1970-01-01T00:00:00.003Z");
    const json_t *flows = field(answer.json, 2, "flows");
    assert_int_equal(json_array_size(flows), 2);
    assert_string_equal(json_string_value(field(flows, 0, "topic")), "orders");
    assert_int_equal(json_integer_value(field(flows, 0, "events")), 10);
    assert_string_equal(json_string_value(field(flows, 0, "first")), "1970-01-01T00:00:00.007Z");
    assert_int_equal(json_integer_value(field(flows, 1, "events")), 5);
    assert_string_equal(json_string_value(field(answer.json, 3, "address")), "192.0.2.1");
    assert_true(json_is_null(field(answer.json, 3, "software")));
    assert_true(json_is_null(field(answer.json, 6, "software")));
    http_answer_deinit(&answer);
}

static void test_clients_are_listed_with_rates(void **state)
{
    struct bench *bench = *state;
    struct http_answer answer;
    get(bench, "/v1/clients?over=50ms", &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(json_array_size(answer.json), 2);
    const json_t *mail = json_array_get(answer.json, 1);
    assert_string_equal(json_string_value(json_object_get(mail, "client_id")), "mail-2");
    const json_t *fetched = json_object_get(mail, "fetched");
    assert_true(json_number_value(json_object_get(fetched, "rate")) > 0);
    http_answer_deinit(&answer);
    expect_status(bench, "/v1/clients?over=1h", 400);
    struct bus_parts foreign = {0};
    void *view = client_view_make(&foreign);
    size_t count;
    const struct http_route *routes = client_view_routes(view, &count);
    http_try(routes, count, "GET", "/v1/clients", NULL, (struct slice){0}, &answer);
    assert_int_equal(answer.status, 501);
    http_answer_deinit(&answer);
    client_view_free(view);
}

static void test_what_was_learned_outlives_a_restart(void **state)
{
    struct bench *bench = *state;
    wait_for(bench, "/v1/who/OrderPlaced?format=text", "from    shop");
    stop(bench);
    start(bench);
    wait_for(bench, "/v1/who/OrderPlaced?format=text", "from    shop");
    wait_for(bench, "/v1/map?at=now&diff=0s", "\"removed\":[]");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_feed_and_observer_tell_is_served, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nobody_hides_by_a_name_like_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_connections_that_do_not_tell_their_software_are_the_clients_that_did, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_clients_are_listed_with_rates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_learned_outlives_a_restart, setup, teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
