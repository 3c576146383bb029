#include "service.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/*
 * How far each partition is done. A handled event may be committed only when all it published is
 * acknowledged; else a crash in between would lose what it published.
 */

bool service_wait(struct tidings *service, pthread_cond_t *condition, int64_t deadline_ms)
{
    struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(condition, &service->lock, &deadline) == 0;
}

struct flight *flight_join(struct tidings_in_hand *in_hand)
{
    if (in_hand->flight == NULL) {
        in_hand->flight = mem_new(struct flight);
        in_hand->flight->offset = in_hand->offset;
    }
    in_hand->flight->pending++;
    return in_hand->flight;
}

void flight_settle(struct tidings *service, struct flight *flight, bool ok)
{
    flight->pending--;
    flight->failed |= !ok;
    if (flight->pending > 0) {
        return;
    }
    if (flight->abandoned) {
        free(flight);
    } else {
        service->has_failed_flight |= flight->failed;
        pthread_cond_broadcast(&service->work); /* an event may stand behind it */
    }
    pthread_cond_broadcast(&service->progress);
}

void flight_abandon(struct flight *flight)
{
    if (flight == NULL) {
        return;
    }
    if (flight->pending == 0) {
        free(flight);
    } else {
        flight->abandoned = true;
    }
}

static void flights_abandon(struct partition *partition)
{
    struct flight *flight, *next;
    LL_FOREACH_SAFE (partition->flights, flight, next) {
        flight_abandon(flight);
    }
    partition->flights = NULL;
}

static int64_t backoff_ms(const struct tidings *service, int attempts)
{
    int64_t wait_ms = service->retry_first_ms;
    while (--attempts > 0 && wait_ms < service->retry_max_ms) {
        wait_ms *= 2;
    }
    return wait_ms < service->retry_max_ms ? wait_ms : service->retry_max_ms;
}

void partition_fail(struct tidings *service, struct partition *partition, int64_t offset)
{
    partition->attempts = partition->failed_offset == offset ? partition->attempts + 1 : 1;
    partition->failed_offset = offset;
    partition->retry_at_ms =
        clock_mono_ms(clock_system()) + backoff_ms(service, partition->attempts);
}

static void flight_landed(struct tidings *service, struct partition *partition, int64_t offset)
{
    if (partition->attempts > 0 && partition->failed_offset == offset) {
        service_log(service, TIDINGS_LOG_INFO, "%s goes on after %d failed attempts",
                    partition->name, partition->attempts);
        partition->attempts = 0;
        partition->failed_offset = -1;
    }
}

void partition_reap(struct tidings *service, struct partition *partition)
{
    while (partition->flights != NULL && partition->flights->pending == 0 &&
           !partition->flights->failed) {
        struct flight *flight = partition->flights;
        LL_DELETE(partition->flights, flight);
        flight_landed(service, partition, flight->offset);
        free(flight);
    }
    if (partition->flights != NULL && partition->flights->failed) {
        int64_t offset = partition->flights->offset;
        partition_clear(partition);
        partition_fail(service, partition, offset);
        partition->next_offset = offset;
        partition->rewind_offset = offset;
        service_log(service, TIDINGS_LOG_WARN,
                    "%s: what was published for offset %lld was not kept (attempt %d); handling it "
                    "again in %lld ms",
                    partition->name, (long long)offset, partition->attempts,
                    (long long)backoff_ms(service, partition->attempts));
    }
}

int64_t partition_done_offset(const struct partition *partition)
{
    return partition->flights != NULL ? partition->flights->offset : partition->next_offset;
}

/* --- partitions --- */

/* The bus bounds topic names (249 bytes). */
enum { PARTITION_NAME_SIZE = 288 };

struct partition *partition_find(struct tidings *service, const char *topic, int32_t number)
{
    struct partition *partition = service->cursor;
    if (partition != NULL && partition->number == number && strcmp(partition->topic, topic) == 0) {
        return partition;
    }
    char name[PARTITION_NAME_SIZE];
    snprintf(name, sizeof name, "%s/%d", topic, (int)number);
    HASH_FIND_STR(service->partitions, name, partition);
    return partition;
}

struct partition *partition_add(struct tidings *service, const char *topic, int32_t number,
                                int64_t epoch)
{
    struct partition *partition = mem_new(struct partition);
    partition->name = mem_sprintf("%.249s/%d", topic, (int)number);
    partition->topic = mem_strdup(topic);
    partition->number = number;
    partition->epoch = epoch;
    partition->next_offset = -1;
    partition->rewind_offset = -1;
    partition->failed_offset = -1;
    HASH_ADD_KEYPTR(hh, service->partitions, partition->name, strlen(partition->name), partition);
    return partition;
}

void partition_clear(struct partition *partition)
{
    partition->turn++;
    while (partition->queue != NULL) {
        received_free(partition_dequeue(partition));
    }
    flights_abandon(partition);
}

void partition_free(struct partition *partition)
{
    free(partition->name);
    free(partition->topic);
    free(partition);
}

void partition_drop(struct tidings *service, struct partition *partition)
{
    partition_clear(partition);
    HASH_DEL(service->partitions, partition);
    service->cursor = NULL;
    if (partition->is_busy) {
        partition->is_gone = true;
    } else {
        partition_free(partition);
    }
}

static size_t size_of(const struct received *received)
{
    return received->event.key.size + received->event.value.size;
}

void partition_queue(struct partition *partition, struct received *received)
{
    DL_APPEND(partition->queue, received);
    partition->queued_count++;
    partition->queued_bytes += size_of(received);
}

struct received *partition_dequeue(struct partition *partition)
{
    struct received *received = partition->queue;
    DL_DELETE(partition->queue, received);
    partition->queued_count--;
    partition->queued_bytes -= size_of(received);
    return received;
}

void partition_queue_again(struct partition *partition, struct received *received)
{
    DL_PREPEND(partition->queue, received);
    partition->queued_count++;
    partition->queued_bytes += size_of(received);
}
