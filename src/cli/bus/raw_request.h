#ifndef TIDINGS_CLI_RAW_REQUEST_H
#define TIDINGS_CLI_RAW_REQUEST_H

#include "cli/bus/raw_stream.h"
#include "wire/header.h"

/* One request of Kafka's protocol and its answer, over a raw_stream. One thread. */

struct raw_request {
    struct buf bytes;
    struct wire_writer writer;
    int16_t api_key, version;
};

/* Begins a request: what comes behind its header goes into `writer`. _deinit frees it, after
 * raw_bus_ask. */
void raw_request_init(struct raw_request *request, int16_t api_key, int16_t version);
void raw_request_deinit(struct raw_request *request);

/* An answer, behind its header. The reader borrows from the rest. */
struct raw_answer {
    struct buf bytes;
    struct arena arena;
    struct wire_reader reader;
};
/* Frees it; one that is zeroed, too. */
void raw_answer_deinit(struct raw_answer *answer);

/* Sends the request and waits for its answer, of at most 256 MiB. What comes on the stream behind a
 * failure fits no question: close it. Deinit the answer in any case. */
CHECKED enum err raw_exchange(struct raw_stream *stream, const struct raw_request *request,
                              struct raw_answer *answer, int64_t until_ms, struct reason *reason);

#endif
