#ifndef TIDINGS_CLIENT_READER_READER_FEED_H
#define TIDINGS_CLIENT_READER_READER_FEED_H

#include "client/connection/connection.h"
#include "client/event/feed.h"

/*
 * The feed of any Kafka cluster (client/event/feed.h), by a reader of client/reader/reader.h:
 * partitions of all topics are assigned by hand, read_committed, and nothing is ever committed; so
 * it is member of no group and no group sees it.
 *
 * New topics and partitions are met within a second, which is how often the cluster is asked for
 * its topics; a topic that is missing in two such answers is gone. Topic ids are zeros, as
 * librdkafka tells none: one that was deleted and made again between two answers is told as gone
 * when its partitions are shorter than what was read of them, and else goes on as the same.
 * Producer ids are not known. What is older than READER_FEED_LAG_MS, and than the last answer about
 * topics, was given when it says that it is level: a fetch that waits is answered by then. What
 * retention took is known with a minute's delay.
 *
 * Memory: READER_FEED_KBYTES that librdkafka reads ahead and a piece, and some 10 KB a partition.
 */
enum { READER_FEED_KBYTES = 8192, READER_FEED_LAG_MS = 1000 };

/* The cluster need not be there: feed_next says when it is not (ERR_IO), and is to be tried again
 * with another feed. The settings are borrowed until feed_free. */
struct feed *reader_feed_new(const struct connection_settings *settings, feed_begin *begin,
                             void *context);

#endif
