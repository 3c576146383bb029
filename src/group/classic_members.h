#ifndef TIDINGS_GROUP_CLASSIC_MEMBERS_H
#define TIDINGS_GROUP_CLASSIC_MEMBERS_H

#include "group/group_state.h"

/* The members of a classic group, and the protocols that they offer. */

enum {
    /* How long a new member may wait for its first JoinGroup answer: it has no member id to send
       heartbeats with, so a lost client is noticed by this alone. */
    CLASSIC_NEW_MEMBER_TIMEOUT_MS = 5 * 60 * 1000,
    /* Member ids given out (KIP-394) but not yet come back, per group. */
    CLASSIC_MAX_PENDING_MEMBERS = 10000
};

struct classic_member {
    struct slice id;
    struct slice instance_id; /* null: dynamic */
    struct slice client_id;
    struct slice client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct group_protocol_offer *protocols; /* in the member's order of preference */
    size_t protocol_count;
    struct slice assignment; /* never null */
    int64_t deadline_ms;     /* gone without a sign of life until then; see member_is_exempt */
    bool is_new;             /* has not had its first JoinGroup answer */
    bool awaits_join;
    bool awaits_sync;
    bool owes_sync;       /* of this generation, no SyncGroup seen yet */
    bool is_listed;       /* while a change is applied */
    uint32_t index;       /* while a change is made: where it is in there */
    size_t counted_bytes; /* in the group's member_bytes */
    struct completion join_waiter;
    struct completion sync_waiter;
    UT_hash_handle hh;          /* by id, in order of joining */
    UT_hash_handle hh_instance; /* by instance id, when static */
};

/* A member id that was given out and has not come back. */
struct classic_pending {
    struct slice id;
    int64_t deadline_ms;
    UT_hash_handle hh;
};

/* How many members support a protocol. */
struct classic_support {
    struct slice name;
    size_t count;
    UT_hash_handle hh;
};

/* By member id; by instance id (null finds none); NULL when there is none. */
struct classic_member *classic_find(const struct group *group, struct slice id);
/* The holder of the instance id; null finds none. */
struct classic_member *classic_find_static(const struct group *group, struct slice instance_id);
/* An id that was given out and has not come back. */
struct classic_pending *classic_find_pending(const struct group *group, struct slice id);

/* ERR_NONE, FENCED_INSTANCE or UNKNOWN_MEMBER; *member is set with ERR_NONE. */
enum err classic_check(const struct group *group, struct slice member_id, struct slice instance_id,
                       struct classic_member **member);

/* Whom the log names. */
static inline struct group_who classic_who(const struct classic_member *member)
{
    return (struct group_who){member->id, member->instance_id, member->client_id,
                              member->client_host};
}

/* Counts what the member takes now: to be called when a text of it has changed. */
void classic_count(struct group *group, struct classic_member *member);
/* What a member takes that joins so, under an id of this size. */
size_t classic_join_cost(const struct group_join_request *request, size_t id_size);
/* Notes an id that is given out, until deadline_ms. */
void classic_add_pending(struct group *group, struct slice id, int64_t deadline_ms);
/* What the members, ids given out and names of protocols take. */
size_t classic_member_bytes(const struct group *group);

/* Puts the member in; the first one gives the group its protocol type and becomes leader. */
void classic_add(struct group *group, struct classic_member *member, struct slice protocol_type);
/* Takes out and frees a member that waits for nothing; the next one leads if it did. */
void classic_take_out(struct group *group, struct classic_member *member);
/* Gives the member, which waits for nothing, a new id. It is the last to have joined then. */
void classic_set_id(struct group *group, struct classic_member *member, struct slice new_id);
/* Forgets an id that was given out; frees it. */
void classic_remove_pending(struct group *group, struct classic_pending *pending);
/* Forgets all of them. */
void classic_remove_all_pending(struct group *group);

/* Replaces the member's protocols by a copy of these. */
void classic_set_protocols(struct group *group, struct classic_member *member,
                           const struct group_protocol_offer *protocols, size_t count);
/* What the member says with this protocol; null: it does not offer it. */
struct slice classic_metadata(const struct classic_member *member, struct slice protocol);
/* Whether the request has a protocol that all members offer. */
bool classic_supports(const struct group *group, const struct group_join_request *request);
/* The protocol most members prefer of those that all support; a tie goes to who joined first. */
struct slice classic_select_protocol(const struct group *group);

/* Whether the member is to assign. False for all when nobody leads. */
bool classic_is_leader(const struct group *group, const struct classic_member *member);
/* The longest of the members. */
int32_t classic_rebalance_timeout_ms(const struct group *group);
/* The member showed life: its session runs anew. */
void classic_touch(struct group *group, struct classic_member *member, struct clock_time now);

#endif
