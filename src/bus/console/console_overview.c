#include "bus/console/console_page.h"

/* --- what somebody should look at --- */

static void put_matter(struct page *page, size_t *count, const char *url, const char *name,
                       const char *words)
{
    if ((*count)++ == 0) {
        html_begin(&page->html, "section", "aria-labelledby", "matters", NULL);
        html_element(&page->html, "h2", "Needs a look", "id", "matters", NULL);
        html_begin(&page->html, "ul", "class", "matters", NULL);
    }
    html_begin(&page->html, "li", NULL);
    html_element(&page->html, "a", name, "href", url, NULL);
    html_text(&page->html, " ");
    html_text(&page->html, words);
    html_end(&page->html, "li");
}

static void put_group_matters(struct page *page, json_t *groups, size_t *count)
{
    size_t i;
    json_t *group;
    json_array_foreach(groups, i, group)
    {
        const char *name = json_text(group, "name"), *error = json_text(group, "error");
        int64_t lag = json_number(group, "lag");
        if (error != NULL) {
            put_matter(page, count, page_group_url(page, name), name,
                       page_printf(page, "cannot be read: %.400s", error));
        } else if (lag > 0 && json_number(group, "member_count") == 0) {
            put_matter(page, count, page_group_url(page, name), name,
                       page_printf(page, "has no members, and %s event%s to read",
                                   page_count(page, lag), lag == 1 ? "" : "s"));
        }
    }
}

static void put_check_matters(struct page *page, json_t *ready, size_t *count)
{
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(ready, "checks"), i, check)
    {
        if (json_is_false(json_object_get(check, "ok"))) {
            const char *why = json_text(check, "detail");
            put_matter(page, count, "/settings", json_text(check, "name"),
                       page_printf(page, "does not work: %.400s", why != NULL ? why : ""));
        }
    }
}

static void put_alert_matters(struct page *page, size_t *count)
{
    enum { ALERTS_MAX = 5 };
    json_t *problem, *alert;
    size_t i, told = 0;
    if (!console_has(page->console, "/v1/alerts")) {
        return;
    }
    json_t *alerts = page_ask(page, "/v1/alerts", &problem);
    json_array_foreach(alerts, i, alert)
    {
        const char *type = json_text(alert, "type");
        if (json_text(alert, "over") == NULL && told++ < ALERTS_MAX) {
            put_matter(page, count, "/alerts", type != NULL ? type : "Alert",
                       json_text(alert, "text"));
        }
    }
}

static void put_matters(struct page *page, json_t *groups, json_t *ready)
{
    size_t count = 0;
    put_check_matters(page, ready, &count);
    put_group_matters(page, groups, &count);
    put_alert_matters(page, &count);
    if (count > 0) {
        html_end(&page->html, "ul");
        html_end(&page->html, "section");
    }
}

/* --- numbers --- */

static int64_t sum_of(const json_t *list, const char *name)
{
    int64_t sum = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int64_t number = json_number(json_array_get(list, i), name);
        sum += number > 0 ? number : 0;
    }
    return sum;
}

static void put_tiles(struct page *page, json_t *topics, json_t *groups)
{
    double values[RATES_KEPT];
    int64_t offsets = sum_of(topics, "offsets"), lag = sum_of(groups, "lag");
    console_rates_sample(page->console->rates, "all", offsets, page->now_ms);
    double rate = console_rates_now(page->console->rates, "all", page->now_ms);
    size_t count = console_rates_list(page->console->rates, "all", values, RATES_KEPT);
    html_begin(&page->html, "dl", "class", "tiles", NULL);
    page_tile(page, "Events in", page_rate(page, rate),
              rate < 0 ? "measured while this page is open" : "over the last 15 s", NULL, NULL);
    page_tile(page, "Kept", page_count(page, offsets), "offsets from start to end", "/topics",
              NULL);
    page_tile(
        page, "Topics", page_count(page, (int64_t)json_array_size(topics)),
        page_printf(page, "%s partitions", page_count(page, sum_of(topics, "partition_count"))),
        "/topics", NULL);
    page_tile(page, "Groups", page_count(page, (int64_t)json_array_size(groups)),
              page_printf(page, "%s members", page_count(page, sum_of(groups, "member_count"))),
              "/groups", NULL);
    page_tile(page, "To be read", page_count(page, lag), "lag of all groups", "/groups?sort=-lag",
              NULL);
    html_end(&page->html, "dl");
    page_spark(page, values, count, "Events in a second, over the last minutes");
}

/* --- the largest --- */

enum { LINES_MAX = 8 };

static void put_topics(struct page *page, json_t *topics)
{
    static const struct page_column columns[] = {
        {"Topic", NULL, NULL}, {"Rate", "n", NULL}, {"Kept", "n", NULL}};
    size_t count;
    json_t **sorted = page_sorted(page, topics, "-offsets", &count);
    html_begin(&page->html, "section", NULL);
    page_table(page, "Largest topics", columns, 3);
    for (size_t i = 0; i < count && i < LINES_MAX; i++) {
        const char *name = json_text(sorted[i], "name");
        html_begin(&page->html, "tr", "data-row", name, NULL);
        page_cell_link(page, name, html_url(&page->arena, "/topics/{}", name));
        page_cell(page, page_topic_rate(page, sorted[i]), "n");
        page_cell_count(page, json_number(sorted[i], "offsets"));
        html_end(&page->html, "tr");
    }
    page_table_end(page);
    html_end(&page->html, "section");
}

static void put_groups(struct page *page, json_t *groups)
{
    static const struct page_column columns[] = {
        {"Group", NULL, NULL}, {"State", NULL, NULL}, {"Members", "n", NULL}, {"Lag", "n", NULL}};
    size_t count;
    json_t **sorted = page_sorted(page, groups, "-lag", &count);
    html_begin(&page->html, "section", NULL);
    if (count == 0) {
        page_empty(page, "Nobody reads yet. A group shares the work of a topic among its members:",
                   "tidings subscribe orders --group shipping");
    } else {
        page_table(page, "Groups that are furthest behind", columns, 4);
        for (size_t i = 0; i < count && i < LINES_MAX; i++) {
            page_group_row(page, sorted[i]);
            page_cell_count(page, json_number(sorted[i], "lag"));
            html_end(&page->html, "tr");
        }
        page_table_end(page);
    }
    html_end(&page->html, "section");
}

void page_overview(struct page *page)
{
    json_t *problem, *ready_problem;
    page->command = "tidings top";
    json_t *ready = page_ask(page, "/readyz", &ready_problem);
    json_t *topics = json_object_get(page_ask(page, "/v1/topics", &problem), "topics");
    if (topics == NULL) {
        page_problem(page, problem);
        return;
    }
    json_t *groups = json_object_get(page_ask(page, "/v1/groups", &problem), "groups");
    if (groups == NULL) {
        page_problem(page, problem);
    }
    put_matters(page, groups, ready != NULL ? ready : ready_problem);
    if (json_array_size(topics) == 0) {
        page_empty(page, "This bus is new: it has no topics. Make one by publishing to it:",
                   "tidings publish orders --create --key 42 '{\"item\": \"lamp\"}'");
        return;
    }
    put_tiles(page, topics, groups);
    html_begin(&page->html, "div", "class", "halves", NULL);
    put_topics(page, topics);
    put_groups(page, groups);
    html_end(&page->html, "div");
}
