#include "client/lane_kafka/lane_kafka_inside.h"

#include <stdio.h>
#include <stdlib.h>

/* The topics of a group with key lanes. */

/* What the sources have at most: partitions, and bytes of an event. */
static enum client_status look_at_sources(struct lane_log *log, int32_t *partitions,
                                          int64_t *event_bytes, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    struct lane_names sources = lane_log_sources(log);
    *partitions = 0;
    *event_bytes = 0;
    for (size_t i = 0; status == CLIENT_OK && i < sources.count; i++) {
        const char *name = sources.items[i];
        struct admin_topics found;
        struct admin_topic_settings settings = {0};
        status = admin_topic(log->connection, name, false, &found, error);
        if (status == CLIENT_OK) {
            int32_t count = (int32_t)found.items[0].partitions.count;
            *partitions = count > *partitions ? count : *partitions;
            status = admin_topic_settings(log->connection, name, &settings, error);
        }
        for (size_t j = 0; status == CLIENT_OK && j < settings.count; j++) {
            const struct admin_topic_setting *at = &settings.items[j];
            if (strcmp(at->name, "max.message.bytes") == 0 && at->value != NULL) {
                int64_t bytes = atoll(at->value);
                *event_bytes = bytes > *event_bytes ? bytes : *event_bytes;
            }
        }
        admin_topic_settings_deinit(&settings);
        admin_topics_deinit(&found);
        status = status == CLIENT_NOT_FOUND ? CLIENT_OK : status; /* it may be made later */
    }
    lane_names_free(&sources);
    if (status == CLIENT_OK && *partitions == 0) {
        status = client_fail(error, CLIENT_NOT_FOUND, NULL, "none of the topics exists");
    }
    return status;
}

/* Somebody else may have made it. */
static enum client_status make(struct lane_log *log, const struct admin_new_topic *topic,
                               struct client_error *error)
{
    struct admin_outcomes outcomes;
    enum client_status status = admin_create_topics(log->connection, topic, 1, &outcomes, error);
    if (status == CLIENT_OK && outcomes.items[0].error.status != CLIENT_OK &&
        outcomes.items[0].error.status != CLIENT_CONFLICT) {
        status = outcomes.items[0].error.status;
        *error = outcomes.items[0].error;
    }
    admin_outcomes_deinit(&outcomes);
    return status;
}

static enum client_status make_both(struct lane_log *log, struct client_error *error)
{
    enum { ROOM_BYTES = 65536 }; /* for what stands around an event */
    int32_t partitions;
    int64_t event_bytes;
    char most[24];
    enum client_status status = look_at_sources(log, &partitions, &event_bytes, error);
    if (status != CLIENT_OK) {
        return status;
    }
    snprintf(most, sizeof most, "%lld", (long long)event_bytes + ROOM_BYTES);
    const struct admin_setting lanes[] = {{"cleanup.policy", "compact"},
                                          {"max.message.bytes", most}};
    /* the last one is Kafka's since KIP-1191: who does not know it refuses it */
    const struct admin_setting dlq[] = {{"retention.ms", "-1"},
                                        {"max.message.bytes", most},
                                        {"errors.deadletterqueue.group.enable", "true"}};
    size_t set = event_bytes > 0 ? 2 : 1;
    struct admin_new_topic topic = {log->lanes_topic, partitions, lanes, set};
    status = make(log, &topic, error);
    if (status == CLIENT_OK) {
        topic = (struct admin_new_topic){log->dlq_topic, partitions, dlq, 3};
        status = make(log, &topic, error);
        if (status == CLIENT_INVALID || status == CLIENT_REFUSED) {
            topic.setting_count = 2;
            status = make(log, &topic, error);
        }
    }
    return status;
}

enum client_status lane_topics_make(struct lane_log *log, struct client_error *error)
{
    struct admin_topics lanes, dlq;
    enum client_status status =
        admin_topic(log->connection, log->lanes_topic, false, &lanes, error);
    enum client_status has_dlq = admin_topic(log->connection, log->dlq_topic, false, &dlq, error);
    admin_topics_deinit(&dlq);
    if (status == CLIENT_NOT_FOUND || has_dlq == CLIENT_NOT_FOUND) {
        admin_topics_deinit(&lanes);
        status = make_both(log, error);
        if (status != CLIENT_OK) {
            return status;
        }
        status = admin_topic(log->connection, log->lanes_topic, true, &lanes, error);
    }
    if (status == CLIENT_OK) {
        atomic_store(&log->place_count, (int)lanes.items[0].partitions.count);
    }
    admin_topics_deinit(&lanes);
    return status;
}
