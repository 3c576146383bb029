#include "../unit.h"

#include "service_fixture.h"

#include "base/cond.h"

#include <stdlib.h>
#include <string.h>

/* What does not come within this never does: far beyond what a busy machine takes. */
enum { PATIENCE_MS = 120000 };

void seen_add(struct seen *seen, const char *text)
{
    pthread_mutex_lock(&seen->lock);
    assert_true(seen->count < SEEN_MAX);
    snprintf(seen->texts[seen->count++], TEXT_MAX, "%s", text);
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
}

/* Waits for more under the lock; fails the test when nothing that was waited for comes. */
static void await_more(struct seen *seen, const struct timespec *until, const char *what)
{
    enum { SHOWN = 20 };
    if (pthread_cond_timedwait(&seen->changed, &seen->lock, until) == 0) {
        return;
    }
    int first = seen->count > SHOWN ? seen->count - SHOWN : 0;
    for (int i = first; i < seen->count; i++) {
        print_error("seen[%d]: %s\n", i, seen->texts[i]);
    }
    int count = seen->count;
    pthread_mutex_unlock(&seen->lock);
    fail_msg("waited %d s in vain for %s; %d texts came", PATIENCE_MS / 1000, what, count);
}

void seen_wait(struct seen *seen, int count)
{
    struct timespec until = cond_after_ms(PATIENCE_MS);
    char what[40];
    snprintf(what, sizeof what, "%d texts", count);
    pthread_mutex_lock(&seen->lock);
    while (seen->count < count) {
        await_more(seen, &until, what);
    }
    pthread_mutex_unlock(&seen->lock);
}

int seen_count(struct seen *seen)
{
    pthread_mutex_lock(&seen->lock);
    int count = seen->count;
    pthread_mutex_unlock(&seen->lock);
    return count;
}

bool has_part(struct seen *seen, const char *part)
{
    bool found = false;
    pthread_mutex_lock(&seen->lock);
    for (int i = 0; i < seen->count; i++) {
        found |= strstr(seen->texts[i], part) != NULL;
    }
    pthread_mutex_unlock(&seen->lock);
    return found;
}

int index_of(const struct seen *seen, const char *text)
{
    for (int i = 0; i < seen->count; i++) {
        if (strcmp(seen->texts[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

void seen_wait_for(struct seen *seen, const char *text)
{
    struct timespec until = cond_after_ms(PATIENCE_MS);
    pthread_mutex_lock(&seen->lock);
    while (index_of(seen, text) < 0) {
        await_more(seen, &until, text);
    }
    pthread_mutex_unlock(&seen->lock);
}

struct seen *seen_new(void)
{
    struct seen *seen = calloc(1, sizeof *seen);
    pthread_mutex_init(&seen->lock, NULL);
    cond_init(&seen->changed);
    return seen;
}

void quiet_log(void *context, enum tidings_log_level level, const char *message)
{
    if (context != NULL) {
        seen_add(context, message);
    }
    if (getenv("TEST_LOG") != NULL) {
        fprintf(stderr, "%s\n", message);
    }
}

struct tidings_options options_of(const struct bus_server *bus, const char *name)
{
    /* quick to see what changed: a seek waits for the fetch that is on its way */
    static const char *const quick[] = {"fetch.wait.max.ms=20",
                                        "topic.metadata.refresh.interval.ms=200", NULL};
    return (struct tidings_options){.name = name,
                                    .bootstrap_servers = bus->address,
                                    .retry_first_ms = 10,
                                    .retry_max_ms = 20,
                                    .probe_first_ms = 10,
                                    .probe_max_ms = 20,
                                    .commit_interval_ms = 50,
                                    .publish_timeout_ms = 20000,
                                    .session_timeout_ms = 6000,
                                    .client_settings = quick,
                                    .log = quiet_log};
}

struct tidings *service_of(const struct tidings_options *options)
{
    struct tidings *service;
    struct tidings_error error;
    if (tidings_new(options, &service, &error) != TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
    return service;
}

struct tidings *service_new(const struct bus_server *bus, const char *name)
{
    struct tidings_options options = options_of(bus, name);
    return service_of(&options);
}

struct tidings *service_new_telling(const struct bus_server *bus, const char *name,
                                    struct seen *lines)
{
    struct tidings_options options = options_of(bus, name);
    options.log_context = lines;
    return service_of(&options);
}

void seen_wait_part(struct seen *seen, const char *part)
{
    struct timespec until = cond_after_ms(PATIENCE_MS);
    bool is_found = false;
    pthread_mutex_lock(&seen->lock);
    for (int i = 0; !is_found;) {
        if (i < seen->count) {
            is_found = strstr(seen->texts[i++], part) != NULL;
        } else {
            await_more(seen, &until, part);
        }
    }
    pthread_mutex_unlock(&seen->lock);
}

void publish(struct tidings *service, const char *topic, const char *key, const char *type,
             const char *data)
{
    struct tidings_error error;
    struct tidings_message message = {.topic = topic,
                                      .type = type,
                                      .key = key,
                                      .id = data,
                                      .data = data,
                                      .data_size = strlen(data)};
    if (tidings_publish_wait(service, &message, &error) != TIDINGS_OK) {
        fail_msg("publish: %s", error.text);
    }
}

static void *runner_main(void *argument)
{
    struct runner *runner = argument;
    runner->status = tidings_run(runner->service, NULL);
    return NULL;
}

void runner_start(struct runner *runner, struct tidings *service)
{
    runner->service = service;
    assert_int_equal(pthread_create(&runner->thread, NULL, runner_main, runner), 0);
}

void runner_stop(struct runner *runner)
{
    tidings_stop(runner->service);
    pthread_join(runner->thread, NULL);
    assert_int_equal(runner->status, TIDINGS_OK);
    tidings_free(runner->service);
}

enum tidings_verdict fail_sometimes(struct tidings *service, const struct tidings_event *event,
                                    void *context)
{
    struct flaky *flaky = context;
    char text[TEXT_MAX];
    bool fails = strcmp(event->data, flaky->fails_on) == 0 && event->attempt <= flaky->failures;
    snprintf(text, sizeof text, "%s%s", (const char *)event->data, fails ? " failed" : "");
    seen_add(flaky->seen, text);
    return fails ? TIDINGS_RETRY : TIDINGS_DONE;
}

/* A dead letter: its value, and what it says of its end. */
static enum tidings_verdict note_letter(struct tidings *service, const struct tidings_event *event,
                                        void *context)
{
    static const char *const names[] = {"tidings-dead-error-class", "__dlq.errors.message",
                                        "tidings-dead-attempts", "tidings-dead-lane"};
    char text[TEXT_MAX];
    size_t size, used = (size_t)snprintf(text, sizeof text, "%s", (const char *)event->data);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const void *value = tidings_event_header(event, names[i], &size);
        used += (size_t)snprintf(text + used, sizeof text - used, "|%.*s", (int)size,
                                 value != NULL ? (const char *)value : "");
    }
    seen_add(context, text);
    return TIDINGS_DONE;
}

struct seen *letters_of(struct bus_server *bus, const char *topic, int count)
{
    struct seen *letters = seen_new();
    struct runner runner;
    char name[300];
    snprintf(name, sizeof name, "reads-%s", topic);
    struct tidings *service = service_new(bus, name);
    assert_int_equal(tidings_on(service, topic, NULL, note_letter, letters, NULL), TIDINGS_OK);
    runner_start(&runner, service);
    seen_wait(letters, count);
    runner_stop(&runner);
    return letters;
}

int service_bus_start(void **state)
{
    struct bus_server *bus = calloc(1, sizeof *bus);
    bus_server_start(bus);
    *state = bus;
    return 0;
}

int service_bus_stop(void **state)
{
    bus_server_stop(*state);
    free(*state);
    return 0;
}
