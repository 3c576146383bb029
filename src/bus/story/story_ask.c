#include "bus/story/story_ask.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/time_text.h"
#include "bus/story/story_groups.h"
#include "bus/story/story_publisher.h"
#include "bus/story/story_read.h"
#include "bus/story/story_tree.h"

#include <limits.h>
#include <stdlib.h>

#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>

enum {
    EVENTS_DEFAULT = 200,
    TIMEOUT_MS = 10000,
    ROUNDS_MAX = 16,
    KEY_EVENTS = 50,
    PLACES_MAX = 1 << 17
};

/* A place or a term that was met. The bytes are in the story's arena. */
struct met {
    UT_hash_handle hh;
    const uint8_t *bytes;
};

struct asking {
    const struct story_sources *sources;
    const struct story_question *question;
    struct story *story;
    struct connection_settings settings; /* with no more time for a request than for the question */
    struct connection *connection;
    struct connection *own; /* the same, when it was opened for this question */
    struct admin_topics topics;
    size_t events_max;
    int64_t deadline_ms;
    bool is_first_round;
    size_t gone;    /* places of it that the log has no more */
    size_t nothing; /* places at which no event is, for whatever reason */

    bool is_full; /* a limit of the look-up was reached */

    struct met *met;
    VEC(struct story_place) others; /* met in this round, where other events stand */
    VEC(struct story_term) terms;   /* to be looked for next */
    VEC(struct story_term) asked;   /* looked for in this round */
    VEC(struct story_place) places; /* found, and to be read next */
};

static bool is_late(const struct asking *asking)
{
    return clock_mono_ms(clock_system()) > asking->deadline_ms ||
           asking->story->arena.used_bytes > STORY_MEMORY_MAX;
}

/* Of all terms, and of the places whose events are told or are to be read next. */
enum { MET_PLACE = 0 /* else the kind of a term */ };

/* False when it was met before. kind: what the bytes are. */
static bool meet(struct asking *asking, int kind, struct slice bytes)
{
    struct buf name = {0};
    struct met *met;
    buf_append_u8(&name, (uint8_t)kind);
    buf_append_slice(&name, bytes);
    HASH_FIND(hh, asking->met, name.data, name.size, met);
    bool is_new = met == NULL;
    if (is_new) {
        met = arena_alloc(&asking->story->arena, sizeof *met);
        met->bytes = arena_dup(&asking->story->arena, name.data, name.size);
        HASH_ADD_KEYPTR(hh, asking->met, met->bytes, name.size, met);
    }
    buf_deinit(&name);
    return is_new;
}

static void append_place(struct buf *to, const char *topic, int32_t partition, int64_t offset)
{
    buf_append_str(to, topic);
    buf_append_be32(to, (uint32_t)partition);
    buf_append_be64(to, (uint64_t)offset);
}

static bool meet_place(struct asking *asking, const char *topic, int32_t partition, int64_t offset)
{
    struct buf bytes = {0};
    append_place(&bytes, topic, partition, offset);
    bool is_new = meet(asking, MET_PLACE, buf_slice(&bytes));
    buf_deinit(&bytes);
    return is_new;
}

static void unmeet_place(struct asking *asking, const struct story_place *place)
{
    struct buf name = {0};
    struct met *met;
    buf_append_u8(&name, MET_PLACE);
    append_place(&name, place->topic, place->partition, place->offset);
    HASH_FIND(hh, asking->met, name.data, name.size, met);
    if (met != NULL) {
        HASH_DEL(asking->met, met);
    }
    buf_deinit(&name);
}

/* What the index is wrong about, because its topic was made again, may be found by another name
 * later. */
static void unmeet_others(struct asking *asking)
{
    for (size_t i = 0; i < asking->others.count; i++) {
        unmeet_place(asking, &asking->others.items[i]);
    }
}

/* --- terms --- */

static void look_for(struct asking *asking, enum event_term_kind kind, struct slice value)
{
    if (value.size > 0 && value.size <= EVENT_TERM_MAX_BYTES && meet(asking, kind, value)) {
        struct slice own =
            slice_of(arena_dup(&asking->story->arena, value.data, value.size), value.size);
        vec_push(&asking->terms, (struct story_term){{kind, own}, NULL});
    }
}

static void look_for_text(struct asking *asking, enum event_term_kind kind, const char *value)
{
    look_for(asking, kind, slice_str(value));
}

/* What the event names, and what may name it. */
static void follow(struct asking *asking, const struct story_event *event)
{
    const struct event_attributes *of = &event->attributes;
    look_for_text(asking, EVENT_TERM_ID, of->id); /* it may have been published twice */
    look_for_text(asking, EVENT_TERM_CAUSATION, of->id);
    look_for_text(asking, EVENT_TERM_CORRELATION, of->id);
    look_for_text(asking, EVENT_TERM_ID, of->causation_id);
    look_for_text(asking, EVENT_TERM_ID, of->correlation_id);
    /* What these name may be gone; others name it too, by either attribute. */
    look_for_text(asking, EVENT_TERM_CAUSATION, of->causation_id);
    look_for_text(asking, EVENT_TERM_CORRELATION, of->causation_id);
    look_for_text(asking, EVENT_TERM_CAUSATION, of->correlation_id);
    look_for_text(asking, EVENT_TERM_CORRELATION, of->correlation_id);
    look_for_text(asking, EVENT_TERM_TRACE, event->trace);
    if (of->id == NULL && of->correlation_id == NULL && event->trace == NULL && event->is_asked) {
        look_for(asking, EVENT_TERM_KEY, event->event.key);
    }
}

/* --- events --- */

static bool has_text(const char *wanted, const char *there)
{
    return wanted == NULL || (there != NULL && strcmp(wanted, there) == 0);
}

static bool is_asked_for(const struct asking *asking, const struct story_event *event)
{
    const struct story_question *question = asking->question;
    if (question->offset >= 0) {
        return event->event.offset == question->offset &&
               event->event.partition == question->partition &&
               strcmp(event->event.topic, question->topic) == 0;
    }
    return has_text(question->topic, event->event.topic) &&
           has_text(question->id, event->attributes.id) &&
           (question->id == NULL || has_text(question->source, event->attributes.source)) &&
           has_text(question->trace, event->trace) &&
           (has_text(question->correlation, event->attributes.correlation_id) ||
            has_text(question->correlation, event->attributes.id)) &&
           (slice_is_null(question->key) || slice_equal(question->key, event->event.key));
}

/* Whether it has one of the terms of this round: the index may be wrong. */
static bool is_found(const struct asking *asking, const struct event *event)
{
    struct arena arena = {0};
    struct event_terms terms;
    bool is_so = false;
    event_terms_of(event, &arena, &terms);
    for (size_t i = 0; i < asking->asked.count && !is_so; i++) {
        const struct event_term *wanted = &asking->asked.items[i].term;
        for (size_t k = 0; k < terms.count; k++) {
            is_so |= terms.items[k].kind == wanted->kind &&
                     slice_equal(terms.items[k].value, wanted->value);
        }
    }
    arena_deinit(&arena);
    return is_so;
}

static const char *trace_of(const struct event *event, struct arena *arena)
{
    struct slice trace;
    const struct event_header *header = event_header_find(event, "traceparent");
    header = header != NULL ? header : event_header_find(event, "ce_traceparent");
    return header != NULL && event_trace_id(header->value, &trace) ? arena_cstr(arena, trace)
                                                                   : NULL;
}

static void add_event(struct asking *asking, const struct event *given)
{
    struct arena *arena = &asking->story->arena;
    struct event event = *given;
    (void)!event_unwrap(&event, arena, NULL); /* one that cannot be is known by its headers */
    event.value = (struct slice){0};
    event_own(&event, arena);
    struct story_event *added = vec_add(&asking->story->events);
    added->event = event;
    added->attributes = event_attributes(&event);
    added->trace = trace_of(&event, arena);
    added->presence = STORY_THERE;
    added->parent = added->copy_of = STORY_NONE;
    added->is_asked = is_asked_for(asking, added);
    follow(asking, added);
}

static void take(void *context, size_t index, const struct event *event)
{
    struct asking *asking = context;
    if ((asking->question->offset >= 0 && asking->is_first_round) || is_found(asking, event)) {
        add_event(asking, event);
    } else {
        vec_push(&asking->others, asking->places.items[index]);
    }
}

static bool has_topic(const struct asking *asking, const char *name)
{
    const struct story_bus bus = {.topics = &asking->topics};
    return story_bus_has_topic(&bus, name);
}

static bool found(void *context, const struct index_place *place)
{
    struct asking *asking = context;
    struct story *story = asking->story;
    if (!has_topic(asking, place->topic) ||
        !meet_place(asking, place->topic, place->partition, place->offset)) {
        return true; /* its topic is deleted, or it was met */
    }
    if (story->events.count + asking->places.count >= asking->events_max) {
        asking->is_full = true;
        return false;
    }
    vec_push(&asking->places,
             (struct story_place){.topic = arena_cstr(&story->arena, slice_str(place->topic)),
                                  .partition = place->partition,
                                  .offset = place->offset});
    return true;
}

/* --- rounds --- */

static enum client_status read_places(struct asking *asking, struct client_error *error)
{
    bool is_asked_place = asking->question->offset >= 0 && asking->is_first_round;
    enum client_status status =
        story_read(&asking->settings, asking->connection, asking->places.items,
                   asking->places.count, is_asked_place, asking->deadline_ms, take, asking, error);
    for (size_t i = 0; status == CLIENT_OK && i < asking->places.count; i++) {
        enum story_presence presence = asking->places.items[i].presence;
        asking->story->is_cut |= presence == STORY_NOT_READ;
        asking->gone += presence == STORY_TAKEN && !is_asked_place;
        asking->nothing += presence != STORY_THERE && presence != STORY_NOT_READ;
    }
    return status;
}

/* What was asked for by its place and is not there is told with what its groups did. */
static void add_missing(struct asking *asking)
{
    const struct story_place *place = &asking->places.items[0];
    if (place->presence != STORY_THERE) {
        struct story_event *added = vec_add(&asking->story->events);
        added->event = event_blank();
        added->event.topic = place->topic;
        added->event.partition = place->partition;
        added->event.offset = place->offset;
        added->presence = place->presence;
        added->parent = added->copy_of = STORY_NONE;
        added->is_asked = true;
    }
}

static enum client_status begin_at_place(struct asking *asking, struct client_error *error)
{
    const struct story_question *question = asking->question;
    static const uint8_t no_id[16];
    struct index_place place = {question->topic, no_id, question->partition, question->offset};
    for (size_t i = 0; i < asking->topics.count; i++) {
        const struct admin_topic *topic = &asking->topics.items[i];
        if (strcmp(topic->name, question->topic) == 0 && question->partition >= 0 &&
            (size_t)question->partition < topic->partitions.count) {
            (void)found(asking, &place);
        }
    }
    if (asking->places.count == 0) {
        return client_fail(error, CLIENT_NOT_FOUND, "list topics with: tidings topic list",
                           "there is no partition %d of a topic '%s'", (int)question->partition,
                           question->topic);
    }
    enum client_status status = read_places(asking, error);
    if (status == CLIENT_OK) {
        add_missing(asking);
    }
    return status;
}

/* Finds and reads events that the terms of this round stand for, at most `most` a term. */
static enum client_status look_up(struct asking *asking, size_t most, bool *is_cut,
                                  struct client_error *error)
{
    const struct story_finder *finder = &asking->sources->finder;
    *is_cut = asking->is_full = false;
    asking->places.count = 0;
    enum client_status status =
        finder->find(finder->context, asking->asked.items, asking->asked.count, most,
                     asking->deadline_ms, found, asking, is_cut, error);
    *is_cut |= asking->is_full;
    return status == CLIENT_OK && asking->places.count > 0 ? read_places(asking, error) : status;
}

/* Places that have none of the events that are looked for. */
static size_t count_vain(const struct asking *asking)
{
    return asking->others.count + asking->nothing;
}

/* What stands at places of before, or is gone from them, takes no room from what is there. */
static enum client_status round_of_terms(struct asking *asking, struct client_error *error)
{
    bool is_by_key = asking->is_first_round && !slice_is_null(asking->question->key);
    size_t wanted = is_by_key ? KEY_EVENTS : asking->events_max;
    size_t vain;
    bool is_cut;
    enum client_status status;
    asking->asked.count = asking->others.count = 0;
    for (size_t i = 0; i < asking->terms.count; i++) {
        vec_push(&asking->asked, asking->terms.items[i]);
    }
    asking->terms.count = 0;
    size_t most = wanted;
    do {
        vain = count_vain(asking);
        status = look_up(asking, most, &is_cut, error);
        most *= 4;
    } while (status == CLIENT_OK && is_cut && count_vain(asking) > vain &&
             asking->story->events.count < wanted && most <= PLACES_MAX && !is_late(asking));
    asking->story->is_cut |= is_cut;
    unmeet_others(asking);
    return status;
}

static void begin_by_term(struct asking *asking)
{
    const struct story_question *question = asking->question;
    if (question->id != NULL) {
        look_for_text(asking, EVENT_TERM_ID, question->id);
    } else if (question->trace != NULL) {
        look_for_text(asking, EVENT_TERM_TRACE, question->trace);
    } else if (question->correlation != NULL) {
        look_for_text(asking, EVENT_TERM_CORRELATION, question->correlation);
        look_for_text(asking, EVENT_TERM_ID, question->correlation);
    } else {
        look_for(asking, EVENT_TERM_KEY, question->key);
    }
}

static bool has_asked_event(const struct story *story)
{
    for (size_t i = 0; i < story->events.count; i++) {
        if (story->events.items[i].is_asked) {
            return true;
        }
    }
    return false;
}

/* The topics that are left out of the index, the first of them by name. "": none is. */
static void name_left_out(const struct asking *asking, struct buf *names)
{
    enum { NAMED_MAX = 5 };
    const struct story_finder *finder = &asking->sources->finder;
    size_t count = 0;
    for (size_t i = 0; finder->leaves_out != NULL && i < asking->topics.count; i++) {
        const char *name = asking->topics.items[i].name;
        if (!story_is_inner_topic(name) && finder->leaves_out(finder->context, name)) {
            if (count < NAMED_MAX) {
                buf_printf(names, "%s%.60s", count > 0 ? ", " : "", name);
            }
            count++;
        }
    }
    if (count > NAMED_MAX) {
        buf_printf(names, " and %zu others", count - NAMED_MAX);
    }
}

static enum client_status fail_unknown(struct asking *asking, struct client_error *error)
{
    char time[TIME_TEXT_SIZE];
    struct buf left_out = {0};
    int64_t until_ms = asking->story->indexed_ms;
    const char *known = until_ms > 0 ? time_format(until_ms, time) : NULL;
    name_left_out(asking, &left_out);
    enum client_status status = client_fail(
        error, CLIENT_NOT_FOUND,
        known != NULL ? "it may be gone by retention, or newer than that: ask again"
                      : "it may be gone by retention; a place can be asked for, too: "
                        "TOPIC/PARTITION/OFFSET",
        "no such event is known%s%s%s%s%.200s",
        known != NULL ? ", of what was published until " : "", known != NULL ? known : "",
        asking->story->is_cut ? "; not all of the bus was read in time" : "",
        left_out.size > 0 ? "; not indexed: events of " : "", buf_cstr(&left_out));
    buf_deinit(&left_out);
    return status;
}

static enum client_status gather(struct asking *asking, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    asking->is_first_round = true;
    if (asking->question->offset >= 0) {
        status = begin_at_place(asking, error);
        asking->is_first_round = false;
    } else {
        begin_by_term(asking);
    }
    for (int round = 0; status == CLIENT_OK && asking->terms.count > 0; round++) {
        if (round == ROUNDS_MAX || is_late(asking) ||
            asking->story->events.count >= asking->events_max) {
            asking->story->is_cut = true;
            break;
        }
        status = round_of_terms(asking, error);
        if (asking->is_first_round && status == CLIENT_OK && !has_asked_event(asking->story)) {
            break;
        }
        asking->is_first_round = false;
    }
    return status == CLIENT_OK && !has_asked_event(asking->story) ? fail_unknown(asking, error)
                                                                  : status;
}

/* --- what the answer does not know --- */

static void tell_left_out(struct asking *asking)
{
    struct buf names = {0};
    name_left_out(asking, &names);
    if (names.size > 0) {
        story_say(asking->story, "not indexed, so known by their place alone: events of %s",
                  buf_cstr(&names));
    }
    buf_deinit(&names);
}

static void tell_horizon(struct asking *asking)
{
    struct story *story = asking->story;
    bool is_whole = true;
    char time[TIME_TEXT_SIZE];
    story->indexed_ms = asking->sources->finder.until(asking->sources->finder.context, &is_whole);
    if (story->indexed_ms > 0) {
        story_say(story, "indexed until %s; what is newer may be missing",
                  time_format(story->indexed_ms, time));
    } else if (story->indexed_ms == 0) {
        story_say(story, "the index is being made: events may be missing");
    } else {
        story_say(story, "there is no index: %s was read",
                  is_whole ? "the log" : "only a part of the log");
    }
    tell_left_out(asking);
    if (asking->sources->history == NULL) {
        story_say(story, "there is no history of commits: when a group passed an event is not "
                         "known");
    }
}

/* What of it is not shown. */
static void tell_left_off(struct asking *asking)
{
    if (asking->gone > 0) {
        story_say(asking->story,
                  "%zu event%s of it %s gone from the log: by retention, compaction, or with a "
                  "topic that was made again",
                  asking->gone, asking->gone == 1 ? "" : "s", asking->gone == 1 ? "is" : "are");
    }
    if (asking->story->is_cut) {
        story_say(asking->story, "a limit was reached: there is more than is shown");
    }
}

static void init(struct asking *asking, const struct story_sources *sources,
                 const struct story_question *question, struct story *story)
{
    int64_t timeout_ms = question->timeout_ms > 0 ? question->timeout_ms : TIMEOUT_MS;
    size_t most = question->events_max > 0 ? question->events_max : EVENTS_DEFAULT;
    *story = (struct story){.now_ms = clock_wall_ms(clock_system())};
    *asking = (struct asking){.sources = sources,
                              .question = question,
                              .story = story,
                              .settings = *sources->connection,
                              .events_max = most < STORY_EVENTS_MAX ? most : STORY_EVENTS_MAX,
                              .deadline_ms = clock_mono_ms(clock_system()) + timeout_ms};
    int *request_ms = &asking->settings.timeout_ms;
    if (*request_ms == 0 || *request_ms > timeout_ms) {
        *request_ms = timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
    }
}

static void deinit(struct asking *asking)
{
    HASH_CLEAR(hh, asking->met);
    vec_deinit(&asking->terms);
    vec_deinit(&asking->asked);
    vec_deinit(&asking->others);
    vec_deinit(&asking->places);
    admin_topics_deinit(&asking->topics);
    connection_close(asking->own);
}

static enum client_status connect_to(struct asking *asking, struct client_error *error)
{
    struct connection *opened = asking->sources->opened;
    bool is_fast = opened != NULL && connection_timeout_ms(opened) <= asking->settings.timeout_ms;
    enum client_status status =
        is_fast ? CLIENT_OK : connection_open(&asking->settings, &asking->own, error);
    asking->connection = is_fast ? opened : asking->own;
    return status;
}

enum client_status story_ask(const struct story_sources *sources,
                             const struct story_question *question, struct story *story,
                             struct client_error *error)
{
    struct asking asking;
    init(&asking, sources, question, story);
    enum client_status status = connect_to(&asking, error);
    if (status == CLIENT_OK) {
        status = admin_topics(asking.connection, &asking.topics, error);
    }
    if (status == CLIENT_OK) {
        tell_horizon(&asking); /* before it is looked for: what comes meanwhile is not promised */
        status = gather(&asking, error);
    }
    if (status == CLIENT_OK) {
        struct story_bus groups = {.settings = &asking.settings,
                                   .connection = asking.connection,
                                   .topics = &asking.topics,
                                   .history = sources->history,
                                   .finder = sources->finder,
                                   .deadline_ms = asking.deadline_ms,
                                   .group = question->group};
        story_groups_fill(&groups, story);
        story_publishers_fill(story, sources->observer);
        story_tree(story);
        tell_left_off(&asking);
    }
    deinit(&asking);
    return status;
}
