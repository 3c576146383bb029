#ifndef TIDINGS_TESTS_UNIT_GROUP_COORDINATOR_BENCH_H
#define TIDINGS_TESTS_UNIT_GROUP_COORDINATOR_BENCH_H

#include "../unit.h"

#include "group/coordinator.h"

#include <pthread.h>
#include <stdatomic.h>

/* The coordinator over a disk and a clock that the test moves. */

enum { MAX_RECORDS = 200000, MAX_WAITERS = 100000 };

struct stored {
    int32_t partition;
    int64_t producer_id; /* -1: of no transaction */
    struct buf key, value;
    bool tombstone;
};

struct bench {
    struct group_config config;
    struct budget budget;
    struct group_coordinator *coordinator;
    struct clock clocks[2]; /* the second of a restart */
    atomic_bool running;
    _Atomic int64_t now_ms;
    _Atomic int64_t woken_ms; /* the least since last reset */
    pthread_mutex_t lock;     /* guards what is below */
    struct stored *log;
    size_t log_size;
    struct state_append **waiting;
    size_t waiting_count;
    enum err append_err;
    enum err flush_err;
    bool slow_disk;
    struct group_reply *replies[MAX_WAITERS];
    enum lending { NOTHING_LENT, LENT, RELEASED } lent[MAX_WAITERS]; /* for a request */
    uint64_t next;
};

/* Lets one append that waits reach the disk; false when none does. */
bool flush_one(struct bench *bench);

void flush_all(struct bench *bench);

struct group_coordinator *new_coordinator(struct bench *bench, struct clock *clock);

struct bench *bench_new(void);

struct bench *serving(void);

void bench_free(struct bench *bench);

struct completion waiter(struct bench *bench, uint64_t *n);

/* For the request of this waiter: it must be called once, and before there is a reply. */
struct group_release lend(struct bench *bench, uint64_t n);

const struct group_reply *reply_to(struct bench *bench, uint64_t n);

uint64_t join_with(struct bench *bench, const char *group, const char *member_id,
                   int32_t session_ms, bool id_required);

uint64_t join(struct bench *bench, const char *group, const char *member_id);

uint64_t sync_group(struct bench *bench, const char *group, const char *member_id,
                    int32_t generation);

uint64_t commit(struct bench *bench, const char *group, const char *member_id, int32_t generation,
                const char *topic, int64_t offset);

enum err beat(struct bench *bench, const char *group, const char *member_id, int32_t generation);

int64_t fetch(struct bench *bench, const char *group, const char *topic);

enum group_state state_of(struct bench *bench, const char *group, bool *found);

void make_stable(struct bench *bench, const char *group, char id[320]);

#endif
