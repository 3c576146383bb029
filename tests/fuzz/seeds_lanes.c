#include "client/lane/lane_metadata.h"
#include "client/lane/lane_record.h"
#include "fuzz.h"

/* A log with each kind of record, and a text beside a commit. */

static void append(struct buf *to, struct slice bytes)
{
    buf_append_be16(to, slice_is_null(bytes) ? 0xffff : (uint16_t)bytes.size);
    buf_append_slice(to, bytes);
}

static void put(struct buf *log, struct lane_record_id id, const struct lane_record *record)
{
    struct buf bytes = {0};
    struct lane_record_key key = {.id = id, .topic = slice_str("orders"), .partition = 1};
    lane_record_key_write(&key, &bytes);
    append(log, buf_slice(&bytes));
    buf_clear(&bytes);
    if (record != NULL) {
        lane_record_write(record, &bytes);
    }
    append(log, record != NULL ? buf_slice(&bytes) : (struct slice){0});
    buf_deinit(&bytes);
}

static void append_log(struct buf *log)
{
    struct event_header headers[] = {{"ce_id", slice_str("1")}, {"none", {0}}};
    struct lane_name name = {.key = slice_str("anna"), .offset = -1};
    struct event event = event_blank();
    event.key = slice_str("anna");
    event.value = slice_str("{}");
    event.headers = headers;
    event.header_count = 2;
    const struct lane_record records[] = {
        {.kind = LANE_RECORD_MARK, .fence = 1},
        {.kind = LANE_RECORD_ASIDE, .fence = 1, .offset = 300, .event = event},
        {.kind = LANE_RECORD_NOTE, .fence = 1, .name = name, .note = {.is_parked = true}},
        {.kind = LANE_RECORD_MARK, .fence = 2},
        {.kind = LANE_RECORD_CLOSE, .fence = 1, .name = name},
        {.kind = LANE_RECORD_CLOSE, .fence = 2, .name = {.offset = 7}},
        {.kind = LANE_RECORD_FORGET, .fence = 2, .offset = 300},
        {.kind = LANE_RECORD_REDRIVEN,
         .fence = 2,
         .offset = 7,
         .redriven = LANE_LEFT_DEAD,
         .number = 1},
        {.kind = LANE_RECORD_WORD,
         .word = {.verb = LANE_SAY_REDRIVE,
                  .name = name,
                  .head = 7,
                  .letter = {0, 3},
                  .number = 2,
                  .who = slice_str("anna"),
                  .why = slice_str("mended")}},
        {.kind = LANE_RECORD_ANSWER,
         .fence = 2,
         .answer = {.word = {0, 9},
                    .outcome = LANE_FAILED_AGAIN,
                    .letter = {0, 4},
                    .text = slice_str("no room")}},
        {.kind = LANE_RECORD_WORD, .word = {.verb = LANE_SAY_SKIP, .name = name, .head = 9}},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        put(log, (struct lane_record_id){(uint64_t)records[i].fence, (int64_t)i + 1}, &records[i]);
    }
    put(log, (struct lane_record_id){1, 2}, NULL);
}

void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    (void)corpus_path;
    struct buf bytes = {0};
    struct lane_ranges open = {0};
    append_log(&bytes);
    each(context, buf_slice(&bytes));
    vec_push(&open, (struct lane_range){0, 3});
    vec_push(&open, (struct lane_range){90, 91});
    lane_metadata_encode(9, 0, &open, 800, 4096, &bytes);
    each(context, buf_slice(&bytes));
    vec_deinit(&open);
    buf_deinit(&bytes);
}
