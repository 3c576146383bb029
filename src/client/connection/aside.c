#include "client/connection/kafka.h"

#include "base/cond.h"
#include "base/mem.h"

#include <stdlib.h>

/*
 * Calls of librdkafka that wait for the bus, and that nothing ends but their time-out. Where a
 * deadline may begin meanwhile they are made beside, by a thread of their own each, and left there
 * when it does not have the time: the call then returns to nobody, and whoever frees its handle
 * waits for it, beside as well.
 */

struct kafka_aside {
    struct kafka_aside *next; /* of those that were left */
    pthread_t thread;
    pthread_mutex_t lock; /* guards is_over */
    pthread_cond_t over;
    bool is_over;
    rd_kafka_t *rk;
    const struct kafka_call *kind;
    void *call;
};

static void *make_call(void *argument)
{
    struct kafka_aside *aside = argument;
    aside->kind->make(aside->rk, aside->call);
    pthread_mutex_lock(&aside->lock);
    aside->is_over = true;
    pthread_cond_signal(&aside->over);
    pthread_mutex_unlock(&aside->lock);
    return NULL;
}

/* Waits until it has returned. */
static void aside_free(struct kafka_aside *aside)
{
    pthread_join(aside->thread, NULL);
    pthread_cond_destroy(&aside->over);
    pthread_mutex_destroy(&aside->lock);
    free(aside);
}

/* Whether it returned in time. A deadline may begin in a signal handler, so it is looked at. */
static bool await_call(struct kafka_aside *aside, const struct deadline *deadline)
{
    enum { LOOK_MS = 20 };
    bool had_begun = deadline_has_begun(deadline);
    pthread_mutex_lock(&aside->lock);
    while (!aside->is_over && !deadline_is_pressing(deadline, had_begun)) {
        struct timespec until = cond_after_ms(LOOK_MS);
        (void)pthread_cond_timedwait(&aside->over, &aside->lock, &until);
    }
    bool is_over = aside->is_over;
    pthread_mutex_unlock(&aside->lock);
    return is_over;
}

static void leave(struct connection *connection, struct kafka_aside *aside)
{
    pthread_mutex_lock(&connection->lock);
    aside->next = connection->left;
    connection->left = aside;
    pthread_mutex_unlock(&connection->lock);
}

bool kafka_call(struct connection *connection, rd_kafka_t *rk, const struct kafka_call *kind,
                void *call)
{
    if (connection->deadline == NULL) {
        kind->make(rk, call);
        return true;
    }
    struct kafka_aside *aside = mem_new(struct kafka_aside);
    aside->rk = rk;
    aside->kind = kind;
    aside->call = call;
    pthread_mutex_init(&aside->lock, NULL);
    cond_init(&aside->over);
    if (pthread_create(&aside->thread, NULL, make_call, aside) != 0) {
        kind->make(rk, call);
        pthread_cond_destroy(&aside->over);
        pthread_mutex_destroy(&aside->lock);
        free(aside);
        return true;
    }
    if (!await_call(aside, connection->deadline)) {
        leave(connection, aside);
        return false;
    }
    aside_free(aside);
    return true;
}

/* --- handles that calls were left in --- */

struct kafka_aside *kafka_left(struct connection *connection, const rd_kafka_t *rk)
{
    struct kafka_aside *left = NULL;
    pthread_mutex_lock(&connection->lock);
    for (struct kafka_aside **at = &connection->left, *aside; (aside = *at) != NULL;) {
        if (aside->rk == rk) {
            *at = aside->next;
            aside->next = left;
            left = aside;
        } else {
            at = &aside->next;
        }
    }
    pthread_mutex_unlock(&connection->lock);
    return left;
}

void kafka_left_wait(struct kafka_aside *left)
{
    while (left != NULL) {
        struct kafka_aside *next = left->next;
        const struct kafka_call *kind = left->kind;
        void *call = left->call;
        aside_free(left);
        kind->drop(call);
        left = next;
    }
}

struct burial {
    rd_kafka_t *rk;
    int flags;
    struct kafka_aside *left;
};

static void *bury(void *argument)
{
    struct burial *burial = argument;
    kafka_left_wait(burial->left);
    rd_kafka_destroy_flags(burial->rk, burial->flags);
    free(burial);
    return NULL;
}

void kafka_free_handle(struct connection *connection, rd_kafka_t *rk, int flags)
{
    struct kafka_aside *left = kafka_left(connection, rk);
    pthread_t thread;
    if (left == NULL) {
        rd_kafka_destroy_flags(rk, flags);
        return;
    }
    struct burial *burial = mem_new(struct burial);
    *burial = (struct burial){rk, flags, left};
    if (pthread_create(&thread, NULL, bury, burial) == 0) {
        pthread_detach(thread);
    } else {
        bury(burial);
    }
}
