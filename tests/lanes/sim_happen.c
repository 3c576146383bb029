#include "sim_world.h"

static void chaos(struct world *world)
{
    int member = (int)sim_between(world, 0, MEMBERS - 1);
    int partition = (int)sim_between(world, 0, PARTITIONS - 1);
    int what = (int)sim_between(world, 1, 100);
    struct member *its = &world->members[member];
    if (world->is_calm) {
        return;
    }
    if (!its->is_alive) {
        sim_begin(world, member);
    } else if (world->has_words && sim_chance(world, 60)) {
        words_say_any(world, member);
    } else if (what <= 25) {
        sim_machine_end(world, member);
        sim_crash(world, member);
    } else if (what <= 55) {
        sim_move(world, member, partition);
    } else if (what <= 75) {
        sim_fence_out(world, member, partition);
    } else {
        struct source *source = &world->sources[partition];
        size_t which = (size_t)sim_between(world, 0, (int64_t)source->events.count - 1);
        sim_ask_redrive(world, &source->events.items[which]);
    }
    if (--world->chaos_left > 0) {
        sim_later(world, sim_between(world, 5, 300), OP_CHAOS, -1);
    }
}

/* --- what happens --- */

enum lane_verdict sim_handle(struct world *world, struct held *held, bool *is_refused)
{
    struct sim_event *event = held->about;
    if (!world->is_mended) {
        if (event->fate == REJECTED) {
            return LANE_REJECT; /* what it says can be seen without what may be away */
        }
        if (world->now_ms >= world->outage_from_ms[event->handler] &&
            world->now_ms < world->outage_to_ms[event->handler]) {
            return LANE_RETRY;
        }
        if (event->fate == POISON && !sim_is_unkept(world, event)) {
            return LANE_RETRY;
        }
        if (event->fails_left > 0) {
            event->fails_left--;
            return LANE_RETRY;
        }
    }
    if (sim_is_caused(world, event) || check_applies(world, held)) {
        return LANE_DONE;
    }
    /* the inbox has a higher fence: that is how an owner of before learns of it */
    *is_refused = true;
    return LANE_RETRY;
}

static void handled(struct world *world, struct op *op)
{
    bool is_refused = false;
    enum lane_verdict verdict = sim_handle(world, op->held, &is_refused);
    sim_say(world, "%d: %d@%d is %s", op->member, (int)op->held->about->offset, op->partition,
            verdict == LANE_DONE ? "done" : "not done");
    struct share *share = &world->members[op->member].shares[op->partition];
    bool is_its = share->epoch == op->epoch && share->is_held;
    if (verdict == LANE_DONE && sim_is_caused(world, op->held->about)) {
        if (is_its) {
            sim_ready(world, op->member, op->held);
            return;
        }
        verdict = LANE_RETRY; /* nobody wants it */
    }
    sim_result(world, op->member, op->held, verdict);
    if (is_refused && is_its) {
        sim_lose_share(world, op->member, op->partition);
    }
}

static void append(struct world *world, struct op *op)
{
    struct source *source = &world->sources[op->partition];
    const struct record *record = &op->record;
    bool was_there =
        record->kind == FORGET && check_is_recorded(world, op->partition, record->offset);
    vec_push(&source->lanes, op->record);
    if (was_there && !check_is_recorded(world, op->partition, record->offset)) {
        check_forget(world, op->partition, record->offset);
    }
    if (record->kind == DONE) {
        check_done(world, op->partition, record->offset);
    }
    if (record->kind == MARK) {
        check_mark(world, op->partition, record->fence);
    }
    if (record->kind == REDRIVEN) {
        struct sim_event *event = sim_find(world, op->partition, record->offset);
        event->is_asked = false;
        event->redriven_ms = record->was_done ? world->now_ms + 300 : event->redriven_ms;
    }
    world->asides += record->kind == ASIDE;
    if (!op->is_void && op->life == world->members[op->member].life) {
        struct share *share = &world->members[op->member].shares[op->partition];
        int64_t at_ms = world->now_ms + sim_between(world, 0, 10);
        at_ms = at_ms > share->answer_ms ? at_ms : share->answer_ms;
        share->answer_ms = at_ms;
        struct op *answer = sim_later(world, at_ms - world->now_ms, OP_ANSWER, op->member);
        answer->partition = op->partition;
        answer->epoch = op->epoch;
        answer->effect = op->effect;
        answer->position = (int64_t)source->lanes.count - 1;
    }
}

static void look(struct world *world, struct op *op)
{
    const struct source *source = &world->sources[op->partition];
    int64_t highest = 0;
    for (size_t i = 0; i < source->lanes.count; i++) {
        const struct record *record = &source->lanes.items[i];
        highest = record->kind == MARK && record->fence > highest ? record->fence : highest;
    }
    lane_looked(world->members[op->member].machine, op->partition, op->epoch, highest);
}

static void answer(struct world *world, struct op *op)
{
    struct lane_machine *machine = world->members[op->member].machine;
    bool is_its = world->members[op->member].shares[op->partition].epoch == op->epoch;
    switch (op->effect.kind) {
    case LANE_OWN:
        sim_restore(world, op);
        break;
    case LANE_WRITE_ASIDE:
        if (is_its) {
            words_answered(world, op->member, sim_held_of(op->effect.event)->about, false);
        }
        lane_wrote_aside(machine, op->effect.event, op->position);
        break;
    default:
        lane_marked(machine, &op->effect);
        break;
    }
}

static void dead(struct world *world, struct op *op, bool is_answered)
{
    struct sim_event *event = sim_find(world, op->partition, op->effect.offset);
    check_dead(world, event);
    if (is_answered) {
        if (world->members[op->member].shares[op->partition].epoch == op->epoch) {
            words_answered(world, op->member, event, true);
        }
        lane_wrote_dead(world->members[op->member].machine, op->effect.event);
    }
}

static void load(struct world *world, struct op *op)
{
    struct share *share = &world->members[op->member].shares[op->partition];
    struct source *source = &world->sources[op->partition];
    const struct record *record = &source->lanes.items[op->effect.position];
    struct held *held =
        sim_held_new(world, op->member, sim_find(world, op->partition, record->offset));
    if (record->kind != ASIDE) {
        check_fail(world, "a load of %d, where no event is", (int)op->effect.position);
    }
    held->event.epoch = share->epoch;
    if (share->epoch == op->epoch) {
        words_answered(world, op->member, held->about, false);
    }
    lane_loaded(world->members[op->member].machine, op->effect.lane, &held->event);
}

/* What a process sent before it crashed. */
static void land(struct world *world, struct op *op)
{
    if (op->kind == OP_APPEND) {
        append(world, op);
    } else if (op->kind == OP_DEAD) {
        dead(world, op, false);
    } else if (op->kind == OP_COMMIT) {
        sim_committed(world, op, false);
    } else if (op->kind == OP_TRANSACT) {
        sim_transact(world, op, false);
    }
}

static void publish(struct world *world)
{
    struct source *source = &world->sources[sim_between(world, 0, PARTITIONS - 1)];
    size_t more = (size_t)sim_between(world, 1, 6);
    source->published = source->published + more < source->events.count ? source->published + more
                                                                        : source->events.count;
    bool is_over = true;
    for (int p = 0; p < PARTITIONS; p++) {
        is_over &= world->sources[p].published == world->sources[p].events.count;
    }
    if (!is_over) {
        sim_later(world, sim_between(world, 0, 60), OP_PUBLISH, -1);
    }
}

void sim_redrive_all(struct world *world)
{
    for (int p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < world->sources[p].events.count; i++) {
            sim_ask_redrive(world, &world->sources[p].events.items[i]);
        }
    }
}

static void say_all(struct world *world)
{
    words_say_all(world, world->skips_all);
    sim_later(world, 300, OP_WORDS_ALL, -1);
}

/* The service ends as it was told to, gives away what it has, and is started again. */
static void stop(struct world *world, int member)
{
    for (int p = 0; p < PARTITIONS; p++) {
        sim_move(world, member, p);
    }
    sim_later(world, sim_between(world, 0, 600), OP_END, member);
}

static void end(struct world *world, int member)
{
    sim_machine_end(world, member);
    sim_crash(world, member);
    sim_later(world, sim_between(world, 0, 300), OP_BEGIN, -1)->position = member;
}

static void lose(struct world *world, const struct op *op)
{
    if (world->members[op->member].shares[op->partition].epoch == op->epoch) {
        sim_lose_share(world, op->member, op->partition);
        sim_own(world, op->member, op->partition); /* it may have been given back meanwhile */
    }
}

/* Members and their partitions come and go. */
static void happen_to_members(struct world *world, const struct op *op)
{
    switch (op->kind) {
    case OP_OWN:
        sim_own(world, op->member, op->partition);
        break;
    case OP_LEAVE_DEADLINE:
    case OP_LOSE:
        lose(world, op);
        break;
    case OP_STOP:
        stop(world, op->member);
        break;
    case OP_END:
        end(world, op->member);
        break;
    case OP_BEGIN:
        if (!world->members[op->position].is_alive) {
            sim_begin(world, (int)op->position);
        }
        break;
    default:
        break;
    }
}

static void happen(struct world *world, struct op *op)
{
    switch (op->kind) {
    case OP_PUBLISH:
        publish(world);
        break;
    case OP_CHAOS:
        chaos(world);
        break;
    case OP_SETTLE:
        break;
    case OP_HANDLED:
        handled(world, op);
        break;
    case OP_APPEND:
        append(world, op);
        break;
    case OP_ANSWER:
        answer(world, op);
        break;
    case OP_LOOK:
        look(world, op);
        break;
    case OP_LOAD:
        load(world, op);
        break;
    case OP_DEAD:
        dead(world, op, true);
        break;
    case OP_COMMIT:
        sim_committed(world, op, true);
        break;
    case OP_COMMITTED:
        lane_committed(world->members[op->member].machine, op->partition, op->epoch, op->is_stored);
        break;
    case OP_TRANSACT:
        sim_transact(world, op, true);
        break;
    case OP_TRANSACTED:
        sim_transacted(world, op);
        break;
    case OP_REDRIVE:
        sim_redrive(world, op);
        break;
    case OP_REDRIVE_ALL:
        sim_redrive_all(world);
        sim_later(world, 500, OP_REDRIVE_ALL, -1);
        break;
    case OP_WORDS_ALL:
        say_all(world);
        break;
    case OP_OWN:
    case OP_LEAVE_DEADLINE:
    case OP_LOSE:
    case OP_STOP:
    case OP_END:
    case OP_BEGIN:
        happen_to_members(world, op);
        break;
    }
}

/* The next thing that happens, and what the members make of it. False: nothing ever will. */
bool sim_step(struct world *world)
{
    struct heap_node *node = heap_least(&world->ops);
    if (node == NULL) {
        return false;
    }
    struct op *op = container_of(node, struct op, node);
    int member = op->member;
    heap_remove(&world->ops, node);
    world->now_ms = sim_time_of(op) > world->now_ms ? sim_time_of(op) : world->now_ms;
    if (op->kind != OP_SETTLE) {
        bool has_machine = member < 0 || op->life == world->members[member].life;
        if (has_machine) {
            happen(world, op);
        } else if (!op->is_void) {
            land(world, op);
        }
        /* a crash in this very step leaves nothing in its own hand */
        sim_op_free(op, has_machine);
    }
    for (int m = 0; m < MEMBERS; m++) {
        if (member < 0 || member == m) {
            sim_settle(world, m);
        }
    }
    return true;
}
