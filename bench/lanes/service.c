#include "lanes.h"

#include "base/clock.h"
#include "tidings.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* A service that catches up. */

struct catching_up {
    const struct options *options;
    struct tidings *service;
    char output[256];
    atomic_int count;
    atomic_int settled; /* of what it published */
    struct span span;
};

static enum tidings_verdict handle(struct tidings *service, const struct tidings_event *event,
                                   void *context)
{
    struct catching_up *mine = context;
    (void)event;
    int before = atomic_fetch_add(&mine->count, 1);
    if (before == 0) {
        mine->span.began_ns = clock_now_ns();
    }
    work(mine->options->work_us);
    if (before == mine->options->events - 1) {
        mine->span.ended_ns = clock_now_ns();
        tidings_stop(service);
    }
    return TIDINGS_DONE;
}

static void on_delivered(void *context, const struct tidings_delivery *delivery)
{
    struct catching_up *mine = context;
    if (delivery->status != TIDINGS_OK) {
        fail("publishing", delivery->text);
    }
    if (atomic_fetch_add(&mine->settled, 1) == mine->options->events - 1) {
        mine->span.ended_ns = clock_now_ns();
        tidings_stop(mine->service);
    }
}

static enum tidings_verdict turn(struct tidings *service, const struct tidings_event *event,
                                 void *context)
{
    struct catching_up *mine = context;
    const struct tidings_message message = {.topic = mine->output,
                                            .type = "Turned",
                                            .key = event->key,
                                            .cause = event,
                                            .data = event->data,
                                            .data_size = event->data_size};
    struct tidings_error error;
    if (atomic_fetch_add(&mine->count, 1) == 0) {
        mine->span.began_ns = clock_now_ns();
    }
    work(mine->options->work_us);
    while (tidings_publish(service, &message, on_delivered, mine, &error) != TIDINGS_OK) {
        if (error.status != TIDINGS_FULL) {
            fail("publishing", error.text);
        }
        usleep(1000);
    }
    return TIDINGS_DONE;
}

static struct span run(const struct options *options, tidings_handler_fn *handler,
                       bool exactly_once)
{
    struct catching_up mine = {.options = options};
    struct tidings_options its = {.name = options->group,
                                  .bootstrap_servers = options->bootstrap,
                                  .exactly_once = exactly_once,
                                  .workers = options->workers};
    struct tidings_error error = {.text = ""};
    struct tidings *service = NULL;
    snprintf(mine.output, sizeof mine.output, "%s-out", options->topic);
    if (tidings_new(&its, &mine.service, &error) != TIDINGS_OK) {
        fail("the service", error.text);
    }
    service = mine.service;
    if (tidings_on(service, options->topic, NULL, handler, &mine, &error) != TIDINGS_OK ||
        tidings_run(service, &error) != TIDINGS_OK) {
        fail("the service", error.text);
    }
    tidings_free(service);
    return mine.span;
}

struct span run_service(const struct options *options)
{
    return run(options, handle, false);
}

struct span run_turning(const struct options *options, bool exactly_once)
{
    return run(options, turn, exactly_once);
}
