#include "api_fixture.h"

#include "api/group_reply.h"
#include "base/mem.h"
#include "group/coordinator.h"
#include "log/flush.h"
#include "stream/fetch.h"
#include "wire/generated/api_versions.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int sync_when_allowed(void *context, int fd)
{
    struct fixture *fixture = context;
    pthread_mutex_lock(&fixture->sync_lock);
    pthread_mutex_unlock(&fixture->sync_lock);
    return fdatasync(fd);
}

/* Copies what is kept of the connection; "-" where it is null. */
static void look_at_connection(struct fixture *fixture, const struct api_connection *connection)
{
    struct seen_client *seen = &fixture->seen;
    const char *name = connection->software_name, *version = connection->software_version;
    pthread_mutex_lock(&fixture->lock);
    snprintf(seen->id, sizeof seen->id, "%s", connection->client_id ? connection->client_id : "-");
    snprintf(seen->name, sizeof seen->name, "%s", name ? name : "-");
    snprintf(seen->version, sizeof seen->version, "%s", version ? version : "-");
    snprintf(seen->peer, sizeof seen->peer, "%s", connection->peer);
    snprintf(seen->principal, sizeof seen->principal, "%s", connection->principal);
    seen->listener = connection->listener;
    pthread_mutex_unlock(&fixture->lock);
}

static void on_frame(void *context, struct conn *conn, struct reply_token token, struct slice frame)
{
    struct fixture *fixture = context;
    api_on_frame(&fixture->api, conn, token, frame);
    look_at_connection(fixture, conn_user(conn));
}

static void on_flushed(void *context, struct log *log)
{
    (void)context;
    log_call_user(log, partition_on_flushed);
}

static enum err keep_nothing(void *context, int32_t partition, const struct state_batch *batch,
                             int64_t wall_ms, struct state_append *append)
{
    struct fixture *fixture = context;
    (void)partition, (void)batch, (void)wall_ms, (void)append;
    return atomic_load(&fixture->is_full) ? ERR_NO_SPACE : ERR_NONE;
}

static void done_at_once(void *context, struct state_append *append)
{
    (void)context;
    append->done(append, ERR_NONE);
}

static void send_group_reply(void *context, struct group_reply *reply)
{
    struct fixture *fixture = context;
    api_group_reply_send(&fixture->api, reply);
}

static void make_groups(struct fixture *fixture)
{
    struct group_config config;
    struct coordinator_env env = {
        .clock = clock_system(),
        .log = {.context = fixture,
                .partition_count = 50,
                .append = keep_nothing,
                .wait = done_at_once},
    };
    struct group_outlet outlet = {.context = fixture, .send = send_group_reply};
    group_config_init(&config);
    fixture->api.groups = group_coordinator_new(&config, &env, &outlet);
    group_coordinator_load_done(fixture->api.groups);
}

static void open_topics(struct fixture *fixture)
{
    struct api_server *api = &fixture->api;
    struct catalogue_config topics = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->none,
        .log_env = {.files = &fixture->disk, .clock = clock_system(), .flusher = api->flusher},
        .open_threads = 1,
        .advanced = fetch_on_advanced,
        .advanced_context = api->fetches,
    };
    struct catalogue_recovery recovery;
    assert_int_equal(catalogue_open(&topics, &api->catalogue, &recovery, &fixture->reason),
                     ERR_NONE);
}

/* A topic "orders" whose partition 0 cannot be opened. */
static void open_offline(struct fixture *fixture)
{
    struct topic_creation creation = {.name = slice_str("orders"), .partition_count = 2};
    char *dir = mem_sprintf("%s/topics/orders-0", fixture->dir);
    char *away = mem_sprintf("%s/away", fixture->dir);
    open_topics(fixture);
    assert_int_equal(catalogue_create(fixture->api.catalogue, &creation, NULL, &fixture->reason),
                     ERR_NONE);
    assert_int_equal(catalogue_close(fixture->api.catalogue, &fixture->reason), ERR_NONE);
    assert_int_equal(rename(dir, away), 0);
    int fd = open(dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* a file in its place */
    assert_true(fd >= 0);
    close(fd);
    open_topics(fixture);
    free(dir);
    free(away);
}

static void on_open(void *context, struct conn *conn)
{
    struct fixture *fixture = context;
    api_on_open(&fixture->api, conn);
}

static int start(void **state, void (*open_catalogue)(struct fixture *fixture))
{
    struct fixture *fixture = mem_new(struct fixture);
    struct api_server *api = &fixture->api;
    struct reason *reason = &fixture->reason;
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/tidings-api-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture->dir_fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct net_config config;
    net_config_init(&config);
    config.reactor_count = 2;
    struct net_handler handler = {.context = fixture,
                                  .on_open = on_open,
                                  .on_frame = on_frame,
                                  .on_close = api_on_close,
                                  .on_hurry = api_on_hurry};
    pthread_mutex_init(&fixture->lock, NULL);
    assert_int_equal(net_new(&config, &handler, &api->net, reason), ERR_NONE);
    assert_int_equal(net_listen(api->net, &transport_plain, "127.0.0.1", 0, &fixture->port, reason),
                     ERR_NONE);
    assert_int_equal(workers_new("worker", 2, &api->workers, reason), ERR_NONE);
    budget_init(&fixture->budget, 1 << 30);
    api->budget = &fixture->budget;
    api->reactors = api_reactors_new(api->net, api->budget);
    api->fetches = fetch_service_new(api->net, api->workers, &fixture->budget);
    struct flush_handler flushed = {.on_flushed = on_flushed};
    pthread_mutex_init(&fixture->sync_lock, NULL);
    fixture->disk = *file_ops_system();
    fixture->disk.context = fixture;
    fixture->disk.fdatasync = sync_when_allowed;
    fixture->disk.syncfs = sync_when_allowed;
    assert_int_equal(
        flusher_new(&fixture->disk, fixture->dir_fd, NULL, &flushed, &api->flusher, reason),
        ERR_NONE);
    open_catalogue(fixture);
    make_groups(fixture);
    api->clock = clock_system();
    api->clients = client_table_new(1 << 20);
    api->config.node_id = 1;
    api->config.default_partitions = 1;
    api->request_arena_bytes = 1 << 20;
    api->config.fetch_max_bytes = 1 << 20;
    assert_int_equal(net_start(api->net, reason), ERR_NONE);
    fixture->client.fd = -1;
    assert_true(client_connect(&fixture->client, fixture->port));
    *state = fixture;
    return 0;
}

int fixture_setup(void **state)
{
    return start(state, open_topics);
}

int fixture_setup_offline(void **state)
{
    return start(state, open_offline);
}

/* What requests counted was given back; the reactors keep what they have asked for. */
static void check_memory(struct fixture *fixture)
{
    int64_t taken_bytes = 0;
    for (unsigned i = 0; i < net_reactor_count(fixture->api.net); i++) {
        assert_int_equal(fixture->api.reactors[i].requests.used_bytes, 0);
        taken_bytes += fixture->api.reactors[i].requests.taken_bytes;
    }
    assert_int_equal(fixture->budget.shares[BUDGET_REQUESTS].bytes, taken_bytes);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    struct api_server *api = &fixture->api;
    client_deinit(&fixture->client);
    net_stop(api->net);
    group_coordinator_stop(api->groups);
    workers_free(api->workers);
    flusher_free(api->flusher);
    group_coordinator_free(api->groups);
    assert_int_equal(catalogue_close(api->catalogue, &fixture->reason), ERR_NONE);
    fetch_service_free(api->fetches);
    check_memory(fixture);
    net_free(api->net);
    free(api->reactors);
    client_table_free(api->clients);
    pthread_mutex_destroy(&fixture->lock);
    close(fixture->dir_fd);
    pthread_mutex_destroy(&fixture->sync_lock);
    char *command = mem_sprintf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    free(fixture);
    return 0;
}

void send_bytes(struct client *client, const void *bytes, size_t size)
{
    uint8_t head[4];
    store_be32(head, (uint32_t)size);
    assert_int_equal(send(client->fd, head, 4, MSG_NOSIGNAL), 4);
    assert_int_equal(send(client->fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

bool ask_versions(struct client *client)
{
    struct api_versions_request request;
    struct api_versions_response response;
    api_versions_request_init(&request);
    return client_call(client, API_KEY_API_VERSIONS, 0, &request, &response) &&
           response.api_keys_count == api_table_count;
}
