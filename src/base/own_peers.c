#include "base/own_peers.h"

#include "base/mem.h"
#include "base/vec.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* An IPv6 address, or an IPv4 one mapped into it, and a port: as a server that listens for both is
 * told of either. */
struct place {
    uint8_t address[16];
    uint16_t port; /* as on the wire */
};

struct noted {
    int fd;
    struct place place;
};

struct own_peers {
    atomic_uint references;
    pthread_mutex_t lock;
    VEC(struct noted) noted; /* not accepted yet: few, and for a moment */
};

struct own_peers *own_peers_new(void)
{
    struct own_peers *peers = mem_new(struct own_peers);
    atomic_init(&peers->references, 1);
    pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

struct own_peers *own_peers_ref(struct own_peers *peers)
{
    atomic_fetch_add_explicit(&peers->references, 1, memory_order_relaxed);
    return peers;
}

void own_peers_unref(struct own_peers *peers)
{
    if (peers != NULL &&
        atomic_fetch_sub_explicit(&peers->references, 1, memory_order_acq_rel) == 1) {
        vec_deinit(&peers->noted);
        pthread_mutex_destroy(&peers->lock);
        free(peers);
    }
}

static bool place_of(const struct sockaddr_storage *address, struct place *place)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    *place = (struct place){0};
    if (address->ss_family == AF_INET) {
        place->address[10] = place->address[11] = 0xff;
        memcpy(place->address + 12, &in->sin_addr, 4);
        place->port = in->sin_port;
    } else if (address->ss_family == AF_INET6) {
        memcpy(place->address, &in6->sin6_addr, 16);
        place->port = in6->sin6_port;
    }
    return place->port != 0;
}

/* Binds the socket to the address that it is to be connected to, at a free port: who connects to
 * one of the machine's own addresses comes from the same. */
static bool bind_to(int fd, const struct sockaddr *to, socklen_t size, struct place *place)
{
    struct sockaddr_storage own = {0};
    socklen_t own_size = sizeof own;
    memcpy(&own, to, size);
    if (own.ss_family == AF_INET) {
        ((struct sockaddr_in *)&own)->sin_port = 0;
    } else if (own.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&own)->sin6_port = 0;
    } else {
        return false;
    }
    return bind(fd, (const struct sockaddr *)&own, size) == 0 &&
           getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 && place_of(&own, place);
}

int own_peers_connect(struct own_peers *peers, int fd, const struct sockaddr *to, socklen_t size)
{
    struct noted noted = {.fd = fd};
    if (size <= sizeof(struct sockaddr_storage) && bind_to(fd, to, size, &noted.place)) {
        pthread_mutex_lock(&peers->lock);
        vec_push(&peers->noted, noted);
        pthread_mutex_unlock(&peers->lock);
    }
    return connect(fd, to, size) == 0 || errno == EINPROGRESS ? 0 : errno;
}

void own_peers_forget(struct own_peers *peers, int fd)
{
    pthread_mutex_lock(&peers->lock);
    for (size_t i = peers->noted.count; i-- > 0;) {
        if (peers->noted.items[i].fd == fd) {
            vec_remove(&peers->noted, i);
        }
    }
    pthread_mutex_unlock(&peers->lock);
}

bool own_peers_take(struct own_peers *peers, const struct sockaddr_storage *from)
{
    struct place place;
    bool is_own = false;
    if (!place_of(from, &place)) {
        return false;
    }
    pthread_mutex_lock(&peers->lock);
    for (size_t i = 0; i < peers->noted.count && !is_own; i++) {
        const struct place *noted = &peers->noted.items[i].place;
        is_own = noted->port == place.port &&
                 memcmp(noted->address, place.address, sizeof place.address) == 0;
        if (is_own) {
            vec_remove(&peers->noted, i);
        }
    }
    pthread_mutex_unlock(&peers->lock);
    return is_own;
}
