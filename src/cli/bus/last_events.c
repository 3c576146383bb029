#include "cli/bus/last_events.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/reader/reader.h"

#include <stdlib.h>

/* A partition is read slice by slice, from its end towards its start. */
struct search {
    int64_t from, to;  /* the slice at work; `to` excluded */
    int64_t missing;   /* so many events before the slice are wanted in the end */
    VEC(int64_t) seen; /* offsets of the slice's events */
    bool is_slice_read;
    bool is_found;
};

struct searches {
    struct topic_partitions *list;
    struct search *items;
    size_t unread; /* slices */
};

static struct search *find(struct searches *searches, const char *topic, int32_t partition)
{
    const struct topic_partition *at = topic_partitions_find(searches->list, topic, partition);
    return at != NULL ? &searches->items[at - searches->list->items] : NULL;
}

static void slice_is_read(struct searches *searches, struct search *search)
{
    searches->unread -= !search->is_slice_read;
    search->is_slice_read = true;
}

/* What is behind the last stable offset is nobody's yet: the slice ends there. */
static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct searches *searches = context;
    struct search *search = find(searches, topic, partition);
    if (search != NULL) {
        slice_is_read(searches, search);
    }
}

static void take_event(struct searches *searches, struct reader *reader, const struct event *event)
{
    struct search *search = find(searches, event->topic, event->partition);
    if (search == NULL || search->is_slice_read) {
        return;
    }
    if (event->offset < search->to) {
        vec_push(&search->seen, event->offset);
    }
    if (event->offset + 1 >= search->to) {
        slice_is_read(searches, search);
        (void)reader_pause(reader, event->topic, event->partition, NULL);
    }
}

static enum client_status read_slices(struct reader *reader, struct searches *searches,
                                      struct client_error *error)
{
    enum { STEP_MS = 100 };
    int timeout_ms = connection_timeout_ms(reader_connection(reader));
    int64_t heard_ms = clock_mono_ms(clock_system());
    while (searches->unread > 0) {
        struct received *received;
        size_t unread = searches->unread;
        enum client_status status = reader_take(reader, STEP_MS, &received, error);
        if (status != CLIENT_OK) {
            return status;
        }
        if (received != NULL) {
            take_event(searches, reader, &received->event);
        }
        int64_t now_ms = clock_mono_ms(clock_system());
        if (received != NULL || searches->unread < unread) {
            heard_ms = now_ms;
        } else if (now_ms - heard_ms > timeout_ms) {
            return client_fail(error, CLIENT_TIMED_OUT, "allow more time with --timeout",
                               "no event came while counting back from the end");
        }
        received_free(received);
    }
    return CLIENT_OK;
}

/* Reads the slices at work of all partitions where the place is not found yet. */
static enum client_status read_round(const struct connection_settings *settings,
                                     struct searches *searches, struct client_error *error)
{
    struct topic_partitions begin = {0};
    searches->unread = 0;
    for (size_t i = 0; i < searches->list->count; i++) {
        struct search *search = &searches->items[i];
        const struct topic_partition *at = &searches->list->items[i];
        search->seen.count = 0;
        search->is_slice_read = search->is_found;
        if (!search->is_found) {
            topic_partitions_add(&begin, at->topic, at->partition, search->from);
            searches->unread++;
        }
    }
    struct reader *reader;
    struct reader_settings reading = {
        .connection = *settings,
        .partitions = &begin,
        .callbacks = {.ended = on_ended},
        .context = searches,
    };
    enum client_status status = reader_open(&reading, &reader, error);
    if (status == CLIENT_OK) {
        status = read_slices(reader, searches, error);
        (void)reader_close(reader, NULL);
    }
    topic_partitions_deinit(&begin);
    return status;
}

/* Looks at what was read; true: the place is known, in *offset. */
static bool conclude(struct search *search, int64_t start, int64_t *offset)
{
    enum { GROWTH = 4 };
    int64_t seen = (int64_t)search->seen.count;
    if (seen >= search->missing) {
        *offset = search->missing > 0 ? search->seen.items[seen - search->missing] : search->to;
        return true;
    }
    if (search->from <= start) {
        *offset = start;
        return true;
    }
    int64_t size = (search->to - search->from) * GROWTH;
    search->missing -= seen;
    search->to = search->from;
    search->from = search->to - start > size ? search->to - size : start;
    return false;
}

/* The first slices; returns how many partitions are to be read. */
static size_t begin(struct searches *searches, const struct admin_bounds *bounds, int64_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < searches->list->count; i++) {
        struct search *search = &searches->items[i];
        int64_t size = bounds[i].end - bounds[i].start;
        search->to = bounds[i].end;
        search->from = size > count ? bounds[i].end - count : bounds[i].start;
        search->missing = count;
        search->is_found = count == 0 || size == 0;
        searches->list->items[i].offset = bounds[i].end;
        open += !search->is_found;
    }
    return open;
}

enum client_status last_events(const struct connection_settings *settings,
                               struct topic_partitions *list, const struct admin_bounds *bounds,
                               int64_t count, struct client_error *error)
{
    struct searches searches = {.list = list,
                                .items = mem_new_array(struct search, list->count + 1)};
    size_t open = begin(&searches, bounds, count);
    enum client_status status = CLIENT_OK;
    while (open > 0 && status == CLIENT_OK) {
        status = read_round(settings, &searches, error);
        for (size_t i = 0; status == CLIENT_OK && i < list->count; i++) {
            struct search *search = &searches.items[i];
            if (!search->is_found) {
                search->is_found = conclude(search, bounds[i].start, &list->items[i].offset);
                open -= search->is_found;
            }
        }
    }
    for (size_t i = 0; i < list->count; i++) {
        vec_deinit(&searches.items[i].seen);
    }
    free(searches.items);
    return status;
}
