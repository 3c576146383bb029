#ifndef TESTS_UNIT_SDK_SERVICE_FIXTURE_H
#define TESTS_UNIT_SDK_SERVICE_FIXTURE_H

#include "bus_server.h"
#include "tidings.h"

#include <pthread.h>

/* Services against a bus of the test's own, and what their handlers saw. */

enum { SEEN_MAX = 4096, TEXT_MAX = 400 };

/* What handlers saw, in order; any number of services may write to it. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    char texts[SEEN_MAX][TEXT_MAX];
};

struct seen *seen_new(void);
void seen_add(struct seen *seen, const char *text);
/* Until so many texts are there; until this one is; until one is that has this part. In vain for
 * two minutes: the test fails, telling what it saw. */
void seen_wait(struct seen *seen, int count);
int seen_count(struct seen *seen);
void seen_wait_for(struct seen *seen, const char *text);
void seen_wait_part(struct seen *seen, const char *part);
bool has_part(struct seen *seen, const char *part);
/* Where the text is; -1: nowhere. */
int index_of(const struct seen *seen, const char *text);

/* For tidings_options.log. context: the struct seen that collects the lines, or NULL. */
void quiet_log(void *context, enum tidings_log_level level, const char *message);

/* Options that are quick to see what changes, and services with them; what fails fails the test.
 * Telling: the lines of its log go to `lines`. */
struct tidings_options options_of(const struct bus_server *bus, const char *name);
struct tidings *service_of(const struct tidings_options *options);
struct tidings *service_new(const struct bus_server *bus, const char *name);
struct tidings *service_new_telling(const struct bus_server *bus, const char *name,
                                    struct seen *lines);

void publish(struct tidings *service, const char *topic, const char *key, const char *type,
             const char *data);

/* A service that runs on a thread of its own. runner_stop frees it. */
struct runner {
    pthread_t thread;
    struct tidings *service;
    enum tidings_status status;
};

void runner_start(struct runner *runner, struct tidings *service);
void runner_stop(struct runner *runner);

/* What fail_sometimes notes, and which event it fails how often. */
struct flaky {
    struct seen *seen;
    const char *fails_on;
    int failures;
};
enum tidings_verdict fail_sometimes(struct tidings *service, const struct tidings_event *event,
                                    void *context);

/* What a topic of dead letters has, waiting for so many: "VALUE|CLASS|MESSAGE|ATTEMPTS|LANE". */
struct seen *letters_of(struct bus_server *bus, const char *topic, int count);

/* cmocka's group set-up and tear-down: *state is the struct bus_server. */
int service_bus_start(void **state);
int service_bus_stop(void **state);

#endif
