#include "bus/dead/dead_republish.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/admin/admin.h"

#include <stdlib.h>
#include <string.h>

/* --- who reads --- */

static bool is_known(const struct dead_readers *readers, const char *group, const char *topic)
{
    for (size_t i = 0; i < readers->count; i++) {
        if (strcmp(readers->items[i].group, group) == 0 &&
            strcmp(readers->items[i].topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

static void note_reader(struct dead_readers *readers, const struct dead_plan *plan,
                        const char *group, const struct topic_partitions *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *topic = list->items[i].topic;
        for (size_t j = 0; j < plan->topics.count; j++) {
            if (strcmp(plan->topics.items[j], topic) == 0 && !is_known(readers, group, topic)) {
                vec_push(readers, (struct dead_reader){mem_strdup(group), mem_strdup(topic)});
            }
        }
    }
}

static enum client_status look_at_groups(struct connection *connection,
                                         const struct admin_group_listings *groups,
                                         const struct dead_plan *plan, struct dead_readers *readers,
                                         struct client_error *error)
{
    const char **names = mem_new_array(const char *, groups->count + 1);
    struct admin_group_answer *answers =
        mem_new_array(struct admin_group_answer, groups->count + 1);
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; i < groups->count; i++) {
        names[i] = groups->items[i].name;
    }
    admin_describe_groups(connection, names, groups->count, answers);
    for (size_t i = 0; i < groups->count; i++) {
        if (answers[i].error.status != CLIENT_OK && status == CLIENT_OK) {
            status = answers[i].error.status;
            *error = answers[i].error;
        }
        note_reader(readers, plan, names[i], &answers[i].offsets);
        for (size_t j = 0; j < answers[i].group.members.count; j++) {
            note_reader(readers, plan, names[i], &answers[i].group.members.items[j].partitions);
        }
        admin_group_deinit(&answers[i].group);
        topic_partitions_deinit(&answers[i].offsets);
    }
    free(answers);
    free(names);
    return status;
}

enum client_status dead_readers_find(const struct connection_settings *settings,
                                     const struct dead_plan *plan, struct dead_readers *readers,
                                     struct client_error *error)
{
    struct connection *connection = NULL;
    struct admin_group_listings groups = {0};
    *readers = (struct dead_readers){0};
    enum client_status status = connection_open(settings, &connection, error);
    if (status == CLIENT_OK) {
        status = admin_groups(connection, &groups, error);
    }
    if (status == CLIENT_OK) {
        status = look_at_groups(connection, &groups, plan, readers, error);
    }
    admin_group_listings_deinit(&groups);
    connection_close(connection);
    return status;
}

void dead_readers_deinit(struct dead_readers *readers)
{
    for (size_t i = 0; i < readers->count; i++) {
        free(readers->items[i].group);
        free(readers->items[i].topic);
    }
    vec_deinit(readers);
}

/* --- publishing --- */

/* The record of a choice, found by its place. */
struct held {
    UT_hash_handle hh;
    struct dead_place place;
    struct event record; /* in the arena; topic NULL: not found */
    bool is_found;
};

struct gathering {
    struct held *all; /* a hash */
    struct arena arena;
    bool is_full;
};

/* A copy with a NUL behind it. */
static struct slice keep(struct gathering *gathering, struct slice bytes)
{
    if (slice_is_null(bytes)) {
        return bytes;
    }
    uint8_t *copy = arena_alloc(&gathering->arena, bytes.size + 1);
    slice_copy(copy, bytes);
    return slice_of(copy, bytes.size);
}

static bool gather(void *context, const struct dead_seen *seen)
{
    struct gathering *gathering = context;
    const struct event *record = seen->subject.letter->event;
    struct dead_place place;
    struct held *held;
    memset(&place, 0, sizeof place);
    place.partition = seen->subject.letter->place.partition;
    place.offset = seen->subject.letter->place.offset;
    HASH_FIND(hh, gathering->all, &place, sizeof place, held);
    if (held == NULL || held->is_found) {
        return true;
    }
    held->is_found = true;
    held->record = *record;
    held->record.topic = NULL;
    held->record.key = keep(gathering, record->key);
    held->record.value = keep(gathering, record->value);
    held->record.headers =
        arena_alloc_array(&gathering->arena, record->header_count + 1, sizeof *record->headers);
    for (size_t i = 0; i < record->header_count; i++) {
        held->record.headers[i].name =
            arena_cstr(&gathering->arena, slice_str(record->headers[i].name));
        held->record.headers[i].value = keep(gathering, record->headers[i].value);
    }
    gathering->is_full = gathering->arena.held_bytes > DEAD_REPUBLISH_BYTES;
    return !gathering->is_full;
}

static enum client_status publish_one(struct dead_run *run, struct dead_writer *writer,
                                      const struct dead_choice *choice, const struct held *held,
                                      struct client_error *error)
{
    struct arena arena = {0};
    struct dead_letter letter;
    dead_letter_read(&held->record, &arena, &letter);
    struct dead_fact fact = {.kind = DEAD_FACT_REDRIVE,
                             .event = choice->event,
                             .number = choice->number,
                             .letter = choice->letter,
                             .outcome = DEAD_REPUBLISHED,
                             .time_ms = run->task.time_ms,
                             .answered_ms = clock_wall_ms(clock_system()),
                             .who = run->who};
    memcpy(fact.id, run->task.id, sizeof fact.id);
    enum client_status status = dead_writer_republish(writer, &letter, held->record.value, error);
    if (status == CLIENT_OK) {
        status = dead_writer_put(writer, &fact, error);
    }
    arena_deinit(&arena);
    return status;
}

static enum client_status publish_all(struct dead_run *run, struct dead_writer *writer,
                                      const struct gathering *gathering, struct client_error *error)
{
    enum { FLUSH_EVERY = 256 };
    const struct dead_plan *plan = run->plan;
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < plan->choices.count; i++) {
        const struct dead_choice *choice = &plan->choices.items[i];
        struct dead_place place;
        struct held *held;
        memset(&place, 0, sizeof place);
        place.partition = choice->letter.partition;
        place.offset = choice->letter.offset;
        HASH_FIND(hh, gathering->all, &place, sizeof place, held);
        if (held == NULL || !held->is_found) {
            run->task.refused++;
            continue;
        }
        status = publish_one(run, writer, choice, held, error);
        if (status == CLIENT_OK && i % FLUSH_EVERY == FLUSH_EVERY - 1) {
            status = dead_writer_flush(writer, error);
        }
        run->task.sent += status == CLIENT_OK;
        if (run->progress != NULL && !run->progress(run->context, &run->task)) {
            break;
        }
    }
    return status == CLIENT_OK ? dead_writer_flush(writer, error) : status;
}

static enum client_status gather_all(struct dead_run *run, struct dead_view *view,
                                     struct gathering *gathering, struct client_error *error)
{
    for (size_t i = 0; i < run->plan->choices.count; i++) {
        struct held *held = mem_new(struct held);
        held->place.partition = run->plan->choices.items[i].letter.partition;
        held->place.offset = run->plan->choices.items[i].letter.offset;
        HASH_ADD(hh, gathering->all, place, sizeof held->place, held);
    }
    enum client_status status = dead_view_letters(view, gather, gathering, error);
    if (status == CLIENT_OK && gathering->is_full) {
        status =
            client_fail(error, CLIENT_FULL, "choose fewer, e.g. by --until",
                        "these events have more than %d MiB together", DEAD_REPUBLISH_BYTES >> 20);
    }
    return status;
}

enum client_status dead_republish(struct dead_run *run, struct dead_view *view,
                                  struct client_error *error)
{
    struct gathering gathering = {0};
    struct dead_writer *writer = NULL;
    struct held *held, *next;
    run->why[0] = '\0';
    run->task = (struct dead_fact){.kind = DEAD_FACT_TASK,
                                   .state = "running",
                                   .total = (int64_t)run->plan->choices.count,
                                   .who = run->who,
                                   .time_ms = clock_wall_ms(clock_system())};
    dead_id_draw(run->task.id);
    memcpy(run->task.plan, run->plan->id, sizeof run->task.plan);
    enum client_status status = gather_all(run, view, &gathering, error);
    if (status == CLIENT_OK) {
        status = dead_writer_open(run->connection, run->group, &writer, error);
    }
    if (status == CLIENT_OK) {
        status = publish_all(run, writer, &gathering, error);
        run->task.state = run->task.sent + run->task.refused == run->task.total ? "done"
                          : status == CLIENT_OK                                 ? "cancelled"
                                                                                : "stopped";
        run->task.changed_ms = clock_wall_ms(clock_system());
        enum client_status told =
            dead_writer_put(writer, &run->task, status == CLIENT_OK ? error : NULL);
        told = told == CLIENT_OK ? dead_writer_flush(writer, status == CLIENT_OK ? error : NULL)
                                 : told;
        status = status == CLIENT_OK ? told : status;
    }
    dead_writer_close(writer);
    HASH_ITER (hh, gathering.all, held, next) {
        HASH_DELETE(hh, gathering.all, held);
        free(held);
    }
    arena_deinit(&gathering.arena);
    return status;
}
