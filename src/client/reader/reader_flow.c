#include "client/reader/reader_inside.h"

/*
 * Keeps librdkafka fetching. It stops when as much is fetched as may be (prefetch_events,
 * prefetch_kbytes), and up to version 2.1 looks again after a whole second, by when a quick reader
 * has long waited; so it does with a partition that is resumed. Any request to the partition's
 * leader wakes the thread that fetches, so one is sent when what was fetched is half read. Newer
 * versions have fetch.queue.backoff.ms for it; the request does no harm there.
 */

enum { LOOK_EVERY = 64, WAKE_MS = 1 };

void reader_flow_init(struct reader *reader, const struct reader_settings *settings)
{
    struct reader_flow *flow = &reader->flow;
    flow->limit_events =
        settings->prefetch_events > 0 ? settings->prefetch_events : READER_PREFETCH_EVENTS;
    flow->limit_bytes = 1024 * (settings->prefetch_kbytes > 0 ? (int64_t)settings->prefetch_kbytes
                                                              : READER_PREFETCH_KBYTES);
}

/* The answer is not waited for: asking is what wakes. */
void reader_flow_wake(struct reader *reader, const char *topic, int32_t number)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, number)->offset = RD_KAFKA_OFFSET_BEGINNING;
    (void)rd_kafka_offsets_for_times(reader->connection.rk, list, WAKE_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

void reader_flow_taken(struct reader *reader, const rd_kafka_message_t *message)
{
    struct reader_flow *flow = &reader->flow;
    int64_t size = (int64_t)(message->len + message->key_len);
    flow->mean_bytes += (size - flow->mean_bytes) / 8;
    if (++flow->taken % LOOK_EVERY != 0) {
        return;
    }
    int64_t length = (int64_t)rd_kafka_queue_length(reader->fetched);
    /* The size is an estimate, and the most that it was lies between two looks: full is what may
     * have been full. */
    bool is_full = length >= flow->limit_events - flow->limit_events / 4 ||
                   length * flow->mean_bytes >= flow->limit_bytes - flow->limit_bytes / 4;
    if (is_full) {
        flow->full_length = length > flow->full_length ? length : flow->full_length;
    } else if (flow->full_length > 0 && length < flow->full_length / 2) {
        flow->full_length = 0;
        reader_flow_wake(reader, rd_kafka_topic_name(message->rkt), message->partition);
    }
}

int64_t reader_known_end(const struct reader *reader, const char *topic, int32_t partition)
{
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_get_watermark_offsets(reader->connection.rk, topic, partition, &low, &high);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : -1;
}
