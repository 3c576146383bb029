#include "bus/http/http_inside.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/thread.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORKERS = 8,
    CONNECTIONS_MAX = 256,
    REQUEST_MS = 20000,
    IDLE_MS = 30000,
    REPLY_MS = 300000,
    BODIES_MAX = 64 * 1024 * 1024,
    WAITING_A_WORKER = 16, /* requests */
    SILENCE_SECONDS = 60   /* libmicrohttpd's: nothing moves though something should */
};

/* --- making --- */

static void fill_in(struct http_settings *to)
{
    to->workers = to->workers != 0 ? to->workers : WORKERS;
    to->connections_max = to->connections_max != 0 ? to->connections_max : CONNECTIONS_MAX;
    to->request_ms = to->request_ms != 0 ? to->request_ms : REQUEST_MS;
    to->idle_ms = to->idle_ms != 0 ? to->idle_ms : IDLE_MS;
    to->reply_ms = to->reply_ms != 0 ? to->reply_ms : REPLY_MS;
    to->bodies_max = to->bodies_max != 0 ? to->bodies_max : BODIES_MAX;
}

static enum err load(struct http *http, struct reason *reason)
{
    static const char *const names[] = {HTTP_FUNCTIONS(LIBRARY_NAME) NULL};
    static const char *const files[] = {"libmicrohttpd.so.12", "libmicrohttpd.so", NULL};
    char why[128];
    if (library_load(files, names, http->functions, why, sizeof why)) {
        return ERR_NONE;
    }
    return reason_fail(reason, ERR_IO,
                       "no HTTP: %s (Debian's package libmicrohttpd12 has it; http.listeners= goes "
                       "without HTTP)",
                       why);
}

static struct http *make(const struct http_settings *settings)
{
    struct http *http = mem_new(struct http);
    http->settings = *settings;
    fill_in(&http->settings);
    http->allowed_hosts = mem_strdup(settings->allowed_hosts);
    http->listener.fd = -1;
    http->streamer = (struct http_streamer){http_stream_begin, http};
    pthread_mutex_init(&http->lock, NULL);
    cond_init(&http->tick);
    cond_init(&http->ended);
    return http;
}

enum err http_open(const struct http_settings *settings, struct http **http, struct reason *reason)
{
    struct http *made = make(settings);
    enum err err = load(made, reason);
    if (err == ERR_NONE) {
        err = http_listener_open(settings->listener, settings->may_move, &made->listener, reason);
    }
    if (err != ERR_NONE) {
        http_free(made);
        *http = NULL;
        return err;
    }
    bool has_hosts = made->allowed_hosts != NULL && made->allowed_hosts[0] != '\0';
    made->guard = (struct http_guard){.is_loopback = made->listener.is_loopback,
                                      .allowed_hosts = has_hosts ? made->allowed_hosts : NULL};
    *http = made;
    return ERR_NONE;
}

void http_add_routes(struct http *http, const struct http_route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        http_routes_add(&http->routes, &routes[i]);
    }
}

void http_route_each(const struct http *http,
                     void (*each)(void *context, const struct http_route *route), void *context)
{
    for (size_t i = 0; i < http->routes.count; i++) {
        each(context, http->routes.items[i]);
    }
}

const char *http_address(const struct http *http)
{
    return http->listener.address;
}

/* --- running --- */

/*
 * What requests took goes back to the system once they are over; the allocator would keep the most
 * that they ever took together. That holds up who allocates for some ms, so it waits for a moment
 * without requests, if one comes soon.
 */
static void give_memory_back(struct http *http)
{
    enum { WORTH_BYTES = 4 * 1024 * 1024, PATIENCE_MS = 10000 };
    uint64_t moved = atomic_load(&http->moved_bytes);
    int64_t now_ms = clock_mono_ms(clock_system());
    unsigned busy, waiting;
    if (moved - http->given_back_bytes < WORTH_BYTES) {
        return;
    }
    if (http->calm_wanted_ms == 0) {
        http->calm_wanted_ms = now_ms;
    }
    http_workers_counts(http->workers, &busy, &waiting);
    bool is_calm = busy == 0 && waiting == 0 && atomic_load(&http->body_bytes) == 0;
    if (is_calm || now_ms - http->calm_wanted_ms >= PATIENCE_MS) {
        http->given_back_bytes = moved;
        http->calm_wanted_ms = 0;
        malloc_trim(0);
    }
}

static void *tick(void *context)
{
    struct http *http = context;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    pthread_mutex_lock(&http->lock);
    while (!http->is_tick_over) {
        struct timespec until = cond_after_ms(1000);
        pthread_cond_timedwait(&http->tick, &http->lock, &until);
        pthread_mutex_unlock(&http->lock);
        http_cut_slow(http, false);
        http_streams_beat(http);
        give_memory_back(http);
        pthread_mutex_lock(&http->lock);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

static struct MHD_Daemon *start_daemon(struct http *http)
{
    return MHD_CALL(http, MHD_start_daemon)(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, http_on_request,
        http, MHD_OPTION_LISTEN_SOCKET, http->listener.fd, MHD_OPTION_URI_LOG_CALLBACK,
        http_on_target, http, MHD_OPTION_NOTIFY_COMPLETED, http_on_end, http,
        MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, http, MHD_OPTION_CONNECTION_LIMIT,
        http->settings.connections_max, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_SECONDS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

enum err http_start(struct http *http, struct reason *reason)
{
    unsigned workers = http->settings.workers;
    http->workers = http_workers_new(workers, workers * WAITING_A_WORKER);
    enum err err = thread_start(&http->ticker, "http-tick", 0, tick, http, reason);
    http->has_ticker = err == ERR_NONE;
    if (err == ERR_NONE) {
        http->daemon = start_daemon(http);
        if (http->daemon == NULL) {
            err = reason_fail(reason, ERR_LIMIT,
                              "no thread for HTTP at %s: raise the limit on "
                              "threads or descriptors (ulimit -u, -n)",
                              http->listener.address);
        }
    }
    return err;
}

bool http_is_stopping(const struct http *http)
{
    return atomic_load(&http->is_stopping);
}

struct http_counts http_counts(struct http *http)
{
    struct http_counts counts = {.took_us = atomic_load(&http->took_us),
                                 .cut = atomic_load(&http->cut)};
    for (size_t i = 0; i < sizeof counts.requests / sizeof counts.requests[0]; i++) {
        counts.requests[i] = atomic_load(&http->requests[i]);
    }
    pthread_mutex_lock(&http->lock);
    counts.connections = http->peer_count;
    counts.streams = http->stream_count;
    pthread_mutex_unlock(&http->lock);
    if (http->workers != NULL) {
        http_workers_counts(http->workers, &counts.busy_workers, &counts.waiting);
    }
    return counts;
}

/* --- stopping --- */

static void stop_ticker(struct http *http)
{
    if (http->has_ticker) {
        pthread_mutex_lock(&http->lock);
        http->is_tick_over = true;
        pthread_cond_signal(&http->tick);
        pthread_mutex_unlock(&http->lock);
        pthread_join(http->ticker, NULL);
        http->has_ticker = false;
    }
}

/* Replies on their way: until there are none, or the time is over. */
static void wait_for_replies(struct http *http, const struct timespec *until)
{
    int code = 0;
    pthread_mutex_lock(&http->lock);
    while (code == 0 && http->exchanges > 0) {
        code = pthread_cond_timedwait(&http->ended, &http->lock, until);
    }
    pthread_mutex_unlock(&http->lock);
}

/* Handlers, and then their replies. False: one does not come back. */
static bool wait_for_handlers(struct http *http, int64_t deadline_ms)
{
    enum { TELL_MS = 5000, TELL_TIMES = 6 };
    struct timespec until = cond_after_ms(deadline_ms);
    if (http->workers == NULL) {
        return true;
    }
    http_workers_close(http->workers);
    bool is_over = http_workers_drain(http->workers, deadline_ms);
    for (int i = 0; !is_over && i < TELL_TIMES; i++) {
        LOG_WARN("http", "waiting for a handler that has not come back", "deadline_ms=%lld",
                 (long long)deadline_ms);
        is_over = http_workers_drain(http->workers, TELL_MS);
    }
    wait_for_replies(http, &until);
    return is_over;
}

bool http_stop(struct http *http, int64_t deadline_ms)
{
    if (atomic_exchange(&http->is_stopping, true)) {
        return !http->is_stuck;
    }
    if (http->daemon != NULL) {
        MHD_CALL(http, MHD_quiesce_daemon)(http->daemon); /* the port is ours to close now */
    }
    if (http->listener.fd >= 0) {
        close(http->listener.fd);
    }
    http_streams_end(http);
    http->is_stuck = !wait_for_handlers(http, deadline_ms);
    stop_ticker(http);
    if (http->daemon != NULL && !http->is_stuck) {
        MHD_CALL(http, MHD_stop_daemon)(http->daemon);
        http->daemon = NULL;
    }
    return !http->is_stuck;
}

void http_free(struct http *http)
{
    enum { DEADLINE_MS = 2000 };
    if (http == NULL) {
        return;
    }
    if (!http_stop(http, DEADLINE_MS)) {
        LOG_ERROR("http", "a handler never came back; its memory is left to the end of the process",
                  "%s", http->listener.address);
        return;
    }
    http_workers_free(http->workers);
    vec_deinit(&http->routes);
    pthread_cond_destroy(&http->tick);
    pthread_cond_destroy(&http->ended);
    pthread_mutex_destroy(&http->lock);
    free(http->allowed_hosts);
    free(http);
}
