#include "bus/api/http_dead_inside.h"

#include "base/clock.h"
#include "bus/dead/dead_republish.h"

#include <string.h>

/* What a request waits for; the command publishes any number. */
enum { EVENTS_MOST = 10000, PUBLISH_MS = 10000 };

static size_t count_others(const json_t *json, const char *group)
{
    size_t i, others = 0;
    json_t *reader;
    json_array_foreach(json_object_get(json, "readers"), i, reader)
    {
        const char *name = json_string_value(json_object_get(reader, "group"));
        others += name == NULL || strcmp(name, group) != 0;
    }
    return others;
}

/* --- what it needs --- */

static bool has_no_lanes(const struct dead_ask *ask, struct http_reply *reply)
{
    if (ask->view.has_lanes) {
        http_problem(reply, 409, "Key lanes",
                     "group '%s' has key lanes: its own service can redrive these, in order; leave "
                     "\"republish\" out",
                     ask->group);
    }
    return !ask->view.has_lanes;
}

static bool load_plan(struct dead_ask *ask, const char *id, struct dead_plan *plan, size_t *changed,
                      struct http_reply *reply)
{
    struct client_error error;
    if (dead_plan_load(&ask->view, id, plan, &error) != CLIENT_OK) {
        http_api_fail(reply, &error, "the plan");
        return false;
    }
    if (!http_dead_is_whole(ask, reply)) {
        return false;
    }
    *changed = dead_plan_check(plan, ask->view.index);
    return true;
}

static bool may_publish(const struct dead_ask *ask, const struct dead_plan *plan,
                        const struct dead_again *again, const json_t *json,
                        struct http_reply *reply)
{
    size_t count = plan->choices.count, others = count_others(json, ask->group);
    if (!again->is_agreed) {
        http_problem(reply, 409, "All who read there would see it",
                     "%zu event%s would be published again, for all who read there: %zu other "
                     "group%s now, see \"readers\" of a dry run; if that is right, say "
                     "\"others_will_see_it\": true. Nothing was done",
                     count, count == 1 ? "" : "s", others, others == 1 ? "" : "s");
        return false;
    }
    if (count > EVENTS_MOST) {
        http_problem(reply, 409, "Too many events",
                     "%zu events are more than the %d that are published here at once; the command "
                     "has no such limit: tidings deadletter redrive %s --plan %s --republish",
                     count, EVENTS_MOST, ask->group, plan->id);
        return false;
    }
    return true;
}

/* --- publishing --- */

static bool on_published(void *context, const struct dead_fact *task)
{
    const int64_t *until_ms = context;
    (void)task;
    return clock_mono_ms(clock_system()) < *until_ms;
}

static void publish(struct dead_ask *ask, const struct dead_plan *plan, const char *who,
                    json_t *json, struct http_reply *reply)
{
    struct client_error error;
    int64_t until_ms = clock_mono_ms(clock_system()) + PUBLISH_MS;
    struct dead_run run = {.connection = ask->module->parts->connection,
                           .group = ask->group,
                           .plan = plan,
                           .who = who,
                           .progress = on_published,
                           .context = &until_ms};
    ask->until_ms = clock_mono_ms(clock_system()) + DEAD_READ_MS;
    enum client_status status = dead_republish(&run, &ask->view, &error);
    if (status != CLIENT_OK) {
        http_api_fail(reply, &error,
                      "not all of it was published again, and what was may be so "
                      "once more when the plan is run again");
        json_decref(json);
        return;
    }
    json_object_set_new(json, "task", json_string(run.task.id));
    json_object_set_new(json, "state", json_string(run.task.state));
    json_object_set_new(json, "sent", json_integer((json_int_t)run.task.sent));
    json_object_set_new(json, "refused", json_integer((json_int_t)run.task.refused));
    http_reply_json(reply, 200, json);
}

static void answer(struct dead_ask *ask, struct dead_plan *plan, const struct dead_again *again,
                   const char *who, struct http_reply *reply)
{
    size_t changed = 0;
    bool is_there = has_no_lanes(ask, reply) &&
                    (again->plan != NULL ? load_plan(ask, again->plan, plan, &changed, reply)
                                         : http_dead_make_plan(ask, plan, who, reply));
    json_t *json = is_there ? dead_plan_to_json(plan, ask->group, changed) : NULL;
    if (json == NULL || !http_dead_set_readers(ask->module, plan, json, reply)) {
        return;
    }
    if (again->is_dry || plan->choices.count == 0) {
        http_reply_json(reply, 200, json);
    } else if (may_publish(ask, plan, again, json, reply)) {
        publish(ask, plan, who, json, reply);
    } else {
        json_decref(json);
    }
}

void http_dead_republish(struct http_dead *module, const struct http_request *request,
                         const struct dead_again *again, struct http_reply *reply)
{
    struct dead_ask ask;
    struct dead_plan plan;
    char who[DEAD_WHO_BYTES];
    dead_ask_who(request, who);
    dead_plan_init(&plan);
    if (dead_ask_open(&ask, module, request, again->cause, reply)) {
        if (again->plan != NULL) {
            dead_plan_deinit(&plan); /* it is loaded */
        }
        answer(&ask, &plan, again, who, reply);
    }
    dead_ask_close(&ask);
    dead_plan_deinit(&plan);
}
