#ifndef TIDINGS_BUS_CONSOLE_CONSOLE_PAGE_H
#define TIDINGS_BUS_CONSOLE_CONSOLE_PAGE_H

/*
 * The inside of console.h. A page is made in one request, on its thread: console.c calls the
 * page's `show`, which asks (console_ask.c) and writes its own part; the frame comes around it
 * (console_frame.c). What pages are made of is in console_parts.c.
 */

#include "base/vec.h"
#include "bus/console/console.h"
#include "bus/console/console_rates.h"
#include "bus/console/html.h"
#include "bus/http/http.h"
#include "bus/watch/bus_parts.h"

#include <jansson.h>
#include <pthread.h>

struct page;

/* A kind of page. All strings are static. */
struct page_kind {
    const char *path;
    const char *title;
    void (*show)(struct page *page);
    const char *needs;  /* the route of /v1 that it shows; NULL: none */
    const char *nav;    /* its word in the navigation; NULL: it has none */
    const char *nav_of; /* path of the page that is marked there; NULL: itself */
    const char *key;    /* of the keyboard, after g */
};

/* A route's context. */
struct console_route {
    struct console *console;
    const struct page_kind *kind;
};

enum { CONSOLE_PAGES_MAX = 32 };

struct console {
    const struct bus_parts *parts;
    struct http_route routes[CONSOLE_PAGES_MAX + 8];
    struct console_route contexts[CONSOLE_PAGES_MAX];
    size_t route_count;
    struct console_rates *rates;
    pthread_mutex_t lock;         /* guards all below */
    VEC(struct http_route) known; /* of the server, as they are when it is first asked */
};

struct page {
    struct console *console;
    const struct page_kind *kind;
    const struct http_request *request;
    struct http_reply *reply;
    struct arena arena;
    struct html html;
    int64_t now_ms;
    unsigned status;     /* 200 unless `show` says otherwise */
    const char *title;   /* in the arena, or static */
    const char *command; /* that shows the same; NULL: none does */
    int live_ms;         /* it is renewed so often; 0: it is not */
    const char
        *mark; /* of what it shows: with the same one it need not be renewed; NULL: it has none */
    bool is_done; /* the reply is set: there is nothing to show */
    VEC(json_t *) answers;
};

/* All kinds, in the order of the navigation. */
extern const struct page_kind page_kinds[];
extern const size_t page_kind_count;

/* --- console_ask.c --- */

/* Whether the server has a route of this path (as it was added). */
bool console_has(struct console *console, const char *path);

/* The same of a request that changes something, with a body of JSON; *status: of the answer. The
 * answer, also a problem, lives as long as the page; NULL: it had no JSON. */
json_t *page_do(struct page *page, const char *method, const char *target, json_t *body,
                unsigned *status);

/* What the server answers to it, for who asked for the page: see http_try_for. */
void console_ask(struct page *page, const char *method, const char *target,
                 const char *const *headers, struct slice body, struct http_answer *answer);

/* The JSON of a GET, which lives as long as the page. NULL: it failed; *problem is what was said of
 * it then (never NULL). */
json_t *page_ask(struct page *page, const char *target, json_t **problem);

/* --- console_frame.c --- */

/* The whole page around what it has written: head, navigation, foot. Appends to `to`. */
void page_frame(struct page *page, struct html *to);

/* --- console_parts.c: of JSON --- */

/* A member's text; NULL when it is none. */
const char *json_text(const json_t *object, const char *name);

/* A member's number; -1 when it is none. */
int64_t json_number(const json_t *object, const char *name);

/* A member's time (RFC 3339) in ms; -1 when it is none. */
int64_t json_time(const json_t *object, const char *name);

/* The array's members by one of theirs: "lag" upwards, "-lag" downwards; as they are where `sort`
 * is NULL. Borrowed from it, in the arena. */
json_t **page_sorted(struct page *page, const json_t *array, const char *sort, size_t *count);

/* --- console_parts.c: what pages are made of --- */

/* A query parameter; `otherwise` when it is not there or empty. */
const char *page_query(const struct page *page, const char *name, const char *otherwise);

/* The page's own URL with one query parameter set anew; value NULL: without it. */
const char *page_url_with(struct page *page, const char *name, const char *value);

/* Text in the page's arena. */
const char *page_printf(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "1,234,567"; "–" below 0: not known. In the arena. */
const char *page_count(struct page *page, int64_t number);

/* "12.4 kB". In the arena. */
const char *page_bytes(struct page *page, int64_t bytes);

/* "3 min ago", with the time itself as its title; "–" below 0. */
void page_time(struct page *page, int64_t time_ms);

/* "350 ms", "12 s", "3 min", "2 h", "5 d" for a span. In the arena. */
const char *page_span(struct page *page, int64_t ms);

/* "3.5/s"; "–" below 0. In the arena. */
const char *page_rate(struct page *page, double rate);

/* Of a topic of /v1/topics: samples it too. In the arena. */
const char *page_topic_rate(struct page *page, const json_t *topic);

/* What state a group of /v1/groups is in, in a word. */
void page_group_badge(struct page *page, const json_t *group);

/* Begins a row for a group of /v1/groups, with its link, state and members; the page ends it. */
void page_group_row(struct page *page, const json_t *group);

/* The line for the shell that does the same. */
void page_command(struct page *page, const char *line);

/* A form that is one button, and the line for the shell that does the same. */
void page_button(struct page *page, const char *action, const char *word, const char *line);

/* What stands where there is nothing: words, and the line that changes it (may be NULL). */
void page_empty(struct page *page, const char *words, const char *line);

/* Why there is nothing, of a problem+json: the page's status, too, where it has none but 200. */
void page_problem(struct page *page, const json_t *problem);

/* A message in a box: tone "good", "bad", "note". */
void page_say(struct page *page, const char *tone, const char *words);

/* A number with its name, in a row of them (<dl class="tiles">). tone: NULL, "bad", "good". */
void page_tile(struct page *page, const char *name, const char *number, const char *note,
               const char *url, const char *tone);

/* A word with a colour for its meaning: good, bad, warn, idle; NULL: plain. */
void page_badge(struct page *page, const char *word, const char *tone);

struct page_column {
    const char *title;
    const char *class_name; /* "n" for numbers; NULL: none */
    const char *sort;       /* what ?sort= says for it; NULL: it cannot be sorted by */
};

/* Begins a table with these headings; the caption is for screen readers. Ended by page_table_end.
 */
void page_table(struct page *page, const char *caption, const struct page_column *columns,
                size_t count);

/* Ends it, its rows being complete. */
void page_table_end(struct page *page);

/* A cell with a text, a number, or a link. */
void page_cell(struct page *page, const char *text, const char *class_name);
void page_cell_count(struct page *page, int64_t number);
void page_cell_link(struct page *page, const char *text, const char *url);

/* A line in a list of names and values (<dl class="facts">); nothing without a text. */
void page_fact(struct page *page, const char *name, const char *text);
void page_fact_time(struct page *page, const char *name, int64_t time_ms);

/* A row of links of which one is where we are. */
void page_tab(struct page *page, const char *word, const char *url, bool is_here);

/* A small line of numbers, oldest first, drawn in its own size. */
void page_spark(struct page *page, const double *values, size_t count, const char *label);

/* A field of a form with its label. type: "text", "search", "number". */
void page_field(struct page *page, const char *label, const char *name, const char *value,
                const char *hint, const char *class_name);

/* What a form sent in its field (its body); the null slice: nothing. In the arena. */
struct slice page_sent(struct page *page, const char *name);

/* Where a group's page is: a path, or for names that are none a query. */
const char *page_group_url(struct page *page, const char *group);

/* Says that payloads are hidden here. */
void page_say_hidden(struct page *page);

/* Of a group's page: a form that says where to move it, and what would change (console_reset.c). */
void page_reset_plan(struct page *page, const char *group);

/* --- of the dead letters of a group (console_dead_group.c, console_dead_act.c) --- */

/* Where they are, of the same cause. */
const char *page_dead_place(struct page *page);

/* A form's answer: why it was not done. */
void page_dead_refuse(struct page *page, const json_t *problem, unsigned status);

/* Who else would see the plan's events when they are published again, and the button for it. */
void page_dead_put_again(struct page *page, const json_t *plan);

/* What discarding those of the cause would do, and the buttons for it and for taking it back. */
void page_dead_put_discard(struct page *page);

/* What a form has just done. */
void page_dead_put_done(struct page *page);

/* Answers a form by where to look next, so that a reload does not do it once more. */
void page_go(struct page *page, const char *url);

/* --- the pages --- */
void page_reset(struct page *page);
void page_overview(struct page *page);
void page_topics(struct page *page);
void page_topic(struct page *page);
void page_event(struct page *page);
void page_publish(struct page *page);
void page_groups(struct page *page);
void page_group(struct page *page);
void page_clients(struct page *page);
void page_map(struct page *page);
void page_alerts(struct page *page);
void page_story(struct page *page);
void page_dead(struct page *page);
void page_dead_group(struct page *page);
void page_dead_task(struct page *page);
void page_dead_plan(struct page *page);
void page_dead_redrive(struct page *page);
void page_dead_cancel(struct page *page);
void page_dead_again(struct page *page);
void page_dead_discard(struct page *page);
void page_dead_undo(struct page *page);
void page_lanes(struct page *page);
void page_lane_say(struct page *page);
void page_settings(struct page *page);

#endif
