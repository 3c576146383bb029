#include "bus/spec/schema_infer.h"

#include "base/vec.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

enum kind { OBJECT, ARRAY, STRING, NUMBER, INTEGER, BOOLEAN, NONE, KINDS };

static const char *const kind_names[KINDS] = {"object",  "array",   "string", "number",
                                              "integer", "boolean", "null"};
static const char *const format_names[SCHEMA_FORMATS] = {"date-time", "uuid", "uri"};

enum { ALL_FORMATS = (1 << SCHEMA_FORMATS) - 1, ALL_KINDS = (1 << KINDS) - 1 };

struct word {
    char text[SCHEMA_WORD_BYTES + 1];
    uint64_t count;
};

struct property {
    char *name;
    uint64_t count;    /* of objects that had it */
    struct node *node; /* NULL: there was no place, anything fits */
};

/* What was seen at one place of the values. */
struct node {
    unsigned kinds;   /* bits */
    unsigned formats; /* that all strings fit */
    uint64_t objects, strings;
    VEC(struct word) words;
    bool has_other_words;
    VEC(struct property) properties;
    bool is_dictionary;
    struct node *items; /* of all arrays; NULL: none was seen, or there was no place */
    bool has_any_items; /* there was no place */
};

struct schema_infer {
    struct node *root;
    size_t nodes;
};

static struct node *make_node(struct schema_infer *infer, int depth)
{
    if (infer->nodes == SCHEMA_NODES_MAX || depth > SCHEMA_DEPTH_MAX) {
        return NULL;
    }
    infer->nodes++;
    struct node *node = mem_new(struct node);
    node->formats = ALL_FORMATS;
    return node;
}

static void free_node(struct schema_infer *infer, struct node *node)
{
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->properties.count; i++) {
        free(node->properties.items[i].name);
        free_node(infer, node->properties.items[i].node);
    }
    free_node(infer, node->items);
    vec_deinit(&node->properties);
    vec_deinit(&node->words);
    free(node);
    infer->nodes--;
}

struct schema_infer *schema_infer_new(void)
{
    struct schema_infer *infer = mem_new(struct schema_infer);
    infer->root = make_node(infer, 0);
    return infer;
}

void schema_infer_free(struct schema_infer *infer)
{
    if (infer != NULL) {
        free_node(infer, infer->root);
        free(infer);
    }
}

/* --- strings --- */

/* As code has them: letters first, then digits, '_', '-' and '.'. */
static bool is_word(const char *text, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return size > 0 && size <= SCHEMA_WORD_BYTES && memchr(text, '\0', size) == NULL &&
           strchr(letters, text[0]) != NULL &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
               size;
}

static void take_word(struct node *node, const char *text, size_t size, uint64_t count)
{
    for (size_t i = 0; i < node->words.count; i++) {
        if (strcmp(node->words.items[i].text, text) == 0) {
            node->words.items[i].count += count;
            return;
        }
    }
    if (node->words.count == SCHEMA_WORDS_MAX) {
        node->has_other_words = true;
        vec_deinit(&node->words);
        return;
    }
    struct word *word = vec_add(&node->words);
    memcpy(word->text, text, size);
    word->count = count;
}

static void take_string(struct node *node, const char *text, size_t size)
{
    node->strings++;
    node->formats &= node->formats != 0 ? schema_formats_of(text, size) : 0;
    if (!node->has_other_words && is_word(text, size)) {
        take_word(node, text, size, 1);
    } else if (!node->has_other_words) {
        node->has_other_words = true;
        vec_deinit(&node->words);
    }
}

/* --- objects --- */

static struct property *find_property(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->properties.count; i++) {
        if (strcmp(node->properties.items[i].name, name) == 0) {
            return &node->properties.items[i];
        }
    }
    return NULL;
}

/* A name that is data itself: an id, a number, an address (but not JSON-LD's "@type"). */
static bool is_data(const char *name)
{
    size_t size = strlen(name);
    return size == 0 || size > SCHEMA_NAME_BYTES || strspn(name, "0123456789") == size ||
           strchr(name + 1, '@') != NULL || schema_formats_of(name, size) != 0;
}

/* Of a dictionary, what not every object had is data. */
static void drop_data(struct schema_infer *infer, struct node *node)
{
    for (size_t i = node->properties.count; i-- > 0;) {
        struct property *property = &node->properties.items[i];
        if (property->count < node->objects) {
            free(property->name);
            free_node(infer, property->node);
            vec_remove(&node->properties, i);
        }
    }
}

/* NULL: the name is not kept. */
static struct property *reach_property(struct schema_infer *infer, struct node *node,
                                       const char *name, int depth)
{
    struct property *property = find_property(node, name);
    if (property != NULL) {
        return property;
    }
    if (node->properties.count == SCHEMA_NAMES_MAX || is_data(name)) {
        node->is_dictionary = true;
        return NULL;
    }
    if (node->is_dictionary && node->objects > 1) {
        return NULL;
    }
    property = vec_add(&node->properties);
    property->name = mem_strdup(name);
    property->node = make_node(infer, depth + 1);
    return property;
}

static void take(struct schema_infer *infer, struct node *node, const json_t *value, int depth);

static void take_object(struct schema_infer *infer, struct node *node, const json_t *value,
                        int depth)
{
    const char *name;
    json_t *member;
    node->objects++;
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        struct property *property = reach_property(infer, node, name, depth);
        if (property != NULL) {
            property->count++;
            take(infer, property->node, member, depth + 1);
        }
    }
    if (node->is_dictionary) {
        drop_data(infer, node);
    }
}

static void take_array(struct schema_infer *infer, struct node *node, const json_t *value,
                       int depth)
{
    if (json_array_size(value) > 0 && node->items == NULL && !node->has_any_items) {
        node->items = make_node(infer, depth + 1);
        node->has_any_items = node->items == NULL;
    }
    for (size_t i = 0; node->items != NULL && i < json_array_size(value); i++) {
        take(infer, node->items, json_array_get(value, i), depth + 1);
    }
}

static enum kind kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return OBJECT;
    case JSON_ARRAY:
        return ARRAY;
    case JSON_STRING:
        return STRING;
    case JSON_INTEGER:
        return INTEGER;
    case JSON_REAL:
        return NUMBER;
    case JSON_NULL:
        return NONE;
    default:
        return BOOLEAN;
    }
}

static void take(struct schema_infer *infer, struct node *node, const json_t *value, int depth)
{
    if (node == NULL) {
        return;
    }
    enum kind kind = kind_of(value);
    node->kinds |= 1u << kind;
    if (kind == OBJECT) {
        take_object(infer, node, value, depth);
    } else if (kind == ARRAY) {
        take_array(infer, node, value, depth);
    } else if (kind == STRING) {
        take_string(node, json_string_value(value), json_string_length(value));
    }
}

void schema_infer_take(struct schema_infer *infer, const json_t *value)
{
    take(infer, infer->root, value, 0);
}

/* --- the schema --- */

static json_t *schema_of(const struct node *node, const char *name);

static json_t *kinds_json(unsigned kinds)
{
    json_t *list = json_array();
    for (int i = 0; i < KINDS; i++) {
        bool is_part = i == INTEGER && (kinds & 1u << NUMBER) != 0;
        if ((kinds & 1u << i) != 0 && !is_part) {
            json_array_append_new(list, json_string(kind_names[i]));
        }
    }
    if (json_array_size(list) == 1) {
        json_t *only = json_incref(json_array_get(list, 0));
        json_decref(list);
        return only;
    }
    return list;
}

static bool speaks_of_people(const char *name)
{
    static const char *const words[] = {"secret", "passw", "token", "key",  "mail",
                                        "name",   "phone", "user",  "auth", "customer"};
    for (size_t i = 0; name != NULL && i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(name, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_enum(const struct node *node, const char *name)
{
    unsigned others = node->kinds & ~(1u << STRING | 1u << NONE);
    return others == 0 && !node->has_other_words && node->words.count > 1 &&
           !speaks_of_people(name) &&
           node->strings >= (uint64_t)SCHEMA_WORD_TIMES * node->words.count;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

static json_t *words_json(const struct node *node)
{
    json_t *list = json_array();
    struct word words[SCHEMA_WORDS_MAX];
    memcpy(words, node->words.items, node->words.count * sizeof *words);
    qsort(words, node->words.count, sizeof *words, compare_words);
    for (size_t i = 0; i < node->words.count; i++) {
        json_array_append_new(list, json_string(words[i].text));
    }
    if ((node->kinds & 1u << NONE) != 0) {
        json_array_append_new(list, json_null());
    }
    return list;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* Sorted, so that the order in which values came makes no difference. */
static json_t *sorted(json_t *names)
{
    size_t count = json_array_size(names);
    json_t **items = mem_new_array(json_t *, count + 1);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        items[i] = json_array_get(names, i);
    }
    qsort(items, count, sizeof *items, compare_names);
    for (size_t i = 0; i < count; i++) {
        json_array_append(list, items[i]);
    }
    free(items);
    json_decref(names);
    return list;
}

static void set_properties(const struct node *node, json_t *schema)
{
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < node->properties.count; i++) {
        const struct property *property = &node->properties.items[i];
        json_object_set_new(properties, property->name, schema_of(property->node, property->name));
        if (property->count == node->objects) {
            json_array_append_new(required, json_string(property->name));
        }
    }
    json_object_set_new(schema, "properties", properties);
    if (json_array_size(required) > 0) {
        json_object_set_new(schema, "required", sorted(required));
    } else {
        json_decref(required);
    }
}

static json_t *schema_of(const struct node *node, const char *name)
{
    json_t *schema = json_object();
    if (node == NULL || node->kinds == 0) {
        return schema;
    }
    json_object_set_new(schema, "type", kinds_json(node->kinds));
    if ((node->kinds & 1u << OBJECT) != 0) {
        set_properties(node, schema);
    }
    if (node->items != NULL) {
        json_object_set_new(schema, "items", schema_of(node->items, name));
    }
    for (int i = 0; i < SCHEMA_FORMATS && node->strings > 0; i++) {
        if ((node->formats & 1u << i) != 0) {
            json_object_set_new(schema, "format", json_string(format_names[i]));
            return schema;
        }
    }
    if (is_enum(node, name)) {
        json_object_set_new(schema, "enum", words_json(node));
    }
    return schema;
}

json_t *schema_infer_json(const struct schema_infer *infer)
{
    return schema_of(infer->root, NULL);
}

/* --- keeping --- */

static json_t *keep(const struct node *node)
{
    if (node == NULL) {
        return json_null();
    }
    json_t *words = json_object(), *properties = json_object();
    for (size_t i = 0; i < node->words.count; i++) {
        json_object_set_new(words, node->words.items[i].text,
                            json_integer((json_int_t)node->words.items[i].count));
    }
    for (size_t i = 0; i < node->properties.count; i++) {
        const struct property *property = &node->properties.items[i];
        json_object_set_new(properties, property->name,
                            json_pack("[I, o]", (json_int_t)property->count, keep(property->node)));
    }
    return json_pack("{s:i, s:i, s:I, s:I, s:o, s:b, s:o, s:b, s:o, s:b}", "kinds",
                     (int)node->kinds, "formats", (int)node->formats, "objects",
                     (json_int_t)node->objects, "strings", (json_int_t)node->strings, "words",
                     words, "other_words", node->has_other_words, "properties", properties,
                     "dictionary", node->is_dictionary, "items", keep(node->items), "any_items",
                     node->has_any_items);
}

json_t *schema_infer_keep(const struct schema_infer *infer)
{
    return keep(infer->root);
}

static struct node *restore(struct schema_infer *infer, const json_t *kept, int depth,
                            bool *is_fine);

static void restore_words(struct node *node, json_t *words, bool *is_fine)
{
    const char *text;
    json_t *count;
    json_object_foreach(words, text, count)
    {
        *is_fine = *is_fine && is_word(text, strlen(text)) && json_integer_value(count) > 0;
        if (*is_fine) {
            take_word(node, text, strlen(text), (uint64_t)json_integer_value(count));
        }
    }
}

static void restore_properties(struct schema_infer *infer, struct node *node, json_t *properties,
                               int depth, bool *is_fine)
{
    const char *name;
    json_t *pair;
    json_object_foreach(properties, name, pair)
    {
        json_int_t count = json_integer_value(json_array_get(pair, 0));
        if (is_data(name) || node->properties.count == SCHEMA_NAMES_MAX || count <= 0 ||
            (uint64_t)count > node->objects) {
            *is_fine = false;
            return;
        }
        struct property *property = vec_add(&node->properties);
        property->name = mem_strdup(name);
        property->count = (uint64_t)count;
        property->node = restore(infer, json_array_get(pair, 1), depth + 1, is_fine);
    }
}

/* NULL: there was no place; *is_fine is false when it is nothing that was kept. */
static struct node *restore(struct schema_infer *infer, const json_t *kept, int depth,
                            bool *is_fine)
{
    json_t *words, *properties, *items;
    int kinds, formats, other_words, is_dictionary, any_items;
    json_int_t objects, strings;
    if (json_is_null(kept)) {
        return NULL;
    }
    struct node *node =
        json_unpack((json_t *)(uintptr_t)kept, "{s:i, s:i, s:I, s:I, s:o, s:b, s:o, s:b, s:o, s:b}",
                    "kinds", &kinds, "formats", &formats, "objects", &objects, "strings", &strings,
                    "words", &words, "other_words", &other_words, "properties", &properties,
                    "dictionary", &is_dictionary, "items", &items, "any_items", &any_items) == 0
            ? make_node(infer, depth)
            : NULL;
    if (node == NULL || objects < 0 || strings < 0) {
        *is_fine = false;
        return node;
    }
    node->kinds = (unsigned)kinds & ALL_KINDS;
    node->formats = (unsigned)formats & ALL_FORMATS;
    node->objects = (uint64_t)objects;
    node->strings = (uint64_t)strings;
    node->is_dictionary = is_dictionary;
    node->has_any_items = any_items;
    restore_words(node, words, is_fine);
    node->has_other_words = other_words;
    restore_properties(infer, node, properties, depth, is_fine);
    node->items = restore(infer, items, depth + 1, is_fine);
    return node;
}

struct schema_infer *schema_infer_restore(const json_t *kept)
{
    struct schema_infer *infer = mem_new(struct schema_infer);
    bool is_fine = true;
    infer->root = restore(infer, kept, 0, &is_fine);
    if (!is_fine || infer->root == NULL) {
        schema_infer_free(infer);
        return NULL;
    }
    return infer;
}
