#include "sim_world.h"

#include <stdio.h>

/* What people say about lanes, and what each word promises. */

static struct sim_lane *lane_of(struct world *world, const struct sim_event *event)
{
    return &world->lanes.items[event->lane];
}

/* What the member knows of the lane as long as it holds the partition this time. */
static struct sim_word *word_of(struct world *world, struct sim_lane *lane, int member)
{
    struct sim_word *word = &lane->words[member];
    int64_t epoch = world->members[member].shares[lane->partition].epoch;
    if (word->epoch != epoch) {
        *word = (struct sim_word){.epoch = epoch,
                                  .failed = -1,
                                  .running = -1,
                                  .dying = -1,
                                  .skipping = -1,
                                  .skipped = -1};
    }
    return word;
}

static enum lane_give_up rule_of(const struct world *world, const struct sim_event *event)
{
    const struct lane_settings *settings = &world->settings;
    bool is_shared =
        (event->key >= 0 && settings->order == LANE_BY_KEY) || settings->order == LANE_BY_PARTITION;
    return is_shared ? settings->with_key : settings->without_key;
}

/* --- what is started --- */

static bool is_redriving(const struct sim_lane *lane)
{
    bool is_any = false;
    for (size_t i = 0; i < lane->events.count; i++) {
        is_any |= lane->events.items[i]->is_asked;
    }
    return is_any;
}

/* It waits for its turn: no back-off is left, and nothing of it is on its way. */
static bool waits_for_turn(const struct world *world, const struct sim_lane *lane,
                           const struct sim_word *word, int member)
{
    const struct share *share = &world->members[member].shares[lane->partition];
    return word->failed >= 0 && word->running < 0 && word->dying < 0 && word->busy == 0 &&
           share->is_held && share->is_restored && !share->is_leaving && !is_redriving(lane) &&
           world->now_ms > word->failed_ms + world->settings.backoff_max_ms;
}

/* One that failed is tried again: those of its handler that wait get their turn, too. */
static void check_turns(struct world *world, int member, const struct sim_event *event)
{
    int most = 10 + (int)world->lanes.count;
    for (size_t i = 0; i < world->lanes.count; i++) {
        struct sim_lane *lane = &world->lanes.items[i];
        struct sim_word *word = word_of(world, lane, member);
        if (i == event->lane) {
            word->passed = 0;
        } else if (waits_for_turn(world, lane, word, member) &&
                   sim_find(world, lane->partition, word->failed)->handler == event->handler &&
                   ++word->passed > most) {
            check_fail(world, "%d@%d waits for its turn, and others are tried %d times",
                       (int)word->failed, lane->partition, word->passed);
        }
    }
}

static void check_run(struct world *world, int member, const struct held *held)
{
    struct sim_event *event = held->about;
    struct sim_word *word = word_of(world, lane_of(world, event), member);
    int offset = (int)event->offset;
    if (world->is_plain && word->failed == event->offset) {
        check_turns(world, member, event);
    }
    word->passed = 0;
    if (word->is_held) {
        check_fail(world, "%d@%d is started though its lane is held", offset, event->partition);
    }
    if (word->is_stopped) {
        check_fail(world, "%d@%d is started though its lane ended the service", offset,
                   event->partition);
    }
    if (word->skipped == event->offset && !held->is_redrive) {
        check_fail(world, "%d@%d is started though it was skipped", offset, event->partition);
    }
    if (word->failed == event->offset && word->not_before_ms > world->now_ms) {
        check_fail(world, "%d@%d is started before the time that its handler gave", offset,
                   event->partition);
    }
    word->running = event->offset;
    event->tried_by[member] = word->epoch;
}

/* --- what is given up --- */

/* All that is known says that it is the event that fails; or that nobody is there to compare. */
static bool is_proven(const struct world *world, int member, const struct sim_event *event)
{
    const struct sim_alone *alone = &world->members[member].alone[event->handler];
    bool is_alone = world->settings.attempts_alone > 0 && alone->event == event &&
                    alone->fails >= world->settings.attempts_alone;
    return is_alone || event->refused > 0 || event->fate == POISON || event->fate == REJECTED ||
           (event->fate == FLAKY && event->fails_left > 0);
}

static void check_dying(struct world *world, int member, struct sim_event *event)
{
    struct sim_word *word = word_of(world, lane_of(world, event), member);
    enum lane_give_up rule = rule_of(world, event);
    bool is_skipping = word->skipping == event->offset;
    event->may_skip = event->may_skip || rule == LANE_SKIP || is_skipping;
    if (!is_skipping && rule == LANE_STOP) {
        check_fail(world, "%d@%d is given up, and the service should have ended",
                   (int)event->offset, event->partition);
    }
    if (!is_skipping && !is_proven(world, member, event)) {
        check_fail(world, "%d@%d is given up though only its handler was away", (int)event->offset,
                   event->partition);
    }
    word->is_stopped = false;
    word->failed = word->skipped = word->skipping = -1;
    word->dying = event->offset;
}

static void check_stop(struct world *world, int member, const struct sim_event *event)
{
    struct sim_word *word = word_of(world, lane_of(world, event), member);
    if (rule_of(world, event) != LANE_STOP || event->tried_by[member] != word->epoch ||
        !is_proven(world, member, event)) {
        check_fail(world, "%d@%d ends the service without a reason", (int)event->offset,
                   event->partition);
    }
    word->is_stopped = true;
    word->failed = -1;
    struct member *its = &world->members[member];
    if (!its->is_stopping) {
        its->is_stopping = true;
        sim_later(world, sim_between(world, 0, 30), OP_STOP, member);
    }
}

/* One lane alone is no outage, unless it is told to be. */
static void check_down(struct world *world, int member, int handler)
{
    int least = world->settings.down_after < 2 ? world->settings.down_after : 2;
    if (world->members[member].failures[handler] < least) {
        check_fail(world, "handler %d is told down after %d failures", handler,
                   world->members[member].failures[handler]);
    }
}

void words_effect(struct world *world, int member, const struct lane_effect *effect)
{
    if (effect->kind == LANE_TELL_DOWN) {
        check_down(world, member, effect->handler);
    }
    struct sim_event *event = effect->event != NULL ? sim_held_of(effect->event)->about : NULL;
    if (effect->kind == LANE_LOAD) {
        const struct source *source = &world->sources[effect->partition];
        event = sim_find(world, effect->partition, source->lanes.items[effect->position].offset);
    }
    if (effect->kind == LANE_WRITE_REDRIVEN) {
        event = sim_find(world, effect->partition, effect->offset);
    }
    if (event == NULL || effect->kind == LANE_RELEASE) {
        return;
    }
    struct sim_word *word = word_of(world, lane_of(world, event), member);
    word->busy += effect->kind == LANE_LOAD || effect->kind == LANE_WRITE_ASIDE;
    word->must_try = word->must_try && effect->kind == LANE_WRITE_ASIDE;
    switch (effect->kind) {
    case LANE_RUN:
        check_run(world, member, sim_held_of(effect->event));
        break;
    case LANE_WRITE_DEAD:
        check_dying(world, member, event);
        break;
    case LANE_GIVE_UP:
        check_stop(world, member, event);
        break;
    case LANE_WRITE_REDRIVEN:
        word->failed = word->failed == event->offset ? -1 : word->failed;
        break;
    default:
        break;
    }
}

/* --- answers --- */

void words_answered(struct world *world, int member, const struct sim_event *event, bool is_dead)
{
    struct sim_word *word = word_of(world, &world->lanes.items[event->lane], member);
    if (is_dead) {
        word->dying = -1;
    } else {
        word->busy--;
    }
}

void words_result(struct world *world, int member, const struct held *held,
                  enum lane_verdict verdict, int64_t retry_at_ms)
{
    struct sim_event *event = held->about;
    struct sim_word *word = word_of(world, lane_of(world, event), member);
    struct sim_alone *alone = &world->members[member].alone[event->handler];
    word->running = -1;
    if (verdict == LANE_DONE) {
        word->failed = word->failed == event->offset ? -1 : word->failed;
        word->skipping = word->skipping == event->offset ? -1 : word->skipping;
        word->skipped = word->skipped == event->offset ? -1 : word->skipped;
        *alone = (struct sim_alone){0};
        world->members[member].failures[event->handler] = 0;
        return;
    }
    world->members[member].failures[event->handler] += verdict == LANE_RETRY;
    word->failed = event->offset;
    word->failed_ms = world->now_ms;
    word->not_before_ms = retry_at_ms;
    if (alone->event != event) {
        *alone = (struct sim_alone){.event = event};
    }
    alone->fails++;
}

/* --- what is durable --- */

static const struct record *note_of(const struct world *world, const struct sim_lane *lane)
{
    const struct source *source = &world->sources[lane->partition];
    int64_t offset = lane->is_alone ? lane->events.items[0]->offset : -1;
    for (size_t i = source->lanes.count; i > 0; i--) {
        const struct record *record = &source->lanes.items[i - 1];
        if ((record->kind == NOTE || record->kind == CLOSE) && record->key == lane->key &&
            record->name_offset == offset && sim_is_newest(source, i - 1)) {
            return record->kind == NOTE ? record : NULL;
        }
    }
    return NULL;
}

static bool is_held_on_disk(const struct world *world, const struct sim_lane *lane)
{
    const struct record *note = note_of(world, lane);
    return note != NULL && note->note.is_held;
}

bool words_is_parked(const struct world *world, const struct sim_lane *lane)
{
    const struct record *note = note_of(world, lane);
    return note != NULL && note->note.is_parked;
}

/* A new owner knows what is held. */
void words_restored(struct world *world, int member, int partition)
{
    for (size_t i = 0; i < world->lanes.count && world->has_words; i++) {
        struct sim_lane *lane = &world->lanes.items[i];
        if (lane->partition == partition) {
            word_of(world, lane, member)->is_held = is_held_on_disk(world, lane);
        }
    }
}

/* Whoever gave a partition away has left on disk what it was told. */
void words_quiet(struct world *world, int member, int partition)
{
    const struct share *share = &world->members[member].shares[partition];
    bool is_owner = share->is_restored && sim_is_owner(world, member, partition, share->epoch);
    for (size_t i = 0; i < world->lanes.count && world->has_words && is_owner; i++) {
        struct sim_lane *lane = &world->lanes.items[i];
        if (lane->partition == partition &&
            word_of(world, lane, member)->is_held != is_held_on_disk(world, lane)) {
            check_fail(world, "what was said of lane %d@%d is not durable", lane->key, partition);
        }
    }
}

void words_settled(struct world *world, int member)
{
    for (size_t i = 0; i < world->lanes.count && world->has_words; i++) {
        if (world->lanes.items[i].words[member].must_try) {
            check_fail(world, "the head of lane %d@%d is not tried at once",
                       world->lanes.items[i].key, world->lanes.items[i].partition);
        }
    }
}

/* --- the words --- */

static void say_try(struct world *world, int member, struct sim_lane *lane, struct lane *its)
{
    struct lane_machine *machine = world->members[member].machine;
    struct sim_word *word = word_of(world, lane, member);
    bool has_worker = lane_counts(machine).running < (size_t)world->settings.workers;
    word->must_try = word->failed >= 0 && word->running < 0 && word->dying < 0 && word->busy == 0 &&
                     !word->is_held && has_worker && !is_redriving(lane);
    word->not_before_ms = 0;
    lane_try_now(machine, its);
}

/* What somebody who looks takes for its head: the dead one that closed it, what is given up or
 * runs, what failed and waits, or the first that is not over. Sometimes he looked long ago. */
static int64_t seen_head(struct world *world, const struct sim_lane *lane,
                         const struct sim_word *word)
{
    const struct record *note = note_of(world, lane);
    size_t count = lane->events.count;
    size_t at = 0;
    if (sim_chance(world, 20)) {
        return lane->events.items[sim_between(world, 0, (int64_t)count - 1)]->offset;
    }
    if (note != NULL && note->note.is_parked) {
        return note->note.offset;
    }
    if (word->dying >= 0 || word->running >= 0 || word->failed >= 0) {
        return word->dying >= 0 ? word->dying : word->running >= 0 ? word->running : word->failed;
    }
    while (at + 1 < count &&
           (lane->events.items[at]->applied > 0 || lane->events.items[at]->is_dead)) {
        at++;
    }
    return lane->events.items[at]->offset;
}

static void say_skip(struct world *world, int member, struct sim_lane *lane, struct lane *its)
{
    struct sim_word *word = word_of(world, lane, member);
    int64_t offset = seen_head(world, lane, word);
    struct sim_event *event = sim_find(world, lane->partition, offset);
    if (!lane_skip_head(world->members[member].machine, its, offset)) {
        return;
    }
    int64_t head = word->dying >= 0     ? word->dying
                   : word->running >= 0 ? word->running
                                        : word->failed;
    bool is_closing = event->is_dead && event->applied == 0 && !event->may_skip;
    event->may_skip = event->may_skip || is_closing || offset == word->dying;
    if (head >= 0 && head != offset && !is_closing && !is_redriving(lane)) {
        check_fail(world, "%d@%d is skipped, and %d is its lane's head", (int)offset,
                   lane->partition, (int)head);
    }
    if (!is_closing && word->dying < 0 && !is_redriving(lane)) {
        word->skipped = offset;
    }
    word->skipping = offset;
}

static void say_hold(struct world *world, int member, struct sim_lane *lane, struct lane *its,
                     bool is_held)
{
    struct lane_machine *machine = world->members[member].machine;
    word_of(world, lane, member)->is_held = is_held;
    lane->was_held = lane->was_held || is_held;
    if (is_held) {
        lane_hold(machine, its);
    } else {
        lane_let_go(machine, its);
    }
}

static const char *const word_names[] = {"try now", "skip", "hold", "let go"};

static void say(struct world *world, int member, struct sim_lane *lane, enum sim_say what)
{
    struct lane_machine *machine = world->members[member].machine;
    const struct share *share = &world->members[member].shares[lane->partition];
    struct lane *its;
    char key[16];
    snprintf(key, sizeof key, "key-%d", lane->key);
    struct lane_name name = {.key = lane->key >= 0 ? slice_str(key) : (struct slice){0},
                             .offset = lane->is_alone ? lane->events.items[0]->offset : -1};
    bool is_found = what == SAY_HOLD ? lane_reach(machine, lane->partition, name, &its)
                                     : lane_find(machine, lane->partition, name, &its);
    if (is_found && (!share->is_restored || share->is_leaving)) {
        check_fail(world, "a lane is found in a partition that others decide on");
    }
    if (what == SAY_HOLD && !lane->is_alone && !is_found && share->is_restored &&
        !share->is_leaving) {
        check_fail(world, "lane %d@%d cannot be held", lane->key, lane->partition);
    }
    if (!is_found) {
        return;
    }
    sim_say(world, "%d: is told to %s lane %d@%d (%d)", member, word_names[what], lane->key,
            lane->partition, (int)name.offset);
    world->words++;
    if (what == SAY_TRY) {
        say_try(world, member, lane, its);
    } else if (what == SAY_SKIP) {
        say_skip(world, member, lane, its);
    } else {
        say_hold(world, member, lane, its, what == SAY_HOLD);
    }
}

void words_say_any(struct world *world, int member)
{
    struct sim_lane *lane =
        &world->lanes.items[sim_between(world, 0, (int64_t)world->lanes.count - 1)];
    enum sim_say what = (enum sim_say)sim_between(world, SAY_TRY, SAY_LET_GO);
    if (world->members[member].shares[lane->partition].is_held) {
        say(world, member, lane, what);
    }
}

void words_say_all(struct world *world, bool is_skip)
{
    for (size_t i = 0; i < world->lanes.count; i++) {
        struct sim_lane *lane = &world->lanes.items[i];
        int member = world->sources[lane->partition].owner;
        bool is_here = member >= 0 && world->members[member].is_alive &&
                       world->members[member].shares[lane->partition].is_held;
        if (is_here && (lane->was_held || is_held_on_disk(world, lane))) {
            lane->was_held = false;
            say(world, member, lane, SAY_LET_GO);
        }
        if (is_here && is_skip && words_is_parked(world, lane)) {
            say(world, member, lane, SAY_SKIP);
        }
    }
}
