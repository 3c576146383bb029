#include "../unit.h"

#include "cli/live/top_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two looks, 2 s apart: orders got 20 events and 4,000 bytes, "ship" handled 10 of them. */
struct fixture {
    struct top_topic topics[2][2];
    struct top_group groups[2][1];
    struct top_pair pairs[2][1];
    struct top_clients clients[2]; /* "pay" published 6 to orders and fetched 4 from stock */
    struct top_sample samples[2];  /* newest first */
    struct top_history history;
};

static char orders[] = "orders", stock[] = "stock", ship[] = "ship\x1b[2J";

#define PAY_KEY                                                                                    \
    "pay\x1flibrdkafka 2.0.2\x1f"                                                                  \
    "10.0.0.7\x1fUser:ANONYMOUS"

/* Read as from the bus layer: one that is connected, and one that was. */
static void read_clients(struct top_clients *clients, int more)
{
    json_t *answer =
        json_pack("[{s:s,s:s,s:s,s:s,s:s,s:i,s:[{s:s,s:s,s:i},{s:s,s:s,s:i},{s:s,s:n,s:i}]},"
                  "{s:s,s:i,s:[]}]",
                  "client_id", "pay", "software", "librdkafka", "software_version", "2.0.2",
                  "address", "10.0.0.7", "principal", "User:ANONYMOUS", "connections", 2, "flows",
                  "did", "produced", "topic", "orders", "events", 100 + 6 * more, "did", "fetched",
                  "topic", "stock", "events", 4 * more, "did", "joined", "topic", "events", 0,
                  "client_id", "gone", "connections", 0, "flows");
    assert_non_null(answer);
    assert_true(top_clients_read(clients, answer));
    json_decref(answer);
}

static void fixture_free(struct fixture *fixture)
{
    top_clients_deinit(&fixture->clients[0]);
    top_clients_deinit(&fixture->clients[1]);
    free(fixture);
}

static struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    for (int i = 0; i < 2; i++) {
        int64_t more = i == 0 ? 1 : 0;
        fixture->topics[i][0] =
            (struct top_topic){orders, 3, 100 + 20 * more, 5000 + 4000 * more, ""};
        fixture->topics[i][1] = (struct top_topic){stock, 1, 7, -1, "partition 0 is offline"};
        fixture->groups[i][0] = (struct top_group){ship, "Stable", 2, 60 + 10 * more, -1, ""};
        fixture->pairs[i][0] = (struct top_pair){ship, orders, 100 + 20 * more, 40 + 10 * more};
        fixture->samples[i] = (struct top_sample){
            .mono_ms = 1000 + 2000 * more,
            .wall_ms = 1700000000000 + 2000 * more,
            .topics = {fixture->topics[i], 2, 2},
            .groups = {fixture->groups[i], 1, 1},
            .pairs = {fixture->pairs[i], 1, 1},
        };
        read_clients(&fixture->clients[i], (int)more);
        fixture->samples[i].clients = fixture->clients[i];
        fixture->history.samples[i] = &fixture->samples[i];
    }
    fixture->history.count = 2;
    return fixture;
}

static void test_rates_are_what_moved_between_two_looks(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    struct top_choice choice = {.sort = TOP_BY_RATE};
    struct top_rows rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.items[0].name, "orders");
    assert_true(rows.items[0].in == 10 && rows.items[0].out == 5 && rows.items[0].bytes_in == 2000);
    assert_int_equal(rows.items[0].lag, 70);
    assert_int_equal(rows.items[0].members, 1);
    assert_true(rows.items[1].in == 0 && rows.items[1].out < 0 && rows.items[1].bytes_in < 0);
    assert_int_equal(rows.items[1].lag, -1);
    vec_deinit(&rows);
    fixture->history.count = 1; /* one look tells no rate */
    rows = top_rows(&fixture->history, &choice);
    assert_true(rows.items[0].in < 0 && rows.items[0].out < 0);
    vec_deinit(&rows);
    fixture->history.count = 2;
    fixture->topics[0][0].end = 3; /* made anew: nothing moved, rather than backwards */
    rows = top_rows(&fixture->history, &choice);
    assert_true(rows.items[0].in == 0);
    vec_deinit(&rows);
    fixture_free(fixture);
}

static void test_time_behind_is_as_old_as_what_is_done(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    struct top_choice choice = {.page = TOP_GROUPS};
    struct top_rows rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.items[0].behind_ms, 2000); /* the end was beyond it already */
    assert_true(rows.items[0].is_longer);
    vec_deinit(&rows);
    fixture->pairs[0][0].done = 105; /* the end of before is done */
    rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.items[0].behind_ms, 2000);
    assert_false(rows.items[0].is_longer);
    vec_deinit(&rows);
    fixture->groups[0][0].oldest_ms = fixture->samples[0].wall_ms - 90000;
    rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.items[0].behind_ms, 90000);
    vec_deinit(&rows);
    fixture->groups[0][0].lag = 0;
    rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.items[0].behind_ms, 0);
    vec_deinit(&rows);
    fixture_free(fixture);
}

static void test_clients_are_shown_by_what_they_did(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    struct top_choice choice = {.page = TOP_CLIENTS};
    struct top_rows rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.items[0].name, "pay");
    assert_string_equal(rows.items[0].software, "librdkafka 2.0.2");
    assert_int_equal(rows.items[0].members, 2);
    assert_true(rows.items[0].in == 3 && rows.items[0].out == 2);
    assert_true(top_key_take(&choice, TOP_KEY_ENTER, 0, &rows));
    assert_string_equal(choice.opened, PAY_KEY);
    vec_deinit(&rows);
    rows = top_rows(&fixture->history, &choice);
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.items[0].name, "orders");
    assert_true(rows.items[0].in == 3 && rows.items[0].out == 0);
    assert_string_equal(rows.items[1].name, "stock");
    assert_true(rows.items[1].in == 0 && rows.items[1].out == 2);
    vec_deinit(&rows);
    fixture_free(fixture);
}

static void test_why_clients_are_not_known_is_said(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    struct top_clients none = {0};
    json_t *answer = json_pack("{s:s}", "detail", "not seen\x1b here");
    assert_false(top_clients_read(&none, answer));
    json_decref(answer);
    fixture->samples[0].clients = none;
    struct buf text = {0};
    const struct top_head head = {"127.0.0.1:9092", -1, NULL};
    top_print(&text, &fixture->history, &head);
    assert_non_null(strstr(buf_cstr(&text), "clients are not known: not seen\\x1b here\n"));
    buf_clear(&text);
    struct top_choice choice = {.page = TOP_CLIENTS};
    top_frame(&text, &fixture->history, &head, &choice, 10, 100);
    assert_non_null(strstr(buf_cstr(&text), "not known: not seen\\x1b here"));
    buf_deinit(&text);
    json_t *json = top_json(&fixture->history);
    assert_true(json_is_null(json_object_get(json, "clients")));
    assert_string_equal(json_string_value(json_object_get(json, "clients_unknown")),
                        "not seen\x1b here");
    json_decref(json);
    fixture_free(fixture);
}

static void test_a_frame_fits_any_terminal(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    const struct top_head head = {"127.0.0.1:9092", -1, NULL};
    for (int rows = 1; rows < 8; rows++) {
        for (int columns = 1; columns < 120; columns++) {
            for (int view = 0; view < 4 * TOP_PAGES; view++) {
                static const char *const opened[TOP_PAGES] = {orders, ship, PAY_KEY};
                struct top_choice choice = {
                    .page = (enum top_page)(view / 4), .is_help = view & 1, .selected = 9};
                struct buf frame = {0};
                snprintf(choice.opened, sizeof choice.opened, "%s",
                         (view & 2) == 0 ? "" : opened[choice.page]);
                top_frame(&frame, &fixture->history, &head, &choice, rows, columns);
                int lines = 1, length = 0;
                for (const char *at = buf_cstr(&frame); *at != '\0'; at++) {
                    if (*at == 0x1b) { /* only to show what is selected */
                        assert_true(at[1] == '[' && strchr(at, 'm') - at <= 3);
                        at = strchr(at, 'm');
                        continue;
                    }
                    lines += *at == '\n';
                    length = *at == '\n' ? 0 : length + 1;
                    assert_true(length <= columns);
                }
                assert_true(lines <= rows);
                buf_deinit(&frame);
            }
        }
    }
    fixture_free(fixture);
}

static void test_a_bus_that_is_away_is_told_with_what_was_known(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    const struct top_head head = {"127.0.0.1:9092", 1700000000000, "gone\n\x1b[2J"};
    struct top_choice choice = {0};
    struct buf frame = {0};
    top_frame(&frame, &fixture->history, &head, &choice, 24, 100);
    const char *text = buf_cstr(&frame);
    const char *expected = "bus away since 2023-11-14T22:13:20.000Z: gone\\n\\x1b[2J\n";
    assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
    assert_non_null(strstr(text, "orders"));
    buf_deinit(&frame);
    fixture_free(fixture);
}

/* What the bytes are as keys: a letter each. */
static void assert_keys(const char *bytes, const char *expected)
{
    static const char letters[] = ".ud^v\n<t";
    char got[32] = "";
    size_t count = 0;
    for (size_t used = 0, size = strlen(bytes); used < size;) {
        enum top_key key;
        char text;
        used += top_key_read(bytes + used, size - used, &key, &text);
        assert_true(used <= size);
        got[count++] = letters[key];
    }
    assert_string_equal(got, expected);
}

static void test_keys_are_read(void **state)
{
    (void)state;
    assert_keys("\033[A\033OBj", "udt");
    assert_keys("\033[5~\033[6~\r\x7f\033", "^v\n<<");
    assert_keys("\033[1;5Cq", ".t"); /* not known: passed over as a whole */
    assert_keys("\033[", "<t");
    assert_keys("\033[1", ".");
    assert_keys("\x01\xc3\xa9", "...");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_what_moved_between_two_looks),
        cmocka_unit_test(test_time_behind_is_as_old_as_what_is_done),
        cmocka_unit_test(test_clients_are_shown_by_what_they_did),
        cmocka_unit_test(test_why_clients_are_not_known_is_said),
        cmocka_unit_test(test_a_frame_fits_any_terminal),
        cmocka_unit_test(test_a_bus_that_is_away_is_told_with_what_was_known),
        cmocka_unit_test(test_keys_are_read),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
