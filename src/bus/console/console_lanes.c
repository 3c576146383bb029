#include "bus/console/console_page.h"

#include "bus/dead/lane_view.h"

#include <inttypes.h>

/* Open lanes of a group: read as `tidings lanes list` reads them. */

enum { LANES_SHOWN = 500 };

static void put_lane(struct page *page, const struct lane_seen *lane)
{
    enum { KEY_MOST = 200 };
    struct slice key = buf_slice(&lane->key);
    const char *partition = page_printf(page, "%" PRId32, lane->partition);
    const char *head = page_printf(page, "%" PRId64, lane->head);
    html_begin(&page->html, "tr", "data-row",
               page_printf(page, "%.250s:%s:%s", lane->topic, partition, head), NULL);
    html_begin(&page->html, "th", "scope", "row", "class", "key", NULL);
    html_bytes(&page->html, key.size > KEY_MOST ? slice_of(key.data, KEY_MOST) : key);
    html_end(&page->html, "th");
    html_begin(&page->html, "td", NULL);
    page_badge(page, lane_seen_state(lane), "warn");
    html_end(&page->html, "td");
    html_begin(&page->html, "td", NULL);
    html_element(
        &page->html, "a", page_printf(page, "%.250s:%s:%s", lane->topic, partition, head), "href",
        lane->head >= 0 ? html_url(&page->arena, "/topics/{}/{}/{}", lane->topic, partition, head)
                        : NULL,
        NULL);
    html_end(&page->html, "td");
    page_cell_count(page, lane->events);
    page_cell(page, page_bytes(page, lane->bytes), "n");
    html_begin(&page->html, "td", "class", "when", NULL);
    page_time(page, lane->noted_ms);
    html_end(&page->html, "td");
    html_end(&page->html, "tr");
}

static void put_lanes(struct page *page, const struct lane_view *view)
{
    static const struct page_column columns[] = {{"Key", NULL, NULL},  {"State", NULL, NULL},
                                                 {"Head", NULL, NULL}, {"Aside", "n", NULL},
                                                 {"Bytes", "n", NULL}, {"Since", NULL, NULL}};
    if (view->lanes.count == 0) {
        page_empty(page, "No lane is open: nothing holds back its key.", NULL);
        return;
    }
    page_table(page, "Open lanes", columns, 6);
    for (size_t i = 0; i < view->lanes.count && i < LANES_SHOWN; i++) {
        put_lane(page, &view->lanes.items[i]);
    }
    page_table_end(page);
    if (view->lanes.count > LANES_SHOWN) {
        page_say(page, "note",
                 page_printf(page, "The first %d of %zu; the command has all.", LANES_SHOWN,
                             view->lanes.count));
    }
}

void page_lanes(struct page *page)
{
    struct lane_view_settings settings = {.connection = page->console->parts->connection,
                                          .group = page_query(page, "group", "")};
    struct lane_view view = {0};
    struct client_error error = {0};
    page->live_ms = 0; /* it reads all of the topic */
    page->title = page_printf(page, "Lanes of %.300s", settings.group);
    page->command = html_shell(&page->arena, "tidings lanes list {}", settings.group);
    enum client_status status = lane_view_load(&view, &settings, &error);
    if (status == CLIENT_OK) {
        put_lanes(page, &view);
    } else if (status == CLIENT_NOT_FOUND) {
        page_empty(
            page,
            "This group has no lanes: its service is not made with libtidings, or nothing of "
            "it ever waited.",
            NULL);
    } else {
        page->status = 503;
        page_say(page, "bad", page_printf(page, "The lanes could not be read: %.400s", error.text));
    }
    lane_view_deinit(&view);
}
