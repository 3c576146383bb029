#ifndef TIDINGS_BROKER_SERVER_CONFIG_H
#define TIDINGS_BROKER_SERVER_CONFIG_H

#include "api/api.h"
#include "base/err.h"
#include "base/settings.h"
#include "broker/listeners.h"
#include "group/group.h"
#include "net/net.h"
#include "net/tls.h"
#include "topic/cleaner.h"
#include "txn/txn.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The settings of the server, under Kafka's names where Kafka has one. Read once, at start. What a
 * room needs to know is in the room's own struct, which the table of settings fills in place.
 */
struct server_config {
    char *listeners;
    char *advertised_listeners;
    char *listener_protocols;
    struct tls_config tls;
    char *tls_client_auth;
    char *principal_rules;
    char *authorizer; /* "": none */
    char *super_users;
    char *sasl_mechanisms; /* with commas */
    int64_t sasl_max_receive_bytes;
    int64_t max_reauth_ms;
    int64_t failed_login_delay_ms;
    bool allow_without_rules;
    char *data_dir;
    char *log_level;
    int64_t background_threads;
    int64_t memory_max_bytes; /* 0: by the machine */
    int64_t retention_check_interval_ms;
    int64_t shutdown_timeout_ms;
    int64_t producer_expiration_ms;
    struct net_config net;
    struct api_config api;

    struct group_config group; /* but for what it is given at start: see group_settings.h */
    char *group_protocols;
    char *consumer_assignors;
    char *consumer_migration_policy;
    int64_t offsets_retention_minutes;
    int32_t offsets_partitions;

    struct txn_config txn;
    int32_t txn_partitions;
    int64_t txn_segment_bytes;

    struct cleaner_config cleaner;
    bool cleaner_enable;

    bool test_clock_enable;
    bool chaos_enable;

    bool bus_enable;
    char *bus_index_exclude;
    int64_t bus_history_retention_ms;
    char *http_listener;
    char *http_allowed_hosts;
    char *http_payloads; /* "shown", "hidden" */

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

/* What no single setting can tell: that they fit each other, and that clients can use the
 * advertised addresses. ERR_CONFIG. */
CHECKED enum err server_config_check(const struct server_config *config,
                                     const struct server_addresses *advertised,
                                     struct reason *reason);

#endif
