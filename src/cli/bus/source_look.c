#include "cli/bus/source_inside.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

/* A look that the bus does not answer holds up reading, and the end by a signal, for so long. */
static bool open_looker(struct source *source)
{
    enum { PATIENCE_MS = 1000 };
    struct connection_settings settings = bus_settings(source->options->bus);
    settings.timeout_ms = settings.timeout_ms < PATIENCE_MS ? settings.timeout_ms : PATIENCE_MS;
    return source->looker != NULL || connection_open(&settings, &source->looker, NULL) == CLIENT_OK;
}

/* Reads what waits, from its start. What the bus does not tell now is asked at the next look. */
static enum client_status read_waiting(struct source *source, struct client_error *error)
{
    struct topic_partitions *waiting = &source->waiting;
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, waiting->count + 1);
    enum client_status status = CLIENT_OK;
    if (admin_bounds(source->looker, waiting, bounds, NULL) == CLIENT_OK) {
        for (size_t i = 0; i < waiting->count; i++) {
            waiting->items[i].offset = bounds[i].start;
        }
        status = reader_add(source->reader, waiting, error);
        topic_partitions_deinit(waiting);
    }
    free(bounds);
    return status;
}

enum client_status source_look(struct source *source, struct client_error *error)
{
    const struct source_options *options = source->options;
    struct topic_choice *choice = &source->choice;
    if (choice->expressions.count == 0 || options->has_to ||
        clock_mono_ms(clock_system()) < source->look_at_ms) {
        return CLIENT_OK;
    }
    enum client_status status = CLIENT_OK;
    size_t before = choice->names.count;
    if (open_looker(source) && topic_choice_look(choice, source->looker, options->partition,
                                                 &source->waiting, NULL) == CLIENT_OK) {
        if (options->group == NULL && source->waiting.count > 0) {
            status = read_waiting(source, error);
        } else if (options->group != NULL && choice->names.count > before) {
            status =
                reader_subscribe(source->reader, choice->names.items, choice->names.count, error);
        }
    }
    source->look_at_ms = clock_mono_ms(clock_system()) + LOOK_EVERY_MS;
    return status;
}
