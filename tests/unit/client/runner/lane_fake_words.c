#include "lane_fake.h"

#include <stdio.h>

/* What somebody says of lanes, and how it is answered. */

enum { SPEAKER = 77 };

int64_t fake_say(struct fake *fake, const struct lane_word *word)
{
    fake_put(fake, 0, (struct lane_record_id){SPEAKER, ++fake->words},
             &(struct lane_record){.kind = LANE_RECORD_WORD, .word = *word});
    return fake->words;
}

void fake_take_back(struct fake *fake, int64_t word)
{
    fake_put(fake, 0, (struct lane_record_id){SPEAKER, word}, NULL);
}

enum lane_outcome fake_answer(const struct fake *fake, int64_t word, char text[200])
{
    enum lane_outcome outcome = (enum lane_outcome)0;
    for (size_t i = 0; i < fake->lanes.count; i++) {
        const struct fake_record *at = &fake->lanes.items[i];
        struct arena arena = {0};
        struct lane_record record;
        if (at->has_value && lane_record_read(buf_slice(&at->value), &arena, &record) == ERR_NONE &&
            record.kind == LANE_RECORD_ANSWER && record.answer.word.writer == SPEAKER &&
            record.answer.word.serial == word) {
            outcome = record.answer.outcome;
            if (text != NULL) {
                snprintf(text, 200, "%.*s", SLICE_ARGS(record.answer.text));
            }
        }
        arena_deinit(&arena);
    }
    return outcome;
}
