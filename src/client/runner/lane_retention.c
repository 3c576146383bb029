#include "client/runner/lane_runner_inside.h"

#include <inttypes.h>

/*
 * While the intake of a partition is paused, its source holds what is to come, and retention goes
 * on: a warning says so before it takes any of that. How fast it goes is seen since the pause
 * began; it goes by whole segments, so what is no more than its longest step may be gone next.
 */

enum { ASK_EVERY_MS = 60000, NEAR_MS = 3600000 };

void lane_retention_due(struct lane_runner *runner, struct lane_source *source)
{
    int64_t now_ms = clock_mono_ms(runner->clock);
    struct lane_retention *retention = &source->retention;
    struct lane_share share = lane_source_share(source);
    if (!source->is_paused || !source->is_restored || runner->bus.bounds == NULL) {
        *retention = (struct lane_retention){.first = -1, .ask_ms = now_ms + ASK_EVERY_MS};
    } else if (now_ms >= retention->ask_ms) {
        retention->ask_ms = now_ms + ASK_EVERY_MS;
        runner->bus.bounds(runner->bus.context, &share);
    }
}

static bool is_near(const struct lane_retention *retention, int64_t left, int64_t now_ms)
{
    int64_t gone = retention->last - retention->first;
    int64_t elapsed_ms = now_ms - retention->first_ms;
    return gone > 0 && (left <= retention->step ||
                        (double)left / (double)gone * (double)elapsed_ms < (double)NEAR_MS);
}

void lane_retention_read(struct lane_runner *runner, const struct lane_mail *mail)
{
    struct lane_source *source = lane_source_find(runner, &mail->share);
    int64_t now_ms = clock_mono_ms(runner->clock), next = 0, start = mail->position;
    if (source == NULL || !source->is_paused ||
        lane_progress(runner->machine, source->id, &next) < 0) {
        return;
    }
    source->asked_end = mail->end;
    struct lane_retention *retention = &source->retention;
    if (retention->first < 0) {
        retention->first = retention->last = start;
        retention->first_ms = now_ms;
    }
    int64_t step = start - retention->last;
    retention->step = step > retention->step ? step : retention->step;
    retention->last = start;
    if (!retention->is_told && start <= next && is_near(retention, next - start, now_ms)) {
        retention->is_told = true;
        lane_tell(runner, LANE_LOG_WARN,
                  "%s/%d: its intake is paused at offset %" PRId64
                  ", and the topic's retention comes "
                  "near: it has reached %" PRId64 ", %" PRId64 " offsets in %" PRId64
                  " s; what it takes is never handled: let it keep longer (retention.ms, "
                  "retention.bytes), or mend what fails",
                  source->topic, (int)source->number, next, start, start - retention->first,
                  (now_ms - retention->first_ms) / 1000);
    }
}
