#include "bus/console/console_page.h"

#include "base/text_format.h"
#include "base/time_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- of JSON --- */

const char *json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int64_t json_number(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? (int64_t)json_number_value(number) : -1;
}

int64_t json_time(const json_t *object, const char *name)
{
    const char *text = json_text(object, name);
    int64_t time_ms;
    return text != NULL && time_parse(text, 0, &time_ms, NULL) == ERR_NONE ? time_ms : -1;
}

struct sorting {
    const char *name;
    int sign;
};

static int compare(const void *a, const void *b, void *context)
{
    const struct sorting *by = context;
    const json_t *one = json_object_get(*(json_t *const *)a, by->name);
    const json_t *other = json_object_get(*(json_t *const *)b, by->name);
    if (json_is_string(one) && json_is_string(other)) {
        return by->sign * strcmp(json_string_value(one), json_string_value(other));
    }
    double left = json_is_number(one) ? json_number_value(one) : -1;
    double right = json_is_number(other) ? json_number_value(other) : -1;
    return left < right ? -by->sign : left > right ? by->sign : 0;
}

json_t **page_sorted(struct page *page, const json_t *array, const char *sort, size_t *count)
{
    *count = json_array_size(array);
    json_t **list = arena_alloc_array(&page->arena, *count + 1, sizeof(json_t *));
    for (size_t i = 0; i < *count; i++) {
        list[i] = json_array_get(array, i);
    }
    if (sort != NULL) {
        struct sorting by = {sort + (sort[0] == '-'), sort[0] == '-' ? -1 : 1};
        qsort_r(list, *count, sizeof *list, compare, &by);
    }
    return list;
}

/* --- what may be shown --- */

void page_say_hidden(struct page *page)
{
    page_say(page, "note", "Payloads are hidden here (http.payloads=hidden).");
}

/* --- texts in the arena --- */

const char *page_query(const struct page *page, const char *name, const char *otherwise)
{
    const char *value = http_query(page->request, name);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

const char *page_printf(struct page *page, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    char *text = arena_alloc(&page->arena, (size_t)(size > 0 ? size : 0) + 1);
    if (size > 0) {
        vsnprintf(text, (size_t)size + 1, format, again);
    }
    va_end(again);
    va_end(args);
    return text;
}

const char *page_count(struct page *page, int64_t number)
{
    char digits[24], text[40];
    size_t size = 0;
    if (number < 0) {
        return "–";
    }
    int count = snprintf(digits, sizeof digits, "%" PRId64, number);
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) {
            text[size++] = ',';
        }
        text[size++] = digits[i];
    }
    return arena_cstr(&page->arena, slice_of(text, size));
}

const char *page_bytes(struct page *page, int64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (bytes < 1000) {
        return page_printf(page, "%" PRId64 " B", bytes);
    }
    double value = (double)bytes / 1000;
    size_t unit = 0;
    for (; value >= 999.5 && unit < 3; unit++) {
        value /= 1000;
    }
    return page_printf(page, "%.*f %s", value < 10 ? 1 : 0, value, units[unit]);
}

const char *page_span(struct page *page, int64_t ms)
{
    if (ms < 1000) {
        return page_printf(page, "%" PRId64 " ms", ms < 0 ? 0 : ms);
    }
    if (ms < 90 * 1000) {
        return page_printf(page, "%" PRId64 " s", ms / 1000);
    }
    if (ms < 90 * 60 * 1000) {
        return page_printf(page, "%" PRId64 " min", ms / 60000);
    }
    if (ms < INT64_C(36) * 3600 * 1000) {
        return page_printf(page, "%" PRId64 " h", ms / 3600000);
    }
    return page_printf(page, "%" PRId64 " d", ms / 86400000);
}

/* Parameters that change with what a page is asked to show. */
static void put_pair(struct buf *url, const char *name, const char *value)
{
    buf_append_u8(url, url->size == 0 ? '?' : '&');
    html_url_encode(url, name);
    buf_append_u8(url, '=');
    html_url_encode(url, value);
}

const char *page_url_with(struct page *page, const char *name, const char *value)
{
    static const char *const known[] = {"q",    "name",  "as",        "tab",   "sort",  "order",
                                        "from", "at",    "diff",      "where", "limit", "internal",
                                        "view", "group", "partition", "cause", "zoom"};
    struct buf url = {0};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *now = page_query(page, known[i], NULL);
        if (strcmp(known[i], name) != 0 && now != NULL) {
            put_pair(&url, known[i], now);
        }
    }
    if (value != NULL) {
        put_pair(&url, name, value);
    }
    if (url.size == 0) { /* without a query "?" would keep nothing, and "" all */
        buf_append_str(&url, "?");
    }
    const char *text = arena_cstr(&page->arena, buf_slice(&url));
    buf_deinit(&url);
    return text;
}

const char *page_group_url(struct page *page, const char *group)
{
    group = group != NULL ? group : "";
    bool is_no_segment = strcmp(group, ".") == 0 || strcmp(group, "..") == 0 || group[0] == '\0';
    return html_url(&page->arena, is_no_segment ? "/group?name={}" : "/groups/{}", group);
}

const char *page_rate(struct page *page, double rate)
{
    return rate < 0 ? "–" : page_printf(page, "%.*f/s", rate > 0 && rate < 10 ? 1 : 0, rate);
}

const char *page_topic_rate(struct page *page, const json_t *topic)
{
    const char *name = page_printf(page, "topic %s", json_text(topic, "name"));
    int64_t offsets = json_number(topic, "offsets");
    if (offsets < 0) {
        return "–";
    }
    console_rates_sample(page->console->rates, name, offsets, page->now_ms);
    return page_rate(page, console_rates_now(page->console->rates, name, page->now_ms));
}

/* --- elements --- */

void page_time(struct page *page, int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    if (time_ms < 0) {
        html_text(&page->html, "–");
        return;
    }
    time_format(time_ms, text);
    html_begin(&page->html, "time", "datetime", text, "title", text, NULL);
    if (time_ms > page->now_ms + 1000) {
        html_textf(&page->html, "in %s", page_span(page, time_ms - page->now_ms));
    } else if (page->now_ms - time_ms < 1000) {
        html_text(&page->html, "just now");
    } else {
        html_textf(&page->html, "%s ago", page_span(page, page->now_ms - time_ms));
    }
    html_end(&page->html, "time");
}

void page_command(struct page *page, const char *line)
{
    html_begin(&page->html, "p", "class", "cmd", NULL);
    html_element(&page->html, "code", line, NULL);
    html_end(&page->html, "p");
}

void page_button(struct page *page, const char *action, const char *word, const char *line)
{
    html_begin(&page->html, "form", "class", "filter", "method", "post", "action", action, NULL);
    html_element(&page->html, "button", word, NULL);
    html_end(&page->html, "form");
    page_command(page, line);
}

void page_empty(struct page *page, const char *words, const char *line)
{
    html_begin(&page->html, "div", "class", "empty", NULL);
    html_element(&page->html, "p", words, NULL);
    if (line != NULL) {
        page_command(page, line);
    }
    html_end(&page->html, "div");
}

void page_problem(struct page *page, const json_t *problem)
{
    const char *title = json_text(problem, "title"), *detail = json_text(problem, "detail");
    int64_t status = json_number(problem, "status");
    if (page->status == 200) {
        page->status = status >= 400 && status < 600 ? (unsigned)status : 502;
    }
    html_begin(&page->html, "div", "class", "say bad", "role", "alert", NULL);
    html_element(&page->html, "strong", title != NULL ? title : "It did not work", NULL);
    html_element(&page->html, "p", detail != NULL ? detail : "nothing says why", NULL);
    html_end(&page->html, "div");
}

void page_say(struct page *page, const char *tone, const char *words)
{
    html_begin(&page->html, "div", "class", page_printf(page, "say %s", tone), "role", "status",
               NULL);
    html_element(&page->html, "p", words, NULL);
    html_end(&page->html, "div");
}

void page_tile(struct page *page, const char *name, const char *number, const char *note,
               const char *url, const char *tone)
{
    struct html *html = &page->html;
    html_begin(html, "div", "class", tone, NULL);
    html_element(html, "dt", name, NULL);
    html_begin(html, "dd", NULL);
    html_element(html, url != NULL ? "a" : "b", number, "href", url, NULL);
    if (note != NULL) {
        html_element(html, "small", note, NULL);
    }
    html_end(html, "dd");
    html_end(html, "div");
}

void page_badge(struct page *page, const char *word, const char *tone)
{
    html_element(&page->html, "span", word, "class",
                 page_printf(page, "badge %s", tone != NULL ? tone : ""), NULL);
}

void page_group_badge(struct page *page, const json_t *group)
{
    const char *state = json_text(group, "state");
    int64_t members = json_number(group, "member_count");
    if (json_text(group, "error") != NULL) {
        page_badge(page, "not known", "warn");
    } else if (members > 0) {
        bool is_stable = state != NULL && strcmp(state, "Stable") == 0;
        page_badge(page, is_stable ? "reading" : state, is_stable ? "good" : "warn");
    } else {
        page_badge(page, "no members", json_number(group, "lag") > 0 ? "bad" : "idle");
    }
}

void page_group_row(struct page *page, const json_t *group)
{
    const char *name = json_text(group, "name");
    html_begin(&page->html, "tr", "data-row", name, NULL);
    page_cell_link(page, name, page_group_url(page, name));
    html_begin(&page->html, "td", NULL);
    page_group_badge(page, group);
    html_end(&page->html, "td");
    page_cell_count(page, json_number(group, "member_count"));
}

/* A heading that sorts by its column: down first, then up. */
static void put_sort(struct page *page, const struct page_column *column)
{
    const char *now = page_query(page, "sort", "");
    bool is_down = strcmp(now, page_printf(page, "-%s", column->sort)) == 0;
    bool is_up = strcmp(now, column->sort) == 0;
    bool is_number = column->class_name != NULL && strcmp(column->class_name, "n") == 0;
    const char *other =
        page_printf(page, "%s%s", (is_number ? !is_down : is_up) ? "-" : "", column->sort);
    html_begin(&page->html, "th", "scope", "col", "class", column->class_name, "aria-sort",
               is_up     ? "ascending"
               : is_down ? "descending"
                         : NULL,
               NULL);
    html_element(&page->html, "a", column->title, "href", page_url_with(page, "sort", other), NULL);
    html_end(&page->html, "th");
}

void page_table(struct page *page, const char *caption, const struct page_column *columns,
                size_t count)
{
    struct html *html = &page->html;
    html_begin(html, "div", "class", "scroll", "tabindex", "0", "role", "region", "aria-label",
               caption, NULL);
    html_begin(html, "table", NULL);
    html_element(html, "caption", caption, NULL);
    html_begin(html, "thead", NULL);
    html_begin(html, "tr", NULL);
    for (size_t i = 0; i < count; i++) {
        if (columns[i].sort != NULL) {
            put_sort(page, &columns[i]);
        } else {
            html_element(html, "th", columns[i].title, "scope", "col", "class",
                         columns[i].class_name, NULL);
        }
    }
    html_end(html, "tr");
    html_end(html, "thead");
    html_begin(html, "tbody", NULL);
}

void page_table_end(struct page *page)
{
    html_end(&page->html, "tbody");
    html_end(&page->html, "table");
    html_end(&page->html, "div");
}

void page_cell(struct page *page, const char *text, const char *class_name)
{
    html_element(&page->html, "td", text != NULL ? text : "–", "class", class_name, NULL);
}

void page_cell_count(struct page *page, int64_t number)
{
    page_cell(page, page_count(page, number), number == 0 ? "n zero" : "n");
}

void page_cell_link(struct page *page, const char *text, const char *url)
{
    html_begin(&page->html, "th", "scope", "row", NULL);
    html_element(&page->html, "a", text != NULL ? text : "–", "href", url, NULL);
    html_end(&page->html, "th");
}

void page_fact(struct page *page, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        html_begin(&page->html, "div", NULL);
        html_element(&page->html, "dt", name, NULL);
        html_element(&page->html, "dd", text, NULL);
        html_end(&page->html, "div");
    }
}

void page_fact_time(struct page *page, const char *name, int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    if (time_ms < 0) {
        return;
    }
    html_begin(&page->html, "div", NULL);
    html_element(&page->html, "dt", name, NULL);
    html_begin(&page->html, "dd", NULL);
    html_text(&page->html, time_format(time_ms, text));
    html_text(&page->html, ", ");
    page_time(page, time_ms);
    html_end(&page->html, "dd");
    html_end(&page->html, "div");
}

void page_tab(struct page *page, const char *word, const char *url, bool is_here)
{
    html_element(&page->html, "a", word, "href", url, "aria-current", is_here ? "true" : NULL,
                 NULL);
}

void page_spark(struct page *page, const double *values, size_t count, const char *label)
{
    enum { WIDTH = 240, HEIGHT = 36 };
    struct buf points = {0};
    double most = 1;
    if (count < 3) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        most = values[i] > most ? values[i] : most;
    }
    for (size_t i = 0; i < count; i++) {
        double x = WIDTH - (double)(count - 1 - i) * WIDTH / (RATES_KEPT - 2);
        buf_printf(&points, "%.1f,%.1f ", x, HEIGHT - 2 - values[i] / most * (HEIGHT - 4));
    }
    html_begin(&page->html, "svg", "class", "spark", "viewbox", "0 0 240 36", "preserveaspectratio",
               "none", "role", "img", "aria-label", label, NULL);
    html_element(&page->html, "polyline", "", "points", buf_cstr(&points), NULL);
    html_end(&page->html, "svg");
    buf_deinit(&points);
}

void page_field(struct page *page, const char *label, const char *name, const char *value,
                const char *hint, const char *class_name)
{
    html_begin(&page->html, "label", "class", class_name, NULL);
    html_element(&page->html, "span", label, NULL);
    html_void(&page->html, "input", "name", name, "value", value, "placeholder", hint,
              "autocomplete", "off", "spellcheck", "false", NULL);
    html_end(&page->html, "label");
}
