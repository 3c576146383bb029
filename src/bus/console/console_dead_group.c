#include "bus/console/console_payload.h"

#include <inttypes.h>
#include <string.h>

/* The dead letters of one group, by cause, and what a redrive of them would do. */

static const char *group_of(const struct page *page)
{
    return page_query(page, "group", "");
}

/* What the line of the shell needs to mean the same. */
static const char *choice_of(struct page *page)
{
    const char *cause = page_query(page, "cause", NULL);
    return cause != NULL ? html_shell(&page->arena, "--cause {}", cause) : "--all";
}

static const char *redrive_line(struct page *page)
{
    return html_shell(&page->arena, "tidings deadletter redrive {}", group_of(page));
}

/* --- what can be done --- */

static void put_actions(struct page *page, bool has_lanes)
{
    const char *cause = page_query(page, "cause", NULL), *group = group_of(page);
    const char *again = has_lanes ? NULL : "&republish=1";
    const char *action =
        cause != NULL ? html_url(&page->arena, "/dead-letters/plan?group={}&cause={}", group, cause)
                      : html_url(&page->arena, "/dead-letters/plan?group={}", group);
    html_begin(&page->html, "form", "class", "filter", "method", "post", "action",
               page_printf(page, "%s%s", action, again != NULL ? again : ""), NULL);
    html_element(&page->html, "button",
                 has_lanes ? "What would a redrive do?" : "What would publishing again do?", NULL);
    if (cause != NULL) {
        html_element(&page->html, "a", "Discard these…", "href",
                     page_url_with(page, "discard", "1"), NULL);
        html_element(&page->html, "a", "All causes", "href",
                     html_url(&page->arena, "/dead-letters/of?group={}", group), NULL);
    }
    html_element(&page->html, "a", "Lanes of this group", "href",
                 html_url(&page->arena, "/lanes?group={}", group), NULL);
    html_end(&page->html, "form");
    page_command(page, page_printf(page, "%s %s%s --dry-run", redrive_line(page), choice_of(page),
                                   has_lanes ? "" : " --republish"));
}

static int64_t passed_of(const json_t *plan)
{
    const char *state;
    json_t *count;
    int64_t passed = json_number(plan, "of_other_tools") + json_number(plan, "changed_since");
    json_object_foreach(json_object_get(plan, "passed_over"), state, count)
    {
        passed += json_integer_value(count);
    }
    return passed;
}

static void put_start(struct page *page, const char *id, int64_t events)
{
    html_begin(&page->html, "form", "class", "filter", "method", "post", "action",
               html_url(&page->arena, "/dead-letters/redrive?group={}&plan={}", group_of(page), id),
               NULL);
    page_field(page, "Letters a second", "rate", NULL, "as fast as it goes", "wide");
    html_element(
        &page->html, "button",
        page_printf(page, "Redrive %s event%s", page_count(page, events), events == 1 ? "" : "s"),
        "class", "main", NULL);
    html_end(&page->html, "form");
    page_command(page, page_printf(page, "%s --plan %s", redrive_line(page), id));
}

/* What a redrive would do: a plan that was kept, so that exactly that is begun. */
static void put_plan(struct page *page, const char *id)
{
    json_t *problem;
    json_t *plan =
        page_ask(page, html_url(&page->arena, "/v1/groups/{}/redrive-plans/{}", group_of(page), id),
                 &problem);
    if (plan == NULL) {
        page_problem(page, problem);
        return;
    }
    int64_t events = json_number(plan, "events"), lanes = json_number(plan, "lanes");
    bool has_lanes = !json_is_false(json_object_get(plan, "has_lanes"));
    html_begin(&page->html, "section", "class", "say note", "aria-label", "Dry run", NULL);
    html_begin(&page->html, "p", NULL);
    if (has_lanes) {
        html_textf(&page->html,
                   "A redrive has the service handle %s event%s of %s lane%s once more",
                   page_count(page, events), events == 1 ? "" : "s", page_count(page, lanes),
                   lanes == 1 ? "" : "s");
    } else {
        html_textf(&page->html,
                   "This group has no key lanes, so %s event%s would be published to %s once more",
                   page_count(page, events), events == 1 ? "" : "s",
                   events == 1 ? "its topic" : "their topics");
    }
    if (json_time(plan, "first") >= 0) {
        html_text(&page->html, ", which died from ");
        page_time(page, json_time(plan, "first"));
        html_text(&page->html, " to ");
        page_time(page, json_time(plan, "last"));
    }
    html_text(&page->html, has_lanes ? ". Other groups and the topic see nothing of it." : ".");
    if (passed_of(plan) > 0) {
        html_textf(&page->html, " %s not taken: done, discarded, or under way.",
                   page_count(page, passed_of(plan)));
    }
    html_end(&page->html, "p");
    if (events > 0 && has_lanes) {
        put_start(page, json_text(plan, "plan"), events);
    } else if (events > 0) {
        page_dead_put_again(page, plan);
    }
    html_end(&page->html, "section");
}

/* --- causes --- */

static void put_when(struct page *page, int64_t time_ms)
{
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, time_ms);
    html_end(&page->html, "td");
}

/* Events of which nobody said that they are done with. */
static int64_t left_of(const json_t *cause)
{
    static const char *const over[] = {"done", "discarded", "republished"};
    const json_t *states = json_object_get(cause, "states");
    int64_t left = json_number(cause, "events");
    for (size_t i = 0; i < sizeof over / sizeof over[0]; i++) {
        left -= json_integer_value(json_object_get(states, over[i]));
    }
    return left;
}

static void put_cause(struct page *page, const json_t *cause)
{
    const char *kind = json_text(cause, "class"), *message = json_text(cause, "message");
    const char *id = json_text(cause, "cause");
    html_begin(&page->html, "tr", "data-row", id, NULL);
    html_begin(&page->html, "th", "scope", "row", NULL);
    html_element(&page->html, "a",
                 kind != NULL      ? kind
                 : message != NULL ? message
                                   : "nothing was told",
                 "href",
                 html_url(&page->arena, "/dead-letters/of?group={}&cause={}", group_of(page), id),
                 NULL);
    if (kind != NULL && message != NULL) {
        html_element(&page->html, "small", message, NULL);
    }
    html_end(&page->html, "th");
    page_cell_count(page, left_of(cause));
    page_cell_count(page, json_number(cause, "events"));
    page_cell_count(page, json_number(cause, "closed_lanes"));
    put_when(page, json_time(cause, "first"));
    put_when(page, json_time(cause, "last"));
    html_end(&page->html, "tr");
}

static void put_stopped(struct page *page, const json_t *answer)
{
    const char *stopped = json_text(answer, "stopped");
    if (stopped != NULL && strcmp(stopped, "complete") != 0) {
        page_say(page, "note",
                 strcmp(stopped, "time") == 0
                     ? "It stopped early, after 6 s: there are more, and states may be older than "
                       "they are. The command reads all."
                     : "It stopped early, at 100,000 events: there are more. The command reads "
                       "all.");
    }
}

static void put_causes(struct page *page, const json_t *answer)
{
    static const struct page_column columns[] = {{"Cause", NULL, NULL}, {"Not done", "n", NULL},
                                                 {"All", "n", NULL},    {"Lanes closed", "n", NULL},
                                                 {"First", NULL, NULL}, {"Last", NULL, NULL}};
    json_t *cause;
    size_t i;
    put_stopped(page, answer);
    page_table(page, "Dead letters by cause", columns, 6);
    json_array_foreach(json_object_get(answer, "causes"), i, cause)
    {
        put_cause(page, cause);
    }
    page_table_end(page);
    if (json_number(answer, "left_out") > 0) {
        page_say(page, "note",
                 page_printf(page, "%s events of rarer causes are not shown; the command has them.",
                             page_count(page, json_number(answer, "left_out"))));
    }
}

/* --- letters --- */

static const char *tone_of(const char *state)
{
    static const struct {
        const char *state, *tone;
    } rows[] = {{"open", "bad"},
                {"failed", "bad"},
                {"requested", "warn"},
                {"running", "warn"},
                {"done", "good"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].state, state) == 0) {
            return rows[i].tone;
        }
    }
    return NULL;
}

static void put_bytes(struct page *page, const json_t *letter, const char *name,
                      const char *class_name)
{
    enum { MOST = 300 };
    struct slice bytes = payload_bytes(page, letter, name);
    html_begin(&page->html, "td", "class", class_name, NULL);
    html_bytes(&page->html, bytes.size > MOST ? slice_of(bytes.data, MOST) : bytes);
    html_text(&page->html, bytes.size > MOST ? "…" : "");
    html_end(&page->html, "td");
}

static void put_letter(struct page *page, const json_t *letter)
{
    const char *topic = json_text(letter, "topic"), *place = json_text(letter, "newest");
    const char *state = json_text(letter, "state");
    html_begin(&page->html, "tr", "data-row", place, NULL);
    if (topic != NULL) {
        const char *partition = page_printf(page, "%" PRId64, json_number(letter, "partition"));
        const char *offset = page_printf(page, "%" PRId64, json_number(letter, "offset"));
        page_cell_link(page, page_printf(page, "%s:%s:%s", topic, partition, offset),
                       html_url(&page->arena, "/topics/{}/{}/{}", topic, partition, offset));
    } else {
        page_cell(page, NULL, NULL);
    }
    put_when(page, json_time(letter, "died"));
    html_begin(&page->html, "td", NULL);
    page_badge(page, state != NULL ? state : "", tone_of(state != NULL ? state : ""));
    html_end(&page->html, "td");
    put_bytes(page, letter, "key", "key");
    page_cell_count(page, json_number(letter, "attempts"));
    put_bytes(page, letter, "message", NULL);
    page_cell(page, place, "mono soft");
    html_end(&page->html, "tr");
}

static void put_letters(struct page *page, const json_t *answer)
{
    static const struct page_column columns[] = {{"Event", NULL, NULL},   {"Given up", NULL, NULL},
                                                 {"State", NULL, NULL},   {"Key", NULL, NULL},
                                                 {"Attempts", "n", NULL}, {"Why", NULL, NULL},
                                                 {"Letter", NULL, NULL}};
    json_t *letter;
    size_t i;
    put_stopped(page, answer);
    page_table(page, "Dead letters of this cause", columns, 7);
    json_array_foreach(json_object_get(answer, "letters"), i, letter)
    {
        put_letter(page, letter);
    }
    page_table_end(page);
    if (json_text(answer, "next") != NULL) {
        html_begin(&page->html, "p", "class", "pager", NULL);
        html_element(&page->html, "a", "Next page", "rel", "next", "href",
                     page_url_with(page, "after", json_text(answer, "next")), NULL);
        html_end(&page->html, "p");
    }
}

/* --- redrives --- */

static const char *task_tone(const char *state)
{
    return strcmp(state, "done") == 0        ? "good"
           : strcmp(state, "cancelled") == 0 ? "idle"
           : strcmp(state, "stopped") == 0   ? "bad"
                                             : "warn";
}

static void put_task(struct page *page, const json_t *task)
{
    const char *id = json_text(task, "task"), *state = json_text(task, "state");
    html_begin(&page->html, "tr", "data-row", id, NULL);
    page_cell_link(page, id,
                   html_url(&page->arena, "/dead-letters/task?group={}&task={}", group_of(page),
                            id != NULL ? id : ""));
    html_begin(&page->html, "td", NULL);
    page_badge(page, state != NULL ? state : "", task_tone(state != NULL ? state : ""));
    html_end(&page->html, "td");
    page_cell_count(page, json_number(task, "total"));
    page_cell_count(page, json_number(task, "done"));
    page_cell_count(page, json_number(task, "failed_again"));
    page_cell_count(page, json_number(task, "refused"));
    put_when(page, json_time(task, "began"));
    page_cell(page, json_text(task, "who"), NULL);
    html_end(&page->html, "tr");
}

static void put_tasks(struct page *page)
{
    static const struct page_column columns[] = {
        {"Redrive", NULL, NULL}, {"State", NULL, NULL},       {"Events", "n", NULL},
        {"Done", "n", NULL},     {"Failed again", "n", NULL}, {"Refused", "n", NULL},
        {"Began", NULL, NULL},   {"By", NULL, NULL}};
    enum { SHOWN = 20 };
    json_t *problem, *task;
    size_t i;
    json_t *answer =
        page_ask(page, html_url(&page->arena, "/v1/groups/{}/redrives", group_of(page)), &problem);
    const json_t *tasks = json_object_get(answer, "tasks");
    if (answer == NULL) {
        page_problem(page, problem);
        return;
    }
    if (json_array_size(tasks) == 0) {
        return;
    }
    html_element(&page->html, "h2", "Redrives", NULL);
    page_table(page, "Redrives, newest first", columns, 8);
    json_array_foreach(tasks, i, task)
    {
        if (i < SHOWN) {
            put_task(page, task);
        }
    }
    page_table_end(page);
    page_command(page,
                 html_shell(&page->arena, "tidings deadletter tasks list {}", group_of(page)));
}

/* Why there are none; that the group gave nothing up is an answer as well. */
static void put_none(struct page *page, const json_t *problem)
{
    if (json_number(problem, "status") == 404) {
        page_empty(page, json_text(problem, "detail"), NULL);
    } else {
        page_problem(page, problem);
    }
}

/* The letters of a cause, or the causes: what the route says. */
static const char *target_of(struct page *page, const char *cause)
{
    const char *after = page_query(page, "after", NULL), *group = group_of(page);
    if (cause == NULL) {
        return html_url(&page->arena, "/v1/groups/{}/dead-letters", group);
    }
    return after != NULL ? html_url(&page->arena, "/v1/groups/{}/dead-letters/{}?after={}", group,
                                    cause, after)
                         : html_url(&page->arena, "/v1/groups/{}/dead-letters/{}", group, cause);
}

void page_dead_group(struct page *page)
{
    const char *cause = page_query(page, "cause", NULL), *plan = page_query(page, "plan", NULL);
    json_t *problem;
    page->live_ms = 0; /* it reads all of the topic */
    page->title = page_printf(page, "Dead letters of %s", group_of(page));
    page->command = html_shell(&page->arena, "tidings deadletter list {}", group_of(page));
    if (group_of(page)[0] == '\0') {
        page->status = 400;
        page_say(page, "bad", "Of which group? The address has no ?group=NAME.");
        return;
    }
    if (page_query(page, "nothing", NULL) != NULL) {
        page_say(page, "note",
                 "There is nothing to redrive: all is done, discarded, or under way.");
    }
    json_t *answer = page_ask(page, target_of(page, cause), &problem);
    if (answer == NULL) {
        put_none(page, problem);
        return;
    }
    put_actions(page, json_is_true(json_object_get(answer, "has_lanes")));
    page_dead_put_done(page);
    if (cause != NULL && page_query(page, "discard", NULL) != NULL) {
        page_dead_put_discard(page);
    }
    if (plan != NULL) {
        put_plan(page, plan);
    }
    if (cause != NULL) {
        put_letters(page, answer);
    } else {
        put_causes(page, answer);
    }
    put_tasks(page);
}

/* --- one redrive --- */

static void put_progress(struct page *page, const json_t *task)
{
    int64_t total = json_number(task, "total");
    int64_t done = json_number(task, "done"), failed = json_number(task, "failed_again");
    int64_t refused = json_number(task, "refused");
    html_begin(&page->html, "dl", "class", "tiles", NULL);
    page_tile(page, "Events", page_count(page, total), NULL, NULL, NULL);
    page_tile(page, "Sent to the service", page_count(page, json_number(task, "sent")), NULL, NULL,
              NULL);
    page_tile(page, "Done", page_count(page, done), NULL, NULL, NULL);
    page_tile(page, "Failed again", page_count(page, failed), NULL, NULL,
              failed > 0 ? "bad" : NULL);
    page_tile(page, "Refused", page_count(page, refused), "not tried", NULL,
              refused > 0 ? "bad" : NULL);
    html_end(&page->html, "dl");
    if (total > 0) {
        html_element(&page->html, "progress", "", "class", "whole", "max",
                     page_printf(page, "%" PRId64, total), "value",
                     page_printf(page, "%" PRId64, done + failed + refused), "aria-label",
                     "Answered of all", NULL);
    }
}

static void put_choices(struct page *page, const json_t *task, const char *state)
{
    const char *id = json_text(task, "task"), *plan = json_text(task, "plan");
    const char *group = group_of(page);
    bool is_at_work = strcmp(state, "running") == 0 || strcmp(state, "reading") == 0;
    bool is_whole = strcmp(state, "done") == 0;
    if (is_at_work) {
        page_button(page,
                    html_url(&page->arena, "/dead-letters/cancel?group={}&task={}", group, id),
                    "Cancel: send no more",
                    html_shell(&page->arena, "tidings deadletter tasks cancel {} {}", group, id));
    } else if (strcmp(state, "cancelling") != 0 &&
               (!is_whole || json_number(task, "refused") > 0)) {
        page_button(
            page, html_url(&page->arena, "/dead-letters/redrive?group={}&plan={}", group, plan),
            "Go on with what is left",
            html_shell(&page->arena, "tidings deadletter redrive {} --plan {}", group, plan));
    }
}

void page_dead_task(struct page *page)
{
    const char *id = page_query(page, "task", ""), *group = group_of(page);
    json_t *problem;
    page->title = page_printf(page, "Redrive of %s", group);
    page->command = html_shell(&page->arena, "tidings deadletter tasks show {} {}", group, id);
    json_t *task =
        page_ask(page, html_url(&page->arena, "/v1/groups/{}/redrives/{}", group, id), &problem);
    if (task == NULL) {
        page_problem(page, problem);
        return;
    }
    const char *state = json_text(task, "state") != NULL ? json_text(task, "state") : "";
    bool is_over = strcmp(state, "done") == 0 || strcmp(state, "cancelled") == 0 ||
                   strcmp(state, "stopped") == 0;
    page->live_ms = is_over ? 0 : 1000;
    html_begin(&page->html, "p", NULL);
    page_badge(page, state, task_tone(state));
    html_end(&page->html, "p");
    put_progress(page, task);
    html_begin(&page->html, "dl", "class", "facts", NULL);
    page_fact(page, "Task", json_text(task, "task"));
    page_fact(page, "Plan", json_text(task, "plan"));
    page_fact(page, "By", json_text(task, "who"));
    page_fact_time(page, "Began", json_time(task, "began"));
    page_fact_time(page, "Last change", json_time(task, "changed"));
    page_fact(page, "Last failure", json_text(task, "why"));
    html_end(&page->html, "dl");
    if (json_text(task, "error") != NULL) {
        page_say(page, "bad",
                 page_printf(page, "It stopped: %s%s%s", json_text(task, "error"),
                             json_text(task, "hint") != NULL ? "; " : "",
                             json_text(task, "hint") != NULL ? json_text(task, "hint") : ""));
    }
    put_choices(page, task, state);
    html_begin(&page->html, "p", NULL);
    html_element(&page->html, "a", "Dead letters of this group", "href", page_dead_place(page),
                 NULL);
    html_end(&page->html, "p");
}

/* --- forms --- */

void page_dead_plan(struct page *page)
{
    const char *cause = page_query(page, "cause", NULL);
    unsigned status;
    int is_again = page_query(page, "republish", NULL) != NULL;
    json_t *body =
        cause != NULL
            ? json_pack("{s:s,s:b,s:b}", "cause", cause, "dry_run", 1, "republish", is_again)
            : json_pack("{s:b,s:b,s:b}", "all", 1, "dry_run", 1, "republish", is_again);
    json_t *plan =
        page_do(page, "POST", html_url(&page->arena, "/v1/groups/{}/redrives", group_of(page)),
                body, &status);
    if (status != 200) {
        page_dead_refuse(page, plan, status);
    } else if (json_number(plan, "events") == 0) {
        page_go(page, page_printf(page, "%s&nothing=1", page_dead_place(page)));
    } else {
        page_go(page,
                page_printf(page, "%s&plan=%s", page_dead_place(page), json_text(plan, "plan")));
    }
}

/* Letters a second, as a person types it; -1: that is no number. */
static int64_t sent_rate(struct page *page)
{
    struct slice text = page_sent(page, "rate");
    int64_t rate = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (!is_digit || i >= 9) {
            return -1;
        }
        rate = rate * 10 + (text.data[i] - '0');
    }
    return rate;
}

void page_dead_redrive(struct page *page)
{
    unsigned status;
    json_t *body = json_pack("{s:s,s:I}", "plan", page_query(page, "plan", ""), "rate",
                             (json_int_t)sent_rate(page));
    json_t *task =
        page_do(page, "POST", html_url(&page->arena, "/v1/groups/{}/redrives", group_of(page)),
                body, &status);
    if (status != 202) {
        page_dead_refuse(page, task, status);
    } else {
        page_go(page, html_url(&page->arena, "/dead-letters/task?group={}&task={}", group_of(page),
                               json_text(task, "task")));
    }
}

void page_dead_cancel(struct page *page)
{
    const char *id = page_query(page, "task", "");
    unsigned status;
    json_t *answer = page_do(
        page, "DELETE", html_url(&page->arena, "/v1/groups/{}/redrives/{}", group_of(page), id),
        NULL, &status);
    if (status != 202) {
        page_dead_refuse(page, answer, status);
    } else {
        page_go(page,
                html_url(&page->arena, "/dead-letters/task?group={}&task={}", group_of(page), id));
    }
}
