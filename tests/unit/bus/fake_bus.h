#ifndef TIDINGS_TESTS_FAKE_BUS_H
#define TIDINGS_TESTS_FAKE_BUS_H

#include "../unit.h"
#include "bus/watch/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* A bus of a test's own, as a watch sees it: two logs whose events are made as they are read. */
enum { FAKE_SOURCES = 2, FAKE_AT_ONCE = 7 };

/* Room for an event's bytes. */
struct fake_slot {
    struct event_header headers[2];
    char id[32];
    uint8_t key[128];
    uint8_t value[128];
};

struct fake_bus {
    /* What stands at the offset; NULL: a CloudEvent with id "id-SOURCE-OFFSET", and of a source
     * that was made again "id-SOURCE-OFFSET-LIFE". */
    void (*fill)(struct event *event, int source, int64_t offset, struct fake_slot *slot);

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t wake;
    struct feed_source sources[FAKE_SOURCES];
    int64_t ends[FAKE_SOURCES];
    int64_t starts[FAKE_SOURCES];
    int lives[FAKE_SOURCES];     /* so often it was made again; other events stand in each */
    int64_t holes[FAKE_SOURCES]; /* no event stands at this offset; 0: at each one does */
    bool is_gone[FAKE_SOURCES];
    bool is_missing[FAKE_SOURCES]; /* a feed that is opened now does not meet it */
    bool is_woken;
    bool fails;       /* feeds give an error */
    bool hangs;       /* a feed_next does not come back, whoever wakes it */
    int64_t lag_ms;   /* of feeds */
    atomic_int feeds; /* that were opened */
};

void fake_bus_init(struct fake_bus *bus);
void fake_bus_deinit(struct fake_bus *bus);

/* As watch_settings want it; the context is the bus. */
struct feed *fake_bus_open_feed(void *bus, feed_begin *begin, void *begin_context,
                                struct reason *reason);

/* So many events more. Any thread. */
void fake_bus_publish(struct fake_bus *bus, int source, int count);

/* Of the CloudEvent there. */
struct event_mark fake_bus_mark(int source, int64_t offset, int life);

/* The source is another one of its name from now on, of so many events; no feed sees that. */
void fake_bus_make_again(struct fake_bus *bus, int source, int count);

/* Changes one of the flags. Any thread. */
void fake_bus_set(struct fake_bus *bus, bool *flag, bool value);

/* --- waiting for what comes by itself --- */

static inline void fake_bus_rest(unsigned tries, const char *what)
{
    if (tries > 30000) {
        fail_msg("never: %s", what);
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        unsigned tries_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            fake_bus_rest(tries_++, #condition);                                                   \
        }                                                                                          \
    } while (0)

#endif
