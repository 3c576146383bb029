#include "cli/base/output.h"

#include "base/mem.h"
#include "base/text_format.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "bus/event/json_word.h"
#include "cli/base/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CELL_BYTES = 1000 };

void table_init(struct table *table, const char *const *titles, size_t column_count)
{
    *table = (struct table){.titles = titles, .column_count = column_count};
}

void table_deinit(struct table *table)
{
    for (size_t i = 0; i < table->cells.count; i++) {
        free(table->cells.items[i]);
    }
    vec_deinit(&table->cells);
    *table = (struct table){0};
}

/* Between two code points. */
static void cut_cell(struct buf *text)
{
    size_t size = CELL_BYTES;
    while ((text->data[size] & 0xc0) == 0x80) {
        size--;
    }
    text->size = size;
    buf_append_str(text, "...");
}

void table_cell(struct table *table, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    text_format_escaped(&text, format, args);
    va_end(args);
    if (text.size > CELL_BYTES) {
        cut_cell(&text);
    }
    vec_push(&table->cells, mem_strdup(buf_cstr(&text)));
    buf_deinit(&text);
}

void table_number(struct table *table, int64_t number)
{
    if (number < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%lld", (long long)number);
    }
}

json_t *output_json_text(const char *text)
{
    return json_utf8(text);
}

json_t *output_number_or_null(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

static bool is_right(const struct table *table, size_t column)
{
    return table->titles[column][0] == '>';
}

static const char *title(const struct table *table, size_t column)
{
    return table->titles[column] + is_right(table, column);
}

static int width(const struct table *table, size_t column)
{
    size_t most = strlen(title(table, column));
    for (size_t i = column; i < table->cells.count; i += table->column_count) {
        size_t size = utf8_length(table->cells.items[i]);
        most = size > most ? size : most;
    }
    return (int)most;
}

/* Its bytes up to so many code points. */
static int size_of(const char *text, int length)
{
    const char *at = text;
    for (; length > 0 && *at != '\0'; length--) {
        at++;
        while ((*at & 0xc0) == 0x80) {
            at++;
        }
    }
    return (int)(at - text);
}

static void write_cell(const struct table *table, struct buf *to, size_t column, int column_width,
                       const char *text)
{
    int length = (int)utf8_length(text);
    char cut[CELL_BYTES + 8];
    if (length > column_width && column_width > 2) {
        snprintf(cut, sizeof cut, "%.*s..", size_of(text, column_width - 2), text);
        text = cut;
        length = column_width;
    }
    int blanks = column_width - length;
    bool is_last = column + 1 == table->column_count;
    if (is_right(table, column)) {
        buf_printf(to, "%*s%s", blanks, "", text);
    } else {
        buf_printf(to, "%s%*s", text, is_last ? 0 : blanks, "");
    }
    buf_append_str(to, is_last ? "\n" : "  ");
}

int output_columns(void)
{
    struct winsize size;
    bool is_known = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    return is_known ? size.ws_col : 0;
}

/* Narrows the widest columns of texts, down to TEXT_LEAST, until a line has `most` or less. */
static void narrow(const struct table *table, int *widths, int most)
{
    enum { TEXT_LEAST = 8, GAP = 2 };
    int line = -GAP;
    for (size_t column = 0; column < table->column_count; column++) {
        line += widths[column] + GAP;
    }
    while (line > most) {
        size_t widest = table->column_count;
        for (size_t column = 0; column < table->column_count; column++) {
            if (!is_right(table, column) && widths[column] > TEXT_LEAST &&
                (widest == table->column_count || widths[column] > widths[widest])) {
                widest = column;
            }
        }
        if (widest == table->column_count) {
            return;
        }
        widths[widest]--;
        line--;
    }
}

static void write_table(const struct table *table, struct buf *to, int indent, int columns)
{
    int *widths = mem_new_array(int, table->column_count);
    for (size_t column = 0; column < table->column_count; column++) {
        widths[column] = width(table, column);
    }
    if (columns > 0) {
        narrow(table, widths, columns);
    }
    buf_printf(to, "%*s", indent, "");
    for (size_t column = 0; column < table->column_count; column++) {
        write_cell(table, to, column, widths[column], title(table, column));
    }
    for (size_t i = 0; i < table->cells.count; i++) {
        size_t column = i % table->column_count;
        if (column == 0) {
            buf_printf(to, "%*s", indent, "");
        }
        write_cell(table, to, column, widths[column], table->cells.items[i]);
    }
    free(widths);
}

void table_write(const struct table *table, struct buf *to, int columns)
{
    write_table(table, to, 0, columns);
}

static void print_table(const struct table *table, int indent, int columns)
{
    struct buf text = {0};
    write_table(table, &text, indent, columns);
    fwrite(text.data, 1, text.size, stdout);
    buf_deinit(&text);
}

void table_print(const struct table *table, int indent)
{
    print_table(table, indent, 0);
}

void table_print_fitting(const struct table *table)
{
    print_table(table, 0, output_columns());
}

const char *output_age(int64_t duration_ms, char text[32])
{
    static const struct {
        int64_t most_s;
        int64_t unit_s;
        char name;
    } units[] = {{120, 1, 's'}, {7200, 60, 'm'}, {172800, 3600, 'h'}, {INT64_MAX, 86400, 'd'}};
    int64_t seconds = duration_ms > 0 ? duration_ms / 1000 : 0;
    size_t i = 0;
    while (seconds >= units[i].most_s) {
        i++;
    }
    snprintf(text, 32, "%lld%c", (long long)(seconds / units[i].unit_s), units[i].name);
    return text;
}

void table_ago(struct table *table, int64_t time_ms, int64_t now_ms)
{
    char age[32];
    if (time_ms < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%s ago", output_age(now_ms - time_ms, age));
    }
}

json_t *output_json_time(int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    return time_ms < 0 ? json_null() : json_string(time_format(time_ms, text));
}

static void print_json(json_t *value, size_t flags)
{
    char *plain = json_dumps(value, flags);
    struct buf text = {0};
    utf8_escape_json(&text, slice_str(plain != NULL ? plain : "null"));
    buf_append_u8(&text, '\n');
    fwrite(text.data, 1, text.size, stdout);
    buf_deinit(&text);
    free(plain);
    json_decref(value);
}

void output_json(json_t *value)
{
    print_json(value, JSON_INDENT(2));
}

void output_json_line(json_t *value)
{
    print_json(value, JSON_COMPACT);
}

struct report report_new(bool is_json)
{
    return (struct report){.is_json = is_json, .items = json_array(), .code = EXIT_OK};
}

void report_note(struct report *report, int code)
{
    report->code = report->code == EXIT_OK ? code : report->code;
}

int report_finish(struct report *report)
{
    if (report->is_json) {
        output_json(report->items);
    } else {
        json_decref(report->items);
    }
    report->items = NULL;
    return report->code;
}

const char *output_size(double bytes, char text[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", bytes,
             bytes == 1 && unit == 0 ? "byte" : units[unit]);
    return text;
}

/* For an earlier write that failed, whose errno is lost. */
static bool is_reader_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}

int output_finish(int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return code;
    }
    if (errno == EPIPE || (errno == 0 && is_reader_gone())) {
        return code;
    }
    return cli_fail(EXIT_FAILED, NULL, "cannot write the output%s%s", errno != 0 ? ": " : "",
                    errno != 0 ? strerror(errno) : "");
}
