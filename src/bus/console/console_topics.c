#include "bus/console/console_page.h"

#include <string.h>

static void put_filter(struct page *page)
{
    const char *wanted = page_query(page, "q", NULL);
    bool has_internal = page_query(page, "internal", NULL) != NULL;
    html_begin(&page->html, "form", "class", "filter", "role", "search", NULL);
    html_begin(&page->html, "label", NULL);
    html_element(&page->html, "span", "Name has", NULL);
    html_void(&page->html, "input", "type", "search", "name", "q", "value", wanted, "autocomplete",
              "off", "spellcheck", "false", "data-filter", "", NULL);
    html_end(&page->html, "label");
    html_begin(&page->html, "label", "class", "check", NULL);
    html_void(&page->html, "input", "type", "checkbox", "name", "internal", "value", "true",
              "checked", has_internal ? "" : NULL, NULL);
    html_element(&page->html, "span", "also the bus’s own", NULL);
    html_end(&page->html, "label");
    html_void(&page->html, "input", "type", "hidden", "name", "sort", "value",
              page_query(page, "sort", ""), NULL);
    html_element(&page->html, "button", "Show", NULL);
    html_end(&page->html, "form");
}

static void put_topic(struct page *page, const json_t *topic)
{
    const char *name = json_text(topic, "name");
    html_begin(&page->html, "tr", "data-row", name, NULL);
    page_cell_link(page, name, html_url(&page->arena, "/topics/{}", name));
    page_cell_count(page, json_number(topic, "partition_count"));
    page_cell_count(page, json_number(topic, "offsets"));
    page_cell(page, page_topic_rate(page, topic), "n");
    page_cell(page, json_text(topic, "error") != NULL ? json_text(topic, "error") : "", NULL);
    html_end(&page->html, "tr");
}

static void put_list(struct page *page, const json_t *topics)
{
    static const struct page_column columns[] = {{"Topic", NULL, "name"},
                                                 {"Partitions", "n", "partition_count"},
                                                 {"Kept", "n", "offsets"},
                                                 {"Rate", "n", NULL},
                                                 {"", NULL, NULL}};
    const char *wanted = page_query(page, "q", NULL);
    size_t count, shown = 0;
    json_t **sorted = page_sorted(page, topics, page_query(page, "sort", NULL), &count);
    page_table(page, "Topics", columns, 5);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_text(sorted[i], "name");
        if (wanted == NULL || (name != NULL && strcasestr(name, wanted) != NULL)) {
            put_topic(page, sorted[i]);
            shown++;
        }
    }
    page_table_end(page);
    if (shown == 0) {
        page_empty(page, "No name has this in it.", NULL);
    }
}

void page_topics(struct page *page)
{
    json_t *problem;
    bool has_internal = page_query(page, "internal", NULL) != NULL;
    page->command = has_internal ? "tidings topic list --internal" : "tidings topic list";
    json_t *answer =
        page_ask(page, has_internal ? "/v1/topics?internal=true" : "/v1/topics", &problem);
    if (answer == NULL) {
        page_problem(page, problem);
        return;
    }
    const json_t *topics = json_object_get(answer, "topics");
    put_filter(page);
    if (json_array_size(topics) == 0) {
        page_empty(page, "There are no topics. Events of one kind go to one topic; make one:",
                   "tidings topic create orders --partitions 3");
        return;
    }
    put_list(page, topics);
}
