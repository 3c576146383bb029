#include "bus/http/http_inside.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/*
 * A stream has two halves: who sends (from http_reply_stream to http_stream_close) and
 * libmicrohttpd's reply (from http_stream_response until that is destroyed). The last one frees.
 * While there is nothing to send the connection is suspended; whoever queues something resumes it.
 */

enum { BEAT_MS = 15000, BLOCK_BYTES = 16 * 1024 };

struct http_stream {
    struct http *http;
    struct http_stream *next, *prev; /* guarded by http->lock */
    pthread_mutex_t lock;            /* guards all below */
    pthread_cond_t changed;
    struct buf queue;
    size_t sent; /* of the queue, from its front */
    int64_t said_ms;
    struct MHD_Connection *connection; /* NULL: not handed over yet, or gone */
    int fd;                            /* of the connection; valid as long as that is not NULL */
    bool is_suspended;
    bool is_gone;  /* the client, or the server */
    bool is_ended; /* the sender has closed it */
    unsigned halves;
};

/* --- life --- */

static struct http_stream *make(struct http *http)
{
    struct http_stream *stream = mem_new(struct http_stream);
    stream->http = http;
    stream->halves = 2;
    stream->said_ms = clock_mono_ms(clock_system());
    pthread_mutex_init(&stream->lock, NULL);
    cond_init(&stream->changed);
    return stream;
}

/* One half lets go; the lock is held, and not any more. */
static void let_go(struct http_stream *stream)
{
    bool is_last = --stream->halves == 0;
    struct http *http = stream->http;
    pthread_mutex_unlock(&stream->lock);
    if (!is_last) {
        return;
    }
    pthread_mutex_lock(&http->lock);
    DL_DELETE(http->streams, stream);
    http->stream_count--;
    pthread_mutex_unlock(&http->lock);
    /* who walks over the list holds http->lock meanwhile, so that nobody has it any more */
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    buf_deinit(&stream->queue);
    free(stream);
}

struct http_stream *http_stream_begin(void *context, struct http_reply *reply)
{
    struct http *http = context;
    struct http_stream *stream = NULL;
    pthread_mutex_lock(&http->lock);
    if (http->stream_count < HTTP_STREAMS_MAX && !atomic_load(&http->is_stopping)) {
        stream = make(http);
        DL_APPEND(http->streams, stream);
        http->stream_count++;
    }
    pthread_mutex_unlock(&http->lock);
    if (stream == NULL) {
        http_reply_busy(reply, atomic_load(&http->is_stopping) ? "the server stops"
                                                               : "too many streams are open");
    }
    return stream;
}

struct http_stream *http_reply_stream(struct http_reply *reply)
{
    if (reply->streamer == NULL) {
        http_reply_busy(reply, "there are no streams here");
        return NULL;
    }
    struct http_stream *stream = reply->streamer->begin(reply->streamer->context, reply);
    if (stream != NULL) {
        http_reply_empty(reply, 200);
        reply->content_type = mem_strdup("text/event-stream");
        reply->stream = stream;
    }
    return stream;
}

static void mark_gone(struct http_stream *stream)
{
    stream->is_gone = true;
    stream->connection = NULL;
    pthread_cond_broadcast(&stream->changed);
}

void http_stream_drop(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    mark_gone(stream);
    let_go(stream);
}

/* --- libmicrohttpd's half --- */

/* Something changed that the library's thread has to see; the lock is held. */
static void resume(struct http_stream *stream)
{
    if (stream->is_suspended) {
        stream->is_suspended = false;
        MHD_CALL(stream->http, MHD_resume_connection)(stream->connection);
    }
}

static ssize_t on_room(void *context, uint64_t at, char *to, size_t room)
{
    struct http_stream *stream = context;
    ssize_t result = 0;
    (void)at;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->queue.size - stream->sent;
    if (left > 0) {
        size_t size = left < room ? left : room;
        memcpy(to, stream->queue.data + stream->sent, size);
        stream->sent += size;
        if (stream->sent == stream->queue.size) {
            buf_deinit(&stream->queue); /* a silent stream holds no memory */
            stream->sent = 0;
        }
        pthread_cond_broadcast(&stream->changed);
        result = (ssize_t)size;
    } else if (stream->is_ended || stream->is_gone) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->is_suspended = true;
        MHD_CALL(stream->http, MHD_suspend_connection)(stream->connection);
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

static void on_over(void *context)
{
    struct http_stream *stream = context;
    pthread_mutex_lock(&stream->lock);
    mark_gone(stream);
    let_go(stream);
}

struct MHD_Response *http_stream_response(struct http_stream *stream,
                                          struct MHD_Connection *connection, int fd)
{
    pthread_mutex_lock(&stream->lock);
    stream->connection = connection;
    stream->fd = fd;
    pthread_mutex_unlock(&stream->lock);
    return MHD_CALL(stream->http, MHD_create_response_from_callback)(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                                     on_room, stream, on_over);
}

/* --- the sender's half --- */

/* Each line of the data as a field; CR, LF and CRLF all end lines there. */
static void append_data(struct buf *to, struct slice data)
{
    size_t at = 0;
    do {
        size_t end = at;
        while (end < data.size && data.data[end] != '\n' && data.data[end] != '\r') {
            end++;
        }
        buf_append_str(to, "data: ");
        buf_append(to, data.data + at, end - at);
        buf_append_u8(to, '\n');
        bool is_pair = end + 1 < data.size && data.data[end] == '\r' && data.data[end + 1] == '\n';
        at = end + 1 + is_pair;
    } while (at <= data.size);
}

/* The lock is held. */
static enum http_sent queue(struct http_stream *stream, struct slice bytes)
{
    size_t left = stream->queue.size - stream->sent;
    if (stream->is_gone) {
        return HTTP_GONE;
    }
    if (left > 0 &&
        (left >= HTTP_STREAM_QUEUE_BYTES || bytes.size > HTTP_STREAM_QUEUE_BYTES - left)) {
        return HTTP_FULL;
    }
    if (stream->sent > 0 && stream->sent >= left) {
        buf_consume(&stream->queue, stream->sent);
        stream->sent = 0;
    }
    buf_append_slice(&stream->queue, bytes);
    stream->said_ms = clock_mono_ms(clock_system());
    resume(stream);
    return HTTP_SENT;
}

enum http_sent http_stream_send(struct http_stream *stream, const char *kind, const char *id,
                                struct slice data)
{
    struct buf bytes = {0};
    if (id != NULL) {
        buf_printf(&bytes, "id: %s\n", id);
    }
    if (kind != NULL) {
        buf_printf(&bytes, "event: %s\n", kind);
    }
    append_data(&bytes, data);
    buf_append_u8(&bytes, '\n');
    pthread_mutex_lock(&stream->lock);
    enum http_sent sent = queue(stream, buf_slice(&bytes));
    pthread_mutex_unlock(&stream->lock);
    buf_deinit(&bytes);
    return sent;
}

bool http_stream_wait(struct http_stream *stream, size_t room, int64_t timeout_ms)
{
    struct timespec until = cond_after_ms(timeout_ms);
    bool has_room = false;
    int code = 0;
    pthread_mutex_lock(&stream->lock);
    while (!stream->is_gone) {
        size_t left = stream->queue.size - stream->sent;
        has_room =
            left == 0 || (left < HTTP_STREAM_QUEUE_BYTES && room <= HTTP_STREAM_QUEUE_BYTES - left);
        if (has_room || code != 0) {
            break;
        }
        code = pthread_cond_timedwait(&stream->changed, &stream->lock, &until);
    }
    bool result = has_room && !stream->is_gone;
    pthread_mutex_unlock(&stream->lock);
    return result;
}

bool http_stream_is_gone(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool is_gone = stream->is_gone;
    pthread_mutex_unlock(&stream->lock);
    return is_gone;
}

void http_stream_close(struct http_stream *stream)
{
    if (stream != NULL) {
        pthread_mutex_lock(&stream->lock);
        stream->is_ended = true;
        resume(stream);
        let_go(stream);
    }
}

/* --- all of them --- */

/* Nobody reads from a suspended connection, so nobody else would see it. The lock is held. */
static bool has_hung_up(const struct http_stream *stream)
{
    struct pollfd at = {.fd = stream->fd, .events = POLLRDHUP};
    return stream->connection != NULL && poll(&at, 1, 0) == 1 && at.revents != 0;
}

void http_streams_beat(struct http *http)
{
    static const char comment[] = ": still here\n\n";
    int64_t now = clock_mono_ms(clock_system());
    struct http_stream *stream;
    pthread_mutex_lock(&http->lock);
    DL_FOREACH (http->streams, stream) {
        pthread_mutex_lock(&stream->lock);
        if (!stream->is_gone && has_hung_up(stream)) {
            stream->is_gone = true;
            pthread_cond_broadcast(&stream->changed);
            resume(stream);
        } else if (now - stream->said_ms >= BEAT_MS && stream->queue.size == stream->sent) {
            (void)queue(stream, slice_of(comment, sizeof comment - 1));
        }
        pthread_mutex_unlock(&stream->lock);
    }
    pthread_mutex_unlock(&http->lock);
}

void http_streams_end(struct http *http)
{
    struct http_stream *stream;
    pthread_mutex_lock(&http->lock);
    DL_FOREACH (http->streams, stream) {
        pthread_mutex_lock(&stream->lock);
        stream->is_gone = true;
        pthread_cond_broadcast(&stream->changed);
        resume(stream);
        pthread_mutex_unlock(&stream->lock);
    }
    pthread_mutex_unlock(&http->lock);
}
