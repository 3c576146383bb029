#include "client/runner/lane_runner_inside.h"

/*
 * What happens to events that do not simply go through, told to whoever keeps an account of it
 * (lane_runner_settings.story). Everything here is on the poll thread, and costs nothing when
 * nobody does.
 */

enum { BEHIND_TOLD = 20 }; /* of those that wait in memory when their head fails first */

static struct lane_story story_of(const struct lane_runner *runner, enum outcome_kind kind,
                                  const struct lane_held *held)
{
    return (struct lane_story){.kind = kind,
                               .event = &lane_held_received(held)->event,
                               .handler = held->event.handler >= 0
                                              ? runner->settings.handler_names[held->event.handler]
                                              : NULL,
                               .said = NULL,
                               .counted = -1,
                               .took_ms = -1,
                               .behind = -1,
                               .letter = {-1, -1},
                               .closes_lane = -1,
                               .redrive = held->redrive > 0 ? held->redrive : -1};
}

static void tell(const struct lane_runner *runner, const struct lane_story *story)
{
    runner->settings.story(runner->settings.context, story);
}

void lane_story_waits(struct lane_runner *runner, const struct lane_held *held)
{
    if (runner->settings.story == NULL) {
        return;
    }
    bool goes_aside;
    int64_t behind = lane_behind(&held->event, &goes_aside);
    if (behind >= 0 && !goes_aside) {
        struct lane_story story = story_of(runner, OUTCOME_WAITS, held);
        story.behind = behind;
        tell(runner, &story);
    }
}

/* Those that came before their head failed. */
static void tell_behind(struct lane_runner *runner, const struct lane_held *head)
{
    struct lane_event *event = head->event.keep == LANE_IN_SOURCE ? head->event.next : NULL;
    for (int i = 0; event != NULL && i < BEHIND_TOLD; i++) {
        lane_story_waits(runner, lane_held_of(event));
        event = event->next;
    }
}

static void failed(struct lane_runner *runner, const struct lane_held *held)
{
    struct lane_outlook outlook;
    struct lane_story story = story_of(runner, OUTCOME_FAILED, held);
    story.said = &held->said;
    story.attempt = held->hand.attempt;
    story.took_ms = held->hand.took_ms;
    if (lane_outlook(runner->machine, &held->event, &outlook)) {
        story.counted = outlook.attempts;
        story.is_down = outlook.is_down;
        story.next_ms = outlook.is_given_up || outlook.is_down ? 0 : outlook.due_ms;
    }
    tell(runner, &story);
    if (held->hand.first_failed_ms == 0) {
        tell_behind(runner, held);
    }
}

void lane_story_result(struct lane_runner *runner, const struct lane_held *held)
{
    const struct lane_hand *hand = &held->hand;
    bool is_owned = held->source->epoch == held->event.epoch;
    if (runner->settings.story == NULL || !is_owned) {
        return;
    }
    if (held->said.verdict != LANE_DONE) {
        failed(runner, held);
    } else if (hand->redrive == 0 &&
               (hand->attempt > 1 || hand->is_slow || held->event.keep == LANE_ASIDE)) {
        struct lane_story story = story_of(runner, OUTCOME_DONE, held);
        story.said = &held->said;
        story.attempt = hand->attempt;
        story.took_ms = hand->took_ms;
        tell(runner, &story);
    }
}

void lane_story_aside(struct lane_runner *runner, const struct lane_held *held)
{
    if (runner->settings.story != NULL && held->event.lane != NULL) {
        struct lane_story story = story_of(runner, OUTCOME_ASIDE, held);
        story.behind = lane_behind(&held->event, NULL);
        tell(runner, &story);
    }
}

void lane_story_dead(struct lane_runner *runner, const struct lane_held *held,
                     struct lane_letter letter, const struct lane_wish *skip)
{
    if (runner->settings.story == NULL) {
        return;
    }
    struct lane_story story = story_of(runner, skip != NULL ? OUTCOME_SKIPPED : OUTCOME_DEAD, held);
    story.said = held->failed_ms != 0 ? &held->said : NULL;
    story.attempt = held->event.attempt;
    story.letter = letter;
    story.closes_lane = held->closes_lane;
    story.who = skip != NULL ? skip->who : NULL;
    story.why = skip != NULL ? skip->why : NULL;
    tell(runner, &story);
}

void lane_story_redriven(struct lane_runner *runner, const struct lane_held *held,
                         struct lane_letter letter)
{
    if (runner->settings.story == NULL) {
        return;
    }
    struct lane_story story = story_of(runner, OUTCOME_REDRIVEN, held);
    story.said = &held->said;
    story.attempt = held->event.attempt;
    story.letter = letter;
    tell(runner, &story);
}

void lane_story_handler(struct lane_runner *runner, int handler, int64_t down_since_ms)
{
    if (runner->settings.story == NULL) {
        return;
    }
    struct lane_story story = {.kind = down_since_ms == 0 ? OUTCOME_DOWN : OUTCOME_UP,
                               .handler = runner->settings.handler_names[handler],
                               .counted = -1,
                               .took_ms = -1,
                               .behind = -1,
                               .letter = {-1, -1},
                               .closes_lane = -1,
                               .redrive = -1,
                               .since_ms = down_since_ms};
    tell(runner, &story);
}
