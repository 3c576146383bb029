#include "bus/console/console_page.h"

#include "base/mem.h"
#include "client/admin/admin.h"
#include "client/admin/position.h"

#include <inttypes.h>
#include <stdlib.h>

/* Moving the committed offsets of a group, as `tidings group reset` does it: what would change is
 * shown first, and done by a form. */

struct reset {
    struct page *page;
    const char *group;
    struct position position;
    struct connection *connection;
    struct topic_partitions before, list; /* committed now, and where they would be */
    struct admin_bounds *bounds;          /* of the list */
    struct client_error error;
};

static void reset_deinit(struct reset *reset)
{
    topic_partitions_deinit(&reset->before);
    topic_partitions_deinit(&reset->list);
    free(reset->bounds);
}

/* False: the page says what is wrong with it. The last N are not the same in offsets and in events,
 * so they are left to the command, which counts events. */
static bool read_place(struct reset *reset, const char *to)
{
    struct reason reason = {""};
    struct page *page = reset->page;
    if (position_parse(to, page->now_ms, &reset->position, &reason) != ERR_NONE) {
        page_say(page, "bad", page_printf(page, "Where to: %.500s", reason.text));
        return false;
    }
    if (reset->position.kind == POSITION_LAST) {
        page_say(page, "bad", "Where to: here that is start, end, an offset or a time.");
        return false;
    }
    return true;
}

static enum client_status look(struct reset *reset)
{
    struct client_error *error = &reset->error;
    struct admin_group group = {0};
    enum client_status status =
        bus_parts_connection(reset->page->console->parts, &reset->connection, error);
    if (status == CLIENT_OK) {
        status = admin_group(reset->connection, reset->group, &group, error);
    }
    if (status == CLIENT_OK && group.members.count > 0) {
        status = client_fail(error, CLIENT_CONFLICT, "stop them first",
                             "the group has %zu members, which go on from where they are",
                             group.members.count);
    }
    if (status == CLIENT_OK) {
        status = admin_group_offsets(reset->connection, reset->group, NULL, &reset->before, error);
    }
    if (status == CLIENT_OK && reset->before.count == 0) {
        status = client_fail(error, CLIENT_NOT_FOUND, NULL, "the group has committed no offsets");
    }
    admin_group_deinit(&group);
    return status;
}

static enum client_status plan(struct reset *reset)
{
    enum client_status status = look(reset);
    if (status == CLIENT_OK) {
        topic_partitions_append(&reset->list, &reset->before);
        reset->bounds = mem_new_array(struct admin_bounds, reset->list.count);
        status = admin_bounds(reset->connection, &reset->list, reset->bounds, &reset->error);
    }
    if (status == CLIENT_OK) {
        status = position_resolve(reset->connection, &reset->list, &reset->position, reset->bounds,
                                  &reset->error);
    }
    return status;
}

static void put_failure(struct reset *reset)
{
    const struct client_error *error = &reset->error;
    page_say(reset->page, "bad",
             page_printf(reset->page, "Nothing was moved: %.400s%s%.400s", error->text,
                         error->hint != NULL ? "; " : "", error->hint != NULL ? error->hint : ""));
}

/* --- shown --- */

static void put_plan(struct reset *reset)
{
    static const struct page_column columns[] = {{"Partition", NULL, NULL},
                                                 {"From", "n", NULL},
                                                 {"To", "n", NULL},
                                                 {"Then to read", "n", NULL}};
    struct page *page = reset->page;
    page_table(page, "What would change", columns, 4);
    for (size_t i = 0; i < reset->list.count; i++) {
        const struct topic_partition *at = &reset->list.items[i];
        html_begin(&page->html, "tr", NULL);
        html_element(&page->html, "th",
                     page_printf(page, "%.250s:%" PRId32, at->topic, at->partition), "scope", "row",
                     NULL);
        page_cell_count(page, reset->before.items[i].offset);
        page_cell_count(page, at->offset);
        page_cell_count(page, reset->bounds[i].end - at->offset);
        html_end(&page->html, "tr");
    }
    page_table_end(page);
}

/* The form names a time as what it is, so that it does not move on until it is sent. */
static void put_button(struct reset *reset, const char *to)
{
    struct page *page = reset->page;
    const char *place = reset->position.kind == POSITION_TIME
                            ? page_printf(page, "@%" PRId64, reset->position.value)
                            : to;
    html_begin(&page->html, "form", "method", "post", "action",
               html_url(&page->arena, "/group/reset?name={}&to={}", reset->group, place), NULL);
    html_element(&page->html, "button", "Move the group", "class", "main", NULL);
    html_end(&page->html, "form");
    page_command(page, html_shell(&page->arena, "tidings group reset {} --to {} --execute",
                                  reset->group, place));
}

void page_reset_plan(struct page *page, const char *group)
{
    const char *to = page_query(page, "to", NULL);
    struct reset reset = {.page = page, .group = group};
    html_element(&page->html, "h2", "Read again, or skip", "id", "reset", NULL);
    html_begin(&page->html, "form", "class", "filter", "action", "/group", NULL);
    html_void(&page->html, "input", "type", "hidden", "name", "name", "value", group, NULL);
    page_field(page, "Go on from", "to", to, "start, end, an offset, -1h, a time", "wide");
    html_element(&page->html, "button", "What would change?", NULL);
    html_end(&page->html, "form");
    if (to == NULL) {
        page_command(page, html_shell(&page->arena, "tidings group reset {} --to -1h", group));
        return;
    }
    page->live_ms = 0; /* what is shown is what was asked for */
    if (read_place(&reset, to)) {
        if (plan(&reset) == CLIENT_OK) {
            put_plan(&reset);
            put_button(&reset, to);
        } else {
            put_failure(&reset);
        }
    }
    reset_deinit(&reset);
}

/* --- done --- */

void page_reset(struct page *page)
{
    struct reset reset = {.page = page, .group = page_query(page, "name", "")};
    page->live_ms = 0;
    page->title = page_printf(page, "Move %.300s", reset.group);
    page->status = 400;
    if (read_place(&reset, page_query(page, "to", ""))) {
        enum client_status status = plan(&reset);
        if (status == CLIENT_OK) {
            status =
                admin_set_group_offsets(reset.connection, reset.group, &reset.list, &reset.error);
        }
        if (status == CLIENT_OK) {
            http_reply_empty(page->reply, 303); /* so that a reload does not do it once more */
            http_reply_header(page->reply, "Location",
                              html_url(&page->arena, "/group?name={}&moved={}", reset.group,
                                       page_printf(page, "%zu", reset.list.count)));
            page->is_done = true;
        } else {
            page->status = status == CLIENT_CONFLICT ? 409 : 502;
            put_failure(&reset);
        }
    }
    html_begin(&page->html, "p", NULL);
    html_element(&page->html, "a", "Back to the group", "href", page_group_url(page, reset.group),
                 NULL);
    html_end(&page->html, "p");
    reset_deinit(&reset);
}
