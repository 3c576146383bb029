#include "stream/fetch_wait.h"

#include "base/mem.h"
#include "stream/fetch_look.h"
#include "topic/topic.h"

#include <limits.h>
#include <stdlib.h>
#include <utlist.h>

enum {
    /* Of the share for requests: the rest is for those that run, and others that wait. Those that
     * came when it was used up take a little more of it, until who ends for them has left. */
    WAITING_PERCENT = 50,
    PASSING_PERCENT = 60,
    /* So full may the share be, by whatever, for one that begins to wait: more than requests on
     * workers may fill it (api_reserve), or these would let no consumer wait. */
    CROWDED_PERCENT = 90,
    /* For one loop turn of a reactor, in looks at partitions; and of these, what one in the lines
     * gets at a time. What a small fetch costs beside its items when it ends. */
    TURN_UNITS = 256,
    PIECE_UNITS = 32,
    END_UNITS = 8,
};

/* The fetches of one reactor that wait for one partition. */
struct waiting_room {
    struct partition *key;
    struct fetch_item *items; /* those of small fetches first: they are woken first */
    struct fetch_item *next;  /* of those to be looked at, as the partition has moved */
    bool queued;              /* to be looked at; the room stays until then, though it be empty */
    struct waiting_room *next_queued, *prev_queued;
    UT_hash_handle hh;
};

struct reactor_fetches {
    struct reactor *reactor;
    struct waiting_room *rooms;
    struct heap by_size; /* of all that wait, or begin to: the largest first */
    bool draining;
    unsigned evicted; /* fetches that leave for want of memory */
    struct fetch *line;
    struct waiting_room *moved;
    int units;        /* left for this turn */
    bool turn_posted; /* a turn will go on with the lines */
    struct task turn;
};

static void on_turn(struct task *task);

struct fetch_service *fetch_service_new(struct net *net, struct workers *workers,
                                        struct budget *budget)
{
    struct fetch_service *service = mem_new(struct fetch_service);
    service->net = net;
    service->workers = workers;
    service->budget = budget;
    service->reactor_count = net_reactor_count(net);
    service->reactors = mem_new_array(struct reactor_fetches, service->reactor_count);
    for (unsigned i = 0; i < service->reactor_count; i++) {
        service->reactors[i].reactor = net_reactor(net, i);
        service->reactors[i].units = TURN_UNITS;
        service->reactors[i].turn.run = on_turn;
    }
    return service;
}

void fetch_service_free(struct fetch_service *service)
{
    for (unsigned i = 0; i < service->reactor_count; i++) {
        heap_deinit(&service->reactors[i].by_size);
    }
    free(service->reactors);
    free(service);
}

static struct reactor_fetches *fetches_of(struct fetch_service *service, struct reactor *reactor)
{
    return &service->reactors[reactor_index(reactor)];
}

static bool is_small(const struct fetch *fetch)
{
    return fetch->item_count <= FETCH_QUICK_ITEMS;
}

/* -- rooms -- */

static struct waiting_room *find_room(struct reactor_fetches *mine, struct partition *partition)
{
    struct waiting_room *room;
    HASH_FIND_PTR(mine->rooms, &partition, room);
    return room;
}

static void enter_room(struct reactor_fetches *mine, struct fetch_item *item)
{
    struct waiting_room *room = find_room(mine, item->partition);
    if (room == NULL) {
        room = mem_new(struct waiting_room);
        room->key = item->partition;
        HASH_ADD_PTR(mine->rooms, key, room);
    }
    item->room = room;
    if (is_small(item->fetch)) {
        DL_PREPEND2(room->items, item, prev_waiting, next_waiting);
    } else {
        DL_APPEND2(room->items, item, prev_waiting, next_waiting);
    }
}

static void close_if_empty(struct reactor_fetches *mine, struct waiting_room *room)
{
    if (room->items == NULL && !room->queued) {
        HASH_DEL(mine->rooms, room);
        free(room);
    }
}

static void leave_room(struct reactor_fetches *mine, struct fetch_item *item)
{
    struct waiting_room *room = item->room;
    if (room->next == item) {
        room->next = item->next_waiting;
    }
    DL_DELETE2(room->items, item, prev_waiting, next_waiting);
    close_if_empty(mine, room);
}

/* -- from the beginning to the end of a wait -- */

static void queue_up(struct reactor_fetches *mine, struct fetch *fetch)
{
    fetch->queued = true;
    DL_APPEND2(mine->line, fetch, prev_queued, next_queued);
}

static void leave_some(struct reactor_fetches *mine, struct fetch *fetch, int *units)
{
    for (; fetch->entered > 0 && *units > 0; --*units) {
        leave_room(mine, &fetch->items[--fetch->entered]);
    }
    if (fetch->entered > 0) {
        return;
    }
    if (fetch->list != NULL) {
        DL_DELETE2(fetch->list->first, fetch, prev_listed, next_listed);
    }
    mine->evicted -= fetch->evicted;
    fetch->stage = FETCH_AWAY;
    fetch->left(fetch);
}

/* Ends the wait, or what has begun of it: at once for few items, else in the line. */
static void begin_to_leave(struct reactor_fetches *mine, struct fetch *fetch)
{
    if (fetch->stage == FETCH_AWAY || fetch->stage == FETCH_LEAVES) {
        return;
    }
    fetch->stage = FETCH_LEAVES;
    reactor_timer_cancel(mine->reactor, &fetch->timer);
    heap_remove(&mine->by_size, &fetch->by_size);
    if (is_small(fetch)) {
        int units = FETCH_QUICK_ITEMS;
        mine->units -= (int)fetch->item_count + END_UNITS;
        leave_some(mine, fetch, &units);
    } else if (!fetch->queued) {
        queue_up(mine, fetch);
    }
}

/* Watches before it looks: the watermark may have moved in between. */
static void enter_some(struct reactor_fetches *mine, struct fetch *fetch, int *units)
{
    while (fetch->entered<fetch->item_count && * units> 0) {
        struct fetch_item *item = &fetch->items[fetch->entered++];
        item->fetch = fetch;
        enter_room(mine, item);
        partition_watch(item->partition, reactor_index(mine->reactor));
        if (fetch_look_at(fetch, item, units)) {
            begin_to_leave(mine, fetch);
            return;
        }
        fetch_drop(fetch, item);
    }
    if (fetch->entered == fetch->item_count) {
        fetch->stage = FETCH_WAITS;
    }
}

/* -- the lines -- */

static void move_first_in_line(struct reactor_fetches *mine, int *units)
{
    struct fetch *fetch = mine->line;
    DL_DELETE2(mine->line, fetch, prev_queued, next_queued);
    fetch->queued = false;
    if (fetch->stage == FETCH_ENTERS) {
        enter_some(mine, fetch, units);
        if (fetch->stage == FETCH_ENTERS) {
            queue_up(mine, fetch);
        }
        return;
    }
    bool goes_on = fetch->entered > (size_t)*units;
    leave_some(mine, fetch, units); /* may have ended the fetch */
    if (goes_on) {
        queue_up(mine, fetch);
    }
}

/* The next who waits in the room, with all its items there if the partition is in it several times.
 * Ends the wait when that makes enough. */
static void look_at_next(struct reactor_fetches *mine, struct waiting_room *room, int *units)
{
    struct fetch_item *first = room->next;
    struct fetch *fetch = first->fetch;
    bool is_due = fetch->stage == FETCH_ENTERS || fetch->stage == FETCH_WAITS;
    bool enough = false;
    do {
        if (is_due) {
            enough = fetch_look_at(fetch, room->next, units) || enough;
        } else {
            --*units;
        }
        room->next = room->next->next_waiting;
    } while (room->next != NULL && room->next->fetch == fetch);
    if (enough) {
        begin_to_leave(mine, fetch);
        return;
    }
    for (struct fetch_item *item = first; is_due && item != room->next; item = item->next_waiting) {
        fetch_drop(fetch, item);
    }
}

static void look_at_first_moved(struct reactor_fetches *mine, int *units)
{
    struct waiting_room *room = mine->moved;
    DL_DELETE2(mine->moved, room, prev_queued, next_queued);
    while (room->next != NULL && *units > 0) {
        look_at_next(mine, room, units);
    }
    if (room->next != NULL) {
        DL_APPEND2(mine->moved, room, prev_queued, next_queued);
        return;
    }
    room->queued = false;
    close_if_empty(mine, room);
}

/* Those in the lines take turns, while there is some left of this loop turn; the rest is for the
 * next. */
static void go_on(struct reactor_fetches *mine)
{
    if (mine->turn_posted) {
        return;
    }
    while (mine->units > 0 && (mine->moved != NULL || mine->line != NULL)) {
        int moved_units = PIECE_UNITS;
        int line_units = PIECE_UNITS;
        if (mine->moved != NULL) {
            look_at_first_moved(mine, &moved_units);
        }
        if (mine->line != NULL) {
            move_first_in_line(mine, &line_units);
        }
        mine->units -= (PIECE_UNITS - moved_units) + (PIECE_UNITS - line_units);
    }
    if (mine->moved != NULL || mine->line != NULL) {
        mine->turn_posted = true;
        reactor_post(mine->reactor, &mine->turn);
    }
}

static void on_turn(struct task *task)
{
    struct reactor_fetches *mine = container_of(task, struct reactor_fetches, turn);
    mine->turn_posted = false;
    mine->units = TURN_UNITS;
    go_on(mine);
}

static void end(struct fetch *fetch)
{
    struct reactor_fetches *mine = fetches_of(fetch->service, fetch->reactor);
    begin_to_leave(mine, fetch); /* few items: the fetch is gone */
    go_on(mine);
}

static void on_time(struct reactor_timer *timer)
{
    end(container_of(timer, struct fetch, timer));
}

void fetch_wait_begin(struct fetch *fetch)
{
    struct reactor_fetches *mine = fetches_of(fetch->service, fetch->reactor);
    struct fetch_list *list = fetch->list;
    int64_t wait_ms =
        fetch->max_wait_ms < FETCH_WAIT_MAX_MS ? fetch->max_wait_ms : FETCH_WAIT_MAX_MS;
    fetch->cancelled = list != NULL && list->ended;
    if (fetch->cancelled || mine->draining || (list != NULL && list->hurries != fetch->hurries)) {
        fetch->left(fetch);
        return;
    }
    fetch->stage = FETCH_ENTERS;
    fetch->timer.fire = on_time;
    reactor_timer_set(mine->reactor, &fetch->timer, reactor_now_ms(mine->reactor) + wait_ms);
    heap_set(&mine->by_size, &fetch->by_size, -(int64_t)fetch->held_bytes);
    if (list != NULL) {
        DL_APPEND2(list->first, fetch, prev_listed, next_listed);
    }
    if (is_small(fetch)) {
        int units = INT_MAX;
        enter_some(mine, fetch, &units);
    } else {
        queue_up(mine, fetch);
        go_on(mine);
    }
}

void fetch_cancel(struct fetch *fetch)
{
    fetch->cancelled = true;
    end(fetch);
}

void fetch_answer(struct fetch *fetch)
{
    end(fetch);
}

void fetch_answer_all(struct fetch_list *list)
{
    struct fetch *fetch;
    struct fetch *next;
    list->hurries++;
    DL_FOREACH_SAFE2(list->first, fetch, next, next_listed)
    {
        end(fetch);
    }
}

void fetch_cancel_all(struct fetch_list *list)
{
    struct fetch *fetch;
    struct fetch *next;
    list->ended = true;
    DL_FOREACH_SAFE2(list->first, fetch, next, next_listed)
    {
        fetch_cancel(fetch);
    }
}

/* -- memory -- */

int32_t fetch_hold_ms(int64_t wait_ms)
{
    return wait_ms < 0 ? 0 : wait_ms < FETCH_HOLD_MAX_MS ? (int32_t)wait_ms : FETCH_HOLD_MAX_MS;
}

static struct fetch *largest(struct reactor_fetches *mine)
{
    struct heap_node *node = heap_least(&mine->by_size);
    return node != NULL ? container_of(node, struct fetch, by_size) : NULL;
}

/* The largest that waits ends for one of so many bytes, if it is larger, and no other one is about
 * to. False: nobody does. */
static bool evict(struct reactor_fetches *mine, size_t bytes)
{
    struct fetch *fetch = largest(mine);
    if (mine->evicted == 0 && (fetch == NULL || fetch->held_bytes <= bytes)) {
        return false;
    }
    if (mine->evicted == 0) {
        mine->evicted++;
        fetch->evicted = true;
        fetch->hold_ms = fetch_hold_ms(fetch->timer.node.key - reactor_now_ms(mine->reactor));
        end(fetch);
    }
    return true;
}

/* Takes memory when so much of the share is free. */
typedef bool taker(struct fetch_service *service, size_t bytes, int percent);

static bool take_of_share(struct fetch_service *service, size_t bytes, int percent)
{
    return budget_take_within(service->budget, BUDGET_REQUESTS, bytes, percent);
}

static bool take_of_waiting(struct fetch_service *service, size_t bytes, int percent)
{
    int64_t most = service->budget->shares[BUDGET_REQUESTS].limit_bytes / 100 * percent;
    int64_t now = atomic_fetch_add(&service->waiting_bytes, (int64_t)bytes) + (int64_t)bytes;
    if (now <= most && take_of_share(service, bytes, CROWDED_PERCENT)) {
        return true;
    }
    atomic_fetch_sub(&service->waiting_bytes, (int64_t)bytes);
    return false;
}

void fetch_give_room(struct fetch_service *service, size_t bytes)
{
    atomic_fetch_sub(&service->waiting_bytes, (int64_t)bytes);
    budget_give(service->budget, BUDGET_REQUESTS, bytes);
}

static bool make_room(struct fetch_service *service, struct reactor *reactor, size_t bytes,
                      taker *take)
{
    struct reactor_fetches *mine = fetches_of(service, reactor);
    while (!take(service, bytes, WAITING_PERCENT)) {
        if (!evict(mine, bytes)) {
            return false;
        }
        if (mine->evicted > 0) {
            return take(service, bytes, PASSING_PERCENT);
        }
    }
    return true;
}

bool fetch_make_room(struct fetch_service *service, struct reactor *reactor, size_t bytes)
{
    return make_room(service, reactor, bytes, take_of_share);
}

bool fetch_take_room(struct fetch_service *service, struct reactor *reactor, size_t bytes)
{
    return make_room(service, reactor, bytes, take_of_waiting);
}

struct room_message {
    struct task task;
    struct reactor_fetches *fetches;
    size_t bytes;
};

static void on_room_message(struct task *task)
{
    struct room_message *message = container_of(task, struct room_message, task);
    (void)evict(message->fetches, message->bytes);
    free(message);
}

bool fetch_try_room(struct fetch_service *service, struct reactor *reactor, size_t bytes)
{
    if (take_of_waiting(service, bytes, WAITING_PERCENT)) {
        return true;
    }
    struct room_message *message = mem_new(struct room_message);
    message->task.run = on_room_message;
    message->fetches = fetches_of(service, reactor);
    message->bytes = bytes;
    reactor_post(reactor, &message->task);
    return false;
}

/* -- messages -- */

/* A partition moved: told to one reactor. */
struct advance_message {
    struct task task;
    struct reactor_fetches *fetches;
    struct partition *partition; /* held */
};

static void on_advance_message(struct task *task)
{
    struct advance_message *message = container_of(task, struct advance_message, task);
    struct reactor_fetches *mine = message->fetches;
    struct waiting_room *room = find_room(mine, message->partition);
    if (room != NULL && room->items != NULL) {
        /* For those that go on waiting. Who enters now looks by himself. */
        partition_watch(message->partition, reactor_index(mine->reactor));
        room->next = room->items;
        if (!room->queued) {
            room->queued = true;
            DL_APPEND2(mine->moved, room, prev_queued, next_queued);
        }
        go_on(mine);
    }
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
        message->fetches = &service->reactors[i];
        message->partition = partition;
        reactor_post(message->fetches->reactor, &message->task);
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
    struct fetch *fetch;
    message->fetches->draining = true;
    while ((fetch = largest(message->fetches)) != NULL) {
        end(fetch);
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
