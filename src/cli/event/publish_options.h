#ifndef TIDINGS_CLI_PUBLISH_OPTIONS_H
#define TIDINGS_CLI_PUBLISH_OPTIONS_H

#include "base/arena.h"
#include "base/err.h"
#include "cli/bus/bus.h"
#include "cli/bus/event_reader.h"

/* What `tidings publish` was asked to do, and how that shapes each event. */

struct publish_options {
    struct bus_options bus;
    const char *topic;
    const char *file;
    const char *input; /* the format's name */
    const char *key_separator;
    const char *key;
    struct text_list messages;
    struct text_list headers; /* name=value */
    int64_t partition;
    const char *timestamp;
    const char *ce_type;
    const char *ce_source;
    const char *ce_subject;
    const char *ce_id;
    const char *content_type;
    const char *compression;
    bool has_progress;
    bool is_quiet;
    bool is_tombstone;
    bool may_create;

    /* worked out of the above */
    enum event_format format;
    int64_t timestamp_ms; /* -1: the time of publishing */
};

/*
 * Parses and checks the command line. True: go on (free with publish_options_deinit). False: end
 * with *exit_code; nothing to free.
 */
bool publish_options_parse(struct publish_options *options, int argc, char **argv, int *exit_code);
void publish_options_deinit(struct publish_options *options);

/*
 * Completes an event that came from the input: key, partition, timestamp and headers of the
 * options where the event has none of its own, and the CloudEvents attributes (binary mode of the
 * Kafka protocol binding: ce_id and ce_time are made per event). Allocates from the arena.
 */
void publish_options_complete(const struct publish_options *options, struct event *event,
                              int64_t now_ms, struct arena *arena);

#endif
