#ifndef TIDINGS_TESTS_TXN_FAKE_DISK_H
#define TIDINGS_TESTS_TXN_FAKE_DISK_H

#include "base/mem.h"
#include "base/random.h"
#include "txn/coordinator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/*
 * The logs under a coordinator: the records of __transaction_state (one partition) and some
 * partitions with data and markers. What is appended waits in a queue until the test lets it reach
 * the disk, one sync at a time; a crash keeps what was synced, and of the rest as much as the test
 * says.
 */
enum { DISK_PARTITIONS = 4, DISK_MAX = 4000, DISK_STATE = DISK_PARTITIONS };

struct disk_record {
    struct buf key, value;
    bool tombstone;
};

enum disk_event_kind { DISK_DATA, DISK_COMMIT, DISK_ABORT };

struct disk_event {
    enum disk_event_kind kind;
    int64_t producer_id;
    int16_t epoch;
    int number; /* of data: the transaction that the client meant */
    int send;   /* and which of its sends */
};

struct disk_partition {
    struct disk_event events[DISK_MAX];
    size_t count;
    size_t synced;
    bool deleted;
    bool refuses; /* appends fail */
};

/* A sync that is asked for. */
struct disk_wait {
    int log; /* a partition, or DISK_STATE */
    size_t upto;
    struct state_append *append; /* or NULL */
    struct txn_markers *markers; /* or NULL */
    size_t upto_each[DISK_PARTITIONS];
};

struct disk {
    struct disk_record records[DISK_MAX];
    size_t record_count;
    size_t record_synced;
    struct disk_partition partitions[DISK_PARTITIONS];
    struct disk_wait waits[DISK_MAX];
    size_t wait_first, wait_end;
    long steps_left; /* syncs until the crash; -1: none comes */
    bool crashed;
    bool refuses_records;
    bool fails_syncs;     /* of records */
    struct random *order; /* of the syncs; NULL: as they were asked for */
    int64_t next_producer_id;
    struct budget budget;
    int64_t mono_ms;
    int64_t wall_ms;
};

static inline struct slice disk_topic(void)
{
    return slice_str("t");
}

/* The open transaction of a partition: its first event, or -1. One producer's at a time is looked
 * at: the caller names it; -1: the first that is open. */
static inline long disk_open(const struct disk_partition *partition, int64_t producer_id)
{
    for (size_t i = 0; i < partition->count; i++) {
        const struct disk_event *event = &partition->events[i];
        if (event->kind != DISK_DATA || (producer_id >= 0 && event->producer_id != producer_id)) {
            continue;
        }
        size_t j = i + 1;
        while (j < partition->count && !(partition->events[j].kind != DISK_DATA &&
                                         partition->events[j].producer_id == event->producer_id)) {
            j++;
        }
        if (j == partition->count) {
            return (long)i;
        }
    }
    return -1;
}

/* What became of the data: the next marker of its producer. DISK_DATA: nothing yet. */
static inline enum disk_event_kind disk_outcome(const struct disk_partition *partition, size_t at)
{
    for (size_t i = at + 1; i < partition->count; i++) {
        if (partition->events[i].kind != DISK_DATA &&
            partition->events[i].producer_id == partition->events[at].producer_id) {
            return partition->events[i].kind;
        }
    }
    return DISK_DATA;
}

static inline void disk_push(struct disk *disk, struct disk_wait wait)
{
    assert_true(disk->wait_end < DISK_MAX);
    disk->waits[disk->wait_end++] = wait;
}

static inline void disk_finish(struct disk *disk, struct disk_wait *wait, bool safe)
{
    if (wait->append != NULL) {
        wait->append->done(wait->append, safe ? ERR_NONE : ERR_IO);
    }
    if (wait->markers != NULL) {
        for (size_t i = 0; i < wait->markers->count; i++) {
            wait->markers->items[i].again = wait->markers->items[i].again || !safe;
        }
        wait->markers->done(wait->markers);
    }
}

/* Lets the next sync happen; false when none is asked for or the crash has come. */
static inline bool disk_sync_one(struct disk *disk)
{
    if (disk->crashed || disk->wait_first == disk->wait_end) {
        return false;
    }
    if (disk->steps_left == 0) {
        disk->crashed = true;
        return false;
    }
    disk->steps_left -= disk->steps_left > 0 ? 1 : 0;
    if (disk->order != NULL) {
        size_t waiting = disk->wait_end - disk->wait_first;
        size_t pick = disk->wait_first + (size_t)random_below(disk->order, waiting);
        struct disk_wait picked = disk->waits[pick];
        disk->waits[pick] = disk->waits[disk->wait_first];
        disk->waits[disk->wait_first] = picked;
    }
    struct disk_wait *wait = &disk->waits[disk->wait_first++];
    bool safe = true;
    if (wait->log == DISK_STATE) {
        safe = !disk->fails_syncs;
        disk->record_synced =
            safe && wait->upto > disk->record_synced ? wait->upto : disk->record_synced;
    }
    for (int i = 0; i < DISK_PARTITIONS; i++) {
        size_t upto = wait->markers != NULL ? wait->upto_each[i] : wait->log == i ? wait->upto : 0;
        if (upto > disk->partitions[i].synced) {
            disk->partitions[i].synced = upto;
        }
    }
    disk_finish(disk, wait, safe);
    return true;
}

static inline void disk_sync_all(struct disk *disk)
{
    while (disk_sync_one(disk)) {
    }
}

/* ---- the coordinator's log ---- */

static inline enum err disk_append(void *context, int32_t partition,
                                   const struct state_batch *batch, int64_t wall_ms,
                                   struct state_append *append)
{
    struct disk *disk = context;
    assert_int_equal(partition, 0);
    if (disk->crashed || disk->refuses_records) {
        return ERR_IO;
    }
    assert_true(disk->record_count < DISK_MAX);
    assert_int_equal(batch->record_count, 1);
    struct disk_record *record = &disk->records[disk->record_count++];
    *record = (struct disk_record){.tombstone = slice_is_null(batch->records->value)};
    buf_append_slice(&record->key, batch->records->key);
    buf_append_slice(&record->value, batch->records->value);
    append->target.end_offset = (int64_t)disk->record_count; /* the sync that it needs */
    return ERR_NONE;
}

static inline void disk_wait_record(void *context, struct state_append *append)
{
    struct disk *disk = context;
    disk_push(disk, (struct disk_wait){.log = DISK_STATE,
                                       .upto = (size_t)append->target.end_offset,
                                       .append = append});
}

static inline void disk_write_markers(void *context, struct txn_markers *markers)
{
    struct disk *disk = context;
    struct disk_wait wait = {.log = -1, .markers = markers};
    for (size_t i = 0; i < markers->count; i++) {
        struct txn_marker *item = &markers->items[i];
        assert_true(slice_equal(item->topic, disk_topic()));
        struct disk_partition *partition = &disk->partitions[item->partition];
        item->again = disk->crashed || (partition->refuses && !partition->deleted);
        if (item->again || partition->deleted) {
            continue;
        }
        assert_true(partition->count < DISK_MAX);
        partition->events[partition->count++] =
            (struct disk_event){.kind = markers->commit ? DISK_COMMIT : DISK_ABORT,
                                .producer_id = markers->producer_id,
                                .epoch = markers->producer_epoch};
        wait.upto_each[item->partition] = partition->count;
    }
    disk_push(disk, wait);
}

static inline struct txn_open *disk_list_open(void *context, struct arena *arena, size_t *count)
{
    struct disk *disk = context;
    struct txn_open *list = mem_new_array(struct txn_open, DISK_PARTITIONS);
    *count = 0;
    for (int32_t i = 0; i < DISK_PARTITIONS; i++) {
        long at = disk->partitions[i].deleted ? -1 : disk_open(&disk->partitions[i], -1);
        if (at >= 0) {
            const struct disk_event *event = &disk->partitions[i].events[at];
            list[(*count)++] = (struct txn_open){.topic = disk_topic(),
                                                 .partition = i,
                                                 .producer = {event->producer_id, event->epoch},
                                                 .first_offset = at};
        }
    }
    return list;
}

static inline bool disk_is_open(void *context, const struct txn_open *open)
{
    struct disk *disk = context;
    return disk_open(&disk->partitions[open->partition], open->producer.id) == open->first_offset;
}

static inline enum err disk_next_producer_id(void *context, int64_t *producer_id,
                                             struct reason *reason)
{
    *producer_id = ((struct disk *)context)->next_producer_id++;
    return ERR_NONE;
}

static inline struct txn_coordinator *disk_coordinator_new(struct disk *disk,
                                                           const struct clock *clock)
{
    struct coordinator_env env = {.clock = clock,
                                  .log = {.context = disk,
                                          .partition_count = 1,
                                          .append = disk_append,
                                          .wait = disk_wait_record}};
    struct txn_participants participants = {.context = disk,
                                            .write_markers = disk_write_markers,
                                            .list_open = disk_list_open,
                                            .is_open = disk_is_open,
                                            .next_producer_id = disk_next_producer_id};
    struct txn_coordinator_config config;
    txn_coordinator_config_init(&config);
    config.budget = &disk->budget;
    return txn_coordinator_new(&config, &env, &participants);
}

/* ---- clock, crash, end ---- */

static inline int64_t disk_mono(void *context)
{
    return ((struct disk *)context)->mono_ms;
}

static inline int64_t disk_wall(void *context)
{
    return ((struct disk *)context)->wall_ms;
}

static inline struct disk *disk_new(void)
{
    struct disk *disk = mem_new(struct disk);
    disk->steps_left = -1;
    budget_init(&disk->budget, INT64_C(1) << 32);
    disk->next_producer_id = 1000;
    disk->mono_ms = 5000;
    disk->wall_ms = 1700000000000;
    return disk;
}

/* Ends what the coordinator waits for, which was cut off by the crash. */
static inline void disk_cut_off(struct disk *disk)
{
    disk->crashed = true;
    while (disk->wait_first < disk->wait_end) {
        disk_finish(disk, &disk->waits[disk->wait_first++], false);
    }
}

/* What a restart finds: everything synced, and some of the rest. */
static inline void disk_restart(struct disk *disk, struct random *random)
{
    size_t more = disk->record_count - disk->record_synced;
    size_t keep = disk->record_synced + (size_t)random_below(random, more + 1);
    while (disk->record_count > keep) {
        struct disk_record *record = &disk->records[--disk->record_count];
        buf_deinit(&record->key);
        buf_deinit(&record->value);
    }
    disk->record_synced = keep;
    for (int i = 0; i < DISK_PARTITIONS; i++) {
        struct disk_partition *partition = &disk->partitions[i];
        more = partition->count - partition->synced;
        partition->count = partition->synced + (size_t)random_below(random, more + 1);
        partition->synced = partition->count;
    }
    disk->wait_first = disk->wait_end = 0;
    disk->crashed = false;
    disk->steps_left = -1;
}

static inline void disk_free(struct disk *disk)
{
    for (size_t i = 0; i < disk->record_count; i++) {
        buf_deinit(&disk->records[i].key);
        buf_deinit(&disk->records[i].value);
    }
    free(disk);
}

static inline struct txn_coordinator *disk_coordinator(struct disk *disk, struct clock *clock)
{
    *clock = (struct clock){.context = disk, .wall_ms = disk_wall, .mono_ms = disk_mono};
    struct txn_coordinator *coordinator = disk_coordinator_new(disk, clock);
    for (size_t i = 0; i < disk->record_count; i++) {
        struct disk_record *record = &disk->records[i];
        assert_int_equal(txn_coordinator_replay(coordinator, buf_slice(&record->key),
                                                record->tombstone ? (struct slice){0}
                                                                  : buf_slice(&record->value)),
                         ERR_NONE);
    }
    txn_coordinator_load_done(coordinator);
    return coordinator;
}

static inline void disk_coordinator_free(struct disk *disk, struct txn_coordinator *coordinator)
{
    txn_coordinator_stop(coordinator);
    disk_cut_off(disk);
    txn_coordinator_free(coordinator);
    assert_int_equal(disk->budget.shares[BUDGET_PRODUCERS].bytes, 0);
}

#endif
