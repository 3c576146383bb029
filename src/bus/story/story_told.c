#include "bus/story/story_told.h"

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
    if (outcome_decode(event->value, &loading->story->arena, &outcome) && outcome.topic != NULL) {
        vec_push(&loading->told->items, outcome);
    }
}

static int compare(const void *left, const void *right)
{
    const struct outcome *a = left, *b = right;
    return (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

/* What is told of an event stands under its place. */
static struct story_term *terms_of(struct story *story)
{
    struct story_term *terms = mem_new_array(struct story_term, story->events.count + 1);
    for (size_t i = 0; i < story->events.count; i++) {
        const struct event *event = &story->events.items[i].event;
        const char *key = arena_sprintf(&story->arena, "%.249s/%d/%lld", event->topic,
                                        (int)event->partition, (long long)event->offset);
        terms[i] = (struct story_term){{EVENT_TERM_KEY, slice_str(key)}, OUTCOME_TOPIC};
    }
    return terms;
}

void story_told_load(struct story_told *told, const struct story_bus *settings, struct story *story)
{
    struct loading loading = {.told = told, .story = story};
    struct client_error error;
    bool is_cut = false;
    *told = (struct story_told){0};
    if (!story_bus_has_topic(settings, OUTCOME_TOPIC)) {
        return;
    }
    struct story_term *terms = terms_of(story);
    enum client_status status =
        settings->finder.find(settings->finder.context, terms, story->events.count, OF_AN_EVENT,
                              settings->deadline_ms, found, &loading, &is_cut, &error);
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

static bool is_about(const struct outcome *outcome, const char *group, const struct event *event)
{
    return outcome->offset == event->offset && outcome->partition == event->partition &&
           strcmp(outcome->topic, event->topic) == 0 && outcome->group != NULL &&
           strcmp(outcome->group, group) == 0;
}

void story_told_of(const struct story_told *told, const char *group, const struct event *event,
                   struct arena *arena, struct story_evidence_of_group *evidence)
{
    size_t count = 0;
    for (size_t i = 0; i < told->items.count; i++) {
        count += is_about(&told->items.items[i], group, event);
    }
    struct outcome *own = arena_alloc_array(arena, count + 1, sizeof *own);
    for (size_t i = 0; i < told->items.count; i++) {
        if (is_about(&told->items.items[i], group, event)) {
            own[evidence->told_count++] = told->items.items[i];
        }
    }
    evidence->told = own;
}
