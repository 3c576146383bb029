#include "bus/dead/dead_fact.h"
#include "client/lane/lane_record.h"
#include "fuzz.h"

#include <string.h>

/* Conditions, and a log with each kind of fact. */

static void append(struct buf *to, struct slice bytes)
{
    buf_append_be16(to, slice_is_null(bytes) ? 0xffff : (uint16_t)bytes.size);
    buf_append_slice(to, bytes);
}

static void append_facts(struct buf *log)
{
    const struct dead_event event = {slice_str("orders"), 3, 41};
    const struct dead_choice choice = {event, {1, 9}, 2};
    const struct dead_fact facts[] = {
        {.kind = DEAD_FACT_REDRIVE,
         .event = event,
         .number = 2,
         .id = "0123456789abcdef",
         .who = "anna@x",
         .letter = {1, 9},
         .outcome = DEAD_FAILED,
         .text = "no"},
        {.kind = DEAD_FACT_DISCARD, .event = event, .text = "why", .lane = "opened"},
        {.kind = DEAD_FACT_DISCARD, .event = event, .is_erased = true},
        {.kind = DEAD_FACT_NOTE, .event = event, .id = "1", .text = "a note"},
        {.kind = DEAD_FACT_NOTE,
         .id = "1",
         .cause = "0123456789abcdef0123456789abcdef",
         .text = "a note"},
        {.kind = DEAD_FACT_PLAN,
         .id = "77",
         .part_count = 1,
         .choices = &choice,
         .choice_count = 1},
        {.kind = DEAD_FACT_TASK, .id = "77", .plan = "78", .state = "running", .total = 5},
        {.kind = DEAD_FACT_CANCEL, .id = "77"},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct buf key = {0}, value = {0};
        dead_fact_write(&facts[i], &key, &value);
        append(log, buf_slice(&key));
        append(log, facts[i].is_erased ? (struct slice){0} : buf_slice(&value));
        buf_deinit(&key);
        buf_deinit(&value);
    }
    const struct lane_record records[] = {
        {.kind = LANE_RECORD_WORD,
         .word = {.verb = LANE_SAY_REDRIVE, .head = 41, .letter = {0, 1}, .number = 1}},
        {.kind = LANE_RECORD_ANSWER, .fence = 2, .answer = {.word = {7, 1}, .outcome = 4}},
        {.kind = LANE_RECORD_REDRIVEN, .fence = 2, .offset = 41, .number = 2, .redriven = 1},
        {.kind = LANE_RECORD_NOTE,
         .fence = 2,
         .name = {slice_str("a"), -1},
         .note = {.offset = 41, .is_parked = true}},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        const struct lane_record_key id = {{7, 1}, slice_str("orders"), 3};
        struct buf key = {0}, value = {0};
        lane_record_key_write(&id, &key);
        lane_record_write(&records[i], &value);
        append(log, buf_slice(&key));
        append(log, buf_slice(&value));
        buf_deinit(&key);
        buf_deinit(&value);
    }
    static const char *const texts[] = {"orders",
                                        "3",
                                        "2026-02-01T12:00:00Z",
                                        "1:9",
                                        "0123456789abcdef0123456789abcdef",
                                        "application/cloudevents+json"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        append(log, slice_str(texts[i]));
    }
}

void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    static const char *const conditions[] = {
        "type = order.placed and not (header.tenant = a or attempts > 3) and message ~ '*550*'",
        "cause ~ 5b07* or (state != done and died >= -1h)",
        "header.\"x\" = 'it\\'s' !~",
    };
    struct buf bytes = {0};
    (void)corpus_path;
    append_facts(&bytes);
    each(context, buf_slice(&bytes));
    buf_deinit(&bytes);
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        each(context, slice_str(conditions[i]));
    }
}
