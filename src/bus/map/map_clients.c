#include "bus/map/map_name.h"
#include "bus/map/map_watch_inside.h"
#include "client/event/observer.h"

/* Clients without a name that read for a group are seen as that group: see take_flow. */

enum { NAMES_MOST = 3 * MAP_NAME_BYTES };

/* What was shown of a client and its flows, copied, so that whoever comes or goes waits for nothing
 * but the copying. */
struct seen_flow {
    enum client_did did;
    size_t topic, topic_size, group, group_size; /* in the text */
    uint64_t events, bytes;
    int64_t session_timeout_ms, first_ms, last_ms;
};

struct seen_client {
    size_t names[MAP_NAMES], sizes[MAP_NAMES]; /* in the text; size SIZE_MAX: null */
    int connections;
    int64_t left_ms;
    size_t first_flow, flow_count;
};

struct seen {
    const struct bus_parts *parts;
    struct buf text;
    VEC(struct seen_client) clients;
    VEC(struct seen_flow) flows;
};

static bool is_named(struct slice told, const char *name)
{
    return name != NULL && slice_equal(told, slice_str(name));
}

/* Who looks at the bus by the command under its own name. A service that calls itself so has
 * another library. */
static bool is_command(const struct client_identity *who)
{
    return is_named(who->client_id, CONNECTION_COMMAND) &&
           is_named(who->software_name, CONNECTION_COMMAND);
}

/* Our own connections, whose name others do not know, and those of people at the command: no
 * services. */
static bool is_no_service(const struct bus_parts *parts, const struct client_identity *who)
{
    return is_named(who->client_id, parts->connection->client_id) || is_command(who);
}

static size_t keep(struct seen *seen, struct slice text)
{
    size_t at = seen->text.size;
    buf_append_slice(&seen->text, text);
    return at;
}

static void name_client(const struct client_identity *who, struct slice names[MAP_NAMES])
{
    names[MAP_PRINCIPAL] = map_principal_name(who->principal);
    names[MAP_CLIENT] = map_client_name(who->client_id);
    names[MAP_SOFTWARE] = who->software_name;
    bool is_nobody = slice_is_null(names[MAP_PRINCIPAL]) && slice_is_null(names[MAP_CLIENT]) &&
                     slice_is_null(names[MAP_SOFTWARE]);
    if (is_nobody) {
        names[MAP_SOFTWARE] = slice_str("client");
    }
}

static void show_client(void *context, const struct client_shown *client)
{
    struct seen *seen = context;
    struct slice names[MAP_NAMES] = {0};
    struct seen_client *at = vec_add(&seen->clients);
    at->connections = is_no_service(seen->parts, &client->identity) ? -1 : client->connections;
    at->left_ms = client->last_ms;
    at->first_flow = seen->flows.count;
    name_client(&client->identity, names);
    for (int i = 0; i < MAP_NAMES; i++) {
        at->sizes[i] = slice_is_null(names[i]) ? SIZE_MAX : names[i].size;
        at->names[i] = keep(seen, names[i]);
    }
}

static void show_flow(void *context, const struct client_flow_shown *flow)
{
    struct seen *seen = context;
    struct seen_client *client = &seen->clients.items[seen->clients.count - 1];
    bool is_hidden =
        flow->did == CLIENT_COMMITTED ||
        (flow->did != CLIENT_JOINED && (flow->topic.size == 0 || map_hides_topic(flow->topic)));
    if (client->connections < 0 || is_hidden) {
        return;
    }
    vec_push(&seen->flows, (struct seen_flow){flow->did, keep(seen, flow->topic), flow->topic.size,
                                              keep(seen, flow->group), flow->group.size,
                                              flow->events, flow->bytes, flow->session_timeout_ms,
                                              flow->first_ms, flow->last_ms});
    client->flow_count++;
}

static struct slice part(const struct seen *seen, size_t at, size_t size)
{
    return size == SIZE_MAX ? (struct slice){0} : slice_of(seen->text.data + at, size);
}

static bool has_joined(const struct seen *seen, const struct seen_client *client)
{
    for (size_t i = 0; i < client->flow_count; i++) {
        if (seen->flows.items[client->first_flow + i].did == CLIENT_JOINED) {
            return true;
        }
    }
    return false;
}

/* What a client without any name fetches is its group's doing, which the groups tell. */
static bool is_told_by_group(const struct seen *seen, const struct seen_client *client,
                             const struct seen_flow *flow)
{
    return flow->did == CLIENT_FETCHED && client->sizes[MAP_PRINCIPAL] == SIZE_MAX &&
           client->sizes[MAP_CLIENT] == SIZE_MAX && has_joined(seen, client);
}

static void take_flow(struct map_watch *map, const struct seen *seen,
                      const struct seen_client *client, const struct seen_flow *flow,
                      int64_t now_ms)
{
    static const enum map_fact_kind kinds[] = {[CLIENT_PRODUCED] = MAP_PUBLISHES,
                                               [CLIENT_FETCHED] = MAP_CONSUMES,
                                               [CLIENT_JOINED] = MAP_JOINED};
    struct map_fact_key key = {.kind = kinds[flow->did]};
    for (int i = 0; i < MAP_NAMES; i++) {
        key.names[i] = part(seen, client->names[i], client->sizes[i]);
    }
    if (flow->did == CLIENT_JOINED) {
        key.names[MAP_GROUP] = part(seen, flow->group, flow->group_size);
    } else {
        key.topic = part(seen, flow->topic, flow->topic_size);
    }
    struct map_fact *fact =
        is_told_by_group(seen, client, flow) ? NULL : map_facts_reach(&map->facts, &key, now_ms);
    if (fact == NULL) {
        return;
    }
    map_fact_sample(fact, flow->events, flow->bytes, client->connections, flow->first_ms,
                    flow->last_ms, client->left_ms);
    if (flow->session_timeout_ms > 0) {
        fact->session_timeout_ms = flow->session_timeout_ms;
    }
}

void map_look_at_clients(struct map_watch *map, int64_t now_ms)
{
    struct seen seen = {.parts = map->parts};
    struct client_visitor visitor = {&seen, show_client, show_flow};
    observer_show(map->parts->observer, &visitor);
    pthread_mutex_lock(&map->lock);
    map_facts_sample_begin(&map->facts);
    for (size_t i = 0; i < seen.clients.count; i++) {
        const struct seen_client *client = &seen.clients.items[i];
        for (size_t j = 0; j < client->flow_count; j++) {
            take_flow(map, &seen, client, &seen.flows.items[client->first_flow + j], now_ms);
        }
    }
    map_facts_sample_end(&map->facts, now_ms);
    pthread_mutex_unlock(&map->lock);
    buf_deinit(&seen.text);
    vec_deinit(&seen.clients);
    vec_deinit(&seen.flows);
}

/* --- who has a producer id --- */

struct found {
    const struct bus_parts *parts;
    char *text; /* NAMES_MOST bytes */
    struct slice *names;
    bool is_no_service;
};

static void take_names(void *context, const struct client_shown *client, int64_t since_ms)
{
    struct found *found = context;
    size_t at = 0;
    (void)since_ms;
    found->is_no_service = is_no_service(found->parts, &client->identity);
    name_client(&client->identity, found->names);
    for (int i = 0; i < MAP_NAMES; i++) {
        struct slice *name = &found->names[i];
        if (!slice_is_null(*name)) {
            size_t size = name->size < MAP_NAME_BYTES ? name->size : MAP_NAME_BYTES;
            memcpy(found->text + at, name->data, size);
            *name = slice_of(found->text + at, size);
            at += size;
        }
    }
}

bool map_find_producer(void *context, int64_t producer_id, struct slice names[MAP_NAMES])
{
    static _Thread_local char text[NAMES_MOST];
    struct map_watch *map = context;
    struct found found = {.parts = map->parts, .text = text, .names = names};
    return observer_find_producer(map->parts->observer, producer_id, take_names, &found) &&
           !found.is_no_service;
}
