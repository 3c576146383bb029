#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"

/*
 * Why an event failed last: one that is set aside is let go after each try, and its dead letter is
 * to say it; and lanes.<group> tells people why a lane is as its note says.
 */

struct place {
    const struct lane_source *source;
    int64_t offset;
};

struct lane_failure {
    UT_hash_handle hh;
    struct place place;
    int64_t failed_ms;
    int64_t first_failed_ms;
    int attempt;
    bool is_told; /* in lanes.<group> */
    char *error_class;
    char *message;
};

static struct lane_failure *find_at(struct lane_runner *runner, const struct lane_source *source,
                                    int64_t offset)
{
    struct place place = {source, offset};
    struct lane_failure *failure;
    if (runner->failures == NULL) { /* mostly */
        return NULL;
    }
    HASH_FIND(hh, runner->failures, &place, sizeof place, failure);
    return failure;
}

static struct lane_failure *find(struct lane_runner *runner, const struct lane_held *held)
{
    return find_at(runner, held->source, held->event.offset);
}

static void drop(struct lane_runner *runner, struct lane_failure *failure)
{
    HASH_DELETE(hh, runner->failures, failure);
    free(failure->error_class);
    free(failure->message);
    free(failure);
}

void lane_failure_forget(struct lane_runner *runner, const struct lane_held *held)
{
    struct lane_failure *failure = find(runner, held);
    if (failure != NULL) {
        drop(runner, failure);
    }
}

void lane_failure_keep(struct lane_runner *runner, const struct lane_held *held)
{
    struct lane_failure *failure = mem_new(struct lane_failure);
    const struct lane_failure *former = find(runner, held);
    failure->is_told = former != NULL && former->is_told &&
                       strcmp(former->error_class, held->said.error_class) == 0 &&
                       strcmp(former->message, held->said.message) == 0;
    lane_failure_forget(runner, held);
    failure->place = (struct place){held->source, held->event.offset};
    failure->failed_ms = held->failed_ms;
    failure->first_failed_ms = held->event.first_failed_ms;
    failure->attempt = held->event.attempt;
    failure->error_class = mem_strdup(held->said.error_class);
    failure->message = mem_strdup(held->said.message);
    HASH_ADD(hh, runner->failures, place, sizeof failure->place, failure);
}

void lane_failure_recall(struct lane_runner *runner, struct lane_held *held)
{
    const struct lane_failure *failure = find(runner, held);
    if (failure != NULL) {
        held->failed_ms = failure->failed_ms;
        held->event.first_failed_ms = failure->first_failed_ms;
        held->event.attempt = failure->attempt;
        held->said.verdict = LANE_RETRY;
        memcpy(held->said.error_class, failure->error_class, strlen(failure->error_class) + 1);
        memcpy(held->said.message, failure->message, strlen(failure->message) + 1);
    }
}

void lane_failures_drop(struct lane_runner *runner, const struct lane_source *source)
{
    struct lane_failure *failure, *next;
    HASH_ITER (hh, runner->failures, failure, next) {
        if (failure->place.source == source) {
            drop(runner, failure);
        }
    }
}

bool lane_failure_untold(struct lane_runner *runner, const struct lane_source *source,
                         int64_t offset, struct lane_reason *reason)
{
    struct lane_failure *failure = find_at(runner, source, offset);
    if (failure == NULL || failure->is_told) {
        return false;
    }
    failure->is_told = true;
    *reason = (struct lane_reason){.kind = LANE_REASON_FAILED,
                                   .offset = offset,
                                   .what = slice_str(failure->error_class),
                                   .text = slice_str(failure->message),
                                   .time_ms = failure->failed_ms};
    return true;
}

void lane_failure_end(struct lane_runner *runner, const struct lane_source *source, int64_t offset)
{
    struct lane_failure *failure = find_at(runner, source, offset);
    if (failure != NULL) {
        drop(runner, failure);
    }
}
