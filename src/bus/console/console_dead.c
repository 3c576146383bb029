#include "bus/console/console_page.h"

#include "base/mem.h"
#include "bus/dead/dead_group.h"
#include "bus/dead/dead_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Dead letters: read as `tidings deadletter` reads them. */

/* --- all groups --- */

static const json_t *topic_named(const json_t *topics, const char *name)
{
    size_t i;
    json_t *topic;
    json_array_foreach(topics, i, topic)
    {
        const char *own = json_text(topic, "name");
        if (own != NULL && strcmp(own, name) == 0) {
            return topic;
        }
    }
    return NULL;
}

/* Groups of which there is a topic dlq.<group>: those that the bus names, then those that only
 * their topic tells of. */
struct dead_list {
    struct page *page;
    const json_t *topics;
    VEC(const char *) groups; /* borrowed */
};

static void add_group(struct dead_list *list, const char *group)
{
    char topic[LANE_TOPIC_SIZE];
    if (group == NULL || topic_named(list->topics, lane_topic_name("dlq.", group, topic)) == NULL) {
        return;
    }
    for (size_t i = 0; i < list->groups.count; i++) {
        if (strcmp(list->groups.items[i], group) == 0) {
            return;
        }
    }
    vec_push(&list->groups, group);
}

static void collect(struct dead_list *list, const json_t *groups)
{
    size_t i;
    json_t *at;
    json_array_foreach(groups, i, at)
    {
        add_group(list, json_text(at, "name"));
    }
    json_array_foreach(list->topics, i, at)
    {
        const char *name = json_text(at, "name");
        if (name != NULL && strncmp(name, "dlq.", 4) == 0) {
            add_group(list, name + 4);
        }
    }
}

static void put_list(struct dead_list *list)
{
    static const struct page_column columns[] = {{"Group", NULL, NULL},
                                                 {"Letters written", "n", NULL}};
    struct page *page = list->page;
    page_table(page, "Groups with dead letters", columns, 2);
    for (size_t i = 0; i < list->groups.count; i++) {
        char topic[LANE_TOPIC_SIZE];
        const char *group = list->groups.items[i];
        const json_t *dlq = topic_named(list->topics, lane_topic_name("dlq.", group, topic));
        html_begin(&page->html, "tr", "data-row", group, NULL);
        page_cell_link(page, group, html_url(&page->arena, "/dead-letters/of?group={}", group));
        page_cell_count(page, json_number(dlq, "offsets"));
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

void page_dead(struct page *page)
{
    json_t *problem;
    struct dead_list list = {.page = page};
    page->command = "tidings deadletter list GROUP";
    page->live_ms = 5000;
    list.topics = json_object_get(page_ask(page, "/v1/topics?internal=true", &problem), "topics");
    if (list.topics == NULL) {
        page_problem(page, problem);
        return;
    }
    collect(&list, json_object_get(page_ask(page, "/v1/groups", &problem), "groups"));
    if (list.groups.count == 0) {
        page_empty(
            page,
            "Nothing was given up. A service with key lanes that gives an event up writes it "
            "to dlq.GROUP, with why; it is shown here by cause.",
            NULL);
    } else {
        put_list(&list);
    }
    vec_deinit(&list.groups);
}

/* --- one group --- */

enum { LETTERS_MAX = 200 };

struct letters {
    struct page *page;
    struct dead_groups groups;
    struct dead_plan plan;
    bool is_each, is_plan;
    size_t shown;
};

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

static const char *tone_of(enum dead_state state)
{
    return state == DEAD_OPEN || state == DEAD_AGAIN          ? "bad"
           : state == DEAD_REQUESTED || state == DEAD_RUNNING ? "warn"
           : state == DEAD_IS_DONE                            ? "good"
                                                              : NULL;
}

static void put_bytes(struct page *page, struct slice bytes, const char *class_name)
{
    enum { MOST = 300 };
    html_begin(&page->html, "td", "class", class_name, NULL);
    html_bytes(&page->html, bytes.size > MOST ? slice_of(bytes.data, MOST) : bytes);
    html_text(&page->html, bytes.size > MOST ? "…" : "");
    html_end(&page->html, "td");
}

static void put_letter(struct page *page, const struct dead_seen *seen)
{
    char place[DEAD_PLACE_SIZE];
    const struct dead_letter *letter = seen->subject.letter;
    dead_place_text(letter->place, place);
    html_begin(&page->html, "tr", "data-row", place, NULL);
    if (!slice_is_null(letter->topic)) {
        const char *topic = arena_cstr(&page->arena, letter->topic);
        const char *partition = page_printf(page, "%" PRId32, letter->partition);
        const char *offset = page_printf(page, "%" PRId64, letter->offset);
        page_cell_link(page, page_printf(page, "%.250s:%s:%s", topic, partition, offset),
                       html_url(&page->arena, "/topics/{}/{}/{}", topic, partition, offset));
    } else {
        page_cell(page, NULL, NULL);
    }
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, letter->died_ms);
    html_end(&page->html, "td");
    html_begin(&page->html, "td", NULL);
    page_badge(page, dead_state_name(seen->state), tone_of(seen->state));
    html_end(&page->html, "td");
    put_bytes(page, letter->event->key, "key");
    page_cell_count(page, letter->attempts);
    put_bytes(page, letter->message, NULL);
    page_cell(page, place, "mono soft");
    html_end(&page->html, "tr");
}

static bool take(void *context, const struct dead_seen *seen)
{
    struct letters *letters = context;
    if (letters->is_plan) {
        dead_plan_take(&letters->plan, seen, false);
    }
    if (!letters->is_each) {
        dead_groups_add(&letters->groups, seen);
    } else if (letters->shown < LETTERS_MAX) {
        letters->shown++;
        put_letter(letters->page, seen);
    }
    return true;
}

static void put_causes(struct letters *letters)
{
    static const struct page_column columns[] = {{"Cause", NULL, NULL}, {"Open", "n", NULL},
                                                 {"All", "n", NULL},    {"Lanes closed", "n", NULL},
                                                 {"First", NULL, NULL}, {"Last", NULL, NULL}};
    struct page *page = letters->page;
    struct dead_group *group, *next;
    dead_groups_sort(&letters->groups);
    page_table(page, "Dead letters by cause", columns, 6);
    HASH_ITER (hh, letters->groups.all, group, next) {
        html_begin(&page->html, "tr", "data-row", group->cause, NULL);
        html_begin(&page->html, "th", "scope", "row", NULL);
        html_begin(&page->html, "a", "href",
                   html_url(&page->arena, "/dead-letters/of?group={}&cause={}", group_of(page),
                            group->cause),
                   NULL);
        html_text(&page->html, group->error_class != NULL ? group->error_class
                               : group->message != NULL   ? group->message
                                                          : "nothing was told");
        html_end(&page->html, "a");
        if (group->error_class != NULL && group->message != NULL) {
            html_element(&page->html, "small", group->message, NULL);
        }
        html_end(&page->html, "th");
        page_cell_count(page, group->states[DEAD_OPEN] + group->states[DEAD_AGAIN]);
        page_cell_count(page, group->count);
        page_cell_count(page, group->lanes_closed);
        html_begin(&page->html, "td", "class", "when", NULL);
        page_time(page, group->first_ms);
        html_end(&page->html, "td");
        html_begin(&page->html, "td", "class", "when", NULL);
        page_time(page, group->last_ms);
        html_end(&page->html, "td");
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

/* What a redrive would do; nothing is kept of it. */
static void put_plan(struct letters *letters)
{
    struct page *page = letters->page;
    const struct dead_plan *plan = &letters->plan;
    int64_t passed = 0;
    for (int state = 0; state < DEAD_STATES; state++) {
        passed += plan->passed[state];
    }
    html_begin(&page->html, "section", "class", "say note", "aria-label", "Dry run", NULL);
    html_begin(&page->html, "p", NULL);
    html_textf(&page->html,
               "A redrive would have the service handle %s event%s of %s lane%s once more",
               page_count(page, (int64_t)plan->choices.count), plan->choices.count == 1 ? "" : "s",
               page_count(page, (int64_t)plan->lanes), plan->lanes == 1 ? "" : "s");
    if (plan->choices.count > 0 && plan->first_ms >= 0) {
        html_text(&page->html, ", which died from ");
        page_time(page, plan->first_ms);
        html_text(&page->html, " to ");
        page_time(page, plan->last_ms);
    }
    html_textf(&page->html, ". %s not taken: done, discarded, or under way.",
               page_count(page, passed + plan->nameless));
    html_end(&page->html, "p");
    page_command(
        page, page_printf(page, "%s %s",
                          html_shell(&page->arena, "tidings deadletter redrive {}", group_of(page)),
                          choice_of(page)));
    html_end(&page->html, "section");
}

static void put_actions(struct page *page)
{
    bool is_plan = page_query(page, "plan", NULL) != NULL;
    const char *cause = page_query(page, "cause", NULL), *group = group_of(page);
    html_begin(&page->html, "form", "class", "filter", "action", "/dead-letters/of", NULL);
    html_void(&page->html, "input", "type", "hidden", "name", "group", "value", group, NULL);
    if (cause != NULL) {
        html_void(&page->html, "input", "type", "hidden", "name", "cause", "value", cause, NULL);
    }
    html_element(&page->html, "button", is_plan ? "Look again" : "What would a redrive do?", "name",
                 "plan", "value", "1", NULL);
    if (cause != NULL) {
        html_element(&page->html, "a", "All causes", "href",
                     html_url(&page->arena, "/dead-letters/of?group={}", group), NULL);
    }
    html_element(&page->html, "a", "Lanes of this group", "href",
                 html_url(&page->arena, "/lanes?group={}", group), NULL);
    html_end(&page->html, "form");
    page_command(page, page_printf(page, "%s %s --dry-run",
                                   html_shell(&page->arena, "tidings deadletter redrive {}", group),
                                   choice_of(page)));
}

static enum client_status put_letters(struct letters *letters, struct dead_view *view,
                                      struct client_error *error)
{
    static const struct page_column columns[] = {{"Event", NULL, NULL},   {"Given up", NULL, NULL},
                                                 {"State", NULL, NULL},   {"Key", NULL, NULL},
                                                 {"Attempts", "n", NULL}, {"Why", NULL, NULL},
                                                 {"Letter", NULL, NULL}};
    const char *cause = page_query(letters->page, "cause", NULL);
    struct where *where = NULL;
    enum err err = ERR_NONE;
    if (cause != NULL) {
        where = where_new(dead_fields());
        err = where_add_any(where, "cause", "=", &cause, 1, letters->page->now_ms, NULL);
        page_table(letters->page, "Dead letters of this cause", columns, 7);
    }
    enum client_status status =
        err == ERR_NONE ? dead_view_each(view, where, take, letters, error)
                        : client_fail(error, CLIENT_INVALID, NULL, "the cause cannot be compared");
    where_free(where);
    if (cause != NULL) {
        page_table_end(letters->page);
    }
    return status;
}

/* What can be done and would be, above the letters, which are read and written before it is known.
 */
static void put_whole(struct letters *letters)
{
    struct page *page = letters->page;
    struct html rows = page->html;
    page->html = (struct html){0};
    put_actions(page);
    if (letters->is_plan) {
        put_plan(letters);
    }
    html_append(&page->html, buf_slice(&rows.out));
    html_deinit(&rows);
    if (!letters->is_each) {
        put_causes(letters);
    } else if (letters->shown == LETTERS_MAX) {
        page_say(page, "note", "Only the first 200 are shown; the command has all:");
        page_command(page, html_shell(&page->arena, "tidings deadletter list {} --each --cause {}",
                                      group_of(page), page_query(page, "cause", "")));
    }
}

static void put_error(struct page *page, const struct client_error *error)
{
    char topic[LANE_TOPIC_SIZE];
    if (error->status == CLIENT_NOT_FOUND) {
        page_empty(
            page,
            page_printf(page,
                        "This group gave nothing up: there is no topic %s. A service with key "
                        "lanes writes there what it cannot handle.",
                        lane_topic_name("dlq.", group_of(page), topic)),
            NULL);
        return;
    }
    page->status = 503;
    page_say(page, "bad",
             page_printf(page, "The dead letters could not be read: %.400s%s%.400s", error->text,
                         error->hint != NULL ? "; " : "", error->hint != NULL ? error->hint : ""));
}

void page_dead_group(struct page *page)
{
    struct dead_view_settings settings = {.connection = page->console->parts->connection,
                                          .group = group_of(page)};
    struct letters letters = {.page = page,
                              .groups = {.by = DEAD_BY_CAUSE},
                              .is_each = page_query(page, "cause", NULL) != NULL,
                              .is_plan = page_query(page, "plan", NULL) != NULL};
    struct dead_view view;
    struct client_error error = {0};
    page->live_ms = 0; /* it reads all of the topic */
    page->title = page_printf(page, "Dead letters of %.300s", settings.group);
    page->command = html_shell(&page->arena, "tidings deadletter list {}", settings.group);
    dead_plan_init(&letters.plan);
    enum client_status status = dead_view_load(&view, &settings, &error);
    if (status == CLIENT_OK) {
        status = put_letters(&letters, &view, &error);
    }
    if (status != CLIENT_OK) {
        html_deinit(&page->html); /* a table may have begun */
        put_error(page, &error);
    } else {
        put_whole(&letters);
    }
    dead_plan_deinit(&letters.plan);
    dead_groups_deinit(&letters.groups);
    dead_view_deinit(&view);
}
