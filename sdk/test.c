#include "test_bus.h"

#include "outbox.h"

#include "client/lane/lane_dead.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The face of the bus in memory: tests make it, fill it, and let services do what there is to do.
 */

static int64_t clock_ms(void *context)
{
    struct tidings_test *bus = context;
    return atomic_load(&bus->now_ms);
}

struct tidings_test *tidings_test_new(void)
{
    const int64_t begin_ms = 1767225600000;
    struct tidings_test *bus = mem_new(struct tidings_test);
    pthread_mutex_init(&bus->lock, NULL);
    pthread_cond_init(&bus->changed, NULL);
    atomic_store(&bus->now_ms, begin_ms);
    bus->clock = (struct clock){bus, clock_ms, clock_ms};
    return bus;
}

static void topic_free(struct test_topic *topic)
{
    for (size_t i = 0; i < topic->events.count; i++) {
        arena_deinit(&topic->events.items[i]->arena);
        free(topic->events.items[i]);
    }
    for (size_t i = 0; i < topic->partitions.count; i++) {
        vec_deinit(&topic->partitions.items[i]->events);
        free(topic->partitions.items[i]);
    }
    vec_deinit(&topic->partitions);
    vec_deinit(&topic->events);
    free(topic->name);
    free(topic);
}

void tidings_test_free(struct tidings_test *bus)
{
    struct test_topic *topic, *next;
    struct test_group *group, *next_group;
    if (bus == NULL) {
        return;
    }
    LL_FOREACH_SAFE (bus->groups, group, next_group) {
        test_group_free(group);
    }
    struct test_outbox *outbox, *next_outbox;
    LL_FOREACH_SAFE (bus->outboxes, outbox, next_outbox) {
        free(outbox->group);
        free(outbox);
    }
    HASH_ITER (hh, bus->topics, topic, next) {
        HASH_DELETE(hh, bus->topics, topic);
        topic_free(topic);
    }
    pthread_cond_destroy(&bus->changed);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* --- services --- */

static struct test_group *group_get(struct tidings_test *bus, const char *name)
{
    struct test_group *group;
    LL_FOREACH (bus->groups, group) {
        if (strcmp(group->name, name) == 0) {
            return group;
        }
    }
    group = mem_new(struct test_group);
    group->bus = bus;
    group->name = mem_strdup(name);
    LL_APPEND(bus->groups, group);
    return group;
}

static void leave(struct tidings *service)
{
    struct test_group *group = service->test;
    if (service->runner != NULL) {
        group->bus->waits = true;
        lane_runner_end(service->runner);
        service_let_go(service);
        service_end_lanes(service);
    }
    for (size_t i = 0; i < group->progress.count; i++) {
        group->progress.items[i].epoch = 0;
        group->progress.items[i].marked = -1;
    }
    group->member = NULL;
}

static enum client_status publish(struct tidings *service, const struct event *event, void *context,
                                  struct client_error *error)
{
    struct publisher_settings publisher = service_publisher(service);
    struct publication publication = {.context = context,
                                      .topic = event->topic,
                                      .partition = -1,
                                      .offset = -1,
                                      .size_bytes = event->key.size + event->value.size};
    struct client_error why = {0};
    (void)error;
    const struct event *kept = test_put(service->test->bus, event);
    if (kept != NULL) {
        publication.partition = kept->partition;
        publication.offset = kept->offset;
    } else {
        publication.status = client_fail(&why, CLIENT_REFUSED, NULL, "the test refuses it");
        publication.error = &why;
    }
    publisher.done(service, &publication);
    return CLIENT_OK;
}

static struct test_outbox *outbox_get(struct tidings_test *bus, const char *group)
{
    struct test_outbox *outbox;
    LL_FOREACH (bus->outboxes, outbox) {
        if (strcmp(outbox->group, group) == 0) {
            return outbox;
        }
    }
    outbox = mem_new(struct test_outbox);
    outbox->group = mem_strdup(group);
    LL_PREPEND(bus->outboxes, outbox);
    return outbox;
}

static int64_t outbox_committed(struct tidings *service, const char *group)
{
    return outbox_get(service->test->bus, group)->number;
}

/* As one transaction of the bus: all of it and its number, or nothing. */
static enum client_status outbox_publish(struct tidings *service, const char *group,
                                         struct outbox_batch *batch, struct client_error *error)
{
    struct tidings_test *bus = service->test->bus;
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; i < batch->count; i++) {
        struct outbox_row *row = &batch->rows[i];
        row->is_settled = true;
        row->is_refused = test_refuses(bus, row->event.topic);
        if (row->is_refused) {
            status = client_fail(&row->error, CLIENT_REFUSED, NULL, "the test refuses it");
            *error = row->error;
        }
    }
    for (size_t i = 0; status == CLIENT_OK && i < batch->count; i++) {
        (void)test_put(bus, &batch->rows[i].event);
    }
    if (status == CLIENT_OK) {
        outbox_get(bus, group)->number = batch->number;
    }
    return status;
}

static const struct played played = {.publish = publish,
                                     .leave = leave,
                                     .outbox_committed = outbox_committed,
                                     .outbox_publish = outbox_publish};

enum tidings_status tidings_test_service_sized(struct tidings_test *bus,
                                               const struct tidings_options *options,
                                               size_t options_size, struct tidings **service,
                                               struct tidings_error *error)
{
    struct tidings_options its;
    *service = NULL;
    if (!sized_copy(&its, sizeof its, options, options_size)) {
        return sized_fail(error, "tidings_options");
    }
    its.instance = NULL;
    its.bootstrap_servers = "127.0.0.1:9092";
    its.client_settings = NULL;
    enum tidings_status status = tidings_new(&its, service, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    struct test_group *group = group_get(bus, its.name);
    if (group->member != NULL) {
        tidings_free(*service);
        *service = NULL;
        return error_set(error, TIDINGS_INVALID, "%s is a service of this bus already", its.name);
    }
    group->member = *service;
    group->has_failed = false;
    (*service)->test = group;
    (*service)->played = &played;
    (*service)->clock = &bus->clock;
    return TIDINGS_OK;
}

enum tidings_status tidings_test_publish_sized(struct tidings_test *bus,
                                               const struct tidings_message *message,
                                               size_t message_size, struct tidings_error *error)
{
    struct arena arena = {0};
    struct tidings_message its;
    message = message_known(message, message_size, &its, error);
    enum tidings_status status =
        message != NULL ? message_check(NULL, message, error) : TIDINGS_INVALID;
    if (status == TIDINGS_OK) {
        struct event event = message_event(message, "/test", clock_ms(bus), &arena);
        if (test_put(bus, &event) == NULL) {
            status = error_set(error, TIDINGS_REFUSED, "the test refuses it");
        }
    }
    arena_deinit(&arena);
    return status;
}

/* --- turns --- */

static uint64_t moves(struct tidings_test *bus)
{
    pthread_mutex_lock(&bus->lock);
    uint64_t count = bus->moves;
    pthread_mutex_unlock(&bus->lock);
    return count;
}

static bool is_at_work(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    bool has_flights = service->flights > 0;
    pthread_mutex_unlock(&service->lock);
    return has_flights || lane_runner_counts(service->runner).running > 0;
}

static enum client_status begin(struct test_group *group, struct client_error *why)
{
    struct tidings *service = group->member;
    enum client_status status = CLIENT_OK;
    if (service->handlers != NULL && service->runner == NULL) {
        service->ran = true;
        status = service_begin_lanes(service, why);
        if (status == CLIENT_OK) {
            struct lane_bus calls = test_calls(group);
            lane_runner_set_bus(service->runner, &calls);
        }
    }
    return status;
}

/* Turns until nothing happens in one while nobody is at work. */
static enum client_status settle(struct test_group *group, bool *has_moved,
                                 struct client_error *why)
{
    enum { TURN_MS = 20 };
    struct tidings_test *bus = group->bus;
    enum client_status status = begin(group, why);
    if (group->member->runner == NULL || group->has_failed) {
        return status;
    }
    for (bool is_done = false; status == CLIENT_OK && !is_done;) {
        uint64_t before = moves(bus);
        bus->waits = is_at_work(group->member);
        status = lane_runner_turn(group->member->runner, bus->waits ? TURN_MS : 0, why);
        bool moved = moves(bus) != before;
        *has_moved |= moved;
        is_done = !bus->waits && !moved && !is_at_work(group->member);
    }
    group->has_failed = status != CLIENT_OK;
    return status;
}

/* What was added to outboxes is published. No handler is at work meanwhile. */
static void play_outboxes(struct tidings_test *bus, struct tidings *service, bool *has_moved)
{
    uint64_t before = moves(bus);
    struct tidings_outbox *outbox = service->outboxes;
    while (outbox != NULL) {
        outbox = outbox_play(outbox);
    }
    *has_moved |= moves(bus) != before;
}

enum tidings_status tidings_test_settle(struct tidings_test *bus, struct tidings_error *error)
{
    struct client_error why;
    bool has_moved = true;
    while (has_moved) {
        struct test_group *group;
        has_moved = false;
        LL_FOREACH (bus->groups, group) {
            if (group->member != NULL && settle(group, &has_moved, &why) != CLIENT_OK) {
                return error_from(error, &why);
            }
            if (group->member != NULL) {
                play_outboxes(bus, group->member, &has_moved);
            }
        }
    }
    return TIDINGS_OK;
}

/* When there is something to do for it, if nothing happens before; INT64_MAX: never. */
static int64_t due_ms_of(const struct tidings *service)
{
    int64_t due_ms = outboxes_due_ms(service);
    int64_t lanes_ms = service->runner != NULL ? lane_runner_due_ms(service->runner) : INT64_MAX;
    return lanes_ms < due_ms ? lanes_ms : due_ms;
}

enum tidings_status tidings_test_advance(struct tidings_test *bus, int64_t ms,
                                         struct tidings_error *error)
{
    int64_t until_ms = clock_ms(bus) + ms;
    enum tidings_status status = tidings_test_settle(bus, error);
    while (status == TIDINGS_OK && clock_ms(bus) < until_ms) {
        int64_t next_ms = until_ms;
        const struct test_group *group;
        LL_FOREACH (bus->groups, group) {
            int64_t due_ms = group->member != NULL ? due_ms_of(group->member) : INT64_MAX;
            next_ms = due_ms < next_ms ? due_ms : next_ms;
        }
        atomic_store(&bus->now_ms, next_ms > clock_ms(bus) ? next_ms : clock_ms(bus) + 1);
        status = tidings_test_settle(bus, error);
    }
    return status;
}

int64_t tidings_test_now_ms(const struct tidings_test *bus)
{
    return atomic_load(&bus->now_ms);
}

/* --- dead letters --- */

enum tidings_status tidings_test_redrive(struct tidings_test *bus, const char *service,
                                         size_t index, struct tidings_error *error)
{
    char topic[LANE_TOPIC_SIZE];
    struct event event;
    struct lane_dead_place place;
    struct test_event *letter = NULL, *dead = NULL;
    pthread_mutex_lock(&bus->lock);
    const struct test_topic *letters = test_topic_get(bus, lane_topic_name("dlq.", service, topic));
    if (index < letters->events.count) {
        letter = letters->events.items[index];
    }
    if (letter != NULL && lane_dead_event(&letter->received.event, &event, &place)) {
        dead = test_event_at(bus, place.topic, place.partition, place.offset);
    }
    int64_t number = dead != NULL ? ++dead->redrives : 0;
    pthread_mutex_unlock(&bus->lock);
    if (dead == NULL) {
        return error_set(error, TIDINGS_INVALID, "%s has no dead letter %zu", topic, index);
    }
    const struct lane_word word = {
        .verb = LANE_SAY_REDRIVE,
        .name = {.offset = -1},
        .head = place.offset,
        .letter = {letter->received.event.partition, letter->received.event.offset},
        .number = number,
        .who = slice_str("the test"),
        .time_ms = clock_ms(bus)};
    test_say(group_get(bus, service), place.topic, place.partition, &word);
    return TIDINGS_OK;
}

/* --- events --- */

enum tidings_status tidings_test_topic(struct tidings_test *bus, const char *topic, int partitions,
                                       struct tidings_error *error)
{
    enum { PARTITIONS_MAX = 10000 };
    if (!name_is_plain(topic)) {
        return error_set(error, TIDINGS_INVALID,
                         "a topic name is 1 to 249 letters, digits, '.', '_' or '-'");
    }
    pthread_mutex_lock(&bus->lock);
    struct test_topic *its = test_topic_get(bus, topic);
    bool is_fine = partitions >= (int)its->partitions.count && partitions <= PARTITIONS_MAX;
    if (is_fine) {
        test_topic_grow(its, (size_t)partitions);
    }
    pthread_mutex_unlock(&bus->lock);
    return is_fine ? TIDINGS_OK
                   : error_set(error, TIDINGS_INVALID,
                               "%s cannot have %d partitions: as many as it has at least, and "
                               "%d at most",
                               topic, partitions, PARTITIONS_MAX);
}

size_t tidings_test_count(struct tidings_test *bus, const char *topic)
{
    pthread_mutex_lock(&bus->lock);
    size_t count = test_topic_get(bus, topic)->events.count;
    pthread_mutex_unlock(&bus->lock);
    return count;
}

const struct tidings_event *tidings_test_event(struct tidings_test *bus, const char *topic,
                                               size_t index)
{
    pthread_mutex_lock(&bus->lock);
    const struct test_topic *its = test_topic_get(bus, topic);
    const struct tidings_event *event =
        index < its->events.count ? &its->events.items[index]->shown : NULL;
    pthread_mutex_unlock(&bus->lock);
    return event;
}

void tidings_test_refuse(struct tidings_test *bus, const char *topic, int times)
{
    pthread_mutex_lock(&bus->lock);
    test_topic_get(bus, topic)->refusals = times;
    pthread_mutex_unlock(&bus->lock);
}
