#include "bus/bus_layer.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "base/thread.h"
#include "bus/bus_modules.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

enum { MODULES_MAX = 16, RETRY_MS = 2000, INDEX_MEMORY_ENTRIES = 131072, WORKERS = 4 };

struct bus_layer {
    struct bus_layer_settings settings;
    char *index_dir;
    char *history_path;
    struct pattern *exclude; /* NULL: none */
    struct bus_parts parts;
    void *modules[MODULES_MAX];
    struct file_ops files;
    atomic_bool is_full; /* what is left of the disk is for events */
    int64_t listened_ms; /* mono: when it was tried last to listen; the watch's thread */
    bool is_told;        /* that it cannot listen; the same */

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t stopped;
    struct http *http; /* NULL: not yet */
    int64_t deadline_ms;
    bool has_stopped;
    pthread_t stopper;
};

/* --- its directory --- */

/* Made for its user alone. A link is not followed: who can put one there could have the layer write
 * elsewhere. */
static enum err make_dir(void *context, struct reason *reason)
{
    const char *dir = ((struct bus_layer *)context)->settings.dir;
    struct stat is;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return reason_errno(reason, "cannot make %s", dir);
    }
    if (lstat(dir, &is) != 0) {
        return reason_errno(reason, "cannot look at %s", dir);
    }
    if (!S_ISDIR(is.st_mode)) {
        return reason_fail(reason, ERR_IO, "%s is no directory: move it away", dir);
    }
    if ((is.st_mode & 077) != 0 && chmod(dir, 0700) != 0) {
        return reason_errno(reason, "cannot close %s to other users", dir);
    }
    return ERR_NONE;
}

/*
 * The broker takes no more events when 32 MiB are left, or a 16th of a small disk (log/space.h).
 * Before it comes to that because of an index, the index stands still: at twice as much.
 */
static bool is_nearly_full(const char *dir)
{
    enum { SMALL_PART = 8 };
    static const uint64_t LEAST_BYTES = UINT64_C(64) << 20;
    struct statvfs disk;
    if (statvfs(dir, &disk) != 0) {
        return false;
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t part = (uint64_t)disk.f_blocks * disk.f_frsize / SMALL_PART;
    return free_bytes < (part < LEAST_BYTES ? part : LEAST_BYTES);
}

static ssize_t write_if_room(void *context, int fd, const struct iovec *iov, int count,
                             int64_t position)
{
    struct bus_layer *layer = context;
    const struct file_ops *system = file_ops_system();
    if (atomic_load(&layer->is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return system->pwritev(system->context, fd, iov, count, position);
}

static bool is_indexed(void *context, const char *topic)
{
    struct bus_layer *layer = context;
    return !indexer_is_own_topic(topic) &&
           (layer->exclude == NULL || !pattern_matches(layer->exclude, slice_str(topic)));
}

/* --- HTTP --- */

static void add_routes(struct bus_layer *layer, struct http *http)
{
    const struct bus_module *modules = bus_modules();
    for (size_t i = 0; modules[i].name != NULL; i++) {
        size_t count = 0;
        const struct http_route *routes =
            modules[i].routes != NULL ? modules[i].routes(layer->modules[i], &count) : NULL;
        if (count > 0) {
            http_add_routes(http, routes, count);
        }
    }
}

static enum err open_http(struct bus_layer *layer, struct reason *reason)
{
    struct http_settings settings = {
        .listener = layer->settings.http_listener,
        .may_move = layer->settings.http_may_move,
        .allowed_hosts = layer->settings.http_allowed_hosts,
        .hides_payloads = layer->settings.http_hides_payloads,
        .workers = WORKERS,
    };
    struct http *http;
    enum err err = http_open(&settings, &http, reason);
    if (err != ERR_NONE) {
        return err;
    }
    add_routes(layer, http);
    err = http_start(http, reason);
    if (err != ERR_NONE) {
        http_free(http);
        return err;
    }
    pthread_mutex_lock(&layer->lock);
    layer->http = http;
    layer->parts.http = http;
    pthread_mutex_unlock(&layer->lock);
    if (layer->settings.http_listens != NULL) {
        layer->settings.http_listens(layer->settings.context, http_address(http));
    }
    return ERR_NONE;
}

/* Once at the start, and on the watch's thread until it can. */
static void listen_when_due(struct bus_layer *layer)
{
    const char *listener = layer->settings.http_listener;
    struct reason reason = {""};
    int64_t now_ms = clock_mono_ms(clock_system());
    if (listener == NULL || listener[0] == '\0' || layer->http != NULL ||
        now_ms - layer->listened_ms < layer->settings.retry_ms) {
        return;
    }
    layer->listened_ms = now_ms;
    if (open_http(layer, &reason) != ERR_NONE && !layer->is_told) {
        layer->is_told = true;
        LOG_WARN("bus", "HTTP cannot be served: tried again until it can",
                 "listen=\"%s\" reason=\"%s\"", listener, reason.text);
    }
}

const char *bus_layer_http(struct bus_layer *layer)
{
    pthread_mutex_lock(&layer->lock);
    const char *address = layer->http != NULL ? http_address(layer->http) : "";
    pthread_mutex_unlock(&layer->lock);
    return address;
}

/* --- the layer's own sink: it takes nothing, and comes before the others' ticks --- */

static int64_t want_nothing(void *context, const struct feed_source *source)
{
    (void)context, (void)source;
    return FEED_NOT_WANTED;
}

static void take_nothing(void *context, const struct feed_piece *piece)
{
    (void)context, (void)piece;
}

static void tick(void *context, int64_t now_ms)
{
    struct bus_layer *layer = context;
    (void)now_ms;
    atomic_store(&layer->is_full, is_nearly_full(layer->settings.dir));
    listen_when_due(layer);
}

/* --- start and stop --- */

static void make_parts(struct bus_layer *layer)
{
    const struct bus_layer_settings *settings = &layer->settings;
    struct watch_settings watch = {.open_feed = settings->open_feed,
                                   .context = settings->context,
                                   .retry_ms = settings->retry_ms};
    struct indexer_settings indexer = {
        .index = {.files = &layer->files,
                  .dir = layer->index_dir,
                  .memory_entries = INDEX_MEMORY_ENTRIES},
        .wants = is_indexed,
        .prepare = make_dir,
        .context = layer,
        .retry_ms = settings->retry_ms,
    };
    struct commit_follower_settings follower = {.prepare = make_dir,
                                                .context = layer,
                                                .keep_ms = settings->history_retention_ms,
                                                .retry_ms = settings->retry_ms};
    struct bus_parts *parts = &layer->parts;
    layer->files = *file_ops_system();
    layer->files.context = layer;
    layer->files.pwritev = write_if_room;
    parts->dir = settings->dir;
    parts->connection = &settings->connection;
    parts->observer = settings->observer;
    parts->asker = bus_asker_new(&settings->connection);
    parts->watch = watch_new(&watch);
    watch_add(parts->watch,
              &(struct watch_sink){
                  .context = layer, .begin = want_nothing, .take = take_nothing, .tick = tick});
    parts->indexer = indexer_new(&indexer, parts->watch);
    parts->history = commit_history_new(layer->history_path);
    parts->follower = commit_follower_new(&follower, parts->history, parts->watch);
}

static void make_modules(struct bus_layer *layer)
{
    const struct bus_module *modules = bus_modules();
    for (size_t i = 0; modules[i].name != NULL && i < MODULES_MAX; i++) {
        layer->modules[i] = modules[i].make(&layer->parts);
    }
}

/* Modules may have threads of their own that wait for the bus: this takes as long as they do. */
static void free_parts(struct bus_layer *layer)
{
    const struct bus_module *modules = bus_modules();
    http_free(layer->http);
    for (size_t i = 0; modules[i].name != NULL && i < MODULES_MAX; i++) {
        if (layer->modules[i] != NULL) {
            modules[i].free(layer->modules[i]);
        }
    }
    commit_follower_free(layer->parts.follower);
    indexer_free(layer->parts.indexer);
    commit_history_close(layer->parts.history);
    watch_free(layer->parts.watch);
    bus_asker_free(layer->parts.asker);
}

static void free_layer(struct bus_layer *layer)
{
    pattern_free(layer->exclude);
    pthread_cond_destroy(&layer->stopped);
    pthread_mutex_destroy(&layer->lock);
    free(layer->index_dir);
    free(layer->history_path);
    free(layer);
}

enum err bus_layer_start(const struct bus_layer_settings *settings, struct bus_layer **out,
                         struct reason *reason)
{
    struct bus_layer *layer = mem_new(struct bus_layer);
    enum err err = ERR_NONE;
    layer->settings = *settings;
    layer->settings.retry_ms = settings->retry_ms > 0 ? settings->retry_ms : RETRY_MS;
    layer->listened_ms = INT64_MIN / 2;
    layer->index_dir = mem_sprintf("%s/index", settings->dir);
    layer->history_path = mem_sprintf("%s/commits.db", settings->dir);
    pthread_mutex_init(&layer->lock, NULL);
    cond_init(&layer->stopped);
    if (settings->index_exclude != NULL && settings->index_exclude[0] != '\0') {
        err = pattern_new(slice_str(settings->index_exclude), &layer->exclude, reason);
    }
    if (err == ERR_NONE) {
        make_parts(layer);
        make_modules(layer);
        listen_when_due(layer);
        err = watch_start(layer->parts.watch, reason);
    }
    if (err != ERR_NONE) {
        free_parts(layer);
        free_layer(layer);
        return err;
    }
    *out = layer;
    return ERR_NONE;
}

/* On a thread of its own: any step may hang in somebody's disk. What the watch or a handler that
 * hangs still uses stays where it is. */
static void *stop(void *context)
{
    struct bus_layer *layer = context;
    if (watch_stop(layer->parts.watch, layer->deadline_ms / 2) &&
        (layer->http == NULL || http_stop(layer->http, layer->deadline_ms / 2))) {
        free_parts(layer);
        pthread_mutex_lock(&layer->lock);
        layer->has_stopped = true;
        pthread_cond_signal(&layer->stopped);
        pthread_mutex_unlock(&layer->lock);
    }
    return NULL;
}

static bool wait_for_stop(struct bus_layer *layer)
{
    struct timespec until = cond_after_ms(layer->deadline_ms);
    int result = 0;
    pthread_mutex_lock(&layer->lock);
    while (!layer->has_stopped && result == 0) {
        result = pthread_cond_timedwait(&layer->stopped, &layer->lock, &until);
    }
    bool has_stopped = layer->has_stopped;
    pthread_mutex_unlock(&layer->lock);
    return has_stopped;
}

bool bus_layer_stop(struct bus_layer *layer, int64_t deadline_ms)
{
    struct reason reason = {""};
    if (layer == NULL) {
        return true;
    }
    layer->deadline_ms = deadline_ms;
    if (thread_start(&layer->stopper, "bus-stop", 0, stop, layer, &reason) != ERR_NONE ||
        !wait_for_stop(layer)) {
        LOG_WARN("bus", "what stands beside the bus does not stop: it is left behind",
                 "waited_ms=%lld reason=\"%s\"", (long long)deadline_ms, reason.text);
        return false;
    }
    pthread_join(layer->stopper, NULL);
    free_layer(layer);
    return true;
}
