#include "bus/layer_state.h"

#include "base/mem.h"

#include <stdlib.h>

struct layer_state {
    const struct bus_parts *parts;
    struct http_route route;
};

static json_t *index_json(const struct bus_parts *parts)
{
    struct indexer_state state = indexer_state(parts->indexer);
    return json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "is_open", state.is_open,
                     "is_failing", state.is_failing, "events", (json_int_t)state.events, "behind",
                     (json_int_t)state.behind, "level_ms", (json_int_t)state.level_ms, "begun_anew",
                     (json_int_t)state.begun_anew, "entries", (json_int_t)state.size.entries,
                     "disk_bytes", (json_int_t)state.size.disk_bytes, "runs",
                     (json_int_t)state.size.runs);
}

static json_t *history_json(const struct bus_parts *parts)
{
    struct commit_follower_state state = commit_follower_state(parts->follower);
    struct commit_history_state history = commit_history_state(parts->history);
    return json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "is_open", history.is_open,
                     "is_failing", state.is_failing, "commits", (json_int_t)state.commits, "behind",
                     (json_int_t)state.behind, "level_ms", (json_int_t)state.level_ms, "begun_anew",
                     (json_int_t)state.begun_anew, "tracks", (json_int_t)history.tracks);
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    const struct bus_parts *parts = ((struct layer_state *)context)->parts;
    struct watch_state feed = watch_state(parts->watch);
    (void)request;
    http_reply_json(reply, 200,
                    json_pack("{s:{s:b, s:I, s:I, s:s}, s:o, s:o}", "feed", "is_failing",
                              feed.is_failing, "events", (json_int_t)feed.events, "partitions",
                              (json_int_t)feed.partitions, "failure", feed.failure, "index",
                              index_json(parts), "history", history_json(parts)));
}

void *layer_state_make(const struct bus_parts *parts)
{
    static const struct http_parameter no_query[] = {{.name = NULL}};
    struct layer_state *state = mem_new(struct layer_state);
    state->parts = parts;
    state->route = (struct http_route){
        .method = "GET",
        .path = "/v1/layer",
        .handle = answer,
        .context = state,
        .summary = "How far the index of events and the history of commits are, and what fails.",
        .query = no_query,
    };
    return state;
}

const struct http_route *layer_state_routes(void *module, size_t *count)
{
    *count = 1;
    return &((struct layer_state *)module)->route;
}

void layer_state_free(void *module)
{
    free(module);
}
