#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/own_peers.h"
#include "net/state.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Reactor 0 accepts for all and hands each connection to the reactor that has the fewest: a broker
 * has few and long-lived connections, so four producers on two reactors must be two and two.
 * SO_REUSEPORT spreads by a hash and EPOLLEXCLUSIVE by who wakes first; with few connections both
 * leave reactors without work. Accepting is rare enough for one thread.
 */

enum {
    BACKLOG = 4096,
    PAUSE_MS = 100,
};

/* The reactor with the fewest connections, and how many there are in all. */
static unsigned least_loaded(struct net *net, size_t *total)
{
    *total = 0;
    unsigned best = 0;
    size_t best_count = SIZE_MAX;
    for (unsigned i = 1; i <= net->config.reactor_count; i++) {
        unsigned index = (net->last_choice + i) % net->config.reactor_count;
        size_t count = atomic_load(&net->reactors[index].connection_count);
        *total += count;
        if (count < best_count) {
            best = index;
            best_count = count;
        }
    }
    return best;
}

static void refuse(struct net *net, int fd, const struct sockaddr_storage *address, const char *why)
{
    char peer[PEER_TEXT_BYTES];
    peer_text(address, peer);
    reactor_log_peer(&net->reactors[0], "connection refused", peer, why);
    counter_add(&net->reactors[0].counters.closed[CONN_END_LIMIT], 1);
    close(fd);
}

/* Why a client's connection cannot be had; NULL: it can, and is counted. */
static const char *count_connection(struct listener *listener, size_t total,
                                    const struct peer_key *key)
{
    struct net *net = listener->net;
    size_t own = atomic_load(&net->own_count);
    size_t of_clients = total > own ? total - own : 0;
    size_t bytes = conn_bytes(listener->transport);
    if (of_clients >= net->config.max_connections) {
        return "the limit on connections is reached (max.connections)";
    }
    if (atomic_load(&net->connection_bytes) + bytes > net->most_connection_bytes) {
        return "the memory for connections is used up (memory.max)";
    }
    if (!peer_table_take(&net->peers, key)) {
        return "the limit on connections of one address is reached (max.connections.per.ip)";
    }
    atomic_fetch_add(&net->connection_bytes, bytes);
    return NULL;
}

static void take_connection(struct listener *listener, int fd,
                            const struct sockaddr_storage *address)
{
    struct net *net = listener->net;
    size_t total;
    unsigned chosen = least_loaded(net, &total);
    struct peer_key key = peer_key_of(address);
    bool is_own = net->config.own_peers != NULL && own_peers_take(net->config.own_peers, address);
    const char *why = is_own             ? NULL
                      : listener->is_own ? "only the server itself may connect here"
                                         : count_connection(listener, total, &key);
    if (why != NULL) {
        refuse(net, fd, address, why);
        return;
    }
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    struct reactor *reactor = &net->reactors[chosen];
    net->last_choice = chosen;
    atomic_fetch_add(&reactor->connection_count, 1);
    struct transport transport = {.kind = listener->transport, .fd = fd};
    struct conn *conn = conn_new(reactor, transport, listener->index, address, &key);
    conn->is_own = is_own;
    atomic_fetch_add(&net->own_count, is_own);
    if (reactor_is_own(reactor)) {
        conn_adopt(&conn->adopt);
    } else {
        reactor_post(reactor, &conn->adopt);
    }
}

/* Out of descriptors or memory, mostly: looks away for a moment, as epoll would tell again at once.
 */
static void pause_accepting(struct listener *listener)
{
    struct reactor *reactor = &listener->net->reactors[0];
    reactor_log_peer(reactor, "cannot accept connections", "?", strerrordesc_np(errno));
    epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
    reactor_timer_set(reactor, &listener->pause, reactor->now_ms + PAUSE_MS);
}

static void resume_accepting(struct reactor_timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, pause);
    if (!reactor_watch(&listener->net->reactors[0], listener->fd, &listener->source, EPOLLIN)) {
        pause_accepting(listener);
    }
}

/* Errors of the connection that was to be taken: the next one may be fine. accept(2), "Errors". */
static bool is_of_one_connection(int error)
{
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == EOPNOTSUPP || error == ENETUNREACH || error == EPERM;
}

static void on_ready(struct poll_source *source, uint32_t events)
{
    (void)events;
    struct listener *listener = (struct listener *)source;
    int64_t end_ns = clock_now_ns() + reactor_slice_ns(&listener->net->reactors[0]);
    while (listener->fd >= 0 && clock_now_ns() < end_ns) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(listener, fd, &address);
        } else if (errno == EAGAIN) {
            return;
        } else if (!is_of_one_connection(errno)) {
            pause_accepting(listener);
            return;
        }
    }
}

static uint16_t bound_port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
    peer_split(&address, host, sizeof host, &port);
    return port;
}

static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    }
}

/* A listening socket, or -1 with errno. An IPv6 any-address takes IPv4 as well. */
static int bind_one(const struct addrinfo *info, bool any)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int yes = 1;
    int only_v6 = !any;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (info->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static void add_listener(struct net *net, const struct transport_kind *transport, int fd)
{
    struct listener *listener = mem_new(struct listener);
    listener->source.ready = on_ready;
    listener->net = net;
    listener->transport = transport;
    listener->fd = fd;
    listener->index = net->listen_count;
    listener->pause.fire = resume_accepting;
    listener->next = net->listeners;
    net->listeners = listener;
}

static enum err bind_failed(struct reason *reason, const char *host, uint16_t port)
{
    const char *shown = host[0] != '\0' ? host : "*";
    if (errno == EADDRINUSE) {
        return reason_fail(reason, ERR_EXISTS,
                           "cannot listen on %s:%u: the port is in use; is another server running?",
                           shown, port);
    }
    return reason_errno(reason, "cannot listen on %s:%u", shown, port);
}

/* Binds every address of the list to one port; one bound is enough unless the port is taken. */
static enum err bind_all(struct net *net, const struct transport_kind *transport,
                         struct addrinfo *list, const char *host, bool any, uint16_t *port,
                         struct reason *reason)
{
    uint16_t wanted = *port;
    unsigned bound = 0;
    errno = EADDRNOTAVAIL;
    for (struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6) {
            continue;
        }
        set_port(info->ai_addr, *port);
        int fd = bind_one(info, any);
        if (fd >= 0) {
            *port = bound_port_of(fd);
            add_listener(net, transport, fd);
            bound++;
            if (any) {
                break; /* the first any-address covers the others */
            }
        } else if (errno == EADDRINUSE && wanted != 0) {
            return bind_failed(reason, host, wanted);
        }
    }
    return bound > 0 ? ERR_NONE : bind_failed(reason, host, wanted);
}

/* "" and "*": any address, IPv6 first as it takes IPv4 along. */
static enum err resolve(const char *host, bool any, struct addrinfo **list, struct reason *reason)
{
    char bare[256];
    size_t size = strlen(host);
    if (size >= sizeof bare) {
        return reason_fail(reason, ERR_INVALID, "listen address %.40s... is too long", host);
    }
    bool brackets = size >= 2 && host[0] == '[' && host[size - 1] == ']';
    snprintf(bare, sizeof bare, "%.*s", (int)(brackets ? size - 2 : size), host + brackets);
    struct addrinfo hints = {.ai_family = any ? AF_INET6 : AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE};
    int failed = getaddrinfo(any ? "::" : bare, "0", &hints, list);
    if (failed) {
        return reason_fail(reason, ERR_INVALID, "cannot listen on %s: %s", host,
                           gai_strerror(failed));
    }
    return ERR_NONE;
}

enum err net_listen(struct net *net, const struct transport_kind *transport, const char *host,
                    uint16_t port, uint16_t *bound_port, struct reason *reason)
{
    bool any = host[0] == '\0' || strcmp(host, "*") == 0;
    struct addrinfo *list = NULL;
    enum err err = resolve(host, any, &list, reason);
    if (err == ERR_NONE) {
        *bound_port = port;
        err = bind_all(net, transport, list, host, any, bound_port, reason);
        freeaddrinfo(list);
        if (err != ERR_NONE && any && err != ERR_EXISTS) { /* a machine without IPv6 */
            return net_listen(net, transport, "0.0.0.0", port, bound_port, reason);
        }
    }
    net->listen_count += err == ERR_NONE;
    return err;
}

enum err net_listen_own(struct net *net, uint16_t *bound_port, struct reason *reason)
{
    enum err err = net_listen(net, &transport_plain, "127.0.0.1", 0, bound_port, reason);
    if (err == ERR_NONE) {
        net->listeners->is_own = true; /* the newest; one address, one socket */
    }
    return err;
}

void listeners_start(struct net *net)
{
    for (struct listener *listener = net->listeners; listener != NULL; listener = listener->next) {
        resume_accepting(&listener->pause);
    }
}

void listeners_close(struct net *net)
{
    for (struct listener *listener = net->listeners; listener != NULL; listener = listener->next) {
        if (listener->fd >= 0) {
            reactor_timer_cancel(&net->reactors[0], &listener->pause);
            close(listener->fd);
            listener->fd = -1;
        }
    }
}
