#include "service.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* Life of a service: made, run, freed. */

static void log_to_stderr(void *context, enum tidings_log_level level, const char *message)
{
    const struct tidings *service = context;
    const char *mark = level == TIDINGS_LOG_ERROR  ? "error: "
                       : level == TIDINGS_LOG_WARN ? "warning: "
                                                   : "";
    fprintf(stderr, "%s: %s%s\n", service->name, mark, message);
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
