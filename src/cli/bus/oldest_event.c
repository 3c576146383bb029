#include "cli/bus/oldest_event.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/reader/reader.h"

#include <stdlib.h>

struct look {
    const struct topic_partitions *places;
    bool *is_seen; /* of the places */
    size_t open;
};

/* Notes that the partition has told what it has; NULL: that was known, or it is none of ours. */
static const struct topic_partition *settle(struct look *look, const char *topic, int32_t partition)
{
    const struct topic_partition *at = topic_partitions_find(look->places, topic, partition);
    if (at == NULL || look->is_seen[at - look->places->items]) {
        return NULL;
    }
    look->is_seen[at - look->places->items] = true;
    look->open--;
    return at;
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    (void)offset;
    (void)settle(context, topic, partition);
}

static void take(struct look *look, struct reader *reader, const struct event *event,
                 struct oldest_event *oldest)
{
    const struct topic_partition *at = settle(look, event->topic, event->partition);
    if (at == NULL) {
        return;
    }
    oldest->is_empty = false;
    if (event->timestamp_ms >= 0 &&
        (oldest->time_ms < 0 || event->timestamp_ms < oldest->time_ms)) {
        oldest->time_ms = event->timestamp_ms;
        oldest->topic = at->topic;
        oldest->partition = at->partition;
        oldest->offset = event->offset;
    }
    (void)reader_pause(reader, event->topic, event->partition, NULL);
}

static enum client_status read_all(struct look *look, struct reader *reader,
                                   struct oldest_event *oldest, struct client_error *error)
{
    enum { STEP_MS = 50 };
    int64_t until_ms =
        clock_mono_ms(clock_system()) + connection_timeout_ms(reader_connection(reader));
    enum client_status status = CLIENT_OK;
    while (status == CLIENT_OK && look->open > 0) {
        struct received *received;
        status = reader_take(reader, STEP_MS, &received, error);
        if (status == CLIENT_OK && received != NULL) {
            take(look, reader, &received->event, oldest);
            received_free(received);
        } else if (status == CLIENT_OK && clock_mono_ms(clock_system()) > until_ms) {
            status = client_fail(error, CLIENT_TIMED_OUT, "allow more time with --timeout",
                                 "the oldest waiting events did not come in time");
        }
    }
    return status;
}

enum client_status oldest_event_read(const struct connection_settings *settings,
                                     const struct topic_partitions *places,
                                     struct oldest_event *oldest, struct client_error *error)
{
    enum { AHEAD_KBYTES = 1024, WAIT_MS = 50 };
    struct look look = {places, mem_new_array(bool, places->count + 1), places->count};
    struct reader_settings reading = {.connection = *settings,
                                      .partitions = places,
                                      .prefetch_kbytes = AHEAD_KBYTES,
                                      .fetch_wait_ms = WAIT_MS,
                                      .callbacks = {.ended = on_ended},
                                      .context = &look};
    struct reader *reader;
    *oldest = (struct oldest_event){.time_ms = -1, .offset = -1, .is_empty = true};
    enum client_status status = reader_open(&reading, &reader, error);
    if (status == CLIENT_OK) {
        status = read_all(&look, reader, oldest, error);
        (void)reader_close(reader, NULL);
    }
    free(look.is_seen);
    return status;
}
