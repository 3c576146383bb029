/*
 * What tools read of files that anyone may have changed: the manifest and the journal of a backup,
 * segments as a stream, and the server's own records. The first byte says which.
 */
#include "base/mem.h"
#include "datadir/batch_check.h"
#include "datadir/internal_record.h"
#include "datadir/manifest.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "datadir: %s\n", what);
        abort();
    }
}

/* What is accepted is written again as it was, and no path leaves the directory. */
static void try_manifest(struct slice bytes)
{
    struct manifest manifest;
    struct buf again = {0};
    struct reason reason;
    if (manifest_decode(&manifest, bytes, &reason) == ERR_NONE) {
        manifest_encode(&manifest, &again);
        for (size_t i = 0; i < manifest.files.count; i++) {
            must(manifest.files.items[i].path[0] != '/', "a path from the root");
            must(strstr(manifest.files.items[i].path, "..") == NULL ||
                     strstr(manifest.files.items[i].path, "../") == NULL,
                 "a path that goes up");
            must(manifest_find(&manifest, manifest.files.items[i].path) == &manifest.files.items[i],
                 "a file is not found");
        }
        struct manifest second;
        must(manifest_decode(&second, buf_slice(&again), &reason) == ERR_NONE,
             "own encoding is not understood");
        must(second.files.count == manifest.files.count, "files got lost");
        manifest_deinit(&second);
        manifest_deinit(&manifest);
    }
    buf_deinit(&again);
}

static void try_journal(struct slice bytes)
{
    struct manifest_file file;
    size_t before = bytes.size;
    while (manifest_decode_file(&bytes, &file)) {
        must(bytes.size < before, "a line takes no bytes");
        before = bytes.size;
        free(file.path);
    }
}

/* In one piece and byte by byte it is the same. */
static void try_batches(struct slice bytes)
{
    struct batch_check whole = {.position = 0};
    struct batch_check pieces = {.position = 0};
    batch_check_feed(&whole, bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        batch_check_feed(&pieces, slice_of(bytes.data + i, 1));
    }
    bool good = batch_check_finish(&whole);
    must(good == batch_check_finish(&pieces), "pieces are judged otherwise");
    must(good || whole.bad_position == pieces.bad_position, "the place differs");
    must(good || (whole.bad_position >= 0 && (size_t)whole.bad_position <= bytes.size),
         "the place is outside");
}

/* The first two bytes are the size of the key. */
static void try_record(struct slice bytes, uint8_t kind)
{
    if (bytes.size < 2) {
        return;
    }
    size_t key_size = load_be16(bytes.data) % (bytes.size - 1);
    struct slice key = slice_of(bytes.data + 2, key_size);
    struct slice value = slice_of(key.data + key_size, bytes.size - 2 - key_size);
    json_t *json = kind == 0   ? internal_record("__consumer_offsets", key, value)
                   : kind == 1 ? internal_record("__transaction_state", key, value)
                               : internal_control_record(key, value);
    must(json_is_object(json), "no object");
    must(json_string_value(json_object_get(json, "kind")) != NULL, "no kind");
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of(data + 1, size - 1);
    switch (data[0] % 6) {
    case 0:
        try_manifest(rest);
        break;
    case 1:
        try_journal(rest);
        break;
    case 2:
        try_batches(rest);
        break;
    default:
        try_record(rest, (uint8_t)(data[0] % 6 - 3));
    }
    return 0;
}
