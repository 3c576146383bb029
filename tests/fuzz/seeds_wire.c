/* Seeds of the wire: each message in each version, empty and filled, and the kept corpus. */
#include "fill.h"
#include "fuzz.h"
#include "fuzz_wire.h"
#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILLED_SEEDS = 3, MAX_LINE = 8192 };

typedef void (*each_function)(void *context, struct slice seed);

/* Begins an input; see fuzz_wire.h. */
static void begin(struct buf *input, int number, int version)
{
    buf_clear(input);
    if (getenv("FUZZ_DECODER") == NULL) {
        buf_append_be16(input, (uint16_t)number);
    }
    buf_append_be16(input, (uint16_t)version);
}

static bool is_wanted(int number)
{
    const char *name = getenv("FUZZ_DECODER");
    return name == NULL || fuzz_decoder_find(name) == number;
}

static void seed_codec(int number, each_function each, void *context)
{
    const struct wire_codec *codec = &wire_codecs[number];
    struct buf input = {0};
    for (int version = codec->lowest_version; version <= codec->highest_version; version++) {
        for (int i = 0; i <= FILLED_SEEDS; i++) {
            uint64_t seed = 1 + (uint64_t)(number * 64 + version) * 64 + (uint64_t)i;
            begin(&input, number, version);
            fill_message(number, (int16_t)version, i == 0 ? 0 : seed, &input);
            each(context, buf_slice(&input));
        }
    }
    buf_deinit(&input);
}

static void seed_headers(each_function each, void *context)
{
    struct buf input = {0};
    for (int i = 0; i < wire_api_info_count; i++) {
        const struct wire_api_info *info = &wire_api_info[i];
        struct wire_request_header header = {.api_key = info->key,
                                             .api_version = info->highest_version,
                                             .correlation_id = i,
                                             .client_id = slice_str("client")};
        struct wire_writer writer;
        if (is_wanted(wire_codecs_count)) {
            begin(&input, wire_codecs_count, 0);
            wire_writer_init(&writer, &input);
            wire_request_header_encode(&writer, &header);
            each(context, buf_slice(&input));
        }
        if (is_wanted(wire_codecs_count + 1)) {
            begin(&input, wire_codecs_count + 1, info->highest_version);
            buf_append_be16(&input, (uint16_t)info->key);
            wire_writer_init(&writer, &input);
            wire_response_header_encode(&writer, info->key, info->highest_version, i);
            each(context, buf_slice(&input));
        }
    }
    buf_deinit(&input);
}

/* "NAME VERSION HEX", where HEX is - for no bytes; what follows # is a remark. */
static void seed_line(const char *line, each_function each, void *context)
{
    char name[80];
    char hex[MAX_LINE];
    int version;
    if (sscanf(line, "%79s %d %8191s", name, &version, hex) != 3 || name[0] == '#') {
        return;
    }
    int number = fuzz_decoder_find(name);
    if (number < 0) {
        fprintf(stderr, "corpus names an unknown decoder: %s\n", name);
        abort();
    }
    struct buf input = {0};
    begin(&input, number, version);
    unsigned byte;
    for (const char *at = hex; sscanf(at, "%2x", &byte) == 1; at += 2) {
        buf_append_u8(&input, (uint8_t)byte);
    }
    if (is_wanted(number)) {
        each(context, buf_slice(&input));
    }
    buf_deinit(&input);
}

void fuzz_seeds(const char *corpus_path, each_function each, void *context)
{
    for (int number = 0; number < wire_codecs_count; number++) {
        if (is_wanted(number)) {
            seed_codec(number, each, context);
        }
    }
    seed_headers(each, context);
    FILE *corpus = fopen(corpus_path, "r");
    if (corpus == NULL) {
        perror(corpus_path);
        abort();
    }
    char line[MAX_LINE];
    while (fgets(line, sizeof line, corpus) != NULL) {
        seed_line(line, each, context);
    }
    fclose(corpus);
}
