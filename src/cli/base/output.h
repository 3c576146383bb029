#ifndef TIDINGS_CLI_OUTPUT_H
#define TIDINGS_CLI_OUTPUT_H

#include "base/buf.h"
#include "base/plural.h"
#include "base/vec.h"
#include "cli/base/output_text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What goes to standard output: tables for people, JSON for programs. */

/*
 * A table whose columns are as wide as their widest cell. Cells are added row by row; a row is full
 * after column_count cells.
 */
struct table {
    const char *const *titles; /* a leading '>' right-aligns the column */
    size_t column_count;
    VEC(char *) cells;
};

/* Zero-initialised rows under these titles, which must outlive the table. */
void table_init(struct table *table, const char *const *titles, size_t column_count);
void table_deinit(struct table *table);
/* Texts as output_text has them; over 1,000 bytes it is cut and ends in "...". */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number, or "-" when it is below 0: not known, or none. */
void table_number(struct table *table, int64_t number);

/* Prints titles and rows on standard output, each line after `indent` blanks. */
void table_print(const struct table *table, int indent);

/* The same for a list that people look through: on a terminal, its columns of texts are cut (ending
 * in
 * "..") where that makes the lines fit; elsewhere nothing is. */
void table_print_fitting(const struct table *table);

/* The same text appended to *to, for a terminal of so many columns; 0: nothing is cut. */
void table_write(const struct table *table, struct buf *to, int columns);

/* How many columns standard output has; 0: it is no terminal, or does not tell. */
int output_columns(void);

/* "-" for a time below 0, else how long ago that was: "0s ago", "119s ago", "3h ago", "400d ago".
 */
void table_ago(struct table *table, int64_t time_ms, int64_t now_ms);

/* How long that is in its largest unit: "59s", "3h"; below 0 counts as 0. Returns text. */
const char *output_age(int64_t duration_ms, char text[32]);

/* A time as text, null when it is below 0. */
json_t *output_json_time(int64_t time_ms);

/* A text as JSON, null for NULL. Stray bytes that JSON has no place for are written as utf8_escape
 * does it: a name that others chose does not make an answer unreadable. */
json_t *output_json_text(const char *text);

/* null when the number is below 0. */
json_t *output_number_or_null(int64_t number);

/* Prints the value as indented JSON with a line break, and frees it. Safe on a terminal: see
 * utf8_escape_json. */
void output_json(json_t *value);

/* The same, on one line. */
void output_json_line(json_t *value);

/*
 * What a command that deals with several things has to tell: a text of each as it comes, or one
 * JSON list of them at the end. Its exit code is that of the first failure.
 */
struct report {
    bool is_json;
    json_t *items; /* the JSON list */
    int code;
};

/* An empty one, of EXIT_OK. */
struct report report_new(bool is_json);

/* One more thing was dealt with, with this exit code. */
void report_note(struct report *report, int code);

/* Prints the JSON list if that is wanted, frees it, and returns the exit code. */
int report_finish(struct report *report);

/* "1.5 MB", "12 bytes" into text; returns text. */
const char *output_size(double bytes, char text[32]);

/*
 * Call at the end: flushes standard output and returns `code`, or EXIT_FAILED (told) when what was
 * printed could not be written. A reader that closed the pipe is no failure.
 */
int output_finish(int code);

#endif
