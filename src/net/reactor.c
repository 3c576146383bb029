#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "net/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { POOL_KEEP_MS = 2000, POOL_PART = 16 /* of the share for frames, a reactor */ };

enum {
    SLICE_NS = 300000,       /* of one in the line at a time, and of the whole line a turn */
    SHORT_SLICE_NS = 100000, /* the same while others are there who ask for little: they wait for it
                                when they come, and again when the disk has their events */
    SHORT_FOR_NS = 20000000  /* since the last of them */
};

static void on_wake(struct poll_source *source, uint32_t events)
{
    (void)events;
    struct reactor *reactor = container_of(source, struct reactor, wake_source);
    uint64_t count;
    ssize_t ignored = read(reactor->wake_fd, &count, sizeof count);
    (void)ignored;
}

/* Frees what a burst of large frames left behind once none came for a while. */
static void on_pool_timer(struct reactor_timer *timer)
{
    struct reactor *reactor = container_of(timer, struct reactor, pool_timer);
    if (reactor->pool_used) {
        reactor->pool_used = false;
        reactor_timer_set(reactor, timer, reactor->now_ms + POOL_KEEP_MS);
    } else {
        frame_pool_clear(&reactor->pool);
        reactor_count_pool(reactor);
    }
}

void reactor_count_pool(struct reactor *reactor)
{
    size_t kept = reactor->pool.kept_bytes;
    if (kept > reactor->pool_counted) {
        budget_purse_add(&reactor->frames, kept - reactor->pool_counted);
    } else {
        budget_purse_give(&reactor->frames, reactor->pool_counted - kept);
    }
    reactor->pool_counted = kept;
}

/* What is kept of buffers, out of a share for all reactors. */
static size_t pool_limit(const struct net_config *config)
{
    int64_t part = config->budget != NULL
                       ? config->budget->shares[BUDGET_FRAMES].limit_bytes / POOL_PART
                       : FRAME_POOL_BYTES;
    return part < FRAME_POOL_BYTES ? (size_t)part : FRAME_POOL_BYTES;
}

enum err reactor_init(struct reactor *reactor, struct net *net, unsigned index,
                      struct reason *reason)
{
    reactor->net = net;
    reactor->index = index;
    reactor->wake_source.ready = on_wake;
    reactor->pool_timer.fire = on_pool_timer;
    reactor->pool.limit_bytes = pool_limit(&net->config);
    reactor->now_ms = clock_mono_ms(clock_system());
    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (reactor->epoll_fd < 0) {
        return reason_errno(reason, "cannot create an epoll descriptor");
    }
    reactor->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (reactor->wake_fd < 0 ||
        !reactor_watch(reactor, reactor->wake_fd, &reactor->wake_source, EPOLLIN)) {
        return reason_errno(reason, "cannot create an event descriptor");
    }
    reactor->read_scratch = mem_alloc(SCRATCH_BYTES);
    reactor->write_scratch = mem_alloc(SCRATCH_BYTES);
    return ERR_NONE;
}

void reactor_deinit(struct reactor *reactor)
{
    if (reactor->epoll_fd >= 0) {
        close(reactor->epoll_fd);
    }
    if (reactor->wake_fd >= 0) {
        close(reactor->wake_fd);
    }
    heap_deinit(&reactor->timers);
    frame_pool_clear(&reactor->pool);
    vec_deinit(&reactor->slots);
    free(reactor->read_scratch);
    free(reactor->write_scratch);
}

bool reactor_watch(struct reactor *reactor, int fd, struct poll_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    return epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool reactor_is_own(struct reactor *reactor)
{
    return pthread_equal(atomic_load_explicit(&reactor->owner, memory_order_relaxed),
                         pthread_self());
}

/*
 * The poster puts, then looks at asleep; the reactor sets asleep, then looks at the mailbox: both
 * are sequentially consistent, so one of them sees the other and no task is slept over. A busy
 * reactor costs the poster no system call, and many posts to a sleeping one cost one.
 */
void reactor_post(struct reactor *reactor, struct task *task)
{
    mailbox_put(&reactor->mailbox, task);
    if (atomic_load(&reactor->asleep) && atomic_exchange(&reactor->asleep, false)) {
        uint64_t one = 1;
        ssize_t ignored = write(reactor->wake_fd, &one, sizeof one);
        (void)ignored;
    }
}

void reactor_run_mailbox(struct reactor *reactor)
{
    struct task *task = mailbox_take(&reactor->mailbox);
    while (task != NULL) {
        struct task *next = task->next;
        reactor->worked = true;
        task->run(task);
        task = next;
    }
}

void reactor_timer_set(struct reactor *reactor, struct reactor_timer *timer, int64_t at_ms)
{
    heap_set(&reactor->timers, &timer->node, at_ms);
}

void reactor_timer_cancel(struct reactor *reactor, struct reactor_timer *timer)
{
    heap_remove(&reactor->timers, &timer->node);
}

void reactor_run_timers(struct reactor *reactor)
{
    /* A timer that sets itself to now again waits for the next turn. */
    for (size_t left = reactor->timers.nodes.count; left > 0; left--) {
        struct heap_node *node = heap_least(&reactor->timers);
        if (node == NULL || node->key > reactor->now_ms) {
            break;
        }
        heap_remove(&reactor->timers, node);
        struct reactor_timer *timer = container_of(node, struct reactor_timer, node);
        reactor->worked = true;
        timer->fire(timer);
    }
}

static int wait_ms(struct reactor *reactor)
{
    if (reactor->line.count > 0 || reactor->worked) {
        return 0;
    }
    struct heap_node *node = heap_least(&reactor->timers);
    if (node == NULL) {
        return -1;
    }
    int64_t left = node->key - clock_mono_ms(clock_system());
    return left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

int reactor_wait(struct reactor *reactor, struct epoll_event events[EVENTS_PER_TURN])
{
    int timeout_ms = wait_ms(reactor);
    if (timeout_ms != 0) {
        atomic_store(&reactor->asleep, true);
        if (!mailbox_is_empty(&reactor->mailbox)) {
            timeout_ms = 0;
        }
    }
    int count = epoll_wait(reactor->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
    atomic_store_explicit(&reactor->asleep, false, memory_order_relaxed);
    reactor->now_ns = clock_now_ns();
    reactor->now_ms = reactor->now_ns / 1000000;
    return count;
}

void reactor_log_peer(struct reactor *reactor, const char *message, const char *peer,
                      const char *reason)
{
    LOG_WARN("net", message, "peer=%s reason=\"%s\"", peer, reason);
}

unsigned reactor_index(const struct reactor *reactor)
{
    return reactor->index;
}

bool reactor_is_short(const struct reactor *reactor)
{
    return reactor->now_ns - reactor->little_ns < SHORT_FOR_NS;
}

int64_t reactor_slice_ns(const struct reactor *reactor)
{
    return reactor_is_short(reactor) ? SHORT_SLICE_NS : SLICE_NS;
}

int64_t reactor_now_ms(const struct reactor *reactor)
{
    return reactor->now_ms;
}
