#ifndef TIDINGS_CLI_EXPECT_READ_H
#define TIDINGS_CLI_EXPECT_READ_H

#include "cli/bus/bus.h"
#include "cli/bus/topic_choice.h"
#include "client/reader/reader.h"

/*
 * Where `tidings expect` gets its events: all partitions of topics that are there or are made
 * meanwhile, read directly. One thread.
 */
struct expect_reader {
    const struct bus_options *bus;
    struct position from; /* of the topics that are there at the start; later ones: their start */
    struct text_list patterns; /* owned */
    struct topic_choice choice;
    struct connection *looker;
    struct reader *reader;
    struct topic_partitions at;      /* what is read; offset: all before it was given out */
    struct topic_partitions waiting; /* found, and not read yet */
    int64_t look_at_ms;              /* monotonic */
    bool is_away;                    /* the bus went away and is not back */
};

/* Reaches the bus and begins to read. topics: names and "^..."; none: all but the bus's own. Names
 * need not be there yet. A failure is told; returns the exit code. Close in any case. */
int expect_reader_open(struct expect_reader *reader, const struct bus_options *bus,
                       const struct text_list *topics, struct position from);
void expect_reader_close(struct expect_reader *reader);

/* The next event, or NULL in *received within timeout_ms. Now and then it looks for topics that
 * were made meanwhile. EXIT_OK, or the exit code of a failure that ends reading (told). */
int expect_reader_take(struct expect_reader *reader, int timeout_ms, struct received **received);

/*
 * At the end of the time: what is on the bus now is to be read as well. *ends: where each partition
 * ends, for expect_reader_has. False: the bus does not say within 4 s, so nobody knows what came.
 */
bool expect_reader_ends(struct expect_reader *reader, struct topic_partitions *ends);

/* Whether all before these ends was given out. */
bool expect_reader_has(const struct expect_reader *reader, const struct topic_partitions *ends);

#endif
