#include "client/lane/lane_inside.h"

#include <assert.h>

/* --- what is remembered of a lane --- */

static void count_open(struct lane *lane)
{
    bool is_open = lane->is_parked || lane->is_held || lane->row < lane->rows.count;
    struct lane_partition *partition = lane->partition;
    if (partition != NULL && is_open != lane->is_counted_open) {
        partition->open_lanes = is_open ? partition->open_lanes + 1 : partition->open_lanes - 1;
        lane->is_counted_open = is_open;
    }
}

void lane_write_note(struct lane_machine *machine, struct lane *lane)
{
    bool has_any = lane->is_parked || lane->is_held || lane->attempts > 0;
    lane->has_news = false;
    count_open(lane);
    if (!has_any && !lane->is_noted) {
        return;
    }
    lane->marks++;
    struct lane_effect *effect =
        lane_emit_lane(machine, has_any ? LANE_WRITE_NOTE : LANE_WRITE_CLOSE, lane);
    lane->is_noted = has_any;
    effect->note = (struct lane_note){
        .offset = lane->is_parked ? lane->parked_offset : lane->failed_offset,
        .attempts = lane->attempts,
        .first_failed_ms = lane->first_failed_ms,
        .is_parked = lane->is_parked,
        .is_held = lane->is_held,
    };
}

/* --- setting aside --- */

static void want(struct lane *lane)
{
    if (!lane->is_wanting) {
        lane->is_wanting = true;
        DL_APPEND2(lane->partition->wanting, lane, wanting_prev, wanting_next);
    }
}

void lane_want_aside(struct lane_machine *machine, struct lane *lane)
{
    (void)machine;
    lane->goes_aside = true;
    want(lane);
}

static bool has_room(const struct lane_machine *machine, const struct lane_partition *partition,
                     const struct lane *lane)
{
    return partition->aside_bytes < machine->settings.aside_bytes &&
           (lane->is_counted_open || partition->open_lanes < machine->settings.open_lanes);
}

static void tell_full(struct lane_machine *machine, struct lane_partition *partition)
{
    if (!partition->is_full) {
        partition->is_full = true;
        lane_emit(machine, LANE_TELL_FULL, partition);
    }
}

static bool is_leaving(const struct lane *lane, const struct lane_event *event)
{
    return lane->goes_aside || event->offset < lane->aside_below;
}

/* False when there is no room for all of it. An event in a handler's hand is left where it is,
 * and what stands behind it with it: they go in their order. */
static bool write_lane(struct lane_machine *machine, struct lane *lane)
{
    struct lane_event *event;
    if (lane->lingering != NULL) {
        return true; /* a start would take it for finished, and repeat only what is around it */
    }
    DL_FOREACH (lane->events, event) {
        if (event->is_writing) {
            continue;
        }
        if (event->is_busy || event == lane->hand || !is_leaving(lane, event)) {
            return true;
        }
        if (!has_room(machine, lane->partition, lane)) {
            tell_full(machine, lane->partition);
            return false;
        }
        event->is_writing = true;
        lane->partition->aside_bytes += (int64_t)event->bytes;
        lane_emit_event(machine, LANE_WRITE_ASIDE, event);
    }
    return true;
}

static void write_partition(struct lane_machine *machine, struct lane_partition *partition)
{
    struct lane *lane, *next;
    DL_FOREACH_SAFE2(partition->wanting, lane, next, wanting_next)
    {
        if (partition->is_revoking) {
            return;
        }
        bool is_all = write_lane(machine, lane);
        lane_place(machine, lane); /* what is being written does not run meanwhile */
        if (!is_all) {
            return;
        }
        DL_DELETE2(partition->wanting, lane, wanting_prev, wanting_next);
        lane->is_wanting = false;
        lane_drop_if_empty(machine, lane);
    }
    partition->is_full = false;
}

void lane_write_asides(struct lane_machine *machine)
{
    struct lane_partition *partition, *next;
    HASH_ITER (hh, machine->partitions, partition, next) {
        if (partition->wanting != NULL) {
            write_partition(machine, partition);
        }
    }
}

/* A lane may leave memory when it is known that not all of its handler fails; or when so few fail
 * that what comes behind it has to be looked at to know. One that is to be tried now is tried
 * first. */
static bool may_leave(const struct lane_machine *machine, const struct lane_handler *handler,
                      const struct lane *lane)
{
    return !lane->goes_aside && !lane->is_urged && lane->events != NULL &&
           ((lane->attempts > 0 && !handler->is_down) ||
            handler->failures < machine->settings.down_after);
}

/* How much of the waiting ones' share is used once what is on its way is gone, in thousandths. */
static size_t used_permille(size_t used, size_t leaving, size_t limit)
{
    return (used - (leaving < used ? leaving : used)) * 1000 / (limit > 0 ? limit : 1);
}

/*
 * Nothing of the handler succeeds, and it was asked about each lane in memory: who would succeed is
 * still in the source, or nobody would. So each probe that fails lets a few events go, those of
 * the lane that was tried longest ago first.
 */
static void displace(struct lane_machine *machine, struct lane_handler *handler)
{
    struct lane *lane;
    if (handler->fresh.first != NULL || handler->running > 0) {
        return;
    }
    DL_FOREACH2(handler->failing, lane, failing_next)
    {
        struct lane_event *event;
        if (lane->is_urged) {
            continue;
        }
        DL_FOREACH (lane->events, event) {
            if (handler->displaces == 0) {
                return;
            }
            if (event->is_writing) {
                continue;
            }
            if (!is_leaving(lane, event)) {
                lane->aside_below = event->offset + 1;
                handler->displaces--;
            }
            want(lane);
        }
    }
}

bool lane_may_stay(const struct lane_machine *machine, const struct lane *lane)
{
    const struct lane_settings *settings = &machine->settings;
    return !lane->partition->is_revoking && !lane->is_held &&
           machine->counts.waiting_events < settings->waiting_events / 2 &&
           machine->counts.waiting_bytes < settings->waiting_bytes / 2;
}

void lane_unload(struct lane_machine *machine, struct lane *lane)
{
    struct lane_event *event = lane->loaded;
    lane->loaded = NULL;
    lane_memory_remove(machine, lane, event);
    lane_release(machine, event);
}

void lane_relieve(struct lane_machine *machine)
{
    const struct lane_settings *settings = &machine->settings;
    const struct lane_counts *counts = &machine->counts;
    size_t events = 0;
    size_t bytes = 0;
    /* as long as the sources are paused for it */
    if (counts->waiting_events < settings->waiting_events &&
        counts->waiting_bytes < settings->waiting_bytes && !machine->is_waiting_full) {
        return;
    }
    for (int i = 0; i < settings->handler_count; i++) {
        struct lane *lane;
        DL_FOREACH2(machine->handlers[i].failing, lane, failing_next)
        {
            if (used_permille(counts->waiting_events, events, settings->waiting_events) < 750 &&
                used_permille(counts->waiting_bytes, bytes, settings->waiting_bytes) < 750) {
                return;
            }
            if (lane->loaded != NULL && lane->hand != lane->loaded && !lane->loaded->is_busy) {
                lane_unload(machine, lane);
                lane_place(machine, lane);
            }
            if (lane->goes_aside || may_leave(machine, &machine->handlers[i], lane)) {
                events += lane->memory_events;
                bytes += lane->memory_bytes;
                lane_want_aside(machine, lane);
            }
        }
        displace(machine, &machine->handlers[i]);
    }
}

/* Its lane waits for the back-off of its head (or for a worker, for as long), and what comes behind
 * it has passed it. */
static bool waits_too_long(const struct lane_machine *machine, const struct lane *lane,
                           bool is_behind)
{
    const struct lane_settings *settings = &machine->settings;
    int64_t waited_ms = machine->now_ms - lane->first_failed_ms;
    int64_t late_ms = machine->now_ms - lane->due_ms;
    bool is_long = late_ms < 0 && lane->due_ms - lane->first_failed_ms > settings->aside_after_ms;
    bool is_in_the_way = is_behind && waited_ms >= settings->behind_ms &&
                         (late_ms < 0 || late_ms >= settings->behind_ms);
    bool is_seen_to = lane->goes_aside || lane->is_urged; /* it leaves, or is tried now */
    return !is_seen_to && (is_long || is_in_the_way) && lane_fails_alone(machine, lane);
}

/* It stands behind rows of its lane that are handled one by one, since the last look. */
static bool drains_too_long(const struct lane_machine *machine, const struct lane *lane,
                            const struct lane_event *event)
{
    return event->offset < lane->partition->advance_below && !lane->goes_aside &&
           lane->tries == 0 && lane->row < lane->rows.count &&
           !lane_is_throttled(machine, event->handler);
}

/* False: it stays in its source for now. */
static bool advance(struct lane_machine *machine, const struct lane_partition *partition,
                    const struct lane_event *event)
{
    struct lane *lane = event->lane;
    bool is_behind = partition->next - event->offset > machine->settings.behind_events;
    if (waits_too_long(machine, lane, is_behind)) {
        lane_want_aside(machine, lane);
    } else if (is_behind && drains_too_long(machine, lane, event)) {
        lane->aside_below = event->offset + 1;
        want(lane);
    }
    return is_leaving(lane, event);
}

/* In an outage nothing is set aside. */
static bool may_advance(const struct lane_machine *machine, const struct lane_partition *partition)
{
    bool may = partition->open_lanes > 0;
    for (int i = 0; !may && i < machine->settings.handler_count; i++) {
        may = machine->handlers[i].failing != NULL && !machine->handlers[i].is_down;
    }
    return may && partition->open != NULL && !partition->is_revoking;
}

/* Behind a few that stay there is no use in setting others aside: the commit stands at those. */
int64_t lane_advance(struct lane_machine *machine, struct lane_partition *partition)
{
    enum { FEW = 64 };
    struct lane_event *event;
    int staying = 0;
    if (!may_advance(machine, partition)) {
        return INT64_MAX;
    }
    if (machine->now_ms < partition->advance_at_ms) {
        return partition->advance_at_ms;
    }
    DL_FOREACH2(partition->open, event, open_next)
    {
        staying += !advance(machine, partition, event);
        if (staying == FEW) {
            break;
        }
    }
    partition->advance_at_ms = machine->now_ms + (machine->settings.behind_ms + 1) / 2;
    partition->advance_below = partition->next;
    return partition->advance_at_ms;
}

/* --- rows --- */

static int compare_row(const void *a, const void *b)
{
    const struct lane_row *left = a;
    const struct lane_row *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

void lane_row_add(struct lane_machine *machine, struct lane *lane, struct lane_row row)
{
    (void)machine;
    assert(lane->row == lane->rows.count ||
           lane->rows.items[lane->rows.count - 1].offset < row.offset);
    vec_push(&lane->rows, row);
    count_open(lane);
}

void lane_rows_sort(struct lane *lane)
{
    if (lane->rows.count > 1) {
        qsort(lane->rows.items, lane->rows.count, sizeof *lane->rows.items, compare_row);
    }
    count_open(lane);
}

static bool has_row(const struct lane *lane, size_t from, int64_t offset)
{
    struct lane_row wanted = {.offset = offset};
    size_t count = lane->rows.count - from;
    return count > 0 &&
           bsearch(&wanted, lane->rows.items + from, count, sizeof wanted, compare_row) != NULL;
}

bool lane_has_row(const struct lane *lane, int64_t offset)
{
    return has_row(lane, 0, offset);
}

bool lane_has_open_row(const struct lane *lane, int64_t offset)
{
    return has_row(lane, lane->row, offset);
}

void lane_row_finish(struct lane_machine *machine, struct lane *lane, bool is_recorded)
{
    const struct lane_row *row = &lane->rows.items[lane->row];
    struct lane_partition *partition = lane->partition;
    bool is_waited_for = !is_recorded && !machine->settings.commits_on_request;
    if (!is_recorded) {
        lane->marks++;
    }
    if (is_waited_for) {
        lane->refs++;
    } else if (!is_recorded) { /* what follows does not wait until a commit has room to tell it */
        lane_emit_lane(machine, LANE_WRITE_DONE, lane)->offset = row->offset;
    }
    vec_push(&partition->forgets, (struct lane_forget){.lane = is_waited_for ? lane : NULL,
                                                       .offset = row->offset,
                                                       .closed_at = row->closed_at,
                                                       .bytes = row->bytes});
    partition->is_dirty = true;
    lane->row++;
    if (lane->row == lane->rows.count) {
        lane->row = lane->rows.count = 0;
    }
    count_open(lane);
}

/* What a start left is open there until the source comes to it, unless its owner told else. */
static bool was_told(const struct lane_partition *partition, const struct lane_forget *forget,
                     int64_t told, uint32_t commits)
{
    return forget->offset < told && forget->closed_at < commits &&
           (forget->offset < partition->commit_next ||
            lane_ranges_have(&partition->known, forget->offset));
}

void lane_write_forgets(struct lane_machine *machine, struct lane_partition *partition,
                        int64_t base, int64_t told, uint32_t commits)
{
    size_t kept = 0;
    for (size_t i = 0; i < partition->forgets.count; i++) {
        struct lane_forget forget = partition->forgets.items[i];
        if (forget.offset < base || was_told(partition, &forget, told, commits)) {
            struct lane_effect *effect;
            if (forget.lane != NULL) {
                forget.lane->refs--; /* the effect's from now on */
                effect = lane_emit_lane(machine, LANE_WRITE_FORGET, forget.lane);
            } else {
                effect = lane_emit(machine, LANE_WRITE_FORGET, partition);
            }
            effect->offset = forget.offset;
            partition->aside_bytes -= (int64_t)forget.bytes;
        } else {
            partition->forgets.items[kept++] = forget;
        }
    }
    partition->forgets.count = kept;
}
