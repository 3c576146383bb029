#include "order.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 1000000000 };

static void problem_set(struct order_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void problem_set(struct order_problem *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
}

void order_deinit(struct order *order)
{
    for (size_t i = 0; i < order->line_count; i++) {
        free(order->lines[i].stock_code);
        free(order->lines[i].description);
    }
    free(order->lines);
    free(order->id);
    free(order->ordered_at);
    free(order->customer_id);
    free(order->country);
    free(order->cancels);
    *order = (struct order){0};
}

bool order_is_return(const struct order *order)
{
    return order->line_count > 0 && order->lines[0].quantity < 0;
}

bool order_is_clear(const struct order *order)
{
    bool is_clear = true;
    for (size_t i = 0; i < order->line_count; i++) {
        is_clear = is_clear && (order->lines[i].quantity < 0) == order_is_return(order);
    }
    return is_clear;
}

const char *order_key(const struct order *order)
{
    return order->customer_id != NULL ? order->customer_id : order->id;
}

bool order_has_article(const struct order *order, const char *stock_code)
{
    bool has = false;
    for (size_t i = 0; i < order->line_count && !has; i++) {
        has = strcmp(order->lines[i].stock_code, stock_code) == 0;
    }
    return has;
}

int64_t order_amount(const struct order *order)
{
    int64_t amount = 0;
    for (size_t i = 0; i < order->line_count; i++) {
        amount += order->lines[i].quantity * order->lines[i].unit_price;
    }
    return amount;
}

void order_add_line(struct order *order, const char *stock_code, const char *description,
                    int64_t quantity, int64_t unit_price)
{
    if (order->line_count == order->line_capacity) {
        order->line_capacity = order->line_capacity ? order->line_capacity * 2 : 16;
        order->lines = realloc(order->lines, order->line_capacity * sizeof *order->lines);
        if (order->lines == NULL) {
            abort();
        }
    }
    order->lines[order->line_count++] = (struct order_line){
        .stock_code = strdup(stock_code),
        .description = strdup(description),
        .quantity = quantity,
        .unit_price = unit_price,
    };
}

bool price_parse(const char *text, int64_t *price)
{
    bool negative = *text == '-';
    text += negative;
    size_t whole = strspn(text, "0123456789");
    size_t fraction = 0;
    if (text[whole] == '.') {
        fraction = strspn(text + whole + 1, "0123456789");
    }
    bool dotted = text[whole] == '.';
    if (whole + fraction == 0 || whole > 9 || text[whole + dotted + fraction] != '\0') {
        return false;
    }
    int64_t units = 0;
    for (size_t i = 0; i < whole; i++) {
        units = units * 10 + (text[i] - '0');
    }
    int64_t step = PRICE_UNITS;
    units *= PRICE_UNITS;
    for (size_t i = 0; i < fraction; i++) {
        step /= 10;
        if (step == 0 && text[whole + 1 + i] != '0') {
            return false; /* finer than we keep: say so rather than lose it */
        }
        units += step * (text[whole + 1 + i] - '0');
    }
    *price = negative ? -units : units;
    return true;
}

void text_escape(char *to, const char *text, const char *also)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    for (; *text != '\0'; text++) {
        bool is_plain = strchr(plain, *text) != NULL || strchr(also, *text) != NULL;
        to += sprintf(to, is_plain ? "%c" : "%%%02X", (unsigned char)*text);
    }
    *to = '\0';
}

bool text_is_plain(const char *text, size_t max)
{
    size_t size = strlen(text);
    if (size == 0 || size > max) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A text member: copied to *to; a missing one is left NULL when it may be. */
static bool take_text(const json_t *object, const char *name, size_t max, bool required, char **to,
                      struct order_problem *problem)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL || json_is_null(value)) {
        if (required) {
            problem_set(problem, "%s is missing", name);
        }
        return !required;
    }
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
        !text_is_plain(json_string_value(value), max)) {
        problem_set(problem, "%s must be a text of 1 to %zu bytes without control characters", name,
                    max);
        return false;
    }
    *to = strdup(json_string_value(value));
    return true;
}

static bool take_line(const json_t *line, size_t number, struct order *order,
                      struct order_problem *problem)
{
    const char *code = json_string_value(json_object_get(line, "stockCode"));
    const json_t *description = json_object_get(line, "description");
    const json_t *quantity = json_object_get(line, "quantity");
    const json_t *price = json_object_get(line, "unitPrice");
    if (code == NULL || !text_is_plain(code, ORDER_ID_MAX)) {
        problem_set(problem, "line %zu: stockCode must be a text of 1 to %d bytes", number,
                    ORDER_ID_MAX);
        return false;
    }
    if (description != NULL &&
        (!json_is_string(description) || json_string_length(description) > ORDER_TEXT_MAX)) {
        problem_set(problem, "line %zu: description must be a text of at most %d bytes", number,
                    ORDER_TEXT_MAX);
        return false;
    }
    if (!json_is_integer(quantity) || json_integer_value(quantity) == 0 ||
        llabs(json_integer_value(quantity)) > NUMBER_MAX) {
        problem_set(problem, "line %zu: quantity must be a whole number other than 0", number);
        return false;
    }
    if (!json_is_number(price) || fabs(json_number_value(price)) >= NUMBER_MAX) {
        problem_set(problem, "line %zu: unitPrice must be a number", number);
        return false;
    }
    order_add_line(order, code, description != NULL ? json_string_value(description) : "",
                   json_integer_value(quantity), llround(json_number_value(price) * PRICE_UNITS));
    return true;
}

static bool take_lines(const json_t *lines, struct order *order, struct order_problem *problem)
{
    size_t count = json_array_size(lines);
    if (!json_is_array(lines) || count == 0 || count > ORDER_LINES_MAX) {
        problem_set(problem, "lines must be a list of 1 to %d order lines", ORDER_LINES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_line(json_array_get(lines, i), i + 1, order, problem)) {
            return false;
        }
    }
    return true;
}

static bool take_order(const json_t *root, struct order *order, bool is_event,
                       struct order_problem *problem)
{
    const json_t *lines = json_object_get(root, "lines");
    return take_text(root, "orderId", ORDER_ID_MAX, is_event, &order->id, problem) &&
           take_text(root, "orderedAt", ORDER_ID_MAX, false, &order->ordered_at, problem) &&
           take_text(root, "customerId", ORDER_ID_MAX, false, &order->customer_id, problem) &&
           take_text(root, "country", ORDER_TEXT_MAX, true, &order->country, problem) &&
           take_text(root, "cancels", ORDER_ID_MAX, false, &order->cancels, problem) &&
           ((is_event && lines == NULL) || take_lines(lines, order, problem));
}

static bool read_order(const char *data, size_t size, struct order *order, bool is_event,
                       struct order_problem *problem)
{
    *order = (struct order){0};
    json_error_t error;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
    bool ok = false;
    if (root == NULL) {
        problem_set(problem, "not JSON: line %d column %d: %s", error.line, error.column,
                    error.text);
    } else if (!json_is_object(root)) {
        problem_set(problem, "an order is a JSON object");
    } else {
        ok = take_order(root, order, is_event, problem);
    }
    json_decref(root);
    if (!ok) {
        order_deinit(order);
    }
    return ok;
}

bool order_from_json(const char *data, size_t size, struct order *order,
                     struct order_problem *problem)
{
    return read_order(data, size, order, false, problem);
}

bool order_from_event(const void *data, size_t size, struct order *order,
                      struct order_problem *problem)
{
    *order = (struct order){0};
    if (data == NULL) {
        problem_set(problem, "the event has no data");
        return false;
    }
    return read_order(data, size, order, true, problem);
}

char *order_to_json(const struct order *order)
{
    json_t *lines = order->line_count > 0 ? json_array() : NULL;
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        json_array_append_new(lines, json_pack("{s:s, s:s, s:I, s:f}", "stockCode",
                                               line->stock_code, "description", line->description,
                                               "quantity", (json_int_t)line->quantity, "unitPrice",
                                               (double)line->unit_price / PRICE_UNITS));
    }
    json_t *root = json_pack("{s:s, s:s*, s:s*, s:s, s:s*, s:o*}", "orderId", order->id,
                             "orderedAt", order->ordered_at, "customerId", order->customer_id,
                             "country", order->country, "cancels", order->cancels, "lines", lines);
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(14));
    json_decref(root);
    return text;
}
