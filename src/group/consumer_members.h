#ifndef TIDINGS_GROUP_CONSUMER_MEMBERS_H
#define TIDINGS_GROUP_CONSUMER_MEMBERS_H

#include "group/consumer_state.h"

/*
 * The parts of a consumer group, and who has which partition. What changes it here is for
 * consumer_apply, which alone does so.
 */

/* ---- lists of names ---- */

/* By bytes; the shorter of two with the same beginning comes first. For qsort over slices. */
int consumer_compare_names(const void *a, const void *b);
/* Puts them in order and drops what is there twice; how many are left. */
size_t consumer_sort_names(struct slice *names, size_t count);
/* The same names in the same order. */
bool consumer_same_names(const struct slice *a, size_t a_count, const struct slice *b,
                         size_t b_count);
/* Owned copies; consumer_names_free. */
struct slice *consumer_keep_names(const struct slice *names, size_t count);
/* Frees names and array. */
void consumer_names_free(struct slice *names, size_t count);

/* ---- looking ---- */

/* Whom the log names. */
static inline struct group_who consumer_who(const struct consumer_member *member)
{
    return (struct group_who){member->id, member->instance_id, member->client_id,
                              member->client_host};
}

/* NULL when there is none; null finds none. */
struct consumer_member *consumer_find(const struct consumer_group *consumer, struct slice id);
/* The holder of the instance id. */
struct consumer_member *consumer_find_static(const struct consumer_group *consumer,
                                             struct slice instance_id);
/* A subscribed topic by name. */
struct consumer_topic *consumer_find_topic(const struct consumer_group *consumer,
                                           struct slice name);
/* A regular expression by its text. */
struct consumer_regex *consumer_find_regex(const struct consumer_group *consumer,
                                           struct slice text);
/* Whether some member has the partition, or is to give it up yet. */
bool consumer_is_held(const struct consumer_group *consumer, const struct topic_partition *key);

/* ---- what they take ---- */

/* Counts what the member takes now: to be called when something of it has changed. */
void consumer_count(struct consumer_group *consumer, struct consumer_member *member);
/* What a subscribed topic, an expression with what it matches takes. */
size_t consumer_topic_cost(const struct consumer_topic *topic);
size_t consumer_regex_cost(const struct consumer_regex *regex);
size_t consumer_names_cost(const struct slice *names, size_t count);
/* Members, topics, expressions, holdings. */
size_t consumer_member_bytes(const struct group *group);

/* ---- changing ---- */

/* A consumer group without members. loading: holdings are made when all is replayed. */
void consumer_begin(struct group *group, bool loading);
/* Frees it all; the group is without consumer then. */
void consumer_free(struct group *group);

/* A new one with this id; instance_id null: dynamic. Its time-outs do not count yet. */
struct consumer_member *consumer_add(struct consumer_group *consumer, struct slice id,
                                     struct slice instance_id);
/* Takes the member with all that it holds out, and frees it. */
void consumer_take_out(struct consumer_group *consumer, struct consumer_member *member);
/* The member's instance id, a copy; null: dynamic. One that another holds stays with that one. */
void consumer_set_instance(struct consumer_group *consumer, struct consumer_member *member,
                           struct slice instance_id);
/* NULL ends the member's time in the classic protocol. Takes classic over. */
void consumer_set_classic(struct consumer_group *consumer, struct consumer_member *member,
                          struct consumer_classic *classic);
/* Copies of the protocols; freed with the member. */
struct consumer_classic *consumer_classic_new(int32_t session_timeout_ms,
                                              const struct group_protocol_offer *protocols,
                                              size_t count);
/* Replaces what the member has and gives up; takes the sets over, keeps the holdings right. */
void consumer_put_current(struct consumer_group *consumer, struct consumer_member *member,
                          struct partition_set *assigned, struct partition_set *revoking);
/* Frees the table; it is empty then. */
void consumer_free_topics(struct consumer_topic **table);
/* The same of a table that counts among the group's bytes. */
void consumer_drop_topics(struct consumer_group *consumer, struct consumer_topic **table);
/* Takes it out and frees it. */
void consumer_drop_regex(struct consumer_group *consumer, struct consumer_regex *regex);

#endif
