#include "service.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Life of a service: made, run, freed. */

static struct tidings *service_make(const struct tidings_options *options)
{
    struct tidings *service = mem_new(struct tidings);
    options_copy(service, options);
    service->stop.within_ms = service->options.stop_timeout_ms;
    service->clock = clock_system();
    service->source = mem_sprintf("/%s", options->name);
    service->client_id = options->instance != NULL
                             ? mem_sprintf("%s-%s", options->name, options->instance)
                             : mem_strdup(options->name);
    pthread_mutex_init(&service->log_lock, NULL);
    pthread_mutex_init(&service->hands_lock, NULL);
    pthread_mutex_init(&service->lock, NULL);
    cond_init(&service->landed);
    meter_init(&service->meter);
    return service;
}

static struct position from_of(const struct tidings *service)
{
    return (struct position){.kind = service->options.from_end ? POSITION_END : POSITION_START};
}

/* Settings are tried now, so that a wrong one shows at start and not at the first event. */
static enum tidings_status settings_check(struct tidings *service, struct tidings_error *error)
{
    struct client_error why;
    struct publisher_settings publisher = service_publisher(service);
    struct reader_settings reader = {.connection = service_connection(service),
                                     .group = service->options.name,
                                     .instance = service->options.instance,
                                     .from = from_of(service),
                                     .is_cooperative = true,
                                     .session_timeout_ms = service->options.session_timeout_ms};
    if (publisher_check(&publisher, &why) != CLIENT_OK ||
        reader_check(&reader, &why) != CLIENT_OK) {
        return error_from(error, &why);
    }
    return TIDINGS_OK;
}

static void on_log(void *context, enum lane_log_level level, const char *text)
{
    static const enum tidings_log_level levels[] = {[LANE_LOG_INFO] = TIDINGS_LOG_INFO,
                                                    [LANE_LOG_WARN] = TIDINGS_LOG_WARN,
                                                    [LANE_LOG_ERROR] = TIDINGS_LOG_ERROR};
    service_log(context, levels[level], "%s", text);
}

static struct outcome_log *outcomes_new(struct tidings *service)
{
    struct connection_settings connection = service_connection(service);
    connection.deadline = &service->stop;
    struct outcome_log_settings settings = {
        .connection = connection,
        .group = service->options.name,
        .instance = service->options.instance,
        .attempts = options_lanes(&service->options, 1).attempts,
        .log = on_log,
        .context = service,
    };
    return outcome_log_new(&settings);
}

enum tidings_status tidings_new_sized(const struct tidings_options *options, size_t options_size,
                                      struct tidings **service, struct tidings_error *error)
{
    struct tidings_options its;
    *service = NULL;
    if (!sized_copy(&its, sizeof its, options, options_size)) {
        return sized_fail(error, "tidings_options");
    }
    enum tidings_status status = options_check(&its, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    struct tidings *made = service_make(&its);
    status = settings_check(made, error);
    made->outcomes = made->options.tells_no_outcomes ? NULL : outcomes_new(made);
    if (status == TIDINGS_OK) {
        status = show_open(made, &made->show, error);
    }
    if (status == TIDINGS_OK) {
        status = spans_open(made, &made->spans, error);
    }
    if (status != TIDINGS_OK) {
        tidings_free(made);
        return status;
    }
    *service = made;
    return TIDINGS_OK;
}

void tidings_free(struct tidings *service)
{
    if (service == NULL) {
        return;
    }
    show_close(service->show);
    if (service->played != NULL) {
        service->played->leave(service);
    }
    publisher_close(service->publisher);
    spans_close(service->spans);
    outcome_log_free(service->outcomes);
    struct handler *handler, *next;
    LL_FOREACH_SAFE (service->handlers, handler, next) {
        handler_free(handler);
    }
    options_free(service);
    meter_deinit(&service->meter);
    pthread_cond_destroy(&service->landed);
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->hands_lock);
    pthread_mutex_destroy(&service->log_lock);
    free(service->source);
    free(service->client_id);
    free(service);
}

void tidings_stop(struct tidings *service)
{
    deadline_begin(&service->stop, service->options.stop_timeout_ms); /* fine in a signal handler */
    atomic_store(&service->stopping, true);
}

/* --- running --- */

static void on_tick(void *context)
{
    struct tidings *service = context;
    if (service_is_over(service)) {
        lane_runner_stop(service->runner);
    }
    hand_watch(service);
    meter_turn(service);
}

static void on_story(void *context, const struct lane_story *story)
{
    struct tidings *service = context;
    if (service->outcomes != NULL && service->played == NULL) {
        outcome_log_story(service->outcomes, story);
    }
}

static bool on_hand(void *context, struct lane_hand *hand, struct lane_said *said)
{
    struct tidings *service = context;
    const struct handler *handler = service->numbered[hand->handler];
    if (handler->batch == NULL) {
        return hand_call(service, hand, said);
    }
    batch_add(service, handler, hand);
    return false;
}

/* For who asks why an event was passed over. */
static void tell_handlers(struct tidings *service, size_t count)
{
    struct outcome_filter *filters = mem_new_array(struct outcome_filter, count);
    const struct handler *handler;
    size_t i = 0;
    LL_FOREACH (service->handlers, handler) {
        filters[i++] = (struct outcome_filter){.topic = handler->topic, .type = handler->type};
    }
    outcome_log_handles(service->outcomes, filters, count);
    free(filters);
}

enum client_status service_begin_lanes(struct tidings *service, struct client_error *why)
{
    size_t count = 0;
    struct handler *handler;
    LL_FOREACH (service->handlers, handler) {
        count++;
    }
    service->numbered = mem_new_array(struct handler *, count);
    service->handler_names = mem_new_array(const char *, count);
    LL_FOREACH (service->handlers, handler) {
        service->numbered[handler->number] = handler;
        service->handler_names[handler->number] = handler->name;
    }
    struct lane_runner_settings settings = {
        .group = service->options.name,
        .lanes = options_lanes(&service->options, (int)count),
        .handler_names = service->handler_names,
        .classify = handler_number,
        .handle = on_hand,
        .tick = on_tick,
        .story = on_story,
        .log = on_log,
        .context = service,
        .stop_wait_ms = (int)service->options.stop_timeout_ms,
        .stop = &service->stop,
        .clock = service->clock,
        .transacts = service->options.exactly_once,
        .settled = hand_settled,
        .commits_at_once = service->played != NULL,
    };
    service->lanes = settings;
    if (service->outcomes != NULL && service->played == NULL) {
        tell_handlers(service, count);
    }
    hands_open(service, settings.lanes.workers);
    atomic_store(&service->meter.turned_ms, clock_mono_ms(clock_system()));
    atomic_store(&service->meter.state, METER_RUNNING);
    return batches_begin(service)
               ? lane_runner_new(&settings, &service->runner, why)
               : client_fail(why, CLIENT_FATAL, NULL, "no thread for a handler of batches");
}

void service_let_go(struct tidings *service)
{
    atomic_store(&service->meter.state, METER_OVER);
    flights_wait(service); /* also for batches: they end when they have returned */
    batches_end(service);
}

void service_end_lanes(struct tidings *service)
{
    lane_runner_free(service->runner);
    free(service->handler_names);
    free(service->numbered);
    hands_close(service);
    service->runner = NULL;
    service->handler_names = NULL;
    service->numbered = NULL;
}

/* Until all that the handlers published has its end, and the group is left: within stop_timeout_ms
 * of the stop, but for handlers. */
static enum client_status run_lanes(struct tidings *service, struct client_error *why)
{
    struct lane_kafka *kafka = NULL;
    struct connection_settings connection = service_connection(service);
    connection.deadline = &service->stop;
    struct lane_kafka_settings bus = {.connection = connection,
                                      .group = service->options.name,
                                      .instance = service->options.instance,
                                      .topics = service->topics.names.items,
                                      .topic_count = service->topics.names.count,
                                      .from = from_of(service),
                                      .session_timeout_ms = service->options.session_timeout_ms};
    enum client_status status = service_begin_lanes(service, why);
    if (status == CLIENT_OK) {
        status = lane_kafka_open(&bus, &service->lanes, service->runner, &kafka, why);
    }
    if (status == CLIENT_OK) {
        status = topics_watch(service, kafka, why);
    }
    if (status == CLIENT_OK) {
        status = lane_runner_run(service->runner, why);
    }
    service_let_go(service);
    topics_unwatch(service);
    lane_kafka_close(kafka);
    service_end_lanes(service);
    return status;
}

static enum tidings_status run(struct tidings *service, struct tidings_error *error)
{
    struct client_error why;
    enum client_status status = topics_open(service, &why);
    if (status == CLIENT_OK && !service_is_over(service)) {
        status = run_lanes(service, &why);
    }
    topics_close(service);
    if (status == CLIENT_FATAL) {
        service_fail(service, &why);
    } else if (status != CLIENT_OK) {
        return error_from(error, &why);
    }
    return service->fatal ? error_set(error, TIDINGS_FATAL, "%s", service->fatal_error.text)
                          : TIDINGS_OK;
}

enum tidings_status tidings_run(struct tidings *service, struct tidings_error *error)
{
    if (service->ran) {
        return error_set(error, TIDINGS_INVALID, "tidings_run was called before");
    }
    if (service->handlers == NULL) {
        return error_set(error, TIDINGS_INVALID, "no handler registered: call tidings_on first");
    }
    if (service->played != NULL) {
        return error_set(error, TIDINGS_INVALID,
                         "the service is on a bus in memory: call tidings_test_settle");
    }
    service->ran = true;
    atomic_store(&service->meter.state, METER_OPENING);
    return service_is_over(service) ? TIDINGS_OK : run(service, error);
}
