#include "batch/batch.h"
#include "wire/generated/fetch.h"
#include "world.h"

#include <inttypes.h>

enum { FETCH_VERSION = 12 };

/* Under ledger_lock: the event at `offset` must be the next one of its producer. */
static void check_event(struct world *world, struct reader *reader, int32_t partition,
                        const struct record *record)
{
    if (record->offset != reader->next_offset || record->value.size < 16) {
        crash_fail("partition %d: offset %" PRId64 " follows %" PRId64 " (%zu bytes)", partition,
                   record->offset, reader->next_offset - 1, record->value.size);
    }
    int32_t producer = (int32_t)load_be32(record->value.data);
    int32_t of_partition = (int32_t)load_be32(record->value.data + 4);
    int64_t number = (int64_t)load_be64(record->value.data + 8);
    if (producer < 0 || producer >= world->producers || of_partition != partition) {
        crash_fail("partition %d offset %" PRId64 ": an event nobody sent there", partition,
                   record->offset);
    }
    if (number != reader->expected[producer]) {
        crash_fail("partition %d offset %" PRId64 ": event %" PRId64
                   " of producer %d where %" PRId64 " is due: %s",
                   partition, record->offset, number, producer, reader->expected[producer],
                   number < reader->expected[producer] ? "a duplicate" : "one is lost");
    }
    const struct stream *stream = &world->streams[partition][producer];
    size_t *at = &reader->cursor[producer];
    while (*at < stream->count &&
           number >= stream->batches[*at].first + stream->batches[*at].count) {
        (*at)++;
    }
    if (*at == stream->count) {
        crash_fail("partition %d offset %" PRId64 ": event %" PRId64
                   " of producer %d was never sent",
                   partition, record->offset, number, producer);
    }
    const struct sent_batch *sent = &stream->batches[*at];
    if (sent->acked_offset >= 0 && record->offset != sent->acked_offset + number - sent->first) {
        crash_fail("partition %d: event %" PRId64 " of producer %d is at %" PRId64
                   ", acknowledged at %" PRId64,
                   partition, number, producer, record->offset,
                   sent->acked_offset + number - sent->first);
    }
    reader->expected[producer]++;
    reader->next_offset++;
}

static void check_batch(struct world *world, struct reader *reader, int32_t partition,
                        const struct batch *batch)
{
    struct record_iterator iterator;
    struct record record;
    struct reason reason;
    bool done = false;
    enum err err = batch_check_crc(batch, &reason);
    if (err == ERR_NONE) {
        err = record_iterator_init(&iterator, batch, BATCH_DECOMPRESSED_MAX_BYTES, &reason);
    }
    while (err == ERR_NONE && !done) {
        err = record_iterator_next(&iterator, &record, &done, &reason);
        /* A fetch gives whole batches: the first may begin before the offset asked for. */
        if (err == ERR_NONE && !done && record.offset >= reader->next_offset) {
            check_event(world, reader, partition, &record);
        }
    }
    if (err != ERR_NONE) {
        crash_fail("partition %d near offset %" PRId64 ": a fetched batch is bad: %s", partition,
                   reader->next_offset, reason.text);
    }
    record_iterator_deinit(&iterator);
}

static void check_records(struct world *world, struct reader *reader, int32_t partition,
                          struct slice records)
{
    while (records.size > 0) {
        struct batch batch;
        struct reason reason;
        enum err err = batch_parse(records, &batch, &reason);
        if (err != ERR_NONE) {
            crash_fail("partition %d near offset %" PRId64 ": fetched bytes are no batch: %s",
                       partition, reader->next_offset, reason.text);
        }
        check_batch(world, reader, partition, &batch);
        records = slice_of(records.data + batch.bytes.size, records.size - batch.bytes.size);
    }
}

bool readers_fetch(struct world *world, struct client *client, struct reader *readers,
                   int32_t max_wait_ms)
{
    struct fetch_request_partition wanted[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        fetch_request_partition_init(&wanted[i]);
        wanted[i].partition = i;
        wanted[i].fetch_offset = readers[i].next_offset;
        wanted[i].partition_max_bytes = 4 << 20;
    }
    struct fetch_request_topic topic;
    fetch_request_topic_init(&topic);
    topic.topic = slice_str(LOAD_TOPIC);
    topic.partitions = wanted;
    topic.partitions_count = PARTITIONS;
    struct fetch_request request;
    fetch_request_init(&request);
    request.max_wait_ms = max_wait_ms;
    request.min_bytes = 1;
    request.topics = &topic;
    request.topics_count = 1;
    struct fetch_response response;
    if (!client_call(client, API_KEY_FETCH, FETCH_VERSION, &request, &response)) {
        return false;
    }
    for (int32_t i = 0; i < response.responses[0].partitions_count; i++) {
        const struct fetch_response_partition *got = &response.responses[0].partitions[i];
        if (got->error_code != 0) {
            crash_fail("fetch of partition %d from %" PRId64 " answered error %d (end %" PRId64 ")",
                       got->partition_index, readers[i].next_offset, got->error_code,
                       got->high_watermark);
        }
        pthread_mutex_lock(&world->ledger_lock);
        check_records(world, &readers[i], i, got->records.bytes);
        pthread_mutex_unlock(&world->ledger_lock);
        readers[i].high_watermark = got->high_watermark;
    }
    return true;
}

/* Readers end at the high watermark; what acks=1 acknowledged a moment ago may not be there yet. */
static bool is_behind(const struct world *world, const struct reader *readers, bool *visible)
{
    bool behind = false;
    *visible = false;
    for (int i = 0; i < PARTITIONS; i++) {
        *visible = *visible || readers[i].next_offset < readers[i].high_watermark;
        behind = behind || readers[i].next_offset < world->acked_end[i];
    }
    return behind || *visible;
}

void readers_catch_up(struct world *world, struct client *client, struct reader *readers)
{
    bool visible = true;
    int empty = 0;
    do {
        if (!readers_fetch(world, client, readers, 50)) {
            crash_fail("the connection of the check broke");
        }
        empty = visible ? 0 : empty + 1;
    } while (is_behind(world, readers, &visible) && empty < 100);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        for (int32_t i = 0; i < world->producers; i++) {
            const struct stream *stream = &world->streams[p][i];
            if (readers[p].expected[i] < stream->acked_to) {
                crash_fail("partition %d: events %" PRId64 " to %" PRId64
                           " of producer %d were acknowledged and are gone (end %" PRId64 ")",
                           p, readers[p].expected[i], stream->acked_to - 1, i,
                           readers[p].next_offset);
            }
        }
    }
}

void readers_check_complete(struct world *world, const struct reader *readers)
{
    for (int32_t p = 0; p < PARTITIONS; p++) {
        for (int32_t i = 0; i < world->producers; i++) {
            const struct stream *stream = &world->streams[p][i];
            if (stream->acked != stream->count || readers[p].expected[i] != stream->next) {
                crash_fail("partition %d producer %d: %" PRId64 " events sent, %" PRId64
                           " acknowledged, %" PRId64 " there",
                           p, i, stream->next, stream->acked_to, readers[p].expected[i]);
            }
        }
    }
}
