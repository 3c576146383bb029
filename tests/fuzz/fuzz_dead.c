/*
 * What the commands about dead letters read that may be anything: conditions (the bytes as they
 * are), and records of dlq.<group>, dlq-state.<group> and lanes.<group> (as key size u16, key,
 * value size u16 with 0xffff for none, value; the value doubles as a header). Facts come back as
 * they were, and an index takes all of it.
 */
#include "base/mem.h"
#include "bus/dead/dead_group.h"
#include "fuzz.h"
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "dead letters: %s\n", what);
        abort();
    }
}

static void read_condition(const uint8_t *data, size_t size, const struct dead_subject *subject)
{
    char *text = mem_strndup((const char *)data, size);
    struct where *where = where_new(dead_fields());
    struct reason reason = {0};
    enum err err = where_add(where, text, 1700000000000, &reason);
    must(err == ERR_NONE || reason.text[0] != '\0', "a refusal has a reason");
    must(where_is_empty(where) == (err != ERR_NONE), "what is refused adds nothing");
    bool holds = where_holds(where, dead_field_get, subject);
    must(where_add(where, "state or not state", 0, NULL) == ERR_NONE || err == ERR_NONE,
         "it goes on");
    must(where_holds(where, dead_field_get, subject) == holds, "what always holds changes nothing");
    where_free(where);
    free(text);
}

static void write_again(const struct dead_fact *fact)
{
    struct buf key = {0}, value = {0}, key_again = {0}, value_again = {0};
    struct arena arena = {0};
    struct dead_fact same;
    struct event record = event_blank();
    dead_fact_write(fact, &key, &value);
    record.key = buf_slice(&key);
    record.value = fact->is_erased ? (struct slice){0} : buf_slice(&value);
    must(dead_fact_read(&record, &arena, &same), "what is written is read");
    dead_fact_write(&same, &key_again, &value_again);
    must(slice_equal(buf_slice(&key), buf_slice(&key_again)), "its key comes back");
    must(slice_equal(buf_slice(&value), buf_slice(&value_again)), "its value comes back");
    buf_deinit(&key);
    buf_deinit(&value);
    buf_deinit(&key_again);
    buf_deinit(&value_again);
    arena_deinit(&arena);
}

static void read_record(struct dead_index *index, struct slice key, struct slice value,
                        int64_t offset, const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "__dlq.errors.topic",       "__dlq.errors.partition",     "__dlq.errors.offset",
        "__dlq.errors.message",     "tidings-dead-first-failure", "tidings-dead-edit-of",
        "tidings-dead-fingerprint", "tidings-dead-redrive",       "content-type"};
    enum { NAMES = sizeof names / sizeof names[0] };
    struct arena arena = {0};
    struct event_header headers[NAMES];
    struct event record = event_blank();
    struct dead_letter letter;
    struct dead_fact fact;
    struct dead_groups groups = {.by = DEAD_BY_KEY};
    record.offset = offset;
    record.partition = 0;
    record.key = key;
    record.value = value;
    for (size_t i = 0; i < NAMES; i++) {
        headers[i] = (struct event_header){names[i], i % 2 == (size_t)offset % 2 ? key : value};
    }
    record.headers = headers;
    record.header_count = (size_t)offset % (NAMES + 1);
    dead_letter_read(&record, &arena, &letter);
    must(strlen(letter.fingerprint) == 32, "each has a cause");
    must(slice_is_null(letter.topic) == (letter.offset < 0), "a source is whole or is none");
    must(dead_index_letter(index, &letter), "there is room");
    struct dead_event event = dead_event_of(&letter, "dlq.g");
    struct dead_seen seen = {.subject = {&letter, "open", 0}, .event = event};
    seen.its = dead_index_find(index, &event);
    must(seen.its != NULL, "what was told is known");
    dead_groups_add(&groups, &seen);
    read_condition(data, size, &seen.subject);
    struct lane_record_key lane_key;
    struct lane_record lane;
    if (!slice_is_null(key) && lane_record_key_read(key, &lane_key)) {
        bool is_read = !slice_is_null(value) && lane_record_read(value, &arena, &lane) == ERR_NONE;
        must(dead_index_lane(index, &lane_key, is_read ? &lane : NULL), "there is room");
        (void)dead_case_state(seen.its);
    }
    if (dead_fact_read(&record, &arena, &fact)) {
        write_again(&fact);
        must(dead_index_fact(index, &fact), "there is room");
    }
    dead_groups_deinit(&groups);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice left = slice_of(data, size), key, value;
    struct dead_index *index = dead_index_new("dlq.g");
    int64_t offset = 0;
    read_record(index, (struct slice){0}, (struct slice){0}, offset++, data, size);
    while (take(&left, &key) && take(&left, &value)) {
        read_record(index, key, value, offset++, data, size);
    }
    dead_index_settle(index);
    dead_index_free(index);
    return 0;
}
