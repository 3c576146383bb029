#include "bus/console/console_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The flow map: the picture that /v1/map?format=svg has, and its JSON as tables. */

enum { ZOOM_LEAST = 25, ZOOM_MOST = 400 };

static int zoom_of(const struct page *page)
{
    int zoom = atoi(page_query(page, "zoom", "0"));
    return zoom == 0 ? 0 : zoom < ZOOM_LEAST ? ZOOM_LEAST : zoom > ZOOM_MOST ? ZOOM_MOST : zoom;
}

/* The target with the parameters that it takes of the page's own. */
static const char *target_of(struct page *page, const char *format)
{
    const char *at = page_query(page, "at", NULL), *diff = page_query(page, "diff", NULL);
    const char *target = page_printf(page, "/v1/map?format=%s", format);
    if (at != NULL) {
        target = page_printf(page, "%s&at=%.300s", target, html_url(&page->arena, "{}", at));
    }
    if (diff != NULL && strcmp(format, "svg") != 0) {
        target = page_printf(page, "%s&diff=%.300s", target, html_url(&page->arena, "{}", diff));
    }
    return target;
}

/* --- the picture --- */

/*
 * It has its colours in a style element, which the policy of a page forbids; here they stand in
 * console.css. Its first element is written anew, in the size that is wanted.
 */
static void put_picture(struct page *page, const char *svg)
{
    static const char end[] = "</style>";
    double width = 0, height = 0;
    const char *box = strstr(svg, "viewBox=\""), *behind = strstr(svg, end);
    int zoom = zoom_of(page);
    if (box == NULL || behind == NULL ||
        sscanf(box, "viewBox=\"0 0 %lf %lf", &width, &height) != 2) {
        page_say(page, "bad", "The picture cannot be shown here.");
        return;
    }
    html_begin(&page->html, "div", "class", zoom > 0 ? "map" : "map fit", "tabindex", "0", "role",
               "region", "aria-label", "Picture of the flow map", "id", "map", NULL);
    double scale = zoom > 0 ? zoom / 100.0 : 1;
    html_begin(&page->html, "svg", "class", "tidings-map", "role", "img", "aria-label",
               "Flow map; the tables below say the same", "viewbox",
               page_printf(page, "0 0 %.0f %.0f", width, height), "width",
               page_printf(page, "%.0f", width * scale), "height",
               page_printf(page, "%.0f", height * scale), NULL);
    behind += sizeof end - 1;
    const char *last = strstr(behind, "</svg>");
    html_append(&page->html,
                slice_of(behind, last != NULL ? (size_t)(last - behind) : strlen(behind)));
    html_end(&page->html, "svg");
    html_end(&page->html, "div");
}

static void put_zoom(struct page *page)
{
    static const int zooms[] = {50, 75, 100, 150, 200};
    int now = zoom_of(page);
    html_begin(&page->html, "p", "class", "choice", "id", "zoom", NULL);
    html_text(&page->html, "Size ");
    page_tab(page, "fits", page_url_with(page, "zoom", NULL), now == 0);
    for (size_t i = 0; i < sizeof zooms / sizeof zooms[0]; i++) {
        page_tab(page, page_printf(page, "%d %%", zooms[i]),
                 page_url_with(page, "zoom", page_printf(page, "%d", zooms[i])), now == zooms[i]);
    }
    html_element(&page->html, "a", "as a file", "href", "/v1/map.svg", NULL);
    html_end(&page->html, "p");
}

static void put_when(struct page *page)
{
    static const struct {
        const char *word, *at;
    } times[] = {{"now", NULL},
                 {"10 min ago", "-10m"},
                 {"1 h ago", "-1h"},
                 {"1 day ago", "-1d"},
                 {"7 days ago", "-7d"}};
    const char *now = page_query(page, "at", NULL);
    html_begin(&page->html, "form", "class", "filter", NULL);
    page_field(page, "As it was at", "at", now, "now; or -1h, a time", NULL);
    page_field(page, "Changes since", "diff", page_query(page, "diff", NULL), "7d", "narrow");
    html_element(&page->html, "button", "Show", NULL);
    html_begin(&page->html, "span", "class", "choice", NULL);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        bool is_here = now == NULL ? times[i].at == NULL
                                   : times[i].at != NULL && strcmp(now, times[i].at) == 0;
        page_tab(page, times[i].word, page_url_with(page, "at", times[i].at), is_here);
    }
    html_end(&page->html, "span");
    html_end(&page->html, "form");
}

/* --- as tables --- */

static const char *tone_of(const char *state)
{
    return state == NULL                                              ? NULL
           : strcmp(state, "failing") == 0                            ? "bad"
           : strcmp(state, "fresh") == 0 || strcmp(state, "new") == 0 ? "good"
           : strcmp(state, "gone") == 0                               ? "warn"
                                                                      : "idle";
}

static const char *name_of(const json_t *nodes, const char *id)
{
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *own = json_text(node, "id");
        if (id != NULL && own != NULL && strcmp(own, id) == 0) {
            return json_text(node, "name");
        }
    }
    return id;
}

/* Who is at the other end of the node's edges of a kind; with lag, given up and guesses. */
static void put_ends(struct page *page, const json_t *map, const json_t *node, const char *kind,
                     const char *own, const char *other)
{
    const char *id = json_text(node, "id");
    size_t i, count = 0;
    json_t *edge;
    html_begin(&page->html, "td", NULL);
    json_array_foreach(json_object_get(map, "edges"), i, edge)
    {
        const char *is = json_text(edge, "kind"), *end = json_text(edge, own);
        if (is == NULL || end == NULL || id == NULL || strcmp(is, kind) != 0 ||
            strcmp(end, id) != 0) {
            continue;
        }
        html_text(&page->html, count++ > 0 ? ", " : "");
        html_text(&page->html, name_of(json_object_get(map, "nodes"), json_text(edge, other)));
        if (json_number(edge, "lag") > 0) {
            html_element(&page->html, "small",
                         page_printf(page, "lag %s", page_count(page, json_number(edge, "lag"))),
                         NULL);
        }
        if (json_number(edge, "given_up") > 0) {
            html_element(
                &page->html, "small",
                page_printf(page, "%s given up", page_count(page, json_number(edge, "given_up"))),
                NULL);
        }
        if (json_text(edge, "guessed_from") != NULL) {
            html_element(&page->html, "small", "inferred", "class", "evidence", "title",
                         json_text(edge, "guessed_from"), NULL);
        }
    }
    if (count == 0) {
        html_element(&page->html, "span", "–", "class", "soft", NULL);
    }
    html_end(&page->html, "td");
}

static void put_state(struct page *page, const json_t *node)
{
    const char *state = json_text(node, "state");
    html_begin(&page->html, "td", NULL);
    page_badge(page, state, tone_of(state));
    html_element(&page->html, "small", json_text(node, "why"), NULL);
    html_end(&page->html, "td");
}

static double rate_of(const json_t *node)
{
    const json_t *rate = json_object_get(node, "rate");
    return json_is_number(rate) ? json_number_value(rate) : -1;
}

static bool is_service(const json_t *node)
{
    const char *kind = json_text(node, "kind");
    return kind != NULL && strcmp(kind, "service") == 0;
}

static void put_row(struct page *page, const json_t *map, const json_t *node)
{
    const char *topic = json_string_value(json_array_get(json_object_get(node, "topics"), 0));
    html_begin(&page->html, "tr", "data-row", json_text(node, "id"), NULL);
    html_begin(&page->html, "th", "scope", "row", NULL);
    html_element(&page->html, topic != NULL ? "a" : "span", json_text(node, "name"), "href",
                 topic != NULL ? html_url(&page->arena, "/topics/{}", topic) : NULL, NULL);
    html_end(&page->html, "th");
    put_state(page, node);
    page_cell(page, page_rate(page, rate_of(node)), "n");
    if (is_service(node)) {
        put_ends(page, map, node, "publishes", "from", "to");
        put_ends(page, map, node, "consumes", "to", "from");
        page_cell_count(page, json_number(node, "members"));
    } else {
        put_ends(page, map, node, "publishes", "to", "from");
        put_ends(page, map, node, "consumes", "from", "to");
        put_ends(page, map, node, "causes", "from", "to");
    }
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, json_time(node, "last_seen"));
    html_end(&page->html, "td");
    html_end(&page->html, "tr");
}

static void put_table(struct page *page, const json_t *map, bool of_services)
{
    static const struct page_column services[] = {{"Service", NULL, NULL},  {"State", NULL, NULL},
                                                  {"Publishes", "n", NULL}, {"What", NULL, NULL},
                                                  {"Consumes", NULL, NULL}, {"Members", "n", NULL},
                                                  {"Last seen", NULL, NULL}};
    static const struct page_column types[] = {
        {"Event type", NULL, NULL},   {"State", NULL, NULL},       {"Rate", "n", NULL},
        {"Published by", NULL, NULL}, {"Consumed by", NULL, NULL}, {"Causes", NULL, NULL},
        {"Last seen", NULL, NULL}};
    size_t i;
    json_t *node;
    html_element(&page->html, "h2", of_services ? "Services" : "Event types", NULL);
    page_table(page, of_services ? "Services" : "Event types", of_services ? services : types, 7);
    json_array_foreach(json_object_get(map, "nodes"), i, node)
    {
        if (is_service(node) == of_services) {
            put_row(page, map, node);
        }
    }
    page_table_end(page);
}

/* --- what changed --- */

static void put_changes(struct page *page, const json_t *diff, const char *list, const char *title)
{
    size_t i;
    json_t *change;
    html_element(&page->html, "h2", title, NULL);
    html_begin(&page->html, "ul", NULL);
    json_array_foreach(json_object_get(diff, list), i, change)
    {
        const char *from = json_text(change, "from"), *to = json_text(change, "to");
        html_begin(&page->html, "li", NULL);
        if (from != NULL && to != NULL) {
            html_textf(&page->html, "%s %s %s", from, json_text(change, "kind"), to);
        } else {
            html_text(&page->html, json_text(change, "id"));
        }
        html_text(&page->html, " ");
        page_badge(page, json_text(change, "state"), tone_of(json_text(change, "state")));
        html_end(&page->html, "li");
    }
    if (i == 0) {
        html_element(&page->html, "li", "nothing", "class", "soft", NULL);
    }
    html_end(&page->html, "ul");
}

static void put_bounds(struct page *page, const json_t *map)
{
    const char *by = json_text(map, "gone_by"), *error = json_text(map, "groups_error");
    html_begin(&page->html, "p", "class", "note", NULL);
    html_text(&page->html, "As observed since ");
    page_time(page, json_time(map, "watched_since"));
    html_textf(&page->html, "; that somebody is gone is known by %s.",
               by != NULL ? by : "sessions");
    if (by != NULL && strcmp(by, "sessions") == 0) {
        html_text(&page->html, " Connections are not seen here (another cluster's broker): a "
                               "consumer is gone when its session times out, and a publisher is "
                               "only quiet.");
    }
    if (json_number(map, "left_out") > 0) {
        html_textf(&page->html, " %s facts had no place.",
                   page_count(page, json_number(map, "left_out")));
    }
    if (error != NULL) {
        html_textf(&page->html, " Groups could not be asked: %s.", error);
    }
    html_end(&page->html, "p");
}

static void put_map(struct page *page, const json_t *map)
{
    json_t *problem;
    if (json_array_size(json_object_get(map, "nodes")) == 0) {
        page_empty(
            page,
            "Nothing was seen yet. The map draws itself of what clients do, in any language; "
            "publish something, and read it:",
            "tidings publish orders --create --ce-type order.placed --ce-source /shop '{}'");
        return;
    }
    json_t *picture = page_ask(page, target_of(page, "svg"), &problem);
    if (json_text(picture, "text") != NULL) {
        put_zoom(page);
        put_picture(page, json_text(picture, "text"));
    }
    put_bounds(page, map);
    put_table(page, map, true);
    put_table(page, map, false);
}

void page_map(struct page *page)
{
    json_t *problem;
    const char *at = page_query(page, "at", NULL), *diff = page_query(page, "diff", NULL);
    page->command = diff != NULL ? html_shell(&page->arena, "tidings map --diff {}", diff)
                    : at != NULL ? html_shell(&page->arena, "tidings map --at {}", at)
                                 : "tidings map";
    page->live_ms = at == NULL && diff == NULL ? 3000 : 0;
    put_when(page);
    json_t *map = page_ask(page, target_of(page, "json"), &problem);
    if (map == NULL) {
        page_problem(page, problem);
    } else if (diff != NULL) {
        put_changes(page, map, "added", "New");
        put_changes(page, map, "removed", "Not there any more");
        put_changes(page, map, "changed", "Otherwise");
    } else {
        put_map(page, map);
    }
}
