#include "bus/console/console_payload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Open lanes of a group, and what can be said to the owner of each. */

static const char *group_of(const struct page *page)
{
    return page_query(page, "group", "");
}

static const char *place_of(struct page *page, const json_t *lane)
{
    const char *topic = json_text(lane, "topic");
    return page_printf(page, "%s:%" PRId64 ":%" PRId64, topic != NULL ? topic : "",
                       json_number(lane, "partition"), json_number(lane, "head"));
}

/* --- one of them --- */

static void put_word(struct page *page, const json_t *lane, const char *verb, const char *does)
{
    const char *topic = json_text(lane, "topic");
    const char *partition = page_printf(page, "%" PRId64, json_number(lane, "partition"));
    const char *head = page_printf(page, "%" PRId64, json_number(lane, "head"));
    html_begin(&page->html, "form", "class", "filter", "method", "post", "action",
               html_url(&page->arena, "/lanes/say?group={}&verb={}&topic={}&partition={}&head={}",
                        group_of(page), verb, topic, partition, head),
               NULL);
    page_field(page, does, "why", NULL, "why: it is in the service's log", "wide");
    html_element(&page->html, "button", verb, NULL);
    html_end(&page->html, "form");
    page_command(page,
                 html_shell(&page->arena, "tidings lanes {} {} --topic {} --where {} --execute",
                            verb, group_of(page), page_printf(page, "%s:%s", topic, partition),
                            page_printf(page, "head = %s", head)));
}

static void put_choices(struct page *page, const json_t *lane)
{
    bool is_held = json_is_object(json_object_get(lane, "held_by"));
    html_element(&page->html, "h2", page_printf(page, "Lane at %s", place_of(page, lane)), "id",
                 "lane", NULL);
    put_word(page, lane, "retry", "Try the head that waits now");
    put_word(page, lane, "skip", "Give the head up for good: what is behind it goes on");
    put_word(page, lane, is_held ? "release" : "hold",
             is_held ? "Let it go on" : "Begin no more of this lane");
}

static void put_said(struct page *page)
{
    const char *said = page_query(page, "said", NULL), *outcome = page_query(page, "outcome", "");
    if (said != NULL) {
        page_say(page, strcmp(outcome, "refused") == 0 ? "bad" : "good",
                 page_printf(page, "%s: %s%s", said, outcome,
                             strcmp(outcome, "no answer") == 0
                                 ? "; it stays, and is carried out when the owner comes to it"
                                 : ""));
    }
}

/* --- all of them --- */

static void put_lane(struct page *page, const json_t *lane)
{
    enum { KEY_MOST = 200 };
    struct slice key = payload_bytes(page, lane, "key");
    const char *place = place_of(page, lane), *state = json_text(lane, "state");
    const json_t *failure = json_object_get(lane, "failure");
    html_begin(&page->html, "tr", "data-row", place, NULL);
    html_begin(&page->html, "th", "scope", "row", "class", "key", NULL);
    html_bytes(&page->html, key.size > KEY_MOST ? slice_of(key.data, KEY_MOST) : key);
    html_end(&page->html, "th");
    html_begin(&page->html, "td", NULL);
    page_badge(page, state != NULL ? state : "", "warn");
    html_end(&page->html, "td");
    html_begin(&page->html, "td", NULL);
    html_element(&page->html, "a", place, "href",
                 json_number(lane, "head") >= 0
                     ? html_url(&page->arena, "/lanes?group={}&lane={}#lane", group_of(page), place)
                     : NULL,
                 NULL);
    html_end(&page->html, "td");
    page_cell_count(page, json_number(lane, "events_set_aside"));
    page_cell(page, page_bytes(page, json_number(lane, "bytes_set_aside")), "n");
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, json_time(lane, "noted"));
    html_end(&page->html, "td");
    page_cell(page, json_text(failure, "text") != NULL ? json_text(failure, "text") : "", NULL);
    html_end(&page->html, "tr");
}

static void put_lanes(struct page *page, const json_t *answer)
{
    static const struct page_column columns[] = {
        {"Key", NULL, NULL},  {"State", NULL, NULL}, {"Head", NULL, NULL}, {"Aside", "n", NULL},
        {"Bytes", "n", NULL}, {"Since", NULL, NULL}, {"Why", NULL, NULL}};
    const json_t *lanes = json_object_get(answer, "lanes");
    const char *wanted = page_query(page, "lane", NULL), *stopped = json_text(answer, "stopped");
    json_t *lane;
    size_t i;
    if (stopped != NULL && strcmp(stopped, "complete") != 0) {
        page_say(page, "note",
                 "It stopped early: there are more records than are read here. The command has "
                 "all.");
    }
    if (json_array_size(lanes) == 0) {
        page_empty(page, "No lane is open: nothing holds back its key.", NULL);
        return;
    }
    page_table(page, "Open lanes", columns, 7);
    json_array_foreach(lanes, i, lane)
    {
        put_lane(page, lane);
    }
    page_table_end(page);
    if (json_number(answer, "count") > (int64_t)json_array_size(lanes)) {
        page_say(page, "note",
                 page_printf(page, "The first %zu of %s; the command has all.",
                             json_array_size(lanes),
                             page_count(page, json_number(answer, "count"))));
    }
    json_array_foreach(lanes, i, lane)
    {
        if (wanted != NULL && strcmp(place_of(page, lane), wanted) == 0) {
            put_choices(page, lane);
        }
    }
}

void page_lanes(struct page *page)
{
    json_t *problem;
    page->live_ms = 0; /* it reads all of the topic */
    page->title = page_printf(page, "Lanes of %s", group_of(page));
    page->command = html_shell(&page->arena, "tidings lanes list {}", group_of(page));
    if (group_of(page)[0] == '\0') {
        page->status = 400;
        page_say(page, "bad", "Of which group? The address has no ?group=NAME.");
        return;
    }
    put_said(page);
    json_t *answer =
        page_ask(page, html_url(&page->arena, "/v1/groups/{}/lanes", group_of(page)), &problem);
    if (answer != NULL) {
        put_lanes(page, answer);
    } else if (json_number(problem, "status") == 404) {
        page_empty(page, json_text(problem, "detail"), NULL);
    } else {
        page_problem(page, problem);
    }
}

/* --- what a form says --- */

void page_lane_say(struct page *page)
{
    const char *verb = page_query(page, "verb", ""), *group = group_of(page);
    struct slice why = page_sent(page, "why");
    unsigned status;
    json_t *body =
        json_pack("{s:s,s:s,s:I,s:I}", "verb", verb, "topic", page_query(page, "topic", ""),
                  "partition", (json_int_t)strtoll(page_query(page, "partition", "-1"), NULL, 10),
                  "head", (json_int_t)strtoll(page_query(page, "head", "-1"), NULL, 10));
    if (why.size > 0) {
        json_object_set_new(body, "why", json_stringn((const char *)why.data, why.size));
    }
    json_t *answer =
        page_do(page, "POST", html_url(&page->arena, "/v1/groups/{}/lanes", group), body, &status);
    if (status == 200 || status == 202) {
        http_reply_empty(page->reply, 303); /* so that a reload does not say it once more */
        http_reply_header(page->reply, "Location",
                          html_url(&page->arena, "/lanes?group={}&said={}&outcome={}", group, verb,
                                   json_text(answer, "outcome")));
        page->is_done = true;
        return;
    }
    page->live_ms = 0;
    page->status = status >= 400 ? status : 502;
    page->title = page_printf(page, "Lanes of %s", group);
    page_problem(page, answer);
    html_begin(&page->html, "p", NULL);
    html_element(&page->html, "a", "Back to the lanes", "href",
                 html_url(&page->arena, "/lanes?group={}", group), NULL);
    html_end(&page->html, "p");
}
