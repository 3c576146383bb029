#ifndef TIDINGS_BUS_HTTP_HTTP_STREAM_H
#define TIDINGS_BUS_HTTP_HTTP_STREAM_H

#include "bus/http/http.h"

/*
 * Server-sent events (HTML, "Server-sent events"): a reply that does not end. The handler begins
 * it and returns; from then on any thread sends, until the client or the server goes. Each stream
 * has a bounded queue of bytes, so that a slow client costs so much and no more; a comment goes out
 * every 15 s of silence, so that proxies keep it and a dead client is noticed.
 */
struct http_stream;

enum {
    HTTP_STREAMS_MAX = 64, /* more get 503 with Retry-After */
    HTTP_STREAM_QUEUE_BYTES = 256 * 1024
};

/*
 * Makes the reply of this handler a stream. NULL: there are too many streams, or the server stops;
 * the reply says so, and the handler returns. The stream is the caller's: http_stream_close.
 */
CHECKED struct http_stream *http_reply_stream(struct http_reply *reply);

enum http_sent {
    HTTP_SENT, /* it is queued */
    HTTP_FULL, /* the client is slow: nothing was queued; wait for room, or leave it out */
    HTTP_GONE  /* the client or the server is gone: close the stream */
};

/*
 * Sends one event: data (its line breaks are taken care of), and where not NULL the name of its
 * kind and its id for Last-Event-ID (neither with line breaks). One that is larger than the queue
 * goes into an empty one. Never blocks. Any thread.
 */
enum http_sent http_stream_send(struct http_stream *stream, const char *kind, const char *id,
                                struct slice data);

/* Waits until so many bytes have room, or the queue is empty. False: gone, or timeout_ms passed
 * (http_stream_is_gone). */
bool http_stream_wait(struct http_stream *stream, size_t room, int64_t timeout_ms);

/* Whether the client or the server is gone. Any thread. */
bool http_stream_is_gone(struct http_stream *stream);

/* The reply ends behind what is queued; the stream is not the caller's any more. NULL is fine. */
void http_stream_close(struct http_stream *stream);

#endif
