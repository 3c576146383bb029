#include "bus/console/console_page.h"

/* What somebody should know, of the JSON of /v1/alerts. */

static void put_alert(struct page *page, const json_t *alert)
{
    const char *text = json_text(alert, "text"), *kind = json_text(alert, "kind");
    bool is_over = json_text(alert, "over") != NULL;
    html_begin(&page->html, "tr", NULL);
    html_begin(&page->html, "td", NULL);
    page_badge(page, is_over ? "over" : "open", is_over ? "idle" : "bad");
    html_end(&page->html, "td");
    html_element(&page->html, "th", text, "scope", "row", NULL);
    page_cell(page, kind, "mono soft");
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, json_time(alert, "since"));
    html_end(&page->html, "td");
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, json_time(alert, "over"));
    html_end(&page->html, "td");
    html_end(&page->html, "tr");
}

void page_alerts(struct page *page)
{
    static const struct page_column columns[] = {{"State", NULL, NULL},
                                                 {"What", NULL, NULL},
                                                 {"Kind", NULL, NULL},
                                                 {"Since", NULL, NULL},
                                                 {"Over", NULL, NULL}};
    json_t *problem, *alert;
    size_t i;
    page->command = NULL;
    json_t *alerts = page_ask(page, "/v1/alerts", &problem);
    if (alerts == NULL) {
        page_problem(page, problem);
        return;
    }
    if (json_array_size(alerts) == 0) {
        page_empty(
            page,
            "Nothing to tell. Told is when the last consumer of a type leaves, a new service "
            "publishes a type, nobody consumes one, or events cause each other in a circle; a "
            "restart is none of it.",
            NULL);
        return;
    }
    page_table(page, "Alerts, newest first", columns, 5);
    json_array_foreach(alerts, i, alert)
    {
        put_alert(page, alert);
    }
    page_table_end(page);
}
