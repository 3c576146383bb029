#ifndef TIDINGS_STREAM_LOG_FEED_H
#define TIDINGS_STREAM_LOG_FEED_H

#include "client/event/feed.h"
#include "topic/catalogue.h"

/*
 * The feed of a server's own log (client/event/feed.h): reads segment files, no request and no copy
 * of what others read. Nothing of it runs on the threads of those who publish but
 * log_feed_on_advanced, which puts a partition into a queue at most once for each time that it is
 * read.
 *
 * Memory: a piece (PIECE_BYTES of the log, opened as large as its largest batch is), and some 100
 * bytes a partition.
 */
struct log_feed;

/* Of the "reactors" of partition_watch this one is the feed: no server has so many. */
enum { LOG_FEED_WATCHER = 63 };

/* begin: which partitions, and from where. The catalogue outlives it. Free with feed_free. */
struct feed *log_feed_new(struct catalogue *catalogue, feed_begin *begin, void *context);

/* To be called by the catalogue's `advanced` when the feed is among the reactors. Any thread. */
void log_feed_on_advanced(struct feed *feed, struct partition *partition);

#endif
