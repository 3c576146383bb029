#ifndef TIDINGS_API_API_H
#define TIDINGS_API_API_H

#include "api/allow.h"
#include "api/connection.h"
#include "base/arena.h"
#include "base/budget.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/settings.h"
#include "base/task.h"
#include "net/completion.h"
#include "net/net.h"
#include "net/workers.h"
#include "topic/catalogue.h"
#include "wire/header.h"
#include "wire/kafka_error.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The Kafka APIs: one handler each, in one table with the versions it serves.
 *
 * A frame becomes an api_request. Its handler decodes the body, acts, and completes the request
 * exactly once (api_complete), now or later and from any thread. What completes it is a struct
 * completion, a plain value, so that who answers later need not keep the request.
 *
 * Handlers run on the connection's reactor and must not wait for the disk there. One that has to
 * parks the request and goes on with a step function on a worker thread, with all that it found
 * out so far in request->state; or its row says API_ON_WORKER. A parked request holds back the
 * connection's next frames until it is answered, so that a client sees its own effects.
 */
struct group_coordinator;
struct topic_matches;
struct txn_coordinator;
struct fetch_service;
struct fetch;
struct api_faults;
struct authorizer;
struct principal_rules;

/* The most memory that a request may take for its answer (encoding takes as much again), however
 * much there is. */
enum { API_ANSWER_BYTES = 128 << 20 };

/* Larger requests are handled on workers. */
enum { API_QUICK_BYTES = 32 << 10 };

/* The settings that handlers look at. */
struct api_config {
    int32_t node_id;            /* node.id */
    bool auto_create_topics;    /* auto.create.topics.enable */
    bool consumer_protocol;     /* group.coordinator.rebalance.protocols lists consumer */
    int32_t default_partitions; /* num.partitions */
    int64_t fetch_max_bytes;    /* fetch.max.bytes */
};

/* What handlers act on. Filled by src/broker before the first frame, then unchanged. */
struct api_server {
    struct net *net;
    struct workers *workers;
    struct flusher *flusher;
    struct catalogue *catalogue;
    struct group_coordinator *groups;
    struct topic_matches *matches;
    struct txn_coordinator *txns;
    struct fetch_service *fetches;
    const struct clock *clock;
    const struct settings_table *settings; /* of the server, for DescribeConfigs */
    const struct overrides *overrides;     /* as given at start */
    const char *data_dir;
    _Atomic(const char *) http_url; /* told as http.advertised.url; NULL: there is none */
    struct client_table *clients;   /* who is seen, and what they do; NULL: nobody counts */
    _Atomic(const struct api_authorizer *) authorizer; /* NULL: all is allowed */
    struct authorizer *rules; /* that DescribeAcls tells of; NULL: there is none */
    const struct principal_rules *principal_rules; /* of clients with certificates */
    struct users *users;                           /* whose passwords are kept */
    struct sasl_service *sasl;                     /* NULL: no listener speaks SASL */
    const struct api_faults *faults; /* that a test asks for (api/faults.h); NULL: none */

    struct api_config config;
    int64_t request_arena_bytes;  /* limit for what one request may decode into */
    int64_t answer_bytes;         /* may be less than API_ANSWER_BYTES; 0: it is not */
    size_t open_max_bytes;        /* what one compressed batch may open into; 0: 64 MiB */
    struct budget *budget;        /* its share for requests is asked; NULL: nobody is */
    struct api_reactor *reactors; /* by reactor index; NULL with the budget */
    /* advertised.listeners: by listener index; NULL host: the address that the client reached */
    struct api_address {
        const char *host;
        uint16_t port;
    } * advertised;
    size_t advertised_count;
    int32_t unwritten_hold_ms; /* see api_hold_ms */
    _Atomic uint64_t requests; /* for metrics */
};

/* What a reactor counts for itself. */
struct api_reactor {
    struct budget_purse requests;
    char apart[64]; /* from the next one's cache line */
};

/* One for each of net's; free it. */
struct api_reactor *api_reactors_new(const struct net *net, struct budget *budget);

struct api_request;

/* Goes on with a request, as a handler does. */
typedef enum err api_step(struct api_request *request, struct reason *reason);

struct api_request {
    struct api_server *server;
    struct api_connection *connection; /* a reference */
    struct conn *conn;                 /* NULL once on a worker or parked: on_frame only */
    struct completion completion;
    struct slice client_id; /* borrows the frame, as what the body decodes into */
    struct wire_reader body;
    struct arena arena; /* freed with the request */
    char host[128]; /* where this client should connect: set when the row says API_WITH_ADDRESS */
    uint16_t port;
    void *state;     /* of the handler, from step to step */
    int32_t hold_ms; /* of its answer; see api_hold_ms */

    const struct api_entry *entry;
    size_t reserved_bytes; /* of the budget; see api_reserve */
    uint8_t *own_frame;    /* the frame, once it has to outlive on_frame */
    struct task task;      /* for workers */
    enum worker_speed speed;
    api_step *step; /* what the task runs */
};

/*
 * Decodes the body and sees to the answer. An error means that the body is malformed: the
 * connection is closed with one log line, and the request is the caller's again (api_run).
 */
typedef enum err api_handler(struct api_request *request, struct reason *reason);

enum api_flags {
    API_ON_WORKER = 1,    /* always on a worker thread: writes to the catalogue, takes long */
    API_WITH_ADDRESS = 2, /* needs request->host and port */
    API_MAY_PARK = 4,     /* the request gets a frame of its own before it is decoded */
    API_SLOW = 8,         /* with API_ON_WORKER: may take long in one piece */
    API_ON_REACTOR = 16,  /* however large the request is */
};

struct api_entry {
    int16_t key;
    int16_t lowest_version;
    int16_t highest_version;
    unsigned flags;
    api_handler *handle;
    struct api_permission asks[API_PERMISSIONS]; /* of api_allows, about each resource it touches */
};

/* What is served: ApiVersions answers from it, dispatch follows it, docs/protocol.md is checked
 * against it. By rising key. */
extern const struct api_entry api_table[];
extern const int api_table_count;

/* NULL when the key is not served. */
const struct api_entry *api_find(int16_t key);

/* For net_handler.on_frame: takes a frame in. context is the api_server. */
void api_on_frame(void *context, struct conn *conn, struct reply_token token, struct slice frame);

/* For net_handler.on_open and on_close (api/connection.h). */
void api_on_open(void *context, struct conn *conn);
void api_on_close(void *context, struct conn *conn, enum conn_end end);

/* For net_handler.on_hurry: fetches that wait are answered with what there is. */
void api_on_hurry(void *context, struct conn *conn);

/*
 * Takes the request off its connection, which delivers no more frames until it is answered. Once
 * somebody calls api_resume, from any thread, `step` goes on with it on a worker thread. Memory and
 * what was decoded stay as they are: the row says API_MAY_PARK or API_ON_WORKER, or the handler has
 * called api_take_frame.
 */
void api_park(struct api_request *request, api_step *step);
void api_resume(struct api_request *request);

/* Runs a step, a handler as the first. Where it fails, the request ends by closing its connection,
 * with one log line. */
void api_run(struct api_request *request, api_step *step);

/* Both at once: `return api_go_on(request, step)`. */
enum err api_go_on(struct api_request *request, api_step *step);

/*
 * The same, for work that may take long. It is done in pieces, a step each, which goes on with the
 * next in this way: other connections have their turns in between (net/workers.h), and nothing of
 * this connection is handled before the request has ended.
 */
enum err api_go_on_slowly(struct api_request *request, api_step *step);

/*
 * Gives the request a frame of its own, if it has none. Slices that were decoded before point to
 * where the frame was: each that is used again has to be moved along. Returns by how much, for
 * api_moved.
 */
ptrdiff_t api_take_frame(struct api_request *request);
struct slice api_moved(struct slice slice, ptrdiff_t by);

/*
 * Asks for the memory of a request that outlives its frame, as it is now: its frame and what was
 * decoded. False: three quarters of the share for requests are used up, and the request is to be
 * refused (api_refuse_for_memory). What the request allocates afterwards is bounded by the limits
 * for one (request_arena_bytes, answer_bytes), and by how many run at a time: one a thread. Given
 * back when the request is freed. Any thread, at most once.
 */
CHECKED bool api_reserve(struct api_request *request);

/* Answers REQUEST_TIMED_OUT to all that was asked for, after a while, as the client will try again;
 * or closes the connection where there is no such answer. body: as it was before it was decoded. */
void api_refuse_for_memory(struct api_request *request, struct wire_reader body);

/* Of the share for requests, the quarter that is for requests that wait for the disk only: NULL
 * when there is no budget. On the request's reactor. */
struct budget_purse *api_purse(const struct api_request *request);

/* Delivers no further frame of the connection until the request is answered. On its reactor, in
 * on_frame; for requests whose effect the next one must see. */
void api_hold(struct api_request *request);

/* The reactor of the request's connection. */
struct reactor *api_reactor(const struct api_request *request);

/*
 * The end of a request. Begin writes the header of the response, the caller encodes the body into
 * `writer`, complete hands it to net. Or nothing is begun: an ending without bytes.
 */
enum api_ending {
    API_ANSWERS,         /* with what was encoded */
    API_ANSWERS_LAST,    /* the same, and the connection is closed behind it */
    API_ANSWERS_NOTHING, /* no bytes: acks=0 */
    API_CLOSES           /* no bytes, and the connection is closed; the caller has logged why */
};
struct api_reply {
    enum api_ending ending;
    int32_t hold_ms; /* as in struct reply */
    struct buf bytes;
    struct wire_writer writer;
};
/* Begins a reply with the header of its response. api_complete or api_finish takes it over. Any
 * thread. */
void api_reply_begin(const struct completion *completion, struct api_reply *reply);

/* The one end of every request: takes over what is in *reply. Any thread, once for a completion. */
void api_complete(struct net *net, const struct completion *completion, struct api_reply *reply);

/*
 * How long an answer with this error is held back (struct reply): unwritten_hold_ms when the
 * server's own state cannot be written at the moment, mostly for want of space, as many clients try
 * that again at once. 0 for all other errors.
 */
int32_t api_hold_ms(const struct api_server *server, enum err err);

/* Frees the request and completes it: who is answered finds its memory given back. */
void api_finish(struct api_request *request, struct api_reply *reply);

/* Encodes a whole response with its generated encoder and finishes the request with it. */
#define API_REPLY(request, encode, response)                                                       \
    do {                                                                                           \
        struct api_reply api_reply_;                                                               \
        api_reply_begin(&(request)->completion, &api_reply_);                                      \
        api_reply_.hold_ms = (request)->hold_ms;                                                   \
        encode(&api_reply_.writer, api_version(request), (response));                              \
        api_finish((request), &api_reply_);                                                        \
    } while (0)

/* Finishes the request by closing its connection, with one log line. */
void api_close(struct api_request *request, const struct reason *reason);

/* Frees a request without its end: somebody else has the completion, or its connection is gone. */
void api_request_free(struct api_request *request);

/*
 * Has the request handled on a worker, from its beginning, as it turned out to be more than a
 * reactor has time for. whole: its body as it was before it was decoded. On its reactor, in
 * on_frame (request->conn tells). The handler returns what this returns.
 */
CHECKED enum err api_handle_slowly(struct api_request *request, struct wire_reader whole);

/* Memory of the request for its answer: never NULL. How much an answer may take is looked at by
 * api_check_size, where few bytes of a request can ask for much. */
void *api_alloc(struct api_request *request, size_t count, size_t size);
/* ERR_TOO_LARGE once the request holds more memory than any answer needs: the handler returns it,
 * which closes the connection with the reason. */
CHECKED enum err api_check_size(const struct api_request *request, struct reason *reason);

/* first[i]: the least index whose name equals names[i]. In the request's memory. */
const int32_t *api_first_of_equal(struct api_request *request, const struct slice *names,
                                  int32_t count);

/* Zeroed memory of the request for what its handler keeps from step to step, also before the body
 * is decoded into it; request->state points to it. */
void *api_alloc_state(struct api_request *request, size_t size);

/* The slice's bytes copied into the request, for what outlives the frame. Null stays null. */
struct slice api_keep(struct api_request *request, struct slice slice);
/* Formatted text as a slice in the request. */
struct slice api_text(struct api_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The version that the request is in and its answer must be in. */
static inline int16_t api_version(const struct api_request *request)
{
    return request->completion.api_version;
}

/* The one table from internal errors to Kafka's (src/api/error_code.c). */
int16_t api_error_code(enum err err);

/* The text of a reason as a nullable slice in the request: null when empty. */
struct slice api_reason(struct api_request *request, const struct reason *reason);

/* The release of Apache Kafka that tools may take this server for: the newest whose features are
 * served (KIP-778), as its level and as its name. */
enum { API_METADATA_LEVEL = 25 };
#define API_METADATA_VERSION "4.0-IV3"

/* In the place of a leader's id: of a partition that is offline. */
enum { API_NO_LEADER = -1 };

/* The topic of this name and the partition in it: a reference to the partition, or NULL. */
struct partition *api_find_partition(struct api_server *server, struct slice topic, int32_t index);

#endif
