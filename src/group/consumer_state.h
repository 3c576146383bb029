#ifndef TIDINGS_GROUP_CONSUMER_STATE_H
#define TIDINGS_GROUP_CONSUMER_STATE_H

#include "group/group_state.h"

/*
 * What a consumer group consists of; only for consumer_*.c and tests. Slices are owned, as in
 * group_state.h.
 *
 * What is stored of it changes by consumer_apply alone: live by consumer_change, which writes the
 * record too, and at start by the records. All else (time-outs, holdings, what was looked up in the
 * catalogue) follows from that or begins anew.
 */

/* The numbers are stored. */
enum consumer_member_state {
    CONSUMER_STABLE = 0,     /* has what its epoch says */
    CONSUMER_UNREVOKED = 1,  /* is to give up partitions before it can go on */
    CONSUMER_UNRELEASED = 2, /* waits for partitions that others have yet */
};

/* What a member of the classic protocol has besides. */
struct consumer_classic {
    int32_t session_timeout_ms;
    struct group_protocol_offer *protocols; /* at least one, in order of preference */
    size_t protocol_count;
};

struct consumer_member {
    struct slice id;
    struct slice instance_id; /* null: dynamic */
    struct slice rack_id;     /* null: none */
    struct slice client_id;
    struct slice client_host;
    int32_t rebalance_timeout_ms;
    struct slice *topics; /* subscribed names, in order, none twice */
    size_t topic_count;
    struct slice regex;               /* null: none */
    struct slice assignor;            /* null: any */
    struct consumer_classic *classic; /* NULL: of the new protocol */

    int32_t epoch;
    int32_t previous_epoch;
    enum consumer_member_state state;
    struct partition_set assigned;
    struct partition_set revoking;
    struct partition_set target;

    bool known;           /* on replay: its metadata was seen */
    uint64_t sequence;    /* of the last store that tells of it */
    size_t counted_bytes; /* in the group's bytes, without its holdings */

    /* INT64_MAX: does not count */
    int64_t session_deadline_ms;
    int64_t rebalance_deadline_ms; /* to give up partitions */
    int64_t join_deadline_ms;      /* classic: to join again */
    int64_t sync_deadline_ms;      /* classic: to sync */

    UT_hash_handle hh;
    UT_hash_handle hh_instance;
};

/* A subscribed topic that exists, as of the last look at the catalogue. */
struct consumer_topic {
    struct slice name;
    struct wire_uuid id;
    int32_t partition_count; /* -1: only while the table is made: there is no such topic */
    uint32_t index;          /* while an assignment is computed */
    UT_hash_handle hh;
};

struct consumer_regex {
    struct slice text;
    struct slice *topics; /* the names it matches, in order */
    size_t topic_count;
    uint64_t version;        /* of the catalogue; 0: not looked up yet */
    uint64_t current_at;     /* nothing newer was to be expected at this version; 0: at none */
    uint64_t rights_version; /* when it was looked up (struct group_asker) */
    int64_t wall_ms;
    bool used; /* while regular expressions are looked through */
    UT_hash_handle hh;
};

/* A partition that a member has, or is to give up. */
struct consumer_holding {
    struct topic_partition key;
    const struct consumer_member *holder;
    UT_hash_handle hh;
};

/* A record that could not be stored; what it is about is written again with the next change. */
struct consumer_redo {
    struct slice key; /* of the record */
    UT_hash_handle hh;
};

struct consumer_group {
    int32_t epoch;
    int32_t assignment_epoch;
    struct consumer_member *members;
    struct consumer_member *static_members;
    size_t classic_count;
    struct consumer_topic *topics;
    struct consumer_regex *regexes;
    struct consumer_holding *holdings;
    uint64_t topics_version; /* of the catalogue, when topics was made; 0: never */
    uint64_t sequence;       /* of the last store */
    uint64_t stored;         /* up to here they are on disk */

    size_t bytes; /* of all that is in here */

    bool loading;              /* replay: holdings are made at its end */
    struct group_store *store; /* the changes of this call so far; NULL: none */
    struct consumer_redo *redo;
};

#endif
