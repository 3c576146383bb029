#ifndef TIDINGS_CLI_WHY_VIEW_H
#define TIDINGS_CLI_WHY_VIEW_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A story (docs/formats.md, "The story of an event") as a tree with a time axis, for people. It is
 * drawn from the JSON, whether that came by HTTP or was made here; whatever it holds is safe on a
 * terminal. Pure.
 */
struct why_look {
    int columns; /* of the terminal; 0: nothing is cut, and it is lined up for 80 */
    bool has_colours;
    bool has_utf8; /* lines and dots beyond ASCII */
};

/* Appends it. */
void why_view(const json_t *story, const struct why_look *look, struct buf *to);

/* --- what it stands on: lines of a width (why_line.c) --- */

enum why_colour { WHY_PLAIN, WHY_DIM, WHY_BOLD, WHY_GOOD, WHY_BAD, WHY_OPEN, WHY_GUESS };

struct why_line {
    const struct why_look *look;
    struct buf *to;
    int column; /* that is reached */
    bool is_cut;
};

/* Puts a text behind what the line has; what is over the width is cut. Foreign bytes are escaped.
 */
void why_put(struct why_line *line, enum why_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same at the line's right end, if there is room, else behind a blank. */
void why_put_right(struct why_line *line, enum why_colour colour, const char *text);

/* Ends the line. */
void why_end(struct why_line *line);

/* --- words (why_words.c) --- */

/* Milliseconds since 1970 of a member that holds a time; 0: there is none. */
int64_t why_time(const json_t *object, const char *name);

/* The member's text; NULL: there is none. */
const char *why_text(const json_t *object, const char *name);

/* "27 ms", "3.1 s", "4 min", "2.0 h", "3 d"; into text, returns it. */
const char *why_duration(int64_t duration_ms, char text[32]);

/* "12:00:01.123" of the day; into text, returns it. */
const char *why_clock(int64_t time_ms, char text[32]);

/* What is said of the group, in a few words; event_ms: the event's time, 0: not known. */
void why_say_group(const json_t *group, int64_t event_ms, int64_t now_ms, struct buf *to);

/* How it stands there. */
enum why_colour why_group_colour(const json_t *group);

/* --- the time axis (why_axis.c) --- */
void why_axis(const json_t *story, const struct why_look *look, struct buf *to);

#endif
