#include "cli/group/group_situation.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bus/dead/lane_view.h"
#include "bus/event/topic_scan.h"
#include "cli/bus/bus.h"
#include "client/event/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_MS = 60000,
    WAIT_MOST_MS = 5000,
    PLACES_MOST = 200,          /* partitions whose oldest waiting event is read */
    LANE_RECORDS_MOST = 100000, /* of lanes.<group>, unless it may take long */
    OUTCOMES_LAST = 5000        /* of each partition */
};

static void copy_why(char to[160], const struct client_error *error)
{
    snprintf(to, 160, "%.159s", error->text);
}

/* --- commits and rates --- */

/* The last commit of the same partition at or before `index` that is no newer than limit_ms, else
 * the first there is. */
static int64_t offset_then(const struct group_commits *commits, size_t index, int64_t limit_ms)
{
    const struct commit_step *of = &commits->steps.items[index];
    int64_t offset = of->offset;
    for (size_t i = index; i-- > 0;) {
        const struct commit_step *at = &commits->steps.items[i];
        if (at->partition == of->partition && strcmp(at->topic, of->topic) == 0) {
            offset = at->offset;
            if (at->time_ms <= limit_ms) {
                break;
            }
        }
    }
    return offset;
}

static bool is_last_of_partition(const struct group_commits *commits, size_t index)
{
    const struct commit_step *of = &commits->steps.items[index];
    for (size_t i = index + 1; i < commits->steps.count; i++) {
        const struct commit_step *at = &commits->steps.items[i];
        if (at->partition == of->partition && strcmp(at->topic, of->topic) == 0) {
            return false;
        }
    }
    return true;
}

double group_handled_a_second(const struct group_commits *commits, int64_t now_ms)
{
    enum { WINDOW_LEAST_MS = 10000 }; /* two commits close together would tell of any speed */
    int64_t moved = 0;
    int64_t from_ms = now_ms - WINDOW_MS;
    if (commits->steps.count == 0) {
        return -1;
    }
    int64_t first_ms = commits->steps.items[0].time_ms;
    int64_t window_ms = now_ms - (first_ms > from_ms ? first_ms : from_ms);
    for (size_t i = commits->steps.count; i-- > 0;) {
        const struct commit_step *at = &commits->steps.items[i];
        if (at->time_ms <= from_ms) {
            break; /* nothing moved since */
        }
        if (is_last_of_partition(commits, i)) {
            int64_t then = offset_then(commits, i, from_ms);
            moved += at->offset > then ? at->offset - then : 0; /* a reset goes back */
        }
    }
    bool is_one = commits->steps.count == 1 && first_ms > from_ms;
    if (is_one || window_ms <= 0) {
        return -1;
    }
    window_ms = window_ms < WINDOW_LEAST_MS ? WINDOW_LEAST_MS : window_ms;
    return (double)moved * 1000 / (double)window_ms;
}

static void load_commits(struct group_situation *situation,
                         const struct connection_settings *settings, const char *group)
{
    struct client_error error;
    struct commit_times history = {
        .connection = settings, .names = &group, .count = 1, .wants_steps = true};
    if (commit_times_load(&history, &error) != CLIENT_OK) {
        copy_why(situation->no_commits, &error);
    } else {
        situation->last_commit_ms = history.groups[0].last_ms;
        situation->handled_a_second = group_handled_a_second(&history.groups[0], situation->now_ms);
    }
    commit_times_deinit(&history);
}

static void load_published(struct group_situation *situation, struct connection *connection,
                           const struct group_progress *progress)
{
    struct topic_partitions list = {0};
    double published = 0;
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        if (at->end >= 0) {
            topic_partitions_add(&list, at->topic, at->partition, -1);
        }
    }
    if (list.count == 0 ||
        admin_offsets_at(connection, &list, situation->now_ms - WINDOW_MS, NULL) != CLIENT_OK) {
        published = -1;
    }
    size_t next = 0;
    for (size_t i = 0; published >= 0 && i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        if (at->end >= 0) {
            int64_t then = list.items[next++].offset;
            published += then >= 0 && at->end > then ? (double)(at->end - then) : 0;
        }
    }
    situation->published_a_second = published < 0 ? -1 : published * 1000 / WINDOW_MS;
    topic_partitions_deinit(&list);
}

/* --- the oldest waiting event --- */

static void load_oldest(struct group_situation *situation,
                        const struct connection_settings *settings,
                        const struct group_progress *progress)
{
    struct client_error error;
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        if (at->lag > 0 && situation->waiting.count < PLACES_MOST) {
            topic_partitions_add(&situation->waiting, at->topic, at->partition, at->end - at->lag);
        }
    }
    if (situation->waiting.count == 0) {
        return;
    }
    situation->has_oldest = true;
    if (oldest_event_read(settings, &situation->waiting, &situation->oldest, &error) != CLIENT_OK) {
        copy_why(situation->no_oldest, &error);
        situation->oldest.is_empty = false;
    }
}

/* --- lanes, dead letters, handlers --- */

/* Offsets that a topic holds; -1: there is no such topic, or it cannot be asked. */
static int64_t offsets_of(struct connection *connection, const char *topic)
{
    struct admin_topics topics;
    struct topic_partitions list = {0};
    int64_t count = -1;
    if (admin_topic(connection, topic, false, &topics, NULL) == CLIENT_OK) {
        const struct admin_topic *found = &topics.items[0];
        for (size_t i = 0; i < found->partitions.count; i++) {
            topic_partitions_add(&list, topic, found->partitions.items[i].id, -1);
        }
        struct admin_bounds *bounds = mem_new_array(struct admin_bounds, list.count + 1);
        if (admin_bounds(connection, &list, bounds, NULL) == CLIENT_OK) {
            count = 0;
            for (size_t i = 0; i < list.count; i++) {
                count += bounds[i].end - bounds[i].start;
            }
        }
        free(bounds);
    }
    topic_partitions_deinit(&list);
    admin_topics_deinit(&topics);
    return count;
}

static void count_lane(struct lanes_seen *lanes, const struct lane_seen *lane)
{
    const char *state = lane_seen_state(lane);
    lanes->parked += strncmp(state, "parked", 6) == 0;
    lanes->held += strcmp(state, "held") == 0;
    lanes->failing += strcmp(state, "failing") == 0;
    lanes->aside += strcmp(state, "set aside") == 0;
    lanes->events_aside += lane->events;
}

static void load_lanes(struct lanes_seen *lanes, struct connection *connection,
                       const struct connection_settings *settings, const char *group, bool is_long)
{
    char topic[LANE_TOPIC_SIZE];
    struct client_error error;
    struct lane_view view;
    int64_t records = offsets_of(connection, lane_topic_name("lanes.", group, topic));
    if (records < 0) {
        return;
    }
    if (records > LANE_RECORDS_MOST && !is_long) {
        snprintf(lanes->why, sizeof lanes->why,
                 "its topic of lanes holds %lld offsets, which take a while to read: --long reads "
                 "them",
                 (long long)records);
        return;
    }
    struct lane_view_settings wanted = {.connection = settings, .group = group};
    if (lane_view_load(&view, &wanted, &error) != CLIENT_OK) {
        copy_why(lanes->why, &error);
    } else {
        lanes->is_known = true;
        for (size_t i = 0; i < view.lanes.count; i++) {
            count_lane(lanes, &view.lanes.items[i]);
        }
    }
    lane_view_deinit(&view);
}

struct handlers {
    struct group_situation *situation;
    const char *group;
};

static bool take_outcome(void *context, const struct event *record)
{
    struct handlers *handlers = context;
    struct arena arena = {0};
    struct outcome outcome;
    if (outcome_decode(record->value, &arena, &outcome) && outcome.group != NULL &&
        outcome.handler != NULL && strcmp(outcome.group, handlers->group) == 0 &&
        (outcome.kind == OUTCOME_DOWN || outcome.kind == OUTCOME_UP)) {
        struct group_situation *situation = handlers->situation;
        size_t i = 0;
        while (i < situation->down.count &&
               strcmp(situation->down.items[i].name, outcome.handler) != 0) {
            i++;
        }
        if (i < situation->down.count && outcome.kind == OUTCOME_UP) {
            free(situation->down.items[i].name);
            vec_remove(&situation->down, i);
        } else if (i == situation->down.count && outcome.kind == OUTCOME_DOWN) {
            vec_push(&situation->down,
                     (struct handler_down){mem_strdup(outcome.handler), outcome.time_ms});
        }
    }
    arena_deinit(&arena);
    return true;
}

/* What members that are gone said counts no more: who starts anew tries anew. */
static void load_handlers(struct group_situation *situation,
                          const struct connection_settings *settings, const char *group,
                          const struct group_progress *progress)
{
    struct handlers handlers = {situation, group};
    struct topic_scan scan = {.connection = settings,
                              .topic = OUTCOME_TOPIC,
                              .last = OUTCOMES_LAST,
                              .each = take_outcome,
                              .context = &handlers};
    if (progress->about.members.count > 0) {
        if (topic_scan(&scan, NULL) != CLIENT_OK) {
            return; /* most groups have told nothing */
        }
    }
}

void group_situation_load(struct group_situation *situation, struct connection *connection,
                          const struct connection_settings *settings, const char *group,
                          const struct group_progress *progress, bool is_long)
{
    struct connection_settings quick = *settings;
    quick.timeout_ms = quick.timeout_ms < WAIT_MOST_MS ? quick.timeout_ms : WAIT_MOST_MS;
    *situation = (struct group_situation){.now_ms = clock_wall_ms(clock_system()),
                                          .last_commit_ms = -1,
                                          .handled_a_second = -1,
                                          .published_a_second = -1,
                                          .letters = -1};
    char dlq[LANE_TOPIC_SIZE];
    load_commits(situation, &quick, group);
    load_published(situation, connection, progress);
    load_oldest(situation, &quick, progress);
    load_lanes(&situation->lanes, connection, &quick, group, is_long);
    situation->letters = offsets_of(connection, lane_topic_name("dlq.", group, dlq));
    if (situation->lanes.is_known || situation->lanes.why[0] != '\0') {
        load_handlers(situation, &quick, group, progress); /* no other library tells it */
    }
    group_situation_judge(situation, progress);
}

void group_situation_deinit(struct group_situation *situation)
{
    for (size_t i = 0; i < situation->down.count; i++) {
        free(situation->down.items[i].name);
    }
    vec_deinit(&situation->down);
    vec_deinit(&situation->reasons);
    topic_partitions_deinit(&situation->waiting);
}
