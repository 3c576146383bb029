#include "../unit.h"

#include "broker/server_config.h"
#include "topic/topic_config.h"

#include <string.h>

static enum err build_one(const char *name, const char *value, struct server_config *config,
                          struct reason *reason)
{
    struct settings_table *table = server_settings_new();
    struct overrides given = {0};
    reason->text[0] = '\0';
    if (name != NULL) {
        overrides_set(&given, slice_str(name), slice_str(value));
    }
    enum err err = server_config_build(config, table, &given, reason);
    if (err != ERR_NONE) {
        server_config_deinit(config, table);
    }
    overrides_deinit(&given);
    server_settings_free(table);
    return err;
}

static void drop(struct server_config *config)
{
    struct settings_table *table = server_settings_new();
    server_config_deinit(config, table);
    server_settings_free(table);
}

static void test_settings_have_their_defaults(void **state)
{
    (void)state;
    struct server_config config;
    struct reason reason;
    assert_int_equal(build_one(NULL, NULL, &config, &reason), ERR_NONE);
    assert_string_equal(config.listeners, "127.0.0.1:9092");
    assert_string_equal(config.data_dir, "tidings-data");
    assert_true(config.api.auto_create_topics);
    assert_int_equal(config.api.default_partitions, 1);
    assert_int_equal(config.net.max_frame_bytes, 100 << 20);
    assert_int_equal(config.topic_defaults.count, 0);
    drop(&config);
}

static void test_a_setting_fills_the_struct_of_the_room_that_uses_it(void **state)
{
    (void)state;
    struct server_config config;
    struct reason reason;
    assert_int_equal(build_one("node.id", "2147483647", &config, &reason), ERR_NONE);
    assert_int_equal(config.api.node_id, INT32_MAX);
    assert_int_equal(config.api.default_partitions, 1); /* its neighbour */
    assert_true(config.net.reactor_count >= 1);         /* num.network.threads=0 */
    assert_int_equal(config.group.offsets_retention_ms, INT64_C(7) * 24 * 3600 * 1000);
    assert_true(config.group.consumer_enabled && config.api.consumer_protocol);
    assert_int_equal(config.group.consumer_assignor_count, 2);
    drop(&config);
    assert_int_equal(build_one("num.network.threads", "3", &config, &reason), ERR_NONE);
    assert_int_equal(config.net.reactor_count, 3);
    drop(&config);
    assert_int_equal(
        build_one("group.coordinator.rebalance.protocols", "classic", &config, &reason), ERR_NONE);
    assert_false(config.group.consumer_enabled || config.api.consumer_protocol);
    drop(&config);
    assert_int_equal(build_one("queued.max.request.bytes", "9223372036854775807", &config, &reason),
                     ERR_NONE);
    assert_int_equal(config.net.request_memory_bytes, INT64_MAX);
    drop(&config);
}

static void test_no_two_settings_share_a_field(void **state)
{
    (void)state;
    struct settings_table *table = server_settings_new();
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *one = &table->rows[i];
        for (size_t j = 0; j < i; j++) {
            const struct setting *other = &table->rows[j];
            bool apart = one->offset + one->size <= other->offset ||
                         other->offset + other->size <= one->offset;
            if (one->size != 0 && other->size != 0 && !apart) {
                fail_msg("%s and %s fill the same field", one->name, other->name);
            }
        }
    }
    server_settings_free(table);
}

static void test_defaults_of_topics_are_passed_on(void **state)
{
    (void)state;
    struct server_config config;
    struct reason reason;
    assert_int_equal(build_one("log.segment.bytes", "1048576", &config, &reason), ERR_NONE);
    assert_string_equal(overrides_get(&config.topic_defaults, "segment.bytes"), "1048576");
    assert_null(overrides_get(&config.topic_defaults, "log.segment.bytes"));
    assert_string_equal(overrides_get(&config.given, "log.segment.bytes"), "1048576");
    drop(&config);
    /* The topic's own name is not the server's. */
    assert_int_equal(build_one("segment.bytes", "1048576", &config, &reason), ERR_CONFIG);
}

static void test_bad_values_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"no.such.setting", "1"},
        {"num.partitions", "0"},
        {"num.partitions", "100001"},
        {"num.partitions", "x"},
        {"num.partitions", ""},
        {"log.level", "loud"},
        {"auto.create.topics.enable", "maybe"},
        {"node.id", "-1"},
        {"log.cleanup.policy", "shred"},
        {"log.cleaner.threads", "2"},
        {"log.cleaner.dedupe.buffer.size", "1000000"},
        {"log.cleaner.io.buffer.load.factor", "1.5"},
        {"log.cleaner.io.max.bytes.per.second", "inf"},
        {"socket.request.max.bytes", "1023"},
        {"socket.request.max.bytes", "2147483648"},
        {"queued.max.request.bytes", "99999999999999999999999"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct server_config config;
        struct reason reason;
        assert_int_equal(build_one(bad[i][0], bad[i][1], &config, &reason), ERR_CONFIG);
        assert_non_null(strstr(reason.text, bad[i][0]));
    }
}

static void test_every_row_is_in_order_and_takes_its_default(void **state)
{
    (void)state;
    struct settings_table *table = server_settings_new();
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        struct server_config config;
        struct reason reason;
        assert_true(i == 0 || strcmp(table->rows[i - 1].name, row->name) < 0);
        assert_non_null(row->help);
        assert_true(row->help[strlen(row->help) - 1] == '.');
        if (build_one(row->name, row->default_value, &config, &reason) != ERR_NONE) {
            fail_msg("%s", reason.text);
        }
        drop(&config);
    }
    server_settings_free(table);
}

static void check_address(const char *text, size_t count, const char *host, unsigned port)
{
    struct server_addresses addresses;
    struct reason reason;
    if (server_addresses_parse("listeners", text, &addresses, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    assert_int_equal(addresses.count, count);
    if (count > 0) {
        assert_string_equal(addresses.items[count - 1].host, host);
        assert_int_equal(addresses.items[count - 1].port, port);
    }
    server_addresses_deinit(&addresses);
}

static void test_addresses_are_split(void **state)
{
    (void)state;
    check_address("127.0.0.1:9092", 1, "127.0.0.1", 9092);
    check_address(":0", 1, "", 0);
    check_address("localhost:65535", 1, "localhost", 65535);
    check_address("[::1]:9092", 1, "[::1]", 9092);
    check_address("PLAINTEXT://host.example:1", 1, "host.example", 1);
    check_address("a:1,b:2,[::]:3", 3, "[::]", 3);
    check_address("", 0, NULL, 0);
}

static void test_bad_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"nowhere", "a:",       "a:x",    "a:65536", "a:-1",
                                      "a:1x",    "a:1,,b:2", "a:1, b", "://a:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct server_addresses addresses;
        struct reason reason = {.text = ""};
        assert_int_equal(server_addresses_parse("listeners", bad[i], &addresses, &reason),
                         ERR_CONFIG);
        assert_non_null(strstr(reason.text, "listeners"));
        assert_null(addresses.items);
        assert_int_equal(addresses.count, 0);
    }
}

/* What is spoken at each of the listeners, by their names: "ps" is plain text, then
 * TLS, "t" with SASL. */
static enum err set_protocols(const char *listeners, const char *map, const char *expected,
                              struct reason *reason)
{
    struct server_addresses addresses;
    assert_int_equal(server_addresses_parse("listeners", listeners, &addresses, reason), ERR_NONE);
    enum err err = listeners_set_protocols(&addresses, map, reason);
    for (size_t i = 0; err == ERR_NONE && i < addresses.count; i++) {
        assert_int_equal(listener_has_tls(addresses.items[i].protocol), expected[i] != 'p');
        assert_int_equal(listener_has_sasl(addresses.items[i].protocol), expected[i] == 't');
    }
    server_addresses_deinit(&addresses);
    return err;
}

static void test_listeners_speak_what_their_names_say(void **state)
{
    (void)state;
    static const char map[] = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,OUT:SSL,IN:PLAINTEXT";
    struct reason reason;
    assert_int_equal(set_protocols("a:1,SSL://b:2", map, "ps", &reason), ERR_NONE);
    assert_int_equal(set_protocols("OUT://a:1,IN://b:2", map, "sp", &reason), ERR_NONE);
    assert_int_equal(set_protocols("SASL_SSL://a:1,b:2", map, "tp", &reason), ERR_NONE);
    assert_int_equal(set_protocols("SSLX://a:1", map, "", &reason), ERR_CONFIG);
    assert_non_null(strstr(reason.text, "listener.security.protocol.map"));
    assert_int_equal(set_protocols("SS://a:1", map, "", &reason), ERR_CONFIG);
}

static enum err match(const char *listeners, const char *advertised, size_t *of,
                      struct reason *reason)
{
    struct server_addresses own, told;
    assert_int_equal(server_addresses_parse("listeners", listeners, &own, reason), ERR_NONE);
    assert_int_equal(server_addresses_parse("advertised.listeners", advertised, &told, reason),
                     ERR_NONE);
    enum err err = listeners_match(&own, &told, of, reason);
    server_addresses_deinit(&own);
    server_addresses_deinit(&told);
    return err;
}

static void test_an_advertised_address_is_of_the_listener_with_its_name(void **state)
{
    (void)state;
    size_t of[3];
    struct reason reason;
    assert_int_equal(match("PLAINTEXT://:1,SSL://:2", "SSL://x:3,PLAINTEXT://y:4", of, &reason),
                     ERR_NONE);
    assert_int_equal(of[0], 1);
    assert_int_equal(of[1], 0);
    assert_int_equal(match(":1,:2", "x:3,y:4", of, &reason), ERR_NONE);
    assert_int_equal(of[0], 0);
    assert_int_equal(of[1], 1);
    assert_int_equal(match("SSL://:1,SSL://:2", "SSL://x:3,SSL://y:4", of, &reason), ERR_NONE);
    assert_int_equal(of[1], 1);
    assert_int_equal(match("SSL://:1", "SSL://x:3,SSL://y:4", of, &reason), ERR_CONFIG);
    assert_int_equal(match("SSL://:1,:2", "SSL://x:3,SSL://y:4", of, &reason), ERR_CONFIG);
    assert_non_null(strstr(reason.text, "SSL://y:4"));
    assert_int_equal(match("SSL://:1,:2", "OTHER://x:3", of, &reason), ERR_CONFIG);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_have_their_defaults),
        cmocka_unit_test(test_a_setting_fills_the_struct_of_the_room_that_uses_it),
        cmocka_unit_test(test_no_two_settings_share_a_field),
        cmocka_unit_test(test_defaults_of_topics_are_passed_on),
        cmocka_unit_test(test_bad_values_are_refused),
        cmocka_unit_test(test_every_row_is_in_order_and_takes_its_default),
        cmocka_unit_test(test_addresses_are_split),
        cmocka_unit_test(test_bad_addresses_are_refused),
        cmocka_unit_test(test_listeners_speak_what_their_names_say),
        cmocka_unit_test(test_an_advertised_address_is_of_the_listener_with_its_name),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
