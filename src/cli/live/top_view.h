#ifndef TIDINGS_CLI_TOP_VIEW_H
#define TIDINGS_CLI_TOP_VIEW_H

#include "base/buf.h"
#include "cli/live/top_sample.h"

#include <jansson.h>

/*
 * What `tidings top` shows, on a page for topics, groups and clients each: rates and lag from
 * samples, and the frame of text from those and from what the person chose. All of it is pure.
 * Texts of the bus are escaped.
 */

/* How many looks are kept, and over how many a rate is: the clients of looks before are not looked
 * at. */
enum { TOP_HISTORY = 60, TOP_RATE_LOOKS = 5 };

/* Samples, newest first; the view owns none of them. */
struct top_history {
    const struct top_sample *samples[TOP_HISTORY];
    size_t count;
};

enum top_page { TOP_TOPICS, TOP_GROUPS, TOP_CLIENTS };
enum { TOP_PAGES = TOP_CLIENTS + 1 };

struct top_row {
    const char *key; /* by which it is opened: the name, or of a client all that it is told by */
    const char *name;
    const char *state;    /* of a group; "" */
    const char *software; /* of a client; NULL */
    const char *address;  /* the same */
    int64_t members;      /* of a group, how many groups read a topic, or a client's connections;
                           * -1: none of it */
    double in, out;       /* events a second; below 0: not known */
    double bytes_in;      /* a second, on disk; the same */
    int64_t lag;          /* of a topic that of the group that is farthest behind; -1: not known */
    int64_t behind_ms;    /* how long its oldest waiting event waits; 0: nothing; -1: not known */
    bool is_longer;       /* at least so long */
    const char *error;    /* "" */
};

struct top_rows {
    VEC_FIELDS(struct top_row);
};

enum top_sort { TOP_BY_NAME, TOP_BY_RATE, TOP_BY_LAG };

/* What the person chose. Zeroed: topics by name. */
struct top_choice {
    enum top_page page;
    char opened[250]; /* key of this topic (its groups), group or client (its topics); "": none */
    enum top_sort sort;
    char filter[64];   /* a part of the name; "": all */
    bool is_filtering; /* it is being typed */
    bool is_help;
    size_t selected, first; /* rows */
};

/* The rows that are meant, in order; free with vec_deinit. The names borrow from the samples. */
struct top_rows top_rows(const struct top_history *history, const struct top_choice *choice);

/* Where the bus is, and since when it is away. */
struct top_head {
    const char *address;
    int64_t away_ms; /* wall clock; -1: it is there */
    const char *why; /* it is away */
};

/* Appends the frame, `rows` lines of at most `columns`, each ended by a line break but the last;
 * moves selected and first of the choice to where they can be. is_plain: without colours, of any
 * height. */
void top_frame(struct buf *to, const struct top_history *history, const struct top_head *head,
               struct top_choice *choice, int rows, int columns);

/* Topics, groups and clients as text, for --once. */
void top_print(struct buf *to, const struct top_history *history, const struct top_head *head);

/* The same for programs. */
json_t *top_json(const struct top_history *history);

/* What a key of the person does. */
enum top_key {
    TOP_KEY_NONE,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_ENTER,
    TOP_KEY_BACK,
    TOP_KEY_TEXT /* a character */
};

/* Takes the first key of what a terminal sent (bytes, size > 0) and returns how many bytes it is. A
 * lone ESC is TOP_KEY_BACK. */
size_t top_key_read(const char *bytes, size_t size, enum top_key *key, char *text);

/* What the key changes; false: the person wants to end. */
bool top_key_take(struct top_choice *choice, enum top_key key, char text,
                  const struct top_rows *rows);

#endif
