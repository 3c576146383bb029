#include "../unit.h"
#include "fake_disk.h"
#include "txn/coordinator_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* The coordinator over a disk and a clock that the test moves. */

struct bench {
    struct disk *disk;
    struct clock clock;
    struct txn_coordinator *coordinator;
    _Atomic int64_t next_producer_id; /* of the threads' disk */
};

static int start(void **state)
{
    struct bench *bench = mem_new(struct bench);
    bench->disk = disk_new();
    bench->coordinator = disk_coordinator(bench->disk, &bench->clock);
    *state = bench;
    return 0;
}

static int stop(void **state)
{
    struct bench *bench = *state;
    disk_coordinator_free(bench->disk, bench->coordinator);
    disk_free(bench->disk);
    free(bench);
    return 0;
}

/* As after a kill that lost nothing that was appended. */
static void restart(struct bench *bench)
{
    disk_coordinator_free(bench->disk, bench->coordinator);
    bench->disk->crashed = false;
    bench->disk->wait_first = bench->disk->wait_end = 0;
    bench->coordinator = disk_coordinator(bench->disk, &bench->clock);
}

struct asked {
    struct txn_waiter waiter;
    struct txn_answer answer;
    int answers;
};

static void on_answer(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    struct asked *asked = container_of(waiter, struct asked, waiter);
    asked->answer = *answer;
    asked->answers++;
}

static struct asked ask(void)
{
    return (struct asked){.waiter.done = on_answer};
}

static const struct slice id = {(const uint8_t *)"pay", 3};

static struct txn_producer init(struct bench *bench)
{
    struct asked asked = ask();
    struct txn_init_request request = {
        .timeout_ms = 60000, .producer_id = -1, .producer_epoch = -1};
    txn_coordinator_init_producer(bench->coordinator, id, &request, &asked.waiter);
    disk_sync_all(bench->disk);
    assert_int_equal(asked.answers, 1);
    assert_int_equal(asked.answer.err, ERR_NONE);
    return (struct txn_producer){asked.answer.producer_id, asked.answer.producer_epoch};
}

static enum err add(struct bench *bench, struct txn_producer producer, int32_t index)
{
    struct asked asked = ask();
    struct txn_partition partition = {disk_topic(), index};
    txn_coordinator_add(bench->coordinator, id, producer, TXN_VERSION_1, &partition, 1,
                        &asked.waiter);
    disk_sync_all(bench->disk);
    assert_int_equal(asked.answers, 1);
    return asked.answer.err;
}

static void put_data(struct disk *disk, struct txn_producer producer, int32_t index)
{
    struct disk_partition *partition = &disk->partitions[index];
    partition->events[partition->count++] =
        (struct disk_event){.kind = DISK_DATA, .producer_id = producer.id, .epoch = producer.epoch};
    partition->synced = partition->count;
}

/* Not synced: the test lets the steps happen. */
static void end(struct bench *bench, struct txn_producer producer, bool commit, struct asked *asked)
{
    struct txn_end_request request = {
        .producer = producer, .commit = commit, .version = TXN_VERSION_1};
    assert_int_equal(txn_coordinator_end(bench->coordinator, id, &request, false, &asked->waiter),
                     ERR_NONE);
}

static enum txn_state state_of(struct bench *bench)
{
    struct arena arena = {0};
    struct txn_description description;
    assert_int_equal(txn_coordinator_describe(bench->coordinator, id, &arena, &description),
                     ERR_NONE);
    arena_deinit(&arena);
    return description.fields.state;
}

/* ---- the order of safety ---- */

static void test_a_commit_is_prepared_marked_and_completed(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    assert_int_equal(add(bench, producer, 1), ERR_NONE);
    put_data(disk, producer, 0);
    struct asked asked = ask();
    size_t before = disk->record_count;
    end(bench, producer, true, &asked);
    assert_int_equal(disk->record_count, before + 1); /* prepared, not on disk */
    assert_int_equal(asked.answers, 0);
    assert_int_equal(disk->partitions[0].count, 1); /* no marker yet */
    assert_int_equal(add(bench, (struct txn_producer){producer.id, producer.epoch}, 2),
                     ERR_CONCURRENT_TXNS);
    /* add() let all happen: everything is over */
    assert_int_equal(asked.answers, 1);
    assert_int_equal(asked.answer.err, ERR_NONE);
    assert_int_equal(state_of(bench), TXN_COMPLETE_COMMIT);
    assert_int_equal(disk_outcome(&disk->partitions[0], 0), DISK_COMMIT);
    assert_int_equal(disk->partitions[1].events[0].kind, DISK_COMMIT);
    assert_int_equal(disk->partitions[2].count, 0);
}

static void test_markers_wait_for_the_prepare_record(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    struct asked asked = ask();
    assert_false(txn_coordinator_is_ending(bench->coordinator, id));
    end(bench, producer, false, &asked);
    assert_true(txn_coordinator_is_ending(bench->coordinator, id));
    assert_int_equal(disk->partitions[0].count, 0);
    assert_true(disk_sync_one(disk)); /* the prepare record */
    assert_int_equal(asked.answers, 1);
    assert_int_equal(disk->partitions[0].count, 1); /* the marker, not on disk */
    size_t records = disk->record_count;
    assert_int_equal(state_of(bench), TXN_PREPARE_ABORT);
    assert_true(disk_sync_one(disk)); /* the marker */
    assert_int_equal(disk->record_count, records + 1);
    assert_int_equal(state_of(bench), TXN_PREPARE_ABORT); /* until the record is on disk */
    assert_true(txn_coordinator_is_ending(bench->coordinator, id));
    assert_true(disk_sync_one(disk));
    assert_false(txn_coordinator_is_ending(bench->coordinator, id));
    assert_int_equal(state_of(bench), TXN_COMPLETE_ABORT);
    assert_false(disk_sync_one(disk));
}

static void test_a_failing_prepare_changes_nothing(void **state)
{
    struct bench *bench = *state;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    bench->disk->refuses_records = true;
    struct asked asked = ask();
    end(bench, producer, true, &asked);
    assert_int_equal(asked.answer.err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(state_of(bench), TXN_ONGOING);
    bench->disk->refuses_records = false;
    asked = ask();
    end(bench, producer, true, &asked);
    disk_sync_all(bench->disk);
    assert_int_equal(asked.answer.err, ERR_NONE);
    assert_int_equal(state_of(bench), TXN_COMPLETE_COMMIT);
}

static void test_a_failed_sync_is_not_acknowledged(void **state)
{
    struct bench *bench = *state;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    bench->disk->fails_syncs = true;
    struct asked asked = ask();
    struct asked parked = ask();
    end(bench, producer, true, &asked);
    txn_coordinator_await_end(bench->coordinator, id, &parked.waiter);
    assert_int_equal(parked.answers, 0);
    disk_sync_all(bench->disk);
    assert_int_equal(asked.answer.err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(parked.answer.err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(bench->disk->partitions[0].count, 0); /* no marker without its record */
    parked = ask();
    txn_coordinator_await_end(bench->coordinator, id, &parked.waiter);
    assert_int_equal(parked.answers, 1); /* nobody waits for what cannot come */
    assert_false(txn_coordinator_is_ending(bench->coordinator, id));
}

static void test_markers_are_tried_again(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    assert_int_equal(add(bench, producer, 1), ERR_NONE);
    disk->partitions[1].refuses = true;
    struct asked asked = ask();
    struct asked parked = ask();
    end(bench, producer, true, &asked);
    txn_coordinator_await_end(bench->coordinator, id, &parked.waiter);
    disk_sync_all(disk);
    assert_int_equal(parked.answer.err, ERR_CONCURRENT_TXNS);
    assert_false(txn_coordinator_is_ending(bench->coordinator, id)); /* it may take long */
    assert_int_equal(state_of(bench), TXN_PREPARE_COMMIT);
    assert_int_equal(disk->partitions[0].count, 1);
    int64_t next_ms = txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    assert_int_equal(next_ms, disk->mono_ms + 1000);
    disk->mono_ms = next_ms;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(state_of(bench), TXN_PREPARE_COMMIT);
    disk->partitions[1].refuses = false;
    next_ms = txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    assert_int_equal(next_ms, disk->mono_ms + 2000);
    disk->mono_ms = next_ms;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(state_of(bench), TXN_COMPLETE_COMMIT);
    assert_int_equal(disk->partitions[0].count, 1); /* only the one that was left */
    assert_int_equal(disk->partitions[1].count, 1);
}

static void test_the_complete_record_is_tried_again(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    struct asked asked = ask();
    end(bench, producer, true, &asked);
    disk->refuses_records = true;
    disk_sync_all(disk);
    assert_int_equal(asked.answer.err, ERR_NONE);
    assert_int_equal(state_of(bench), TXN_PREPARE_COMMIT);
    disk->refuses_records = false;
    disk->mono_ms += 1000;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(state_of(bench), TXN_COMPLETE_COMMIT);
    assert_int_equal(disk->partitions[0].count, 1);
}

static void test_a_deleted_partition_is_skipped(void **state)
{
    struct bench *bench = *state;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    assert_int_equal(add(bench, producer, 1), ERR_NONE);
    bench->disk->partitions[0].deleted = true;
    struct asked asked = ask();
    end(bench, producer, true, &asked);
    disk_sync_all(bench->disk);
    assert_int_equal(state_of(bench), TXN_COMPLETE_COMMIT);
}

/* ---- sessions ---- */

static void test_a_session_lets_only_the_current_producer_write(void **state)
{
    struct bench *bench = *state;
    struct txn_producer producer = init(bench);
    struct txn_partition partition = {disk_topic(), 2};
    struct txn_session session;
    struct reason reason;
    struct txn_coordinator *c = bench->coordinator;
    /* Version 1: nothing is in it. */
    assert_int_equal(txn_session_enter(c, id, producer, TXN_VERSION_1, NULL, 0, &session, &reason),
                     ERR_NONE);
    assert_false(txn_session_has(&session, disk_topic(), 2));
    txn_session_leave(&session);
    /* Version 2 adds. */
    assert_int_equal(
        txn_session_enter(c, id, producer, TXN_VERSION_2, &partition, 1, &session, &reason),
        ERR_NONE);
    assert_true(txn_session_has(&session, disk_topic(), 2));
    txn_session_leave(&session);
    assert_int_equal(state_of(bench), TXN_ONGOING);
    /* Others are refused, and hold nothing. */
    producer.epoch--;
    assert_int_equal(
        txn_session_enter(c, id, producer, TXN_VERSION_2, &partition, 1, &session, &reason),
        ERR_TXN_PRODUCER_FENCED);
    txn_session_leave(&session);
    assert_int_equal(txn_session_enter(c, slice_str("other"), producer, TXN_VERSION_1, NULL, 0,
                                       &session, &reason),
                     ERR_PRODUCER_ID_MAPPING);
    assert_int_equal(
        txn_session_enter(c, slice_str(""), producer, TXN_VERSION_1, NULL, 0, &session, &reason),
        ERR_INVALID);
}

/* ---- time ---- */

static void test_a_time_out_aborts(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    put_data(disk, producer, 0);
    int64_t begun_ms = disk->mono_ms;
    assert_int_equal(txn_coordinator_tick(bench->coordinator, begun_ms), begun_ms + 60000);
    disk->wall_ms += 86400000; /* a jump of the wall clock is no time */
    disk->mono_ms = begun_ms + 59999;
    assert_int_equal(txn_coordinator_tick(bench->coordinator, disk->mono_ms), begun_ms + 60000);
    assert_int_equal(state_of(bench), TXN_ONGOING);
    disk->mono_ms = begun_ms + 60000;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(state_of(bench), TXN_COMPLETE_ABORT);
    assert_int_equal(disk_outcome(&disk->partitions[0], 0), DISK_ABORT);
    assert_int_equal(disk->partitions[0].events[1].epoch, producer.epoch + 1);
    struct asked asked = ask();
    end(bench, producer, true, &asked);
    assert_int_equal(asked.answer.err, ERR_TXN_PRODUCER_FENCED);
}

static void test_a_time_out_goes_on_after_a_restart(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    disk->wall_ms += 40000;
    disk->mono_ms = 77; /* another boot */
    restart(bench);
    assert_int_equal(txn_coordinator_tick(bench->coordinator, disk->mono_ms), 77 + 20000);
    disk->mono_ms += 20000;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(state_of(bench), TXN_COMPLETE_ABORT);
}

static void test_a_failing_abort_is_tried_again(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    disk->refuses_records = true;
    disk->mono_ms += 60000;
    assert_int_equal(txn_coordinator_tick(bench->coordinator, disk->mono_ms), disk->mono_ms + 1000);
    assert_int_equal(state_of(bench), TXN_ONGOING);
    disk->refuses_records = false;
    disk->mono_ms += 1000;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(state_of(bench), TXN_COMPLETE_ABORT);
}

static void test_idle_ids_expire(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    struct arena arena = {0};
    struct txn_description description;
    disk->mono_ms += INT64_C(7) * 86400000;
    assert_int_equal(txn_coordinator_tick(bench->coordinator, disk->mono_ms), INT64_MAX);
    disk_sync_all(disk);
    assert_true(disk->records[disk->record_count - 1].tombstone);
    assert_int_equal(txn_coordinator_describe(bench->coordinator, id, &arena, &description),
                     ERR_TXN_NOT_FOUND);
    assert_int_equal(add(bench, producer, 0), ERR_PRODUCER_ID_MAPPING);
    restart(bench);
    assert_int_equal(txn_coordinator_describe(bench->coordinator, id, &arena, &description),
                     ERR_TXN_NOT_FOUND);
    struct txn_producer next = init(bench);
    assert_int_not_equal(next.id, producer.id);
    arena_deinit(&arena);
}

static enum err init_other(struct bench *bench, const char *other)
{
    struct asked asked = ask();
    struct txn_init_request request = {
        .timeout_ms = 60000, .producer_id = -1, .producer_epoch = -1};
    txn_coordinator_init_producer(bench->coordinator, slice_str(other), &request, &asked.waiter);
    disk_sync_all(bench->disk);
    assert_int_equal(asked.answers, 1);
    return asked.answer.err;
}

static void test_new_ids_are_refused_when_the_share_is_full_and_known_ones_go_on(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct budget_used *share = &disk->budget.shares[BUDGET_PRODUCERS];
    struct txn_producer producer = init(bench);
    int64_t with_one = share->bytes;
    assert_true(with_one > 0);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    int64_t with_partition = share->bytes;
    assert_true(with_partition > with_one);
    share->limit_bytes = with_partition;
    assert_int_equal(init_other(bench, "other"), ERR_LIMIT);
    assert_int_equal(add(bench, producer, 0), ERR_NONE); /* it is in it already */
    assert_int_equal(add(bench, producer, 1), ERR_LIMIT);
    assert_int_equal(share->bytes, with_partition);
    put_data(disk, producer, 0);
    struct asked asked = ask();
    end(bench, producer, true, &asked);
    disk_sync_all(disk);
    assert_int_equal(asked.answer.err, ERR_NONE);
    assert_int_equal(state_of(bench), TXN_COMPLETE_COMMIT);
    assert_int_equal(share->bytes, with_one);
    share->limit_bytes = 3 * with_one; /* of which ids get half */
    assert_int_equal(init_other(bench, "other"), ERR_LIMIT);
    share->limit_bytes = 5 * with_one;
    assert_int_equal(init_other(bench, "other"), ERR_NONE);
    share->limit_bytes = 1;
    restart(bench); /* what is there is kept */
    assert_true(share->bytes > with_one);
    producer = init(bench);
    disk->mono_ms += INT64_C(7) * 86400000;
    (void)txn_coordinator_tick(bench->coordinator, disk->mono_ms);
    disk_sync_all(disk);
    assert_int_equal(share->bytes, 0);
}

/* ---- the log knows more ---- */

static void test_orphans_are_aborted(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    put_data(disk, (struct txn_producer){77, 3}, 2); /* nobody's */
    assert_int_equal(txn_coordinator_reconcile(bench->coordinator), 1);
    disk_sync_all(disk);
    assert_int_equal(disk_outcome(&disk->partitions[2], 0), DISK_ABORT);
    assert_int_equal(txn_coordinator_reconcile(bench->coordinator), 0);
}

static void test_a_lost_add_is_found_at_start(void **state)
{
    struct bench *bench = *state;
    struct disk *disk = bench->disk;
    struct txn_producer producer = init(bench);
    put_data(disk, producer, 1); /* its record was lost */
    restart(bench);
    assert_int_equal(state_of(bench), TXN_ONGOING);
    struct asked asked = ask();
    end(bench, producer, true, &asked);
    disk_sync_all(disk);
    assert_int_equal(asked.answer.err, ERR_NONE);
    assert_int_equal(disk_outcome(&disk->partitions[1], 0), DISK_COMMIT);
}

static void test_a_known_transaction_is_left_alone(void **state)
{
    struct bench *bench = *state;
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 1), ERR_NONE);
    put_data(bench->disk, producer, 1);
    size_t records = bench->disk->record_count;
    assert_int_equal(txn_coordinator_reconcile(bench->coordinator), 0);
    assert_int_equal(bench->disk->record_count, records);
    assert_int_equal(bench->disk->partitions[1].count, 1);
}

static void test_requests_are_refused_while_loading_and_when_stopped(void **state)
{
    struct bench *bench = *state;
    struct txn_coordinator *c = disk_coordinator_new(bench->disk, &bench->clock);
    struct txn_session session;
    struct txn_producer producer = {1, 1};
    assert_int_equal(txn_session_enter(c, id, producer, TXN_VERSION_1, NULL, 0, &session, NULL),
                     ERR_LOADING);
    txn_coordinator_load_done(c);
    txn_coordinator_stop(c);
    assert_int_equal(txn_session_enter(c, id, producer, TXN_VERSION_1, NULL, 0, &session, NULL),
                     ERR_COORDINATOR_UNAVAILABLE);
    txn_coordinator_free(c);
}

/* ---- threads ---- */

/* Somebody who asks to be told of the end of a transaction. */
struct awaiter {
    struct txn_coordinator *coordinator;
    struct asked asked;
    pthread_t thread;
    _Atomic int thread_id; /* the kernel's */
};

static void *run_awaiter(void *context)
{
    struct awaiter *awaiter = context;
    atomic_store(&awaiter->thread_id, gettid());
    txn_coordinator_await_end(awaiter->coordinator, id, &awaiter->asked.waiter);
    return NULL;
}

/* Whether the thread waits in the kernel: for a lock, there is nothing else. */
static bool is_asleep(int thread_id)
{
    char path[64];
    char state = 'R';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread_id);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        (void)!fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
    }
    return state == 'S';
}

/* The coordinator stops between the look at whether it serves and the parking. */
static void stop_while_parking(struct bench *bench)
{
    struct txn_producer producer = init(bench);
    assert_int_equal(add(bench, producer, 0), ERR_NONE);
    struct asked ended = ask();
    end(bench, producer, true, &ended);
    struct awaiter *awaiter = mem_new(struct awaiter);
    *awaiter = (struct awaiter){.coordinator = bench->coordinator, .asked = ask()};
    pthread_mutex_lock(&bench->coordinator->base.table_lock);
    pthread_create(&awaiter->thread, NULL, run_awaiter, awaiter);
    while (atomic_load(&awaiter->thread_id) == 0 || !is_asleep(awaiter->thread_id)) {
        sched_yield();
    }
    pthread_mutex_unlock(&bench->coordinator->base.table_lock);
    txn_coordinator_stop(bench->coordinator); /* nearly always ahead of the thread that wakes up */
    pthread_join(awaiter->thread, NULL);
    assert_int_equal(awaiter->asked.answers, 1);
    assert_int_equal(awaiter->asked.answer.err, ERR_COORDINATOR_UNAVAILABLE);
    free(awaiter);
    restart(bench);
    disk_sync_all(bench->disk);
}

static void test_a_stop_leaves_nobody_parked(void **state)
{
    for (int i = 0; i < 20; i++) {
        stop_while_parking(*state);
    }
}

enum { THREADS = 4, ROUNDS = 300 };

/* A disk that syncs at once. */
static enum err quick_append(void *context, int32_t partition, const struct state_batch *batch,
                             int64_t wall_ms, struct state_append *append)
{
    return ERR_NONE;
}

static void quick_wait(void *context, struct state_append *append)
{
    append->done(append, ERR_NONE);
}

static void quick_markers(void *context, struct txn_markers *markers)
{
    markers->done(markers);
}

static struct txn_open *quick_open(void *context, struct arena *arena, size_t *count)
{
    *count = 0;
    return NULL;
}

static enum err quick_producer_id(void *context, int64_t *producer_id, struct reason *reason)
{
    struct bench *bench = context;
    *producer_id = atomic_fetch_add(&bench->next_producer_id, 1);
    return ERR_NONE;
}

static void *run_producer(void *context)
{
    struct bench bench = {.coordinator = context};
    for (int round = 0; round < ROUNDS; round++) {
        struct asked asked = ask();
        struct txn_init_request request = {
            .timeout_ms = 1000, .producer_id = -1, .producer_epoch = -1};
        txn_coordinator_init_producer(bench.coordinator, id, &request, &asked.waiter);
        assert_int_equal(asked.answers, 1);
        struct txn_producer producer = {asked.answer.producer_id, asked.answer.producer_epoch};
        struct txn_partition partition = {disk_topic(), round % 3};
        struct txn_session session;
        (void)!txn_session_enter(bench.coordinator, id, producer, TXN_VERSION_2, &partition, 1,
                                 &session, NULL);
        txn_session_leave(&session);
        struct asked ended = ask();
        end(&bench, producer, round % 2 == 0, &ended);
        assert_int_equal(ended.answers, 1);
        (void)txn_coordinator_tick(bench.coordinator, 5000);
    }
    return NULL;
}

static void test_threads_end_transactions_at_once(void **state)
{
    struct bench *bench = *state;
    struct txn_coordinator_config config;
    txn_coordinator_config_init(&config);
    struct coordinator_env env = {
        .clock = &bench->clock,
        .log = {.partition_count = 50, .append = quick_append, .wait = quick_wait},
    };
    struct txn_participants participants = {.context = bench,
                                            .write_markers = quick_markers,
                                            .list_open = quick_open,
                                            .next_producer_id = quick_producer_id};
    struct txn_coordinator *c = txn_coordinator_new(&config, &env, &participants);
    txn_coordinator_load_done(c);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, run_producer, c);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    txn_coordinator_stop(c);
    txn_coordinator_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_commit_is_prepared_marked_and_completed),
        TEST(test_markers_wait_for_the_prepare_record),
        TEST(test_a_failing_prepare_changes_nothing),
        TEST(test_a_failed_sync_is_not_acknowledged),
        TEST(test_markers_are_tried_again),
        TEST(test_the_complete_record_is_tried_again),
        TEST(test_a_deleted_partition_is_skipped),
        TEST(test_a_session_lets_only_the_current_producer_write),
        TEST(test_a_time_out_aborts),
        TEST(test_a_time_out_goes_on_after_a_restart),
        TEST(test_a_failing_abort_is_tried_again),
        TEST(test_idle_ids_expire),
        TEST(test_new_ids_are_refused_when_the_share_is_full_and_known_ones_go_on),
        TEST(test_orphans_are_aborted),
        TEST(test_a_lost_add_is_found_at_start),
        TEST(test_a_known_transaction_is_left_alone),
        TEST(test_requests_are_refused_while_loading_and_when_stopped),
        TEST(test_a_stop_leaves_nobody_parked),
        TEST(test_threads_end_transactions_at_once),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
