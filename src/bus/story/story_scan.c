#include "bus/story/story_find.h"

#include "base/clock.h"
#include "bus/event/topic_scan.h"
#include "client/admin/admin.h"

#include <string.h>

/* One look through all topics, for all terms at once. */
struct look {
    struct story_scan *scan;
    const struct story_term *terms;
    size_t count;
    int64_t deadline_ms;
    const char *topic; /* at hand */
    bool (*found)(void *context, const struct index_place *place);
    void *found_context;
    bool is_over; /* found wants no more */
    bool is_late;
    struct arena arena; /* of the record at hand */
};

static bool has_term(const struct look *look, const struct event_terms *of)
{
    for (size_t i = 0; i < look->count; i++) {
        const struct story_term *wanted = &look->terms[i];
        bool is_here = wanted->topic == NULL ? !story_is_inner_topic(look->topic)
                                             : strcmp(wanted->topic, look->topic) == 0;
        for (size_t k = 0; is_here && k < of->count; k++) {
            if (of->items[k].kind == wanted->term.kind &&
                slice_equal(of->items[k].value, wanted->term.value)) {
                return true;
            }
        }
    }
    return false;
}

static bool on_record(void *context, const struct event *record)
{
    static const uint8_t no_id[16];
    struct look *look = context;
    struct event_terms terms;
    arena_reset(&look->arena);
    event_terms_of(record, &look->arena, &terms);
    if (has_term(look, &terms)) {
        struct index_place place = {look->topic, no_id, record->partition, record->offset};
        look->is_over = !look->found(look->found_context, &place);
    }
    return !look->is_over;
}

static bool on_progress(void *context, int64_t done, int64_t total)
{
    struct look *look = context;
    struct story_scan *scan = look->scan;
    look->is_late =
        clock_mono_ms(clock_system()) > look->deadline_ms ||
        (scan->progress != NULL && !scan->progress(scan->context, look->topic, done, total));
    return !look->is_late;
}

static bool is_searched(const struct look *look, const char *topic)
{
    for (size_t i = 0; i < look->count; i++) {
        const char *only = look->terms[i].topic;
        if (only == NULL ? !story_is_inner_topic(topic) : strcmp(only, topic) == 0) {
            return true;
        }
    }
    return false;
}

static enum client_status look_through(struct look *look, const char *topic,
                                       struct client_error *error)
{
    struct topic_scan all = {.connection = look->scan->connection,
                             .topic = topic,
                             .from_ms = look->scan->from_ms,
                             .last = look->scan->last,
                             .each = on_record,
                             .progress = on_progress,
                             .context = look};
    look->topic = topic;
    enum client_status status = topic_scan(&all, error);
    return status == CLIENT_NOT_FOUND ? CLIENT_OK : status; /* it was deleted meanwhile */
}

static enum client_status find_in_log(void *context, const struct story_term *terms, size_t count,
                                      size_t most, int64_t deadline_ms,
                                      bool (*found)(void *found_context,
                                                    const struct index_place *place),
                                      void *found_context, bool *is_cut, struct client_error *error)
{
    struct look look = {.scan = context,
                        .terms = terms,
                        .count = count,
                        .deadline_ms = deadline_ms,
                        .found = found,
                        .found_context = found_context};
    struct connection *connection = NULL;
    struct admin_topics topics = {0};
    (void)most; /* found says when it is enough */
    enum client_status status = connection_open(look.scan->connection, &connection, error);
    if (status == CLIENT_OK) {
        status = admin_topics(connection, &topics, error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < topics.count && !look.is_over && !look.is_late;
         i++) {
        if (is_searched(&look, topics.items[i].name)) {
            status = look_through(&look, topics.items[i].name, error);
        }
    }
    *is_cut |= look.is_late;
    look.scan->was_cut |= look.is_late;
    admin_topics_deinit(&topics);
    connection_close(connection);
    arena_deinit(&look.arena);
    return status;
}

static int64_t log_until(void *context, bool *is_whole)
{
    const struct story_scan *scan = context;
    *is_whole = !scan->was_cut && scan->last == 0 && scan->from_ms == 0;
    return -1;
}

struct story_finder story_finder_of_scan(struct story_scan *scan)
{
    return (struct story_finder){find_in_log, log_until, NULL, scan};
}
