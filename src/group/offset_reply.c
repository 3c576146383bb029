#include "group/offset_reply.h"

struct group_reply *offset_reply_new(enum group_reply_kind kind, const struct completion *waiter,
                                     size_t count)
{
    struct group_reply *reply = group_reply_new(kind, waiter, ERR_NONE);
    reply->partitions.items =
        arena_alloc_array(&reply->arena, count, sizeof(struct group_partition_result));
    return reply;
}

void offset_reply_add(struct group_reply *reply, struct slice topic, int32_t partition,
                      enum err err)
{
    struct group_partition_result *items = reply->partitions.items;
    size_t count = reply->partitions.count++;
    /* A run of partitions of one topic shares the name. */
    items[count].topic = count > 0 && slice_equal(items[count - 1].topic, topic)
                             ? items[count - 1].topic
                             : group_arena_slice(&reply->arena, topic);
    items[count].topic_id = (struct wire_uuid){{0}};
    items[count].partition = partition;
    items[count].err = err;
}

void offset_reply_add_commit(struct group_reply *reply, const struct group_offset_commit *commit,
                             enum err err)
{
    offset_reply_add(reply, commit->topic, commit->partition, err);
    reply->partitions.items[reply->partitions.count - 1].topic_id = commit->topic_id;
}
