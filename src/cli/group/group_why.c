#include "cli/group/group_situation.h"

#include "base/plural.h"
#include "cli/base/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Why a group is behind: from what is known to words. */

enum { QUIET_MS = 60000 };

static void add(struct group_situation *situation, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct group_situation *situation, const char *kind, const char *format, ...)
{
    struct group_reason reason = {.kind = kind};
    va_list args;
    va_start(args, format);
    vsnprintf(reason.text, sizeof reason.text, format, args);
    va_end(args);
    vec_push(&situation->reasons, reason);
}

static const char *ago(const struct group_situation *situation, int64_t time_ms, char text[32])
{
    return output_age(situation->now_ms - time_ms, text);
}

static bool has_waiting(const struct group_situation *situation,
                        const struct group_progress *progress)
{
    return progress->lag > 0 && !(situation->has_oldest && situation->oldest.is_empty);
}

static void judge_members(struct group_situation *situation, const struct group_progress *progress)
{
    const char *state = progress->about.state;
    size_t unread = 0;
    char text[32];
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        unread += at->lag > 0 && at->member == NULL;
    }
    if (progress->about.members.count == 0 && situation->last_commit_ms >= 0) {
        add(situation, "no-members", "no member is there; the last commit was %s ago",
            ago(situation, situation->last_commit_ms, text));
    } else if (progress->about.members.count == 0) {
        add(situation, "no-members", "no member is there");
    } else if (strstr(state, "Rebalance") != NULL || strcmp(state, "Assigning") == 0 ||
               strcmp(state, "Reconciling") == 0) {
        add(situation, "rebalance", "a rebalance is under way");
    } else if (unread > 0) {
        add(situation, "unread-partitions", "no member reads %zu partition%s that %s behind",
            unread, plural_s(unread), plural_are(unread));
    }
}

static void judge_handlers(struct group_situation *situation)
{
    char text[32];
    for (size_t i = 0; i < situation->down.count; i++) {
        const struct handler_down *down = &situation->down.items[i];
        add(situation, "handler-down", "nothing of its handler %.150s succeeds, for %s", down->name,
            ago(situation, down->since_ms, text));
    }
}

/* Its members are there, and nothing moves. */
static void judge_silence(struct group_situation *situation, const struct group_progress *progress)
{
    char text[32];
    bool is_old =
        situation->oldest.time_ms >= 0 && situation->now_ms - situation->oldest.time_ms > QUIET_MS;
    if (progress->about.members.count == 0 || !is_old || situation->no_commits[0] != '\0') {
        return;
    }
    if (situation->last_commit_ms < 0) {
        add(situation, "no-commits", "its members committed nothing that is known");
    } else if (situation->now_ms - situation->last_commit_ms > QUIET_MS) {
        add(situation, "no-commits", "its members committed nothing for %s",
            ago(situation, situation->last_commit_ms, text));
    }
}

static void judge_lanes(struct group_situation *situation)
{
    const struct lanes_seen *lanes = &situation->lanes;
    const struct {
        int64_t count;
        const char *kind, *text;
    } rows[] = {{lanes->parked, "lanes-parked", "parked, behind an event that was given up"},
                {lanes->held, "lanes-held", "held by somebody's word"},
                {lanes->failing, "lanes-failing", "failing, and tried again"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].count > 0) {
            add(situation, rows[i].kind, "%lld lane%s %s %s", (long long)rows[i].count,
                plural_s((uint64_t)rows[i].count), plural_are((uint64_t)rows[i].count),
                rows[i].text);
        }
    }
}

static void judge_speed(struct group_situation *situation, const struct group_progress *progress)
{
    double in = situation->published_a_second;
    double out = situation->handled_a_second;
    char text[32];
    if (out < 0 || in < 0) {
        add(situation, "unknown", "not known");
    } else if (out > in) {
        double left_s = (double)progress->lag / (out - in);
        add(situation, "catching-up", "it is catching up; at this pace it is done in %s",
            output_age(left_s > 1e9 ? (int64_t)1e12 : (int64_t)(left_s * 1000), text));
    } else if (out > 0) {
        add(situation, "too-slow", "more comes in than it handles");
    } else {
        add(situation, "unknown", "not known: nothing was committed in the last minute");
    }
}

void group_situation_judge(struct group_situation *situation, const struct group_progress *progress)
{
    situation->reasons.count = 0;
    if (has_waiting(situation, progress)) {
        judge_members(situation, progress);
        judge_handlers(situation);
        judge_silence(situation, progress);
    }
    judge_lanes(situation); /* what is set aside is no lag, and waits all the same */
    if (progress->lag > 0 && !has_waiting(situation, progress)) {
        add(situation, "no-events",
            "what is left are no events: markers of transactions, or ones that are open or were "
            "compacted away");
    } else if (progress->lag > 0 && situation->reasons.count == 0) {
        judge_speed(situation, progress);
    }
}
