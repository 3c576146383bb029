#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"
#include "base/plural.h"
#include "base/random.h"

#include <stdio.h>

enum { NAME_SIZE = 288 };

struct lane_source *lane_source_find(struct lane_runner *runner, const struct lane_share *share)
{
    char name[NAME_SIZE];
    struct lane_source *source = runner->last; /* events come in runs */
    if (source != NULL && source->epoch == share->epoch && share->epoch != 0) {
        return source; /* no other one ever has this epoch */
    }
    if (source == NULL || source->number != share->partition ||
        strcmp(source->topic, share->topic) != 0) {
        snprintf(name, sizeof name, "%.250s/%d", share->topic, (int)share->partition);
        HASH_FIND_STR(runner->by_name, name, source);
        runner->last = source;
    }
    return source != NULL && source->epoch == share->epoch ? source : NULL;
}

struct lane_source *lane_source_get(struct lane_runner *runner, const struct lane_share *share)
{
    char name[NAME_SIZE];
    struct lane_source *source;
    snprintf(name, sizeof name, "%.250s/%d", share->topic, (int)share->partition);
    HASH_FIND_STR(runner->by_name, name, source);
    if (source == NULL) {
        source = mem_new(struct lane_source);
        source->name = mem_strdup(name);
        source->topic = mem_strdup(share->topic);
        source->number = share->partition;
        source->id = (int32_t)runner->sources.count;
        vec_push(&runner->sources, source);
        HASH_ADD_KEYPTR(hh, runner->by_name, source->name, strlen(source->name), source);
    }
    return source;
}

void lane_source_free(struct lane_source *source)
{
    lane_obey_drop(source);
    lane_book_free(source->book);
    free(source->name);
    free(source->topic);
    free(source);
}

/* --- what lanes.<group> says --- */

void lane_source_arrive(struct lane_runner *runner, struct lane_held *held)
{
    lane_arrive(runner->machine, &held->event);
    lane_story_waits(runner, held);
}

static void restore(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_held *held, *next;
    if (source->begins_anew) {
        size_t events = lane_book_forget(source->book);
        lane_tell(runner, LANE_LOG_WARN,
                  "%s/%d: the topic was deleted and made again: what was set aside of it is "
                  "forgotten (%zu event%s), and which of its lanes were closed",
                  source->topic, (int)source->number, events, plural_s(events));
    } else {
        lane_book_restore(source->book, runner->machine, source->id);
    }
    source->is_restored = true;
    lane_obey_restored(source);
    lane_restored(runner->machine, source->id, source->epoch);
    DL_FOREACH_SAFE (source->early, held, next) {
        DL_DELETE(source->early, held);
        lane_source_arrive(runner, held);
    }
    lane_source_reached(runner, source);
}

void lane_source_reached(struct lane_runner *runner, const struct lane_source *source)
{
    if (source->is_restored) { /* else events wait that come before it */
        lane_reached(runner->machine, source->id, source->epoch, source->reached);
    }
}

void lane_source_read(struct lane_runner *runner, const struct lane_mail *mail)
{
    struct lane_source *source = lane_source_find(runner, &mail->share);
    if (source == NULL) {
        return; /* of an ownership that ended */
    }
    if (mail->kind == LANE_MAIL_END) {
        lane_looked(runner->machine, source->id, source->epoch, lane_book_fence(source->book));
        return;
    }
    const struct lane_record *record = mail->is_erased ? NULL : &mail->record;
    lane_book_read(source->book, mail->id, record, mail->place);
    lane_obey_read(runner, source, mail);
    /* Behind a higher mark ours is that of an owner of before, who will learn it. */
    if (record != NULL && record->kind == LANE_RECORD_MARK && !source->is_restored &&
        mail->id.writer == source->writer && lane_book_fence(source->book) == source->fence) {
        restore(runner, source);
    }
}

/* --- events --- */

struct lane_held *lane_source_take(struct lane_runner *runner, struct received *received)
{
    struct lane_share share = {.topic = received->event.topic,
                               .partition = received->event.partition,
                               .epoch = received->epoch};
    struct lane_source *source = lane_source_find(runner, &share);
    if (source == NULL) {
        runner->bus.release(runner->bus.context, received);
        return NULL;
    }
    struct lane_held *held = lane_held_new(runner, source, received);
    if (!source->is_restored) {
        DL_APPEND(source->early, held); /* the reader is about to be paused */
        return NULL;
    }
    return held;
}

void lane_source_pause_due(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_share share = lane_source_share(source);
    if (source->wants_pause != source->is_paused &&
        runner->bus.pause(runner->bus.context, &share, source->wants_pause)) {
        source->is_paused = source->wants_pause;
    }
}

/* --- the end of an ownership --- */

/* Dead letters that wait to be sent again: nobody waits for them any more. */
static void drop_burials(struct lane_runner *runner, const struct lane_source *source)
{
    struct lane_held *held, *next;
    DL_FOREACH_SAFE (runner->burials, held, next) {
        if (held->source == source) {
            DL_DELETE(runner->burials, held);
            if (held->is_buried_again) {
                lane_redo_buried(runner, held, (struct lane_letter){-1, -1});
            } else {
                lane_wrote_dead(runner->machine, &held->event);
            }
        }
    }
}

void lane_source_lose(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_held *held, *next;
    struct lane_share share = lane_source_share(source);
    if (source->epoch == 0) {
        return;
    }
    lane_lose(runner->machine, source->id);
    lane_transact_drop(runner, source);
    lane_append_drop(runner, source);
    drop_burials(runner, source);
    lane_loads_drop(runner, source);
    lane_failures_drop(runner, source);
    DL_FOREACH_SAFE (source->early, held, next) {
        DL_DELETE(source->early, held);
        lane_held_free(runner, held);
    }
    lane_obey_drop(source);
    runner->bus.unwatch(runner->bus.context, &share);
    lane_book_free(source->book);
    source->book = NULL;
    source->epoch = source->fence = 0;
    source->is_restored = source->is_committing = false;
}
