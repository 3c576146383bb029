#include "cli/server/serve_layer.h"

#include "base/buf.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/own_peers.h"
#include "base/random.h"
#include "bus/bus_layer.h"

#include <stdlib.h>
#include <string.h>

/* Its stop is no reason to let clients wait for the next start. */
enum { STOP_MS = 5000, ANSWER_MS = 4000 };

struct serve_layer {
    struct server *server;
    char *dir;
    char *bootstrap;
    char *client_id;             /* nobody else has it: what has it is no service on the flow map */
    struct own_peers *own_peers; /* held: a stop that hangs outlives the server */
    struct log_access *log;      /* the same */
    struct bus_layer *layer;
};

/* An address that can be connected to: who listens everywhere is reached by the loopback. */
static char *reachable(const char *address)
{
    static const char *const everywhere[] = {"0.0.0.0:", "[::]:"};
    for (size_t i = 0; i < sizeof everywhere / sizeof everywhere[0]; i++) {
        size_t size = strlen(everywhere[i]);
        if (strncmp(address, everywhere[i], size) == 0) {
            return mem_sprintf("127.0.0.1:%s", address + size);
        }
    }
    return mem_strdup(address);
}

static char *own_client_id(void)
{
    char uuid[UUID_TEXT_SIZE];
    return mem_sprintf("tidings-bus-%s", random_uuid_text(uuid));
}

static struct feed *open_feed(void *context, feed_begin *begin, void *begin_context,
                              struct reason *reason)
{
    struct serve_layer *layer = context;
    return server_open_feed(layer->server, begin, begin_context, reason);
}

static void http_listens(void *context, const char *address)
{
    struct serve_layer *layer = context;
    char *host = reachable(address);
    char *url = mem_sprintf("http://%s", host);
    server_set_http_url(layer->server, url);
    free(url);
    free(host);
}

static void free_layer(struct serve_layer *layer)
{
    free(layer->dir);
    free(layer->bootstrap);
    free(layer->client_id);
    own_peers_unref(layer->own_peers);
    log_access_unref(layer->log);
    free(layer);
}

struct serve_layer *serve_layer_start(struct server *server)
{
    struct server_bus_settings bus = server_bus_settings(server);
    struct reason reason = {""};
    if (!bus.is_enabled) {
        return NULL;
    }
    struct serve_layer *layer = mem_new(struct serve_layer);
    layer->server = server;
    layer->dir = mem_sprintf("%s/bus", server_data_dir(server));
    layer->bootstrap = reachable(server_own_address(server));
    layer->client_id = own_client_id();
    layer->own_peers = own_peers_ref(server_own_peers(server));
    layer->log = server_ref_log(server);
    struct bus_layer_settings settings = {
        .dir = layer->dir,
        .connection = {.bootstrap_servers = layer->bootstrap,
                       .client_id = layer->client_id,
                       .timeout_ms = ANSWER_MS,
                       .own_peers = layer->own_peers,
                       .log = layer->log},
        .open_feed = open_feed,
        .observer = server_observer(server),
        .http_listener = bus.http_listener,
        .http_may_move = bus.http_may_move,
        .http_allowed_hosts = bus.http_allowed_hosts,
        .http_hides_payloads = bus.http_hides_payloads,
        .http_listens = http_listens,
        .context = layer,
        .index_exclude = bus.index_exclude,
        .history_retention_ms = bus.history_retention_ms,
    };
    if (bus_layer_start(&settings, &layer->layer, &reason) != ERR_NONE) {
        LOG_ERROR("bus", "what stands beside the bus cannot be started: the bus goes on without",
                  "reason=\"%s\"", reason.text);
        free_layer(layer);
        return NULL;
    }
    return layer;
}

const char *serve_layer_http(const struct serve_layer *layer)
{
    return layer != NULL ? bus_layer_http(layer->layer) : "";
}

bool serve_layer_stop(struct serve_layer *layer)
{
    if (layer == NULL) {
        return true;
    }
    if (!bus_layer_stop(layer->layer, STOP_MS)) {
        return false; /* with all that it may still use */
    }
    free_layer(layer);
    return true;
}
