#ifndef STORE_CSV_H
#define STORE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Reads comma-separated values (RFC 4180): fields in double quotes may hold commas, line ends and
 * doubled quotes. Bytes that are no UTF-8 are taken as Latin-1. A byte order mark is skipped.
 */
enum { CSV_FIELDS_MAX = 32, CSV_RECORD_MAX = 64 * 1024 };

struct csv {
    FILE *file;
    long line;      /* of the current record, from 1 */
    long next_line; /* of the one behind it */
    char *text;     /* the current record's fields, each NUL-terminated */
    size_t size;
    size_t field_starts[CSV_FIELDS_MAX];
    size_t field_count;
    const char *problem; /* why csv_next failed, or NULL at the end */
};

void csv_init(struct csv *csv, FILE *file);
void csv_deinit(struct csv *csv);

/* Reads the next record, skipping empty lines. False at the end, or with csv->problem set: then
 * the rest of that line was skipped and csv_next may be called again. */
bool csv_next(struct csv *csv);

/* Field `index` of the current record, "" when there is none. */
const char *csv_field(const struct csv *csv, size_t index);

#endif
