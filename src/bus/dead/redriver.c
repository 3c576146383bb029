#include "bus/dead/redriver.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/thread.h"
#include "base/time_text.h"
#include "bus/event/json_word.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { KEPT_OVER = 32, FILE_MAX = 1024 * 1024, RETRY_MS = 2000 };

/* One redrive. What it is stays; how far it is, is under the redriver's lock. */
struct redrive {
    struct redriver *redriver;
    char *group, *who;
    char plan[DEAD_ID_SIZE], task[DEAD_ID_SIZE];
    int64_t rate;
    bool goes_on; /* it was begun by a process before this one */
    pthread_t thread;
    bool has_thread;

    bool is_over, is_left, is_cancelled;
    bool has_ended; /* its thread uses nothing any more */
    int64_t asked_ms;
    struct dead_fact fact; /* borrows from this struct */
    char why[200];
    struct client_error error; /* CLIENT_OK, or why it could not go on */
    struct redrive *next, *prev;
};

struct redriver {
    const struct connection_settings *connection;
    char *path;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t stopping;
    bool is_stopping;
    struct redrive *all;     /* in the order of their beginning */
    pthread_mutex_t writing; /* of the file: taken before the lock */
};

/* --- the file --- */

static json_t *list_json(struct redriver *redriver)
{
    struct redrive *at;
    json_t *list = json_array();
    pthread_mutex_lock(&redriver->lock);
    DL_FOREACH (redriver->all, at) {
        if (!at->is_over || at->is_left) {
            json_array_append_new(list,
                                  json_pack("{s:o,s:s,s:s,s:I,s:o}", "group", json_utf8(at->group),
                                            "plan", at->plan, "task", at->task, "rate",
                                            (json_int_t)at->rate, "who", json_utf8(at->who)));
        }
    }
    pthread_mutex_unlock(&redriver->lock);
    return list;
}

/* What cannot be kept is told; the redrive goes on, but would not after the end of the process. */
static void keep(struct redriver *redriver)
{
    struct reason reason = {""};
    pthread_mutex_lock(&redriver->writing);
    json_t *list = list_json(redriver);
    char *text = json_dumps(list, JSON_INDENT(1));
    if (file_replace(file_ops_system(), redriver->path, text, strlen(text), &reason) != ERR_NONE) {
        LOG_WARN("bus", "the redrives at work cannot be kept: they would not go on after a restart",
                 "reason=\"%s\"", reason.text);
    }
    pthread_mutex_unlock(&redriver->writing);
    free(text);
    json_decref(list);
}

/* --- one at work --- */

static bool is_stopping(struct redriver *redriver)
{
    pthread_mutex_lock(&redriver->lock);
    bool result = redriver->is_stopping;
    pthread_mutex_unlock(&redriver->lock);
    return result;
}

static bool leaves(void *context)
{
    struct redrive *redrive = context;
    return is_stopping(redrive->redriver);
}

static bool on_read(void *context, const char *topic, int64_t done, int64_t total)
{
    (void)topic, (void)done, (void)total;
    return !leaves(context);
}

/* The texts of a task are those of the run, which ends before the redrive does. */
static void take_fact(struct redrive *redrive, const struct dead_fact *fact)
{
    redrive->fact = *fact;
    redrive->fact.who = redrive->who;
    redrive->fact.changed_ms = clock_wall_ms(clock_system());
}

static bool on_run(void *context, const struct dead_fact *fact)
{
    struct redrive *redrive = context;
    pthread_mutex_lock(&redrive->redriver->lock);
    take_fact(redrive, fact);
    bool goes_on = !redrive->is_cancelled;
    pthread_mutex_unlock(&redrive->redriver->lock);
    return goes_on;
}

/* What the record says of a task that goes on; false: it is over. */
static bool is_open_still(struct dead_view *view, struct redrive *redrive, int64_t *began_ms)
{
    json_t *tasks = NULL;
    struct client_error error;
    bool is_open = true;
    if (dead_tasks_read(view, redrive->task, &tasks, &error) == CLIENT_OK) {
        const json_t *task = json_object_get(tasks, redrive->task);
        const char *state = json_string_value(json_object_get(task, "state"));
        const char *began = json_string_value(json_object_get(task, "began"));
        is_open = state == NULL || strcmp(state, "running") == 0 || strcmp(state, "silent") == 0;
        if (began != NULL) {
            (void)!time_parse(began, 0, began_ms, NULL);
        }
    }
    json_decref(tasks);
    return is_open;
}

static enum client_status run_plan(struct redrive *redrive, struct dead_view *view,
                                   struct dead_plan *plan, struct client_error *error)
{
    struct dead_run run = {.connection = redrive->redriver->connection,
                           .group = redrive->group,
                           .plan = plan,
                           .rate = redrive->rate,
                           .who = redrive->who,
                           .progress = on_run,
                           .leaves = leaves,
                           .context = redrive};
    memcpy(run.task_id, redrive->task, sizeof run.task_id);
    if (redrive->goes_on) {
        if (!is_open_still(view, redrive, &run.began_ms)) {
            return CLIENT_OK;
        }
        dead_plan_ended(plan, view->index, &run.done_before, &run.failed_before);
    }
    (void)dead_plan_check(plan, view->index);
    enum client_status status = dead_run(&run, error);
    pthread_mutex_lock(&redrive->redriver->lock);
    if (run.task.state != NULL) {
        take_fact(redrive, &run.task);
    }
    memcpy(redrive->why, run.why, sizeof redrive->why);
    pthread_mutex_unlock(&redrive->redriver->lock);
    return status;
}

static enum client_status attempt(struct redrive *redrive, struct client_error *error)
{
    struct dead_view view;
    struct dead_plan plan;
    const struct dead_view_settings settings = {.connection = redrive->redriver->connection,
                                                .group = redrive->group,
                                                .progress = on_read,
                                                .context = redrive};
    enum client_status status = dead_view_load(&view, &settings, error);
    if (status == CLIENT_OK) {
        status = dead_plan_load(&view, redrive->plan, &plan, error);
        if (status == CLIENT_OK && view.is_stopped) {
            status = client_fail(error, CLIENT_CLOSED, NULL, "it is left where it is");
        }
        if (status == CLIENT_OK) {
            status = run_plan(redrive, &view, &plan, error);
        }
        dead_plan_deinit(&plan);
    }
    dead_view_deinit(&view);
    return status;
}

/* A bus that is away for a moment does not end what a process before began. True: it stops. */
static bool waits_before_next(struct redriver *redriver)
{
    struct timespec until = cond_after_ms(RETRY_MS);
    int code = 0;
    pthread_mutex_lock(&redriver->lock);
    while (!redriver->is_stopping && code == 0) {
        code = pthread_cond_timedwait(&redriver->stopping, &redriver->lock, &until);
    }
    bool stops = redriver->is_stopping;
    pthread_mutex_unlock(&redriver->lock);
    return stops;
}

static bool has_begun(struct redrive *redrive)
{
    pthread_mutex_lock(&redrive->redriver->lock);
    bool result = redrive->fact.state != NULL;
    pthread_mutex_unlock(&redrive->redriver->lock);
    return result;
}

static void *work(void *context)
{
    struct redrive *redrive = context;
    struct redriver *redriver = redrive->redriver;
    struct client_error error = {0};
    enum client_status status;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    do {
        status = attempt(redrive, &error);
    } while (redrive->goes_on && !has_begun(redrive) &&
             (status == CLIENT_UNREACHABLE || status == CLIENT_TIMED_OUT) &&
             !waits_before_next(redriver));
    pthread_mutex_lock(&redriver->lock);
    redrive->is_left = redriver->is_stopping && status != CLIENT_OK;
    redrive->error = status == CLIENT_OK ? (struct client_error){0} : error;
    redrive->error.status = status;
    redrive->is_over = true;
    pthread_mutex_unlock(&redriver->lock);
    if (!redrive->is_left) {
        keep(redriver);
        LOG_INFO("bus", "a redrive ended", "group=\"%s\" task=%s reason=\"%s\"", redrive->group,
                 redrive->task, status == CLIENT_OK ? "" : error.text);
    }
    pthread_mutex_lock(&redriver->lock);
    redrive->has_ended = true;
    pthread_mutex_unlock(&redriver->lock);
    return NULL;
}

/* --- life --- */

static void free_redrive(struct redrive *redrive)
{
    if (redrive->has_thread) {
        pthread_join(redrive->thread, NULL);
    }
    free(redrive->group);
    free(redrive->who);
    free(redrive);
}

/* Those that are over are known for a while. The lock is held. */
static void forget_oldest(struct redriver *redriver)
{
    struct redrive *at, *next;
    size_t count = 0;
    DL_FOREACH (redriver->all, at) {
        count++;
    }
    DL_FOREACH_SAFE (redriver->all, at, next) {
        if (count > KEPT_OVER && at->has_ended) {
            DL_DELETE(redriver->all, at);
            free_redrive(at);
            count--;
        }
    }
}

static struct redrive *make(struct redriver *redriver, const char *group, const char *plan,
                            int64_t rate, const char *who)
{
    struct redrive *redrive = mem_new(struct redrive);
    redrive->redriver = redriver;
    redrive->group = mem_strdup(group);
    redrive->who = mem_strdup(who);
    redrive->rate = rate;
    redrive->asked_ms = clock_wall_ms(clock_system());
    snprintf(redrive->plan, sizeof redrive->plan, "%s", plan);
    return redrive;
}

static void begin(struct redrive *redrive)
{
    struct reason reason = {""};
    redrive->has_thread =
        thread_start(&redrive->thread, "redrive", 0, work, redrive, &reason) == ERR_NONE;
    if (!redrive->has_thread) {
        pthread_mutex_lock(&redrive->redriver->lock);
        redrive->is_over = redrive->is_left = redrive->has_ended = true;
        (void)client_fail(&redrive->error, CLIENT_FULL, NULL, "there is no thread for it: %s",
                          reason.text);
        pthread_mutex_unlock(&redrive->redriver->lock);
    }
}

/* Whether the file may name it so: what stands there may be anything. */
static bool is_id(const char *text)
{
    return text != NULL && strlen(text) == DEAD_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == DEAD_ID_SIZE - 1;
}

static void take_line(struct redriver *redriver, const json_t *line)
{
    const char *group = json_string_value(json_object_get(line, "group"));
    const char *plan = json_string_value(json_object_get(line, "plan"));
    const char *task = json_string_value(json_object_get(line, "task"));
    const char *who = json_string_value(json_object_get(line, "who"));
    int64_t rate = json_integer_value(json_object_get(line, "rate"));
    if (group != NULL && group[0] != '\0' && who != NULL && is_id(plan) && is_id(task) &&
        rate >= 0) {
        struct redrive *redrive = make(redriver, group, plan, rate, who);
        redrive->goes_on = true;
        snprintf(redrive->task, sizeof redrive->task, "%s", task);
        DL_APPEND(redriver->all, redrive);
    }
}

/* A file that is missing or damaged says nothing: the tasks' records stay, and their plans can be
 * run again. */
static void load(struct redriver *redriver)
{
    char *text = NULL;
    struct redrive *at;
    size_t i;
    json_t *line;
    if (file_load_text(file_ops_system(), redriver->path, FILE_MAX, &text, NULL) == ERR_NONE) {
        json_t *list = json_loads(text, 0, NULL);
        json_array_foreach(list, i, line)
        {
            if (i < REDRIVES_MAX) {
                take_line(redriver, line);
            }
        }
        json_decref(list);
    }
    free(text);
    DL_FOREACH (redriver->all, at) {
        LOG_INFO("bus", "a redrive goes on", "group=\"%s\" task=%s", at->group, at->task);
        begin(at);
    }
}

struct redriver *redriver_new(const struct connection_settings *connection, const char *path)
{
    struct redriver *redriver = mem_new(struct redriver);
    redriver->connection = connection;
    redriver->path = mem_strdup(path);
    pthread_mutex_init(&redriver->lock, NULL);
    pthread_mutex_init(&redriver->writing, NULL);
    cond_init(&redriver->stopping);
    load(redriver);
    return redriver;
}

void redriver_free(struct redriver *redriver)
{
    struct redrive *at, *next;
    if (redriver == NULL) {
        return;
    }
    pthread_mutex_lock(&redriver->lock);
    redriver->is_stopping = true;
    pthread_cond_broadcast(&redriver->stopping);
    pthread_mutex_unlock(&redriver->lock);
    DL_FOREACH_SAFE (redriver->all, at, next) {
        free_redrive(at);
    }
    pthread_cond_destroy(&redriver->stopping);
    pthread_mutex_destroy(&redriver->writing);
    pthread_mutex_destroy(&redriver->lock);
    free(redriver->path);
    free(redriver);
}

/* --- for who asks --- */

/* The lock is held. */
static enum client_status check_room(struct redriver *redriver, const char *group, const char *plan,
                                     struct client_error *error)
{
    struct redrive *at;
    size_t at_work = 0;
    DL_FOREACH (redriver->all, at) {
        bool is_same = strcmp(at->group, group) == 0 && strcmp(at->plan, plan) == 0;
        if (!at->is_over && is_same) {
            return client_fail(error, CLIENT_CONFLICT, "wait for it, or cancel it",
                               "this plan is at work already, as task %s", at->task);
        }
        at_work += !at->is_over;
    }
    return at_work < REDRIVES_MAX
               ? CLIENT_OK
               : client_fail(error, CLIENT_FULL, "try again when one of them is over",
                             "%d redrives are at work here", REDRIVES_MAX);
}

enum client_status redriver_start(struct redriver *redriver, const char *group, const char *plan,
                                  int64_t rate, const char *who, char task[DEAD_ID_SIZE],
                                  struct client_error *error)
{
    struct redrive *redrive = make(redriver, group, plan, rate, who);
    memcpy(task, dead_id_draw(redrive->task), DEAD_ID_SIZE);
    pthread_mutex_lock(&redriver->lock);
    enum client_status status = check_room(redriver, group, plan, error);
    if (status == CLIENT_OK) {
        forget_oldest(redriver);
        DL_APPEND(redriver->all, redrive);
    }
    pthread_mutex_unlock(&redriver->lock);
    if (status != CLIENT_OK) {
        free_redrive(redrive);
        return status;
    }
    keep(redriver);
    begin(redrive);
    return CLIENT_OK;
}

/* The lock is held. */
static struct redrive *find(struct redriver *redriver, const char *group, const char *task)
{
    struct redrive *at;
    DL_FOREACH (redriver->all, at) {
        if (strcmp(at->task, task) == 0 && strcmp(at->group, group) == 0) {
            return at;
        }
    }
    return NULL;
}

bool redriver_cancel(struct redriver *redriver, const char *group, const char *task)
{
    pthread_mutex_lock(&redriver->lock);
    struct redrive *at = find(redriver, group, task);
    bool is_ours = at != NULL && !at->is_over;
    if (is_ours) {
        at->is_cancelled = true;
    }
    pthread_mutex_unlock(&redriver->lock);
    return is_ours;
}

/* The lock is held. */
static json_t *say(const struct redrive *redrive)
{
    struct dead_fact fact = redrive->fact;
    bool has_begun = fact.state != NULL;
    if (!has_begun) {
        fact = (struct dead_fact){.kind = DEAD_FACT_TASK,
                                  .rate = redrive->rate,
                                  .who = redrive->who,
                                  .time_ms = redrive->asked_ms,
                                  .changed_ms = redrive->asked_ms};
        memcpy(fact.id, redrive->task, sizeof fact.id);
        memcpy(fact.plan, redrive->plan, sizeof fact.plan);
    }
    if (!redrive->is_over) {
        fact.state = redrive->is_cancelled ? "cancelling" : has_begun ? "running" : "reading";
    } else if (!has_begun || strcmp(fact.state, "running") == 0) {
        fact.state = "stopped";
    }
    json_t *json = dead_task_to_json(&fact);
    json_object_del(json, "changed_ms");
    json_object_set_new(json, "cancel_requested", json_boolean(redrive->is_cancelled));
    if (redrive->why[0] != '\0') {
        json_object_set_new(json, "why", json_utf8(redrive->why));
    }
    if (redrive->is_over && redrive->error.status != CLIENT_OK) {
        json_object_set_new(json, "error", json_utf8(redrive->error.text));
        json_object_set_new(json, "hint", json_utf8(redrive->error.hint));
    }
    return json;
}

json_t *redriver_task(struct redriver *redriver, const char *group, const char *task)
{
    pthread_mutex_lock(&redriver->lock);
    const struct redrive *at = find(redriver, group, task);
    bool knows =
        at != NULL && (!at->is_over || at->error.status != CLIENT_OK || at->fact.state != NULL);
    json_t *json = knows ? say(at) : NULL;
    pthread_mutex_unlock(&redriver->lock);
    return json;
}
