#ifndef TIDINGS_BROKER_SERVER_FEED_H
#define TIDINGS_BROKER_SERVER_FEED_H

#include "client/event/feed.h"
#include "topic/catalogue.h"

/*
 * The feed of the server's own log (stream/log_feed.h) for somebody who may outlive the server: who
 * has it gets ERR_CLOSED once the server has closed it, and nothing of the server's is touched any
 * more. One feed at a time.
 */
struct server_feeds;

/* With one reference, the server's. */
struct server_feeds *server_feeds_new(void);

/* A partition moved: to be called by the catalogue's `advanced`. Any thread. */
void server_feeds_advanced(struct server_feeds *feeds, struct partition *partition);

/* The catalogue stays until server_feeds_close. NULL: it is closed, or there is one already, and
 * the reason says so. Free with feed_free, also after the close. Any thread. */
struct feed *server_feeds_open(struct server_feeds *feeds, struct catalogue *catalogue,
                               feed_begin *begin, void *context, struct reason *reason);

/* Takes the log from the feed that is open, as soon as the piece in hand is read, and from all that
 * come. Before the catalogue is closed. */
void server_feeds_close(struct server_feeds *feeds);

/* The server's part of it; the rest goes with the last feed. */
void server_feeds_unref(struct server_feeds *feeds);

#endif
