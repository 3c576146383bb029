#ifndef TIDINGS_CLIENT_ADMIN_ADMIN_H
#define TIDINGS_CLIENT_ADMIN_ADMIN_H

#include "client/connection/connection.h"
#include "client/connection/partitions.h"

/*
 * Asking and administering: each function sends one request (or a look-up of metadata) and returns
 * with its answer, within the connection's time-out and a second. All take any connection, also
 * that of a publisher or a reader. What is given out is zeroed first and is owned by the caller,
 * who frees it with the deinit of its type, also after a failure. client_error's text says what
 * went wrong and not what was asked: callers say that. Any thread.
 */

/* --- what became of each thing that a request named --- */

struct admin_outcome {
    char *name;
    struct client_error error; /* status CLIENT_OK: done */
};

struct admin_outcomes {
    VEC_FIELDS(struct admin_outcome);
};

/* Frees what an answer holds and leaves an empty one. */
void admin_outcomes_deinit(struct admin_outcomes *outcomes);

/* --- topics (admin_topic.c) --- */

struct admin_partition {
    int32_t id;
    int32_t leader;    /* -1: none */
    int32_t preferred; /* to be leader: the first of its replicas; -1: it has none */
    int replica_count, in_sync_count;
};

struct admin_topic {
    char *name;
    bool is_internal; /* the bus's own: its name begins with __ */
    VEC(struct admin_partition) partitions;
};

struct admin_topics {
    VEC_FIELDS(struct admin_topic);
};

/* Frees what an answer holds and leaves an empty one. */
void admin_topics_deinit(struct admin_topics *topics);

/* All topics, by name. */
CHECKED enum client_status admin_topics(struct connection *connection, struct admin_topics *topics,
                                        struct client_error *error);

/*
 * One topic, as the only item of *topics. CLIENT_NOT_FOUND when there is none; a bus that creates
 * topics on use is given 1.5 s to do so with may_be_created.
 */
CHECKED enum client_status admin_topic(struct connection *connection, const char *topic,
                                       bool may_be_created, struct admin_topics *topics,
                                       struct client_error *error);

struct admin_setting {
    const char *name;
    const char *value;
};

struct admin_new_topic {
    const char *name;
    int32_t partition_count; /* -1: as the bus decides */
    const struct admin_setting *settings;
    size_t setting_count;
};

/* Creates topics; an outcome for each, CLIENT_CONFLICT for one that exists. */
CHECKED enum client_status admin_create_topics(struct connection *connection,
                                               const struct admin_new_topic *topics, size_t count,
                                               struct admin_outcomes *outcomes,
                                               struct client_error *error);

/* Deletes topics with all their events; an outcome for each. */
CHECKED enum client_status admin_delete_topics(struct connection *connection,
                                               const char *const *names, size_t count,
                                               struct admin_outcomes *outcomes,
                                               struct client_error *error);

/* Adds partitions until there are `count`. */
CHECKED enum client_status admin_add_partitions(struct connection *connection, const char *topic,
                                                int32_t count, struct client_error *error);

struct admin_topic_setting {
    char *name;
    char *value; /* NULL: null, or hidden by the bus */
    bool is_own; /* made for this very topic */
};

struct admin_topic_settings {
    VEC_FIELDS(struct admin_topic_setting);
};

/* Frees what an answer holds and leaves an empty one. */
void admin_topic_settings_deinit(struct admin_topic_settings *settings);

/* The settings of a topic, in the bus's order. */
CHECKED enum client_status admin_topic_settings(struct connection *connection, const char *topic,
                                                struct admin_topic_settings *settings,
                                                struct client_error *error);

/* Replaces all settings of the topic's own by these (AlterConfigs: name those to keep too). */
CHECKED enum client_status admin_replace_topic_settings(struct connection *connection,
                                                        const char *topic,
                                                        const struct admin_setting *settings,
                                                        size_t count, struct client_error *error);

/* --- brokers (admin_broker.c) --- */

struct admin_brokers {
    int count;
    int32_t asked; /* id of the one that said so */
};

/* How many brokers there are. Nothing to free. */
CHECKED enum client_status admin_brokers(struct connection *connection,
                                         struct admin_brokers *brokers, struct client_error *error);

struct admin_broker {
    int32_t id;
    char *address; /* "host:port" */
};

struct admin_cluster {
    char *id; /* NULL: it has none */
    VEC(struct admin_broker) brokers;
};

/* Which brokers there are, in order of their ids. */
CHECKED enum client_status admin_cluster(struct connection *connection,
                                         struct admin_cluster *cluster, struct client_error *error);

/* Frees what an answer holds and leaves an empty one. */
void admin_cluster_deinit(struct admin_cluster *cluster);

/* What one of the brokers says of a setting of its own; *value is NULL when it has none of this
 * name, or hides it. */
CHECKED enum client_status admin_broker_setting(struct connection *connection, const char *name,
                                                char **value, struct client_error *error);

/* --- offsets (admin_offset.c) --- */

/* The ends of one partition: the oldest event kept and the place after the newest. */
struct admin_bounds {
    int64_t start;
    int64_t end; /* never below start */
};

/* Fills bounds[i] for partitions->items[i]; that list is not changed. */
CHECKED enum client_status admin_bounds(struct connection *connection,
                                        const struct topic_partitions *partitions,
                                        struct admin_bounds *bounds, struct client_error *error);

/* Sets each offset to that of the first event at or after time_ms, -1 where there is none. */
CHECKED enum client_status admin_offsets_at(struct connection *connection,
                                            struct topic_partitions *partitions, int64_t time_ms,
                                            struct client_error *error);

/* --- consumer groups (admin_group.c) --- */

struct admin_group_listing {
    char *name;
    const char *state; /* "Stable", "Empty", ...: static */
};

struct admin_group_listings {
    VEC_FIELDS(struct admin_group_listing);
};

/* Frees what an answer holds and leaves an empty one. */
void admin_group_listings_deinit(struct admin_group_listings *groups);

/* All groups, by name. */
CHECKED enum client_status admin_groups(struct connection *connection,
                                        struct admin_group_listings *groups,
                                        struct client_error *error);

struct admin_member {
    char *id;
    char *client_id;
    char *instance_id; /* by its id (see admin_instance_of); NULL: none, or not known */
    char *host;
    struct topic_partitions partitions; /* it reads; no offsets */
};

struct admin_group {
    const char *state; /* static */
    bool is_dead;      /* Kafka's answer for a group that does not exist */
    char *assignor;
    VEC(struct admin_member) members;
};

/* Frees what an answer holds and leaves an empty one. */
void admin_group_deinit(struct admin_group *group);

/*
 * Who is in the group and what each member reads, of groups of consumers. A group that the bus does
 * not know is_dead; an error leaves an empty *group. Whatever members say of themselves, it does
 * not end the process.
 */
CHECKED enum client_status admin_group(struct connection *connection, const char *name,
                                       struct admin_group *group, struct client_error *error);

/*
 * The group.instance.id that a member id tells: brokers make it of that, or of the client id of a
 * member without one, and a UUID. NULL when there is none, or both are the same, so that nobody
 * can tell. The caller frees it. Pure.
 */
char *admin_instance_of(const char *member_id, const char *client_id);

/* The offsets that a group committed, with their metadata, by topic and partition; partitions
 * without one are left out. Only those of `partitions` when it is not NULL. */
CHECKED enum client_status admin_group_offsets(struct connection *connection, const char *group,
                                               const struct topic_partitions *partitions,
                                               struct topic_partitions *offsets,
                                               struct client_error *error);

/* One of several groups: who is in it and what it committed. */
struct admin_group_answer {
    struct client_error error; /* CLIENT_OK, or why the rest is empty */
    struct admin_group group;
    struct topic_partitions offsets;
};

/*
 * The same as admin_group and admin_group_offsets (without `partitions`) for groups of different
 * names, with an error for each. Some hundred requests are on their way at once. For more than one
 * group all that there are are described: ask once for many. The caller frees each answer's group
 * and offsets.
 */
void admin_describe_groups(struct connection *connection, const char *const *names, size_t count,
                           struct admin_group_answer *answers);

/* Commits these offsets for a group without members; the error names the first partition that
 * failed. CLIENT_CONFLICT when it has members. */
CHECKED enum client_status admin_set_group_offsets(struct connection *connection, const char *group,
                                                   const struct topic_partitions *offsets,
                                                   struct client_error *error);

/* Forgets groups and their offsets; an outcome for each. */
CHECKED enum client_status admin_delete_groups(struct connection *connection,
                                               const char *const *names, size_t count,
                                               struct admin_outcomes *outcomes,
                                               struct client_error *error);

#endif
