#ifndef TIDINGS_GROUP_EFFECTS_H
#define TIDINGS_GROUP_EFFECTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"
#include "coordinator/state_log.h"
#include "group/partition_set.h"
#include "net/completion.h"

#include <stdatomic.h>

/*
 * What a call of a group's state machine wants done: replies to send and records to store. The
 * machine knows no more of the world than this.
 */
struct group;
struct group_store;
struct group_effects;
struct group_commit_item; /* group/offset_table.h */

/*
 * What a request borrows from whoever makes it: called once, when nothing of the request is used
 * any more and no reply to it is given yet, so that who is answered finds its memory free. The
 * group may be locked. run NULL: what is borrowed stays the caller's until the call returns.
 */
struct group_release {
    void (*run)(void *context);
    void *context;
};

/* ---- replies ---- */

enum group_reply_kind {
    GROUP_REPLY_JOIN,
    GROUP_REPLY_SYNC,
    GROUP_REPLY_OFFSET_COMMIT,
    GROUP_REPLY_TXN_OFFSET_COMMIT,
    GROUP_REPLY_OFFSET_DELETE,
    GROUP_REPLY_DELETE_GROUPS,
    GROUP_REPLY_CONSUMER_HEARTBEAT
};

struct group_join_member {
    struct slice member_id;
    struct slice instance_id; /* null: dynamic */
    struct slice metadata;
};

/* For one partition of an offset commit or delete; same order as asked. */
struct group_partition_result {
    struct slice topic;
    struct wire_uuid topic_id; /* as asked: zero when the topic was named */
    int32_t partition;
    enum err err;
};

struct group_delete_result {
    struct slice group_id;
    enum err err;
};

/* Slices point into the reply's own arena. */
struct group_reply {
    struct group_reply *next;
    enum group_reply_kind kind;
    struct completion waiter;
    enum err err; /* of the whole request */
    struct arena arena;
    atomic_size_t owed; /* DELETE_GROUPS: by so many it is not given yet; see group_reply_share */
    union {
        struct {
            int32_t generation; /* -1 with an error */
            struct slice protocol_type;
            struct slice protocol; /* null with an error */
            struct slice leader;
            struct slice member_id; /* with ERR_MEMBER_ID_REQUIRED: the id to come back with */
            bool skip_assignment;
            struct group_join_member *members; /* for the leader only */
            size_t member_count;
        } join;
        struct {
            struct slice protocol_type;
            struct slice protocol;
            struct slice assignment;
        } sync;
        struct {
            struct group_partition_result *items;
            size_t count;
        } partitions; /* OFFSET_COMMIT, TXN_OFFSET_COMMIT, OFFSET_DELETE */
        struct {
            struct group_delete_result *items;
            size_t count;
        } groups; /* DELETE_GROUPS */
        struct {
            struct slice message; /* of an error; null: none */
            struct slice member_id;
            int32_t member_epoch;
            int32_t heartbeat_interval_ms;
            bool has_assignment;
            struct group_topic_partitions *topics;
            size_t topic_count;
        } consumer; /* CONSUMER_HEARTBEAT */
    };
};

/* ---- stores ---- */

/*
 * What becomes of the group when the records of a store are on disk (ERR_NONE), or were not written
 * (any other). Under the group's lock; the store is freed behind it.
 */
typedef void group_stored_function(struct group *group, struct group_store *store, enum err err,
                                   struct clock_time now, struct group_effects *effects);

/*
 * What becomes of the group when the records of a store are appended. Under the lock that the call
 * which made the store was under, so nobody has seen the group in between.
 */
typedef void group_appended_function(struct group *group, struct group_store *store,
                                     struct clock_time now, struct group_effects *effects);

/* What is to be appended in one batch, and what waits for it. Owned by whoever took it from the
 * effects until group_stored or group_store_free. */
struct group_store {
    struct group_store *next;
    group_appended_function *appended; /* NULL: nothing depends on it */
    group_stored_function *stored;     /* NULL: nobody waits, and nothing depends on it */
    int32_t generation;                /* of the classic members that it is about */
    uint64_t sequence;                 /* of what it changes */
    int64_t producer_id;               /* of an offset commit within a transaction; else -1 */
    int16_t producer_epoch;            /* likewise */
    struct arena arena;
    VEC(struct state_record) records; /* for __consumer_offsets, in Kafka's format */
    struct group_reply *reply;        /* given once it is stored; may be NULL */
    size_t result;                    /* which one of a DeleteGroups' reply it is about */
    bool ends_group;                  /* nothing of the group is left then */
    struct group_commit_item *offsets;
    size_t offset_count;
    int64_t commit_wall_ms;
    /* A static member that came back (KIP-345): */
    struct slice member_id;
    bool skip_assignment; /* the request can read it */
    struct slice old_leader;
};

/* ---- what happened ---- */

/* For the log. */
enum group_event_kind {
    GROUP_EVENT_JOINED,   /* a member is in */
    GROUP_EVENT_RETURNED, /* a static member has another member id; other: its former one */
    GROUP_EVENT_AWAY,     /* a static member left and keeps its partitions for a while */
    GROUP_EVENT_LEFT,
    GROUP_EVENT_TIMED_OUT,
    GROUP_EVENT_FENCED,    /* a request was refused that a member's own successor would make;
                              other: the member that has its instance id */
    GROUP_EVENT_REBALANCE, /* all members are called to join */
    GROUP_EVENT_ASSIGNED,  /* partitions are given out for this generation, or epoch */
    GROUP_EVENT_EMPTY,     /* nobody is left */
    GROUP_EVENT_CONVERTED, /* the other protocol is spoken from now on */
    GROUP_EVENT_GONE,      /* deleted */
    GROUP_EVENT_FULL,      /* a request was refused: there is no room for what it brings */
    GROUP_EVENT_COUNT
};

/* Whom it happened to; null for all that is not known or does not apply. */
struct group_who {
    struct slice member_id;
    struct slice instance_id;
    struct slice client_id;
    struct slice client_host;
};

struct group_event {
    struct group_event *next;
    enum group_event_kind kind;
    struct slice group_id;
    struct group_who who;
    struct slice other;  /* another member's id; null: none */
    struct slice reason; /* null: none */
    struct slice said;   /* the client's own reason (KIP-800); null: none */
    int32_t generation;  /* or epoch */
    size_t member_count;
    struct arena arena; /* of the texts */
};

/* What a call wants done. Zero-initialised is empty. Lists are in order. */
struct group_effects {
    struct group_reply *replies; /* send now; whoever sends frees */
    struct group_store *stores;  /* append now: group_appended; then give each to group_stored */
    struct group_event *events;  /* for the log (group/group_log.h) */
    struct group_reply *last_reply;
    struct group_store *last_store;
    struct group_event *last_event;
    struct group_release release; /* before replies are sent */
};

/* ---- making them ---- */

/* A copy in the arena; null stays null, and is what comes when the arena's limit is reached. */
struct slice group_arena_slice(struct arena *arena, struct slice slice);

/* A fresh reply; what belongs to the kind is zeroed. */
struct group_reply *group_reply_new(enum group_reply_kind kind, const struct completion *waiter,
                                    enum err err);
/* NULL is fine. */
void group_reply_free(struct group_reply *reply);

/* One more owes its part of the reply, on whatever thread. */
void group_reply_share(struct group_reply *reply);
/* Its part is there: the last one puts the reply into its effects. */
void group_reply_give(struct group_reply *reply, struct group_effects *effects);

/* An empty store, of no transaction. */
struct group_store *group_store_new(group_stored_function *stored);
/* Adds a record; takes the buffers over. value NULL: a tombstone. */
void group_store_record(struct group_store *store, struct buf *key, struct buf *value);
/* With its reply, if that was not taken. NULL is fine. */
void group_store_free(struct group_store *store);

/* Puts the reply, or the store, behind those that are there; takes it over. */
void group_effects_reply(struct group_effects *effects, struct group_reply *reply);
/* The same for a store. */
void group_effects_store(struct group_effects *effects, struct group_store *store);

/* The same for an event. */
void group_effects_event(struct group_effects *effects, struct group_event *event);
/* A fresh event; texts are copied. */
struct group_event *group_event_new(enum group_event_kind kind, const struct group_who *who,
                                    struct slice reason);
/* With its texts. */
void group_event_free(struct group_event *event);

/* A JoinGroup answer with an error. */
void group_reply_join_error(struct group_effects *effects, const struct completion *waiter,
                            struct slice member_id, enum err err);

/* A SyncGroup answer with an error. */
void group_reply_sync_error(struct group_effects *effects, const struct completion *waiter,
                            enum err err);

/* Frees what was not taken. */
void group_effects_deinit(struct group_effects *effects);

#endif
