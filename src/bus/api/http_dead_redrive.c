#include "bus/api/http_dead_inside.h"

#include "base/clock.h"
#include "bus/event/json_word.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 64 * 1024, RATE_MAX = 1000000 };

/* What a request to redrive says. */
struct wish {
    json_t *json;
    const char *cause, *plan;                /* NULL: not by that */
    int is_all, is_dry, is_again, is_agreed; /* as json_unpack wants truth values */
    json_int_t rate;
};

static bool is_id(const char *text)
{
    return strlen(text) == DEAD_ID_SIZE - 1 && strspn(text, "0123456789abcdef") == DEAD_ID_SIZE - 1;
}

static bool read_wish(const struct http_request *request, struct wish *wish,
                      struct http_reply *reply)
{
    struct slice body = http_body(request);
    json_error_t error;
    *wish = (struct wish){
        .json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, &error)};
    int code =
        wish->json == NULL
            ? -1
            : json_unpack_ex(wish->json, &error, JSON_STRICT, "{s?s,s?s,s?b,s?b,s?b,s?b,s?I}",
                             "cause", &wish->cause, "plan", &wish->plan, "all", &wish->is_all,
                             "dry_run", &wish->is_dry, "republish", &wish->is_again,
                             "others_will_see_it", &wish->is_agreed, "rate", &wish->rate);
    int ways = (wish->cause != NULL) + (wish->plan != NULL) + (wish->is_all != 0);
    if (code == 0 && ways == 1 && wish->rate >= 0 && wish->rate <= RATE_MAX &&
        !(wish->is_dry && wish->plan != NULL) && !(wish->is_again && wish->rate > 0) &&
        !(wish->is_agreed && !wish->is_again) && (wish->plan == NULL || is_id(wish->plan))) {
        return true;
    }
    http_problem(
        reply, 400, "Bad redrive",
        "the body is a JSON object with one of \"cause\" (of /dead-letters), \"plan\" "
        "(of a dry run) and \"all\": true, and may have \"dry_run\": true (not with a "
        "plan), \"rate\", a number of letters a second, or \"republish\": true, and with it "
        "\"others_will_see_it\": true%s%s",
        code != 0 ? ": " : "", code != 0 ? error.text : "");
    return false;
}

/* --- plans --- */

static bool has_lanes(const struct dead_ask *ask, struct http_reply *reply)
{
    if (ask->view.has_lanes) {
        return true;
    }
    http_problem(reply, 409, "No lanes",
                 "group '%s' has no lanes (there is no topic %s): its service can only be given "
                 "events by publishing them again, for all who read there: \"republish\": true, as "
                 "tidings deadletter redrive GROUP --republish",
                 ask->group, ask->view.lanes_topic);
    return false;
}

static void start(struct http_dead *module, const char *group, const struct wish *wish,
                  const char *plan, const char *who, struct http_reply *reply)
{
    char task[DEAD_ID_SIZE];
    struct client_error error;
    if (redriver_start(module->redriver, group, plan, wish->rate, who, task, &error) != CLIENT_OK) {
        http_api_fail(reply, &error, "the redrive was not begun");
        return;
    }
    json_t *json = redriver_task(module->redriver, group, task);
    http_reply_json(reply, 202, json != NULL ? json : json_pack("{s:s}", "task", task));
}

static void do_redrive(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_dead *module = context;
    struct wish wish;
    struct dead_ask ask;
    struct dead_plan plan;
    char who[DEAD_WHO_BYTES];
    dead_ask_who(request, who);
    bool is_fine = read_wish(request, &wish, reply);
    if (is_fine && wish.is_again) {
        const struct dead_again again = {wish.plan, wish.cause, wish.is_dry != 0,
                                         wish.is_agreed != 0};
        http_dead_republish(module, request, &again, reply);
    } else if (is_fine && wish.plan != NULL) {
        start(module, http_segment(request, "group"), &wish, wish.plan, who, reply);
    } else if (is_fine) {
        dead_plan_init(&plan);
        if (dead_ask_open(&ask, module, request, wish.cause, reply) && has_lanes(&ask, reply) &&
            http_dead_make_plan(&ask, &plan, who, reply)) {
            if (wish.is_dry || plan.choices.count == 0) {
                http_reply_json(reply, 200, dead_plan_to_json(&plan, ask.group, 0));
            } else {
                start(module, ask.group, &wish, plan.id, who, reply);
            }
        }
        dead_ask_close(&ask);
        dead_plan_deinit(&plan);
    }
    json_decref(wish.json);
}

static bool measure(void *context, const struct dead_seen *seen)
{
    dead_plan_measure(context, seen);
    return true;
}

/* For a group without lanes with who else would see its events. */
static void say_loaded(const struct dead_ask *ask, const struct dead_plan *plan, size_t changed,
                       struct http_reply *reply)
{
    json_t *json = dead_plan_to_json(plan, ask->group, changed);
    json_object_set_new(json, "has_lanes", json_boolean(ask->view.has_lanes));
    if (ask->view.has_lanes || http_dead_set_readers(ask->module, plan, json, reply)) {
        http_reply_json(reply, 200, json);
    }
}

static void say_plan(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct dead_ask ask;
    struct dead_plan plan;
    struct client_error error;
    dead_plan_init(&plan);
    if (dead_ask_open(&ask, context, request, NULL, reply)) {
        dead_plan_deinit(&plan);
        ask.until_ms += DEAD_READ_MS;
        if (dead_plan_load(&ask.view, http_segment(request, "plan"), &plan, &error) != CLIENT_OK) {
            http_api_fail(reply, &error, "the plan");
        } else if (http_dead_is_whole(&ask, reply)) {
            size_t changed = dead_plan_check(&plan, ask.view.index);
            if (dead_ask_each(&ask, measure, &plan, reply)) {
                say_loaded(&ask, &plan, changed, reply);
            }
        }
    }
    dead_plan_deinit(&plan);
    dead_ask_close(&ask);
}

/* --- tasks --- */

struct reading {
    int64_t until_ms;
};

static bool on_read(void *context, const char *topic, int64_t done, int64_t total)
{
    const struct reading *reading = context;
    (void)topic, (void)done, (void)total;
    return clock_mono_ms(clock_system()) < reading->until_ms;
}

/* What the records say; false: the reply says why that is not known. */
static bool read_tasks(struct http_dead *module, const char *group, const char *id, json_t **tasks,
                       bool *is_whole_answer, struct http_reply *reply)
{
    struct dead_view view;
    struct client_error error;
    struct reading reading = {clock_mono_ms(clock_system()) + DEAD_READ_MS};
    const struct dead_view_settings settings = {.connection = module->parts->connection,
                                                .group = group,
                                                .progress = on_read,
                                                .context = &reading};
    dead_view_init(&view, &settings);
    enum client_status status = dead_tasks_read(&view, id, tasks, &error);
    *is_whole_answer = !view.is_stopped;
    dead_view_deinit(&view);
    if (status != CLIENT_OK) {
        http_api_fail(reply, &error, "the redrives could not be read");
    }
    return status == CLIENT_OK;
}

static void say_tasks(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_dead *module = context;
    const char *group = http_segment(request, "group"), *id;
    json_t *tasks = NULL, *task, *list = json_array();
    bool is_whole_answer;
    if (read_tasks(module, group, NULL, &tasks, &is_whole_answer, reply)) {
        json_object_foreach(tasks, id, task)
        {
            json_t *own = redriver_task(module->redriver, group, id);
            json_array_insert_new(list, 0, own != NULL ? own : json_incref(task));
        }
        http_reply_json(reply, 200,
                        json_pack("{s:o,s:O,s:s}", "group", json_utf8(group), "tasks", list,
                                  "stopped", is_whole_answer ? "complete" : "time"));
    }
    json_decref(tasks);
    json_decref(list);
}

/* NULL: the reply says that it is not there, or not known. */
static json_t *find_task(struct http_dead *module, const struct http_request *request,
                         struct http_reply *reply)
{
    const char *group = http_segment(request, "group"), *id = http_segment(request, "task");
    json_t *tasks = NULL, *found = redriver_task(module->redriver, group, id);
    bool is_whole_answer;
    if (found == NULL && read_tasks(module, group, id, &tasks, &is_whole_answer, reply)) {
        found = json_incref(json_object_get(tasks, id));
        if (found == NULL) {
            http_problem(reply, 404, "Not found", "group '%s' has no redrive '%s'", group, id);
        }
    }
    json_decref(tasks);
    return found;
}

static void say_task(void *context, const struct http_request *request, struct http_reply *reply)
{
    json_t *task = find_task(context, request, reply);
    if (task != NULL) {
        http_reply_json(reply, 200, task);
    }
}

/* As `tidings deadletter tasks cancel`: wherever it runs, it hears it. */
static enum client_status say_cancel(struct http_dead *module, const char *group, const char *id,
                                     const char *who, struct client_error *error)
{
    struct dead_writer *writer = NULL;
    struct dead_fact fact = {
        .kind = DEAD_FACT_CANCEL, .time_ms = clock_wall_ms(clock_system()), .who = who};
    snprintf(fact.id, sizeof fact.id, "%s", id);
    enum client_status status = dead_writer_open(module->parts->connection, group, &writer, error);
    if (status == CLIENT_OK) {
        status = dead_writer_put(writer, &fact, error);
    }
    if (status == CLIENT_OK) {
        status = dead_writer_flush(writer, error);
    }
    dead_writer_close(writer);
    return status;
}

static void do_cancel(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_dead *module = context;
    const char *group = http_segment(request, "group"), *id = http_segment(request, "task");
    struct client_error error;
    char who[DEAD_WHO_BYTES];
    json_t *task = find_task(module, request, reply);
    dead_ask_who(request, who);
    if (task == NULL) {
        return;
    }
    json_decref(task);
    (void)redriver_cancel(module->redriver, group, id);
    if (say_cancel(module, group, id, who, &error) != CLIENT_OK) {
        http_api_fail(reply, &error, "the redrive was not cancelled");
        return;
    }
    http_reply_json(reply, 202, json_pack("{s:s,s:b}", "task", id, "cancel_requested", 1));
}

/* --- routes --- */

void http_dead_redrive(struct http_dead *module)
{
    static const struct http_parameter none[] = {{0}};
    static const struct http_route routes[] = {
        {.method = "POST",
         .path = "/v1/groups/{group}/redrives",
         .handle = do_redrive,
         .summary = "Have the group's service handle dead letters once more.",
         .query = none,
         .body_max = BODY_MAX,
         .detail = "The body is JSON: one of `cause`, `plan` and `all` (true); `rate`, letters a "
                   "second; with `dry_run` (true) it is answered what would be redriven (200), "
                   "which is kept as a plan. Else the redrive begins (202), as a task that goes "
                   "on when the client is gone and over restarts. It is what `tidings deadletter "
                   "redrive` does: an instruction to the owner of each lane. With `republish` "
                   "(true), for a "
                   "group without key lanes, the events are published to their topics once more, "
                   "up to 10000 of them, which all who read there see: `readers` says who, and it "
                   "is only done (200) with `others_will_see_it` (true)."},
        {.method = "GET",
         .path = "/v1/groups/{group}/redrives",
         .handle = say_tasks,
         .summary = "The redrives of the group, newest first.",
         .query = none},
        {.method = "GET",
         .path = "/v1/groups/{group}/redrives/{task}",
         .handle = say_task,
         .summary = "One redrive: how far it is.",
         .query = none},
        {.method = "DELETE",
         .path = "/v1/groups/{group}/redrives/{task}",
         .handle = do_cancel,
         .summary = "Have a redrive send no more; what was sent is carried out.",
         .query = none},
        {.method = "GET",
         .path = "/v1/groups/{group}/redrive-plans/{plan}",
         .handle = say_plan,
         .summary = "What is left of the plan of a dry run.",
         .query = none},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        http_dead_add(module, &routes[i]);
    }
}
