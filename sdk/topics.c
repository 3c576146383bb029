#include "service.h"

#include "client/admin/admin.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The topics that the handlers are for: those that are named, and those whose names match a
 * pattern. The latter are looked for at the start, and now and then on a thread of their own. */

enum { LOOK_MS = 5000, AGAIN_MS = 1000 };

static bool has_topic(const struct topics *topics, const char *name)
{
    size_t i = 0;
    while (i < topics->names.count && strcmp(topics->names.items[i], name) != 0) {
        i++;
    }
    return i < topics->names.count;
}

static void add_topic(struct topics *topics, const char *name)
{
    if (!has_topic(topics, name)) {
        vec_push(&topics->names, mem_strdup(name));
    }
}

static void names_free(struct topics *topics)
{
    for (size_t i = 0; i < topics->names.count; i++) {
        free((void *)(uintptr_t)topics->names.items[i]);
    }
    vec_deinit(&topics->names);
}

/* Those of the groups are not meant, though a pattern may fit them. */
static bool may_match(const struct admin_topic *topic)
{
    static const char *const begins[] = {"lanes.", "dlq.", "dlq-state.", "__tidings_"};
    bool is_own = topic->is_internal;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        is_own |= strncmp(topic->name, begins[i], strlen(begins[i])) == 0;
    }
    return !is_own;
}

static void add_named(const struct tidings *service, struct topics *topics)
{
    for (const struct handler *h = service->handlers; h != NULL; h = h->next) {
        if (h->pattern == NULL) {
            add_topic(topics, h->topic);
        }
    }
}

/* Asks the bus. *names are what there is now; is_changed: others than before. */
static enum client_status look(struct tidings *service, bool *is_changed,
                               struct client_error *error)
{
    struct topics *its = &service->topics, found = {0};
    struct admin_topics answer;
    enum client_status status = admin_topics(its->connection, &answer, error);
    *is_changed = false;
    if (status == CLIENT_OK) {
        add_named(service, &found);
        for (size_t i = 0; i < answer.count; i++) {
            const struct admin_topic *topic = &answer.items[i];
            if (may_match(topic) && handler_has_topic(service, topic->name)) {
                add_topic(&found, topic->name);
            }
        }
        *is_changed = found.names.count != its->names.count;
        for (size_t i = 0; i < found.names.count; i++) {
            *is_changed |= !has_topic(its, found.names.items[i]);
        }
        names_free(its);
        its->names.items = found.names.items;
        its->names.count = found.names.count;
        its->names.capacity = found.names.capacity;
    }
    admin_topics_deinit(&answer);
    return status;
}

/* False: the service ends. */
static bool wait_a_while(struct tidings *service, int64_t most_ms)
{
    enum { STEP_MS = 100 };
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    while (most_ms > 0 && !service_is_over(service) && !atomic_load(&service->topics.is_ending)) {
        nanosleep(&step, NULL);
        most_ms -= STEP_MS;
    }
    return most_ms <= 0;
}

enum client_status topics_open(struct tidings *service, struct client_error *error)
{
    struct topics *its = &service->topics;
    bool is_changed, is_told = false;
    add_named(service, its);
    for (const struct handler *h = service->handlers; h != NULL; h = h->next) {
        its->has_patterns |= h->pattern != NULL;
    }
    if (!its->has_patterns) {
        return CLIENT_OK;
    }
    struct connection_settings connection = service_connection(service);
    connection.deadline = &service->stop;
    enum client_status status = connection_open(&connection, &its->connection, error);
    while (status == CLIENT_OK && !service_is_over(service)) {
        struct client_error why = {0};
        bool is_known = look(service, &is_changed, &why) == CLIENT_OK;
        if (is_known && its->names.count > 0) {
            break;
        }
        if (!is_told) {
            service_log(service, TIDINGS_LOG_WARN, "%s; waiting for it",
                        is_known ? "no topic's name matches" : why.text);
            is_told = true;
        }
        (void)wait_a_while(service, AGAIN_MS);
    }
    return status;
}

static void *watch(void *argument)
{
    struct tidings *service = argument;
    struct topics *its = &service->topics;
    while (wait_a_while(service, LOOK_MS)) {
        bool is_changed = false;
        struct client_error why; /* the reader tells the same */
        if (look(service, &is_changed, &why) == CLIENT_OK && is_changed && its->names.count > 0) {
            lane_kafka_set_topics(its->kafka, its->names.items, its->names.count);
        }
    }
    return NULL;
}

enum client_status topics_watch(struct tidings *service, struct lane_kafka *kafka,
                                struct client_error *error)
{
    struct topics *its = &service->topics;
    its->kafka = kafka;
    its->has_thread = its->has_patterns && pthread_create(&its->thread, NULL, watch, service) == 0;
    return its->has_thread || !its->has_patterns
               ? CLIENT_OK
               : client_fail(error, CLIENT_FATAL, NULL, "no thread to look for topics with");
}

void topics_unwatch(struct tidings *service)
{
    struct topics *its = &service->topics;
    atomic_store(&its->is_ending, true);
    if (its->has_thread) {
        pthread_join(its->thread, NULL);
        its->has_thread = false;
    }
}

void topics_close(struct tidings *service)
{
    connection_close(service->topics.connection);
    service->topics.connection = NULL;
    names_free(&service->topics);
}
