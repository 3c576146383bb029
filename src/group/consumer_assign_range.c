#include "group/consumer_assign.h"

#include "base/mem.h"

#include <stdlib.h>

/* How far the partitions of a topic are handed out. */
struct range {
    int32_t subscribers;
    int32_t given; /* to how many of them */
    int32_t next;  /* the first partition of the next one */
};

static int compare_members(const void *a, const void *b)
{
    const struct assign_member *left = *(struct assign_member *const *)a;
    const struct assign_member *right = *(struct assign_member *const *)b;
    bool left_static = !slice_is_null(left->instance_id);
    bool right_static = !slice_is_null(right->instance_id);
    if (left_static != right_static) {
        return left_static ? -1 : 1;
    }
    return left_static ? slice_compare(left->instance_id, right->instance_id)
                       : slice_compare(left->id, right->id);
}

static void give_run(struct assign_member *member, const struct assign_topic *topic,
                     struct range *range)
{
    int32_t quota = topic->partition_count / range->subscribers +
                    (range->given < topic->partition_count % range->subscribers);
    for (int32_t i = 0; i < quota; i++) {
        partition_set_push(&member->target, topic->id, range->next++);
    }
    range->given++;
}

void consumer_assign_range(struct assign_spec *spec)
{
    struct range *ranges = mem_new_array(struct range, spec->topic_count);
    struct assign_member **order = mem_new_array(struct assign_member *, spec->member_count);
    for (size_t m = 0; m < spec->member_count; m++) {
        order[m] = &spec->members[m];
        for (size_t t = 0; t < order[m]->topic_count; t++) {
            ranges[order[m]->topics[t]].subscribers++;
        }
    }
    if (spec->member_count > 1) {
        qsort(order, spec->member_count, sizeof *order, compare_members);
    }
    for (size_t m = 0; m < spec->member_count; m++) {
        for (size_t t = 0; t < order[m]->topic_count; t++) {
            uint32_t topic = order[m]->topics[t];
            give_run(order[m], &spec->topics[topic], &ranges[topic]);
        }
    }
    free(ranges);
    free(order);
}
