#ifndef TIDINGS_NET_PEER_TABLE_H
#define TIDINGS_NET_PEER_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Connections per address, for the limit on them. Any thread. */
struct peer_count;

struct peer_table {
    pthread_mutex_t lock; /* guards the counts */
    size_t limit;         /* SIZE_MAX: none, and nothing is counted */
    struct peer_count *counts;
};

/* An IPv6 address, or an IPv4 one mapped into it. */
struct peer_key {
    uint8_t address[16];
};

/* The address without its port. */
struct peer_key peer_key_of(const struct sockaddr_storage *address);

/* What counts as one host: an IPv4 address, or the first 64 bits of an IPv6 one, as a host may have
 * all of them. */
struct peer_key peer_site(const struct peer_key *key);

/* "127.0.0.1:54321" or "[::1]:54321"; a mapped IPv4 address is shown as IPv4. */
enum { PEER_TEXT_BYTES = 56 };

/* Address and port as text. */
void peer_text(const struct sockaddr_storage *address, char text[PEER_TEXT_BYTES]);

/* The parts: host without brackets, and port. */
void peer_split(const struct sockaddr_storage *address, char *host, size_t host_size,
                uint16_t *port);

/* At most limit connections of one address. */
void peer_table_init(struct peer_table *table, size_t limit);
void peer_table_deinit(struct peer_table *table);

/* Counts one connection more of this address; false, and nothing counted, at the limit. */
bool peer_table_take(struct peer_table *table, const struct peer_key *key);

/* Counts one less. */
void peer_table_give(struct peer_table *table, const struct peer_key *key);

#endif
