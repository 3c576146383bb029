#include "bus/story/story_read.h"

#include "base/clock.h"
#include "client/admin/admin.h"
#include "client/event/log_access.h"
#include "client/reader/reader.h"

#include <stdlib.h>

enum { WALK_OFFSETS = 500 /* what lies nearer is read up to, not sought */ };

/* The places of one partition, in order of offset: order[at .. stop) are still to be read. */
struct leg {
    const char *topic;
    int32_t partition;
    size_t at, stop;
};

struct reading {
    struct story_place *places;
    size_t *order;
    VEC(struct leg) legs;
    size_t open; /* legs that are not done */
    struct reader *reader;
    void (*each)(void *context, size_t index, const struct event *event);
    void *context;
};

static int compare(const void *left, const void *right, void *context)
{
    const struct story_place *places = context;
    const struct story_place *a = &places[*(const size_t *)left];
    const struct story_place *b = &places[*(const size_t *)right];
    int order = strcmp(a->topic, b->topic);
    if (order == 0) {
        order = (a->partition > b->partition) - (a->partition < b->partition);
    }
    return order != 0 ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

static struct story_place *place_at(struct reading *reading, size_t at)
{
    return &reading->places[reading->order[at]];
}

static void make_legs(struct reading *reading, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        reading->order[i] = i;
        reading->places[i].presence = STORY_NOT_READ;
    }
    qsort_r(reading->order, count, sizeof *reading->order, compare, reading->places);
    for (size_t i = 0; i < count; i++) {
        const struct story_place *place = place_at(reading, i);
        struct leg *last =
            reading->legs.count > 0 ? &reading->legs.items[reading->legs.count - 1] : NULL;
        if (last == NULL || strcmp(last->topic, place->topic) != 0 ||
            last->partition != place->partition) {
            vec_push(&reading->legs, (struct leg){place->topic, place->partition, i, i + 1});
        } else {
            last->stop = i + 1;
        }
    }
}

/* What lies outside of the log is settled; *begin gets where the legs that are left begin. */
static enum client_status cut_to_bounds(struct reading *reading, struct connection *connection,
                                        struct topic_partitions *begin, struct client_error *error)
{
    struct topic_partitions list = {0};
    for (size_t i = 0; i < reading->legs.count; i++) {
        const struct leg *leg = &reading->legs.items[i];
        topic_partitions_add(&list, leg->topic, leg->partition, -1);
    }
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, list.count + 1);
    enum client_status status = admin_bounds(connection, &list, bounds, error);
    for (size_t i = 0; status == CLIENT_OK && i < reading->legs.count; i++) {
        struct leg *leg = &reading->legs.items[i];
        while (leg->at < leg->stop && place_at(reading, leg->at)->offset < bounds[i].start) {
            place_at(reading, leg->at++)->presence = STORY_TAKEN;
        }
        while (leg->at < leg->stop && place_at(reading, leg->stop - 1)->offset >= bounds[i].end) {
            place_at(reading, --leg->stop)->presence = STORY_AHEAD;
        }
        if (leg->at < leg->stop) {
            topic_partitions_add(begin, leg->topic, leg->partition,
                                 place_at(reading, leg->at)->offset);
            reading->open++;
        }
    }
    free(bounds);
    topic_partitions_deinit(&list);
    return status;
}

static struct leg *find_leg(struct reading *reading, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < reading->legs.count; i++) {
        struct leg *leg = &reading->legs.items[i];
        if (leg->partition == partition && strcmp(leg->topic, topic) == 0) {
            return leg;
        }
    }
    return NULL;
}

/* Nothing more is to come from below the offset: what is still wanted there is not in the log. */
static void settle(struct reading *reading, struct leg *leg, int64_t offset,
                   enum story_presence rest)
{
    bool was_open = leg->at < leg->stop;
    while (leg->at < leg->stop && place_at(reading, leg->at)->offset < offset) {
        place_at(reading, leg->at++)->presence = STORY_TAKEN;
    }
    while (rest != STORY_THERE && leg->at < leg->stop) {
        place_at(reading, leg->at++)->presence = rest;
    }
    reading->open -= was_open && leg->at == leg->stop;
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct reading *reading = context;
    struct leg *leg = find_leg(reading, topic, partition);
    if (leg != NULL) {
        settle(reading, leg, offset, STORY_UNDECIDED);
    }
}

static enum client_status take(struct reading *reading, const struct event *event,
                               struct client_error *error)
{
    struct leg *leg = find_leg(reading, event->topic, event->partition);
    if (leg == NULL || leg->at == leg->stop) {
        return CLIENT_OK;
    }
    settle(reading, leg, event->offset, STORY_THERE);
    while (leg->at < leg->stop && place_at(reading, leg->at)->offset == event->offset) {
        place_at(reading, leg->at)->presence = STORY_THERE;
        reading->each(reading->context, reading->order[leg->at], event);
        leg->at++;
        reading->open -= leg->at == leg->stop;
    }
    if (leg->at == leg->stop) {
        return reader_pause(reading->reader, event->topic, event->partition, error);
    }
    int64_t next = place_at(reading, leg->at)->offset;
    return next > event->offset + WALK_OFFSETS
               ? reader_seek(reading->reader, event->topic, event->partition, next, error)
               : CLIENT_OK;
}

static enum client_status read_all(struct reading *reading, int64_t deadline_ms,
                                   struct client_error *error)
{
    enum { STEP_MS = 50 };
    enum client_status status = CLIENT_OK;
    while (status == CLIENT_OK && reading->open > 0 &&
           clock_mono_ms(clock_system()) < deadline_ms) {
        struct received *received;
        status = reader_take(reading->reader, STEP_MS, &received, error);
        if (status == CLIENT_OK && received != NULL) {
            status = take(reading, &received->event, error);
        }
        received_free(received);
    }
    return status;
}

/* --- out of the log, where it is in this process --- */

/* Some places of one partition that lie near each other, from leg->at on. */
struct logged {
    struct reading *reading;
    size_t at, stop; /* of reading->order */
};

static bool on_logged(void *context, const struct event *event)
{
    struct logged *logged = context;
    struct reading *reading = logged->reading;
    while (logged->at < logged->stop && place_at(reading, logged->at)->offset <= event->offset) {
        size_t at = logged->at++;
        if (place_at(reading, at)->offset == event->offset) {
            place_at(reading, at)->presence = STORY_THERE;
            reading->each(reading->context, reading->order[at], event);
        }
    }
    return logged->at < logged->stop;
}

static struct log_stretch stretch_of(const struct leg *leg, int64_t first, int64_t last)
{
    return (struct log_stretch){
        .topic = leg->topic, .partition = leg->partition, .from = first, .stop = last + 1};
}

static enum client_status fail_log(enum err err, const struct reason *reason,
                                   struct client_error *error)
{
    return err == ERR_CLOSED ? client_fail(error, CLIENT_CLOSED, "ask again",
                                           "the log is closed: %s", reason->text)
                             : client_fail(error, CLIENT_REFUSED, "see the log of the server",
                                           "the log cannot be read: %s", reason->text);
}

/* A place that gave no event: of what kind it is, unless it has come by now. */
static enum err settle_missing(struct reading *reading, struct log_access *log,
                               const struct leg *leg, size_t at, struct reason *reason)
{
    struct story_place *place = place_at(reading, at);
    struct logged logged = {reading, at, at + 1};
    struct log_stretch one = stretch_of(leg, place->offset, place->offset);
    one.each = on_logged;
    one.context = &logged;
    enum err err = log_access_read(log, &one, reason);
    if (err == ERR_NONE && place->presence != STORY_THERE) {
        place->presence = place->offset < one.start_offset         ? STORY_TAKEN
                          : place->offset >= one.high_watermark    ? STORY_AHEAD
                          : place->offset >= one.end_offset        ? STORY_UNDECIDED
                          : (one.hidden & LOG_HIDDEN_DAMAGED) != 0 ? STORY_NOT_READ
                          : (one.hidden & LOG_HIDDEN_ABORTED) != 0 ? STORY_ABORTED
                                                                   : STORY_TAKEN;
    }
    return err;
}

/* The places from leg->at on that lie near each other, by one read. */
static enum err read_near(struct reading *reading, struct log_access *log, struct leg *leg,
                          struct reason *reason)
{
    size_t from = leg->at, stop = from + 1;
    while (stop < leg->stop &&
           place_at(reading, stop)->offset - place_at(reading, stop - 1)->offset <= WALK_OFFSETS) {
        stop++;
    }
    struct logged logged = {reading, from, stop};
    struct log_stretch stretch =
        stretch_of(leg, place_at(reading, from)->offset, place_at(reading, stop - 1)->offset);
    stretch.each = on_logged;
    stretch.context = &logged;
    enum err err = log_access_read(log, &stretch, reason);
    for (size_t i = from; err == ERR_NONE && i < stop; i++) {
        if (place_at(reading, i)->presence != STORY_THERE) {
            err = settle_missing(reading, log, leg, i, reason);
        }
    }
    leg->at = stop;
    return err;
}

static enum client_status read_log(struct reading *reading, struct log_access *log,
                                   int64_t deadline_ms, struct client_error *error)
{
    struct reason reason = {""};
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < reading->legs.count; i++) {
        struct leg *leg = &reading->legs.items[i];
        while (err == ERR_NONE && leg->at < leg->stop &&
               clock_mono_ms(clock_system()) < deadline_ms) {
            err = read_near(reading, log, leg, &reason);
        }
        if (err == ERR_NOT_FOUND) { /* the topic is gone since it was asked for */
            settle(reading, leg, INT64_MAX, STORY_THERE);
            err = ERR_NONE;
        }
    }
    return err == ERR_NONE ? CLIENT_OK : fail_log(err, &reason, error);
}

/* --- what a reader of committed events is not given --- */

static void on_hidden(void *context, size_t index, const struct event *event)
{
    (void)context;
    (void)index;
    (void)event;
}

/* Of what was not there: what is there for readers of uncommitted events. */
static enum client_status read_again(const struct connection_settings *settings,
                                     struct story_place *place, int64_t deadline_ms,
                                     struct client_error *error)
{
    struct connection *connection;
    struct story_place again = *place;
    enum client_status status = connection_open(settings, &connection, error);
    if (status == CLIENT_OK) {
        status =
            story_read(settings, connection, &again, 1, false, deadline_ms, on_hidden, NULL, error);
        connection_close(connection);
    }
    if (status == CLIENT_OK && again.presence == STORY_THERE) {
        place->presence = place->presence == STORY_TAKEN ? STORY_ABORTED : STORY_UNDECIDED;
    }
    return status;
}

static enum client_status look_deeper(const struct connection_settings *settings,
                                      struct story_place *places, size_t count, int64_t deadline_ms,
                                      struct client_error *error)
{
    struct connection_settings own = *settings;
    const char **properties = mem_new_array(const char *, settings->property_count + 1);
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; i < settings->property_count; i++) {
        properties[i] = settings->properties[i];
    }
    properties[settings->property_count] = "isolation.level=read_uncommitted";
    own.properties = properties;
    own.property_count++;
    for (size_t i = 0; status == CLIENT_OK && i < count; i++) {
        if (places[i].presence == STORY_TAKEN || places[i].presence == STORY_AHEAD) {
            status = read_again(&own, &places[i], deadline_ms, error);
        }
    }
    free(properties);
    return status;
}

/* By a reader of its own, from any bus. */
static enum client_status read_bus(struct reading *reading,
                                   const struct connection_settings *settings,
                                   struct connection *connection, int64_t deadline_ms,
                                   struct client_error *error)
{
    enum { AHEAD_KBYTES = 1024, WAIT_MS = 20 };
    struct topic_partitions begin = {0};
    enum client_status status = cut_to_bounds(reading, connection, &begin, error);
    if (status == CLIENT_OK && reading->open > 0) {
        struct reader_settings own = {.connection = *settings,
                                      .partitions = &begin,
                                      .prefetch_kbytes = AHEAD_KBYTES,
                                      .fetch_wait_ms = WAIT_MS,
                                      .callbacks = {.ended = on_ended},
                                      .context = reading};
        status = reader_open(&own, &reading->reader, error);
    }
    if (status == CLIENT_OK && reading->open > 0) {
        status = read_all(reading, deadline_ms, error);
    }
    if (reading->reader != NULL) {
        (void)reader_close(reading->reader, NULL);
    }
    topic_partitions_deinit(&begin);
    return status;
}

enum client_status story_read(const struct connection_settings *settings,
                              struct connection *connection, struct story_place *places,
                              size_t count, bool looks_deeper, int64_t deadline_ms,
                              void (*each)(void *context, size_t index, const struct event *event),
                              void *context, struct client_error *error)
{
    struct reading reading = {.places = places, .each = each, .context = context};
    reading.order = mem_new_array(size_t, count + 1);
    make_legs(&reading, count);
    enum client_status status = settings->log != NULL
                                    ? read_log(&reading, settings->log, deadline_ms, error)
                                    : read_bus(&reading, settings, connection, deadline_ms, error);
    if (status == CLIENT_OK && looks_deeper && settings->log == NULL) {
        status = look_deeper(settings, places, count, deadline_ms, error);
    }
    vec_deinit(&reading.legs);
    free(reading.order);
    return status;
}
