#include "bus/map/map_feed.h"

#include "base/arena.h"
#include "base/siphash.h"
#include "bus/index/event_terms.h"

enum { MARKS = 16, MARK_MS = 1000, ASK_AGAIN_MS = 2000, TYPES_MAX = 4096, UNWRAP_MOST = 256 << 10 };

/* When an event of a partition was published: a few of them, to tell how old what waits is. */
struct mark {
    int64_t offset, time_ms;
};

struct place {
    UT_hash_handle hh;
    struct buf key; /* partition, topic */
    uint8_t topic_id[16];
    int64_t next, end;
    struct mark marks[MARKS];
    int mark_count;
};

/* Who published under a producer id. */
struct publisher {
    UT_hash_handle hh;
    int64_t producer_id;
    int64_t asked_ms;
    bool is_known;
    char *names[MAP_NAMES];
};

/* An event that may cause another. */
struct cause {
    uint64_t hash; /* 0: none */
    int64_t time_ms;
    const char *type;        /* interned */
    const char *last_effect; /* of what type it had one already */
};

/* An event whose cause has not come yet: partitions are read one after the other. */
struct effect {
    uint64_t hash; /* of the cause that it names; 0: none */
    int64_t time_ms;
    const char *type; /* interned */
};

struct type_name {
    UT_hash_handle hh;
    char *text;
};

struct map_feed {
    struct map_facts *facts;
    map_find_publisher *find;
    void *context;
    struct place *places;
    struct publisher *publishers;
    struct type_name *types;
    struct cause *causes;
    struct effect *effects;
    struct arena arena;
    int64_t second;
    int looks_left;
    int64_t now_ms;
};

struct map_feed *map_feed_new(struct map_facts *facts, map_find_publisher *find, void *context)
{
    struct map_feed *feed = mem_new(struct map_feed);
    feed->facts = facts;
    feed->find = find;
    feed->context = context;
    feed->causes = mem_new_array(struct cause, MAP_CAUSES_KEPT);
    feed->effects = mem_new_array(struct effect, MAP_EFFECTS_KEPT);
    return feed;
}

static void free_publishers(struct map_feed *feed)
{
    struct publisher *publisher, *next;
    HASH_ITER (hh, feed->publishers, publisher, next) {
        HASH_DEL(feed->publishers, publisher);
        for (int i = 0; i < MAP_NAMES; i++) {
            free(publisher->names[i]);
        }
        free(publisher);
    }
}

static void free_place(struct map_feed *feed, struct place *place)
{
    HASH_DEL(feed->places, place);
    buf_deinit(&place->key);
    free(place);
}

void map_feed_free(struct map_feed *feed)
{
    struct place *place, *next;
    struct type_name *type, *next_type;
    if (feed == NULL) {
        return;
    }
    HASH_ITER (hh, feed->places, place, next) {
        free_place(feed, place);
    }
    HASH_ITER (hh, feed->types, type, next_type) {
        HASH_DEL(feed->types, type);
        free(type->text);
        free(type);
    }
    free_publishers(feed);
    free(feed->causes);
    free(feed->effects);
    arena_deinit(&feed->arena);
    free(feed);
}

bool map_hides_topic(struct slice topic)
{
    return slice_begins_with(topic, "__") || slice_begins_with(topic, "lanes.") ||
           slice_begins_with(topic, "dlq.") || slice_begins_with(topic, "dlq-state.");
}

/* --- places --- */

static struct place *find_place(const struct map_feed *feed, struct slice topic, int32_t partition)
{
    uint8_t key[4 + MAP_NAME_BYTES];
    struct place *place;
    size_t size = topic.size < MAP_NAME_BYTES ? topic.size : MAP_NAME_BYTES;
    store_be32(key, (uint32_t)partition);
    slice_copy(key + 4, slice_of(topic.data, size));
    HASH_FIND(hh, feed->places, key, size + 4, place);
    return place;
}

/* NULL: there are too many. */
static struct place *reach_place(struct map_feed *feed, struct slice topic, int32_t partition)
{
    struct place *place = find_place(feed, topic, partition);
    if (place == NULL && HASH_COUNT(feed->places) < MAP_PLACES_MAX) {
        place = mem_new(struct place);
        buf_append_be32(&place->key, (uint32_t)partition);
        buf_append(&place->key, topic.data,
                   topic.size < MAP_NAME_BYTES ? topic.size : MAP_NAME_BYTES);
        HASH_ADD_KEYPTR(hh, feed->places, place->key.data, place->key.size, place);
    }
    return place;
}

/* Of many marks every second one is left out. */
static void add_mark(struct place *place, int64_t offset, int64_t time_ms)
{
    const struct mark *last = place->mark_count > 0 ? &place->marks[place->mark_count - 1] : NULL;
    if (last != NULL && (offset <= last->offset || time_ms < last->time_ms + MARK_MS)) {
        return;
    }
    if (place->mark_count == MARKS) {
        for (int i = 0; i < MARKS / 2; i++) {
            place->marks[i] = place->marks[2 * i + 1];
        }
        place->mark_count = MARKS / 2;
    }
    place->marks[place->mark_count++] = (struct mark){offset, time_ms};
}

/* A producer's clock may be ahead, or tell nothing. */
static int64_t known_time(const struct map_feed *feed, int64_t time_ms)
{
    return time_ms <= 0 || time_ms > feed->now_ms ? feed->now_ms : time_ms;
}

static void take_place(struct map_feed *feed, const struct feed_piece *piece)
{
    const struct feed_source *source = &piece->source;
    struct place *place = reach_place(feed, slice_str(source->topic), source->partition);
    if (place == NULL) {
        return;
    }
    if (memcmp(place->topic_id, source->topic_id, sizeof place->topic_id) != 0) {
        place->mark_count = 0; /* another topic of the same name */
        memcpy(place->topic_id, source->topic_id, sizeof place->topic_id);
    }
    place->next = piece->next_offset;
    place->end = piece->end_offset > piece->next_offset ? piece->end_offset : piece->next_offset;
    if (piece->count > 0) {
        const struct event *first = &piece->events[0].event;
        add_mark(place, first->offset, known_time(feed, first->timestamp_ms));
    }
}

int64_t map_feed_next(const struct map_feed *feed, const struct feed_source *source)
{
    const struct place *place = find_place(feed, slice_str(source->topic), source->partition);
    bool is_same =
        place != NULL && memcmp(place->topic_id, source->topic_id, sizeof place->topic_id) == 0;
    return is_same ? place->next : -1;
}

void map_feed_restore(struct map_feed *feed, struct slice topic, const uint8_t topic_id[16],
                      int32_t partition, int64_t next, int64_t end)
{
    struct place *place = reach_place(feed, topic, partition);
    if (place != NULL) {
        memcpy(place->topic_id, topic_id, sizeof place->topic_id);
        place->next = next;
        place->end = end;
    }
}

void map_feed_each(const struct map_feed *feed, map_feed_place *each, void *context)
{
    for (const struct place *place = feed->places; place != NULL; place = place->hh.next) {
        each(context, slice_of(place->key.data + 4, place->key.size - 4), place->topic_id,
             (int32_t)load_be32(place->key.data), place->next, place->end);
    }
}

int64_t map_feed_lag(const struct map_feed *feed, struct slice topic, int32_t partition,
                     int64_t committed, int64_t *oldest_ms)
{
    const struct place *place = find_place(feed, topic, partition);
    *oldest_ms = 0;
    if (place == NULL) {
        return -1;
    }
    int64_t lag = place->end > committed ? place->end - committed : 0;
    for (int i = 0; lag > 0 && i < place->mark_count; i++) { /* the last one not behind it */
        if (*oldest_ms == 0 || place->marks[i].offset <= committed) {
            *oldest_ms = place->marks[i].time_ms;
        }
    }
    return lag;
}

/* --- what is in an event --- */

static struct slice value_of(const struct event *event, const char *name)
{
    const struct event_header *header = event_header_find(event, name);
    return header != NULL && header->value.size > 0 ? header->value : (struct slice){0};
}

struct look {
    struct slice type, source, id, causation, correlation, trace;
    int64_t time_ms;
};

static void look_at(struct map_feed *feed, const struct event *given, struct look *look)
{
    struct event event = *given;
    *look = (struct look){.time_ms = known_time(feed, event.timestamp_ms)};
    if (event.value.size <= UNWRAP_MOST && event_mode(&event) == EVENT_STRUCTURED &&
        event_unwrap(&event, &feed->arena, NULL) != ERR_NONE) {
        event = *given;
    }
    look->type = value_of(&event, "ce_type");
    look->source = value_of(&event, "ce_source");
    look->id = value_of(&event, "ce_id");
    look->causation = value_of(&event, "ce_causationid");
    look->correlation = value_of(&event, "ce_correlationid");
    struct slice parent = value_of(&event, "traceparent");
    if (slice_is_null(parent)) {
        parent = value_of(&event, "ce_traceparent");
    }
    if (!event_trace_id(parent, &look->trace)) {
        look->trace = (struct slice){0};
    }
}

/* --- causes --- */

static const char *intern(struct map_feed *feed, struct slice text)
{
    struct type_name *type;
    text = slice_is_null(text) ? slice_str("") : text;
    HASH_FIND(hh, feed->types, text.data, text.size, type);
    if (type == NULL && HASH_COUNT(feed->types) < TYPES_MAX) {
        type = mem_new(struct type_name);
        type->text = mem_strndup((const char *)text.data, text.size);
        HASH_ADD_KEYPTR(hh, feed->types, type->text, text.size, type);
    }
    return type != NULL ? type->text : NULL;
}

static uint64_t hash_of(struct map_feed *feed, char kind, struct slice a, struct slice b)
{
    static const struct siphash_key key = {0x7469, 0x6d617073};
    uint8_t *bytes = arena_alloc(&feed->arena, 5 + a.size + b.size);
    bytes[0] = (uint8_t)kind;
    store_be32(bytes + 1, (uint32_t)a.size);
    slice_copy(bytes + 5, a);
    slice_copy(bytes + 5 + a.size, b);
    return siphash128(&key, bytes, 5 + a.size + b.size).low | 1;
}

static struct cause *find_cause(struct map_feed *feed, uint64_t hash)
{
    struct cause *cause = &feed->causes[hash / 2 % MAP_CAUSES_KEPT];
    return cause->hash == hash ? cause : NULL;
}

static void note_effect(struct map_feed *feed, struct cause *cause, const char *type,
                        int64_t time_ms, bool is_inferred)
{
    struct map_fact_key key = {
        .kind = MAP_CAUSES, .type = slice_str(cause->type), .other = slice_str(type)};
    struct map_fact *fact = map_facts_reach(feed->facts, &key, feed->now_ms);
    if (fact == NULL || cause->last_effect == type) {
        return;
    }
    cause->last_effect = type;
    fact->is_inferred = is_inferred && (fact->events == 0 || fact->is_inferred);
    map_fact_took(fact, time_ms - cause->time_ms);
    map_fact_add(fact, 1, 0, time_ms);
}

static struct effect *effect_at(struct map_feed *feed, uint64_t hash)
{
    return &feed->effects[hash / 2 % MAP_EFFECTS_KEPT];
}

/* Remembers what may cause something, and finds what it did cause and came before it. */
static void keep_cause(struct map_feed *feed, uint64_t hash, const char *type, int64_t time_ms)
{
    struct cause *cause = &feed->causes[hash / 2 % MAP_CAUSES_KEPT];
    struct effect *effect = effect_at(feed, hash);
    *cause = (struct cause){hash, time_ms, type, NULL};
    if (effect->hash == hash) {
        note_effect(feed, cause, effect->type, effect->time_ms, false);
        effect->hash = 0;
    }
}

/* By the cause that it names: within its correlation, else by the id alone. */
static void note_named_cause(struct map_feed *feed, const struct look *look, const char *type)
{
    static const struct slice none = {0};
    uint64_t hashes[] = {hash_of(feed, 'i', look->causation, look->correlation),
                         hash_of(feed, 'i', look->causation, none)};
    for (size_t i = 0; i < 2; i++) {
        struct cause *cause = find_cause(feed, hashes[i]);
        if (cause != NULL) {
            note_effect(feed, cause, type, look->time_ms, false);
            return;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        *effect_at(feed, hashes[i]) = (struct effect){hashes[i], look->time_ms, type};
    }
}

/* By the trace alone: the event of it that came before. */
static void guess_cause(struct map_feed *feed, const struct look *look, const char *type)
{
    static const struct slice none = {0};
    struct cause *cause = find_cause(feed, hash_of(feed, 't', look->trace, none));
    if (cause != NULL && cause->type != type) {
        note_effect(feed, cause, type, look->time_ms, true);
    }
}

static void note_causes(struct map_feed *feed, const struct look *look)
{
    static const struct slice none = {0};
    const char *type = slice_is_null(look->type) ? NULL : intern(feed, look->type);
    if (type == NULL) {
        return;
    }
    if (!slice_is_null(look->causation)) {
        note_named_cause(feed, look, type);
    } else if (!slice_is_null(look->trace)) {
        guess_cause(feed, look, type);
    }
    struct map_fact_key key = {.kind = MAP_CAUSES, .type = slice_str(type)};
    struct map_fact *base = map_facts_reach(feed->facts, &key, feed->now_ms);
    if (base != NULL && (!slice_is_null(look->id) || !slice_is_null(look->trace))) {
        map_fact_add(base, 1, 0, look->time_ms);
    }
    if (!slice_is_null(look->id)) {
        keep_cause(feed, hash_of(feed, 'i', look->id, look->correlation), type, look->time_ms);
    }
    if (!slice_is_null(look->trace)) {
        keep_cause(feed, hash_of(feed, 't', look->trace, none), type, look->time_ms);
    }
}

/* --- who published --- */

static struct publisher *reach_publisher(struct map_feed *feed, int64_t producer_id)
{
    struct publisher *publisher;
    HASH_FIND(hh, feed->publishers, &producer_id, sizeof producer_id, publisher);
    if (publisher == NULL) {
        if (HASH_COUNT(feed->publishers) >= MAP_PUBLISHERS_MAX) {
            free_publishers(feed);
        }
        publisher = mem_new(struct publisher);
        publisher->producer_id = producer_id;
        HASH_ADD(hh, feed->publishers, producer_id, sizeof producer_id, publisher);
    }
    return publisher;
}

/* Who has the producer id; asked anew now and then while nobody knows. */
static const struct publisher *find_publisher(struct map_feed *feed, int64_t producer_id)
{
    struct slice names[MAP_NAMES] = {0};
    if (producer_id < 0 || feed->find == NULL) {
        return NULL;
    }
    struct publisher *publisher = reach_publisher(feed, producer_id);
    bool is_due = publisher->asked_ms == 0 || feed->now_ms - publisher->asked_ms > ASK_AGAIN_MS;
    if (!publisher->is_known && is_due) {
        publisher->asked_ms = feed->now_ms;
        publisher->is_known = feed->find(feed->context, producer_id, names);
        for (int i = 0; publisher->is_known && i < MAP_NAMES; i++) {
            publisher->names[i] = slice_is_null(names[i])
                                      ? NULL
                                      : mem_strndup((const char *)names[i].data, names[i].size);
        }
    }
    return publisher->is_known ? publisher : NULL;
}

/* --- events --- */

/* What one event that is looked at stands for. */
struct weight {
    uint64_t events, bytes;
};

static void note_event(struct map_feed *feed, const struct feed_source *source,
                       const struct feed_event *given, struct weight weight)
{
    struct look look;
    look_at(feed, &given->event, &look);
    struct slice topic = slice_str(source->topic);
    struct map_fact_key carries = {.kind = MAP_CARRIES, .topic = topic, .type = look.type};
    struct map_fact *fact = map_facts_reach(feed->facts, &carries, feed->now_ms);
    if (fact != NULL) {
        map_fact_add(fact, weight.events, weight.bytes, look.time_ms);
    }
    struct map_fact_key publishes = {.kind = MAP_PUBLISHES, .topic = topic, .type = look.type};
    const struct publisher *publisher = find_publisher(feed, given->producer_id);
    for (int i = 0; publisher != NULL && i < MAP_NAMES; i++) {
        publishes.names[i] = slice_str(publisher->names[i]);
    }
    publishes.names[MAP_SOURCE] = look.source;
    bool is_named = publisher != NULL || !slice_is_null(look.source);
    /* One without a type is known from its client's counters. */
    if (is_named && !slice_is_null(look.type)) {
        fact = map_facts_reach(feed->facts, &publishes, feed->now_ms);
        if (fact != NULL) {
            map_fact_add(fact, weight.events, weight.bytes, look.time_ms);
        }
    }
    note_causes(feed, &look);
    arena_reset(&feed->arena);
}

/* A dead letter: the group that gave up is failing for the topic that the event came from. */
static void note_dead(struct map_feed *feed, const struct event *event)
{
    struct map_fact_key key = {.kind = MAP_CONSUMES,
                               .topic = value_of(event, "__dlq.errors.topic")};
    key.names[MAP_GROUP] = value_of(event, "__dlq.errors.group");
    if (slice_is_null(key.topic) || slice_is_null(key.names[MAP_GROUP])) {
        return;
    }
    struct map_fact *fact = map_facts_reach(feed->facts, &key, feed->now_ms);
    if (fact != NULL) {
        fact->errors++;
        if (event->timestamp_ms > fact->error_ms) {
            fact->error_ms =
                event->timestamp_ms < feed->now_ms ? event->timestamp_ms : feed->now_ms;
        }
    }
}

/* How many of a piece are looked at. */
static size_t looks_for(struct map_feed *feed, size_t count)
{
    size_t looks =
        feed->looks_left > MAP_LOOKS_A_PIECE ? (size_t)feed->looks_left : MAP_LOOKS_A_PIECE;
    if (feed->now_ms / 1000 != feed->second) {
        feed->second = feed->now_ms / 1000;
        feed->looks_left = MAP_LOOKS_A_SECOND;
        looks = MAP_LOOKS_A_SECOND;
    }
    looks = looks < count ? looks : count;
    feed->looks_left -= (int)looks;
    return looks;
}

/* Not even the sizes of the others are looked at: of millions a second that would cost more than
 * all the rest. */
static void take_events(struct map_feed *feed, const struct feed_piece *piece)
{
    size_t looks = looks_for(feed, piece->count);
    for (size_t i = 0; i < looks; i++) {
        const struct event *event = &piece->events[i].event;
        struct weight weight = {.events = piece->count / looks};
        if (i == 0) {
            weight.events += piece->count % looks;
        }
        weight.bytes = weight.events * (event->key.size + event->value.size);
        note_event(feed, &piece->source, &piece->events[i], weight);
    }
}

void map_feed_take(struct map_feed *feed, const struct feed_piece *piece, int64_t now_ms)
{
    struct slice topic = slice_str(piece->source.topic);
    feed->now_ms = now_ms;
    if (piece->kind == FEED_GONE) {
        struct place *place = find_place(feed, topic, piece->source.partition);
        if (place != NULL) {
            free_place(feed, place);
        }
        return;
    }
    if (piece->kind != FEED_EVENTS) {
        return;
    }
    take_place(feed, piece);
    if (slice_begins_with(topic, "dlq.")) {
        for (size_t i = 0; i < piece->count && i < MAP_LOOKS_A_SECOND; i++) {
            note_dead(feed, &piece->events[i].event);
        }
    } else if (!map_hides_topic(topic) && piece->count > 0) {
        take_events(feed, piece);
    }
}
