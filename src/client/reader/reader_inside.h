#ifndef TIDINGS_CLIENT_READER_READER_INSIDE_H
#define TIDINGS_CLIENT_READER_READER_INSIDE_H

/*
 * The inside of client/reader/reader.h, from the ground up: reader_held.c knows what is held,
 * reader_received.c has events in hand, reader_flow.c keeps librdkafka fetching, reader_calm.c sees
 * whether the group moves, reader_commit.c writes progress down, reader_place.c knows where
 * partitions begin and go on, reader_group.c takes and gives them, reader_again.c comes back when
 * fenced, reader_nobody.c asks for what is nobody's, reader.c takes events.
 */

#include "client/admin/admin_request.h"
#include "client/connection/kafka.h"
#include "client/reader/reader.h"

/* The default one falls through switch labels, which clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>

/* A partition that is read. */
struct reader_partition {
    char *name; /* "topic/partition", the hash key */
    char *topic;
    int32_t number;
    int64_t epoch;
    int64_t mark;        /* everything below is done; -1: nothing was marked */
    char *metadata;      /* beside it; NULL: none */
    int64_t committed;   /* the mark that was sent last; -1: none, or its metadata changed */
    int64_t stored;      /* a commit that the bus said it has; -1: none */
    uint64_t marks;      /* by reader_mark */
    uint64_t sent;       /* of them, when a commit was sent last */
    uint64_t told;       /* of them, that callbacks.committed told of */
    bool is_reborn;      /* the bus forgot that: the topic was deleted and made again */
    int64_t lost_at;     /* the position that the bus refused; below 0: it has none */
    int64_t place_at_ms; /* monotonic: when to look for another one; 0: not needed */
    UT_hash_handle hh;
};

/* How many partitions a topic had when reading began. */
struct known_topic {
    char *name;
    int32_t partition_count;
};

/* How full librdkafka's queue is (reader_flow.c). */
struct reader_flow {
    int64_t limit_events, limit_bytes; /* it fetches no more above these */
    int64_t mean_bytes;                /* of an event, of the last ones */
    int64_t full_length;               /* what was fetched when it was full; 0: it was not lately */
    uint64_t taken;
};

enum { READER_BATCH_MAX = 256, READER_PREFETCH_EVENTS = 100000, READER_PREFETCH_KBYTES = 65536 };

/* A handle of librdkafka's: the connection's, or one that was fenced (reader_again.c). */
struct reader_handle {
    /* of the thread that takes: events that it was given, those that it freed itself, and memory
     * to be used again, about so much */
    long taken, freed_here;
    struct held_event *kept;
    long kept_count;
    atomic_long freed_elsewhere;        /* events that others freed, */
    _Atomic(struct held_event *) freed; /* and their memory, */
    atomic_long freed_count;            /* about so much */
    atomic_bool is_joining;    /* between JoinGroup and SyncGroup: commits would be refused */
    atomic_bool is_assigning;  /* between JoinGroup's answer and SyncGroup: reader_group_leave */
    atomic_bool has_open_join; /* a JoinGroup was sent and not answered */
    bool is_sticky;            /* by all properties: its assignor keeps a state */
    atomic_bool has_joined;    /* a JoinGroup was answered */
    atomic_bool was_assigned;  /* and partitions were given, perhaps none: reader_free_handle */
    atomic_bool has_left;      /* a LeaveGroup was sent: reader_nobody.c */
    atomic_bool has_answer;    /* the bus answered any request since reader_take last looked */
    int heartbeat_ms;          /* one follows another after so long, or as soon as there is an op */
    _Atomic int64_t heartbeat_at_ms; /* monotonic: when one was sent last; 0: never */
    atomic_bool is_heartbeat_out;    /* and is not answered */
    _Atomic int64_t joined_at_ms;    /* monotonic: when a JoinGroup was sent last */
    atomic_long heard;               /* answers that may lead to a JoinGroup */

    /* of one that is out of use, until no event of it is in hand */
    rd_kafka_t *rk;
    rd_kafka_queue_t *fetched;
    struct reader_handle *next;

    /* one that was not closed in time: what librdkafka still asks for */
    rd_kafka_queue_t *farewell; /* NULL: nothing */
    bool is_eager;
};

/* What is known of a member that was fenced (reader_again.c). */
struct reader_fence {
    int64_t look_at_ms;   /* monotonic: when to see whose the instance id is; 0: not fenced */
    int64_t joined_at_ms; /* monotonic: when it joined again; 0: never */
    char *last_id;        /* the member id it had in the end; NULL: none */
    bool may_have_joined; /* and it may have got another one that it does not know */
    char *other_id;       /* who has its name instead; NULL: nobody was seen */
    int64_t other_at_ms;  /* monotonic: since when */
};

/* What a static member that is back looks for (reader_nobody.c). */
struct reader_nobody {
    bool has_begun;               /* with this handle */
    int64_t look_at_ms;           /* monotonic: when to ask next; 0: not at all */
    int looks;                    /* so many times */
    struct admin_look *look;      /* NULL: it does not ask now */
    struct topic_partitions seen; /* nobody's when last looked, */
    int64_t seen_at_ms;           /* monotonic: and since then */
    int64_t join_by_ms;           /* monotonic: left the group, and is to join again; 0: has not */
};

struct reader {
    struct connection connection; /* first: librdkafka's opaque */
    struct reader_callbacks callbacks;
    void *context;
    bool is_group;
    bool is_eager;
    char *group;            /* this and the next ones are a group reader's */
    char *instance;         /* NULL: no static member */
    char *member_id;        /* when partitions were given to it last; NULL: never */
    int session_timeout_ms; /* as all properties have it */
    int heartbeat_ms;       /* the same */
    rd_kafka_conf_t *conf;  /* to open another handle by; without the group's callbacks */
    struct reader_fence fence;
    struct reader_nobody nobody;
    struct reader_handle *handle; /* what is in use */
    struct reader_handle *buried; /* out of use, with events in hand */
    char **topics;
    size_t topic_count;
    struct position from;
    struct topic_partitions begin; /* of a group: instead of `from` for those named */
    int commit_interval_ms;
    bool commits_elsewhere;
    bool was_replaced;      /* it is another member than the one that was given what it holds */
    bool is_rebalancing;    /* inside of librdkafka's callback: it joins when that returns */
    long calm_news;         /* reader_calm_news, and as long as it has been that: */
    int calm;               /* requests that were begun, and answered one after another */
    bool is_committing;     /* a commit is on its way that nobody waits for */
    bool has_marks;         /* since the last commit */
    int64_t next_commit_ms; /* monotonic */
    int64_t close_by_ms;    /* monotonic: nothing is waited for any longer; 0: not closing */
    int64_t last_epoch;

    struct reader_partition *partitions;
    struct reader_partition *last; /* found last: events come in runs */
    int misplaced_count;           /* partitions with place_at_ms */

    bool knows_topics; /* known is filled, or not needed */
    int64_t know_at_ms;
    VEC(struct known_topic) known;

    pthread_mutex_t wake_lock; /* guards `fetched` against reader_wake, while it is replaced */
    rd_kafka_queue_t *fetched; /* what librdkafka read ahead: `queue` or the group's */
    struct reader_flow flow;
    uint64_t takes;
    rd_kafka_queue_t *queue; /* direct reading only, with what was taken of it at once */
    rd_kafka_message_t *batch[READER_BATCH_MAX];
    int batch_count, batch_next;
};

/* --- reader_held.c --- */

/* NULL when it is not held. */
struct reader_partition *reader_find(struct reader *reader, const char *topic, int32_t number);

/* Holds a partition under a new epoch; it is not held yet. */
struct reader_partition *reader_hold(struct reader *reader, const char *topic, int32_t number);
void reader_drop(struct reader *reader, struct reader_partition *partition);

/* The bus does not have the position `offset` (below 0: none is known) of a partition, or has it of
 * another topic of this name (is_reborn is set). */
void reader_misplaced(struct reader *reader, struct reader_partition *partition, int64_t offset);

/* Tells the connection's notice. */
void reader_notice(struct reader *reader, const struct client_error *what);

/* --- reader_received.c --- */

/* The message as an event, which owns it; received_free. */
struct received *reader_receive(struct reader_handle *handle, rd_kafka_message_t *message,
                                int64_t epoch);
/* Events of it that are not freed. */
long reader_in_hand(const struct reader_handle *handle);
/* Frees the memory that is kept for more. None of its events is in hand. */
void reader_forget_kept(struct reader_handle *handle);

/* --- reader_more.c --- */

/* Copies what a group reader subscribes to. */
void reader_set_topics(struct reader *reader, const char *const *topics, size_t count);

/* --- reader_flow.c --- */

/* Notes how much librdkafka may fetch ahead. */
void reader_flow_init(struct reader *reader, const struct reader_settings *settings);

/* An event was taken: keeps librdkafka fetching. May take a millisecond now and then. */
void reader_flow_taken(struct reader *reader, const rd_kafka_message_t *message);
/* The thread that fetches looks at the partition at once; waits for 1 ms at most. */
void reader_flow_wake(struct reader *reader, const char *topic, int32_t number);

/* --- reader_calm.c --- */

/* Before the handle is opened: watches its requests. */
void reader_calm_watch(struct reader_handle *handle, rd_kafka_conf_t *conf);

/* Another number when something came that may lead to a JoinGroup. */
long reader_calm_news(const struct reader *reader);

/* A JoinGroup is on its way, or what may lead to one is about to come. */
bool reader_calm_may_join(const struct reader *reader);

/* --- reader_commit.c --- */

/* How long an answer is waited for now: when closing only until close_by_ms. */
int reader_patience_ms(const struct reader *reader);

/* Commits and waits for the answer, at most reader_patience_ms. __TIMED_OUT: it may still be
 * taken. */
rd_kafka_resp_err_t reader_commit_list(struct reader *reader,
                                       const rd_kafka_topic_partition_list_t *list);

/* What was marked of these, which are about to be given back; waits for the answer. */
void reader_commit_before_leaving(struct reader *reader,
                                  const rd_kafka_topic_partition_list_t *leaving);

/* Sends what was marked, if it is time. */
void reader_commit_due(struct reader *reader);

/* How long to wait for events, at most most_ms: until there is something to commit. */
int reader_commit_wait_ms(const struct reader *reader, int most_ms);

/* librdkafka's callback: answers of commits that nobody waits for. */
void reader_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *list, void *opaque);

/* --- reader_place.c --- */

/*
 * Sets where the partitions of the list begin, as client/reader/reader.h says under Positions, and
 * commits beginnings. What cannot be found out now is left at RD_KAFKA_OFFSET_STORED, and
 * librdkafka's complaint leads to reader_misplaced.
 */
void reader_place(struct reader *reader, rd_kafka_topic_partition_list_t *list);

/* All partitions of the topics that are read; topics that do not exist are left out. */
enum client_status reader_all_partitions(struct reader *reader, struct topic_partitions *all);

/* Places again what was misplaced, and learns which topics there are, if it is time. */
void reader_place_due(struct reader *reader);

/* --- reader_group.c --- */

/* Group settings beyond the properties: callbacks and interceptors. */
void reader_group_configure(struct reader *reader, rd_kafka_conf_t *conf);

/* Subscribes; what is given to this member comes by a callback of reader_take. */
enum client_status reader_group_join(struct reader *reader, struct client_error *error);

/* Gives the partitions back and leaves the group, until close_by_ms. */
enum client_status reader_group_leave(struct reader *reader, struct client_error *error);

/* All that is held is lost: the callbacks learn of it, and nothing is committed or fetched. */
void reader_group_lose(struct reader *reader);

/* --- reader_again.c --- */

/* Opens the group's handle by reader->conf. */
enum client_status reader_start_group(struct reader *reader, struct client_error *error);

/* The handle ended with FENCED_INSTANCE_ID. */
bool reader_is_fenced(const struct reader *reader);

/* Then: replaces the handle, which loses all partitions; reader_again_due goes on. CLIENT_FATAL
 * when that makes no sense. */
enum client_status reader_fenced(struct reader *reader, struct client_error *error);

/* Joins again when the instance id is still this reader's. CLIENT_FATAL: it is another process's.
 */
enum client_status reader_again_due(struct reader *reader, struct client_error *error);

/* --- reader_nobody.c --- */

/* Looks whether partitions are nobody's, if it is time: some seconds after the handle was given its
 * first ones. A failure is tried again. */
void reader_nobody_due(struct reader *reader);

/* Forgets all of it, before the handle goes; the next one looks again. */
void reader_nobody_end(struct reader *reader);

/*
 * Frees a handle and what librdkafka has of it; is_stuck, or when a call was left in it: without a
 * farewell, and beside when that takes long. One that librdkafka could not free without ending the
 * process is left as it is until the process ends.
 */
void reader_free_handle(struct connection *connection, struct reader_handle *handle, rd_kafka_t *rk,
                        bool is_stuck);
/* Frees handles out of use that no event in hand needs. */
void reader_bury_due(struct reader *reader);

#endif
