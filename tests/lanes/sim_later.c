#include "sim_world.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

int64_t sim_between(struct world *world, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&world->random, (uint64_t)(high - low + 1));
}

bool sim_chance(struct world *world, int percent)
{
    return sim_between(world, 1, 100) <= percent;
}

void sim_say(const struct world *world, const char *format, ...)
{
    if (!world->is_loud) {
        return;
    }
    va_list args;
    va_start(args, format);
    printf("%7d ", (int)world->now_ms);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* --- later --- */

/* What happens at the same time happens in the order it was said. */
void sim_happens_at(struct world *world, struct op *op, int64_t at_ms)
{
    heap_set(&world->ops, &op->node, at_ms * 0x1000000 + ++world->sequence);
}

int64_t sim_time_of(const struct op *op)
{
    return op->node.key / 0x1000000;
}

struct op *sim_later(struct world *world, int64_t in_ms, enum op_kind kind, int member)
{
    struct op *op = mem_new(struct op);
    op->kind = kind;
    op->member = member;
    op->life = member >= 0 ? world->members[member].life : 0;
    op->partition = -1;
    sim_happens_at(world, op, world->now_ms + in_ms);
    return op;
}

struct op *sim_later_of(struct world *world, int64_t in_ms, enum op_kind kind, int member,
                        int partition)
{
    struct op *op = sim_later(world, in_ms, kind, member);
    op->partition = partition;
    op->epoch = world->members[member].shares[partition].epoch;
    return op;
}

void sim_settle_at(struct world *world, int member, int64_t due_ms)
{
    struct op *op = &world->settles[member];
    if (due_ms == INT64_MAX) {
        heap_remove(&world->ops, &op->node);
    } else {
        sim_happens_at(world, op, due_ms > world->now_ms ? due_ms : world->now_ms);
    }
}

/* Whether the group has given the partition to this member under this epoch. */
bool sim_is_owner(const struct world *world, int member, int partition, int64_t epoch)
{
    const struct source *source = &world->sources[partition];
    return world->members[member].is_alive && source->owner == member &&
           source->owner_epoch == epoch;
}

/* --- events in hand --- */

struct held *sim_held_new(struct world *world, int member, struct sim_event *about)
{
    const struct share *share = &world->members[member].shares[about->partition];
    struct held *held = mem_new(struct held);
    held->about = about;
    held->fence = share->fence;
    held->event.partition = about->partition;
    held->event.epoch = share->epoch;
    held->event.offset = about->offset;
    held->event.handler = about->handler;
    held->event.bytes = (size_t)sim_between(world, 1, 20);
    if (about->key >= 0) {
        /* the same bytes in a place of their own each time */
        held->key = (uint8_t *)mem_sprintf("key-%d", about->key);
        held->event.key = slice_str((char *)held->key);
    }
    return held;
}

void sim_held_free(struct held *held)
{
    free(held->key);
    free(held);
}

struct held *sim_held_of(struct lane_event *event)
{
    return container_of(event, struct held, event);
}

struct sim_event *sim_find(struct world *world, int partition, int64_t offset)
{
    struct source *source = &world->sources[partition];
    for (size_t i = 0; i < source->events.count; i++) {
        if (source->events.items[i].offset == offset) {
            return &source->events.items[i];
        }
    }
    check_fail(world, "nothing is at %d@%d", (int)offset, partition);
    return &source->events.items[0];
}
