#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "client/lane/lane_metadata.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/*
 * Words of people (docs/formats.md, "lanes.<group>"): each is read by whoever owns, carried out,
 * and answered behind the records that make it durable. An owner that goes before that leaves it
 * open.
 */

enum { WISHES_MAX = 10000, TEXT_KEPT = 200, BOUNDS_EVERY_MS = 10000 };

/* --- wishes --- */

static struct lane_wish *find(struct lane_source *source, struct lane_record_id id)
{
    struct lane_wish *wish;
    HASH_FIND(hh, source->wishes, &id, sizeof id, wish);
    return wish;
}

static struct lane_wish **list_of(struct lane_source *source, const struct lane_wish *wish)
{
    return wish->verb == LANE_SAY_REDRIVE ? &source->redrives : &source->waiting;
}

static bool is_skipping(const struct lane_wish *wish)
{
    return wish->state == LANE_WISH_SKIPS || wish->state == LANE_WISH_CLOSES;
}

static void add(struct lane_source *source, struct lane_record_id id, const struct lane_word *word)
{
    struct lane_wish *wish = mem_new(struct lane_wish);
    struct slice who = word->who, why = word->why;
    wish->id = id;
    wish->verb = word->verb;
    wish->name.offset = word->name.offset;
    if (!slice_is_null(word->name.key)) {
        buf_append_slice(&wish->key, word->name.key);
        wish->name.key = wish->key.size > 0 ? buf_slice(&wish->key) : slice_str("");
    }
    wish->head = word->head;
    wish->letter = word->letter;
    wish->number = word->number;
    wish->new_letter = (struct lane_letter){-1, -1};
    wish->who = mem_strndup((const char *)who.data, who.size < TEXT_KEPT ? who.size : TEXT_KEPT);
    wish->why = mem_strndup((const char *)why.data, why.size < TEXT_KEPT ? why.size : TEXT_KEPT);
    if (HASH_COUNT(source->wishes) >= WISHES_MAX) {
        wish->refusal = "too many words wait; say it again later";
    }
    HASH_ADD(hh, source->wishes, id, sizeof wish->id, wish);
    DL_APPEND(*list_of(source, wish), wish);
}

static void forget(struct lane_source *source, struct lane_wish *wish)
{
    if (wish->state == LANE_WISH_WAITS) {
        DL_DELETE(*list_of(source, wish), wish);
    }
    if (wish->is_begun) {
        HASH_DELETE(by_head, source->begun, wish);
    }
    HASH_DELETE(hh, source->wishes, wish);
    buf_deinit(&wish->key);
    free(wish->who);
    free(wish->why);
    free(wish);
}

void lane_obey_drop(struct lane_source *source)
{
    struct lane_wish *wish, *next;
    HASH_ITER (hh, source->wishes, wish, next) {
        forget(source, wish);
    }
    free(source->commit_text);
    source->commit_text = NULL;
    source->answers = NULL;
    source->skips = 0;
    source->is_loading_letter = false;
    source->letter_at_ms = source->bounds_at_ms = 0;
}

/* --- reading --- */

void lane_obey_read(struct lane_runner *runner, struct lane_source *source,
                    const struct lane_mail *mail)
{
    (void)runner;
    enum lane_record_kind kind = mail->is_erased ? LANE_RECORD_MARK : mail->record.kind;
    struct lane_wish *wish;
    if (mail->is_erased) { /* of an open one: who said it takes it back */
        wish = find(source, mail->id);
        if (wish != NULL && wish->state == LANE_WISH_WAITS) {
            forget(source, wish);
        }
    } else if (kind == LANE_RECORD_WORD && lane_book_is_open(source->book, mail->id) &&
               find(source, mail->id) == NULL) {
        add(source, mail->id, &mail->record.word);
    } else if (kind == LANE_RECORD_ANSWER) {
        struct lane_record_id word = mail->record.answer.word;
        wish = find(source, word);
        if (wish != NULL && !lane_book_is_open(source->book, word) &&
            (wish->state == LANE_WISH_WAITS || wish->state == LANE_WISH_ANSWERED)) {
            forget(source, wish);
        }
    }
}

void lane_obey_restored(struct lane_source *source)
{
    struct lane_wish *wish, *next;
    HASH_ITER (hh, source->wishes, wish, next) {
        if (source->begins_anew) {
            wish->refusal = "the topic was deleted and made again since";
        }
    }
}

/* --- the end --- */

void lane_obey_end(struct lane_source *source, struct lane_wish *wish, enum lane_outcome outcome,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(wish->text, sizeof wish->text, format, args);
    va_end(args);
    if (wish->state == LANE_WISH_WAITS) {
        DL_DELETE(*list_of(source, wish), wish);
    }
    source->skips -= is_skipping(wish);
    wish->state = LANE_WISH_ANSWERED;
    wish->outcome = outcome;
    DL_APPEND(source->answers, wish);
}

static void tell(struct lane_runner *runner, const struct lane_source *source,
                 const struct lane_wish *wish)
{
    enum { KEY_SHOWN = 60 };
    struct buf text = {0};
    struct slice key = wish->name.key;
    buf_printf(&text, "word: %s of a lane of %s/%d", lane_verb_name(wish->verb), source->topic,
               (int)source->number);
    if (!slice_is_null(key)) {
        buf_append_str(&text, ", key ");
        utf8_escape(&text, slice_of(key.data, key.size < KEY_SHOWN ? key.size : KEY_SHOWN));
    }
    if (wish->who[0] != '\0') {
        buf_append_str(&text, ", said by ");
        utf8_escape(&text, slice_str(wish->who));
    }
    if (wish->why[0] != '\0') {
        buf_append_str(&text, " (");
        utf8_escape(&text, slice_str(wish->why));
        buf_append_str(&text, ")");
    }
    lane_tell(runner, LANE_LOG_INFO, "%s: %s: %s", buf_cstr(&text),
              lane_outcome_name(wish->outcome), wish->text);
    buf_deinit(&text);
}

void lane_obey_answer(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_wish *wish, *next;
    DL_FOREACH_SAFE (source->answers, wish, next) {
        const struct lane_record record = {.kind = LANE_RECORD_ANSWER,
                                           .fence = source->fence,
                                           .answer = {.word = wish->id,
                                                      .outcome = wish->outcome,
                                                      .letter = wish->new_letter,
                                                      .text = slice_str(wish->text),
                                                      .time_ms = lane_now_ms(runner)}};
        DL_DELETE(source->answers, wish);
        if (wish->verb == LANE_SAY_HOLD && wish->outcome == LANE_CARRIED_OUT) {
            lane_reason_held(runner, source, wish); /* its note is queued */
        }
        lane_append_record(source, &record);
        if (wish->verb != LANE_SAY_REDRIVE) { /* those are counted */
            tell(runner, source, wish);
        }
    }
}

/* --- carrying out --- */

/* What lies before the next arrival is known; what does not is still to come. */
static bool is_to_come(struct lane_runner *runner, const struct lane_source *source, int64_t offset)
{
    int64_t next = 0;
    return lane_progress(runner->machine, source->id, &next) >= 0 && offset >= next;
}

/* Whoever redrives it later finds that its lane was opened without it, and not that an owner died
 * before it had closed the lane. It stands before the note that opens the lane. */
static void note_left_dead(struct lane_source *source, int64_t offset)
{
    enum lane_redriven how;
    struct lane_record record = {.kind = LANE_RECORD_REDRIVEN,
                                 .fence = source->fence,
                                 .offset = offset,
                                 .redriven = LANE_LEFT_DEAD};
    (void)lane_book_redriven(source->book, offset, &how, &record.number);
    lane_append_record(source, &record);
}

static void skip(struct lane_runner *runner, struct lane_source *source, struct lane_wish *wish)
{
    struct lane *lane;
    bool is_there = lane_find(runner->machine, source->id, wish->name, &lane);
    bool is_parked = is_there && lane_parked_at(lane) == wish->head;
    if (is_there && lane_skip_head(runner->machine, lane, wish->head)) {
        if (is_parked) {
            note_left_dead(source, wish->head);
            lane_obey_end(source, wish, LANE_CARRIED_OUT,
                          "the lane is open again without event %" PRId64 ", which stays dead",
                          wish->head);
        } else {
            DL_DELETE(source->waiting, wish);
            wish->state = LANE_WISH_SKIPS;
            source->skips++;
        }
    } else if (!is_to_come(runner, source, wish->head)) {
        lane_obey_end(source, wish, LANE_NOTHING_TO_DO,
                      "event %" PRId64 " is not at the head of this lane: it is done, dead or "
                      "skipped, or another one is tried first",
                      wish->head);
    }
}

static void begin(struct lane_runner *runner, struct lane_source *source, struct lane_wish *wish)
{
    struct lane_machine *machine = runner->machine;
    struct lane *lane;
    if (wish->refusal != NULL) {
        lane_obey_end(source, wish, LANE_REFUSED, "%s", wish->refusal);
        return;
    }
    switch (wish->verb) {
    case LANE_SAY_SKIP:
        skip(runner, source, wish);
        break;
    case LANE_SAY_HOLD:
        if (lane_reach(machine, source->id, wish->name, &lane)) {
            lane_hold(machine, lane);
            lane_obey_end(source, wish, LANE_CARRIED_OUT, "nothing of it is started");
        } else {
            lane_obey_end(source, wish, LANE_REFUSED,
                          "there is no such lane: the service keeps another order, or nothing of "
                          "it waits");
        }
        break;
    case LANE_SAY_RELEASE:
        if (lane_find(machine, source->id, wish->name, &lane)) {
            bool is_parked = lane_parked_at(lane) >= 0;
            lane_let_go(machine, lane);
            lane_obey_end(source, wish, LANE_CARRIED_OUT, "nobody holds it%s",
                          is_parked ? "; it stays closed behind its dead event" : "");
        } else {
            lane_obey_end(source, wish, LANE_NOTHING_TO_DO, "nobody holds it");
        }
        break;
    default: /* LANE_SAY_RETRY */
        if (!lane_find(machine, source->id, wish->name, &lane)) {
            lane_obey_end(source, wish, LANE_NOTHING_TO_DO, "nothing of it waits");
        } else if (lane_parked_at(lane) >= 0) {
            lane_obey_end(source, wish, LANE_NOTHING_TO_DO,
                          "its head, event %" PRId64 ", is dead: redrive or skip it",
                          lane_parked_at(lane));
        } else {
            lane_try_now(machine, lane);
            lane_obey_end(source, wish, LANE_CARRIED_OUT,
                          "its head is tried as soon as a worker is free");
        }
        break;
    }
}

/* Skips of what has not come wait; retention may take it before. */
static void ask_bounds(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_share share = lane_source_share(source);
    int64_t now_ms = clock_mono_ms(runner->clock);
    if (runner->bus.bounds != NULL && now_ms >= source->bounds_at_ms) {
        source->bounds_at_ms = now_ms + BOUNDS_EVERY_MS;
        runner->bus.bounds(runner->bus.context, &share);
    }
}

void lane_obey_due(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_wish *wish, *next;
    DL_FOREACH_SAFE (source->waiting, wish, next) {
        begin(runner, source, wish);
    }
    if (source->waiting != NULL) {
        ask_bounds(runner, source);
    }
}

void lane_obey_start(struct lane_source *source, int64_t start)
{
    struct lane_wish *wish, *next;
    DL_FOREACH_SAFE (source->waiting, wish, next) {
        if (wish->verb == LANE_SAY_SKIP && wish->head < start) {
            lane_obey_end(source, wish, LANE_NOTHING_TO_DO,
                          "event %" PRId64 " is gone: the partition begins at %" PRId64, wish->head,
                          start);
        }
    }
}

/* --- skips --- */

/* The next one of this state whose head it is; NULL: none. */
static struct lane_wish *skip_of(struct lane_source *source, enum lane_wish_state state,
                                 int64_t offset)
{
    struct lane_wish *wish = source->skips > 0 ? source->wishes : NULL;
    while (wish != NULL && (wish->state != state || wish->head != offset)) {
        wish = wish->hh.next;
    }
    return wish;
}

void lane_obey_done(struct lane_source *source, int64_t offset)
{
    struct lane_wish *wish;
    while ((wish = skip_of(source, LANE_WISH_SKIPS, offset)) != NULL) {
        lane_obey_end(source, wish, LANE_NOTHING_TO_DO,
                      "event %" PRId64 " was done before it could be skipped", offset);
    }
}

const struct lane_wish *lane_obey_buried(struct lane_source *source, const struct lane_held *held)
{
    const struct lane_wish *last = NULL;
    struct lane_wish *wish;
    while ((wish = skip_of(source, LANE_WISH_SKIPS, held->event.offset)) != NULL) {
        wish->state = LANE_WISH_CLOSES;
        wish->is_aside = held->event.keep == LANE_ASIDE;
        last = wish;
    }
    return last;
}

static void end_skip(struct lane_source *source, struct lane_wish *wish)
{
    lane_obey_end(source, wish, LANE_CARRIED_OUT,
                  "event %" PRId64 " is in the dead letters, and its lane goes on", wish->head);
}

void lane_obey_redriven(struct lane_source *source, int64_t offset)
{
    struct lane_wish *wish;
    while ((wish = skip_of(source, LANE_WISH_SKIPS, offset)) != NULL) {
        lane_obey_end(source, wish, LANE_CARRIED_OUT,
                      "the redrive of event %" PRId64 " is over, and it stays dead", offset);
    }
}

void lane_obey_forgotten(struct lane_source *source, int64_t offset)
{
    struct lane_wish *wish;
    while ((wish = skip_of(source, LANE_WISH_CLOSES, offset)) != NULL && wish->is_aside) {
        end_skip(source, wish);
    }
}

void lane_obey_commits(struct lane_source *source, int64_t offset, const char *text)
{
    free(source->commit_text);
    source->commit_text = source->skips > 0 ? mem_strdup(text) : NULL;
    source->commit_offset = offset;
}

static bool is_told(const struct lane_ranges *done, int64_t offset)
{
    bool is_in = false;
    for (size_t i = 0; i < done->count; i++) {
        is_in |= offset >= done->items[i].from && offset < done->items[i].to;
    }
    return is_in;
}

/* A head that was dead and open in its source would be tried again by the next owner. */
void lane_obey_committed(struct lane_source *source)
{
    struct lane_ranges done = {0};
    struct lane_wish *wish, *next;
    if (source->commit_text == NULL) {
        return;
    }
    (void)lane_metadata_decode(source->commit_text, source->commit_offset, &done);
    HASH_ITER (hh, source->wishes, wish, next) {
        if (wish->state == LANE_WISH_CLOSES && !wish->is_aside &&
            (wish->head < source->commit_offset || is_told(&done, wish->head))) {
            end_skip(source, wish);
        }
    }
    vec_deinit(&done);
    free(source->commit_text);
    source->commit_text = NULL;
}
