#ifndef TIDINGS_BASE_BUDGET_H
#define TIDINGS_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The memory that the server may hold for others, in shares. A share is asked before memory is
 * taken; who does not get it refuses, closes or waits, and what uses other shares goes on. The
 * shares and what is kept free beside them (the program, stacks, SQLite, what the allocator loses
 * between the pieces) come to the whole, memory.max.
 */
enum budget_share {
    BUDGET_FRAMES,     /* requests that are being received */
    BUDGET_REQUESTS,   /* requests that are decoded: running, or parked until something happens */
    BUDGET_ANSWERS,    /* answers that are made and not sent */
    BUDGET_GROUPS,     /* groups, their members and offsets */
    BUDGET_PRODUCERS,  /* idempotent producers, transactional ids */
    BUDGET_PARTITIONS, /* topics, partitions, their indexes */
    BUDGET_CLEANER,    /* the map and the buffers of compaction, batches that are opened */
    BUDGET_SHARES
};

struct budget {
    int64_t max_bytes;
    struct budget_used {
        int64_t limit_bytes;
        _Atomic int64_t bytes;
        _Atomic int64_t most_bytes;   /* ever */
        _Atomic int64_t recent_bytes; /* the most since somebody looked */
        _Atomic uint64_t refused;     /* how often there was not enough */
    } shares[BUDGET_SHARES];
};

/* "frames", "requests"...; static. */
const char *budget_share_name(enum budget_share share);

/* Of a thousand parts of memory.max: what the share gets. */
int budget_share_permille(enum budget_share share);

/* Divides max_bytes. */
void budget_init(struct budget *budget, int64_t max_bytes);

enum { BUDGET_LEAST_BYTES = 64 << 20 };

/*
 * What a server takes when nothing is set: half of the machine's memory, or of the smallest limit
 * of the control groups (v1, v2) around this process; at least BUDGET_LEAST_BYTES.
 */
int64_t budget_default_bytes(void);

/* Reserves bytes of a share; false, and nothing reserved, when they do not fit. Any thread. */
bool budget_take(struct budget *budget, enum budget_share share, size_t bytes);

/*
 * The same for one holder of many, who has `has` bytes of the share already: what is left of it
 * when it is nearly full is for those who have little. BUDGET_NEW: a holder that is new. Any
 * thread.
 */
bool budget_take_fairly(struct budget *budget, enum budget_share share, size_t bytes, size_t has);
#define BUDGET_NEW SIZE_MAX
enum {
    BUDGET_LITTLE_PART = 64, /* of a share: who has less than a 64th has little, */
    BUDGET_LEFT_PART = 8     /* and the last eighth is for those */
};

/* Whether budget_take_fairly would take them; reserves nothing. For who adds them soon, where a few
 * that ask at once may come to a little too much. False counts as refused. Any thread. */
bool budget_has_room(struct budget *budget, enum budget_share share, size_t bytes, size_t has);

/* As budget_take, of a part of the share only: percent of it. Who asks for less than all of it
 * leaves the rest to others. */
bool budget_take_within(struct budget *budget, enum budget_share share, size_t bytes, int percent);

/* Counts bytes that are taken in any case: bounded by what was asked for before. Any thread. */
void budget_add(struct budget *budget, enum budget_share share, size_t bytes);

/* Gives back what was taken or added. Any thread. */
void budget_give(struct budget *budget, enum budget_share share, size_t bytes);

/* The most that a share has held since this was called last. Any thread, one caller. */
int64_t budget_recent_most(struct budget *budget, enum budget_share share);

/* Whether a share holds more than its part, as budget_add makes possible. Any thread. */
bool budget_is_over(const struct budget *budget, enum budget_share share);

/* Whether all shares together hold more than this many thousandths of the whole. Any thread. */
bool budget_is_spent(const struct budget *budget, int permille);

/* Whether a share holds more than this many hundredths of its part. Any thread. */
bool budget_is_past(const struct budget *budget, enum budget_share share, int percent);

/*
 * What one thread holds of a share and counts for itself: it asks the budget for BUDGET_PIECE_BYTES
 * and more at once, so that counting costs no atomic operation. The budget shows up to two pieces
 * more for it than it holds. Without a budget it only counts. Its thread.
 */
enum { BUDGET_PIECE_BYTES = 64 << 10 };

struct budget_purse {
    struct budget *budget; /* may be NULL */
    enum budget_share share;
    int64_t used_bytes;
    int64_t taken_bytes; /* from the budget; never less than used */
};

/* Counts bytes that are taken in any case. True: the budget was asked for more, so whether it is
 * over may have changed. */
bool budget_purse_add(struct budget_purse *purse, size_t bytes);

/* Counts bytes when they fit within percent of the share; else false, and nothing is counted. */
bool budget_purse_take(struct budget_purse *purse, size_t bytes, int percent);

/* Gives back what was counted. */
void budget_purse_give(struct budget_purse *purse, size_t bytes);

#endif
