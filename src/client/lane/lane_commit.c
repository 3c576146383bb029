#include "client/lane/lane_inside.h"

void lane_open_add(struct lane_partition *partition, struct lane_event *event)
{
    DL_APPEND2(partition->open, event, open_prev, open_next);
}

void lane_open_remove(struct lane_partition *partition, struct lane_event *event)
{
    DL_DELETE2(partition->open, event, open_prev, open_next);
    partition->is_dirty = true;
}

/* What the commit under way tells as done counts as that. */
static const struct lane_event *first_open(const struct lane_partition *partition)
{
    const struct lane_event *event = partition->open;
    while (event != NULL && event->is_told) {
        event = event->open_next;
    }
    return event;
}

int64_t lane_base(const struct lane_partition *partition)
{
    const struct lane_ranges *known = &partition->known;
    const struct lane_event *open = first_open(partition);
    if (open != NULL) {
        return open->offset;
    }
    size_t at = lane_ranges_beyond(known, partition->next);
    return at < known->count && known->items[at].from <= partition->next ? known->items[at].to
                                                                         : partition->next;
}

static void add_open(struct lane_ranges *ranges, int64_t from, int64_t to)
{
    struct lane_range *last = ranges->count > 0 ? &ranges->items[ranges->count - 1] : NULL;
    if (from >= to) {
        return;
    }
    if (last != NULL && last->to == from) {
        last->to = to;
    } else {
        vec_push(ranges, (struct lane_range){from, to});
    }
}

/* The open offsets as ranges: what lies between them is done, or does not exist. Behind the last
 * arrival this is what the owner before left to know. Returns where knowledge ends. */
static int64_t collect_open(const struct lane_partition *partition, struct lane_ranges *ranges)
{
    const struct lane_event *event;
    int64_t end = first_open(partition) != NULL ? partition->next : lane_base(partition);
    ranges->count = 0;
    DL_FOREACH2(partition->open, event, open_next)
    {
        if (!event->is_told) {
            add_open(ranges, event->offset, event->offset + 1);
        }
    }
    for (size_t i = lane_ranges_beyond(&partition->known, end); i < partition->known.count; i++) {
        struct lane_range known = partition->known.items[i];
        add_open(ranges, end, known.from);
        end = known.to > end ? known.to : end;
    }
    return end;
}

/* The lanes that hold back progress leave for lanes.<group>, when the text grows too long. */
static void relieve(struct lane_machine *machine, const struct lane_partition *partition)
{
    if (machine->metadata.size <= machine->settings.metadata_bytes / 4 * 3) {
        return;
    }
    for (int i = 0; i < machine->settings.handler_count; i++) {
        struct lane *lane;
        DL_FOREACH2(machine->handlers[i].failing, lane, failing_next)
        {
            if (lane->partition == partition && lane->attempts > 0 && lane->events != NULL &&
                !machine->handlers[i].is_down) {
                lane_want_aside(machine, lane);
            }
        }
    }
}

bool lane_has_commits(const struct lane_machine *machine)
{
    const struct lane_partition *partition = machine->partitions;
    while (partition != NULL &&
           !(partition->is_dirty && partition->fence > 0 && !partition->is_committing)) {
        partition = partition->hh.next;
    }
    return partition != NULL;
}

bool lane_is_held_up(const struct lane_machine *machine)
{
    return machine->ready > 0 &&
           (machine->is_held_up || machine->is_runnable_full || lane_ready_is_full(machine));
}

void lane_request_commit(struct lane_machine *machine)
{
    struct lane_partition *partition;
    machine->is_held_up = false;
    for (partition = machine->partitions; partition != NULL; partition = partition->hh.next) {
        if (partition->is_dirty && !partition->is_committing) {
            partition->commit_at_ms = 0;
        }
    }
}

/* --- the commit --- */

/* A partition that goes waits for nothing but what this commit lets be forgotten. */
static int64_t next_commit_ms(const struct lane_machine *machine,
                              const struct lane_partition *partition)
{
    if (partition->is_revoking && !partition->is_dirty) {
        return machine->now_ms;
    }
    bool is_asked_for = machine->settings.commits_on_request && !partition->is_revoking;
    return is_asked_for ? INT64_MAX : machine->now_ms + machine->settings.commit_interval_ms;
}

static void commit(struct lane_machine *machine, struct lane_partition *partition)
{
    bool are_all = lane_choose_ready(partition);
    int64_t base = lane_base(partition);
    int64_t end = collect_open(partition, &machine->ranges);
    (void)lane_metadata_encode(partition->fence, base, &machine->ranges, end,
                               machine->settings.metadata_bytes, &machine->metadata);
    partition->commit_told =
        lane_metadata_keeps(base, &machine->ranges, end, machine->settings.metadata_bytes);
    partition->commit_base = base;
    partition->commit_next = partition->next;
    partition->commits++;
    partition->is_committing = true;
    partition->is_dirty = !are_all; /* the others come with the next one */
    partition->commit_at_ms = next_commit_ms(machine, partition);
    lane_choose_records(partition);
    relieve(machine, partition);
    struct lane_effect *effect = lane_emit(machine, LANE_COMMIT, partition);
    effect->offset = base;
    vec_push(&machine->texts, buf_take(&machine->metadata));
    effect->metadata = buf_cstr(&machine->texts.items[machine->texts.count - 1]);
}

void lane_commit_if_due(struct lane_machine *machine, struct lane_partition *partition)
{
    bool is_due = partition->commit_at_ms <= machine->now_ms && partition->fence > 0 &&
                  (!partition->is_revoking || partition->busy == 0 || partition->ready != NULL);
    if (partition->is_dirty && !partition->is_committing && is_due) {
        commit(machine, partition);
    }
}

void lane_committed(struct lane_machine *machine, int32_t id, int64_t epoch, bool is_stored)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    if (partition == NULL || partition->epoch != epoch || !partition->is_committing) {
        return;
    }
    partition->is_committing = false;
    lane_end_ready(partition, is_stored);
    if (!is_stored) {
        partition->is_dirty = true;
        partition->commit_at_ms = machine->now_ms + machine->settings.commit_interval_ms;
        return;
    }
    partition->committed = partition->commit_base;
    if (!partition->is_marked) {
        partition->is_marked = true;
        lane_emit(machine, LANE_OWN, partition)->fence = partition->fence;
    }
    lane_write_forgets(machine, partition, partition->commit_base, partition->commit_told,
                       partition->commits);
    lane_forget_recorded(machine, partition);
}
