#include "bus/api/http_dead_inside.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>

void http_dead_add(struct http_dead *module, const struct http_route *route)
{
    assert(module->route_count < sizeof module->routes / sizeof module->routes[0]);
    struct http_route *own = &module->routes[module->route_count++];
    *own = *route;
    own->context = module;
}

/* --- one look --- */

static bool on_read(void *context, const char *topic, int64_t done, int64_t total)
{
    struct dead_ask *ask = context;
    (void)topic, (void)done, (void)total;
    ask->is_late |= clock_mono_ms(clock_system()) >= ask->until_ms ||
                    (ask->http != NULL && http_is_stopping(ask->http));
    return !ask->is_late;
}

void dead_ask_fail(const struct dead_ask *ask, const struct client_error *error,
                   struct http_reply *reply)
{
    if (error->status == CLIENT_NOT_FOUND) {
        http_problem(reply, 404, "Not found",
                     "group '%s' gave nothing up: there is no topic %s. A service with key lanes "
                     "writes there what it cannot handle",
                     ask->group, ask->view.dlq_topic);
    } else {
        http_api_fail(reply, error, "the dead letters could not be read");
    }
}

static bool choose(struct dead_ask *ask, const char *cause, struct http_reply *reply)
{
    struct reason reason = {""};
    if (cause == NULL) {
        return true;
    }
    ask->where = where_new(dead_fields());
    if (where_add_any(ask->where, "cause", "=", &cause, 1, 0, &reason) != ERR_NONE) {
        http_problem(reply, 400, "Bad cause", "cause: %s", reason.text);
        return false;
    }
    return true;
}

void dead_ask_who(const struct http_request *request, char who[DEAD_WHO_BYTES])
{
    const char *peer = http_peer(request);
    snprintf(who, DEAD_WHO_BYTES, "http%s%s", peer[0] != '\0' ? " " : "", peer);
}

bool dead_ask_open(struct dead_ask *ask, struct http_dead *module,
                   const struct http_request *request, const char *cause, struct http_reply *reply)
{
    *ask = (struct dead_ask){.module = module,
                             .http = http_server(request),
                             .group = http_segment(request, "group"),
                             .until_ms = clock_mono_ms(clock_system()) + DEAD_READ_MS};
    const struct dead_view_settings settings = {.connection = module->parts->connection,
                                                .group = ask->group,
                                                .cases_max = DEAD_EVENTS_MAX,
                                                .progress = on_read,
                                                .context = ask};
    struct client_error error;
    bool has_place = atomic_fetch_add(&module->readers, 1) < DEAD_READERS_MAX;
    dead_view_init(&ask->view, &settings);
    if (!has_place) {
        http_problem(reply, 503, "Busy", "dead letters are being read for others; try again");
        http_reply_header(reply, "Retry-After", "1");
        return false;
    }
    if (!choose(ask, cause, reply)) {
        return false;
    }
    if (dead_view_load(&ask->view, &settings, &error) != CLIENT_OK) {
        dead_ask_fail(ask, &error, reply);
        return false;
    }
    return true;
}

void dead_ask_close(struct dead_ask *ask)
{
    dead_view_deinit(&ask->view);
    where_free(ask->where);
    atomic_fetch_sub(&ask->module->readers, 1);
}

bool dead_ask_each(struct dead_ask *ask, bool (*each)(void *context, const struct dead_seen *seen),
                   void *context, struct http_reply *reply)
{
    struct client_error error;
    ask->until_ms = clock_mono_ms(clock_system()) + DEAD_READ_MS;
    if (dead_view_each(&ask->view, ask->where, each, context, &error) != CLIENT_OK) {
        dead_ask_fail(ask, &error, reply);
        return false;
    }
    return true;
}

const char *dead_ask_stopped(const struct dead_ask *ask)
{
    return ask->is_late ? "time" : ask->view.is_too_many ? "events" : "complete";
}
