#include "group/classic_topics.h"

#include "group/classic_members.h"
#include "group/consumer_protocol.h"
#include "wire/generated/consumer_protocol_subscription.h"

/* The topics in what a member says with the protocol in use. Each version begins with the fields of
 * version 0, so these are read, whatever the metadata claims. */
static enum err read_topics(const struct group *group, const struct classic_member *member,
                            struct arena *arena, struct consumer_protocol_subscription *out)
{
    struct slice metadata = slice_is_null(group->protocol)
                                ? (struct slice){0}
                                : classic_metadata(member, group->protocol);
    struct wire_reader reader;
    wire_reader_init(&reader, metadata, arena);
    (void)wire_read_int16(&reader); /* the version */
    /* bounded: an array's count is checked against the bytes there are */
    return consumer_protocol_subscription_decode(&reader, 0, out);
}

static bool names_topic(const struct group *group, const struct classic_member *member,
                        struct slice topic)
{
    struct arena arena = {0};
    struct consumer_protocol_subscription subscription;
    bool names = read_topics(group, member, &arena, &subscription) != ERR_NONE;
    for (int32_t i = 0; !names && i < subscription.topics_count; i++) {
        names = slice_equal(subscription.topics[i], topic);
    }
    arena_deinit(&arena);
    return names;
}

bool classic_is_subscribed(const struct group *group, struct slice topic)
{
    if (!slice_equal_str(group->protocol_type, "consumer")) {
        return true;
    }
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        if (names_topic(group, m, topic)) {
            return true;
        }
    }
    return false;
}

/* ---- what is nobody's ---- */

static enum err read_assigned(const struct group *group, struct partition_set *assigned)
{
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        struct partition_set its;
        enum err err = consumer_assignment_read(group, m->assignment, &its);
        for (size_t i = 0; i < its.count; i++) {
            partition_set_push(assigned, its.items[i].topic, its.items[i].partition);
        }
        partition_set_deinit(&its);
        if (err != ERR_NONE) {
            return err;
        }
    }
    partition_set_sort(assigned);
    return ERR_NONE;
}

/* Of the topics that the member subscribes to. */
static enum err find_gap(const struct group *group, const struct classic_member *member,
                         const struct partition_set *assigned, bool *gap)
{
    const struct group_topics *topics = &group->config->topics;
    struct arena arena = {0};
    struct consumer_protocol_subscription subscription;
    enum err err = read_topics(group, member, &arena, &subscription);
    for (int32_t i = 0; err == ERR_NONE && i < subscription.topics_count; i++) {
        struct wire_uuid id;
        int32_t count;
        if (topics->find(topics->context, subscription.topics[i], &id, &count)) {
            *gap = *gap || partition_set_count(assigned, id) < (size_t)count;
        }
    }
    arena_deinit(&arena);
    return err;
}

bool classic_has_gap(const struct group *group)
{
    if (!slice_equal_str(group->protocol_type, "consumer") || group->config->topics.find == NULL) {
        return false;
    }
    struct partition_set assigned = {0};
    bool gap = false;
    enum err err = read_assigned(group, &assigned);
    for (const struct classic_member *m = group->members; err == ERR_NONE && m != NULL;
         m = m->hh.next) {
        err = find_gap(group, m, &assigned, &gap);
    }
    partition_set_deinit(&assigned);
    return err == ERR_NONE && gap;
}
