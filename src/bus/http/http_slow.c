#include "bus/http/http_inside.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

/*
 * Deadlines of connections. libmicrohttpd has one for silence only, so that a client which sends a
 * byte now and then would keep its place for ever.
 */

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/*
 * The last places are kept free: who has been sending a request, or nothing, for longest makes
 * room, or half requests would keep everybody out, and with them whoever asks whether it is well.
 * With the lock held.
 */
static void make_room(struct http *http)
{
    enum { SPARE_PART = 16 };
    struct http_peer *peer, *oldest = NULL;
    unsigned most = http->settings.connections_max;
    if (http->peer_count + most / SPARE_PART < most) {
        return;
    }
    DL_FOREACH (http->peers, peer) {
        bool is_waited_for = peer->phase == HTTP_IDLE || peer->phase == HTTP_COMING;
        if (is_waited_for && !peer->is_cut &&
            (oldest == NULL || peer->since_ms < oldest->since_ms)) {
            oldest = peer;
        }
    }
    if (oldest != NULL) {
        oldest->is_cut = true;
        shutdown(oldest->fd, SHUT_RDWR);
        atomic_fetch_add(&http->cut, 1);
    }
}

struct http_peer *http_peer_open(struct http *http, int fd)
{
    struct http_peer *peer = mem_new(struct http_peer);
    peer->http = http;
    peer->fd = fd;
    peer->since_ms = now_ms();
    pthread_mutex_lock(&http->lock);
    make_room(http);
    DL_APPEND(http->peers, peer);
    http->peer_count++;
    pthread_mutex_unlock(&http->lock);
    return peer;
}

void http_peer_close(struct http_peer *peer)
{
    struct http *http = peer->http;
    pthread_mutex_lock(&http->lock); /* from here on nobody shuts a descriptor that is another's */
    DL_DELETE(http->peers, peer);
    http->peer_count--;
    pthread_mutex_unlock(&http->lock);
    free(peer);
}

void http_peer_phase(struct http_peer *peer, enum http_phase phase)
{
    pthread_mutex_lock(&peer->http->lock);
    peer->phase = phase;
    peer->since_ms = now_ms();
    pthread_mutex_unlock(&peer->http->lock);
}

/* How long it may be in its phase; below 0: for ever. When places are short, those who do nothing
 * make room. */
static int64_t patience_ms(const struct http *http, const struct http_peer *peer)
{
    enum { CROWDED_MS = 2000 };
    bool is_crowded = http->peer_count >= http->settings.connections_max / 4 * 3;
    switch (peer->phase) {
    case HTTP_IDLE:
        return is_crowded && http->settings.idle_ms > CROWDED_MS ? CROWDED_MS
                                                                 : http->settings.idle_ms;
    case HTTP_COMING:
        return http->settings.request_ms;
    case HTTP_ANSWERED:
        return http->settings.reply_ms;
    case HTTP_HANDLED:
    case HTTP_STREAMING:
        break;
    }
    return -1;
}

void http_cut_slow(struct http *http, bool all)
{
    int64_t now = now_ms();
    struct http_peer *peer;
    uint64_t cut = 0;
    pthread_mutex_lock(&http->lock);
    DL_FOREACH (http->peers, peer) {
        int64_t patience = patience_ms(http, peer);
        bool is_due = patience >= 0 && now - peer->since_ms >= patience;
        if (!peer->is_cut && peer->phase != HTTP_HANDLED && (all || is_due)) {
            peer->is_cut = true;
            cut += peer->phase != HTTP_IDLE && !all;
            shutdown(peer->fd, SHUT_RDWR); /* its thread finds that out, and closes it */
        }
    }
    atomic_fetch_add(&http->cut, cut); /* before it is seen that they are gone */
    pthread_mutex_unlock(&http->lock);
    if (cut > 0) {
        LOG_DEBUG("http", "cut connections that were too slow", "connections=%llu",
                  (unsigned long long)cut);
    }
}
