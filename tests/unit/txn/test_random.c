#include "base/random.h"
#include "txn/txn.h"

#include "../unit.h"
#include <inttypes.h>

#include <stdio.h>
#include <stdlib.h>

/*
 * Random requests, by seed. After each change: what was stored, replayed, is the live state; epochs
 * of a producer id never go back; a decided end never changes its mind; nobody with an older epoch
 * gets anything.
 */

enum { SEEDS = 300, STEPS = 200 };

static const struct txn_config config = {.max_timeout_ms = 900000, .expiration_ms = 604800000};

struct play {
    struct random random;
    struct txn *txn;
    struct clock_time now;
    int64_t next_producer_id;
    /* the producer as its client knows it */
    struct txn_producer producer;
    struct txn_producer old; /* of a producer before it */
    bool has_old;
    struct txn_partition partition; /* what an add borrows */
};

static uint32_t below(struct play *play, uint32_t bound)
{
    return (uint32_t)random_below(&play->random, bound);
}

static void compare_with_replay(struct play *play, struct slice value)
{
    struct txn *again = txn_new(play->txn->id, 0, &config, play->now);
    assert_int_equal(txn_record_apply(again, value, &config, play->now), ERR_NONE);
    struct txn_fields live = play->txn->fields;
    struct txn_fields replayed = again->fields;
    live.last_producer_epoch = replayed.last_producer_epoch = -1; /* not stored, as in Kafka */
    assert_memory_equal(&live.state, &replayed.state, sizeof live.state);
    assert_int_equal(live.producer_id, replayed.producer_id);
    assert_int_equal(live.previous_producer_id, replayed.previous_producer_id);
    assert_int_equal(live.next_producer_id, replayed.next_producer_id);
    assert_int_equal(live.producer_epoch, replayed.producer_epoch);
    assert_int_equal(live.timeout_ms, replayed.timeout_ms);
    assert_int_equal(live.client_version, replayed.client_version);
    assert_int_equal(live.started_wall_ms, replayed.started_wall_ms);
    assert_int_equal(live.updated_wall_ms, replayed.updated_wall_ms);
    assert_int_equal(again->partitions.count, play->txn->partitions.count);
    for (size_t i = 0; i < again->partitions.count; i++) {
        const struct txn_partition *item = &again->partitions.items[i];
        assert_true(txn_partitions_has(&play->txn->partitions, item->topic, item->index));
    }
    txn_free(again);
}

static void check_step(const struct txn_fields *before, const struct txn_fields *after)
{
    if (before->producer_id == after->producer_id) {
        assert_true(after->producer_epoch >= before->producer_epoch);
    } else {
        assert_true(after->producer_id > before->producer_id);
        assert_int_equal(after->producer_epoch, 0);
    }
    if (before->state == TXN_PREPARE_COMMIT) {
        assert_int_equal(after->state, TXN_COMPLETE_COMMIT);
    }
    if (before->state == TXN_PREPARE_ABORT) {
        assert_int_equal(after->state, TXN_COMPLETE_ABORT);
    }
    if (after->state == TXN_PREPARE_COMMIT) {
        assert_int_equal(before->state, TXN_ONGOING);
    }
}

static void store_and_apply(struct play *play, const struct txn_change *change)
{
    struct buf key = {0};
    struct buf value = {0};
    struct slice id;
    struct txn_fields before = play->txn->fields;
    txn_record_write(play->txn, change, &key, &value);
    assert_int_equal(txn_record_key_read(buf_slice(&key), &id), ERR_NONE);
    assert_true(slice_equal(id, play->txn->id));
    txn_apply(play->txn, change, &config, play->now);
    check_step(&before, &play->txn->fields);
    compare_with_replay(play, buf_slice(&value));
    buf_deinit(&key);
    buf_deinit(&value);
}

static void play_init(struct play *play)
{
    bool knows = play->producer.id >= 0 && below(play, 2) == 0;
    struct txn_init_request request = {
        .timeout_ms = 1 + (int32_t)below(play, 900000),
        .producer_id = knows ? play->producer.id : -1,
        .producer_epoch = knows ? play->producer.epoch : -1,
        .new_producer_id = -1,
    };
    struct txn_change change;
    struct reason reason;
    enum err err = txn_init(play->txn, &request, play->now, &change, &reason);
    if (err == ERR_AGAIN) {
        request.new_producer_id = play->next_producer_id++;
        err = txn_init(play->txn, &request, play->now, &change, &reason);
        assert_int_not_equal(err, ERR_AGAIN);
    }
    if (err == ERR_NONE && change.store) {
        store_and_apply(play, &change);
        if (change.answer == ERR_NONE) {
            play->has_old = play->producer.id >= 0 && !knows;
            play->old = play->producer;
            play->producer = (struct txn_producer){change.producer_id, change.producer_epoch};
        }
    }
}

static void play_add(struct play *play)
{
    static const char *const topics[] = {"a", "b", "orders", "__consumer_offsets"};
    struct txn_change change;
    struct reason reason;
    play->partition =
        (struct txn_partition){slice_str(topics[below(play, 4)]), (int32_t)below(play, 3)};
    enum err err =
        txn_add(play->txn, play->producer, below(play, 2) ? TXN_VERSION_2 : TXN_VERSION_1,
                &play->partition, 1, play->now, &change, &reason);
    if (err == ERR_NONE && change.store) {
        store_and_apply(play, &change);
    }
    if (play->has_old) {
        err = txn_add(play->txn, play->old, TXN_VERSION_2, &play->partition, 1, play->now, &change,
                      &reason);
        assert_int_not_equal(err, ERR_NONE);
        assert_false(change.store);
    }
}

static void play_end(struct play *play)
{
    struct txn_end_request request = {
        .producer = play->producer,
        .commit = below(play, 2) == 0,
        .version = below(play, 2) ? TXN_VERSION_2 : TXN_VERSION_1,
        .new_producer_id = -1,
    };
    struct txn_change change;
    struct reason reason;
    enum err err = txn_end(play->txn, &request, play->now, &change, &reason);
    if (err == ERR_AGAIN) {
        request.new_producer_id = play->next_producer_id++;
        err = txn_end(play->txn, &request, play->now, &change, &reason);
        assert_int_not_equal(err, ERR_AGAIN);
    }
    if (err == ERR_NONE && change.store) {
        store_and_apply(play, &change);
    }
    if (err == ERR_NONE && request.version == TXN_VERSION_2) {
        play->producer = (struct txn_producer){change.producer_id, change.producer_epoch};
    }
}

static void play_time(struct play *play)
{
    struct txn_change change;
    play->now.mono_ms += below(play, 100000);
    play->now.wall_ms += (int64_t)below(play, 200000) - 50000; /* it jumps back too */
    if (play->txn->fields.state == TXN_ONGOING && play->txn->deadline_ms <= play->now.mono_ms) {
        txn_fence(play->txn, play->now, &change);
        store_and_apply(play, &change);
    }
}

static void play_complete(struct play *play)
{
    struct txn_change change;
    if (txn_is_prepared(play->txn)) {
        txn_complete(play->txn, play->now, &change);
        store_and_apply(play, &change);
        assert_int_equal(play->txn->partitions.count, 0);
    }
}

static void play_seed(uint64_t seed)
{
    struct play play = {
        .now = {1000, 1700000000000}, .producer = {-1, -1}, .next_producer_id = 100};
    play.random.state = seed;
    play.txn = txn_new(slice_str("id"), play.next_producer_id++, &config, play.now);
    /* Some begin where epochs are about to be used up. */
    play.txn->fields.producer_epoch = below(&play, 3) == 0 ? TXN_LAST_EPOCH - 5 : -1;
    play_init(&play);
    for (int step = 0; step < STEPS; step++) {
        switch (below(&play, 8)) {
        case 0:
            play_init(&play);
            break;
        case 1:
        case 2:
            play_add(&play);
            break;
        case 3:
        case 4:
            play_end(&play);
            break;
        case 5:
            play_time(&play);
            break;
        default:
            play_complete(&play);
            break;
        }
    }
    txn_free(play.txn);
}

static void test_random_requests_keep_the_rules(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play_seed(seed); /* a failure's seed is the count of the calls */
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_requests_keep_the_rules)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
