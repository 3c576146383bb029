#include "../unit.h"
#include "fake_bus.h"

#include "base/mem.h"
#include "bus/index/event_terms.h"
#include "bus/watch/indexer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* A bus of the test's own, and the rest is what runs in a server. */
struct fake {
    char dir[64];
    struct file_ops files;
    atomic_bool is_full;
    struct indexer *indexer;
    struct watch *watch;
    struct fake_bus bus;
};

static ssize_t write_or_fail(void *context, int fd, const struct iovec *iov, int count,
                             int64_t position)
{
    struct fake *fake = context;
    if (atomic_load(&fake->is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return file_ops_system()->pwritev(NULL, fd, iov, count, position);
}

static void start(struct fake *fake)
{
    struct reason reason = {""};
    struct watch_settings watch = {
        .open_feed = fake_bus_open_feed, .context = &fake->bus, .tick_ms = 1, .retry_ms = 1};
    struct indexer_settings settings = {
        .index = {.files = &fake->files, .dir = fake->dir, .memory_entries = 100},
        .retry_ms = 1,
    };
    fake->watch = watch_new(&watch);
    fake->indexer = indexer_new(&settings, fake->watch);
    if (watch_start(fake->watch, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
}

static void stop(struct fake *fake)
{
    assert_true(watch_stop(fake->watch, 30000));
    indexer_free(fake->indexer);
    watch_free(fake->watch);
}

static struct fake *make(void)
{
    struct fake *fake = mem_new(struct fake);
    strcpy(fake->dir, "/tmp/tidings-indexer-XXXXXX");
    assert_non_null(mkdtemp(fake->dir));
    fake->files = *file_ops_system();
    fake->files.context = fake;
    fake->files.pwritev = write_or_fail;
    fake_bus_init(&fake->bus);
    return fake;
}

static struct fake *begin(void)
{
    struct fake *fake = make();
    start(fake);
    return fake;
}

static void end(struct fake *fake)
{
    stop(fake);
    assert_int_equal(file_remove_tree(file_ops_system(), fake->dir, NULL), ERR_NONE);
    fake_bus_deinit(&fake->bus);
    free(fake);
}

static void publish(struct fake *fake, int source, int count)
{
    fake_bus_publish(&fake->bus, source, count);
}

struct asked {
    int64_t offset;
    const char *topic;
    size_t found;
};

static bool take_places(void *context, size_t term, struct event_places *places)
{
    struct asked *asked = context;
    assert_int_equal(term, 0);
    asked->found = places->items.count;
    if (asked->found > 0) {
        assert_int_equal(places->items.items[0].offset, asked->offset);
        assert_string_equal(places->items.items[0].topic, asked->topic);
    }
    return true;
}

static enum err ask(struct fake *fake, int source, int64_t offset, size_t *found)
{
    char id[32];
    struct asked asked = {.offset = offset, .topic = fake->bus.sources[source].topic};
    struct reason reason = {""};
    snprintf(id, sizeof id, "id-%d-%lld", source, (long long)offset);
    struct event_term term = {EVENT_TERM_ID, slice_str(id)};
    enum err err = indexer_find(fake->indexer, &term, 1, 10, take_places, &asked, &reason);
    *found = asked.found;
    return err;
}

/* Whether the events are found, from `from` to the end. */
static bool is_found(struct fake *fake, int source, int64_t from)
{
    for (int64_t offset = from; offset < fake->bus.ends[source]; offset++) {
        size_t found;
        if (ask(fake, source, offset, &found) != ERR_NONE || found != 1) {
            return false;
        }
    }
    return true;
}

static void test_events_are_found_soon_after_they_are_published(void **state)
{
    struct fake *fake = begin();
    (void)state;
    for (int i = 0; i < 20; i++) {
        publish(fake, i % 2, 50);
        wait_until(is_found(fake, i % 2, 0));
    }
    struct indexer_state now = indexer_state(fake->indexer);
    assert_int_equal(now.events, 1000);
    assert_int_equal(now.behind, 0);
    wait_until(indexer_state(fake->indexer).level_ms > 0);
    assert_int_equal(now.size.entries, 1000);
    end(fake);
}

static void test_it_goes_on_where_it_was_stopped(void **state)
{
    struct fake *fake = begin();
    (void)state;
    publish(fake, 0, 300);
    wait_until(is_found(fake, 0, 0));
    stop(fake);
    publish(fake, 0, 10);
    start(fake);
    wait_until(is_found(fake, 0, 0));
    assert_int_equal(indexer_state(fake->indexer).events, 10);
    end(fake);
}

static void test_what_retention_took_and_deleted_topics_are_not_found(void **state)
{
    struct fake *fake = begin();
    size_t found;
    (void)state;
    publish(fake, 0, 100);
    publish(fake, 1, 100);
    wait_until(is_found(fake, 0, 0) && is_found(fake, 1, 0));
    pthread_mutex_lock(&fake->bus.lock);
    fake->bus.starts[0] = 60;
    fake->bus.is_gone[1] = true;
    pthread_mutex_unlock(&fake->bus.lock);
    publish(fake, 0, 1);
    wait_until(ask(fake, 0, 59, &found) == ERR_NONE && found == 0);
    assert_true(is_found(fake, 0, 60));
    wait_until(ask(fake, 1, 99, &found) == ERR_NONE && found == 0);
    end(fake);
}

/* As a kill would leave it: up to where the source is on disk. */
static int64_t next_on_disk(struct fake *fake, int source)
{
    char dir[80], command[400];
    struct reason reason = {""};
    struct event_index *index;
    bool begun_anew;
    snprintf(dir, sizeof dir, "%s.copy", fake->dir);
    snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s 2>/dev/null", dir, fake->dir, dir);
    if (system(command) != 0) {
        return -1; /* a file went meanwhile */
    }
    struct event_index_config config = {.files = file_ops_system(), .dir = dir};
    assert_int_equal(event_index_open(&config, &index, &begun_anew, &reason), ERR_NONE);
    struct event_source at = {.topic = fake->bus.sources[source].topic,
                              .partition = fake->bus.sources[source].partition};
    memcpy(at.topic_id, fake->bus.sources[source].topic_id, sizeof at.topic_id);
    int64_t next = begun_anew ? -1 : event_index_next(index, &at);
    event_index_close(index);
    assert_int_equal(file_remove_tree(file_ops_system(), dir, NULL), ERR_NONE);
    return next;
}

static void test_a_topic_without_id_that_went_is_forgotten_on_disk_at_once(void **state)
{
    struct fake *fake = make();
    (void)state;
    memset(fake->bus.sources[1].topic_id, 0, sizeof fake->bus.sources[1].topic_id);
    start(fake);
    publish(fake, 1, 100);
    wait_until(is_found(fake, 1, 0));
    stop(fake);
    start(fake);
    assert_int_equal(next_on_disk(fake, 1), 100);
    fake_bus_set(&fake->bus, &fake->bus.is_gone[1], true);
    wait_until(next_on_disk(fake, 1) == 0);
    end(fake);
}

/* How many places there are of the event of this life. */
static size_t count_found(struct fake *fake, int64_t offset, int life)
{
    char id[32];
    struct asked asked = {.offset = offset, .topic = fake->bus.sources[1].topic};
    int size = snprintf(id, sizeof id, "id-1-%lld", (long long)offset);
    if (life > 0) {
        snprintf(id + size, sizeof id - (size_t)size, "-%d", life);
    }
    struct event_term term = {EVENT_TERM_ID, slice_str(id)};
    enum err err = indexer_find(fake->indexer, &term, 1, 10, take_places, &asked, NULL);
    return err == ERR_NONE ? asked.found : SIZE_MAX;
}

static void wait_for_life(struct fake *fake, int life, int count)
{
    for (int i = 0; i < count; i++) {
        wait_until(count_found(fake, i, life) == 1);
        assert_true(life == 0 || count_found(fake, i, life - 1) == 0);
    }
}

/* Nobody has told that it went, it tells no id, and it is longer than it was. */
static void test_a_topic_without_id_that_was_made_again_is_not_taken_for_the_old_one(void **state)
{
    struct fake *fake = make();
    (void)state;
    memset(fake->bus.sources[1].topic_id, 0, sizeof fake->bus.sources[1].topic_id);
    start(fake);
    publish(fake, 1, 100);
    wait_for_life(fake, 0, 100);
    stop(fake);
    fake_bus_make_again(&fake->bus, 1, 140);
    start(fake);
    wait_for_life(fake, 1, 140);
    stop(fake);
    start(fake);
    publish(fake, 1, 10); /* and the same again is the same */
    wait_for_life(fake, 1, 150);
    assert_int_equal(indexer_state(fake->indexer).events, 10);
    fake_bus_set(&fake->bus, &fake->bus.fails, true);
    wait_until(watch_state(fake->watch).is_failing);
    fake_bus_make_again(&fake->bus, 1, 160);
    fake_bus_set(&fake->bus, &fake->bus.fails, false);
    wait_for_life(fake, 2, 160);
    assert_int_equal(indexer_state(fake->indexer).begun_anew, 0);
    end(fake);
}

static void test_a_full_disk_is_waited_out(void **state)
{
    struct fake *fake = begin();
    (void)state;
    publish(fake, 0, 50);
    wait_until(is_found(fake, 0, 0));
    atomic_store(&fake->is_full, true);
    publish(fake, 0, 500);
    wait_until(indexer_state(fake->indexer).is_failing);
    assert_false(is_found(fake, 0, 0)); /* and what is there is found nevertheless */
    size_t found;
    assert_int_equal(ask(fake, 0, 49, &found), ERR_NONE);
    assert_int_equal(found, 1);
    atomic_store(&fake->is_full, false);
    wait_until(is_found(fake, 0, 0));
    assert_false(indexer_state(fake->indexer).is_failing);
    end(fake);
}

static void test_a_directory_that_cannot_be_used_is_waited_for(void **state)
{
    struct fake *fake = begin();
    size_t found;
    (void)state;
    publish(fake, 0, 50);
    wait_until(is_found(fake, 0, 0));
    stop(fake);
    assert_int_equal(file_remove_tree(file_ops_system(), fake->dir, NULL), ERR_NONE);
    int fd = open(fake->dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* a file in its place */
    assert_true(fd >= 0);
    close(fd);
    start(fake);
    wait_until(indexer_state(fake->indexer).is_failing);
    assert_int_equal(ask(fake, 0, 0, &found), ERR_AGAIN);
    assert_int_equal(unlink(fake->dir), 0);
    wait_until(is_found(fake, 0, 0));
    assert_false(indexer_state(fake->indexer).is_failing);
    end(fake);
}

struct damage {
    const struct fake *fake;
    int files;
};

static enum err spoil(void *context, const char *name)
{
    struct damage *damage = context;
    char *path = mem_sprintf("%s/%s", damage->fake->dir, name);
    int fd = strstr(name, ".run") != NULL ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        assert_int_equal(pwrite(fd, "spoilt", 6, 4096 + 100), 6); /* the first page of entries */
        close(fd);
        damage->files++;
    }
    free(path);
    return ERR_NONE;
}

static void test_a_file_that_a_question_finds_damaged_is_made_anew(void **state)
{
    struct fake *fake = begin();
    struct damage damage = {.fake = fake};
    (void)state;
    publish(fake, 0, 500);
    wait_until(is_found(fake, 0, 0));
    assert_int_equal(file_list_dir(fake->dir, spoil, &damage, NULL), ERR_NONE);
    assert_true(damage.files > 0);
    wait_until(is_found(fake, 0, 0) && indexer_state(fake->indexer).begun_anew == 1);
    assert_true(is_found(fake, 0, 0));
    end(fake);
}

/* --- what an event is found by --- */

static struct event with_headers(struct event_header *headers, size_t count)
{
    struct event event = event_blank();
    event.headers = headers;
    event.header_count = count;
    return event;
}

static void expect_term(const struct event_terms *terms, enum event_term_kind kind,
                        const char *value)
{
    const struct event_term *found = NULL;
    for (size_t i = 0; i < terms->count; i++) {
        found = terms->items[i].kind == kind ? &terms->items[i] : found;
    }
    if (value == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_true(slice_equal_str(found->value, value));
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

static void test_a_cloudevent_is_found_by_its_ids_its_trace_and_its_key(void **state)
{
    struct event_header headers[] = {
        {"ce_specversion", slice_str("1.0")},
        {"ce_id", slice_str("7.placed")},
        {"ce_correlationid", slice_str("7")},
        {"ce_causationid", slice_str("6")},
        {"traceparent", slice_str("00-" TRACE "-00f067aa0ba902b7-01")},
        {"ce_traceparent", slice_str("00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-01")},
    };
    struct event event = with_headers(headers, 6);
    struct event_terms terms;
    struct arena arena = {0};
    (void)state;
    event.key = slice_str("anna");
    event_terms_of(&event, &arena, &terms);
    assert_int_equal(terms.count, 5);
    expect_term(&terms, EVENT_TERM_ID, "7.placed");
    expect_term(&terms, EVENT_TERM_CORRELATION, "7");
    expect_term(&terms, EVENT_TERM_CAUSATION, "6");
    expect_term(&terms, EVENT_TERM_TRACE, TRACE);
    expect_term(&terms, EVENT_TERM_KEY, "anna");
    arena_deinit(&arena);
}

static void test_a_structured_cloudevent_is_taken_apart(void **state)
{
    struct event_header headers[] = {
        {"content-type", slice_str("application/cloudevents+json; charset=UTF-8")}};
    struct event event = with_headers(headers, 1);
    struct event_terms terms;
    struct arena arena = {0};
    (void)state;
    event.value = slice_str("{\"specversion\": \"1.0\", \"id\": \"8\", \"source\": \"/x\","
                            " \"type\": \"T\", \"correlationid\": \"c\","
                            " \"traceparent\": \"00-" TRACE "-00f067aa0ba902b7-00\"}");
    event_terms_of(&event, &arena, &terms);
    expect_term(&terms, EVENT_TERM_ID, "8");
    expect_term(&terms, EVENT_TERM_CORRELATION, "c");
    expect_term(&terms, EVENT_TERM_TRACE, TRACE);
    event.value = slice_str("{\"specversion\": ");
    event.key = slice_str("k");
    event_terms_of(&event, &arena, &terms);
    assert_int_equal(terms.count, 1);
    expect_term(&terms, EVENT_TERM_KEY, "k");
    arena_deinit(&arena);
}

static void test_what_is_empty_or_no_trace_gives_no_term(void **state)
{
    struct event_header headers[] = {
        {"ce_specversion", slice_str("1.0")},
        {"ce_id", slice_of("", 0)},
        {"ce_correlationid", slice_of(NULL, 0)},
        {"traceparent", slice_str("00-" TRACE "-00f067aa0ba902b7-0g")},
    };
    struct event event = with_headers(headers, 4);
    struct event_terms terms;
    struct arena arena = {0};
    (void)state;
    event.key = slice_of("", 0);
    event_terms_of(&event, &arena, &terms);
    assert_int_equal(terms.count, 0);
    event = event_blank();
    event_terms_of(&event, &arena, &terms);
    assert_int_equal(terms.count, 0);
    arena_deinit(&arena);
}

static void test_a_trace_id_is_taken_as_the_recommendation_says(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {"00-" TRACE "-00f067aa0ba902b7-01", true},
        {"00-" TRACE "-00f067aa0ba902b7-01-x", false},
        {"01-" TRACE "-00f067aa0ba902b7-01-x", true},
        {"01-" TRACE "-00f067aa0ba902b7-01x", false},
        {"ff-" TRACE "-00f067aa0ba902b7-01", false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
        {"00-" TRACE "-00f067aa0ba902b7-0", false},
        {"00_" TRACE "-00f067aa0ba902b7-01", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice trace_id;
        assert_int_equal(event_trace_id(slice_str(cases[i].text), &trace_id), cases[i].is_good);
        if (cases[i].is_good) {
            assert_true(slice_equal_str(trace_id, TRACE));
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_found_soon_after_they_are_published),
        cmocka_unit_test(test_it_goes_on_where_it_was_stopped),
        cmocka_unit_test(test_what_retention_took_and_deleted_topics_are_not_found),
        cmocka_unit_test(test_a_topic_without_id_that_went_is_forgotten_on_disk_at_once),
        cmocka_unit_test(test_a_topic_without_id_that_was_made_again_is_not_taken_for_the_old_one),
        cmocka_unit_test(test_a_full_disk_is_waited_out),
        cmocka_unit_test(test_a_directory_that_cannot_be_used_is_waited_for),
        cmocka_unit_test(test_a_file_that_a_question_finds_damaged_is_made_anew),
        cmocka_unit_test(test_a_cloudevent_is_found_by_its_ids_its_trace_and_its_key),
        cmocka_unit_test(test_a_structured_cloudevent_is_taken_apart),
        cmocka_unit_test(test_what_is_empty_or_no_trace_gives_no_term),
        cmocka_unit_test(test_a_trace_id_is_taken_as_the_recommendation_says),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
