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
#include <semaphore.h>
#include <stdatomic.h>

/*
 * A server on loopback whose handler does what the first byte of a frame says, and blocking
 * clients. The bytes are:
 * - n: no answer
 * - c: echo, then close
 * - x: refuse the frame
 * - p: park the token until server_complete
 * - h: park it and hold the connection as well
 * - b: answer with as many bytes as the big-endian uint32 after it says
 * - G: hold the reactor until the test posts server.gate, then echo
 * - S: work for half a millisecond, then park the token
 * - W: work for half a millisecond, then echo; L: ten times as long
 * - O: answer with the number of frames so far, as big-endian uint32
 * - N: answer with conn_peer_name, or "nobody"
 * - f: answer from server.file_fd, between "<" and ">": rows of uint32 position, uint32 size
 * - any other: echo
 */
enum { MAX_PARKED = 4096 };

struct server {
    struct net_config config;               /* set before server_start */
    const char *host;                       /* the same; loopback */
    const struct transport_kind *transport; /* the same; plain */
    struct net *net;
    uint16_t port;
    int file_fd;
    sem_t gate;
    pthread_mutex_t lock; /* guards parked and parked_count */
    struct reply_token parked[MAX_PARKED];
    unsigned parked_count;
    atomic_uint opened, closed, frames, turns, spans_out, hurried;
    atomic_uint opened_on[64];     /* by reactor */
    char peer[64], local_host[64]; /* of the last opened; to be read after its first reply */
    uint16_t local_port;
    atomic_int last_end; /* enum conn_end of the last closed, or -1 */
};

/* A test whose state is a server yet to be started. Its config: two reactors, defaults else. */
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, server_set_up, server_tear_down)
int server_set_up(void **state);
int server_tear_down(void **state);
void server_start(struct server *server);

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

/* From this address of 127.0.0.0/8, in host order. */
int client_connect_from(const struct server *server, uint32_t address);

/* Fails the test when not all bytes go out. */
void client_send(int fd, const void *data, size_t size);
void client_send_frame(int fd, const void *data, size_t size);
void client_send_text(int fd, const char *frame);

/* Sends several frames at once. */
#define client_send_texts(fd, ...) client_send_row(fd, (const char *const[]){__VA_ARGS__, NULL})
void client_send_row(int fd, const char *const *frames);

/* Reads one frame; false at the end of the stream. Waits at most 20 seconds. */
bool client_read_frame(int fd, struct buf *frame);
void client_expect(int fd, const char *frame);
void client_expect_echo(int fd);

/* True when the server closes the connection without a further byte. */
bool client_is_closed(int fd);

/* Appends a size-prefixed frame. */
void append_frame(struct buf *to, const void *data, size_t size);

/*
 * Catches standard error from log_catch to log_release. log_text and log_release give what was
 * written so far (free it).
 */
void log_catch(void);
char *log_text(void);
char *log_release(void);

/* How often the part is in the text. */
unsigned count_text(const char *text, const char *part);

#endif
