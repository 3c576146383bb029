#include "fill.h"

#include "base/mem.h"
#include "wire/codec.h"

#include <stdlib.h>

static uint64_t next(struct filler *filler)
{
    uint64_t x = filler->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    filler->state = x;
    return x * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(struct filler *filler, uint32_t limit)
{
    return (uint32_t)(next(filler) >> 32) % limit;
}

int64_t fill_integer(struct filler *filler)
{
    static const int64_t edges[] = {0,         -1,        1,         INT8_MIN,  INT8_MAX, INT16_MIN,
                                    INT16_MAX, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};
    if (below(filler, 3) == 0) {
        return edges[below(filler, sizeof edges / sizeof edges[0])];
    }
    return (int64_t)(next(filler) >> below(filler, 64));
}

bool fill_bool(struct filler *filler)
{
    return below(filler, 2) == 1;
}

double fill_float64(struct filler *filler)
{
    return (double)fill_integer(filler) / 3;
}

struct wire_uuid fill_uuid(struct filler *filler)
{
    struct wire_uuid uuid = {{0}};
    if (below(filler, 4) != 0) {
        for (size_t i = 0; i < sizeof uuid.bytes; i++) {
            uuid.bytes[i] = (uint8_t)below(filler, 256);
        }
    }
    return uuid;
}

struct slice fill_text(struct filler *filler, bool nullable)
{
    uint32_t kind = below(filler, 20);
    if (nullable && kind < 4) {
        return (struct slice){.data = NULL};
    }
    size_t size = kind == 19 ? 120 + below(filler, 200) : kind == 18 ? 0 : 1 + below(filler, 12);
    uint8_t *text = arena_alloc(filler->arena, size + 1);
    for (size_t i = 0; i < size; i++) {
        text[i] = (uint8_t)('a' + below(filler, 26));
    }
    return slice_of(text, size);
}

int32_t fill_count(struct filler *filler, bool nullable)
{
    if (nullable && below(filler, 4) == 0) {
        return -1;
    }
    return (int32_t)below(filler, 4);
}

void *fill_array(struct filler *filler, int32_t count, size_t size)
{
    return count > 0 ? arena_alloc_array(filler->arena, (size_t)count, size) : NULL;
}

void fill_message(int codec_number, int16_t version, uint64_t seed, struct buf *to)
{
    const struct wire_codec *codec = &wire_codecs[codec_number];
    struct arena arena = {.chunks = NULL};
    struct filler filler = {.state = seed, .arena = &arena};
    struct wire_writer writer;
    void *message = mem_zalloc(codec->struct_bytes);
    if (seed == 0) {
        codec->init(message);
    } else {
        wire_fills[codec_number](&filler, message);
    }
    wire_writer_init(&writer, to);
    codec->encode(&writer, version, message);
    free(message);
    arena_deinit(&arena);
}
