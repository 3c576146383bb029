#include "bus/dead/dead_index.h"

#include "base/mem.h"
#include "base/siphash.h"

#include <stdlib.h>
#include <string.h>

/* The highest fence of a source partition. */
struct fence {
    UT_hash_handle hh;
    struct dead_key key; /* offset 0 */
    int64_t fence;
};

struct lane_key {
    struct dead_key source; /* offset: the lane's, -1: a key's or a partition's */
    uint64_t name[2];       /* a hash of its key */
};

/* A lane that is closed because of a dead event. */
struct parked {
    UT_hash_handle hh;
    struct lane_key key;
    int64_t offset; /* of the dead one */
    enum dead_lane_kind kind;
};

/* A redrive for the owner that has no answer yet. */
struct word {
    UT_hash_handle hh;
    struct lane_record_id id;
    struct dead_case *its;
    int64_t number;
};

struct dead_index {
    const char *dlq_topic;
    struct dead_case *cases;
    struct fence *fences;
    struct parked *parked;
    struct word *words;
    size_t count; /* with letters */
    size_t most;
};

const char *dead_state_name(enum dead_state state)
{
    static const char *const names[] = {"open",   "requested",   "running",  "done",
                                        "failed", "republished", "discarded"};
    return names[state];
}

static void hash_bytes(struct slice bytes, uint64_t to[2])
{
    static const struct siphash_key key = {0};
    struct siphash128 hash = siphash128(&key, bytes.data, bytes.size);
    to[0] = hash.low;
    to[1] = hash.high;
}

static struct dead_key key_of(struct slice topic, int32_t partition, int64_t offset)
{
    struct dead_key key = {.offset = offset, .partition = partition};
    hash_bytes(topic, key.topic);
    return key;
}

struct dead_index *dead_index_new(const char *dlq_topic)
{
    struct dead_index *index = mem_new(struct dead_index);
    index->dlq_topic = dlq_topic;
    index->most = DEAD_CASES_MAX;
    return index;
}

void dead_index_limit(struct dead_index *index, size_t most)
{
    index->most = most;
}

void dead_index_free(struct dead_index *index)
{
    struct dead_case *at, *next;
    struct fence *fence, *next_fence;
    struct parked *parked, *next_parked;
    struct word *word, *next_word;
    if (index == NULL) {
        return;
    }
    HASH_ITER (hh, index->cases, at, next) {
        HASH_DELETE(hh, index->cases, at);
        free(at);
    }
    HASH_ITER (hh, index->fences, fence, next_fence) {
        HASH_DELETE(hh, index->fences, fence);
        free(fence);
    }
    HASH_ITER (hh, index->parked, parked, next_parked) {
        HASH_DELETE(hh, index->parked, parked);
        free(parked);
    }
    HASH_ITER (hh, index->words, word, next_word) {
        HASH_DELETE(hh, index->words, word);
        free(word);
    }
    free(index);
}

static struct dead_case *find(const struct dead_index *index, const struct dead_key *key)
{
    struct dead_case *at;
    HASH_FIND(hh, index->cases, key, sizeof *key, at);
    return at;
}

/* NULL: there are too many. */
static struct dead_case *reach(struct dead_index *index, struct dead_key key)
{
    static const struct dead_place none = {-1, -1};
    struct dead_case *at = find(index, &key);
    if (at == NULL && HASH_COUNT(index->cases) < index->most) {
        at = mem_new(struct dead_case);
        at->key = key;
        at->first = at->newest = at->edit = none;
        HASH_ADD(hh, index->cases, key, sizeof at->key, at);
    }
    return at;
}

const struct dead_case *dead_index_find(const struct dead_index *index,
                                        const struct dead_event *event)
{
    struct dead_key key = key_of(event->topic, event->partition, event->offset);
    return find(index, &key);
}

size_t dead_index_count(const struct dead_index *index)
{
    return index->count;
}

/* --- letters --- */

/* Letters of one event have its key, and so one partition, but for those of other tools. */
static bool is_before(int64_t a_ms, struct dead_place a, int64_t b_ms, struct dead_place b)
{
    return a.partition == b.partition ? a.offset < b.offset : a_ms < b_ms;
}

bool dead_index_letter(struct dead_index *index, const struct dead_letter *letter)
{
    struct dead_event event = dead_event_of(letter, index->dlq_topic);
    struct dead_case *at = reach(index, key_of(event.topic, event.partition, event.offset));
    if (at == NULL) {
        return false;
    }
    if (letter->edit_of.partition >= 0) {
        if (at->edit.partition < 0 ||
            is_before(at->edit_ms, at->edit, letter->died_ms, letter->place)) {
            at->edit = letter->place;
            at->edit_ms = letter->died_ms;
        }
        return true;
    }
    index->count += at->letters == 0;
    if (at->letters == 0 ||
        is_before(letter->died_ms, letter->place, at->first_died_ms, at->first)) {
        at->first = letter->place;
        at->first_died_ms = letter->died_ms;
    }
    if (at->letters == 0 ||
        is_before(at->newest_died_ms, at->newest, letter->died_ms, letter->place)) {
        at->newest = letter->place;
        at->newest_died_ms = letter->died_ms;
    }
    at->letters++;
    return true;
}

void dead_index_want(struct dead_index *index, const struct dead_letter *letter)
{
    struct dead_event event = dead_event_of(letter, index->dlq_topic);
    struct dead_key key = key_of(event.topic, event.partition, event.offset);
    struct dead_case *at = find(index, &key);
    if (at != NULL) {
        at->is_wanted = true;
    }
}

/* --- redrives --- */

/* The number's, in a set of numbers. */
static uint64_t bit_of(int64_t number)
{
    enum { BITS = 64 };
    return UINT64_C(1) << (number < BITS ? number - 1 : BITS - 1);
}

static void note_end(struct dead_case *at, int64_t number, enum dead_outcome outcome)
{
    uint64_t bit = bit_of(number);
    at->answered = number > at->answered ? number : at->answered;
    at->is_done |= outcome == DEAD_DONE;
    at->is_republished |= outcome == DEAD_REPUBLISHED;
    at->failed_numbers |= outcome == DEAD_FAILED ? bit : 0;
    at->refused_numbers |= outcome == DEAD_REFUSED ? bit : 0;
}

bool dead_index_fact(struct dead_index *index, const struct dead_fact *fact)
{
    bool is_about_event = fact->kind == DEAD_FACT_REDRIVE || fact->kind == DEAD_FACT_DISCARD ||
                          (fact->kind == DEAD_FACT_NOTE && !slice_is_null(fact->event.topic));
    if (!is_about_event) {
        return true;
    }
    struct dead_case *at =
        reach(index, key_of(fact->event.topic, fact->event.partition, fact->event.offset));
    if (at == NULL) {
        return false;
    }
    if (fact->kind == DEAD_FACT_DISCARD) {
        at->is_discarded = !fact->is_erased;
    } else if (fact->kind == DEAD_FACT_NOTE) {
        at->notes += fact->is_erased ? 0 : 1;
    } else if (!fact->is_erased) {
        at->asked = fact->number > at->asked ? fact->number : at->asked;
        if (fact->outcome != DEAD_ASKED) {
            note_end(at, fact->number, fact->outcome);
        }
    }
    return true;
}

/* --- what owners wrote --- */

/* False: its writer was no owner any more. */
static bool is_valid(struct dead_index *index, struct dead_key source,
                     const struct lane_record *record)
{
    struct fence *fence;
    HASH_FIND(hh, index->fences, &source, sizeof source, fence);
    if (fence == NULL) {
        fence = mem_new(struct fence);
        fence->key = source;
        HASH_ADD(hh, index->fences, key, sizeof fence->key, fence);
    }
    if (record->kind == LANE_RECORD_MARK && record->fence > fence->fence) {
        fence->fence = record->fence;
    }
    return record->fence >= fence->fence;
}

static void note_lane(struct dead_index *index, struct dead_key source,
                      const struct lane_record *record)
{
    struct lane_key key = {.source = source};
    struct parked *parked;
    key.source.offset = record->name.offset;
    hash_bytes(record->name.key, key.name);
    HASH_FIND(hh, index->parked, &key, sizeof key, parked);
    bool is_parked = record->kind == LANE_RECORD_NOTE && record->note.is_parked;
    if (is_parked && parked == NULL) {
        parked = mem_new(struct parked);
        parked->key = key;
        HASH_ADD(hh, index->parked, key, sizeof parked->key, parked);
    }
    if (is_parked) {
        bool has_key = !slice_is_null(record->name.key);
        parked->kind = has_key                    ? DEAD_LANE_OF_KEY
                       : record->name.offset >= 0 ? DEAD_LANE_OF_EVENT
                                                  : DEAD_LANE_OF_PARTITION;
        parked->offset = record->note.offset;
    } else if (parked != NULL) {
        HASH_DELETE(hh, index->parked, parked);
        free(parked);
    }
}

/* --- redrives in lanes.<group> --- */

static struct word *find_word(const struct dead_index *index, struct lane_record_id id)
{
    struct word *word;
    HASH_FIND(hh, index->words, &id, sizeof id, word);
    return word;
}

static void drop_word(struct dead_index *index, struct word *word)
{
    HASH_DELETE(hh, index->words, word);
    free(word);
}

static bool note_word(struct dead_index *index, const struct lane_record_key *key,
                      const struct lane_word *said)
{
    struct dead_case *at = said->verb == LANE_SAY_REDRIVE && said->number > 0 && said->head >= 0
                               ? reach(index, key_of(key->topic, key->partition, said->head))
                               : NULL;
    if (at == NULL || find_word(index, key->id) != NULL) {
        return said->verb != LANE_SAY_REDRIVE || at != NULL;
    }
    struct word *word = mem_new(struct word);
    word->id = key->id;
    word->its = at;
    word->number = said->number;
    at->sent = said->number > at->sent ? said->number : at->sent;
    HASH_ADD(hh, index->words, id, sizeof word->id, word);
    return true;
}

static void note_answer(struct dead_index *index, const struct lane_answer *answer)
{
    struct word *word = find_word(index, answer->word);
    if (word != NULL) {
        note_end(word->its, word->number,
                 answer->outcome == LANE_CARRIED_OUT    ? DEAD_DONE
                 : answer->outcome == LANE_FAILED_AGAIN ? DEAD_FAILED
                                                        : DEAD_REFUSED);
        drop_word(index, word);
    }
}

/* An answered word is erased after its answer; one without was taken back. */
static void note_erased(struct dead_index *index, struct lane_record_id id)
{
    struct word *word = find_word(index, id);
    if (word != NULL) {
        note_end(word->its, word->number, DEAD_REFUSED);
        drop_word(index, word);
    }
}

static bool note_redriven(struct dead_index *index, const struct lane_record_key *key,
                          const struct lane_record *record)
{
    if (record->number <= 0) {
        return true;
    }
    struct dead_case *at = reach(index, key_of(key->topic, key->partition, record->offset));
    if (at != NULL) {
        note_end(at, record->number,
                 record->redriven == LANE_REDRIVEN_DONE ? DEAD_DONE
                 : record->redriven == LANE_DEAD_AGAIN  ? DEAD_FAILED
                                                        : DEAD_ASKED);
    }
    return at != NULL;
}

bool dead_index_lane(struct dead_index *index, const struct lane_record_key *key,
                     const struct lane_record *record)
{
    struct dead_key source = key_of(key->topic, key->partition, 0);
    if (record == NULL) {
        note_erased(index, key->id);
        return true;
    }
    if (record->kind == LANE_RECORD_WORD) { /* it has no fence */
        return note_word(index, key, &record->word);
    }
    if (!is_valid(index, source, record)) {
        return true;
    }
    switch (record->kind) {
    case LANE_RECORD_NOTE:
    case LANE_RECORD_CLOSE:
        note_lane(index, source, record);
        return true;
    case LANE_RECORD_REDRIVEN:
        return note_redriven(index, key, record);
    case LANE_RECORD_ANSWER:
        note_answer(index, &record->answer);
        return true;
    default:
        return true;
    }
}

void dead_index_settle(struct dead_index *index)
{
    struct parked *parked, *next;
    HASH_ITER (hh, index->parked, parked, next) {
        struct dead_key key = parked->key.source;
        key.offset = parked->offset;
        struct dead_case *at = find(index, &key);
        if (at != NULL) {
            at->is_lane_parked = true;
            at->lane_kind = parked->kind;
        }
    }
}

/* --- together --- */

enum dead_state dead_case_state(const struct dead_case *at)
{
    if (at->is_done) {
        return DEAD_IS_DONE;
    }
    if (at->is_discarded) {
        return DEAD_DISCARDED;
    }
    int64_t number = at->asked > at->sent ? at->asked : at->sent;
    if (number > at->answered) {
        return number == at->sent ? DEAD_RUNNING : DEAD_REQUESTED;
    }
    return at->is_republished ? DEAD_SENT_BACK : dead_case_failed(at) != 0 ? DEAD_AGAIN : DEAD_OPEN;
}

int64_t dead_case_failed(const struct dead_case *at)
{
    return __builtin_popcountll(at->failed_numbers & ~at->refused_numbers);
}

bool dead_case_has_failed(const struct dead_case *at, int64_t number)
{
    return (at->failed_numbers & ~at->refused_numbers & bit_of(number)) != 0;
}

struct dead_place dead_case_letter(const struct dead_case *at)
{
    return at->edit.partition >= 0 ? at->edit : at->newest;
}

int64_t dead_case_next_number(const struct dead_case *at)
{
    int64_t known = at->sent > at->answered ? at->sent : at->answered;
    return at->asked > known ? at->asked : known + 1;
}

static bool was_refused(const struct dead_case *at, int64_t number)
{
    return (at->refused_numbers & ~at->failed_numbers & bit_of(number)) != 0;
}

int64_t dead_case_planned_number(const struct dead_case *at, int64_t number)
{
    int64_t asked = at->asked > at->sent ? at->asked : at->sent;
    if (number > at->answered) {
        return number >= at->asked ? number : 0;
    }
    for (int64_t i = number; i <= at->answered; i++) {
        if (!was_refused(at, i)) {
            return 0;
        }
    }
    return asked > at->answered ? asked : at->answered + 1;
}
