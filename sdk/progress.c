#include "base/mem.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

/*
 * How far each partition is done. A handled event may be committed only when all it published is
 * acknowledged; else a crash in between would lose what it published.
 */

struct flight *flight_join(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    if (service->current_flight == NULL) {
        service->current_flight = mem_new(struct flight);
        service->current_flight->offset = service->current_event->offset;
    }
    service->current_flight->pending++;
    pthread_mutex_unlock(&service->lock);
    return service->current_flight;
}

void flight_settle(struct tidings *service, struct flight *flight, bool ok)
{
    pthread_mutex_lock(&service->lock);
    flight->pending--;
    flight->failed |= !ok;
    if (flight->pending == 0) {
        if (flight->abandoned) {
            free(flight);
        }
        pthread_cond_broadcast(&service->settled);
    }
    pthread_mutex_unlock(&service->lock);
}

/* Lock held. */
static void flight_abandon(struct flight *flight)
{
    if (flight->pending == 0) {
        free(flight);
    } else {
        flight->abandoned = true;
    }
}

/* Lock held. */
static void flights_abandon(struct partition *partition)
{
    struct flight *flight, *next;
    LL_FOREACH_SAFE (partition->flights, flight, next) {
        flight_abandon(flight);
    }
    partition->flights = NULL;
}

void flight_close(struct tidings *service, struct partition *partition, bool done)
{
    if (service->current_flight == NULL) {
        return;
    }
    pthread_mutex_lock(&service->lock);
    if (done) {
        LL_APPEND(partition->flights, service->current_flight);
    } else {
        flight_abandon(service->current_flight); /* the next attempt publishes anew */
    }
    pthread_mutex_unlock(&service->lock);
    service->current_flight = NULL;
}

void flights_wait(struct tidings *service, const struct partition *partition, int64_t deadline_ms)
{
    struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_mutex_lock(&service->lock);
    const struct flight *flight;
    LL_FOREACH (partition->flights, flight) {
        while (flight->pending > 0 &&
               pthread_cond_timedwait(&service->settled, &service->lock, &deadline) == 0) {
        }
    }
    pthread_mutex_unlock(&service->lock);
}

int64_t partition_done_offset(struct tidings *service, struct partition *partition, bool *failed)
{
    int64_t done = partition->next_offset;
    *failed = false;
    pthread_mutex_lock(&service->lock);
    while (partition->flights != NULL && partition->flights->pending == 0 &&
           !partition->flights->failed) {
        struct flight *flight = partition->flights;
        LL_DELETE(partition->flights, flight);
        free(flight);
    }
    if (partition->flights != NULL) {
        done = partition->flights->offset;
        *failed = partition->flights->failed;
        if (*failed) {
            flights_abandon(partition);
        }
    }
    pthread_mutex_unlock(&service->lock);
    return done;
}

/* librdkafka bounds topic names by what the bus allows (249 bytes). */
enum { PARTITION_NAME_SIZE = 288 };

static void partition_name(char name[PARTITION_NAME_SIZE], const char *topic, int32_t number)
{
    snprintf(name, PARTITION_NAME_SIZE, "%s/%d", topic, (int)number);
}

struct partition *partition_find(struct tidings *service, const char *topic, int32_t number)
{
    char name[PARTITION_NAME_SIZE];
    partition_name(name, topic, number);
    struct partition *partition = NULL;
    HASH_FIND_STR(service->partitions, name, partition);
    return partition;
}

struct partition *partition_add(struct tidings *service, const char *topic, int32_t number)
{
    char name[PARTITION_NAME_SIZE];
    partition_name(name, topic, number);
    struct partition *partition = mem_new(struct partition);
    partition->name = mem_strdup(name);
    partition->topic = mem_strdup(topic);
    partition->number = number;
    partition->next_offset = -1;
    partition->committed_offset = -1;
    partition->rewind_offset = -1;
    HASH_ADD_KEYPTR(hh, service->partitions, partition->name, strlen(partition->name), partition);
    return partition;
}

void partition_wait(struct tidings *service, struct partition *partition,
                    rd_kafka_message_t *message)
{
    if (partition->waiting == NULL) {
        service->blocked_count++;
    }
    struct waiting *waiting = mem_new(struct waiting);
    waiting->message = message;
    DL_APPEND(partition->waiting, waiting);
}

void partition_wait_next(struct tidings *service, struct partition *partition)
{
    struct waiting *first = partition->waiting;
    DL_DELETE(partition->waiting, first);
    rd_kafka_message_destroy(first->message);
    free(first);
    partition->attempt = 0;
    if (partition->waiting == NULL) {
        service->blocked_count--;
    }
}

void partition_wait_clear(struct tidings *service, struct partition *partition)
{
    while (partition->waiting != NULL) {
        partition_wait_next(service, partition);
    }
}

void partition_drop(struct tidings *service, struct partition *partition)
{
    partition_wait_clear(service, partition);
    pthread_mutex_lock(&service->lock);
    flights_abandon(partition);
    pthread_mutex_unlock(&service->lock);
    HASH_DEL(service->partitions, partition);
    free(partition->name);
    free(partition->topic);
    free(partition);
}
