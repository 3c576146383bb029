#include "sim_world.h"

/*
 * In every third world who reads now and then handles an event at once, before its machine knows of
 * it, where the machine lets it: the event is done then, or fails, or its handler does not return
 * soon and it is in hand as any other.
 */

enum { PASSES_PERCENT = 60, HANGS_PERCENT = 15 };

static void begin(struct world *world, int member, struct held *held)
{
    struct lane_event *event = &held->event;
    const struct lane_effect as_run = {.kind = LANE_RUN,
                                       .partition = event->partition,
                                       .epoch = event->epoch,
                                       .event = event,
                                       .offset = event->offset,
                                       .handler = event->handler};
    held->fence = world->members[member].shares[event->partition].fence;
    if (world->members[member].shares[event->partition].is_leaving) {
        check_fail(world, "%d@%d is handled though its partition is given away", (int)event->offset,
                   event->partition);
    }
    words_effect(world, member, &as_run);
    check_starts(world, held, sim_is_owner(world, member, event->partition, event->epoch));
    sim_say(world, "%d: %d@%d is handled where it is read", member, (int)event->offset,
            event->partition);
}

static void hang(struct world *world, int member, struct held *held)
{
    struct lane_event *event = &held->event;
    lane_arrive_in_hand(world->members[member].machine, event);
    struct op *op =
        sim_later_of(world, sim_between(world, 10, 400), OP_HANDLED, member, event->partition);
    op->epoch = event->epoch;
    op->held = held;
}

static void end(struct world *world, int member, struct held *held)
{
    struct lane_event *event = &held->event;
    struct lane_machine *machine = world->members[member].machine;
    int partition = event->partition;
    bool is_refused = false;
    check_ends(world, held, sim_is_owner(world, member, partition, event->epoch));
    enum lane_verdict verdict = sim_handle(world, held, &is_refused);
    words_result(world, member, held, verdict, 0);
    if (verdict == LANE_DONE) {
        lane_passed(machine, event);
        sim_held_free(held);
    } else {
        lane_arrive_in_hand(machine, event);
        lane_result(machine, event, verdict, 0, world->now_ms);
    }
    if (is_refused) {
        sim_lose_share(world, member, partition);
    }
}

bool sim_pass(struct world *world, int member, struct held *held)
{
    if (world->seed % 3 != 0 || !sim_chance(world, PASSES_PERCENT) ||
        !lane_may_pass(world->members[member].machine, &held->event)) {
        return false;
    }
    begin(world, member, held);
    if (sim_chance(world, HANGS_PERCENT)) {
        hang(world, member, held);
    } else {
        end(world, member, held);
    }
    return true;
}
