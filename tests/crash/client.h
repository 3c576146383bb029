#ifndef TIDINGS_TESTS_CRASH_CLIENT_H
#define TIDINGS_TESTS_CRASH_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* A client that speaks the protocol by the generated codecs, and says no more than it is told. */

struct client {
    int fd; /* -1: not connected */
    int32_t next_correlation;
    int32_t next_answer;
    struct buf out;
    struct buf in;
    struct arena arena; /* of the last response */
};

bool client_connect(struct client *client, uint16_t port);
void client_close(struct client *client);
void client_deinit(struct client *client);

/* False when the connection broke. Responses come in the order of the requests. */
bool client_send(struct client *client, int16_t key, int16_t version, const void *request);
/* Decodes into *response, which borrows client->in and the arena until the next receive. */
bool client_receive(struct client *client, int16_t key, int16_t version, void *response);
bool client_call(struct client *client, int16_t key, int16_t version, const void *request,
                 void *response);

struct topic_plan {
    const char *name;
    int32_t partitions;
    const char *setting; /* NULL: none */
    const char *value;
};
/* The error code, or -1000 when the connection broke. */
int16_t client_create_topic(struct client *client, const struct topic_plan *plan);
int16_t client_delete_topic(struct client *client, const char *name);
int64_t client_init_producer(struct client *client); /* -1: the connection broke */
bool client_end_offset(struct client *client, const char *topic, int32_t partition, int64_t *end);
bool client_commit(struct client *client, const char *group, const char *topic, int32_t partition,
                   int64_t offset, int16_t *code);
bool client_committed(struct client *client, const char *group, const char *topic,
                      int32_t partition, int64_t *offset);

enum { CLIENT_BROKEN = -1000 };

/* A batch for a producer; events carry payload_of(...). */
struct batch_plan {
    int64_t producer_id;
    int32_t producer; /* index in the test */
    int32_t partition;
    int64_t first; /* number of the first event = its sequence */
    int32_t count;
    int32_t value_bytes;
};
void batch_build(const struct batch_plan *plan, struct buf *out);

#endif
