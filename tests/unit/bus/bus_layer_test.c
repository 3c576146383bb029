#include "../unit.h"
#include "fake_bus.h"

#include "base/file.h"
#include "base/mem.h"
#include "bus/bus_layer.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

/* The life of the layer: it begins and ends beside a bus of the test's own, wherever it is put. */
struct test {
    char dir[64];
    char *place;
    struct fake_bus bus;
    struct bus_layer_settings settings;
    struct bus_layer *layer;
    atomic_int listens;
};

static struct feed *open_feed(void *context, feed_begin *begin, void *begin_context,
                              struct reason *reason)
{
    struct test *test = context;
    return fake_bus_open_feed(&test->bus, begin, begin_context, reason);
}

static void listens(void *context, const char *address)
{
    struct test *test = context;
    assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
    atomic_fetch_add(&test->listens, 1);
}

static struct test *begin(void)
{
    struct test *test = mem_new(struct test);
    strcpy(test->dir, "/tmp/tidings-layer-XXXXXX");
    assert_non_null(mkdtemp(test->dir));
    test->place = mem_sprintf("%s/bus", test->dir);
    fake_bus_init(&test->bus);
    test->settings = (struct bus_layer_settings){
        .dir = test->place,
        .connection = {.bootstrap_servers = "127.0.0.1:1", .client_id = "test", .timeout_ms = 100},
        .open_feed = open_feed,
        .http_listener = "127.0.0.1:0",
        .http_listens = listens,
        .context = test,
        .retry_ms = 1,
    };
    return test;
}

static void start(struct test *test)
{
    struct reason reason = {""};
    if (bus_layer_start(&test->settings, &test->layer, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
}

static void end(struct test *test)
{
    assert_true(bus_layer_stop(test->layer, 30000));
    assert_int_equal(file_remove_tree(file_ops_system(), test->dir, NULL), ERR_NONE);
    fake_bus_deinit(&test->bus);
    free(test->place);
    free(test);
}

static bool is_there(const struct test *test, const char *name)
{
    char *path = mem_sprintf("%s/%s", test->place, name);
    bool is = access(path, F_OK) == 0;
    free(path);
    return is;
}

static void test_it_makes_its_place_for_its_user_alone_and_listens(void **state)
{
    struct test *test = begin();
    struct stat is;
    (void)state;
    start(test);
    assert_int_equal(atomic_load(&test->listens), 1);
    assert_int_equal(strncmp(bus_layer_http(test->layer), "127.0.0.1:", 10), 0);
    wait_until(is_there(test, "index") && is_there(test, "commits.db"));
    assert_int_equal(stat(test->place, &is), 0);
    assert_int_equal(is.st_mode & 0777, 0700);
    end(test);
}

static void test_without_http_nothing_listens(void **state)
{
    struct test *test = begin();
    (void)state;
    test->settings.http_listener = "";
    start(test);
    assert_string_equal(bus_layer_http(test->layer), "");
    wait_until(is_there(test, "commits.db"));
    assert_int_equal(atomic_load(&test->listens), 0);
    end(test);
}

static void test_a_link_in_its_place_is_not_followed(void **state)
{
    struct test *test = begin();
    (void)state;
    char *real = mem_sprintf("%s/real", test->dir);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(symlink(real, test->place), 0);
    start(test);
    fake_bus_publish(&test->bus, 0, 10);
    wait_until(test->bus.feeds > 0);
    assert_false(is_there(test, "index"));
    assert_int_equal(unlink(test->place), 0);
    wait_until(is_there(test, "index") && is_there(test, "commits.db"));
    free(real);
    end(test);
}

static void test_a_setting_that_can_never_work_is_refused(void **state)
{
    struct test *test = begin();
    struct reason reason = {""};
    (void)state;
    test->settings.index_exclude = "(";
    assert_int_equal(bus_layer_start(&test->settings, &test->layer, &reason), ERR_INVALID_REGEX);
    assert_null(test->layer);
    end(test);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_makes_its_place_for_its_user_alone_and_listens),
        cmocka_unit_test(test_without_http_nothing_listens),
        cmocka_unit_test(test_a_link_in_its_place_is_not_followed),
        cmocka_unit_test(test_a_setting_that_can_never_work_is_refused),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
