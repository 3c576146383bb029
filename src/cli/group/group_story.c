#include "cli/group/group_story.h"

#include "base/plural.h"
#include "base/time_text.h"
#include "cli/base/output.h"

#include <stdio.h>

static void tell_speed(const struct group_situation *situation)
{
    char age[32];
    if (situation->last_commit_ms >= 0) {
        output_text(stdout, "  last commit %s ago",
                    output_age(situation->now_ms - situation->last_commit_ms, age));
    } else {
        output_text(stdout, "  last commit not known%s%s",
                    situation->no_commits[0] != '\0' ? ": " : "", situation->no_commits);
    }
    if (situation->handled_a_second >= 0) {
        output_text(stdout, ", %.1f a second handled in the last minute",
                    situation->handled_a_second);
    }
    if (situation->published_a_second >= 0) {
        output_text(stdout, ", %.1f a second published", situation->published_a_second);
    }
    putchar('\n');
}

static void tell_oldest(const struct group_situation *situation)
{
    const struct oldest_event *oldest = &situation->oldest;
    char age[32], time[TIME_TEXT_SIZE];
    if (situation->no_oldest[0] != '\0') {
        output_text(stdout, "  oldest waiting event not known: %s\n", situation->no_oldest);
    } else if (situation->has_oldest && oldest->time_ms >= 0) {
        output_text(stdout, "  oldest waiting event %s/%d@%lld, waiting for %s, since %s\n",
                    oldest->topic, (int)oldest->partition, (long long)oldest->offset,
                    output_age(situation->now_ms - oldest->time_ms, age),
                    time_format(oldest->time_ms, time));
    }
}

static void tell_lanes(const struct group_situation *situation, const char *group)
{
    const struct lanes_seen *lanes = &situation->lanes;
    if (lanes->is_known) {
        output_text(stdout,
                    "  lanes: %lld parked, %lld held, %lld failing, %lld set aside; %lld event%s "
                    "aside (tidings lanes list %s)\n",
                    (long long)lanes->parked, (long long)lanes->held, (long long)lanes->failing,
                    (long long)lanes->aside, (long long)lanes->events_aside,
                    plural_s((uint64_t)lanes->events_aside), group);
    } else if (lanes->why[0] != '\0') {
        output_text(stdout, "  lanes not known: %s\n", lanes->why);
    }
    if (situation->letters > 0) {
        output_text(stdout, "  dead letters: at most %lld (tidings deadletter list %s)\n",
                    (long long)situation->letters, group);
    }
}

void group_story_print(const struct group_situation *situation,
                       const struct group_progress *progress, const char *group)
{
    tell_speed(situation);
    tell_oldest(situation);
    tell_lanes(situation, group);
    for (size_t i = 0; i < situation->reasons.count; i++) {
        output_text(stdout, "  %s: %s\n", progress->lag > 0 ? "behind" : "waiting",
                    situation->reasons.items[i].text);
    }
}

static json_t *rate(double a_second)
{
    return a_second < 0 ? json_null() : json_real(a_second);
}

static json_t *oldest_to_json(const struct oldest_event *oldest)
{
    if (oldest->topic == NULL) {
        return json_null();
    }
    return json_pack("{s:s,s:i,s:I,s:o}", "topic", oldest->topic, "partition",
                     (int)oldest->partition, "offset", (json_int_t)oldest->offset, "timestamp",
                     output_json_time(oldest->time_ms));
}

static json_t *lanes_to_json(const struct lanes_seen *lanes)
{
    if (!lanes->is_known) {
        return json_null();
    }
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "parked", (json_int_t)lanes->parked, "held",
                     (json_int_t)lanes->held, "failing", (json_int_t)lanes->failing, "set_aside",
                     (json_int_t)lanes->aside, "events_aside", (json_int_t)lanes->events_aside);
}

static void set_why(json_t *json, const char *name, const char *why)
{
    if (why[0] != '\0') {
        json_object_set_new(json, name, output_json_text(why));
    }
}

void group_story_json(const struct group_situation *situation, json_t *json)
{
    json_t *down = json_array(), *why = json_array();
    for (size_t i = 0; i < situation->down.count; i++) {
        const struct handler_down *at = &situation->down.items[i];
        json_array_append_new(down, json_pack("{s:o,s:o}", "handler", output_json_text(at->name),
                                              "since", output_json_time(at->since_ms)));
    }
    for (size_t i = 0; i < situation->reasons.count; i++) {
        const struct group_reason *at = &situation->reasons.items[i];
        json_array_append_new(
            why, json_pack("{s:s,s:o}", "reason", at->kind, "text", output_json_text(at->text)));
    }
    json_object_set_new(json, "last_commit", output_json_time(situation->last_commit_ms));
    set_why(json, "commits_unknown_because", situation->no_commits);
    json_object_set_new(json, "handled_a_second", rate(situation->handled_a_second));
    json_object_set_new(json, "published_a_second", rate(situation->published_a_second));
    json_object_set_new(json, "oldest_waiting", oldest_to_json(&situation->oldest));
    set_why(json, "oldest_waiting_unknown_because", situation->no_oldest);
    json_object_set_new(json, "lanes", lanes_to_json(&situation->lanes));
    set_why(json, "lanes_unknown_because", situation->lanes.why);
    json_object_set_new(json, "dead_letters_at_most", output_number_or_null(situation->letters));
    json_object_set_new(json, "handlers_down", down);
    json_object_set_new(json, "why", why);
}
