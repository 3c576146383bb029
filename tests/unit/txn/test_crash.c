#include "../unit.h"
#include "fake_disk.h"

/*
 * Crashes at every step, by seed: a client runs transactions through the coordinator until the disk
 * has made so many syncs, then the machine is gone. What was synced is found after the restart, and
 * some of the rest; the recovery may be cut off too. The client may live on and send again what was
 * not acknowledged, in the same transaction. Then must hold:
 *   - a commit that was acknowledged is in every partition of it, with all its data;
 *   - what was not asked to be committed never is;
 *   - a transaction is committed in all its partitions or aborted in all;
 *   - once the time-out is over, no transaction is open in any partition.
 */

enum { SEEDS = 300, CRASHES = 10, TXNS = 4000, TIMEOUT_MS = 60000, MOST_SENDS = 6 };

enum fate { FATE_NOT_ASKED, FATE_COMMIT_ASKED, FATE_COMMITTED };

struct play {
    struct random random;
    uint64_t seed;
    struct disk *disk;
    struct clock clock;
    struct txn_coordinator *coordinator;
    struct txn_producer producer;
    int number; /* of the transaction that the client is in */
    enum fate fates[TXNS];
    int sent[TXNS];
    int32_t sends[MOST_SENDS]; /* of this transaction: to which partitions */
    int16_t version;           /* of this transaction */
    bool goes_on;              /* the client was in it when the server went */
};

static const struct slice id = {(const uint8_t *)"pay", 3};

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

/* Lets syncs happen until the answer is there. False after a crash. */
static bool await(struct play *play, struct asked *asked)
{
    while (asked->answers == 0 && disk_sync_one(play->disk)) {
    }
    if (play->disk->crashed) {
        disk_cut_off(play->disk);
    }
    assert_int_equal(asked->answers, 1);
    return !play->disk->crashed;
}

static uint32_t below(struct play *play, uint32_t bound)
{
    return (uint32_t)random_below(&play->random, bound);
}

static void fail_at(const struct play *play, int number, const char *what)
{
    fail_msg("seed %llu, transaction %d: %s", (unsigned long long)play->seed, number, what);
}

static void next_transaction(struct play *play)
{
    assert_true(++play->number < TXNS);
    play->goes_on = false;
}

/* Until the client has its producer id. False after a crash. */
static bool begin_producer(struct play *play)
{
    for (int tries = 0;; tries++) {
        struct asked asked = {.waiter.done = on_answer};
        struct txn_init_request request = {
            .timeout_ms = TIMEOUT_MS, .producer_id = -1, .producer_epoch = -1};
        txn_coordinator_init_producer(play->coordinator, id, &request, &asked.waiter);
        if (!await(play, &asked)) {
            return false;
        }
        if (asked.answer.err == ERR_NONE) {
            play->producer =
                (struct txn_producer){asked.answer.producer_id, asked.answer.producer_epoch};
            next_transaction(play);
            return true;
        }
        assert_int_equal(asked.answer.err, ERR_CONCURRENT_TXNS);
        if (!disk_sync_one(play->disk) && !play->disk->crashed && tries > 0) {
            fail_at(play, play->number, "is never completed");
        }
    }
}

static enum err add_version_1(struct play *play, int32_t index)
{
    struct asked asked = {.waiter.done = on_answer};
    struct txn_partition partition = {disk_topic(), index};
    txn_coordinator_add(play->coordinator, id, play->producer, TXN_VERSION_1, &partition, 1,
                        &asked.waiter);
    return await(play, &asked) ? asked.answer.err : ERR_IO;
}

static bool is_there(const struct play *play, int32_t index, int send)
{
    const struct disk_partition *partition = &play->disk->partitions[index];
    for (size_t i = 0; i < partition->count; i++) {
        const struct disk_event *event = &partition->events[i];
        if (event->kind == DISK_DATA && event->number == play->number && event->send == send) {
            return true;
        }
    }
    return false;
}

/* Appends data within the transaction; what is there already is a duplicate. Any error but
 * ERR_CONCURRENT_TXNS ends it. */
static enum err try_send(struct play *play, int send)
{
    struct txn_session session;
    int32_t index = play->sends[send];
    struct txn_partition partition = {disk_topic(), index};
    enum err err = play->version == TXN_VERSION_1 ? add_version_1(play, index) : ERR_NONE;
    if (err == ERR_NONE) {
        err = txn_session_enter(play->coordinator, id, play->producer, play->version, &partition, 1,
                                &session, NULL);
    }
    if (err != ERR_NONE) {
        return err;
    }
    assert_true(txn_session_has(&session, disk_topic(), index));
    struct disk_partition *to = &play->disk->partitions[index];
    if (!is_there(play, index, send)) {
        to->events[to->count++] = (struct disk_event){.kind = DISK_DATA,
                                                      .producer_id = play->producer.id,
                                                      .epoch = play->producer.epoch,
                                                      .number = play->number,
                                                      .send = send};
    }
    disk_push(play->disk, (struct disk_wait){.log = index, .upto = to->count});
    txn_session_leave(&session);
    return ERR_NONE;
}

/* False when the client needs a new producer, or after a crash. */
static bool send(struct play *play, int send)
{
    enum err err;
    while ((err = try_send(play, send)) == ERR_CONCURRENT_TXNS) {
        if (!disk_sync_one(play->disk)) {
            return false;
        }
    }
    return err == ERR_NONE;
}

static void finish(struct play *play, bool commit)
{
    struct asked asked = {.waiter.done = on_answer};
    struct txn_end_request request = {
        .producer = play->producer, .commit = commit, .version = play->version};
    if (commit) {
        play->fates[play->number] = FATE_COMMIT_ASKED;
    }
    assert_int_equal(txn_coordinator_end(play->coordinator, id, &request, true, &asked.waiter),
                     ERR_NONE);
    if (!await(play, &asked)) {
        return; /* nobody knows */
    }
    if (asked.answer.err == ERR_NONE && commit) {
        play->fates[play->number] = FATE_COMMITTED;
    } else if (asked.answer.err != ERR_NONE) {
        play->fates[play->number] = FATE_NOT_ASKED; /* refused: it must not be committed */
    }
    if (asked.answer.err == ERR_NONE && play->version == TXN_VERSION_2) {
        play->producer =
            (struct txn_producer){asked.answer.producer_id, asked.answer.producer_epoch};
    }
    next_transaction(play);
}

/* Waits for the acknowledgements, or not, and ends it. As transaction. */
static bool end_transaction(struct play *play)
{
    bool commit = below(play, 3) > 0;
    if (commit || below(play, 2) == 0) {
        disk_sync_all(play->disk); /* acknowledged; an abort need not wait for that */
    }
    if (play->disk->crashed) {
        return false;
    }
    play->goes_on = false;
    finish(play, commit);
    return !play->disk->crashed && below(play, 10) > 0; /* else it goes without a word */
}

/* False when the client needs a new producer, or after a crash. */
static bool transaction(struct play *play)
{
    play->version = below(play, 2) ? TXN_VERSION_2 : TXN_VERSION_1;
    play->goes_on = true;
    int sends = 1 + (int)below(play, MOST_SENDS);
    for (int i = 0; i < sends; i++) {
        play->sends[i] = (int32_t)below(play, DISK_PARTITIONS);
        play->sent[play->number]++;
        if (!send(play, i)) {
            return false;
        }
        if (below(play, 30) == 0) { /* too slow */
            play->disk->mono_ms += TIMEOUT_MS;
            (void)txn_coordinator_tick(play->coordinator, play->disk->mono_ms);
        }
        if (below(play, 3) == 0) {
            (void)disk_sync_one(play->disk);
        }
    }
    return end_transaction(play);
}

/* After a restart of the server: sends all again and ends the transaction. As transaction. */
static bool go_on(struct play *play)
{
    for (int i = 0; i < play->sent[play->number]; i++) {
        if (!send(play, i)) {
            return false;
        }
    }
    return end_transaction(play);
}

/* ---- what must hold ---- */

static void check(const struct play *play, bool at_rest)
{
    static int data[TXNS], commits[TXNS], aborts[TXNS];
    memset(data, 0, sizeof data);
    memset(commits, 0, sizeof commits);
    memset(aborts, 0, sizeof aborts);
    for (int p = 0; p < DISK_PARTITIONS; p++) {
        const struct disk_partition *partition = &play->disk->partitions[p];
        for (size_t i = 0; i < partition->count; i++) {
            if (partition->events[i].kind != DISK_DATA) {
                continue;
            }
            int number = partition->events[i].number;
            enum disk_event_kind outcome = disk_outcome(partition, i);
            data[number]++;
            commits[number] += outcome == DISK_COMMIT;
            aborts[number] += outcome == DISK_ABORT;
            if (outcome == DISK_DATA && at_rest) {
                fail_at(play, number, "is open for ever");
            }
        }
    }
    for (int n = 1; n <= play->number; n++) {
        if (commits[n] > 0 && aborts[n] > 0) {
            fail_at(play, n, "is committed in part");
        }
        if (play->fates[n] == FATE_NOT_ASKED && commits[n] > 0) {
            fail_at(play, n, "is committed though nobody asked");
        }
        if (play->fates[n] == FATE_COMMITTED && (data[n] != play->sent[n] || aborts[n] > 0)) {
            fail_at(play, n, "was acknowledged as committed and is not");
        }
        if (play->fates[n] == FATE_COMMITTED && at_rest && commits[n] != play->sent[n]) {
            fail_at(play, n, "was acknowledged as committed and is open");
        }
    }
}

/* ---- a life ---- */

static void live(struct play *play)
{
    play->disk->steps_left = (long)below(play, 80);
    if (play->goes_on && below(play, 2) == 0) {
        (void)(go_on(play) && transaction(play));
    }
    while (!play->disk->crashed && begin_producer(play)) {
        while (transaction(play)) {
        }
        if (!play->disk->crashed && play->disk->wait_first == play->disk->wait_end &&
            below(play, 20) == 0) {
            break; /* a restart while nothing is under way */
        }
    }
}

static void restart(struct play *play)
{
    disk_coordinator_free(play->disk, play->coordinator);
    disk_restart(play->disk, &play->random);
    if (below(play, 3) == 0) {
        play->disk->steps_left = (long)below(play, 4); /* the recovery is cut off too */
    }
    play->disk->wall_ms += 1000;
    play->coordinator = disk_coordinator(play->disk, &play->clock);
    if (play->disk->steps_left >= 0) {
        disk_sync_all(play->disk);
        check(play, false);
        disk_coordinator_free(play->disk, play->coordinator);
        disk_restart(play->disk, &play->random);
        play->coordinator = disk_coordinator(play->disk, &play->clock);
    }
    check(play, false);
}

static void play_seed(uint64_t seed)
{
    struct play *play = mem_new(struct play);
    play->seed = seed;
    play->random.state = seed;
    play->disk = disk_new();
    play->disk->order = &play->random;
    play->coordinator = disk_coordinator(play->disk, &play->clock);
    for (int i = 0; i < CRASHES; i++) {
        live(play);
        restart(play);
    }
    disk_sync_all(play->disk);
    play->disk->mono_ms += TIMEOUT_MS;
    (void)txn_coordinator_tick(play->coordinator, play->disk->mono_ms);
    disk_sync_all(play->disk);
    check(play, true);
    disk_coordinator_free(play->disk, play->coordinator);
    disk_free(play->disk);
    free(play);
}

static void test_crashes_between_any_two_steps_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play_seed(seed);
    }
}

/* PLAY_SEED=n plays one seed. */
static void test_a_given_crash_loses_nothing(void **state)
{
    const char *seed = getenv("PLAY_SEED");
    if (seed == NULL) {
        return;
    }
    play_seed(strtoull(seed, NULL, 10));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_given_crash_loses_nothing),
        cmocka_unit_test(test_crashes_between_any_two_steps_lose_nothing)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
