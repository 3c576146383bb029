#ifndef TIDINGS_BENCH_LOAD_H
#define TIDINGS_BENCH_LOAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "batch/batch.h"
#include "wire/api_key.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * bench-load: a client for any server of the Kafka protocol that costs far less CPU than the server
 * it measures. Batches are made once with their CRC, requests are whole frames that are sent again
 * and again, and fetched bytes are thrown away in the kernel (MSG_TRUNC). The same program points
 * at every server, so that only the servers differ.
 *
 * The server's CPU time is its process clock (every thread, those that ended too), read before and
 * after the measured part. Where the bytes are counted, they are those of the record batches.
 */

enum load_mode {
    LOAD_PRODUCE,
    LOAD_FETCH,
    LOAD_LATENCY,
    LOAD_CONNECTIONS,
    LOAD_CREATE,
    LOAD_DELETE
};

struct load_options {
    enum load_mode mode;
    struct sockaddr_in address;
    const char *topic;
    int partitions; /* of the topic; used from 0 on */
    int connections;
    size_t batch_bytes; /* of one record batch at most */
    size_t event_bytes; /* of one event's value */
    int batch_events;   /* of one batch; 0: as many as batch_bytes hold */
    enum batch_compression compression;
    int request_batches; /* partitions that one produce request covers */
    int acks;            /* -1: all, or 1 */
    int in_flight;       /* requests on a connection without an answer */
    uint64_t bytes;      /* a run ends after so many */
    int64_t run_max_ms;  /* or after so long */
    int fetch_bytes;     /* asked for at most in one fetch */
    int rate;            /* latency: measured events a second */
    int load_rate;       /* latency: events a second beside them, to another partition */
    int canary_cpu;   /* latency: what waits while this one is away is left out; -1: nothing is */
    pid_t server_pid; /* 0: unknown, its CPU time and memory are not reported */
};

enum { LOAD_CONNECTIONS_MAX = 60000, LOAD_VERSIONS = 128 };

/* What a server is and what it can; immutable once opened. */
struct load_server {
    struct sockaddr_in address;
    int16_t highest[LOAD_VERSIONS]; /* by API key: the highest version both sides speak; -1: none */
};

/* One connection, blocking. Zero-initialised is closed once fd is -1. */
struct load_conn {
    int fd;
    struct buf input; /* received and not yet taken */
    size_t taken;
    size_t receive_bytes; /* asked of the kernel at once */
};

CHECKED enum err load_conn_open(const struct sockaddr_in *address, struct load_conn *conn,
                                struct reason *reason);
void load_conn_close(struct load_conn *conn);

/* Sends all of it; iov is changed. */
CHECKED enum err load_conn_send(struct load_conn *conn, struct iovec *iov, size_t count,
                                struct reason *reason);

/* Waits until `size` bytes are there and borrows them until the next call; they stay untaken. */
CHECKED enum err load_conn_peek(struct load_conn *conn, size_t size, const uint8_t **bytes,
                                struct reason *reason);

/* Waits for a whole response and borrows what follows its size until the next call. */
CHECKED enum err load_conn_frame(struct load_conn *conn, struct slice *frame,
                                 struct reason *reason);

/* A whole response is there already: load_conn_frame would not wait. */
bool load_conn_has_frame(const struct load_conn *conn);

/* Takes whatever the kernel has without waiting. */
CHECKED enum err load_conn_fill(struct load_conn *conn, struct reason *reason);

/* Takes `size` bytes and forgets them, in the kernel as far as they are still there. */
CHECKED enum err load_conn_discard(struct load_conn *conn, uint64_t size, struct reason *reason);

/* Asks ApiVersions. */
CHECKED enum err load_server_open(const struct sockaddr_in *address, struct load_server *server,
                                  struct reason *reason);

/*
 * One request and its answer. name: "metadata", of the generated structs request and response.
 * The response lies in the arena and borrows the connection's input.
 */
CHECKED enum err load_call(struct load_conn *conn, const char *name, int16_t key, int16_t version,
                           const void *request, void *response, struct arena *arena,
                           struct reason *reason);

/* Makes the topic and waits until each partition has a leader. One that exists is an error. */
CHECKED enum err load_topic_create(const struct load_server *server, const char *topic,
                                   int partitions, struct reason *reason);
CHECKED enum err load_topic_delete(const struct load_server *server, const char *topic,
                                   struct reason *reason);

/* A produce request as it goes over the wire, and where its value lies when it has one event. */
struct load_request {
    struct buf frame;
    uint64_t events;
    uint64_t bytes;        /* of its record batches */
    size_t batch_position; /* of the first batch in the frame */
    size_t batch_size;
};

/* A produce request with one batch to each of batch_count partitions from `first` on. */
CHECKED enum err load_request_make(const struct load_server *server,
                                   const struct load_options *options, int first, int batch_count,
                                   struct load_request *request, struct reason *reason);
void load_request_deinit(struct load_request *request);

/* ERR_IO with the server's words unless every partition took its batch. */
CHECKED enum err load_response_check(const struct load_server *server, struct slice frame,
                                     struct arena *arena, struct reason *reason);

/* Durations in nanoseconds, all of them kept. */
struct load_times {
    int64_t *ns;
    size_t count;
    size_t capacity;
};

void load_times_add(struct load_times *times, int64_t ns);
void load_times_append(struct load_times *times, const struct load_times *more);
void load_times_deinit(struct load_times *times);

/* p50, p99, p99.9 and the most in microseconds; sorts. NULL when empty. */
json_t *load_times_json(struct load_times *times);

/* What a server process used so far. */
struct load_meter {
    double cpu_seconds;
    double client_cpu_seconds;
    int64_t rss_bytes;
    int64_t pss_bytes;
    int64_t now_ns;
};

CHECKED enum err load_meter_read(pid_t server_pid, struct load_meter *meter, struct reason *reason);

/* Adds what lies between the two, also per byte and event where they are not 0. */
void load_meter_json(json_t *result, const struct load_meter *before,
                     const struct load_meter *after, pid_t server_pid, uint64_t bytes,
                     uint64_t events);

/* The modes. Each adds its figures to the result. */
CHECKED enum err load_produce(const struct load_options *options, json_t *result,
                              struct reason *reason);
CHECKED enum err load_fetch(const struct load_options *options, json_t *result,
                            struct reason *reason);
CHECKED enum err load_latency(const struct load_options *options, json_t *result,
                              struct reason *reason);
CHECKED enum err load_connections(const struct load_options *options, json_t *result,
                                  struct reason *reason);

#endif
