#include "bus/api/http_module.h"

#include "base/mem.h"
#include "base/prometheus.h"
#include "bus/api/http_api.h"
#include "client/event/observer.h"

#include <stdio.h>
#include <stdlib.h>

struct http_module {
    const struct bus_parts *parts;
    struct http_api *api;
};

/* --- /readyz --- */

static bool is_feed_fine(void *context, char *why, size_t size)
{
    const struct http_module *module = context;
    struct watch_state state = watch_state(module->parts->watch);
    snprintf(why, size, "%s", state.is_failing ? state.failure : "");
    return !state.is_failing;
}

static bool is_index_fine(void *context, char *why, size_t size)
{
    const struct http_module *module = context;
    struct indexer_state state = indexer_state(module->parts->indexer);
    if (state.is_failing) {
        snprintf(why, size, "the index of events fails; the server's log says why");
    } else if (state.behind > 0) {
        snprintf(why, size, "%lld offsets are not indexed yet", (long long)state.behind);
    }
    return !state.is_failing;
}

static bool is_history_fine(void *context, char *why, size_t size)
{
    const struct http_module *module = context;
    struct commit_follower_state state = commit_follower_state(module->parts->follower);
    if (state.is_failing) {
        snprintf(why, size, "the history of commits fails; the server's log says why");
    } else if (state.behind > 0) {
        snprintf(why, size, "%lld commits are not read yet", (long long)state.behind);
    }
    return !state.is_failing;
}

/* --- /metrics --- */

/* Of a bus that we are the broker of, where clients log in. */
static void append_logins(const struct http_module *module, struct buf *text)
{
    struct observer *observer = module->parts->observer;
    struct observer_logins logins;
    if (observer == NULL || !observer_logins(observer, &logins)) {
        return;
    }
    prometheus_head(text, "tidings_logins_total", "counter", "Logins by SASL.");
    prometheus_name(text, "tidings_logins_total");
    prometheus_label(text, "result", "succeeded");
    prometheus_value(text, (double)logins.succeeded);
    prometheus_name(text, "tidings_logins_total");
    prometheus_label(text, "result", "failed");
    prometheus_value(text, (double)logins.failed);
    prometheus_one(text, "tidings_logins_expired_total", "counter",
                   "Connections that were closed as their login had expired.",
                   (double)logins.expired);
}

static void append_metrics(void *context, struct buf *text)
{
    const struct http_module *module = context;
    struct watch_state feed = watch_state(module->parts->watch);
    struct indexer_state index = indexer_state(module->parts->indexer);
    struct commit_follower_state commits = commit_follower_state(module->parts->follower);
    prometheus_one(text, "tidings_feed_events_total", "counter",
                   "Events that the bus layer has read of all topics.", (double)feed.events);
    prometheus_one(text, "tidings_feed_failing", "gauge", "1: it cannot read them.",
                   feed.is_failing);
    prometheus_one(text, "tidings_index_events_total", "counter",
                   "Events that the index of stories has looked at.", (double)index.events);
    prometheus_one(text, "tidings_index_behind", "gauge", "Offsets that it has not looked at yet.",
                   (double)index.behind);
    prometheus_one(text, "tidings_index_entries", "gauge", "What can be found by it.",
                   (double)index.size.entries);
    prometheus_one(text, "tidings_index_disk_bytes", "gauge", "What it takes on disk.",
                   (double)index.size.disk_bytes);
    prometheus_one(text, "tidings_index_failing", "gauge", "1: the last thing it did failed.",
                   index.is_failing);
    prometheus_one(text, "tidings_index_begun_anew_total", "counter",
                   "How often it was lost and is made again.", (double)index.begun_anew);
    prometheus_one(text, "tidings_commits_total", "counter",
                   "Commits of groups that the history has noted.", (double)commits.commits);
    prometheus_one(text, "tidings_commits_behind", "gauge", "Commits that it has not read yet.",
                   (double)commits.behind);
    prometheus_one(text, "tidings_commits_failing", "gauge", "1: the last thing it did failed.",
                   commits.is_failing);
    append_logins(module, text);
}

/* --- the module --- */

void *http_module_make(const struct bus_parts *parts)
{
    struct http_module *module = mem_new(struct http_module);
    module->parts = parts;
    module->api = http_api_new(parts->connection);
    http_api_add_check(module->api, &(struct http_check){"feed", is_feed_fine, module});
    http_api_add_check(module->api, &(struct http_check){"index", is_index_fine, module});
    http_api_add_metrics(module->api, append_metrics, module);
    http_api_add_check(module->api, &(struct http_check){"commits", is_history_fine, module});
    return module;
}

const struct http_route *http_module_routes(void *module, size_t *count)
{
    return http_api_routes(((struct http_module *)module)->api, count);
}

void http_module_free(void *module)
{
    http_api_free(((struct http_module *)module)->api);
    free(module);
}
