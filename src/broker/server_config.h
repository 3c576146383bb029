#ifndef TIDINGS_BROKER_SERVER_CONFIG_H
#define TIDINGS_BROKER_SERVER_CONFIG_H

#include "base/err.h"
#include "base/settings.h"

#include <stdbool.h>
#include <stdint.h>

/* The settings of the server, under Kafka's names where Kafka has one. Read once, at start. */
struct server_config {
    char *listeners;
    char *advertised_listeners;
    char *data_dir;
    int64_t node_id;
    int64_t network_threads; /* 0: one a processor */
    int64_t background_threads;
    int64_t default_partitions;
    bool auto_create_topics;
    int64_t request_max_bytes;
    int64_t request_memory_bytes;
    int64_t fetch_max_bytes;
    int64_t max_connections;
    int64_t max_connections_per_ip;
    int64_t connections_max_idle_ms;
    int64_t stall_timeout_ms;
    int64_t retention_check_interval_ms;
    bool cleaner_enable;
    int64_t cleaner_backoff_ms;
    int64_t cleaner_map_bytes;
    int64_t cleaner_io_bytes;
    double cleaner_load_factor;
    double cleaner_io_bytes_per_second;
    int64_t group_initial_rebalance_delay_ms;
    int64_t group_min_session_timeout_ms;
    int64_t group_max_session_timeout_ms;
    int64_t group_max_size;
    char *group_protocols;
    char *consumer_assignors;
    char *consumer_migration_policy;
    int64_t consumer_max_size;
    int64_t consumer_heartbeat_interval_ms;
    int64_t consumer_min_heartbeat_interval_ms;
    int64_t consumer_max_heartbeat_interval_ms;
    int64_t consumer_session_timeout_ms;
    int64_t consumer_min_session_timeout_ms;
    int64_t consumer_max_session_timeout_ms;
    int64_t offsets_partitions;
    int64_t offset_metadata_max_bytes;
    int64_t offsets_retention_minutes;
    int64_t offsets_retention_check_interval_ms;
    int64_t producer_expiration_ms;
    int64_t txn_max_timeout_ms;
    int64_t txn_id_expiration_ms;
    int64_t txn_partitions;
    int64_t txn_segment_bytes;
    int64_t shutdown_timeout_ms;
    char *log_level;

    struct overrides given;          /* as set, in order */
    struct overrides topic_defaults; /* what was given of topic settings, under topic names */
};

/*
 * All rows: the server's own and, for each topic setting with a server name, that one. Built on the
 * first call in the caller's memory: free with server_settings_free.
 */
struct settings_table *server_settings_new(void);
void server_settings_free(struct settings_table *table);

/* Checks every override and fills *config. ERR_CONFIG. server_config_deinit also after an error. */
CHECKED enum err server_config_build(struct server_config *config,
                                     const struct settings_table *table,
                                     const struct overrides *given, struct reason *reason);
void server_config_deinit(struct server_config *config, const struct settings_table *table);

/* One address of `listeners` or `advertised.listeners`: "[NAME://]HOST:PORT"; host may be "". */
struct server_address {
    char *host;
    uint16_t port;
};

/* Splits a comma-separated list into a fresh array. ERR_CONFIG names the entry. */
CHECKED enum err server_addresses_parse(const char *setting, const char *text,
                                        struct server_address **out, size_t *count,
                                        struct reason *reason);
void server_addresses_free(struct server_address *addresses, size_t count);

/* What no single setting can tell: that they fit each other, and that clients can use the
 * advertised addresses. ERR_CONFIG. */
CHECKED enum err server_config_check(const struct server_config *config,
                                     const struct server_address *advertised, size_t count,
                                     struct reason *reason);

#endif
