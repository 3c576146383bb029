#include "stream/fetch.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/vec.h"
#include "topic/topic.h"

#include <stdlib.h>
#include <utlist.h>

/* Of the share for requests: the rest is for those that run, and others that wait. */
enum { WAITING_PERCENT = 50 };

/* The fetches of one reactor that wait for one partition. */
struct waiting_room {
    struct partition *key;
    struct fetch_item *items;
    UT_hash_handle hh;
};

struct reactor_fetches {
    struct waiting_room *rooms;
    struct fetch *parked;
};

struct fetch_service {
    struct net *net;
    struct workers *workers;
    struct budget *budget;
    unsigned reactor_count;
    struct reactor_fetches *reactors;
};

struct fetch_service *fetch_service_new(struct net *net, struct workers *workers,
                                        struct budget *budget)
{
    struct fetch_service *service = mem_new(struct fetch_service);
    service->net = net;
    service->workers = workers;
    service->budget = budget;
    service->reactor_count = net_reactor_count(net);
    service->reactors = mem_new_array(struct reactor_fetches, service->reactor_count);
    return service;
}

void fetch_service_free(struct fetch_service *service)
{
    free(service->reactors);
    free(service);
}

static void say_unreadable(const struct fetch_item *item, const char *what,
                           const struct reason *reason)
{
    LOG_ERROR("stream", what, "topic=%s partition=%d offset=%lld reason=\"%s\"",
              item->partition->topic->name, (int)item->partition->index, (long long)item->offset,
              reason->text);
}

static void read_item(struct fetch_item *item, bool read_committed, size_t budget, bool first)
{
    struct partition *partition = item->partition;
    struct reason reason;
    partition_readable(partition, &item->high_watermark, &item->last_stable_offset);
    item->log_start_offset = partition_log_start(partition);
    int64_t limit = read_committed ? item->last_stable_offset : item->high_watermark;
    size_t most = item->max_bytes > 0 ? (size_t)item->max_bytes : 0;
    item->err = partition_gone(partition)        ? ERR_NOT_FOUND
                : log_is_offline(partition->log) ? ERR_IO /* also where there is nothing to read */
                                                 : ERR_NONE;
    item->span = (struct file_span){0};
    item->emptied = false;
    item->found_bytes = 0;
    if (item->err != ERR_NONE) {
        return;
    }
    if (item->offset < item->log_start_offset || item->offset > limit) {
        /* Between the high watermark and the end there may be events not yet on disk: wait. */
        if (item->offset < item->log_start_offset ||
            item->offset > log_end_offset(partition->log)) {
            item->err = ERR_OUT_OF_RANGE;
        }
        return;
    }
    if (item->offset == limit || (budget == 0 && !first)) {
        return;
    }
    struct log_range range = {.emptied = false};
    item->err = partition_load(partition, &reason);
    if (item->err == ERR_NONE) {
        item->err =
            log_read_records(partition->log, item->offset, limit, most < budget ? most : budget,
                             first, &item->span, &range, &reason);
    }
    item->end_offset = range.end_offset;
    item->emptied = range.emptied;
    item->found_bytes = item->emptied ? 0 : (int64_t)item->span.size;
    if (item->err == ERR_CORRUPT || item->err == ERR_IO) {
        say_unreadable(item, "stored events cannot be read", &reason);
    }
}

/*
 * Reads every item within the budgets. True when the fetch is to be answered now. Batches without
 * records are no answer to wait for, as a client that cannot get past them would ask again at once.
 */
static bool read_all(struct fetch *fetch)
{
    int64_t left = fetch->max_bytes;
    bool failed = false;
    fetch->found_bytes = 0;
    for (size_t i = 0; i < fetch->item_count; i++) {
        struct fetch_item *item = &fetch->items[i];
        if (item->partition == NULL) {
            failed = true;
            continue;
        }
        read_item(item, fetch->read_committed, left > 0 ? (size_t)left : 0,
                  fetch->found_bytes == 0);
        failed = failed || item->err != ERR_NONE;
        fetch->found_bytes += item->found_bytes;
        left -= (int64_t)item->span.size;
    }
    return failed || fetch->found_bytes >= fetch->min_bytes;
}

/* Looks again at an item that may have moved, beside what the others were seen to have. */
static bool read_moved(struct fetch *fetch, struct fetch_item *item)
{
    int64_t others = fetch->found_bytes - item->found_bytes;
    int64_t left = fetch->max_bytes - others;
    read_item(item, fetch->read_committed, left > 0 ? (size_t)left : 0, others == 0);
    item->dropped = false;
    fetch->found_bytes = others + item->found_bytes;
    return item->err != ERR_NONE || fetch->found_bytes >= fetch->min_bytes;
}

static void drop_item(struct fetch_item *item)
{
    item->dropped = item->span.size > 0;
    file_span_release(&item->span);
    item->span = (struct file_span){0};
}

/* Gives back what was found, as it is too little: a segment is not held for a fetch that waits. */
static void drop_found(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        drop_item(&fetch->items[i]);
    }
}

/* Before an answer: whether some of what it needs was given back. */
static bool has_dropped(const struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        if (fetch->items[i].dropped) {
            return true;
        }
    }
    return false;
}

void fetch_release(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        file_span_release(&fetch->items[i].span);
        fetch->items[i].span = (struct file_span){0};
    }
    fetch_free_aborted(fetch);
}

void fetch_free_aborted(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        free(fetch->items[i].aborted);
        fetch->items[i].aborted = NULL;
        fetch->items[i].aborted_count = 0;
    }
}

/* The aborted transactions in what was read. Without them a reader would take their records for
 * committed ones, so what they belong to is not given either when they cannot be read. */
static void find_aborted(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count && fetch->read_committed; i++) {
        struct fetch_item *item = &fetch->items[i];
        struct reason reason;
        if (item->span.size == 0) {
            continue;
        }
        item->err = log_aborted_txns(item->partition->log, item->offset, item->end_offset,
                                     &item->aborted, &item->aborted_count, &reason);
        if (item->err != ERR_NONE) {
            say_unreadable(item, "aborted transactions cannot be read", &reason);
            file_span_release(&item->span);
            item->span = (struct file_span){0};
        }
    }
}

static struct reactor_fetches *reactor_part(struct fetch *fetch)
{
    return &fetch->service->reactors[reactor_index(fetch->reactor)];
}

static void enter_rooms(struct fetch *fetch)
{
    struct reactor_fetches *mine = reactor_part(fetch);
    for (size_t i = 0; i < fetch->item_count; i++) {
        struct fetch_item *item = &fetch->items[i];
        if (item->partition == NULL) {
            continue;
        }
        struct waiting_room *room;
        HASH_FIND_PTR(mine->rooms, &item->partition, room);
        if (room == NULL) {
            room = mem_new(struct waiting_room);
            room->key = item->partition;
            HASH_ADD_PTR(mine->rooms, key, room);
        }
        item->fetch = fetch;
        item->room = room;
        DL_APPEND2(room->items, item, prev_waiting, next_waiting);
    }
    DL_APPEND2(mine->parked, fetch, prev_parked, next_parked);
    fetch->parked = true;
}

static void leave_rooms(struct fetch *fetch)
{
    struct reactor_fetches *mine = reactor_part(fetch);
    for (size_t i = 0; i < fetch->item_count; i++) {
        struct fetch_item *item = &fetch->items[i];
        if (item->partition == NULL) {
            continue;
        }
        struct waiting_room *room = item->room;
        DL_DELETE2(room->items, item, prev_waiting, next_waiting);
        if (room->items == NULL) {
            HASH_DEL(mine->rooms, room);
            free(room);
        }
    }
    DL_DELETE2(mine->parked, fetch, prev_parked, next_parked);
    fetch->parked = false;
    budget_give(fetch->service->budget, BUDGET_REQUESTS, fetch->held_bytes);
}

static void unpark(struct fetch *fetch)
{
    if (fetch->parked) {
        leave_rooms(fetch);
        reactor_timer_cancel(fetch->reactor, &fetch->timer);
    }
}

bool fetch_cancel(struct fetch *fetch)
{
    unpark(fetch);
    return !fetch->reading;
}

static void on_read(struct task *task)
{
    struct fetch *fetch = container_of(task, struct fetch, task);
    fetch->reading = false;
    fetch->done(fetch);
}

/* Whether a span can be sent as it is: its bytes are good, and in memory, so that the reactor does
 * not wait for the disk. */
static bool is_ready(const struct file_span *span)
{
    return span->verified && file_span_is_warm(span);
}

static void verify_item(struct fetch_item *item)
{
    struct reason reason;
    item->err = log_verify_span(item->partition->log, item->offset, &item->span, &item->end_offset,
                                &reason);
    if (item->err != ERR_NONE) {
        say_unreadable(item, "stored events cannot be read", &reason);
    }
}

static struct fetch_item *find_cold(struct fetch *fetch)
{
    for (; fetch->next_cold < fetch->item_count; fetch->next_cold++) {
        struct fetch_item *item = &fetch->items[fetch->next_cold];
        if (item->span.size > 0 && !is_ready(&item->span)) {
            return item;
        }
    }
    return NULL;
}

static void post_cold(struct fetch *fetch)
{
    workers_post(fetch->service->workers, fetch->owner, WORKER_SLOW, &fetch->task);
}

/* One item a turn. */
static void read_cold(struct task *task)
{
    struct fetch *fetch = container_of(task, struct fetch, task);
    verify_item(&fetch->items[fetch->next_cold++]);
    if (find_cold(fetch) != NULL) {
        post_cold(fetch);
        return;
    }
    find_aborted(fetch);
    fetch->task.run = on_read;
    reactor_post(fetch->reactor, &fetch->task);
}

/* The results are there: hands them over, after a worker has read and checked what needs it. */
static void finish(struct fetch *fetch)
{
    fetch->next_cold = 0;
    if (find_cold(fetch) != NULL) {
        fetch->reading = true;
        fetch->task.run = read_cold;
        post_cold(fetch);
        return;
    }
    find_aborted(fetch);
    fetch->done(fetch);
}

static void on_time(struct reactor_timer *timer)
{
    struct fetch *fetch = container_of(timer, struct fetch, timer);
    leave_rooms(fetch);
    read_all(fetch);
    finish(fetch);
}

void fetch_answer(struct fetch *fetch)
{
    if (fetch->parked) {
        unpark(fetch);
        read_all(fetch);
        finish(fetch);
    }
}

static struct fetch *largest_parked(struct reactor_fetches *mine)
{
    struct fetch *largest = NULL;
    struct fetch *fetch;
    DL_FOREACH2(mine->parked, fetch, next_parked)
    {
        if (largest == NULL || fetch->held_bytes > largest->held_bytes) {
            largest = fetch;
        }
    }
    return largest;
}

/* Reserves what the fetch keeps while it waits, and has larger ones answered for it. False: it is
 * the largest itself. */
static bool reserve(struct fetch *fetch)
{
    while (!budget_take_within(fetch->service->budget, BUDGET_REQUESTS, fetch->held_bytes,
                               WAITING_PERCENT)) {
        struct fetch *largest = largest_parked(reactor_part(fetch));
        if (largest == NULL || largest->held_bytes <= fetch->held_bytes) {
            return false;
        }
        fetch_answer(largest);
    }
    return true;
}

void fetch_start(struct fetch_service *service, struct reactor *reactor, struct fetch *fetch)
{
    fetch->service = service;
    fetch->reactor = reactor;
    if (read_all(fetch) || fetch->max_wait_ms <= 0) {
        finish(fetch);
        return;
    }
    drop_found(fetch);
    for (size_t i = 0; i < fetch->item_count; i++) {
        partition_watch(fetch->items[i].partition, reactor_index(reactor));
    }
    /* Again, as the watermark may have moved before the watch was set. */
    if (read_all(fetch) || !reserve(fetch)) {
        finish(fetch);
        return;
    }
    drop_found(fetch);
    enter_rooms(fetch);
    int64_t wait_ms =
        fetch->max_wait_ms < FETCH_WAIT_MAX_MS ? fetch->max_wait_ms : FETCH_WAIT_MAX_MS;
    fetch->timer.fire = on_time;
    reactor_timer_set(reactor, &fetch->timer, reactor_now_ms(reactor) + wait_ms);
}

/* A partition moved: told to one reactor. */
struct advance_message {
    struct task task;
    struct fetch_service *service;
    struct partition *partition; /* held */
    unsigned reactor_index;
};

/* These items of a waiting fetch moved. Answers it when that makes enough. */
static void wake(struct fetch *fetch, struct fetch_item **moved, size_t count)
{
    bool enough = false;
    for (size_t i = 0; i < count; i++) {
        enough = read_moved(fetch, moved[i]) || enough;
    }
    if (!enough) {
        for (size_t i = 0; i < count; i++) {
            drop_item(moved[i]);
        }
        return;
    }
    unpark(fetch);
    if (has_dropped(fetch)) {
        fetch_release(fetch);
        read_all(fetch);
    }
    finish(fetch);
}

static void try_waiting(struct fetch_service *service, unsigned index, struct partition *partition)
{
    struct reactor_fetches *mine = &service->reactors[index];
    struct waiting_room *room;
    HASH_FIND_PTR(mine->rooms, &partition, room);
    if (room == NULL) {
        return;
    }
    partition_watch(partition, index); /* for those that go on waiting */
    /* done may start new fetches on this partition: only those that wait now are looked at. */
    VEC(struct fetch_item *) moved = {.count = 0};
    struct fetch_item *item;
    DL_FOREACH2(room->items, item, next_waiting)
    {
        vec_push(&moved, item);
    }
    for (size_t i = 0, end; i < moved.count; i = end) {
        struct fetch *fetch = moved.items[i]->fetch;
        for (end = i + 1; end < moved.count && moved.items[end]->fetch == fetch; end++) {
        }
        wake(fetch, &moved.items[i], end - i);
    }
    vec_deinit(&moved);
}

static void on_advance_message(struct task *task)
{
    struct advance_message *message = container_of(task, struct advance_message, task);
    try_waiting(message->service, message->reactor_index, message->partition);
    partition_unref(message->partition);
    free(message);
}

void fetch_on_advanced(void *context, struct partition *partition, uint64_t reactors)
{
    struct fetch_service *service = context;
    for (unsigned i = 0; i < service->reactor_count; i++) {
        /* A partition that is going has nobody waiting: whoever waits holds it. */
        if ((reactors >> i & 1) == 0 || !topic_try_ref(partition->topic)) {
            continue;
        }
        struct advance_message *message = mem_new(struct advance_message);
        message->task.run = on_advance_message;
        message->service = service;
        message->partition = partition;
        message->reactor_index = i;
        reactor_post(net_reactor(service->net, i), &message->task);
    }
}

/* Answers what waits on one reactor. */
struct drain_message {
    struct task task;
    struct reactor_fetches *fetches;
};

static void on_drain_message(struct task *task)
{
    struct drain_message *message = container_of(task, struct drain_message, task);
    while (message->fetches->parked != NULL) {
        struct fetch *fetch = message->fetches->parked;
        fetch_answer(fetch);
    }
    free(message);
}

void fetch_service_drain(struct fetch_service *service)
{
    for (unsigned i = 0; i < service->reactor_count; i++) {
        struct drain_message *message = mem_new(struct drain_message);
        message->task.run = on_drain_message;
        message->fetches = &service->reactors[i];
        reactor_post(net_reactor(service->net, i), &message->task);
    }
}
