#include "datadir/internal_record.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "wire/record.h"

#include <string.h>

/* Bytes of a record turn into so much at most. */
enum { DECODED_MAX_BYTES = 16 << 20 };

static void set(json_t *json, const char *name, json_t *value)
{
    json_object_set_new(json, name, value);
}

/* ---- a decoded struct as JSON ---- */

static json_t *text_json(struct slice bytes)
{
    if (slice_is_null(bytes)) {
        return json_null();
    }
    json_t *json = json_stringn((const char *)bytes.data, bytes.size);
    if (json != NULL) {
        return json;
    }
    struct buf hex = {0};
    for (size_t i = 0; i < bytes.size; i++) {
        buf_printf(&hex, "%02x", bytes.data[i]);
    }
    json = json_stringn((const char *)hex.data, hex.size);
    buf_deinit(&hex);
    return json;
}

/* As Kafka's tools show a topic id. */
static json_t *uuid_json(const struct wire_uuid *uuid)
{
    struct buf text = {0};
    base64url_encode(&text, slice_of(uuid->bytes, sizeof uuid->bytes));
    json_t *json = json_stringn((const char *)text.data, text.size);
    buf_deinit(&text);
    return json;
}

static int64_t integer_at(const struct wire_field *field, const void *at)
{
    switch (field->type) {
    case WIRE_INT8:
        return *(const int8_t *)at;
    case WIRE_INT16:
        return *(const int16_t *)at;
    case WIRE_UINT16:
        return *(const uint16_t *)at;
    case WIRE_INT32:
        return *(const int32_t *)at;
    case WIRE_UINT32:
        return *(const uint32_t *)at;
    default:
        return *(const int64_t *)at;
    }
}

static json_t *integer_json(const struct wire_field *field, int64_t value)
{
    if (field->names == NULL) {
        return json_integer(value);
    }
    return value >= 0 && value < field->names_count
               ? json_string(field->names[value])
               : json_sprintf("unknown (%lld)", (long long)value);
}

static json_t *struct_json(const struct wire_shape *shape, const void *from);

static json_t *value_json(const struct wire_field *field, const void *at)
{
    switch (field->type) {
    case WIRE_BOOL:
        return json_boolean(*(const bool *)at);
    case WIRE_FLOAT64:
        return json_real(*(const double *)at);
    case WIRE_UUID:
        return uuid_json(at);
    case WIRE_STRING:
    case WIRE_BYTES:
        return text_json(*(const struct slice *)at);
    case WIRE_STRUCT:
        return struct_json(field->shape, at);
    default:
        return integer_json(field, integer_at(field, at));
    }
}

/* Null is shown as an empty one. */
static json_t *array_json(const struct wire_field *field, const uint8_t *items, int32_t count)
{
    json_t *json = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(json, value_json(field, items + (size_t)i * field->bytes));
    }
    return json;
}

static json_t *field_json(const struct wire_field *field, const uint8_t *from)
{
    const uint8_t *at = from + field->at;
    if (field->count_at != 0) {
        return array_json(field, *(const uint8_t *const *)at,
                          *(const int32_t *)(from + field->count_at));
    }
    if (field->by_pointer) {
        at = *(const uint8_t *const *)at;
        return at == NULL ? json_null() : value_json(field, at);
    }
    return value_json(field, at);
}

/* Null, or a number that is the default. */
static bool is_default(const struct wire_field *field, const uint8_t *from)
{
    const uint8_t *at = from + field->at;
    if (field->count_at != 0) {
        return *(const int32_t *)(from + field->count_at) < 0;
    }
    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
        return slice_is_null(*(const struct slice *)at);
    case WIRE_STRUCT:
        return field->by_pointer && *(const void *const *)at == NULL;
    case WIRE_BOOL:
    case WIRE_FLOAT64:
    case WIRE_UUID:
        return false;
    default:
        return integer_at(field, at) == field->default_value;
    }
}

static void set_fields(json_t *json, const struct wire_shape *shape, const void *from)
{
    for (int i = 0; i < shape->count; i++) {
        const struct wire_field *field = &shape->fields[i];
        if (!field->left_out || !is_default(field, from)) {
            set(json, field->shown, field_json(field, from));
        }
    }
}

static json_t *struct_json(const struct wire_shape *shape, const void *from)
{
    if (shape->count == 1 && strcmp(shape->fields[0].shown, ".") == 0) {
        return field_json(&shape->fields[0], from);
    }
    json_t *json = json_object();
    set_fields(json, shape, from);
    return json;
}

/* ---- a record ---- */

static void set_unreadable(json_t *json, const char *what)
{
    set(json, "error", json_sprintf("the %s cannot be read", what));
}

/* Into *out, which is never NULL; ERR_UNSUPPORTED for a version that is not known. */
static enum err decode(const struct wire_record_part *part, struct slice bytes, struct arena *arena,
                       void **out)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, arena);
    int16_t version = wire_read_int16(&reader);
    *out = arena_alloc(arena, part->shape->bytes);
    if (reader.err != ERR_NONE || version < part->lowest_version ||
        version > part->highest_version) {
        return reader.err != ERR_NONE ? reader.err : ERR_UNSUPPORTED;
    }
    return part->decode(&reader, version, *out);
}

/* The texts at its front that could be read; what could not is empty. */
static void set_broken_key(json_t *json, const struct wire_shape *shape, const uint8_t *from)
{
    for (int i = 0; i < shape->count && shape->fields[i].type == WIRE_STRING; i++) {
        const struct slice *text = (const void *)(from + shape->fields[i].at);
        if (text->size == 0) {
            break;
        }
        set(json, shape->fields[i].shown, text_json(*text));
    }
    set_unreadable(json, "key");
}

static void set_value(json_t *json, const struct wire_record_part *part, struct slice value,
                      struct arena *arena)
{
    void *fields;
    enum err err = decode(part, value, arena, &fields);
    if (err == ERR_NONE) {
        set_fields(json, part->shape, fields);
    } else if (err == ERR_UNSUPPORTED) {
        set(json, "error",
            json_sprintf("version %d of the value is not known", (int16_t)load_be16(value.data)));
    } else {
        set_unreadable(json, "value");
    }
}

static json_t *record_json(const struct wire_record_kind *kind, struct slice key,
                           struct slice value)
{
    struct arena arena = {.limit_bytes = DECODED_MAX_BYTES};
    json_t *json = json_pack("{s:s}", "kind", kind->kind);
    void *fields;
    bool broken = decode(&kind->key, key, &arena, &fields) != ERR_NONE;
    if (broken) {
        set_broken_key(json, kind->key.shape, fields);
    } else {
        set_fields(json, kind->key.shape, fields);
    }
    if (slice_is_null(value)) {
        set(json, "deleted", json_true());
    } else if (!broken) {
        set_value(json, &kind->value, value, &arena);
    }
    arena_deinit(&arena);
    return json;
}

json_t *internal_record(const char *topic, struct slice key, struct slice value)
{
    int version = key.size < 2 ? -1 : (int16_t)load_be16(key.data);
    bool ours = false;
    for (int i = 0; i < wire_record_kinds_count; i++) {
        const struct wire_record_kind *kind = &wire_record_kinds[i];
        bool of_topic = strcmp(kind->topic, topic) == 0;
        if (of_topic && version >= kind->key.lowest_version &&
            version <= kind->key.highest_version) {
            return record_json(kind, key, value);
        }
        ours = ours || of_topic;
    }
    return ours ? json_pack("{s:s, s:i}", "kind", "unknown", "key_version", version) : NULL;
}

json_t *internal_control_record(struct slice key, struct slice value)
{
    json_t *json = json_pack("{s:s}", "kind", "marker");
    if (key.size < 4) {
        set_unreadable(json, "key");
        return json;
    }
    int16_t type = (int16_t)load_be16(key.data + 2);
    set(json, "type", json_string(type == 0 ? "abort" : type == 1 ? "commit" : "unknown"));
    if (type != 0 && type != 1) {
        set(json, "type_number", json_integer(type));
    } else if (value.size >= 6) {
        set(json, "coordinator_epoch", json_integer((int32_t)load_be32(value.data + 2)));
    } else {
        set_unreadable(json, "value");
    }
    return json;
}
