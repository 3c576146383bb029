#include "client/lane_kafka/outcome_log.h"

#include "base/utf8.h"

/* The story of a runner of lanes as outcomes. */

static const char *verdict_of(const struct lane_story *story)
{
    static const char *const words[] = {
        [LANE_DONE] = "done", [LANE_RETRY] = "retry", [LANE_REJECT] = "reject"};
    if (story->said == NULL) {
        return NULL;
    }
    return story->kind != OUTCOME_REDRIVEN || story->said->verdict == LANE_DONE
               ? words[story->said->verdict]
               : "dead";
}

/* Who it is about. Borrows from the arena and the event. */
static void set_event(struct outcome *outcome, const struct event *event, struct buf *key,
                      struct arena *arena)
{
    struct event from = *event;
    (void)!event_unwrap(&from, arena, NULL); /* one that cannot be is shown as it is */
    struct event_attributes attributes = event_attributes(&from);
    outcome->topic = event->topic;
    outcome->partition = event->partition;
    outcome->offset = event->offset;
    outcome->id = attributes.id;
    outcome->source = attributes.source;
    outcome->type = attributes.type;
    if (!slice_is_null(event->key)) {
        buf_append_slice(key, event->key);
        outcome->key = buf_cstr(key);
    }
}

static void set_letter(struct outcome *outcome, const struct lane_story *story)
{
    outcome->letter_partition = story->letter.partition;
    outcome->letter_offset = story->letter.offset;
    outcome->closes_lane = story->closes_lane;
}

void outcome_log_story(struct outcome_log *log, const struct lane_story *story)
{
    const struct outcome_log_settings *settings = outcome_log_settings(log);
    if (!outcome_log_allows(log, story->kind)) {
        return;
    }
    struct arena arena = {0};
    struct buf key = {0};
    struct outcome outcome = outcome_log_blank(log, story->kind);
    if (story->event != NULL) {
        set_event(&outcome, story->event, &key, &arena);
    }
    outcome.handler = story->handler;
    outcome.verdict = verdict_of(story);
    outcome.attempt = story->attempt > 0 ? story->attempt : -1;
    outcome.counted = story->counted;
    outcome.most = story->counted >= 0 ? settings->attempts : -1;
    outcome.next_ms = story->next_ms;
    outcome.since_ms = story->since_ms;
    outcome.is_down = story->is_down;
    outcome.took_ms = story->took_ms > 0 ? story->took_ms : -1;
    outcome.behind = story->behind;
    outcome.redrive = story->redrive;
    outcome.who = story->who;
    outcome.why = story->why;
    if (story->said != NULL && story->said->verdict != LANE_DONE) {
        outcome.error_class = story->said->error_class;
        outcome.message = story->said->message;
    }
    set_letter(&outcome, story);
    outcome_log_add(log, &outcome);
    buf_deinit(&key);
    arena_deinit(&arena);
}
