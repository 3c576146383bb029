#include "service.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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

static void log_to_stderr(void *context, enum tidings_log_level level, const char *message)
{
    const struct tidings *service = context;
    const char *mark = level == TIDINGS_LOG_ERROR  ? "error: "
                       : level == TIDINGS_LOG_WARN ? "warning: "
                                                   : "";
    fprintf(stderr, "%s: %s%s\n", service->name, mark, message);
}

void service_log(struct tidings *service, enum tidings_log_level level, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&service->log_lock);
    service->log(service->log_context, level, message);
    pthread_mutex_unlock(&service->log_lock);
}

/* --- failures --- */

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

void service_fail(struct tidings *service, const struct client_error *why)
{
    pthread_mutex_lock(&service->lock);
    bool first = !service->fatal;
    service->fatal = true;
    if (first) {
        error_set(&service->fatal_error, TIDINGS_FATAL, "%s", why->text);
    }
    pthread_cond_broadcast(&service->work);
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
    if (what->status == CLIENT_UNREACHABLE && what->code != 0) {
        int64_t now_ms = clock_mono_ms(clock_system());
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
        .bootstrap_servers = service->bootstrap_servers,
        .client_id = service->client_id,
        .properties = (const char *const *)service->client_settings,
        .property_count = service->client_setting_count,
        .notice = on_notice,
        .notice_context = service,
    };
}

bool service_wait(struct tidings *service, pthread_cond_t *condition, int64_t deadline_ms)
{
    struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(condition, &service->lock, &deadline) == 0;
}

/* --- life --- */

/* Group and topic names end up in ids, paths and settings of many tools: keep them plain. */
static bool name_is_plain(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= 249 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

static enum tidings_status options_check(const struct tidings_options *options,
                                         struct tidings_error *error)
{
    if (options->name == NULL || !name_is_plain(options->name)) {
        return error_set(error, TIDINGS_INVALID,
                         "options.name must be 1 to 249 letters, digits, '.', '_' or '-'");
    }
    const struct {
        const char *name;
        int value;
    } numbers[] = {
        {"publish_timeout_ms", options->publish_timeout_ms},
        {"retry_first_ms", options->retry_first_ms},
        {"retry_max_ms", options->retry_max_ms},
        {"commit_interval_ms", options->commit_interval_ms},
        {"session_timeout_ms", options->session_timeout_ms},
        {"handler_warn_ms", options->handler_warn_ms},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].value < 0) {
            return error_set(error, TIDINGS_INVALID, "options.%s must not be negative",
                             numbers[i].name);
        }
    }
    return TIDINGS_OK;
}

static void settings_copy(struct tidings *service, const char *const *settings)
{
    size_t count = 0;
    while (settings != NULL && settings[count] != NULL) {
        count++;
    }
    service->client_setting_count = count;
    service->client_settings = mem_new_array(char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        service->client_settings[i] = mem_strdup(settings[i]);
    }
}

static int or_default(int value, int otherwise)
{
    return value != 0 ? value : otherwise;
}

static struct tidings *service_make(const struct tidings_options *options)
{
    struct tidings *service = mem_new(struct tidings);
    service->name = mem_strdup(options->name);
    service->instance = mem_strdup(options->instance);
    service->source = mem_sprintf("/%s", options->name);
    service->bootstrap_servers =
        mem_strdup(options->bootstrap_servers ? options->bootstrap_servers : "127.0.0.1:9092");
    service->client_id = options->instance != NULL
                             ? mem_sprintf("%s-%s", options->name, options->instance)
                             : mem_strdup(options->name);
    settings_copy(service, options->client_settings);
    service->publish_timeout_ms = or_default(options->publish_timeout_ms, 30000);
    service->retry_first_ms = or_default(options->retry_first_ms, 100);
    service->retry_max_ms = or_default(options->retry_max_ms, 10000);
    service->commit_interval_ms = or_default(options->commit_interval_ms, 1000);
    service->session_timeout_ms = or_default(options->session_timeout_ms, 10000);
    service->handler_warn_ms = or_default(options->handler_warn_ms, 10000);
    service->from_end = options->from_end;
    service->log = options->log ? options->log : log_to_stderr;
    service->log_context = options->log ? options->log_context : service;
    pthread_mutex_init(&service->log_lock, NULL);
    pthread_mutex_init(&service->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&service->work, &monotonic);
    pthread_cond_init(&service->progress, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return service;
}

/* Settings are tried now, so that a wrong one shows at start and not at the first event. */
static enum tidings_status settings_check(struct tidings *service, struct tidings_error *error)
{
    const char *no_topics[1];
    struct client_error why;
    struct publisher_settings publisher = service_publisher(service);
    struct reader_settings reader = service_reader(service, no_topics);
    if (publisher_check(&publisher, &why) != CLIENT_OK ||
        reader_check(&reader, &why) != CLIENT_OK) {
        return error_from(error, &why);
    }
    return TIDINGS_OK;
}

enum tidings_status tidings_new(const struct tidings_options *options, struct tidings **service,
                                struct tidings_error *error)
{
    *service = NULL;
    enum tidings_status status = options_check(options, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    struct tidings *made = service_make(options);
    status = settings_check(made, error);
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
    publisher_close(service->publisher);
    struct handler *handler, *next;
    LL_FOREACH_SAFE (service->handlers, handler, next) {
        free(handler->topic);
        free(handler->type);
        free(handler);
    }
    for (char **setting = service->client_settings; *setting != NULL; setting++) {
        free(*setting);
    }
    free(service->client_settings);
    pthread_cond_destroy(&service->work);
    pthread_cond_destroy(&service->progress);
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->log_lock);
    free(service->name);
    free(service->instance);
    free(service->source);
    free(service->client_id);
    free(service->bootstrap_servers);
    free(service);
}

static bool same_type(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

enum tidings_status tidings_on(struct tidings *service, const char *topic, const char *type,
                               tidings_handler_fn *handler, void *context,
                               struct tidings_error *error)
{
    if (topic == NULL || !name_is_plain(topic)) {
        return error_set(error, TIDINGS_INVALID,
                         "a topic name is 1 to 249 letters, digits, '.', '_' or '-'");
    }
    if (handler == NULL) {
        return error_set(error, TIDINGS_INVALID, "no handler given for topic %s", topic);
    }
    if (service->ran) {
        return error_set(error, TIDINGS_INVALID, "handlers are registered before tidings_run");
    }
    const struct handler *other;
    LL_FOREACH (service->handlers, other) {
        if (strcmp(other->topic, topic) == 0 && same_type(other->type, type)) {
            return error_set(error, TIDINGS_INVALID, "%s events of topic %s have a handler already",
                             type ? type : "all", topic);
        }
    }
    struct handler *added = mem_new(struct handler);
    added->topic = mem_strdup(topic);
    added->type = mem_strdup(type);
    added->call = handler;
    added->context = context;
    LL_APPEND(service->handlers, added);
    return TIDINGS_OK;
}

const struct handler *handler_find(const struct tidings *service, const char *topic,
                                   const char *type)
{
    const struct handler *handler, *general = NULL;
    LL_FOREACH (service->handlers, handler) {
        if (strcmp(handler->topic, topic) != 0) {
            continue;
        }
        if (handler->type == NULL) {
            general = handler;
        } else if (strcmp(handler->type, type) == 0) {
            return handler;
        }
    }
    return general;
}

void tidings_stop(struct tidings *service)
{
    atomic_store(&service->stopping, true);
}

static enum tidings_status run(struct tidings *service, struct tidings_error *error)
{
    pthread_t feeding;
    size_t handler_count = 0;
    for (const struct handler *h = service->handlers; h != NULL; h = h->next) {
        handler_count++;
    }
    const char **topics = mem_new_array(const char *, handler_count);
    struct reader_settings settings = service_reader(service, topics);
    struct client_error why;
    enum client_status status = reader_open(&settings, &service->reader, &why);
    free(topics);
    if (status != CLIENT_OK) {
        return error_from(error, &why);
    }
    if (pthread_create(&feeding, NULL, feed_main, service) != 0) {
        reader_close(service->reader, NULL);
        service->reader = NULL;
        return error_set(error, TIDINGS_FATAL, "no thread to read with");
    }
    handle_all(service);
    pthread_mutex_lock(&service->lock);
    service->is_handling_over = true;
    pthread_cond_broadcast(&service->progress);
    pthread_mutex_unlock(&service->lock);
    pthread_join(feeding, NULL);
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
    service->ran = true;
    return run(service, error);
}
