#include "bus/api/http_api_inside.h"

#include "base/prometheus.h"
#include "bus/api/metrics.h"
#include "bus/event/json_word.h"

#include <stdio.h>

/* --- /metrics --- */

static void append_own(struct http_api *api, struct buf *text)
{
    pthread_mutex_lock(&api->lock);
    uint64_t published = api->published, refused = api->refused;
    unsigned streams = api->streams;
    pthread_mutex_unlock(&api->lock);
    prometheus_head(text, "tidings_http_events_total", "counter",
                    "Events published by HTTP: kept by the bus, or refused.");
    prometheus_name(text, "tidings_http_events_total");
    prometheus_label(text, "result", "kept");
    prometheus_value(text, (double)published);
    prometheus_name(text, "tidings_http_events_total");
    prometheus_label(text, "result", "refused");
    prometheus_value(text, (double)refused);
    prometheus_one(text, "tidings_http_topic_streams", "gauge",
                   "Streams of topics that are read for clients.", streams);
}

static void say_metrics(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    struct http_counts counts = http_counts(http_server(request));
    const struct cluster_view *view = cluster_look(api->cluster, API_METRICS_MS);
    struct buf text = {0};
    metrics_process(&text);
    metrics_http(&counts, &text);
    append_own(api, &text);
    metrics_cluster(view, &text);
    cluster_done(view);
    for (size_t i = 0; i < api->parts.count; i++) {
        api->parts.items[i].append(api->parts.items[i].context, &text);
    }
    http_reply_text(reply, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

/* --- health --- */

static void say_health(void *context, const struct http_request *request, struct http_reply *reply)
{
    (void)context;
    (void)request;
    http_reply_json(reply, 200,
                    json_pack("{s:s, s:s}", "status", "ok", "version", TIDINGS_VERSION));
}

static void add_result(json_t *results, const char *name, bool is_fine, const char *why)
{
    json_array_append_new(results, json_pack("{s:s, s:b, s:o}", "name", name, "ok", is_fine,
                                             "detail", json_utf8(why)));
}

static bool bus_answers(struct http_api *api, char *why, size_t size)
{
    struct client_error error;
    bool is_there = cluster_connection(api->cluster, &error) != NULL;
    snprintf(why, size, "%s", is_there ? "it answers" : error.text);
    return is_there;
}

static void say_ready(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    json_t *results = json_array();
    char why[512] = "";
    (void)request;
    bool is_ready = bus_answers(api, why, sizeof why);
    add_result(results, "bus", is_ready, why);
    for (size_t i = 0; i < api->checks.count; i++) {
        const struct http_check *check = &api->checks.items[i];
        why[0] = '\0';
        bool is_fine = check->is_fine(check->context, why, sizeof why);
        add_result(results, check->name, is_fine, why);
        is_ready = is_ready && is_fine;
    }
    http_reply_json(
        reply, is_ready ? 200 : 503,
        json_pack("{s:s, s:o}", "status", is_ready ? "ready" : "not ready", "checks", results));
}

void http_api_health(struct http_api *api)
{
    static const struct http_route routes[] = {
        {.method = "GET",
         .path = "/metrics",
         .handle = say_metrics,
         .summary = "Numbers of the bus and of this process, for Prometheus.",
         .answer = "text/plain; version=0.0.4; charset=utf-8"},
        {.method = "GET",
         .path = "/healthz",
         .handle = say_health,
         .is_quick = true,
         .summary = "Whether the process works: 200 whenever it can answer."},
        {.method = "GET",
         .path = "/readyz",
         .handle = say_ready,
         .summary = "Whether it can do its work: 200, or 503 with what is wrong."},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        http_api_add(api, &routes[i]);
    }
}
