#include "base/crc32c.h"
#include "bus/console/console_payload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_SHOWN_MS = 4000 }; /* a rate that changes is shown anew so often */

static const char *topic_of(const struct page *page)
{
    return http_segment(page->request, "topic");
}

/* What of the answer changes when there is something new to see. */
static const char *mark_of(struct page *page, const json_t *topic)
{
    uint32_t crc = 0;
    static const char *const parts[] = {"partitions", "groups", "settings"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *text = json_dumps(json_object_get(topic, parts[i]), JSON_COMPACT | JSON_ENCODE_ANY);
        crc = text != NULL ? crc32c(crc, text, strlen(text)) : crc;
        free(text);
    }
    const char *rate = page_topic_rate(page, topic);
    bool is_still = strcmp(rate, "–") == 0 || strcmp(rate, "0/s") == 0;
    return page_printf(page, "%08x-%" PRId64, crc, is_still ? 0 : page->now_ms / RATE_SHOWN_MS);
}

/* --- events --- */

static void put_filter(struct page *page)
{
    html_begin(&page->html, "form", "class", "filter", "role", "search", NULL);
    page_field(page, "Show from", "from", page_query(page, "from", NULL),
               "the newest; or start, -1h, 42, a time", "wide");
    page_field(page, "Where", "where", page_query(page, "where", NULL),
               "key = 42 and data.amount > 100", "wide");
    page_field(page, "Partition", "partition", page_query(page, "partition", NULL), "all",
               "narrow");
    page_field(page, "Rows", "limit", page_query(page, "limit", NULL), "50", "narrow");
    html_void(&page->html, "input", "type", "hidden", "name", "as", "value",
              page_query(page, "as", ""), NULL);
    html_element(&page->html, "button", "Show", NULL);
    html_end(&page->html, "form");
}

static void append_query(struct buf *target, const char *name, const char *value)
{
    if (value != NULL) {
        buf_append_u8(target, strchr(buf_cstr(target), '?') == NULL ? '?' : '&');
        buf_append_str(target, name);
        buf_append_u8(target, '=');
        html_url_encode(target, value);
    }
}

static const char *events_target(struct page *page)
{
    static const char *const names[] = {"from", "partition", "where", "limit"};
    struct buf target = {0};
    buf_append_str(&target, html_url(&page->arena, "/v1/topics/{}/events", topic_of(page)));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        append_query(&target, names[i], page_query(page, names[i], NULL));
    }
    const char *text = arena_cstr(&page->arena, buf_slice(&target));
    buf_deinit(&target);
    return text;
}

static void put_type(struct page *page, const json_t *event)
{
    const json_t *cloud = json_object_get(event, "cloudevent");
    const char *type = json_text(cloud, "type"), *subject = json_text(cloud, "subject");
    html_begin(&page->html, "td", NULL);
    if (type != NULL) {
        html_text(&page->html, type);
    }
    if (subject != NULL) {
        html_element(&page->html, "small", subject, NULL);
    }
    html_end(&page->html, "td");
}

static void put_preview(struct page *page, const json_t *event)
{
    struct slice value = payload_bytes(page, event, "value");
    html_begin(&page->html, "td", "class", "value", NULL);
    if (json_is_true(json_object_get(event, "hidden"))) {
        page_badge(page, "hidden", "idle");
    } else if (slice_is_null(value)) {
        page_badge(page, "no value", "idle");
    } else {
        html_begin(&page->html, "code", NULL);
        payload_preview(page, value, payload_form_of(value, page_query(page, "as", NULL)));
        html_end(&page->html, "code");
    }
    html_end(&page->html, "td");
}

static void put_event(struct page *page, const json_t *event)
{
    struct slice key = payload_bytes(page, event, "key");
    const char *partition = page_printf(page, "%" PRId64, json_number(event, "partition"));
    const char *offset = page_printf(page, "%" PRId64, json_number(event, "offset"));
    const char *place = page_printf(page, "%s:%s", partition, offset);
    html_begin(&page->html, "tr", "data-row", place, NULL);
    page_cell_link(page, place,
                   html_url(&page->arena, "/topics/{}/{}/{}", topic_of(page), partition, offset));
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, json_time(event, "timestamp"));
    html_end(&page->html, "td");
    html_begin(&page->html, "td", "class", "key", NULL);
    payload_preview(page, key, payload_form_of(key, "text"));
    html_end(&page->html, "td");
    put_type(page, event);
    put_preview(page, event);
    html_end(&page->html, "tr");
}

static void put_stopped(struct page *page, const json_t *answer)
{
    const char *stopped = json_text(answer, "stopped");
    int64_t looked = json_number(answer, "looked_at");
    if (stopped == NULL || strcmp(stopped, "complete") == 0 || strcmp(stopped, "limit") == 0) {
        return;
    }
    page_say(
        page, "note",
        page_printf(page,
                    "It stopped early, at its limit of %s, after %s offsets: there may be more. "
                    "Narrow it by a partition or a place to begin at.",
                    strcmp(stopped, "time") == 0 ? "5 s" : "8 MiB", page_count(page, looked)));
}

/* To the page behind: where all are of one partition its next offset is known. */
static void put_next(struct page *page, const json_t *events)
{
    size_t count = json_array_size(events);
    const json_t *last = json_array_get(events, count - 1);
    if (page_query(page, "from", NULL) != NULL && page_query(page, "partition", NULL) != NULL) {
        html_begin(&page->html, "p", "class", "pager", NULL);
        html_element(&page->html, "a", "Next page", "rel", "next", "href",
                     page_url_with(page, "from",
                                   page_printf(page, "%" PRId64, json_number(last, "offset") + 1)),
                     NULL);
        html_end(&page->html, "p");
    }
}

static void put_forms(struct page *page)
{
    static const char *const forms[] = {"json", "text", "hex"};
    const char *now = page_query(page, "as", "");
    html_begin(&page->html, "p", "class", "choice", NULL);
    html_text(&page->html, "Payloads as ");
    page_tab(page, "they are", page_url_with(page, "as", NULL), now[0] == '\0');
    for (size_t i = 1; i < 3; i++) {
        page_tab(page, forms[i], page_url_with(page, "as", forms[i]), strcmp(now, forms[i]) == 0);
    }
    html_end(&page->html, "p");
}

static bool is_filtered(const struct page *page)
{
    return page_query(page, "where", NULL) != NULL || page_query(page, "from", NULL) != NULL ||
           page_query(page, "partition", NULL) != NULL;
}

static void put_events(struct page *page)
{
    static const struct page_column columns[] = {{"Place", NULL, NULL},
                                                 {"Published", NULL, NULL},
                                                 {"Key", NULL, NULL},
                                                 {"Type, subject", NULL, NULL},
                                                 {"Payload", NULL, NULL}};
    json_t *problem;
    put_filter(page);
    json_t *answer = page_ask(page, events_target(page), &problem);
    if (answer == NULL) {
        page_problem(page, problem);
        return;
    }
    const json_t *events = json_object_get(answer, "events");
    size_t count = json_array_size(events);
    put_stopped(page, answer);
    if (count == 0 && is_filtered(page)) {
        page_empty(page, "Nothing here fits. Without a place and a condition all events are shown.",
                   NULL);
        return;
    }
    if (count == 0) {
        page_empty(page, "No events are in this topic. Publish one:",
                   html_shell(&page->arena, "tidings publish {} --key 42 {}", topic_of(page),
                              "{\"item\": \"lamp\"}"));
        return;
    }
    put_forms(page);
    page_table(page,
               page_query(page, "from", NULL) != NULL ? "Events, oldest first"
                                                      : "Events, newest first",
               columns, 5);
    for (size_t i = 0; i < count; i++) {
        put_event(page, json_array_get(events, i));
    }
    page_table_end(page);
    put_next(page, events);
}

/* --- the other tabs --- */

static void put_partitions(struct page *page, const json_t *topic)
{
    static const struct page_column columns[] = {{"Partition", "n", NULL},
                                                 {"Leader", "n", NULL},
                                                 {"Start", "n", NULL},
                                                 {"End", "n", NULL},
                                                 {"Kept", "n", NULL}};
    size_t i;
    json_t *at;
    page_table(page, "Partitions", columns, 5);
    json_array_foreach(json_object_get(topic, "partitions"), i, at)
    {
        int64_t start = json_number(at, "start"), end = json_number(at, "end");
        const char *number = page_printf(page, "%" PRId64, json_number(at, "partition"));
        html_begin(&page->html, "tr", "data-row", number, NULL);
        html_begin(&page->html, "th", "scope", "row", "class", "n", NULL);
        html_element(&page->html, "a", number, "href",
                     html_url(&page->arena, "/topics/{}?partition={}", topic_of(page), number),
                     NULL);
        html_end(&page->html, "th");
        page_cell(page, page_printf(page, "%" PRId64, json_number(at, "leader")), "n");
        page_cell_count(page, start);
        page_cell_count(page, end);
        page_cell_count(page, start >= 0 && end >= 0 ? end - start : -1);
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

static void put_groups(struct page *page, const json_t *topic)
{
    static const struct page_column columns[] = {{"Group", NULL, NULL},
                                                 {"State", NULL, NULL},
                                                 {"Members", "n", NULL},
                                                 {"Lag here", "n", NULL}};
    const json_t *groups = json_object_get(topic, "groups");
    size_t i;
    json_t *group;
    if (json_array_size(groups) == 0) {
        page_empty(
            page, "No group reads this topic. Read it as a member of one:",
            html_shell(&page->arena, "tidings subscribe {} --group shipping", topic_of(page)));
        return;
    }
    page_table(page, "Groups that read this topic", columns, 4);
    json_array_foreach(groups, i, group)
    {
        page_group_row(page, group);
        page_cell_count(page, json_number(group, "lag"));
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

static void put_settings(struct page *page, const json_t *topic)
{
    static const struct page_column columns[] = {
        {"Setting", NULL, NULL}, {"Value", NULL, NULL}, {"", NULL, NULL}};
    const char *name;
    json_t *setting;
    page->command = html_shell(&page->arena, "tidings topic describe {} --all", topic_of(page));
    page_table(page, "Settings", columns, 3);
    json_object_foreach(json_object_get(topic, "settings"), name, setting)
    {
        html_begin(&page->html, "tr", NULL);
        html_element(&page->html, "th", name, "scope", "row", NULL);
        page_cell(page, json_text(setting, "value"), "mono");
        html_begin(&page->html, "td", NULL);
        if (json_is_true(json_object_get(setting, "own"))) {
            page_badge(page, "its own", "good");
        }
        html_end(&page->html, "td");
        html_end(&page->html, "tr");
    }
    page_table_end(page);
    html_element(&page->html, "p", "To change one:", "class", "note", NULL);
    page_command(page, html_shell(&page->arena, "tidings topic alter {} --config retention.ms=7d",
                                  topic_of(page)));
}

static void put_area(struct page *page, const char *label, const char *name, const char *rows)
{
    html_begin(&page->html, "label", "class", "all", NULL);
    html_element(&page->html, "span", label, NULL);
    html_element(&page->html, "textarea", "", "name", name, "rows", rows, "spellcheck", "false",
                 NULL);
    html_end(&page->html, "label");
}

static void put_publish(struct page *page)
{
    page->live_ms = 0;
    html_begin(&page->html, "form", "class", "produce", "method", "post", "action",
               html_url(&page->arena, "/topics/{}/publish", topic_of(page)), NULL);
    put_area(page, "Payload", "value", "8");
    page_field(page, "Key: events of one key keep their order", "key", NULL, "none", "wide");
    page_field(page, "CloudEvents type: makes it a CloudEvent", "type", NULL, "order.placed",
               "wide");
    page_field(page, "Source", "source", NULL, "/tidings/console", "wide");
    page_field(page, "Subject", "subject", NULL, "none", "wide");
    html_element(&page->html, "button", "Publish", "class", "main", NULL);
    html_end(&page->html, "form");
    html_element(&page->html, "p", "The same in a terminal:", "class", "note", NULL);
    page_command(page,
                 html_shell(&page->arena, "tidings publish {} --key 42 --ce-type order.placed {}",
                            topic_of(page), "{\"item\": \"lamp\"}"));
}

/* --- the page --- */

struct tab {
    const char *name, *word;
};
static const struct tab tabs[] = {{"events", "Events"},
                                  {"partitions", "Partitions"},
                                  {"groups", "Groups"},
                                  {"settings", "Settings"},
                                  {"publish", "Publish"}};

static void put_tabs(struct page *page, const char *here)
{
    html_begin(&page->html, "nav", "class", "tabs", "aria-label", "Of this topic", NULL);
    for (size_t i = 0; i < sizeof tabs / sizeof tabs[0]; i++) {
        const char *url =
            i == 0 ? html_url(&page->arena, "/topics/{}", topic_of(page))
                   : html_url(&page->arena, "/topics/{}?tab={}", topic_of(page), tabs[i].name);
        page_tab(page, tabs[i].word, url, strcmp(here, tabs[i].name) == 0);
    }
    html_end(&page->html, "nav");
}

static void put_numbers(struct page *page, const json_t *topic)
{
    html_begin(&page->html, "dl", "class", "tiles", NULL);
    page_tile(page, "Events in", page_topic_rate(page, topic), NULL, NULL, NULL);
    page_tile(page, "Kept", page_count(page, json_number(topic, "offsets")), NULL, NULL, NULL);
    page_tile(page, "Partitions", page_count(page, json_number(topic, "partition_count")), NULL,
              page_url_with(page, "tab", "partitions"), NULL);
    page_tile(page, "Groups",
              page_count(page, (int64_t)json_array_size(json_object_get(topic, "groups"))), NULL,
              page_url_with(page, "tab", "groups"), NULL);
    html_end(&page->html, "dl");
}

static void put_published(struct page *page)
{
    const char *place = page_query(page, "published", NULL);
    if (place != NULL) {
        page_say(page, "good", page_printf(page, "Published: the bus keeps it at %.60s.", place));
    }
}

void page_topic(struct page *page)
{
    json_t *problem;
    const char *name = topic_of(page), *tab = page_query(page, "tab", "events");
    const char *known = http_header(page->request, "tidings-mark");
    page->title = arena_cstr(&page->arena, slice_str(name));
    page->command = html_shell(&page->arena, "tidings topic describe {}", name);
    json_t *topic = page_ask(page, html_url(&page->arena, "/v1/topics/{}", name), &problem);
    if (topic == NULL) {
        page->status = (unsigned)json_number(problem, "status");
        page_problem(page, problem);
        return;
    }
    page->mark = mark_of(page, topic);
    if (known != NULL && strcmp(known, page->mark) == 0) {
        http_reply_empty(page->reply, 204);
        page->is_done = true;
        return;
    }
    put_numbers(page, topic);
    put_tabs(page, tab);
    put_published(page);
    if (strcmp(tab, "partitions") == 0) {
        put_partitions(page, topic);
    } else if (strcmp(tab, "groups") == 0) {
        put_groups(page, topic);
    } else if (strcmp(tab, "settings") == 0) {
        put_settings(page, topic);
    } else if (strcmp(tab, "publish") == 0) {
        put_publish(page);
    } else {
        const char *from = page_query(page, "from", "-20");
        page->command =
            html_shell(&page->arena, "tidings subscribe {} --from {} --until-end", name, from);
        put_events(page);
    }
}
