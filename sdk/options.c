#include "service.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Settings: what is wrong with them, their defaults, and what they are for the lanes. */

enum tidings_status bounds_check(const struct bound *bounds, size_t count,
                                 struct tidings_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct bound *at = &bounds[i];
        if (at->value != 0 && (at->value < at->least || at->value > at->most)) {
            return error_set(error, TIDINGS_INVALID,
                             "options.%s: %lld is not within %lld and %lld (0: the default)",
                             at->name, (long long)at->value, (long long)at->least,
                             (long long)at->most);
        }
    }
    return TIDINGS_OK;
}

/* A size that is no int64_t is beyond any bound. */
static int64_t of_size(size_t size)
{
    return size > INT64_MAX ? INT64_MAX : (int64_t)size;
}

static int or_default(int value, int otherwise)
{
    return value != 0 ? value : otherwise;
}

static enum tidings_status numbers_check(const struct tidings_options *options,
                                         struct tidings_error *error)
{
    const int64_t most = INT64_MAX / 4, million = 1000000, count = 1000000000;
    const struct lane_settings lanes = options_lanes(options, 1);
    const struct bound bounds[] = {
        {"publish_timeout_ms", options->publish_timeout_ms, 1, INT32_MAX},
        {"commit_interval_ms", options->commit_interval_ms, 1, INT32_MAX},
        {"session_timeout_ms", options->session_timeout_ms, 1, INT32_MAX},
        {"handler_warn_ms", options->handler_warn_ms, 1, INT32_MAX},
        {"stop_timeout_ms", options->stop_timeout_ms, 1, INT32_MAX},
        {"workers", options->workers, 1, 10000},
        {"order", options->order, TIDINGS_BY_KEY, TIDINGS_UNORDERED},
        {"retry_max_ms", options->retry_max_ms, lanes.backoff_first_ms, INT32_MAX},
        {"retry_first_ms", options->retry_first_ms, 1, lanes.backoff_max_ms},
        {"attempts", options->attempts, 1, million},
        {"attempts_alone", options->attempts_alone, 1, million},
        {"give_up_with_key", options->give_up_with_key, TIDINGS_PARK, TIDINGS_END},
        {"give_up_without_key", options->give_up_without_key, TIDINGS_PARK, TIDINGS_END},
        {"outage_after", options->outage_after, 1, million},
        {"probe_max_ms", options->probe_max_ms, lanes.probe_first_ms, INT32_MAX},
        {"probe_first_ms", options->probe_first_ms, 1, lanes.probe_max_ms},
        {"memory_events", of_size(options->memory_events), 1, count},
        {"memory_bytes", of_size(options->memory_bytes), 1, most},
        {"waiting_events", of_size(options->waiting_events), 1, count},
        {"waiting_bytes", of_size(options->waiting_bytes), 1, most},
        {"aside_after_ms", options->aside_after_ms, 1, INT32_MAX},
        {"open_lanes", of_size(options->open_lanes), 1, count},
        {"aside_bytes", options->aside_bytes, 1, most},
    };
    return bounds_check(bounds, sizeof bounds / sizeof bounds[0], error);
}

enum tidings_status options_check(const struct tidings_options *options,
                                  struct tidings_error *error)
{
    if (options->name == NULL || !name_is_plain(options->name)) {
        return error_set(error, TIDINGS_INVALID,
                         "options.name must be 1 to 249 letters, digits, '.', '_' or '-'");
    }
    return numbers_check(options, error);
}

static const char *const *settings_copy(const char *const *settings, size_t *count)
{
    *count = 0;
    while (settings != NULL && settings[*count] != NULL) {
        ++*count;
    }
    const char **copy = mem_new_array(const char *, *count + 1);
    for (size_t i = 0; i < *count; i++) {
        copy[i] = mem_strdup(settings[i]);
    }
    return copy;
}

/* As the command does (cli/bus.c). */
static const char *servers_of(const struct tidings_options *options)
{
    const char *servers = options->bootstrap_servers;
    servers = servers != NULL ? servers : getenv("TIDINGS_BOOTSTRAP_SERVER");
    return servers != NULL && servers[0] != '\0' ? servers : "127.0.0.1:9092";
}

void options_copy(struct tidings *service, const struct tidings_options *options)
{
    struct tidings_options *its = &service->options;
    *its = *options;
    its->name = mem_strdup(options->name);
    its->instance = mem_strdup(options->instance);
    its->http_listen = mem_strdup(options->http_listen);
    its->otlp_endpoint = mem_strdup(options->otlp_endpoint);
    its->bootstrap_servers = mem_strdup(servers_of(options));
    its->client_settings = settings_copy(options->client_settings, &service->client_setting_count);
    its->publish_timeout_ms = or_default(options->publish_timeout_ms, 30000);
    its->session_timeout_ms = or_default(options->session_timeout_ms, 10000);
    its->stop_timeout_ms = options->stop_timeout_ms != 0 ? options->stop_timeout_ms : 30000;
    its->handler_warn_ms = or_default(options->handler_warn_ms, 10000);
    its->log = options->log ? options->log : log_to_stderr;
    its->log_context = options->log ? options->log_context : service;
}

void options_free(struct tidings *service)
{
    struct tidings_options *its = &service->options;
    for (const char *const *setting = its->client_settings; *setting != NULL; setting++) {
        free((void *)(uintptr_t)*setting);
    }
    free((void *)(uintptr_t)its->client_settings);
    free((void *)(uintptr_t)its->name);
    free((void *)(uintptr_t)its->instance);
    free((void *)(uintptr_t)its->http_listen);
    free((void *)(uintptr_t)its->otlp_endpoint);
    free((void *)(uintptr_t)its->bootstrap_servers);
}

static enum lane_give_up give_up_of(enum tidings_give_up rule, enum lane_give_up otherwise)
{
    static const enum lane_give_up rules[] = {
        [TIDINGS_PARK] = LANE_PARK, [TIDINGS_SKIP] = LANE_SKIP, [TIDINGS_END] = LANE_STOP};
    return rule == TIDINGS_GIVE_UP_DEFAULT || rule > TIDINGS_END ? otherwise : rules[rule];
}

static enum lane_order order_of(enum tidings_order order)
{
    return order == TIDINGS_BY_KEY         ? LANE_BY_KEY
           : order == TIDINGS_BY_PARTITION ? LANE_BY_PARTITION
                                           : LANE_FREE;
}

#define GIVEN(setting, option)                                                                     \
    do {                                                                                           \
        if ((option) != 0) {                                                                       \
            (setting) = (option);                                                                  \
        }                                                                                          \
    } while (0)

struct lane_settings options_lanes(const struct tidings_options *options, int handler_count)
{
    enum { TRANSACTION_MS = 100 };
    struct lane_settings lanes;
    lane_settings_init(&lanes);
    lanes.handler_count = handler_count;
    lanes.order = order_of(options->order);
    lanes.with_key = give_up_of(options->give_up_with_key, lanes.with_key);
    lanes.without_key = give_up_of(options->give_up_without_key, lanes.without_key);
    GIVEN(lanes.workers, options->workers);
    GIVEN(lanes.attempts, options->attempts);
    GIVEN(lanes.attempts_alone, options->attempts_alone);
    GIVEN(lanes.backoff_first_ms, options->retry_first_ms);
    GIVEN(lanes.backoff_max_ms, options->retry_max_ms);
    GIVEN(lanes.down_after, options->outage_after);
    GIVEN(lanes.probe_first_ms, options->probe_first_ms);
    GIVEN(lanes.probe_max_ms, options->probe_max_ms);
    if (options->exactly_once) {
        lanes.commit_interval_ms = TRANSACTION_MS;
    }
    GIVEN(lanes.commit_interval_ms, options->commit_interval_ms);
    GIVEN(lanes.intake_events, options->memory_events);
    GIVEN(lanes.intake_bytes, options->memory_bytes);
    GIVEN(lanes.waiting_events, options->waiting_events);
    GIVEN(lanes.waiting_bytes, options->waiting_bytes);
    GIVEN(lanes.aside_after_ms, options->aside_after_ms);
    GIVEN(lanes.open_lanes, options->open_lanes);
    GIVEN(lanes.aside_bytes, options->aside_bytes);
    return lanes;
}
