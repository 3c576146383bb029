#include "fake_bus.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct fake_feed {
    struct feed feed;
    struct fake_bus *bus;
    bool met[FAKE_SOURCES];
    int64_t next[FAKE_SOURCES];
    struct feed_event events[FAKE_AT_ONCE];
    struct fake_slot slots[FAKE_AT_ONCE];
    feed_begin *begin;
    void *context;
};

static void fill_cloud_event(struct event *event, int source, int64_t offset, int life,
                             struct fake_slot *slot)
{
    int size = snprintf(slot->id, sizeof slot->id, "id-%d-%lld", source, (long long)offset);
    if (life > 0) {
        snprintf(slot->id + size, sizeof slot->id - (size_t)size, "-%d", life);
    }
    slot->headers[0] = (struct event_header){"ce_specversion", slice_str("1.0")};
    slot->headers[1] = (struct event_header){"ce_id", slice_str(slot->id)};
    event->headers = slot->headers;
    event->header_count = 2;
}

static void fill(struct fake_feed *feed, int source, int64_t to, struct feed_piece *piece)
{
    struct fake_bus *bus = feed->bus;
    size_t count = 0;
    int64_t start = bus->starts[source];
    int64_t from = feed->next[source] < start ? start : feed->next[source];
    for (int64_t offset = from; offset < to; offset++) {
        if (offset > 0 && offset == bus->holes[source]) {
            continue;
        }
        struct event *event = &feed->events[count].event;
        feed->events[count] = (struct feed_event){.event = event_blank(), .producer_id = -1};
        event->offset = offset;
        if (bus->fill != NULL) {
            bus->fill(event, source, offset, &feed->slots[count]);
        } else {
            fill_cloud_event(event, source, offset, bus->lives[source], &feed->slots[count]);
        }
        count++;
    }
    feed->next[source] = to;
    *piece = (struct feed_piece){.kind = FEED_EVENTS,
                                 .source = bus->sources[source],
                                 .events = feed->events,
                                 .count = count,
                                 .next_offset = to,
                                 .start_offset = start,
                                 .end_offset = bus->ends[source],
                                 .damaged_from = -1};
}

static bool give(struct fake_feed *feed, int source, struct feed_piece *piece)
{
    struct fake_bus *bus = feed->bus;
    if (!feed->met[source] && bus->is_missing[source]) {
        return false;
    }
    if (!feed->met[source]) {
        feed->met[source] = true;
        int64_t from = feed->begin(feed->context, &bus->sources[source]);
        feed->next[source] = from == FEED_FROM_START ? 0 : from;
    }
    if (feed->next[source] == FEED_NOT_WANTED) {
        return false;
    }
    if (bus->is_gone[source]) {
        *piece = (struct feed_piece){.kind = FEED_GONE, .source = bus->sources[source]};
        feed->next[source] = FEED_NOT_WANTED;
        return true;
    }
    int64_t end = bus->ends[source];
    int64_t to = end - feed->next[source] > FAKE_AT_ONCE ? feed->next[source] + FAKE_AT_ONCE : end;
    if (to <= feed->next[source]) {
        return false;
    }
    fill(feed, source, to, piece);
    return true;
}

static enum err next(struct feed *base, int timeout_ms, struct feed_piece *piece,
                     struct reason *reason)
{
    struct fake_feed *feed = container_of(base, struct fake_feed, feed);
    struct fake_bus *bus = feed->bus;
    struct timespec until = cond_after_ms(timeout_ms);
    *piece = (struct feed_piece){.kind = FEED_NOTHING};
    pthread_mutex_lock(&bus->lock);
    bool got = false;
    int result = 0;
    int64_t tried_ms = 0;
    while (bus->hangs || (!got && !bus->is_woken && !bus->fails && result == 0)) {
        tried_ms = clock_wall_ms(clock_system());
        for (int i = 0; !got && i < FAKE_SOURCES; i++) {
            got = give(feed, i, piece);
        }
        if (!got || bus->hangs) {
            result = pthread_cond_timedwait(&bus->wake, &bus->lock, &until);
        }
    }
    piece->level_ms = !got && result != 0 ? tried_ms : 0;
    bus->is_woken = false;
    bool fails = bus->fails;
    pthread_mutex_unlock(&bus->lock);
    return fails ? reason_fail(reason, ERR_IO, "the fake bus is away") : ERR_NONE;
}

static void wake(struct feed *base)
{
    struct fake_bus *bus = container_of(base, struct fake_feed, feed)->bus;
    pthread_mutex_lock(&bus->lock);
    bus->is_woken = true;
    pthread_cond_signal(&bus->wake);
    pthread_mutex_unlock(&bus->lock);
}

static void free_feed(struct feed *base)
{
    free(container_of(base, struct fake_feed, feed));
}

struct feed *fake_bus_open_feed(void *context, feed_begin *begin, void *begin_context,
                                struct reason *reason)
{
    struct fake_bus *bus = context;
    struct fake_feed *feed = mem_new(struct fake_feed);
    (void)reason;
    feed->feed =
        (struct feed){.next = next, .wake = wake, .free = free_feed, .lag_ms = bus->lag_ms};
    feed->bus = bus;
    feed->begin = begin;
    feed->context = begin_context;
    pthread_mutex_lock(&bus->lock);
    bus->feeds++;
    pthread_mutex_unlock(&bus->lock);
    return &feed->feed;
}

void fake_bus_init(struct fake_bus *bus)
{
    *bus = (struct fake_bus){.sources = {{"orders", {1}, 0}, {"stock", {2}, 3}}};
    pthread_mutex_init(&bus->lock, NULL);
    cond_init(&bus->wake);
}

void fake_bus_deinit(struct fake_bus *bus)
{
    pthread_mutex_destroy(&bus->lock);
    pthread_cond_destroy(&bus->wake);
}

void fake_bus_publish(struct fake_bus *bus, int source, int count)
{
    pthread_mutex_lock(&bus->lock);
    bus->ends[source] += count;
    pthread_cond_signal(&bus->wake);
    pthread_mutex_unlock(&bus->lock);
}

struct event_mark fake_bus_mark(int source, int64_t offset, int life)
{
    struct fake_slot slot;
    struct event event = event_blank();
    event.offset = offset;
    fill_cloud_event(&event, source, offset, life, &slot);
    return event_mark_of(&event);
}

void fake_bus_make_again(struct fake_bus *bus, int source, int count)
{
    pthread_mutex_lock(&bus->lock);
    bus->lives[source]++;
    bus->ends[source] = count;
    bus->starts[source] = 0;
    bus->holes[source] = 0;
    pthread_cond_signal(&bus->wake);
    pthread_mutex_unlock(&bus->lock);
}

void fake_bus_set(struct fake_bus *bus, bool *flag, bool value)
{
    pthread_mutex_lock(&bus->lock);
    *flag = value;
    pthread_cond_broadcast(&bus->wake);
    pthread_mutex_unlock(&bus->lock);
}
