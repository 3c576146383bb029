#include "client/reader/reader_inside.h"

#include "base/clock.h"
#include "base/plural.h"

#include <stdio.h>
#include <string.h>

/*
 * Partitions that are nobody's, though their group stands. A member that is to give partitions up
 * joins again when it did, and then another one gets them (KIP-429). A static member that dies
 * before that gets back what it was to keep (KIP-345), holds nothing that it could give up, and
 * nobody joins again: Apache Kafka leaves it at that, and so it does with what came to a topic
 * while its leader was away; Tidings balances the group anew. So a static member that is back looks
 * who has what. What is nobody's for longer than giving up takes it brings back to the group: it
 * leaves and joins again, once after each start. To join again alone is not enough: the group is
 * only balanced anew for a follower that says something else than before, and librdkafka joins
 * again for none but another list of topics.
 */

enum {
    FIRST_MS = 2000,
    LOOK_MS = 5000,
    NOBODYS_MS = 10000, /* longer than lanes wait for what runs when partitions are taken away */
    LOOKS_MAX = 12,
    LEAVE_MS = 10000
};

static void stop_asking(struct reader_nobody *nobody)
{
    admin_look_end(nobody->look);
    nobody->look = NULL;
}

void reader_nobody_end(struct reader *reader)
{
    stop_asking(&reader->nobody);
    topic_partitions_deinit(&reader->nobody.seen);
    reader->nobody = (struct reader_nobody){0};
}

static void stop_looking(struct reader *reader)
{
    reader_nobody_end(reader);
    reader->nobody.has_begun = true;
}

static int compare(const struct topic_partition *a, const struct topic_partition *b)
{
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* What no member of a stable group has of our topics; false when that cannot be told now. */
static bool find_nobodys(struct reader *reader, const struct admin_group *group,
                         struct topic_partitions *nobodys)
{
    struct topic_partitions all = {0}, held = {0};
    bool is_known = group->state != NULL && strcmp(group->state, "Stable") == 0 &&
                    reader_all_partitions(reader, &all) == CLIENT_OK;
    for (size_t i = 0; is_known && i < group->members.count; i++) {
        topic_partitions_append(&held, &group->members.items[i].partitions);
    }
    topic_partitions_sort(&all);
    topic_partitions_sort(&held);
    for (size_t i = 0, j = 0; is_known && i < all.count; i++) {
        const struct topic_partition *at = &all.items[i];
        while (j < held.count && compare(&held.items[j], at) < 0) {
            j++;
        }
        if (j == held.count || compare(&held.items[j], at) != 0) {
            topic_partitions_add(nobodys, at->topic, at->partition, -1);
        }
    }
    topic_partitions_deinit(&all);
    topic_partitions_deinit(&held);
    return is_known;
}

static bool are_same(const struct topic_partitions *a, const struct topic_partitions *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = compare(&a->items[i], &b->items[i]) == 0;
    }
    return same;
}

static void leave(struct reader *reader, int64_t now_ms)
{
    const struct topic_partition *first = &reader->nobody.seen.items[0];
    struct client_error what;
    client_fail(&what, CLIENT_TIMED_OUT, NULL,
                "%zu partition%s of group '%.100s' %s nobody's, first %.100s/%d: instance '%.100s' "
                "joins it anew, so that somebody gets them",
                reader->nobody.seen.count, plural_s(reader->nobody.seen.count), reader->group,
                plural_are(reader->nobody.seen.count), first->topic, (int)first->partition,
                reader->instance);
    reader_notice(reader, &what);
    stop_looking(reader);
    reader->nobody.join_by_ms = now_ms + LEAVE_MS;
    atomic_store(&reader->handle->has_left, false);
    rd_kafka_unsubscribe(reader->connection.rk);
}

static void weigh(struct reader *reader, const struct admin_group *group, int64_t now_ms)
{
    struct reader_nobody *nobody = &reader->nobody;
    struct topic_partitions found = {0};
    bool is_known = find_nobodys(reader, group, &found);
    if ((is_known && found.count == 0) || ++nobody->looks == LOOKS_MAX) {
        stop_looking(reader);
    } else if (is_known && are_same(&found, &nobody->seen) &&
               now_ms - nobody->seen_at_ms >= NOBODYS_MS) {
        leave(reader, now_ms);
    } else if (!is_known || !are_same(&found, &nobody->seen)) {
        struct topic_partitions former = nobody->seen;
        nobody->seen = found;
        nobody->seen_at_ms = now_ms;
        found = former;
    }
    topic_partitions_deinit(&found);
}

/* librdkafka sends what it leaves by once all partitions are given back; a subscription before that
 * would take its place. */
static void join_again(struct reader *reader, int64_t now_ms)
{
    if (atomic_load(&reader->handle->has_left) || now_ms >= reader->nobody.join_by_ms) {
        reader->nobody.join_by_ms = 0;
        (void)reader_group_join(reader, NULL);
    }
}

void reader_nobody_due(struct reader *reader)
{
    struct reader_nobody *nobody = &reader->nobody;
    bool begins = !nobody->has_begun && reader->instance != NULL && !reader->is_eager &&
                  atomic_load(&reader->handle->was_assigned);
    if (!begins && nobody->look_at_ms == 0 && nobody->join_by_ms == 0) {
        return;
    }
    int64_t now_ms = clock_mono_ms(clock_system());
    struct admin_group group;
    if (begins) {
        nobody->has_begun = true;
        nobody->look_at_ms = now_ms + FIRST_MS;
    } else if (nobody->join_by_ms != 0) {
        join_again(reader, now_ms);
    } else if (nobody->look != NULL && admin_look_answered(nobody->look, &group)) {
        stop_asking(nobody);
        nobody->look_at_ms = now_ms + LOOK_MS;
        weigh(reader, &group, now_ms);
        admin_group_deinit(&group);
    } else if (nobody->look == NULL && now_ms >= nobody->look_at_ms) {
        nobody->look = admin_look_begin(&reader->connection, reader->group);
    }
}
