#include "bus/watch/watch.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum {
    TICK_MS = 1000,
    RETRY_MS = 5000,
    FIRST_RETRY_MS = 100,
    LEVEL_MS = 20,  /* until it was level once it is looked so often whether it is */
    MEET_LOOKS = 3, /* level at so many ticks, a feed has met all: one answer may be of a bus that
                     * is behind */
    KEY_BYTES = 16 + 4
};

static const int64_t NOT_ASKED = INT64_MIN;

/* How far a sink was told of a partition. */
struct told {
    int64_t next;           /* what it has not had yet, or NOT_ASKED, FEED_NOT_WANTED */
    struct event_mark mark; /* of what it had last, where the bus tells no ids */
    bool is_checked;        /* the feed that is open has that event there still, or has it not */
};

/* A partition of a topic's one life. */
struct place {
    UT_hash_handle hh;
    uint8_t key[KEY_BYTES]; /* topic id, partition; the topic's name where it has no id */
    char *name;             /* "partition topic"; the key where there is no id */
    bool is_met;            /* by the feed that is open */
    bool is_placed;         /* and it has told where the partition ends */
    bool has_id;            /* the bus tells one */
    int64_t end;            /* up to where it could be read when it was last */
    struct told told[];     /* each sink */
};

struct watch {
    struct watch_settings settings;
    struct watch_sink sinks[WATCH_SINKS_MAX];
    size_t sink_count;
    struct place *places;
    atomic_size_t partitions; /* that places are of; the thread's, others read it */
    int64_t ticked_ms;        /* mono */
    bool is_level;            /* since it was opened, the feed was at some time */
    int level_looks;          /* at so many ticks, up to MEET_LOOKS */
    int64_t looked_ms;        /* the last of these ticks */
    bool begins_again;        /* a sink begins before what the feed gives */
    int64_t pause_ms;         /* after the last failure; 0: the feed works */
    pthread_t thread;
    bool is_started;

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t wake;
    struct feed *feed; /* changed by the thread alone */
    bool stops;
    bool has_ended; /* the thread, but for its last step */
    bool is_woken;
    unsigned waiting;        /* in watch_catch_up */
    pthread_cond_t levelled; /* level_ms has changed */
    int64_t level_ms;        /* as the feed told last */
    uint32_t again;          /* a bit for each sink that is to be asked anew */
    struct watch_state state;
    struct watch_progress progress[WATCH_SINKS_MAX];
};

/* --- places --- */

static struct place *find_place(struct watch *watch, const struct feed_source *source)
{
    struct place *place;
    uint8_t key[KEY_BYTES];
    memcpy(key, source->topic_id, 16);
    memcpy(key + 16, &source->partition, sizeof source->partition);
    if (feed_has_id(source)) {
        HASH_FIND(hh, watch->places, key, sizeof key, place);
        return place;
    }
    char *name = mem_sprintf("%d %s", (int)source->partition, source->topic);
    HASH_FIND_STR(watch->places, name, place);
    free(name);
    return place;
}

static struct place *add_place(struct watch *watch, const struct feed_source *source)
{
    struct place *place = mem_alloc(sizeof *place + watch->sink_count * sizeof place->told[0]);
    memset(place, 0, sizeof *place);
    memcpy(place->key, source->topic_id, 16);
    memcpy(place->key + 16, &source->partition, sizeof source->partition);
    for (size_t i = 0; i < watch->sink_count; i++) {
        place->told[i] = (struct told){.next = NOT_ASKED, .mark = event_mark_none()};
    }
    place->name = mem_sprintf("%d %s", (int)source->partition, source->topic);
    place->has_id = feed_has_id(source);
    if (place->has_id) {
        HASH_ADD(hh, watch->places, key, sizeof place->key, place);
    } else {
        HASH_ADD_KEYPTR(hh, watch->places, place->name, strlen(place->name), place);
    }
    return place;
}

static void drop_place(struct watch *watch, struct place *place)
{
    HASH_DEL(watch->places, place);
    free(place->name);
    free(place);
}

/* Without the lock: a feed may hold its own while it asks where to begin, and is woken under ours.
 */
static void note_partitions(struct watch *watch)
{
    atomic_store(&watch->partitions, HASH_COUNT(watch->places));
}

static void ask_sink(struct watch *watch, size_t sink, struct place *place,
                     const struct feed_source *source)
{
    const struct watch_sink *of = &watch->sinks[sink];
    struct told *told = &place->told[sink];
    int64_t next = of->begin(of->context, source);
    told->next = next == FEED_FROM_START ? 0 : next;
    told->mark =
        of->last != NULL && !place->has_id ? of->last(of->context, source) : event_mark_none();
}

/* Where the feed has to begin for it: at its last event, if that tells whether the topic is the
 * same. */
static int64_t begin_for(struct told *told)
{
    told->is_checked = told->mark.offset < 0 || told->mark.offset >= told->next;
    return told->is_checked ? told->next : told->mark.offset;
}

/* The lowest that any sink wants: what the feed asks when it meets a partition. */
static int64_t begin(void *context, const struct feed_source *source)
{
    struct watch *watch = context;
    struct place *place = find_place(watch, source);
    int64_t lowest = FEED_NOT_WANTED;
    if (place == NULL) {
        place = add_place(watch, source);
        note_partitions(watch);
    }
    place->is_met = true;
    place->is_placed = false;
    for (size_t i = 0; i < watch->sink_count; i++) {
        if (place->told[i].next == NOT_ASKED) {
            ask_sink(watch, i, place, source);
        }
        int64_t from = begin_for(&place->told[i]);
        if (from != FEED_NOT_WANTED && (lowest == FEED_NOT_WANTED || from < lowest)) {
            lowest = from;
        }
    }
    return lowest;
}

/* --- giving out --- */

/* The piece without what the sink has had. */
static struct feed_piece rest_of(const struct feed_piece *piece, int64_t next)
{
    struct feed_piece rest = *piece;
    while (rest.count > 0 && rest.events[0].event.offset < next) {
        rest.events++;
        rest.count--;
    }
    if (rest.damaged_from >= 0 && rest.damaged_from < next) {
        rest.damaged_from = next;
    }
    return rest;
}

/* mark: of the piece's last event, or none. */
static void give(struct watch *watch, size_t sink, struct place *place,
                 const struct feed_piece *piece, const struct event_mark *mark)
{
    const struct watch_sink *to = &watch->sinks[sink];
    struct told *told = &place->told[sink];
    if (told->next < 0) {
        return; /* not wanted */
    }
    if (piece->kind == FEED_GONE) {
        to->take(to->context, piece);
    } else if (piece->next_offset > told->next) {
        struct feed_piece rest = rest_of(piece, told->next);
        told->mark = mark->offset >= told->next ? *mark : told->mark;
        told->next = piece->next_offset;
        to->take(to->context, &rest);
    }
}

/* What the sink has not had of the partition, as far as is known. */
static int64_t behind(const struct place *place, size_t sink)
{
    int64_t next = place->told[sink].next;
    return next >= 0 && next < place->end ? place->end - next : 0;
}

/*
 * Whether the piece shows that the event that the sink had last is not there, though retention has
 * not taken it: what stands there is another topic's. Once it was compacted away, the partition is
 * taken for another one, too: it is read again in vain then.
 */
static bool is_another(struct told *told, const struct feed_piece *piece)
{
    const int64_t offset = told->mark.offset;
    if (told->is_checked || piece->next_offset <= offset) {
        return false;
    }
    told->is_checked = true;
    for (size_t i = 0; i < piece->count; i++) {
        if (piece->events[i].event.offset == offset) {
            struct event_mark found = event_mark_of(&piece->events[i].event);
            return !event_mark_is_same(&found, &told->mark);
        }
    }
    return piece->start_offset <= offset;
}

/*
 * Where a bus tells no ids: what a sink has had lies behind the partition's end, or is not what
 * stands there, so its topic was made again while nobody looked. The feed sees the former only if
 * no other sink begins before the end.
 */
static void find_made_again(struct watch *watch, struct place *place,
                            const struct feed_piece *piece)
{
    struct feed_piece gone = {.kind = FEED_GONE, .source = piece->source, .damaged_from = -1};
    bool is_first = !place->is_placed;
    place->is_placed = true;
    for (size_t i = 0; i < watch->sink_count; i++) {
        struct told *told = &place->told[i];
        if (is_another(told, piece) || (is_first && told->next > piece->end_offset)) {
            watch->sinks[i].take(watch->sinks[i].context, &gone);
            ask_sink(watch, i, place, &piece->source);
            if (told->next >= 0 && told->next < piece->next_offset) {
                told->next = NOT_ASKED; /* by the next feed, which begins there */
                watch->begins_again = true;
            }
        }
    }
}

/* The partition was read on, and what can be read there may be more than it was. */
static void give_to_all(struct watch *watch, struct place *place, const struct feed_piece *piece)
{
    int64_t before[WATCH_SINKS_MAX];
    struct event_mark mark = event_mark_none();
    if (piece->kind == FEED_EVENTS && !place->has_id) {
        find_made_again(watch, place, piece);
        mark = piece->count > 0 ? event_mark_of(&piece->events[piece->count - 1].event) : mark;
    }
    for (size_t i = 0; i < watch->sink_count; i++) {
        before[i] = behind(place, i);
        give(watch, i, place, piece, &mark);
    }
    place->end = piece->kind == FEED_GONE ? 0 : piece->end_offset;
    pthread_mutex_lock(&watch->lock);
    watch->state.events += (int64_t)piece->count;
    for (size_t i = 0; i < watch->sink_count; i++) {
        watch->progress[i].behind += behind(place, i) - before[i];
    }
    pthread_mutex_unlock(&watch->lock);
}

/* The feed works: it gave something, or has nothing more. */
static void note_level(struct watch *watch, int64_t level_ms)
{
    pthread_mutex_lock(&watch->lock);
    if (watch->state.is_failing) {
        LOG_INFO("bus", "the feed of events can be read again", "events=%lld",
                 (long long)watch->state.events);
    }
    watch->state.is_failing = false;
    watch->state.failure[0] = '\0';
    for (size_t i = 0; level_ms > 0 && i < watch->sink_count; i++) {
        bool is_asked_anew = (watch->again >> i & 1) != 0;
        if (!is_asked_anew) {
            watch->progress[i].level_ms = level_ms;
        }
    }
    if (level_ms > 0) {
        watch->is_level = true;
        watch->level_ms = level_ms;
        pthread_cond_broadcast(&watch->levelled);
    }
    pthread_mutex_unlock(&watch->lock);
}

static void forget(struct watch *watch, struct place *place)
{
    struct feed_piece gone = {.kind = FEED_GONE, .damaged_from = -1};
    gone.source.topic = strchr(place->name, ' ') + 1;
    memcpy(gone.source.topic_id, place->key, 16);
    memcpy(&gone.source.partition, place->key + 16, sizeof gone.source.partition);
    give_to_all(watch, place, &gone);
    drop_place(watch, place);
}

/* What a feed has not met that was opened anew went while none was open. */
static void forget_unmet(struct watch *watch)
{
    struct place *place, *next;
    if (watch->level_looks == MEET_LOOKS || watch->looked_ms == watch->ticked_ms) {
        return;
    }
    watch->looked_ms = watch->ticked_ms;
    if (++watch->level_looks < MEET_LOOKS) {
        return;
    }
    HASH_ITER (hh, watch->places, place, next) {
        if (!place->is_met) {
            forget(watch, place);
        }
    }
    note_partitions(watch);
}

static void take(struct watch *watch, const struct feed_piece *piece)
{
    struct place *place = piece->kind == FEED_NOTHING ? NULL : find_place(watch, &piece->source);
    if (place != NULL) {
        give_to_all(watch, place, piece);
    }
    if (place != NULL && piece->kind == FEED_GONE) {
        drop_place(watch, place);
        note_partitions(watch);
    }
    if (piece->level_ms > 0) {
        forget_unmet(watch);
    }
    watch->pause_ms = 0;
    note_level(watch, watch->begins_again ? 0 : piece->level_ms);
}

/* --- the feed's life --- */

static void set_feed(struct watch *watch, struct feed *feed)
{
    pthread_mutex_lock(&watch->lock);
    struct feed *before = watch->feed;
    watch->feed = feed;
    pthread_cond_broadcast(&watch->levelled); /* it may not be waited for any more */
    pthread_mutex_unlock(&watch->lock);
    watch->is_level = false;
    feed_free(before);
}

/* What is behind is counted anew with the next one: a partition may not come again. */
static void close_feed(struct watch *watch)
{
    set_feed(watch, NULL);
    for (struct place *place = watch->places; place != NULL; place = place->hh.next) {
        place->end = 0;
        place->is_met = false;
    }
    watch->level_looks = 0;
    pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->sink_count; i++) {
        watch->progress[i].behind = 0;
    }
    pthread_mutex_unlock(&watch->lock);
}

/* Sinks that want to be asked anew: the feed begins again, and all others keep their places. */
static void begin_again(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    uint32_t again = watch->again;
    watch->again = 0;
    pthread_mutex_unlock(&watch->lock);
    if (again == 0 && !watch->begins_again) {
        return;
    }
    watch->begins_again = false;
    close_feed(watch);
    for (struct place *place = watch->places; place != NULL; place = place->hh.next) {
        for (size_t i = 0; i < watch->sink_count; i++) {
            if ((again >> i & 1) != 0) {
                place->told[i].next = NOT_ASKED;
            }
        }
    }
}

static void tick(struct watch *watch)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    pthread_mutex_lock(&watch->lock);
    bool is_due = watch->is_woken || now_ms - watch->ticked_ms >= watch->settings.tick_ms;
    watch->is_woken = false;
    pthread_mutex_unlock(&watch->lock);
    if (!is_due) {
        return;
    }
    watch->ticked_ms = now_ms;
    for (size_t i = 0; i < watch->sink_count; i++) {
        const struct watch_sink *sink = &watch->sinks[i];
        if (sink->tick != NULL) {
            sink->tick(sink->context, clock_wall_ms(clock_system()));
        }
    }
}

static int wait_for_feed_ms(struct watch *watch)
{
    bool is_short = !watch->is_level && watch->settings.tick_ms > LEVEL_MS;
    pthread_mutex_lock(&watch->lock);
    bool is_waited_for = watch->waiting > 0 && watch->feed->lag_ms == 0;
    pthread_mutex_unlock(&watch->lock);
    return is_waited_for ? 1 : is_short ? LEVEL_MS : watch->settings.tick_ms;
}

static enum err read_once(struct watch *watch, struct reason *reason)
{
    struct feed_piece piece;
    if (watch->feed == NULL) {
        struct feed *feed =
            watch->settings.open_feed(watch->settings.context, begin, watch, reason);
        if (feed == NULL) {
            return ERR_AGAIN;
        }
        set_feed(watch, feed);
    }
    enum err err = feed_next(watch->feed, wait_for_feed_ms(watch), &piece, reason);
    if (err == ERR_NONE) {
        take(watch, &piece);
    }
    return err;
}

/* Told once; the feed is opened anew where each sink stands. */
static void note_failure(struct watch *watch, const struct reason *reason)
{
    close_feed(watch);
    pthread_mutex_lock(&watch->lock);
    bool was_failing = watch->state.is_failing;
    watch->state.is_failing = true;
    memcpy(watch->state.failure, reason->text, sizeof watch->state.failure);
    pthread_mutex_unlock(&watch->lock);
    if (!was_failing) {
        LOG_WARN("bus", "the feed of events cannot be read: tried again until it can",
                 "reason=\"%s\"", reason->text);
    }
}

/* Twice as long each time, or until a stop; sinks are ticked meanwhile. */
static void wait_a_while(struct watch *watch)
{
    int64_t pause_ms = watch->pause_ms > 0 ? watch->pause_ms * 2 : FIRST_RETRY_MS;
    watch->pause_ms = pause_ms < watch->settings.retry_ms ? pause_ms : watch->settings.retry_ms;
    int64_t until_ms = clock_mono_ms(clock_system()) + watch->pause_ms;
    int64_t left_ms;
    bool stops = false;
    while (!stops && (left_ms = until_ms - clock_mono_ms(clock_system())) > 0) {
        bool is_short = left_ms < watch->settings.tick_ms;
        struct timespec until = cond_after_ms(is_short ? left_ms : watch->settings.tick_ms);
        pthread_mutex_lock(&watch->lock);
        if (!watch->stops && !watch->is_woken) {
            pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
        }
        stops = watch->stops;
        pthread_mutex_unlock(&watch->lock);
        tick(watch);
    }
}

static bool is_stopping(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool stops = watch->stops;
    pthread_mutex_unlock(&watch->lock);
    return stops;
}

static void *run(void *context)
{
    struct watch *watch = context;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    while (!is_stopping(watch)) {
        struct reason reason = {""};
        tick(watch);
        begin_again(watch);
        if (read_once(watch, &reason) != ERR_NONE) {
            note_failure(watch, &reason);
            wait_a_while(watch);
        }
    }
    set_feed(watch, NULL);
    pthread_mutex_lock(&watch->lock);
    watch->has_ended = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* --- from outside --- */

/* Under the lock. */
static void wake(struct watch *watch)
{
    pthread_cond_broadcast(&watch->wake);
    if (watch->feed != NULL) {
        feed_wake(watch->feed);
    }
}

void watch_again(struct watch *watch, const void *sink_context)
{
    pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->sink_count; i++) {
        if (watch->sinks[i].context == sink_context) {
            watch->again |= UINT32_C(1) << i;
            watch->progress[i].level_ms = 0;
        }
    }
    wake(watch);
    pthread_mutex_unlock(&watch->lock);
}

void watch_wake(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->is_woken = true;
    wake(watch);
    pthread_mutex_unlock(&watch->lock);
}

struct watch_state watch_state(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    struct watch_state state = watch->state;
    state.partitions = atomic_load(&watch->partitions);
    pthread_mutex_unlock(&watch->lock);
    return state;
}

struct watch_progress watch_progress(struct watch *watch, const void *sink_context)
{
    struct watch_progress progress = {0};
    pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->sink_count; i++) {
        if (watch->sinks[i].context == sink_context) {
            progress = watch->progress[i];
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return progress;
}

/* Under the lock. */
static bool can_catch_up(const struct watch *watch)
{
    return watch->feed != NULL && watch->feed->lag_ms == 0 && !watch->state.is_failing &&
           !watch->stops;
}

bool watch_catch_up(struct watch *watch, int64_t timeout_ms)
{
    struct timespec until = cond_after_ms(timeout_ms);
    int result = 0;
    pthread_mutex_lock(&watch->lock);
    int64_t asked_ms = clock_wall_ms(clock_system());
    watch->waiting++;
    if (can_catch_up(watch)) {
        feed_wake(watch->feed);
    }
    while (can_catch_up(watch) && watch->level_ms <= asked_ms && result == 0) {
        result = pthread_cond_timedwait(&watch->levelled, &watch->lock, &until);
    }
    watch->waiting--;
    bool is_level = watch->level_ms > asked_ms;
    pthread_mutex_unlock(&watch->lock);
    return is_level;
}

/* --- start and stop --- */

struct watch *watch_new(const struct watch_settings *settings)
{
    struct watch *watch = mem_new(struct watch);
    watch->settings = *settings;
    watch->settings.tick_ms = settings->tick_ms > 0 ? settings->tick_ms : TICK_MS;
    watch->settings.retry_ms = settings->retry_ms > 0 ? settings->retry_ms : RETRY_MS;
    watch->is_woken = true; /* the first tick comes before the feed is opened */
    pthread_mutex_init(&watch->lock, NULL);
    cond_init(&watch->wake);
    cond_init(&watch->levelled);
    return watch;
}

void watch_add(struct watch *watch, const struct watch_sink *sink)
{
    assert(!watch->is_started && watch->sink_count < WATCH_SINKS_MAX);
    watch->sinks[watch->sink_count++] = *sink;
}

enum err watch_start(struct watch *watch, struct reason *reason)
{
    enum err err = thread_start(&watch->thread, "watch", 0, run, watch, reason);
    watch->is_started = err == ERR_NONE;
    return err;
}

bool watch_stop(struct watch *watch, int64_t deadline_ms)
{
    struct timespec until = cond_after_ms(deadline_ms);
    if (!watch->is_started) {
        return true;
    }
    pthread_mutex_lock(&watch->lock);
    watch->stops = true;
    pthread_cond_broadcast(&watch->levelled);
    wake(watch);
    int result = 0;
    while (!watch->has_ended && result == 0) {
        result = pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
    }
    bool has_ended = watch->has_ended;
    pthread_mutex_unlock(&watch->lock);
    if (has_ended) {
        pthread_join(watch->thread, NULL);
        watch->is_started = false;
    }
    return has_ended;
}

void watch_free(struct watch *watch)
{
    struct place *place, *next;
    if (watch == NULL) {
        return;
    }
    assert(!watch->is_started);
    HASH_ITER (hh, watch->places, place, next) {
        drop_place(watch, place);
    }
    pthread_cond_destroy(&watch->levelled);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
