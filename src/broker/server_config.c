#include "broker/server_config.h"

#include "api/api.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "broker/group_settings.h"
#include "topic/topic_config.h"

#include <stdlib.h>
#include <string.h>

#define FIELD(member) SETTING_FIELD(struct server_config, member)

/* Added to the clock without overflow: a hundred years. */
#define LONGEST_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)

static const struct setting own_rows[] = {
    {"advertised.listeners", SETTING_STRING, FIELD(advertised_listeners), "",
     .help = "HOST:PORT that clients are told to connect to, one for each listener; empty: the "
             "address each client reached the server at."},
    {"allow.everyone.if.no.acl.found", SETTING_BOOLEAN, FIELD(allow_without_rules), "false",
     .help = "With an authorizer: whether everybody may do what no ACL is about."},
    {"authorizer.class.name", SETTING_STRING, FIELD(authorizer), "",
     .choices = "|org.apache.kafka.metadata.authorizer.StandardAuthorizer|"
                "kafka.security.authorizer.AclAuthorizer",
     .help = "Either of Kafka's authorizers: ACLs decide what clients may do; empty: whoever can "
             "connect may do everything."},
    {"auto.create.topics.enable", SETTING_BOOLEAN, FIELD(api.auto_create_topics), "true",
     .help = "Create a topic when a producer first asks for it."},
    {"background.threads", SETTING_INT, FIELD(background_threads), "3", 1, 64,
     .help = "Threads for catalogue changes, look-ups and opening compressed batches; long work "
             "leaves one of them free."},
    {"bus.history.retention.ms", SETTING_LONG, FIELD(bus_history_retention_ms), "2592000000", 1,
     LONGEST_MS,
     .help = "How long it is known by when each group was done with what; of what is older, only "
             "the newest commit is."},
    {"bus.index.exclude", SETTING_STRING, FIELD(bus_index_exclude), "",
     .help = "A regular expression; events of topics whose whole name it matches are not indexed: "
             "tidings why finds them by topic, partition and offset alone."},
    {"bus.layer.enable", SETTING_BOOLEAN, FIELD(bus_enable), "true",
     .help = "Run what stands beside the bus: index of events, stories, flow map, HTTP."},
    {"chaos.enable", SETTING_BOOLEAN, FIELD(chaos_enable), "false",
     .help = "For tests: make faults on request (tidings chaos)."},
    {"connection.failed.authentication.delay.ms", SETTING_INT, FIELD(failed_login_delay_ms), "100",
     0, 60000,
     .help = "How long the answer to a login that failed is held back; no thread waits for it."},
    {"connections.max.idle.ms", SETTING_LONG, FIELD(net.idle_timeout_ms), "600000", 0, LONGEST_MS,
     .help = "Close connections that ask for nothing this long; 0: never."},
    {"connections.max.reauth.ms", SETTING_LONG, FIELD(max_reauth_ms), "0", 0, LONGEST_MS,
     .help = "How long a login by SASL holds: who has not logged in again by then is closed at its "
             "next request; 0: as long as the connection."},
    {"connections.stall.timeout.ms", SETTING_LONG, FIELD(net.stall_timeout_ms), "30000", 100,
     LONGEST_MS, .help = "Close connections whose request or answer does not move this long."},
    {"fetch.max.bytes", SETTING_INT, FIELD(api.fetch_max_bytes), "57671680", 1024, INT32_MAX,
     .help = "Most bytes in one fetch answer."},
    {"group.consumer.assignors", SETTING_LIST, FIELD(consumer_assignors), "uniform,range",
     .choices = "uniform|range",
     .help = "Assignors that members of the consumer protocol may ask for; the first is used when "
             "they do not."},
    {"group.consumer.heartbeat.interval.ms", SETTING_INT,
     FIELD(group.consumer_heartbeat_interval_ms), "5000", 1, INT32_MAX,
     .help = "How often members of the consumer protocol heartbeat."},
    {"group.consumer.max.heartbeat.interval.ms", SETTING_INT,
     FIELD(group.consumer_max_heartbeat_interval_ms), "15000", 1, INT32_MAX,
     .help = "Bound of group.consumer.heartbeat.interval.ms."},
    {"group.consumer.max.session.timeout.ms", SETTING_INT,
     FIELD(group.consumer_max_session_timeout_ms), "60000", 1, INT32_MAX,
     .help = "Bound of group.consumer.session.timeout.ms."},
    {"group.consumer.max.size", SETTING_INT, FIELD(group.consumer_max_size), "10000", 1, INT32_MAX,
     .help = "Most members in one group of the consumer protocol."},
    {"group.consumer.migration.policy", SETTING_STRING, FIELD(consumer_migration_policy),
     "bidirectional", .choices = "disabled|downgrade|upgrade|bidirectional",
     .help = "Whether a classic group with members becomes a consumer group when such a member "
             "joins (upgrade), and a classic one when the last leaves (downgrade)."},
    {"group.consumer.min.heartbeat.interval.ms", SETTING_INT,
     FIELD(group.consumer_min_heartbeat_interval_ms), "5000", 1, INT32_MAX,
     .help = "Bound of group.consumer.heartbeat.interval.ms."},
    {"group.consumer.min.session.timeout.ms", SETTING_INT,
     FIELD(group.consumer_min_session_timeout_ms), "45000", 1, INT32_MAX,
     .help = "Bound of group.consumer.session.timeout.ms."},
    {"group.consumer.session.timeout.ms", SETTING_INT, FIELD(group.consumer_session_timeout_ms),
     "45000", 1, INT32_MAX,
     .help = "A member of the consumer protocol that does not heartbeat this long is out."},
    {"group.coordinator.rebalance.protocols", SETTING_LIST, FIELD(group_protocols),
     "classic,consumer", .choices = "classic|consumer",
     .help = "Group protocols that are served; classic must be among them."},
    {"group.initial.rebalance.delay.ms", SETTING_INT, FIELD(group.initial_rebalance_delay_ms), "0",
     0, INT32_MAX, .help = "How long a new group waits for more members before it starts."},
    {"group.max.bytes", SETTING_LONG, FIELD(group.max_bytes), "134217728", 1024, INT64_MAX,
     .help = "Most bytes of what the members of one group say of themselves and are assigned."},
    {"group.max.count", SETTING_INT, FIELD(group.max_groups), "1000000", 1, INT32_MAX,
     .help = "Most groups; what there is room for depends on memory.max as well."},
    {"group.max.offsets", SETTING_INT, FIELD(group.max_offsets), "100000", 1, INT32_MAX,
     .help = "Most partitions of which one group may have offsets."},
    {"group.max.session.timeout.ms", SETTING_INT, FIELD(group.max_session_timeout_ms), "1800000", 1,
     INT32_MAX, .help = "Longest session time-out a member may ask for."},
    {"group.max.size", SETTING_INT, FIELD(group.max_size), "10000", 1, INT32_MAX,
     .help = "Most members in one group."},
    {"group.member.max.bytes", SETTING_LONG, FIELD(group.max_member_bytes), "1048576", 256,
     INT64_MAX,
     .help =
         "Most bytes of what one member of a group says of itself, and of what it is assigned."},
    {"group.min.session.timeout.ms", SETTING_INT, FIELD(group.min_session_timeout_ms), "6000", 1,
     INT32_MAX, .help = "Shortest session time-out a member may ask for."},
    {"http.advertised.url", SETTING_STRING, SETTING_NO_FIELD, "",
     .help = "URL at which http.listeners can be reached, for who asks here; empty: where it "
             "listens."},
    {"http.allowed.hosts", SETTING_STRING, FIELD(http_allowed_hosts), "",
     .help = "Names by which http.listeners may be called, with commas; empty: at a loopback "
             "address localhost and such addresses, else any."},
    {"http.listeners", SETTING_STRING, FIELD(http_listener), "127.0.0.1:8080",
     .help =
         "HOST:PORT of the layer beside the bus: HTTP, metrics, health; empty: none. The default "
         "gives way to another free port when it is taken."},
    {"http.payloads", SETTING_STRING, FIELD(http_payloads), "shown", .choices = "shown|hidden",
     .help = "Whether http.listeners tells payloads of events: values, and headers that are no "
             "attributes of CloudEvents."},
    {"inter.broker.protocol.version", SETTING_STRING, SETTING_NO_FIELD, API_METADATA_VERSION,
     .only = "no other broker is spoken to",
     .help = "The release of Apache Kafka whose features are served, for tools that ask here."},
    {"listeners", SETTING_STRING, FIELD(listeners), "127.0.0.1:9092",
     .help =
         "[NAME://]HOST:PORT to listen on, several with commas; an empty host means every "
         "address. The name says what is spoken: PLAINTEXT (as without it), SSL, SASL_PLAINTEXT or "
         "SASL_SSL."},
    {"listener.security.protocol.map", SETTING_STRING, FIELD(listener_protocols),
     "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
     .help = "NAME:PROTOCOL with commas: what is spoken at listeners of other names than that of "
             "their protocol."},
    {"log.cleaner.backoff.ms", SETTING_LONG, FIELD(cleaner.backoff_ms), "15000", 0, LONGEST_MS,
     .help = "How often it is looked whether a log wants to be compacted."},
    {"log.cleaner.dedupe.buffer.size", SETTING_LONG, FIELD(cleaner.map_bytes), "134217728", 1048576,
     INT64_MAX, .help = "Most memory for the keys of the log that is being compacted."},
    {"log.cleaner.enable", SETTING_BOOLEAN, FIELD(cleaner_enable), "true",
     .help = "Compact the topics with cleanup.policy=compact, also the server's own."},
    {"log.cleaner.io.buffer.load.factor", SETTING_DOUBLE, FIELD(cleaner.load_factor), "0.9", 0, 1,
     .help = "How full the memory for keys may get: above 0, at most 1."},
    {"log.cleaner.io.buffer.size", SETTING_INT, FIELD(cleaner.io_bytes), "524288", 1024, INT32_MAX,
     .help = "Memory for reading and writing while compacting."},
    {"log.cleaner.io.max.bytes.per.second", SETTING_DOUBLE, FIELD(cleaner.io_bytes_per_second),
     "67108864", .help = "Most bytes that compaction reads and writes in a second."},
    {"log.cleaner.threads", SETTING_INT, SETTING_NO_FIELD, "1",
     .only = "one thread compacts, so that it stays out of the way",
     .help = "Threads that compact."},
    {"log.dirs", SETTING_STRING, FIELD(data_dir), "tidings-data",
     .help = "The data directory (one)."},
    {"log.level", SETTING_STRING, FIELD(log_level), "info", .choices = "debug|info|warn|error",
     .help = "Which log lines are written to standard error."},
    {"log.retention.check.interval.ms", SETTING_LONG, FIELD(retention_check_interval_ms), "60000",
     100, LONGEST_MS, .help = "How often retention is applied and a checkpoint written."},
    {"max.connections", SETTING_INT, FIELD(net.max_connections), "100000", 1, INT32_MAX,
     .help = "Most connections at a time."},
    {"max.connections.per.ip", SETTING_INT, FIELD(net.max_connections_per_ip), "2147483647", 1,
     INT32_MAX, .help = "Most connections from one address."},
    {"memory.max", SETTING_LONG, FIELD(memory_max_bytes), "0", 0, INT64_MAX,
     .help =
         "Bytes of memory for clients, in shares that tidings status shows; of it one request may "
         "have an eighth, decode into a 128th (16 MiB at most) and be answered with a 32nd (128 "
         "MiB at most), and all threads may open compressed batches into an eighth (64 MiB a "
         "batch at most). 0: half of the machine's memory, or of its control group's limit."},
    {"node.id", SETTING_INT, FIELD(api.node_id), "1", 0, INT32_MAX,
     .help = "The id of this server in answers to clients."},
    {"num.network.threads", SETTING_INT, FIELD(net.reactor_count), "0", 0, 64,
     .help = "Reactor threads; 0: one for each processor."},
    {"num.partitions", SETTING_INT, FIELD(api.default_partitions), "1", 1, 100000,
     .help = "Partitions of a topic that is created without a count."},
    {"offset.metadata.max.bytes", SETTING_INT, FIELD(group.offset_metadata_max_bytes), "4096", 0,
     INT32_MAX, .help = "Longest note that a consumer may store with an offset."},
    {"offsets.retention.check.interval.ms", SETTING_LONG,
     FIELD(group.offsets_retention_check_interval_ms), "600000", 1, LONGEST_MS,
     .help = "How often offsets of empty groups are looked through."},
    {"offsets.retention.minutes", SETTING_INT, FIELD(offsets_retention_minutes), "10080", 1,
     INT32_MAX, .help = "How long the offsets of a group without members are kept."},
    {"offsets.topic.num.partitions", SETTING_INT, FIELD(offsets_partitions), "8", 1, 1000,
     .help = "Partitions of __consumer_offsets; taken at the first start of a data directory."},
    {"producer.id.expiration.ms", SETTING_LONG, FIELD(producer_expiration_ms), "86400000", 1,
     LONGEST_MS, .help = "How long an idempotent producer that went quiet is remembered."},
    {"queued.max.request.bytes", SETTING_LONG, FIELD(net.request_memory_bytes), "268435456",
     1048576, INT64_MAX,
     .help = "Memory for requests over 64 KiB that are being received, within their share of "
             "memory.max."},
    {"sasl.enabled.mechanisms", SETTING_LIST, FIELD(sasl_mechanisms), "SCRAM-SHA-256,SCRAM-SHA-512",
     .choices = "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",
     .help = "How clients of a SASL listener may log in. PLAIN sends the password as it is: only "
             "with TLS."},
    {"sasl.server.max.receive.size", SETTING_INT, FIELD(sasl_max_receive_bytes), "524288", 1024,
     INT32_MAX, .help = "Largest request taken before a login."},
    {"shutdown.timeout.ms", SETTING_LONG, FIELD(shutdown_timeout_ms), "10000", 0, LONGEST_MS,
     .help = "How long a stop waits for answers that are under way."},
    {"socket.request.max.bytes", SETTING_INT, FIELD(net.max_frame_bytes), "104857600", 1024,
     INT32_MAX, .help = "Largest request taken; an eighth of memory.max where that is less."},
    {"ssl.cipher.suites", SETTING_STRING, FIELD(tls.ciphers), "",
     .help = "Ciphers that are served, by the names of IANA or OpenSSL, with commas; empty: those "
             "that OpenSSL takes for safe."},
    {"ssl.client.auth", SETTING_STRING, FIELD(tls_client_auth), "none",
     .choices = "none|requested|required",
     .help = "Whether clients have to show a certificate that ssl.truststore.location trusts; its "
             "subject is who they are."},
    {"ssl.enabled.protocols", SETTING_STRING, FIELD(tls.protocols), "TLSv1.2,TLSv1.3",
     .help = "Versions of TLS that are served: TLSv1.2, TLSv1.3."},
    {"ssl.key.password", SETTING_PASSWORD, FIELD(tls.key_password), "",
     .help = "Of the private key in ssl.keystore.location; empty: the key is not encrypted."},
    {"ssl.keystore.location", SETTING_STRING, FIELD(tls.keystore), "",
     .help =
         "PEM file with the private key and the certificate of the server, behind it those that "
         "lead to its authority; several files with commas. Read anew when they change."},
    {"ssl.keystore.type", SETTING_STRING, SETTING_NO_FIELD, "PEM",
     .only = "other keystores become PEM by `openssl pkcs12 -in FILE -nodes -out FILE.pem`",
     .help = "What ssl.keystore.location is."},
    {"ssl.principal.mapping.rules", SETTING_STRING, FIELD(principal_rules), "DEFAULT",
     .help = "Who a client with a certificate is: RULE:PATTERN/REPLACEMENT/[LU] on its subject, "
             "with commas, or DEFAULT, the whole subject."},
    {"ssl.truststore.location", SETTING_STRING, FIELD(tls.truststore), "",
     .help = "PEM files with the authorities of clients' certificates, with commas."},
    {"ssl.truststore.type", SETTING_STRING, SETTING_NO_FIELD, "PEM",
     .only = "other truststores become PEM by `openssl pkcs12 -in FILE -nokeys -out FILE.pem`",
     .help = "What ssl.truststore.location is."},
    {"super.users", SETTING_STRING, FIELD(super_users), "",
     .help = "With an authorizer: principals that may do everything, User:NAME with semicolons."},
    {"test.clock.enable", SETTING_BOOLEAN, FIELD(test_clock_enable), "false",
     .help = "For tests: the server's clock can be moved forward (tidings clock)."},
    {"transaction.max.timeout.ms", SETTING_INT, FIELD(txn.max_timeout_ms), "900000", 1, INT32_MAX,
     .help = "Longest time-out of a transaction that a producer may ask for."},
    {"transaction.partition.verification.enable", SETTING_BOOLEAN, SETTING_NO_FIELD, "true",
     .only = "a write outside of its transaction would hold back readers",
     .help = "Whether a partition must be in the transaction that is written to it."},
    {"transaction.state.log.num.partitions", SETTING_INT, FIELD(txn_partitions), "8", 1, 1000,
     .help = "Partitions of __transaction_state; taken at the first start of a data directory."},
    {"transaction.state.log.segment.bytes", SETTING_INT, FIELD(txn_segment_bytes), "104857600", 14,
     INT32_MAX, .help = "Segment size of __transaction_state; taken at the first start too."},
    {"transactional.id.expiration.ms", SETTING_INT, FIELD(txn.expiration_ms), "604800000", 1,
     INT32_MAX, .help = "How long a transactional id without a transaction is remembered."},
};

enum { OWN_COUNT = sizeof own_rows / sizeof own_rows[0] };

static int compare_rows(const void *a, const void *b)
{
    const struct setting *left = a;
    const struct setting *right = b;
    return strcmp(left->name, right->name);
}

struct settings_table *server_settings_new(void)
{
    const struct settings_table *topic = topic_settings();
    struct setting *rows = mem_new_array(struct setting, OWN_COUNT + topic->count);
    size_t count = OWN_COUNT;
    memcpy(rows, own_rows, sizeof own_rows);
    for (size_t i = 0; i < topic->count; i++) {
        if (topic->rows[i].broker_name != NULL) {
            rows[count] = topic->rows[i];
            rows[count].name = topic->rows[i].broker_name;
            rows[count].broker_name = topic->rows[i].name; /* here: the topic's name for it */
            rows[count].size = 0;                          /* SETTING_NO_FIELD */
            count++;
        }
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    struct settings_table *table = mem_new(struct settings_table);
    *table = (struct settings_table){.what = "server", .rows = rows, .count = count};
    return table;
}

void server_settings_free(struct settings_table *table)
{
    free((void *)(uintptr_t)table->rows);
    free(table);
}

/* What follows from settings that no room takes as they are. */
static void combine(struct server_config *config)
{
    group_settings_fill(&config->group, config->group_protocols, config->consumer_migration_policy,
                        config->consumer_assignors);
    config->group.offsets_retention_ms = config->offsets_retention_minutes * 60000;
    config->api.consumer_protocol = config->group.consumer_enabled;
    if (config->net.reactor_count == 0) {
        config->net.reactor_count = net_processor_count();
    }
}

static enum tls_client_auth client_auth(const char *word)
{
    if (strcmp(word, "required") == 0) {
        return TLS_CLIENT_REQUIRED;
    }
    return strcmp(word, "requested") == 0 ? TLS_CLIENT_REQUESTED : TLS_CLIENT_NONE;
}

enum err server_config_build(struct server_config *config, const struct settings_table *table,
                             const struct overrides *given, struct reason *reason)
{
    *config = (struct server_config){.listeners = NULL};
    net_config_init(&config->net);
    settings_init(table, config);
    overrides_copy(&config->given, given);
    for (size_t i = 0; i < given->count; i++) {
        struct slice name = slice_str(given->items[i].name);
        struct slice value = slice_str(given->items[i].value);
        struct reason why;
        enum err err = settings_set(table, config, name, value, &why);
        if (err != ERR_NONE) {
            const char *origin = given->items[i].origin;
            return reason_fail(reason, err, "%s%s%s", origin != NULL ? origin : "",
                               origin != NULL ? ": " : "", why.text);
        }
        const struct setting *row = settings_find(table, name);
        if (row->broker_name != NULL) {
            overrides_set(&config->topic_defaults, slice_str(row->broker_name), value);
        }
    }
    combine(config);
    config->tls.client_auth = client_auth(config->tls_client_auth);
    return ERR_NONE;
}

void server_config_deinit(struct server_config *config, const struct settings_table *table)
{
    settings_deinit(table, config);
    overrides_deinit(&config->given);
    overrides_deinit(&config->topic_defaults);
}

/* A value within the two settings that bound it. */
static enum err check_bounds(const char *name, int64_t value, const char *bounds, int64_t least,
                             int64_t most, struct reason *reason)
{
    if (value < least || value > most) {
        return reason_fail(reason, ERR_CONFIG,
                           "group.consumer.%s=%lld is not within group.consumer.min.%s=%lld and "
                           "group.consumer.max.%s=%lld",
                           name, (long long)value, bounds, (long long)least, bounds,
                           (long long)most);
    }
    return ERR_NONE;
}

static enum err check_consumer(const struct server_config *config, struct reason *reason)
{
    enum err err = check_bounds("session.timeout.ms", config->group.consumer_session_timeout_ms,
                                "session.timeout.ms", config->group.consumer_min_session_timeout_ms,
                                config->group.consumer_max_session_timeout_ms, reason);
    if (err == ERR_NONE) {
        err =
            check_bounds("heartbeat.interval.ms", config->group.consumer_heartbeat_interval_ms,
                         "heartbeat.interval.ms", config->group.consumer_min_heartbeat_interval_ms,
                         config->group.consumer_max_heartbeat_interval_ms, reason);
    }
    if (err == ERR_NONE &&
        config->group.consumer_heartbeat_interval_ms >= config->group.consumer_session_timeout_ms) {
        err = reason_fail(reason, ERR_CONFIG,
                          "group.consumer.heartbeat.interval.ms=%lld must be below "
                          "group.consumer.session.timeout.ms=%lld",
                          (long long)config->group.consumer_heartbeat_interval_ms,
                          (long long)config->group.consumer_session_timeout_ms);
    }
    if (err == ERR_NONE && config->consumer_assignors[0] == '\0') {
        err = reason_fail(reason, ERR_CONFIG, "group.consumer.assignors must name one");
    }
    if (err == ERR_NONE && strstr(config->group_protocols, "classic") == NULL) {
        err = reason_fail(reason, ERR_CONFIG,
                          "group.coordinator.rebalance.protocols must name 'classic'");
    }
    return err;
}

/* What the layer beside the bus is told. */
static enum err check_bus(const struct server_config *config, struct reason *reason)
{
    struct server_addresses http = {0};
    struct pattern *pattern = NULL;
    struct reason why = {""};
    enum err err = server_addresses_parse("http.listeners", config->http_listener, &http, reason);
    if (err == ERR_NONE && http.count > 1) {
        err = reason_fail(reason, ERR_CONFIG, "http.listeners: %zu addresses, one is served",
                          http.count);
    }
    server_addresses_deinit(&http);
    if (err == ERR_NONE && config->bus_index_exclude[0] != '\0' &&
        pattern_new(slice_str(config->bus_index_exclude), &pattern, &why) != ERR_NONE) {
        err = reason_fail(reason, ERR_CONFIG, "bus.index.exclude: %s", why.text);
    }
    pattern_free(pattern);
    return err;
}

/* As Kafka: else an idle connection would be closed before its answer leaves. */
static enum err check_logins(const struct server_config *config, struct reason *reason)
{
    if (config->net.idle_timeout_ms > 0 &&
        config->failed_login_delay_ms >= config->net.idle_timeout_ms) {
        return reason_fail(reason, ERR_CONFIG,
                           "connection.failed.authentication.delay.ms=%lld must be below "
                           "connections.max.idle.ms=%lld",
                           (long long)config->failed_login_delay_ms,
                           (long long)config->net.idle_timeout_ms);
    }
    return config->sasl_mechanisms[0] != '\0'
               ? ERR_NONE
               : reason_fail(reason, ERR_CONFIG, "sasl.enabled.mechanisms must name one");
}

enum err server_config_check(const struct server_config *config,
                             const struct server_addresses *advertised, struct reason *reason)
{
    enum { HOST_MAX = 127 };
    if (config->data_dir[0] == '\0' || strchr(config->data_dir, ',') != NULL) {
        return reason_fail(reason, ERR_CONFIG, "log.dirs: '%s' is not one directory",
                           config->data_dir);
    }
    if (config->group.min_session_timeout_ms > config->group.max_session_timeout_ms) {
        return reason_fail(reason, ERR_CONFIG,
                           "group.min.session.timeout.ms=%lld is above "
                           "group.max.session.timeout.ms=%lld",
                           (long long)config->group.min_session_timeout_ms,
                           (long long)config->group.max_session_timeout_ms);
    }
    if (config->cleaner.load_factor <= 0) {
        return reason_fail(reason, ERR_CONFIG,
                           "log.cleaner.io.buffer.load.factor: must be above 0, at most 1");
    }
    if (config->cleaner.io_bytes_per_second < 1) {
        return reason_fail(reason, ERR_CONFIG,
                           "log.cleaner.io.max.bytes.per.second: must be 1 or more");
    }
    enum err err = check_consumer(config, reason);
    if (err == ERR_NONE) {
        err = check_bus(config, reason);
    }
    if (err == ERR_NONE) {
        err = check_logins(config, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    for (size_t i = 0; i < advertised->count; i++) {
        const struct server_address *address = &advertised->items[i];
        size_t size = strlen(address->host);
        if (size == 0 || size > HOST_MAX || address->port == 0) {
            return reason_fail(reason, ERR_CONFIG,
                               "advertised.listeners: '%s:%u' is nothing that a client can connect "
                               "to: a host of at most %d characters and a port are needed",
                               address->host, address->port, HOST_MAX);
        }
    }
    return ERR_NONE;
}
