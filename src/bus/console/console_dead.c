#include "bus/console/console_page.h"

#include "client/lane/lane_record.h"

#include <string.h>

/* All groups with dead letters; those of one are in console_dead_group.c. */

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
