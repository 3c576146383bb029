#ifndef TIDINGS_WIRE_CODEC_H
#define TIDINGS_WIRE_CODEC_H

#include "wire/reader.h"
#include "wire/writer.h"

/*
 * Every message by name, for tools and tests that treat them all alike. Handlers include the header
 * of their API instead.
 */
struct wire_codec {
    const char *name; /* "fetch_request" */
    int16_t lowest_version;
    int16_t highest_version;
    int16_t flexible_version; /* the first flexible one; -1: none */
    size_t struct_bytes;
    enum err (*decode)(struct wire_reader *reader, int16_t version, void *out);
    void (*encode)(struct wire_writer *writer, int16_t version, const void *in);
    void (*init)(void *out);
};

extern const struct wire_codec wire_codecs[];
extern const int wire_codecs_count;

#endif
