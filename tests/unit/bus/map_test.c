#include "../unit.h"

#include "bus/map/map_alert.h"
#include "bus/map/map_layout.h"
#include "bus/map/map_name.h"
#include "bus/map/map_write.h"

/* The flow map, from facts to pictures. Times are seconds after a round one. */
enum { BEGAN_S = 1800000000 };

static int64_t ms(double s)
{
    return (int64_t)((BEGAN_S + s) * 1000);
}

static struct slice text(const char *text)
{
    return slice_str(text);
}

static struct map_fact *publishes(struct map_facts *facts, const char *source, const char *client,
                                  const char *topic, const char *type)
{
    struct map_fact_key key = {.kind = MAP_PUBLISHES, .topic = text(topic), .type = text(type)};
    key.names[MAP_SOURCE] = text(source);
    key.names[MAP_CLIENT] = text(client);
    return map_facts_reach(facts, &key, ms(0));
}

static struct map_fact *consumes(struct map_facts *facts, const char *group, const char *topic)
{
    struct map_fact_key key = {.kind = MAP_CONSUMES, .topic = text(topic)};
    key.names[MAP_GROUP] = text(group);
    return map_facts_reach(facts, &key, ms(0));
}

static struct map_fact *joined(struct map_facts *facts, const char *client, const char *group)
{
    struct map_fact_key key = {.kind = MAP_JOINED};
    key.names[MAP_GROUP] = text(group);
    key.names[MAP_CLIENT] = text(client);
    return map_facts_reach(facts, &key, ms(0));
}

static struct map_fact *carries(struct map_facts *facts, const char *topic, const char *type)
{
    struct map_fact_key key = {.kind = MAP_CARRIES, .topic = text(topic), .type = text(type)};
    return map_facts_reach(facts, &key, ms(0));
}

static struct map_fact *causes(struct map_facts *facts, const char *type, const char *other)
{
    struct map_fact_key key = {.kind = MAP_CAUSES, .type = text(type), .other = text(other)};
    return map_facts_reach(facts, &key, ms(0));
}

/* Five events of a type from a source, the last one at `s`. */
static void flow(struct map_facts *facts, const char *source, const char *topic, const char *type,
                 double s)
{
    map_fact_add(carries(facts, topic, type), 5, 500, ms(s));
    map_fact_add(publishes(facts, source, NULL, topic, type), 5, 500, ms(s));
}

/* The shop publishes orders, billing consumes them and publishes invoices, mail consumes those. */
static void add_shop(struct map_facts *facts, double s)
{
    flow(facts, "/shop", "orders", "OrderPlaced", s);
    flow(facts, "urn:billing", "invoices", "InvoiceSent", s);
    struct map_fact *billing = consumes(facts, "billing", "orders");
    struct map_fact *mail = consumes(facts, "mail", "invoices");
    map_fact_add(billing, 5, 0, ms(s));
    map_fact_add(mail, 4, 0, ms(s));
    billing->members = mail->members = 2;
    mail->lag = 1;
    mail->oldest_ms = ms(s - 3);
    map_fact_add(causes(facts, "OrderPlaced", NULL), 5, 0, ms(s));
    map_fact_took(causes(facts, "OrderPlaced", "InvoiceSent"), 120);
    map_fact_add(causes(facts, "OrderPlaced", "InvoiceSent"), 4, 0, ms(s));
}

static struct map_graph graph_at(const struct map_facts *facts, double s)
{
    struct map_graph graph;
    struct map_view view = {.now_ms = ms(s)};
    map_graph_build(facts, &view, &graph);
    map_layout(&graph);
    return graph;
}

static char *as_text(const struct map_graph *graph)
{
    struct buf to = {0};
    map_write_text(graph, &to);
    char *copy = mem_strdup(buf_cstr(&to));
    buf_deinit(&to);
    return copy;
}

static void expect_in(const char *all, const char *part)
{
    if (strstr(all, part) == NULL) {
        print_error("missing: %s\nin:\n%s\n", part, all);
        fail();
    }
}

static const struct map_node *node_of(const struct map_graph *graph, const char *id)
{
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (strcmp(graph->nodes.items[i].id, id) == 0) {
            return &graph->nodes.items[i];
        }
    }
    return NULL;
}

static const struct map_edge *edge_of(const struct map_graph *graph, const char *from,
                                      const char *to)
{
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        if (strcmp(graph->nodes.items[edge->from].id, from) == 0 &&
            strcmp(graph->nodes.items[edge->to].id, to) == 0) {
            return edge;
        }
    }
    return NULL;
}

/* --- names --- */

static void test_instances_of_a_service_have_one_name(void **state)
{
    static const char *const cases[][2] = {
        {"billing", "billing"},
        {"billing-3", "billing"},
        {"billing-12-4", "billing"},
        {"billing-7f9c4d5b6-x2x8q", "billing"},
        {"billing-3f2504e0-4f89-11d3-9a0c-0305e82c3301", "billing"},
        {"words-3f2504e0-4f89-11d3-9a0c-0305e82c3301-StreamThread-1-consumer", "words"},
        {"billing@host-7", "billing"},
        {"billing-deadbeef01", "billing"},
        {"billing-invoices", "billing-invoices"},
        {"order-service", "order-service"},
        {"consumer-billing-1", "billing"},
        {"consumer-1", NULL},
        {"rdkafka", NULL},
        {"producer-1", NULL},
        {"kafka-python-2.0.2", NULL},
        {"aiokafka-0.8.0", NULL},
        {"", NULL},
        {"-1", "-1"},
        {"7", "7"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice name = map_client_name(text(cases[i][0]));
        if (cases[i][1] == NULL ? !slice_is_null(name) : !slice_equal_str(name, cases[i][1])) {
            print_error("%s gives '%.*s'\n", cases[i][0], SLICE_ARGS(name));
            fail();
        }
    }
    assert_true(slice_is_null(map_client_name((struct slice){0})));
    assert_true(slice_is_null(map_principal_name(text("User:ANONYMOUS"))));
    assert_true(slice_equal_str(map_principal_name(text("User:shop")), "shop"));
    assert_true(slice_equal_str(map_name_key(text("https://shop.example/")), "shop.example"));
    assert_true(slice_equal_str(map_name_key(text("/")), "/"));
}

static void test_what_belongs_to_one_service_is_one(void **state)
{
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, ms(0));
    add_shop(&facts, 100);
    /* billing's client, by the group that it joined, and what it produces by its producer id */
    joined(&facts, "billing-app", "billing")->connections = 2;
    map_fact_add(publishes(&facts, "urn:billing", "billing-app", "invoices", "InvoiceSent"), 5, 1,
                 ms(100));
    /* a relay publishes for two */
    map_fact_add(publishes(&facts, "/stock", "relay", "stock", "Counted"), 1, 1, ms(100));
    map_fact_add(carries(&facts, "stock", "Counted"), 1, 1, ms(100));
    map_fact_add(publishes(&facts, "/returns", "relay", "stock", "Returned"), 1, 1, ms(100));
    map_fact_add(carries(&facts, "stock", "Returned"), 1, 1, ms(100));
    struct map_graph graph = graph_at(&facts, 101);
    const struct map_node *billing = node_of(&graph, "service:billing");
    assert_non_null(billing);
    assert_int_equal(billing->names[MAP_CLIENT].count, 1);
    assert_int_equal(billing->names[MAP_SOURCE].count, 1);
    assert_int_equal(billing->connections, 2);
    assert_non_null(edge_of(&graph, "type:OrderPlaced", "service:billing"));
    assert_non_null(edge_of(&graph, "service:billing", "type:InvoiceSent"));
    assert_non_null(edge_of(&graph, "service:stock", "type:Counted"));
    assert_non_null(edge_of(&graph, "service:returns", "type:Returned"));
    assert_null(edge_of(&graph, "service:stock", "type:Returned"));
    assert_null(edge_of(&graph, "service:relay", "type:Counted"));
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

static void test_a_client_alone_on_a_topic_is_taken_for_the_source_and_that_is_said(void **state)
{
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, ms(0));
    flow(&facts, "/shop", "orders", "OrderPlaced", 100);
    map_fact_add(publishes(&facts, NULL, "storefront", "orders", NULL), 5, 5, ms(100));
    struct map_graph graph = graph_at(&facts, 101);
    assert_non_null(node_of(&graph, "service:shop"));
    assert_null(node_of(&graph, "service:storefront"));
    assert_null(edge_of(&graph, "service:shop", "type:OrderPlaced")->inferred);
    assert_non_null(node_of(&graph, "service:shop")->guess);
    assert_int_equal(node_of(&graph, "service:shop")->names[MAP_CLIENT].count, 1);
    map_graph_deinit(&graph);
    /* with another one it could be either */
    map_fact_add(publishes(&facts, NULL, "till", "orders", NULL), 5, 5, ms(100));
    graph = graph_at(&facts, 101);
    assert_null(node_of(&graph, "service:shop")->guess);
    assert_non_null(edge_of(&graph, "service:till", "type:OrderPlaced")->inferred);
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

static void test_rules_rename_and_merge_and_say_what_is_wrong_with_them(void **state)
{
    struct map_rules *rules;
    struct reason reason;
    struct map_facts facts;
    struct map_graph graph;
    (void)state;
    map_facts_init(&facts, ms(0));
    add_shop(&facts, 100);
    assert_int_equal(map_rules_read(text("# all of them\n\ngroup:mail|billing = back office\n"
                                         "source:urn:billing = back office"),
                                    &rules, &reason),
                     ERR_NONE);
    struct map_view view = {.now_ms = ms(101), .rules = rules};
    map_graph_build(&facts, &view, &graph);
    assert_non_null(edge_of(&graph, "type:OrderPlaced", "service:back office"));
    assert_non_null(edge_of(&graph, "type:InvoiceSent", "service:back office"));
    assert_null(node_of(&graph, "service:mail"));
    assert_int_equal(node_of(&graph, "service:back office")->names[MAP_GROUP].count, 2);
    map_graph_deinit(&graph);
    map_rules_free(rules);
    assert_int_equal(map_rules_read(text("group:a = b\nwho:x = y"), &rules, &reason), ERR_INVALID);
    expect_in(reason.text, "line 2");
    assert_null(rules);
    assert_int_equal(map_rules_read(text("group:( = b"), &rules, &reason), ERR_INVALID);
    expect_in(reason.text, "line 1");
    map_facts_deinit(&facts);
}

/* --- states --- */

static void test_quiet_for_three_usual_gaps_is_idle(void **state)
{
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, ms(0));
    for (int s = 0; s <= 600; s += 20) {
        flow(&facts, "/shop", "orders", "OrderPlaced", s);
        publishes(&facts, "/shop", NULL, "orders", "OrderPlaced")->new_events = 1;
        map_facts_tick(&facts, ms(s), 20000);
    }
    struct map_graph graph = graph_at(&facts, 655);
    assert_int_equal(edge_of(&graph, "service:shop", "type:OrderPlaced")->state, MAP_FRESH);
    map_graph_deinit(&graph);
    graph = graph_at(&facts, 665);
    assert_int_equal(edge_of(&graph, "service:shop", "type:OrderPlaced")->state, MAP_IDLE);
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

static void test_new_failing_and_gone_are_told_with_why(void **state)
{
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, ms(0));
    add_shop(&facts, 100);
    consumes(&facts, "mail", "invoices")->first_ms = ms(90);
    struct map_graph graph = graph_at(&facts, 101);
    assert_int_equal(node_of(&graph, "service:mail")->state, MAP_NEW);
    map_graph_deinit(&graph);

    consumes(&facts, "mail", "invoices")->error_ms = ms(100);
    consumes(&facts, "mail", "invoices")->errors = 2;
    graph = graph_at(&facts, 101);
    assert_int_equal(node_of(&graph, "service:mail")->state, MAP_FAILING);
    expect_in(edge_of(&graph, "type:InvoiceSent", "service:mail")->why, "given up");
    map_graph_deinit(&graph);

    /* its connections end: at once, though its session still lives */
    joined(&facts, "mailer", "mail")->connections = 0;
    joined(&facts, "mailer", "mail")->left_ms = ms(102);
    graph = graph_at(&facts, 103);
    assert_int_equal(node_of(&graph, "service:mail")->state, MAP_GONE);
    assert_int_equal(node_of(&graph, "service:mail")->left_ms, ms(102));
    expect_in(node_of(&graph, "service:mail")->why, "connection");
    assert_int_equal(edge_of(&graph, "type:InvoiceSent", "service:mail")->state, MAP_GONE);
    map_graph_deinit(&graph);

    /* billing's session times out; it still was seen publishing, of which nobody knows more */
    consumes(&facts, "billing", "orders")->members = 0;
    graph = graph_at(&facts, 103);
    expect_in(edge_of(&graph, "type:OrderPlaced", "service:billing")->why, "session");
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

static void test_totals_of_clients_become_what_is_new(void **state)
{
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, ms(0));
    struct map_fact *fact = publishes(&facts, NULL, "till", "orders", NULL);
    for (int i = 0; i < 2; i++) { /* two instances, then one is forgotten */
        map_facts_sample_begin(&facts);
        map_fact_sample(fact, 100 + (uint64_t)i, 1000, 1, ms(1), ms(5 + i), 0);
        map_fact_sample(fact, 50, 500, 1, ms(2), ms(4), 0);
        map_facts_sample_end(&facts, ms(6 + i));
    }
    assert_int_equal(fact->events, 151);
    assert_int_equal(fact->connections, 2);
    map_facts_sample_begin(&facts);
    map_fact_sample(fact, 102, 1000, 0, ms(1), ms(7), ms(8));
    map_facts_sample_end(&facts, ms(9));
    assert_int_equal(fact->events, 151);
    assert_int_equal(fact->connections, 0);
    assert_int_equal(fact->left_ms, ms(8));
    map_facts_sample_begin(&facts);
    map_fact_sample(fact, 103, 1000, 1, ms(1), ms(10), 0);
    map_facts_sample_end(&facts, ms(11));
    assert_int_equal(fact->events, 152);
    assert_int_equal(fact->left_ms, 0);
    map_facts_deinit(&facts);
}

static void test_facts_are_bounded_and_the_quietest_makes_room(void **state)
{
    struct map_facts facts;
    char name[400];
    (void)state;
    map_facts_init(&facts, ms(0));
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < MAP_FACTS_MAX; i++) {
        snprintf(name, 16, "type-%08d", i);
        name[13] = 'x';
        assert_non_null(carries(&facts, "orders", name));
    }
    assert_int_equal(carries(&facts, "orders", name)->is.type.size, MAP_NAME_BYTES);
    struct map_fact_key key = {.kind = MAP_CARRIES, .topic = text("orders"), .type = text("late")};
    assert_null(map_facts_reach(&facts, &key, ms(60)));
    assert_null(map_facts_reach(&facts, &key, ms(61)));
    assert_int_equal(map_left_out_count(&facts.left_out), 1); /* once, however often it comes */
    map_fact_add(carries(&facts, "orders", name), 1, 1, ms(2 * 86400));
    assert_non_null(map_facts_reach(&facts, &key, ms(2 * 86400)));
    map_facts_deinit(&facts);
}

/* --- pictures --- */

static void test_the_text_says_who_and_to_whom(void **state)
{
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, ms(0));
    add_shop(&facts, 100);
    struct map_graph graph = graph_at(&facts, 101);
    char *all = as_text(&graph);
    expect_in(all, "3 services, 2 event types");
    expect_in(all, "OrderPlaced  in orders");
    expect_in(all, "  from    shop");
    expect_in(all, "  to      billing");
    expect_in(all, "  to      mail                    lag 1 (oldest 4.0 s), new");
    expect_in(all, "  causes  InvoiceSent             80 % within 120 ms");
    free(all);
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

static const char hostile[] = "</text><script>alert(1)</script>\"];x->y\\\x1b[31m`#&'\n|]\xff%s";

static void expect_clean(const struct buf *said, const char *what)
{
    for (size_t i = 0; i < said->size; i++) {
        if (said->data[i] == 0x1b || said->data[i] == 0xff) {
            print_error("%s holds byte %d\n", what, said->data[i]);
            fail();
        }
    }
}

static void test_hostile_names_are_text_in_every_form(void **state)
{
    struct map_facts facts;
    struct buf said = {0};
    (void)state;
    map_facts_init(&facts, ms(0));
    flow(&facts, hostile, hostile, hostile, 100);
    consumes(&facts, hostile, hostile)->members = 1;
    map_fact_add(causes(&facts, hostile, hostile), 1, 1, ms(100));
    struct map_graph graph = graph_at(&facts, 101);

    map_write_svg(&graph, &said);
    expect_clean(&said, "SVG");
    assert_null(strstr(buf_cstr(&said), "<script"));
    assert_null(strstr(buf_cstr(&said), "</text><s"));
    expect_in(buf_cstr(&said), "&lt;script&gt;");
    buf_clear(&said);

    map_write_dot(&graph, &said);
    expect_clean(&said, "DOT");
    for (char *line = strtok(buf_cstr(&said), "\n"); line != NULL; line = strtok(NULL, "\n")) {
        int quotes = 0;
        for (const char *at = line; *at != '\0'; at++) {
            at += *at == '\\' && at[1] != '\0';
            quotes += *at == '"' && at[-1] != '\\';
        }
        assert_int_equal(quotes % 2, 0);
    }
    buf_clear(&said);

    map_write_mermaid(&graph, &said);
    expect_clean(&said, "Mermaid");
    assert_null(strstr(buf_cstr(&said), "<script"));
    assert_null(strstr(buf_cstr(&said), "`"));
    buf_clear(&said);

    map_write_text(&graph, &said);
    expect_clean(&said, "text");
    buf_deinit(&said);

    json_t *json = map_json(&graph);
    assert_non_null(json);
    char *dumped = json_dumps(json, 0);
    assert_non_null(dumped);
    free(dumped);
    json_decref(json);
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

static char *as_svg(const struct map_graph *graph)
{
    struct buf to = {0};
    map_write_svg(graph, &to);
    char *copy = mem_strdup(buf_cstr(&to));
    buf_deinit(&to);
    return copy;
}

/* Two hundred nodes, in circles, met in two orders. */
static void add_many(struct map_facts *facts, int step)
{
    char source[32], type[32], group[32];
    for (int at = 0, i = 0; at < 100; at++, i = (i + step) % 100) {
        snprintf(source, sizeof source, "service-%c%02d", 'a' + i % 7, i);
        snprintf(type, sizeof type, "Type%02d", i);
        flow(facts, source, type, type, 100);
        for (int j = 1; j <= 3; j++) {
            int k = (i * j + 1) % 100;
            snprintf(group, sizeof group, "service-%c%02d", 'a' + k % 7, k);
            map_fact_add(consumes(facts, group, type), 1, 1, ms(100));
        }
    }
}

static void test_two_hundred_nodes_in_circles_give_one_picture_whatever_the_order(void **state)
{
    struct map_facts facts, other;
    (void)state;
    map_facts_init(&facts, ms(0));
    map_facts_init(&other, ms(0));
    add_many(&facts, 1);
    add_many(&other, 37);
    struct map_graph graph = graph_at(&facts, 101), again = graph_at(&other, 101);
    assert_int_equal(graph.nodes.count, 200);
    assert_in_range(graph.ranks, 2, MAP_RANKS_MAX);
    char *one = as_svg(&graph), *two = as_svg(&again);
    assert_string_equal(one, two);
    for (size_t i = 0; i < graph.nodes.count; i++) { /* nothing lies on another, or outside */
        const struct map_node *node = &graph.nodes.items[i];
        assert_true(node->x > 0 && node->x < graph.width && node->y < graph.height);
        for (size_t j = 0; j < i; j++) {
            const struct map_node *before = &graph.nodes.items[j];
            assert_false(node->rank == before->rank && node->place == before->place);
        }
    }
    free(one);
    free(two);
    map_graph_deinit(&graph);
    map_graph_deinit(&again);
    map_facts_deinit(&facts);
    map_facts_deinit(&other);
}

static void test_what_changed_is_told_by_names(void **state)
{
    struct map_facts then_facts, facts;
    struct buf said = {0};
    (void)state;
    map_facts_init(&then_facts, ms(0));
    add_shop(&then_facts, 100);
    map_facts_copy(&then_facts, &facts);
    flow(&facts, "/stock", "orders", "OrderPlaced", 200);
    publishes(&facts, "/shop", NULL, "orders", "OrderPlaced")->rate = 12;
    map_facts_remove(&facts, consumes(&facts, "mail", "invoices"));
    struct map_graph then = graph_at(&then_facts, 101), now = graph_at(&facts, 201);
    map_write_diff(&now, &then, &said);
    expect_in(buf_cstr(&said), "+ service stock\n");
    expect_in(buf_cstr(&said), "- service mail\n");
    expect_in(buf_cstr(&said), "+ stock publishes OrderPlaced\n");
    expect_in(buf_cstr(&said), "- mail consumes InvoiceSent\n");
    expect_in(buf_cstr(&said), "~ shop publishes OrderPlaced: was quiet, is 12/s\n");
    buf_deinit(&said);
    json_t *json = map_diff_json(&now, &then);
    assert_int_equal(json_array_size(json_object_get(json, "changed")), 1);
    json_decref(json);
    map_graph_deinit(&now);
    map_graph_deinit(&then);
    map_facts_deinit(&facts);
    map_facts_deinit(&then_facts);
}

/* --- alerts --- */

static void note_alert(void *context, const struct map_alert *alert)
{
    buf_printf(context, "%s%s %s %s\n", alert->over_ms > 0 ? "over: " : "",
               map_alert_word(alert->kind), alert->type,
               alert->service != NULL ? alert->service : "-");
}

static void look(struct map_alerts *alerts, const struct map_facts *facts, double s,
                 struct buf *said)
{
    struct map_graph graph = graph_at(facts, s);
    map_alerts_look(alerts, &graph, note_alert, said);
    map_graph_deinit(&graph);
}

/* billing is there with this many members, seen by group and connections. */
static void set_billing(struct map_facts *facts, int members, double s)
{
    struct map_fact *fact = consumes(facts, "billing", "orders");
    struct map_fact *client = joined(facts, "billing", "billing");
    client->session_timeout_ms = 10000;
    if (fact->members != 0 && members == 0) {
        fact->left_by_session_ms = client->left_ms = ms(s);
    }
    fact->members = members;
    client->connections = members;
    map_fact_add(fact, 1, 0, ms(s));
}

static void test_an_hour_of_rolling_restarts_makes_no_alert_and_a_real_end_does(void **state)
{
    struct map_facts facts;
    struct map_alerts *alerts = map_alerts_new();
    struct buf said = {0};
    (void)state;
    map_facts_init(&facts, ms(0));
    for (int s = 0; s < 3600; s++) {
        if (s % 10 == 0) {
            add_shop(&facts, s);
        }
        /* its two members restart one after the other, and now and then both at once */
        int at = s % 60;
        int members = at < 8 ? 1 : at >= 30 && at < 39 ? (s / 60) % 3 == 0 ? 0 : 1 : 2;
        set_billing(&facts, members, s);
        map_facts_tick(&facts, ms(s), 1000);
        look(alerts, &facts, s, &said);
    }
    assert_string_equal(buf_cstr(&said), "");
    set_billing(&facts, 0, 3600);
    look(alerts, &facts, 3601, &said);
    look(alerts, &facts, 3609, &said);
    assert_string_equal(buf_cstr(&said), "");
    look(alerts, &facts, 3610, &said);
    assert_string_equal(buf_cstr(&said), "last-consumer-left OrderPlaced billing\n");
    buf_clear(&said);
    set_billing(&facts, 2, 3620);
    look(alerts, &facts, 3620, &said);
    assert_string_equal(buf_cstr(&said), "over: last-consumer-left OrderPlaced billing\n");
    assert_int_equal(map_alerts_open(alerts), 0);
    buf_deinit(&said);
    map_alerts_free(alerts);
    map_facts_deinit(&facts);
}

static void test_what_nobody_consumes_new_producers_and_loops_are_told_once(void **state)
{
    struct map_facts facts;
    struct map_alerts *alerts = map_alerts_new();
    struct buf said = {0};
    (void)state;
    map_facts_init(&facts, ms(0));
    add_shop(&facts, 100);
    flow(&facts, "/shop", "refunds", "Refunded", 100);
    look(alerts, &facts, 100, &said);
    look(alerts, &facts, 101 + MAP_UNREAD_MS / 1000.0, &said);
    assert_string_equal(buf_cstr(&said), "nobody-consumes Refunded -\n");
    buf_clear(&said);

    flow(&facts, "/stock", "orders", "OrderPlaced", 200);
    map_fact_add(causes(&facts, "InvoiceSent", "OrderPlaced"), 1, 1, ms(200));
    look(alerts, &facts, 201, &said);
    look(alerts, &facts, 202, &said);
    assert_string_equal(buf_cstr(&said), "new-producer OrderPlaced stock\n"
                                         "loop InvoiceSent, OrderPlaced, InvoiceSent -\n");
    buf_clear(&said);

    consumes(&facts, "refunds", "refunds")->members = 1;
    look(alerts, &facts, 203, &said);
    assert_string_equal(buf_cstr(&said), "over: nobody-consumes Refunded -\n");
    json_t *json = map_alerts_json(alerts);
    assert_int_equal(json_array_size(json), 3);
    json_decref(json);
    buf_deinit(&said);
    map_alerts_free(alerts);
    map_facts_deinit(&facts);
}

/* Of a source an order, say: what they publish is still shown. */
static void test_many_services_leave_room_for_types(void **state)
{
    (void)state;
    enum { SOURCES = MAP_NODES_MAX + 500 };
    struct map_facts facts;
    map_facts_init(&facts, ms(0));
    add_shop(&facts, 10);
    for (int i = 0; i < SOURCES; i++) {
        char *source = mem_sprintf("/orders/%d", i);
        flow(&facts, source, "shipments", "Shipped", 10);
        free(source);
    }
    struct map_graph graph = graph_at(&facts, 11);
    assert_in_range(graph.nodes.count, 100, MAP_NODES_MAX);
    assert_in_range(graph.edges.count, 100, MAP_EDGES_MAX);
    assert_true(graph.left_out >= SOURCES - MAP_SERVICES_MAX);
    assert_non_null(map_graph_type(&graph, "Shipped"));
    char *shown = as_text(&graph);
    expect_in(shown, "OrderPlaced");
    expect_in(shown, "billing");
    free(shown);
    map_graph_deinit(&graph);
    map_facts_deinit(&facts);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instances_of_a_service_have_one_name),
        cmocka_unit_test(test_what_belongs_to_one_service_is_one),
        cmocka_unit_test(test_a_client_alone_on_a_topic_is_taken_for_the_source_and_that_is_said),
        cmocka_unit_test(test_rules_rename_and_merge_and_say_what_is_wrong_with_them),
        cmocka_unit_test(test_quiet_for_three_usual_gaps_is_idle),
        cmocka_unit_test(test_new_failing_and_gone_are_told_with_why),
        cmocka_unit_test(test_totals_of_clients_become_what_is_new),
        cmocka_unit_test(test_facts_are_bounded_and_the_quietest_makes_room),
        cmocka_unit_test(test_the_text_says_who_and_to_whom),
        cmocka_unit_test(test_hostile_names_are_text_in_every_form),
        cmocka_unit_test(test_two_hundred_nodes_in_circles_give_one_picture_whatever_the_order),
        cmocka_unit_test(test_what_changed_is_told_by_names),
        cmocka_unit_test(test_an_hour_of_rolling_restarts_makes_no_alert_and_a_real_end_does),
        cmocka_unit_test(test_what_nobody_consumes_new_producers_and_loops_are_told_once),
        cmocka_unit_test(test_many_services_leave_room_for_types),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
