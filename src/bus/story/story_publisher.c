#include "bus/story/story_publisher.h"

#include "base/buf.h"

enum { NAMES_MAX = 3 };

/* The clients of one topic and time. */
struct looking {
    const struct event *event;
    struct buf client; /* the name of the last client shown */
    struct buf names;
    size_t count;
};

static void on_client(void *context, const struct client_shown *client)
{
    struct looking *looking = context;
    const struct client_identity *of = &client->identity;
    struct slice name = of->client_id.size > 0       ? of->client_id
                        : of->software_name.size > 0 ? of->software_name
                                                     : of->host;
    buf_clear(&looking->client);
    buf_append_slice(&looking->client, name);
    if (name.size > 0 && of->host.size > 0 && name.data != of->host.data) {
        buf_printf(&looking->client, " (%.*s)", SLICE_ARGS(of->host));
    }
}

static void on_flow(void *context, const struct client_flow_shown *flow)
{
    struct looking *looking = context;
    int64_t at_ms = looking->event->timestamp_ms;
    enum { SLACK_MS = 5000 };
    bool was_there =
        at_ms < 0 || (flow->first_ms <= at_ms + SLACK_MS && flow->last_ms + SLACK_MS >= at_ms);
    if (flow->did == CLIENT_PRODUCED && was_there && looking->client.size > 0 &&
        slice_equal_str(flow->topic, looking->event->topic)) {
        if (looking->count < NAMES_MAX) {
            buf_append_str(&looking->names, looking->count > 0 ? ", " : "");
            buf_append_slice(&looking->names, buf_slice(&looking->client));
        }
        looking->count++;
    }
}

void story_publishers_fill(struct story *story, struct observer *observer)
{
    for (size_t i = 0; observer != NULL && i < story->events.count; i++) {
        struct story_event *event = &story->events.items[i];
        struct looking looking = {.event = &event->event};
        struct client_visitor visitor = {&looking, on_client, on_flow};
        observer_show(observer, &visitor);
        if (looking.count > NAMES_MAX) {
            buf_printf(&looking.names, " and %zu others", looking.count - NAMES_MAX);
        }
        if (looking.count > 0) {
            event->publisher = arena_cstr(&story->arena, buf_slice(&looking.names));
            event->publisher_evidence = STORY_INFERRED;
        }
        buf_deinit(&looking.client);
        buf_deinit(&looking.names);
    }
}
