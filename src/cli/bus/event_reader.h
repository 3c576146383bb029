#ifndef TIDINGS_CLI_EVENT_READER_H
#define TIDINGS_CLI_EVENT_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "client/event/event.h"

#include <stdbool.h>

/* Cuts a stream of bytes into events: lines, NUL-separated pieces, JSON lines, or all as one. */
enum event_format { EVENT_LINES, EVENT_NUL, EVENT_JSON, EVENT_WHOLE };

/* An event may be this large on input; the bus has its own, lower limit. */
enum { EVENT_MAX_BYTES = 64 * 1024 * 1024 };

struct event_reader {
    enum event_format format;
    const char *key_separator; /* NULL: lines hold no key */
    struct buf bytes;          /* read but not given out */
    size_t position;           /* in bytes: where the next event begins */
    size_t scanned;            /* in bytes: no separator before here */
    bool has_ended;
    uint64_t read_bytes;  /* so far, for progress */
    uint64_t piece_count; /* lines or pieces taken, for messages */
};

/* "lines", "nul", "json", "whole"; false for anything else. */
bool event_format_parse(const char *text, enum event_format *format);

/* Frees the buffers, not the input. */
void event_reader_deinit(struct event_reader *reader);

/*
 * Reads once from fd (which may block); sets has_ended at the end of the input. ERR_IO.
 */
CHECKED enum err event_reader_fill(struct event_reader *reader, int fd, struct reason *reason);

/*
 * Takes the next event out of what was read. ERR_AGAIN: fill first. ERR_NOT_FOUND: all is taken.
 * ERR_INVALID, ERR_TOO_LARGE: the reason names the line. Empty lines are events with an empty
 * value, but for JSON, where they are skipped. The event is valid until the next call.
 */
CHECKED enum err event_reader_next(struct event_reader *reader, struct arena *arena,
                                   struct event *event, struct reason *reason);

#endif
