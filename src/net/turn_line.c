#include "net/turn_line.h"

#include "base/mem.h"
#include "net/state.h"

#include <stdlib.h>

/* The default function falls through cases in a way that clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

struct turn_peer {
    struct peer_key key;
    struct conn *first;
    struct turn_peer *prev, *next;
    UT_hash_handle hh;
};

void turn_line_add(struct turn_line *line, struct conn *conn)
{
    struct peer_key key = peer_site(&conn->peer_key);
    struct turn_peer *peer;
    HASH_FIND(hh, line->peers, &key, sizeof key, peer);
    if (peer == NULL) {
        peer = mem_new(struct turn_peer);
        peer->key = key;
        HASH_ADD(hh, line->peers, key, sizeof peer->key, peer);
        DL_APPEND(line->first, peer);
    }
    conn->turn_peer = peer;
    DL_APPEND2(peer->first, conn, ready_prev, ready_next);
    line->count++;
}

void turn_line_remove(struct turn_line *line, struct conn *conn)
{
    struct turn_peer *peer = conn->turn_peer;
    conn->turn_peer = NULL;
    DL_DELETE2(peer->first, conn, ready_prev, ready_next);
    line->count--;
    if (peer->first == NULL) {
        DL_DELETE(line->first, peer);
        HASH_DEL(line->peers, peer);
        free(peer);
    }
}

struct conn *turn_line_take(struct turn_line *line)
{
    struct turn_peer *peer = line->first;
    if (peer == NULL) {
        return NULL;
    }
    struct conn *conn = peer->first;
    DL_DELETE(line->first, peer);
    DL_APPEND(line->first, peer);
    turn_line_remove(line, conn);
    return conn;
}
