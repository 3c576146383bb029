#include "bus/story/story_json.h"

#include "bus/event/json_word.h"

/* --- what is not known is left out --- */

static void set_text(json_t *object, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        json_object_set_new(object, name, json_utf8(value));
    }
}

static void set_time(json_t *object, const char *name, int64_t time_ms)
{
    if (time_ms > 0) {
        json_object_set_new(object, name, json_moment(time_ms));
    }
}

static void set_number(json_t *object, const char *name, int64_t number)
{
    if (number >= 0) {
        json_object_set_new(object, name, json_integer(number));
    }
}

static void set_true(json_t *object, const char *name, bool is_so)
{
    if (is_so) {
        json_object_set_new(object, name, json_true());
    }
}

/* --- groups --- */

static json_t *notes_of(const struct story_verdict *verdict)
{
    json_t *notes = json_array();
    for (size_t i = 0; i < verdict->note_count; i++) {
        const struct story_note *note = &verdict->notes[i];
        json_t *json = json_pack("{s:s,s:s}", "text", note->text, "evidence",
                                 story_evidence_name(note->evidence));
        set_time(json, "at", note->at_ms);
        json_array_append_new(notes, json);
    }
    return notes;
}

static json_t *group_to_json(const struct story_group *group)
{
    const struct story_verdict *of = &group->verdict;
    json_t *json =
        json_pack("{s:o,s:s,s:s}", "group", json_utf8(group->group), "state",
                  story_state_name(of->state), "evidence", story_evidence_name(of->evidence));
    set_time(json, "at", of->at_ms);
    set_time(json, "not_before", of->not_before_ms);
    set_number(json, "before", of->before);
    set_number(json, "left_ms", of->left_ms);
    set_number(json, "attempt", of->attempt);
    set_number(json, "attempts_most", of->most);
    set_time(json, "next_try", of->next_ms);
    set_true(json, "handler_down", of->is_down);
    set_true(json, "held", of->is_held);
    set_number(json, "behind", of->behind);
    set_number(json, "redrive", of->redrive);
    set_number(json, "failed_again", of->failed_again > 0 ? of->failed_again : -1);
    set_number(json, "took_ms", of->took_ms);
    if (of->letter_offset >= 0) {
        json_object_set_new(json, "dead_letter",
                            json_pack("{s:i,s:I}", "partition", (int)of->letter_partition, "offset",
                                      (json_int_t)of->letter_offset));
    }
    set_text(json, "handler", of->handler);
    set_text(json, "member", of->member);
    set_text(json, "error_class", of->error_class);
    set_text(json, "message", of->message);
    set_text(json, "who", of->who);
    set_text(json, "why", of->why);
    json_object_set_new(json, "notes", notes_of(of));
    return json;
}

static json_t *groups_of(const struct story_event *event)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < event->groups.count; i++) {
        json_array_append_new(groups, group_to_json(&event->groups.items[i]));
    }
    return groups;
}

/* --- events --- */

static json_t *index_or_null(size_t index)
{
    return index == STORY_NONE ? json_null() : json_integer((json_int_t)index);
}

static json_t *link_of(const struct story_event *event)
{
    json_t *link = json_pack("{s:s}", "how", story_link_name(event->link));
    if (event->link != STORY_ROOT || event->link_note != NULL) {
        json_object_set_new(link, "evidence",
                            json_string(story_evidence_name(event->link_evidence)));
    }
    set_text(link, "note", event->link_note);
    set_true(link, "cause_not_found", event->has_lost_cause);
    return link;
}

static json_t *publishers_of(const struct story_event *event)
{
    json_t *list = json_array();
    if (event->attributes.source != NULL) {
        json_array_append_new(
            list, json_pack("{s:o,s:s,s:s}", "name", json_utf8(event->attributes.source), "from",
                            "ce_source", "evidence", story_evidence_name(STORY_RECORDED)));
    }
    if (event->publisher != NULL) {
        json_array_append_new(list, json_pack("{s:o,s:s,s:s}", "name", json_utf8(event->publisher),
                                              "from", "clients", "evidence",
                                              story_evidence_name(event->publisher_evidence)));
    }
    return list;
}

static void set_attributes(json_t *json, const struct story_event *event)
{
    const struct event_attributes *of = &event->attributes;
    set_text(json, "id", of->id);
    set_text(json, "source", of->source);
    set_text(json, "type", of->type);
    set_text(json, "subject", of->subject);
    set_text(json, "correlation", of->correlation_id);
    set_text(json, "causation", of->causation_id);
    set_text(json, "trace", event->trace);
}

static json_t *event_to_json_of(const struct story_event *event)
{
    json_t *json = json_pack(
        "{s:o,s:i,s:I,s:s,s:o,s:i,s:o}", "topic", json_utf8(event->event.topic), "partition",
        (int)event->event.partition, "offset", (json_int_t)event->event.offset, "presence",
        story_presence_name(event->presence), "parent", index_or_null(event->parent), "depth",
        (int)event->depth, "link", link_of(event));
    set_true(json, "asked", event->is_asked);
    set_number(json, "copy_of", event->copy_of == STORY_NONE ? -1 : (int64_t)event->copy_of);
    set_time(json, "timestamp", event->event.timestamp_ms);
    if (!slice_is_null(event->event.key)) {
        event_set_bytes(json, "key", "key_encoding", event->event.key);
    }
    set_attributes(json, event);
    json_object_set_new(json, "publishers", publishers_of(event));
    json_object_set_new(json, "groups", event->are_groups_known ? groups_of(event) : json_null());
    set_true(json, "nobody_subscribes",
             event->are_groups_known && !event->is_of_one_group && event->groups.count == 0 &&
                 event->presence == STORY_THERE);
    return json;
}

json_t *story_to_json(const struct story *story)
{
    json_t *events = json_array(), *horizon = json_array();
    for (size_t i = 0; i < story->events.count; i++) {
        json_array_append_new(events, event_to_json_of(&story->events.items[i]));
    }
    for (size_t i = 0; i < story->horizon.count; i++) {
        json_array_append_new(horizon, json_utf8(story->horizon.items[i]));
    }
    return json_pack("{s:o,s:s,s:o,s:b,s:o,s:o}", "now", json_moment(story->now_ms), "known_from",
                     story->indexed_ms < 0 ? "log" : "index", "indexed_until",
                     json_moment(story->indexed_ms), "cut", story->is_cut, "horizon", horizon,
                     "events", events);
}
