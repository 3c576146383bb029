#include "bus/api/http_dead_inside.h"

#include "base/clock.h"
#include "bus/dead/dead_republish.h"
#include "bus/event/json_word.h"

#include <string.h>

/* What a redrive would do, by either way. */

static bool take(void *context, const struct dead_seen *seen)
{
    dead_plan_take(context, seen, false);
    return true;
}

/* A plan over what is not wholly known could redrive what was done already. */
bool http_dead_is_whole(const struct dead_ask *ask, struct http_reply *reply)
{
    if (strcmp(dead_ask_stopped(ask), "complete") == 0) {
        return true;
    }
    http_problem(reply, 503, "Too many dead letters",
                 "group '%s' has more dead letters than are read here (in 6 s, of up to %d "
                 "events); the command reads all: tidings deadletter redrive GROUP",
                 ask->group, DEAD_EVENTS_MAX);
    return false;
}

static enum client_status keep_plan(const struct dead_ask *ask, const struct dead_plan *plan,
                                    const char *who, struct client_error *error)
{
    struct dead_writer *writer = NULL;
    enum client_status status =
        dead_writer_open(ask->module->parts->connection, ask->group, &writer, error);
    if (status == CLIENT_OK) {
        status = dead_plan_store(plan, writer, who, clock_wall_ms(clock_system()), error);
    }
    if (status == CLIENT_OK) {
        status = dead_writer_flush(writer, error);
    }
    dead_writer_close(writer);
    return status;
}

/* Makes it and keeps it, if there is anything in it. */
bool http_dead_make_plan(struct dead_ask *ask, struct dead_plan *plan, const char *who,
                         struct http_reply *reply)
{
    struct client_error error;
    if (!dead_ask_each(ask, take, plan, reply) || !http_dead_is_whole(ask, reply)) {
        return false;
    }
    dead_plan_sort(plan);
    if (plan->choices.count > 0 && keep_plan(ask, plan, who, &error) != CLIENT_OK) {
        http_api_fail(reply, &error, "the plan could not be kept");
        return false;
    }
    return true;
}

/* --- who would see what is published again --- */

static json_t *readers_json(const struct dead_readers *readers)
{
    json_t *list = json_array();
    for (size_t i = 0; i < readers->count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o,s:o}", "group", json_utf8(readers->items[i].group),
                                        "topic", json_utf8(readers->items[i].topic)));
    }
    return list;
}

bool http_dead_set_readers(struct http_dead *module, const struct dead_plan *plan, json_t *json,
                           struct http_reply *reply)
{
    struct dead_readers readers;
    struct client_error error;
    enum client_status status =
        dead_readers_find(module->parts->connection, plan, &readers, &error);
    if (status == CLIENT_OK) {
        json_object_set_new(json, "readers", readers_json(&readers));
    } else {
        http_api_fail(reply, &error, "who reads there is not known");
        json_decref(json);
    }
    dead_readers_deinit(&readers);
    return status == CLIENT_OK;
}
