#include "net/net.h"

#include "base/mem.h"
#include "net/held_reply.h"
#include "net/state.h"

#include <sched.h>
#include <stdlib.h>

/* The whole: configuration, start, drain, stop, replies from any thread. */

enum { MAX_REACTORS = 64 };

unsigned net_processor_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > MAX_REACTORS ? MAX_REACTORS : (unsigned)count;
}

void net_config_init(struct net_config *config)
{
    *config = (struct net_config){
        .reactor_count = net_processor_count(),
        .max_frame_bytes = 100 << 20,
        .max_connections = 65536,
        .max_connections_per_ip = SIZE_MAX,
        .request_memory_bytes = 256 << 20,
        .max_parked_replies = 256,
        .max_unsent_bytes = 4 << 20,
        .idle_timeout_ms = 600000,
        .stall_timeout_ms = 30000,
    };
}

static enum err check_config(const struct net_config *config, struct reason *reason)
{
    if (config->reactor_count < 1 || config->reactor_count > MAX_REACTORS) {
        return reason_fail(reason, ERR_CONFIG, "the number of reactors is %u, not 1 to %d",
                           config->reactor_count, MAX_REACTORS);
    }
    if (config->max_frame_bytes < 1 || config->max_frame_bytes > INT32_MAX) {
        return reason_fail(reason, ERR_CONFIG, "the request limit is %zu bytes, not 1 to %d",
                           config->max_frame_bytes, INT32_MAX);
    }
    if (config->max_parked_replies < 1 || config->max_connections < 1 ||
        config->max_connections_per_ip < 1 || config->stall_timeout_ms < 1 ||
        config->idle_timeout_ms < 0) {
        return reason_fail(reason, ERR_CONFIG, "a limit on connections is zero or negative");
    }
    return ERR_NONE;
}

/* Connections alone may take three fifths of the share for frames. */
static size_t most_connection_bytes(const struct net_config *config)
{
    return config->budget != NULL
               ? (size_t)config->budget->shares[BUDGET_FRAMES].limit_bytes / 5 * 3
               : SIZE_MAX;
}

enum err net_new(const struct net_config *config, const struct net_handler *handler,
                 struct net **out, struct reason *reason)
{
    enum err err = check_config(config, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct net *net = mem_new(struct net);
    net->config = *config;
    net->handler = *handler;
    net->last_choice = config->reactor_count - 1;
    frame_memory_init(&net->memory, config->request_memory_bytes, config->budget);
    net->most_connection_bytes = most_connection_bytes(config);
    peer_table_init(&net->peers, config->max_connections_per_ip);
    net->reactors = mem_new_array(struct reactor, config->reactor_count);
    for (unsigned i = 0; i < config->reactor_count; i++) {
        net->reactors[i].epoll_fd = net->reactors[i].wake_fd = -1;
    }
    for (unsigned i = 0; i < config->reactor_count && err == ERR_NONE; i++) {
        err = reactor_init(&net->reactors[i], net, i, reason);
        relief_init(&net->reactors[i]);
    }
    if (err != ERR_NONE) {
        net_free(net);
        return err;
    }
    *out = net;
    return ERR_NONE;
}

enum err net_start(struct net *net, struct reason *reason)
{
    net->started = true;
    listeners_start(net); /* before the threads: from then on they are reactor 0's */
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        enum err err = loop_start(&net->reactors[i], reason);
        if (err != ERR_NONE) {
            net_stop(net);
            return err;
        }
    }
    return ERR_NONE;
}

static void drain(struct task *task)
{
    struct reactor *reactor = container_of(task, struct reactor, drain_task);
    if (reactor->index == 0) {
        listeners_close(reactor->net);
    }
    atomic_store(&reactor->draining, true);
    held_reply_release(reactor);
    for (size_t i = 0; i < reactor->slots.count; i++) {
        if (reactor->slots.items[i] != NULL) {
            conn_touch(reactor->slots.items[i]); /* to stop watching for input */
        }
    }
}

void net_drain(struct net *net)
{
    if (atomic_exchange(&net->draining, true)) {
        return;
    }
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        net->reactors[i].drain_task.run = drain;
        reactor_post(&net->reactors[i], &net->reactors[i].drain_task);
    }
}

bool net_drained(struct net *net)
{
    bool draining = atomic_load(&net->draining);
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        struct reactor *reactor = &net->reactors[i];
        if ((draining && !atomic_load(&reactor->draining)) ||
            atomic_load_explicit(&reactor->owed_frames, memory_order_acquire) > 0) {
            return false;
        }
    }
    return true;
}

static void stop(struct task *task)
{
    struct reactor *reactor = container_of(task, struct reactor, stop_task);
    reactor->stopping = true;
}

/* What is still in the mailboxes runs here: every task runs once, every reply is freed. */
static void run_left_tasks(struct net *net)
{
    bool again = true;
    while (again) {
        again = false;
        for (unsigned i = 0; i < net->config.reactor_count; i++) {
            again = again || !mailbox_is_empty(&net->reactors[i].mailbox);
            reactor_run_mailbox(&net->reactors[i]);
        }
    }
}

void net_stop(struct net *net)
{
    if (net->stopped) {
        return;
    }
    net->stopped = true;
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        net->reactors[i].stop_task.run = stop;
        reactor_post(&net->reactors[i], &net->reactors[i].stop_task);
    }
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        struct reactor *reactor = &net->reactors[i];
        if (reactor->has_thread) {
            pthread_join(reactor->thread, NULL);
        }
        atomic_store(&reactor->owner, pthread_self());
        reactor->stopping = true;
    }
    listeners_close(net);
    run_left_tasks(net);
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        held_reply_release(&net->reactors[i]); /* whose connections are gone */
    }
}

void net_free(struct net *net)
{
    if (net == NULL) {
        return;
    }
    net_stop(net);
    run_left_tasks(net);
    while (net->listeners != NULL) {
        struct listener *listener = net->listeners;
        net->listeners = listener->next;
        free(listener);
    }
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        reactor_deinit(&net->reactors[i]);
    }
    frame_memory_deinit(&net->memory);
    peer_table_deinit(&net->peers);
    free(net->reactors);
    free(net);
}

unsigned net_reactor_count(const struct net *net)
{
    return net->config.reactor_count;
}

struct reactor *net_reactor(struct net *net, unsigned index)
{
    return &net->reactors[index];
}

size_t net_connection_count(struct net *net)
{
    size_t count = 0;
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        count += atomic_load(&net->reactors[i].connection_count);
    }
    size_t own = atomic_load(&net->own_count);
    return count > own ? count - own : 0;
}

/* A reply on its way to the reactor of its connection. */
struct posted_reply {
    struct task task;
    struct reactor *reactor;
    struct reply_token token;
    struct reply reply;
    size_t counted_bytes;
};

/* On the way it counts too: the reactor may have no processor for a while. */
static void count_posted(struct posted_reply *posted)
{
    struct budget *budget = posted->reactor->answers.budget;
    if (budget != NULL) {
        posted->counted_bytes = posted->reply.bytes.capacity;
        budget_add(budget, BUDGET_ANSWERS, posted->counted_bytes);
    }
}

/* On the reactor's thread. */
static void complete(struct reactor *reactor, struct reply_token token, struct reply *reply)
{
    if (reply->hold_ms > 0) {
        held_reply_add(reactor, token, reply);
    } else {
        conn_complete(reactor, token, reply);
    }
}

static void complete_posted(struct task *task)
{
    struct posted_reply *posted = container_of(task, struct posted_reply, task);
    if (posted->counted_bytes > 0) { /* the reactor counts it from here on */
        budget_give(posted->reactor->answers.budget, BUDGET_ANSWERS, posted->counted_bytes);
    }
    complete(posted->reactor, posted->token, &posted->reply);
    free(posted);
}

void net_reply(struct net *net, struct reply_token token, struct reply *reply)
{
    struct reactor *reactor = &net->reactors[token.reactor_index];
    if (reactor_is_own(reactor)) {
        complete(reactor, token, reply);
        return;
    }
    if (pressure_refuses(reactor, reply)) {
        reply_drop(reply);
    }
    struct posted_reply *posted = mem_alloc(sizeof *posted);
    *posted = (struct posted_reply){
        .task.run = complete_posted, .reactor = reactor, .token = token, .reply = *reply};
    count_posted(posted);
    *reply = (struct reply){0};
    reactor_post(reactor, &posted->task);
}

static void add_counters(const struct reactor_counters *from, struct net_stats *out)
{
    out->accepted += atomic_load_explicit(&from->accepted, memory_order_relaxed);
    out->frames += atomic_load_explicit(&from->frames, memory_order_relaxed);
    out->bytes_in += atomic_load_explicit(&from->bytes_in, memory_order_relaxed);
    out->bytes_out += atomic_load_explicit(&from->bytes_out, memory_order_relaxed);
    for (unsigned end = 0; end <= CONN_END_STOP; end++) {
        out->closed[end] += atomic_load_explicit(&from->closed[end], memory_order_relaxed);
    }
}

void net_stats(struct net *net, struct net_stats *out)
{
    *out = (struct net_stats){0};
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        add_counters(&net->reactors[i].counters, out);
    }
}
