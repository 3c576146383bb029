#include "client/runner/lane_runner_inside.h"

#include "base/random.h"

/* Partitions come and go: inside of the bus's take, on the poll thread. */

void lane_bus_assigned(struct lane_runner *runner, const struct lane_share *share,
                       int64_t committed, const char *metadata, bool is_new_topic)
{
    struct lane_source *source = lane_source_get(runner, share);
    lane_source_lose(runner, source);
    source->epoch = share->epoch;
    source->book = lane_book_new();
    random_secure(&source->writer, sizeof source->writer);
    source->serial = 0;
    source->reached = -1;
    source->begins_anew = is_new_topic;
    source->is_leaving = false;
    source->wants_pause = true;
    source->is_paused = false;
    source->asked_end = 0;
    lane_own(runner->machine, source->id, source->epoch, committed, metadata);
}

void lane_bus_committed(struct lane_runner *runner, const struct lane_share *share, bool is_stored)
{
    struct lane_source *source = lane_source_find(runner, share);
    if (source != NULL && source->is_committing) {
        source->is_committing = false;
        lane_committed(runner->machine, source->id, source->epoch, is_stored);
        if (is_stored) {
            runner->tally.commits++;
            lane_obey_committed(source);
        }
    }
}

void lane_bus_joined(struct lane_runner *runner, bool has_joined)
{
    runner->has_joined = has_joined;
}

void lane_bus_replaced(struct lane_runner *runner)
{
    runner->begins_anew = true;
}

void lane_begin_anew_due(struct lane_runner *runner)
{
    if (!runner->begins_anew) {
        return;
    }
    runner->begins_anew = false;
    lane_tell(runner, LANE_LOG_WARN,
              "what the bus took of this service's last %s is not known for sure: going on from "
              "what is committed",
              runner->settings.transacts ? "transactions" : "commits");
    for (size_t i = 0; i < runner->sources.count; i++) {
        lane_source_lose(runner, runner->sources.items[i]);
    }
    runner->bus.begin_anew(runner->bus.context);
}

void lane_bus_reached(struct lane_runner *runner, const struct lane_share *share, int64_t offset)
{
    struct lane_source *source = lane_source_find(runner, share);
    if (source != NULL) {
        source->reached = offset;
        lane_source_reached(runner, source);
    }
}

static bool all_quiet(struct lane_source *const *sources, size_t count)
{
    bool is_quiet = true;
    for (size_t i = 0; i < count; i++) {
        is_quiet &= sources[i]->is_quiet || sources[i]->epoch == 0;
    }
    return is_quiet;
}

void lane_let_sources_go(struct lane_runner *runner, struct lane_source *const *sources,
                         size_t count, int64_t most_ms)
{
    enum { WAIT_MS = 20 };
    int64_t until_ms = clock_mono_ms(clock_system()) + most_ms;
    runner->is_letting_go = true;
    runner->let_go_until_ms = until_ms;
    for (size_t i = 0; i < count; i++) {
        struct lane_source *source = sources[i];
        source->is_quiet = false;
        source->is_leaving = true;
        if (source->is_committing && !runner->settings.transacts) {
            /* its answer cannot come in here */
            source->is_committing = false;
            lane_committed(runner->machine, source->id, source->epoch, false);
        }
        lane_revoke(runner->machine, source->id);
    }
    lane_carry_out(runner);
    while (!all_quiet(sources, count) && clock_mono_ms(clock_system()) < until_ms) {
        lane_mailbox_wait(&runner->mailbox, WAIT_MS);
        lane_read_mail(runner);
        lane_begin_anew_due(runner);
        lane_carry_out(runner);
    }
    runner->unquiet = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_unquiet = !sources[i]->is_quiet && sources[i]->epoch != 0;
        runner->unquiet += is_unquiet;
        if (is_unquiet && !runner->is_stop) { /* there it is one line for all */
            lane_tell(runner, LANE_LOG_WARN,
                      "%s/%d is given back before all was done and written that was begun; that "
                      "comes again where it is read next",
                      sources[i]->topic, (int)sources[i]->number);
        }
        lane_source_lose(runner, sources[i]);
    }
    runner->is_letting_go = false;
}

void lane_bus_revoked(struct lane_runner *runner, const struct lane_share *shares, size_t count,
                      bool is_lost)
{
    VEC(struct lane_source *) sources = {0};
    for (size_t i = 0; i < count; i++) {
        struct lane_source *source = lane_source_find(runner, &shares[i]);
        if (source != NULL && source->epoch != 0) {
            vec_push(&sources, source);
        }
    }
    if (!is_lost && sources.count > 0) {
        lane_let_sources_go(runner, sources.items, sources.count, runner->settings.revoke_wait_ms);
    }
    for (size_t i = 0; i < sources.count; i++) {
        lane_source_lose(runner, sources.items[i]);
    }
    lane_carry_out(runner);
    vec_deinit(&sources);
}
