#include "client/admin/admin_request.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Groups as they are described by rd_kafka_list_groups, which hands out what members say as bytes.
 * rd_kafka_DescribeConsumerGroups opens them itself, and ends the process (an assertion, in 2.0.2
 * and later ones) when they are not what it expects: any client can have a group like that. So
 * nothing here asks by that, though it alone tells instance ids, and asks the coordinator.
 */

/* Of one member; the rest is left out. */
enum { PARTITIONS_MOST = 100000 };

struct rest {
    const uint8_t *at;
    size_t size;
};

static bool take(struct rest *rest, size_t size, const uint8_t **out)
{
    if (rest->size < size) {
        return false;
    }
    *out = rest->at;
    rest->at += size;
    rest->size -= size;
    return true;
}

static bool take_number(struct rest *rest, int32_t *out)
{
    const uint8_t *at;
    if (!take(rest, 4, &at)) {
        return false;
    }
    *out = (int32_t)load_be32(at);
    return true;
}

static bool take_topic(struct rest *rest, struct topic_partitions *partitions)
{
    const uint8_t *length, *name;
    int32_t count, number;
    if (!take(rest, 2, &length) || !take(rest, load_be16(length), &name) ||
        !take_number(rest, &count)) {
        return false;
    }
    char *topic = mem_strndup((const char *)name, load_be16(length));
    bool is_whole = true;
    for (int32_t i = 0; i < count && is_whole && partitions->count < PARTITIONS_MOST; i++) {
        is_whole = take_number(rest, &number);
        if (is_whole) {
            topic_partitions_add(partitions, topic, number, -1);
        }
    }
    free(topic);
    return is_whole;
}

void admin_take_assignment(const void *bytes, size_t size, struct topic_partitions *partitions)
{
    struct rest rest = {bytes, size};
    const uint8_t *version;
    int32_t topics;
    if (!take(&rest, 2, &version) || !take_number(&rest, &topics)) {
        return;
    }
    while (topics-- > 0 && partitions->count < PARTITIONS_MOST && take_topic(&rest, partitions)) {
    }
}

char *admin_instance_of(const char *member_id, const char *client_id)
{
    enum { UUID_SIZE = 36, LONGEST = 249 /* a longer name is a client id, cut */ };
    size_t size = strlen(member_id);
    size_t name = size > UUID_SIZE + 1 ? size - UUID_SIZE - 1 : 0;
    if (name == 0 || name > LONGEST || member_id[name] != '-') {
        return NULL;
    }
    char *instance = mem_strndup(member_id, name);
    /* Tidings calls members of the consumer protocol (KIP-848) "consumer" who bring no id. */
    if (strcmp(instance, client_id) == 0 || strcmp(instance, "consumer") == 0) {
        free(instance);
        return NULL;
    }
    return instance;
}

static const char *text(const char *from)
{
    return from != NULL ? from : "";
}

static const char *state_of(const char *name)
{
    for (int i = 0; i < RD_KAFKA_CONSUMER_GROUP_STATE__CNT; i++) {
        const char *known = rd_kafka_consumer_group_state_name((rd_kafka_consumer_group_state_t)i);
        if (strcmp(known, name) == 0) {
            return known;
        }
    }
    return rd_kafka_consumer_group_state_name(RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN);
}

static void take_group(const struct rd_kafka_group_info *from, struct admin_group *group)
{
    bool is_consumers = strcmp(text(from->protocol_type), "consumer") == 0;
    group->state = state_of(text(from->state));
    group->is_dead = strcmp(text(from->state), "Dead") == 0;
    group->assignor = mem_strdup(text(from->protocol));
    for (int i = 0; i < from->member_cnt; i++) {
        const struct rd_kafka_group_member_info *of = &from->members[i];
        struct admin_member *member = vec_add(&group->members);
        member->id = mem_strdup(text(of->member_id));
        member->client_id = mem_strdup(text(of->client_id));
        member->instance_id = admin_instance_of(member->id, member->client_id);
        member->host = mem_strdup(text(of->client_host));
        if (is_consumers && of->member_assignment_size > 0) {
            admin_take_assignment(of->member_assignment, (size_t)of->member_assignment_size,
                                  &member->partitions);
        }
    }
}

static int by_group(const void *a, const void *b)
{
    const struct rd_kafka_group_info *left = a, *right = b;
    return strcmp(left->group, right->group);
}

static const struct rd_kafka_group_info *find(const struct rd_kafka_group_list *list,
                                              const char *name)
{
    struct rd_kafka_group_info key = {.group = (char *)(uintptr_t)name};
    return list->group_cnt > 0
               ? bsearch(&key, list->groups, (size_t)list->group_cnt, sizeof key, by_group)
               : NULL;
}

/* What the list says of the group; one that is not in it is dead, if all of it is there. */
static void take_answer(const struct rd_kafka_group_list *list, bool is_whole, const char *name,
                        struct admin_group_answer *answer)
{
    const struct rd_kafka_group_info *found = find(list, name);
    if (found != NULL && found->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_fail_code(&answer->error, found->err, NULL);
    } else if (found != NULL) {
        take_group(found, &answer->group);
    } else if (is_whole) {
        answer->group.state =
            rd_kafka_consumer_group_state_name(RD_KAFKA_CONSUMER_GROUP_STATE_DEAD);
        answer->group.is_dead = true;
        answer->group.assignor = mem_strdup("");
    } else {
        client_fail_code(&answer->error, RD_KAFKA_RESP_ERR__TIMED_OUT,
                         "a broker that may know the group did not answer");
    }
}

struct listing {
    const struct rd_kafka_group_list *list; /* by name */
    bool is_whole;                          /* all brokers told theirs */
    int brokers;
};

/* The group of this name, or all when it is NULL. */
static enum client_status list_groups(struct connection *connection, const char *name,
                                      struct listing *listing, struct client_error *error)
{
    struct kafka_asking all;
    *listing = (struct listing){0};
    enum client_status status = kafka_all_begin(connection, &all, error);
    if (status != CLIENT_OK) {
        return status;
    }
    rd_kafka_resp_err_t code = kafka_ask_groups(connection, &all, name, &listing->list);
    kafka_all_end(connection, &all, code);
    if (listing->list == NULL) {
        return connection_fail(
            connection, error,
            code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
    }
    if (listing->list->group_cnt > 1) {
        qsort(listing->list->groups, (size_t)listing->list->group_cnt,
              sizeof *listing->list->groups, by_group);
    }
    listing->brokers = all.brokers;
    listing->is_whole = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    return CLIENT_OK;
}

/*
 * While a group goes from one broker to another there is a moment when neither has it, and nobody
 * is to hear then that it is not there: so what is missing in a cluster is asked for again.
 */
static enum client_status look_again(struct connection *connection, const char *const *names,
                                     size_t count, struct listing *listing,
                                     struct client_error *error)
{
    static const struct timespec pause = {.tv_nsec = 200000000};
    bool is_missing = false;
    for (size_t i = 0; i < count && !is_missing; i++) {
        is_missing = find(listing->list, names[i]) == NULL;
    }
    if (!is_missing || !listing->is_whole || listing->brokers < 2) {
        return CLIENT_OK;
    }
    rd_kafka_group_list_destroy(listing->list);
    nanosleep(&pause, NULL);
    return list_groups(connection, count == 1 ? names[0] : NULL, listing, error);
}

enum client_status admin_describe(struct connection *connection, const char *const *names,
                                  size_t count, struct admin_group_answer *answers,
                                  struct client_error *error)
{
    struct listing listing;
    enum client_status status =
        list_groups(connection, count == 1 ? names[0] : NULL, &listing, error);
    if (status == CLIENT_OK) {
        status = look_again(connection, names, count, &listing, error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < count; i++) {
        take_answer(listing.list, listing.is_whole, names[i], &answers[i]);
    }
    if (listing.list != NULL) {
        rd_kafka_group_list_destroy(listing.list);
    }
    return status;
}
