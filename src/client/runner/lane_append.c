#include "client/lane/lane_dead.h"
#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"

#include <stdio.h>

enum { AGAIN_MS = 1000, FULL_MS = 20, ERASE_AHEAD = 1000 };

int64_t lane_now_ms(const struct lane_runner *runner)
{
    return clock_mono_ms(runner->clock) + runner->wall_from_mono_ms;
}

/* --- records --- */

static void encode(struct lane_append *append, const struct lane_effect *effect, int64_t fence,
                   int64_t redrive)
{
    struct lane_record record = {
        .fence = fence, .offset = effect->offset, .name = effect->name, .note = effect->note};
    switch (effect->kind) {
    case LANE_OWN:
        record.kind = LANE_RECORD_MARK;
        break;
    case LANE_WRITE_ASIDE:
        record.kind = LANE_RECORD_ASIDE;
        record.event = lane_held_received(lane_held_of(effect->event))->event;
        break;
    case LANE_WRITE_NOTE:
        record.kind = LANE_RECORD_NOTE;
        break;
    case LANE_WRITE_CLOSE:
        record.kind = LANE_RECORD_CLOSE;
        break;
    case LANE_WRITE_FORGET:
        record.kind = LANE_RECORD_FORGET;
        break;
    case LANE_WRITE_DONE:
        record.kind = LANE_RECORD_DONE;
        record.event.key = effect->name.key;
        break;
    default:
        record.kind = LANE_RECORD_REDRIVEN;
        record.redriven = effect->was_done ? LANE_REDRIVEN_DONE : LANE_DEAD_AGAIN;
        record.number = redrive;
        break;
    }
    lane_record_write(&record, &append->value);
}

static void queue(struct lane_source *source, struct lane_append *append)
{
    DL_APPEND(source->appends, append);
    if (source->unsent == NULL) {
        source->unsent = append;
    }
}

void lane_append_effect(struct lane_source *source, const struct lane_effect *effect,
                        int64_t redrive)
{
    struct lane_append *append = mem_new(struct lane_append);
    append->source = source;
    append->has_effect = true;
    append->effect = *effect;
    encode(append, effect, source->fence, redrive);
    queue(source, append);
}

void lane_append_record(struct lane_source *source, const struct lane_record *record)
{
    struct lane_append *append = mem_new(struct lane_append);
    append->source = source;
    lane_record_write(record, &append->value);
    queue(source, append);
}

static void append_free(struct lane_append *append)
{
    buf_deinit(&append->value);
    free(append);
}

void lane_append_tell(struct lane_runner *runner, const struct lane_effect *effect,
                      int64_t position)
{
    switch (effect->kind) {
    case LANE_OWN: /* it counts when it is read */
        break;
    case LANE_WRITE_ASIDE:
        if (position >= 0) {
            lane_story_aside(runner, lane_held_of(effect->event));
        }
        if (lane_wrote_aside(runner->machine, effect->event, position)) {
            lane_held_detach(runner, lane_held_of(effect->event));
        }
        break;
    default:
        lane_marked(runner->machine, effect);
        break;
    }
}

static void stall(struct lane_runner *runner, struct lane_source *source, const char *why)
{
    source->append_at_ms = clock_mono_ms(runner->clock) + AGAIN_MS;
    if (!source->is_stalled) {
        source->is_stalled = true;
        lane_tell(runner, LANE_LOG_ERROR,
                  "%s/%d: records of its lanes cannot be written (%s); its progress waits for them "
                  "and they are tried again until they are there",
                  source->topic, (int)source->number, why);
    }
}

static bool send(struct lane_runner *runner, struct lane_source *source, struct lane_append *append,
                 struct client_error *error)
{
    struct buf key = {0};
    struct lane_share share = lane_source_share(source);
    struct lane_record_id id = append->erased;
    if (!append->is_erasure) {
        id = (struct lane_record_id){source->writer, ++source->serial};
    }
    lane_record_key_write(&(struct lane_record_key){.id = id,
                                                    .topic = slice_str(source->topic),
                                                    .partition = source->number},
                          &key);
    struct slice value = append->is_erasure ? (struct slice){0} : buf_slice(&append->value);
    append->is_sent = runner->bus.append(runner->bus.context, &share, buf_slice(&key), value,
                                         append, error) == CLIENT_OK;
    source->sent += append->is_sent;
    buf_deinit(&key);
    return append->is_sent;
}

static void queue_erasures(struct lane_source *source, int64_t now_ms)
{
    struct lane_record_id id;
    lane_book_grow_old(source->book, now_ms);
    while (source->is_restored && source->erasing < ERASE_AHEAD &&
           lane_book_next_erased(source->book, &id)) {
        struct lane_append *append = mem_new(struct lane_append);
        append->source = source;
        append->is_erasure = true;
        append->erased = id;
        source->erasing++;
        queue(source, append);
    }
}

int64_t lane_append_send(struct lane_runner *runner, struct lane_source *source)
{
    struct client_error error = {0};
    struct lane_append *append;
    int64_t now_ms = clock_mono_ms(runner->clock);
    queue_erasures(source, lane_now_ms(runner));
    if (source->append_at_ms != 0 && source->sent > 0) {
        return INT64_MAX; /* what is on its way is answered first */
    }
    if (now_ms < source->append_at_ms) {
        return source->append_at_ms;
    }
    source->append_at_ms = 0;
    for (append = source->unsent; append != NULL; append = append->next) {
        if (!append->is_sent && !append->is_durable && !send(runner, source, append, &error)) {
            source->unsent = append;
            if (error.status == CLIENT_FULL) {
                return now_ms + FULL_MS;
            }
            stall(runner, source, error.text);
            return source->sent > 0 ? INT64_MAX : source->append_at_ms;
        }
    }
    source->unsent = NULL;
    return INT64_MAX;
}

/* The first ones, as far as they are there. */
static void tell_durable(struct lane_runner *runner, struct lane_source *source)
{
    while (source->appends != NULL && source->appends->is_durable) {
        struct lane_append *append = source->appends;
        DL_DELETE(source->appends, append);
        source->erasing -= append->is_erasure;
        if (append->has_effect) {
            lane_append_tell(runner, &append->effect, append->position);
            runner->tally.aside += append->effect.kind == LANE_WRITE_ASIDE;
        }
        append_free(append);
    }
}

void lane_append_answered(struct lane_runner *runner, const struct lane_mail *mail)
{
    struct lane_append *append = mail->token;
    struct lane_source *source = append->source;
    if (source == NULL) {
        if (append->has_effect) {
            lane_append_tell(runner, &append->effect, mail->position);
        }
        append_free(append);
        return;
    }
    source->sent--;
    append->is_sent = false;
    if (mail->is_done) {
        append->is_durable = true;
        append->position = mail->position;
        if (source->is_stalled && source->append_at_ms == 0) {
            source->is_stalled = false;
            lane_tell(runner, LANE_LOG_INFO, "%s/%d: records of its lanes are written again",
                      source->topic, (int)source->number);
        }
        tell_durable(runner, source);
    } else {
        source->unsent = source->appends;
        stall(runner, source, mail->why);
    }
}

void lane_append_drop(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_append *append, *next;
    DL_FOREACH_SAFE (source->appends, append, next) {
        DL_DELETE(source->appends, append);
        append->source = NULL;
        if (append->is_sent) {
            continue; /* freed when it is answered */
        }
        if (append->has_effect) {
            lane_append_tell(runner, &append->effect, -1);
        }
        append_free(append);
    }
    source->sent = source->erasing = 0;
    source->unsent = NULL;
    source->append_at_ms = 0;
    source->is_stalled = false;
}

/* --- dead letters --- */

void lane_bury_again(struct lane_runner *runner, struct lane_held *held, const char *why)
{
    runner->bury_at_ms = clock_mono_ms(runner->clock) + AGAIN_MS;
    DL_APPEND(runner->burials, held);
    if (!runner->is_bury_stalled) {
        char place[160];
        runner->is_bury_stalled = true;
        lane_tell_place(&lane_held_received(held)->event, place, sizeof place);
        lane_tell(
            runner, LANE_LOG_ERROR,
            "the dead letter of %s cannot be written to %s (%s); progress waits for it and it "
            "is tried again until it is there",
            place, runner->dlq_topic, why);
    }
}

void lane_bury(struct lane_runner *runner, struct lane_held *held)
{
    struct arena arena = {0};
    struct event letter;
    struct client_error error = {0};
    const struct lane_said *said = &held->said;
    bool has_failed = held->failed_ms != 0;
    struct lane_death death = {
        .group = runner->settings.group,
        .handler =
            held->event.handler >= 0 ? runner->settings.handler_names[held->event.handler] : NULL,
        .error_class = has_failed ? said->error_class : NULL,
        .message = has_failed ? said->message : NULL,
        .attempts = held->event.attempt,
        .first_failure_ms =
            held->event.first_failed_ms != 0 ? held->event.first_failed_ms : held->failed_ms,
        .last_failure_ms = held->failed_ms,
        .closes_lane = held->closes_lane,
        .redrive = held->redrive,
    };
    lane_dead_letter(&lane_held_received(held)->event, &death, runner->dlq_topic, &arena, &letter);
    if (runner->bus.bury(runner->bus.context, &letter, held, &error) != CLIENT_OK) {
        lane_bury_again(runner, held, error.text);
    }
    arena_deinit(&arena);
}

void lane_bury_due(struct lane_runner *runner)
{
    struct lane_held *held, *next, *waiting = runner->burials;
    if (waiting == NULL || clock_mono_ms(runner->clock) < runner->bury_at_ms) {
        return;
    }
    runner->burials = NULL;
    DL_FOREACH_SAFE (waiting, held, next) {
        DL_DELETE(waiting, held);
        lane_bury(runner, held);
    }
}
