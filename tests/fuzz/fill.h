#ifndef TIDINGS_FUZZ_FILL_H
#define TIDINGS_FUZZ_FILL_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/types.h"

/* Random values for messages: each is valid in the versions where its field exists. */
struct filler {
    uint64_t state; /* the seed, then where the sequence stands; never 0 */
    struct arena *arena;
};

typedef void (*fill_function)(struct filler *filler, void *out);

/* One a message, in the order of wire_codecs (made by generate_fill.py). */
extern const fill_function wire_fills[];

/* Appends the codec's message in the version: filled from the seed, with 0 its defaults. */
void fill_message(int codec_number, int16_t version, uint64_t seed, struct buf *to);

int64_t fill_integer(struct filler *filler); /* often small or at a limit of some width */
bool fill_bool(struct filler *filler);
double fill_float64(struct filler *filler);
struct wire_uuid fill_uuid(struct filler *filler);

/* Letters, now and then empty, long or, where it may be, null. */
struct slice fill_text(struct filler *filler, bool nullable);

/* 0 to 3; -1 now and then when it may be null. */
int32_t fill_count(struct filler *filler, bool nullable);

/* NULL for a count below 1. */
void *fill_array(struct filler *filler, int32_t count, size_t size);

#endif
