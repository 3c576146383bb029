#include "datadir/batch_check.h"

#include "base/crc32c.h"

#include <string.h>

enum { LENGTH_AT = 8, MAGIC_AT = 16, CRC_AT = 17, CRC_FROM = 21 };

static void fail(struct batch_check *check, int64_t position)
{
    if (!check->bad) {
        check->bad = true;
        check->bad_position = position;
    }
}

static int64_t batch_start(const struct batch_check *check)
{
    int64_t size = (int64_t)load_be32(check->header + LENGTH_AT) + BATCH_LENGTH_OVERHEAD;
    return check->position - (size - check->left);
}

/* All of the batch is here. */
static void end_batch(struct batch_check *check)
{
    if (check->crc != load_be32(check->header + CRC_AT)) {
        fail(check, batch_start(check));
    }
    check->header_size = 0;
}

static void begin_batch(struct batch_check *check)
{
    int32_t length = (int32_t)load_be32(check->header + LENGTH_AT);
    if (check->header[MAGIC_AT] != BATCH_MAGIC_V2 ||
        length < BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD) {
        fail(check, check->position - BATCH_HEADER_BYTES);
        return;
    }
    check->left = (int64_t)length + BATCH_LENGTH_OVERHEAD - BATCH_HEADER_BYTES;
    check->crc = crc32c(0, check->header + CRC_FROM, BATCH_HEADER_BYTES - CRC_FROM);
    if (check->left == 0) {
        end_batch(check);
    }
}

static size_t feed_header(struct batch_check *check, struct slice bytes)
{
    size_t want = BATCH_HEADER_BYTES - check->header_size;
    size_t size = bytes.size < want ? bytes.size : want;
    memcpy(check->header + check->header_size, bytes.data, size);
    check->header_size += size;
    check->position += (int64_t)size;
    if (check->header_size == BATCH_HEADER_BYTES) {
        begin_batch(check);
    }
    return size;
}

static size_t feed_records(struct batch_check *check, struct slice bytes)
{
    size_t size = (int64_t)bytes.size < check->left ? bytes.size : (size_t)check->left;
    check->crc = crc32c(check->crc, bytes.data, size);
    check->left -= (int64_t)size;
    check->position += (int64_t)size;
    if (check->left == 0) {
        end_batch(check);
    }
    return size;
}

void batch_check_feed(struct batch_check *check, struct slice bytes)
{
    /* Behind a bad batch nothing is known of where the next one begins. */
    while (bytes.size > 0 && !check->bad) {
        size_t used = check->header_size < BATCH_HEADER_BYTES ? feed_header(check, bytes)
                                                              : feed_records(check, bytes);
        bytes = slice_of(bytes.data + used, bytes.size - used);
    }
}

bool batch_check_finish(struct batch_check *check)
{
    if (!check->bad && check->header_size > 0) {
        fail(check, check->header_size < BATCH_HEADER_BYTES
                        ? check->position - (int64_t)check->header_size
                        : batch_start(check));
    }
    return !check->bad;
}
