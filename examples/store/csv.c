#include "csv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Latin-1 bytes become two bytes of UTF-8: twice the room, and the fields' NULs. */
enum { TEXT_SIZE = 2 * CSV_RECORD_MAX + 2 * CSV_FIELDS_MAX };

void csv_init(struct csv *csv, FILE *file)
{
    *csv = (struct csv){.file = file, .next_line = 1, .text = malloc(TEXT_SIZE)};
    if (csv->text == NULL) {
        abort();
    }
    int first = getc(file);
    if (first == 0xEF) { /* EF BB BF */
        getc(file);
        getc(file);
    } else if (first != EOF) {
        ungetc(first, file);
    }
}

void csv_deinit(struct csv *csv)
{
    free(csv->text);
}

const char *csv_field(const struct csv *csv, size_t index)
{
    return index < csv->field_count ? csv->text + csv->field_starts[index] : "";
}

static void field_begin(struct csv *csv)
{
    if (csv->field_count == CSV_FIELDS_MAX) {
        csv->problem = "too many fields";
        return;
    }
    csv->field_starts[csv->field_count++] = csv->size;
}

static void field_put(struct csv *csv, int byte)
{
    if (csv->size >= CSV_RECORD_MAX) {
        csv->problem = "the record is too long";
    } else if (byte == '\0') {
        csv->problem = "a zero byte";
    } else {
        csv->text[csv->size++] = (char)byte;
    }
}

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

/* Ends the field; rewrites it when it is Latin-1. */
static void field_end(struct csv *csv)
{
    csv->text[csv->size] = '\0';
    size_t start = csv->field_starts[csv->field_count - 1];
    if (!is_utf8(csv->text + start)) {
        char *old = strdup(csv->text + start);
        csv->size = start;
        for (const char *from = old; *from != '\0'; from++) {
            unsigned char byte = (unsigned char)*from;
            if (byte < 0x80) {
                csv->text[csv->size++] = *from;
            } else {
                csv->text[csv->size++] = (char)(0xC0 | byte >> 6);
                csv->text[csv->size++] = (char)(0x80 | (byte & 0x3F));
            }
        }
        csv->text[csv->size] = '\0';
        free(old);
    }
    csv->size++;
}

/* Reads a quoted field's rest, up to the byte behind the closing quote, which is returned. */
static int quoted_read(struct csv *csv)
{
    while (csv->problem == NULL) {
        int byte = getc(csv->file);
        if (byte == EOF) {
            csv->problem = "a quote is not closed";
            return EOF;
        }
        if (byte == '"') {
            byte = getc(csv->file);
            if (byte != '"') {
                return byte;
            }
        } else if (byte == '\n') {
            csv->next_line++;
        }
        field_put(csv, byte);
    }
    return ' ';
}

static void line_skip(struct csv *csv)
{
    int byte;
    while ((byte = getc(csv->file)) != EOF && byte != '\n') {
    }
    csv->next_line++;
}

/* Reads one record whose first byte is given. */
static void record_read(struct csv *csv, int byte)
{
    field_begin(csv);
    bool at_start = true;
    while (csv->problem == NULL) {
        if (byte == '"' && at_start) {
            byte = quoted_read(csv);
            at_start = false;
            if (byte != ',' && byte != '\r' && byte != '\n' && byte != EOF &&
                csv->problem == NULL) {
                csv->problem = "text behind a closing quote";
            }
            continue;
        }
        if (byte == '\n' || byte == EOF) {
            field_end(csv);
            csv->next_line++;
            return;
        }
        if (byte == ',') {
            field_end(csv);
            field_begin(csv);
            at_start = true;
        } else if (byte != '\r') {
            field_put(csv, byte);
            at_start = false;
        }
        byte = getc(csv->file);
    }
    if (byte != '\n' && byte != EOF) {
        line_skip(csv);
    }
}

bool csv_next(struct csv *csv)
{
    int byte = getc(csv->file);
    while (byte == '\n' || byte == '\r') {
        csv->next_line += byte == '\n';
        byte = getc(csv->file);
    }
    csv->problem = NULL;
    csv->field_count = 0;
    csv->size = 0;
    csv->line = csv->next_line;
    if (byte == EOF) {
        if (ferror(csv->file)) {
            csv->problem = "the file could not be read";
        }
        return false;
    }
    record_read(csv, byte);
    return csv->problem == NULL;
}
