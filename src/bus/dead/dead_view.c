#include "bus/dead/dead_view.h"

#include "bus/event/topic_scan.h"

#include <string.h>

/* A pass over one of the topics. */
struct pass {
    struct dead_view *view;
    const char *topic;
    struct arena arena; /* of the record at hand */
    bool (*each_seen)(void *context, const struct dead_seen *seen);
    bool (*each_fact)(void *context, const struct dead_fact *fact);
    void *context;
    const struct where *where;
    bool is_newest_only;
};

static bool on_progress(void *context, int64_t done, int64_t total)
{
    struct pass *pass = context;
    const struct dead_view_settings *settings = &pass->view->settings;
    return settings->progress == NULL ||
           settings->progress(settings->context, pass->topic, done, total);
}

static enum client_status scan(struct pass *pass,
                               bool (*each)(void *context, const struct event *record),
                               struct client_error *error)
{
    struct topic_scan all = {.connection = pass->view->settings.connection,
                             .topic = pass->topic,
                             .each = each,
                             .progress = on_progress,
                             .context = pass};
    enum client_status status = topic_scan(&all, error);
    pass->view->is_stopped |= all.is_stopped;
    arena_deinit(&pass->arena);
    return status;
}

/* --- what is known --- */

static bool is_wanted(struct dead_view *view, struct dead_place place)
{
    for (size_t i = 0; i < view->missing.count; i++) {
        const struct dead_place *at = &view->missing.items[i];
        if (at->partition == place.partition && at->offset == place.offset) {
            vec_remove(&view->missing, i);
            return true;
        }
    }
    return false;
}

static bool index_letter(void *context, const struct event *record)
{
    struct pass *pass = context;
    struct dead_letter letter;
    arena_reset(&pass->arena);
    dead_letter_read(record, &pass->arena, &letter);
    pass->view->is_too_many |= !dead_index_letter(pass->view->index, &letter);
    if (is_wanted(pass->view, letter.place)) {
        dead_index_want(pass->view->index, &letter);
    }
    return true;
}

static bool index_fact(void *context, const struct event *record)
{
    struct pass *pass = context;
    struct dead_fact fact;
    arena_reset(&pass->arena);
    if (dead_fact_read(record, &pass->arena, &fact)) {
        pass->view->is_too_many |= !dead_index_fact(pass->view->index, &fact);
    }
    return true;
}

static bool index_lane(void *context, const struct event *record)
{
    struct pass *pass = context;
    struct lane_record_key key;
    struct lane_record of;
    bool has_value = !slice_is_null(record->value);
    arena_reset(&pass->arena);
    if (lane_record_key_read(record->key, &key) &&
        (!has_value || lane_record_read(record->value, &pass->arena, &of) == ERR_NONE)) {
        pass->view->is_too_many |=
            !dead_index_lane(pass->view->index, &key, has_value ? &of : NULL);
    }
    return true;
}

/* A topic that is not there says nothing. */
static enum client_status scan_if_there(struct pass *pass,
                                        bool (*each)(void *context, const struct event *record),
                                        bool *is_there, struct client_error *error)
{
    enum client_status status = pass->view->is_stopped ? CLIENT_OK : scan(pass, each, error);
    *is_there = status != CLIENT_NOT_FOUND;
    return status == CLIENT_NOT_FOUND ? CLIENT_OK : status;
}

void dead_view_init(struct dead_view *view, const struct dead_view_settings *settings)
{
    *view = (struct dead_view){.settings = *settings};
    lane_topic_name("dlq.", settings->group, view->dlq_topic);
    lane_topic_name("dlq-state.", settings->group, view->state_topic);
    lane_topic_name("lanes.", settings->group, view->lanes_topic);
}

enum client_status dead_view_load(struct dead_view *view, const struct dead_view_settings *settings,
                                  struct client_error *error)
{
    bool is_there;
    dead_view_init(view, settings);
    view->index = dead_index_new(view->dlq_topic);
    if (settings->cases_max > 0) {
        dead_index_limit(view->index, settings->cases_max);
    }
    for (size_t i = 0; i < settings->wanted_count; i++) {
        vec_push(&view->missing, settings->wanted[i]);
    }
    struct pass pass = {.view = view, .topic = view->dlq_topic};
    enum client_status status = scan(&pass, index_letter, error);
    if (status == CLIENT_OK) {
        pass.topic = view->state_topic;
        status = scan_if_there(&pass, index_fact, &is_there, error);
    }
    if (status == CLIENT_OK) {
        pass.topic = view->lanes_topic;
        status = scan_if_there(&pass, index_lane, &view->has_lanes, error);
    }
    dead_index_settle(view->index);
    return status;
}

void dead_view_deinit(struct dead_view *view)
{
    dead_index_free(view->index);
    vec_deinit(&view->missing);
    view->index = NULL;
}

/* --- what is given out --- */

/* lanes.<group> knows; without it the letter says how it was. */
static bool closes_lane(const struct dead_view *view, const struct dead_seen *seen)
{
    bool is_over = seen->state == DEAD_IS_DONE || seen->state == DEAD_DISCARDED;
    return view->has_lanes ? seen->its->is_lane_parked
                           : seen->subject.letter->lane == DEAD_LANE_CLOSED && !is_over;
}

static bool is_newest(const struct dead_seen *seen)
{
    const struct dead_place *newest = &seen->its->newest, *at = &seen->subject.letter->place;
    return newest->partition == at->partition && newest->offset == at->offset;
}

static bool give_letter(void *context, const struct event *record)
{
    struct pass *pass = context;
    struct dead_view *view = pass->view;
    struct dead_letter letter;
    arena_reset(&pass->arena);
    dead_letter_read(record, &pass->arena, &letter);
    struct dead_seen seen = {.event = dead_event_of(&letter, view->dlq_topic)};
    seen.its = dead_index_find(view->index, &seen.event);
    if (seen.its == NULL || (view->settings.wanted != NULL && !seen.its->is_wanted)) {
        return true; /* it came meanwhile */
    }
    seen.state = dead_case_state(seen.its);
    seen.subject = (struct dead_subject){.letter = &letter,
                                         .state = dead_state_name(seen.state),
                                         .failed_again = dead_case_failed(seen.its)};
    seen.closes_lane = closes_lane(view, &seen);
    bool is_meant =
        (!pass->is_newest_only || is_newest(&seen)) &&
        (pass->where == NULL || where_holds(pass->where, dead_field_get, &seen.subject));
    return !is_meant || pass->each_seen(pass->context, &seen);
}

enum client_status dead_view_each(struct dead_view *view, const struct where *where,
                                  bool (*each)(void *context, const struct dead_seen *seen),
                                  void *context, struct client_error *error)
{
    struct pass pass = {.view = view,
                        .topic = view->dlq_topic,
                        .each_seen = each,
                        .context = context,
                        .where = where,
                        .is_newest_only = true};
    return scan(&pass, give_letter, error);
}

enum client_status dead_view_letters(struct dead_view *view,
                                     bool (*each)(void *context, const struct dead_seen *seen),
                                     void *context, struct client_error *error)
{
    struct pass pass = {
        .view = view, .topic = view->dlq_topic, .each_seen = each, .context = context};
    return scan(&pass, give_letter, error);
}

static bool give_fact(void *context, const struct event *record)
{
    struct pass *pass = context;
    struct dead_fact fact;
    arena_reset(&pass->arena);
    return !dead_fact_read(record, &pass->arena, &fact) || pass->each_fact(pass->context, &fact);
}

enum client_status dead_view_facts(struct dead_view *view,
                                   bool (*each)(void *context, const struct dead_fact *fact),
                                   void *context, struct client_error *error)
{
    bool is_there;
    struct pass pass = {
        .view = view, .topic = view->state_topic, .each_fact = each, .context = context};
    return scan_if_there(&pass, give_fact, &is_there, error);
}
