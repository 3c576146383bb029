#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"
#include "base/plural.h"

/* --- settings --- */

struct bound {
    const char *name;
    int64_t value, least, most;
};

static enum client_status check_bounds(const struct lane_settings *lanes,
                                       struct client_error *error)
{
    const int64_t most = INT64_MAX / 4;
    const struct bound bounds[] = {
        {"handlers", lanes->handler_count, 1, 10000},
        {"workers", lanes->workers, 1, 10000},
        {"attempts", lanes->attempts, 1, 1000000},
        {"attempts alone", lanes->attempts_alone, 0, 1000000},
        {"first back-off", lanes->backoff_first_ms, 1, most},
        {"longest back-off", lanes->backoff_max_ms, lanes->backoff_first_ms, most},
        {"first probe", lanes->probe_first_ms, 1, most},
        {"longest wait for a probe", lanes->probe_max_ms, lanes->probe_first_ms, most},
        {"failed lanes of an outage", lanes->down_after, 1, 1000000},
        {"time before setting aside", lanes->aside_after_ms, 1, most},
        {"time of a wait that holds back the commit", lanes->behind_ms, 1, most},
        {"offsets of a commit that is held back", lanes->behind_events, 0, most},
        {"commit interval", lanes->commit_interval_ms, 1, most},
        {"events in memory", (int64_t)lanes->intake_events, 1, most},
        {"bytes in memory", (int64_t)lanes->intake_bytes, 1, most},
        {"waiting events", (int64_t)lanes->waiting_events, 1, most},
        {"waiting bytes", (int64_t)lanes->waiting_bytes, 1, most},
        {"open lanes", (int64_t)lanes->open_lanes, 1, most},
        {"bytes set aside", lanes->aside_bytes, 1, most},
        {"bytes of a commit's text", (int64_t)lanes->metadata_bytes, 40, 1 << 20},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const struct bound *at = &bounds[i];
        if (at->value < at->least || at->value > at->most) {
            return client_fail(error, CLIENT_INVALID, NULL,
                               "lanes: %s: %lld is not within %lld and %lld", at->name,
                               (long long)at->value, (long long)at->least, (long long)at->most);
        }
    }
    return CLIENT_OK;
}

enum client_status lane_runner_check(const struct lane_runner_settings *settings,
                                     struct client_error *error)
{
    if (settings->group == NULL || settings->group[0] == '\0') {
        return client_fail(error, CLIENT_INVALID, NULL, "lanes: the group has no name");
    }
    enum client_status status = check_bounds(&settings->lanes, error);
    for (int i = 0; status == CLIENT_OK && i < settings->lanes.handler_count; i++) {
        if (settings->handler_names == NULL || settings->handler_names[i] == NULL) {
            status = client_fail(error, CLIENT_INVALID, NULL, "lanes: handler %d has no name", i);
        }
    }
    if (status == CLIENT_OK && (settings->classify == NULL || settings->handle == NULL)) {
        status = client_fail(error, CLIENT_INVALID, NULL, "lanes: nobody handles events");
    }
    if (status == CLIENT_OK && settings->transacts && settings->settled == NULL) {
        status = client_fail(error, CLIENT_INVALID, NULL, "lanes: nobody hears of transactions");
    }
    if (status == CLIENT_OK && (settings->revoke_wait_ms < 0 || settings->stop_wait_ms < 0)) {
        status = client_fail(error, CLIENT_INVALID, NULL, "lanes: a time to wait is below 0");
    }
    return status;
}

/* --- life --- */

static void say_nothing(void *context, enum lane_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

enum client_status lane_runner_new(const struct lane_runner_settings *settings,
                                   struct lane_runner **runner, struct client_error *error)
{
    enum { REVOKE_WAIT_MS = 5000, STOP_WAIT_MS = 30000 };
    enum client_status status = lane_runner_check(settings, error);
    *runner = NULL;
    if (status != CLIENT_OK) {
        return status;
    }
    struct lane_runner *made = mem_new(struct lane_runner);
    made->settings = *settings;
    made->stop = settings->stop != NULL ? settings->stop : &made->own_stop;
    made->clock = settings->clock != NULL ? settings->clock : clock_system();
    made->settings.log = settings->log != NULL ? settings->log : say_nothing;
    if (settings->revoke_wait_ms == 0) {
        made->settings.revoke_wait_ms = REVOKE_WAIT_MS;
    }
    if (settings->stop_wait_ms == 0) {
        made->settings.stop_wait_ms = STOP_WAIT_MS;
    }
    made->wall_from_mono_ms = clock_wall_ms(made->clock) - clock_mono_ms(made->clock);
    made->settings.lanes.commits_on_request = settings->transacts;
    made->machine = lane_machine_new(&made->settings.lanes);
    made->caused_most = SIZE_MAX;
    made->down_since_ms = mem_new_array(int64_t, (size_t)settings->lanes.handler_count);
    lane_topic_name("dlq.", settings->group, made->dlq_topic);
    lane_mailbox_init(&made->mailbox);
    pthread_mutex_init(&made->workers.lock, NULL);
    pthread_cond_init(&made->workers.work, NULL);
    lane_lead_init(&made->lead);
    *runner = made;
    return CLIENT_OK;
}

void lane_runner_set_bus(struct lane_runner *runner, const struct lane_bus *bus)
{
    runner->bus = *bus;
}

static void release(void *context, struct lane_event *event)
{
    lane_held_free(context, lane_held_of(event));
}

void lane_runner_free(struct lane_runner *runner)
{
    if (runner == NULL) {
        return;
    }
    lane_read_mail(runner); /* answers that were on their way: the machine frees what they held */
    lane_machine_free(runner->machine, release, runner);
    HASH_CLEAR(hh, runner->by_name);
    for (size_t i = 0; i < runner->sources.count; i++) {
        lane_source_free(runner->sources.items[i]);
    }
    vec_deinit(&runner->sources);
    lane_held_free_spare(runner);
    lane_lead_deinit(&runner->lead);
    pthread_cond_destroy(&runner->workers.work);
    pthread_mutex_destroy(&runner->workers.lock);
    lane_mailbox_deinit(&runner->mailbox);
    free(runner->down_since_ms);
    free(runner);
}

/* --- turns --- */

enum client_status lane_runner_turn(struct lane_runner *runner, int timeout_ms,
                                    struct client_error *error)
{
    if (runner->workers.threads == NULL && !lane_workers_start(runner)) {
        return client_fail(error, CLIENT_FATAL, NULL, "not so many threads can be had");
    }
    (void)!lane_lead_turn(runner, timeout_ms); /* nobody else reads: it was not lent */
    if (runner->failure.status != CLIENT_OK && error != NULL) {
        *error = runner->failure;
    }
    return runner->failure.status;
}

void lane_runner_take_late(struct lane_runner *runner)
{
    lane_read_mail(runner);
    lane_carry_out(runner);
}

int64_t lane_runner_left_ms(const struct lane_runner *runner)
{
    enum { LEAVING_MS = 2000 };
    int64_t all_ms = runner->settings.stop_wait_ms;
    int64_t leaving_ms = all_ms / 4 < LEAVING_MS ? all_ms / 4 : LEAVING_MS;
    int64_t most_ms = deadline_left_ms(runner->stop, all_ms) - leaving_ms;
    return most_ms > 0 ? most_ms : 0;
}

void lane_runner_grant(struct lane_runner *runner)
{
    enum { GRACE_MS = 1000 };
    deadline_grant(runner->stop, GRACE_MS);
}

/* The one line about it. */
static void tell_given_back(struct lane_runner *runner, size_t count)
{
    runner->given_back = runner->unquiet;
    if (runner->given_back == 0) {
        return;
    }
    lane_tell(runner, LANE_LOG_WARN,
              "the time to stop is over (%d.%d s): %zu of %zu partition%s %s given back before all "
              "was done and written: %s; what is not committed comes again where it is read next",
              runner->settings.stop_wait_ms / 1000, runner->settings.stop_wait_ms % 1000 / 100,
              runner->given_back, count, plural_s(count), runner->given_back == 1 ? "is" : "are",
              lane_workers_are_busy(runner)
                  ? "handlers have not returned, and are waited for, as they use what would go"
                  : "the bus has not acknowledged it, or a batch is at work");
}

void lane_runner_end(struct lane_runner *runner)
{
    enum { WAIT_MS = 20 };
    deadline_begin(runner->stop, runner->settings.stop_wait_ms);
    VEC(struct lane_source *) held = {0};
    lane_tell_due(runner, true); /* while it knows its lanes */
    for (size_t i = 0; i < runner->sources.count; i++) {
        if (runner->sources.items[i]->epoch != 0) {
            vec_push(&held, runner->sources.items[i]);
        }
    }
    if (held.count > 0) {
        runner->is_stop = true;
        lane_let_sources_go(runner, held.items, held.count, lane_runner_left_ms(runner));
        tell_given_back(runner, held.count);
    }
    vec_deinit(&held);
    bool was_late = false;
    while (lane_workers_are_busy(runner)) { /* whoever watches over handlers is called meanwhile */
        lane_mailbox_wait(&runner->mailbox, WAIT_MS);
        lane_read_mail(runner);
        lane_carry_out(runner);
        was_late = lane_runner_left_ms(runner) == 0;
    }
    if (was_late) {
        lane_runner_grant(runner);
    }
    lane_workers_end(runner);
    lane_read_mail(runner);
    lane_carry_out(runner);
    lane_tell_due(runner, true);
}

enum client_status lane_runner_run(struct lane_runner *runner, struct client_error *error)
{
    enum { TURN_MS = 200 };
    enum client_status status = CLIENT_OK;
    while (status == CLIENT_OK && !atomic_load(&runner->is_stopping)) {
        status = lane_runner_turn(runner, TURN_MS, error);
        if (status == CLIENT_OK && lane_lead_is_due(runner)) {
            lane_lead_lend(runner);
        }
    }
    lane_runner_end(runner);
    return status;
}

void lane_runner_stop(struct lane_runner *runner)
{
    atomic_store(&runner->is_stopping, true);
    runner->bus.wake(runner->bus.context);
}

size_t lane_runner_given_back(const struct lane_runner *runner)
{
    return runner->given_back;
}

int64_t lane_runner_due_ms(const struct lane_runner *runner)
{
    return runner->due_ms;
}
