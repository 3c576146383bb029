#include "bus/dead/dead_json.h"

#include "base/clock.h"
#include "base/time_text.h"
#include "bus/event/json_word.h"

#include <stdio.h>
#include <string.h>

void dead_set_text(json_t *object, const char *name, struct slice text)
{
    char encoding[64];
    if (!slice_is_null(text)) {
        snprintf(encoding, sizeof encoding, "%s_encoding", name);
        event_set_bytes(object, name, encoding, text);
    }
}

void dead_set_time(json_t *object, const char *name, int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    json_object_set_new(object, name,
                        time_ms < 0 ? json_null() : json_string(time_format(time_ms, text)));
}

static json_t *number_or_null(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

json_t *dead_seen_to_json(const struct dead_seen *seen)
{
    static const char *const lanes[] = {NULL, "open", "closed"};
    static const char *const kinds[] = {"tidings", "kafka", "foreign"};
    const struct dead_letter *letter = seen->subject.letter;
    char id[DEAD_PLACE_SIZE], newest[DEAD_PLACE_SIZE], edited[DEAD_PLACE_SIZE];
    json_t *json = json_pack(
        "{s:s,s:s,s:I,s:I,s:s,s:s,s:s}", "id", dead_place_text(seen->its->first, id), "state",
        seen->subject.state, "failed_again", (json_int_t)seen->subject.failed_again, "letters",
        (json_int_t)seen->its->letters, "newest", dead_place_text(seen->its->newest, newest),
        "cause", letter->fingerprint, "kind", kinds[letter->kind]);
    dead_set_text(json, "group", letter->group);
    dead_set_text(json, "class", letter->error_class);
    dead_set_text(json, "message", letter->message);
    dead_set_text(json, "handler", letter->handler);
    json_object_set_new(json, "attempts", number_or_null(letter->attempts));
    dead_set_time(json, "first_failure", letter->first_failure_ms);
    dead_set_time(json, "last_failure", letter->last_failure_ms);
    dead_set_time(json, "published", letter->published_ms);
    dead_set_time(json, "died", letter->died_ms);
    json_object_set_new(json, "lane", json_utf8(lanes[letter->lane]));
    json_object_set_new(json, "lane_is_closed", json_boolean(seen->closes_lane));
    json_object_set_new(json, "edited",
                        json_utf8(seen->its->edit.partition >= 0
                                      ? dead_place_text(seen->its->edit, edited)
                                      : NULL));
    dead_set_text(json, "topic", letter->topic);
    json_object_set_new(json, "partition", number_or_null(letter->partition));
    json_object_set_new(json, "offset", number_or_null(letter->offset));
    event_set_bytes(json, "key", "key_encoding", letter->event->key);
    dead_set_text(json, "type", letter->type);
    dead_set_text(json, "source", letter->source);
    dead_set_text(json, "event_id", letter->id);
    return json;
}

json_t *dead_plan_to_json(const struct dead_plan *plan, const char *group, size_t changed)
{
    json_t *passed = json_object();
    for (int state = 0; state < DEAD_STATES; state++) {
        if (plan->passed[state] > 0) {
            json_object_set_new(passed, dead_state_name((enum dead_state)state),
                                json_integer((json_int_t)plan->passed[state]));
        }
    }
    json_t *json = json_pack("{s:o,s:s,s:I,s:o,s:o,s:I,s:I}", "group", json_utf8(group), "plan",
                             plan->id, "events", (json_int_t)plan->choices.count, "lanes",
                             plan->lanes > 0 ? json_integer((json_int_t)plan->lanes) : json_null(),
                             "passed_over", passed, "of_other_tools", (json_int_t)plan->nameless,
                             "changed_since", (json_int_t)changed);
    dead_set_time(json, "first", plan->first_ms);
    dead_set_time(json, "last", plan->last_ms);
    return json;
}

/* --- lanes --- */

static json_t *reason_json(const struct lane_seen_reason *reason, const char *what)
{
    if (reason->text == NULL) {
        return json_null();
    }
    json_t *json = json_object();
    json_object_set_new(json, what, json_utf8(reason->what));
    json_object_set_new(json, "text", json_utf8(reason->text));
    dead_set_time(json, "at", reason->time_ms);
    return json;
}

json_t *lane_seen_to_json(const struct lane_seen *lane)
{
    json_t *json = json_object();
    const struct lane_note *note = &lane->note;
    json_object_set_new(json, "topic", json_utf8(lane->topic));
    json_object_set_new(json, "partition", json_integer(lane->partition));
    event_set_bytes(json, "key", "key_encoding", lane->name.key);
    json_object_set_new(json, "event_offset", number_or_null(lane->name.offset));
    json_object_set_new(json, "state", json_string(lane_seen_state(lane)));
    json_object_set_new(json, "head", number_or_null(lane->head));
    json_object_set_new(json, "attempts", json_integer(note->attempts));
    dead_set_time(json, "first_failure",
                  note->first_failed_ms > 0 ? note->first_failed_ms : (int64_t)-1);
    dead_set_time(json, "noted", lane->noted_ms);
    json_object_set_new(json, "failure", reason_json(&lane->failure, "class"));
    json_object_set_new(json, "held_by", reason_json(&lane->holder, "who"));
    json_object_set_new(json, "events_set_aside", json_integer((json_int_t)lane->events));
    json_object_set_new(json, "bytes_set_aside", json_integer((json_int_t)lane->bytes));
    return json;
}

/* --- tasks --- */

/* The latest of each task, in the order in which they began. */
struct gathered {
    const char *id; /* NULL: all */
    json_t *tasks;  /* id -> JSON */
};

json_t *dead_task_to_json(const struct dead_fact *task)
{
    json_t *json =
        json_pack("{s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:I}", "task", task->id, "plan", task->plan,
                  "state", json_utf8(task->state), "total", (json_int_t)task->total, "sent",
                  (json_int_t)task->sent, "done", (json_int_t)task->done, "failed_again",
                  (json_int_t)task->failed, "refused", (json_int_t)task->refused);
    json_object_set_new(json, "rate", number_or_null(task->rate > 0 ? task->rate : -1));
    json_object_set_new(json, "who", json_utf8(task->who));
    dead_set_time(json, "began", task->time_ms);
    dead_set_time(json, "changed", task->changed_ms);
    json_object_set_new(json, "changed_ms", json_integer((json_int_t)task->changed_ms));
    return json;
}

static bool gather(void *context, const struct dead_fact *fact)
{
    struct gathered *gathered = context;
    if (gathered->id != NULL && strcmp(gathered->id, fact->id) != 0) {
        return true;
    }
    if (fact->kind == DEAD_FACT_TASK && fact->is_erased) {
        json_object_del(gathered->tasks, fact->id);
    } else if (fact->kind == DEAD_FACT_TASK) {
        json_t *before = json_object_get(gathered->tasks, fact->id);
        bool is_cancelled = json_is_true(json_object_get(before, "cancel_requested"));
        json_t *json = dead_task_to_json(fact);
        json_object_set_new(json, "cancel_requested", json_boolean(is_cancelled));
        json_object_set_new(gathered->tasks, fact->id, json);
    } else if (fact->kind == DEAD_FACT_CANCEL) {
        json_t *task = json_object_get(gathered->tasks, fact->id);
        json_object_set_new(task, "cancel_requested", json_boolean(!fact->is_erased));
    }
    return true;
}

/* A command that runs tells so each second. */
static void judge(json_t *tasks)
{
    enum { SILENT_MS = 15000 };
    int64_t now_ms = clock_wall_ms(clock_system());
    const char *id;
    json_t *task;
    json_object_foreach(tasks, id, task)
    {
        int64_t changed_ms = (int64_t)json_integer_value(json_object_get(task, "changed_ms"));
        const char *state = json_string_value(json_object_get(task, "state"));
        bool is_running = state != NULL && strcmp(state, "running") == 0;
        bool is_cancelled = json_is_true(json_object_get(task, "cancel_requested"));
        if (is_running && now_ms - changed_ms > SILENT_MS) {
            json_object_set_new(task, "state", json_string(is_cancelled ? "cancelled" : "silent"));
        } else if (is_running && is_cancelled) {
            json_object_set_new(task, "state", json_string("cancelling"));
        }
        json_object_del(task, "changed_ms");
    }
}

enum client_status dead_tasks_read(struct dead_view *view, const char *id, json_t **tasks,
                                   struct client_error *error)
{
    struct gathered gathered = {.id = id, .tasks = json_object()};
    enum client_status status = dead_view_facts(view, gather, &gathered, error);
    judge(gathered.tasks);
    *tasks = gathered.tasks;
    return status;
}
