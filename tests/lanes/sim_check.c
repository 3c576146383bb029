#include "sim.h"

#include "client/lane/lane_metadata.h"

#include <stdarg.h>
#include <stdio.h>

void check_fail(struct world *world, const char *format, ...)
{
    if (world->has_failed) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(world->failure, sizeof world->failure, format, args);
    va_end(args);
    world->has_failed = true;
}

/* --- effects --- */

static bool is_over(const struct sim_event *event)
{
    return event->applied > 0 || (event->is_dead && event->may_skip);
}

/* At most one of a lane is in an owner's hand. */
void check_starts(struct world *world, const struct held *held, bool by_owner)
{
    struct sim_lane *lane = &world->lanes.items[held->about->lane];
    if (by_owner && ++lane->running > 1) {
        check_fail(world, "two events of one lane run at once: %d@%d", (int)held->about->offset,
                   held->about->partition);
    }
}

void check_ends(struct world *world, const struct held *held, bool by_owner)
{
    world->lanes.items[held->about->lane].running -= by_owner;
}

/* Everything before the event is over; under one fence the effects go forward, each once. */
static void check_order(struct world *world, struct sim_lane *lane, const struct held *held)
{
    const struct sim_event *event = held->about;
    for (size_t i = 0; i < lane->events.count; i++) {
        const struct sim_event *before = lane->events.items[i];
        if (before->offset >= event->offset) {
            break;
        }
        if (!is_over(before)) {
            check_fail(world, "%d@%d has its effect before %d", (int)event->offset,
                       event->partition, (int)before->offset);
        }
        if (before->offset > lane->last && lane->last >= 0 && before->applied > 0 &&
            !held->is_redrive && !before->is_dead) {
            check_fail(world, "%d@%d follows %d, and %d is not repeated between",
                       (int)event->offset, event->partition, (int)lane->last, (int)before->offset);
        }
    }
    if (!held->is_redrive && lane->last >= event->offset) {
        check_fail(world, "%d@%d comes again after %d though its owner is the same",
                   (int)event->offset, event->partition, (int)lane->last);
    }
}

/* What counts with a commit counts once. But who redrives what was skipped may find that its owner
 * died before it had told so, and that it went on in its lane. */
void check_counts(struct world *world, const struct held *held)
{
    const struct sim_event *event = held->about;
    if (event->applied > 0 && !(held->is_redrive && event->may_skip)) {
        check_fail(world, "%d@%d counts a second time", (int)event->offset, event->partition);
    }
    if (!check_applies(world, held)) {
        check_fail(world, "%d@%d counts though a later owner had one of its lane",
                   (int)event->offset, event->partition);
    }
}

bool check_applies(struct world *world, const struct held *held)
{
    struct sim_event *event = held->about;
    struct sim_lane *lane = &world->lanes.items[event->lane];
    if (held->fence < lane->fence) {
        return false;
    }
    if (held->fence > lane->fence) {
        lane->fence = held->fence;
        lane->last = -1;
    }
    check_order(world, lane, held);
    event->applied++;
    world->effects++;
    if (!held->is_redrive || !event->may_skip) {
        lane->last = event->offset;
        lane->highest = event->offset > lane->highest ? event->offset : lane->highest;
    }
    return true;
}

/* --- what is given up --- */

void check_dead(struct world *world, struct sim_event *event)
{
    world->dead += !event->is_dead;
    event->is_dead = true;
}

/* --- lanes.<group> --- */

/* What the last record about the event that counts says; FORGET: nothing. */
static enum record_kind last_said(const struct world *world, int partition, int64_t offset)
{
    const struct source *source = &world->sources[partition];
    int64_t mark = 0;
    enum record_kind last = FORGET;
    for (size_t i = 0; i < source->lanes.count; i++) {
        const struct record *record = &source->lanes.items[i];
        if (record->kind == MARK) {
            mark = record->fence > mark ? record->fence : mark;
        } else if (record->fence < mark) {
            continue;
        } else if (record->offset == offset &&
                   (record->kind == ASIDE || record->kind == FORGET || record->kind == DONE)) {
            last = record->kind;
        }
    }
    return last;
}

bool check_is_aside(const struct world *world, int partition, int64_t offset)
{
    return last_said(world, partition, offset) == ASIDE;
}

bool check_is_recorded(const struct world *world, int partition, int64_t offset)
{
    return last_said(world, partition, offset) != FORGET;
}

static bool is_said_done(const struct lane_ranges *done, int64_t base, int64_t offset)
{
    bool is_said = offset < base;
    for (size_t i = 0; i < done->count && !is_said; i++) {
        is_said = offset >= done->items[i].from && offset < done->items[i].to;
    }
    return is_said;
}

/* What the group's commit says now, and the fence in it. */
static int64_t read_commit(const struct source *source, struct lane_ranges *done)
{
    return lane_metadata_decode(source->metadata, source->committed, done);
}

/* A record says so, or forgets it. */
void check_done(struct world *world, int partition, int64_t offset)
{
    const struct source *source = &world->sources[partition];
    for (size_t i = 0; i < source->events.count; i++) {
        const struct sim_event *event = &source->events.items[i];
        if (event->offset == offset && event->applied == 0 && !event->is_dead) {
            check_fail(world, "%d@%d is taken for over and neither done nor dead", (int)offset,
                       partition);
        }
    }
}

/* A start before the commit would take it for one that was never set aside. */
void check_forget(struct world *world, int partition, int64_t offset)
{
    const struct source *source = &world->sources[partition];
    struct lane_ranges done = {0};
    read_commit(source, &done);
    if (!is_said_done(&done, source->committed, offset)) {
        check_fail(world, "%d@%d is forgotten before a commit says that it is over", (int)offset,
                   partition);
    }
    vec_deinit(&done);
    check_done(world, partition, offset);
}

/* The group has its fence: else it may not be the owner, and another may have the same one. */
void check_mark(struct world *world, int partition, int64_t fence)
{
    struct lane_ranges done = {0};
    if (read_commit(&world->sources[partition], &done) < fence) {
        check_fail(world, "the mark of fence %d stands before its commit", (int)fence);
    }
    vec_deinit(&done);
}

/* --- progress --- */

void check_commit(struct world *world, int partition, int64_t base, const char *metadata)
{
    struct source *source = &world->sources[partition];
    struct lane_ranges done = {0};
    if (metadata != NULL && strlen(metadata) > world->settings.metadata_bytes) {
        check_fail(world, "the commit's text has %zu characters", strlen(metadata));
    }
    lane_metadata_decode(metadata, base, &done);
    for (size_t i = 0; i < source->events.count; i++) {
        const struct sim_event *event = &source->events.items[i];
        if (is_said_done(&done, base, event->offset) && event->applied == 0 && !event->is_dead &&
            !check_is_aside(world, partition, event->offset)) {
            check_fail(world, "a commit of %d says that %d@%d is over, and it is not", (int)base,
                       (int)event->offset, partition);
        }
        if (is_said_done(&done, base, event->offset) && i >= source->published) {
            check_fail(world, "a commit speaks of %d@%d, which is not published",
                       (int)event->offset, partition);
        }
    }
    vec_deinit(&done);
}

/* Nobody does it again: the commit says that it is over, or a record of the same transaction. */
void check_told(struct world *world, const struct held *held)
{
    const struct sim_event *event = held->about;
    const struct source *source = &world->sources[event->partition];
    struct lane_ranges done = {0};
    read_commit(source, &done);
    if (!held->event.needs_record && !is_said_done(&done, source->committed, event->offset)) {
        check_fail(world, "%d@%d counts, and neither the commit nor a record tells it",
                   (int)event->offset, event->partition);
    }
    vec_deinit(&done);
}

/* Whoever asks for redrives takes them into memory. */
static size_t count_redriven(const struct world *world)
{
    size_t count = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < world->sources[p].events.count; i++) {
            count += world->sources[p].events.items[i].is_asked;
        }
    }
    return count;
}

void check_memory(struct world *world, const struct lane_machine *machine)
{
    struct lane_counts counts = lane_counts(machine);
    const struct lane_settings *settings = &world->settings;
    /* one delivery a partition may be on its way when it pauses */
    size_t slack = 3 * PARTITIONS + (size_t)settings->workers +
                   (world->transacts ? settings->intake_events / 4 + 1 : 0);
    size_t events = counts.runnable_events + counts.waiting_events;
    size_t most = settings->intake_events + settings->waiting_events + slack;
    /* a redrive whose transaction is committed is in memory until that is heard */
    size_t redriven = world->transacts ? counts.redriven_events : 0;
    if (events - redriven > most && events > most + count_redriven(world)) {
        check_fail(world, "%zu events in memory, %zu and %zu are allowed", events,
                   settings->intake_events, settings->waiting_events);
    }
    if (counts.running > (size_t)settings->workers) {
        check_fail(world, "%zu handlers run", counts.running);
    }
}

/* --- the end --- */

static void check_event_end(struct world *world, const struct sim_event *event, bool is_all_done)
{
    bool is_aside = check_is_aside(world, event->partition, event->offset);
    if (event->applied == 0 && (is_all_done || (!event->is_dead && !is_aside))) {
        check_fail(world, "%d@%d was never handled%s", (int)event->offset, event->partition,
                   event->is_dead ? ", it is a dead letter"
                   : is_aside     ? ", it is set aside"
                                  : "");
    }
    if (is_all_done && check_is_recorded(world, event->partition, event->offset)) {
        check_fail(world, "%d@%d is done and not forgotten", (int)event->offset, event->partition);
    }
}

/* An older event does not have the last word; but the newer one may have been given up when it came
 * again, by somebody's word or since its handler was away with nobody beside it. */
static void check_last(struct world *world, const struct sim_lane *lane)
{
    for (size_t i = 0; i < lane->events.count && lane->last >= 0; i++) {
        const struct sim_event *event = lane->events.items[i];
        if (event->offset > lane->last && event->offset <= lane->highest && event->applied > 0 &&
            !(event->is_dead && (event->may_skip || world->settings.attempts_alone > 0)) &&
            world->settings.with_key == LANE_PARK) {
            check_fail(world, "a lane's last effect is %d, after %d", (int)lane->last,
                       (int)event->offset);
        }
    }
}

void check_end(struct world *world, bool is_all_done)
{
    for (int p = 0; p < PARTITIONS; p++) {
        const struct source *source = &world->sources[p];
        for (size_t i = 0; i < source->events.count; i++) {
            check_event_end(world, &source->events.items[i], is_all_done);
        }
        if (source->committed != source->end) {
            check_fail(world, "committed %d of %d", (int)source->committed, (int)source->end);
        }
    }
    for (size_t i = 0; i < world->lanes.count && is_all_done; i++) {
        const struct sim_lane *lane = &world->lanes.items[i];
        check_last(world, lane);
    }
}

void check_stuck(struct world *world, const char *what)
{
    for (int p = 0; p < PARTITIONS; p++) {
        const struct source *source = &world->sources[p];
        for (size_t i = 0; i < source->events.count; i++) {
            const struct sim_event *event = &source->events.items[i];
            bool is_recorded = check_is_recorded(world, p, event->offset);
            if (world->is_loud && (event->applied == 0 || is_recorded)) {
                printf("        %d@%d of lane %zu: fate %d, %d effects%s%s%s\n", (int)event->offset,
                       p, event->lane, (int)event->fate, event->applied,
                       event->is_dead ? ", dead" : "", event->may_skip ? ", skipped" : "",
                       is_recorded ? ", recorded" : "");
            }
            if (event->applied == 0 || is_recorded || event->is_asked) {
                check_fail(world, "never: %s; %d@%d is %s%s%s%s", what, (int)event->offset, p,
                           event->applied > 0 ? "done" : "not done", event->is_dead ? ", dead" : "",
                           is_recorded ? ", recorded" : "",
                           event->is_asked ? ", its redrive is under way" : "");
            }
        }
        check_fail(world, "never: %s; committed %d of %d@%d", what, (int)source->committed,
                   (int)source->end, p);
    }
}
