/*
 * A service with key lanes for test_runner.py.
 *
 * usage: lane_service ADDRESS GROUP TOPIC FILE ATTEMPTS [DOWN_AFTER]
 *
 * What it does with an event is what the event's value says: "ok"; "fail N": fails its first N
 * attempts; "reject": can never work; "gate PATH": fails until there is a file of that name;
 * "closed PATH": can never work until then. Each effect is a line of FILE, "begin" when a handler
 * starts and "end" or "fail" when it is through: what, fence, partition, offset, attempt, key.
 * SIGTERM ends it in order. Log lines on standard error.
 */
#include "client/lane_kafka/lane_kafka.h"

#include "base/buf.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct service {
    int file;
    struct lane_runner *runner;
    enum client_status status;
    struct client_error error;
};

/* One write: lines of several processes do not mix. */
static void note(struct service *service, const char *what, const struct lane_hand *hand)
{
    const struct event *event = &hand->received->event;
    struct buf line = {0};
    buf_printf(&line, "%s %lld %d %lld %d %.*s\n", what, (long long)hand->fence,
               (int)event->partition, (long long)event->offset, hand->attempt,
               SLICE_ARGS(event->key));
    if (write(service->file, line.data, line.size) != (ssize_t)line.size) {
        abort();
    }
    buf_deinit(&line);
}

static int classify(void *context, const struct event *event)
{
    (void)context;
    (void)event;
    return 0;
}

static bool works(const struct lane_hand *hand, struct lane_said *said)
{
    char value[300];
    int fails = 0;
    snprintf(value, sizeof value, "%.*s", SLICE_ARGS(hand->received->event.value));
    if (strcmp(value, "reject") == 0 ||
        (strncmp(value, "closed ", 7) == 0 && access(value + 7, F_OK) != 0)) {
        said->verdict = LANE_REJECT;
    } else if ((sscanf(value, "fail %d", &fails) == 1 && hand->attempt <= fails) ||
               (strncmp(value, "gate ", 5) == 0 && access(value + 5, F_OK) != 0)) {
        said->verdict = LANE_RETRY;
    }
    snprintf(said->error_class, sizeof said->error_class, "test");
    snprintf(said->message, sizeof said->message, "offset %lld did not work",
             (long long)hand->received->event.offset);
    return said->verdict == LANE_DONE;
}

static bool handle(void *context, struct lane_hand *hand, struct lane_said *said)
{
    struct service *service = context;
    note(service, "begin", hand);
    note(service, works(hand, said) ? "end" : "fail", hand);
    return true;
}

static void log_line(void *context, enum lane_log_level level, const char *text)
{
    static const char *const levels[] = {"info", "warn", "error"};
    (void)context;
    fprintf(stderr, "%s %s\n", levels[level], text);
}

static void on_notice(void *context, const struct client_error *what)
{
    (void)context;
    fprintf(stderr, "notice %s\n", what->text);
}

static void *run(void *argument)
{
    struct service *service = argument;
    service->status = lane_runner_run(service->runner, &service->error);
    kill(getpid(), SIGTERM); /* also when it ended by itself */
    return NULL;
}

static struct lane_runner_settings runner_settings(struct service *service, const char *group)
{
    static const char *const names[] = {"test"};
    struct lane_runner_settings settings = {.group = group,
                                            .handler_names = names,
                                            .classify = classify,
                                            .handle = handle,
                                            .log = log_line,
                                            .context = service};
    lane_settings_init(&settings.lanes);
    settings.lanes.workers = 8;
    settings.lanes.backoff_first_ms = 10;
    settings.lanes.backoff_max_ms = 200;
    settings.lanes.probe_first_ms = 20;
    settings.lanes.probe_max_ms = 100;
    settings.lanes.aside_after_ms = 300;
    settings.lanes.commit_interval_ms = 100;
    return settings;
}

static int fail(const struct client_error *error)
{
    fprintf(stderr, "%s\n", error->text);
    return 1;
}

int main(int argc, char **argv)
{
    struct service service = {0};
    struct lane_kafka *kafka;
    struct client_error error;
    pthread_t thread;
    sigset_t set;
    int got;
    if (argc != 6 && argc != 7) {
        return 2;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    service.file = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const char *const topics[] = {argv[3]};
    struct lane_kafka_settings settings = {.connection = {.bootstrap_servers = argv[1],
                                                          .client_id = "lane-service",
                                                          .notice = on_notice},
                                           .group = argv[2],
                                           .topics = topics,
                                           .topic_count = 1,
                                           .session_timeout_ms = 1000};
    struct lane_runner_settings its = runner_settings(&service, argv[2]);
    its.lanes.attempts = atoi(argv[5]);
    its.lanes.down_after = argc > 6 ? atoi(argv[6]) : its.lanes.down_after;
    if (lane_runner_new(&its, &service.runner, &error) != CLIENT_OK ||
        lane_kafka_open(&settings, &its, service.runner, &kafka, &error) != CLIENT_OK) {
        return fail(&error);
    }
    if (pthread_create(&thread, NULL, run, &service) != 0) {
        return 1;
    }
    sigwait(&set, &got);
    lane_runner_stop(service.runner);
    pthread_join(thread, NULL);
    lane_kafka_close(kafka);
    lane_runner_free(service.runner);
    close(service.file);
    return service.status == CLIENT_OK ? 0 : fail(&service.error);
}
