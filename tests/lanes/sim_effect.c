#include "sim_world.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

/* --- effects of the machine --- */

static void append_later(struct world *world, int member, const struct lane_effect *effect,
                         struct record record)
{
    struct share *share = &world->members[member].shares[effect->partition];
    int64_t at_ms = world->now_ms + sim_between(world, 0, 15);
    at_ms = at_ms > share->order_ms ? at_ms : share->order_ms;
    share->order_ms = at_ms;
    struct op *op =
        sim_later_of(world, at_ms - world->now_ms, OP_APPEND, member, effect->partition);
    op->epoch = effect->epoch;
    op->effect = *effect;
    op->record = record;
    op->record.fence = effect->kind == LANE_OWN ? effect->fence : share->fence;
}

static int key_of(const struct world *world, struct slice key)
{
    char text[16];
    for (int i = 0; i < world->key_count; i++) {
        snprintf(text, sizeof text, "key-%d", i);
        if (!slice_is_null(key) && slice_equal_str(key, text)) {
            return i;
        }
    }
    return -1;
}

static void write_record(struct world *world, int member, const struct lane_effect *effect)
{
    struct record record = {.offset = effect->offset, .was_done = effect->was_done};
    switch (effect->kind) {
    case LANE_OWN:
        record.kind = MARK;
        world->members[member].shares[effect->partition].fence = effect->fence;
        break;
    case LANE_WRITE_ASIDE:
        record.kind = ASIDE;
        break;
    case LANE_WRITE_FORGET:
        record.kind = FORGET;
        break;
    case LANE_WRITE_DONE:
        record.kind = DONE;
        break;
    case LANE_WRITE_REDRIVEN:
        record.kind = REDRIVEN;
        break;
    default:
        record.kind = effect->kind == LANE_WRITE_NOTE ? NOTE : CLOSE;
        record.note = effect->note;
        record.key = key_of(world, effect->name.key);
        record.name_offset = effect->name.offset;
        break;
    }
    append_later(world, member, effect, record);
}

static void run(struct world *world, int member, const struct lane_effect *effect)
{
    struct held *held = sim_held_of(effect->event);
    int64_t takes_ms =
        sim_chance(world, 10) ? sim_between(world, 50, 400) : sim_between(world, 1, 20);
    held->fence = world->members[member].shares[effect->partition].fence;
    if (world->members[member].shares[effect->partition].is_leaving) {
        check_fail(world, "%d@%d is started though its partition is given away",
                   (int)held->about->offset, effect->partition);
    }
    check_starts(world, held, sim_is_owner(world, member, effect->partition, effect->epoch));
    struct op *op = sim_later_of(world, takes_ms, OP_HANDLED, member, effect->partition);
    op->epoch = effect->epoch;
    op->held = held;
}

static void commit(struct world *world, int member, const struct lane_effect *effect)
{
    struct op *op =
        sim_later_of(world, sim_between(world, 0, 30), OP_COMMIT, member, effect->partition);
    op->epoch = effect->epoch;
    op->effect = *effect;
    op->metadata = mem_strdup(effect->metadata);
}

static void carry_out(struct world *world, int member, const struct lane_effect *effect)
{
    if (effect->kind == LANE_RUN) {
        sim_held_of(effect->event)->is_redrive = effect->event->keep == LANE_REDRIVEN;
    }
    struct share *share =
        effect->partition >= 0 ? &world->members[member].shares[effect->partition] : NULL;
    struct op *op;
    words_effect(world, member, effect);
    switch (effect->kind) {
    case LANE_RUN:
        run(world, member, effect);
        if (world->seed % 4 == 0 && effect->event->offset % 3 == 0) { /* its word comes later */
            lane_put_by(world->members[member].machine, effect->event);
            sim_settle_at(world, member, world->now_ms);
        }
        break;
    case LANE_RELEASE:
        sim_held_free(sim_held_of(effect->event));
        break;
    case LANE_WRITE_DEAD:
        op = sim_later_of(world, sim_between(world, 0, 15), OP_DEAD, member, effect->partition);
        op->epoch = effect->epoch;
        op->effect = *effect;
        break;
    case LANE_LOOK:
        op = sim_later_of(world, sim_between(world, 0, 10), OP_LOOK, member, effect->partition);
        op->epoch = effect->epoch;
        break;
    case LANE_LOAD:
        op = sim_later_of(world, sim_between(world, 0, 10), OP_LOAD, member, effect->partition);
        op->epoch = effect->epoch;
        op->effect = *effect;
        break;
    case LANE_COMMIT:
        if (world->transacts) {
            sim_transact_commit(world, member, effect);
        } else {
            commit(world, member, effect);
        }
        break;
    case LANE_PAUSE:
    case LANE_RESUME:
        share->is_paused = effect->kind == LANE_PAUSE;
        break;
    case LANE_QUIET:
        words_quiet(world, member, effect->partition);
        sim_lose_share(world, member, effect->partition);
        break;
    case LANE_TELL_DOWN:
    case LANE_TELL_UP:
    case LANE_TELL_FULL:
    case LANE_GIVE_UP:
        break;
    default:
        write_record(world, member, effect);
        break;
    }
}

static const char *const effect_names[] = {
    "RUN",        "RELEASE", "LOOK",   "OWN",  "LOAD",     "WRITE_ASIDE", "WRITE_DEAD",
    "WRITE_NOTE", "CLOSE",   "FORGET", "DONE", "REDRIVEN", "COMMIT",      "PAUSE",
    "RESUME",     "QUIET",   "DOWN",   "UP",   "FULL",     "GIVE_UP"};

/* Where the log of a source ends: now and then behind what is no event. */
static int64_t sim_end(const struct source *source)
{
    const struct sim_event *items = source->events.items;
    size_t count = source->published;
    return count == source->events.count  ? source->end
           : count == 0 || count % 2 == 0 ? items[count].offset
                                          : items[count - 1].offset + 1;
}

/* Takes what the source has, then lets the machine go on, until it wants nothing more. */
static void deliver(struct world *world, int member)
{
    struct member *its = &world->members[member];
    for (int p = 0; p < PARTITIONS; p++) {
        struct share *share = &its->shares[p];
        struct source *source = &world->sources[p];
        for (int n = 0;
             n < 3 && share->is_held && !share->is_paused && share->read < source->published; n++) {
            struct sim_event *about = &source->events.items[share->read++];
            struct held *held = sim_held_new(world, member, about);
            if (!sim_pass(world, member, held)) {
                lane_arrive(its->machine, &held->event);
            }
        }
        if (share->is_held && !share->is_paused && share->read == source->published) {
            lane_reached(its->machine, p, share->epoch, sim_end(source));
        }
    }
}

static bool has_more(const struct world *world, int member)
{
    for (int p = 0; p < PARTITIONS; p++) {
        const struct share *share = &world->members[member].shares[p];
        if (share->is_held && !share->is_paused && share->read < world->sources[p].published) {
            return true;
        }
    }
    return false;
}

/* Memory has room, and by more than what it takes to pause and resume. */
static bool has_room(const struct world *world, const struct lane_machine *machine)
{
    struct lane_counts counts = lane_counts(machine);
    return !world->has_limits && counts.runnable_events * 4 <= world->settings.intake_events * 3 &&
           counts.waiting_events * 4 <= world->settings.waiting_events * 3;
}

/* A partition that is not given away goes on, whatever happens to others. */
static void check_goes_on(struct world *world, int member)
{
    for (int p = 0; p < PARTITIONS; p++) {
        const struct share *share = &world->members[member].shares[p];
        if (share->is_held && share->is_restored && !share->is_leaving && share->is_paused) {
            check_fail(world, "%d: partition %d stands still, and memory has room", member, p);
        }
    }
}

void sim_settle(struct world *world, int member)
{
    struct member *its = &world->members[member];
    struct lane_effect effect;
    if (!its->is_alive) {
        return;
    }
    deliver(world, member);
    int64_t transact_ms = sim_transact_due(world, member);
    int64_t due_ms = lane_settle(its->machine, world->now_ms);
    due_ms = transact_ms < due_ms ? transact_ms : due_ms;
    check_memory(world, its->machine);
    bool is_roomy = has_room(world, its->machine);
    while (its->is_alive && lane_next_effect(its->machine, &effect)) {
        sim_say(world, "%d: %s %d@%d", member, effect_names[effect.kind], (int)effect.offset,
                effect.partition);
        carry_out(world, member, &effect);
    }
    words_settled(world, member);
    sim_transact_send(world, member);
    if (is_roomy && its->is_alive) {
        check_goes_on(world, member);
    }
    if (its->is_alive) {
        sim_settle_at(world, member, has_more(world, member) ? world->now_ms : due_ms);
    }
}
