#ifndef TIDINGS_TESTS_NET_FIXTURE_H
#define TIDINGS_TESTS_NET_FIXTURE_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/net.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * A server on loopback whose handler does what the first byte of a frame says, and blocking
 * clients. e  echo          n  no answer        c  echo, then close      x  refuse the frame p park
 * the token until server_complete; h: hold the connection as well b  answer with as many bytes as
 * the big-endian uint32 after it says f  answer from server.file_fd: uint32 position, uint32 size,
 * between "<" and ">"
 */
enum { MAX_PARKED = 4096 };

struct server {
    struct net_config config; /* set before server_start */
    const char *host;         /* the same; loopback */
    struct net *net;
    uint16_t port;
    int file_fd;
    pthread_mutex_t lock; /* guards parked and parked_count */
    struct reply_token parked[MAX_PARKED];
    unsigned parked_count;
    atomic_uint opened, closed, frames, turns, spans_out;
    atomic_uint opened_on[64];     /* by reactor */
    char peer[64], local_host[64]; /* of the last opened; to be read after its first reply */
    uint16_t local_port;
    atomic_int last_end; /* enum conn_end of the last closed, or -1 */
};

/* Config for tests: two reactors, defaults else. */
void server_init(struct server *server);
void server_start(struct server *server);
void server_free(struct server *server);

/* The token of the index-th parked frame, once it is there. */
struct reply_token server_parked(struct server *server, unsigned index);

/* Answers a parked frame with the text. */
void server_complete(struct server *server, struct reply_token token, const char *text);

/* Waits until the condition holds; fails the test after 20 seconds. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        unsigned tries_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            wait_a_bit(tries_++, #condition);                                                      \
        }                                                                                          \
    } while (0)
void wait_a_bit(unsigned tries, const char *condition);

int client_connect(const struct server *server);

/* Fails the test when not all bytes go out. */
void client_send(int fd, const void *data, size_t size);
void client_send_frame(int fd, const void *data, size_t size);
void client_send_text(int fd, const char *frame);

/* Reads one frame; false at the end of the stream. Waits at most 20 seconds. */
bool client_read_frame(int fd, struct buf *frame);
void client_expect(int fd, const char *frame);

/* True when the server closes the connection without a further byte. */
bool client_is_closed(int fd);

/* Appends a size-prefixed frame. */
void append_frame(struct buf *to, const void *data, size_t size);

/*
 * Catches standard error from log_catch to log_release; log_text gives what was written so far
 * (free it).
 */
void log_catch(void);
char *log_text(void);
void log_release(void);

/* How often the part is in the text. */
unsigned count_text(const char *text, const char *part);

#endif
