#include "bus/story/story_groups.h"

#include "bus/event/outbox_group.h"
#include "bus/story/story_lanes.h"
#include "bus/story/story_told.h"
#include "client/lane/lane_metadata.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS_MAX = 2000 };

struct gathering {
    const struct story_bus *settings;
    struct story *story;
    struct admin_group_listings names;
    struct admin_group_answer *answers; /* of names */
    struct topic_partitions places;     /* partitions of the story's events */
    struct admin_bounds *bounds;        /* of places; NULL: not known */
    struct story_told told;
    bool is_history_bad;
};

/* --- asking --- */

static bool ask_groups(struct gathering *gathering)
{
    struct client_error error;
    struct connection *connection = gathering->settings->connection;
    if (admin_groups(connection, &gathering->names, &error) != CLIENT_OK) {
        story_say(gathering->story, "the groups could not be read: %s", error.text);
        return false;
    }
    if (gathering->names.count > GROUPS_MAX) {
        story_say(gathering->story, "only %d of %zu groups were looked at", GROUPS_MAX,
                  gathering->names.count);
        gathering->story->is_cut = true;
    }
    size_t count = gathering->names.count < GROUPS_MAX ? gathering->names.count : GROUPS_MAX;
    const char **names = mem_new_array(const char *, count + 1);
    gathering->answers = mem_new_array(struct admin_group_answer, count + 1);
    for (size_t i = 0; i < count; i++) {
        names[i] = gathering->names.items[i].name;
    }
    admin_describe_groups(connection, names, count, gathering->answers);
    free(names);
    return true;
}

static void ask_bounds(struct gathering *gathering)
{
    struct client_error error;
    const struct story *story = gathering->story;
    for (size_t i = 0; i < story->events.count; i++) {
        const struct event *event = &story->events.items[i].event;
        bool is_new =
            topic_partitions_find(&gathering->places, event->topic, event->partition) == NULL;
        if (is_new && story_bus_has_topic(gathering->settings, event->topic)) {
            topic_partitions_add(&gathering->places, event->topic, event->partition, -1);
        }
    }
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, gathering->places.count + 1);
    if (admin_bounds(gathering->settings->connection, &gathering->places, bounds, &error) ==
        CLIENT_OK) {
        gathering->bounds = bounds;
    } else {
        story_say(gathering->story, "where the topics begin and end could not be read: %s",
                  error.text);
        free(bounds);
    }
}

/* --- of one group --- */

static bool has_topic(const struct topic_partitions *list, const char *topic)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_member_for(const struct admin_group_answer *answer, const char *topic)
{
    for (size_t i = 0; i < answer->group.members.count; i++) {
        if (has_topic(&answer->group.members.items[i].partitions, topic)) {
            return true;
        }
    }
    return false;
}

static bool reads_topic(const struct admin_group_answer *answer, const char *topic)
{
    return has_topic(&answer->offsets, topic) || has_member_for(answer, topic);
}

/* All partitions of what they subscribe to are somebody's when the group is stable. */
static bool is_elsewhere(const struct admin_group_answer *answer, const char *topic)
{
    bool is_at_work = false;
    for (size_t i = 0; i < answer->group.members.count; i++) {
        is_at_work |= answer->group.members.items[i].partitions.count > 0;
    }
    return is_at_work && answer->group.state != NULL &&
           strcmp(answer->group.state, "Stable") == 0 && !has_member_for(answer, topic);
}

static bool is_asked_for(const struct gathering *gathering, size_t group)
{
    const char *only = gathering->settings->group;
    return only != NULL && strcmp(gathering->names.items[group].name, only) == 0;
}

static bool is_concerned(const struct gathering *gathering, size_t group)
{
    const struct admin_group_answer *answer = &gathering->answers[group];
    if (gathering->settings->group != NULL) {
        return is_asked_for(gathering, group);
    }
    for (size_t i = 0; i < gathering->places.count; i++) {
        if (reads_topic(answer, gathering->places.items[i].topic)) {
            return true;
        }
    }
    return false;
}

/* It has members, and none has anything yet. */
static bool is_joining(const struct admin_group_answer *answer)
{
    for (size_t i = 0; i < answer->group.members.count; i++) {
        if (answer->group.members.items[i].partitions.count > 0) {
            return false;
        }
    }
    return answer->group.members.count > 0 && answer->offsets.count == 0;
}

static bool has_reader(const struct admin_group_answer *answer, const struct event *event)
{
    for (size_t i = 0; i < answer->group.members.count; i++) {
        if (topic_partitions_find(&answer->group.members.items[i].partitions, event->topic,
                                  event->partition) != NULL) {
            return true;
        }
    }
    return false;
}

/* The text beside one of its commits is that of a group with lanes. */
static bool has_lanes(const struct admin_group_answer *answer)
{
    bool has = false;
    for (size_t i = 0; i < answer->offsets.count && !has; i++) {
        const struct topic_partition *at = &answer->offsets.items[i];
        struct lane_ranges ranges = {0};
        has = lane_metadata_decode(at->metadata, at->offset, &ranges) != 0;
        vec_deinit(&ranges);
    }
    return has;
}

static bool is_done_beyond(const struct topic_partition *commit, int64_t offset)
{
    struct lane_ranges ranges = {0};
    (void)lane_metadata_decode(commit->metadata, commit->offset, &ranges);
    bool has = lane_ranges_have(&ranges, offset);
    vec_deinit(&ranges);
    return has;
}

/*
 * Offsets a second that the group commits here now: from its steps, over the shortest time of more
 * than some seconds. Below 0: not known, or it stands still.
 */
static double rate_of(struct commit_history *history, const struct commit_key *key,
                      int64_t committed, int64_t now_ms)
{
    enum { LEAST_MS = 5000, OLDEST_MS = 120000 };
    struct commit_answer answer;
    for (int64_t back = 1; back <= committed && back < INT64_MAX / 4; back *= 4) {
        if (commit_history_find(history, key, committed - back, &answer, NULL) != ERR_NONE ||
            answer.state != COMMIT_PASSED || answer.passed_ms <= 0) {
            return -1;
        }
        int64_t took_ms = now_ms - answer.passed_ms;
        if (took_ms > OLDEST_MS) {
            return -1;
        }
        if (took_ms > LEAST_MS) {
            return (double)back * 1000 / (double)took_ms;
        }
    }
    return -1;
}

static void add_history(struct gathering *gathering, const char *group, const struct event *event,
                        struct story_evidence_of_group *evidence)
{
    struct commit_history *history = gathering->settings->history;
    struct commit_key key = {slice_str(group), slice_str(event->topic), event->partition};
    struct reason reason;
    if (history == NULL) {
        return;
    }
    enum err err = commit_history_find(history, &key, event->offset, &evidence->history, &reason);
    evidence->has_history = err == ERR_NONE;
    if (err != ERR_NONE && !gathering->is_history_bad) {
        gathering->is_history_bad = true;
        story_say(gathering->story, "the history of commits could not be read: %s", reason.text);
    }
    if (evidence->committed >= 0 && evidence->committed <= event->offset) {
        evidence->a_second = rate_of(history, &key, evidence->committed, gathering->story->now_ms);
    }
}

static void judge_event(struct gathering *gathering, size_t group, const struct story_lanes *lanes,
                        size_t index)
{
    struct story_event *event = &gathering->story->events.items[index];
    const struct admin_group_answer *answer = &gathering->answers[group];
    const char *name = gathering->names.items[group].name;
    const struct topic_partition *commit =
        topic_partitions_find(&answer->offsets, event->event.topic, event->event.partition);
    const struct topic_partition *bounds_at =
        topic_partitions_find(&gathering->places, event->event.topic, event->event.partition);
    const struct admin_bounds *bounds =
        gathering->bounds != NULL && bounds_at != NULL
            ? &gathering->bounds[bounds_at - gathering->places.items]
            : NULL;
    struct story_evidence_of_place place = {.offset = event->event.offset,
                                            .id = event->attributes.id,
                                            .time_ms = event->event.timestamp_ms,
                                            .start = bounds != NULL ? bounds->start : -1,
                                            .end = bounds != NULL ? bounds->end : -1,
                                            .is_taken = event->presence == STORY_TAKEN};
    struct story_evidence_of_group evidence = {
        .is_commit_known = true,
        .committed = commit != NULL ? commit->offset : -1,
        .is_done_beyond = commit != NULL && is_done_beyond(commit, event->event.offset),
        .a_second = -1,
        .members = (int64_t)answer->group.members.count,
        .is_stranger =
            answer->group.members.count == 0 && !has_topic(&answer->offsets, event->event.topic),
        .is_elsewhere = is_elsewhere(answer, event->event.topic),
        .is_read = has_reader(answer, &event->event)};
    add_history(gathering, name, &event->event, &evidence);
    story_told_of(&gathering->told, name, event, &gathering->story->arena, &evidence);
    story_lanes_of(lanes, event, &evidence);
    struct story_group *said = vec_add(&event->groups);
    said->group = arena_cstr(&gathering->story->arena, slice_str(name));
    story_judge(&place, &evidence, gathering->story->now_ms, &said->verdict);
}

static void judge_group(struct gathering *gathering, size_t group)
{
    const struct admin_group_answer *answer = &gathering->answers[group];
    const char *name = gathering->names.items[group].name;
    struct story_lanes lanes;
    if (outbox_group_is(slice_str(name))) {
        return;
    }
    if (answer->error.status != CLIENT_OK) {
        story_say(gathering->story, "group '%s' could not be read: %s", name, answer->error.text);
        return;
    }
    if (!is_concerned(gathering, group)) {
        if (gathering->settings->group == NULL && is_joining(answer)) {
            story_say(gathering->story,
                      "group '%s' is being balanced: what its members read is not known yet", name);
        }
        return;
    }
    story_lanes_load(&lanes, gathering->settings, name, gathering->story);
    if (lanes.lanes_part == STORY_PART_NONE && has_lanes(answer)) {
        lanes.lanes_part = STORY_PART_UNKNOWN;
        story_say(gathering->story, "the lanes of group '%s' are not to be seen", name);
    }
    for (size_t i = 0; i < gathering->story->events.count; i++) {
        const struct story_event *event = &gathering->story->events.items[i];
        bool was_event = event->presence == STORY_THERE || event->presence == STORY_TAKEN ||
                         event->presence == STORY_NOT_READ;
        if (was_event &&
            (is_asked_for(gathering, group) || reads_topic(answer, event->event.topic))) {
            judge_event(gathering, group, &lanes, i);
        }
    }
    story_lanes_deinit(&lanes);
}

/* The topics as they are once the commits are known: a group makes that of its lanes before it
 * commits beyond what it sets aside. */
static bool ask_topics(struct gathering *gathering, struct story_bus *bus,
                       struct admin_topics *topics)
{
    struct client_error error;
    if (admin_topics(gathering->settings->connection, topics, &error) != CLIENT_OK) {
        story_say(gathering->story, "the groups could not be read: %s", error.text);
        return false;
    }
    bus->topics = topics;
    return true;
}

/* What the groups' members told, of all groups that will be told of. */
static void load_told(struct gathering *gathering, struct story *story)
{
    const char **names = mem_new_array(const char *, gathering->names.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < gathering->names.count && i < GROUPS_MAX; i++) {
        if (is_concerned(gathering, i)) {
            names[count++] = gathering->names.items[i].name;
        }
    }
    if (gathering->settings->group != NULL && count == 0) {
        story_say(story, "there is no group '%s'", gathering->settings->group);
    }
    story_told_load(&gathering->told, gathering->settings, story, names, count);
    free(names);
}

void story_groups_fill(const struct story_bus *settings, struct story *story)
{
    struct story_bus bus = *settings;
    struct admin_topics topics = {0};
    struct gathering gathering = {.settings = &bus, .story = story};
    bool are_known = ask_groups(&gathering) && ask_topics(&gathering, &bus, &topics);
    if (are_known) {
        ask_bounds(&gathering);
        load_told(&gathering, story);
    }
    for (size_t i = 0; i < story->events.count; i++) {
        story->events.items[i].are_groups_known = are_known;
        story->events.items[i].is_of_one_group = settings->group != NULL;
    }
    for (size_t i = 0; gathering.answers != NULL && i < gathering.names.count && i < GROUPS_MAX;
         i++) {
        if (are_known) {
            judge_group(&gathering, i);
        }
        admin_group_deinit(&gathering.answers[i].group);
        topic_partitions_deinit(&gathering.answers[i].offsets);
    }
    story_told_deinit(&gathering.told);
    admin_topics_deinit(&topics);
    admin_group_listings_deinit(&gathering.names);
    topic_partitions_deinit(&gathering.places);
    free(gathering.bounds);
    free(gathering.answers);
}
