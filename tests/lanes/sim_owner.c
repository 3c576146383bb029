#include "sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- ownership --- */

static bool has_reader(const struct world *world, int partition)
{
    bool has_any = false;
    for (int m = 0; m < MEMBERS; m++) {
        has_any |= world->members[m].is_alive && world->members[m].shares[partition].is_held;
    }
    return has_any;
}

/* Of owners of before, who have sent it and are gone. */
static bool is_append_on_its_way(const struct world *world, int partition)
{
    for (size_t i = 0; i < world->ops.nodes.count; i++) {
        const struct op *op = container_of(world->ops.nodes.items[i], struct op, node);
        if (op->kind == OP_APPEND && op->partition == partition && !op->is_void) {
            return true;
        }
    }
    return false;
}

void sim_own(struct world *world, int member, int partition)
{
    struct member *its = &world->members[member];
    struct source *source = &world->sources[partition];
    if (!its->is_alive || source->owner != member || its->shares[partition].is_held) {
        return;
    }
    int64_t committed = source->committed < 0 ? 0 : source->committed;
    its->shares[partition] =
        (struct share){.is_paused = true, .epoch = ++world->last_epoch, .order_ms = world->now_ms};
    while (its->shares[partition].read < source->events.count &&
           source->events.items[its->shares[partition].read].offset < committed) {
        its->shares[partition].read++;
    }
    source->owner_epoch = world->last_epoch;
    sim_say(world, "%d: owns %d from %d", member, partition, (int)committed);
    /* an operator may set the offset of a group that nobody reads with, and leave a text of his
     * own or none; but not while a mark of the last one is still to come, whose fence only that
     * text would tell */
    bool is_set = !has_reader(world, partition) && sim_chance(world, 10) && !world->transacts &&
                  !is_append_on_its_way(world, partition);
    its->shares[partition].is_held = true;
    lane_own(its->machine, partition, world->last_epoch, committed,
             !is_set                 ? source->metadata
             : sim_chance(world, 50) ? "by hand"
                                     : NULL);
}

void sim_give(struct world *world, int member, int partition)
{
    world->sources[partition].owner = member;
    world->sources[partition].owner_epoch = -1;
    if (member >= 0) {
        sim_later(world, sim_between(world, 0, 20), OP_OWN, member)->partition = partition;
    }
}

/* The running ones are not the owner's any more. */
static void disown_running(struct world *world, int member, int partition)
{
    for (size_t i = 0; i < world->ops.nodes.count; i++) {
        struct op *op = container_of(world->ops.nodes.items[i], struct op, node);
        if (op->kind == OP_HANDLED && op->member == member && op->partition == partition &&
            sim_is_owner(world, member, partition, op->epoch) &&
            op->life == world->members[member].life) {
            check_ends(world, op->held, true);
        }
    }
    sim_disown_ready(world, member, partition);
}

static int another(struct world *world, int member)
{
    int other = (member + 1) % MEMBERS;
    return world->members[other].is_alive && sim_chance(world, 80) ? other : member;
}

/* The member lets go: after LANE_QUIET, at the deadline, or when it learns that it lost. */
void sim_lose_share(struct world *world, int member, int partition)
{
    struct share *share = &world->members[member].shares[partition];
    if (!share->is_held) {
        return;
    }
    bool was_owner = sim_is_owner(world, member, partition, share->epoch);
    if (was_owner) {
        disown_running(world, member, partition);
    }
    sim_say(world, "%d: lets go of %d", member, partition);
    lane_lose(world->members[member].machine, partition);
    share->is_held = false;
    sim_drop_ready(world, member, partition);
    if (was_owner) {
        sim_give(world, another(world, member), partition);
    }
}

void sim_store(struct world *world, int partition, int64_t offset, char **metadata)
{
    struct source *source = &world->sources[partition];
    check_commit(world, partition, offset, *metadata);
    if (offset < source->committed) {
        check_fail(world, "the commit went back from %d to %d", (int)source->committed,
                   (int)offset);
    }
    source->committed = offset;
    free(source->metadata);
    source->metadata = *metadata;
    *metadata = NULL;
}

void sim_committed(struct world *world, struct op *op, bool is_answered)
{
    bool is_stored = sim_is_owner(world, op->member, op->partition, op->epoch) &&
                     (world->is_mended || !sim_chance(world, 5));
    if (is_stored) {
        sim_store(world, op->partition, op->effect.offset, &op->metadata);
    }
    if (is_answered) {
        /* some answers take so long that the partition is gone, or back */
        int64_t takes_ms =
            sim_chance(world, 15) ? sim_between(world, 20, 150) : sim_between(world, 0, 5);
        struct op *answer = sim_later_of(world, takes_ms, OP_COMMITTED, op->member, op->partition);
        answer->epoch = op->epoch;
        answer->is_stored = is_stored;
    }
}

void sim_crash(struct world *world, int member)
{
    struct member *its = &world->members[member];
    sim_settle_at(world, member, INT64_MAX);
    int64_t reaches_ms = world->now_ms + sim_between(world, 0, 20);
    sim_say(world, "%d: crashes", member);
    world->crashes++;
    for (int p = 0; p < PARTITIONS; p++) {
        if (its->shares[p].is_held && world->sources[p].owner == member) {
            disown_running(world, member, p);
        }
    }
    for (size_t i = 0; i < world->ops.nodes.count; i++) {
        struct op *op = container_of(world->ops.nodes.items[i], struct op, node);
        if (op->member != member || op->life != its->life) {
            continue;
        }
        bool is_sent = op->kind == OP_APPEND || op->kind == OP_DEAD || op->kind == OP_COMMIT ||
                       op->kind == OP_TRANSACT;
        op->is_void = !is_sent || sim_time_of(op) > reaches_ms;
        if (op->kind == OP_COMMIT && sim_chance(world, 50)) {
            sim_committed(world, op, false); /* before the group knows that its member is gone */
            op->is_void = true;
        }
        if (op->kind == OP_TRANSACT && sim_chance(world, 50)) {
            sim_transact(world, op, false);
            op->is_void = true;
        }
        if (op->kind == OP_HANDLED && sim_chance(world, 40) && op->held->about->fate == GOOD &&
            !sim_is_caused(world, op->held->about)) {
            check_applies(world, op->held); /* it was just done when the process died */
        }
    }
    sim_free_ready(world, member);
    its->is_alive = false;
    its->life++;
    for (int p = 0; p < PARTITIONS; p++) {
        its->shares[p].is_held = false;
        if (world->sources[p].owner == member) {
            sim_give(world,
                     world->members[(member + 1) % MEMBERS].is_alive ? (member + 1) % MEMBERS : -1,
                     p);
        }
    }
}

/* The machine's events that are in an op's hand are the op's. */
void sim_op_free(struct op *op, bool has_machine)
{
    bool has_event = op->effect.kind == LANE_WRITE_ASIDE || op->effect.kind == LANE_WRITE_DEAD;
    if (op->kind == OP_HANDLED && !has_machine) {
        sim_held_free(op->held);
    } else if (has_event && op->effect.event != NULL && !has_machine) {
        sim_held_free(sim_held_of(op->effect.event));
    }
    if (op->txn != NULL) {
        sim_txn_free(op->txn);
    }
    free(op->metadata);
    free(op);
}

static void release(void *context, struct lane_event *event)
{
    (void)context;
    sim_held_free(sim_held_of(event));
}

void sim_machine_end(struct world *world, int member)
{
    struct member *its = &world->members[member];
    lane_machine_free(its->machine, release, NULL);
    its->machine = NULL;
}

void sim_begin(struct world *world, int member)
{
    struct member *its = &world->members[member];
    struct lane_settings settings = world->settings;
    settings.seed = random_next(&world->random);
    its->is_alive = true;
    its->is_stopping = false;
    its->caused_most = SIZE_MAX;
    its->transact_at_ms = its->transact_failures = 0;
    memset(its->alone, 0, sizeof its->alone);
    memset(its->failures, 0, sizeof its->failures);
    its->machine = lane_machine_new(&settings);
    for (int p = 0; p < PARTITIONS; p++) {
        int owner = world->sources[p].owner;
        if (owner < 0) {
            sim_give(world, member, p);
        }
    }
}

/* The session of a member ends though it lives: it learns so later. */
void sim_fence_out(struct world *world, int member, int partition)
{
    int other = (member + 1) % MEMBERS;
    if (!world->members[other].is_alive || world->sources[partition].owner != member ||
        !world->members[member].shares[partition].is_held) {
        return;
    }
    sim_say(world, "%d: is thought dead for %d", member, partition);
    disown_running(world, member, partition);
    sim_give(world, other, partition);
    sim_later_of(world, sim_between(world, 20, 200), OP_LOSE, member, partition);
}

void sim_move(struct world *world, int member, int partition)
{
    struct share *share = &world->members[member].shares[partition];
    if (!share->is_held || share->is_leaving || world->sources[partition].owner != member) {
        return;
    }
    world->moves++;
    share->is_leaving = true;
    lane_revoke(world->members[member].machine, partition);
    sim_later_of(world, sim_between(world, 50, 500), OP_LEAVE_DEADLINE, member, partition);
}

/* --- redrive --- */

static bool is_about_event(const struct record *record)
{
    return record->kind == ASIDE || record->kind == FORGET || record->kind == DONE;
}

bool sim_is_newest(const struct source *source, size_t at)
{
    const struct record *record = &source->lanes.items[at];
    int64_t mark = 0;
    bool is_lane = record->kind == NOTE || record->kind == CLOSE;
    bool is_event = is_about_event(record);
    for (size_t i = 0; i < source->lanes.count; i++) {
        const struct record *other = &source->lanes.items[i];
        if (other->kind == MARK) {
            mark = other->fence > mark ? other->fence : mark;
        }
        if (other->kind != REDRIVE && other->kind != MARK && other->fence < mark) {
            if (i == at) {
                return false; /* void */
            }
            continue;
        }
        if (i <= at) {
            continue;
        }
        if (is_lane && (other->kind == NOTE || other->kind == CLOSE) && other->key == record->key &&
            other->name_offset == record->name_offset) {
            return false;
        }
        if (is_event && is_about_event(other) && other->offset == record->offset) {
            return false;
        }
    }
    return true;
}

/* Its lane is closed because of it. */
static bool is_parked_at(const struct source *source, int64_t offset)
{
    for (size_t i = 0; i < source->lanes.count; i++) {
        const struct record *record = &source->lanes.items[i];
        if (record->kind == NOTE && record->note.is_parked && record->note.offset == offset &&
            sim_is_newest(source, i)) {
            return true;
        }
    }
    return false;
}

void sim_ask_redrive(struct world *world, struct sim_event *event)
{
    struct source *source = &world->sources[event->partition];
    /* who has just seen it done does not ask again */
    if (!event->is_dead || event->is_asked || world->now_ms < event->redriven_ms ||
        (event->applied > 0 && !is_parked_at(source, event->offset))) {
        return;
    }
    sim_say(world, "redrive of %d@%d is asked for", (int)event->offset, event->partition);
    world->redrives++;
    event->is_asked = true;
    vec_push(&source->lanes, (struct record){.kind = REDRIVE, .offset = event->offset});
    if (source->owner >= 0) {
        struct member *owner = &world->members[source->owner];
        struct share *share = &owner->shares[event->partition];
        if (owner->is_alive && share->is_held && share->is_restored) {
            sim_later_of(world, sim_between(world, 0, 10), OP_REDRIVE, source->owner,
                         event->partition)
                ->position = event->offset;
        }
    }
}

void sim_redrive(struct world *world, struct op *op)
{
    struct share *share = &world->members[op->member].shares[op->partition];
    struct sim_event *about = sim_find(world, op->partition, op->position);
    if (share->is_held && share->epoch == op->epoch && about->is_asked) {
        struct held *held = sim_held_new(world, op->member, about);
        held->event.closes_lane = !about->may_skip;
        lane_redrive(world->members[op->member].machine, &held->event);
    }
}

/* --- restore --- */

/* The dead event that closed a lane is done since. */
static bool was_redriven(const struct source *source, size_t below, const struct lane_note *note)
{
    for (size_t i = below; i > 0 && note->is_parked; i--) {
        const struct record *record = &source->lanes.items[i - 1];
        if (record->kind == REDRIVEN && record->offset == note->offset &&
            sim_is_newest(source, i - 1)) {
            return record->was_done;
        }
    }
    return false;
}

static void restore_record(struct world *world, int member, int partition, size_t at, size_t below)
{
    const struct record *record = &world->sources[partition].lanes.items[at];
    struct lane_machine *machine = world->members[member].machine;
    char key[16];
    if (record->kind == ASIDE || record->kind == DONE) {
        const struct sim_event *about = sim_find(world, partition, record->offset);
        snprintf(key, sizeof key, "key-%d", about->key);
        struct slice its = about->key >= 0 ? slice_str(key) : (struct slice){0};
        if (record->kind == ASIDE) {
            lane_restore_event(machine, partition, its, record->offset, (int64_t)at, 10,
                               about->handler);
        } else {
            lane_restore_done(machine, partition, its, record->offset);
        }
    } else if (record->kind == NOTE) {
        snprintf(key, sizeof key, "key-%d", record->key);
        lane_restore_note(
            machine, partition,
            (struct lane_name){.key = record->key >= 0 ? slice_str(key) : (struct slice){0},
                               .offset = record->name_offset},
            &record->note, was_redriven(&world->sources[partition], below, &record->note));
    }
}

/* The owner reads its own mark back. */
void sim_restore(struct world *world, struct op *op)
{
    struct member *its = &world->members[op->member];
    struct share *share = &its->shares[op->partition];
    struct source *source = &world->sources[op->partition];
    if (!share->is_held || share->epoch != op->epoch) {
        return;
    }
    share->is_restored = true;
    words_restored(world, op->member, op->partition);
    for (size_t i = 0; i < (size_t)op->position; i++) {
        if (sim_is_newest(source, i)) {
            restore_record(world, op->member, op->partition, i, (size_t)op->position);
        }
    }
    lane_restored(its->machine, op->partition, op->epoch);
    for (size_t i = 0; i < source->events.count; i++) {
        if (source->events.items[i].is_asked) {
            sim_later_of(world, 0, OP_REDRIVE, op->member, op->partition)->position =
                source->events.items[i].offset;
        }
    }
}
