#include "bus/console/console_page.h"

#include <stdlib.h>
#include <string.h>

static void learn(void *context, const struct http_route *route)
{
    struct console *console = context;
    if (!route->is_page) {
        vec_push(&console->known, *route);
    }
}

/* Routes do not change after the server's start, so that they are read without the lock. */
static void know_routes(struct console *console)
{
    pthread_mutex_lock(&console->lock);
    if (console->known.count == 0 && console->parts->http != NULL) {
        http_route_each(console->parts->http, learn, console);
    }
    pthread_mutex_unlock(&console->lock);
}

bool console_has(struct console *console, const char *path)
{
    know_routes(console);
    for (size_t i = 0; i < console->known.count; i++) {
        if (strcmp(console->known.items[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

void console_ask(struct page *page, const char *method, const char *target,
                 const char *const *headers, struct slice body, struct http_answer *answer)
{
    struct console *console = page->console;
    know_routes(console);
    http_try_for(page->request, console->known.items, console->known.count, method, target, headers,
                 body, answer);
}

json_t *page_do(struct page *page, const char *method, const char *target, json_t *body,
                unsigned *status)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct http_answer answer;
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    console_ask(page, method, target, headers, slice_str(text != NULL ? text : ""), &answer);
    json_t *json = json_incref(answer.json);
    if (json != NULL) {
        vec_push(&page->answers, json);
    }
    *status = answer.status;
    http_answer_deinit(&answer);
    free(text);
    json_decref(body);
    return json;
}

json_t *page_ask(struct page *page, const char *target, json_t **problem)
{
    struct http_answer answer;
    console_ask(page, "GET", target, NULL, slice_str(""), &answer);
    json_t *json = answer.json != NULL
                       ? json_incref(answer.json)
                       : json_pack("{s:s}", "detail", "the answer cannot be read: tell us of it");
    vec_push(&page->answers, json);
    bool is_fine = answer.status >= 200 && answer.status < 300 && answer.json != NULL;
    http_answer_deinit(&answer);
    *problem = is_fine ? NULL : json;
    return is_fine ? json : NULL;
}
