#ifndef TIDINGS_BENCH_FETCHER_H
#define TIDINGS_BENCH_FETCHER_H

#include "load.h"

/*
 * Fetch requests of one partition over one connection, one at a time, and the heads of their
 * responses. Version 11 at most: it names topics and its head is of fixed layout, so that the body
 * need not be received to be counted.
 */
struct fetcher {
    int16_t version;
    size_t offset_position; /* of the fetch offset in the frame */
    struct buf frame;
    int64_t offset; /* to ask for next */
};

struct fetch_head {
    int64_t high_watermark;
    uint32_t records_bytes; /* that follow */
    uint32_t tail_bytes;    /* after them */
};

/* Begins at offset 0. A response may wait for data for up to half a second. */
CHECKED enum err fetcher_init(struct fetcher *fetcher, const struct load_server *server,
                              const struct load_options *options, int partition,
                              struct reason *reason);
void fetcher_deinit(struct fetcher *fetcher);

CHECKED enum err fetcher_ask(struct fetcher *fetcher, struct load_conn *conn,
                             struct reason *reason);

/* Takes the response up to its records, which are left on the connection. */
CHECKED enum err fetcher_head(struct fetcher *fetcher, struct load_conn *conn,
                              struct fetch_head *head, struct reason *reason);

#endif
