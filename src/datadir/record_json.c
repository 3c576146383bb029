#include "datadir/record_json.h"

#include "base/buf.h"

json_t *record_text(struct slice bytes)
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

void record_set_text(json_t *json, const char *name, struct slice bytes)
{
    json_object_set_new(json, name, record_text(bytes));
}

void record_set_number(json_t *json, const char *name, int64_t value)
{
    json_object_set_new(json, name, json_integer(value));
}

void record_set_uuid(json_t *json, const char *name, struct wire_uuid uuid)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[22];
    unsigned bits = 0, held = 0;
    size_t size = 0;
    for (size_t i = 0; i < sizeof uuid.bytes; i++) {
        held = (held << 8 | uuid.bytes[i]) & 0xffff;
        for (bits += 8; bits >= 6; bits -= 6) {
            text[size++] = alphabet[held >> (bits - 6) & 63];
        }
    }
    text[size++] = alphabet[held << (6 - bits) & 63];
    json_object_set_new(json, name, json_stringn(text, size));
}

void record_set_texts(json_t *json, const char *name, const struct slice *texts, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(array, record_text(texts[i]));
    }
    json_object_set_new(json, name, array);
}

void record_set_numbers(json_t *json, const char *name, const int32_t *numbers, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(array, json_integer(numbers[i]));
    }
    json_object_set_new(json, name, array);
}
