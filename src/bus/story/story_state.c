#include "bus/story/story_state.h"

#include <assert.h>

/* Clocks of publishers and of the bus agree within that. */
enum { CLOCKS_MS = 60000 };

struct judging {
    const struct story_evidence_of_place *place;
    const struct story_evidence_of_group *group;
    struct story_verdict *verdict;
    int64_t now_ms;
    bool is_passed;
    const struct outcome *last; /* told of it, and of its present run through the group; or NULL */
};

static void note(struct judging *judging, enum story_evidence evidence, const char *text,
                 int64_t at_ms)
{
    struct story_verdict *verdict = judging->verdict;
    if (verdict->note_count < STORY_NOTES_MAX) {
        verdict->notes[verdict->note_count++] = (struct story_note){evidence, text, at_ms};
    }
}

static void say(struct judging *judging, enum story_state state, enum story_evidence evidence,
                int64_t at_ms)
{
    judging->verdict->state = state;
    judging->verdict->evidence = evidence;
    judging->verdict->at_ms = at_ms;
}

/* Of two times that are known, the first lies before the second whatever the clocks say. */
static bool is_before(int64_t first_ms, int64_t second_ms)
{
    return first_ms > 0 && second_ms > 0 && second_ms - first_ms > CLOCKS_MS;
}

/* --- commits --- */

/* A commit that lies beyond the partition's end was made in an earlier life of the topic. */
static bool is_of_another_life(const struct judging *judging)
{
    const struct story_evidence_of_place *place = judging->place;
    const struct story_evidence_of_group *group = judging->group;
    return group->is_commit_known && place->end >= 0 && group->committed > place->end;
}

/* Its commits ended before the event was there. */
static bool is_older_than_event(const struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    return group->has_history && group->history.state == COMMIT_PASSED &&
           is_before(group->history.committed_ms, judging->place->time_ms);
}

static bool is_beyond(const struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    if (group->is_commit_known) {
        return group->committed > judging->place->offset || group->is_done_beyond;
    }
    return group->has_history && group->history.state == COMMIT_PASSED;
}

/* It was passed by then, and was not yet; 0: not known. */
static void set_passed_time(struct judging *judging)
{
    const struct commit_answer *history = &judging->group->history;
    bool is_known = judging->group->has_history && history->state == COMMIT_PASSED &&
                    !is_before(history->passed_ms, judging->place->time_ms);
    judging->verdict->at_ms = is_known ? history->passed_ms : 0;
    judging->verdict->not_before_ms = is_known ? history->not_before_ms : 0;
}

/* When the group went back to before the event; 0: it did not. */
static int64_t went_back_ms(const struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    bool is_known = group->has_history && group->history.state == COMMIT_BEFORE;
    return is_known && !judging->is_passed ? group->history.went_back_ms : 0;
}

/* --- what was told --- */

/* Told of this event, and not of one that stood there in an earlier life of the topic. */
static bool is_about_event(const struct judging *judging, const struct outcome *outcome)
{
    const struct story_evidence_of_place *place = judging->place;
    bool is_other = place->id != NULL && outcome->id != NULL && strcmp(place->id, outcome->id) != 0;
    return outcome->kind != OUTCOME_DOWN && outcome->kind != OUTCOME_UP &&
           outcome->kind != OUTCOME_LEFT_OUT && outcome->kind != OUTCOME_HANDLES && !is_other &&
           !is_before(outcome->time_ms, place->time_ms);
}

static void find_last_told(struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    int64_t since_ms = went_back_ms(judging);
    for (size_t i = group->told_count; i-- > 0 && judging->last == NULL;) {
        if (is_about_event(judging, &group->told[i]) && group->told[i].time_ms >= since_ms) {
            judging->last = &group->told[i];
        }
    }
}

static void take_texts(struct judging *judging, const struct outcome *from)
{
    struct story_verdict *verdict = judging->verdict;
    verdict->handler = from->handler;
    verdict->member = from->member;
    verdict->error_class = from->error_class;
    verdict->message = from->message;
    verdict->who = from->who;
    verdict->why = from->why;
}

/* A redrive of it is over, and it is done. */
static bool tells_of_redrive(const struct judging *judging, const struct outcome *outcome)
{
    return outcome->kind == OUTCOME_REDRIVEN && is_about_event(judging, outcome) &&
           outcome->verdict != NULL && strcmp(outcome->verdict, "done") == 0;
}

/* The newest failure, for words about why it waits. */
static const struct outcome *last_failure(const struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    for (size_t i = group->told_count; i-- > 0;) {
        if (group->told[i].kind == OUTCOME_FAILED && is_about_event(judging, &group->told[i])) {
            return &group->told[i];
        }
    }
    return NULL;
}

static void take_failure(struct judging *judging)
{
    const struct outcome *failure = last_failure(judging);
    if (failure != NULL) {
        take_texts(judging, failure);
        judging->verdict->attempt = failure->counted >= 0 ? failure->counted : failure->attempt;
        judging->verdict->most = failure->most;
        judging->verdict->next_ms = failure->next_ms;
        judging->verdict->is_down = failure->is_down;
    }
}

static void say_dead_as_told(struct judging *judging)
{
    const struct outcome *last = judging->last;
    say(judging, STORY_DEAD, STORY_TOLD, last->time_ms);
    take_failure(judging);
    take_texts(judging, last);
    judging->verdict->letter_partition = last->letter_partition;
    judging->verdict->letter_offset = last->letter_offset;
    if (judging->group->letters == STORY_PART_KNOWN) {
        note(judging, STORY_RECORDED, "its dead letter is not there any more", 0);
    }
}

/* What was told last is how it ended. */
static bool judge_told_end(struct judging *judging)
{
    const struct outcome *last = judging->last;
    if (last == NULL) {
        return false;
    }
    bool is_redriven = last->kind == OUTCOME_REDRIVEN;
    bool is_done = tells_of_redrive(judging, last);
    if (last->kind == OUTCOME_DEAD || (is_redriven && !is_done)) {
        say_dead_as_told(judging);
    } else if (is_redriven) {
        say(judging, STORY_REDRIVEN, STORY_TOLD, last->time_ms);
        take_texts(judging, last);
        judging->verdict->redrive = last->redrive;
    } else if (last->kind == OUTCOME_SKIPPED) {
        say(judging, STORY_SKIPPED, STORY_TOLD, last->time_ms);
        take_texts(judging, last);
    } else if (last->kind == OUTCOME_DONE) {
        say(judging, STORY_DONE, STORY_TOLD, last->time_ms);
        take_texts(judging, last);
        judging->verdict->took_ms = last->took_ms;
        if (judging->group->is_commit_known && !judging->is_passed) {
            note(judging, STORY_PASSED,
                 "not committed yet: after a crash it may be handled once more", 0);
        }
    } else {
        return false;
    }
    return true;
}

/* What was told last is how it stands. */
static bool judge_told_wait(struct judging *judging)
{
    const struct outcome *last = judging->last;
    if (last == NULL) {
        return false;
    }
    bool is_behind = last->behind >= 0;
    if (last->kind == OUTCOME_SLOW) {
        say(judging, STORY_HANDLING, STORY_TOLD, last->time_ms);
        take_texts(judging, last);
        judging->verdict->took_ms = last->took_ms;
    } else if (last->kind == OUTCOME_WAITS || (last->kind == OUTCOME_ASIDE && is_behind)) {
        say(judging, STORY_BEHIND, STORY_TOLD, last->time_ms);
        take_texts(judging, last);
        judging->verdict->behind = last->behind;
    } else {
        say(judging, STORY_WAITING, STORY_TOLD, last->time_ms);
        take_failure(judging);
    }
    return true;
}

/* --- dead letters and lanes --- */

static void judge_letter(struct judging *judging)
{
    static const enum story_state states[] = {
        [DEAD_OPEN] = STORY_DEAD,          [DEAD_REQUESTED] = STORY_REDRIVING,
        [DEAD_RUNNING] = STORY_REDRIVING,  [DEAD_IS_DONE] = STORY_REDRIVEN,
        [DEAD_AGAIN] = STORY_DEAD,         [DEAD_SENT_BACK] = STORY_SENT_BACK,
        [DEAD_DISCARDED] = STORY_DISCARDED};
    const struct story_evidence_of_group *group = judging->group;
    struct story_verdict *verdict = judging->verdict;
    enum story_state state = states[group->dead];
    say(judging, state, state == STORY_REDRIVEN ? STORY_TOLD : STORY_RECORDED,
        state == STORY_DEAD ? group->died_ms : 0);
    take_failure(judging);
    verdict->error_class = group->error_class != NULL ? group->error_class : verdict->error_class;
    verdict->message = group->message != NULL ? group->message : verdict->message;
    verdict->failed_again = group->dead_failed;
    verdict->redrive = group->dead_redrive > 0 ? group->dead_redrive : -1;
    verdict->letter_partition = group->letter.partition;
    verdict->letter_offset = group->letter.offset;
    if (state != STORY_DEAD) {
        note(judging, STORY_RECORDED, "it was given up", group->died_ms);
    }
    for (size_t i = group->told_count; state == STORY_REDRIVEN && i-- > 0;) {
        if (tells_of_redrive(judging, &group->told[i])) {
            verdict->at_ms = group->told[i].time_ms;
            break;
        }
    }
}

/* lanes.<group> has the event, or its lane is closed in front of it. */
static bool judge_lane(struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    struct story_verdict *verdict = judging->verdict;
    int64_t offset = judging->place->offset;
    bool is_head = group->head == offset;
    if (group->lanes != STORY_PART_KNOWN || !(group->is_aside || group->has_lane)) {
        return false;
    }
    if (!group->is_aside && judging->is_passed && !(group->is_parked && is_head)) {
        return false; /* the lane is about others of its key */
    }
    if (group->is_parked && is_head) {
        say(judging, STORY_DEAD, STORY_RECORDED, group->noted_ms);
        take_failure(judging);
        return true;
    }
    if (is_head) {
        say(judging, STORY_WAITING, STORY_RECORDED, group->noted_ms > 0 ? group->noted_ms : 0);
        take_failure(judging);
        verdict->attempt = group->attempts > 0 ? group->attempts : verdict->attempt;
        verdict->is_held = group->is_held;
        return true;
    }
    if (group->is_aside || (group->head >= 0 && group->head < offset)) {
        say(judging, STORY_BEHIND, STORY_RECORDED, 0);
        verdict->behind = group->head;
        verdict->is_held = group->is_held;
        return true;
    }
    return false;
}

/* --- the rest --- */

static void note_unread(struct judging *judging)
{
    if (judging->group->lanes == STORY_PART_UNKNOWN) {
        note(judging, STORY_INFERRED,
             "it may be set aside: the group's lanes could not be read wholly", 0);
    }
    if (judging->group->letters == STORY_PART_UNKNOWN) {
        note(judging, STORY_INFERRED,
             "it may be given up: the group's dead letters could not be read wholly", 0);
    }
}

/* Who had the partition when the event was passed is not known: a guess in any case. */
static void note_filter(struct judging *judging)
{
    if (judging->group->filter == STORY_FILTER_PASSES) {
        note(judging, STORY_INFERRED,
             "its members told that they take no events of this type; one that tells nothing may "
             "have been among them then",
             0);
    } else if (judging->group->filter == STORY_FILTER_SOME) {
        note(judging, STORY_INFERRED,
             "some of its members told that they take no events of this type; the others do not "
             "tell what they take",
             0);
    }
}

static void judge_passed(struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    bool may_wait = group->lanes == STORY_PART_UNKNOWN && judging->last != NULL;
    if (may_wait && judge_told_wait(judging)) {
        note(judging, STORY_INFERRED,
             "that may be over: the group's lanes could not be read wholly", 0);
        return;
    }
    bool is_filtered = group->filter == STORY_FILTER_PASSES;
    say(judging, is_filtered ? STORY_FILTERED : STORY_IS_PASSED,
        is_filtered ? STORY_INFERRED : STORY_PASSED, 0);
    set_passed_time(judging);
    note_filter(judging);
    if (group->is_commit_known && group->committed <= judging->place->offset) {
        note(judging, STORY_TOLD, "ahead of its commit, by the text beside that", 0);
    } else if (judging->verdict->at_ms > 0 && judging->verdict->not_before_ms == 0) {
        note(judging, STORY_INFERRED,
             "its first known commit lies beyond: it may have begun behind the event", 0);
    }
    note_unread(judging);
}

static void judge_not_subscribed(struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    say(judging, STORY_NOT_SUBSCRIBED, group->is_elsewhere ? STORY_RECORDED : STORY_INFERRED, 0);
    if (!group->is_elsewhere) {
        note(judging, STORY_INFERRED,
             "it has no members now, and has committed nothing of the topic: what it would read "
             "is its own setting",
             0);
    } else if (group->committed >= 0) {
        note(judging, STORY_PASSED,
             "it read the topic once: it has a commit there, which does not lie beyond the event",
             0);
    }
}

static void judge_not_yet(struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    struct story_verdict *verdict = judging->verdict;
    bool is_foreign = is_of_another_life(judging);
    bool has_commit = group->committed >= 0 && !is_foreign;
    int64_t from = judging->place->start > 0 ? judging->place->start : 0;
    from = has_commit && group->committed > from ? group->committed : from;
    say(judging, STORY_NOT_YET, STORY_PASSED, 0);
    verdict->before = judging->place->offset > from ? judging->place->offset - from : 0;
    bool is_nobody_there = group->members == 0 || (group->members > 0 && !group->is_read);
    if (group->a_second > 0 && has_commit && !is_nobody_there) {
        double left_ms = ((double)verdict->before + 1) * 1000 / group->a_second;
        verdict->left_ms = left_ms < 1e15 ? (int64_t)left_ms : -1;
    }
    if (is_foreign) {
        note(judging, STORY_INFERRED, "its commit is of an earlier topic of this name", 0);
    } else if (!has_commit) {
        verdict->evidence = STORY_RECORDED;
        note(judging, STORY_INFERRED,
             "it has committed nothing here: whether it begins in front of the event is its own "
             "setting",
             0);
    }
    if (group->members == 0) {
        note(judging, STORY_RECORDED, "no member is there", 0);
    } else if (is_nobody_there) {
        note(judging, STORY_RECORDED, "no member reads its partition", 0);
    } else if (verdict->before == 0 && group->is_read) {
        note(judging, STORY_INFERRED, "it is the next one, and may be in hand", 0);
    }
}

static void note_going_back(struct judging *judging)
{
    const struct commit_answer *history = &judging->group->history;
    int64_t back_ms = went_back_ms(judging);
    bool was_there = !is_before(history->passed_ms, judging->place->time_ms);
    if (back_ms > 0 && history->passed_ms > 0 && was_there) {
        note(judging, STORY_PASSED, "it was passed once before", history->passed_ms);
        note(judging, STORY_PASSED, "the group went back to before it", back_ms);
    }
}

static void judge_open(struct judging *judging)
{
    const struct story_evidence_of_group *group = judging->group;
    bool is_before_start =
        judging->place->start >= 0 && judging->place->offset < judging->place->start;
    if (judge_told_wait(judging)) {
        return;
    }
    bool is_elsewhere = group->is_elsewhere || group->is_stranger;
    if (group->is_commit_known && is_elsewhere && group->committed < 0) {
        judge_not_subscribed(judging);
        return;
    }
    if (judging->place->is_taken && group->is_commit_known) {
        say(judging, STORY_GONE, STORY_PASSED, 0);
        note(judging, STORY_RECORDED,
             is_before_start ? "retention took it, and the group had not committed beyond it"
                             : "it is not in the log, and the group had not committed beyond it",
             0);
        return;
    }
    if (group->is_commit_known && is_elsewhere) {
        judge_not_subscribed(judging);
        note_going_back(judging);
        return;
    }
    if (group->is_commit_known) {
        judge_not_yet(judging);
        note_going_back(judging);
        return;
    }
    note(judging, STORY_INFERRED, "the group's commits could not be read", 0);
}

void story_judge(const struct story_evidence_of_place *place,
                 const struct story_evidence_of_group *group, int64_t now_ms,
                 struct story_verdict *verdict)
{
    struct judging judging = {.place = place, .group = group, .verdict = verdict, .now_ms = now_ms};
    *verdict = (struct story_verdict){.evidence = STORY_INFERRED,
                                      .before = -1,
                                      .left_ms = -1,
                                      .attempt = -1,
                                      .most = -1,
                                      .behind = -1,
                                      .redrive = -1,
                                      .took_ms = -1,
                                      .letter_partition = -1,
                                      .letter_offset = -1};
    judging.is_passed = is_beyond(&judging) && !is_of_another_life(&judging);
    find_last_told(&judging);
    if (group->letters != STORY_PART_NONE && group->has_letter) {
        judge_letter(&judging);
    } else if (judge_told_end(&judging) || judge_lane(&judging)) {
        return;
    } else if (judging.is_passed && is_older_than_event(&judging)) {
        note(&judging, STORY_INFERRED,
             "its last commit lies beyond the event and is older: the topic may have been made "
             "again, or clocks differ",
             group->history.committed_ms);
    } else if (judging.is_passed) {
        judge_passed(&judging);
    } else {
        judge_open(&judging);
    }
}
