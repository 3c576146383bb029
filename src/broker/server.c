#include "broker/server.h"

#include "api/api.h"
#include "api/group_reply.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/movable_clock.h"
#include "base/own_peers.h"
#include "broker/chaos.h"
#include "broker/clock_mover.h"
#include "broker/control.h"
#include "broker/group_settings.h"
#include "broker/observe.h"
#include "broker/server_config.h"
#include "broker/server_feed.h"
#include "broker/server_listen.h"
#include "broker/server_log.h"
#include "broker/server_users.h"
#include "broker/timekeeper.h"
#include "broker/trimmer.h"
#include "coordinator/alarm.h"
#include "coordinator/state_topic.h"
#include "group/coordinator.h"
#include "group/topic_matches.h"
#include "log/flush.h"
#include "log/segment_fds.h"
#include "log/space.h"
#include "net/net.h"
#include "net/workers.h"
#include "security/authorizer.h"
#include "security/principal_rules.h"
#include "stream/fetch.h"
#include "stream/log_feed.h"
#include "topic/catalogue.h"
#include "topic/cleaner.h"
#include "topic/data_dir.h"
#include "topic/topic_config.h"
#include "txn/coordinator.h"
#include "txn/txn_logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What one request may decode into at most, record bytes not counted: room for some 100,000
 * partitions. Few bytes of a hostile request make many items, and each item takes more for its
 * answer; so it is less where memory is little. */
enum { REQUEST_DECODED_BYTES = 16 << 20, REQUEST_DECODED_PART = 128 };

/* One request may have this part of memory.max, where socket.request.max.bytes allows more. */
enum { LARGEST_REQUEST_PART = 8 };

/* One answer, as long as it is not encoded: at most API_ANSWER_BYTES. */
enum { ANSWER_PART = 32 };

/* What is remembered of clients and what they do. */
enum { CLIENTS_PART = 64 };

/* What all threads that open batches may hold of memory.max: an opened batch is at most
 * BATCH_DECOMPRESSED_MAX_BYTES, and takes up to twice its size while it grows. */
enum { OPENED_PART = 8 };

/* Longer than a client needs to come back, shorter than any of its time-outs. */
enum { UNWRITTEN_HOLD_MS = 300 };

enum {
    SEGMENT_FDS_MOST = 100000,         /* kept open though nobody uses them at the moment */
    PARTITIONS_MOST = 1000000,         /* an idle one takes about 1 KB of memory */
    OFFSETS_SEGMENT_BYTES = 100 << 20, /* Kafka's offsets.topic.segment.bytes */
};

struct server {
    struct settings_table *settings;
    struct server_config config;
    struct server_listen listen;
    struct principal_rules *principal_rules;
    struct authorizer *rules; /* NULL: everybody may do everything */
    struct api_authorizer by_rules;
    struct server_users users;
    char *http_url; /* that the api tells; NULL: none */
    const struct file_ops *files;
    int dir_fd;
    int lock_fd;
    int64_t started_ms; /* mono */
    struct movable_clock movable;
    const struct clock *clock; /* of all that is stored or has a deadline; the movable one for
                                  tests, else the machine's */
    struct budget budget;
    struct net *net;
    struct workers *workers;
    struct workers *keepers; /* for upkeep alone */
    struct space *space;
    struct flusher *flusher;
    struct segment_fds *segment_fds;
    struct fetch_service *fetches;
    struct server_feeds *feeds;
    struct log_access *log;
    struct catalogue *catalogue;
    struct state_topic offsets;
    struct group_coordinator *groups;
    struct alarm groups_alarm;
    struct state_topic transactions;
    struct txn_logs txn_logs;
    struct txn_coordinator *txns;
    struct alarm txns_alarm;
    struct timekeeper *timekeeper;
    struct trimmer *trimmer;
    struct clock_mover *mover; /* NULL: the clock is the machine's */
    struct chaos *chaos;       /* NULL: no faults on request */
    struct control *control;
    struct cleaner *cleaner; /* NULL with log.cleaner.enable=false */
    struct api_server api;
    struct own_peers *own_peers;
    struct broker_observer observer; /* over its clients */
};

/* Thousands of partitions and connections need as many descriptors as the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            LOG_WARN("broker", "descriptor limit cannot be raised", "limit=%llu",
                     (unsigned long long)limit.rlim_cur);
        }
    }
}

/* Half of the descriptors is for open segments, the rest for connections. */
static size_t segment_fds_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 > SEGMENT_FDS_MOST) {
        return SEGMENT_FDS_MOST;
    }
    return limit.rlim_cur / 2;
}

static enum err read_config(struct server *server, const struct overrides *settings,
                            struct reason *reason)
{
    server->settings = server_settings_new();
    enum err err = server_config_build(&server->config, server->settings, settings, reason);
    if (err == ERR_NONE) {
        err = server_listen_read(&server->listen, &server->config, reason);
    }
    if (err == ERR_NONE) {
        err = principal_rules_new(server->config.principal_rules, &server->principal_rules, reason);
    }
    if (err == ERR_NONE && server->config.authorizer[0] != '\0') {
        err = authorizer_new(server->config.super_users, server->config.allow_without_rules,
                             &server->rules, reason);
    }
    if (err == ERR_NONE) {
        int64_t most = server->config.memory_max_bytes;
        budget_init(&server->budget, most > 0 ? most : budget_default_bytes());
        err = server_config_check(&server->config, &server->listen.advertised, reason);
    }
    if (err == ERR_NONE) {
        enum log_level level = LOG_LEVEL_INFO;
        (void)!logger_level_parse(server->config.log_level, &level);
        logger_set_level(level);
        err = server_listen_certify(&server->listen, &server->config.tls, reason);
    }
    return err;
}

static enum err start_net(struct server *server, struct reason *reason)
{
    struct net_handler handler = {
        .context = &server->api,
        .on_open = api_on_open,
        .on_frame = api_on_frame,
        .on_close = api_on_close,
        .on_hurry = api_on_hurry,
    };
    /* So that one alone fits into the shares for requests. */
    size_t largest = (size_t)server->budget.max_bytes / LARGEST_REQUEST_PART;
    struct net_config *net = &server->config.net;
    net->max_frame_bytes = net->max_frame_bytes < largest ? net->max_frame_bytes : largest;
    net->budget = &server->budget;
    net->own_peers = server->own_peers = own_peers_new();
    return net_new(&server->config.net, &handler, &server->net, reason);
}

static void take_rule(void *context, const struct acl_rule *rule)
{
    authorizer_add(context, rule);
}

/* What clients may do, as it is stored. */
static enum err load_rules(struct server *server, struct reason *reason)
{
    if (server->rules == NULL) {
        return ERR_NONE;
    }
    server->by_rules = api_authorizer_by(server->rules);
    server->api.rules = server->rules;
    atomic_store(&server->api.authorizer, &server->by_rules);
    return catalogue_each_acl(server->catalogue, take_rule, server->rules, reason);
}

/* Who may log in. */
static enum err load_users(struct server *server, struct reason *reason)
{
    struct server_users *users = &server->users;
    enum err err = server_users_open(users, &server->config, &server->listen.listeners,
                                     server->catalogue, server->clock, reason);
    server->api.users = users->users;
    server->api.sasl = users->sasl.listener_count > 0 ? &users->sasl : NULL;
    return err;
}

static void on_flushed(void *context, struct log *log)
{
    (void)context;
    log_call_user(log, partition_on_flushed);
}

static enum err start_flusher(struct server *server, struct reason *reason)
{
    struct flush_handler handler = {.context = server, .on_flushed = on_flushed};
    /* What ends with the process needs no room to be cleaned up in. */
    char *spare = server->files->unsynced ? NULL : mem_sprintf("%s/spare", server->config.data_dir);
    server->space = space_new(server->files, clock_system(), server->dir_fd, spare);
    free(spare);
    return flusher_new(server->files, server->dir_fd, server->space, &handler, &server->flusher,
                       reason);
}

static void on_advanced(void *context, struct partition *partition, uint64_t watchers)
{
    struct server *server = context;
    fetch_on_advanced(server->fetches, partition, watchers);
    if ((watchers >> LOG_FEED_WATCHER & 1) != 0) {
        server_feeds_advanced(server->feeds, partition);
    }
}

static enum err open_catalogue(struct server *server, struct reason *reason)
{
    struct catalogue_config config = {
        .data_dir = server->config.data_dir,
        .topic_defaults = &server->config.topic_defaults,
        .log_env = {.files = server->files,
                    .clock = server->clock,
                    .flusher = server->flusher,
                    .space = server->space,
                    .budget = &server->budget,
                    .fds = server->segment_fds},
        .producer_expiration_ms = server->config.producer_expiration_ms,
        .max_partitions = PARTITIONS_MOST,
        .open_threads = 4,
        .advanced = on_advanced,
        .advanced_context = server,
    };
    struct catalogue_recovery recovery;
    enum err err = catalogue_open(&config, &server->catalogue, &recovery, reason);
    if (err == ERR_NONE) {
        LOG_INFO("broker", "data directory opened",
                 "data=\"%s\" topics=%d partitions=%d clean=%s scanned_bytes=%lld "
                 "truncated_bytes=%lld damaged_batches=%d offline_partitions=%d",
                 server->config.data_dir, (int)recovery.topics, (int)recovery.partitions,
                 recovery.was_clean ? "yes" : "no", (long long)recovery.scanned_bytes,
                 (long long)recovery.truncated_bytes, (int)recovery.damaged_batches,
                 (int)recovery.offline_partitions);
    }
    return err;
}

static void send_group_reply(void *context, struct group_reply *reply)
{
    struct server *server = context;
    api_group_reply_send(&server->api, reply);
}

static enum err start_groups(struct server *server, struct reason *reason)
{
    const struct server_config *config = &server->config;
    enum err err =
        state_topic_open(&server->offsets, server->catalogue, server->flusher, GROUP_OFFSETS_TOPIC,
                         config->offsets_partitions, OFFSETS_SEGMENT_BYTES, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct group_config groups = config->group;
    groups.budget = &server->budget;
    groups.topics = group_topics_interface(server->catalogue);
    server->api.matches = topic_matches_new(&groups.topics, server->workers, &server->budget);
    groups.topics.match = topic_matches_find;
    groups.topics.match_context = server->api.matches;
    group_settings_own(server->catalogue, &groups);
    struct coordinator_env env = {
        .clock = server->clock,
        .log = state_topic_log(&server->offsets),
        .wake = alarm_wake,
        .wake_context = &server->groups_alarm,
    };
    struct group_outlet outlet = {.context = server, .send = send_group_reply};
    server->groups = group_coordinator_new(&groups, &env, &outlet);
    err = state_topic_replay(&server->offsets, server->files, group_coordinator_replay_stored,
                             server->groups, reason);
    if (err == ERR_NONE) {
        group_coordinator_load_done(server->groups);
    }
    return err;
}

/* Offsets that were committed in a transaction count, or not, once the marker is on disk. */
static void on_marker(void *context, const struct partition *partition, int64_t producer_id,
                      bool commit)
{
    if (strcmp(partition->topic->name, GROUP_OFFSETS_TOPIC) == 0) {
        group_coordinator_txn_end(context, partition->index, producer_id, commit);
    }
}

/* After the groups: the end of a transaction concerns offsets that were committed in it. */
static enum err start_transactions(struct server *server, struct reason *reason)
{
    const struct server_config *config = &server->config;
    enum err err =
        state_topic_open(&server->transactions, server->catalogue, server->flusher, TXN_STATE_TOPIC,
                         config->txn_partitions, config->txn_segment_bytes, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct txn_coordinator_config txns;
    txn_coordinator_config_init(&txns);
    txns.txn = config->txn;
    txns.budget = &server->budget;
    server->txn_logs = (struct txn_logs){
        .catalogue = server->catalogue,
        .flusher = server->flusher,
        .on_marker = on_marker,
        .context = server->groups,
    };
    struct txn_participants participants = txn_logs_participants(&server->txn_logs);
    struct coordinator_env env = {
        .clock = server->clock,
        .log = state_topic_log(&server->transactions),
        .wake = alarm_wake,
        .wake_context = &server->txns_alarm,
    };
    server->txns = txn_coordinator_new(&txns, &env, &participants);
    err = state_topic_replay(&server->transactions, server->files, txn_coordinator_replay_stored,
                             server->txns, reason);
    if (err == ERR_NONE) {
        txn_coordinator_load_done(server->txns);
    }
    return err;
}

static int64_t tick_groups(void *context, int64_t now_ms)
{
    return group_coordinator_tick(context, now_ms);
}

static int64_t tick_txns(void *context, int64_t now_ms)
{
    return txn_coordinator_tick(context, now_ms);
}

/* The map of keys has most of the share for the cleaner, where the setting allows more. */
static enum err start_cleaner(struct server *server, struct reason *reason)
{
    struct cleaner_config cleaner = server->config.cleaner;
    int64_t most = server->budget.shares[BUDGET_CLEANER].limit_bytes / 4 * 3;
    if (!server->config.cleaner_enable) {
        return ERR_NONE;
    }
    cleaner.map_bytes = cleaner.map_bytes < most ? cleaner.map_bytes : most;
    return cleaner_new(server->catalogue, &cleaner, &server->cleaner, reason);
}

static int64_t decoded_bytes(int64_t memory_max_bytes)
{
    int64_t part = memory_max_bytes / REQUEST_DECODED_PART;
    return part < REQUEST_DECODED_BYTES ? part : REQUEST_DECODED_BYTES;
}

static size_t opened_bytes(const struct server *server)
{
    int64_t openers =
        server->config.background_threads > 1 ? server->config.background_threads - 1 : 1;
    int64_t part = server->budget.max_bytes / OPENED_PART / openers / 2;
    return part < BATCH_DECOMPRESSED_MAX_BYTES ? (size_t)part : BATCH_DECOMPRESSED_MAX_BYTES;
}

static void fill_api(struct server *server)
{
    const struct server_config *config = &server->config;
    struct api_server *api = &server->api;
    api->net = server->net;
    api->workers = server->workers;
    api->flusher = server->flusher;
    api->catalogue = server->catalogue;
    api->groups = server->groups;
    api->txns = server->txns;
    api->fetches = server->fetches;
    api->clock = server->clock;
    api->settings = server->settings;
    api->overrides = &config->given;
    api->data_dir = config->data_dir;
    api->clients = client_table_new((size_t)server->budget.max_bytes / CLIENTS_PART);
    broker_observer_init(&server->observer, api->clients, server->api.sasl);
    server->chaos = config->chaos_enable ? chaos_new(server->clock) : NULL;
    api->faults = server->chaos != NULL ? chaos_faults(server->chaos) : NULL;
    api->config = config->api;
    api->request_arena_bytes = decoded_bytes(server->budget.max_bytes);
    api->answer_bytes = server->budget.max_bytes / ANSWER_PART;
    api->open_max_bytes = opened_bytes(server);
    api->budget = &server->budget;
    api->reactors = api_reactors_new(server->net, &server->budget);
    api->unwritten_hold_ms = UNWRITTEN_HOLD_MS;
    api->advertised = server_listen_advertised(&server->listen);
    api->advertised_count = server->listen.listeners.count;
    api->principal_rules = server->principal_rules;
}

/* The clock can be moved by whoever may use the control socket. */
static void start_mover(struct server *server)
{
    const struct clock_mover_parts parts = {
        .clock = &server->movable,
        .workers = server->workers,
        .keepers = server->keepers,
        .upkeep_owner = server->timekeeper,
        .groups_alarm = &server->groups_alarm,
        .txns_alarm = &server->txns_alarm,
        .groups = server->groups,
        .txns = server->txns,
        .catalogue = server->catalogue,
        .cleaner = server->cleaner,
    };
    server->mover = server->config.test_clock_enable ? clock_mover_new(&parts) : NULL;
}

static enum err start_control(struct server *server, struct reason *reason)
{
    start_mover(server);
    const struct control_parts parts = {
        .budget = &server->budget,
        .catalogue = server->catalogue,
        .cleaner = server->cleaner,
        .mover = server->mover,
        .users = {.catalogue = server->catalogue, .users = server->users.users},
        .chaos = {.chaos = server->chaos,
                  .clock = server->clock,
                  .targets = {.groups = server->groups, .txns = server->txns}},
    };
    return control_new(server->config.data_dir, server->dir_fd, &parts, &server->control, reason);
}

/* All that was acknowledged is kept at a start, whatever it takes. */
static void tell_full_shares(const struct server *server)
{
    for (int i = 0; i < BUDGET_SHARES; i++) {
        const struct budget_used *share = &server->budget.shares[i];
        if (budget_is_over(&server->budget, (enum budget_share)i)) {
            LOG_WARN("broker",
                     "what is stored takes more memory than its share: all of it is kept, nothing "
                     "is added until there is room",
                     "share=%s bytes=%lld limit=%lld setting=memory.max",
                     budget_share_name((enum budget_share)i), (long long)share->bytes,
                     (long long)share->limit_bytes);
        }
    }
}

/* In the order in which each needs the one before it. */
static enum err start_all(struct server *server, struct reason *reason)
{
    enum err err = start_net(server, reason);
    if (err == ERR_NONE) {
        err = server_listen_open(&server->listen, server->net, reason);
    }
    if (err == ERR_NONE) {
        err = workers_new("worker", (unsigned)server->config.background_threads, &server->workers,
                          reason);
    }
    if (err == ERR_NONE) {
        err = workers_new("keeper", 1, &server->keepers, reason);
    }
    if (err == ERR_NONE) {
        server->fetches = fetch_service_new(server->net, server->workers, &server->budget);
        server->feeds = server_feeds_new();
        server->log = server_log_new();
        server->segment_fds = segment_fds_new(server->files, segment_fds_limit());
        err = start_flusher(server, reason);
    }
    if (err == ERR_NONE) {
        err = open_catalogue(server, reason);
    }
    if (err == ERR_NONE) {
        err = load_rules(server, reason);
    }
    if (err == ERR_NONE) {
        err = load_users(server, reason);
    }
    if (err == ERR_NONE) {
        server->timekeeper =
            timekeeper_new(net_reactor(server->net, 0), server->keepers, server->catalogue,
                           server->config.retention_check_interval_ms);
        server->trimmer =
            trimmer_new(net_reactor(server->net, 0), server->keepers, &server->budget);
        alarm_init(&server->groups_alarm, server->clock, net_reactor(server->net, 0),
                   server->workers);
        alarm_init(&server->txns_alarm, server->clock, net_reactor(server->net, 0),
                   server->workers);
        err = start_groups(server, reason);
    }
    if (err == ERR_NONE) {
        err = start_transactions(server, reason);
    }
    if (err == ERR_NONE) {
        err = start_cleaner(server, reason);
    }
    if (err == ERR_NONE) {
        tell_full_shares(server);
        fill_api(server);
        timekeeper_start(server->timekeeper, server->txns);
        trimmer_start(server->trimmer);
        server_listen_watch(&server->listen, net_reactor(server->net, 0), server->keepers);
        alarm_start(&server->groups_alarm, tick_groups, server->groups);
        alarm_start(&server->txns_alarm, tick_txns, server->txns);
        err = start_control(server, reason);
    }
    if (err == ERR_NONE) {
        server_log_open(server->log, server->catalogue);
        err = net_start(server->net, reason);
    }
    return err;
}

/* A start that fails leaves no directory that it made. */
static enum err start_on_data(struct server *server, struct reason *reason)
{
    const char *data_dir = server->config.data_dir;
    int made;
    raise_descriptor_limit();
    enum err err =
        data_dir_open(server->files, data_dir, &server->dir_fd, &server->lock_fd, &made, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = start_all(server, reason);
    if (err != ERR_NONE) {
        data_dir_undo(server->files, data_dir, made);
    }
    return err;
}

static void free_config(struct server *server)
{
    server_listen_deinit(&server->listen);
    principal_rules_free(server->principal_rules);
    authorizer_free(server->rules);
    server_users_deinit(&server->users);
    server_config_deinit(&server->config, server->settings);
    server_settings_free(server->settings);
}

enum err server_start(const struct overrides *settings, const struct file_ops *files,
                      struct server **out, struct reason *reason)
{
    struct server *server = mem_new(struct server);
    server->files = files;
    enum err err = read_config(server, settings, reason);
    if (err != ERR_NONE) {
        free_config(server);
        free(server);
        return err;
    }
    movable_clock_init(&server->movable, clock_system());
    server->clock = server->config.test_clock_enable ? &server->movable.clock : clock_system();
    err = start_on_data(server, reason);
    if (err != ERR_NONE) {
        return err; /* the process ends with this message: nothing was accepted or changed */
    }
    server->started_ms = clock_mono_ms(clock_system());
    LOG_INFO("broker", "server started", "version=%s pid=%d listen=%s data=\"%s\"", TIDINGS_VERSION,
             (int)getpid(), server->listen.addresses, server->config.data_dir);
    *out = server;
    return ERR_NONE;
}

const char *server_addresses(const struct server *server)
{
    return server->listen.addresses;
}

const char *server_own_address(const struct server *server)
{
    return server->listen.own_address;
}

void server_set_authorizer(struct server *server, const struct api_authorizer *authorizer)
{
    atomic_store(&server->api.authorizer, authorizer);
}

struct feed *server_open_feed(struct server *server, feed_begin *begin, void *context,
                              struct reason *reason)
{
    return server_feeds_open(server->feeds, server->catalogue, begin, context, reason);
}

struct log_access *server_ref_log(struct server *server)
{
    return server_log_ref(server->log);
}

struct server_bus_settings server_bus_settings(const struct server *server)
{
    const struct server_config *config = &server->config;
    return (struct server_bus_settings){
        .is_enabled = config->bus_enable,
        .http_listener = config->http_listener,
        .http_allowed_hosts = config->http_allowed_hosts,
        .http_hides_payloads = strcmp(config->http_payloads, "hidden") == 0,
        .http_may_move = overrides_get(&config->given, "http.listeners") == NULL,
        .index_exclude = config->bus_index_exclude,
        .history_retention_ms = config->bus_history_retention_ms,
    };
}

void server_set_http_url(struct server *server, const char *url)
{
    if (server->http_url == NULL) {
        server->http_url = mem_strdup(url);
        atomic_store(&server->api.http_url, server->http_url);
    }
}

struct own_peers *server_own_peers(struct server *server)
{
    return server->own_peers;
}

struct observer *server_observer(struct server *server)
{
    return &server->observer.observer;
}

const char *server_data_dir(const struct server *server)
{
    return server->config.data_dir;
}

static void drain(struct server *server)
{
    const struct clock *clock = clock_system();
    int64_t until_ms = clock_mono_ms(clock) + server->config.shutdown_timeout_ms;
    net_drain(server->net);
    txn_coordinator_stop(server->txns);
    group_coordinator_stop(server->groups);
    fetch_service_drain(server->fetches);
    while (!net_drained(server->net) && clock_mono_ms(clock) < until_ms) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

static void server_free(struct server *server)
{
    net_free(server->net); /* runs what was posted after its stop */
    own_peers_unref(server->own_peers);
    fetch_service_free(server->fetches);
    timekeeper_free(server->timekeeper);
    clock_mover_free(server->mover);
    chaos_free(server->chaos);
    trimmer_free(server->trimmer);
    free(server->api.reactors);
    client_table_free(server->api.clients);
    segment_fds_free(server->segment_fds); /* nothing unsent holds a segment any more */
    space_free(server->space);
    free(server->api.advertised);
    free(server->http_url);
    server_feeds_unref(server->feeds);
    log_access_unref(server->log);
    free_config(server);
    close(server->dir_fd);
    close(server->lock_fd);
    free(server);
}

enum err server_stop(struct server *server, struct reason *reason)
{
    int64_t began_ms = clock_mono_ms(clock_system());
    int64_t ran_ms = began_ms - server->started_ms;
    LOG_INFO("broker", "server is stopping", "pid=%d requests=%llu ran_s=%lld", (int)getpid(),
             (unsigned long long)atomic_load(&server->api.requests), (long long)(ran_ms / 1000));
    drain(server);
    control_free(server->control);
    server_feeds_close(server->feeds);
    server_log_close(server->log);
    net_stop(server->net);
    cleaner_free(server->cleaner);
    catalogue_end_changes(server->catalogue); /* nobody is left to be answered */
    workers_free(server->workers);
    workers_free(server->keepers);
    flusher_free(server->flusher);
    txn_coordinator_free(server->txns);
    state_topic_close(&server->transactions);
    group_coordinator_free(server->groups);
    topic_matches_free(server->api.matches);
    state_topic_close(&server->offsets);
    enum err err = catalogue_close(server->catalogue, reason);
    server_free(server);
    logger_tell_left_out();
    LOG_INFO("broker", "server stopped", "clean=%s took_ms=%lld", err == ERR_NONE ? "yes" : "no",
             (long long)(clock_mono_ms(clock_system()) - began_ms));
    return err;
}

const struct settings_table *server_topic_settings(void)
{
    return topic_settings();
}

void server_print_settings(void)
{
    struct settings_table *table = server_settings_new();
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        printf("%s=%s\n    %s\n", row->name, row->default_value, row->help);
        if (row->only != NULL) {
            printf("    Only this value is taken: %s.\n", row->only);
        }
    }
    server_settings_free(table);
}
