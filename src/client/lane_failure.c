#include "client/lane_runner_inside.h"

#include "base/mem.h"

/*
 * Why an event failed last, while it is not in memory: one that is set aside is let go after each
 * try, and its dead letter is to say it.
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
    char *error_class;
    char *message;
};

static struct lane_failure *find(struct lane_runner *runner, const struct lane_held *held)
{
    struct place place = {held->source, held->event.offset};
    struct lane_failure *failure;
    HASH_FIND(hh, runner->failures, &place, sizeof place, failure);
    return failure;
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
