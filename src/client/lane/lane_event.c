#include "client/lane/lane_inside.h"

#include <assert.h>

/* --- closing an event in its source --- */

static void close_in_source(struct lane_machine *machine, struct lane *lane,
                            struct lane_event *event)
{
    lane_open_remove(lane->partition, event);
    lane_memory_remove(machine, lane, event);
    lane_release(machine, event);
}

/*
 * As long as a record of lanes.<group> that belongs to something before it still stands there, a
 * start would run that again: what came later is told as done only when that record is gone.
 */
static void close_or_linger(struct lane_machine *machine, struct lane *lane,
                            struct lane_event *event)
{
    DL_DELETE(lane->events, event);
    if (lane->marks > 0 && !event->is_told) {
        DL_APPEND(lane->lingering, event);
    } else {
        close_in_source(machine, lane, event);
    }
}

static void marks_arrived(struct lane_machine *machine, struct lane *lane)
{
    while (lane->marks == 0 && lane->lingering != NULL) {
        struct lane_event *event = lane->lingering;
        DL_DELETE(lane->lingering, event);
        close_in_source(machine, lane, event);
    }
    if (lane->goes_aside && lane->events != NULL) {
        lane_want_aside(machine, lane);
    }
}

/* --- the end of a head --- */

/* A record that counted with the commit says that it is done: nobody repeats it. */
static bool is_recorded(const struct lane_event *event)
{
    return event->is_told && event->needs_record;
}

static void finish_redriven(struct lane_machine *machine, struct lane *lane,
                            struct lane_event *event, bool was_done)
{
    struct lane_effect *effect;
    DL_DELETE(lane->redriven, event);
    lane_memory_remove(machine, lane, event);
    if (is_recorded(event)) {
        effect = lane_emit(machine, LANE_WRITE_REDRIVEN, lane->partition);
    } else {
        effect = lane_emit_lane(machine, LANE_WRITE_REDRIVEN, lane);
        lane->marks++;
    }
    effect->offset = event->offset;
    effect->was_done = was_done;
    if (was_done && lane->is_parked && lane->parked_offset <= event->offset) {
        lane->is_parked = false;
        lane->parked_offset = -1;
        lane_write_note(machine, lane);
    }
    lane_release(machine, event);
}

/* When no commit had room to tell it, and it was redriven since, it would come once more. */
static void record_dead(struct lane_machine *machine, struct lane *lane,
                        const struct lane_event *event)
{
    lane->marks++;
    lane_emit_lane(machine, LANE_WRITE_DONE, lane)->offset = event->offset;
    lane_note_recorded(lane->partition, event->offset);
}

/* The head is done, dead or skipped: the lane goes on. */
static void finish(struct lane_machine *machine, struct lane *lane, struct lane_event *event,
                   bool was_done)
{
    lane->hand = NULL;
    lane->state = LANE_RESTING;
    lane->skip_offset = lane->skip_offset == event->offset ? -1 : lane->skip_offset;
    /* else a redrive went before the head that failed */
    if (lane->failed_offset <= event->offset) {
        lane_forget_failures(machine, lane);
    }
    switch (event->keep) {
    case LANE_REDRIVEN:
        finish_redriven(machine, lane, event, was_done);
        break;
    case LANE_ASIDE:
        lane->loaded = NULL;
        lane_memory_remove(machine, lane, event);
        lane_row_finish(machine, lane, is_recorded(event));
        lane_release(machine, event);
        break;
    case LANE_IN_SOURCE:
        if (!was_done && machine->settings.commits_on_request) {
            record_dead(machine, lane, event);
        }
        close_or_linger(machine, lane, event);
        break;
    }
    if (lane->is_noted && !lane->is_parked) {
        lane_write_note(machine, lane);
    }
    lane->goes_aside = lane->is_parked || lane->is_held;
    if (lane->goes_aside && lane->events != NULL) {
        lane_want_aside(machine, lane);
    }
    lane_memory_move(machine, lane);
    lane_place(machine, lane);
    lane_drop_if_empty(machine, lane);
}

/* --- giving up --- */

enum lane_give_up lane_rule(const struct lane_machine *machine, const struct lane *lane)
{
    bool is_alone = machine->settings.order == LANE_FREE ||
                    (machine->settings.order == LANE_BY_KEY && lane_name_of(lane).offset >= 0);
    return is_alone ? machine->settings.without_key : machine->settings.with_key;
}

static void park(struct lane_machine *machine, struct lane *lane, int64_t offset)
{
    lane->is_parked = true;
    lane->parked_offset = offset > lane->parked_offset ? offset : lane->parked_offset;
    lane_write_note(machine, lane);
}

static void give_up(struct lane_machine *machine, struct lane *lane, struct lane_event *event)
{
    lane->hand = event;
    lane->state = LANE_DYING;
    lane->gives_up_by = lane->skip_offset == event->offset ? LANE_SKIP : lane_rule(machine, lane);
    if (event->keep == LANE_REDRIVEN) {
        finish(machine, lane, event, false); /* dead as before, its lane open or closed as before */
    } else if (lane->gives_up_by == LANE_STOP) {
        struct lane_effect *effect = lane_emit(machine, LANE_GIVE_UP, lane->partition);
        effect->event = event;
        effect->offset = event->offset;
    } else {
        lane_emit_event(machine, LANE_WRITE_DEAD, event);
    }
}

void lane_skip_dying(struct lane_machine *machine, struct lane *lane)
{
    if (lane->gives_up_by == LANE_STOP) {
        lane_emit_event(machine, LANE_WRITE_DEAD, lane->hand);
    }
    lane->gives_up_by = LANE_SKIP;
}

/* --- running --- */

static void start(struct lane_machine *machine, struct lane *lane)
{
    struct lane_head head;
    bool any = lane_head(lane, &head);
    assert(any);
    (void)any;
    if (lane->has_news) {
        lane_write_note(machine, lane);
    }
    if (head.event == NULL) {
        lane->state = LANE_LOADING;
        lane_emit_lane(machine, LANE_LOAD, lane)->position = head.row->position;
        machine->counts.running++;
        return;
    }
    bool is_skipped = lane->skip_offset == head.offset;
    if (head.handler < 0 && !is_skipped) {
        lane_end_probe(machine, lane);
        finish(machine, lane, head.event, true);
        return;
    }
    if (is_skipped || (head.offset == lane->failed_offset && lane_is_used_up(machine, lane))) {
        lane_end_probe(machine, lane);
        give_up(machine, lane, head.event);
        return;
    }
    lane->hand = head.event;
    lane->state = LANE_RUNNING;
    bool has_failed = head.offset == lane->failed_offset;
    head.event->attempt = has_failed ? lane->tries + 1 : 1;
    head.event->first_failed_ms = has_failed ? lane->first_failed_ms : 0;
    machine->counts.running++;
    machine->handlers[head.handler].running++;
    lane_emit_event(machine, LANE_RUN, head.event);
}

void lane_run(struct lane_machine *machine)
{
    struct lane *lane;
    while ((lane = lane_pick(machine)) != NULL) {
        start(machine, lane);
    }
}

/* --- answers --- */

/* An event is back. NULL: its partition is lost, and nobody waits for it. */
static struct lane *take_back(struct lane_machine *machine, struct lane_event *event)
{
    struct lane *lane = event->lane;
    assert(event->is_busy);
    event->is_busy = false;
    if (lane == NULL) {
        lane_release(machine, event);
        return NULL;
    }
    lane->partition->busy--;
    return lane;
}

void lane_put_by(struct lane_machine *machine, struct lane_event *event)
{
    assert(event->is_busy && !event->is_put_by);
    event->is_put_by = true;
    machine->counts.running--;
}

void lane_result(struct lane_machine *machine, struct lane_event *event, enum lane_verdict verdict,
                 int64_t retry_at_ms, int64_t now_ms)
{
    int handler = event->handler;
    bool was_ready = event->is_ready;
    if (was_ready) {
        lane_unready(machine, event->lane->partition, event);
    }
    machine->counts.running -= !event->is_put_by;
    event->is_put_by = false;
    struct lane *lane = take_back(machine, event);
    machine->now_ms = now_ms > machine->now_ms ? now_ms : machine->now_ms;
    machine->handlers[handler].running--;
    if (lane == NULL) {
        return;
    }
    assert(lane->hand == event && lane->state == LANE_RUNNING);
    if (verdict == LANE_DONE) {
        lane_end_probe(machine, lane);
        lane_succeeded(machine, lane->id, event->handler, event->done_stamp);
        event->done_stamp = 0;
        finish(machine, lane, event, true);
        return;
    }
    event->is_told = event->needs_record = false;
    event->done_stamp = 0;
    machine->handlers[handler].was_refused = machine->handlers[handler].was_refused || was_ready;
    if (verdict == LANE_REJECT) {
        lane_rejected(machine, lane, event);
        give_up(machine, lane, event);
        return;
    }
    lane_failed(machine, lane, event, retry_at_ms);
    lane->hand = NULL;
    lane->state = LANE_RESTING;
    if (event->keep == LANE_ASIDE && !lane_may_stay(machine, lane)) {
        lane_unload(machine, lane);
    }
    if (lane->goes_aside ||
        (lane->attempts > 0 && !machine->handlers[event->handler].is_down &&
         lane->due_ms - lane->first_failed_ms > machine->settings.aside_after_ms)) {
        lane_want_aside(machine, lane);
    }
    lane_place(machine, lane);
}

/* While it was loaded its lane may have been held, or a redrive have come before it. */
static bool is_still_to_run(const struct lane *lane, const struct lane_event *event)
{
    struct lane_head head;
    bool is_held = lane->is_held && lane->skip_offset != event->offset;
    return !lane->partition->is_revoking && !is_held && lane_head(lane, &head) &&
           head.event == event;
}

void lane_loaded(struct lane_machine *machine, struct lane *lane, struct lane_event *event)
{
    lane->refs--;
    machine->counts.running--;
    if (lane->partition == NULL) {
        lane_release(machine, event);
        lane_drop_if_empty(machine, lane);
        return;
    }
    lane->partition->busy--;
    event->keep = LANE_ASIDE;
    event->lane = lane;
    lane->loaded = event;
    lane->state = LANE_RESTING;
    lane_memory_add(machine, lane, event);
    if (is_still_to_run(lane, event)) {
        start(machine, lane);
    } else {
        lane_unload(machine, lane);
        lane_end_probe(machine, lane);
        lane_place(machine, lane);
    }
}

bool lane_wrote_aside(struct lane_machine *machine, struct lane_event *event, int64_t position)
{
    struct lane *lane = take_back(machine, event);
    if (lane == NULL) {
        return false;
    }
    bool stays = lane->tries > 0 && lane->failed_offset == event->offset &&
                 lane->row == lane->rows.count && lane_may_stay(machine, lane);
    event->is_writing = false;
    DL_DELETE(lane->events, event);
    lane_row_add(machine, lane,
                 (struct lane_row){.offset = event->offset,
                                   .position = position,
                                   .bytes = (uint32_t)event->bytes,
                                   .handler = event->handler,
                                   .closed_at = lane->partition->commits});
    if (stays) {
        lane_open_remove(lane->partition, event);
        event->keep = LANE_ASIDE;
        lane->loaded = event;
    } else {
        close_in_source(machine, lane, event);
    }
    lane_place(machine, lane);
    return stays;
}

void lane_wrote_dead(struct lane_machine *machine, struct lane_event *event)
{
    struct lane *lane = take_back(machine, event);
    if (lane == NULL) {
        return;
    }
    if (lane->gives_up_by == LANE_PARK) {
        /* closed in its source when the note is there: a start must find the lane closed */
        lane->parking = event;
        park(machine, lane, event->offset);
    } else {
        finish(machine, lane, event, false);
    }
}

void lane_marked(struct lane_machine *machine, const struct lane_effect *effect)
{
    struct lane *lane = effect->lane;
    if (lane == NULL) {
        return; /* about an event that nobody waits for */
    }
    lane->refs--;
    if (lane->partition != NULL) {
        lane->partition->busy--;
        lane->marks--;
        marks_arrived(machine, lane);
        struct lane_event *parking = lane->parking;
        if (parking != NULL && effect->kind == LANE_WRITE_NOTE && effect->note.is_parked) {
            lane->parking = NULL;
            finish(machine, lane, parking, false);
            return;
        }
    }
    lane_drop_if_empty(machine, lane);
}

/* --- arrivals --- */

static bool was_finished(const struct lane *lane, int64_t offset)
{
    return offset < lane->finished_below || lane_has_row(lane, offset);
}

/* The event is open in its source, behind the others of its lane. */
static void join(struct lane_machine *machine, struct lane *lane, struct lane_event *event)
{
    event->lane = lane;
    event->keep = LANE_IN_SOURCE;
    DL_APPEND(lane->events, event);
    lane_open_add(lane->partition, event);
    lane_memory_add(machine, lane, event);
}

void lane_arrive(struct lane_machine *machine, struct lane_event *event)
{
    struct lane_partition *partition = lane_partition_find(machine, event->partition);
    if (partition == NULL || partition->epoch != event->epoch || event->offset < partition->next) {
        lane_release(machine, event);
        return;
    }
    partition->next = event->offset + 1;
    partition->is_dirty = true;
    if (event->handler < 0 || lane_ranges_have(&partition->known, event->offset)) {
        lane_release(machine, event);
        return;
    }
    struct lane *lane =
        lane_lookup(machine, partition, lane_name_for(machine, event->key, event->offset), true);
    if (was_finished(lane, event->offset)) {
        lane_release(machine, event);
        lane_drop_if_empty(machine, lane);
        return;
    }
    join(machine, lane, event);
    if (lane->goes_aside) {
        lane_want_aside(machine, lane);
    }
    machine->is_held_up = machine->is_held_up || (lane->hand != NULL && lane->hand->is_ready);
    if (lane->state == LANE_RESTING) { /* else its head is another one, and its turn stays */
        lane_place(machine, lane);
    }
}

bool lane_may_pass(struct lane_machine *machine, const struct lane_event *event)
{
    struct lane_partition *partition = lane_partition_find(machine, event->partition);
    if (partition == NULL || partition->epoch != event->epoch || !partition->is_restored ||
        partition->is_revoking || event->offset < partition->next || event->handler < 0 ||
        machine->counts.running >= machine->hands || lane_is_throttled(machine, event->handler) ||
        lane_ranges_have(&partition->known, event->offset)) {
        return false;
    }
    struct lane_name name = lane_name_for(machine, event->key, event->offset);
    return partition->lanes == NULL || lane_lookup(machine, partition, name, false) == NULL;
}

void lane_passed(struct lane_machine *machine, const struct lane_event *event)
{
    struct lane_partition *partition = lane_partition_find(machine, event->partition);
    partition->next = event->offset + 1;
    partition->is_dirty = true;
    lane_succeeded(machine, ++machine->last_lane_id, event->handler, 0);
}

void lane_arrive_in_hand(struct lane_machine *machine, struct lane_event *event)
{
    struct lane_partition *partition = lane_partition_find(machine, event->partition);
    struct lane_name name = lane_name_for(machine, event->key, event->offset);
    struct lane *lane = lane_lookup(machine, partition, name, true);
    partition->next = event->offset + 1;
    partition->is_dirty = true;
    join(machine, lane, event);
    assert(lane->events == event && lane->hand == NULL);
    lane->hand = event;
    lane->state = LANE_RUNNING;
    event->attempt = 1;
    event->first_failed_ms = 0;
    event->is_busy = true;
    partition->busy++;
    machine->counts.running++;
    machine->handlers[event->handler].running++;
}

void lane_reached(struct lane_machine *machine, int32_t id, int64_t epoch, int64_t offset)
{
    struct lane_partition *partition = lane_partition_find(machine, id);
    if (partition != NULL && partition->epoch == epoch && offset > partition->next) {
        partition->next = offset;
        partition->is_dirty = true;
    }
}

static bool has_event(const struct lane_event *list, int64_t offset)
{
    while (list != NULL && list->offset != offset) {
        list = list->next;
    }
    return list != NULL;
}

/*
 * An owner may have died between the dead letter and its mark: the event is in its lane still, or
 * will come from the source, and that is where it is handled, or was.
 */
static bool is_not_given_up(const struct lane *lane, const struct lane_event *event)
{
    int64_t offset = event->offset;
    const struct lane_partition *partition = lane->partition;
    bool is_to_come = offset >= partition->next && offset >= lane->finished_below &&
                      !lane_ranges_have(&partition->known, offset);
    bool is_closing = event->closes_lane && !(lane->is_parked && lane->parked_offset == offset);
    return is_closing || is_to_come || has_event(lane->events, offset) ||
           has_event(lane->redriven, offset) || lane_has_open_row(lane, offset);
}

/* The redrive ends where it began; whoever asked for it sees the event go through its lane. */
static void refuse_redrive(struct lane_machine *machine, struct lane *lane,
                           struct lane_event *event)
{
    struct lane_effect *effect = lane_emit_lane(machine, LANE_WRITE_REDRIVEN, lane);
    effect->offset = event->offset;
    lane->marks++;
    event->lane = NULL;
    lane_release(machine, event);
}

void lane_redrive(struct lane_machine *machine, struct lane_event *event)
{
    struct lane_partition *partition = lane_partition_find(machine, event->partition);
    if (partition == NULL || partition->epoch != event->epoch) {
        lane_release(machine, event);
        return;
    }
    struct lane *lane =
        lane_lookup(machine, partition, lane_name_for(machine, event->key, event->offset), true);
    struct lane_event *after = lane->redriven;
    if (is_not_given_up(lane, event)) {
        refuse_redrive(machine, lane, event);
        return;
    }
    event->lane = lane;
    event->keep = LANE_REDRIVEN;
    while (after != NULL && after->offset < event->offset) {
        after = after->next;
    }
    if (after != NULL) {
        DL_PREPEND_ELEM(lane->redriven, after, event);
    } else {
        DL_APPEND(lane->redriven, event);
    }
    lane_memory_add(machine, lane, event);
    lane_place(machine, lane);
}
