#include "service.h"

#include "base/mem.h"

#include <signal.h>
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
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].value < 0) {
            return error_set(error, TIDINGS_INVALID, "options.%s must not be negative",
                             numbers[i].name);
        }
    }
    return TIDINGS_OK;
}

static char **strings_copy(const char *const *strings)
{
    size_t count = 0;
    while (strings != NULL && strings[count] != NULL) {
        count++;
    }
    char **copy = mem_new_array(char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = mem_strdup(strings[i]);
    }
    return copy;
}

static struct tidings *service_make(const struct tidings_options *options)
{
    struct tidings *service = mem_new(struct tidings);
    service->name = mem_strdup(options->name);
    service->instance = mem_strdup(options->instance);
    service->source = mem_sprintf("/%s", options->name);
    service->bootstrap_servers =
        mem_strdup(options->bootstrap_servers ? options->bootstrap_servers : "127.0.0.1:9092");
    service->client_settings = strings_copy(options->client_settings);
    service->publish_timeout_ms = options->publish_timeout_ms ? options->publish_timeout_ms : 30000;
    service->retry_first_ms = options->retry_first_ms ? options->retry_first_ms : 100;
    service->retry_max_ms = options->retry_max_ms ? options->retry_max_ms : 10000;
    service->commit_interval_ms = options->commit_interval_ms ? options->commit_interval_ms : 1000;
    service->session_timeout_ms = options->session_timeout_ms ? options->session_timeout_ms : 10000;
    service->from_end = options->from_end;
    service->log = options->log ? options->log : log_to_stderr;
    service->log_context = options->log ? options->log_context : service;
    pthread_mutex_init(&service->log_lock, NULL);
    pthread_mutex_init(&service->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&service->settled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return service;
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
    /* Settings are tried now, so that a wrong one shows at start and not at the first event. */
    status = clients_check(made, error);
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
    publisher_deinit(service);
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
    pthread_cond_destroy(&service->settled);
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->log_lock);
    free(service->name);
    free(service->instance);
    free(service->source);
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
