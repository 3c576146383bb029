#include "bus/console/console_page.h"

static void put_checks(struct page *page)
{
    json_t *problem, *check;
    size_t i;
    json_t *ready = page_ask(page, "/readyz", &problem);
    html_element(&page->html, "h2", "Health", NULL);
    html_begin(&page->html, "ul", "class", "checks", NULL);
    json_array_foreach(json_object_get(ready != NULL ? ready : problem, "checks"), i, check)
    {
        bool is_fine = json_is_true(json_object_get(check, "ok"));
        html_begin(&page->html, "li", NULL);
        page_badge(page, is_fine ? "works" : "does not work", is_fine ? "good" : "bad");
        html_element(&page->html, "b", json_text(check, "name"), NULL);
        html_text(&page->html, " ");
        html_text(&page->html, json_text(check, "detail"));
        html_end(&page->html, "li");
    }
    html_end(&page->html, "ul");
}

static void put_settings(struct page *page)
{
    struct http *http = page->console->parts->http;
    struct http_counts counts = http_counts(http);
    html_begin(&page->html, "dl", "class", "facts", NULL);
    page_fact(page, "Version", TIDINGS_VERSION);
    page_fact(page, "Bus", page->console->parts->connection->bootstrap_servers);
    page_fact(page, "Listens at", http_address(http));
    page_fact(page, "Payloads", http_shows_payloads(page->request) ? "shown" : "hidden");
    page_fact(page, "Requests under way",
              page_printf(page, "%u of %u connections, %u streams", counts.busy_workers,
                          counts.connections, counts.streams));
    html_end(&page->html, "dl");
}

static void put_route(void *context, const struct http_route *route)
{
    struct page *page = context;
    if (route->is_page) {
        return;
    }
    html_begin(&page->html, "tr", NULL);
    html_element(&page->html, "th", route->method, "scope", "row", NULL);
    page_cell(page, route->path, "mono");
    page_cell(page, route->summary, NULL);
    html_end(&page->html, "tr");
}

void page_settings(struct page *page)
{
    static const struct page_column columns[] = {
        {"Method", NULL, NULL}, {"Path", NULL, NULL}, {"What it does", NULL, NULL}};
    page->command = "tidings status";
    page->live_ms = 5000;
    if (page->console->parts->http == NULL) {
        return; /* the server is just about to start */
    }
    put_checks(page);
    html_element(&page->html, "h2", "This server", NULL);
    put_settings(page);
    html_element(&page->html, "h2", "For programs", NULL);
    html_begin(&page->html, "p", "class", "note", NULL);
    html_text(&page->html, "All that these pages show can be had as JSON; ");
    html_element(&page->html, "a", "the description", "href", "/v1/openapi.json", NULL);
    html_text(&page->html, " is for generators of clients.");
    html_end(&page->html, "p");
    page_table(page, "Routes", columns, 3);
    http_route_each(page->console->parts->http, put_route, page);
    page_table_end(page);
}
