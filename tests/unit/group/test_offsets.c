#include "../unit.h"
#include "base/java_hash.h"
#include "fixture.h"

/* Commits, fetches, deletions, expiry, and the records they leave. */

struct commit {
    bool asked;
    const char *member_id, *topic, *metadata;
    int32_t partition, generation;
    int64_t offset, retention_ms;
    enum err err;
};

#define COMMIT(...) ((struct commit){.asked = true, __VA_ARGS__})

static uint64_t commit(struct world *world, struct commit with)
{
    struct group_offset_commit item = {
        .topic = slice_str(with.topic != NULL ? with.topic : "t"),
        .partition = with.partition,
        .offset = with.offset,
        .leader_epoch = 3,
        .metadata = slice_str(with.metadata),
        .err = with.err,
    };
    struct group_commit_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(with.member_id != NULL ? with.member_id : ""),
        .generation = with.generation != 0 ? with.generation : -1,
        .retention_ms = with.retention_ms != 0 ? with.retention_ms : -1,
        .offsets = &item,
        .count = 1,
    };
    struct group_effects effects = {0};
    uint64_t n = request.waiter.token.sequence;
    group_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return n;
}

static enum err error_of(struct world *world, uint64_t n)
{
    const struct group_reply *answer = reply(world, n);
    assert_non_null(answer);
    assert_int_equal(answer->partitions.count, 1);
    return answer->partitions.items[0].err;
}

static int64_t fetch(struct world *world, const char *topic, int32_t partition)
{
    struct arena arena = {0};
    struct group_offset offset = {.topic = slice_str(topic), .partition = partition};
    group_offset_fetch(world->group, &arena, &offset);
    arena_deinit(&arena);
    return offset.offset;
}

static void a_commit_is_seen_once_it_is_on_disk(void **state)
{
    struct world *world = world_new();
    world->slow_disk = true;
    uint64_t n = commit(world, COMMIT(.offset = 42, .metadata = "note \xc3\xa9"));
    assert_null(reply(world, n));
    assert_int_equal(fetch(world, "t", 0), -1);
    flush(world);
    assert_int_equal(error_of(world, n), ERR_NONE);
    struct arena arena = {0};
    struct group_offset offset = {.topic = slice_str("t"), .partition = 0};
    group_offset_fetch(world->group, &arena, &offset);
    assert_int_equal(offset.offset, 42);
    assert_int_equal(offset.leader_epoch, 3);
    assert_slice(offset.metadata, "note \xc3\xa9");
    arena_deinit(&arena);
    world_free(world);
}

static void commits_are_checked_against_the_membership(void **state)
{
    struct world *world = world_new();
    assert_int_equal(error_of(world, commit(world, COMMIT(.generation = 1, .member_id = "x"))),
                     ERR_UNKNOWN_MEMBER);
    const char *id = stable_one(world);
    assert_int_equal(error_of(world, commit(world, COMMIT(.offset = 1))), ERR_UNKNOWN_MEMBER);
    assert_int_equal(error_of(world, commit(world, COMMIT(.member_id = id, .generation = 9))),
                     ERR_ILLEGAL_GENERATION);
    assert_int_equal(
        error_of(world, commit(world, COMMIT(.member_id = id, .generation = 1, .offset = 5))),
        ERR_NONE);
    join(world, JOIN()); /* preparing: members may still commit */
    assert_int_equal(
        error_of(world, commit(world, COMMIT(.member_id = id, .generation = 1, .offset = 6))),
        ERR_NONE);
    join(world, JOIN(.member_id = id)); /* completing */
    assert_int_equal(
        error_of(world, commit(world, COMMIT(.member_id = id, .generation = 2, .offset = 7))),
        ERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(fetch(world, "t", 0), 6);
    world_free(world);
}

static void long_metadata_and_unknown_topics_are_refused_alone(void **state)
{
    struct world *world = world_new();
    world->config.offset_metadata_max_bytes = 4;
    assert_int_equal(error_of(world, commit(world, COMMIT(.metadata = "12345"))),
                     ERR_METADATA_TOO_LARGE);
    assert_int_equal(error_of(world, commit(world, COMMIT(.metadata = "1234"))), ERR_NONE);
    assert_int_equal(error_of(world, commit(world, COMMIT(.topic = "no", .err = ERR_NOT_FOUND))),
                     ERR_NOT_FOUND);
    assert_int_equal(fetch(world, "no", 0), -1);
    world_free(world);
}

static void a_failed_commit_changes_nothing(void **state)
{
    struct world *world = world_new();
    commit(world, COMMIT(.offset = 1));
    world->disk = ERR_NO_SPACE;
    assert_int_equal(error_of(world, commit(world, COMMIT(.offset = 2))),
                     ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(error_of(world, commit(world, COMMIT(.topic = "u"))),
                     ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(fetch(world, "t", 0), 1);
    assert_int_equal(HASH_COUNT(world->group->offsets), 1);
    world_free(world);
}

static void the_later_commit_wins_whatever_completes_first(void **state)
{
    struct world *world = world_new();
    world->slow_disk = true;
    commit(world, COMMIT(.offset = 1));
    commit(world, COMMIT(.offset = 2));
    struct group_store *first = world->stores;
    world->stores = first->next;
    flush(world);
    assert_int_equal(fetch(world, "t", 0), 2);
    first->next = NULL;
    world->stores = first;
    flush(world);
    assert_int_equal(fetch(world, "t", 0), 2);
    world_free(world);
}

static uint64_t delete_offset(struct world *world, const char *topic)
{
    struct group_partition target = {slice_str(topic), 0};
    struct group_offset_delete_request request = {
        .waiter = next_waiter(world), .partitions = &target, .count = 1};
    uint64_t n = request.waiter.token.sequence;
    struct group_effects effects = {0};
    group_offset_delete(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return n;
}

/* Some clients' metadata claims a later version and ends with the fields of version 0. */
static void offsets_of_subscribed_topics(uint8_t claimed_version)
{
    struct world *world = world_new();
    commit(world, COMMIT(.topic = "t", .offset = 1));
    commit(world, COMMIT(.topic = "u", .offset = 2));
    const uint8_t metadata[] = {0, claimed_version, 0, 0, 0, 1, 0, 1, 't', 255, 255, 255, 255};
    struct group_protocol_offer offer = {slice_str("range"), slice_of(metadata, sizeof metadata)};
    struct group_join_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(""),
        .protocol_type = slice_str("consumer"),
        .protocols = &offer,
        .protocol_count = 1,
        .session_timeout_ms = SESSION_MS,
        .rebalance_timeout_ms = REBALANCE_MS,
    };
    struct group_effects effects = {0};
    group_join(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    lead(world, id_of(world, request.waiter.token.sequence));
    assert_int_equal(error_of(world, delete_offset(world, "t")), ERR_SUBSCRIBED);
    assert_int_equal(error_of(world, delete_offset(world, "u")), ERR_NONE);
    assert_int_equal(error_of(world, delete_offset(world, "v")), ERR_NONE);
    assert_int_equal(fetch(world, "t", 0), 1);
    assert_int_equal(fetch(world, "u", 0), -1);
    world_free(world);
}

static void offsets_of_subscribed_topics_are_not_deleted(void **state)
{
    for (uint8_t version = 0; version < 5; version++) {
        offsets_of_subscribed_topics(version);
    }
}

static void a_deletion_outlives_a_commit_under_way(void **state)
{
    struct world *world = world_new();
    world->slow_disk = true;
    commit(world, COMMIT(.offset = 1));
    uint64_t gone = delete_offset(world, "t");
    assert_null(reply(world, gone));
    flush(world);
    assert_int_equal(reply(world, gone)->err, ERR_NONE);
    assert_int_equal(fetch(world, "t", 0), -1);
    assert_null(world->group->offsets);
    world_free(world);
}

static void offsets_of_deleted_topics_go(void **state)
{
    struct world *world = world_new();
    commit(world, COMMIT(.topic = "a", .partition = 0, .offset = 1));
    commit(world, COMMIT(.topic = "a", .partition = 1, .offset = 2));
    commit(world, COMMIT(.topic = "ab", .offset = 3));
    size_t before = world->log_size;
    struct group_effects effects = {0};
    group_topic_deleted(world->group, slice_str("a"), world->now, &effects);
    world_take(world, &effects);
    assert_int_equal(world->log_size, before + 2);
    assert_true(world->log[before].tombstone);
    assert_int_equal(fetch(world, "a", 1), -1);
    assert_int_equal(fetch(world, "ab", 0), 3);
    world_free(world);
}

static void expire(struct world *world)
{
    struct group_effects effects = {0};
    group_expire_offsets(world->group, world->now, &effects);
    world_take(world, &effects);
}

static void offsets_expire_after_their_retention(void **state)
{
    struct world *world = world_new();
    world->config.offsets_retention_ms = 5000;
    commit(world, COMMIT(.topic = "own", .offset = 1, .retention_ms = 100));
    commit(world, COMMIT(.topic = "t", .offset = 1));
    pass(world, 100);
    expire(world);
    assert_int_equal(fetch(world, "own", 0), -1);
    assert_int_equal(fetch(world, "t", 0), 1);
    pass(world, 4899);
    expire(world);
    assert_int_equal(fetch(world, "t", 0), 1);
    pass(world, 1);
    expire(world);
    assert_int_equal(fetch(world, "t", 0), -1);
    assert_int_equal(group_state(world->group), GROUP_DEAD);
    world_free(world);
}

static void a_group_in_use_keeps_its_offsets(void **state)
{
    struct world *world = world_new();
    world->config.offsets_retention_ms = 5000;
    const char *id = stable_one(world);
    commit(world, COMMIT(.member_id = id, .generation = 1, .offset = 1));
    pass(world, 9000);
    assert_int_equal(beat(world, id), ERR_NONE);
    expire(world);
    assert_int_equal(fetch(world, "t", 0), 1);
    leave(world, id, NULL);
    pass(world, 4999); /* counted from when it became empty */
    expire(world);
    assert_int_equal(fetch(world, "t", 0), 1);
    pass(world, 1);
    expire(world);
    assert_int_equal(group_state(world->group), GROUP_DEAD);
    world_free(world);
}

static void only_an_empty_group_is_deleted(void **state)
{
    struct world *world = world_new();
    const char *id = stable_one(world);
    assert_int_equal(delete_group(world), ERR_GROUP_NOT_EMPTY);
    commit(world, COMMIT(.member_id = id, .generation = 1, .offset = 1));
    leave(world, id, NULL);
    size_t before = world->log_size;
    assert_int_equal(delete_group(world), ERR_NONE);
    assert_int_equal(world->log_size, before + 2);
    assert_true(world->log[before].tombstone && world->log[before + 1].tombstone);
    assert_int_equal(delete_group(world), ERR_GROUP_NOT_FOUND);
    world_free(world);
}

static void what_cannot_be_deleted_stays_until_the_next_try(void **state)
{
    struct world *world = world_new();
    commit(world, COMMIT(.topic = "t", .offset = 7));
    world->told_count = 0;
    world->disk = ERR_NO_SPACE;
    assert_int_equal(reply(world, delete_offset(world, "t"))->err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(delete_group(world), ERR_COORDINATOR_UNAVAILABLE);
    world->config.offsets_retention_ms = 5000;
    pass(world, 5001);
    expire(world);
    assert_int_equal(world->told_count, 0); /* nothing is gone */
    assert_int_equal(fetch(world, "t", 0), 7);
    world->disk = ERR_NONE;
    assert_int_equal(reply(world, delete_offset(world, "t"))->err, ERR_NONE);
    assert_int_equal(delete_group(world), ERR_NONE);
    struct group *copy = replayed(world);
    assert_null(copy->offsets); /* also after a restart */
    group_free(copy);
    world_free(world);
}

static void all_offsets_come_in_order(void **state)
{
    struct world *world = world_new();
    commit(world, COMMIT(.topic = "b", .partition = 1, .offset = 1));
    commit(world, COMMIT(.topic = "a", .partition = 10, .offset = 2));
    commit(world, COMMIT(.topic = "a", .partition = 9, .offset = 3));
    commit(world, COMMIT(.topic = "aa", .partition = 0, .offset = 4));
    struct arena arena = {0};
    struct group_offset *all;
    assert_int_equal(group_offset_fetch_all(world->group, &arena, &all), 4);
    assert_int_equal(all[0].offset, 3);
    assert_int_equal(all[1].offset, 2);
    assert_int_equal(all[2].offset, 4);
    assert_int_equal(all[3].offset, 1);
    arena_deinit(&arena);
    world_free(world);
}

/* The bytes that Kafka's own serializers make of the same values. */
static void records_are_in_kafkas_format(void **state)
{
    struct world *world = world_new();
    commit(world, COMMIT(.topic = "t", .partition = 2, .offset = 0x102, .metadata = "m"));
    static const uint8_t key[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 2};
    static const uint8_t value[] = {0, 3, 0, 0,   0, 0, 0,    0,    1,    2,    0,    0,   0,
                                    3, 0, 1, 'm', 0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00};
    assert_int_equal(world->log[0].key.size, sizeof key);
    assert_memory_equal(world->log[0].key.data, key, sizeof key);
    assert_int_equal(world->log[0].value.size, sizeof value);
    assert_memory_equal(world->log[0].value.data, value, sizeof value);
    stable_one(world);
    static const uint8_t group_key[] = {0, 2, 0, 1, 'g'};
    assert_memory_equal(world->log[1].key.data, group_key, sizeof group_key);
    assert_int_equal(world->log[1].value.data[1], 3);
    world_free(world);
}

/* Java: Math.abs("...".hashCode()) % 50. */
static void groups_are_placed_as_in_kafka(void **state)
{
    assert_int_equal(java_hash_partition(slice_str(""), 50), 0);
    assert_int_equal(java_hash_partition(slice_str("a"), 50), 97 % 50);
    assert_int_equal(java_hash_partition(slice_str("hello"), 50), 99162322 % 50);
    /* "polygenelubricants" hashes to Integer.MIN_VALUE, which Kafka maps to 0. */
    assert_int_equal(java_hash_partition(slice_str("polygenelubricants"), 50), 0);
    /* U+1F600 is two UTF-16 units, d83d de00: 55357 * 31 + 56832. */
    assert_int_equal(java_hash_partition(slice_str("\xf0\x9f\x98\x80"), 50), 1772899 % 50);
    assert_int_equal(java_hash_partition(slice_str("\xc3\xa9"), 50), 0xe9 % 50);
}

static void strange_keys_are_told_apart(void **state)
{
    struct group_record_key key;
    assert_int_equal(group_record_key_read(slice_of("\0", 1), &key), ERR_CORRUPT);
    assert_int_equal(group_record_key_read(slice_of("\0\1\0\5g", 5), &key), ERR_CORRUPT);
    assert_int_equal(group_record_key_read(slice_of("\0\3\0\1g", 5), &key), ERR_NONE);
    assert_int_equal(key.kind, GROUP_RECORD_EPOCH);
    assert_int_equal(group_record_key_read(slice_of("\0\5\0\1g", 5), &key), ERR_CORRUPT);
    assert_int_equal(group_record_key_read(slice_of("\0\13\0\1g", 5), &key), ERR_NONE);
    assert_int_equal(key.kind, GROUP_RECORD_OTHER); /* of a share group */
    assert_int_equal(group_record_key_read(slice_of("\0\0\0\1g\0\1t\0\0\0\7", 12), &key), ERR_NONE);
    assert_int_equal(key.kind, GROUP_RECORD_OFFSET);
    assert_int_equal(key.partition, 7);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_seen_once_it_is_on_disk),
        cmocka_unit_test(commits_are_checked_against_the_membership),
        cmocka_unit_test(long_metadata_and_unknown_topics_are_refused_alone),
        cmocka_unit_test(a_failed_commit_changes_nothing),
        cmocka_unit_test(the_later_commit_wins_whatever_completes_first),
        cmocka_unit_test(offsets_of_subscribed_topics_are_not_deleted),
        cmocka_unit_test(a_deletion_outlives_a_commit_under_way),
        cmocka_unit_test(offsets_of_deleted_topics_go),
        cmocka_unit_test(offsets_expire_after_their_retention),
        cmocka_unit_test(a_group_in_use_keeps_its_offsets),
        cmocka_unit_test(only_an_empty_group_is_deleted),
        cmocka_unit_test(what_cannot_be_deleted_stays_until_the_next_try),
        cmocka_unit_test(all_offsets_come_in_order),
        cmocka_unit_test(records_are_in_kafkas_format),
        cmocka_unit_test(groups_are_placed_as_in_kafka),
        cmocka_unit_test(strange_keys_are_told_apart),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
