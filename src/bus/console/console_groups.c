#include "bus/console/console_page.h"

#include <inttypes.h>
#include <string.h>

/* --- all --- */

static void put_row(struct page *page, const json_t *group)
{
    page_group_row(page, group);
    page_cell_count(page, json_number(group, "topic_count"));
    page_cell_count(page, json_number(group, "lag"));
    page_cell(page, json_text(group, "error") != NULL ? json_text(group, "error") : "", NULL);
    html_end(&page->html, "tr");
}

void page_groups(struct page *page)
{
    static const struct page_column columns[] = {
        {"Group", NULL, "name"},        {"State", NULL, NULL}, {"Members", "n", "member_count"},
        {"Topics", "n", "topic_count"}, {"Lag", "n", "lag"},   {"", NULL, NULL}};
    json_t *problem;
    size_t count;
    page->command = "tidings group list";
    json_t *answer = page_ask(page, "/v1/groups", &problem);
    if (answer == NULL) {
        page_problem(page, problem);
        return;
    }
    json_t **sorted = page_sorted(page, json_object_get(answer, "groups"),
                                  page_query(page, "sort", NULL), &count);
    if (count == 0) {
        page_empty(page,
                   "There are no groups. A group shares the work of its topics among its members, "
                   "and remembers how far it is:",
                   "tidings subscribe orders --group shipping");
        return;
    }
    page_table(page, "Groups", columns, 6);
    for (size_t i = 0; i < count; i++) {
        put_row(page, sorted[i]);
    }
    page_table_end(page);
}

/* --- one --- */

static void put_members(struct page *page, const json_t *group)
{
    static const struct page_column columns[] = {{"Client", NULL, NULL},
                                                 {"Host", NULL, NULL},
                                                 {"Reads", NULL, NULL},
                                                 {"Member", NULL, NULL}};
    const json_t *members = json_object_get(group, "members");
    size_t i, j;
    json_t *member, *at;
    if (json_array_size(members) == 0) {
        page_empty(page,
                   "Nobody is in this group now: what it has to read waits. A member joins by:",
                   html_shell(&page->arena, "tidings subscribe orders --group {}",
                              json_text(group, "name")));
        return;
    }
    page_table(page, "Members", columns, 4);
    json_array_foreach(members, i, member)
    {
        const json_t *partitions = json_object_get(member, "partitions");
        html_begin(&page->html, "tr", "data-row", json_text(member, "id"), NULL);
        html_element(&page->html, "th", json_text(member, "client_id"), "scope", "row", NULL);
        page_cell(page, json_text(member, "host"), NULL);
        html_begin(&page->html, "td", NULL);
        json_array_foreach(partitions, j, at)
        {
            html_textf(&page->html, "%s%s:%" PRId64, j > 0 ? ", " : "", json_text(at, "topic"),
                       json_number(at, "partition"));
        }
        if (j == 0) {
            page_badge(page, "nothing", "idle");
        }
        html_end(&page->html, "td");
        page_cell(page, json_text(member, "id"), "mono soft");
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

/* Name of the client that reads a partition. */
static const char *client_of(const json_t *group, const char *member_id)
{
    const json_t *members = json_object_get(group, "members");
    size_t i;
    json_t *member;
    json_array_foreach(members, i, member)
    {
        const char *id = json_text(member, "id");
        if (member_id != NULL && id != NULL && strcmp(id, member_id) == 0) {
            return json_text(member, "client_id");
        }
    }
    return NULL;
}

static void put_meter(struct page *page, const json_t *at)
{
    int64_t start = json_number(at, "start"), end = json_number(at, "end");
    int64_t lag = json_number(at, "lag");
    html_begin(&page->html, "td", NULL);
    if (start >= 0 && end > start && lag >= 0) {
        html_element(&page->html, "progress", "", "max", page_printf(page, "%" PRId64, end - start),
                     "value", page_printf(page, "%" PRId64, end - start - lag), "aria-label",
                     "Read of what is kept", NULL);
    }
    html_end(&page->html, "td");
}

static void put_partitions(struct page *page, const json_t *group)
{
    static const struct page_column columns[] = {
        {"Partition", NULL, NULL}, {"Committed", "n", NULL}, {"End", "n", NULL},
        {"Lag", "n", NULL},        {"Read", NULL, NULL},     {"By", NULL, NULL}};
    size_t i;
    json_t *at;
    page_table(page, "Partitions", columns, 6);
    json_array_foreach(json_object_get(group, "partitions"), i, at)
    {
        const char *topic = json_text(at, "topic");
        const char *partition = page_printf(page, "%" PRId64, json_number(at, "partition"));
        int64_t committed = json_number(at, "committed");
        const char *place = page_printf(page, "%s:%s", topic, partition);
        html_begin(&page->html, "tr", "data-row", place, NULL);
        page_cell_link(page, place,
                       committed >= 0
                           ? html_url(&page->arena, "/topics/{}?partition={}&from={}", topic,
                                      partition, page_printf(page, "%" PRId64, committed))
                           : html_url(&page->arena, "/topics/{}?partition={}", topic, partition));
        page_cell_count(page, committed);
        page_cell_count(page, json_number(at, "end"));
        page_cell_count(page, json_number(at, "lag"));
        put_meter(page, at);
        page_cell(page, client_of(group, json_text(at, "member")), NULL);
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

static void put_numbers(struct page *page, const json_t *group)
{
    const char *name = page_printf(page, "group %s", json_text(group, "name"));
    const json_t *partitions = json_object_get(group, "partitions");
    int64_t done = 0;
    for (size_t i = 0; i < json_array_size(partitions); i++) {
        int64_t committed = json_number(json_array_get(partitions, i), "committed");
        done += committed > 0 ? committed : 0;
    }
    console_rates_sample(page->console->rates, name, done, page->now_ms);
    double rate = console_rates_now(page->console->rates, name, page->now_ms);
    int64_t lag = json_number(group, "lag");
    html_begin(&page->html, "dl", "class", "tiles", NULL);
    page_tile(page, "Lag", page_count(page, lag),
              rate > 0 && lag > 0
                  ? page_printf(page, "%s at this rate",
                                page_span(page, (int64_t)((double)lag / rate * 1000)))
                  : NULL,
              NULL, NULL);
    page_tile(page, "Commits", page_rate(page, rate), "offsets", NULL, NULL);
    page_tile(page, "Members", page_count(page, json_number(group, "member_count")), NULL, NULL,
              NULL);
    page_tile(page, "State", json_text(group, "state"), json_text(group, "assignor"), NULL, NULL);
    html_end(&page->html, "dl");
}

static void put_more(struct page *page, const char *name)
{
    html_begin(&page->html, "p", "class", "choice", NULL);
    html_element(&page->html, "a", "Dead letters", "href",
                 html_url(&page->arena, "/dead-letters/of?group={}", name), NULL);
    html_element(&page->html, "a", "Lanes", "href", html_url(&page->arena, "/lanes?group={}", name),
                 NULL);
    html_end(&page->html, "p");
    page_reset_plan(page, name);
}

void page_group(struct page *page)
{
    json_t *problem;
    const char *name = http_segment(page->request, "group");
    name = name != NULL ? name : page_query(page, "name", "");
    page->title = arena_cstr(&page->arena, slice_str(name));
    page->command = html_shell(&page->arena, "tidings group describe {}", name);
    json_t *group = page_ask(page, html_url(&page->arena, "/v1/groups/{}", name), &problem);
    if (group == NULL) {
        page->status = (unsigned)json_number(problem, "status");
        page_problem(page, problem);
        return;
    }
    const char *moved = page_query(page, "moved", NULL);
    if (moved != NULL) {
        page_say(page, "good", page_printf(page, "Moved, in %.20s partitions.", moved));
    }
    put_numbers(page, group);
    html_element(&page->html, "h2", "Members", NULL);
    put_members(page, group);
    html_element(&page->html, "h2", "Progress", NULL);
    put_partitions(page, group);
    put_more(page, name);
}
