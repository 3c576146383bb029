#ifndef TIDINGS_TESTS_CRASH_WORLD_H
#define TIDINGS_TESTS_CRASH_WORLD_H

#include "crash.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PARTITIONS = 3, MOST_PRODUCERS = 4, WINDOW = 5, MOST_THREADS = 8 };

/* The topic and the group of the load. */
#define LOAD_TOPIC "orders"
#define LOAD_GROUP "billing"

/* A batch that a producer sent, and where the server said it put it. */
struct sent_batch {
    int64_t first; /* number of its first event */
    int32_t count;
    int64_t acked_offset; /* -1: not acknowledged (yet) */
};

/* All that one producer sent to one partition, in order. Guarded by world.ledger_lock. */
struct stream {
    struct sent_batch *batches;
    size_t count;
    size_t capacity;
    size_t acked;     /* batches acknowledged: always the first ones */
    int64_t next;     /* number of the next new event */
    int64_t acked_to; /* events below it are acknowledged */
};

/* Reads a partition from its start and checks every event on the way. */
struct reader {
    int64_t next_offset;
    int64_t high_watermark;
    int64_t expected[MOST_PRODUCERS]; /* the number of the next event of each producer */
    size_t cursor[MOST_PRODUCERS];    /* its batch */
};

struct world {
    struct server_child server;
    struct random random;
    bool loses_tail;      /* between kills, bytes that were not synced are torn */
    int64_t torn_bytes;   /* so far */
    int64_t names_undone; /* so far */
    bool stops_cleanly;
    int producers;

    pthread_mutex_t ledger_lock;
    struct stream streams[PARTITIONS][MOST_PRODUCERS];
    int64_t acked_end[PARTITIONS]; /* offsets below it were acknowledged */
    int64_t commits_sent[PARTITIONS];
    int64_t commits_acked[PARTITIONS];
    struct reader readers[PARTITIONS]; /* the consumer's; the main thread's while it is parked */

    /* How threads wait for the next start. */
    pthread_mutex_t gate_lock;
    pthread_cond_t gate_moved;
    uint64_t generation; /* counts starts that threads may use */
    uint16_t port;
    bool open;
    bool stopping;
    int thread_count;
    int parked;
    pthread_t threads[MOST_THREADS];
};

/* Waits for a start newer than *seen, and gives its port. */
void gate_pass(struct world *world, uint64_t *seen, uint16_t *port);
void gate_open(struct world *world);
/* After a kill or a stop: until every thread has noticed and waits. */
void gate_close(struct world *world);
/* Lets threads finish what they began and joins them. The server is up. */
void gate_finish(struct world *world);
bool world_stopping(struct world *world);

/* Starts producers, a consumer and a committer. The topic exists. */
void load_start(struct world *world);

/* Fetches once from all partitions and checks what came; false when the connection broke. */
bool readers_fetch(struct world *world, struct client *client, struct reader *readers,
                   int32_t max_wait_ms);
/* Reads to the end and checks that nothing acknowledged is missing. */
void readers_catch_up(struct world *world, struct client *client, struct reader *readers);
/* Everything that was sent, and no more. After gate_finish. */
void readers_check_complete(struct world *world, const struct reader *readers);

#endif
