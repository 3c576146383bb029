#ifndef TIDINGS_CLIENT_LANE_KAFKA_LANE_KAFKA_H
#define TIDINGS_CLIENT_LANE_KAFKA_LANE_KAFKA_H

#include "client/runner/lane_runner.h"

/*
 * The bus of a runner of key lanes (lane_bus.h) on a real one, any Kafka cluster: a reader of the
 * group, publishers for lanes.<group> and dlq.<group>, and a thread that reads lanes.<group>.
 *
 * Threads: the poll thread calls; the log thread (lane_kafka_log.c) makes the group's topics, reads
 * the places of the partitions that are held, and events set aside; acknowledgements come on the
 * publishers' threads. One lock guards what the poll thread asks of the log thread; nothing is
 * called under it.
 */
struct lane_kafka_settings {
    struct connection_settings connection;
    const char *group;
    const char *instance;      /* static membership; NULL: none */
    const char *const *topics; /* the sources, at least one; copied */
    size_t topic_count;
    struct position from;   /* as reader_settings */
    int session_timeout_ms; /* 0: the reader's default */
};

struct lane_kafka;

/*
 * Opens it for the runner (lane_runner_set_bus is called) with the classify of its settings; the
 * bus need not be up. CLIENT_INVALID names the setting that is wrong. Texts are borrowed as long as
 * it lives. Close with lane_kafka_close.
 */
CHECKED enum client_status lane_kafka_open(const struct lane_kafka_settings *settings,
                                           const struct lane_runner_settings *runner_settings,
                                           struct lane_runner *runner, struct lane_kafka **kafka,
                                           struct client_error *error);

/*
 * These are the sources from now on (at least one), instead of those of before: the group is
 * balanced anew. Copied. Any thread, while the bus is open.
 */
void lane_kafka_set_topics(struct lane_kafka *kafka, const char *const *topics, size_t count);

/* Leaves the group and frees, after lane_runner_run and before lane_runner_free. What is not
 * answered yet is answered as not done. NULL is fine. */
void lane_kafka_close(struct lane_kafka *kafka);

#endif
