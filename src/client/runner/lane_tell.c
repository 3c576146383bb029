#include "client/runner/lane_runner_inside.h"

#include "base/plural.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

enum { TELL_EVERY_MS = 10000, KEY_SHOWN = 60 };

void lane_tell(const struct lane_runner *runner, enum lane_log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    runner->settings.log(runner->settings.context, level, text);
}

void lane_tell_place(const struct event *event, char *to, size_t size)
{
    struct buf key = {0};
    size_t shown = event->key.size < KEY_SHOWN ? event->key.size : KEY_SHOWN;
    if (slice_is_null(event->key)) {
        snprintf(to, size, "%.100s/%d@%" PRId64, event->topic, (int)event->partition,
                 event->offset);
        return;
    }
    utf8_escape(&key, slice_of(event->key.data, shown));
    snprintf(to, size, "%.100s/%d@%" PRId64 " (key %s)", event->topic, (int)event->partition,
             event->offset, buf_cstr(&key));
    buf_deinit(&key);
}

void lane_tell_dead(struct lane_runner *runner, const struct lane_held *held, bool closes_lane)
{
    struct lane_tally *tally = &runner->tally;
    if (closes_lane) {
        tally->parked++;
    } else {
        tally->skipped++;
    }
    lane_tell_place(&lane_held_received(held)->event, tally->last, sizeof tally->last);
}

void lane_tell_handler(struct lane_runner *runner, int handler, bool is_down)
{
    const char *name = runner->settings.handler_names[handler];
    int64_t now_ms = clock_mono_ms(runner->clock);
    int64_t *since_ms = &runner->down_since_ms[handler];
    struct lane_counts counts = lane_counts(runner->machine);
    if (is_down) {
        *since_ms = now_ms;
        lane_story_handler(runner, handler, 0);
        lane_tell(runner, LANE_LOG_WARN,
                  "handler %s is down: nothing of it succeeds; its events wait and use up no "
                  "attempt, %zu in memory; it is tried now and then",
                  name, counts.waiting_events);
    } else {
        lane_tell(runner, LANE_LOG_INFO, "handler %s is up again after %" PRId64 " s", name,
                  (now_ms - *since_ms) / 1000);
        lane_story_handler(runner, handler, *since_ms + runner->wall_from_mono_ms);
        *since_ms = 0;
    }
}

void lane_tell_due(struct lane_runner *runner, bool is_last)
{
    struct lane_tally *tally = &runner->tally;
    int64_t now_ms = clock_mono_ms(runner->clock);
    uint64_t parked = tally->parked - tally->told_parked;
    uint64_t skipped = tally->skipped - tally->told_skipped;
    uint64_t aside = tally->aside - tally->told_aside;
    uint64_t redone = tally->redone - tally->told_redone;
    uint64_t failed = tally->failed_again - tally->told_failed_again;
    if (parked + skipped + aside + redone + failed == 0 ||
        (now_ms < tally->tell_at_ms && !is_last)) {
        return;
    }
    tally->tell_at_ms = now_ms + TELL_EVERY_MS;
    tally->told_parked = tally->parked;
    tally->told_skipped = tally->skipped;
    tally->told_aside = tally->aside;
    tally->told_redone = tally->redone;
    tally->told_failed_again = tally->failed_again;
    if (redone + failed > 0) {
        lane_tell(runner, failed > 0 ? LANE_LOG_WARN : LANE_LOG_INFO,
                  "redriven: %" PRIu64 " dead event%s %s done, %" PRIu64 " %s dead again%s%s",
                  redone, plural_s(redone), plural_are(redone), failed, plural_are(failed),
                  failed > 0 ? ", the last " : "", failed > 0 ? tally->last : "");
    }
    if (parked + skipped > 0) {
        lane_tell(runner, LANE_LOG_WARN,
                  "given up: %" PRIu64 " event%s that closed %s lane, %" PRIu64
                  " other%s, the last %s; see %s",
                  parked, plural_s(parked), parked == 1 ? "its" : "their", skipped,
                  plural_s(skipped), tally->last, runner->dlq_topic);
    }
    if (aside > 0) {
        struct lane_counts counts = lane_counts(runner->machine);
        lane_tell(runner, LANE_LOG_INFO,
                  "set aside: %" PRIu64 " event%s behind others of the key; %zu lane%s %s open",
                  aside, plural_s(aside), counts.open_lanes, plural_s(counts.open_lanes),
                  plural_are(counts.open_lanes));
    }
}
