#include "client/runner/lane_runner_inside.h"

/* Counts of the runner, for who shows them. */

struct lane_counts lane_runner_counts(const struct lane_runner *runner)
{
    return lane_counts(runner->machine);
}

void lane_runner_numbers(const struct lane_runner *runner, struct lane_numbers *numbers)
{
    const struct lane_tally *tally = &runner->tally;
    *numbers = (struct lane_numbers){
        .counts = lane_counts(runner->machine),
        .parked = tally->parked,
        .skipped = tally->skipped,
        .aside = tally->aside,
        .redone = tally->redone,
        .failed_again = tally->failed_again,
        .commits = tally->commits,
        .has_joined = runner->has_joined,
    };
}

bool lane_runner_is_down(const struct lane_runner *runner, int handler)
{
    return runner->down_since_ms[handler] != 0;
}

static int64_t end_of(const struct lane_runner *runner, const struct lane_source *source)
{
    struct lane_share share = lane_source_share(source);
    int64_t heard = runner->bus.end != NULL ? runner->bus.end(runner->bus.context, &share) : -1;
    int64_t known = source->asked_end > 0 ? source->asked_end : -1;
    return heard > known ? heard : known;
}

void lane_runner_each_share(const struct lane_runner *runner,
                            void (*each)(void *context, const struct lane_share_numbers *share),
                            void *context)
{
    for (size_t i = 0; i < runner->sources.count; i++) {
        const struct lane_source *source = runner->sources.items[i];
        struct lane_share_numbers share = {
            .topic = source->topic, .partition = source->number, .is_paused = source->is_paused};
        if (source->epoch != 0 && lane_standing(runner->machine, source->id, &share.standing)) {
            share.end = end_of(runner, source);
            each(context, &share);
        }
    }
}
