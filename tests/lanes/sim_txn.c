#include "sim_world.h"

#include "base/mem.h"

#include <utlist.h>

/*
 * Worlds whose effects count with the commit that tells of them, as what a service with
 * exactly_once publishes. An event whose handler is done waits in its member, until a commit tells
 * it and the bus has taken all of that together. Some handlers cause nothing that is to be
 * committed with them.
 */

bool sim_is_caused(const struct world *world, const struct sim_event *event)
{
    return world->transacts && event->offset % 5 != 0;
}

bool sim_is_unkept(const struct world *world, const struct sim_event *event)
{
    return sim_is_caused(world, event) && !world->is_mended && event->fate == POISON &&
           event->offset % 2 == 0;
}

static bool is_its(const struct world *world, int member, const struct held *held)
{
    const struct share *share = &world->members[member].shares[held->about->partition];
    return share->is_held && share->epoch == held->event.epoch;
}

static bool is_owners(const struct world *world, int member, const struct held *held)
{
    return sim_is_owner(world, member, held->about->partition, held->event.epoch);
}

void sim_result(struct world *world, int member, struct held *held, enum lane_verdict verdict)
{
    int64_t retry_at_ms = verdict == LANE_RETRY && !world->is_plain && sim_chance(world, 10)
                              ? world->now_ms + sim_between(world, 1, 300)
                              : 0;
    check_ends(world, held, is_owners(world, member, held));
    if (is_its(world, member, held)) {
        words_result(world, member, held, verdict, retry_at_ms);
    }
    lane_result(world->members[member].machine, &held->event, verdict, retry_at_ms, world->now_ms);
}

/* --- what goes in --- */

void sim_ready(struct world *world, int member, struct held *held)
{
    struct member *its = &world->members[member];
    DL_APPEND(its->caused, held);
    lane_ready(its->machine, &held->event);
}

/* The first ones are to be told by the next commit, as many as may. */
static void make_ready(struct member *its)
{
    struct held *held;
    size_t count = 0;
    DL_FOREACH (its->caused, held) {
        bool is_wanted = count++ < its->caused_most;
        if (is_wanted && !held->event.is_ready) {
            lane_ready(its->machine, &held->event);
        } else if (!is_wanted && held->event.is_ready) {
            lane_hold_back(its->machine, &held->event);
        }
    }
}

static bool is_leaving(const struct member *its)
{
    bool is_any = false;
    for (int p = 0; p < PARTITIONS; p++) {
        is_any |= its->shares[p].is_held && its->shares[p].is_leaving;
    }
    return is_any;
}

int64_t sim_transact_due(struct world *world, int member)
{
    struct member *its = &world->members[member];
    if (!world->transacts || its->sent != NULL || its->filling != NULL ||
        (its->caused == NULL && !lane_has_commits(its->machine))) {
        return INT64_MAX;
    }
    bool is_wanted =
        its->transact_failures == 0 && (is_leaving(its) || lane_is_held_up(its->machine));
    if (world->now_ms < its->transact_at_ms && !is_wanted) {
        return its->transact_at_ms;
    }
    its->transact_at_ms = world->now_ms + world->settings.commit_interval_ms;
    make_ready(its);
    lane_request_commit(its->machine);
    return INT64_MAX;
}

void sim_transact_commit(struct world *world, int member, const struct lane_effect *effect)
{
    struct member *its = &world->members[member];
    struct held *held, *next;
    if (its->filling == NULL) {
        its->filling = mem_new(struct sim_txn);
    }
    vec_push(&its->filling->commits,
             (struct sim_commit){effect->partition, effect->epoch, effect->offset,
                                 mem_strdup(effect->metadata)});
    DL_FOREACH_SAFE (its->caused, held, next) {
        if (held->about->partition == effect->partition && held->event.is_told) {
            DL_DELETE(its->caused, held);
            DL_APPEND(its->filling->events, held);
        }
    }
}

void sim_transact_send(struct world *world, int member)
{
    struct member *its = &world->members[member];
    if (!its->is_alive || its->sent != NULL || its->filling == NULL) {
        return;
    }
    its->sent = its->filling;
    its->filling = NULL;
    sim_later(world, sim_between(world, 0, 30), OP_TRANSACT, member)->txn = its->sent;
    world->transactions++;
}

/* --- at the bus --- */

static bool are_owned(const struct world *world, int member, const struct sim_txn *txn)
{
    bool are_all = true;
    for (size_t i = 0; i < txn->commits.count; i++) {
        const struct sim_commit *at = &txn->commits.items[i];
        are_all &= sim_is_owner(world, member, at->partition, at->epoch);
    }
    return are_all;
}

/* Which one it is to blame is known, sometimes, or when it stands alone. */
static bool are_refused(struct world *world, struct sim_txn *txn)
{
    struct held *held;
    bool is_any = false;
    DL_FOREACH (txn->events, held) {
        bool is_no = sim_is_unkept(world, held->about) ||
                     (!world->is_mended && held->about->refused < 2 && sim_chance(world, 2));
        bool is_known = held->next == NULL && held == txn->events;
        held->is_refused = is_no && (is_known || sim_chance(world, 50));
        is_any |= is_no;
    }
    return is_any;
}

static enum sim_outcome judge(struct world *world, int member, struct sim_txn *txn)
{
    bool is_kept = are_owned(world, member, txn) && (world->is_mended || !sim_chance(world, 5));
    return !is_kept ? TXN_ABORTED : are_refused(world, txn) ? TXN_REFUSED : TXN_COMMITTED;
}

static void put_record(struct world *world, const struct held *held)
{
    struct sim_event *event = held->about;
    struct record record = {.kind = held->is_redrive ? REDRIVEN : DONE,
                            .fence = held->fence,
                            .offset = event->offset,
                            .was_done = true};
    vec_push(&world->sources[event->partition].lanes, record);
    if (held->is_redrive) {
        event->is_asked = false;
        event->redriven_ms = world->now_ms + 300;
    }
}

static void apply(struct world *world, struct sim_txn *txn)
{
    struct held *held;
    DL_FOREACH (txn->events, held) {
        check_counts(world, held);
        if (held->event.needs_record) {
            put_record(world, held);
        }
    }
    for (size_t i = 0; i < txn->commits.count; i++) {
        struct sim_commit *at = &txn->commits.items[i];
        sim_store(world, at->partition, at->offset, &at->metadata);
    }
    DL_FOREACH (txn->events, held) {
        check_told(world, held);
    }
}

void sim_transact(struct world *world, struct op *op, bool is_answered)
{
    struct sim_txn *txn = op->txn;
    txn->outcome = judge(world, op->member, txn);
    if (txn->outcome == TXN_COMMITTED) {
        apply(world, txn);
    }
    if (!is_answered) {
        return;
    }
    if (txn->outcome != TXN_REFUSED && !world->is_mended && sim_chance(world, 3)) {
        txn->outcome = TXN_UNKNOWN;
    }
    int64_t takes_ms =
        sim_chance(world, 15) ? sim_between(world, 20, 150) : sim_between(world, 0, 5);
    sim_later(world, takes_ms, OP_TRANSACTED, op->member)->txn = txn;
    op->txn = NULL;
}

/* --- what comes out --- */

/* Its partition is lost, or about to be: it has not failed. */
static void give_back(struct world *world, int member, struct held *held)
{
    lane_result(world->members[member].machine, &held->event, LANE_DONE, 0, world->now_ms);
}

static void adapt(struct member *its, const struct sim_txn *txn)
{
    const struct held *held;
    size_t count = 0, blamed = 0;
    DL_FOREACH (txn->events, held) {
        count++;
        blamed += held->is_refused;
    }
    if (txn->outcome == TXN_COMMITTED) {
        its->caused_most = its->caused_most < 1000 ? its->caused_most * 2 : SIZE_MAX;
    } else if (txn->outcome == TXN_REFUSED && blamed == 0) {
        its->caused_most = count > 1 ? count / 2 : 1;
    }
    bool has_failed = txn->outcome == TXN_ABORTED || txn->outcome == TXN_UNKNOWN;
    its->transact_failures = has_failed ? its->transact_failures + 1 : 0;
}

static void settle(struct world *world, int member, struct sim_txn *txn)
{
    struct member *its = &world->members[member];
    struct held *held, *next, *kept = NULL;
    DL_FOREACH_SAFE (txn->events, held, next) {
        DL_DELETE(txn->events, held);
        if (txn->outcome == TXN_COMMITTED) {
            sim_result(world, member, held, LANE_DONE);
        } else if (txn->outcome == TXN_REFUSED && held->is_refused) {
            held->about->refused++;
            sim_result(world, member, held, LANE_RETRY);
        } else if (is_its(world, member, held) && txn->outcome != TXN_UNKNOWN) {
            DL_APPEND(kept, held);
        } else {
            check_ends(world, held, is_owners(world, member, held));
            give_back(world, member, held);
        }
    }
    DL_CONCAT(kept, its->caused); /* in front of the others, in their order */
    its->caused = kept;
}

static const char *const outcome_names[] = {"committed", "aborted", "refused", "unknown"};

void sim_transacted(struct world *world, struct op *op)
{
    struct member *its = &world->members[op->member];
    struct sim_txn *txn = op->txn;
    sim_say(world, "%d: its transaction is %s", op->member, outcome_names[txn->outcome]);
    its->sent = NULL;
    adapt(its, txn);
    for (size_t i = 0; i < txn->commits.count; i++) {
        const struct sim_commit *at = &txn->commits.items[i];
        lane_committed(its->machine, at->partition, at->epoch, txn->outcome == TXN_COMMITTED);
    }
    settle(world, op->member, txn);
    for (int p = 0; p < PARTITIONS && txn->outcome == TXN_UNKNOWN; p++) {
        sim_lose_share(world, op->member, p); /* what is committed tells what it was */
    }
}

/* --- partitions and members go --- */

static void disown(struct world *world, int member, int partition, struct held *list)
{
    struct held *held;
    DL_FOREACH (list, held) {
        if (held->about->partition == partition && is_owners(world, member, held)) {
            check_ends(world, held, true);
        }
    }
}

void sim_disown_ready(struct world *world, int member, int partition)
{
    const struct member *its = &world->members[member];
    disown(world, member, partition, its->caused);
    disown(world, member, partition, its->filling != NULL ? its->filling->events : NULL);
    disown(world, member, partition, its->sent != NULL ? its->sent->events : NULL);
}

static void drop(struct world *world, int member, int partition, struct held **list)
{
    struct held *held, *next;
    DL_FOREACH_SAFE (*list, held, next) {
        if (held->about->partition == partition) {
            DL_DELETE(*list, held);
            give_back(world, member, held);
        }
    }
}

void sim_drop_ready(struct world *world, int member, int partition)
{
    struct member *its = &world->members[member];
    drop(world, member, partition, &its->caused);
    if (its->filling == NULL) {
        return;
    }
    drop(world, member, partition, &its->filling->events);
    for (size_t i = its->filling->commits.count; i > 0; i--) {
        if (its->filling->commits.items[i - 1].partition == partition) {
            free(its->filling->commits.items[i - 1].metadata);
            vec_remove(&its->filling->commits, i - 1);
        }
    }
    if (its->filling->commits.count == 0) {
        sim_txn_free(its->filling);
        its->filling = NULL;
    }
}

static void free_list(struct held *list)
{
    struct held *held, *next;
    DL_FOREACH_SAFE (list, held, next) {
        sim_held_free(held);
    }
}

void sim_txn_free(struct sim_txn *txn)
{
    for (size_t i = 0; i < txn->commits.count; i++) {
        free(txn->commits.items[i].metadata);
    }
    vec_deinit(&txn->commits);
    free_list(txn->events);
    free(txn);
}

void sim_free_ready(struct world *world, int member)
{
    struct member *its = &world->members[member];
    free_list(its->caused);
    if (its->filling != NULL) {
        sim_txn_free(its->filling);
    }
    its->caused = NULL;
    its->filling = its->sent = NULL;
}
