#include "client/runner/lane_runner_inside.h"

/* Why lanes are as their notes say, for people, in lanes.<group>. */

static void append(struct lane_source *source, struct lane_name name,
                   const struct lane_reason *reason)
{
    const struct lane_record record = {
        .kind = LANE_RECORD_REASON, .fence = source->fence, .name = name, .reason = *reason};
    lane_append_record(source, &record);
}

void lane_reason_noted(struct lane_runner *runner, struct lane_source *source,
                       const struct lane_effect *effect)
{
    const struct lane_note *note = &effect->note;
    struct lane_reason reason;
    if ((note->is_parked || note->attempts > 0) &&
        lane_failure_untold(runner, source, note->offset, &reason)) {
        append(source, effect->name, &reason);
    }
    if (note->is_parked) {
        lane_failure_end(runner, source, note->offset); /* its dead letter has it */
    }
}

void lane_reason_held(struct lane_runner *runner, struct lane_source *source,
                      const struct lane_wish *wish)
{
    const struct lane_reason reason = {.kind = LANE_REASON_HELD,
                                       .offset = -1,
                                       .what = slice_str(wish->who),
                                       .text = slice_str(wish->why),
                                       .time_ms = lane_now_ms(runner)};
    append(source, wish->name, &reason);
}
