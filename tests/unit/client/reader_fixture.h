#ifndef TIDINGS_TESTS_CLIENT_READER_FIXTURE_H
#define TIDINGS_TESTS_CLIENT_READER_FIXTURE_H

#include "bus_server.h"

#include "client/reader/reader.h"

/* A reader against a bus of the test's own, and what it told. What fails here fails the test. */

struct seen {
    struct reader *reader;
    int assigned, revoked, ended, gaps;
    bool was_lost;
    struct reader_gap gap;
    char notice[512];
    char metadata[40]; /* of what was given last */
    int stored;        /* commits of which the bus said that it has them */
    int64_t stored_epoch;
};

/* Note it; their context is a struct seen. */
extern const struct reader_callbacks seen_callbacks;

/* Opens a member of a cooperative group that is quick to see what changes; property: one of
 * librdkafka's, or NULL. */
void seen_join_as(const struct reader_settings *as, struct bus_server *bus, struct seen *seen,
                  const char *property);
void seen_join(struct bus_server *bus, struct seen *seen, const char *group,
               const char *const *topics, size_t topic_count, enum position_kind from);

/* The next event; fails the test when the reader does. */
struct received *seen_take(struct seen *seen);

/* Takes events with values first, first + 1, ... of one partition and marks each as done. */
void seen_expect(struct seen *seen, int first, int count, const char *metadata);

/* Serves the reader until it has so many partitions. */
void seen_wait_assigned(struct seen *seen, int count);

/* The group has committed so much, with this text beside it; NULL: none. */
void seen_expect_committed(struct bus_server *bus, const char *group, const char *topic,
                           int32_t partition, int64_t offset, const char *metadata);

#endif
