#ifndef TIDINGS_SDK_TEST_BUS_H
#define TIDINGS_SDK_TEST_BUS_H

#include "service.h"

#include "tidings_test.h"

/* The default one falls through switch labels, which clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

/*
 * The inside of tidings_test.h. test_bus.c plays the bus for a service's lanes (client/lane_bus.h);
 * test.c is the face, and gives services their turns.
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
};

struct test_topic {
    char *name;
    VEC(struct test_event *) events;
    int refusals; /* publishes to be refused */
    UT_hash_handle hh;
};

/* A record of lanes.<group>, by its source. */
struct test_record {
    const struct test_topic *source;
    struct buf key, value;
    bool has_value;
};

/* What a group knows of a topic. */
struct test_progress {
    struct test_topic *topic;
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
    int64_t last_epoch;
};

/* The topic, made if need be. Lock held. */
struct test_topic *test_topic_get(struct tidings_test *bus, const char *name);

/* Puts a copy of the event on its topic. False: refused. Any thread, lock not held. */
bool test_put(struct tidings_test *bus, const struct event *event, int64_t *offset);

/* The calls of the lanes of the group's member. */
struct lane_bus test_calls(struct test_group *group);

/* Frees what a group knows. */
void test_group_free(struct test_group *group);

#endif
