#include "bus/console/console_page.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bus/console/console_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORM_MAX = 1200 * 1024 };

/* In the order of the navigation. */
const struct page_kind page_kinds[] = {
    {"/", "Overview", page_overview, NULL, "Overview", NULL, "o"},
    {"/map", "Flow map", page_map, "/v1/map", "Flow map", NULL, "m"},
    {"/story", "Story of an event", page_story, "/v1/story", "Story", NULL, "s"},
    {"/topics", "Topics", page_topics, "/v1/topics", "Topics", NULL, "t"},
    {"/topics/{topic}", "Topic", page_topic, NULL, NULL, "/topics", NULL},
    {"/topics/{topic}/{partition}/{offset}", "Event", page_event, NULL, NULL, "/topics", NULL},
    {"/groups", "Groups", page_groups, "/v1/groups", "Groups", NULL, "g"},
    {"/groups/{group}", "Group", page_group, NULL, NULL, "/groups", NULL},
    {"/group", "Group", page_group, NULL, NULL, "/groups", NULL},
    {"/dead-letters", "Dead letters", page_dead, NULL, "Dead letters", NULL, "d"},
    {"/dead-letters/of", "Dead letters", page_dead_group, NULL, NULL, "/dead-letters", NULL},
    {"/dead-letters/task", "Redrive", page_dead_task, NULL, NULL, "/dead-letters", NULL},
    {"/lanes", "Lanes", page_lanes, NULL, NULL, "/groups", NULL},
    {"/clients", "Clients", page_clients, "/v1/clients", "Clients", NULL, "c"},
    {"/alerts", "Alerts", page_alerts, "/v1/alerts", "Alerts", NULL, "a"},
    {"/settings", "Settings", page_settings, NULL, "Settings", NULL, "e"},
};
const size_t page_kind_count = sizeof page_kinds / sizeof page_kinds[0];

/* --- one page --- */

/* Nothing but what this server has, nothing inside of the page itself. A page's forms tell it as
 * their origin, which the server's guard asks for. */
static void set_headers(struct page *page)
{
    http_reply_header(page->reply, "Content-Security-Policy",
                      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
                      "connect-src 'self'; form-action 'self'; base-uri 'none'; "
                      "frame-ancestors 'none'");
    http_reply_header(page->reply, "Referrer-Policy", "same-origin");
    http_reply_header(page->reply, "Cross-Origin-Opener-Policy", "same-origin");
    if (page->mark != NULL) {
        http_reply_header(page->reply, "Tidings-Mark", page->mark);
    }
}

static void page_deinit(struct page *page)
{
    for (size_t i = 0; i < page->answers.count; i++) {
        json_decref(page->answers.items[i]);
    }
    vec_deinit(&page->answers);
    html_deinit(&page->html);
    arena_deinit(&page->arena);
}

static void show(void *context, const struct http_request *request, struct http_reply *reply)
{
    const struct console_route *route = context;
    struct page page = {.console = route->console,
                        .kind = route->kind,
                        .request = request,
                        .reply = reply,
                        .now_ms = clock_wall_ms(clock_system()),
                        .status = 200,
                        .title = route->kind->title,
                        .live_ms = 2000};
    if (page.kind->needs != NULL && !console_has(page.console, page.kind->needs)) {
        page.live_ms = 0;
        page.status = 404;
        page_empty(&page,
                   page_printf(&page, "This server does not have it: there is no %s here.",
                               page.kind->needs),
                   NULL);
    } else {
        page.kind->show(&page);
    }
    if (!page.is_done) {
        struct html whole = {0};
        assert(page.html.depth == 0);
        page_frame(&page, &whole);
        http_reply_text(reply, page.status, "text/html; charset=utf-8", &whole.out);
        html_deinit(&whole);
        set_headers(&page);
    }
    page_deinit(&page);
}

/* --- files --- */

/* Its version is in its URL, so that it never has to be asked for twice. */
static void show_file(void *context, const struct http_request *request, struct http_reply *reply)
{
    const struct console_file *file = context;
    struct buf bytes = {0};
    bool is_exact =
        http_query(request, "v") != NULL && strcmp(http_query(request, "v"), file->version) == 0;
    buf_append(&bytes, file->bytes, file->size);
    http_reply_text(reply, 200, file->type, &bytes);
    http_reply_header(reply, "Cache-Control",
                      is_exact ? "public, max-age=31536000, immutable" : "no-cache");
}

/* --- life --- */

static void add_route(struct console *console, const struct http_route *route)
{
    assert(console->route_count < sizeof console->routes / sizeof console->routes[0]);
    struct http_route *own = &console->routes[console->route_count++];
    *own = *route;
    own->is_page = true;
}

static void add_files(struct console *console)
{
    for (size_t i = 0; i < console_file_count; i++) {
        const struct console_file *file = &console_files[i];
        add_route(console, &(struct http_route){.method = "GET",
                                                .path = file->path,
                                                .handle = show_file,
                                                .context = (void *)(uintptr_t)file,
                                                .summary = "A file of the console.",
                                                .answer = file->type});
    }
}

void *console_make(const struct bus_parts *parts)
{
    /* What forms send. */
    static const struct page_kind posts[] = {
        {"/topics/{topic}/publish", "Publish", page_publish, NULL, NULL, "/topics", NULL},
        {"/dead-letters/plan", "Plan", page_dead_plan, NULL, NULL, "/dead-letters", NULL},
        {"/dead-letters/redrive", "Redrive", page_dead_redrive, NULL, NULL, "/dead-letters", NULL},
        {"/dead-letters/republish", "Publish again", page_dead_again, NULL, NULL, "/dead-letters",
         NULL},
        {"/dead-letters/discard", "Discard", page_dead_discard, NULL, NULL, "/dead-letters", NULL},
        {"/dead-letters/undo", "Take back", page_dead_undo, NULL, NULL, "/dead-letters", NULL},
        {"/dead-letters/cancel", "Cancel", page_dead_cancel, NULL, NULL, "/dead-letters", NULL},
        {"/lanes/say", "Say it", page_lane_say, NULL, NULL, "/groups", NULL},
        {"/group/reset", "Move a group", page_reset, NULL, NULL, "/groups", NULL}};
    struct console *console = mem_new(struct console);
    console->parts = parts;
    console->rates = console_rates_new();
    pthread_mutex_init(&console->lock, NULL);
    assert(page_kind_count + sizeof posts / sizeof posts[0] <= CONSOLE_PAGES_MAX);
    for (size_t i = 0; i < page_kind_count; i++) {
        console->contexts[i] = (struct console_route){console, &page_kinds[i]};
        add_route(console, &(struct http_route){.method = "GET",
                                                .path = page_kinds[i].path,
                                                .handle = show,
                                                .context = &console->contexts[i],
                                                .summary = page_kinds[i].title,
                                                .answer = "text/html; charset=utf-8"});
    }
    for (size_t i = 0; i < sizeof posts / sizeof posts[0]; i++) {
        struct console_route *context = &console->contexts[page_kind_count + i];
        *context = (struct console_route){console, &posts[i]};
        add_route(console, &(struct http_route){.method = "POST",
                                                .path = posts[i].path,
                                                .handle = show,
                                                .context = context,
                                                .summary = posts[i].title,
                                                .body_max = FORM_MAX,
                                                .answer = "text/html; charset=utf-8"});
    }
    add_files(console);
    return console;
}

const struct http_route *console_routes(void *context, size_t *count)
{
    struct console *console = context;
    *count = console->route_count;
    return console->routes;
}

void console_free(void *context)
{
    struct console *console = context;
    if (console == NULL) {
        return;
    }
    vec_deinit(&console->known);
    console_rates_free(console->rates);
    pthread_mutex_destroy(&console->lock);
    free(console);
}
