#include "client/lane/lane_inside.h"

#include "base/mem.h"

#include <assert.h>

void lane_settings_init(struct lane_settings *settings)
{
    *settings = (struct lane_settings){
        .order = LANE_BY_KEY,
        .with_key = LANE_PARK,
        .without_key = LANE_SKIP,
        .handler_count = 1,
        .workers = 16,
        .attempts = 10,
        .backoff_first_ms = 200,
        .backoff_max_ms = 60000,
        .probe_first_ms = 1000,
        .probe_max_ms = 4000,
        .down_after = 10,
        .aside_after_ms = 30000,
        .behind_ms = 200,
        .behind_events = 20,
        .commit_interval_ms = 500,
        .intake_events = 10000,
        .intake_bytes = (size_t)64 << 20,
        .waiting_events = 10000,
        .waiting_bytes = (size_t)64 << 20,
        .open_lanes = 100000,
        .aside_bytes = (int64_t)1 << 30,
        .metadata_bytes = 4096,
        .seed = 1,
    };
}

struct lane_machine *lane_machine_new(const struct lane_settings *settings)
{
    struct lane_machine *machine = mem_new(struct lane_machine);
    machine->settings = *settings;
    machine->hands = (size_t)settings->workers;
    machine->random.state = settings->seed;
    machine->handlers = mem_new_array(struct lane_handler, (size_t)settings->handler_count);
    for (int i = 0; i < settings->handler_count; i++) {
        machine->handlers[i].probe_wait_ms = settings->probe_first_ms;
    }
    return machine;
}

void lane_set_hands(struct lane_machine *machine, size_t hands)
{
    machine->hands = hands;
}

static void texts_free(struct lane_machine *machine)
{
    for (size_t i = 0; i < machine->texts.count; i++) {
        buf_deinit(&machine->texts.items[i]);
    }
    machine->texts.count = 0;
}

bool lane_next_effect(struct lane_machine *machine, struct lane_effect *effect)
{
    if (machine->effect == machine->effects.count) {
        machine->effect = machine->effects.count = 0;
        texts_free(machine);
        return false;
    }
    *effect = machine->effects.items[machine->effect++];
    return true;
}

void lane_machine_free(struct lane_machine *machine,
                       void (*release)(void *context, struct lane_event *event), void *context)
{
    struct lane_partition *partition, *next;
    struct lane_effect effect;
    HASH_ITER (hh, machine->partitions, partition, next) {
        lane_lose(machine, partition->id);
    }
    while (lane_next_effect(machine, &effect)) {
        if (effect.kind == LANE_RELEASE) {
            release(context, effect.event);
        }
    }
    while (machine->all != NULL) {
        lane_free(machine, machine->all); /* answers are outstanding, and nobody waits for them */
    }
    lane_free_spare(machine);
    vec_deinit(&machine->effects);
    vec_deinit(&machine->texts);
    vec_deinit(&machine->ranges);
    buf_deinit(&machine->metadata);
    heap_deinit(&machine->timers);
    free(machine->handlers);
    free(machine);
}

/* --- ownership --- */

void lane_own(struct lane_machine *machine, int32_t id, int64_t epoch, int64_t committed,
              const char *metadata)
{
    lane_lose(machine, id);
    struct lane_partition *partition = mem_new(struct lane_partition);
    partition->id = id;
    partition->epoch = epoch;
    partition->next = partition->committed = committed;
    partition->is_paused = true;
    partition->last_fence = lane_metadata_decode(metadata, committed, &partition->known);
    HASH_ADD_INT(machine->partitions, id, partition);
    lane_emit(machine, LANE_LOOK, partition);
}

void lane_looked(struct lane_machine *machine, int32_t id, int64_t epoch, int64_t highest)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    if (partition == NULL || partition->epoch != epoch || partition->fence > 0) {
        return;
    }
    partition->fence = (highest > partition->last_fence ? highest : partition->last_fence) + 1;
    partition->is_dirty = true;
}

static struct lane *restored_lane(struct lane_machine *machine, struct lane_partition *partition,
                                  struct lane_name name, int64_t finished_below)
{
    struct lane *lane = lane_lookup(machine, partition, name, true);
    if (lane->finished_below < finished_below) {
        lane->finished_below = finished_below;
    }
    if (partition->restored_below < finished_below) {
        partition->restored_below = finished_below;
    }
    return lane;
}

void lane_restore_event(struct lane_machine *machine, int32_t id, struct slice key, int64_t offset,
                        int64_t position, size_t bytes, int handler)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    assert(partition != NULL && !partition->is_restored);
    struct lane *lane =
        restored_lane(machine, partition, lane_name_for(machine, key, offset), offset + 1);
    vec_push(&lane->rows, (struct lane_row){.offset = offset,
                                            .position = position,
                                            .bytes = (uint32_t)bytes,
                                            .handler = handler});
    partition->aside_bytes += (int64_t)bytes;
}

void lane_restore_note(struct lane_machine *machine, int32_t id, struct lane_name name,
                       const struct lane_note *note, bool was_redriven)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    assert(partition != NULL && !partition->is_restored);
    /* What stands before a head that only failed may have to be repeated with what is before it. */
    struct lane *lane =
        restored_lane(machine, partition, name, note->is_parked ? note->offset + 1 : 0);
    lane->is_noted = true;
    lane->is_parked = note->is_parked;
    lane->was_redriven = was_redriven;
    lane->is_held = note->is_held;
    lane->goes_aside = note->is_parked || note->is_held;
    lane->parked_offset = note->is_parked ? note->offset : -1;
    if (note->attempts > 0 && !note->is_parked) {
        /* What ended the service is tried once more: its cause may be mended. */
        int most = machine->settings.attempts;
        most = lane_rule(machine, lane) == LANE_STOP ? most - 1 : most;
        lane->tries = note->attempts;
        lane->attempts = note->attempts < most ? note->attempts : most;
        lane->failed_offset = note->offset;
        lane->first_failed_ms = note->first_failed_ms;
        if (partition->restored_below <= note->offset) {
            partition->restored_below = note->offset + 1; /* then it is seen whether it came */
        }
    }
    lane_memory_move(machine, lane);
}

void lane_restore_done(struct lane_machine *machine, int32_t id, struct slice key, int64_t offset)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    assert(partition != NULL && !partition->is_restored);
    (void)restored_lane(machine, partition, lane_name_for(machine, key, offset), offset + 1);
    lane_note_recorded(partition, offset);
}

static void unpark(struct lane_machine *machine, struct lane *lane)
{
    lane->was_redriven = lane->is_parked = false;
    lane->parked_offset = -1;
    lane->goes_aside = lane->is_held;
    lane_write_note(machine, lane);
    lane_memory_move(machine, lane);
}

void lane_restored(struct lane_machine *machine, int32_t id, int64_t epoch)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    struct lane *lane, *next;
    if (partition == NULL || partition->epoch != epoch || partition->is_restored) {
        return;
    }
    partition->is_restored = true;
    lane_know_recorded(partition);
    lane_forget_recorded(machine, partition);
    HASH_ITER (hh, partition->lanes, lane, next) {
        lane_rows_sort(lane);
        while (lane->is_parked && lane->row < lane->rows.count &&
               lane->rows.items[lane->row].offset <= lane->parked_offset) {
            /* the dead head's: only its forgetting is missing */
            lane_row_finish(machine, lane, false);
        }
        if (lane->was_redriven) {
            unpark(machine, lane);
        }
        lane_place(machine, lane);
    }
}

void lane_revoke(struct lane_machine *machine, int32_t id)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    struct lane *lane, *next;
    if (partition == NULL || partition->is_revoking) {
        return;
    }
    partition->is_revoking = true;
    partition->commit_at_ms = 0;
    HASH_ITER (hh, partition->lanes, lane, next) {
        lane_place(machine, lane);
    }
}

/* --- losing a partition --- */

/* What nobody has taken yet is not carried out. */
static void take_back_effects(struct lane_machine *machine, struct lane_partition *partition)
{
    size_t kept = machine->effect;
    for (size_t i = machine->effect; i < machine->effects.count; i++) {
        struct lane_effect *effect = &machine->effects.items[i];
        bool is_its = effect->partition == partition->id && effect->epoch == partition->epoch;
        if (!is_its || effect->kind == LANE_RELEASE) {
            machine->effects.items[kept++] = *effect;
            continue;
        }
        if (effect->event != NULL) {
            effect->event->is_busy = false;
        } else if (effect->lane != NULL) {
            effect->lane->refs--;
        }
        if (effect->kind == LANE_RUN || effect->kind == LANE_LOAD) {
            machine->counts.running--;
        }
        if (effect->kind == LANE_RUN) {
            machine->handlers[effect->handler].running--;
        }
    }
    machine->effects.count = kept;
}

static void let_go(struct lane_machine *machine, struct lane *lane, struct lane_event *event)
{
    if (event->keep != LANE_ASIDE || event == lane->loaded) {
        lane_memory_remove(machine, lane, event);
    }
    if (event->is_busy) {
        event->lane = NULL; /* released when it comes back */
    } else {
        lane_release(machine, event);
    }
}

static void lose_events(struct lane_machine *machine, struct lane *lane, struct lane_event **list)
{
    struct lane_event *event, *next;
    DL_FOREACH_SAFE (*list, event, next) {
        DL_DELETE(*list, event);
        let_go(machine, lane, event);
    }
}

static void lose_lane(struct lane_machine *machine, struct lane *lane)
{
    lane->is_parked = lane->is_held = lane->is_noted = lane->is_wanting = false;
    lane_unplace(machine, lane);
    lane_end_probe(machine, lane);
    lane_forget_failures(machine, lane);
    lose_events(machine, lane, &lane->events);
    lose_events(machine, lane, &lane->redriven);
    lose_events(machine, lane, &lane->lingering);
    if (lane->loaded != NULL) {
        let_go(machine, lane, lane->loaded);
    }
    lane->loaded = lane->hand = lane->parking = NULL;
    lane->state = LANE_RESTING;
    lane->rows.count = lane->row = 0;
    lane->marks = 0;
    HASH_DELETE(hh, lane->partition->lanes, lane);
    lane->partition = NULL;
    lane_drop_if_empty(machine, lane);
}

void lane_lose(struct lane_machine *machine, int32_t id)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    struct lane *lane, *next;
    if (partition == NULL) {
        return;
    }
    take_back_effects(machine, partition);
    for (size_t i = 0; i < partition->forgets.count; i++) {
        struct lane *its = partition->forgets.items[i].lane;
        if (its != NULL) {
            its->refs--;
        }
    }
    while (partition->ready != NULL) {
        lane_unready(machine, partition, partition->ready);
    }
    HASH_ITER (hh, partition->lanes, lane, next) {
        lose_lane(machine, lane);
    }
    HASH_DELETE(hh, machine->partitions, partition);
    machine->found = NULL;
    vec_deinit(&partition->recorded);
    vec_deinit(&partition->forgets);
    vec_deinit(&partition->known);
    free(partition);
}

/* --- by somebody's word --- */

/* Before it is restored its lanes are not known; when it is given away the next owner decides. */
static struct lane_partition *decided_here(struct lane_machine *machine, int32_t id)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    bool is_here = partition != NULL && partition->is_restored && !partition->is_revoking;
    return is_here ? partition : NULL;
}

bool lane_find(struct lane_machine *machine, int32_t id, struct lane_name name, struct lane **lane)
{
    struct lane_partition *partition = decided_here(machine, id);
    *lane = partition != NULL ? lane_lookup(machine, partition, name, false) : NULL;
    return *lane != NULL;
}

bool lane_reach(struct lane_machine *machine, int32_t id, struct lane_name name, struct lane **lane)
{
    struct lane_partition *partition = decided_here(machine, id);
    enum lane_order order = machine->settings.order;
    bool has_key = !slice_is_null(name.key);
    bool is_made = has_key ? order == LANE_BY_KEY : order == LANE_BY_PARTITION && name.offset < 0;
    *lane = partition != NULL ? lane_lookup(machine, partition, name, is_made) : NULL;
    return *lane != NULL;
}

void lane_try_now(struct lane_machine *machine, struct lane *lane)
{
    struct lane_head head;
    lane->is_urged = lane->tries > 0 && lane->hand == NULL && lane_head(lane, &head) &&
                     head.offset == lane->failed_offset;
    lane_place(machine, lane);
}

static bool has_redriven(const struct lane *lane, int64_t offset)
{
    const struct lane_event *event = lane->redriven;
    while (event != NULL && event->offset != offset) {
        event = event->next;
    }
    return event != NULL;
}

static void open_parked(struct lane_machine *machine, struct lane *lane)
{
    lane->skip_offset = has_redriven(lane, lane->parked_offset) ? lane->parked_offset : -1;
    unpark(machine, lane);
}

/* What somebody sees as its head: the dead one that closed it, the one in hand, or the next. */
static int64_t seen_head(const struct lane *lane)
{
    struct lane_head head;
    if (lane->is_parked) {
        return lane->parked_offset;
    }
    if (lane->hand != NULL) {
        return lane->hand->offset;
    }
    return lane_head(lane, &head) ? head.offset : -1;
}

bool lane_skip_head(struct lane_machine *machine, struct lane *lane, int64_t offset)
{
    if (offset < 0 || seen_head(lane) != offset) {
        return false;
    }
    if (lane->is_parked) {
        open_parked(machine, lane);
    } else if (lane->state == LANE_DYING) {
        lane_skip_dying(machine, lane);
    } else {
        lane->skip_offset = offset;
    }
    lane_place(machine, lane);
    lane_drop_if_empty(machine, lane);
    return true;
}

int64_t lane_parked_at(const struct lane *lane)
{
    return lane->is_parked ? lane->parked_offset : -1;
}

static void set_held(struct lane_machine *machine, struct lane *lane, bool is_held)
{
    if (lane->is_held == is_held) {
        return;
    }
    lane->is_held = is_held;
    lane->goes_aside = is_held || lane->is_parked;
    lane_write_note(machine, lane);
    lane_memory_move(machine, lane);
    if (lane->goes_aside) {
        lane_want_aside(machine, lane);
    }
    lane_place(machine, lane);
    lane_drop_if_empty(machine, lane);
}

void lane_hold(struct lane_machine *machine, struct lane *lane)
{
    set_held(machine, lane, true);
}

void lane_let_go(struct lane_machine *machine, struct lane *lane)
{
    set_held(machine, lane, false);
}

/* --- a round --- */

/* Full at the limit, and until a quarter is free again. */
static bool is_full(bool was_full, size_t events, size_t event_limit, size_t bytes,
                    size_t byte_limit)
{
    return was_full ? events * 4 > event_limit * 3 || bytes * 4 > byte_limit * 3
                    : events >= event_limit || bytes >= byte_limit;
}

static void pause_or_resume(struct lane_machine *machine)
{
    const struct lane_settings *settings = &machine->settings;
    const struct lane_counts *counts = &machine->counts;
    struct lane_partition *partition, *next;
    machine->is_runnable_full =
        is_full(machine->is_runnable_full, counts->runnable_events, settings->intake_events,
                counts->runnable_bytes, settings->intake_bytes);
    machine->is_waiting_full =
        is_full(machine->is_waiting_full, counts->waiting_events, settings->waiting_events,
                counts->waiting_bytes, settings->waiting_bytes);
    HASH_ITER (hh, machine->partitions, partition, next) {
        bool pauses = !partition->is_restored || partition->is_revoking || partition->is_full ||
                      machine->is_runnable_full || machine->is_waiting_full;
        if (pauses != partition->is_paused) {
            partition->is_paused = pauses;
            lane_emit(machine, pauses ? LANE_PAUSE : LANE_RESUME, partition);
        }
    }
}

static bool has_head(const struct lane *lane)
{
    struct lane_head head;
    return lane_head(lane, &head) && (head.offset <= lane->failed_offset || lane->hand != NULL);
}

/* Its owner died between the commit that told its head as done and the end of what was noted of
 * that. */
static void forget_gone_head(struct lane_machine *machine, struct lane *lane)
{
    if (lane->tries > 0 && lane->failed_offset < lane->partition->next && !has_head(lane)) {
        lane_forget_failures(machine, lane);
        lane_write_note(machine, lane);
        lane_place(machine, lane);
    }
}

/* Lanes that a start made are kept until the source is beyond what they remember. */
static void sweep_restored(struct lane_machine *machine, struct lane_partition *partition)
{
    struct lane *lane, *next;
    if (partition->restored_below == 0 || partition->next < partition->restored_below ||
        !partition->is_restored || partition->is_revoking) {
        return;
    }
    partition->restored_below = 0;
    HASH_ITER (hh, partition->lanes, lane, next) {
        forget_gone_head(machine, lane);
        lane_drop_if_empty(machine, lane);
    }
}

static int64_t tend(struct lane_machine *machine, struct lane_partition *partition)
{
    lane_commit_if_due(machine, partition);
    bool has_more = partition->is_dirty && partition->fence > 0;
    if (partition->is_revoking && !partition->is_quiet && partition->busy == 0 &&
        !partition->is_committing && !has_more) {
        partition->is_quiet = true;
        lane_emit(machine, LANE_QUIET, partition);
    }
    bool waits = partition->is_committing ||
                 (partition->is_revoking && partition->busy > 0 && partition->ready == NULL);
    return has_more && !waits ? partition->commit_at_ms : INT64_MAX;
}

int64_t lane_settle(struct lane_machine *machine, int64_t now_ms)
{
    struct lane_partition *partition, *next;
    int64_t advance_ms = INT64_MAX;
    machine->now_ms = now_ms > machine->now_ms ? now_ms : machine->now_ms;
    lane_run_timers(machine);
    HASH_ITER (hh, machine->partitions, partition, next) {
        sweep_restored(machine, partition);
        int64_t its_ms = lane_advance(machine, partition);
        advance_ms = its_ms < advance_ms ? its_ms : advance_ms;
    }
    lane_relieve(machine);
    lane_write_asides(machine);
    lane_run(machine);
    lane_write_asides(machine);
    lane_run(machine);
    pause_or_resume(machine);
    int64_t due_ms = lane_next_due(machine);
    due_ms = advance_ms < due_ms ? advance_ms : due_ms;
    HASH_ITER (hh, machine->partitions, partition, next) {
        int64_t its_ms = tend(machine, partition);
        due_ms = its_ms < due_ms ? its_ms : due_ms;
    }
    return due_ms;
}

/* --- numbers --- */

struct lane_counts lane_counts(const struct lane_machine *machine)
{
    struct lane_counts counts = machine->counts;
    struct lane_partition *partition, *next;
    HASH_ITER (hh, machine->partitions, partition, next) {
        counts.open_lanes += partition->open_lanes;
        counts.aside_bytes += partition->aside_bytes;
    }
    return counts;
}

int64_t lane_progress(struct lane_machine *machine, int32_t id, int64_t *next)
{
    const struct lane_partition *partition = lane_partition_find(machine, id);
    *next = partition != NULL ? partition->next : -1;
    return partition != NULL ? lane_base(partition) : -1;
}

bool lane_standing(struct lane_machine *machine, int32_t id, struct lane_standing *standing)
{
    const struct lane_partition *partition = lane_partition_find(machine, id);
    if (partition == NULL) {
        return false;
    }
    *standing = (struct lane_standing){.committed = partition->committed, .next = partition->next};
    const struct lane_event *event;
    DL_COUNT2(partition->open, event, standing->open_events, open_next);
    for (const struct lane *lane = partition->lanes; lane != NULL; lane = lane->hh.next) {
        standing->aside_events += lane->rows.count - lane->row;
        standing->waiting_lanes += lane->tries > 0;
        standing->parked_lanes += lane->is_parked;
        standing->held_lanes += lane->is_held;
    }
    return true;
}

bool lane_outlook(struct lane_machine *machine, const struct lane_event *event,
                  struct lane_outlook *outlook)
{
    struct lane_partition *partition = lane_partition_find(machine, event->partition);
    struct lane *lane = partition != NULL && partition->epoch == event->epoch
                            ? lane_lookup(machine, partition,
                                          lane_name_for(machine, event->key, event->offset), false)
                            : NULL;
    if (lane == NULL) {
        return false;
    }
    *outlook = (struct lane_outlook){
        .attempts = lane->attempts,
        .due_ms = lane->due_ms,
        .is_down = machine->handlers[event->handler].is_down,
        .is_given_up = lane->state == LANE_DYING || lane_is_used_up(machine, lane),
    };
    return true;
}

int64_t lane_behind(const struct lane_event *event, bool *goes_aside)
{
    const struct lane *lane = event->lane;
    if (goes_aside != NULL) {
        *goes_aside = lane != NULL && lane->goes_aside;
    }
    if (lane == NULL || !lane->counts_waiting) {
        return -1;
    }
    int64_t head = lane->is_parked   ? lane->parked_offset
                   : lane->tries > 0 ? lane->failed_offset
                                     : -1;
    return head < event->offset ? head : -1;
}
