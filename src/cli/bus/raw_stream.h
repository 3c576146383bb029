#ifndef TIDINGS_CLI_RAW_STREAM_H
#define TIDINGS_CLI_RAW_STREAM_H

#include "cli/bus/raw_security.h"

/* A connection to one broker, plain or by TLS. No call goes on behind until_ms (monotonic), whose
 * error then is ERR_TIMEOUT. One thread. */
struct raw_stream {
    int fd; /* -1: none */
    SSL *tls;
};

/* What raw_stream_close finds nothing to do with. */
struct raw_stream raw_stream_none(void);
bool raw_stream_is_open(const struct raw_stream *stream);

/*
 * Connects to one address ("host:port"), and shakes hands. On failure it is not open: ERR_INVALID
 * (no address), ERR_CLOSED, or ERR_IO, also where one side does not take the other's certificate,
 * with what to do about it. The security outlives the stream.
 */
CHECKED enum err raw_stream_open(struct raw_stream *stream, const struct raw_security *security,
                                 const char *address, int64_t until_ms, struct reason *reason);
void raw_stream_close(struct raw_stream *stream);

/* All of it, or an error: ERR_CLOSED, ERR_IO. */
CHECKED enum err raw_stream_send(struct raw_stream *stream, const uint8_t *bytes, size_t size,
                                 int64_t until_ms, struct reason *reason);
CHECKED enum err raw_stream_receive(struct raw_stream *stream, uint8_t *bytes, size_t size,
                                    int64_t until_ms, struct reason *reason);

#endif
