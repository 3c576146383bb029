#include "cli/live/top_clients.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/bus/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 2000, LOOK_AGAIN_MS = 30000 };

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static struct top_flow *reach_flow(struct top_client *client, const char *topic)
{
    for (size_t i = 0; i < client->flows.count; i++) {
        if (strcmp(client->flows.items[i].topic, topic) == 0) {
            return &client->flows.items[i];
        }
    }
    struct top_flow *flow = vec_add(&client->flows);
    flow->topic = mem_strdup(topic);
    return flow;
}

static void read_flow(struct top_client *client, const json_t *flow)
{
    const char *did = text_of(flow, "did"), *topic = text_of(flow, "topic");
    int64_t events = json_integer_value(json_object_get(flow, "events"));
    bool is_published = strcmp(did, "produced") == 0;
    if (topic[0] == '\0' || (!is_published && strcmp(did, "fetched") != 0)) {
        return; /* of no topic, or a commit or a join */
    }
    struct top_flow *to = reach_flow(client, topic);
    to->published += is_published ? events : 0;
    to->fetched += is_published ? 0 : events;
    client->published += is_published ? events : 0;
    client->fetched += is_published ? 0 : events;
}

static void read_client(struct top_clients *clients, const json_t *json)
{
    struct top_client *client = vec_add(clients);
    const char *version = text_of(json, "software_version");
    size_t i;
    json_t *flow;
    client->name = mem_strdup(text_of(json, "client_id"));
    client->address = mem_strdup(text_of(json, "address"));
    client->software =
        mem_sprintf("%s%s%s", text_of(json, "software"), version[0] != '\0' ? " " : "", version);
    client->key =
        mem_sprintf("%s" TOP_KEY_SEPARATOR "%s" TOP_KEY_SEPARATOR "%s" TOP_KEY_SEPARATOR "%s",
                    client->name, client->software, client->address, text_of(json, "principal"));
    client->connections = json_integer_value(json_object_get(json, "connections"));
    json_array_foreach(json_object_get(json, "flows"), i, flow)
    {
        read_flow(client, flow);
    }
}

static int compare_clients(const void *left, const void *right)
{
    return strcmp(((const struct top_client *)left)->key, ((const struct top_client *)right)->key);
}

bool top_clients_read(struct top_clients *clients, const json_t *answer)
{
    size_t i;
    json_t *client;
    if (!json_is_array(answer)) {
        snprintf(clients->why, sizeof clients->why, "%s", text_of(answer, "detail"));
        if (clients->why[0] == '\0') {
            snprintf(clients->why, sizeof clients->why, "the bus layer gave no list of them");
        }
        return false;
    }
    json_array_foreach(answer, i, client)
    {
        if (json_integer_value(json_object_get(client, "connections")) > 0) {
            read_client(clients, client);
        }
    }
    if (clients->count > 1) {
        qsort(clients->items, clients->count, sizeof *clients->items, compare_clients);
    }
    return true;
}

/* NULL: there is no bus layer, as far as is known. */
static const char *find_url(struct top_clients_source *source, const struct bus_options *options)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    if (source->url == NULL &&
        (!source->is_looked_for || now_ms - source->looked_ms >= LOOK_AGAIN_MS)) {
        (void)http_client_url(options, &source->url);
        source->is_looked_for = true;
        source->looked_ms = now_ms;
    }
    return source->url;
}

void top_clients_load(struct top_clients *clients, struct top_clients_source *source,
                      const struct bus_options *options)
{
    struct bus_options asking = *options;
    json_t *answer = NULL;
    asking.timeout_ms = asking.timeout_ms < ASK_MS ? asking.timeout_ms : ASK_MS;
    if (find_url(source, options) == NULL) {
        snprintf(clients->why, sizeof clients->why,
                 "the bus tells no address of a bus layer (http.advertised.url)");
    } else if (!http_try_json(&asking, source->url, "/v1/clients?over=0ms", &answer)) {
        snprintf(clients->why, sizeof clients->why, "%.100s does not answer", source->url);
        free(source->url);
        source->url = NULL;
    } else {
        (void)top_clients_read(clients, answer);
    }
    json_decref(answer);
}

void top_clients_deinit(struct top_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct top_client *client = &clients->items[i];
        for (size_t j = 0; j < client->flows.count; j++) {
            free(client->flows.items[j].topic);
        }
        vec_deinit(&client->flows);
        free(client->key);
        free(client->name);
        free(client->software);
        free(client->address);
    }
    vec_deinit(clients);
}

void top_clients_source_deinit(struct top_clients_source *source)
{
    free(source->url);
    source->url = NULL;
}

static int compare_key(const void *key, const void *client)
{
    return strcmp(key, ((const struct top_client *)client)->key);
}

const struct top_client *top_clients_find(const struct top_clients *clients, const char *key)
{
    return clients->count == 0
               ? NULL
               : bsearch(key, clients->items, clients->count, sizeof *clients->items, compare_key);
}
