#include "../unit.h"

#include "base/cond.h"
#include "base/mem.h"
#include "bus/event_terms.h"
#include "bus/indexer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* A bus of the test's own: the feed gives what stands in its logs, and the rest is what runs in a
 * server. */
enum { SOURCES = 2, LOG_MAX = 5000, AT_ONCE = 7 };

struct fake {
    char dir[64];
    struct file_ops files;
    atomic_bool is_full;
    struct indexer *indexer;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct feed_source sources[SOURCES];
    int64_t ends[SOURCES];
    int64_t starts[SOURCES];
    bool is_gone[SOURCES];
    bool is_woken;
    int feeds; /* that were opened */
};

struct fake_feed {
    struct feed feed;
    struct fake *fake;
    bool met[SOURCES];
    int64_t next[SOURCES];
    struct feed_event events[AT_ONCE];
    struct event_header headers[AT_ONCE][2];
    char ids[AT_ONCE][32];
    feed_begin *begin;
    void *context;
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

static void fill(struct fake_feed *feed, int source, int64_t to, struct feed_piece *piece)
{
    struct fake *fake = feed->fake;
    size_t count = 0;
    for (int64_t offset = feed->next[source]; offset < to; offset++, count++) {
        snprintf(feed->ids[count], sizeof feed->ids[count], "id-%d-%lld", source,
                 (long long)offset);
        feed->headers[count][0] = (struct event_header){"ce_specversion", slice_str("1.0")};
        feed->headers[count][1] = (struct event_header){"ce_id", slice_str(feed->ids[count])};
        feed->events[count].event = event_blank();
        feed->events[count].event.offset = offset;
        feed->events[count].event.headers = feed->headers[count];
        feed->events[count].event.header_count = 2;
    }
    feed->next[source] = to;
    *piece = (struct feed_piece){.kind = FEED_EVENTS,
                                 .source = fake->sources[source],
                                 .events = feed->events,
                                 .count = count,
                                 .next_offset = to,
                                 .start_offset = fake->starts[source],
                                 .end_offset = fake->ends[source],
                                 .damaged_from = -1};
}

static bool give(struct fake_feed *feed, int source, struct feed_piece *piece)
{
    struct fake *fake = feed->fake;
    if (!feed->met[source]) {
        feed->met[source] = true;
        feed->next[source] = feed->begin(feed->context, &fake->sources[source]);
    }
    if (feed->next[source] == FEED_NOT_WANTED) {
        return false;
    }
    if (fake->is_gone[source]) {
        *piece = (struct feed_piece){.kind = FEED_GONE, .source = fake->sources[source]};
        feed->next[source] = FEED_NOT_WANTED;
        return true;
    }
    int64_t end = fake->ends[source];
    int64_t to = end - feed->next[source] > AT_ONCE ? feed->next[source] + AT_ONCE : end;
    if (to <= feed->next[source]) {
        return false;
    }
    fill(feed, source, to, piece);
    return true;
}

static enum err fake_next(struct feed *base, int timeout_ms, struct feed_piece *piece,
                          struct reason *reason)
{
    struct fake_feed *feed = container_of(base, struct fake_feed, feed);
    struct fake *fake = feed->fake;
    struct timespec until = cond_after_ms(timeout_ms);
    (void)reason;
    *piece = (struct feed_piece){.kind = FEED_NOTHING};
    pthread_mutex_lock(&fake->lock);
    bool got = false;
    int result = 0;
    while (!got && !fake->is_woken && result == 0) {
        for (int i = 0; !got && i < SOURCES; i++) {
            got = give(feed, i, piece);
        }
        if (!got) {
            result = pthread_cond_timedwait(&fake->wake, &fake->lock, &until);
        }
    }
    fake->is_woken = false;
    pthread_mutex_unlock(&fake->lock);
    return ERR_NONE;
}

static void fake_wake(struct feed *base)
{
    struct fake *fake = container_of(base, struct fake_feed, feed)->fake;
    pthread_mutex_lock(&fake->lock);
    fake->is_woken = true;
    pthread_cond_signal(&fake->wake);
    pthread_mutex_unlock(&fake->lock);
}

static void fake_free(struct feed *base)
{
    free(container_of(base, struct fake_feed, feed));
}

static struct feed *open_feed(void *context, feed_begin *begin, void *begin_context)
{
    struct fake *fake = context;
    struct fake_feed *feed = mem_new(struct fake_feed);
    feed->feed = (struct feed){.next = fake_next, .wake = fake_wake, .free = fake_free};
    feed->fake = fake;
    feed->begin = begin;
    feed->context = begin_context;
    pthread_mutex_lock(&fake->lock);
    fake->feeds++;
    pthread_mutex_unlock(&fake->lock);
    return &feed->feed;
}

static void start(struct fake *fake)
{
    struct reason reason = {""};
    struct indexer_settings settings = {
        .index = {.files = &fake->files, .dir = fake->dir, .memory_entries = 100},
        .open_feed = open_feed,
        .context = fake,
        .retry_ms = 1,
    };
    if (indexer_start(&settings, &fake->indexer, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
}

static struct fake *begin(void)
{
    struct fake *fake = mem_new(struct fake);
    strcpy(fake->dir, "/tmp/tidings-indexer-XXXXXX");
    assert_non_null(mkdtemp(fake->dir));
    fake->files = *file_ops_system();
    fake->files.context = fake;
    fake->files.pwritev = write_or_fail;
    pthread_mutex_init(&fake->lock, NULL);
    cond_init(&fake->wake);
    fake->sources[0] = (struct feed_source){"orders", {1}, 0};
    fake->sources[1] = (struct feed_source){"stock", {2}, 3};
    start(fake);
    return fake;
}

static void end(struct fake *fake)
{
    indexer_stop(fake->indexer);
    assert_int_equal(file_remove_tree(file_ops_system(), fake->dir, NULL), ERR_NONE);
    pthread_mutex_destroy(&fake->lock);
    pthread_cond_destroy(&fake->wake);
    free(fake);
}

static void publish(struct fake *fake, int source, int count)
{
    pthread_mutex_lock(&fake->lock);
    fake->ends[source] += count;
    pthread_cond_signal(&fake->wake);
    pthread_mutex_unlock(&fake->lock);
}

static enum err ask(struct fake *fake, int source, int64_t offset, size_t *found)
{
    char id[32];
    struct event_places places;
    struct reason reason = {""};
    snprintf(id, sizeof id, "id-%d-%lld", source, (long long)offset);
    struct event_term term = {EVENT_TERM_ID, slice_str(id)};
    enum err err = indexer_find(fake->indexer, &term, 10, &places, &reason);
    *found = places.items.count;
    if (*found > 0) {
        assert_int_equal(places.items.items[0].offset, offset);
        assert_string_equal(places.items.items[0].topic, fake->sources[source].topic);
    }
    event_places_deinit(&places);
    return err;
}

static void rest(unsigned tries, const char *what)
{
    if (tries > 30000) {
        fail_msg("never: %s", what);
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        unsigned tries_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            rest(tries_++, #condition);                                                            \
        }                                                                                          \
    } while (0)

/* Whether the events are found, from `from` to the end. */
static bool is_found(struct fake *fake, int source, int64_t from)
{
    for (int64_t offset = from; offset < fake->ends[source]; offset++) {
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
    assert_true(now.level_ms > 0);
    assert_int_equal(now.size.entries, 1000);
    end(fake);
}

static void test_it_goes_on_where_it_was_stopped(void **state)
{
    struct fake *fake = begin();
    (void)state;
    publish(fake, 0, 300);
    wait_until(is_found(fake, 0, 0));
    indexer_stop(fake->indexer);
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
    pthread_mutex_lock(&fake->lock);
    fake->starts[0] = 60;
    fake->is_gone[1] = true;
    pthread_mutex_unlock(&fake->lock);
    publish(fake, 0, 1);
    wait_until(ask(fake, 0, 59, &found) == ERR_NONE && found == 0);
    assert_true(is_found(fake, 0, 60));
    wait_until(ask(fake, 1, 99, &found) == ERR_NONE && found == 0);
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
    assert_int_equal(fake->feeds, 2);
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
        cmocka_unit_test(test_a_full_disk_is_waited_out),
        cmocka_unit_test(test_a_file_that_a_question_finds_damaged_is_made_anew),
        cmocka_unit_test(test_a_cloudevent_is_found_by_its_ids_its_trace_and_its_key),
        cmocka_unit_test(test_a_structured_cloudevent_is_taken_apart),
        cmocka_unit_test(test_what_is_empty_or_no_trace_gives_no_term),
        cmocka_unit_test(test_a_trace_id_is_taken_as_the_recommendation_says),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
