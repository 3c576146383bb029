#include "client/runner/lane_runner_inside.h"

#include "base/plural.h"

#include <inttypes.h>

/* --- effects --- */

static void run(struct lane_runner *runner, const struct lane_effect *effect)
{
    struct lane_held *held = lane_held_of(effect->event);
    lane_hand_fill(held);
    lane_workers_give(runner, held);
}

static void commit(struct lane_runner *runner, struct lane_source *source,
                   const struct lane_effect *effect)
{
    struct lane_share share = lane_source_share(source);
    source->is_committing = true;
    lane_obey_commits(source, effect->offset, effect->metadata);
    if (runner->settings.transacts) {
        lane_transact_commit(runner, source, effect);
        return;
    }
    if (runner->bus.mark(runner->bus.context, &share, effect->offset, effect->metadata)) {
        runner->must_commit |= runner->is_letting_go;
    }
}

static void give_up(struct lane_runner *runner, const struct lane_effect *effect)
{
    const struct lane_held *held = lane_held_of(effect->event);
    char place[160];
    lane_tell_place(&lane_held_received(held)->event, place, sizeof place);
    client_fail(&runner->failure, CLIENT_FATAL, NULL, "%s is given up (%s), which ends the service",
                place, held->said.message);
}

static void tell_full(struct lane_runner *runner, const struct lane_source *source)
{
    struct lane_counts counts = lane_counts(runner->machine);
    lane_tell(runner, LANE_LOG_WARN,
              "%s/%d: no more is set aside (%zu lane%s %s open, with %" PRId64
              " bytes, in all partitions); it stands still until some are through",
              source->topic, (int)source->number, counts.open_lanes, plural_s(counts.open_lanes),
              plural_are(counts.open_lanes), counts.aside_bytes);
}

/* About a partition that is held. */
static void carry_of(struct lane_runner *runner, const struct lane_effect *effect)
{
    struct lane_source *source = runner->sources.items[effect->partition];
    struct lane_share share = lane_source_share(source);
    struct lane_held *held;
    switch (effect->kind) {
    case LANE_LOOK:
        runner->bus.watch(runner->bus.context, &share);
        break;
    case LANE_OWN:
        source->fence = effect->fence;
        lane_append_effect(source, effect, 0);
        break;
    case LANE_WRITE_DEAD:
        held = lane_held_of(effect->event);
        held->closes_lane = effect->closes_lane;
        lane_bury(runner, held);
        break;
    case LANE_COMMIT:
        commit(runner, source, effect);
        break;
    case LANE_PAUSE:
    case LANE_RESUME:
        source->wants_pause = effect->kind == LANE_PAUSE;
        break;
    case LANE_QUIET:
        source->is_quiet = true;
        break;
    case LANE_TELL_FULL:
        tell_full(runner, source);
        break;
    case LANE_WRITE_NOTE:
        lane_append_effect(source, effect, 0);
        lane_reason_noted(runner, source, effect);
        break;
    case LANE_WRITE_REDRIVEN:
        lane_append_effect(source, effect, lane_redo_ended(runner, source, effect));
        break;
    case LANE_WRITE_FORGET:
        lane_append_effect(source, effect, 0);
        lane_obey_forgotten(source, effect->offset);
        break;
    default:
        lane_append_effect(source, effect, 0);
        break;
    }
}

static void carry(struct lane_runner *runner, const struct lane_effect *effect)
{
    switch (effect->kind) {
    case LANE_RUN:
        run(runner, effect);
        break;
    case LANE_RELEASE:
        lane_redo_release(runner, lane_held_of(effect->event));
        break;
    case LANE_LOAD:
        lane_load_start(runner, effect);
        break;
    case LANE_TELL_DOWN:
    case LANE_TELL_UP:
        lane_tell_handler(runner, effect->handler, effect->kind == LANE_TELL_DOWN);
        break;
    case LANE_GIVE_UP:
        give_up(runner, effect);
        break;
    default:
        carry_of(runner, effect);
        break;
    }
}

static void carry_all(struct lane_runner *runner)
{
    struct lane_effect effect;
    while (lane_next_effect(runner->machine, &effect)) {
        carry(runner, &effect);
    }
    for (size_t i = 0; i < runner->sources.count; i++) {
        lane_obey_answer(runner, runner->sources.items[i]);
    }
}

/* Words, before the machine decides what runs next. */
static void obey(struct lane_runner *runner)
{
    for (size_t i = 0; i < runner->sources.count; i++) {
        struct lane_source *source = runner->sources.items[i];
        if (source->is_restored && !source->is_leaving) {
            lane_obey_due(runner, source);
            lane_redo_due(runner, source);
        }
    }
}

static bool is_letting_go_too_long(const struct lane_runner *runner)
{
    return runner->is_letting_go && clock_mono_ms(clock_system()) >= runner->let_go_until_ms;
}

void lane_carry_out(struct lane_runner *runner)
{
    int64_t due_ms;
    bool has_committed;
    obey(runner);
    lane_set_hands(runner->machine, lane_workers_hands(runner));
    int64_t transact_ms = lane_transact_due(runner);
    do {
        due_ms = lane_settle(runner->machine, lane_now_ms(runner));
        carry_all(runner);
        has_committed = runner->must_commit;
        runner->must_commit = false;
        if (has_committed) {
            runner->bus.commit(runner->bus.context); /* it is answered inside */
        }
    } while (has_committed && !is_letting_go_too_long(runner));
    lane_transact_send(runner);
    lane_workers_flush(runner);
    runner->due_ms = due_ms == INT64_MAX ? INT64_MAX : due_ms - runner->wall_from_mono_ms;
    runner->due_ms = transact_ms < runner->due_ms ? transact_ms : runner->due_ms;
    for (size_t i = 0; i < runner->sources.count; i++) {
        struct lane_source *source = runner->sources.items[i];
        if (source->epoch != 0) {
            int64_t its_ms = lane_append_send(runner, source);
            runner->due_ms = its_ms < runner->due_ms ? its_ms : runner->due_ms;
            lane_source_pause_due(runner, source);
            lane_retention_due(runner, source);
        }
    }
    lane_loads_due(runner);
    lane_bury_due(runner);
    lane_tell_due(runner, false);
    if (runner->settings.tick != NULL) {
        runner->settings.tick(runner->settings.context);
    }
}

/* --- mail --- */

static void take_result(struct lane_runner *runner, struct lane_held *held, int64_t now_ms)
{
    struct lane_said *said = &held->said;
    if (held->hand.publications != NULL) {
        if (held->source->epoch == held->event.epoch) {
            lane_transact_add(runner, held);
            return;
        }
        lane_transact_discard(runner, held);
    }
    if (said->verdict != LANE_DONE) {
        held->failed_ms = now_ms;
    }
    if (said->verdict == LANE_DONE && held->source->epoch == held->event.epoch) {
        lane_obey_done(held->source, held->event.offset);
    }
    if (held->source->epoch == held->event.epoch) {
        if (said->verdict == LANE_DONE) {
            lane_failure_forget(runner, held);
        } else if (held->redrive == 0) {
            lane_failure_keep(runner, held);
        }
    }
    lane_result(runner->machine, &held->event, said->verdict,
                said->retry_in_ms > 0 ? now_ms + said->retry_in_ms : 0, now_ms);
    lane_story_result(runner, held);
}

void lane_take_result(struct lane_runner *runner, struct lane_held *held)
{
    take_result(runner, held, lane_now_ms(runner));
}

static void take_results(struct lane_runner *runner, struct lane_held *ended)
{
    int64_t now_ms = lane_now_ms(runner);
    while (ended != NULL) {
        struct lane_held *held = ended;
        ended = ended->next;
        take_result(runner, held, now_ms);
    }
}

static void take_buried(struct lane_runner *runner, const struct lane_mail *mail)
{
    struct lane_held *held = mail->token;
    bool is_owned = held->source->epoch == held->event.epoch;
    if (!mail->is_done && is_owned) {
        lane_bury_again(runner, held, mail->why);
        return;
    }
    if (mail->is_done) {
        runner->is_bury_stalled = false;
    }
    if (held->is_buried_again) {
        int32_t partition = mail->is_done ? mail->partition : -1;
        lane_redo_buried(runner, held, (struct lane_letter){partition, mail->position});
        return;
    }
    if (mail->is_done) {
        lane_tell_dead(runner, held, held->closes_lane);
        if (!held->closes_lane) { /* else the lane's note is to have it */
            lane_failure_forget(runner, held);
        }
        const struct lane_wish *skip = is_owned ? lane_obey_buried(held->source, held) : NULL;
        lane_story_dead(runner, held, (struct lane_letter){mail->partition, mail->position}, skip);
    }
    lane_wrote_dead(runner->machine, &held->event);
}

static void read_start(struct lane_runner *runner, const struct lane_mail *mail)
{
    struct lane_source *source = lane_source_find(runner, &mail->share);
    if (source != NULL && !source->is_leaving) {
        lane_obey_start(source, mail->position);
    }
}

static void read_one(struct lane_runner *runner, struct lane_mail *mail)
{
    switch (mail->kind) {
    case LANE_MAIL_RESULT:
        lane_take_result(runner, mail->token);
        break;
    case LANE_MAIL_LATER:
        lane_put_by(runner->machine, &((struct lane_held *)mail->token)->event);
        break;
    case LANE_MAIL_RECORD:
    case LANE_MAIL_END:
        lane_source_read(runner, mail);
        break;
    case LANE_MAIL_LOADED:
        lane_load_answered(runner, mail);
        break;
    case LANE_MAIL_START:
        lane_retention_read(runner, mail);
        read_start(runner, mail);
        break;
    case LANE_MAIL_LETTER:
        lane_redo_loaded(runner, mail);
        break;
    case LANE_MAIL_APPENDED:
        lane_append_answered(runner, mail);
        break;
    case LANE_MAIL_BURIED:
        take_buried(runner, mail);
        break;
    case LANE_MAIL_TRANSACTED:
        take_results(runner, lane_transact_answered(runner, mail->token));
        break;
    }
}

void lane_read_mail(struct lane_runner *runner)
{
    struct lane_held *done = lane_workers_take(runner);
    struct lane_mail *mail = lane_mailbox_take(&runner->mailbox);
    take_results(runner, done);
    while (mail != NULL) {
        struct lane_mail *next = mail->next;
        read_one(runner, mail);
        lane_mail_free(mail);
        mail = next;
    }
}
