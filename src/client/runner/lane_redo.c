#include "client/lane/lane_dead.h"
#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"

#include <inttypes.h>

/*
 * Dead events that are tried again, by words: their letters are read from dlq.<group> one at a time
 * in the order of the words, go through their lanes, and end with a record (6) that has the number
 * of the redrive. One that is dead again gets a new letter.
 */

enum { LETTER_AGAIN_MS = 1000, MEMORY_SHARE = 4 /* of the intake, a quarter */ };

/* A letter that is read. */
struct redo_load {
    struct lane_source *source;
    int64_t epoch;
    struct lane_record_id word;
};

static struct lane_wish *begun_of(struct lane_source *source, int64_t head)
{
    struct lane_wish *wish;
    HASH_FIND(by_head, source->begun, &head, sizeof head, wish);
    return wish;
}

static bool has_room(const struct lane_runner *runner)
{
    const struct lane_settings *lanes = &runner->settings.lanes;
    return runner->redriven_events == 0 ||
           (runner->redriven_events < lanes->intake_events / MEMORY_SHARE &&
            runner->redriven_bytes < lanes->intake_bytes / MEMORY_SHARE);
}

/* It was carried out, by a word that was sent before. */
static bool was_ended(struct lane_source *source, struct lane_wish *wish)
{
    enum lane_redriven how;
    int64_t number;
    if (!lane_book_redriven(source->book, wish->head, &how, &number) || number < wish->number) {
        return false;
    }
    lane_obey_end(source, wish, how == LANE_REDRIVEN_DONE ? LANE_CARRIED_OUT : LANE_FAILED_AGAIN,
                  "redrive %" PRId64 " of event %" PRId64 " %s before", number, wish->head,
                  how == LANE_REDRIVEN_DONE ? "was done" : "failed");
    return true;
}

static void load(struct lane_runner *runner, struct lane_source *source, struct lane_wish *wish)
{
    struct lane_share share = lane_source_share(source);
    struct redo_load *load = mem_new(struct redo_load);
    *load = (struct redo_load){source, source->epoch, wish->id};
    DL_DELETE(source->redrives, wish);
    wish->state = LANE_WISH_LOADS;
    wish->is_begun = true;
    HASH_ADD(by_head, source->begun, head, sizeof wish->head, wish);
    source->is_loading_letter = true;
    runner->bus.load_letter(runner->bus.context, &share, wish->letter, load);
}

void lane_redo_due(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_wish *wish, *next;
    int64_t now_ms = clock_mono_ms(runner->clock);
    DL_FOREACH_SAFE (source->redrives, wish, next) {
        if (source->is_loading_letter || now_ms < source->letter_at_ms || !has_room(runner)) {
            return;
        }
        if (wish->refusal != NULL) {
            lane_obey_end(source, wish, LANE_REFUSED, "%s", wish->refusal);
        } else if (!was_ended(source, wish) && begun_of(source, wish->head) == NULL) {
            load(runner, source, wish);
        } /* else one of the same event is under way: this one is asked again when it is over */
    }
}

/* --- its letter --- */

static void wait_again(struct lane_runner *runner, struct lane_source *source,
                       struct lane_wish *wish, const char *why)
{
    if (source->letter_at_ms == 0) {
        lane_tell(runner, LANE_LOG_ERROR,
                  "the dead letter %d:%" PRId64 " cannot be read (%s); redrives of %s/%d wait and "
                  "it is tried again",
                  (int)wish->letter.partition, wish->letter.offset, why, source->topic,
                  (int)source->number);
    }
    source->letter_at_ms = clock_mono_ms(runner->clock) + LETTER_AGAIN_MS;
    HASH_DELETE(by_head, source->begun, wish);
    wish->is_begun = false;
    wish->state = LANE_WISH_WAITS;
    DL_PREPEND(source->redrives, wish);
}

static bool is_of(const struct lane_runner *runner, const struct lane_source *source,
                  const struct lane_wish *wish, const struct event *letter,
                  const struct lane_dead_place *place)
{
    const struct event_header *group = event_header_find(letter, "__dlq.errors.group");
    return strcmp(place->topic, source->topic) == 0 && place->partition == source->number &&
           place->offset == wish->head && group != NULL &&
           slice_equal_str(group->value, runner->settings.group);
}

static void run(struct lane_runner *runner, struct lane_source *source, struct lane_wish *wish,
                struct lane_held *held, bool closes_lane)
{
    enum lane_redriven how;
    int64_t number;
    bool was_left =
        lane_book_redriven(source->book, wish->head, &how, &number) && how == LANE_LEFT_DEAD;
    held->redrive = wish->number;
    held->event.closes_lane = closes_lane && !was_left;
    wish->state = LANE_WISH_RUNS;
    wish->held = held;
    runner->redriven_events++;
    runner->redriven_bytes += held->event.bytes;
    lane_redrive(runner->machine, &held->event);
}

static void begin(struct lane_runner *runner, struct lane_source *source, struct lane_wish *wish,
                  struct lane_mail *mail)
{
    struct event event;
    struct lane_dead_place place;
    if (!lane_dead_event(&mail->record.event, &event, &place) ||
        !is_of(runner, source, wish, &mail->record.event, &place)) {
        lane_obey_end(source, wish, LANE_REFUSED,
                      "the dead letter %d:%" PRId64 " is not of event %" PRId64
                      " of %.100s/%d and this group",
                      (int)wish->letter.partition, wish->letter.offset, wish->head, source->topic,
                      (int)source->number);
        return;
    }
    mail->record.event = event;
    struct lane_held *held = lane_held_load(runner, source, mail);
    if (held->event.handler < 0) {
        lane_held_free(runner, held);
        lane_obey_end(source, wish, LANE_REFUSED, "no handler of this service is for it");
        return;
    }
    run(runner, source, wish, held, place.closes_lane);
}

void lane_redo_loaded(struct lane_runner *runner, struct lane_mail *mail)
{
    struct redo_load *load = mail->token;
    struct lane_source *source = load->source;
    struct lane_wish *wish = NULL;
    if (source->epoch == load->epoch) {
        source->is_loading_letter = false;
        HASH_FIND(hh, source->wishes, &load->word, sizeof load->word, wish);
    }
    free(load);
    if (wish == NULL) {
        return;
    }
    if (mail->is_done) {
        source->letter_at_ms = 0;
        begin(runner, source, wish, mail);
    } else if (mail->is_gone) {
        lane_obey_end(source, wish, LANE_REFUSED,
                      "there is no dead letter %d:%" PRId64 " (any more)",
                      (int)wish->letter.partition, wish->letter.offset);
    } else {
        wait_again(runner, source, wish, mail->why);
    }
}

/* --- its end --- */

int64_t lane_redo_ended(struct lane_runner *runner, struct lane_source *source,
                        const struct lane_effect *effect)
{
    struct lane_wish *wish = begun_of(source, effect->offset);
    if (wish == NULL || wish->held == NULL) {
        return 0;
    }
    struct lane_held *held = wish->held;
    wish->held = NULL;
    if (effect->was_done) {
        runner->tally.redone++;
        lane_story_redriven(runner, held, (struct lane_letter){-1, -1});
        lane_obey_end(source, wish, LANE_CARRIED_OUT, "done at attempt %d", held->event.attempt);
    } else if (held->failed_ms != 0) {
        held->is_buried_again = true; /* answered when it is there */
        held->closes_lane = held->event.closes_lane;
        lane_bury(runner, held);
    } else {
        lane_obey_end(source, wish, LANE_NOTHING_TO_DO,
                      "event %" PRId64 " was not tried: it is no dead one that waits, or a word "
                      "ended it",
                      effect->offset);
    }
    lane_obey_redriven(source, effect->offset);
    return wish->number;
}

void lane_redo_release(struct lane_runner *runner, struct lane_held *held)
{
    if (held->redrive > 0) {
        runner->redriven_events--;
        runner->redriven_bytes -= held->event.bytes;
    }
    if (!held->is_buried_again) {
        lane_held_free(runner, held);
    }
}

void lane_redo_buried(struct lane_runner *runner, struct lane_held *held, struct lane_letter letter)
{
    struct lane_source *source = held->source;
    bool is_owned = source->epoch == held->event.epoch;
    struct lane_wish *wish = is_owned ? begun_of(source, held->event.offset) : NULL;
    if (wish != NULL && wish->state == LANE_WISH_RUNS && wish->held == NULL) {
        runner->tally.failed_again++;
        lane_tell_place(&lane_held_received(held)->event, runner->tally.last,
                        sizeof runner->tally.last);
        wish->new_letter = letter;
        lane_story_redriven(runner, held, letter);
        lane_obey_end(source, wish, LANE_FAILED_AGAIN, "%.60s: %.120s", held->said.error_class,
                      held->said.message);
    }
    lane_held_free(runner, held);
}
