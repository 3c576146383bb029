#include "bus/map/map_watch.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/priority.h"
#include "base/thread.h"
#include "base/time_text.h"
#include "bus/map/map_layout.h"
#include "bus/map/map_watch_inside.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_MS = 500,
    GROUPS_MS = 1000,
    LOOK_PART = 100,  /* it looks less often when it takes more than this part of a core */
    GROUPS_PART = 10, /* and asks the bus no more than this part of the time */
    GROUPS_MOST_MS = 30000,
    HISTORY_MS = 60000,
    THIN_MS = 60 * 60 * 1000,
};

static int64_t wall_ms(void)
{
    return clock_wall_ms(clock_system());
}

static int64_t mono_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* --- history --- */

static char *path_of(const struct map_watch *map, const char *name)
{
    return mem_sprintf("%s/%s", map->parts->dir, name);
}

static void restore(void *context, const struct flow_place *place)
{
    struct map_watch *map = context;
    map_feed_restore(map->feed, place->topic, place->topic_id, place->partition, place->next,
                     place->end);
}

static enum err load(struct map_watch *map, struct reason *reason)
{
    enum err err = flow_history_load(map->history, &map->facts, reason);
    return err != ERR_NONE ? err : flow_history_places(map->history, restore, map, reason);
}

static void tell_trouble(struct map_watch *map, const struct reason *reason)
{
    if (map->history_trouble[0] == '\0') {
        LOG_WARN("bus", "history of flows cannot be kept: the flow map goes on without",
                 "reason=\"%s\"", reason->text);
    }
    snprintf(map->history_trouble, sizeof map->history_trouble, "%s", reason->text);
}

/* What stood there is gone; what is known now is kept anew. */
static void rebuild_history(struct map_watch *map, const char *path, const struct reason *why)
{
    LOG_ERROR("bus", "history of flows is damaged: it is removed, and begins anew",
              "path=\"%s\" reason=\"%s\"", path, why->text);
    flow_history_close(map->history);
    map->history = NULL;
    flow_history_remove(path);
    for (struct map_fact *fact = map->facts.by_key; fact != NULL; fact = fact->hh.next) {
        fact->id = 0;
    }
}

/* Under the lock. */
static void open_history(struct map_watch *map)
{
    struct reason reason;
    char *path = path_of(map, "flows.db");
    (void)mkdir(map->parts->dir, DIR_MODE); /* whoever of the layer comes first makes it */
    enum err err = flow_history_open(path, &map->history, &reason);
    if (err == ERR_NONE && !map->has_loaded) {
        err = load(map, &reason);
        map->has_loaded = err == ERR_NONE;
    }
    if (err == ERR_CORRUPT) {
        rebuild_history(map, path, &reason);
        err = flow_history_open(path, &map->history, &reason);
    }
    if (err != ERR_NONE) {
        flow_history_close(map->history);
        map->history = NULL;
        tell_trouble(map, &reason);
    } else if (map->history_trouble[0] != '\0') {
        map->history_trouble[0] = '\0';
        LOG_INFO("bus", "history of flows is kept again", "path=\"%s\"", path);
    }
    free(path);
}

/* Under the lock: by whoever comes first, the watch or our own thread. */
static void open_first(struct map_watch *map)
{
    if (!map->has_opened) {
        map->has_opened = true;
        open_history(map);
    }
}

struct places {
    VEC_FIELDS(struct flow_place);
};

static void gather_place(void *context, struct slice topic, const uint8_t topic_id[16],
                         int32_t partition, int64_t next, int64_t end)
{
    struct flow_place place = {.topic = topic, .partition = partition, .next = next, .end = end};
    memcpy(place.topic_id, topic_id, sizeof place.topic_id);
    vec_push((struct places *)context, place);
}

static void flush(struct map_watch *map, int64_t now_ms)
{
    struct places places = {0};
    struct reason reason;
    pthread_mutex_lock(&map->lock);
    if (map->history == NULL) {
        open_history(map);
    }
    if (map->history != NULL) {
        map_feed_each(map->feed, gather_place, &places);
        enum err err = flow_history_flush(map->history, &map->facts, places.items, places.count,
                                          now_ms, &reason);
        if (err == ERR_NONE && mono_ms() >= map->next_thin_ms) {
            map->next_thin_ms = mono_ms() + THIN_MS;
            err = flow_history_thin(map->history, now_ms, &reason);
        }
        if (err == ERR_CORRUPT) {
            char *path = path_of(map, "flows.db");
            rebuild_history(map, path, &reason);
            free(path);
        } else if (err != ERR_NONE) {
            tell_trouble(map, &reason);
        } else {
            map->history_trouble[0] = '\0';
        }
    }
    pthread_mutex_unlock(&map->lock);
    vec_deinit(&places);
}

/* --- the sink --- */

static int64_t begin(void *context, const struct feed_source *source)
{
    struct map_watch *map = context;
    struct slice topic = slice_str(source->topic);
    static const char dead[] = "dlq.";
    bool is_dead_letters =
        topic.size >= sizeof dead - 1 && memcmp(topic.data, dead, sizeof dead - 1) == 0;
    if (map_hides_topic(topic) && !is_dead_letters) {
        return FEED_NOT_WANTED;
    }
    pthread_mutex_lock(&map->lock);
    open_first(map);
    int64_t next = map_feed_next(map->feed, source);
    pthread_mutex_unlock(&map->lock);
    return next < 0 ? FEED_FROM_START : next;
}

static void take(void *context, const struct feed_piece *piece)
{
    struct map_watch *map = context;
    pthread_mutex_lock(&map->lock);
    map_feed_take(map->feed, piece, wall_ms());
    pthread_mutex_unlock(&map->lock);
}

/* --- rules --- */

static bool read_file(const char *path, struct buf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    for (ssize_t got = 1; got > 0 && text->size <= MAP_RULES_BYTES;) {
        buf_reserve(text, 4096);
        got = read(fd, text->data + text->size, 4096);
        text->size += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return true;
}

/* Wrong rules are told, and those from before stay. */
static void read_rules(struct map_watch *map, const char *path)
{
    struct map_rules *rules = NULL;
    struct buf text = {0};
    struct reason reason;
    enum err err = ERR_NONE;
    if (read_file(path, &text)) {
        err = map_rules_read(buf_slice(&text), &rules, &reason);
    }
    pthread_mutex_lock(&map->lock);
    if (err == ERR_NONE) {
        map_rules_free(map->rules);
        map->rules = rules;
        map->rules_trouble[0] = '\0';
    } else {
        snprintf(map->rules_trouble, sizeof map->rules_trouble, "%s", reason.text);
        LOG_WARN("bus", "rules of the flow map are wrong: those from before stay",
                 "path=\"%s\" reason=\"%s\"", path, reason.text);
    }
    pthread_mutex_unlock(&map->lock);
    buf_deinit(&text);
}

static void look_at_rules(struct map_watch *map)
{
    struct stat status;
    char *path = path_of(map, "map.rules");
    int64_t changed_ms = -1;
    if (stat(path, &status) == 0) {
        changed_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    }
    if (changed_ms != map->rules_changed_ms) {
        map->rules_changed_ms = changed_ms;
        read_rules(map, path);
    }
    free(path);
}

/* --- looking --- */

static void tell_alert(void *context, const struct map_alert *alert)
{
    struct buf text = {0};
    (void)context;
    map_alert_text(alert, &text);
    if (alert->over_ms > 0) {
        LOG_INFO("bus", "flow map: an alert is over", "alert=%s what=\"%s\"",
                 map_alert_word(alert->kind), buf_cstr(&text));
    } else {
        LOG_WARN("bus", "flow map: an alert", "alert=%s what=\"%s\"", map_alert_word(alert->kind),
                 buf_cstr(&text));
    }
    buf_deinit(&text);
}

/* Under the lock. */
static void build(struct map_watch *map, const struct map_facts *facts, int64_t at_ms, bool is_past,
                  struct map_graph *graph)
{
    struct map_view view = {.now_ms = at_ms, .rules = map->rules, .is_past = is_past};
    map_graph_build(facts, &view, graph);
}

static void look(struct map_watch *map, int64_t dt_ms)
{
    struct map_graph graph;
    int64_t now_ms = wall_ms();
    if (map->parts->observer != NULL) {
        map_look_at_clients(map, now_ms);
    }
    pthread_mutex_lock(&map->lock);
    map_facts_tick(&map->facts, now_ms, dt_ms);
    if (map->facts.groups_ms > 0 || map->facts.groups_error[0] != '\0') {
        build(map, &map->facts, now_ms, false, &graph);
        map_alerts_look(map->alerts, &graph, tell_alert, NULL);
        map_graph_deinit(&graph);
    }
    pthread_mutex_unlock(&map->lock);
}

static int64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void ask_groups(struct map_watch *map)
{
    int64_t began_ms = mono_ms();
    map_ask_groups(map, wall_ms());
    if (map->has_groups_failed) { /* it waited, which costs nobody anything */
        map->next_groups_ms = mono_ms() + GROUPS_MS;
        return;
    }
    int64_t wait_ms = (mono_ms() - began_ms) * GROUPS_PART;
    wait_ms = wait_ms < GROUPS_MS ? GROUPS_MS : wait_ms > GROUPS_MOST_MS ? GROUPS_MOST_MS : wait_ms;
    map->next_groups_ms = began_ms + wait_ms - LOOK_MS / 10;
}

/* Until it is time to look again; false: it is over. */
static bool wait_for(struct map_watch *map, int64_t ms)
{
    struct timespec until = cond_after_ms(ms);
    pthread_mutex_lock(&map->lock);
    while (!map->is_stopping && pthread_cond_timedwait(&map->wake, &map->lock, &until) == 0) {
    }
    bool goes_on = !map->is_stopping;
    pthread_mutex_unlock(&map->lock);
    return goes_on;
}

static void *run(void *context)
{
    struct map_watch *map = context;
    int64_t wait_ms = 0;
    priority_set_nice(PRIORITY_NICE_BEHIND); /* and with it the threads of its client */
    map->looked_ms = mono_ms();
    map->next_history_ms = map->looked_ms + HISTORY_MS;
    pthread_mutex_lock(&map->lock);
    open_first(map);
    pthread_mutex_unlock(&map->lock);
    while (wait_for(map, wait_ms)) {
        int64_t began_ns = cpu_ns(), began_ms = mono_ms();
        if (began_ms >= map->next_groups_ms) {
            ask_groups(map);
        }
        look_at_rules(map);
        look(map, mono_ms() - map->looked_ms);
        map->looked_ms = mono_ms();
        if (map->looked_ms >= map->next_history_ms) {
            map->next_history_ms = map->looked_ms + HISTORY_MS;
            flush(map, wall_ms());
        }
        int64_t took_ms = (cpu_ns() - began_ns) * LOOK_PART / 1000000;
        wait_ms = took_ms > LOOK_MS ? took_ms : LOOK_MS - (mono_ms() - began_ms);
        wait_ms = wait_ms < LOOK_MS / 4 ? LOOK_MS / 4 : wait_ms;
    }
    flush(map, wall_ms());
    return NULL;
}

/* --- life --- */

void *map_watch_make(const struct bus_parts *parts)
{
    struct map_watch *map = mem_new(struct map_watch);
    struct reason reason;
    map->parts = parts;
    map->rules_changed_ms = -1;
    pthread_mutex_init(&map->lock, NULL);
    cond_init(&map->wake);
    map_facts_init(&map->facts, wall_ms());
    map->facts.has_observer = parts->observer != NULL;
    map->feed = map_feed_new(&map->facts, parts->observer != NULL ? map_find_producer : NULL, map);
    map->alerts = map_alerts_new();
    watch_add(parts->watch, &(struct watch_sink){.context = map, .begin = begin, .take = take});
    map->is_started = thread_start(&map->thread, "map", 0, run, map, &reason) == ERR_NONE;
    if (!map->is_started) {
        LOG_ERROR("bus", "flow map does not run", "reason=\"%s\"", reason.text);
    }
    return map;
}

static void stop(struct map_watch *map)
{
    pthread_mutex_lock(&map->lock);
    map->is_stopping = true;
    pthread_cond_signal(&map->wake);
    pthread_mutex_unlock(&map->lock);
    if (map->is_started) {
        pthread_join(map->thread, NULL);
    }
}

void map_watch_free(void *module)
{
    struct map_watch *map = module;
    if (map != NULL) {
        stop(map);
        flow_history_close(map->history);
        map_feed_free(map->feed);
        map_facts_deinit(&map->facts);
        map_alerts_free(map->alerts);
        map_rules_free(map->rules);
        pthread_mutex_destroy(&map->lock);
        pthread_cond_destroy(&map->wake);
        free(map);
    }
}

/* --- for routes --- */

/* Under the lock. */
static enum err build_past(struct map_watch *map, int64_t at_ms, struct map_graph *graph,
                           struct reason *reason)
{
    struct map_facts facts;
    char time[TIME_TEXT_SIZE];
    if (map->history == NULL) {
        return reason_fail(reason, ERR_NOT_FOUND, "the history of flows is not there: %s",
                           map->history_trouble);
    }
    if (at_ms < map->facts.began_ms) {
        return reason_fail(reason, ERR_NOT_FOUND, "nobody watched then: the map begins at %s",
                           time_format(map->facts.began_ms, time));
    }
    map_facts_init(&facts, map->facts.began_ms);
    facts.has_observer = map->facts.has_observer;
    enum err err = flow_history_at(map->history, at_ms, &facts, reason);
    if (err == ERR_NONE) {
        build(map, &facts, at_ms, true, graph);
    }
    map_facts_deinit(&facts);
    return err;
}

enum err map_watch_graph(struct map_watch *map, int64_t at_ms, struct map_graph *graph,
                         struct reason *reason)
{
    enum err err = ERR_NONE;
    pthread_mutex_lock(&map->lock);
    if (at_ms == 0) {
        build(map, &map->facts, wall_ms(), false, graph);
    } else {
        err = build_past(map, at_ms, graph, reason);
    }
    pthread_mutex_unlock(&map->lock);
    if (err == ERR_NONE) {
        map_layout(graph);
    }
    return err;
}

json_t *map_watch_alerts(struct map_watch *map)
{
    pthread_mutex_lock(&map->lock);
    json_t *json = map_alerts_json(map->alerts);
    pthread_mutex_unlock(&map->lock);
    return json;
}

size_t map_watch_open_alerts(struct map_watch *map)
{
    pthread_mutex_lock(&map->lock);
    size_t count = map_alerts_open(map->alerts);
    pthread_mutex_unlock(&map->lock);
    return count;
}

void map_watch_trouble(struct map_watch *map, char text[256])
{
    pthread_mutex_lock(&map->lock);
    const char *trouble = map->history_trouble[0] != '\0' ? map->history_trouble
                          : map->rules_trouble[0] != '\0' ? map->rules_trouble
                                                          : map->facts.groups_error;
    snprintf(text, 256, "%s", trouble);
    pthread_mutex_unlock(&map->lock);
}
