#include "net/peer_table.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The default function falls through cases in a way that clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>

enum { SITE_BYTES = 8 /* of an IPv6 address */ };

struct peer_count {
    struct peer_key key;
    size_t connections;
    UT_hash_handle hh;
};

struct peer_key peer_key_of(const struct sockaddr_storage *address)
{
    struct peer_key key = {0};
    if (address->ss_family == AF_INET6) {
        memcpy(key.address, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    } else {
        key.address[10] = key.address[11] = 0xff;
        memcpy(key.address + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    }
    return key;
}

struct peer_key peer_site(const struct peer_key *key)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct peer_key site = *key;
    if (memcmp(site.address, mapped, sizeof mapped) != 0) {
        memset(site.address + SITE_BYTES, 0, sizeof site.address - SITE_BYTES);
    }
    return site;
}

void peer_split(const struct sockaddr_storage *address, char *host, size_t host_size,
                uint16_t *port)
{
    struct peer_key key = peer_key_of(address);
    struct in6_addr as_in6;
    memcpy(&as_in6, key.address, sizeof as_in6);
    const void *from = IN6_IS_ADDR_V4MAPPED(&as_in6) ? key.address + 12 : key.address;
    host[0] = '\0';
    inet_ntop(from == key.address ? AF_INET6 : AF_INET, from, host, (socklen_t)host_size);
    *port = ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                 : ((const struct sockaddr_in *)address)->sin_port);
}

void peer_text(const struct sockaddr_storage *address, char text[PEER_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
    peer_split(address, host, sizeof host, &port);
    snprintf(text, PEER_TEXT_BYTES, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

void peer_table_init(struct peer_table *table, size_t limit)
{
    *table = (struct peer_table){.limit = limit};
    pthread_mutex_init(&table->lock, NULL);
}

void peer_table_deinit(struct peer_table *table)
{
    struct peer_count *count, *next;
    HASH_ITER (hh, table->counts, count, next) {
        HASH_DEL(table->counts, count);
        free(count);
    }
    pthread_mutex_destroy(&table->lock);
}

bool peer_table_take(struct peer_table *table, const struct peer_key *key)
{
    if (table->limit == SIZE_MAX) {
        return true;
    }
    pthread_mutex_lock(&table->lock);
    struct peer_count *count;
    HASH_FIND(hh, table->counts, key, sizeof *key, count);
    if (count == NULL) {
        count = mem_new(struct peer_count);
        count->key = *key;
        HASH_ADD(hh, table->counts, key, sizeof count->key, count);
    }
    bool taken = count->connections < table->limit;
    if (taken) {
        count->connections++;
    }
    pthread_mutex_unlock(&table->lock);
    return taken;
}

void peer_table_give(struct peer_table *table, const struct peer_key *key)
{
    if (table->limit == SIZE_MAX) {
        return;
    }
    pthread_mutex_lock(&table->lock);
    struct peer_count *count;
    HASH_FIND(hh, table->counts, key, sizeof *key, count);
    assert(count != NULL && count->connections > 0);
    if (--count->connections == 0) {
        HASH_DEL(table->counts, count);
        free(count);
    }
    pthread_mutex_unlock(&table->lock);
}
