#include "lanes.h"

#include "base/clock.h"
#include "tidings.h"

#include <stdatomic.h>

/* A service that catches up. */

struct catching_up {
    const struct options *options;
    atomic_int count;
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

struct span run_service(const struct options *options)
{
    struct catching_up mine = {.options = options};
    struct tidings_options its = {.name = options->group,
                                  .bootstrap_servers = options->bootstrap,
                                  .workers = options->workers};
    struct tidings_error error = {.text = ""};
    struct tidings *service = NULL;
    if (tidings_new(&its, &service, &error) != TIDINGS_OK ||
        tidings_on(service, options->topic, NULL, handle, &mine, &error) != TIDINGS_OK ||
        tidings_run(service, &error) != TIDINGS_OK) {
        fail("the service", error.text);
    }
    tidings_free(service);
    return mine.span;
}
