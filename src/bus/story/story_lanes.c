#include "bus/story/story_lanes.h"

#include "base/clock.h"

#include <stdlib.h>

enum { RECORDS_MAX = 500000 };

struct loading {
    struct story_lanes *lanes;
    const struct story_bus *settings;
    struct story *story;
    bool is_late;
};

static bool is_in_time(struct loading *loading)
{
    loading->is_late |= clock_mono_ms(clock_system()) > loading->settings->deadline_ms;
    return !loading->is_late;
}

static bool on_progress(void *context, int64_t done, int64_t total)
{
    struct loading *loading = context;
    (void)done;
    loading->is_late |= total > RECORDS_MAX;
    return is_in_time(loading);
}

static bool on_dead_progress(void *context, const char *topic, int64_t done, int64_t total)
{
    (void)topic;
    return on_progress(context, done, total);
}

static void load_lanes(struct loading *loading, const char *group)
{
    struct client_error error;
    struct lane_view_settings settings = {.connection = loading->settings->settings,
                                          .group = group,
                                          .wants_events = true,
                                          .progress = on_progress,
                                          .context = loading};
    enum client_status status = lane_view_load(&loading->lanes->view, &settings, &error);
    bool is_known = status == CLIENT_OK && !loading->is_late;
    loading->lanes->lanes_part = status == CLIENT_NOT_FOUND ? STORY_PART_NONE
                                 : is_known                 ? STORY_PART_KNOWN
                                                            : STORY_PART_UNKNOWN;
    if (loading->lanes->lanes_part == STORY_PART_UNKNOWN) {
        story_say(loading->story, "the lanes of group '%s' could not be read: %s", group,
                  loading->is_late ? "there are too many records for the time" : error.text);
    }
}

/* --- letters --- */

static const struct story_event *event_of(const struct story *story, const struct dead_event *of)
{
    for (size_t i = 0; i < story->events.count; i++) {
        const struct event *event = &story->events.items[i].event;
        if (event->offset == of->offset && event->partition == of->partition &&
            slice_equal_str(of->topic, event->topic)) {
            return &story->events.items[i];
        }
    }
    return NULL;
}

static const char *text_of(struct loading *loading, struct slice text)
{
    enum { TEXT_MAX = 400 };
    text.size = text.size < TEXT_MAX ? text.size : TEXT_MAX;
    return text.size > 0 ? arena_cstr(&loading->story->arena, text) : NULL;
}

static bool take_letter(void *context, const struct dead_seen *seen)
{
    struct loading *loading = context;
    const struct dead_letter *letter = seen->subject.letter;
    const struct story_event *event = event_of(loading->story, &seen->event);
    if (event != NULL) {
        vec_push(&loading->lanes->letters,
                 (struct story_letter){.topic = event->event.topic,
                                       .partition = event->event.partition,
                                       .offset = event->event.offset,
                                       .published_ms = letter->published_ms,
                                       .died_ms = letter->died_ms,
                                       .failed = dead_case_failed(seen->its),
                                       .redrive = seen->its->asked > seen->its->answered
                                                      ? seen->its->asked
                                                      : seen->its->answered,
                                       .state = seen->state,
                                       .place = letter->place,
                                       .error_class = text_of(loading, letter->error_class),
                                       .message = text_of(loading, letter->message)});
    }
    return is_in_time(loading);
}

static void load_letters(struct loading *loading, const char *group)
{
    struct client_error error;
    struct dead_view view;
    struct dead_view_settings settings = {.connection = loading->settings->settings,
                                          .group = group,
                                          .progress = on_dead_progress,
                                          .context = loading};
    enum client_status status = dead_view_load(&view, &settings, &error);
    bool is_there = status != CLIENT_NOT_FOUND;
    if (status == CLIENT_OK && !loading->is_late) {
        status = dead_view_each(&view, NULL, take_letter, loading, &error);
    }
    bool is_known = status == CLIENT_OK && !loading->is_late && !view.is_too_many;
    loading->lanes->letters_part = !is_there  ? STORY_PART_NONE
                                   : is_known ? STORY_PART_KNOWN
                                              : STORY_PART_UNKNOWN;
    if (loading->lanes->letters_part == STORY_PART_UNKNOWN) {
        story_say(loading->story, "the dead letters of group '%s' could not be read: %s", group,
                  status == CLIENT_OK ? "there are too many records for the time" : error.text);
    }
    dead_view_deinit(&view);
}

void story_lanes_load(struct story_lanes *lanes, const struct story_bus *settings,
                      const char *group, struct story *story)
{
    struct loading loading = {.lanes = lanes, .settings = settings, .story = story};
    char name[LANE_TOPIC_SIZE];
    *lanes = (struct story_lanes){0};
    bool has_lanes = story_bus_has_topic(settings, lane_topic_name("lanes.", group, name));
    bool has_letters = story_bus_has_topic(settings, lane_topic_name("dlq.", group, name));
    if ((has_lanes || has_letters) && !is_in_time(&loading)) {
        lanes->lanes_part = has_lanes ? STORY_PART_UNKNOWN : STORY_PART_NONE;
        lanes->letters_part = has_letters ? STORY_PART_UNKNOWN : STORY_PART_NONE;
        story_say(story, "there was no time for the lanes and dead letters of group '%s'", group);
        return;
    }
    if (has_lanes) {
        load_lanes(&loading, group);
    }
    if (has_letters) {
        loading.is_late = false;
        load_letters(&loading, group);
    }
}

void story_lanes_deinit(struct story_lanes *lanes)
{
    lane_view_deinit(&lanes->view);
    vec_deinit(&lanes->letters);
}

/* --- evidence --- */

static bool is_lane_of(const struct lane_seen *lane, const struct event *event)
{
    if (lane->partition != event->partition || strcmp(lane->topic, event->topic) != 0) {
        return false;
    }
    if (!slice_is_null(lane->name.key)) {
        return !slice_is_null(event->key) && slice_equal(lane->name.key, event->key);
    }
    return lane->name.offset < 0 || lane->name.offset == event->offset;
}

static void add_lane(const struct lane_seen *lane, const struct event *event,
                     struct story_evidence_of_group *evidence)
{
    evidence->has_lane = true;
    evidence->is_held = lane->note.is_held;
    evidence->is_parked = lane->note.is_parked;
    evidence->head = lane->head;
    evidence->attempts = lane->note.attempts;
    evidence->noted_ms = lane->noted_ms;
    for (size_t i = 0; i < lane->list.count; i++) {
        evidence->is_aside |= lane->list.items[i].offset == event->offset;
    }
}

static void add_letter(const struct story_letter *letter, struct story_evidence_of_group *evidence)
{
    evidence->has_letter = true;
    evidence->dead = letter->state;
    evidence->died_ms = letter->died_ms;
    evidence->dead_failed = letter->failed;
    evidence->dead_redrive = letter->redrive;
    evidence->letter = letter->place;
    evidence->error_class = letter->error_class;
    evidence->message = letter->message;
}

void story_lanes_of(const struct story_lanes *lanes, const struct story_event *of,
                    struct story_evidence_of_group *evidence)
{
    const struct event *event = &of->event;
    evidence->lanes = lanes->lanes_part;
    evidence->letters = lanes->letters_part;
    evidence->head = -1;
    evidence->letter = (struct dead_place){-1, -1};
    for (size_t i = 0; i < lanes->view.lanes.count; i++) {
        if (is_lane_of(&lanes->view.lanes.items[i], event)) {
            add_lane(&lanes->view.lanes.items[i], event, evidence);
            break;
        }
    }
    for (size_t i = 0; i < lanes->letters.count; i++) {
        const struct story_letter *letter = &lanes->letters.items[i];
        /* one of an earlier life of the topic tells another event's time */
        bool is_its = letter->published_ms < 0 || event->timestamp_ms < 0 ||
                      letter->published_ms == event->timestamp_ms;
        if (is_its && letter->offset == event->offset && letter->partition == event->partition &&
            strcmp(letter->topic, event->topic) == 0) {
            add_letter(letter, evidence);
            break;
        }
    }
}
