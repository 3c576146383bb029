#include "bus/event/where.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/time_text.h"
#include "base/vec.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum node_kind { NODE_TEST, NODE_AND, NODE_OR, NODE_NOT };

enum operator{ OP_THERE, OP_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_MORE, OP_MORE_EQUAL, OP_GLOB };

struct node {
    enum node_kind kind;
    size_t left, right; /* nodes; NODE_NOT: left */
    enum operator operator;
    size_t field; /* WHERE_HEADER */
    char *rest;   /* NULL: a field */
    char *value;
    int64_t number; /* of the value, as the field's kind has it */
    bool is_number; /* the value of a header's test is one */
};

struct where {
    const struct where_field *fields;
    VEC(struct node) nodes;
    size_t root; /* plus 1; 0: it holds of everything */
};

struct parser {
    struct where *where;
    const char *text, *at;
    int64_t now_ms;
    size_t depth;
    struct reason *reason;
};

struct where *where_new(const struct where_field *fields)
{
    struct where *where = mem_new(struct where);
    where->fields = fields;
    return where;
}

static void cut_nodes(struct where *where, size_t count)
{
    while (where->nodes.count > count) {
        struct node *node = &where->nodes.items[--where->nodes.count];
        free(node->rest);
        free(node->value);
    }
}

void where_free(struct where *where)
{
    if (where != NULL) {
        cut_nodes(where, 0);
        vec_deinit(&where->nodes);
        free(where);
    }
}

bool where_is_empty(const struct where *where)
{
    return where->root == 0;
}

bool where_uses(const struct where *where, const char *name)
{
    for (size_t i = 0; i < where->nodes.count; i++) {
        const struct node *node = &where->nodes.items[i];
        if (node->kind == NODE_TEST && node->field != WHERE_HEADER &&
            strcmp(where->fields[node->field].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool where_uses_header(const struct where *where, bool (*but)(const char *name))
{
    for (size_t i = 0; i < where->nodes.count; i++) {
        const struct node *node = &where->nodes.items[i];
        if (node->kind == NODE_TEST && node->field == WHERE_HEADER && !but(node->rest)) {
            return true;
        }
    }
    return false;
}

/* --- nodes --- */

static enum err add_node(struct parser *parser, struct node node, size_t *index)
{
    struct where *where = parser->where;
    if (where->nodes.count >= WHERE_MAX_NODES) {
        free(node.rest);
        free(node.value);
        return reason_fail(parser->reason, ERR_INVALID, "too many conditions (the most is %d)",
                           WHERE_MAX_NODES);
    }
    vec_push(&where->nodes, node);
    *index = where->nodes.count - 1;
    return ERR_NONE;
}

static enum err join(struct parser *parser, enum node_kind kind, size_t left, size_t right,
                     size_t *index)
{
    return add_node(parser, (struct node){.kind = kind, .left = left, .right = right}, index);
}

static enum err find_field(struct parser *parser, const char *name, struct node *node)
{
    static const char prefix[] = "header.";
    if (strncmp(name, prefix, sizeof prefix - 1) == 0 && name[sizeof prefix - 1] != '\0') {
        node->field = WHERE_HEADER;
        node->rest = mem_strdup(name + sizeof prefix - 1);
        return ERR_NONE;
    }
    struct buf names = {0};
    for (size_t i = 0; parser->where->fields[i].name != NULL; i++) {
        const struct where_field *field = &parser->where->fields[i];
        size_t size = strlen(field->name);
        bool is_open = field->kind == WHERE_OPEN;
        if (is_open ? strncmp(field->name, name, size) == 0 && name[size] != '\0'
                    : strcmp(field->name, name) == 0) {
            node->field = i;
            node->rest = is_open ? mem_strdup(name + size) : NULL;
            buf_deinit(&names);
            return ERR_NONE;
        }
        buf_printf(&names, "%s%s, ", field->name, is_open ? "NAME" : "");
    }
    enum err err = reason_fail(parser->reason, ERR_INVALID,
                               "there is no field '%.40s'; there are: %.160sheader.NAME", name,
                               buf_cstr(&names));
    buf_deinit(&names);
    return err;
}

static bool read_number(const char *text, size_t size, int64_t *number)
{
    enum { DIGITS = 24 };
    char copy[DIGITS];
    char *end;
    if (size == 0 || size >= sizeof copy || isspace((unsigned char)text[0])) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    errno = 0;
    *number = strtoll(copy, &end, 10);
    return errno == 0 && end == copy + size;
}

/* As JSON writes numbers; not what strtod takes besides (hexadecimal, infinity, blanks). */
static bool read_decimal(const char *text, size_t size, double *number)
{
    enum { LONGEST = 64 };
    char copy[LONGEST];
    char *end;
    if (size == 0 || size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    *number = strtod(copy, &end);
    return strspn(copy, "+-.eE0123456789") == size && end == copy + size;
}

/* Takes name and value over. */
static enum err add_test(struct parser *parser, const char *name, enum operator operator,
                         char * value, size_t *index)
{
    struct node node = {.kind = NODE_TEST, .operator= operator, .value = value };
    enum err err = find_field(parser, name, &node);
    bool is_text = operator== OP_THERE || operator== OP_GLOB;
    if (err == ERR_NONE && node.rest == NULL && !is_text) {
        enum where_kind kind = parser->where->fields[node.field].kind;
        if (kind == WHERE_NUMBER && !read_number(value, strlen(value), &node.number)) {
            err = reason_fail(parser->reason, ERR_INVALID, "%s is a number, '%.40s' is none", name,
                              value);
        } else if (kind == WHERE_TIME) {
            struct reason why;
            err = time_parse(value, parser->now_ms, &node.number, &why);
            if (err != ERR_NONE) {
                reason_set(parser->reason, "%s: %.200s", name, why.text);
            }
        }
    } else if (err == ERR_NONE && !is_text && node.rest != NULL) {
        node.is_number = read_number(value, strlen(value), &node.number);
    }
    if (err == ERR_NONE && operator== OP_GLOB && node.rest == NULL &&
                           parser->where->fields[node.field]
                               .kind != WHERE_TEXT) {
        err =
            reason_fail(parser->reason, ERR_INVALID, "%s is no text: ~ does not go with it", name);
    }
    if (err != ERR_NONE) {
        free(node.rest);
        free(node.value);
        return err;
    }
    return add_node(parser, node, index);
}

/* --- the text --- */

static void skip_blanks(struct parser *parser)
{
    while (isspace((unsigned char)*parser->at)) {
        parser->at++;
    }
}

static bool is_word_letter(char letter)
{
    return letter != '\0' && !isspace((unsigned char)letter) && letter != '(' && letter != ')';
}

static bool is_name_letter(char letter)
{
    return is_word_letter(letter) && strchr("=!<>~'\"", letter) == NULL;
}

/* Takes the word when it stands here. */
static bool take_word(struct parser *parser, const char *word)
{
    size_t size = strlen(word);
    skip_blanks(parser);
    if (strncasecmp(parser->at, word, size) != 0 || is_name_letter(parser->at[size])) {
        return false;
    }
    parser->at += size;
    return true;
}

static bool take_letter(struct parser *parser, char letter)
{
    skip_blanks(parser);
    if (*parser->at != letter) {
        return false;
    }
    parser->at++;
    return true;
}

static enum err fail_here(struct parser *parser, const char *wanted)
{
    skip_blanks(parser);
    size_t place = (size_t)(parser->at - parser->text) + 1;
    if (*parser->at == '\0') {
        return reason_fail(parser->reason, ERR_INVALID, "it ends where %s should come", wanted);
    }
    return reason_fail(parser->reason, ERR_INVALID, "at letter %zu, '%.30s': %s should come", place,
                       parser->at, wanted);
}

/* *is_negative: the operator is the opposite of *operator. False: there is none here. */
static bool take_operator(struct parser *parser, enum operator* operator, bool * is_negative)
{
    static const struct {
        const char *text;
        enum operator operator;
        bool is_negative;
    } all[] = {
        {"!=", OP_EQUAL, true},       {"!~", OP_GLOB, true},   {"<=", OP_LESS_EQUAL, false},
        {">=", OP_MORE_EQUAL, false}, {"==", OP_EQUAL, false}, {"=", OP_EQUAL, false},
        {"<", OP_LESS, false},        {">", OP_MORE, false},   {"~", OP_GLOB, false},
    };
    skip_blanks(parser);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strncmp(parser->at, all[i].text, strlen(all[i].text)) == 0) {
            parser->at += strlen(all[i].text);
            *operator= all[i].operator;
            *is_negative = all[i].is_negative;
            return true;
        }
    }
    return false;
}

static enum err take_quoted(struct parser *parser, struct buf *to)
{
    char quote = *parser->at++;
    while (*parser->at != quote) {
        if (*parser->at == '\\' && parser->at[1] != '\0') {
            parser->at++;
        }
        if (*parser->at == '\0') {
            return reason_fail(parser->reason, ERR_INVALID, "a quote is not closed");
        }
        buf_append_u8(to, (uint8_t)*parser->at++);
    }
    parser->at++;
    return ERR_NONE;
}

static enum err take_value(struct parser *parser, char **value)
{
    struct buf text = {0};
    enum err err = ERR_NONE;
    skip_blanks(parser);
    if (*parser->at == '\'' || *parser->at == '"') {
        err = take_quoted(parser, &text);
    } else {
        const char *from = parser->at;
        while (is_word_letter(*parser->at)) {
            parser->at++;
        }
        buf_append(&text, from, (size_t)(parser->at - from));
        err = text.size == 0 ? fail_here(parser, "a value") : ERR_NONE;
    }
    *value = err == ERR_NONE ? mem_strdup(buf_cstr(&text)) : NULL;
    buf_deinit(&text);
    return err;
}

static enum err take_test(struct parser *parser, size_t *index)
{
    enum operator operator= OP_THERE;
    bool is_negative = false;
    char *value = NULL;
    skip_blanks(parser);
    const char *from = parser->at;
    while (is_name_letter(*parser->at)) {
        parser->at++;
    }
    if (parser->at == from) {
        return fail_here(parser, "the name of a field");
    }
    char *name = mem_strndup(from, (size_t)(parser->at - from));
    enum err err = ERR_NONE;
    if (take_operator(parser, &operator, & is_negative)) {
        err = take_value(parser, &value);
    }
    if (err == ERR_NONE) {
        err = add_test(parser, name, operator, value, index);
    }
    free(name);
    if (err == ERR_NONE && is_negative) {
        err = join(parser, NODE_NOT, *index, 0, index);
    }
    return err;
}

static enum err take_condition(struct parser *parser, size_t *index);

static enum err take_factor(struct parser *parser, size_t *index)
{
    enum err err;
    if (++parser->depth > WHERE_MAX_DEPTH) {
        return reason_fail(parser->reason, ERR_INVALID, "it is nested too deeply (the most is %d)",
                           WHERE_MAX_DEPTH);
    }
    if (take_word(parser, "not")) {
        err = take_factor(parser, index);
        err = err == ERR_NONE ? join(parser, NODE_NOT, *index, 0, index) : err;
    } else if (take_letter(parser, '(')) {
        err = take_condition(parser, index);
        if (err == ERR_NONE && !take_letter(parser, ')')) {
            err = fail_here(parser, "')'");
        }
    } else {
        err = take_test(parser, index);
    }
    parser->depth--;
    return err;
}

static enum err take_term(struct parser *parser, size_t *index)
{
    enum err err = take_factor(parser, index);
    while (err == ERR_NONE && take_word(parser, "and")) {
        size_t right;
        err = take_factor(parser, &right);
        err = err == ERR_NONE ? join(parser, NODE_AND, *index, right, index) : err;
    }
    return err;
}

static enum err take_condition(struct parser *parser, size_t *index)
{
    enum err err = take_term(parser, index);
    while (err == ERR_NONE && take_word(parser, "or")) {
        size_t right;
        err = take_term(parser, &right);
        err = err == ERR_NONE ? join(parser, NODE_OR, *index, right, index) : err;
    }
    return err;
}

/* Makes `index` hold as well. */
static enum err narrow(struct parser *parser, size_t index)
{
    struct where *where = parser->where;
    enum err err = ERR_NONE;
    if (where->root > 0) {
        err = join(parser, NODE_AND, where->root - 1, index, &index);
    }
    where->root = err == ERR_NONE ? index + 1 : where->root;
    return err;
}

enum err where_add(struct where *where, const char *text, int64_t now_ms, struct reason *reason)
{
    struct parser parser = {
        .where = where, .text = text, .at = text, .now_ms = now_ms, .reason = reason};
    size_t before = where->nodes.count, index = 0;
    if (strlen(text) > WHERE_MAX_BYTES) {
        return reason_fail(reason, ERR_INVALID, "it has more than %d bytes", WHERE_MAX_BYTES);
    }
    enum err err = take_condition(&parser, &index);
    skip_blanks(&parser);
    if (err == ERR_NONE && *parser.at != '\0') {
        err = fail_here(&parser, "'and', 'or' or the end");
    }
    if (err == ERR_NONE) {
        err = narrow(&parser, index);
    }
    if (err != ERR_NONE) {
        cut_nodes(where, before);
    }
    return err;
}

enum err where_add_any(struct where *where, const char *name, const char *operator_text,
                       const char *const *values, size_t count, int64_t now_ms,
                       struct reason *reason)
{
    struct parser parser = {.where = where,
                            .text = operator_text,
                            .at = operator_text,
                            .now_ms = now_ms,
                            .reason = reason};
    size_t before = where->nodes.count, index = 0;
    enum operator operator;
    bool is_negative;
    if (count == 0) {
        return ERR_NONE;
    }
    if (!take_operator(&parser, &operator, & is_negative) || is_negative) {
        return reason_fail(reason, ERR_INVALID, "'%s' is no operator for this", operator_text);
    }
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        size_t next;
        err = add_test(&parser, name, operator, mem_strdup(values[i]), &next);
        if (err == ERR_NONE && i > 0) {
            err = join(&parser, NODE_OR, index, next, &next);
        }
        index = err == ERR_NONE ? next : index;
    }
    if (err == ERR_NONE) {
        err = narrow(&parser, index);
    }
    if (err != ERR_NONE) {
        cut_nodes(where, before);
    }
    return err;
}

/* --- what holds --- */

/* By going back to behind the last star: quick, unless much of the pattern fits again and again. */
static bool glob_by_turns(const char *pattern, struct slice text)
{
    const char *star = NULL; /* behind the last one met, and what it took of the text */
    size_t at = 0, taken = 0;
    while (at < text.size) {
        if (*pattern == '*') {
            star = ++pattern;
            taken = at;
        } else if (*pattern == '?' || (*pattern != '\0' && (uint8_t)*pattern == text.data[at])) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++taken;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

enum { BYTES = 256, WORD_BITS = 64 };

/* Bit n: the n letters of the pattern before this place fit (Baeza-Yates and Gonnet, "A new
 * approach to text searching", 1992). */
struct places {
    size_t count, words;
    uint64_t *next;  /* for each byte: places that it leads on from */
    uint64_t *stays; /* places with a star: any byte leads to them again */
    uint64_t *now;
};

static void note_letter(struct places *places, uint8_t letter)
{
    size_t word = places->count / WORD_BITS;
    uint64_t bit = UINT64_C(1) << places->count % WORD_BITS;
    for (size_t byte = 0; byte < BYTES; byte++) {
        places->next[byte * places->words + word] |= letter == '?' || letter == byte ? bit : 0;
    }
    places->count++;
}

/* False: the text leads nowhere. */
static bool take_byte(struct places *places, uint8_t byte)
{
    const uint64_t *next = &places->next[byte * places->words];
    uint64_t carried = 0, any = 0;
    for (size_t i = 0; i < places->words; i++) {
        uint64_t on = places->now[i] & next[i];
        places->now[i] = on << 1 | carried | (places->now[i] & places->stays[i]);
        carried = on >> (WORD_BITS - 1);
        any |= places->now[i];
    }
    return any != 0;
}

/* All places of the pattern at once. */
static bool glob_at_once(const char *pattern, struct slice text)
{
    size_t words = strlen(pattern) / WORD_BITS + 1, at = 0;
    uint64_t *bits = mem_new_array(uint64_t, (BYTES + 2) * words);
    struct places places = {.words = words,
                            .next = bits,
                            .stays = bits + BYTES * words,
                            .now = bits + (BYTES + 1) * words};
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            places.stays[places.count / WORD_BITS] |= UINT64_C(1) << places.count % WORD_BITS;
        } else {
            note_letter(&places, (uint8_t)*pattern);
        }
    }
    places.now[0] = 1;
    while (at < text.size && take_byte(&places, text.data[at])) {
        at++;
    }
    bool fits = places.now[places.count / WORD_BITS] >> places.count % WORD_BITS & 1;
    free(bits);
    return fits;
}

bool where_glob(const char *pattern, struct slice text)
{
    enum { TURNS_MOST = 1 << 20 };
    size_t size = strlen(pattern);
    return size == 0 || text.size <= TURNS_MOST / size ? glob_by_turns(pattern, text)
                                                       : glob_at_once(pattern, text);
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_texts(struct slice a, struct slice b)
{
    return slice_compare(a, b);
}

static int compare(const struct where *where, const struct node *node,
                   const struct where_value *value)
{
    int64_t number;
    if (node->rest == NULL && where->fields[node->field].kind != WHERE_TEXT) {
        return compare_numbers(value->number, node->number);
    }
    if (node->is_number && read_number((const char *)value->text.data, value->text.size, &number)) {
        return compare_numbers(number, node->number);
    }
    double left, right;
    if (node->rest != NULL &&
        node->operator!= OP_EQUAL &&
        read_decimal((const char *)value->text.data, value->text.size, &left) &&
        read_decimal(node->value, strlen(node->value), &right)) {
        return (left > right) - (left < right);
    }
    return compare_texts(value->text, slice_str(node->value));
}

static bool test_holds(const struct where *where, const struct node *node, where_get *get,
                       const void *context)
{
    struct where_value value = get(context, node->field, node->rest);
    if (!value.is_there || node->operator== OP_THERE) {
        return value.is_there;
    }
    if (node->operator== OP_GLOB) {
        return where_glob(node->value, value.text);
    }
    int order = compare(where, node, &value);
    switch (node->operator) {
    case OP_EQUAL:
        return order == 0;
    case OP_LESS:
        return order < 0;
    case OP_LESS_EQUAL:
        return order <= 0;
    case OP_MORE:
        return order > 0;
    case OP_MORE_EQUAL:
        return order >= 0;
    case OP_THERE:
    case OP_GLOB:
        break;
    }
    return false;
}

/* Nodes come behind those that they join, so the depth is at most their number. */
static bool node_holds(const struct where *where, size_t index, where_get *get, const void *context)
{
    const struct node *node = &where->nodes.items[index];
    switch (node->kind) {
    case NODE_AND:
        return node_holds(where, node->left, get, context) &&
               node_holds(where, node->right, get, context);
    case NODE_OR:
        return node_holds(where, node->left, get, context) ||
               node_holds(where, node->right, get, context);
    case NODE_NOT:
        return !node_holds(where, node->left, get, context);
    case NODE_TEST:
        break;
    }
    return test_holds(where, node, get, context);
}

bool where_holds(const struct where *where, where_get *get, const void *context)
{
    return where->root == 0 || node_holds(where, where->root - 1, get, context);
}

/* --- in words --- */

static void tell_test(const struct where *where, const struct node *node, struct buf *text)
{
    static const char *const operators[] = {
        [OP_EQUAL] = "=", [OP_LESS] = "<",        [OP_LESS_EQUAL] = "<=",
        [OP_MORE] = ">",  [OP_MORE_EQUAL] = ">=", [OP_GLOB] = "~",
    };
    buf_printf(text, "%s%s",
               node->field == WHERE_HEADER ? "header." : where->fields[node->field].name,
               node->rest != NULL ? node->rest : "");
    if (node->operator!= OP_THERE) {
        buf_printf(text, " %s '", operators[node->operator]);
        for (const char *at = node->value; *at != '\0'; at++) {
            buf_append_str(text, *at == '\'' || *at == '\\' ? "\\" : "");
            buf_append_u8(text, (uint8_t)*at);
        }
        buf_append_str(text, "'");
    }
}

static void tell_node(const struct where *where, size_t index, struct buf *text)
{
    const struct node *node = &where->nodes.items[index];
    if (node->kind == NODE_TEST) {
        tell_test(where, node, text);
    } else if (node->kind == NODE_NOT) {
        buf_append_str(text, "not ");
        tell_node(where, node->left, text);
    } else {
        buf_append_str(text, "(");
        tell_node(where, node->left, text);
        buf_append_str(text, node->kind == NODE_AND ? " and " : " or ");
        tell_node(where, node->right, text);
        buf_append_str(text, ")");
    }
}

struct telling {
    const struct where *where;
    where_get *get;
    const void *context;
    void (*each)(void *each_context, const struct where_part *part);
    void *each_context;
};

static size_t tell_part(const struct telling *telling, size_t index)
{
    const struct where *where = telling->where;
    const struct node *node = &where->nodes.items[index];
    if (node->kind == NODE_AND) {
        size_t left = tell_part(telling, node->left);
        return left + tell_part(telling, node->right);
    }
    struct buf text = {0};
    tell_node(where, index, &text);
    const struct node *test = node->kind == NODE_NOT ? &where->nodes.items[node->left] : node;
    struct where_part part = {
        .holds = node_holds(where, index, telling->get, telling->context),
        .text = buf_cstr(&text),
        .is_test = test->kind == NODE_TEST,
        .kind = WHERE_TEXT,
    };
    if (part.is_test) {
        part.kind = test->field == WHERE_HEADER ? WHERE_TEXT : where->fields[test->field].kind;
        part.value = telling->get(telling->context, test->field, test->rest);
    }
    telling->each(telling->each_context, &part);
    buf_deinit(&text);
    return part.holds;
}

size_t where_tell(const struct where *where, where_get *get, const void *context,
                  void (*each)(void *each_context, const struct where_part *part),
                  void *each_context)
{
    struct telling telling = {where, get, context, each, each_context};
    return where->root == 0 ? 0 : tell_part(&telling, where->root - 1);
}
