#ifndef TIDINGS_CLIENT_PUBLISHER_PUBLISHER_H
#define TIDINGS_CLIENT_PUBLISHER_PUBLISHER_H

#include "client/connection/connection.h"
#include "client/connection/partitions.h"
#include "client/event/event.h"

/*
 * Publishing: events go out in the background, each once (idempotent, acks=all), those of one key
 * in order and to the partition that Java clients choose (murmur2). Every event that was taken gets
 * exactly one completion.
 */

/* What became of one event. Borrowed by the callback. */
struct publication {
    void *context;                    /* as given to publisher_publish */
    enum client_status status;        /* CLIENT_OK: it is kept */
    const struct client_error *error; /* why not; NULL when it is */
    const char *topic;
    int32_t partition; /* -1: unknown */
    int64_t offset;    /* -1: unknown */
    size_t size_bytes; /* of key and value */
};

typedef void publisher_done_fn(void *context, const struct publication *publication);

/* Zero or NULL stands for the default in brackets. */
struct publisher_settings {
    struct connection_settings connection;
    int event_timeout_ms;    /* how long to try to get an event acknowledged [the connection's] */
    const char *acks;        /* "0", "1": for measuring only, not idempotent ["all"] */
    const char *compression; /* gzip, snappy, lz4, zstd [none] */
    int linger_ms;           /* how long a batch waits for more; -1: not at all [1] */
    int event_max_bytes;     /* larger ones are refused here, the bus has its own limit [1000000] */

    /*
     * Completions come on a thread of the publisher's own, started with the first event. Without
     * it they come inside of publisher_serve and publisher_flush [false].
     */
    bool has_thread;
    publisher_done_fn *done; /* required */
    void *done_context;
};

struct publisher;

/* Tries the settings without opening anything. CLIENT_INVALID names the one that is wrong. */
CHECKED enum client_status publisher_check(const struct publisher_settings *settings,
                                           struct client_error *error);

/* Makes a publisher; the bus need not be up (connection_reach). CLIENT_INVALID as above. Free with
 * publisher_close. */
CHECKED enum client_status publisher_open(const struct publisher_settings *settings,
                                          struct publisher **publisher, struct client_error *error);

/* Gives up what is not acknowledged, each with its completion (CLIENT_CLOSED), and frees. NULL is
 * fine. No other call may run or follow. */
void publisher_close(struct publisher *publisher);

/* Gives up what is not acknowledged: each has its completion soon (CLIENT_CLOSED), and the bus may
 * have it all the same. The publisher goes on. Any thread. */
void publisher_give_up(struct publisher *publisher);

/* To ask and administer by, and for connection_reach. Lives as long as the publisher. */
struct connection *publisher_connection(struct publisher *publisher);

/*
 * Takes the event, copying it: topic, key, value, headers, partition (-1: by key) and timestamp
 * (below 0: now). CLIENT_OK: exactly one completion follows, within about event_timeout_ms. Else
 * none does: CLIENT_FULL (serve or wait, then try again), CLIENT_INVALID (also for timestamp 0,
 * which librdkafka would take for "now"), CLIENT_NOT_FOUND (a topic or a partition of it that is
 * not there: the bus was asked just now, for a second at most), CLIENT_REFUSED, CLIENT_FATAL. Any
 * thread; events of one key are kept in the order of these calls.
 */
CHECKED enum client_status publisher_publish(struct publisher *publisher, const struct event *event,
                                             void *context, struct client_error *error);

/* Lets completions come for up to timeout_ms, or until some came. Only without a thread. */
void publisher_serve(struct publisher *publisher, int timeout_ms);

/* The partition that events of this key (not null) go to, of so many. */
int32_t publisher_partition(struct slice key, int32_t partition_count);

/* Waits until every event has its completion; CLIENT_TIMED_OUT when time is over. Any thread but
 * that of the completions. */
CHECKED enum client_status publisher_flush(struct publisher *publisher, int timeout_ms);

/* Events that have no completion yet. Any thread. */
size_t publisher_pending(struct publisher *publisher);

/*
 * --- transactions (publisher_txn.c; KIP-98): all that is published between begin and commit is
 * seen by readers of committed events together or not at all, with the offsets of a group ---
 *
 * For a publisher with the property transactional.id. Of several with one id the last one that
 * called publisher_txn_start is the one; the others fail for good. After any failure but
 * CLIENT_TIMED_OUT the publisher is of no use but to be closed: what became of its last transaction
 * is known when another one has started. One thread at a time, which also serves completions.
 */

/* Ends what an earlier one of this id left open. CLIENT_TIMED_OUT: call again to go on waiting. */
CHECKED enum client_status publisher_txn_start(struct publisher *publisher, int timeout_ms,
                                               struct client_error *error);

/* What is published from now on is in a transaction. */
CHECKED enum client_status publisher_txn_begin(struct publisher *publisher,
                                               struct client_error *error);

/* Adds offsets that are committed for a group (without members) with the transaction.
 * CLIENT_TIMED_OUT: call again to go on waiting. */
CHECKED enum client_status publisher_txn_offsets(struct publisher *publisher, const char *group,
                                                 const struct topic_partitions *offsets,
                                                 int timeout_ms, struct client_error *error);

/* The same for a member of a group (reader_membership): refused when the group has gone on without
 * it (KIP-447). */
CHECKED enum client_status publisher_txn_offsets_as(struct publisher *publisher,
                                                    struct slice member,
                                                    const struct topic_partitions *offsets,
                                                    int timeout_ms, struct client_error *error);

/* Everything published is acknowledged, and the transaction committed. CLIENT_TIMED_OUT as above;
 * else it may or may not be. */
CHECKED enum client_status publisher_txn_commit(struct publisher *publisher, int timeout_ms,
                                                struct client_error *error);

/* What was published is never seen by readers of committed events; each event has its completion.
 */
CHECKED enum client_status publisher_txn_abort(struct publisher *publisher, int timeout_ms,
                                               struct client_error *error);

#endif
