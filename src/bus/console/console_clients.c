#include "bus/console/console_page.h"

#include <string.h>

/* Who is connected, of the JSON of /v1/clients. */

static const char *name_of(struct page *page, const json_t *client)
{
    const char *id = json_text(client, "client_id"), *principal = json_text(client, "principal");
    if (id != NULL && id[0] != '\0') {
        return id;
    }
    return principal != NULL && principal[0] != '\0' ? principal : "without a name";
}

static const char *software_of(struct page *page, const json_t *client)
{
    const char *name = json_text(client, "software"),
               *version = json_text(client, "software_version");
    return name == NULL ? NULL
                        : page_printf(page, "%.200s %.100s", name, version != NULL ? version : "");
}

/* One row of the client's flows of a kind, the topics once each. */
static void put_flows(struct page *page, const json_t *client, const char *did)
{
    size_t i, count = 0;
    json_t *flow;
    html_begin(&page->html, "td", NULL);
    json_array_foreach(json_object_get(client, "flows"), i, flow)
    {
        const char *kind = json_text(flow, "did"), *topic = json_text(flow, "topic");
        if (kind == NULL || strcmp(kind, did) != 0 || topic == NULL) {
            continue;
        }
        html_text(&page->html, count++ > 0 ? ", " : "");
        html_element(&page->html, "a", topic, "href", html_url(&page->arena, "/topics/{}", topic),
                     NULL);
        html_element(&page->html, "small", page_count(page, json_number(flow, "events")), NULL);
    }
    html_end(&page->html, "td");
}

static void put_groups(struct page *page, const json_t *client)
{
    const char *last = "";
    size_t i;
    json_t *flow;
    html_begin(&page->html, "td", NULL);
    json_array_foreach(json_object_get(client, "flows"), i, flow)
    {
        const char *group = json_text(flow, "group");
        if (group != NULL && strcmp(group, last) != 0) {
            html_text(&page->html, last[0] != '\0' ? ", " : "");
            html_element(&page->html, "a", group, "href", page_group_url(page, group), NULL);
            last = group;
        }
    }
    html_end(&page->html, "td");
}

static void put_client(struct page *page, const json_t *client, size_t number)
{
    int64_t gone_ms = json_time(client, "gone_since");
    const char *address = json_text(client, "address"), *software = software_of(page, client);
    const char *principal = json_text(client, "principal");
    html_begin(&page->html, "tr", "data-row",
               page_printf(page, "%.200s %.60s %.100s %zu", name_of(page, client),
                           address != NULL ? address : "", software != NULL ? software : "",
                           number),
               NULL);
    html_begin(&page->html, "th", "scope", "row", NULL);
    html_text(&page->html, name_of(page, client));
    if (principal != NULL && strcmp(principal, "User:ANONYMOUS") != 0) {
        html_element(&page->html, "small", principal, NULL);
    }
    html_end(&page->html, "th");
    page_cell(page, software, NULL);
    page_cell(page, address, "mono");
    html_begin(&page->html, "td", NULL);
    if (gone_ms >= 0) {
        page_badge(page, "gone", "idle");
        html_text(&page->html, " ");
        page_time(page, gone_ms);
    } else {
        page_badge(
            page,
            page_printf(page, "%s here", page_count(page, json_number(client, "connections"))),
            "good");
    }
    html_end(&page->html, "td");
    put_flows(page, client, "produced");
    put_flows(page, client, "fetched");
    put_groups(page, client);
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, json_time(client, "last_active"));
    html_end(&page->html, "td");
    html_end(&page->html, "tr");
}

void page_clients(struct page *page)
{
    static const struct page_column columns[] = {
        {"Client", NULL, NULL},      {"Software", NULL, NULL},     {"Address", NULL, NULL},
        {"Connections", NULL, NULL}, {"Published to", NULL, NULL}, {"Fetched from", NULL, NULL},
        {"Groups", NULL, NULL},      {"Last active", NULL, NULL}};
    json_t *problem, *client;
    size_t i;
    page->command = "tidings client list";
    json_t *clients = page_ask(page, "/v1/clients?over=0ms", &problem);
    if (clients == NULL) {
        page_problem(page, problem);
        return;
    }
    if (json_array_size(clients) == 0) {
        page_empty(page, "Nobody was ever connected. Any Kafka client will do:",
                   "tidings subscribe orders");
        return;
    }
    page_table(page, "Clients", columns, 8);
    json_array_foreach(clients, i, client)
    {
        put_client(page, client, i);
    }
    page_table_end(page);
}
