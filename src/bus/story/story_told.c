#include "bus/story/story_told.h"

#include "base/pattern.h"
#include "bus/story/story_read.h"

#include <stdlib.h>

enum { OUTCOMES_MAX = 20000, OF_AN_EVENT = 1000 };

struct loading {
    struct story_told *told;
    struct story *story;
    VEC(struct story_place) places;
};

static bool found(void *context, const struct index_place *place)
{
    struct loading *loading = context;
    vec_push(&loading->places, (struct story_place){.topic = OUTCOME_TOPIC,
                                                    .partition = place->partition,
                                                    .offset = place->offset});
    return loading->places.count < OUTCOMES_MAX;
}

static void take(void *context, size_t index, const struct event *event)
{
    struct loading *loading = context;
    struct outcome outcome;
    (void)index;
    if (outcome_decode(event->value, &loading->story->arena, &outcome) &&
        (outcome.topic != NULL || outcome.kind == OUTCOME_HANDLES)) {
        vec_push(&loading->told->items, outcome);
    }
}

static int compare_texts(const char *left, const char *right)
{
    return strcmp(left != NULL ? left : "", right != NULL ? right : "");
}

/* By time; what one member repeats stands together. */
static int compare(const void *left, const void *right)
{
    const struct outcome *a = left, *b = right;
    int order = (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
    order = order != 0 ? order : compare_texts(a->member, b->member);
    return order != 0 ? order : compare_texts(a->instance, b->instance);
}

/* What is told of an event stands under its place, what is told of a group under its name. */
static struct story_term *terms_of(struct story *story, const char *const *groups,
                                   size_t group_count)
{
    size_t count = story->events.count + group_count;
    struct story_term *terms = mem_new_array(struct story_term, count + 1);
    for (size_t i = 0; i < group_count; i++) {
        const char *key = arena_sprintf(&story->arena, "%.249s", groups[i]);
        terms[story->events.count + i] =
            (struct story_term){{EVENT_TERM_KEY, slice_str(key)}, OUTCOME_TOPIC};
    }
    for (size_t i = 0; i < story->events.count; i++) {
        const struct event *event = &story->events.items[i].event;
        const char *key = arena_sprintf(&story->arena, "%.249s/%d/%lld", event->topic,
                                        (int)event->partition, (long long)event->offset);
        terms[i] = (struct story_term){{EVENT_TERM_KEY, slice_str(key)}, OUTCOME_TOPIC};
    }
    return terms;
}

void story_told_load(struct story_told *told, const struct story_bus *settings, struct story *story,
                     const char *const *groups, size_t group_count)
{
    enum { PATTERNS_MOST = 200 };
    struct loading loading = {.told = told, .story = story};
    struct client_error error;
    bool is_cut = false;
    *told = (struct story_told){.patterns_left = PATTERNS_MOST};
    if (!story_bus_has_topic(settings, OUTCOME_TOPIC)) {
        return;
    }
    struct story_term *terms = terms_of(story, groups, group_count);
    enum client_status status =
        settings->finder.find(settings->finder.context, terms, story->events.count + group_count,
                              OF_AN_EVENT, settings->deadline_ms, found, &loading, &is_cut, &error);
    if (status == CLIENT_OK && loading.places.count > 0) {
        status =
            story_read(settings->settings, settings->connection, loading.places.items,
                       loading.places.count, false, settings->deadline_ms, take, &loading, &error);
    }
    bool is_late = false;
    for (size_t i = 0; i < loading.places.count; i++) {
        is_late |= loading.places.items[i].presence == STORY_NOT_READ;
    }
    if (status != CLIENT_OK) {
        story_say(story, "what services told (%s) could not be read: %s", OUTCOME_TOPIC,
                  error.text);
    } else if (is_cut || is_late || loading.places.count >= OUTCOMES_MAX) {
        story_say(story, "not all that services told (%s) could be read in time", OUTCOME_TOPIC);
    }
    if (told->items.count > 1) {
        qsort(told->items.items, told->items.count, sizeof *told->items.items, compare);
    }
    vec_deinit(&loading.places);
    free(terms);
}

void story_told_deinit(struct story_told *told)
{
    vec_deinit(&told->items);
}

static bool is_of_group(const struct outcome *outcome, const char *group)
{
    return outcome->group != NULL && strcmp(outcome->group, group) == 0;
}

static bool is_about(const struct outcome *outcome, const char *group, const struct event *event)
{
    return outcome->topic != NULL && outcome->offset == event->offset &&
           outcome->partition == event->partition && strcmp(outcome->topic, event->topic) == 0 &&
           is_of_group(outcome, group);
}

/* --- which events the members take --- */

/* A pattern that is none, or one too many, may be of any topic. */
static bool fits_topic(struct story_told *told, const char *wanted, const char *topic)
{
    struct pattern *pattern;
    struct reason reason;
    if (wanted[0] != '^') {
        return strcmp(wanted, topic) == 0;
    }
    if (told->patterns_left-- <= 0 ||
        pattern_new(slice_str(wanted), &pattern, &reason) != ERR_NONE) {
        return true;
    }
    bool fits = pattern_finds(pattern, slice_str(topic));
    pattern_free(pattern);
    return fits;
}

static bool takes(struct story_told *told, const struct outcome *outcome,
                  const struct story_event *event)
{
    const char *type = event->attributes.type;
    for (size_t i = 0; i < outcome->filter_count; i++) {
        const struct outcome_filter *filter = &outcome->filters[i];
        bool fits = filter->type == NULL || (type != NULL && strcmp(filter->type, type) == 0);
        if (fits && fits_topic(told, filter->topic, event->event.topic)) {
            return true;
        }
    }
    return false;
}

/* How many have told ever: each start of one has a time of its own. */
static int64_t count_tellers(const struct story_told *told, const char *group)
{
    int64_t count = 0;
    const struct outcome *last = NULL;
    for (size_t i = 0; i < told->items.count; i++) {
        const struct outcome *outcome = &told->items.items[i];
        if (outcome->kind == OUTCOME_HANDLES && is_of_group(outcome, group)) {
            count += last == NULL || compare(last, outcome) != 0;
            last = outcome;
        }
    }
    return count;
}

/* Members of several versions may have been at work: one that takes it is enough. What was told
 * only after the group had passed the event says nothing about it. One that never tells (another
 * library, an older version) is seen by there being more members than have told, while it is one.
 */
static enum story_filter filter_of(struct story_told *told, const char *group,
                                   const struct story_event *event,
                                   const struct story_evidence_of_group *evidence)
{
    enum { CLOCKS_MS = 60000 };
    enum story_filter filter = STORY_FILTER_UNKNOWN;
    bool is_passed = evidence->has_history && evidence->history.state == COMMIT_PASSED;
    int64_t passed_ms = is_passed ? evidence->history.passed_ms : 0;
    for (size_t i = 0; i < told->items.count && filter != STORY_FILTER_TAKES; i++) {
        const struct outcome *outcome = &told->items.items[i];
        bool is_later = passed_ms > 0 && outcome->time_ms - passed_ms > CLOCKS_MS;
        if (outcome->kind == OUTCOME_HANDLES && is_of_group(outcome, group) && !is_later) {
            filter = takes(told, outcome, event) ? STORY_FILTER_TAKES : STORY_FILTER_PASSES;
        }
    }
    bool is_one_silent = evidence->members > count_tellers(told, group);
    return filter == STORY_FILTER_PASSES && is_one_silent ? STORY_FILTER_SOME : filter;
}

void story_told_of(struct story_told *told, const char *group, const struct story_event *event,
                   struct arena *arena, struct story_evidence_of_group *evidence)
{
    size_t count = 0;
    for (size_t i = 0; i < told->items.count; i++) {
        count += is_about(&told->items.items[i], group, &event->event);
    }
    struct outcome *own = arena_alloc_array(arena, count + 1, sizeof *own);
    for (size_t i = 0; i < told->items.count; i++) {
        if (is_about(&told->items.items[i], group, &event->event)) {
            own[evidence->told_count++] = told->items.items[i];
        }
    }
    evidence->told = own;
    evidence->filter = filter_of(told, group, event, evidence);
}
