#include "service.h"

#include "base/clock.h"
#include "base/time_text.h"

#include <stdarg.h>
#include <stdio.h>

/* What callers and the log are told, and what ends a service. */

enum tidings_status error_set(struct tidings_error *error, enum tidings_status status,
                              const char *format, ...)
{
    if (error != NULL) {
        error->status = status;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

void log_to_stderr(void *context, enum tidings_log_level level, const char *message)
{
    static const char *const marks[] = {
        [TIDINGS_LOG_WARN] = "warning: ", [TIDINGS_LOG_ERROR] = "error: "};
    const struct tidings *service = context;
    char now[TIME_TEXT_SIZE];
    fprintf(stderr, "%s %s: %s%s\n", time_format(clock_wall_ms(service->clock), now),
            service->options.name, level == TIDINGS_LOG_INFO ? "" : marks[level], message);
}

enum { MESSAGE_SIZE = 1024 };

/* log_lock is held. */
static void tell(struct tidings *service, enum tidings_log_level level, const char *message)
{
    service->options.log(service->options.log_context, level, message);
}

void service_log(struct tidings *service, enum tidings_log_level level, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&service->log_lock);
    tell(service, level, message);
    pthread_mutex_unlock(&service->log_lock);
}

void service_log_often(struct tidings *service, struct quiet *quiet, enum tidings_log_level level,
                       const char *format, ...)
{
    enum { SPAN_MS = 10000, SPAN_LINES = 20 };
    char message[MESSAGE_SIZE];
    va_list arguments;
    int64_t now_ms = clock_mono_ms(service->clock);
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&service->log_lock);
    if (now_ms - quiet->since_ms >= SPAN_MS) {
        quiet->since_ms = now_ms;
        quiet->told = 0;
    }
    if (quiet->told++ >= SPAN_LINES) {
        quiet->left_out++;
    } else {
        if (quiet->left_out > 0) {
            char left_out[80];
            snprintf(left_out, sizeof left_out, "%d lines like the next one were left out",
                     quiet->left_out);
            tell(service, TIDINGS_LOG_INFO, left_out);
            quiet->left_out = 0;
        }
        tell(service, level, message);
    }
    pthread_mutex_unlock(&service->log_lock);
}

enum tidings_status status_from(enum client_status status)
{
    static const enum tidings_status statuses[] = {
        [CLIENT_OK] = TIDINGS_OK,
        [CLIENT_INVALID] = TIDINGS_INVALID,
        [CLIENT_UNREACHABLE] = TIDINGS_UNREACHABLE,
        [CLIENT_TIMED_OUT] = TIDINGS_UNREACHABLE,
        [CLIENT_NOT_FOUND] = TIDINGS_REFUSED,
        [CLIENT_CONFLICT] = TIDINGS_REFUSED,
        [CLIENT_REFUSED] = TIDINGS_REFUSED,
        [CLIENT_FULL] = TIDINGS_FULL,
        [CLIENT_CLOSED] = TIDINGS_CLOSED,
        [CLIENT_FATAL] = TIDINGS_FATAL,
    };
    return statuses[status];
}

enum tidings_status error_from(struct tidings_error *error, const struct client_error *from)
{
    return error_set(error, status_from(from->status), "%s", from->text);
}

bool service_is_over(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    bool fatal = service->fatal;
    pthread_mutex_unlock(&service->lock);
    return fatal || atomic_load(&service->stopping);
}

void service_fail(struct tidings *service, const struct client_error *why)
{
    pthread_mutex_lock(&service->lock);
    bool first = !service->fatal;
    service->fatal = true;
    if (first) {
        error_set(&service->fatal_error, TIDINGS_FATAL, "%s", why->text);
    }
    pthread_mutex_unlock(&service->lock);
    if (first) {
        service_log(service, TIDINGS_LOG_ERROR, "cannot go on: %s", service->fatal_error.text);
    }
}

/* What the connections of publisher and reader tell; both do when the bus goes. */
static void on_notice(void *context, const struct client_error *what)
{
    enum { QUIET_MS = 4000 };
    struct tidings *service = context;
    if (what->status == CLIENT_FATAL) {
        service_fail(service, what);
        return;
    }
    if (what->status == CLIENT_OK) {
        atomic_store(&service->meter.is_bus_away, false);
    }
    if (what->status == CLIENT_UNREACHABLE && what->code != 0) {
        atomic_store(&service->meter.is_bus_away, true);
        int64_t now_ms = clock_mono_ms(service->clock);
        int64_t last_ms = atomic_load(&service->said_down_ms);
        if ((last_ms != 0 && now_ms - last_ms < QUIET_MS) ||
            !atomic_compare_exchange_strong(&service->said_down_ms, &last_ms, now_ms)) {
            return;
        }
    }
    service_log(service, what->status == CLIENT_OK ? TIDINGS_LOG_INFO : TIDINGS_LOG_WARN, "%s",
                what->text);
}

struct connection_settings service_connection(struct tidings *service)
{
    return (struct connection_settings){
        .bootstrap_servers = service->options.bootstrap_servers,
        .client_id = service->client_id,
        .properties = service->options.client_settings,
        .property_count = service->client_setting_count,
        .notice = on_notice,
        .notice_context = service,
    };
}
