#include "base/pattern_parse.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>

/* Text to tree, by recursive descent: either, sequence, repetition, atom. */

enum { MAX_COUNT = 1000, NO_NODE = -1 };

struct parser {
    struct slice text;
    size_t at;
    int depth;
    bool ignore_case;
    bool dot_newline;
    struct pattern_tree *tree;
    const char *error; /* the first; NULL: none */
};

static int32_t fail(struct parser *p, const char *error)
{
    if (p->error == NULL) {
        p->error = error;
    }
    return NO_NODE;
}

static bool more(const struct parser *p)
{
    return p->at < p->text.size && p->error == NULL;
}

static bool next_is(const struct parser *p, const char *text)
{
    size_t size = strlen(text);
    return p->text.size - p->at >= size && memcmp(p->text.data + p->at, text, size) == 0;
}

static bool skip(struct parser *p, const char *text)
{
    bool there = next_is(p, text);
    p->at += there ? strlen(text) : 0;
    return there;
}

static int32_t add_node(struct parser *p, struct pattern_node node)
{
    struct pattern_tree *tree = p->tree;
    if (tree->node_count == tree->node_capacity) {
        tree->node_capacity = tree->node_capacity == 0 ? 32 : 2 * tree->node_capacity;
        tree->nodes = mem_realloc(tree->nodes, (size_t)tree->node_capacity * sizeof *tree->nodes);
    }
    tree->nodes[tree->node_count] = node;
    return tree->node_count++;
}

static int32_t add_set(struct parser *p, struct byte_set set)
{
    struct pattern_tree *tree = p->tree;
    if (p->ignore_case) {
        byte_set_fold_case(&set);
    }
    if (tree->set_count == tree->set_capacity) {
        tree->set_capacity = tree->set_capacity == 0 ? 16 : 2 * tree->set_capacity;
        tree->sets = mem_realloc(tree->sets, (size_t)tree->set_capacity * sizeof *tree->sets);
    }
    tree->sets[tree->set_count] = set;
    return add_node(p, (struct pattern_node){.kind = NODE_SET, .set = tree->set_count++});
}

static int32_t add_character(struct parser *p, uint32_t character)
{
    struct byte_set set = {{0}};
    byte_set_add_range(&set, character, character);
    return add_set(p, set);
}

/* The next character; one outside ASCII is 0x80 or more. */
static uint32_t take_character(struct parser *p)
{
    uint8_t first = p->text.data[p->at++];
    if (first >= 0x80) {
        while (p->at < p->text.size && (p->text.data[p->at] & 0xc0) == 0x80) {
            p->at++;
        }
    }
    return first;
}

static uint32_t take_hex(struct parser *p)
{
    bool braced = skip(p, "{");
    uint32_t value = 0;
    size_t digits = 0, most = braced ? 6 : 2;
    for (; more(p) && digits < most && isxdigit(p->text.data[p->at]); digits++) {
        uint8_t digit = p->text.data[p->at++];
        value = 16 * value + (uint32_t)(isdigit(digit) ? digit - '0' : (tolower(digit) - 'a' + 10));
    }
    if (digits == 0 || (!braced && digits < 2) || (braced && !skip(p, "}"))) {
        fail(p, "\\x needs two hexadecimal digits, or some in braces");
    }
    return value;
}

/* The character that an escape means, behind its backslash; not for classes and assertions. */
static uint32_t take_escaped(struct parser *p)
{
    static const char letters[] = "afnrtv";
    static const char values[] = "\a\f\n\r\t\v";
    if (!more(p)) {
        fail(p, "nothing follows the last backslash");
        return 0;
    }
    uint8_t letter = p->text.data[p->at++];
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found != NULL) {
        return (uint8_t)values[found - letters];
    }
    if (letter == 'x') {
        return take_hex(p);
    }
    if (letter >= 0x80 || isalnum(letter)) {
        fail(p, "this escape is not served");
    }
    return letter;
}

/* \d, \D and so on, with `at` on the letter: adds it to the set. */
static bool take_class_escape(struct parser *p, struct byte_set *set)
{
    if (p->at >= p->text.size) {
        return false;
    }
    uint8_t letter = p->text.data[p->at];
    struct byte_set class = {{0}};
    if (letter >= 0x80 || !byte_set_add_letter((uint8_t)tolower(letter), &class)) {
        return false;
    }
    if (isupper(letter)) {
        byte_set_invert(&class);
    }
    set->bits[0] |= class.bits[0];
    set->bits[1] |= class.bits[1];
    p->at++;
    return true;
}

/* ---- [...] ---- */

static void take_named_class(struct parser *p, struct byte_set *set)
{
    bool inverted = skip(p, "^");
    size_t begin = p->at;
    while (more(p) && isalpha(p->text.data[p->at])) {
        p->at++;
    }
    struct byte_set class = {{0}};
    struct slice name = slice_of(p->text.data + begin, p->at - begin);
    if (!byte_set_add_named(name, &class) || !skip(p, ":]")) {
        fail(p, "there is no such [:class:]");
        return;
    }
    if (inverted) {
        byte_set_invert(&class);
    }
    set->bits[0] |= class.bits[0];
    set->bits[1] |= class.bits[1];
}

static uint32_t take_class_character(struct parser *p)
{
    return skip(p, "\\") ? take_escaped(p) : take_character(p);
}

static void take_class_item(struct parser *p, struct byte_set *set)
{
    if (skip(p, "[:")) {
        take_named_class(p, set);
        return;
    }
    if (next_is(p, "\\")) {
        p->at++;
        if (take_class_escape(p, set)) {
            return;
        }
        p->at--;
    }
    uint32_t first = take_class_character(p);
    uint32_t last = first;
    if (next_is(p, "-") && !next_is(p, "-]") && p->at + 1 < p->text.size) {
        p->at++;
        last = take_class_character(p);
        if (last < first) {
            fail(p, "a range in [] goes backwards");
        }
    }
    byte_set_add_range(set, first, last);
}

static int32_t take_class(struct parser *p)
{
    struct byte_set set = {{0}};
    bool inverted = skip(p, "^");
    bool first = true;
    while (more(p) && (first || !next_is(p, "]"))) {
        first = false;
        take_class_item(p, &set);
    }
    if (!skip(p, "]")) {
        return fail(p, "a [ is not closed");
    }
    if (inverted) {
        if (p->ignore_case) {
            byte_set_fold_case(&set);
        }
        byte_set_invert(&set);
    }
    return add_set(p, set);
}

/* ---- atoms ---- */

static int32_t take_either(struct parser *p);

static int32_t add_kind(struct parser *p, enum pattern_node_kind kind)
{
    return add_node(p, (struct pattern_node){.kind = kind});
}

/* \Q...\E: every character is itself. */
static int32_t take_quoted(struct parser *p)
{
    int32_t node = add_kind(p, NODE_EMPTY);
    while (more(p) && !skip(p, "\\E")) {
        int32_t right = add_character(p, take_character(p));
        node = add_node(p, (struct pattern_node){.kind = NODE_CAT, .left = node, .right = right});
    }
    return node;
}

static int32_t take_escape(struct parser *p)
{
    struct byte_set set = {{0}};
    if (skip(p, "Q")) {
        return take_quoted(p);
    }
    if (skip(p, "A")) {
        return add_kind(p, NODE_BEGIN);
    }
    if (skip(p, "z")) {
        return add_kind(p, NODE_END);
    }
    if (skip(p, "b")) {
        return add_kind(p, NODE_WORD_EDGE);
    }
    if (skip(p, "B")) {
        return add_kind(p, NODE_NO_WORD_EDGE);
    }
    if (take_class_escape(p, &set)) {
        return add_set(p, set);
    }
    return add_character(p, take_escaped(p));
}

/* The flags of (?flags) or (?flags:, up to the closing character. */
static void take_flags(struct parser *p)
{
    bool on = true;
    while (more(p) && !next_is(p, ")") && !next_is(p, ":")) {
        uint8_t flag = p->text.data[p->at++];
        if (flag == '-' && on) {
            on = false;
        } else if (flag == 'i') {
            p->ignore_case = on;
        } else if (flag == 's') {
            p->dot_newline = on;
        } else {
            fail(p, "of the (? forms, groups and the flags i and s are served");
        }
    }
}

static void take_group_name(struct parser *p)
{
    size_t begin = p->at;
    while (more(p) && (isalnum(p->text.data[p->at]) || p->text.data[p->at] == '_')) {
        p->at++;
    }
    if (p->at == begin || !skip(p, ">")) {
        fail(p, "a group's name is not closed");
    }
}

static int32_t take_group(struct parser *p)
{
    bool ignore_case = p->ignore_case, dot_newline = p->dot_newline;
    if (++p->depth > PATTERN_MAX_DEPTH) {
        return fail(p, "groups are nested too deep");
    }
    if (next_is(p, "?<=") || next_is(p, "?<!")) {
        return fail(p, "look-around is not served");
    }
    if (skip(p, "?P<") || skip(p, "?<")) {
        take_group_name(p);
    } else if (skip(p, "?")) {
        take_flags(p);
        if (skip(p, ")")) { /* (?i): from here to the end of the group around */
            p->depth--;
            return add_kind(p, NODE_EMPTY);
        }
        skip(p, ":");
    }
    int32_t node = take_either(p);
    if (!skip(p, ")")) {
        return fail(p, "a ( is not closed");
    }
    p->depth--;
    p->ignore_case = ignore_case;
    p->dot_newline = dot_newline;
    return node;
}

static int32_t take_atom(struct parser *p)
{
    if (skip(p, "(")) {
        return take_group(p);
    }
    if (skip(p, "[")) {
        return take_class(p);
    }
    if (skip(p, "\\")) {
        return take_escape(p);
    }
    if (skip(p, "^")) {
        return add_kind(p, NODE_BEGIN);
    }
    if (skip(p, "$")) {
        return add_kind(p, NODE_END);
    }
    if (skip(p, ".")) {
        struct byte_set set = {{0}};
        if (!p->dot_newline) {
            byte_set_add(&set, '\n');
        }
        byte_set_invert(&set);
        return add_set(p, set);
    }
    if (next_is(p, "*") || next_is(p, "+") || next_is(p, "?")) {
        return fail(p, "there is nothing before it to repeat");
    }
    return add_character(p, take_character(p));
}

/* ---- repetition, sequence, either ---- */

/* A number of {m,n}; false when there is none. */
static bool take_number(struct parser *p, int32_t *out)
{
    size_t begin = p->at;
    int32_t value = 0;
    while (p->at < p->text.size && isdigit(p->text.data[p->at])) {
        value = value > MAX_COUNT ? value : 10 * value + (p->text.data[p->at] - '0');
        p->at++;
    }
    *out = value;
    return p->at > begin;
}

/* {m}, {m,} or {m,n}; else nothing is taken, and the brace is a character like any other. */
static bool take_counts(struct parser *p, int32_t *least, int32_t *most)
{
    size_t begin = p->at;
    bool good = skip(p, "{") && take_number(p, least);
    if (good && skip(p, ",")) {
        if (!take_number(p, most)) {
            *most = -1;
        }
    } else {
        *most = *least;
    }
    if (!good || !skip(p, "}")) {
        p->at = begin;
        return false;
    }
    if (*least > MAX_COUNT || *most > MAX_COUNT || (*most >= 0 && *most < *least)) {
        fail(p, "a repetition count is over 1000 or ends before it begins");
    }
    return true;
}

static bool take_repetition(struct parser *p, int32_t *least, int32_t *most)
{
    *least = 0;
    *most = -1;
    if (skip(p, "*")) {
        return true;
    }
    if (skip(p, "+")) {
        *least = 1;
        return true;
    }
    if (skip(p, "?")) {
        *most = 1;
        return true;
    }
    return take_counts(p, least, most);
}

static int32_t take_repeated(struct parser *p)
{
    int32_t node = take_atom(p);
    int32_t least, most;
    if (more(p) && take_repetition(p, &least, &most)) {
        skip(p, "?"); /* lazy: the same names match */
        node = add_node(p, (struct pattern_node){
                               .kind = NODE_REPEAT, .left = node, .least = least, .most = most});
        if (more(p) && take_repetition(p, &least, &most)) {
            return fail(p, "a repetition is repeated");
        }
    }
    return node;
}

static int32_t take_sequence(struct parser *p)
{
    int32_t node = add_kind(p, NODE_EMPTY);
    while (more(p) && !next_is(p, "|") && !next_is(p, ")")) {
        int32_t right = take_repeated(p);
        node = add_node(p, (struct pattern_node){.kind = NODE_CAT, .left = node, .right = right});
    }
    return node;
}

static int32_t take_either(struct parser *p)
{
    int32_t node = take_sequence(p);
    while (more(p) && skip(p, "|")) {
        int32_t right = take_sequence(p);
        node =
            add_node(p, (struct pattern_node){.kind = NODE_EITHER, .left = node, .right = right});
    }
    return node;
}

enum err pattern_parse(struct slice text, struct pattern_tree *tree, struct reason *reason)
{
    struct parser p = {.text = text, .tree = tree};
    tree->root = take_either(&p);
    if (p.error == NULL && p.at < text.size) {
        fail(&p, "a ) closes nothing"); /* all else is taken by take_either */
    }
    if (p.error != NULL) {
        return reason_fail(
            reason, ERR_INVALID_REGEX, "the regular expression '%.*s' at byte %zu: %s",
            (int)(text.size < 80 ? text.size : 80), (const char *)text.data, p.at, p.error);
    }
    return ERR_NONE;
}

void pattern_tree_deinit(struct pattern_tree *tree)
{
    free(tree->nodes);
    free(tree->sets);
    *tree = (struct pattern_tree){0};
}
