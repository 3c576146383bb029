#include "stream/fetch.h"

#include "base/mem.h"
#include "stream/fetch_look.h"
#include "stream/fetch_wait.h"

/* A fetch from its start to its end, but for the wait. */

/* The fetch is the caller's again. Its memory is given back first, as who is answered may ask for
 * it at once: what is answered at the moment is one request a thread. */
static void finish(struct fetch *fetch)
{
    if (fetch->reserved_bytes > 0) {
        fetch_give_room(fetch->service, fetch->reserved_bytes);
    }
    fetch->done(fetch);
}

/* Whether a span can be sent as it is: its bytes are good, and in memory, so that the reactor does
 * not wait for the disk. */
static bool is_ready(const struct file_span *span)
{
    return span->verified && file_span_is_warm(span);
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

static void post_slow(struct fetch *fetch, void (*run)(struct task *task))
{
    fetch->task.run = run;
    workers_post(fetch->service->workers, fetch->owner, WORKER_SLOW, &fetch->task);
}

/* One item a turn. */
static void read_cold(struct task *task)
{
    struct fetch *fetch = container_of(task, struct fetch, task);
    fetch_verify(&fetch->items[fetch->next_cold++]);
    if (find_cold(fetch) != NULL) {
        post_slow(fetch, read_cold);
        return;
    }
    fetch_find_aborted(fetch);
    finish(fetch);
}

/* The results are there: hands them over, after a worker has read and checked what needs it. */
static void give(struct fetch *fetch)
{
    fetch->next_cold = 0;
    if (find_cold(fetch) != NULL) {
        post_slow(fetch, read_cold);
        return;
    }
    fetch_find_aborted(fetch);
    finish(fetch);
}

/* Has waited, or was not to. */
static void give_after_wait(struct fetch *fetch)
{
    if (fetch->cancelled) {
        fetch_release(fetch);
        finish(fetch);
        return;
    }
    if (fetch->dropped_count > 0) {
        fetch_release(fetch);
        if (fetch_look_at_all(fetch)) {
            fetch->hold_ms = 0;
        }
    }
    give(fetch);
}

static void on_left_slowly(struct task *task)
{
    give_after_wait(container_of(task, struct fetch, task));
}

/* What is cancelled has nothing to be done for it that takes long. */
static void on_left(struct fetch *fetch)
{
    if (fetch->item_count <= FETCH_QUICK_ITEMS || fetch->cancelled) {
        give_after_wait(fetch);
    } else {
        post_slow(fetch, on_left_slowly);
    }
}

/* True when the fetch is to be answered now. Else nothing is held of what was found. */
static bool look_first(struct fetch_service *service, struct reactor *reactor, struct fetch *fetch)
{
    fetch->service = service;
    fetch->reactor = reactor;
    fetch->left = on_left;
    return fetch_look_at_all(fetch) || fetch->max_wait_ms <= 0;
}

static void give_for_want_of_memory(struct fetch *fetch)
{
    fetch->hold_ms = fetch_hold_ms(fetch->max_wait_ms);
    give(fetch);
}

void fetch_start(struct fetch_service *service, struct reactor *reactor, struct fetch *fetch)
{
    if (look_first(service, reactor, fetch)) {
        give(fetch);
    } else if (!fetch_take_room(service, reactor, fetch->held_bytes)) {
        give_for_want_of_memory(fetch);
    } else {
        fetch->reserved_bytes = fetch->held_bytes;
        fetch_drop_all(fetch);
        fetch_wait_begin(fetch);
    }
}

static void on_arrived(struct task *task)
{
    fetch_wait_begin(container_of(task, struct fetch, task));
}

void fetch_start_slowly(struct fetch_service *service, struct reactor *reactor, struct fetch *fetch)
{
    if (look_first(service, reactor, fetch)) {
        give(fetch);
    } else if (!fetch_try_room(service, reactor, fetch->held_bytes)) {
        give_for_want_of_memory(fetch);
    } else {
        fetch->reserved_bytes = fetch->held_bytes;
        fetch_drop_all(fetch);
        fetch->task.run = on_arrived;
        reactor_post(reactor, &fetch->task);
    }
}
