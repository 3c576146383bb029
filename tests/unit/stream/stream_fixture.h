#ifndef TIDINGS_TESTS_UNIT_STREAM_FIXTURE_H
#define TIDINGS_TESTS_UNIT_STREAM_FIXTURE_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/net.h"
#include "net/workers.h"
#include "stream/fetch.h"
#include "stream/produce.h"
#include "topic/catalogue.h"

#include <pthread.h>
#include <stdatomic.h>

struct feed;

/* A broker without connections: one reactor, a flusher on a disk that the test can stop or break.
 */
struct fixture {
    char dir[64];
    int dir_fd;
    struct net *net;
    struct workers *workers;
    struct flusher *flusher;
    struct budget budget;
    struct fetch_service *fetches;
    struct catalogue *catalogue;
    struct feed *_Atomic feed; /* NULL, or is told of what advances, and freed at the end */
    struct topic *topic;       /* "orders", four partitions */
    struct overrides no_defaults;
    struct file_ops disk;
    pthread_mutex_t sync_lock; /* held by the test: syncs wait */
    atomic_bool syncs_fail;
    struct reason reason;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens what is in the directory: part of the setup, and for tests that close it between. */
void fixture_open_catalogue(struct fixture *fixture);
/* Closes it and opens it again, with its topic "orders". */
void fixture_reopen(struct fixture *fixture);
/* Damages a byte of the first segment of "orders" 0. */
void fixture_flip_at(const struct fixture *fixture, int64_t position);

struct reactor *fixture_reactor(struct fixture *fixture);
/* Runs on the reactor's thread and waits for its end. */
void on_reactor(struct fixture *fixture, void (*run)(void *context), void *context);

/* One batch of an idempotent producer (producer_id -1: none) with a value of so many bytes. */
struct buf make_batch(int64_t producer_id, int32_t sequence, size_t value_bytes);
/* Appends it; the flusher does the rest. */
void append_event(struct fixture *fixture, int32_t partition, size_t value_bytes);
/* The same, and waits until readers may see it. */
void publish_event(struct fixture *fixture, int32_t partition, size_t value_bytes);

/* Waits until the condition holds; fails the test after 30 seconds. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        unsigned tries_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            wait_a_bit(tries_++, #condition);                                                      \
        }                                                                                          \
    } while (0)
void wait_a_bit(unsigned tries, const char *what);

#endif
