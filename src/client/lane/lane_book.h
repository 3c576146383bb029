#ifndef TIDINGS_CLIENT_LANE_LANE_BOOK_H
#define TIDINGS_CLIENT_LANE_LANE_BOOK_H

#include "client/lane/lane_record.h"

/*
 * What the records of lanes.<group> about one source partition say together, read in the order of
 * the log: what is set aside, what is remembered of lanes, and which records are of no use any
 * more. It goes on reading as long as the owner owns, its own records with the others.
 *
 * Compaction knows no fences: a void record would take the place of a good one of the same key. So
 * each record has a key of its own, and goes only when an owner erases it (a record with that key
 * and no value). Erased is only what can never count again, whoever reads it: a record that is
 * void, and one that stands before a newer one about the same event or lane that was read back from
 * the log and is not void. The newest one, if all it says is that there is nothing, goes when the
 * older ones are read as erased; the marks of earlier owners, when nothing void is left. So it does
 * not matter which of the erased records a reader still meets.
 *
 * A reason goes when a note or the end of its lane says that there is nothing to give one for.
 *
 * Words of people have no fence and are never void. A word goes when its answer was read back; the
 * answer, and what became of a dead event, is kept for who asks again (lane_book_grow_old) and goes
 * when what is older about the same is read as erased.
 *
 * Memory: about 200 bytes a record that is not erased. One thread at a time.
 */
struct lane_book;

/* An empty one. Free with lane_book_free. */
struct lane_book *lane_book_new(void);

/* Frees it; NULL is fine. */
void lane_book_free(struct lane_book *book);

/* Where a record stands, and who handles the event in it. */
struct lane_place {
    int64_t position;
    size_t bytes;
    int handler;
    int64_t time_ms; /* of the record; -1: none */
};

/* The next record of the log; record NULL: that of this id is erased. The
 * bytes and handler of `place` are for LANE_RECORD_ASIDE. An id that is known already is passed
 * over. */
void lane_book_read(struct lane_book *book, struct lane_record_id id,
                    const struct lane_record *record, struct lane_place place);

/* The highest fence of a mark; 0: there was none. */
int64_t lane_book_fence(const struct lane_book *book);

/* Tells the machine what is set aside, done and remembered (lane_restore_*), in the order of the
 * log. Once: keys are not kept any longer. */
void lane_book_restore(struct lane_book *book, struct lane_machine *machine, int32_t partition);

/* The source was deleted and made again: what was said of it until now is about other events. All
 * of it but marks, words and answers is to be erased, instead of lane_book_restore. Returns how
 * many events that were. */
size_t lane_book_forget(struct lane_book *book);

/* Nobody has answered this word yet. */
bool lane_book_is_open(const struct lane_book *book, struct lane_record_id word);

/* What is known of the redrives of a dead event; false: nothing. number: of the last one, 0: none.
 */
bool lane_book_redriven(const struct lane_book *book, int64_t offset, enum lane_redriven *how,
                        int64_t *number);

/* The dead event that closed the lane, as its last note says; -1: it is not parked. */
int64_t lane_book_parked(const struct lane_book *book, struct lane_name name);

enum {
    LANE_ANSWER_KEPT_MS = 600000,      /* so long an answer is kept at least, */
    LANE_ANSWERS_KEPT = 1000,          /* of so many */
    LANE_REDRIVEN_KEPT_MS = 604800000, /* and what became of dead events, */
    LANE_REDRIVENS_KEPT = 10000,       /* of so many; */
    LANE_LEFT_KEPT = 100000 /* and that a lane was opened without a dead one: whatever its age */
};

/* Answers and ends of redrives that are kept long enough are to be erased. */
void lane_book_grow_old(struct lane_book *book, int64_t now_ms);

/* A record that counts: ASIDE, NOTE, DONE or REASON. Borrowed. */
struct lane_entry {
    enum lane_record_kind kind;
    struct lane_name name;     /* NOTE, REASON: the lane; ASIDE, DONE: only the event's key */
    int64_t offset;            /* ASIDE, DONE */
    struct lane_place place;   /* ASIDE */
    struct lane_note note;     /* NOTE */
    struct lane_reason reason; /* REASON */
};

/* Tells what is set aside and remembered in the order of the log; before lane_book_restore only. */
void lane_book_each(const struct lane_book *book,
                    void (*each)(void *context, const struct lane_entry *entry), void *context);

/* Words that nobody has answered. O(records). */
size_t lane_book_open_words(const struct lane_book *book);

/* The next record to erase, each once; false: none now. Only who owns erases, after it has read its
 * own mark. */
bool lane_book_next_erased(struct lane_book *book, struct lane_record_id *id);

/* Records that are not erased. */
size_t lane_book_count(const struct lane_book *book);

#endif
