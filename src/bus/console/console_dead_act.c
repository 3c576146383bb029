#include "bus/console/console_page.h"

#include <inttypes.h>
#include <string.h>

/* What can be done with dead letters beside a redrive: publish them again, or discard them. Each
 * shows first what it would do. */

static const char *group_of(const struct page *page)
{
    return page_query(page, "group", "");
}

static const char *s_of(int64_t count)
{
    return count == 1 ? "" : "s";
}

const char *page_dead_place(struct page *page)
{
    const char *cause = page_query(page, "cause", NULL);
    return cause != NULL
               ? html_url(&page->arena, "/dead-letters/of?group={}&cause={}", group_of(page), cause)
               : html_url(&page->arena, "/dead-letters/of?group={}", group_of(page));
}

void page_go(struct page *page, const char *url)
{
    http_reply_empty(page->reply, 303);
    http_reply_header(page->reply, "Location", url);
    page->is_done = true;
}

void page_dead_refuse(struct page *page, const json_t *problem, unsigned status)
{
    page->live_ms = 0;
    page->status = status >= 400 ? status : 502;
    page->title = page_printf(page, "Dead letters of %s", group_of(page));
    page_problem(page, problem);
    html_begin(&page->html, "p", NULL);
    html_element(&page->html, "a", "Back to the dead letters", "href", page_dead_place(page), NULL);
    html_end(&page->html, "p");
}

/* --- publishing again --- */

static void put_readers(struct page *page, const json_t *readers)
{
    size_t i;
    json_t *reader;
    html_begin(&page->html, "ul", NULL);
    json_array_foreach(readers, i, reader)
    {
        const char *group = json_text(reader, "group"), *topic = json_text(reader, "topic");
        bool is_own = group != NULL && strcmp(group, group_of(page)) == 0;
        html_begin(&page->html, "li", NULL);
        html_element(&page->html, "a", group, "href",
                     page_group_url(page, group != NULL ? group : ""), NULL);
        html_text(&page->html, is_own ? " (for whom they are) reads " : " reads ");
        html_text(&page->html, topic);
        html_end(&page->html, "li");
    }
    html_end(&page->html, "ul");
}

void page_dead_put_again(struct page *page, const json_t *plan)
{
    const json_t *readers = json_object_get(plan, "readers");
    const char *id = json_text(plan, "plan"), *group = group_of(page);
    int64_t events = json_number(plan, "events");
    html_element(&page->html, "p",
                 json_array_size(readers) > 0
                     ? "All groups that read there see them again, with the header "
                       "tidings-redrive-for. These do now:"
                     : "All groups that read there see them again, with the header "
                       "tidings-redrive-for. No group reads there now.",
                 NULL);
    if (json_array_size(readers) > 0) {
        put_readers(page, readers);
    }
    html_begin(&page->html, "form", "class", "filter", "method", "post", "action",
               html_url(&page->arena, "/dead-letters/republish?group={}&plan={}", group, id), NULL);
    html_element(&page->html, "button",
                 page_printf(page, "Publish %s event%s again, for all who read there",
                             page_count(page, events), s_of(events)),
                 "class", "main", NULL);
    html_end(&page->html, "form");
    page_command(page, html_shell(&page->arena,
                                  "tidings deadletter redrive {} --plan {} --republish "
                                  "--others-will-see-it",
                                  group, id));
}

void page_dead_again(struct page *page)
{
    unsigned status;
    json_t *body = json_pack("{s:s,s:b,s:b}", "plan", page_query(page, "plan", ""), "republish", 1,
                             "others_will_see_it", 1);
    json_t *done =
        page_do(page, "POST", html_url(&page->arena, "/v1/groups/{}/redrives", group_of(page)),
                body, &status);
    if (status != 200) {
        page_dead_refuse(page, done, status);
    } else if (json_number(done, "events") == 0) {
        page_go(page, page_printf(page, "%s&nothing=1", page_dead_place(page)));
    } else {
        page_go(page, page_printf(page, "%s&again=%" PRId64 "&of=%" PRId64, page_dead_place(page),
                                  json_number(done, "sent"), json_number(done, "events")));
    }
}

/* --- discarding --- */

static const char *discards_of(struct page *page)
{
    return html_url(&page->arena, "/v1/groups/{}/discards", group_of(page));
}

static void put_discard_form(struct page *page, int64_t events)
{
    const char *cause = page_query(page, "cause", ""), *group = group_of(page);
    html_begin(
        &page->html, "form", "class", "filter", "method", "post", "action",
        page_printf(page, "%s&events=%" PRId64,
                    html_url(&page->arena, "/dead-letters/discard?group={}&cause={}", group, cause),
                    events),
        NULL);
    page_field(page, "Why, for who asks later", "why", NULL, "the address never existed", "wide");
    html_element(&page->html, "button",
                 page_printf(page, "Discard %s event%s", page_count(page, events), s_of(events)),
                 "class", "main", NULL);
    html_end(&page->html, "form");
    page_command(page, html_shell(&page->arena,
                                  "tidings deadletter discard {} --cause {} --why {} --execute",
                                  group, cause, "the address never existed"));
}

/* What `undo` or its counterpart would do. */
static json_t *try_discard(struct page *page, bool is_undo, unsigned *status)
{
    return page_do(page, "POST", discards_of(page),
                   json_pack("{s:s,s:b,s:b}", "cause", page_query(page, "cause", ""), "dry_run", 1,
                             "undo", (int)is_undo),
                   status);
}

static void put_undo(struct page *page)
{
    const char *cause = page_query(page, "cause", ""), *group = group_of(page);
    page_button(page, html_url(&page->arena, "/dead-letters/undo?group={}&cause={}", group, cause),
                "Take it back",
                html_shell(&page->arena,
                           "tidings deadletter discard {} --cause {} --undo --execute", group,
                           cause));
}

/* Of those that were discarded before. */
static void put_discarded(struct page *page)
{
    unsigned status;
    json_t *said = try_discard(page, true, &status);
    int64_t events = json_number(said, "events");
    if (status != 200 || events <= 0) {
        return;
    }
    html_begin(&page->html, "section", "class", "say note", "aria-label", "Discarded", NULL);
    html_begin(&page->html, "p", NULL);
    html_textf(&page->html, "%s event%s of this cause %s discarded. They can be open again.",
               page_count(page, events), s_of(events), events == 1 ? "is" : "are");
    html_end(&page->html, "p");
    put_undo(page);
    html_end(&page->html, "section");
}

void page_dead_put_discard(struct page *page)
{
    unsigned status;
    json_t *said = try_discard(page, false, &status);
    if (status != 200) {
        page_problem(page, said);
        return;
    }
    int64_t events = json_number(said, "events"), lanes = json_number(said, "closed_lanes");
    int64_t passed = json_number(said, "passed_over");
    html_begin(&page->html, "section", "class", "say note", "aria-label", "Dry run", NULL);
    html_begin(&page->html, "p", NULL);
    html_textf(&page->html,
               "%s event%s of this cause would be discarded: nobody is to try %s again.",
               page_count(page, events), s_of(events), events == 1 ? "it" : "them");
    if (lanes > 0) {
        html_textf(&page->html,
                   " %s lane%s closed because of them: opened without them, so that what waits "
                   "behind is handled.",
                   page_count(page, lanes), lanes == 1 ? " is" : "s are");
    }
    if (passed > 0) {
        html_textf(&page->html, " %s not taken: done, under way, or discarded already.",
                   page_count(page, passed));
    }
    html_text(&page->html, " Nothing is deleted, and it can be taken back.");
    html_end(&page->html, "p");
    if (events > 0) {
        put_discard_form(page, events);
    }
    html_end(&page->html, "section");
    put_discarded(page);
}

/* The number that was shown; -1: none. */
static int64_t shown_of(const struct page *page)
{
    const char *text = page_query(page, "events", "");
    bool is_number =
        text[0] != '\0' && strlen(text) < 10 && text[strspn(text, "0123456789")] == '\0';
    int64_t number = 0;
    for (size_t i = 0; is_number && text[i] != '\0'; i++) {
        number = number * 10 + (text[i] - '0');
    }
    return is_number ? number : -1;
}

void page_dead_discard(struct page *page)
{
    unsigned status;
    struct slice why = page_sent(page, "why");
    json_t *body = json_pack("{s:s}", "cause", page_query(page, "cause", ""));
    json_t *text = json_stringn(why.size > 0 ? (const char *)why.data : "", why.size);
    json_object_set_new(body, "why", text != NULL ? text : json_string("")); /* no UTF-8: no why */
    json_object_set_new(body, "events", json_integer(shown_of(page)));
    json_t *done = page_do(page, "POST", discards_of(page), body, &status);
    if (status != 200) {
        page_dead_refuse(page, done, status);
    } else {
        page_go(page, page_printf(page, "%s&discarded=%" PRId64, page_dead_place(page),
                                  json_number(done, "events")));
    }
}

void page_dead_undo(struct page *page)
{
    unsigned status;
    json_t *done =
        page_do(page, "POST", discards_of(page),
                json_pack("{s:s,s:b}", "cause", page_query(page, "cause", ""), "undo", 1), &status);
    if (status != 200) {
        page_dead_refuse(page, done, status);
    } else {
        page_go(page, page_printf(page, "%s&reopened=%" PRId64, page_dead_place(page),
                                  json_number(done, "events")));
    }
}

/* --- what was done --- */

void page_dead_put_done(struct page *page)
{
    const char *discarded = page_query(page, "discarded", NULL);
    const char *reopened = page_query(page, "reopened", NULL);
    const char *again = page_query(page, "again", NULL), *of = page_query(page, "of", NULL);
    if (again != NULL && of != NULL) {
        page_say(page, strcmp(again, of) == 0 ? "good" : "bad",
                 page_printf(page,
                             "%.12s of %.12s events were published again. What becomes of them "
                             "nobody tells: their states are 'republished'.",
                             again, of));
    }
    if (discarded != NULL) {
        page_say(page, "good", page_printf(page, "%.12s events are discarded.", discarded));
        put_undo(page);
    }
    if (reopened != NULL) {
        page_say(page, "good", page_printf(page, "%.12s events are open again.", reopened));
    }
}
