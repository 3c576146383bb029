#include "client/lane/lane_book.h"

#include "base/vec.h"

#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

/* A record that is not erased. */
struct row {
    UT_hash_handle hh; /* of the book, by id, in the order of the log */
    struct lane_record_id id;
    enum lane_record_kind kind;
    bool is_condemned;
    int64_t offset;
    struct lane_place place;
    struct buf key; /* ASIDE, DONE: of the event, until it is restored */
    bool has_key;
    struct lane_reason reason; /* its texts one behind the other in `key`, until it is restored */
    struct lane_note note;
    enum lane_redriven redriven;
    int64_t number;
    struct subject *subject; /* NULL: a mark, or void */
    struct row *next, *prev; /* of the subject, the marks or the void ones */
    struct ages *ages;       /* NULL: it is in none */
    struct row *age_next, *age_prev;
};

/* What is kept for a while, the oldest first. */
struct ages {
    struct row *rows;
    size_t count;
};

/* An event or a lane, and what was said of it. */
struct subject {
    UT_hash_handle hh;
    uint8_t *name;
    size_t name_size;
    struct row *rows; /* the last one counts */
};

struct lane_book {
    struct row *rows;
    struct subject *subjects;
    struct row *marks;
    struct row *voids;
    struct ages answers;
    struct ages redriven;
    struct ages left; /* dead events whose lane was opened without them: to be redriven some day */
    int64_t fence;
    bool is_restored;
    VEC(struct lane_record_id) erased;
    size_t next_erased;
};

struct lane_book *lane_book_new(void)
{
    return mem_new(struct lane_book);
}

static struct row *last_of(struct row *rows)
{
    return rows != NULL ? rows->prev : NULL; /* utlist keeps the tail there */
}

static void age_remove(struct row *row)
{
    if (row->ages != NULL) {
        DL_DELETE2(row->ages->rows, row, age_prev, age_next);
        row->ages->count--;
        row->ages = NULL;
    }
}

static void age_add(struct lane_book *book, struct row *row)
{
    struct ages *ages = row->kind == LANE_RECORD_ANSWER     ? &book->answers
                        : row->kind != LANE_RECORD_REDRIVEN ? NULL
                        : row->redriven == LANE_LEFT_DEAD   ? &book->left
                                                            : &book->redriven;
    if (ages != NULL && row->ages == NULL) {
        DL_APPEND2(ages->rows, row, age_prev, age_next);
        ages->count++;
        row->ages = ages;
    }
}

static void row_free(struct lane_book *book, struct row *row)
{
    age_remove(row);
    HASH_DELETE(hh, book->rows, row);
    buf_deinit(&row->key);
    free(row);
}

static void subject_free(struct lane_book *book, struct subject *subject)
{
    HASH_DELETE(hh, book->subjects, subject);
    free(subject->name);
    free(subject);
}

void lane_book_free(struct lane_book *book)
{
    struct row *row, *next_row;
    struct subject *subject, *next_subject;
    if (book == NULL) {
        return;
    }
    HASH_ITER (hh, book->rows, row, next_row) {
        row_free(book, row);
    }
    HASH_ITER (hh, book->subjects, subject, next_subject) {
        subject_free(book, subject);
    }
    vec_deinit(&book->erased);
    free(book);
}

/* --- what is erased --- */

static void condemn(struct lane_book *book, struct row *row)
{
    if (!row->is_condemned) {
        row->is_condemned = true;
        age_remove(row);
        vec_push(&book->erased, row->id);
    }
}

/* It says that there is nothing, and nothing older is left that it says it of. */
static void condemn_if_alone(struct lane_book *book, struct row *row)
{
    if (row->prev == row && (row->kind == LANE_RECORD_CLOSE || row->kind == LANE_RECORD_FORGET)) {
        condemn(book, row);
    }
}

/* Marks make records void that stand behind them: those of before go when nothing is void. */
static void condemn_marks(struct lane_book *book)
{
    struct row *mark;
    bool has_kept = false;
    if (book->voids != NULL || book->marks == NULL || book->marks->next == NULL) {
        return;
    }
    DL_FOREACH (book->marks, mark) {
        if (mark->offset == book->fence && !has_kept) {
            has_kept = true;
        } else {
            condemn(book, mark);
        }
    }
}

static struct row *find(const struct lane_book *book, struct lane_record_id id)
{
    struct row *row;
    HASH_FIND(hh, book->rows, &id, sizeof id, row);
    return row;
}

bool lane_book_next_erased(struct lane_book *book, struct lane_record_id *id)
{
    while (book->next_erased < book->erased.count) {
        *id = book->erased.items[book->next_erased++];
        const struct row *row = find(book, *id);
        if (row != NULL && row->is_condemned) {
            return true;
        }
    }
    book->next_erased = book->erased.count = 0;
    return false;
}

/* The newest one of its subject was erased as void, and its mark was gone already: the one before
 * counts as it always did. */
static void count_again(struct lane_book *book, struct row *row)
{
    row->is_condemned = false;
    age_add(book, row);
    condemn_if_alone(book, row);
}

static void grow_old(struct lane_book *book, const struct ages *ages, size_t most,
                     int64_t before_ms)
{
    struct row *row = ages->rows;
    while (row != NULL && (ages->count > most || row->place.time_ms < before_ms) &&
           row->prev == row) {
        condemn(book, row);
        row = ages->rows;
    }
}

void lane_book_grow_old(struct lane_book *book, int64_t now_ms)
{
    grow_old(book, &book->answers, LANE_ANSWERS_KEPT, now_ms - LANE_ANSWER_KEPT_MS);
    grow_old(book, &book->redriven, LANE_REDRIVENS_KEPT, now_ms - LANE_REDRIVEN_KEPT_MS);
    grow_old(book, &book->left, LANE_LEFT_KEPT, INT64_MIN);
}

static void erase(struct lane_book *book, struct row *row)
{
    struct subject *subject = row->subject;
    if (subject != NULL) {
        bool was_last = last_of(subject->rows) == row;
        DL_DELETE(subject->rows, row);
        if (subject->rows == NULL) {
            subject_free(book, subject);
        } else if (was_last) {
            count_again(book, last_of(subject->rows));
        } else {
            condemn_if_alone(book, last_of(subject->rows));
        }
    } else if (row->kind == LANE_RECORD_MARK) {
        DL_DELETE(book->marks, row);
    } else {
        DL_DELETE(book->voids, row);
        condemn_marks(book);
    }
    row_free(book, row);
}

/* --- reading --- */

static void name_word(struct lane_record_id id, struct buf *name)
{
    buf_append_u8(name, 'w');
    buf_append_be64(name, id.writer);
    buf_append_be64(name, (uint64_t)id.serial);
}

static void name_redriven(int64_t offset, struct buf *name)
{
    buf_append_u8(name, 'r');
    buf_append_be64(name, (uint64_t)offset);
}

static void name_lane(struct lane_name lane, struct buf *name)
{
    buf_append_u8(name, slice_is_null(lane.key) ? 'n' : 'k');
    buf_append_be64(name, (uint64_t)lane.offset);
    buf_append_slice(name, lane.key);
}

static void name_reason(enum lane_reason_kind kind, struct lane_name lane, struct buf *name)
{
    buf_append_u8(name, (uint8_t)kind);
    name_lane(lane, name);
}

/* Records of one name are about one thing. */
static void name_of(struct lane_record_id id, const struct lane_record *record, struct buf *name)
{
    switch (record->kind) {
    case LANE_RECORD_ASIDE:
    case LANE_RECORD_FORGET:
    case LANE_RECORD_DONE:
        buf_append_u8(name, 'e');
        buf_append_be64(name, (uint64_t)record->offset);
        break;
    case LANE_RECORD_REDRIVEN:
        name_redriven(record->offset, name);
        break;
    case LANE_RECORD_WORD:
        name_word(id, name);
        break;
    case LANE_RECORD_ANSWER:
        name_word(record->answer.word, name);
        break;
    case LANE_RECORD_REASON:
        name_reason(record->reason.kind, record->name, name);
        break;
    default:
        name_lane(record->name, name);
        break;
    }
}

/* Of a note or a reason. */
static struct lane_name lane_of(const struct row *row)
{
    size_t skipped = row->kind == LANE_RECORD_REASON;
    const uint8_t *bytes = row->subject->name + skipped;
    struct lane_name name = {.offset = (int64_t)load_be64(bytes + 1)};
    if (bytes[0] == 'k') {
        name.key = slice_of(bytes + 9, row->subject->name_size - skipped - 9);
    }
    return name;
}

static struct subject *subject_for(struct lane_book *book, struct lane_record_id id,
                                   const struct lane_record *record)
{
    struct buf name = {0};
    struct subject *subject;
    name_of(id, record, &name);
    HASH_FIND(hh, book->subjects, name.data, name.size, subject);
    if (subject == NULL) {
        subject = mem_new(struct subject);
        subject->name = mem_dup(name.data, name.size);
        subject->name_size = name.size;
        HASH_ADD_KEYPTR(hh, book->subjects, subject->name, subject->name_size, subject);
    }
    buf_deinit(&name);
    return subject;
}

/* What is remembered of the lane has a reason of this kind. */
static bool has_reason(const struct row *note, enum lane_reason_kind kind)
{
    if (note == NULL || note->kind != LANE_RECORD_NOTE) {
        return false;
    }
    return kind == LANE_REASON_HELD ? note->note.is_held
                                    : note->note.attempts > 0 || note->note.is_parked;
}

static const struct row *newest(const struct lane_book *book, struct buf *name)
{
    struct subject *subject;
    HASH_FIND(hh, book->subjects, name->data, name->size, subject);
    buf_deinit(name);
    return subject != NULL ? last_of(subject->rows) : NULL;
}

static void condemn_reason(struct lane_book *book, enum lane_reason_kind kind,
                           struct lane_name lane)
{
    struct buf name = {0};
    struct subject *subject;
    struct row *row;
    name_reason(kind, lane, &name);
    HASH_FIND(hh, book->subjects, name.data, name.size, subject);
    buf_deinit(&name);
    if (subject != NULL) {
        DL_FOREACH (subject->rows, row) {
            condemn(book, row);
        }
    }
}

/* A reason goes when what is remembered of its lane has none any more. */
static void condemn_reasons(struct lane_book *book, struct row *row,
                            const struct lane_record *record)
{
    struct buf name = {0};
    bool is_note = record->kind == LANE_RECORD_NOTE || record->kind == LANE_RECORD_CLOSE;
    for (int kind = LANE_REASON_FAILED; is_note && kind <= LANE_REASON_HELD; kind++) {
        if (!has_reason(row, (enum lane_reason_kind)kind)) {
            condemn_reason(book, (enum lane_reason_kind)kind, record->name);
        }
    }
    if (record->kind == LANE_RECORD_REASON) {
        name_lane(record->name, &name);
        if (!has_reason(newest(book, &name), record->reason.kind)) {
            condemn(book, row);
        }
    }
}

static void place_row(struct lane_book *book, struct row *row, const struct lane_record *record)
{
    struct row *before;
    if (record->kind == LANE_RECORD_MARK) {
        row->offset = record->fence;
        book->fence = record->fence > book->fence ? record->fence : book->fence;
        DL_APPEND(book->marks, row);
        condemn_marks(book);
        return;
    }
    bool is_word = record->kind == LANE_RECORD_WORD;
    if (record->fence < book->fence && !is_word) {
        DL_APPEND(book->voids, row);
        condemn(book, row);
        return;
    }
    row->subject = subject_for(book, row->id, record);
    if (is_word && row->subject->rows != NULL) { /* behind its answer: nobody who keeps the rules */
        DL_PREPEND(row->subject->rows, row);
        condemn(book, row);
        return;
    }
    condemn_reasons(book, row, record);
    age_add(book, row);
    DL_FOREACH (row->subject->rows, before) {
        condemn(book, before);
    }
    DL_APPEND(row->subject->rows, row);
    condemn_if_alone(book, row);
}

static void keep_reason(struct row *row, const struct lane_reason *reason)
{
    row->reason = *reason;
    buf_append_slice(&row->key, reason->what);
    buf_append_slice(&row->key, reason->text);
}

static struct lane_reason reason_of(const struct row *row)
{
    struct lane_reason reason = row->reason;
    reason.what = slice_of(row->key.data, reason.what.size);
    reason.text = slice_of(row->key.data + reason.what.size, reason.text.size);
    return reason;
}

void lane_book_read(struct lane_book *book, struct lane_record_id id,
                    const struct lane_record *record, struct lane_place place)
{
    struct row *row = find(book, id);
    if (record == NULL) {
        if (row != NULL) {
            erase(book, row);
        }
        return;
    }
    if (row != NULL) {
        return;
    }
    row = mem_new(struct row);
    row->id = id;
    row->kind = record->kind;
    row->offset = record->offset;
    row->note = record->note;
    row->redriven = record->redriven;
    row->number = record->number;
    row->place = place;
    bool has_event = record->kind == LANE_RECORD_ASIDE || record->kind == LANE_RECORD_DONE;
    if (has_event && !book->is_restored && !slice_is_null(record->event.key)) {
        row->has_key = true;
        buf_append_slice(&row->key, record->event.key);
    }
    if (record->kind == LANE_RECORD_REASON && !book->is_restored) {
        keep_reason(row, &record->reason);
    }
    HASH_ADD(hh, book->rows, id, sizeof row->id, row);
    place_row(book, row, record);
}

int64_t lane_book_fence(const struct lane_book *book)
{
    return book->fence;
}

size_t lane_book_count(const struct lane_book *book)
{
    return HASH_COUNT(book->rows);
}

static bool counts(const struct row *row)
{
    return row->subject != NULL && last_of(row->subject->rows) == row;
}

void lane_book_each(const struct lane_book *book,
                    void (*each)(void *context, const struct lane_entry *entry), void *context)
{
    for (const struct row *row = book->rows; row != NULL; row = row->hh.next) {
        struct lane_entry entry = {
            .kind = row->kind, .offset = row->offset, .place = row->place, .note = row->note};
        bool is_note = row->kind == LANE_RECORD_NOTE;
        bool is_reason = row->kind == LANE_RECORD_REASON && !row->is_condemned;
        if (!counts(row) || (!is_note && !is_reason && row->kind != LANE_RECORD_ASIDE &&
                             row->kind != LANE_RECORD_DONE)) {
            continue;
        }
        if (is_note || is_reason) {
            entry.name = lane_of(row);
            entry.reason = is_reason ? reason_of(row) : entry.reason;
        } else if (row->has_key) {
            entry.name.key = buf_slice(&row->key);
        }
        each(context, &entry);
    }
}

struct restoring {
    const struct lane_book *book;
    struct lane_machine *machine;
    int32_t partition;
};

static void restore_entry(void *context, const struct lane_entry *entry)
{
    const struct restoring *to = context;
    if (entry->kind == LANE_RECORD_REASON) {
        return; /* for people */
    }
    if (entry->kind == LANE_RECORD_ASIDE) {
        lane_restore_event(to->machine, to->partition, entry->name.key, entry->offset,
                           entry->place.position, entry->place.bytes, entry->place.handler);
    } else if (entry->kind == LANE_RECORD_DONE) {
        lane_restore_done(to->machine, to->partition, entry->name.key, entry->offset);
    } else {
        enum lane_redriven how = LANE_DEAD_AGAIN;
        int64_t number;
        bool was_redriven = entry->note.is_parked &&
                            lane_book_redriven(to->book, entry->note.offset, &how, &number) &&
                            how == LANE_REDRIVEN_DONE;
        lane_restore_note(to->machine, to->partition, entry->name, &entry->note, was_redriven);
    }
}

static void forget_keys(struct lane_book *book)
{
    book->is_restored = true;
    for (struct row *row = book->rows; row != NULL; row = row->hh.next) {
        buf_deinit(&row->key);
    }
}

void lane_book_restore(struct lane_book *book, struct lane_machine *machine, int32_t partition)
{
    struct restoring to = {book, machine, partition};
    lane_book_each(book, restore_entry, &to);
    forget_keys(book);
}

static bool is_about_events(const struct row *row)
{
    return row->kind != LANE_RECORD_MARK && row->kind != LANE_RECORD_WORD &&
           row->kind != LANE_RECORD_ANSWER;
}

size_t lane_book_forget(struct lane_book *book)
{
    size_t events = 0;
    for (struct row *row = book->rows; row != NULL; row = row->hh.next) {
        events += counts(row) && row->kind == LANE_RECORD_ASIDE;
        if (is_about_events(row)) {
            condemn(book, row);
        }
    }
    forget_keys(book);
    return events;
}

/* --- words --- */

bool lane_book_is_open(const struct lane_book *book, struct lane_record_id word)
{
    struct buf name = {0};
    name_word(word, &name);
    const struct row *row = newest(book, &name);
    return row != NULL && row->kind == LANE_RECORD_WORD;
}

bool lane_book_redriven(const struct lane_book *book, int64_t offset, enum lane_redriven *how,
                        int64_t *number)
{
    struct buf name = {0};
    name_redriven(offset, &name);
    const struct row *row = newest(book, &name);
    if (row != NULL) {
        *how = row->redriven;
        *number = row->number;
    }
    return row != NULL;
}

int64_t lane_book_parked(const struct lane_book *book, struct lane_name lane)
{
    struct buf name = {0};
    name_lane(lane, &name);
    const struct row *row = newest(book, &name);
    bool is_parked = row != NULL && row->kind == LANE_RECORD_NOTE && row->note.is_parked;
    return is_parked ? row->note.offset : -1;
}

size_t lane_book_open_words(const struct lane_book *book)
{
    size_t count = 0;
    for (const struct row *row = book->rows; row != NULL; row = row->hh.next) {
        count += row->kind == LANE_RECORD_WORD && counts(row);
    }
    return count;
}
