#ifndef TIDINGS_GROUP_GROUP_CONFIG_H
#define TIDINGS_GROUP_GROUP_CONFIG_H

#include "base/arena.h"
#include "base/budget.h"
#include "base/settings.h"
#include "base/slice.h"
#include "group/consumer_assign.h"

/* What a regular expression matches, and how new that is. */
enum group_match { GROUP_MATCH_UNKNOWN, GROUP_MATCH_SAME, GROUP_MATCH_NEW };
struct group_matched {
    struct slice *names; /* of GROUP_MATCH_NEW */
    size_t count;
    uint64_t version; /* of the catalogue */
    bool current;     /* nothing newer is to be expected */
};

/* What a consumer group (group/consumer.h) needs to know of topics. Called under the group's lock,
 * any thread. */
struct group_topics {
    void *context;
    /* A number that changes with any topic's existence or partitions. Cheap; never 0. */
    uint64_t (*version)(void *context);
    /* False when there is no topic of this name. */
    bool (*find)(void *context, struct slice name, struct wire_uuid *id, int32_t *partition_count);
    /* The topic's name in the arena; null when there is none of this id. */
    struct slice (*find_name)(void *context, struct wire_uuid id, struct arena *arena);
    /* The names of the topics that came after this version (0: all), but the server's own, in the
     * arena. */
    size_t (*list)(void *context, uint64_t version, struct arena *arena, struct slice **names);
    /*
     * What is known of the topics that the expression matches, but for known_version, which the
     * caller has (GROUP_MATCH_SAME). Does not match itself: what is not known yet comes later
     * (topic_matches.h). NULL: nothing ever is.
     */
    enum group_match (*match)(void *context, struct slice regex, uint64_t known_version,
                              struct arena *arena, struct group_matched *out);
    void *match_context;
};

/* What a group of the new protocol may have of its own; group/consumer_config.h. */
struct consumer_config {
    int64_t session_timeout_ms;    /* consumer.session.timeout.ms */
    int64_t heartbeat_interval_ms; /* consumer.heartbeat.interval.ms */
};

/* The limits and waits, with Kafka's names. */
struct group_config {
    int32_t initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms; 0: none */
    int32_t min_session_timeout_ms;     /* group.min.session.timeout.ms */
    int32_t max_session_timeout_ms;     /* group.max.session.timeout.ms */
    int32_t max_size;                   /* group.max.size */
    int32_t max_groups;                 /* group.max.count */
    int32_t max_offsets;                /* group.max.offsets: of one group */
    int64_t max_bytes;                  /* group.max.bytes: of one group's members */
    int64_t max_member_bytes;           /* group.member.max.bytes */
    struct budget *budget;              /* BUDGET_GROUPS is asked; NULL: nobody is */
    int32_t offset_metadata_max_bytes;  /* offset.metadata.max.bytes */
    int64_t offsets_retention_ms;       /* offsets.retention.minutes */
    int64_t offsets_retention_check_interval_ms;
    int32_t consumer_session_timeout_ms;        /* group.consumer.session.timeout.ms */
    int32_t consumer_heartbeat_interval_ms;     /* group.consumer.heartbeat.interval.ms */
    int32_t consumer_min_session_timeout_ms;    /* group.consumer.min.session.timeout.ms */
    int32_t consumer_max_session_timeout_ms;    /* group.consumer.max.session.timeout.ms */
    int32_t consumer_min_heartbeat_interval_ms; /* group.consumer.min.heartbeat.interval.ms */
    int32_t consumer_max_heartbeat_interval_ms; /* group.consumer.max.heartbeat.interval.ms */
    int32_t consumer_max_size;                  /* group.consumer.max.size */
    bool consumer_enabled;                      /* group.coordinator.rebalance.protocols */
    bool consumer_upgrade;                      /* group.consumer.migration.policy */
    bool consumer_downgrade;
    /* group.consumer.assignors: those offered; the first one serves members with no wish */
    enum consumer_assignor consumer_assignors[ASSIGNOR_COUNT];
    size_t consumer_assignor_count;
    struct group_topics topics; /* zeroed: there are no topics */
    /* A copy of the group's own settings; NULL: no group has any. Any thread, within a group's or
     * the coordinator's table lock. */
    void (*find_own)(void *context, struct slice group_id, struct overrides *out);
    void *find_own_context;
    /* Makes the random part of member ids; NULL: base/random.h. */
    void (*make_uuid)(void *context, uint8_t uuid[16]);
    void *uuid_context;
};

/* Kafka's defaults, but for the initial delay: 0, so that the first consumer starts at once; and
 * for what is without a limit there. */
void group_config_init(struct group_config *config);

#endif
