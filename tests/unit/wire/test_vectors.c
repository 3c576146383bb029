/*
 * kafka_vectors.txt: every message in every version, in bytes that Kafka's own classes read and
 * write. Each must be read to its end and written the same.
 */
#include "../unit.h"
#include "hex.h"

#include "base/mem.h"
#include "wire/codec.h"

#include <stdlib.h>

enum { MAX_LINE = 4096 };

static void check(const struct wire_codec *codec, int16_t version, struct slice bytes)
{
    struct arena arena = {.chunks = NULL};
    struct buf again = {0};
    struct wire_reader reader;
    struct wire_writer writer;
    void *message = mem_zalloc(codec->struct_bytes);
    wire_reader_init(&reader, bytes, &arena);
    enum err err = codec->decode(&reader, version, message);
    if (err != ERR_NONE || !wire_reader_at_end(&reader)) {
        fail_msg("%s version %d: %s, %zu bytes left", codec->name, version, err_name(err),
                 wire_reader_remaining(&reader));
    }
    wire_writer_init(&writer, &again);
    codec->encode(&writer, version, message);
    if (writer.err != ERR_NONE || !slice_equal(slice_of(again.data, again.size), bytes)) {
        fail_msg("%s version %d is written differently", codec->name, version);
    }
    free(message);
    buf_deinit(&again);
    arena_deinit(&arena);
}

/* The vectors go through the versions of each codec in the table's order, leaving none out. */
static void kafka_writes_the_same(void **state)
{
    FILE *file = fopen(*state, "r");
    assert_non_null(file);
    char line[MAX_LINE];
    int number = 0;
    int version = wire_codecs[0].lowest_version;
    while (fgets(line, sizeof line, file) != NULL) {
        char name[80];
        char hex[MAX_LINE];
        int given;
        if (line[0] == '#') {
            continue;
        }
        assert_int_equal(sscanf(line, "%79s %d %4095s", name, &given, hex), 3);
        assert_true(number < wire_codecs_count);
        const struct wire_codec *codec = &wire_codecs[number];
        assert_string_equal(name, codec->name);
        assert_int_equal(given, version);
        struct buf bytes = from_hex(hex);
        check(codec, (int16_t)version, slice_of(bytes.data, bytes.size));
        buf_deinit(&bytes);
        if (++version > codec->highest_version && ++number < wire_codecs_count) {
            version = wire_codecs[number].lowest_version;
        }
    }
    assert_int_equal(number, wire_codecs_count);
    fclose(file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(kafka_writes_the_same, argc > 1 ? argv[1] : NULL),
    };
    return unit_run(tests, NULL, NULL, 1, argv);
}
