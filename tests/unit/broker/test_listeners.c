#include "../unit.h"

#include "broker/listeners.h"

#include <string.h>

static const char usual_map[] =
    "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL";

static struct server_addresses parsed(const char *text)
{
    struct server_addresses addresses;
    struct reason reason = {""};
    if (server_addresses_parse("listeners", text, &addresses, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    return addresses;
}

static void expect_refused(const char *text)
{
    struct server_addresses addresses;
    struct reason reason = {""};
    if (server_addresses_parse("advertised.listeners", text, &addresses, &reason) != ERR_CONFIG) {
        fail_msg("taken: %s", text);
    }
    assert_int_equal(addresses.count, 0);
    assert_non_null(strstr(reason.text, "advertised.listeners"));
}

static void expect_address(const struct server_address *address, const char *name, const char *host,
                           unsigned port)
{
    assert_string_equal(address->name, name);
    assert_string_equal(address->host, host);
    assert_int_equal(address->port, port);
}

static void test_addresses_are_split_into_name_host_and_port(void **state)
{
    (void)state;
    struct server_addresses addresses =
        parsed("127.0.0.1:9092,:0,SSL://:9093,INSIDE://[::1]:65535,::1:1, SSL://bus.example:2");
    assert_int_equal(addresses.count, 6);
    expect_address(&addresses.items[0], "PLAINTEXT", "127.0.0.1", 9092);
    assert_false(addresses.items[0].is_named);
    expect_address(&addresses.items[1], "PLAINTEXT", "", 0);
    expect_address(&addresses.items[2], "SSL", "", 9093);
    assert_true(addresses.items[2].is_named);
    expect_address(&addresses.items[3], "INSIDE", "[::1]", 65535);
    expect_address(&addresses.items[4], "PLAINTEXT", "::1", 1);
    expect_address(&addresses.items[5], "SSL", "bus.example", 2); /* behind a blank, as in Kafka */
    server_addresses_deinit(&addresses);
}

static void test_no_text_is_no_address(void **state)
{
    (void)state;
    struct server_addresses addresses = parsed("");
    assert_int_equal(addresses.count, 0);
    server_addresses_deinit(&addresses);
}

static void test_wrong_addresses_are_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "localhost", "a:",      "a:b",   "a:65536",  "a:-1",  "a:1x", "://a:1",
        "SSL://",    "SSL://a", "[::1]", "a:1,,b:2", "a:1,b", ",",    "a:99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_refused(wrong[i]);
    }
}

static void test_the_map_says_what_is_spoken(void **state)
{
    (void)state;
    struct reason reason = {""};
    struct server_addresses addresses = parsed(":1,SSL://:2");
    assert_int_equal(listeners_set_protocols(&addresses, usual_map, &reason), ERR_NONE);
    assert_int_equal(addresses.items[0].protocol, LISTENER_PLAINTEXT);
    assert_int_equal(addresses.items[1].protocol, LISTENER_SSL);
    assert_true(listeners_have(&addresses, LISTENER_SSL));
    server_addresses_deinit(&addresses);

    addresses = parsed("INSIDE://:1,OUT://:2,OUTSIDE://:3");
    assert_int_equal(listeners_set_protocols(
                         &addresses, "OUTSIDE:SSL, OUT:PLAINTEXT ,INSIDE:PLAINTEXT", &reason),
                     ERR_NONE);
    assert_int_equal(addresses.items[0].protocol, LISTENER_PLAINTEXT);
    assert_int_equal(addresses.items[1].protocol, LISTENER_PLAINTEXT);
    assert_int_equal(addresses.items[2].protocol, LISTENER_SSL);
    server_addresses_deinit(&addresses);

    addresses = parsed("SASL_SSL://:1,SASL_PLAINTEXT://:2");
    assert_int_equal(listeners_set_protocols(&addresses, usual_map, &reason), ERR_NONE);
    assert_int_equal(addresses.items[0].protocol, LISTENER_SASL_SSL);
    assert_int_equal(addresses.items[1].protocol, LISTENER_SASL_PLAINTEXT);
    assert_false(listeners_have(&addresses, LISTENER_SSL));
    server_addresses_deinit(&addresses);

    addresses = parsed("inside://:1,ssl://:2"); /* as Kafka: in capital letters */
    assert_int_equal(listeners_set_protocols(&addresses, "Inside:plaintext,SSL:ssl", &reason),
                     ERR_NONE);
    assert_string_equal(addresses.items[0].name, "INSIDE");
    assert_int_equal(addresses.items[0].protocol, LISTENER_PLAINTEXT);
    assert_int_equal(addresses.items[1].protocol, LISTENER_SSL);
    server_addresses_deinit(&addresses);

    addresses = parsed(":1");
    assert_int_equal(listeners_set_protocols(&addresses, usual_map, &reason), ERR_NONE);
    assert_false(listeners_have(&addresses, LISTENER_SSL));
    server_addresses_deinit(&addresses);
}

static void expect_no_protocol(const char *listeners, const char *map, const char *why)
{
    struct reason reason = {""};
    struct server_addresses addresses = parsed(listeners);
    assert_int_equal(listeners_set_protocols(&addresses, map, &reason), ERR_CONFIG);
    if (strstr(reason.text, why) == NULL) {
        fail_msg("'%s' does not say '%s'", reason.text, why);
    }
    server_addresses_deinit(&addresses);
}

static void test_a_listener_of_no_protocol_that_is_served_is_told(void **state)
{
    (void)state;
    expect_no_protocol("INSIDE://:1", usual_map, "INSIDE://");
    expect_no_protocol("SSL://:1", "SSL:TLS", "SSL:// speaks TLS, which is no protocol");
    expect_no_protocol("SSL://:1", "SSL:", "SSL://");
    expect_no_protocol("SSL://:1", "SSL", "SSL://");
    expect_no_protocol("SSL://:1", "SSLX:SSL", "SSL://");
    expect_no_protocol("SSL://:1", "", "listener.security.protocol.map");
}

/* expected: the indexes, as digits; NULL: refused. */
static void expect_match(const char *listeners, const char *advertised, const char *expected)
{
    size_t of[8];
    struct reason reason = {""};
    struct server_addresses left = parsed(listeners);
    struct server_addresses right = parsed(advertised);
    enum err err = listeners_match(&left, &right, of, &reason);
    if (expected == NULL) {
        assert_int_equal(err, ERR_CONFIG);
        assert_non_null(strstr(reason.text, "advertised.listeners"));
    } else {
        assert_int_equal(err, ERR_NONE);
        for (size_t i = 0; i < right.count; i++) {
            assert_int_equal(of[i], expected[i] - '0');
        }
    }
    server_addresses_deinit(&left);
    server_addresses_deinit(&right);
}

static void test_advertised_addresses_are_of_the_listener_of_their_name(void **state)
{
    (void)state;
    expect_match(":1,SSL://:2", "SSL://a:2,PLAINTEXT://a:1", "10");
    expect_match(":1,SSL://:2", "SSL://a:2", "1");
    expect_match("A://:1,B://:2,A://:3", "A://a:1,A://a:3,B://a:2", "021");
    expect_match(":1,ssl://:2", "Ssl://a:2,plaintext://a:1", "10");
    expect_match(":1", "", "");
    expect_match(":1", "SSL://a:2", NULL);
    expect_match(":1,SSL://:2", "SSL://a:2,SSL://b:2", NULL);
}

static void test_advertised_addresses_without_a_name_go_by_their_place(void **state)
{
    (void)state;
    expect_match(":1,SSL://:2", "a:1,b:2", "01");
    expect_match("SSL://:1,:2", "a:1", "0");
    expect_match(":1,SSL://:2", "SSL://a:2,b:2", NULL); /* the second place is taken */
    expect_match(":1", "a:1,b:2", NULL);                /* more than listeners */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_split_into_name_host_and_port),
        cmocka_unit_test(test_no_text_is_no_address),
        cmocka_unit_test(test_wrong_addresses_are_told),
        cmocka_unit_test(test_the_map_says_what_is_spoken),
        cmocka_unit_test(test_a_listener_of_no_protocol_that_is_served_is_told),
        cmocka_unit_test(test_advertised_addresses_are_of_the_listener_of_their_name),
        cmocka_unit_test(test_advertised_addresses_without_a_name_go_by_their_place),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
