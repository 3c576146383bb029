#include "cli/live/top_view.h"

#include "base/mem.h"
#include "base/plural.h"
#include "base/text_format.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "cli/base/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 0x1b, DELETE = 0x7f, BACKSPACE = 8 };

/* --- text --- */

static void cell_rate(struct table *table, double a_second)
{
    if (a_second < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, a_second < 100 ? "%.1f" : "%.0f", a_second);
    }
}

static void cell_size(struct table *table, double bytes)
{
    char size[32];
    table_cell(table, "%s", bytes < 0 ? "-" : output_size(bytes, size));
}

/* A page's titles: of all, and of what is in one that is opened. */
struct columns {
    const char *all[9], *opened[5]; /* ended by NULL */
};

static const struct columns page_columns[TOP_PAGES] = {
    [TOP_TOPICS] = {{"TOPIC", ">GROUPS", ">IN/S", ">OUT/S", ">BYTES/S", ">LAG", "ERROR"},
                    {"GROUP", ">IN/S", ">OUT/S", ">LAG"}},
    [TOP_GROUPS] = {{"GROUP", "STATE", ">MEMBERS", ">IN/S", ">OUT/S", ">LAG", ">BEHIND", "ERROR"},
                    {"TOPIC", ">IN/S", ">OUT/S", ">LAG"}},
    [TOP_CLIENTS] = {{"CLIENT", "SOFTWARE", "ADDRESS", ">CONNECTIONS", ">IN/S", ">OUT/S"},
                     {"TOPIC", ">IN/S", ">OUT/S"}},
};

static void cell_behind(struct table *table, const struct top_row *row)
{
    char age[32];
    table_cell(table, "%s%s", row->is_longer && row->lag > 0 ? ">" : "",
               row->behind_ms < 0 ? "-" : output_age(row->behind_ms, age));
}

static void add_opened_row(struct table *table, const struct top_row *row, enum top_page page)
{
    table_cell(table, "%s", row->name);
    cell_rate(table, row->in);
    cell_rate(table, row->out);
    if (page != TOP_CLIENTS) {
        table_number(table, row->lag);
    }
}

static void add_row(struct table *table, const struct top_row *row, enum top_page page)
{
    table_cell(table, "%s", row->name);
    if (page == TOP_GROUPS) {
        table_cell(table, "%s", row->state);
    } else if (page == TOP_CLIENTS) {
        table_cell(table, "%s", row->software);
        table_cell(table, "%s", row->address);
    }
    table_number(table, row->members);
    cell_rate(table, row->in);
    cell_rate(table, row->out);
    if (page == TOP_CLIENTS) {
        return;
    }
    if (page == TOP_TOPICS) {
        cell_size(table, row->bytes_in);
    }
    table_number(table, row->lag);
    if (page == TOP_GROUPS) {
        cell_behind(table, row);
    }
    table_cell(table, "%s", row->error);
}

/* Titles and the rows from `first` on, a line each. */
static void write_rows(struct buf *to, const struct top_rows *rows, size_t first, size_t most,
                       enum top_page page, bool is_open, int columns)
{
    const struct columns *of_page = &page_columns[page];
    const char *const *titles = is_open ? of_page->opened : of_page->all;
    size_t count = 0;
    struct table table;
    while (titles[count] != NULL) {
        count++;
    }
    table_init(&table, titles, count);
    for (size_t i = first; i < rows->count && i < first + most; i++) {
        if (is_open) {
            add_opened_row(&table, &rows->items[i], page);
        } else {
            add_row(&table, &rows->items[i], page);
        }
    }
    table_write(&table, to, columns);
    table_deinit(&table);
}

/* One line, cut at `columns` code points (0: not cut), without a line break in it. */
static void write_line(struct buf *to, const char *text, size_t size, int columns, bool is_selected)
{
    int length = 0;
    buf_append_str(to, is_selected ? "\033[7m" : "");
    for (size_t i = 0; i < size; i++) {
        length += (text[i] & 0xc0) != 0x80;
        if (columns > 0 && length > columns) {
            break;
        }
        buf_append_u8(to, (uint8_t)text[i]);
    }
    buf_append_str(to, is_selected ? "\033[0m" : "");
}

static void write_text(struct buf *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void write_text(struct buf *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_format_escaped(to, format, args);
    va_end(args);
}

static void write_head(struct buf *to, const struct top_history *history,
                       const struct top_head *head)
{
    char text[TIME_TEXT_SIZE];
    if (head->away_ms >= 0) {
        write_text(to, "bus away since %s: %s", time_format(head->away_ms, text), head->why);
    } else if (history->count > 0) {
        const struct top_sample *now = history->samples[0];
        write_text(to, "%s  %zu topic%s, %zu group%s  %s", head->address, now->topics.count,
                   plural_s(now->topics.count), now->groups.count, plural_s(now->groups.count),
                   time_format(now->wall_ms, text));
    } else {
        write_text(to, "%s", head->address);
    }
}

static const char *const page_names[TOP_PAGES] = {"topics", "groups", "clients"};

/* The name of what is opened: of a client its key begins with it. */
static void write_opened(struct buf *to, const struct top_choice *choice)
{
    if (choice->opened[0] != '\0') {
        write_text(to, ": %s of %.*s", choice->page == TOP_TOPICS ? "groups" : "topics",
                   (int)strcspn(choice->opened, TOP_KEY_SEPARATOR), choice->opened);
    }
}

static void write_second(struct buf *to, const struct top_history *history,
                         const struct top_choice *choice)
{
    static const char *const sorts[] = {"name", "rate", "lag"};
    write_text(to, "%s", page_names[choice->page]);
    write_opened(to, choice);
    write_text(to, "  by %s", sorts[choice->sort]);
    if (choice->is_filtering || choice->filter[0] != '\0') {
        write_text(to, "  /%s%s", choice->filter, choice->is_filtering ? "_" : "");
    }
    write_text(to, "  (? help)");
    if (choice->page == TOP_CLIENTS && history->count > 0 &&
        history->samples[0]->clients.why[0] != '\0') {
        write_text(to, "  not known: %s", history->samples[0]->clients.why);
    }
}

static const char *const help_lines[] = {
    "up, down, j, k     choose a row; page up, page down",
    "tab, t, g, c       the next page, topics, groups, clients",
    "enter              open: the groups of a topic, the topics of a group or a client",
    "esc, backspace     back",
    "n, r, l            sort by name, rate, lag",
    "/                  only names that hold what is typed; enter ends, esc takes it back",
    "q                  end",
    "",
    "IN/S, OUT/S        events a second published, and committed as handled (a client: fetched),",
    "                   over 5 s",
    "LAG                offsets that are left; of a topic for the group farthest behind",
    "BEHIND             how long that is in time, as far as this program has watched: > at least",
};

/* --- frames --- */

static void scroll(struct top_choice *choice, size_t count, size_t room)
{
    choice->selected = count == 0 ? 0 : choice->selected >= count ? count - 1 : choice->selected;
    if (choice->selected < choice->first) {
        choice->first = choice->selected;
    }
    if (room > 0 && choice->selected >= choice->first + room) {
        choice->first = choice->selected - room + 1;
    }
}

/* Adds up to `room` lines of the text to the frame. */
static void add_lines(struct buf *to, struct buf *text, size_t room, int columns, size_t selected)
{
    const char *at = buf_cstr(text);
    for (size_t line = 0; *at != '\0' && line < room; line++) {
        size_t size = strcspn(at, "\n");
        buf_append_u8(to, '\n');
        write_line(to, at, size, columns, line == selected);
        at += size + (at[size] == '\n');
    }
}

void top_frame(struct buf *to, const struct top_history *history, const struct top_head *head,
               struct top_choice *choice, int rows, int columns)
{
    enum { HEAD_LINES = 3 }; /* bus, choice, titles */
    struct buf text = {0};
    size_t room = rows > HEAD_LINES ? (size_t)(rows - HEAD_LINES) : 0;
    write_head(&text, history, head);
    write_line(to, buf_cstr(&text), text.size, columns, false);
    buf_clear(&text);
    write_second(&text, history, choice);
    if (rows > 1) {
        buf_append_u8(to, '\n');
        write_line(to, buf_cstr(&text), text.size, columns, false);
    }
    buf_clear(&text);
    if (choice->is_help) {
        for (size_t i = 0; i < sizeof help_lines / sizeof help_lines[0]; i++) {
            write_text(&text, "%s\n", help_lines[i]);
        }
        add_lines(to, &text, rows > 2 ? (size_t)rows - 2 : 0, columns, SIZE_MAX);
    } else if (room > 0) {
        struct top_rows shown = top_rows(history, choice);
        scroll(choice, shown.count, room);
        write_rows(&text, &shown, choice->first, room, choice->page, choice->opened[0] != '\0',
                   columns);
        add_lines(to, &text, room + 1, columns, choice->selected - choice->first + 1);
        vec_deinit(&shown);
    }
    buf_deinit(&text);
}

void top_print(struct buf *to, const struct top_history *history, const struct top_head *head)
{
    write_head(to, history, head);
    buf_append_u8(to, '\n');
    for (int page = 0; page < TOP_PAGES; page++) {
        struct top_choice choice = {.page = (enum top_page)page, .sort = TOP_BY_RATE};
        struct top_rows rows = top_rows(history, &choice);
        const char *why = page == TOP_CLIENTS ? history->samples[0]->clients.why : "";
        buf_append_u8(to, '\n');
        if (why[0] != '\0') {
            write_text(to, "clients are not known: %s\n", why);
        } else {
            write_rows(to, &rows, 0, rows.count, choice.page, false, 0);
        }
        vec_deinit(&rows);
    }
}

/* --- JSON --- */

static json_t *real_or_null(double number)
{
    return number < 0 ? json_null() : json_real(number);
}

static json_t *row_json(const struct top_row *row, enum top_page page)
{
    static const char *const names[TOP_PAGES] = {"topic", "group", "client_id"};
    static const char *const members[TOP_PAGES] = {"groups", "members", "connections"};
    json_t *json =
        json_pack("{s:o,s:o,s:o,s:o}", names[page], output_json_text(row->name), "in_a_second",
                  real_or_null(row->in), "out_a_second", real_or_null(row->out), members[page],
                  output_number_or_null(row->members));
    if (page == TOP_CLIENTS) {
        json_object_set_new(json, "software", output_json_text(row->software));
        json_object_set_new(json, "address", output_json_text(row->address));
        return json;
    }
    json_object_set_new(json, "lag", output_number_or_null(row->lag));
    if (page == TOP_GROUPS) {
        json_object_set_new(json, "state", output_json_text(row->state));
        json_object_set_new(json, "behind_ms", output_number_or_null(row->behind_ms));
        json_object_set_new(json, "behind_is_at_least",
                            json_boolean(row->is_longer && row->lag > 0));
    } else {
        json_object_set_new(json, "bytes_in_a_second", real_or_null(row->bytes_in));
    }
    if (row->error[0] != '\0') {
        json_object_set_new(json, "error", output_json_text(row->error));
    }
    return json;
}

json_t *top_json(const struct top_history *history)
{
    const struct top_sample *now = history->samples[0];
    json_t *json = json_object();
    json_object_set_new(json, "time", output_json_time(now->wall_ms));
    for (int page = 0; page < TOP_PAGES; page++) {
        struct top_choice choice = {.page = (enum top_page)page};
        struct top_rows rows = top_rows(history, &choice);
        json_t *list = json_array();
        for (size_t j = 0; j < rows.count; j++) {
            json_array_append_new(list, row_json(&rows.items[j], choice.page));
        }
        json_object_set_new(json, page_names[page], list);
        vec_deinit(&rows);
    }
    if (now->clients.why[0] != '\0') {
        json_object_set_new(json, "clients", json_null());
        json_object_set_new(json, "clients_unknown", output_json_text(now->clients.why));
    }
    return json;
}

/* --- keys --- */

size_t top_key_read(const char *bytes, size_t size, enum top_key *key, char *text)
{
    static const struct {
        const char *bytes;
        enum top_key key;
    } rows[] = {{"\033[A", TOP_KEY_UP},       {"\033[B", TOP_KEY_DOWN},
                {"\033OA", TOP_KEY_UP},       {"\033OB", TOP_KEY_DOWN},
                {"\033[5~", TOP_KEY_PAGE_UP}, {"\033[6~", TOP_KEY_PAGE_DOWN},
                {"\r", TOP_KEY_ENTER},        {"\n", TOP_KEY_ENTER}};
    *text = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].bytes);
        if (size >= length && memcmp(bytes, rows[i].bytes, length) == 0) {
            *key = rows[i].key;
            return length;
        }
    }
    if (bytes[0] == ESCAPE && size > 2 && (bytes[1] == '[' || bytes[1] == 'O')) {
        size_t used = 2; /* another key: up to its last byte */
        while (used < size && (bytes[used] < '@' || bytes[used] > '~')) {
            used++;
        }
        *key = TOP_KEY_NONE;
        return used < size ? used + 1 : size;
    }
    bool is_back = bytes[0] == ESCAPE || bytes[0] == DELETE || bytes[0] == BACKSPACE;
    bool is_text = bytes[0] == '\t' || (bytes[0] >= ' ' && bytes[0] < DELETE);
    *key = is_back ? TOP_KEY_BACK : is_text ? TOP_KEY_TEXT : TOP_KEY_NONE;
    *text = is_text ? bytes[0] : bytes[0] == ESCAPE ? (char)ESCAPE : '\0';
    return 1;
}

static void type_filter(struct top_choice *choice, enum top_key key, char text)
{
    size_t size = strlen(choice->filter);
    if (key == TOP_KEY_ENTER) {
        choice->is_filtering = false;
    } else if (key == TOP_KEY_BACK && (text == ESCAPE || size == 0)) {
        choice->is_filtering = false;
        choice->filter[0] = '\0';
    } else if (key == TOP_KEY_BACK) {
        choice->filter[size - 1] = '\0';
    } else if (key == TOP_KEY_TEXT && text != '\t' && size + 1 < sizeof choice->filter) {
        choice->filter[size] = text;
        choice->filter[size + 1] = '\0';
    }
    choice->selected = 0;
}

static void move_to(struct top_choice *choice, enum top_page page)
{
    choice->page = page;
    choice->opened[0] = '\0';
    choice->selected = choice->first = 0;
}

static bool take_text(struct top_choice *choice, char text)
{
    size_t selected = choice->selected;
    switch (text) {
    case 'q':
        return false;
    case '?':
    case 'h':
        choice->is_help = true;
        break;
    case '/':
        choice->is_filtering = true;
        choice->filter[0] = '\0';
        break;
    case 'n':
        choice->sort = TOP_BY_NAME;
        break;
    case 'r':
        choice->sort = TOP_BY_RATE;
        break;
    case 'l':
        choice->sort = TOP_BY_LAG;
        break;
    case '\t':
        move_to(choice, (enum top_page)((choice->page + 1) % TOP_PAGES));
        break;
    case 't':
        move_to(choice, TOP_TOPICS);
        break;
    case 'g':
        move_to(choice, TOP_GROUPS);
        break;
    case 'c':
        move_to(choice, TOP_CLIENTS);
        break;
    case 'j':
        choice->selected = selected + 1; /* the frame sets the bound */
        break;
    case 'k':
        choice->selected = selected > 0 ? selected - 1 : 0;
        break;
    default:
        break;
    }
    return true;
}

static void open_row(struct top_choice *choice, const struct top_rows *rows)
{
    if (choice->opened[0] == '\0' && choice->selected < rows->count &&
        strlen(rows->items[choice->selected].key) < sizeof choice->opened) {
        snprintf(choice->opened, sizeof choice->opened, "%s", rows->items[choice->selected].key);
        choice->selected = choice->first = 0;
        choice->filter[0] = '\0';
    }
}

bool top_key_take(struct top_choice *choice, enum top_key key, char text,
                  const struct top_rows *rows)
{
    enum { PAGE = 10 };
    if (choice->is_help) {
        choice->is_help = false;
        return key != TOP_KEY_TEXT || text != 'q';
    }
    if (choice->is_filtering) {
        type_filter(choice, key, text);
        return true;
    }
    switch (key) {
    case TOP_KEY_UP:
        return take_text(choice, 'k');
    case TOP_KEY_DOWN:
        return take_text(choice, 'j');
    case TOP_KEY_PAGE_UP:
        choice->selected = choice->selected > PAGE ? choice->selected - PAGE : 0;
        return true;
    case TOP_KEY_PAGE_DOWN:
        choice->selected += PAGE;
        return true;
    case TOP_KEY_ENTER:
        open_row(choice, rows);
        return true;
    case TOP_KEY_BACK:
        choice->opened[0] = choice->filter[0] = '\0';
        return true;
    case TOP_KEY_TEXT:
        return take_text(choice, text);
    case TOP_KEY_NONE:
        break;
    }
    return true;
}
