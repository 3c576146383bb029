#ifndef TIDINGS_CLIENT_LANE_KAFKA_LANE_KAFKA_INSIDE_H
#define TIDINGS_CLIENT_LANE_KAFKA_LANE_KAFKA_INSIDE_H

#include "client/admin/admin.h"
#include "client/lane_kafka/lane_kafka.h"
#include "client/publisher/publisher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <utlist.h>

/* What lane_kafka.c (the poll thread) and lane_kafka_log.c (the log thread) share. */

enum lane_order_kind {
    LANE_ORDER_WATCH,
    LANE_ORDER_UNWATCH,
    LANE_ORDER_LOAD,
    LANE_ORDER_LETTER,
    LANE_ORDER_START
};

/* What the poll thread wants of the log thread. */
struct lane_order_of {
    struct lane_order_of *next, *prev;
    enum lane_order_kind kind;
    char *topic;
    int32_t partition;
    int64_t epoch;
    int64_t position;
    int32_t letter_partition; /* LETTER: of dlq.<group> */
    void *token;
};

/* Reads single records of one partition, from `next` on. */
struct lane_loader {
    struct reader *reader; /* NULL: it is free */
    bool is_letters;       /* of dlq.<group>, else of lanes.<group> */
    int32_t partition;
    int64_t next;
    int64_t end;     /* of dlq.<group>'s partition, as far as it is known */
    int64_t used_ms; /* monotonic */
};

/* Lanes drain from several positions at once, and redrives read several partitions. */
enum { LANE_LOADERS = 8 };

/* A share whose place is read. */
struct lane_watch {
    struct lane_watch *next, *prev;
    char *topic;
    int32_t partition;
    int64_t epoch;
    int32_t place;         /* -1: not known yet, the topics are missing */
    int64_t next_position; /* records below were told */
    int64_t end;           /* of the place when it was asked for; -1: not known yet */
    bool is_ended;         /* and told */
};

/* Topics that are read from, texts of its own. */
struct lane_names {
    VEC_FIELDS(char *);
};

struct lane_log {
    struct lane_runner *runner;
    const struct lane_kafka_settings *settings;
    const struct lane_runner_settings *runner_settings;
    struct connection *connection; /* to ask by */
    char lanes_topic[LANE_TOPIC_SIZE];
    char dlq_topic[LANE_TOPIC_SIZE];
    atomic_int place_count; /* 0: not known yet */

    pthread_mutex_t lock; /* guards orders, sources and is_ending; never held while anything is
                             called */
    pthread_cond_t ordered;
    struct lane_order_of *orders;
    struct lane_names sources;
    atomic_bool are_other; /* than the reader knows */
    bool is_ending;
    pthread_t thread;
    bool has_thread;

    /* the log thread's own */
    struct reader *tail; /* of the places that are watched */
    struct lane_loader loaders[LANE_LOADERS];
    struct lane_watch *watches;
    int64_t again_ms; /* monotonic: when to try again what failed */
    bool is_told;     /* that the topics cannot be made */
};

/* Commits with what events caused (lane_kafka_txn.c). */
struct lane_txn {
    const struct lane_kafka_settings *settings;
    struct lane_log *log; /* where its records go, and whose runner is told */
    char *id;             /* transactional.id; NULL: not started */
    atomic_bool is_ending;
    pthread_mutex_t lock; /* guards: */
    pthread_cond_t came;
    struct lane_transaction *given;
    struct topic_partitions reborn; /* topics that were deleted and made again, not asked for yet */
    bool was_committed;             /* the last one */
    pthread_t thread;
    bool has_thread;

    /* the transaction thread's own */
    struct publisher *publisher; /* NULL: to be opened (again) */
    size_t unsettled;            /* events that the publisher has */
    struct client_error failure; /* of a record */
    struct lane_names topics;    /* that are known to exist */
};

enum { LANE_LOG_TURN_MS = 200 }; /* how long the log thread waits for more at most */

/* --- lane_kafka_sources.c --- */

/* The sources from now on; and a copy of them, to be freed. Any thread. */
void lane_log_set_sources(struct lane_log *log, const char *const *topics, size_t count);
struct lane_names lane_log_sources(struct lane_log *log);
void lane_names_free(struct lane_names *names);

/* --- lane_kafka_load.c --- */

/* Where in lanes.<group> the records about a partition are; -1: it is not known yet. */
int32_t lane_log_place(const struct lane_log *log, int32_t partition);
/* Settings of a reader of these partitions. */
struct reader_settings lane_log_reader(struct lane_log *log,
                                       const struct topic_partitions *partitions);
/* Reads what is ordered, an event set aside or a dead letter, and answers. On the log thread; waits
 * for the bus. */
void lane_log_load(struct lane_log *log, const struct lane_order_of *order);
/* Asks where the source begins, and answers. The same. */
void lane_log_look(struct lane_log *log, const struct lane_order_of *order);
/* Closes readers that nobody needed for a while, or all. */
void lane_log_rest(struct lane_log *log, bool is_end);

/* --- lane_kafka_log.c --- */

/* Starts the thread. Settings and connection are borrowed. */
CHECKED enum client_status lane_log_start(struct lane_log *log, struct client_error *error);
/* Ends it, answering all loads. */
void lane_log_stop(struct lane_log *log);
/* Has the log thread do it, in this order. Any thread. */
void lane_log_order(struct lane_log *log, enum lane_order_kind kind, const struct lane_share *share,
                    int64_t position, void *token);
/* The same for a dead letter. */
void lane_log_order_letter(struct lane_log *log, const struct lane_share *share,
                           struct lane_letter letter, void *token);

/* --- lane_kafka_txn.c --- */

/* Starts the thread; settings and log are set. Stop with lane_txn_stop. */
CHECKED enum client_status lane_txn_start(struct lane_txn *txn, struct client_error *error);
/* Ends it, answering what was given; nothing when it was not started. */
void lane_txn_stop(struct lane_txn *txn);
/* Commits it, and answers by MAIL_TRANSACTED. One at a time; any thread. */
void lane_txn_give(struct lane_txn *txn, struct lane_transaction *transaction);
/* Whether what was answered last was committed; and adds the topics that were found to be made
 * again since. When none is given. */
bool lane_txn_last(struct lane_txn *txn, struct topic_partitions *reborn);
/* How long a transaction may be open: readers of committed events wait for so long when this
 * process dies within one. As long as its session, 5 s at least. */
int lane_txn_timeout_ms(const struct lane_kafka_settings *settings);

/* --- lane_kafka_topic.c --- */

/* Makes lanes.<group> and dlq.<group> if need be, and sets place_count (lane_kafka_topic.c). Waits
 * for the bus. */
CHECKED enum client_status lane_topics_make(struct lane_log *log, struct client_error *error);

#endif
