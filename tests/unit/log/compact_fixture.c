#include "compact_fixture.h"

#include "base/mem.h"
#include "log/log_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct slice text_slice(const char *text)
{
    return text == NULL ? slice_of(NULL, 0) : slice_str(text);
}

int64_t append_kv(struct fixture *fixture, const struct kv_batch *spec, const struct kv *records,
                  int32_t count)
{
    struct batch_builder builder;
    struct buf bytes = {0};
    struct batch batch;
    batch_builder_init(&builder);
    builder.compression = spec->raw_bytes ? BATCH_COMPRESSION_NONE : spec->codec;
    if (spec->producer_id > 0) {
        builder.producer_id = spec->producer_id;
        builder.producer_epoch = spec->epoch;
        builder.base_sequence = spec->sequence;
    }
    if (spec->transactional) {
        builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    }
    int64_t timestamp = spec->timestamp == 0 ? fixture->now_ms : spec->timestamp;
    struct record_header header = {.key = slice_str("h"), .value = slice_str("1")};
    for (int32_t i = 0; i < count; i++) {
        batch_builder_add(&builder, timestamp + i, text_slice(records[i].key),
                          text_slice(records[i].value), &header, i % 2);
    }
    assert_int_equal(batch_builder_finish(&builder, &bytes, NULL), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    if (spec->raw_bytes) {
        batch.attributes |= (int16_t)spec->codec;
        batch_renew_crc(&batch);
        batch_header_store(&batch, bytes.data);
    }
    struct log_append append = {
        .batches = &batch, .batch_count = 1, .check_producer = spec->producer_id > 0};
    if (log_append(fixture->log, &append, &fixture->reason) != ERR_NONE) {
        fail_msg("log_append: %s", fixture->reason.text);
    }
    buf_deinit(&bytes);
    return append.base_offset;
}

int64_t put(struct fixture *fixture, const char *key, const char *value)
{
    return append_kv(fixture, &(struct kv_batch){.producer_id = 0}, &(struct kv){key, value}, 1);
}

int64_t put_marker(struct fixture *fixture, int64_t producer_id, int16_t epoch, bool commit)
{
    if (append_marker(fixture, producer_id, epoch, 0, commit) != ERR_NONE) {
        fail_msg("marker: %s", fixture->reason.text);
    }
    return log_end_offset(fixture->log) - 1;
}

void roll(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->log->append_lock);
    enum err err = log_roll(fixture->log, &fixture->reason);
    pthread_mutex_unlock(&fixture->log->append_lock);
    assert_int_equal(err, ERR_NONE);
    assert_int_equal(log_flush(fixture->log, &fixture->reason), ERR_NONE);
    log_decide_txns(fixture->log, log_flushed_offset(fixture->log));
    log_finish_rolled(fixture->log);
}

struct compact_limits roomy_limits(void)
{
    return (struct compact_limits){.map_bytes = 1 << 20, .load_factor = 0.9, .io_bytes = 65536};
}

int64_t stable_offset(struct fixture *fixture)
{
    int64_t flushed = log_flushed_offset(fixture->log);
    int64_t unstable = log_first_unstable_offset(fixture->log);
    return unstable < flushed ? unstable : flushed;
}

enum err try_compact(struct fixture *fixture, const struct compact_limits *limits,
                     struct compact_result *result)
{
    return log_compact(fixture->log, stable_offset(fixture), limits, result, &fixture->reason);
}

struct compact_result compact(struct fixture *fixture)
{
    struct compact_limits limits = roomy_limits();
    struct compact_result result;
    if (try_compact(fixture, &limits, &result) != ERR_NONE) {
        fail_msg("log_compact: %s", fixture->reason.text);
    }
    return result;
}

void each_batch(struct fixture *fixture, void (*each)(void *context, const struct batch *batch),
                void *context)
{
    int64_t from = log_start_offset(fixture->log);
    int64_t end = log_end_offset(fixture->log);
    while (from < end) {
        struct file_span span;
        if (log_read(fixture->log, from, end, 700, true, &span, &fixture->reason) != ERR_NONE) {
            fail_msg("log_read at %lld: %s", (long long)from, fixture->reason.text);
        }
        assert_true(span.size > 0);
        uint8_t *bytes = mem_alloc(span.size);
        assert_int_equal(pread(span.fd, bytes, span.size, span.position), (ssize_t)span.size);
        for (struct slice left = slice_of(bytes, span.size); left.size > 0;) {
            struct batch batch;
            assert_int_equal(batch_parse(left, &batch, NULL), ERR_NONE);
            assert_int_equal(batch_check_crc(&batch, NULL), ERR_NONE);
            assert_true(batch_last_offset(&batch) >= from);
            each(context, &batch);
            from = batch_last_offset(&batch) + 1;
            left = slice_of(left.data + batch.bytes.size, left.size - batch.bytes.size);
        }
        free(bytes);
        file_span_release(&span);
    }
}

static void print_record(struct buf *text, const struct record *record)
{
    buf_printf(text, "%lld:%.*s", (long long)record->offset,
               slice_is_null(record->key) ? 0 : (int)record->key.size,
               (const char *)record->key.data);
    if (slice_is_null(record->value)) {
        buf_append_str(text, "- ");
    } else {
        buf_printf(text, "=%.*s ", (int)record->value.size, (const char *)record->value.data);
    }
}

static void print_batch(void *context, const struct batch *batch)
{
    struct buf *text = context;
    struct batch_marker marker;
    struct record_iterator iterator;
    struct record record;
    bool done = false;
    if (batch->record_count == 0) {
        buf_printf(text, "%lld-%lld:_ ", (long long)batch->base_offset,
                   (long long)batch_last_offset(batch));
        return;
    }
    if (batch_is_control(batch)) {
        assert_true(batch_marker_read(batch, &marker));
        buf_printf(text, "%lld:%c ", (long long)batch->base_offset, marker.commit ? 'C' : 'A');
        return;
    }
    if (record_iterator_init(&iterator, batch, 1 << 20, NULL) != ERR_NONE) {
        buf_printf(text, "%lld-%lld:? ", (long long)batch->base_offset,
                   (long long)batch_last_offset(batch));
        done = true;
    }
    while (!done) {
        assert_int_equal(record_iterator_next(&iterator, &record, &done, NULL), ERR_NONE);
        if (!done) {
            print_record(text, &record);
        }
    }
    record_iterator_deinit(&iterator);
}

const char *log_text(struct fixture *fixture)
{
    static _Thread_local char copy[8192];
    struct buf text = {0};
    each_batch(fixture, print_batch, &text);
    snprintf(copy, sizeof copy, "%s", buf_cstr(&text));
    buf_deinit(&text);
    return copy;
}
