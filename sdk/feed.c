#include "service.h"

#include "base/buf.h"
#include "base/clock.h"

#include <string.h>

/*
 * The reading thread: reads ahead, commits, and takes part in the group, whatever a handler is at.
 * So a handler may take as long as it needs, and one that hangs holds back its own partition only.
 */

enum {
    TURN_MS = 20, /* how long a turn may wait for an event */
    ROOM_WAIT_MS = 1000,
    QUEUE_EVENTS_MAX = 1000, /* of one partition, read and not handled ... */
    QUEUE_BYTES_MAX = 8 * 1024 * 1024,
    REVOKE_WAIT_MS = 5000 /* for what is in hand and unsettled, when partitions are taken away */
};

/* --- what the reader tells; all on this thread --- */

static void log_held(struct tidings *service)
{
    struct buf text = {0};
    pthread_mutex_lock(&service->lock);
    for (const struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        buf_printf(&text, " %s", p->name);
    }
    unsigned count = HASH_COUNT(service->partitions);
    pthread_mutex_unlock(&service->lock);
    service_log(service, TIDINGS_LOG_INFO, "holds %u partitions:%s", count, buf_cstr(&text));
    buf_deinit(&text);
}

static void on_assigned(void *context, const struct topic_partitions *partitions)
{
    struct tidings *service = context;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < partitions->count; i++) {
        const struct topic_partition *at = &partitions->items[i];
        if (partition_find(service, at->topic, at->partition) == NULL) {
            partition_add(service, at->topic, at->partition,
                          reader_epoch(service->reader, at->topic, at->partition));
        }
    }
    pthread_mutex_unlock(&service->lock);
    if (partitions->count > 0) {
        log_held(service);
    }
}

/* Lock held. */
static void mark(struct tidings *service, struct partition *partition)
{
    int64_t done = partition_done_offset(partition);
    if (done >= 0) {
        reader_mark(service->reader, partition->topic, partition->number, partition->epoch, done,
                    NULL);
    }
}

/* Waits for what the partition has in hand and in flight. Lock held. */
static void settle(struct tidings *service, struct partition *partition, int64_t deadline_ms)
{
    while (partition->is_busy && service_wait(service, &service->progress, deadline_ms)) {
    }
    partition_reap(service, partition);
    while (partition->flights != NULL && partition->rewind_offset < 0 &&
           service_wait(service, &service->progress, deadline_ms)) {
        partition_reap(service, partition);
    }
}

static void on_revoked(void *context, const struct topic_partitions *partitions, bool is_lost)
{
    struct tidings *service = context;
    int64_t deadline_ms = clock_mono_ms(clock_system());
    pthread_mutex_lock(&service->lock);
    deadline_ms += service->is_handling_over ? 0 : REVOKE_WAIT_MS; /* finish() waited */
    for (size_t i = 0; i < partitions->count; i++) {
        struct partition *partition =
            partition_find(service, partitions->items[i].topic, partitions->items[i].partition);
        if (partition != NULL) {
            partition->is_leaving = true;
        }
    }
    for (size_t i = 0; i < partitions->count; i++) {
        struct partition *partition =
            partition_find(service, partitions->items[i].topic, partitions->items[i].partition);
        if (partition != NULL && !is_lost) {
            settle(service, partition, deadline_ms);
            mark(service, partition);
        }
        if (partition != NULL) {
            partition_drop(service, partition);
        }
    }
    pthread_mutex_unlock(&service->lock);
    if (partitions->count > 0) {
        log_held(service);
    }
}

static void before_commit(void *context)
{
    struct tidings *service = context;
    pthread_mutex_lock(&service->lock);
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        if (p->rewind_offset < 0) {
            partition_reap(service, p);
        }
        mark(service, p);
    }
    pthread_mutex_unlock(&service->lock);
}

static void on_gone(void *context, const struct reader_gap *gap)
{
    struct tidings *service = context;
    if (!gap->is_new_topic) {
        service_log(service, TIDINGS_LOG_WARN,
                    "%s/%d: the events from offset %lld to %lld are gone, expired or deleted "
                    "before this service had them; going on at %lld",
                    gap->topic, (int)gap->partition, (long long)gap->from, (long long)gap->to - 1,
                    (long long)gap->to);
        return;
    }
    service_log(service, TIDINGS_LOG_WARN,
                "%s/%d: the topic was deleted and made again since this service stood at offset "
                "%lld; handling it from its start, offset %lld",
                gap->topic, (int)gap->partition, (long long)gap->from, (long long)gap->to);
    pthread_mutex_lock(&service->lock);
    struct partition *partition = partition_find(service, gap->topic, gap->partition);
    if (partition != NULL) {
        partition_clear(partition);
        partition->epoch = reader_epoch(service->reader, gap->topic, gap->partition);
        partition->next_offset = -1;
        partition->rewind_offset = -1;
        partition->attempts = 0;
    }
    pthread_mutex_unlock(&service->lock);
}

/* --- the turns --- */

static bool is_full(const struct partition *partition)
{
    return partition->queued_count >= QUEUE_EVENTS_MAX ||
           partition->queued_bytes >= QUEUE_BYTES_MAX;
}

/* Waits a little for room behind a handler that is at work. Lock held. */
static void wait_for_room(struct tidings *service, const struct partition *partition)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + ROOM_WAIT_MS;
    while (is_full(partition) && partition->attempts == 0 && !service->is_handling_over &&
           service_wait(service, &service->progress, deadline_ms)) {
    }
}

/* Takes received. Partitions are dropped on this thread only, so this one stays. */
static void queue(struct tidings *service, struct received *received)
{
    pthread_mutex_lock(&service->lock);
    struct partition *partition =
        partition_find(service, received->event.topic, received->event.partition);
    bool pause = false;
    if (partition == NULL || partition->epoch != received->epoch || partition->rewind_offset >= 0) {
        received_free(received); /* no longer ours, or about to be read again */
    } else {
        partition_queue(partition, received);
        pthread_cond_signal(&service->work);
        wait_for_room(service, partition);
        pause = is_full(partition) && !partition->is_paused;
    }
    pthread_mutex_unlock(&service->lock);
    if (pause &&
        reader_pause(service->reader, partition->topic, partition->number, NULL) == CLIENT_OK) {
        partition->is_paused = true;
    }
}

static void resume(struct tidings *service, struct partition *partition)
{
    if (reader_resume(service->reader, partition->topic, partition->number, NULL) == CLIENT_OK) {
        partition->is_paused = false;
    }
}

/* Reads a partition again from the event whose publishes failed. */
static void rewind_partition(struct tidings *service, struct partition *partition)
{
    if (reader_seek(service->reader, partition->topic, partition->number, partition->rewind_offset,
                    NULL) != CLIENT_OK) {
        return; /* the next turn tries again */
    }
    if (partition->is_paused) {
        resume(service, partition);
    }
    pthread_mutex_lock(&service->lock);
    partition->rewind_offset = -1;
    pthread_mutex_unlock(&service->lock);
}

/* Tells of a handler that does not return: again after twice the time, and so on. */
static void watch(struct tidings *service)
{
    char text[sizeof service->at.text];
    int64_t taken_ms = 0;
    pthread_mutex_lock(&service->lock);
    int64_t now_ms = clock_mono_ms(clock_system());
    if (service->at.since_ms != 0 && now_ms >= service->at.warn_at_ms) {
        taken_ms = now_ms - service->at.since_ms;
        service->at.warn_at_ms = now_ms + taken_ms;
        memcpy(text, service->at.text, sizeof text);
    }
    pthread_mutex_unlock(&service->lock);
    if (taken_ms > 0) {
        service_log(service, TIDINGS_LOG_WARN,
                    "the handler has been at %s for %lld.%lld s; nothing else is handled meanwhile",
                    text, (long long)(taken_ms / 1000), (long long)(taken_ms % 1000 / 100));
    }
}

/* What has to be done beside reading. */
static void look_after(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    bool has_failed = service->has_failed_flight;
    service->has_failed_flight = false;
    for (struct partition *p = service->partitions; has_failed && p != NULL; p = p->hh.next) {
        if (p->rewind_offset < 0) {
            partition_reap(service, p);
        }
    }
    pthread_mutex_unlock(&service->lock);
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        pthread_mutex_lock(&service->lock);
        bool is_rewound = p->rewind_offset >= 0;
        bool has_room =
            p->queued_count <= QUEUE_EVENTS_MAX / 2 && p->queued_bytes <= QUEUE_BYTES_MAX / 2;
        pthread_mutex_unlock(&service->lock);
        if (is_rewound) {
            rewind_partition(service, p);
        } else if (p->is_paused && has_room) {
            resume(service, p);
        }
    }
    watch(service);
}

static void take(struct tidings *service)
{
    struct received *received;
    struct client_error error;
    enum client_status status = reader_take(service->reader, TURN_MS, &received, &error);
    if (status == CLIENT_FATAL) {
        service_fail(service, &error);
    } else if (status == CLIENT_NOT_FOUND) {
        service_log(service, TIDINGS_LOG_WARN, "%s; waiting for it", error.text);
    } else if (status != CLIENT_OK) {
        service_log(service, TIDINGS_LOG_WARN, "%s", error.text);
    }
    if (received != NULL) {
        queue(service, received);
    }
}

static bool is_over(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    bool over = service->is_handling_over;
    pthread_mutex_unlock(&service->lock);
    return over;
}

/* Writes down what is done and frees what is queued, so that the reader can be closed. */
static void finish(struct tidings *service)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + service->publish_timeout_ms;
    pthread_mutex_lock(&service->lock);
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        settle(service, p, deadline_ms);
        while (p->queue != NULL) {
            received_free(partition_dequeue(p));
        }
    }
    pthread_mutex_unlock(&service->lock);
}

void *feed_main(void *argument)
{
    struct tidings *service = argument;
    int64_t look_at_ms = 0;
    while (!is_over(service)) {
        take(service);
        int64_t now_ms = clock_mono_ms(clock_system());
        if (now_ms >= look_at_ms) {
            look_after(service);
            look_at_ms = now_ms + TURN_MS;
        }
    }
    finish(service);
    reader_close(service->reader, NULL); /* what it could not commit was a notice */
    service->reader = NULL;
    return NULL;
}

struct reader_settings service_reader(struct tidings *service, const char **topics)
{
    struct reader_settings settings = {
        .connection = service_connection(service),
        .group = service->name,
        .instance = service->instance,
        .topics = topics,
        .from = {.kind = service->from_end ? POSITION_END : POSITION_START},
        .is_cooperative = true,
        .session_timeout_ms = service->session_timeout_ms,
        .commit_interval_ms = service->commit_interval_ms,
        .callbacks = {.assigned = on_assigned,
                      .revoked = on_revoked,
                      .before_commit = before_commit,
                      .gone = on_gone},
        .context = service,
    };
    for (const struct handler *h = service->handlers; h != NULL; h = h->next) {
        size_t i = 0;
        while (i < settings.topic_count && strcmp(topics[i], h->topic) != 0) {
            i++;
        }
        topics[i] = h->topic;
        settings.topic_count += i == settings.topic_count;
    }
    return settings;
}
