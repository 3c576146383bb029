#include "bus/dead/lane_view.h"

#include "bus/event/topic_scan.h"
#include "client/lane/lane_book.h"

#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>

/* A source partition. */
struct part {
    UT_hash_handle hh;
    uint8_t *name; /* partition, topic */
    size_t name_size;
    char *topic;
    int32_t partition;
    struct lane_book *book;
};

/* Lanes of one partition by name. */
struct place {
    UT_hash_handle hh;
    struct buf name;
    size_t index; /* in view->lanes */
};

struct loading {
    struct lane_view *view;
    const struct lane_view_settings *settings;
    struct part *parts;
    struct part *part; /* whose book is told */
    struct place *places;
    bool is_by_partition;
};

/* --- reading --- */

static struct part *part_of(struct loading *loading, const struct lane_record_key *key)
{
    struct buf name = {0};
    struct part *part;
    buf_append_be32(&name, (uint32_t)key->partition);
    buf_append_slice(&name, key->topic);
    HASH_FIND(hh, loading->parts, name.data, name.size, part);
    if (part == NULL) {
        part = mem_new(struct part);
        part->name = mem_dup(name.data, name.size);
        part->name_size = name.size;
        part->topic = mem_strndup((const char *)key->topic.data, key->topic.size);
        part->partition = key->partition;
        part->book = lane_book_new();
        HASH_ADD_KEYPTR(hh, loading->parts, part->name, part->name_size, part);
    }
    buf_deinit(&name);
    return part;
}

static bool take(void *context, const struct event *event)
{
    struct loading *loading = context;
    struct arena arena = {0};
    struct lane_record_key key;
    struct lane_record record;
    bool has_value = !slice_is_null(event->value);
    bool is_ours = lane_record_key_read(event->key, &key) && key.topic.size > 0 &&
                   (!has_value || lane_record_read(event->value, &arena, &record) == ERR_NONE);
    if (is_ours) {
        struct lane_place place = {.position = event->offset, .time_ms = event->timestamp_ms};
        if (has_value && record.kind == LANE_RECORD_ASIDE) {
            place.bytes = record.event.key.size + record.event.value.size;
        }
        lane_book_read(part_of(loading, &key)->book, key.id, has_value ? &record : NULL, place);
    }
    arena_deinit(&arena);
    return true;
}

static bool on_progress(void *context, int64_t done, int64_t total)
{
    const struct lane_view_settings *settings = ((struct loading *)context)->settings;
    return settings->progress == NULL || settings->progress(settings->context, done, total);
}

/* --- lanes --- */

static struct lane_seen *lane_of(struct loading *loading, struct lane_name name)
{
    struct buf text = {0};
    struct place *place;
    buf_append_u8(&text, slice_is_null(name.key) ? 'n' : 'k');
    buf_append_be64(&text, (uint64_t)name.offset);
    buf_append_slice(&text, name.key);
    HASH_FIND(hh, loading->places, text.data, text.size, place);
    if (place != NULL) {
        buf_deinit(&text);
        return &loading->view->lanes.items[place->index];
    }
    place = mem_new(struct place);
    place->name = text;
    place->index = loading->view->lanes.count;
    HASH_ADD_KEYPTR(hh, loading->places, place->name.data, place->name.size, place);
    struct lane_seen *lane = vec_add(&loading->view->lanes);
    lane->topic = mem_strdup(loading->part->topic);
    lane->partition = loading->part->partition;
    lane->name.offset = name.offset;
    if (!slice_is_null(name.key)) {
        buf_append_slice(&lane->key, name.key);
        lane->name.key = lane->key.size > 0 ? buf_slice(&lane->key) : slice_str("");
    }
    lane->note.offset = lane->head = lane->noted_ms = -1;
    return lane;
}

static bool is_partitions(const struct lane_entry *entry)
{
    return entry->kind == LANE_RECORD_NOTE && slice_is_null(entry->name.key) &&
           entry->name.offset < 0;
}

static void look_for_order(void *context, const struct lane_entry *entry)
{
    struct loading *loading = context;
    loading->is_by_partition |= is_partitions(entry);
}

static void add_entry(void *context, const struct lane_entry *entry)
{
    struct loading *loading = context;
    struct lane_name name = entry->name;
    if (entry->kind == LANE_RECORD_DONE || entry->kind == LANE_RECORD_REASON) {
        return;
    }
    if (entry->kind == LANE_RECORD_ASIDE) {
        bool is_alone = slice_is_null(name.key) && !loading->is_by_partition;
        name.key = loading->is_by_partition ? (struct slice){0} : name.key;
        name.offset = is_alone ? entry->offset : -1;
    }
    struct lane_seen *lane = lane_of(loading, name);
    if (entry->kind == LANE_RECORD_NOTE) {
        lane->note = entry->note;
        lane->noted_ms = entry->place.time_ms;
        lane->head = entry->note.offset >= 0 ? entry->note.offset : lane->head;
        return;
    }
    lane->events++;
    lane->bytes += (int64_t)entry->place.bytes;
    if (lane->note.offset < 0 && (lane->head < 0 || entry->offset < lane->head)) {
        lane->head = entry->offset;
    }
    if (loading->settings->wants_events) {
        vec_push(&lane->list, (struct lane_seen_event){entry->offset, entry->place.position,
                                                       entry->place.time_ms, entry->place.bytes});
    }
}

static void add_reason(void *context, const struct lane_entry *entry)
{
    struct loading *loading = context;
    if (entry->kind != LANE_RECORD_REASON) {
        return;
    }
    const struct lane_reason *reason = &entry->reason;
    struct lane_seen *lane = lane_of(loading, entry->name); /* it has a note */
    struct lane_seen_reason *to = reason->kind == LANE_REASON_HELD ? &lane->holder : &lane->failure;
    to->what = mem_strndup((const char *)reason->what.data, reason->what.size);
    to->text = mem_strndup((const char *)reason->text.data, reason->text.size);
    to->time_ms = reason->time_ms;
}

static void forget_places(struct loading *loading)
{
    struct place *place, *next;
    HASH_ITER (hh, loading->places, place, next) {
        HASH_DELETE(hh, loading->places, place);
        buf_deinit(&place->name);
        free(place);
    }
}

static int compare_events(const void *left, const void *right)
{
    const struct lane_seen_event *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static int compare_lanes(const void *left, const void *right)
{
    const struct lane_seen *a = left, *b = right;
    int order = strcmp(a->topic, b->topic);
    if (order != 0) {
        return order;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    return (a->head > b->head) - (a->head < b->head);
}

static void gather(struct loading *loading)
{
    struct lane_view *view = loading->view;
    struct part *part, *next;
    HASH_ITER (hh, loading->parts, part, next) {
        loading->part = part;
        loading->is_by_partition = false;
        lane_book_each(part->book, look_for_order, loading);
        lane_book_each(part->book, add_entry, loading);
        lane_book_each(part->book, add_reason, loading);
        view->open_words += (int64_t)lane_book_open_words(part->book);
        forget_places(loading);
    }
    for (size_t i = 0; i < view->lanes.count; i++) {
        struct lane_seen *lane = &view->lanes.items[i];
        if (lane->list.count > 1) {
            qsort(lane->list.items, lane->list.count, sizeof *lane->list.items, compare_events);
        }
    }
    if (view->lanes.count > 1) {
        qsort(view->lanes.items, view->lanes.count, sizeof *view->lanes.items, compare_lanes);
    }
}

static void forget_parts(struct loading *loading)
{
    struct part *part, *next;
    HASH_ITER (hh, loading->parts, part, next) {
        HASH_DELETE(hh, loading->parts, part);
        lane_book_free(part->book);
        free(part->name);
        free(part->topic);
        free(part);
    }
}

enum client_status lane_view_load(struct lane_view *view, const struct lane_view_settings *settings,
                                  struct client_error *error)
{
    struct loading loading = {.view = view, .settings = settings};
    *view = (struct lane_view){0};
    lane_topic_name("lanes.", settings->group, view->topic);
    struct topic_scan scan = {.connection = settings->connection,
                              .topic = view->topic,
                              .each = take,
                              .progress = on_progress,
                              .context = &loading};
    enum client_status status = topic_scan(&scan, error);
    if (status == CLIENT_NOT_FOUND) {
        client_fail(error, status, "is it the group of a service with key lanes, and has it run?",
                    "group '%s' has no lanes: there is no topic '%s'", settings->group,
                    view->topic);
    }
    if (status == CLIENT_OK) {
        gather(&loading);
    }
    forget_parts(&loading);
    return status;
}

static void free_reason(struct lane_seen_reason *reason)
{
    free(reason->what);
    free(reason->text);
}

void lane_view_deinit(struct lane_view *view)
{
    for (size_t i = 0; i < view->lanes.count; i++) {
        struct lane_seen *lane = &view->lanes.items[i];
        free(lane->topic);
        buf_deinit(&lane->key);
        free_reason(&lane->failure);
        free_reason(&lane->holder);
        vec_deinit(&lane->list);
    }
    vec_deinit(&view->lanes);
}

const char *lane_seen_state(const struct lane_seen *lane)
{
    const struct lane_note *note = &lane->note;
    if (note->is_parked) {
        return note->is_held ? "parked, held" : "parked";
    }
    return note->is_held ? "held" : note->attempts > 0 ? "failing" : "set aside";
}

/* --- conditions --- */

enum field {
    STATE,
    KEY,
    TOPIC,
    PARTITION,
    HEAD,
    ATTEMPTS,
    BEHIND,
    BYTES,
    FIRST,
    NOTED,
    REASON,
    WHO
};

const struct where_field *lane_fields(void)
{
    static const struct where_field fields[] = {
        [STATE] = {"state", WHERE_TEXT},     [KEY] = {"key", WHERE_TEXT},
        [TOPIC] = {"topic", WHERE_TEXT},     [PARTITION] = {"partition", WHERE_NUMBER},
        [HEAD] = {"head", WHERE_NUMBER},     [ATTEMPTS] = {"attempts", WHERE_NUMBER},
        [BEHIND] = {"behind", WHERE_NUMBER}, [BYTES] = {"bytes", WHERE_NUMBER},
        [FIRST] = {"first", WHERE_TIME},     [NOTED] = {"noted", WHERE_TIME},
        [REASON] = {"reason", WHERE_TEXT},   [WHO] = {"who", WHERE_TEXT},
        [WHO + 1] = {NULL, WHERE_TEXT},
    };
    return fields;
}

static struct where_value text(struct slice value)
{
    return (struct where_value){.is_there = !slice_is_null(value), .text = value};
}

static struct where_value number(int64_t value)
{
    return (struct where_value){.is_there = value >= 0, .number = value};
}

struct where_value lane_field_get(const void *context, size_t field, const char *header)
{
    const struct lane_seen *lane = context;
    int64_t first_ms = lane->note.first_failed_ms;
    if (header != NULL) {
        return (struct where_value){0};
    }
    switch ((enum field)field) {
    case STATE:
        return text(slice_str(lane_seen_state(lane)));
    case KEY:
        return text(lane->name.key);
    case TOPIC:
        return text(slice_str(lane->topic));
    case PARTITION:
        return number(lane->partition);
    case HEAD:
        return number(lane->head);
    case ATTEMPTS:
        return number(lane->note.attempts);
    case BEHIND:
        return number(lane->events);
    case BYTES:
        return number(lane->bytes);
    case FIRST:
        return number(first_ms > 0 ? first_ms : -1);
    case NOTED:
        return number(lane->noted_ms);
    case REASON:
        return text(slice_str(lane->failure.text));
    case WHO:
        return text(slice_str(lane->holder.what));
    }
    return (struct where_value){0};
}
