#include "bus/console/console_payload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The place that the page's path names. */
struct place {
    const char *topic, *partition, *offset;
};

static void put_around(struct page *page, const struct place *at)
{
    int64_t offset = strtoll(at->offset, NULL, 10);
    const char *before = page_printf(page, "%" PRId64, offset - 1);
    const char *behind = page_printf(page, "%" PRId64, offset + 1);
    html_begin(&page->html, "nav", "class", "pager", "aria-label", "Events around", NULL);
    html_element(&page->html, "a", "← before", "rel", "prev", "href",
                 offset > 0
                     ? html_url(&page->arena, "/topics/{}/{}/{}", at->topic, at->partition, before)
                     : NULL,
                 NULL);
    html_element(&page->html, "a", "behind →", "rel", "next", "href",
                 html_url(&page->arena, "/topics/{}/{}/{}", at->topic, at->partition, behind),
                 NULL);
    html_element(&page->html, "a", "from here on", "href",
                 html_url(&page->arena, "/topics/{}?partition={}&from={}", at->topic, at->partition,
                          at->offset),
                 NULL);
    html_end(&page->html, "nav");
}

static void put_facts(struct page *page, const json_t *event, const struct place *at)
{
    static const struct {
        const char *name, *label;
    } rows[] = {{"id", "Id"},
                {"source", "Source"},
                {"type", "Type"},
                {"subject", "Subject"},
                {"time", "Event time"},
                {"correlationid", "Correlation"},
                {"causationid", "Caused by"}};
    const json_t *cloud = json_object_get(event, "cloudevent");
    struct slice key = payload_bytes(page, event, "key");
    html_begin(&page->html, "dl", "class", "facts", NULL);
    page_fact(page, "Topic", at->topic);
    page_fact(page, "Partition, offset", page_printf(page, "%s : %s", at->partition, at->offset));
    page_fact_time(page, "Published", json_time(event, "timestamp"));
    if (!slice_is_null(key)) {
        html_begin(&page->html, "div", NULL);
        html_element(&page->html, "dt", "Key", NULL);
        html_begin(&page->html, "dd", NULL);
        payload_preview(page, key, payload_form_of(key, "text"));
        html_end(&page->html, "dd");
        html_end(&page->html, "div");
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        page_fact(page, rows[i].label, json_text(cloud, rows[i].name));
    }
    html_end(&page->html, "dl");
}

static void put_links(struct page *page, const json_t *event, const struct place *at)
{
    struct slice key = payload_bytes(page, event, "key");
    html_begin(&page->html, "p", "class", "choice", NULL);
    if (console_has(page->console, "/v1/story")) {
        html_element(
            &page->html, "a", "Story of this event", "class", "main", "href",
            html_url(&page->arena, "/story?q={}:{}:{}", at->topic, at->partition, at->offset),
            NULL);
    }
    if (!slice_is_null(key) && payload_form_of(key, "text") == PAYLOAD_TEXT &&
        slice_find(key, '"') == NULL && slice_find(key, '\\') == NULL) {
        const char *text = arena_cstr(&page->arena, key);
        html_element(&page->html, "a", "Events of this key", "href",
                     html_url(&page->arena, "/topics/{}?where={}", at->topic,
                              page_printf(page, "key = \"%.500s\"", text)),
                     NULL);
    }
    html_end(&page->html, "p");
}

static void put_header(struct page *page, const char *name, const json_t *value)
{
    html_begin(&page->html, "tr", NULL);
    html_element(&page->html, "th", name, "scope", "row", NULL);
    html_begin(&page->html, "td", "class", "mono", NULL);
    if (json_is_string(value)) {
        html_bytes(&page->html, slice_of(json_string_value(value), json_string_length(value)));
    } else if (json_is_null(value)) {
        page_badge(page, "no value", "idle");
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        html_text(&page->html, text);
        free(text);
    }
    html_end(&page->html, "td");
    html_end(&page->html, "tr");
}

static void put_headers(struct page *page, const json_t *event)
{
    json_t *headers = json_object_get(event, "headers");
    static const struct page_column columns[] = {{"Header", NULL, NULL}, {"Value", NULL, NULL}};
    const char *name;
    json_t *value;
    if (json_object_size(headers) == 0) {
        bool is_hidden = json_is_true(json_object_get(event, "hidden"));
        html_element(&page->html, "p",
                     is_hidden ? "It has no attributes; other headers are hidden."
                               : "It has no headers.",
                     "class", "note", NULL);
        return;
    }
    page_table(page, "Headers", columns, 2);
    json_object_foreach(headers, name, value)
    {
        size_t i;
        json_t *one;
        if (!json_is_array(value)) {
            put_header(page, name, value);
        }
        json_array_foreach(value, i, one)
        {
            put_header(page, name, one);
        }
    }
    page_table_end(page);
}

static void put_value(struct page *page, const json_t *event)
{
    static const char *const words[] = {"json", "text", "hex"};
    struct slice value = payload_bytes(page, event, "value");
    html_element(&page->html, "h2", "Payload", NULL);
    if (json_is_true(json_object_get(event, "hidden"))) {
        page_say_hidden(page);
        return;
    }
    if (slice_is_null(value)) {
        page_empty(page, "It has no value: in a compacted topic this deletes what its key has.",
                   NULL);
        return;
    }
    enum payload_form form = payload_form_of(value, page_query(page, "as", NULL));
    html_begin(&page->html, "p", "class", "choice", NULL);
    html_textf(&page->html, "%s as ", page_bytes(page, (int64_t)value.size));
    for (int i = PAYLOAD_JSON; i <= PAYLOAD_HEX; i++) {
        page_tab(page, words[i], page_url_with(page, "as", words[i]), i == (int)form);
    }
    html_end(&page->html, "p");
    payload_put(page, value, form);
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && strlen(text) < 19 && text[strspn(text, "0123456789")] == '\0';
}

/* NULL: the page says why there is none. */
static const json_t *find(struct page *page, const struct place *at)
{
    json_t *problem;
    if (!is_number(at->partition) || !is_number(at->offset)) {
        page->status = 404;
        page_say(page, "bad", "The place of an event is a partition and an offset: two numbers.");
        return NULL;
    }
    json_t *answer =
        page_ask(page,
                 html_url(&page->arena, "/v1/topics/{}/events?partition={}&from={}&limit=1",
                          at->topic, at->partition, at->offset),
                 &problem);
    if (answer == NULL) {
        page->status = (unsigned)json_number(problem, "status");
        page_problem(page, problem);
        return NULL;
    }
    const json_t *event = json_array_get(json_object_get(answer, "events"), 0);
    if (event == NULL || json_number(event, "offset") != strtoll(at->offset, NULL, 10)) {
        page->status = 404;
        put_around(page, at);
        page_empty(page,
                   "No event has this offset: it is not written yet, was taken by retention or "
                   "compaction, or is a marker of a transaction.",
                   html_shell(&page->arena, "tidings topic describe {}", at->topic));
        return NULL;
    }
    return event;
}

void page_event(struct page *page)
{
    struct place at = {http_segment(page->request, "topic"),
                       http_segment(page->request, "partition"),
                       http_segment(page->request, "offset")};
    page->live_ms = 0;
    page->title = page_printf(page, "%.300s %.20s:%.20s", at.topic, at.partition, at.offset);
    page->command =
        html_shell(&page->arena, "tidings subscribe {} --partition {} --from {} --max 1 --headers",
                   at.topic, at.partition, at.offset);
    const json_t *event = find(page, &at);
    if (event != NULL) {
        put_around(page, &at);
        put_facts(page, event, &at);
        put_links(page, event, &at);
        put_value(page, event);
        html_element(&page->html, "h2", "Headers", NULL);
        put_headers(page, event);
    }
}
