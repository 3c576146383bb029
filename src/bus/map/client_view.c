#include "bus/map/client_view.h"

#include "base/clock.h"
#include "base/time_text.h"
#include "bus/event/json_word.h"
#include "bus/http/http.h"
#include "bus/map/client_look.h"
#include "client/event/observer.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OVER_MOST_MS = 5000, OVER_MS = 1000, KEPT_MS = 60000 };

/*
 * Rates need two looks. The last ones are kept, so that who asks now and then waits for nothing;
 * who waits for the second one has a worker of the server, so only one does at a time.
 */
struct client_view {
    const struct bus_parts *parts;
    struct http_route route;
    pthread_mutex_t lock;            /* guards all below */
    struct client_look *young, *old; /* NULL: none; the old one is OVER_MS older, at least */
    bool is_measuring;
};

static uint64_t events_before(const struct client_look *before, const struct look_client *client,
                              const struct look_flow *flow)
{
    for (size_t i = 0; client != NULL && i < client->flow_count; i++) {
        const struct look_flow *at = &before->flows.items[client->first_flow + i];
        if (at->did == flow->did && slice_equal(at->topic, flow->topic) &&
            slice_equal(at->group, flow->group)) {
            return at->events;
        }
    }
    return 0;
}

/* --- JSON --- */

static json_t *rate_json(double rate)
{
    return rate < 0 ? json_null() : json_real(round(rate * 1000) / 1000);
}

struct sum {
    uint64_t events, bytes;
    double rate;
    int64_t last_ms;
};

static const char *const words[CLIENT_DID_KINDS] = {"produced", "fetched", "committed", "joined"};

static json_t *flow_json(const struct look_flow *flow, double rate)
{
    json_t *json = json_pack(
        "{s:s,s:o,s:o,s:I,s:I,s:o,s:o,s:o}", "did", words[flow->did], "topic",
        json_word(flow->topic.size > 0 ? flow->topic : (struct slice){0}), "group",
        json_word(flow->group.size > 0 ? flow->group : (struct slice){0}), "events",
        (json_int_t)flow->events, "bytes", (json_int_t)flow->bytes, "rate", rate_json(rate),
        "first", json_moment(flow->first_ms), "last", json_moment(flow->last_ms));
    if (flow->session_timeout_ms > 0) {
        json_object_set_new(json, "session_timeout_ms", json_integer(flow->session_timeout_ms));
    }
    return json;
}

static json_t *sum_json(const struct sum *sum)
{
    return json_pack("{s:I,s:I,s:o,s:o}", "events", (json_int_t)sum->events, "bytes",
                     (json_int_t)sum->bytes, "rate", rate_json(sum->rate), "last",
                     json_moment(sum->last_ms));
}

static json_t *client_json(const struct client_look *now, const struct client_look *before,
                           size_t *from, const struct look_client *client)
{
    const struct client_identity *who = &client->identity;
    const struct look_client *then = before != NULL ? client_look_find(before, from, client) : NULL;
    double seconds = before != NULL ? (double)(now->ns - before->ns) / 1e9 : 0;
    struct sum sums[CLIENT_DID_KINDS] = {0};
    int64_t last_ms = 0;
    json_t *flows = json_array();
    for (size_t i = 0; i < client->flow_count; i++) {
        const struct look_flow *flow = &now->flows.items[client->first_flow + i];
        struct sum *sum = &sums[flow->did];
        uint64_t were = before != NULL ? events_before(before, then, flow) : 0;
        double rate = before == NULL ? -1
                      : seconds > 0 && flow->events >= were
                          ? (double)(flow->events - were) / seconds
                          : 0;
        sum->events += flow->events;
        sum->bytes += flow->bytes;
        sum->rate = rate < 0 ? -1 : sum->rate + rate;
        sum->last_ms = flow->last_ms > sum->last_ms ? flow->last_ms : sum->last_ms;
        last_ms = flow->last_ms > last_ms ? flow->last_ms : last_ms;
        json_array_append_new(flows, flow_json(flow, rate));
    }
    json_t *json = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:o,s:o}", "principal", json_word(who->principal),
        "client_id", json_word(who->client_id), "software", json_word(who->software_name),
        "software_version", json_word(who->software_version), "address", json_word(who->host),
        "connections", client->connections, "first_seen", json_moment(client->first_ms),
        "last_active", json_moment(last_ms), "gone_since", json_moment(client->left_ms));
    for (int did = 0; did < CLIENT_JOINED; did++) {
        json_object_set_new(json, words[did], sum_json(&sums[did]));
    }
    json_object_set_new(json, "flows", flows);
    return json;
}

/* --- the route --- */

static void wait_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int64_t age_ms(const struct client_look *now, const struct client_look *before)
{
    return (now->ns - before->ns) / 1000000;
}

/* Keeps this look for those who ask later. The lock is held. */
static void keep_look(struct client_view *view, struct client_look *now)
{
    if (view->young == NULL) {
        view->young = client_look_ref(now);
    } else if (age_ms(now, view->young) >= OVER_MS) {
        client_look_unref(view->old);
        view->old = view->young;
        view->young = client_look_ref(now);
    }
}

/* The youngest kept look that is old enough to compare with; NULL: none. The lock is held. */
static struct client_look *kept_look(struct client_view *view, const struct client_look *now,
                                     int64_t over_ms)
{
    struct client_look *kept[] = {view->young, view->old};
    for (size_t i = 0; i < 2; i++) {
        if (kept[i] != NULL && age_ms(now, kept[i]) >= over_ms && age_ms(now, kept[i]) <= KEPT_MS) {
            return client_look_ref(kept[i]);
        }
    }
    return NULL;
}

/* What to compare with, and a look now. *before NULL: another request measures just now. */
static void look_twice(struct client_view *view, int64_t over_ms, struct client_look **before,
                       struct client_look **now)
{
    *now = client_look_new(view->parts->observer);
    pthread_mutex_lock(&view->lock);
    *before = kept_look(view, *now, over_ms);
    keep_look(view, *now);
    bool measures = *before == NULL && !view->is_measuring;
    view->is_measuring |= measures;
    pthread_mutex_unlock(&view->lock);
    if (!measures) {
        return;
    }
    *before = *now;
    wait_ms(over_ms);
    *now = client_look_new(view->parts->observer);
    pthread_mutex_lock(&view->lock);
    keep_look(view, *now);
    view->is_measuring = false;
    pthread_mutex_unlock(&view->lock);
}

static void reply_clients(struct client_view *view, struct http_reply *reply, int64_t over_ms)
{
    struct client_look *before, *now;
    size_t from = 0;
    json_t *list = json_array();
    look_twice(view, over_ms, &before, &now);
    for (size_t i = 0; i < now->clients.count; i++) {
        json_array_append_new(list, client_json(now, before, &from, &now->clients.items[i]));
    }
    http_reply_json(reply, 200, list);
    client_look_unref(before);
    client_look_unref(now);
}

static void handle(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct client_view *view = context;
    const char *over = http_query(request, "over");
    struct reason reason;
    int64_t over_ms = OVER_MS;
    if (view->parts->observer == NULL) {
        http_problem(reply, 501, "Not seen here",
                     "this bus layer stands beside a broker of another program, whose connections "
                     "it cannot see: ask one that runs in `tidings serve`");
    } else if (over != NULL && duration_parse(over, &over_ms, &reason) != ERR_NONE) {
        http_problem(reply, 400, "Bad duration", "over: %s", reason.text);
    } else if (over_ms > OVER_MOST_MS) {
        http_problem(reply, 400, "Bad duration", "over is longer than 5s: give less");
    } else {
        reply_clients(view, reply, over_ms);
    }
}

void *client_view_make(const struct bus_parts *parts)
{
    static const struct http_parameter query[] = {
        {"over", "string",
         "How long rates are measured at least, as 500ms; 1s without, 5s at most. Since the last "
         "look, where there was one; null while another request measures."},
        {NULL, NULL, NULL}};
    struct client_view *view = mem_new(struct client_view);
    view->parts = parts;
    pthread_mutex_init(&view->lock, NULL);
    view->route = (struct http_route){
        .method = "GET",
        .path = "/v1/clients",
        .handle = handle,
        .context = view,
        .summary = "Who is or was connected, with what software, and what each produces, fetches "
                   "and commits.",
        .query = query};
    return view;
}

const struct http_route *client_view_routes(void *module, size_t *count)
{
    struct client_view *view = module;
    *count = 1;
    return &view->route;
}

void client_view_free(void *module)
{
    struct client_view *view = module;
    if (view != NULL) {
        client_look_unref(view->young);
        client_look_unref(view->old);
        pthread_mutex_destroy(&view->lock);
        free(view);
    }
}
