#include "broker/server_feed.h"

#include "base/cond.h"
#include "base/mem.h"
#include "stream/log_feed.h"

#include <pthread.h>
#include <stdlib.h>

struct server_feed {
    struct feed feed;
    struct server_feeds *feeds; /* a reference */
};

struct server_feeds {
    pthread_mutex_t lock; /* all below */
    pthread_cond_t idle;
    unsigned references;
    bool is_closed;
    bool is_busy;       /* somebody is in `log`: it must not go */
    struct feed *log;   /* of the feed that is open; NULL: none */
    struct feed *owner; /* whose that is */
};

struct server_feeds *server_feeds_new(void)
{
    struct server_feeds *feeds = mem_new(struct server_feeds);
    feeds->references = 1;
    pthread_mutex_init(&feeds->lock, NULL);
    cond_init(&feeds->idle);
    return feeds;
}

void server_feeds_unref(struct server_feeds *feeds)
{
    pthread_mutex_lock(&feeds->lock);
    bool is_last = --feeds->references == 0;
    pthread_mutex_unlock(&feeds->lock);
    if (is_last) {
        pthread_cond_destroy(&feeds->idle);
        pthread_mutex_destroy(&feeds->lock);
        free(feeds);
    }
}

void server_feeds_advanced(struct server_feeds *feeds, struct partition *partition)
{
    pthread_mutex_lock(&feeds->lock);
    if (feeds->log != NULL) {
        log_feed_on_advanced(feeds->log, partition);
    }
    pthread_mutex_unlock(&feeds->lock);
}

/* Takes the log from whoever has it, when nobody is in it. Under the lock. */
static struct feed *take_log(struct server_feeds *feeds)
{
    while (feeds->is_busy) {
        feed_wake(feeds->log);
        struct timespec until = cond_after_ms(10); /* a wake that came too early is lost */
        pthread_cond_timedwait(&feeds->idle, &feeds->lock, &until);
    }
    struct feed *log = feeds->log;
    feeds->log = NULL;
    feeds->owner = NULL;
    return log;
}

void server_feeds_close(struct server_feeds *feeds)
{
    pthread_mutex_lock(&feeds->lock);
    feeds->is_closed = true;
    struct feed *log = take_log(feeds);
    pthread_mutex_unlock(&feeds->lock);
    feed_free(log);
}

/* --- the feed --- */

static enum err next(struct feed *base, int timeout_ms, struct feed_piece *piece,
                     struct reason *reason)
{
    struct server_feeds *feeds = container_of(base, struct server_feed, feed)->feeds;
    pthread_mutex_lock(&feeds->lock);
    struct feed *log = feeds->owner == base && !feeds->is_closed ? feeds->log : NULL;
    feeds->is_busy = log != NULL;
    pthread_mutex_unlock(&feeds->lock);
    if (log == NULL) {
        return reason_fail(reason, ERR_CLOSED, "the server has stopped");
    }
    enum err err = feed_next(log, timeout_ms, piece, reason);
    pthread_mutex_lock(&feeds->lock);
    feeds->is_busy = false;
    pthread_cond_broadcast(&feeds->idle);
    pthread_mutex_unlock(&feeds->lock);
    return err;
}

static void wake(struct feed *base)
{
    struct server_feeds *feeds = container_of(base, struct server_feed, feed)->feeds;
    pthread_mutex_lock(&feeds->lock);
    if (feeds->owner == base) {
        feed_wake(feeds->log);
    }
    pthread_mutex_unlock(&feeds->lock);
}

static void free_feed(struct feed *base)
{
    struct server_feed *feed = container_of(base, struct server_feed, feed);
    struct server_feeds *feeds = feed->feeds;
    pthread_mutex_lock(&feeds->lock);
    struct feed *log = feeds->owner == base ? take_log(feeds) : NULL;
    pthread_mutex_unlock(&feeds->lock);
    feed_free(log);
    server_feeds_unref(feeds);
    free(feed);
}

struct feed *server_feeds_open(struct server_feeds *feeds, struct catalogue *catalogue,
                               feed_begin *begin, void *context, struct reason *reason)
{
    struct server_feed *feed = NULL;
    pthread_mutex_lock(&feeds->lock);
    if (!feeds->is_closed && feeds->owner == NULL) {
        feed = mem_new(struct server_feed);
        feed->feed = (struct feed){.next = next, .wake = wake, .free = free_feed};
        feed->feeds = feeds;
        feeds->references++;
        feeds->log = log_feed_new(catalogue, begin, context);
        feeds->owner = &feed->feed;
    } else {
        reason_set(reason, feeds->is_closed ? "the server has stopped"
                                            : "somebody else reads the feed of the log");
    }
    pthread_mutex_unlock(&feeds->lock);
    return feed != NULL ? &feed->feed : NULL;
}
