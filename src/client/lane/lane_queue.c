#include "client/lane/lane_inside.h"

#include <assert.h>

static struct lane_handler *handler_of(const struct lane_machine *machine, int handler)
{
    assert(handler >= 0 && handler < machine->settings.handler_count);
    return &machine->handlers[handler];
}

/* What is ready may count as a success soon. */
static bool is_throttled(const struct lane_machine *machine, const struct lane_handler *handler)
{
    return handler->failures >= machine->settings.down_after &&
           (handler->ready == 0 || handler->was_refused);
}

bool lane_is_throttled(const struct lane_machine *machine, int handler)
{
    const struct lane_handler *its = handler_of(machine, handler);
    return its->is_down || is_throttled(machine, its);
}

/* --- the head --- */

static void take_lower(struct lane_head *head, bool *any, struct lane_event *event)
{
    if (event != NULL && (!*any || event->offset < head->offset)) {
        *head =
            (struct lane_head){.event = event, .offset = event->offset, .handler = event->handler};
        *any = true;
    }
}

bool lane_head(const struct lane *lane, struct lane_head *head)
{
    bool any = false;
    take_lower(head, &any, lane->redriven);
    take_lower(head, &any, lane->events);
    if (lane->row < lane->rows.count) {
        const struct lane_row *row = &lane->rows.items[lane->row];
        if (!any || row->offset < head->offset) {
            *head = (struct lane_head){
                .event = lane->loaded, .row = row, .offset = row->offset, .handler = row->handler};
            any = true;
        }
    }
    return any;
}

/* --- its place --- */

static void list_add(struct lane_list *list, struct lane *lane)
{
    DL_APPEND(list->first, lane);
    lane->list = list;
    lane->state = LANE_READY;
}

void lane_unplace(struct lane_machine *machine, struct lane *lane)
{
    if (lane->list != NULL) {
        DL_DELETE(lane->list->first, lane);
        lane->list = NULL;
    }
    heap_remove(&machine->timers, &lane->timer);
    if (lane->state == LANE_READY || lane->state == LANE_WAITING) {
        lane->state = LANE_RESTING;
    }
}

static bool others_succeeded(const struct lane_handler *handler, const struct lane *lane)
{
    uint64_t stamp = handler->last_id != lane->id ? handler->last_stamp : handler->other_stamp;
    return stamp > lane->failed_stamp;
}

/* Whether the head may run, as far as the lane itself is concerned. */
static bool may_run(const struct lane *lane, const struct lane_head *head)
{
    const struct lane_partition *partition = lane->partition;
    bool is_redriven = head->event != NULL && head->event->keep == LANE_REDRIVEN;
    return partition->is_restored && !partition->is_revoking &&
           (!lane->is_held || lane->skip_offset == head->offset) &&
           (!lane->is_parked || is_redriven) && (head->event == NULL || !head->event->is_busy);
}

/* Where it waits for its turn; NULL: its time has not come. */
static struct lane_list *list_for(struct lane_machine *machine, const struct lane *lane,
                                  const struct lane_head *head)
{
    bool has_failed = lane->tries > 0 && head->offset == lane->failed_offset;
    if (head->handler < 0 || lane->skip_offset == head->offset) {
        return head->event != NULL ? &machine->unhandled : &machine->urged;
    }
    struct lane_handler *its = handler_of(machine, head->handler);
    if (!has_failed) {
        return &its->fresh;
    }
    if (lane->is_urged) {
        return &machine->urged;
    }
    if (lane->due_ms > machine->now_ms) {
        return NULL;
    }
    return others_succeeded(its, lane) ? &its->due : &its->probes;
}

void lane_place(struct lane_machine *machine, struct lane *lane)
{
    struct lane_head head;
    if (lane->state == LANE_LOADING || lane->state == LANE_RUNNING || lane->state == LANE_DYING) {
        return;
    }
    bool runs = lane_head(lane, &head) && may_run(lane, &head);
    struct lane_list *list = runs ? list_for(machine, lane, &head) : NULL;
    if (list != NULL && lane->list == list) {
        return; /* it keeps its turn */
    }
    lane_unplace(machine, lane);
    if (list != NULL) {
        list_add(list, lane);
    } else if (runs) {
        heap_set(&machine->timers, &lane->timer, lane->due_ms);
        lane->state = LANE_WAITING;
    }
}

/* --- results --- */

void lane_end_probe(struct lane_machine *machine, struct lane *lane)
{
    if (lane->probes >= 0) {
        handler_of(machine, lane->probes)->is_probing = false;
        lane->probes = -1;
    }
}

/* A success that is known late says that the handler worked when it was done with the event. */
static void stamp_success(struct lane_handler *its, uint64_t id, uint64_t done_stamp)
{
    uint64_t stamp = done_stamp != 0 ? done_stamp : ++its->stamps;
    if (its->last_id == id) {
        its->last_stamp = stamp > its->last_stamp ? stamp : its->last_stamp;
    } else if (stamp > its->last_stamp) {
        its->other_stamp = its->last_stamp;
        its->last_id = id;
        its->last_stamp = stamp;
    } else if (stamp > its->other_stamp) {
        its->other_stamp = stamp;
    }
}

void lane_succeeded(struct lane_machine *machine, uint64_t id, int handler, uint64_t done_stamp)
{
    struct lane_handler *its = handler_of(machine, handler);
    stamp_success(its, id, done_stamp);
    its->succeeded_ms = machine->now_ms;
    its->round++;
    its->failures = 0;
    its->was_refused = false;
    its->alone_id = 0;
    its->displaces = 0;
    its->probe_at_ms = 0;
    its->probe_wait_ms = machine->settings.probe_first_ms;
    if (its->is_down) {
        its->is_down = false;
        lane_emit(machine, LANE_TELL_UP, NULL)->handler = handler;
    }
    struct lane *waiting, *next;
    DL_FOREACH_SAFE (its->probes.first, waiting, next) {
        if (others_succeeded(its, waiting)) {
            lane_place(machine, waiting);
        }
    }
}

/* Full jitter: anything up to the back-off. */
static int64_t backoff_ms(struct lane_machine *machine, const struct lane *lane)
{
    const struct lane_settings *settings = &machine->settings;
    int64_t most = settings->backoff_first_ms;
    for (int i = 0; i < lane->attempts && most < settings->backoff_max_ms; i++) {
        most *= 2;
    }
    most = most < settings->backoff_max_ms ? most : settings->backoff_max_ms;
    return (int64_t)random_below(&machine->random, (uint64_t)most + 1);
}

static void tell_if_down(struct lane_machine *machine, struct lane_handler *its, int handler)
{
    bool are_all = its->failures >= 2 && its->fresh.first == NULL && its->due.first == NULL &&
                   its->running == 0 &&
                   machine->now_ms - its->succeeded_ms >= machine->settings.probe_first_ms;
    if (!its->is_down && (is_throttled(machine, its) || are_all)) {
        its->is_down = true;
        its->downs++;
        lane_emit(machine, LANE_TELL_DOWN, NULL)->handler = handler;
    }
}

static void failing_remove(struct lane_machine *machine, struct lane *lane)
{
    if (lane->failing_handler >= 0) {
        struct lane_handler *its = handler_of(machine, lane->failing_handler);
        DL_DELETE2(its->failing, lane, failing_prev, failing_next);
        lane->failing_handler = -1;
    }
}

static void failing_add(struct lane_machine *machine, struct lane *lane, int handler)
{
    failing_remove(machine, lane);
    struct lane_handler *its = handler_of(machine, handler);
    DL_APPEND2(its->failing, lane, failing_prev, failing_next);
    lane->failing_handler = handler;
}

void lane_forget_failures(struct lane_machine *machine, struct lane *lane)
{
    failing_remove(machine, lane);
    lane->tries = lane->attempts = lane->alone = 0;
    lane->is_pending = lane->is_doubtful = lane->has_news = lane->is_urged = false;
    lane->first_failed_ms = lane->due_ms = 0;
    lane->failed_offset = -1;
    lane_memory_move(machine, lane);
}

static void count_attempt(struct lane *lane)
{
    lane->attempts++;
    lane->has_news = true;
}

/* An attempt counts when another lane has succeeded since, and the handler was not down: else it
 * may have been an outage, and counts if the next one fails as well. */
static void judge_attempt(const struct lane_handler *handler, struct lane *lane)
{
    if (!lane->is_pending || !others_succeeded(handler, lane)) {
        return;
    }
    lane->is_pending = false;
    lane->is_doubtful =
        lane->failed_down || lane->failed_downs != handler->downs || handler->is_down;
    if (!lane->is_doubtful) {
        count_attempt(lane);
    }
}

/* What the lane remembers of it. */
static void remember_failure(struct lane_machine *machine, struct lane_handler *its,
                             struct lane *lane, const struct lane_event *event, int64_t retry_at_ms)
{
    if (lane->tries > 0 && lane->failed_offset != event->offset) {
        lane_forget_failures(machine, lane);
    }
    if (lane->is_doubtful && !its->is_down) {
        count_attempt(lane);
    }
    lane->is_doubtful = false;
    lane->alone = its->alone_id == lane->id ? lane->alone + 1 : 1;
    its->alone_id = lane->id;
    lane->tries++;
    lane->is_pending = true;
    lane->failed_down = its->is_down;
    lane->is_urged = false;
    lane->failed_offset = event->offset;
    lane->failed_stamp = its->stamps;
    lane->failed_downs = its->downs;
    if (lane->first_failed_ms == 0) {
        lane->first_failed_ms = machine->now_ms;
    }
    lane->due_ms =
        retry_at_ms > machine->now_ms ? retry_at_ms : machine->now_ms + backoff_ms(machine, lane);
    failing_add(machine, lane, event->handler);
    lane_memory_move(machine, lane);
}

void lane_failed(struct lane_machine *machine, struct lane *lane, const struct lane_event *event,
                 int64_t retry_at_ms)
{
    const struct lane_settings *settings = &machine->settings;
    struct lane_handler *its = handler_of(machine, event->handler);
    remember_failure(machine, its, lane, event, retry_at_ms);
    bool is_new = lane->tries == 1; /* one that failed before says nothing about the others */
    if (is_new &&
        (its->round + 1 != lane->failed_round || lane->failed_handler != event->handler)) {
        its->failures++; /* of its lanes: a second event of one is no second lane */
        lane->failed_round = its->round + 1;
        lane->failed_handler = event->handler;
    }
    if (lane->probes >= 0) {
        lane_end_probe(machine, lane);
        its->probe_at_ms = machine->now_ms + its->probe_wait_ms;
        its->probe_wait_ms = its->probe_wait_ms * 2 < settings->probe_max_ms
                                 ? its->probe_wait_ms * 2
                                 : settings->probe_max_ms;
        its->displaces = is_throttled(machine, its) ? (size_t)settings->workers : 0;
    }
    tell_if_down(machine, its, event->handler);
}

void lane_rejected(struct lane_machine *machine, struct lane *lane, const struct lane_event *event)
{
    struct lane_handler *its = handler_of(machine, event->handler);
    remember_failure(machine, its, lane, event, 0);
    lane->is_pending = false;
    lane->attempts++;        /* it counts at once, and is noted with the lane that it closes */
    if (lane->probes >= 0) { /* it told nothing: the next one asks as long after it */
        lane_end_probe(machine, lane);
        its->probe_at_ms = machine->now_ms + its->probe_wait_ms;
    }
}

bool lane_fails_alone(const struct lane_machine *machine, const struct lane *lane)
{
    if (lane->tries == 0 || lane->failing_handler < 0) {
        return false;
    }
    const struct lane_handler *its = handler_of(machine, lane->failing_handler);
    bool is_doubtful = lane->failed_down || lane->failed_downs != its->downs;
    return !its->is_down && (lane->attempts > 0 || (!is_doubtful && others_succeeded(its, lane)));
}

bool lane_is_used_up(const struct lane_machine *machine, const struct lane *lane)
{
    const struct lane_settings *settings = &machine->settings;
    if (lane->attempts >= settings->attempts) {
        return true;
    }
    if (settings->attempts_alone == 0 || lane->alone < settings->attempts_alone) {
        return false;
    }
    const struct lane_handler *its = handler_of(machine, lane->failing_handler);
    return its->alone_id == lane->id && its->failing == lane && lane->failing_next == NULL;
}

/* --- what runs next --- */

static struct lane *take(struct lane_list *list)
{
    struct lane *lane = list->first;
    if (lane != NULL) {
        DL_DELETE(list->first, lane);
        lane->list = NULL;
        lane->state = LANE_RESTING;
    }
    return lane;
}

static struct lane *take_probe(struct lane_machine *machine, struct lane_handler *handler)
{
    if (handler->is_probing || handler->probe_at_ms > machine->now_ms) {
        return NULL;
    }
    struct lane *lane = take(&handler->fresh);
    lane = lane != NULL ? lane : take(&handler->due);
    lane = lane != NULL ? lane : take(&handler->probes);
    if (lane != NULL) {
        lane->probes = (int)(handler - machine->handlers);
        handler->is_probing = true;
    }
    return lane;
}

/* Those that failed have an eighth of the turns while others wait. A handler that is down tries its
 * due ones by probes only. */
static struct lane *take_of(struct lane_machine *machine, struct lane_handler *handler)
{
    enum { DUE_EVERY = 8 };
    struct lane *lane = NULL;
    if (++handler->turn % DUE_EVERY == 0 && !handler->is_down) {
        lane = take(&handler->due);
    }
    if (lane == NULL && !is_throttled(machine, handler)) {
        lane = take(&handler->fresh);
    }
    if (lane == NULL && !handler->is_down) {
        lane = take(&handler->due);
    }
    lane = lane != NULL ? lane : take_probe(machine, handler);
    if (lane != NULL && lane->tries > 0) {
        judge_attempt(handler, lane);
    }
    return lane;
}

struct lane *lane_pick(struct lane_machine *machine)
{
    struct lane *lane = take(&machine->unhandled);
    int count = machine->settings.handler_count;
    if (machine->counts.running >= machine->hands) {
        return lane;
    }
    if (lane == NULL && (lane = take(&machine->urged)) != NULL) {
        if (lane->failing_handler >= 0) {
            judge_attempt(handler_of(machine, lane->failing_handler), lane);
        }
        return lane;
    }
    for (int i = 0; lane == NULL && i < count && !lane_ready_is_full(machine); i++) {
        lane = take_of(machine, &machine->handlers[machine->next_handler]);
        machine->next_handler = (machine->next_handler + 1) % count;
    }
    return lane;
}

void lane_run_timers(struct lane_machine *machine)
{
    struct heap_node *node;
    while ((node = heap_least(&machine->timers)) != NULL && node->key <= machine->now_ms) {
        lane_place(machine, container_of(node, struct lane, timer));
    }
}

int64_t lane_next_due(const struct lane_machine *machine)
{
    const struct heap_node *node = heap_least(&machine->timers);
    int64_t due_ms = node != NULL ? node->key : INT64_MAX;
    for (int i = 0; i < machine->settings.handler_count; i++) {
        const struct lane_handler *handler = &machine->handlers[i];
        bool has_any = handler->fresh.first != NULL || handler->due.first != NULL ||
                       handler->probes.first != NULL;
        if (has_any && !handler->is_probing && handler->probe_at_ms > machine->now_ms &&
            handler->probe_at_ms < due_ms) {
            due_ms = handler->probe_at_ms;
        }
    }
    return due_ms;
}
