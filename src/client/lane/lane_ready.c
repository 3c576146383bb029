#include "client/lane/lane_inside.h"

#include <assert.h>
#include <stdlib.h>

/* Events that are done and count together with a commit, and the records that say so where its text
 * cannot. */

/* A quarter of the intake, above what is read from the source. */
bool lane_ready_is_full(const struct lane_machine *machine)
{
    const struct lane_settings *settings = &machine->settings;
    return machine->ready_loaded > settings->intake_events / 4 ||
           machine->ready_loaded_bytes > settings->intake_bytes / 4;
}

static void count_loaded(struct lane_machine *machine, const struct lane_event *event, bool adds)
{
    if (event->keep == LANE_ASIDE) {
        machine->ready_loaded += adds ? 1 : (size_t)-1;
        machine->ready_loaded_bytes += adds ? event->bytes : (size_t)0 - event->bytes;
    }
}

void lane_ready(struct lane_machine *machine, struct lane_event *event)
{
    struct lane *lane = event->lane;
    struct lane_partition *partition = lane->partition;
    assert(event->is_busy && !event->is_ready && lane->hand == event);
    event->is_ready = true;
    DL_APPEND2(partition->ready, event, ready_prev, ready_next);
    partition->is_dirty = true;
    machine->ready++;
    count_loaded(machine, event, true);
    machine->handlers[event->handler].ready++;
    if (event->done_stamp == 0) {
        event->done_stamp = ++machine->handlers[event->handler].stamps;
    }
    if (!event->is_put_by) {
        event->is_put_by = true; /* its worker is free */
        machine->counts.running--;
    }
    size_t behind = lane->rows.count - lane->row - (event->keep == LANE_ASIDE);
    machine->is_held_up = machine->is_held_up || lane->memory_events > 1 || behind > 0;
}

void lane_unready(struct lane_machine *machine, struct lane_partition *partition,
                  struct lane_event *event)
{
    DL_DELETE2(partition->ready, event, ready_prev, ready_next);
    event->is_ready = false;
    machine->ready--;
    count_loaded(machine, event, false);
    machine->handlers[event->handler].ready--;
}

void lane_hold_back(struct lane_machine *machine, struct lane_event *event)
{
    assert(event->is_ready && !event->is_told);
    lane_unready(machine, event->lane->partition, event);
}

/* What is before it in its lane has to be forgotten on disk before it is told, wherever it is kept:
 * an owner that dies would repeat that alone. */
bool lane_choose_ready(struct lane_partition *partition)
{
    struct lane_event *event;
    bool are_all = true;
    DL_FOREACH2(partition->ready, event, ready_next)
    {
        event->is_told = event->lane->marks == 0;
        are_all = are_all && event->is_told;
    }
    return are_all;
}

void lane_choose_records(struct lane_partition *partition)
{
    struct lane_event *event;
    DL_FOREACH2(partition->ready, event, ready_next)
    {
        event->needs_record = event->is_told && (event->keep != LANE_IN_SOURCE ||
                                                 event->offset >= partition->commit_told);
    }
}

/* The records are there as well, or nothing of it is. */
void lane_end_ready(struct lane_partition *partition, bool is_stored)
{
    struct lane_event *event;
    DL_FOREACH2(partition->ready, event, ready_next)
    {
        if (is_stored && event->needs_record && event->keep == LANE_IN_SOURCE) {
            lane_note_recorded(partition, event->offset);
        }
        event->is_told = event->is_told && is_stored;
    }
}

void lane_note_recorded(struct lane_partition *partition, int64_t offset)
{
    vec_push(&partition->recorded, (struct lane_range){offset, offset + 1});
}

/* Such a record is of no use any more when the commit stands behind its event. */
void lane_forget_recorded(struct lane_machine *machine, struct lane_partition *partition)
{
    struct lane_ranges *recorded = &partition->recorded;
    size_t kept = 0;
    for (size_t i = 0; i < recorded->count; i++) {
        struct lane_range at = recorded->items[i];
        if (at.from < partition->committed) {
            lane_emit(machine, LANE_WRITE_FORGET, partition)->offset = at.from;
        } else {
            recorded->items[kept++] = at;
        }
    }
    recorded->count = kept;
}

static int compare_range(const void *a, const void *b)
{
    const struct lane_range *left = a;
    const struct lane_range *right = b;
    return (left->from > right->from) - (left->from < right->from);
}

static void join(struct lane_ranges *ranges, struct lane_range more)
{
    struct lane_range *last = ranges->count > 0 ? &ranges->items[ranges->count - 1] : NULL;
    if (last == NULL || last->to < more.from) {
        vec_push(ranges, more);
    } else if (last->to < more.to) {
        last->to = more.to;
    }
}

void lane_know_recorded(struct lane_partition *partition)
{
    struct lane_ranges *recorded = &partition->recorded, known = partition->known;
    struct lane_ranges both = {0};
    size_t i = 0;
    if (recorded->count == 0) {
        return;
    }
    qsort(recorded->items, recorded->count, sizeof *recorded->items, compare_range);
    for (size_t j = 0; j < recorded->count; j++) {
        while (i < known.count && known.items[i].from <= recorded->items[j].from) {
            join(&both, known.items[i++]);
        }
        join(&both, recorded->items[j]);
    }
    while (i < known.count) {
        join(&both, known.items[i++]);
    }
    vec_deinit(&known);
    partition->known = both;
}
