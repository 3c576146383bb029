/*
 * Every decoder of the wire: whatever it accepts must encode, decode again to the end, and encode
 * to the same bytes.
 */
#include "fuzz_wire.h"

#include "base/mem.h"
#include "fuzz.h"
#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_LIMIT_BYTES = 1 << 24 };

int fuzz_decoder_find(const char *name)
{
    static const char *const headers[FUZZ_HEADERS] = {"request_header", "response_header"};
    for (int i = 0; i < wire_codecs_count; i++) {
        if (strcmp(wire_codecs[i].name, name) == 0) {
            return i;
        }
    }
    for (int i = 0; i < FUZZ_HEADERS; i++) {
        if (strcmp(headers[i], name) == 0) {
            return wire_codecs_count + i;
        }
    }
    return -1;
}

static void must(bool holds, const char *what, const char *name, int16_t version)
{
    if (!holds) {
        fprintf(stderr, "%s version %d: %s\n", name, version, what);
        abort();
    }
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return slice_equal(slice_of(a->data, a->size), slice_of(b->data, b->size));
}

static void try_codec(const struct wire_codec *codec, int16_t version, struct slice body)
{
    struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    struct arena arena_again = {.chunks = NULL};
    struct buf first = {0};
    struct buf second = {0};
    struct wire_writer writer;
    struct wire_reader reader;
    void *message = mem_zalloc(codec->struct_bytes);
    wire_reader_init(&reader, body, &arena);
    if (codec->decode(&reader, version, message) == ERR_NONE) {
        wire_writer_init(&writer, &first);
        if (version > codec->highest_version) {
            version = codec->highest_version; /* a lenient record */
        }
        codec->encode(&writer, version, message);
        must(writer.err == ERR_NONE, "what was decoded cannot be encoded", codec->name, version);
        wire_reader_init(&reader, buf_slice(&first), &arena_again);
        enum err err = codec->decode(&reader, version, message);
        must(err == ERR_NONE && wire_reader_at_end(&reader), "own encoding is not understood",
             codec->name, version);
        wire_writer_init(&writer, &second);
        codec->encode(&writer, version, message);
        must(same_bytes(&first, &second), "encodings differ", codec->name, version);
    }
    free(message);
    buf_deinit(&first);
    buf_deinit(&second);
    arena_deinit(&arena);
    arena_deinit(&arena_again);
}

static void try_request_header(struct slice body)
{
    struct wire_reader reader;
    struct wire_request_header header;
    struct wire_request_header again;
    wire_reader_init(&reader, body, NULL);
    if (wire_request_header_decode(&reader, &header) != ERR_NONE) {
        return;
    }
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    wire_request_header_encode(&writer, &header);
    wire_reader_init(&reader, buf_slice(&bytes), NULL);
    enum err err = wire_request_header_decode(&reader, &again);
    must(writer.err == ERR_NONE && err == ERR_NONE && wire_reader_at_end(&reader) &&
             again.correlation_id == header.correlation_id &&
             slice_equal(again.client_id, header.client_id),
         "request header differs", "request_header", header.api_version);
    buf_deinit(&bytes);
}

static void try_response_header(int16_t version, struct slice body)
{
    struct wire_reader reader;
    wire_reader_init(&reader, body, NULL);
    int16_t key = wire_read_int16(&reader);
    int32_t correlation_id;
    (void)!wire_response_header_decode(&reader, key, version, &correlation_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader reader;
    wire_reader_init(&reader, slice_of(data, size), NULL);
    const char *name = getenv("FUZZ_DECODER");
    int number = name != NULL ? fuzz_decoder_find(name) : wire_read_int16(&reader);
    int16_t version = wire_read_int16(&reader);
    if (reader.err != ERR_NONE || number < 0 || number >= wire_codecs_count + FUZZ_HEADERS) {
        return 0;
    }
    struct slice body = slice_of(data + reader.position, size - reader.position);
    if (number < wire_codecs_count) {
        try_codec(&wire_codecs[number], version, body);
    } else if (number == wire_codecs_count) {
        try_request_header(body);
    } else {
        try_response_header(version, body);
    }
    return 0;
}
