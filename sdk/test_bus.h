#ifndef TIDINGS_SDK_TEST_BUS_H
#define TIDINGS_SDK_TEST_BUS_H

#include "service.h"

#include "tidings_test.h"

/* The default one falls through switch labels, which clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

/*
 * The inside of tidings_test.h. test_bus.c plays the bus for a service's lanes
 * (client/runner/lane_bus.h); test.c is the face, and gives services their turns.
 *
 * One thread settles and reads; the workers of services publish. `lock` guards the topics and what
 * is counted; the groups and members are the settling thread's.
 */

/* An event on a topic. Never freed before the bus. */
struct test_event {
    struct arena arena;
    struct received received;
    struct lane_hand hand;
    struct tidings_event shown;
    int64_t redrives; /* how often somebody asked for it to be tried again */
};

/* Offsets are indexes. */
struct test_partition {
    struct test_topic *topic;
    int32_t number;
    VEC(struct test_event *) events;
};

struct test_topic {
    char *name;
    VEC(struct test_event *) events; /* of all partitions, as they came */
    VEC(struct test_partition *) partitions;
    size_t next;  /* the partition of the next event without key */
    int refusals; /* publishes to be refused */
    UT_hash_handle hh;
};

/* A record of lanes.<group>, by its source. */
struct test_record {
    const struct test_partition *source;
    struct buf key, value;
    bool has_value;
};

/* What a group knows of a partition. */
struct test_progress {
    struct test_partition *source;
    int64_t committed;
    char *metadata;

    /* of the member that has it */
    int64_t epoch; /* 0: nobody */
    int64_t read;
    bool is_paused, is_watched;
    int64_t marked; /* -1: nothing to commit */
    char *marked_metadata;
};

struct test_group {
    struct test_group *next;
    struct tidings_test *bus;
    char *name;
    struct tidings *member; /* NULL: nobody */
    bool has_failed;        /* the member cannot go on */
    VEC(struct test_progress) progress;
    VEC(struct test_record) lanes;
    bool has_begun; /* it had a member before */
    int64_t words;  /* of people, so far */
};

/* The last batch of an outbox that was published; its group's committed offset. */
struct test_outbox {
    struct test_outbox *next;
    char *group;
    int64_t number;
};

struct tidings_test {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct test_topic *topics;
    uint64_t moves; /* goes up with whatever happens */
    bool is_woken;
    bool waits; /* for handlers: take waits until something happens */
    _Atomic int64_t now_ms;
    struct clock clock;
    struct test_group *groups;
    struct test_outbox *outboxes;
    int64_t last_epoch;
};

/* The topic, made if need be, with one partition. Lock held. */
struct test_topic *test_topic_get(struct tidings_test *bus, const char *name);

/* Gives it partitions until it has so many. Lock held. */
void test_topic_grow(struct test_topic *topic, size_t partition_count);

/* Puts a copy of the event on its topic, and tells where; NULL: refused. Any thread, lock not held.
 */
const struct event *test_put(struct tidings_test *bus, const struct event *event);

/* Whether the next publish to the topic is refused, which is over with that. The same. */
bool test_refuses(struct tidings_test *bus, const char *topic);

/* The topic's event there; NULL: there is none. Lock held. */
struct test_event *test_event_at(struct tidings_test *bus, const char *topic, int32_t partition,
                                 int64_t offset);

/* A word of somebody's to the owner of a partition, into lanes.<group>. Lock not held. */
void test_say(struct test_group *group, const char *topic, int32_t partition,
              const struct lane_word *word);

/* The calls of the lanes of the group's member. */
struct lane_bus test_calls(struct test_group *group);

/* Frees what a group knows. */
void test_group_free(struct test_group *group);

#endif
