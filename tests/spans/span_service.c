/*
 * A service for test_spans.py.
 *
 * usage: span_service ADDRESS NAME FILE
 *
 * It handles "first" and "second". What it does with an event is what the event's data say: "next"
 * publishes "ok" to "second" because of it; "fail" fails at its first attempt; "ok". Each event
 * that is done is a line of FILE: topic and traceparent. A line of its standard input, "TOPIC
 * DATA", publishes such an event; SIGTERM ends it. "large" publishes more than the bus takes. With
 * SPAN_EXACTLY_ONCE in the environment it has that option; SPAN_TYPE: of "first" it takes events of
 * that type alone.
 */
#include "tidings.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct tidings *service;

static void on_signal(int number)
{
    (void)number;
    tidings_stop(service);
}

static void note(FILE *file, const struct tidings_event *event)
{
    fprintf(file, "%s %s\n", event->topic, event->traceparent);
    fflush(file);
}

static enum tidings_verdict handle(struct tidings *of, const struct tidings_event *event,
                                   void *file)
{
    const char *what = event->data;
    if (strcmp(what, "fail") == 0 && event->attempt == 1) {
        return tidings_retry(event, 0, "smtp", "nobody answers");
    }
    if (strcmp(what, "next") == 0) {
        struct tidings_message next = {.topic = "second",
                                       .type = "Next",
                                       .key = event->key,
                                       .cause = event,
                                       .data = "ok",
                                       .data_size = 2};
        struct tidings_error error;
        if (tidings_publish(of, &next, NULL, NULL, &error) != TIDINGS_OK) {
            return tidings_retry(event, 0, "publish", "%s", error.text);
        }
    }
    if (strcmp(what, "large") == 0) {
        static const char data[3000];
        struct tidings_message large = {.topic = "many",
                                        .type = "Large",
                                        .cause = event,
                                        .data = data,
                                        .data_size = event->attempt == 1 ? sizeof data : 1};
        (void)tidings_publish(of, &large, NULL, NULL, NULL);
    }
    note(file, event);
    return TIDINGS_DONE;
}

static enum tidings_verdict handle_many(struct tidings *of,
                                        const struct tidings_event *const *events, size_t count,
                                        void *file)
{
    (void)of;
    for (size_t i = 0; i < count; i++) {
        note(file, events[i]);
    }
    return TIDINGS_DONE;
}

static void *publish_lines(void *unused)
{
    char line[256];
    (void)unused;
    while (fgets(line, sizeof line, stdin) != NULL) {
        char topic[100], data[100];
        struct tidings_error error;
        if (sscanf(line, "%99s %99s", topic, data) == 2) {
            struct tidings_message message = {.topic = topic,
                                              .type = "First",
                                              .key = data,
                                              .data = data,
                                              .data_size = strlen(data)};
            if (tidings_publish(service, &message, NULL, NULL, &error) != TIDINGS_OK) {
                fprintf(stderr, "publish: %s\n", error.text);
                abort();
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct tidings_error error;
    pthread_t thread;
    if (argc != 4) {
        fprintf(stderr, "usage: span_service ADDRESS NAME FILE\n");
        return 2;
    }
    FILE *file = fopen(argv[3], "a");
    struct tidings_options options = {.name = argv[2],
                                      .bootstrap_servers = argv[1],
                                      .retry_first_ms = 10,
                                      .retry_max_ms = 20,
                                      .probe_first_ms = 10,
                                      .probe_max_ms = 20,
                                      .exactly_once = getenv("SPAN_EXACTLY_ONCE") != NULL,
                                      .http_listen = "127.0.0.1:0"};
    if (file == NULL || tidings_new(&options, &service, &error) != TIDINGS_OK ||
        tidings_on(service, "first", getenv("SPAN_TYPE"), handle, file, &error) != TIDINGS_OK ||
        tidings_on(service, "second", NULL, handle, file, &error) != TIDINGS_OK ||
        tidings_on_batch(service, "many", NULL, 100, handle_many, file, &error) != TIDINGS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    signal(SIGTERM, on_signal);
    if (pthread_create(&thread, NULL, publish_lines, NULL) != 0) {
        return 1;
    }
    enum tidings_status status = tidings_run(service, &error);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    if (status != TIDINGS_OK) {
        fprintf(stderr, "%s\n", error.text);
    }
    tidings_free(service);
    fclose(file);
    return status == TIDINGS_OK ? 0 : 1;
}
