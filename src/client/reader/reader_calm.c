#include "client/reader/reader_inside.h"

#include "base/clock.h"

/* Requests and answers are watched, on librdkafka's threads, to know when a commit may be sent. */

/*
 * While a JoinGroup or SyncGroup is on its way librdkafka holds back what is sent behind it, and a
 * commit so delayed arrives with the generation of before: the bus refuses it, and librdkafka (up
 * to 2.1) gives up all its partitions as lost. So commits wait until the group stands again.
 *
 * A member that stands joins again by what a heartbeat is answered, or a second after it joined
 * last if that is later. One thread of librdkafka reads the answer, another queues the JoinGroup
 * and the first one sends it, which is when it is known here: too late. So a commit is handed over
 * only while neither is near, and after two requests, one behind the other, were answered since the
 * last time: the first one wakes the thread that queues a JoinGroup, the other is queued behind
 * that. What is left is this thread standing still for SOON_MS just then, and joining for another
 * reason, as when a topic has more partitions.
 */
enum { API_JOIN_GROUP = 11, API_HEARTBEAT = 12, API_LEAVE_GROUP = 13, API_SYNC_GROUP = 14 };
enum { SOON_MS = 100, SOON_SHARE = 2, JOIN_EVERY_MS = 1000 }; /* SOON_SHARE of a heartbeat's */

long reader_calm_news(const struct reader *reader)
{
    struct reader_handle *handle = reader->handle;
    int64_t since_ms = clock_mono_ms(clock_system()) - atomic_load(&handle->joined_at_ms);
    return 2 * atomic_load(&handle->heard) + (since_ms >= JOIN_EVERY_MS);
}

bool reader_calm_may_join(const struct reader *reader)
{
    struct reader_handle *handle = reader->handle;
    int64_t interval_ms = handle->heartbeat_ms, now_ms = clock_mono_ms(clock_system());
    int64_t soon_ms = interval_ms / SOON_SHARE < SOON_MS ? interval_ms / SOON_SHARE : SOON_MS;
    int64_t since_ms = now_ms - atomic_load(&handle->heartbeat_at_ms);
    bool is_beating = atomic_load(&handle->is_heartbeat_out) || since_ms >= interval_ms - soon_ms;
    int64_t to_join_ms = atomic_load(&handle->joined_at_ms) + JOIN_EVERY_MS - now_ms;
    /* A heartbeat that is so late was lost with its connection, or none are sent. */
    return (is_beating && since_ms < 2 * interval_ms) || (to_join_ms > 0 && to_join_ms < SOON_MS) ||
           atomic_load(&handle->is_joining);
}

/* An answer came that librdkafka may answer by a JoinGroup. */
static void hear(struct reader_handle *handle, int16_t api)
{
    if (api == API_HEARTBEAT) {
        atomic_store(&handle->is_heartbeat_out, false);
    }
    if (api == API_HEARTBEAT || api == API_JOIN_GROUP || api == API_SYNC_GROUP) {
        atomic_fetch_add(&handle->heard, 1);
    }
}

static rd_kafka_resp_err_t on_request_sent(rd_kafka_t *rk, int socket, const char *broker,
                                           int32_t broker_id, int16_t api, int16_t version,
                                           int32_t correlation, size_t size, void *opaque)
{
    struct reader_handle *handle = opaque;
    if (api == API_JOIN_GROUP) {
        atomic_store(&handle->joined_at_ms, clock_mono_ms(clock_system()));
        atomic_store(&handle->is_joining, true);
        atomic_store(&handle->has_open_join, true);
    }
    if (api == API_LEAVE_GROUP) {
        atomic_store(&handle->has_left, true);
    }
    if (api == API_JOIN_GROUP || api == API_SYNC_GROUP) {
        atomic_store(&handle->is_assigning, false);
    }
    if (api == API_HEARTBEAT) {
        atomic_store(&handle->heartbeat_at_ms, clock_mono_ms(clock_system()));
        atomic_store(&handle->is_heartbeat_out, true);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response_received(rd_kafka_t *rk, int socket, const char *broker,
                                                int32_t broker_id, int16_t api, int16_t version,
                                                int32_t correlation, size_t size, int64_t rtt,
                                                rd_kafka_resp_err_t code, void *opaque)
{
    struct reader_handle *handle = opaque;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        atomic_store(&handle->has_answer, true);
    }
    hear(handle, api);
    if (api == API_JOIN_GROUP) {
        atomic_store(&handle->has_open_join, false);
        atomic_store(&handle->has_joined, true);
        atomic_store(&handle->is_assigning, true);
    }
    if (api == API_SYNC_GROUP) {
        atomic_store(&handle->is_joining, false);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
                                  char *text, size_t text_size)
{
    rd_kafka_resp_err_t code =
        rd_kafka_interceptor_add_on_request_sent(rk, "tidings", on_request_sent, opaque);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = rd_kafka_interceptor_add_on_response_received(rk, "tidings", on_response_received,
                                                             opaque);
    }
    return code;
}

void reader_calm_watch(struct reader_handle *handle, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_interceptor_add_on_new(conf, "tidings", on_new, handle);
}
