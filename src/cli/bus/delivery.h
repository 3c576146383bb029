#ifndef TIDINGS_CLI_DELIVERY_H
#define TIDINGS_CLI_DELIVERY_H

#include "base/vec.h"
#include "client/connection/connection.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What became of the events that were published: counts, offsets, failures, and progress. */

enum { DELIVERY_FAILURES_KEPT = 20 };

struct delivery_failure {
    uint64_t event;   /* the how-many-th event, from 1 */
    int code;         /* of Kafka or librdkafka; 0: neither */
    const char *hint; /* static; NULL: none */
    char *why;
};

struct delivery_partition {
    uint64_t count;
    int64_t first_offset;
    int64_t last_offset;
};

struct delivery {
    const char *topic;
    uint64_t sent; /* handed to the publisher or refused by it */
    uint64_t acknowledged;
    uint64_t failed;
    uint64_t bytes;                            /* of acknowledged keys and values */
    VEC(struct delivery_partition) partitions; /* by number */
    struct delivery_failure failures[DELIVERY_FAILURES_KEPT];
    bool is_hopeless; /* the last failure will strike every further event too */
    int64_t start_ms;
    int64_t end_ms;
};

/* Begins counting what is published to the topic (borrowed) at now_ms (monotonic); _deinit frees
 * what was noted. */
void delivery_init(struct delivery *delivery, const char *topic, int64_t now_ms);
void delivery_deinit(struct delivery *delivery);

/* An acknowledgement: event number and where it went. */
void delivery_acknowledge(struct delivery *delivery, int32_t partition, int64_t offset,
                          size_t bytes);

/* A failure of one event. */
void delivery_fail(struct delivery *delivery, uint64_t event, const struct client_error *error);

/* The summary as JSON. */
json_t *delivery_to_json(const struct delivery *delivery);

/* The summary for people: the result on `out`, each failure on `errors`. */
void delivery_print(const struct delivery *delivery, FILE *out, FILE *errors);

/* One line of progress, without line end. total_bytes 0: unknown. */
void delivery_progress(const struct delivery *delivery, uint64_t read_bytes, uint64_t total_bytes,
                       int64_t now_ms, char *text, size_t size);

/* The exit code: what the first failure means, EXIT_OK when none. */
int delivery_exit_code(const struct delivery *delivery);

#endif
