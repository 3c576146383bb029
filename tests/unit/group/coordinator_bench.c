#include "coordinator_bench.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t fake_mono(void *context)
{
    return ((struct bench *)context)->now_ms;
}

static int64_t fake_wall(void *context)
{
    return 1700000000000 + ((struct bench *)context)->now_ms;
}

static enum err fake_append(void *context, int32_t partition, const struct state_batch *batch,
                            int64_t wall_ms, struct state_append *append)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    enum err err = bench->append_err;
    for (size_t i = 0; i < batch->record_count && err == ERR_NONE; i++) {
        const struct state_record *record = &batch->records[i];
        assert_true(bench->log_size < MAX_RECORDS);
        struct stored *stored = &bench->log[bench->log_size++];
        stored->partition = partition;
        stored->producer_id = batch->producer_id;
        buf_append_slice(&stored->key, record->key);
        stored->tombstone = slice_is_null(record->value);
        if (!stored->tombstone) {
            buf_append_slice(&stored->value, record->value);
        }
    }
    pthread_mutex_unlock(&bench->lock);
    return err;
}

static void fake_wait(void *context, struct state_append *append)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    bool slow = bench->slow_disk;
    enum err err = bench->flush_err;
    if (slow) {
        assert_true(bench->waiting_count < MAX_WAITERS);
        bench->waiting[bench->waiting_count++] = append;
    }
    pthread_mutex_unlock(&bench->lock);
    if (!slow) {
        append->done(append, err);
    }
}

static void fake_send(void *context, struct group_reply *reply)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    uint64_t n = reply->waiter.token.sequence;
    assert_true(n > 0 && n <= bench->next);
    assert_null(bench->replies[n]);
    assert_int_not_equal(bench->lent[n], LENT);
    bench->replies[n] = reply;
    pthread_mutex_unlock(&bench->lock);
}

static void fake_wake(void *context, int64_t deadline_ms)
{
    struct bench *bench = context;
    int64_t seen = bench->woken_ms;
    while (deadline_ms < seen &&
           !atomic_compare_exchange_weak(&bench->woken_ms, &seen, deadline_ms)) {
    }
}

bool flush_one(struct bench *bench)
{
    struct state_append *append = NULL;
    pthread_mutex_lock(&bench->lock);
    if (bench->waiting_count > 0) {
        append = bench->waiting[--bench->waiting_count];
    }
    enum err err = bench->flush_err;
    pthread_mutex_unlock(&bench->lock);
    if (append != NULL) {
        append->done(append, err);
    }
    return append != NULL;
}

void flush_all(struct bench *bench)
{
    while (flush_one(bench)) {
    }
}

struct group_coordinator *new_coordinator(struct bench *bench, struct clock *clock)
{
    *clock = (struct clock){.context = bench, .wall_ms = fake_wall, .mono_ms = fake_mono};
    struct coordinator_env env = {
        .clock = clock,
        .log = {.context = bench, .partition_count = 50, .append = fake_append, .wait = fake_wait},
        .wake = fake_wake,
        .wake_context = bench,
    };
    struct group_outlet outlet = {.context = bench, .send = fake_send};
    return group_coordinator_new(&bench->config, &env, &outlet);
}

struct bench *bench_new(void)
{
    struct bench *bench = mem_new(struct bench);
    group_config_init(&bench->config);
    budget_init(&bench->budget, INT64_C(1) << 32);
    bench->config.budget = &bench->budget;
    bench->now_ms = 1000;
    bench->woken_ms = INT64_MAX;
    pthread_mutex_init(&bench->lock, NULL);
    bench->log = mem_new_array(struct stored, MAX_RECORDS);
    bench->waiting = mem_new_array(struct state_append *, MAX_WAITERS);
    bench->coordinator = new_coordinator(bench, &bench->clocks[0]);
    return bench;
}

struct bench *serving(void)
{
    struct bench *bench = bench_new();
    group_coordinator_load_done(bench->coordinator);
    return bench;
}

void bench_free(struct bench *bench)
{
    group_coordinator_stop(bench->coordinator);
    flush_all(bench);
    group_coordinator_free(bench->coordinator);
    assert_int_equal(bench->budget.shares[BUDGET_GROUPS].bytes, 0);
    for (uint64_t n = 1; n <= bench->next; n++) {
        assert_non_null(bench->replies[n]); /* everyone was answered */
        group_reply_free(bench->replies[n]);
    }
    for (size_t i = 0; i < bench->log_size; i++) {
        buf_deinit(&bench->log[i].key);
        buf_deinit(&bench->log[i].value);
    }
    pthread_mutex_destroy(&bench->lock);
    free(bench->log);
    free(bench->waiting);
    free(bench);
}

struct completion waiter(struct bench *bench, uint64_t *n)
{
    pthread_mutex_lock(&bench->lock);
    assert_true(bench->next + 1 < MAX_WAITERS);
    *n = ++bench->next;
    pthread_mutex_unlock(&bench->lock);
    return (struct completion){.token.sequence = *n};
}

static void take_back(void *context)
{
    enum lending *lent = context;
    assert_int_equal(*lent, LENT);
    *lent = RELEASED;
}

struct group_release lend(struct bench *bench, uint64_t n)
{
    bench->lent[n] = LENT;
    return (struct group_release){take_back, &bench->lent[n]};
}

const struct group_reply *reply_to(struct bench *bench, uint64_t n)
{
    pthread_mutex_lock(&bench->lock);
    const struct group_reply *reply = bench->replies[n];
    pthread_mutex_unlock(&bench->lock);
    return reply;
}

uint64_t join_with(struct bench *bench, const char *group, const char *member_id,
                   int32_t session_ms, bool id_required)
{
    uint64_t n;
    struct group_protocol_offer offer = {slice_str("range"), slice_str("m")};
    struct group_join_request request = {
        .waiter = waiter(bench, &n),
        .member_id = slice_str(member_id),
        .client_id = slice_str("c"),
        .client_host = slice_str("/h"),
        .protocol_type = slice_str("consumer"),
        .protocols = &offer,
        .protocol_count = 1,
        .session_timeout_ms = session_ms,
        .rebalance_timeout_ms = 20000,
        .member_id_required = id_required,
    };
    request.release = lend(bench, n);
    group_coordinator_join(bench->coordinator, slice_str(group), &request);
    return n;
}

uint64_t join(struct bench *bench, const char *group, const char *member_id)
{
    return join_with(bench, group, member_id, 10000, false);
}

uint64_t sync_group(struct bench *bench, const char *group, const char *member_id,
                    int32_t generation)
{
    uint64_t n;
    struct group_assignment item = {slice_str(member_id), slice_str("p")};
    struct group_sync_request request = {
        .waiter = waiter(bench, &n),
        .member_id = slice_str(member_id),
        .generation = generation,
        .assignments = &item,
        .assignment_count = 1,
    };
    request.release = lend(bench, n);
    group_coordinator_sync(bench->coordinator, slice_str(group), &request);
    return n;
}

uint64_t commit(struct bench *bench, const char *group, const char *member_id, int32_t generation,
                const char *topic, int64_t offset)
{
    uint64_t n;
    struct group_offset_commit item = {
        .topic = slice_str(topic), .offset = offset, .leader_epoch = -1};
    struct group_commit_request request = {
        .waiter = waiter(bench, &n),
        .member_id = slice_str(member_id),
        .generation = generation,
        .retention_ms = -1,
        .offsets = &item,
        .count = 1,
    };
    request.release = lend(bench, n);
    group_coordinator_commit(bench->coordinator, slice_str(group), &request);
    return n;
}

enum err beat(struct bench *bench, const char *group, const char *member_id, int32_t generation)
{
    return group_coordinator_heartbeat(bench->coordinator, slice_str(group), slice_str(member_id),
                                       slice_str(NULL), generation);
}

int64_t fetch(struct bench *bench, const char *group, const char *topic)
{
    struct arena arena = {0};
    struct group_offset offset = {.topic = slice_str(topic)};
    assert_int_equal(
        group_coordinator_fetch(bench->coordinator, slice_str(group), &arena, &offset, 1),
        ERR_NONE);
    arena_deinit(&arena);
    return offset.offset;
}

enum group_state state_of(struct bench *bench, const char *group, bool *found)
{
    struct arena arena = {0};
    struct group_description description;
    assert_int_equal(group_coordinator_describe(bench->coordinator, slice_str(group), &arena,
                                                &description, found),
                     ERR_NONE);
    arena_deinit(&arena);
    return description.state;
}

void make_stable(struct bench *bench, const char *group, char id[320])
{
    uint64_t n = join(bench, group, "");
    const struct group_reply *joined = reply_to(bench, n);
    assert_non_null(joined);
    snprintf(id, 320, "%.*s", SLICE_ARGS(joined->join.member_id));
    sync_group(bench, group, id, joined->join.generation);
}
