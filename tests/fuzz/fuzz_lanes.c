/*
 * What an owner of key lanes reads that may be anything: records of lanes.<group> (as key size u16,
 * key, value size u16 with 0xffff for none, value) and the text beside a commit (the bytes as they
 * are). What is read is written as the same bytes again, and a book takes all of it.
 */
#include "base/mem.h"
#include "client/lane/lane_book.h"
#include "client/lane/lane_metadata.h"
#include "fuzz.h"
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "lanes: %s\n", what);
        abort();
    }
}

/* Numbers may be written longer than need be: so read, written and read once more. */
static void write_again(const struct lane_record *record)
{
    struct buf bytes = {0}, again = {0};
    struct arena arena = {0};
    struct lane_record same;
    lane_record_write(record, &bytes);
    must(lane_record_read(buf_slice(&bytes), &arena, &same) == ERR_NONE, "what is written is read");
    lane_record_write(&same, &again);
    must(slice_equal(buf_slice(&bytes), buf_slice(&again)), "it comes back as it was");
    buf_deinit(&bytes);
    buf_deinit(&again);
    arena_deinit(&arena);
}

static void read_text(const uint8_t *data, size_t size)
{
    struct lane_ranges done = {0};
    char *text = mem_strndup((const char *)data, size);
    int64_t fence = lane_metadata_decode(text, 0, &done);
    must(fence >= 0, "no fence below 0");
    must(fence > 0 || done.count == 0, "without a fence nothing is known");
    for (size_t i = 0; i < done.count; i++) {
        must(done.items[i].from < done.items[i].to, "ranges ascend");
        must(i == 0 || done.items[i - 1].to < done.items[i].from, "ranges do not touch");
    }
    vec_deinit(&done);
    free(text);
}

static void look_at(void *context, const struct lane_entry *entry)
{
    const size_t *count = context;
    must(*count > 0, "an entry is a record");
    must(entry->kind == LANE_RECORD_ASIDE || entry->kind == LANE_RECORD_NOTE, "it is one of two");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice left = slice_of(data, size), key, value;
    struct lane_book *book = lane_book_new();
    struct lane_record_id id;
    size_t count = 0, erased = 0;
    read_text(data, size);
    while (take(&left, &key) && take(&left, &value)) {
        struct arena arena = {0};
        struct lane_record_key its;
        struct lane_record record;
        if (lane_record_key_read(key, &its)) {
            bool has_value = !slice_is_null(value);
            bool is_read = has_value && lane_record_read(value, &arena, &record) == ERR_NONE;
            if (is_read) {
                write_again(&record);
            }
            if (is_read || !has_value) {
                lane_book_read(book, its.id, is_read ? &record : NULL, (struct lane_place){0});
                count += is_read;
            }
        }
        arena_deinit(&arena);
    }
    must(lane_book_count(book) <= count, "no more rows than records");
    must(lane_book_open_words(book) <= count, "no more words than records");
    lane_book_each(book, look_at, &count);
    lane_book_grow_old(book, INT64_MAX);
    while (lane_book_next_erased(book, &id)) {
        lane_book_read(book, id, NULL, (struct lane_place){0});
        must(++erased <= count, "each is erased once");
        lane_book_grow_old(book, INT64_MAX);
    }
    lane_book_free(book);
    return 0;
}
