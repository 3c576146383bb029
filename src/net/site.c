#include "net/site.h"

#include "base/mem.h"
#include "net/state.h"

#include <stdlib.h>

enum {
    LITTLE_PART = 16 /* of the share for answers */
};

void site_enter(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    struct peer_key key = peer_site(&conn->peer_key);
    struct site *site;
    HASH_FIND(hh, reactor->sites, &key, sizeof key, site);
    if (site == NULL) {
        site = mem_new(struct site);
        site->key = key;
        HASH_ADD(hh, reactor->sites, key, sizeof site->key, site);
    }
    site->conn_count++;
    conn->site = site;
}

void site_leave(struct conn *conn)
{
    struct site *site = conn->site;
    conn->site = NULL;
    if (--site->conn_count == 0) {
        HASH_DEL(conn->reactor->sites, site);
        free(site);
    }
}

void site_use(struct conn *conn, int64_t ns)
{
    struct site *site = conn->site;
    if (site == NULL) {
        return; /* it has closed */
    }
    if (site->turn != conn->reactor->turn_count) {
        site->turn = conn->reactor->turn_count;
        site->quick_ns = 0;
    }
    site->quick_ns += ns;
}

bool site_had_enough(const struct conn *conn)
{
    const struct site *site = conn->site;
    return site->turn == conn->reactor->turn_count &&
           site->quick_ns >= reactor_slice_ns(conn->reactor) / 2 &&
           HASH_COUNT(conn->reactor->sites) > 1;
}

bool site_holds_little(const struct conn *conn)
{
    const struct budget *budget = conn->reactor->answers.budget;
    return budget == NULL || conn->site->held_bytes <=
                                 (size_t)budget->shares[BUDGET_ANSWERS].limit_bytes / LITTLE_PART;
}
