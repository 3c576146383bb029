#include "bus/http/http_listener.h"

#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_at(const struct addrinfo *at)
{
    const int on = 1;
    enum { BACKLOG = 256 };
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                    bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)) {
        int failed = errno;
        close(fd);
        errno = failed;
        fd = -1;
    }
    return fd;
}

/* ERR_EXISTS: somebody else has the port. */
static enum err listen_first(const char *text, const char *host, const char *port, int *fd,
                             struct reason *reason)
{
    const struct addrinfo wanted = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host[0] != '\0' ? host : NULL, port, &wanted, &found);
    if (code != 0) {
        return reason_fail(reason, ERR_IO, "http.listeners=%s: %s", text, gai_strerror(code));
    }
    *fd = -1;
    for (const struct addrinfo *at = found; at != NULL && *fd < 0; at = at->ai_next) {
        *fd = listen_at(at);
    }
    int failed = errno;
    freeaddrinfo(found);
    if (*fd >= 0) {
        return ERR_NONE;
    }
    reason_set(reason,
               "http.listeners=%s cannot be had (%s): name another address, or port 0 for "
               "any free one",
               text, strerror(failed));
    return failed == EADDRINUSE ? ERR_EXISTS : ERR_IO;
}

static bool is_loopback(const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET) {
        return ntohl(((const struct sockaddr_in *)at)->sin_addr.s_addr) >> 24 == 127;
    }
    return at->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)at)->sin6_addr);
}

static void name_it(struct http_listener *listener)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    char host[64], port[8];
    if (getsockname(listener->fd, (struct sockaddr *)&at, &size) == 0 &&
        getnameinfo((struct sockaddr *)&at, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        bool is_v6 = strchr(host, ':') != NULL;
        snprintf(listener->address, sizeof listener->address, "%s%s%s:%s", is_v6 ? "[" : "", host,
                 is_v6 ? "]" : "", port);
        listener->is_loopback = is_loopback(&at);
    }
}

enum err http_listener_open(const char *text, bool may_move, struct http_listener *listener,
                            struct reason *reason)
{
    char host[ADDRESS_HOST_SIZE];
    const char *port;
    *listener = (struct http_listener){.fd = -1};
    if (!address_split(text, host, &port)) {
        return reason_fail(reason, ERR_CONFIG,
                           "http.listeners=%s is no HOST:PORT (\"127.0.0.1:8080\", \"[::1]:8080\", "
                           "\":8080\" for any address, port 0 for any free one)",
                           text);
    }
    enum err err = listen_first(text, host, port, &listener->fd, reason);
    if (err == ERR_EXISTS && may_move) {
        err = listen_first(text, host, "0", &listener->fd, reason);
    }
    if (err != ERR_NONE) {
        return err == ERR_EXISTS ? ERR_IO : err;
    }
    name_it(listener);
    return ERR_NONE;
}
