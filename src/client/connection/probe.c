#include "client/connection/connection.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESS_MAX = 300 };

struct address {
    char host[ADDRESS_MAX];
    char port[16];
};

static enum err address_parse(const char *text, size_t size, struct address *address,
                              struct reason *reason)
{
    char copy[ADDRESS_MAX];
    if (size == 0 || size >= sizeof copy) {
        return reason_fail(reason, ERR_INVALID, "an address looks like HOST:PORT");
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    char *host = strstr(copy, "://");
    host = host != NULL ? host + 3 : copy;
    char *port = strrchr(host, ':');
    char *bracket = strrchr(host, ']');
    if (port != NULL && (bracket == NULL || port > bracket)) {
        *port++ = '\0';
    } else {
        port = NULL;
    }
    if (host[0] == '[' && bracket != NULL) {
        host++;
        *bracket = '\0';
    }
    if (host[0] == '\0' ||
        (port != NULL && (port[0] == '\0' || strlen(port) > 5 ||
                          port[strspn(port, "0123456789")] != '\0' || atoi(port) > UINT16_MAX))) {
        return reason_fail(reason, ERR_INVALID, "'%.*s' is not HOST:PORT", (int)size, text);
    }
    snprintf(address->host, sizeof address->host, "%s", host);
    snprintf(address->port, sizeof address->port, "%s", port != NULL ? port : "9092");
    return ERR_NONE;
}

enum err connection_host(const char *address, char *host, size_t size, struct reason *reason)
{
    struct address parsed;
    enum err err = address_parse(address, strlen(address), &parsed, reason);
    if (err == ERR_NONE && (size_t)snprintf(host, size, "%s", parsed.host) >= size) {
        err = reason_fail(reason, ERR_INVALID, "the host of '%.100s' is too long", address);
    }
    return err;
}

static enum err connect_one(const struct addrinfo *info, int timeout_ms, int *connected,
                            struct reason *reason)
{
    enum err err = ERR_NONE;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return reason_errno(reason, "no socket");
    }
    if (connect(fd, info->ai_addr, info->ai_addrlen) != 0) {
        int error = errno;
        socklen_t size = sizeof error;
        struct pollfd waiting = {.fd = fd, .events = POLLOUT};
        if (error == EINPROGRESS) {
            if (poll(&waiting, 1, timeout_ms) != 1) {
                error = ETIMEDOUT;
            } else {
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
            }
        }
        if (error != 0) {
            err = reason_fail(reason, error == ETIMEDOUT ? ERR_TIMEOUT : ERR_IO, "%s",
                              error == ECONNREFUSED ? "nobody listens there (connection refused)"
                                                    : strerror(error));
        }
    }
    if (err == ERR_NONE) {
        *connected = fd;
    } else {
        close(fd);
    }
    return err;
}

static enum err dial_one(const struct address *address, int timeout_ms, int *fd,
                         struct reason *reason)
{
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(address->host, address->port, &wanted, &found);
    if (code != 0) {
        return reason_fail(reason, ERR_IO, "host '%.100s': %s", address->host, gai_strerror(code));
    }
    enum err err = ERR_IO;
    for (struct addrinfo *info = found; info != NULL && err != ERR_NONE; info = info->ai_next) {
        err = connect_one(info, timeout_ms, fd, reason);
    }
    freeaddrinfo(found);
    return err;
}

enum err connection_dial(const char *addresses, int timeout_ms, int *fd, struct reason *reason)
{
    enum err err = reason_fail(reason, ERR_INVALID, "no address given");
    for (const char *at = addresses; *at != '\0';) {
        size_t size = strcspn(at, ",");
        struct address address;
        err = address_parse(at, size, &address, reason);
        if (err == ERR_NONE) {
            err = dial_one(&address, timeout_ms, fd, reason);
        }
        if (err == ERR_NONE) {
            return ERR_NONE;
        }
        at += size + (at[size] == ',');
    }
    return err;
}

enum err connection_probe(const char *addresses, int timeout_ms, struct reason *reason)
{
    int fd;
    enum err err = connection_dial(addresses, timeout_ms, &fd, reason);
    if (err == ERR_NONE) {
        close(fd);
    }
    return err;
}
