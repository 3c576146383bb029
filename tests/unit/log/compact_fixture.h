#ifndef TESTS_UNIT_LOG_COMPACT_FIXTURE_H
#define TESTS_UNIT_LOG_COMPACT_FIXTURE_H

#include "log_fixture.h"

#include "batch/batch_filter.h"
#include "batch/marker.h"
#include "log/compact.h"

/* One record of a test. */
struct kv {
    const char *key;   /* NULL: none */
    const char *value; /* NULL: a tombstone */
};

/* The batch around them. */
struct kv_batch {
    enum batch_compression codec;
    int64_t producer_id; /* 0: none */
    int16_t epoch;
    int32_t sequence;
    bool transactional;
    int64_t timestamp; /* 0: the fixture's clock */
    bool raw_bytes;    /* the codec is claimed, the bytes are not of it */
};

/* Appends one batch; its base offset. The test fails on error. */
int64_t append_kv(struct fixture *fixture, const struct kv_batch *batch, const struct kv *records,
                  int32_t count);
/* One record without anything around it. */
int64_t put(struct fixture *fixture, const char *key, const char *value);
/* A transaction's end; its offset. */
int64_t put_marker(struct fixture *fixture, int64_t producer_id, int16_t epoch, bool commit);
/* Begins a new segment; what is before it is flushed and its indexes written. */
void roll(struct fixture *fixture);

/* Compacts with roomy limits below the last stable offset. The test fails on error. */
struct compact_result compact(struct fixture *fixture);
enum err try_compact(struct fixture *fixture, const struct compact_limits *limits,
                     struct compact_result *result);
struct compact_limits roomy_limits(void);
int64_t stable_offset(struct fixture *fixture);

/* All records as "offset:key=value " (a tombstone: "offset:key-", a marker "offset:C", "offset:A",
 * a batch without records "first-last:_"), in a buffer of the thread; checks CRCs and order. */
const char *log_text(struct fixture *fixture);

/* Calls each(context, batch) for every batch of the log. */
void each_batch(struct fixture *fixture, void (*each)(void *context, const struct batch *batch),
                void *context);

#endif
